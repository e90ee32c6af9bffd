package sqlite

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/answerable-ledger/answerable/eventlog"
)

// appendCall is one call of Append or AppendAll on its way through the writer.
type appendCall struct {
	parts []part // no stream twice
	one   [1]part
	bytes int

	// state says who decides what becomes of the call: the writer by taking it, or a caller whose context ended before.
	state atomic.Int32
	done  chan struct{} // closed by the writer when the fields below, and those of the parts, are final

	behind bool // some part is, so none was stored
	err    error
}

// part is what a call has for one stream.
type part struct {
	eventlog.Part // its events are a copy: a caller that gave up may use its own buffers again
	key           streamKey

	result eventlog.Appended
	behind bool // expected lies before the stream's end: it is a repeat or a conflict, which the events tell
	actual uint64
}

const (
	waiting int32 = iota
	taken
	withdrawn
)

var _ eventlog.MultiAppender = (*Log)(nil)

// Append implements eventlog.Log.
func (l *Log) Append(ctx context.Context, stream string, expected eventlog.Expected, events []eventlog.Proposed) (eventlog.Appended, error) {
	if err := eventlog.CheckAppend(stream, events); err != nil {
		return eventlog.Appended{}, err
	}
	c := &appendCall{}
	c.one[0].Part = eventlog.Part{Stream: stream, Expected: expected, Events: events}
	c.parts = c.one[:]
	var done eventlog.Appended
	err := l.submit(ctx, c)
	switch { // after an error the call may still be the writer's
	case err != nil:
	case c.behind:
		done, err = l.repeat(ctx, &c.one[0])
	default:
		done = c.one[0].result
	}
	if err != nil {
		return eventlog.Appended{}, fmt.Errorf("sqlite: append %d events to %s at %s: %w", len(events), stream, expected, l.counted(err))
	}
	return done, nil
}

// AppendAll implements eventlog.MultiAppender.
func (l *Log) AppendAll(ctx context.Context, parts []eventlog.Part) ([]eventlog.Appended, error) {
	if err := eventlog.CheckAppendAll(parts); err != nil {
		return nil, err
	}
	results := make([]eventlog.Appended, len(parts))
	due := make([]int, len(parts)) // parts that do not stand yet, as far as is known
	for i := range due {
		due[i] = i
	}
	for len(due) > 0 {
		c := &appendCall{parts: make([]part, len(due))}
		for j, i := range due {
			c.parts[j].Part = parts[i]
		}
		err := l.submit(ctx, c)
		var left []int
		for j, i := range due {
			p := &c.parts[j]
			switch {
			case err != nil:
			case p.behind: // a repeat stands already, so the others are all that is left to store
				results[i], err = l.repeat(ctx, p)
			case c.behind:
				left = append(left, i)
			default:
				results[i] = p.result
			}
		}
		if err != nil {
			return nil, fmt.Errorf("sqlite: append to %d streams: %w", len(parts), l.counted(err))
		}
		due = left
	}
	return results, nil
}

func (l *Log) counted(err error) error {
	if errors.Is(err, eventlog.ErrConflict) || errors.Is(err, eventlog.ErrRepeatMismatch) {
		l.refused.Add(1)
	} else {
		l.failed.Add(1)
	}
	return err
}

// submit has the writer decide a call and waits for the outcome.
func (l *Log) submit(ctx context.Context, c *appendCall) error {
	if l.queue == nil {
		return eventlog.ErrReadOnly
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	c.prepare()
	select {
	case l.queue <- c:
	case <-l.closing:
		return errClosed
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-c.done:
	case <-ctx.Done():
		if c.state.CompareAndSwap(waiting, withdrawn) {
			return ctx.Err()
		}
		return fmt.Errorf("%w (%w)", eventlog.ErrOutcomeUnknown, ctx.Err())
	case <-l.done:
		select {
		case <-c.done:
		default:
			return errClosed // the writer ended without taking it
		}
	}
	return c.err
}

// prepare copies the events.
func (c *appendCall) prepare() {
	c.done = make(chan struct{})
	for _, p := range c.parts {
		for _, e := range p.Events {
			c.bytes += len(e.Data) + len(e.Meta)
		}
	}
	buf := make([]byte, 0, c.bytes)
	keep := func(b []byte) []byte {
		buf = append(buf, b...)
		return buf[len(buf)-len(b):]
	}
	for i := range c.parts {
		p := &c.parts[i]
		p.key = keyOf(p.Stream)
		events := make([]eventlog.Proposed, len(p.Events))
		for i, e := range p.Events {
			events[i] = eventlog.Proposed{ID: e.ID, Kind: e.Kind, Data: keep(e.Data), Meta: keep(e.Meta)}
		}
		p.Events = events
	}
}

// repeat tells a repeat from a conflict. It runs in the caller's goroutine, after the group's COMMIT: the events it
// compares with never change, and the writer has better things to do than to read.
func (l *Log) repeat(ctx context.Context, p *part) (eventlog.Appended, error) {
	conflict := &eventlog.ConflictError{Stream: p.Stream, Expected: p.Expected, Actual: eventlog.After(p.actual), ActualKnown: true}
	first := p.Expected.Next()
	matched := 0
	var last eventlog.Recorded
	for e, err := range l.ReadStream(ctx, p.Stream, first) {
		if err != nil {
			if ctx.Err() != nil {
				err = fmt.Errorf("%w (%w)", eventlog.ErrOutcomeUnknown, err)
			}
			return eventlog.Appended{}, err
		}
		if e.ID != p.Events[matched].ID {
			break
		}
		last = e
		if matched++; matched == len(p.Events) {
			break
		}
	}
	switch matched {
	case len(p.Events):
		l.repeats.Add(1)
		return eventlog.Appended{
			First: first, Last: last.Revision, Position: last.Position, PositionKnown: true, RecordedAt: last.RecordedAt, Repeat: true,
		}, nil
	case 0:
		return eventlog.Appended{}, conflict
	}
	return eventlog.Appended{}, fmt.Errorf("%d of %d ids stand there: %w", matched, len(p.Events), eventlog.ErrRepeatMismatch)
}
