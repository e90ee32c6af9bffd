package projections

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"go.uber.org/zap"

	"github.com/answerable-ledger/answerable/eventlog"
	"github.com/answerable-ledger/answerable/internal/postgres"
)

// Lead applies the log to the views, as Run does, whenever this process is the one to do so, and meanwhile runs beside,
// which is for what one process has to do as well. With SQLite that is from the start and to the end. With PostgreSQL it
// is while this process holds a lock that the others wait for, and of which they hear within seconds when it dies; the
// others answer reads meanwhile. Lead ends with ctx's error, or with an error that trying again cannot mend.
//
// The lock only spares work. That nothing is applied twice is due to the position, which moves by compare-and-set; and
// what beside does must be such that two may do it.
func (v *Views) Lead(ctx context.Context, beside func(context.Context) error) error {
	if v.readOnly {
		return ErrReadOnly
	}
	for failures := 0; ; failures++ {
		err := v.store.lead(ctx, func(ctx context.Context) error {
			if err := v.take(ctx); err != nil {
				return err
			}
			failures = 0
			return v.term(ctx, beside)
		})
		if ctx.Err() != nil {
			return ctx.Err()
		}
		// The log may be away just when the lead is taken: that ends, as every other absence of a server does.
		passes := slices.ContainsFunc([]error{ErrFenced, ErrNewer, postgres.ErrLockLost, eventlog.ErrUnavailable}, func(e error) bool { return errors.Is(err, e) })
		if !passes && !v.transient(err) && !v.store.dialect().full(err) {
			return err
		}
		v.config.Logger.Warn("no longer the process that applies events; trying to be it again", zap.Error(err))
		pause(ctx, failures)
	}
}

// term is the time during which this process leads.
func (v *Views) term(ctx context.Context, beside func(context.Context) error) error {
	defer func() {
		v.apply.Lock()
		v.leading = false
		v.apply.Unlock()
		v.leads.Store(false)
		v.metrics.lead(false)
	}()
	v.leads.Store(true)
	v.metrics.lead(true)
	v.config.Logger.Info("this process applies events now", zap.Stringer("position", v.Position()))
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, 2)
	go func() { ended <- v.Run(ctx) }()
	go func() { ended <- beside(ctx) }()
	first := <-ended
	cancel()
	second := <-ended
	if first == nil || errors.Is(first, context.Canceled) {
		return second
	}
	return first
}

// The answers of Leader.
const (
	LeaderThis    = "this process"
	LeaderAnother = "another process"
	LeaderNone    = "none"
)

// Leader tells which process applies the log to the views now. None is for the seconds in which one takes over, or for
// good when all that could have stopped.
func (v *Views) Leader(ctx context.Context) (string, error) {
	if v.leads.Load() {
		return LeaderThis, nil
	}
	if led, err := v.store.led(ctx); err != nil {
		return "", fmt.Errorf("projections: leader: %w", err)
	} else if led {
		return LeaderAnother, nil
	}
	return LeaderNone, nil
}

// take begins a term where the one before has ended, and removes what it left behind.
func (v *Views) take(ctx context.Context) error {
	v.apply.Lock()
	defer v.apply.Unlock()
	err := v.refresh(ctx)
	if err != nil {
		return err
	}
	if err := v.checkAhead(ctx, v.position()); err != nil {
		return fmt.Errorf("projections: begin to apply: %w", err)
	}
	if err := v.mayApply(v.current); errors.Is(err, ErrNewer) {
		return err
	}
	v.leading = true
	v.live, err = v.acquainted(ctx, v.current, v.position())
	return err
}

// acquainted is a set for the next batch that knows every unit and office. A day that opens names them all, and whoever
// waits for what comes after it would wait for that too. nil where there is nothing to know, or the generation stands
// elsewhere by now.
func (v *Views) acquainted(ctx context.Context, g *generation, at position) (*set, error) {
	if g.unusable != nil || at.at.IsZero() {
		return nil, nil
	}
	tx, err := g.read.BeginTx(ctx, nil)
	if err != nil {
		return nil, fmt.Errorf("projections: begin: %w", err)
	}
	defer func() { _ = tx.Rollback() }() // it wrote nothing
	if err := g.dialect.patient(ctx, tx); err != nil {
		return nil, err
	}
	p, err := g.position(ctx, tx)
	if err != nil || p.at != at.at {
		return nil, err
	}
	from := stored{ctx, g, tx}
	w := newSet(from)
	if err := w.resume(from, p); err != nil {
		return nil, err
	}
	units, err := from.unitsIn("", nil)
	if err != nil {
		return nil, err
	}
	offices, err := from.officesIn("", nil)
	if err != nil {
		return nil, err
	}
	w.know(units, offices)
	return w, nil
}

func (s *postgresStore) led(ctx context.Context) (bool, error) {
	return postgres.Held(ctx, s.registry, postgres.LockLeader)
}

func (s *postgresStore) lead(ctx context.Context, f func(context.Context) error) error {
	return postgres.Alone(ctx, s.place, postgres.LockLeader, "leader", func(ctx context.Context) error {
		err := s.discard(ctx, stateRetired)
		if err == nil {
			// What a rebuild that died has left; one that goes on holds the lock.
			_, err = postgres.IfAlone(ctx, s.place, postgres.LockRebuild, "tidy", func(ctx context.Context) error { return s.discard(ctx, stateBuilding) })
		}
		if err != nil {
			return err
		}
		return f(ctx)
	})
}
