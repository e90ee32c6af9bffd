package projections

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/answerable-ledger/answerable/eventlog"
)

// The ways in which a rebuild ends without new rows.
var (
	// ErrDiffers: the new rows would change what no change declares.
	ErrDiffers = errors.New("the new views differ from the present ones in what no change declares; look at what differs (answerable rebuild --dry-run), then switch with: answerable rebuild --accept")
	// ErrRebuilding: at most one rebuild at a time.
	ErrRebuilding = errors.New("the views are being rebuilt already")
	// ErrNoPrevious: there is nothing to go back to.
	ErrNoPrevious = errors.New("no previous generation of the views is kept")
	// ErrFull: there is no room for the rows. What was acknowledged is in the log.
	ErrFull = errors.New("no space left for the views; make room and try again, the log and the present views are whole")
)

// defaultSlowRead is below what a rebuild never gives way to reads. Chosen: a third of what reads may take while one goes on.
const defaultSlowRead = 16 * time.Millisecond

// RebuildOptions say how a rebuild is done. Its zero value switches when nothing undeclared differs.
type RebuildOptions struct {
	Accept   bool // switch also when the new rows change what no change declares
	DryRun   bool // compare, and write nothing
	Parked   bool // what is parked in the present rows may be parked again; otherwise it stops the rebuild
	Fresh    bool // begin anew, also where an interrupted rebuild could be gone on with
	Progress func(Progress)
	Differs  func(Change) // called with everything that differs, in the order of the tables' keys
	Former   func(Former) // called before anything else when an earlier rebuild has left something
}

// rebuilding is RebuildOptions with what only this package may choose.
type rebuilding struct {
	RebuildOptions
	park   bool // whatever cannot be applied is parked
	former string
	blind  bool // nothing is compared
}

// RebuildWith folds the whole log anew into fresh tables beside the live ones, compares these at the same position, and
// makes the new ones those that readers see, in one transaction; never with a position before the one readers saw. The
// live ones answer, and follow the log, until then; afterwards they are kept, and follow, for Undo. Killed at any instant
// it leaves tables that the next start removes, or, once these are written in full and compared, tables that the next
// rebuild with the same options goes on with; the same when ctx ends. After CancelRebuild nothing is left. An event that
// cannot be applied stops it, and is shown in the error; a log from which events were taken does (eventlog.ErrGone).
func (v *Views) RebuildWith(ctx context.Context, o RebuildOptions) (Comparison, error) {
	return v.rebuild(ctx, rebuilding{RebuildOptions: o, former: statePrevious})
}

// Rebuild is RebuildWith that accepts every difference, and therefore compares nothing, which spares a fifth of the time.
func (v *Views) Rebuild(ctx context.Context, progress func(Progress)) error {
	_, err := v.rebuild(ctx, rebuilding{RebuildOptions: RebuildOptions{Accept: true, Progress: progress}, former: statePrevious, blind: true})
	return err
}

// retryParked makes rows in which nothing is parked that can be applied now.
func (v *Views) retryParked(ctx context.Context) error {
	_, err := v.rebuild(ctx, rebuilding{RebuildOptions: RebuildOptions{Accept: true}, park: true, former: stateRetired, blind: true})
	return err
}

func (v *Views) rebuild(ctx context.Context, how rebuilding) (found Comparison, err error) {
	if v.readOnly {
		return found, ErrReadOnly
	}
	ctx, b, err := v.job.begin(ctx, v, how)
	if err != nil {
		return found, err
	}
	return b.run(ctx)
}

// run does what begin has begun.
func (b *build) run(ctx context.Context) (found Comparison, err error) {
	v := b.v
	defer collectLess()()
	defer func() {
		if err != nil && v.store.dialect().full(err) {
			err = fmt.Errorf("%w: %w", ErrFull, err)
		}
		if err != nil {
			err = fmt.Errorf("projections: rebuild: %w", err)
		}
		v.job.end(err)
	}()
	err = v.store.alone(ctx, func(ctx context.Context) error {
		ctx, cancel := context.WithCancel(ctx)
		var hears sync.WaitGroup
		hears.Go(func() { b.way.Hear(ctx, v.store.board(), v.process()) })
		defer hears.Wait()
		defer cancel()
		v.look(ctx)
		b.whole = checkWhole(ctx, v.config.Log, v.config.Logger)
		if b.DryRun {
			_, err := b.fold(ctx)
			return err
		}
		g, at, err := b.adopt(ctx)
		if err == nil && g == nil {
			g, at, err = b.write(ctx)
		}
		if err != nil {
			return err
		}
		if err = b.whole(); err == nil {
			err = b.takeOver(ctx, g, at)
		}
		if err != nil {
			if err = errors.Join(err, g.close()); !b.resumable(ctx, err) {
				err = errors.Join(err, b.drop(ctx, stateWritten))
			}
		}
		return err
	})
	return b.found, err
}

// rebuildGrowth is how much the heap may grow beside what is held, in percent, before it is collected while a rebuild goes
// on: a long log makes garbage by the gigabyte, and what is held is bounded (heldObligations). Chosen: a tenth of the
// processor's time, for at most half a gigabyte.
const rebuildGrowth = 300

// collectLess has the collector run less often until the function it gives is called. A limit of the memory (GOMEMLIMIT)
// still holds; so does whatever else than the default was set (GOGC), also by another rebuild of this process.
func collectLess() (asBefore func()) {
	const byDefault = 100
	was := debug.SetGCPercent(rebuildGrowth)
	if was != byDefault {
		debug.SetGCPercent(was)
		return func() {}
	}
	return func() { debug.SetGCPercent(was) }
}

// write folds the log into a generation of its own, settled; after an error there is none.
func (b *build) write(ctx context.Context) (_ *generation, at position, err error) {
	w, err := b.fold(ctx)
	if err != nil && b.begun == nil {
		return nil, at, err
	}
	if err == nil && b.begun == nil {
		err = b.begin(ctx)
	}
	if err == nil {
		err = b.writeAll(ctx, b.begun, w)
	}
	if err == nil {
		err = b.v.store.finish(ctx, b.begun)
	}
	if err == nil {
		err = b.settle(ctx, b.begun)
	}
	if err != nil {
		return nil, at, errors.Join(err, b.giveUp(), b.drop(ctx, stateBuilding))
	}
	return b.begun, w.position(), nil
}

// begin makes the generation that is to be written, in place of one that was begun before.
func (b *build) begin(ctx context.Context) (err error) {
	if err := b.giveUp(); err != nil {
		return err
	}
	b.begun, err = b.v.store.begin(ctx, b.v.fingerprint)
	return err
}

// giveUp closes a generation that is not finished.
func (b *build) giveUp() (err error) {
	if b.sealed != nil {
		b.sealed.stop()
	}
	if b.begun != nil {
		err = b.begun.close()
	}
	b.begun, b.sealed = nil, nil
	return err
}

// prepareGeneration makes sure that there are rows of this program, where there have to be before anything else: when
// there are none at all, and when those there are cannot be read. What cannot be applied is then parked, as it is when the
// log is followed. renew: there are rows of an older program that can be read and followed while new ones are made.
func (v *Views) prepareGeneration(ctx context.Context, once bool) (renew bool, err error) {
	g, err := v.generation(ctx)
	if err != nil {
		return false, err
	}
	if err := v.mayApply(g); errors.Is(err, ErrNewer) {
		return false, err
	}
	empty := v.Position().IsZero()
	if g.fingerprint == v.fingerprint && !empty {
		return false, nil
	}
	if head, err := v.config.Log.Head(ctx); err != nil {
		return false, fmt.Errorf("projections: %w", err)
	} else if head.IsZero() && g.fingerprint == v.fingerprint {
		return false, nil
	}
	if empty || g.unusable != nil {
		_, err := v.rebuild(ctx, rebuilding{RebuildOptions: RebuildOptions{Accept: true}, park: true, former: stateRetired, blind: true})
		return false, err
	}
	if undone, err := v.undone(ctx); undone || err != nil {
		return false, err
	}
	if !once {
		return true, nil
	}
	return false, v.renewOnce(ctx)
}

// undone tells whether somebody went back from rows of this program: then only they go forward again.
func (v *Views) undone(ctx context.Context) (bool, error) {
	p, err := v.opened(ctx, statePrevious)
	if p == nil || err != nil {
		return false, err
	}
	if p.fingerprint == v.fingerprint {
		v.config.Logger.Warn("the views stay as a former program made them, since its rebuild was undone; go forward with: answerable rebuild")
	}
	return p.fingerprint == v.fingerprint, p.close()
}

// renew makes rows of this program while others are followed, until that is done or somebody has to look.
func (v *Views) renew(ctx context.Context) {
	for failures := 0; ctx.Err() == nil; failures++ {
		err := v.renewOnce(ctx)
		if err == nil {
			return
		}
		v.config.Logger.Warn("the views cannot be rebuilt, trying again", zap.Error(err))
		pause(ctx, failures)
		if g, err := v.generation(ctx); err == nil && g.fingerprint == v.fingerprint { // another process was quicker
			return
		}
	}
}

// renewOnce gives no error when trying again is of no use: then the rows that are there go on.
func (v *Views) renewOnce(ctx context.Context) error {
	found, err := v.rebuild(ctx, rebuilding{RebuildOptions: RebuildOptions{Parked: true}, former: statePrevious})
	var bad *applyError
	switch {
	case err == nil:
		v.metrics.rebuildRefused(false)
		return nil
	case errors.Is(err, ErrDiffers), errors.As(err, &bad), ctx.Err() == nil && errors.Is(err, context.Canceled): // cancelled by an operator
		v.metrics.rebuildRefused(true)
		v.config.Logger.Error("the views stay as a former program made them", zap.Error(err), zap.Int64("undeclared", found.Undeclared), zap.Any("first", found.First))
		return nil
	}
	return err
}

// foldAll folds the log in memory, up to a position, or to its end when that is zero. may says whether an event that
// cannot be applied is parked. After one that failed half-way it starts again, since the set is of no use then.
func (v *Views) foldAll(ctx context.Context, until eventlog.Position, may func(eventID string) bool, each func(w *set, total int64) error) (*set, error) {
	return v.foldSealing(ctx, until, may, each, func() *sealing { return nil })
}

// foldSealing is foldAll of a set that need not hold everything.
func (v *Views) foldSealing(ctx context.Context, until eventlog.Position, may func(eventID string) bool, each func(w *set, total int64) error, sealed func() *sealing) (*set, error) {
	poisoned := map[string]error{}
	for {
		w := newSet(nil)
		w.sealing, w.parks = sealed(), may
		err := v.foldOnce(ctx, w, until, poisoned, each)
		var bad *applyError
		if !errors.As(err, &bad) || !bad.halfway || !may(bad.step.recorded.ID.String()) {
			return w, err
		}
		poisoned[bad.step.recorded.ID.String()] = bad.err
	}
}

// always is for rows as they are made by following the log.
func always(string) bool { return true }

func (v *Views) foldOnce(ctx context.Context, w *set, until eventlog.Position, poisoned map[string]error, each func(w *set, total int64) error) error {
	head := until
	if head.IsZero() {
		var err error
		if head, err = v.config.Log.Head(ctx); err != nil {
			return err
		}
	}
	total := int64(-1)
	if dense(v.config.Log) {
		total = int64(head.Commit)
	}
	var failed error
	err := follow(ctx, v.config.Log, eventlog.Position{}, v.config.BatchSize, v.decoders(), func(b batch) bool {
		beyond := false
		for i := range b.steps {
			s := &b.steps[i]
			if beyond = !until.IsZero() && s.recorded.Position.Compare(until) > 0; beyond {
				break
			}
			if failed = w.fold(s, poisoned); failed != nil {
				return false
			}
		}
		if each != nil {
			if failed = each(w, total); failed != nil {
				return false
			}
		}
		return !b.caughtUp && !beyond && (until.IsZero() || w.place != until)
	})
	if failed == nil {
		failed = err
	}
	return failed
}

// decoders is how many goroutines decode, or encode, at once.
func (v *Views) decoders() int {
	if v.reads.Slowest() > 0 { // somebody reads: a core is theirs
		return max(1, v.config.Decoders-1)
	}
	return v.config.Decoders
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

// bring applies the log to a generation that is not live, from where it stands to a position or beyond. each is called with
// where it stands.
func (v *Views) bring(ctx context.Context, g *generation, w *set, at position, to eventlog.Position, each func(position) error) (*set, position, error) {
	for at.at.Compare(to) < 0 {
		var failed error
		err := follow(ctx, v.config.Log, at.at, v.config.BatchSize, 1, func(b batch) bool {
			if len(b.steps) > 0 {
				if w, failed = v.applyTo(ctx, g, w, at, b.steps); failed != nil {
					return false
				}
				at = w.position()
				if failed = each(at); failed != nil {
					return false
				}
			}
			return at.at.Compare(to) < 0 && !b.caughtUp
		})
		if err := errors.Join(failed, err); err != nil {
			return nil, at, err
		}
	}
	return w, at, nil
}

// stopwatch measures a rebuild and its phases.
type stopwatch struct {
	now            func() time.Time
	started, since time.Time
	phase          string
	before         int64 // what had been done when the phase began
}

func newStopwatch(now func() time.Time) *stopwatch { return &stopwatch{now: now, started: now()} }

// finish fills in what follows from the time that all of it and the phase took so far.
func (s *stopwatch) finish(p Progress) Progress {
	now := s.now()
	done, total := p.Events, p.Total
	if p.AllRows > 0 {
		done, total = p.Rows, p.AllRows
	}
	if s.phase != p.Phase {
		s.phase, s.since, s.before = p.Phase, now, done
	}
	p.Seconds = now.Sub(s.started).Seconds()
	if of := now.Sub(s.since).Seconds(); of > 0 {
		p.PerSecond = float64(done-s.before) / of
	}
	if total > done && p.PerSecond > 0 {
		p.Left = float64(total-done) / p.PerSecond
	}
	return p
}

// slowRead is how long a read may always take.
func (v *Views) slowRead() time.Duration {
	if v.config.SlowRead <= 0 {
		return defaultSlowRead
	}
	return v.config.SlowRead
}

// process names this process, and these views in it.
func (v *Views) process() string {
	host, _ := os.Hostname() // a part of a name
	return fmt.Sprintf("%s %d %p", host, os.Getpid(), v)
}
