package sqlite

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/answerable-ledger/answerable/eventlog"
)

// appendCall is one call of Append on its way through the writer.
type appendCall struct {
	stream   string
	key      streamKey
	expected eventlog.Expected
	events   []eventlog.Proposed // a copy: a caller that gave up may use its own buffers again
	bytes    int

	// state says who decides what becomes of the call: the writer by taking it, or a caller whose context ended before.
	state atomic.Int32
	done  chan struct{} // closed by the writer when the fields below are final

	result eventlog.Appended
	behind bool // expected lies before the stream's end: it is a repeat or a conflict, which the events tell
	actual uint64
	err    error
}

const (
	waiting int32 = iota
	taken
	withdrawn
)

// Append implements eventlog.Log.
func (l *Log) Append(ctx context.Context, stream string, expected eventlog.Expected, events []eventlog.Proposed) (eventlog.Appended, error) {
	if err := eventlog.CheckAppend(stream, events); err != nil {
		return eventlog.Appended{}, err
	}
	done, err := l.append(ctx, stream, expected, events)
	if err == nil {
		return done, nil
	}
	if errors.Is(err, eventlog.ErrConflict) || errors.Is(err, eventlog.ErrRepeatMismatch) {
		l.refused.Add(1)
	} else {
		l.failed.Add(1)
	}
	return eventlog.Appended{}, fmt.Errorf("sqlite: append %d events to %s at %s: %w", len(events), stream, expected, err)
}

func (l *Log) append(ctx context.Context, stream string, expected eventlog.Expected, events []eventlog.Proposed) (eventlog.Appended, error) {
	if l.queue == nil {
		return eventlog.Appended{}, eventlog.ErrReadOnly
	}
	if ctx.Err() != nil {
		return eventlog.Appended{}, ctx.Err()
	}
	c := newAppendCall(stream, expected, events)
	select {
	case l.queue <- c:
	case <-l.closing:
		return eventlog.Appended{}, errClosed
	case <-ctx.Done():
		return eventlog.Appended{}, ctx.Err()
	}
	select {
	case <-c.done:
	case <-ctx.Done():
		if c.state.CompareAndSwap(waiting, withdrawn) {
			return eventlog.Appended{}, ctx.Err()
		}
		return eventlog.Appended{}, fmt.Errorf("%w (%w)", eventlog.ErrOutcomeUnknown, ctx.Err())
	case <-l.done:
		select {
		case <-c.done:
		default:
			return eventlog.Appended{}, errClosed // the writer ended without taking it
		}
	}
	if c.err == nil && c.behind {
		return l.repeat(ctx, c)
	}
	return c.result, c.err
}

func newAppendCall(stream string, expected eventlog.Expected, events []eventlog.Proposed) *appendCall {
	c := &appendCall{stream: stream, key: keyOf(stream), expected: expected, done: make(chan struct{})}
	for _, e := range events {
		c.bytes += len(e.Data) + len(e.Meta)
	}
	buf := make([]byte, 0, c.bytes)
	keep := func(b []byte) []byte {
		buf = append(buf, b...)
		return buf[len(buf)-len(b):]
	}
	c.events = make([]eventlog.Proposed, len(events))
	for i, e := range events {
		c.events[i] = eventlog.Proposed{ID: e.ID, Kind: e.Kind, Data: keep(e.Data), Meta: keep(e.Meta)}
	}
	return c
}

// repeat tells a repeat from a conflict. It runs in the caller's goroutine, after the group's COMMIT: the events it
// compares with never change, and the writer has better things to do than to read.
func (l *Log) repeat(ctx context.Context, c *appendCall) (eventlog.Appended, error) {
	conflict := &eventlog.ConflictError{Stream: c.stream, Expected: c.expected, Actual: eventlog.After(c.actual), ActualKnown: true}
	first := c.expected.Next()
	matched := 0
	var last eventlog.Recorded
	for e, err := range l.ReadStream(ctx, c.stream, first) {
		if err != nil {
			if ctx.Err() != nil {
				err = fmt.Errorf("%w (%w)", eventlog.ErrOutcomeUnknown, err)
			}
			return eventlog.Appended{}, err
		}
		if e.ID != c.events[matched].ID {
			break
		}
		last = e
		if matched++; matched == len(c.events) {
			break
		}
	}
	switch matched {
	case len(c.events):
		l.repeats.Add(1)
		return eventlog.Appended{
			First: first, Last: last.Revision, Position: last.Position, PositionKnown: true, RecordedAt: last.RecordedAt, Repeat: true,
		}, nil
	case 0:
		return eventlog.Appended{}, conflict
	}
	return eventlog.Appended{}, fmt.Errorf("%d of %d ids stand there: %w", matched, len(c.events), eventlog.ErrRepeatMismatch)
}
