package projections

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/answerable-ledger/answerable/eventlog"
)

// batch is a run of decoded events in log order.
type batch struct {
	after    eventlog.Position // of the event before it
	steps    []step
	caughtUp bool
}

// follow reads the log after a position and decodes ahead of whoever takes the batches: several batches at once, one per
// decoder, handed over in log order. A batch is its taker's until yield returns; then its steps are used again. It ends
// when ctx ends, when yield gives false, or with the log's error.
func follow(ctx context.Context, log eventlog.Log, after eventlog.Position, size, decoders int, yield func(batch) bool) error {
	return followWith(ctx, func() func(*step) { return new(preparer).prepare }, log, after, size, decoders, yield)
}

func followWith(ctx context.Context, decoder func() func(*step), log eventlog.Log, after eventlog.Position, size, decoders int, yield func(batch) bool) error {
	ctx, cancel := context.WithCancel(ctx)
	var readers sync.WaitGroup
	defer readers.Wait()
	defer cancel()

	type work struct {
		events []eventlog.Recorded
		batch  batch
		done   chan struct{}
	}
	var failed error // of the reader; read after ordered is closed
	ordered := make(chan *work, 2*decoders)
	todo := make(chan *work, 2*decoders)
	used := make(chan []step, 4*decoders)
	readers.Go(func() {
		defer close(ordered)
		defer close(todo)
		at := after
		for b, err := range log.Follow(ctx, after, ledgerStreams(), eventlog.FollowOptions{BatchSize: size}) {
			if err != nil {
				failed = err
				return
			}
			w := &work{events: b.Events, batch: batch{after: at, caughtUp: b.CaughtUp}, done: make(chan struct{})}
			if n := len(b.Events); n > 0 {
				at = b.Events[n-1].Position
			}
			for _, to := range []chan *work{ordered, todo} {
				select {
				case to <- w:
				case <-ctx.Done():
					failed = ctx.Err()
					return
				}
			}
		}
	})
	for range decoders {
		readers.Go(func() {
			prepare := decoder()
			for w := range todo {
				select {
				case w.batch.steps = <-used:
				default:
				}
				w.batch.steps = slices.Grow(w.batch.steps[:0], len(w.events))[:len(w.events)]
				for i := range w.events {
					w.batch.steps[i] = step{recorded: w.events[i]}
					prepare(&w.batch.steps[i])
				}
				w.events = nil
				close(w.done)
			}
		})
	}
	for w := range ordered {
		select {
		case <-w.done:
		case <-ctx.Done():
			return ctx.Err()
		}
		if !yield(w.batch) {
			return nil
		}
		select {
		case used <- w.batch.steps:
		default:
		}
	}
	if failed == nil {
		failed = ctx.Err()
	}
	if failed == nil {
		failed = errors.New("projections: the log ended")
	}
	return failed
}
