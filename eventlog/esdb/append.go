package esdb

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	client "github.com/EventStore/EventStore-Client-Go/v4/esdb"

	"github.com/answerable-ledger/answerable/eventlog"
)

const (
	// maxWireBytes is what an append may weigh by the server's own count (Event.SizeOnDisk: data, metadata and twice
	// the kind): the default of MaxAppendSize up to 25.0. It leaves room for the envelopes of MaxAppendBytes in some
	// nine hundred events.
	maxWireBytes = 1 << 20
	// maxStrange is how often an append that ends for an unknown reason is sent again.
	maxStrange = 3
)

// Append implements eventlog.Log. The server decides, by the rules written there; this method sends the same events
// until it decides or the deadline comes, and reads back what was stored, because the server's answer does not tell a
// repeat from a first write, nor when the original was recorded.
func (l *Log) Append(ctx context.Context, stream string, expected eventlog.Expected, events []eventlog.Proposed) (eventlog.Appended, error) {
	if err := eventlog.CheckAppend(stream, events); err != nil {
		return eventlog.Appended{}, err
	}
	ctx, cancel := l.bounded(ctx)
	defer cancel()
	a := &appending{Log: l, stream: stream, expected: expected, events: events, mark: newMark()}
	done, err := a.run(ctx)
	if err != nil {
		return eventlog.Appended{}, fmt.Errorf("esdb: append %d events to %s at %s: %w", len(events), stream, expected, err)
	}
	return done, nil
}

// appending is one call of Append.
type appending struct {
	*Log
	stream   string
	expected eventlog.Expected
	events   []eventlog.Proposed
	mark     string
	wire     []client.EventData
	sent     bool // an attempt may have been stored
	strange  int
}

func (a *appending) run(ctx context.Context) (eventlog.Appended, error) {
	notBefore, err := a.lastRecordedAt(ctx)
	if err != nil {
		return eventlog.Appended{}, failed(err)
	}
	if err := a.prepare(a.stamps.next(a.options.Clock(), notBefore)); err != nil {
		return eventlog.Appended{}, err
	}
	for pause := firstBackoff; ; pause = min(2*pause, lastBackoff) {
		revision, err := a.attempt(ctx)
		what, err := judge(err)
		switch what {
		case stored:
			return a.confirm(ctx, revision)
		case conflict:
			if err := a.compare(ctx); err != nil {
				return eventlog.Appended{}, err
			}
			// Everything is there after all: another attempt was stored while this one was judged.
		case refused:
			return eventlog.Appended{}, err
		case notStored:
			if never := (notSent{}); errors.As(err, &never) {
				return eventlog.Appended{}, a.unfinished(err)
			}
		case strange:
			a.sent = true
			if a.strange++; a.strange == maxStrange {
				return eventlog.Appended{}, a.unfinished(err)
			}
		case unknown:
			a.sent = true
		}
		if sleep(ctx, pause) != nil {
			return eventlog.Appended{}, a.unfinished(fmt.Errorf("%w (last attempt: %v)", context.Cause(ctx), explain(err)))
		}
	}
}

// unfinished is the error of an append that could not be brought to an end.
func (a *appending) unfinished(err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("%w (server: %v)", err, a.server.standing())
	}
	if a.sent {
		return fmt.Errorf("%w: %w", eventlog.ErrOutcomeUnknown, err)
	}
	return failed(err)
}

// lastRecordedAt is when the event the writer expects to be the last was recorded; the new ones are not recorded before
// it. Whoever appends has as a rule just read the stream, and then it is remembered.
func (a *appending) lastRecordedAt(ctx context.Context) (time.Time, error) {
	if a.expected.Next() == 0 {
		return time.Time{}, nil
	}
	revision := a.expected.Next() - 1
	if at, known := a.stamps.of(a.stream, revision); known {
		return at, nil
	}
	page, err := a.page(ctx, a.stream, revision, 1, hurried)
	if err != nil || len(page.events) == 0 { // there is no such event: the server will say so
		return time.Time{}, err
	}
	return page.events[0].RecordedAt, nil
}

func (a *appending) prepare(at time.Time) error {
	total := 0
	for _, e := range a.events {
		if strings.HasPrefix(e.Kind, "$") {
			return fmt.Errorf("kind %s: kinds beginning with '$' are the server's: %w", e.Kind, eventlog.ErrInvalid)
		}
		contentType := client.ContentTypeBinary
		if isJSON(e.Data) {
			contentType = client.ContentTypeJson
		}
		w := client.EventData{EventID: e.ID, EventType: e.Kind, ContentType: contentType, Data: e.Data, Metadata: seal(at, a.mark, e.Meta)}
		total += len(w.Data) + len(w.Metadata) + 2*len(w.EventType)
		a.wire = append(a.wire, w)
	}
	if total > maxWireBytes {
		return fmt.Errorf("%d bytes on the server, the limit is %d: %w", total, maxWireBytes, eventlog.ErrTooLarge)
	}
	return nil
}

// attempt sends the events once and returns the revision of the last.
func (a *appending) attempt(ctx context.Context) (uint64, error) {
	m := hurried
	if a.sent {
		m = patient
	}
	return call(ctx, a.server, a.options.AttemptTimeout, m, func(ctx context.Context, c *client.Client) (uint64, error) {
		var expected client.ExpectedRevision = client.NoStream{}
		if next := a.expected.Next(); next > 0 {
			expected = client.Revision(next - 1)
		}
		result, err := c.AppendToStream(ctx, a.stream, client.AppendToStreamOptions{ExpectedRevision: expected}, a.wire...)
		if err != nil {
			return 0, err
		}
		return result.NextExpectedVersion, nil
	})
}

// confirm reads the last event back.
func (a *appending) confirm(ctx context.Context, revision uint64) (eventlog.Appended, error) {
	a.sent = true
	last := a.expected.Next() + uint64(len(a.events)) - 1
	if revision != last {
		return eventlog.Appended{}, fmt.Errorf("%w: the stream had been deleted on the server and began again at revision %d", eventlog.ErrGone, revision+1-uint64(len(a.events)))
	}
	var p page
	for pause := firstBackoff; len(p.events) == 0; pause = min(2*pause, lastBackoff) {
		var err error
		if p, err = a.page(ctx, a.stream, last, 1, patient); err != nil {
			return eventlog.Appended{}, a.unfinished(fmt.Errorf("stored, but not read back: %w", explain(err)))
		}
		// A node that is not the leader passes the append on to it and shows the event a moment later.
		if len(p.events) == 0 && sleep(ctx, pause) != nil {
			return eventlog.Appended{}, a.unfinished(fmt.Errorf("stored, but not shown yet by the node that answered: %w", context.Cause(ctx)))
		}
	}
	e := p.events[0]
	if e.ID != a.events[len(a.events)-1].ID {
		return eventlog.Appended{}, fmt.Errorf("%w: the server acknowledged event %s at revision %d and shows %s there", eventlog.ErrDamaged, a.events[len(a.events)-1].ID, last, e.ID)
	}
	return eventlog.Appended{
		First: a.expected.Next(), Last: last,
		Position: e.Position, PositionKnown: true,
		RecordedAt: e.RecordedAt,
		Repeat:     p.marks[0] != a.mark,
	}, nil
}

// compare tells the two conflicts apart that the server answers alike (StorageWriterService: "in case of corrupted
// idempotency … ConsistencyCheckFailure is ok answer"). It returns nil when every event is there.
func (a *appending) compare(ctx context.Context) error {
	there, err := a.page(ctx, a.stream, a.expected.Next(), uint64(len(a.events)), hurried)
	if errors.Is(err, eventlog.ErrGone) {
		return err
	}
	if err != nil {
		return &eventlog.ConflictError{Stream: a.stream, Expected: a.expected}
	}
	same := 0
	for same < len(there.events) && there.events[same].ID == a.events[same].ID {
		same++
	}
	switch same {
	case len(a.events):
		return nil
	case 0:
		actual, err := a.standing(ctx, a.stream)
		return &eventlog.ConflictError{Stream: a.stream, Expected: a.expected, Actual: actual, ActualKnown: err == nil}
	}
	return fmt.Errorf("the first %d of %d events are there, the next is not: %w", same, len(a.events), eventlog.ErrRepeatMismatch)
}
