package eventlogtest

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"

	"github.com/answerable-ledger/answerable/eventlog"
)

// Faulty is a log that fails when it is told to, in the ways a store fails: an append is refused and not stored, or is
// stored and reported as failed; a follower is cut off in the middle of a batch; nothing can be reached for a time.
// Without orders it passes every call on. It is safe for concurrent use.
type Faulty struct {
	log eventlog.Log

	mu      sync.Mutex
	appends []Fault
	cuts    []cut
	down    chan struct{} // closed while the log is down
	calls   int
}

var _ eventlog.Log = (*Faulty)(nil)

// NewFaulty wraps log.
func NewFaulty(log eventlog.Log) *Faulty {
	return &Faulty{log: log, down: make(chan struct{})}
}

// Fault is what becomes of one append.
type Fault struct {
	stored bool
	err    error
	until  <-chan struct{}
}

// Pass lets an append through unharmed.
func Pass() Fault { return Fault{stored: true} }

// Refuse stores nothing and answers err; nil means ErrUnavailable.
func Refuse(err error) Fault {
	if err == nil {
		err = eventlog.ErrUnavailable
	}
	return Fault{err: err}
}

// StoreAndFail stores the events and answers ErrOutcomeUnknown, as when the connection is cut after the commit.
func StoreAndFail() Fault { return Fault{stored: true, err: eventlog.ErrOutcomeUnknown} }

// LoseAndFail stores nothing and answers ErrOutcomeUnknown, as when the connection is cut before the request arrived.
func LoseAndFail() Fault { return Fault{err: eventlog.ErrOutcomeUnknown} }

// Hold delays fault until the channel is closed or the caller's context ends. An append whose context ends before it was
// let through is not stored.
func Hold(until <-chan struct{}, fault Fault) Fault {
	fault.until = until
	return fault
}

// OnAppend scripts the next appends: one fault each, in the order of their arrival. Later ones pass.
func (f *Faulty) OnAppend(faults ...Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.appends = append(f.appends, faults...)
}

type cut struct {
	events int
	err    error
}

// CutFollow scripts the next call of Follow: it yields that many events, dividing a batch where it must, and then err
// (nil means ErrUnavailable). Called twice, it scripts the next two.
func (f *Faulty) CutFollow(events int, err error) {
	if err == nil {
		err = eventlog.ErrUnavailable
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.cuts = append(f.cuts, cut{events, err})
}

// Down makes every call fail with ErrUnavailable until Up, and ends the followers that are waiting.
func (f *Faulty) Down() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !isClosed(f.down) {
		close(f.down)
	}
}

// Up ends Down.
func (f *Faulty) Up() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if isClosed(f.down) {
		f.down = make(chan struct{})
	}
}

// Appends is how many appends were called, harmed or not.
func (f *Faulty) Appends() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

var errDown = fmt.Errorf("eventlogtest: told to be down: %w", eventlog.ErrUnavailable)

// reach answers the channel that is closed when the log goes down, or an error when it is.
func (f *Faulty) reach() (<-chan struct{}, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if isClosed(f.down) {
		return nil, errDown
	}
	return f.down, nil
}

// Append implements eventlog.Log.
func (f *Faulty) Append(ctx context.Context, stream string, expected eventlog.Expected, events []eventlog.Proposed) (eventlog.Appended, error) {
	f.mu.Lock()
	f.calls++
	fault := Pass()
	isDown := isClosed(f.down)
	if !isDown && len(f.appends) > 0 {
		fault, f.appends = f.appends[0], f.appends[1:]
	}
	f.mu.Unlock()
	if isDown {
		return eventlog.Appended{}, errDown
	}
	if fault.until != nil {
		select {
		case <-fault.until:
		case <-ctx.Done():
			return eventlog.Appended{}, fmt.Errorf("eventlogtest: append to %s: %w (%w)", stream, eventlog.ErrOutcomeUnknown, ctx.Err())
		}
	}
	var got eventlog.Appended
	if fault.stored {
		var err error
		if got, err = f.log.Append(ctx, stream, expected, events); err != nil {
			return got, err
		}
	}
	if fault.err != nil {
		return eventlog.Appended{}, fmt.Errorf("eventlogtest: append to %s: told to fail: %w", stream, fault.err)
	}
	return got, nil
}

// ReadStream implements eventlog.Log.
func (f *Faulty) ReadStream(ctx context.Context, stream string, from uint64) iter.Seq2[eventlog.Recorded, error] {
	return func(yield func(eventlog.Recorded, error) bool) {
		for e, err := range f.log.ReadStream(ctx, stream, from) {
			if _, down := f.reach(); down != nil {
				yield(eventlog.Recorded{}, down)
				return
			}
			if !yield(e, err) {
				return
			}
		}
		if _, down := f.reach(); down != nil {
			yield(eventlog.Recorded{}, down)
		}
	}
}

// Follow implements eventlog.Log.
func (f *Faulty) Follow(ctx context.Context, after eventlog.Position, filter eventlog.Filter, o eventlog.FollowOptions) iter.Seq2[eventlog.Batch, error] {
	return func(yield func(eventlog.Batch, error) bool) {
		down, err := f.reach()
		if err != nil {
			yield(eventlog.Batch{}, err)
			return
		}
		f.mu.Lock()
		var c *cut
		if len(f.cuts) > 0 {
			c, f.cuts = &f.cuts[0], f.cuts[1:]
		}
		f.mu.Unlock()

		inner, cancel := context.WithCancelCause(ctx)
		defer cancel(nil)
		finished := make(chan struct{})
		defer close(finished)
		go func() {
			select {
			case <-down:
				cancel(errDown)
			case <-finished:
			}
		}()
		left := 0
		for b, err := range f.log.Follow(inner, after, filter, o) {
			switch {
			case err != nil && ctx.Err() == nil && errors.Is(context.Cause(inner), errDown):
				yield(eventlog.Batch{}, errDown)
				return
			case err != nil || c == nil:
				if !yield(b, err) {
					return
				}
				continue
			}
			if left += len(b.Events); left < c.events {
				if !yield(b, nil) {
					return
				}
				continue
			}
			if keep := len(b.Events) - (left - c.events); keep > 0 {
				part := eventlog.Batch{Events: b.Events[:keep:keep], Scanned: b.Events[keep-1].Position}
				if !yield(part, nil) {
					return
				}
			}
			yield(eventlog.Batch{}, fmt.Errorf("eventlogtest: told to cut the follower off after %d events: %w", c.events, c.err))
			return
		}
	}
}

// Head implements eventlog.Log.
func (f *Faulty) Head(ctx context.Context) (eventlog.Position, error) {
	if _, err := f.reach(); err != nil {
		return eventlog.Position{}, err
	}
	return f.log.Head(ctx)
}

// Close closes the log that is wrapped.
func (f *Faulty) Close() error { return f.log.Close() }
