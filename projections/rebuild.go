package projections

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/answerable-ledger/answerable/eventlog"
)

// Progress of a rebuild.
type Progress struct {
	Phase     string        `json:"phase"` // read, write, index, catch up, done
	Events    int64         `json:"events"`
	Total     int64         `json:"total"` // -1 where the log does not count its events
	Rows      int64         `json:"rows"`
	Elapsed   time.Duration `json:"-"`
	PerSecond float64       `json:"events_per_second"`
	Left      time.Duration `json:"-"` // estimated; 0 while unknown
}

// Rebuild folds the whole log anew into fresh tables and makes these the ones readers see, in one transaction. Until then
// the old ones answer. An event that cannot be applied stops it, and is shown in the error.
func (v *Views) Rebuild(ctx context.Context, progress func(Progress)) error {
	return v.rebuild(ctx, progress, false)
}

// prepareGeneration builds the views in bulk where that is the way: when there are none yet, and when code, tables or
// schemas changed since they were built. What cannot be applied is parked, as it is when the log is followed.
func (v *Views) prepareGeneration(ctx context.Context) error {
	g, err := v.generation(ctx)
	if err != nil {
		return err
	}
	if g.fingerprint == v.fingerprint && !v.Position().IsZero() {
		return nil
	}
	if head, err := v.config.Log.Head(ctx); err != nil {
		return fmt.Errorf("projections: %w", err)
	} else if head.IsZero() && g.fingerprint == v.fingerprint {
		return nil
	}
	return v.rebuild(ctx, nil, true)
}

func (v *Views) rebuild(ctx context.Context, progress func(Progress), park bool) error {
	if v.readOnly {
		return ErrReadOnly
	}
	if progress == nil {
		progress = func(Progress) {}
	}
	started := time.Now()
	report := func(p Progress) {
		p.Elapsed = time.Since(started)
		if s := p.Elapsed.Seconds(); s > 0 {
			p.PerSecond = float64(p.Events) / s
		}
		if p.Total > p.Events && p.PerSecond > 0 {
			p.Left = time.Duration(float64(p.Total-p.Events) / p.PerSecond * float64(time.Second))
		}
		progress(p)
	}
	w, err := v.foldAll(ctx, eventlog.Position{}, park, report)
	if err != nil {
		return fmt.Errorf("projections: rebuild: %w", err)
	}
	return v.store.alone(ctx, func(ctx context.Context) error {
		g, err := v.store.begin(ctx, v.fingerprint)
		if err != nil {
			return fmt.Errorf("projections: rebuild: %w", err)
		}
		if err := v.writeAll(ctx, g, w, report); err != nil {
			return errors.Join(fmt.Errorf("projections: rebuild: %w", err), g.close(), v.store.discard(context.WithoutCancel(ctx), stateBuilding))
		}
		report(Progress{Phase: "catch up", Events: w.events, Total: w.events})
		at := w.position()
		if err := v.takeOver(ctx, g, at); err != nil {
			return errors.Join(fmt.Errorf("projections: rebuild: %w", err), g.close(), v.store.discard(context.WithoutCancel(ctx), stateBuilding))
		}
		report(Progress{Phase: "done", Events: at.events, Total: at.events})
		return nil
	})
}

// foldAll folds the log in memory, up to a position, or to its end when that is zero. park keeps going past an event that
// cannot be applied: it starts again and parks it, since a set is of no use after such an event.
func (v *Views) foldAll(ctx context.Context, until eventlog.Position, park bool, report func(Progress)) (*set, error) {
	poisoned := map[string]error{}
	for {
		w, err := v.foldOnce(ctx, until, poisoned, report)
		var bad *applyError
		if !park || !errors.As(err, &bad) {
			return w, err
		}
		poisoned[bad.step.recorded.ID.String()] = bad.err
	}
}

func (v *Views) foldOnce(ctx context.Context, until eventlog.Position, poisoned map[string]error, report func(Progress)) (*set, error) {
	head, err := v.config.Log.Head(ctx)
	if err != nil {
		return nil, err
	}
	total := int64(-1)
	if dense(v.config.Log) {
		total = int64(head.Commit)
	}
	w := newSet(nil)
	var failed error
	shown := int64(0)
	err = follow(ctx, v.config.Log, eventlog.Position{}, v.config.BatchSize, v.config.Decoders, func(b batch) bool {
		for _, s := range b.steps {
			if !until.IsZero() && s.recorded.Position.Compare(until) > 0 {
				return false
			}
			if failed = w.fold(s, poisoned); failed != nil {
				return false
			}
		}
		if report != nil && w.events-shown >= 20_000 {
			shown = w.events
			report(Progress{Phase: "read", Events: w.events, Total: total})
		}
		return !b.caughtUp && (until.IsZero() || w.place != until)
	})
	if failed == nil {
		failed = err
	}
	return w, failed
}

// writeAll writes every row of a fold once, in the order of its key, and makes the indexes afterwards.
func (v *Views) writeAll(ctx context.Context, g *generation, w *set, report func(Progress)) error {
	tx, err := g.write.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	written := int64(0)
	for _, r := range w.changes(true) {
		if r.n == 0 {
			continue
		}
		if err := g.dialect.insert(ctx, tx, g.n, r, ""); err != nil {
			return errors.Join(err, tx.Rollback())
		}
		written += int64(r.n)
		report(Progress{Phase: "write", Events: w.events, Total: w.events, Rows: written})
	}
	if w.events > 0 {
		if err := g.advance(ctx, tx, eventlog.Position{}, w.position()); err != nil {
			return errors.Join(err, tx.Rollback())
		}
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	report(Progress{Phase: "index", Events: w.events, Total: w.events, Rows: written})
	return v.index(ctx, g.write, g)
}

func (v *Views) index(ctx context.Context, db *sql.DB, g *generation) error {
	for _, t := range tables {
		for _, statement := range g.dialect.index(g.n, t) {
			if _, err := db.ExecContext(ctx, statement); err != nil {
				return fmt.Errorf("projections: index %s: %w", t.Name, err)
			}
		}
	}
	return nil
}

// takeOver brings a finished generation to where the live one stands, holding batches back meanwhile, and makes it the
// live one: readers never go back.
func (v *Views) takeOver(ctx context.Context, g *generation, at position) error {
	if err := v.store.finish(ctx, g); err != nil {
		return err
	}
	v.apply.Lock()
	defer v.apply.Unlock()
	var w *set
	for {
		if err := v.refresh(ctx); err != nil {
			return err
		}
		live := v.position()
		ahead := v.checkAhead(ctx, live)
		if ahead != nil && !errors.Is(ahead, ErrAhead) {
			return ahead
		}
		// Views that are ahead of the log hold nothing to catch up with: they are what is being mended.
		if ahead == nil {
			var err error
			if w, at, err = v.bring(ctx, g, w, at, live); err != nil {
				return err
			}
		}
		err := v.store.publish(ctx, g, at.at, ahead != nil)
		if err == nil {
			break
		}
		if !errors.Is(err, errBehind) { // another process applied more meanwhile
			return err
		}
	}
	v.live = w
	v.mu.Lock()
	v.retired = append(v.retired, v.current)
	v.current = g
	v.mu.Unlock()
	v.moved(at)
	return nil
}

// bring applies the log to a generation that is not live yet, from where it stands to where the live one stands.
func (v *Views) bring(ctx context.Context, g *generation, w *set, at, live position) (*set, position, error) {
	for at.at.Compare(live.at) < 0 {
		var failed error
		err := follow(ctx, v.config.Log, at.at, v.config.BatchSize, v.config.Decoders, func(b batch) bool {
			if len(b.steps) > 0 {
				if w, failed = v.applyTo(ctx, g, w, at, b.steps); failed != nil {
					return false
				}
				at = w.position()
			}
			return at.at.Compare(live.at) < 0 && !b.caughtUp
		})
		if err := errors.Join(failed, err); err != nil {
			return nil, at, err
		}
	}
	return w, at, nil
}
