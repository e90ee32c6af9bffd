package projections

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"go.uber.org/zap"

	"github.com/answerable-ledger/answerable/eventlog"
	"github.com/answerable-ledger/answerable/projections/giveway"
	"github.com/answerable-ledger/answerable/projections/sqlitepages"
)

// build is one rebuild under way.
type build struct {
	rebuilding
	v            *Views
	report       func(Progress)   // with what has been done so far
	way          *giveway.Rebuild // waits for readers
	found        Comparison
	comparedWith int         // a generation's number; 0: none
	begun        *generation // nil until there is something to write
	sealed       bulkWriter  // of its obligations, while the log is still read; nil while nothing is sealed
	// whole waits for what checkWhole finds.
	whole func() error
}

// fold gives the rows of the log as far as the live generation stands, compared with its rows.
func (b *build) fold(ctx context.Context) (*set, error) {
	v := b.v
	var against *sql.Tx
	var at position
	g, err := v.generation(ctx)
	if err != nil {
		return nil, err
	}
	if g.unusable == nil && !b.blind {
		// From one snapshot, however long this takes: the live generation goes on meanwhile.
		if against, err = g.read.BeginTx(ctx, nil); err != nil {
			return nil, err
		}
		defer func() { _ = against.Rollback() }() // it wrote nothing
		if err := g.dialect.patient(ctx, against); err != nil {
			return nil, err
		}
		if at, err = g.position(ctx, against); err != nil {
			return nil, err
		}
		// Rows that are ahead of the log are what is being mended; there is nothing to compare with.
		if err := v.checkAhead(ctx, at); errors.Is(err, ErrAhead) {
			at = position{}
		} else if err != nil {
			return nil, err
		}
	}
	var doubt []*parkedRow
	if !at.at.IsZero() {
		if doubt, err = parkedRows(ctx, against, g); err != nil {
			return nil, err
		}
	}
	may := func(id string) bool {
		return b.park || b.Parked && slices.ContainsFunc(doubt, func(p *parkedRow) bool { return p.eventID == id })
	}
	w, err := v.foldSealing(ctx, at.at, may, func(w *set, total int64) error {
		p := Progress{Phase: "read", Events: w.events, Total: total}
		if total >= 0 { // positions count every event of the log, whoever it concerns
			p.Events = int64(w.place.Commit)
		}
		b.report(p)
		return b.way.Wait(ctx)
	}, func() *sealing { return b.sealing(ctx) })
	if gone := b.whole(); gone != nil { // whatever else was found follows from that
		return nil, gone
	}
	if err != nil || at.at.IsZero() {
		return w, err
	}
	if w.place != at.at {
		return nil, fmt.Errorf("the log ends at %s, the live rows stand at %s: %w", w.place, at.at, ErrAhead)
	}
	b.comparedWith = g.n
	if err := b.compare(ctx, against, g, w, doubt); g.dialect.damaged(err) {
		// Rows that cannot be read are what is being mended.
		v.config.Logger.Warn("the present views cannot be compared with the new ones", zap.Error(err))
		return w, nil
	} else if err != nil {
		return nil, err
	}
	if b.found.Undeclared > 0 && !b.Accept && !b.DryRun {
		return nil, fmt.Errorf("%d rows or figures: %w", b.found.Undeclared, ErrDiffers)
	}
	return w, nil
}

// sealing has a fold write old days while it goes on, when nobody has to see all rows before they are written. Where these
// lie in a file of their own it need not hold them meanwhile.
func (b *build) sealing(ctx context.Context) *sealing {
	if !b.blind || b.DryRun {
		return nil
	}
	_, file := b.v.store.dialect().(sqliteDialect)
	if err := b.giveUp(); err != nil { // what an attempt wrote before it came upon an event that is parked now
		b.v.config.Logger.Warn("rows that are of no use were not closed", zap.Error(err))
	}
	return &sealing{keep: b.v.held, stays: !file, asked: map[int64]instant{}, begin: func() (bulkWriter, error) {
		if err := b.begin(ctx); err != nil {
			return nil, err
		}
		var err error
		b.sealed, err = b.fill(ctx, b.begun, tableObligation)
		return b.sealed, err
	}}
}

// fill begins to fill a table in bulk; nil where that cannot be done.
func (b *build) fill(ctx context.Context, g *generation, t table) (bulkWriter, error) {
	if g.fills == nil {
		return nil, nil
	}
	to, err := g.fills(ctx, t, b.v.decoders())
	if errors.Is(err, sqlitepages.ErrNotFresh) { // nothing was written: it goes the way of the other tables, only slower
		b.v.config.Logger.Warn("the rows of a table are inserted one by one", zap.String("table", t.Name), zap.Error(err))
		return nil, nil
	}
	return to, err
}

// givingWay is how many rows are made between two looks at how the readers fare. Chosen: well below a millisecond.
const givingWay = 64

// writeAll writes every row of a fold once, in the order of its key, and makes the indexes afterwards.
func (b *build) writeAll(ctx context.Context, g *generation, w *set) error {
	changes := w.changes(true)
	progress, written := Progress{Phase: "write", Events: w.events, Total: w.events}, int64(0)
	for _, r := range changes {
		progress.AllRows += int64(r.n)
	}
	b.report(progress)
	each := func(done int) error {
		p := progress
		p.Rows = written + int64(done)
		b.report(p)
		return b.way.Wait(ctx)
	}
	for i := range changes {
		r := &changes[i]
		if r.encoder == nil {
			continue
		}
		to, err := b.sealed, error(nil)
		if to == nil && g.bulk == nil {
			to, err = b.fill(ctx, g, r.table)
		}
		switch {
		case err != nil:
		case to != nil:
			err = finishBulk(to, *r, each)
		case g.bulk != nil:
			err = g.bulk(ctx, *r, b.v.decoders(), each)
		default:
			continue
		}
		if err != nil {
			return err
		}
		written += int64(r.n)
		r.n = 0
	}
	tx, err := g.write.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	var replaced []rows // once it can be told which rows are there
	for _, r := range changes {
		if r.n == 0 {
			continue
		}
		if r.replace && g.keysLast {
			replaced = append(replaced, r)
			continue
		}
		fill := r.fill
		r.fill = func(i int, args []any) error {
			if i%givingWay == 0 {
				if err := each(i); err != nil {
					return err
				}
			}
			return fill(i, args)
		}
		conflict := ""
		if r.replace {
			conflict = g.replacing(r.table)
		}
		if err := g.dialect.insert(ctx, tx, g.n, r, conflict); err != nil {
			return errors.Join(err, tx.Rollback())
		}
		written += int64(r.n)
	}
	if w.events > 0 {
		if err := g.advance(ctx, tx, eventlog.Position{}, w.position()); err != nil {
			return errors.Join(err, tx.Rollback())
		}
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	progress.Phase, progress.Rows = "index", written
	b.report(progress)
	if err := b.v.index(ctx, g.write, g); err != nil {
		return err
	}
	return b.replace(ctx, g, replaced)
}

// replace writes rows in the place of those that were written before the log was read to its end.
func (b *build) replace(ctx context.Context, g *generation, all []rows) error {
	for _, r := range all {
		tx, err := g.write.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		if err := g.dialect.insert(ctx, tx, g.n, r, g.replacing(r.table)); err != nil {
			return errors.Join(err, tx.Rollback())
		}
		if err := tx.Commit(); err != nil {
			return err
		}
	}
	return nil
}

// finishBulk writes the last rows of a table.
func finishBulk(to bulkWriter, r rows, each func(done int) error) error {
	defer to.stop()
	if err := to.write(r, each); err != nil {
		return err
	}
	return to.end()
}

// takeOver brings a finished generation to where the live one stands and makes it the live one: readers never go back.
// Only for the last step are batches held back.
func (b *build) takeOver(ctx context.Context, g *generation, at position) error {
	v := b.v
	live := b.behind(v.Position(), at)
	progress := b.catchingUp(at, live)
	if err := progress(ctx, at); err != nil {
		return err
	}
	w, at, err := b.bring(ctx, g, nil, at, live, func(p position) error { return progress(ctx, p) })
	if err != nil {
		return err
	}
	if w == nil && v.leads.Load() {
		if w, err = v.acquainted(ctx, g, at); err != nil {
			return err
		}
	}
	b.report(Progress{Phase: "switch", Events: at.events, Total: at.events})
	v.apply.Lock()
	defer v.apply.Unlock()
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
			if w, at, err = b.bring(ctx, g, w, at, live.at, func(position) error { return nil }); err != nil {
				return err
			}
		}
		former := b.former
		if ahead != nil {
			former = stateRetired
		}
		err := v.store.publish(ctx, g, at.at, former, ahead != nil)
		if err == nil {
			break
		}
		if !errors.Is(err, errBehind) { // another process applied more meanwhile
			return err
		}
	}
	g.state = stateLive
	v.live = w
	v.mu.Lock()
	v.retired = append(v.retired, v.current)
	v.current = g
	v.mu.Unlock()
	v.moved(at)
	b.report(Progress{Phase: "done", Events: at.events, Total: at.events})
	return nil
}

// catchingUp reports how far a generation has come towards a position. Positions tell it where they count events; elsewhere
// only what was applied is known. Then it lets readers go first.
func (b *build) catchingUp(from position, to eventlog.Position) func(context.Context, position) error {
	p := Progress{Phase: "catch up", Total: -1}
	counted := dense(b.v.config.Log)
	if counted {
		p.Total = int64(max(to.Commit, from.at.Commit))
	}
	return func(ctx context.Context, at position) error {
		if p.Events = at.events; counted {
			p.Events = int64(at.at.Commit)
			p.Total = max(p.Total, p.Events) // a batch may reach further
		}
		b.report(p)
		return b.way.Wait(ctx)
	}
}

// behind is the position to catch up to before batches are held back: none when the live rows are not of this log.
func (b *build) behind(live eventlog.Position, at position) eventlog.Position {
	if b.v.config.Mend {
		return at.at
	}
	return live
}

// fencedTries is how often somebody else may have moved a previous generation on. Chosen: each time it has moved.
const fencedTries = 20

// bring is Views.bring of a generation that somebody else may be keeping up with the log.
func (b *build) bring(ctx context.Context, g *generation, w *set, at position, to eventlog.Position, each func(position) error) (*set, position, error) {
	for tries := 1; ; tries++ {
		reached, stands, err := b.v.bring(ctx, g, w, at, to, each)
		if !errors.Is(err, ErrFenced) || tries == fencedTries {
			return reached, stands, err
		}
		w = nil
		if at, err = g.position(ctx, g.read); err != nil {
			return nil, at, err
		}
	}
}

// Undo makes the previous generation the one that readers see again, brought to where the present one stands. The present
// one becomes the previous: Undo goes back and forth.
func (v *Views) Undo(ctx context.Context) error {
	if v.readOnly {
		return ErrReadOnly
	}
	ctx, b, err := v.job.begin(ctx, v, rebuilding{former: statePrevious})
	if err != nil {
		return err
	}
	err = v.store.alone(ctx, func(ctx context.Context) error {
		v.look(ctx)
		g, err := v.opened(ctx, statePrevious)
		if err != nil {
			return err
		}
		if g == nil {
			return ErrNoPrevious
		}
		at, err := g.position(ctx, g.read)
		if err == nil {
			err = v.mayApply(g)
		}
		if err == nil {
			err = b.takeOver(ctx, g, at)
		}
		if err != nil {
			return errors.Join(err, g.close())
		}
		return nil
	})
	if err != nil {
		err = fmt.Errorf("projections: undo: %w", err)
	}
	v.job.end(err)
	return err
}

// DropPrevious removes the previous generation: its room is free, and there is nothing to go back to.
func (v *Views) DropPrevious(ctx context.Context) error {
	if v.readOnly {
		return ErrReadOnly
	}
	return v.store.alone(ctx, func(ctx context.Context) error {
		g, err := v.store.open(ctx, statePrevious)
		if err != nil {
			return err
		}
		if g == nil {
			return ErrNoPrevious
		}
		return errors.Join(g.close(), v.store.discard(ctx, statePrevious))
	})
}

// previousPoll is how often it is looked whether a previous generation is to be kept up. Chosen.
const previousPoll = sqlitePoll

// followPrevious keeps the previous generation up with the log, so that Undo is done at once. It fails nobody: Undo makes
// up for what was not done here.
func (v *Views) followPrevious(ctx context.Context) {
	for ok := true; ok; ok = wait(ctx, previousPoll) {
		g, err := v.opened(ctx, statePrevious)
		if g == nil || err != nil {
			continue
		}
		if v.mayApply(g) == nil {
			err = v.keepUp(ctx, g)
		}
		if err := errors.Join(err, g.close()); err != nil && ctx.Err() == nil && !errors.Is(err, ErrFenced) {
			v.config.Logger.Warn("the previous views are not kept up; going back to them will take longer", zap.Error(err))
		}
	}
}

func (v *Views) keepUp(ctx context.Context, g *generation) error {
	at, err := g.position(ctx, g.read)
	if err != nil {
		return err
	}
	var w *set
	var failed error
	err = follow(ctx, v.config.Log, at.at, v.config.BatchSize, 1, func(b batch) bool {
		if len(b.steps) == 0 {
			return true
		}
		if w, failed = v.applyTo(ctx, g, w, at, b.steps); failed != nil {
			return false
		}
		at = w.position()
		return true
	})
	if failed != nil {
		return failed
	}
	return err
}
