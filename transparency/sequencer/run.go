package sequencer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/answerable-ledger/answerable/eventlog"
)

// Bounds of the wait before an unreachable event log is tried again.
const (
	firstRetry = time.Second
	lastRetry  = 30 * time.Second
)

// Run follows the event log until ctx ends, signing at most one checkpoint in an Interval while leaves arrive and
// refreshing the newest one every Heartbeat while none do. An event log that cannot be reached is waited for; every other
// error ends it.
func (s *Sequencer) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	grew := make(chan struct{}, 1)
	followed := make(chan error, 1)
	go func() { followed <- s.follow(ctx, grew) }()
	err := s.pace(ctx, grew, followed)
	cancel()
	return err
}

func (s *Sequencer) pace(ctx context.Context, grew <-chan struct{}, followed <-chan error) error {
	// due is nil while nothing waits to be signed.
	var due <-chan time.Time
	last := time.Now().Add(-s.o.Interval)
	beat := time.NewTimer(s.o.Heartbeat)
	defer beat.Stop()
	for {
		select {
		case err := <-followed:
			return err
		case <-grew:
			if due == nil {
				due = time.After(time.Until(last.Add(s.o.Interval)))
			}
			continue
		case <-due:
			due = nil
		case <-beat.C:
		}
		// A heartbeat and a due checkpoint are the same act: what the log holds now, signed now.
		if _, err := s.Force(ctx); err != nil {
			if !errors.Is(err, eventlog.ErrUnavailable) && ctx.Err() == nil {
				return err
			}
			due = time.After(max(s.o.Interval, firstRetry)) // what is away may be back before anything else is recorded
		}
		last = time.Now()
		beat.Reset(s.o.Heartbeat)
	}
}

// follow adds events as they come and says so.
func (s *Sequencer) follow(ctx context.Context, grew chan<- struct{}) error {
	wait := firstRetry
	for {
		err := s.followOnce(ctx, grew, func() { wait = firstRetry })
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if !errors.Is(err, eventlog.ErrUnavailable) {
			return fmt.Errorf("sequencer: %w", err)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(wait):
			wait = min(2*wait, lastRetry)
		}
	}
}

func (s *Sequencer) followOnce(ctx context.Context, grew chan<- struct{}, alive func()) error {
	// What waits already goes in on all processors.
	if err := s.CatchUp(ctx); err != nil {
		return err
	}
	if latest, ok, err := s.o.Tree.Latest(ctx); err != nil {
		return err
	} else if !ok || latest.Size < s.o.Tree.Size() {
		// These, or leaves a killed process added and did not sign.
		select {
		case grew <- struct{}{}:
		default:
		}
	}
	for b, err := range s.o.Log.Follow(ctx, s.o.Tree.Last(), s.o.Tree.Filter(), eventlog.FollowOptions{BatchSize: leastBatch}) {
		if err != nil {
			return err
		}
		alive()
		if len(b.Events) == 0 {
			continue
		}
		s.mu.Lock()
		err := s.broken
		if err == nil {
			err = s.take(ctx, b.Events)
		}
		s.mu.Unlock()
		if err != nil {
			return err
		}
		select {
		case grew <- struct{}{}:
		default:
		}
	}
	return fmt.Errorf("the log ended its feed: %w", eventlog.ErrUnavailable)
}
