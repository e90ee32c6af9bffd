package projections

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/answerable-ledger/answerable/domain"
)

// applyError is a fact that cannot be folded whatever is tried: the event's fault, or this program's, never the
// database's.
type applyError struct {
	step    step
	err     error
	halfway bool // rows were being changed: the set is of no use
}

func (e *applyError) Error() string {
	r := e.step.recorded
	return fmt.Sprintf("projections: apply %s (event %s, revision %d of %s, position %s): %v", r.Kind, r.ID, r.Revision, r.Stream, e.step.place, e.err)
}

func (e *applyError) Unwrap() error { return e.err }

// The reasons for which a fact is not applied.
var (
	errGap          = errors.New("the revision does not follow the one before it")
	errNoObligation = errors.New("no day that was opened has this obligation")
	errNotInOrder   = errors.New("the version does not follow the one before it")
	errStrayKind    = errors.New("an event of this kind does not belong into this stream")
)

// parkedRow is a stream with an event that the views could not apply. Its later events wait in the log, counted here.
type parkedRow struct {
	stream   string
	unit     domain.UnitCode // whose rows are not determinable; "" when it is not one unit's
	regime   domain.RegimeID // all of whose rows are not determinable; "" when it is not the regime's
	revision uint64
	eventID  string
	kind     string
	err      string
	waiting  int
	recorded instant
	known    instant
	place    string
	dirty    bool
}

// poisoned parks the stream of a step that cannot be applied, when that may be and nothing of it was.
func (w *set) poisoned(s *step, err error) error {
	var bad *applyError
	if w.parks == nil || !errors.As(err, &bad) || bad.halfway || !w.parks(s.recorded.ID.String()) {
		return err
	}
	w.park(s, bad.err)
	return nil
}

// park keeps a stream back from an event on. What it would have said is not known, so its unit, or its whole regime, is
// not determinable from this instant of knowledge on: never compliant by omission.
func (w *set) park(s *step, cause error) {
	p := &parkedRow{stream: s.recorded.Stream, revision: s.recorded.Revision, eventID: s.recorded.ID.String(), kind: s.recorded.Kind,
		err: cause.Error(), recorded: at(s.recorded.RecordedAt), known: w.known, place: s.place, dirty: true}
	_, rest, _ := strings.Cut(s.recorded.Stream, "-")
	parts := strings.Split(rest, ".")
	switch category(s.recorded.Stream) {
	case domain.CategoryReport:
		if len(parts) == 4 {
			p.regime, p.unit = domain.RegimeID(parts[0]), domain.UnitCode(parts[2])
		}
	case domain.CategoryResult:
		if len(parts) == 2 {
			p.regime, p.unit = domain.RegimeID(parts[0]), domain.UnitCode(parts[1])
		}
	case domain.CategoryUnit, domain.CategoryOffice:
		p.unit = domain.UnitCode(rest)
	case domain.CategoryRegime, domain.CategoryRegimeDay:
		p.regime = domain.RegimeID(parts[0])
	}
	w.parked[p.stream] = p
	w.fresh = append(w.fresh, p)
}

// Parked lists the streams that hold an event which could not be applied.
func (v *Views) Parked(ctx context.Context) ([]ParkedStream, error) {
	var out []ParkedStream
	_, err := v.ask(ctx, "", nil, func(r *reader) error {
		for _, p := range r.parked {
			out = append(out, ParkedStream{Stream: p.stream, Unit: p.unit, Revision: p.revision, EventID: p.eventID, Kind: p.kind,
				Error: p.err, Waiting: p.waiting, RecordedAt: p.recorded.time(), Place: p.place})
		}
		return nil
	})
	return out, err
}

// RetryParked applies what is parked, now that the program or the log was mended, and gives the number of streams that
// are no longer parked. What waited belongs among facts that were applied since, so the rows are folded anew from the
// log, in bulk, and take the place of the present ones; they are then what they would be had nothing ever been parked.
// A stream whose event still cannot be applied stays parked.
func (v *Views) RetryParked(ctx context.Context) (int, error) {
	before, err := v.Parked(ctx)
	if err != nil || len(before) == 0 {
		return 0, err
	}
	if err := v.retryParked(ctx); err != nil {
		return 0, err
	}
	after, err := v.Parked(ctx)
	return len(before) - len(after), err
}
