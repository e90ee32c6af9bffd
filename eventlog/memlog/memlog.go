// Package memlog keeps an event log in memory. It is the model the other stores are compared with: the contract of
// package eventlog in the fewest words.
//
// Its promise: the whole contract but durability. Its failure model: it has none; everything ends with the process, and
// nothing fails before that but what the contract refuses.
package memlog

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"sync"
	"time"

	"github.com/answerable-ledger/answerable/eventlog"
)

// Log is an event log in memory. It implements eventlog.Log.
type Log struct {
	clock eventlog.Clock

	mu      sync.Mutex
	events  []eventlog.Recorded // position n is at n-1
	streams map[string][]int    // indices into events, by revision
	wake    chan struct{}       // closed and replaced at each append; closed for good by Close
	closed  bool
}

var (
	_ eventlog.Log           = (*Log)(nil)
	_ eventlog.MultiAppender = (*Log)(nil)
)

// New returns an empty log. A nil clock means time.Now.
func New(clock eventlog.Clock) *Log {
	if clock == nil {
		clock = time.Now
	}
	return &Log{clock: clock, streams: make(map[string][]int), wake: make(chan struct{})}
}

var errClosed = fmt.Errorf("memlog: the log is closed: %w", eventlog.ErrUnavailable)

// Append implements eventlog.Log.
func (l *Log) Append(ctx context.Context, stream string, expected eventlog.Expected, events []eventlog.Proposed) (eventlog.Appended, error) {
	done, err := l.AppendAll(ctx, []eventlog.Part{{Stream: stream, Expected: expected, Events: events}})
	if err != nil {
		return eventlog.Appended{}, err
	}
	return done[0], nil
}

// AppendAll implements eventlog.MultiAppender.
func (l *Log) AppendAll(ctx context.Context, parts []eventlog.Part) ([]eventlog.Appended, error) {
	if err := eventlog.CheckAppendAll(parts); err != nil {
		return nil, err
	}
	if ctx.Err() != nil {
		return nil, fmt.Errorf("memlog: append to %s: %w", parts[0].Stream, ctx.Err())
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, errClosed
	}
	done := make([]eventlog.Appended, len(parts))
	for i, p := range parts {
		next, count := p.Expected.Next(), uint64(len(l.streams[p.Stream]))
		var err error
		switch {
		case next > count:
			err = conflict(p.Stream, p.Expected, count)
		case next < count:
			done[i], err = l.repeat(p.Stream, p.Expected, p.Events)
		}
		if err != nil {
			return nil, err
		}
	}
	at := l.clock().Truncate(time.Microsecond).UTC()
	if n := len(l.events); n > 0 && at.Before(l.events[n-1].RecordedAt) {
		at = l.events[n-1].RecordedAt
	}
	for i, p := range parts {
		if !done[i].Repeat {
			done[i] = l.store(p, at)
		}
	}
	close(l.wake)
	l.wake = make(chan struct{})
	return done, nil
}

// store appends a part whose stream stands where it expects. l.mu is held.
func (l *Log) store(p eventlog.Part, at time.Time) eventlog.Appended {
	next := p.Expected.Next()
	for i, e := range p.Events {
		e.Data, e.Meta = slices.Clone(e.Data), slices.Clone(e.Meta)
		l.streams[p.Stream] = append(l.streams[p.Stream], len(l.events))
		l.events = append(l.events, eventlog.Recorded{
			Proposed: e, Stream: p.Stream, Revision: next + uint64(i), Position: position(len(l.events) + 1), RecordedAt: at,
		})
	}
	return eventlog.Appended{
		First: next, Last: next + uint64(len(p.Events)) - 1, Position: position(len(l.events)), PositionKnown: true, RecordedAt: at,
	}
}

// repeat answers an append that expects less than is there. l.mu is held.
func (l *Log) repeat(stream string, expected eventlog.Expected, events []eventlog.Proposed) (eventlog.Appended, error) {
	there := l.streams[stream]
	next := expected.Next()
	for i, e := range events {
		if r := next + uint64(i); r < uint64(len(there)) && l.events[there[r]].ID == e.ID {
			continue
		}
		if i == 0 {
			return eventlog.Appended{}, conflict(stream, expected, uint64(len(there)))
		}
		return eventlog.Appended{}, fmt.Errorf("memlog: append %d events to %s at %s: %d ids stand there: %w", len(events), stream, expected, i, eventlog.ErrRepeatMismatch)
	}
	last := l.events[there[next+uint64(len(events))-1]]
	return eventlog.Appended{
		First: next, Last: last.Revision, Position: last.Position, PositionKnown: true, RecordedAt: last.RecordedAt, Repeat: true,
	}, nil
}

func conflict(stream string, expected eventlog.Expected, count uint64) error {
	return fmt.Errorf("memlog: append: %w", &eventlog.ConflictError{Stream: stream, Expected: expected, Actual: eventlog.After(count), ActualKnown: true})
}

func position(n int) eventlog.Position {
	return eventlog.Position{Commit: uint64(n), Prepare: uint64(n)}
}

// clone gives a caller bytes of its own.
func clone(e eventlog.Recorded) eventlog.Recorded {
	e.Data, e.Meta = slices.Clone(e.Data), slices.Clone(e.Meta)
	return e
}

// ReadStream implements eventlog.Log.
func (l *Log) ReadStream(ctx context.Context, stream string, from uint64) iter.Seq2[eventlog.Recorded, error] {
	return func(yield func(eventlog.Recorded, error) bool) {
		l.mu.Lock()
		closed, there := l.closed, l.streams[stream]
		l.mu.Unlock()
		if closed {
			yield(eventlog.Recorded{}, errClosed)
			return
		}
		for r := from; r < uint64(len(there)); r++ {
			if ctx.Err() != nil {
				yield(eventlog.Recorded{}, fmt.Errorf("memlog: read %s: %w", stream, ctx.Err()))
				return
			}
			l.mu.Lock()
			e := l.events[there[r]]
			l.mu.Unlock()
			if !yield(clone(e), nil) {
				return
			}
		}
	}
}

// Follow implements eventlog.Log.
func (l *Log) Follow(ctx context.Context, after eventlog.Position, filter eventlog.Filter, o eventlog.FollowOptions) iter.Seq2[eventlog.Batch, error] {
	size := o.BatchSize
	if size <= 0 {
		size = eventlog.DefaultBatchSize
	}
	return func(yield func(eventlog.Batch, error) bool) {
		fail := func(err error) { yield(eventlog.Batch{}, fmt.Errorf("memlog: follow after %s: %w", after, err)) }
		scanned := after.Commit
		for first := true; ; first = false {
			l.mu.Lock()
			closed, events, wake := l.closed, l.events, l.wake
			l.mu.Unlock()
			head := uint64(len(events))
			switch {
			case closed:
				yield(eventlog.Batch{}, errClosed)
				return
			case after.Commit != after.Prepare:
				fail(eventlog.ErrInvalid)
				return
			case scanned > head:
				fail(eventlog.ErrGone)
				return
			case ctx.Err() != nil:
				fail(ctx.Err())
				return
			case scanned == head && !first:
				select {
				case <-wake:
				case <-ctx.Done():
				}
				continue
			}
			b := eventlog.Batch{Events: make([]eventlog.Recorded, 0, min(size, int(head-scanned)))}
			for ; scanned < head && len(b.Events) < size; scanned++ {
				if e := events[scanned]; filter.Match(e.Stream) {
					b.Events = append(b.Events, clone(e))
				}
			}
			b.CaughtUp = scanned == head
			b.Scanned = eventlog.Position{Commit: scanned, Prepare: scanned}
			if !yield(b, nil) {
				return
			}
		}
	}
}

// Head implements eventlog.Log.
func (l *Log) Head(context.Context) (eventlog.Position, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return eventlog.Position{}, errClosed
	}
	return position(len(l.events)), nil
}

// Close ends every follower.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed {
		l.closed = true
		close(l.wake)
	}
	return nil
}
