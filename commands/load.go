package commands

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"sync"

	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/eventlog"
)

type eventAppender interface {
	Append(ctx context.Context, stream string, expected eventlog.Expected, events []eventlog.Proposed) (eventlog.Appended, error)
}

type eventReader interface {
	ReadStream(ctx context.Context, stream string, from uint64) iter.Seq2[eventlog.Recorded, error]
}

type eventFollower interface {
	Follow(ctx context.Context, after eventlog.Position, filter eventlog.Filter, o eventlog.FollowOptions) iter.Seq2[eventlog.Batch, error]
}

type eventHeader interface {
	Head(ctx context.Context) (eventlog.Position, error)
}

// fold applies a stream's events from revision next on to s.
func fold[S state[S]](ctx context.Context, log eventReader, stream string, s S, next uint64) (S, uint64, error) {
	for r, err := range log.ReadStream(ctx, stream, next) {
		if err != nil {
			return s, next, err
		}
		if r.Revision != next {
			return s, next, fmt.Errorf("stream %s: revision %d follows where %d was due: %w", stream, r.Revision, next, eventlog.ErrGone)
		}
		f, err := decode(r)
		if err != nil {
			return s, next, err
		}
		s, next = s.Apply(f), next+1
	}
	return s, next, nil
}

// folds keeps the states of reference streams (regimes, days, units, offices, persons) between commands. It is never a
// source of truth: every use reads the stream's tail from the log first, which the embedded store answers from memory
// when there is none.
type folds[S state[S]] struct {
	mu      sync.Mutex // guards entries; an entry has its own lock, so that a slow stream holds up nobody else
	entries map[string]*folded[S]
}

type folded[S state[S]] struct {
	mu   sync.Mutex
	s    S
	next uint64
}

// maxFolds bounds the states kept of one kind. Chosen: the offices or persons of a large province; beyond it all are
// dropped and folded again.
const maxFolds = 50_000

func (c *folds[S]) load(ctx context.Context, log eventReader, stream string) (S, uint64, error) {
	c.mu.Lock()
	e, ok := c.entries[stream]
	if !ok {
		if c.entries == nil || len(c.entries) >= maxFolds {
			c.entries = make(map[string]*folded[S])
		}
		e = &folded[S]{}
		c.entries[stream] = e
	}
	c.mu.Unlock()

	e.mu.Lock()
	defer e.mu.Unlock()
	s, next, err := fold(ctx, log, stream, e.s, e.next)
	if err == nil {
		e.s, e.next = s, next
	}
	return s, next, err
}

// Regime, Day, Unit, Office and Person are the present states of their streams.
func (l *Ledger) Regime(ctx context.Context, id domain.RegimeID) (domain.Regime, error) {
	s, _, err := l.loadRegime(ctx, domain.RegimeStream(id))
	if err == nil && !s.Exists() {
		return s, domain.Refuse(domain.NotFound, domain.CodeRegimeUnknown, "/regime", "regime", string(id))
	}
	return s, err
}

// Day is the state of one day of a regime; a day that was not opened is the zero Day.
func (l *Ledger) Day(ctx context.Context, id domain.RegimeID, d domain.Date) (domain.Day, error) {
	s, _, err := l.loadDay(ctx, domain.DayStream(id, d))
	return s, err
}

// Unit is the state of a unit; one that was never registered is refused.
func (l *Ledger) Unit(ctx context.Context, u domain.UnitCode) (domain.Unit, error) {
	s, _, err := l.loadUnit(ctx, domain.UnitStream(u))
	if err == nil && !s.Exists() {
		return s, domain.Refuse(domain.NotFound, domain.CodeUnitUnknown, "/unit", "unit", string(u))
	}
	return s, err
}

// Office is the state of a unit's office; nobody was ever in it when it is zero.
func (l *Ledger) Office(ctx context.Context, u domain.UnitCode) (domain.Office, error) {
	s, _, err := l.loadOffice(ctx, domain.OfficeStream(u))
	s.Unit = u
	return s, err
}

// Person is the state of a person; the zero Person was never registered.
func (l *Ledger) Person(ctx context.Context, p domain.PersonID) (domain.Person, error) {
	s, _, err := l.loadPerson(ctx, domain.PersonStream(p))
	return s, err
}

// Report is the state of a report, folded anew: its stream is short and changes with every command.
func (l *Ledger) Report(ctx context.Context, key domain.ReportKey) (domain.Report, error) {
	s, _, err := l.loadReport(key)(ctx, key.Stream())
	return s, err
}

func (l *Ledger) loadRegime(ctx context.Context, stream string) (domain.Regime, uint64, error) {
	return l.regimes.load(ctx, l.log, stream)
}
func (l *Ledger) loadDay(ctx context.Context, stream string) (domain.Day, uint64, error) {
	return l.days.load(ctx, l.log, stream)
}
func (l *Ledger) loadUnit(ctx context.Context, stream string) (domain.Unit, uint64, error) {
	return l.units.load(ctx, l.log, stream)
}
func (l *Ledger) loadOffice(ctx context.Context, stream string) (domain.Office, uint64, error) {
	return l.offices.load(ctx, l.log, stream)
}
func (l *Ledger) loadPerson(ctx context.Context, stream string) (domain.Person, uint64, error) {
	return l.persons.load(ctx, l.log, stream)
}
func (l *Ledger) loadReport(key domain.ReportKey) source[domain.Report] {
	return func(ctx context.Context, stream string) (domain.Report, uint64, error) {
		return fold(ctx, l.log, stream, domain.Report{Key: key}, 0)
	}
}
func (l *Ledger) loadResults(ctx context.Context, stream string) (domain.Results, uint64, error) {
	return fold(ctx, l.log, stream, domain.Results{}, 0)
}

// roster knows which streams of a category exist, by following the log as far as it goes whenever it is asked.
type roster struct {
	mu      sync.Mutex
	after   eventlog.Position
	units   []domain.UnitCode
	regimes []domain.RegimeID
}

// refresh reads what was recorded since the last call.
func (r *roster) refresh(ctx context.Context, log Log) error {
	// Whatever stands at or before the head, read first, has been yielded when the follower has caught up: the next call
	// goes on from there, and not from the last unit, which may lie a million reports back.
	head, err := log.Head(ctx)
	if err != nil {
		return fmt.Errorf("commands: list units and regimes: %w", err)
	}
	if head.Compare(r.after) <= 0 {
		return nil
	}
	filter := eventlog.Filter{Prefixes: []string{domain.CategoryUnit + "-", domain.CategoryRegime + "-"}}
	for b, err := range log.Follow(ctx, r.after, filter, eventlog.FollowOptions{}) {
		if err != nil {
			return fmt.Errorf("commands: list units and regimes: %w", err)
		}
		for _, e := range b.Events {
			f, err := decode(e)
			if err != nil {
				return err
			}
			switch x := f.Event.(type) {
			case domain.UnitRegistered:
				r.units = append(slices.Clip(r.units), x.Unit)
			case domain.RegimeIssued:
				r.regimes = append(slices.Clip(r.regimes), x.Regime)
			}
			r.after = e.Position
		}
		if b.CaughtUp {
			if r.after.Compare(head) < 0 {
				r.after = head
			}
			break
		}
	}
	return nil
}

// Units lists every unit that was ever registered, with its present state, by code.
func (l *Ledger) Units(ctx context.Context) ([]domain.Unit, error) {
	l.roster.mu.Lock()
	err := l.roster.refresh(ctx, l.log)
	codes := slices.Clone(l.roster.units)
	l.roster.mu.Unlock()
	if err != nil {
		return nil, err
	}
	slices.Sort(codes)
	units := make([]domain.Unit, 0, len(codes))
	for _, c := range codes {
		u, err := l.Unit(ctx, c)
		if err != nil {
			return nil, err
		}
		units = append(units, u)
	}
	return units, nil
}

// Regimes lists every regime that was ever issued.
func (l *Ledger) Regimes(ctx context.Context) ([]domain.RegimeID, error) {
	l.roster.mu.Lock()
	defer l.roster.mu.Unlock()
	err := l.roster.refresh(ctx, l.log)
	return l.roster.regimes, err
}
