package projections

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/components/metrics"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/message/router/middleware"
	"github.com/google/uuid"
	"go.uber.org/zap"

	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/eventlog"
)

// Run applies the log to the views for ever: first what is there, then whatever comes. It ends with ctx's error, or with
// the error that it cannot mend by trying again.
func (v *Views) Run(ctx context.Context) error { return v.run(ctx, false) }

// CatchUp applies everything recorded up to now and returns.
func (v *Views) CatchUp(ctx context.Context) error { return v.run(ctx, true) }

func (v *Views) run(ctx context.Context, once bool) error {
	if v.readOnly {
		return ErrReadOnly
	}
	renew, err := v.prepareGeneration(ctx, once)
	if err != nil {
		return err
	}
	outer := ctx
	var beside sync.WaitGroup
	defer beside.Wait()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if !once {
		beside.Go(func() { v.followPrevious(ctx) })
	}
	if renew {
		beside.Go(func() { v.renew(ctx) })
	}
	logger := routerLogger{v.config.Logger}
	router, err := message.NewRouter(message.RouterConfig{CloseTimeout: 30 * time.Second}, logger)
	if err != nil {
		return fmt.Errorf("projections: router: %w", err)
	}
	sub := &subscriber{views: v, once: once, stop: cancel}
	if v.config.Metrics != nil {
		b := metrics.NewPrometheusMetricsBuilder(v.config.Metrics, "answerable", "views")
		b.HandlerBuckets = []float64{0.001, 0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30}
		b.AddPrometheusRouterMetrics(router)
	}
	router.AddMiddleware(
		middleware.Retry{
			MaxRetries: 5, InitialInterval: 20 * time.Millisecond, MaxInterval: time.Second, Multiplier: 2, RandomizationFactor: 0.5,
			ShouldRetry:         func(p middleware.RetryParams) bool { return v.transient(p.Err) },
			ResetContextOnRetry: true, Logger: logger,
		}.Middleware,
		middleware.Recoverer,
		middleware.CorrelationID,
	)
	router.AddConsumerHandler("views", "ledger", sub, func(msg *message.Message) error {
		b, ok := msg.Context().Value(batchInContext{}).(batch)
		if !ok {
			return errors.New("projections: a message without its batch")
		}
		err := v.applyBatch(msg.Context(), b)
		if slices.ContainsFunc([]error{ErrFenced, ErrAhead, ErrNewer, ErrBuilding}, func(e error) bool { return errors.Is(err, e) }) {
			cancel(err)
		}
		return err
	})
	if err := router.Run(ctx); err != nil && ctx.Err() == nil {
		return fmt.Errorf("projections: router: %w", err)
	}
	sub.wait.Wait()
	if cause := context.Cause(ctx); outer.Err() == nil && !errors.Is(cause, errCaughtUp) && cause != nil {
		return cause
	}
	return outer.Err()
}

// errCaughtUp stops a run that was only to catch up.
var errCaughtUp = errors.New("caught up")

// transient reports whether the same batch may succeed when it is tried again at once. A fact that cannot be folded is
// not among these: it is parked, not retried.
func (v *Views) transient(err error) bool {
	return v.store.dialect().transient(err)
}

// applyBatch folds a batch into the rows, in one transaction with the position.
func (v *Views) applyBatch(ctx context.Context, b batch) error {
	v.apply.Lock()
	defer v.apply.Unlock()
	if err := v.settleUnsure(ctx); err != nil {
		return err
	}
	at := v.position()
	if at.at.Compare(b.after) < 0 { // a generation that stands further back took the place of the one this was read for
		return fmt.Errorf("projections: the views stand at %s, the batch begins after %s: %w", at.at, b.after, ErrFenced)
	}
	b.steps = slices.DeleteFunc(slices.Clone(b.steps), func(s step) bool { // a rebuild may have read further than this runner
		return s.recorded.Position.Compare(at.at) <= 0
	})
	if len(b.steps) == 0 {
		return nil
	}
	g, err := v.generation(ctx)
	if err != nil {
		return err
	}
	if err := v.mayApply(g); err != nil {
		return err
	}
	set, err := v.applyTo(ctx, g, v.live, at, b.steps)
	v.live = set
	if err != nil {
		return err
	}
	v.metrics.parkedStreams(len(set.parked))
	v.moved(set.position())
	return nil
}

// settleUnsure finds out what became of a batch whose commit was not answered. The caller holds apply.
func (v *Views) settleUnsure(ctx context.Context) error {
	if v.unsure == nil {
		return nil
	}
	g, err := v.generation(ctx)
	if err != nil {
		return err
	}
	p, err := g.position(ctx, g.read)
	if err != nil {
		return err
	}
	if p == *v.unsure {
		v.live = nil
		v.moved(p)
	}
	v.unsure = nil // otherwise it was not committed; and if another process moved the position, the fence finds out
	return nil
}

func (v *Views) position() position {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.at
}

// applyTo folds steps into a generation that stands at a position. It gives the set for the next batch, nil after an
// error. When an event fails half-way the attempt is thrown away, and the next one parks it before it touches anything.
func (v *Views) applyTo(ctx context.Context, g *generation, w *set, at position, steps []step) (*set, error) {
	poisoned := map[string]error{}
	for {
		next, err := v.attempt(ctx, g, w, at, steps, poisoned)
		var bad *applyError
		if !errors.As(err, &bad) {
			return next, err
		}
		id := bad.step.recorded.ID.String()
		if poisoned[id] != nil {
			return nil, err
		}
		poisoned[id] = bad.err
		w = nil
	}
}

// attempt is one transaction: the rows that the steps touch, and the position by compare-and-set. When the position is
// not where this runner left it another runner moved it, and nothing is written.
func (v *Views) attempt(ctx context.Context, g *generation, w *set, at position, steps []step, poisoned map[string]error) (_ *set, err error) {
	tx, err := g.write.BeginTx(ctx, nil)
	if err != nil {
		return nil, fmt.Errorf("projections: begin: %w", err)
	}
	defer func() {
		if err != nil {
			_ = tx.Rollback() // the first error is the one to tell
		}
	}()
	if err := v.store.hold(ctx, tx, g); err != nil {
		return nil, err
	}
	from := stored{ctx, g, tx}
	if w == nil {
		w = newSet(from)
		p, err := g.position(ctx, tx)
		if err != nil {
			return nil, err
		}
		if p.at != at.at {
			return nil, fmt.Errorf("projections: the views stand at %s, not at %s: %w", p.at, at.at, ErrFenced)
		}
		if err := w.resume(from, p); err != nil {
			return nil, err
		}
	}
	w.from, w.parks = from, always
	if err := w.prefetch(steps); err != nil {
		return nil, err
	}
	for i := range steps {
		if err := w.fold(&steps[i], poisoned); err != nil {
			return nil, err
		}
	}
	for _, p := range w.fresh {
		v.config.Logger.Error("parking a stream: an event cannot be applied, its unit is not determinable", zap.String("stream", p.stream),
			zap.Uint64("revision", p.revision), zap.String("event", p.eventID), zap.String("kind", p.kind), zap.String("error", p.err))
	}
	// The position first: another runner's rows are then found out by it, and not by those that are there already.
	if err := g.advance(ctx, tx, at.at, w.position()); err != nil {
		return nil, err
	}
	if err := g.upsert(ctx, tx, w); err != nil {
		return nil, err
	}
	if err := v.store.announce(ctx, tx); err != nil {
		return nil, err
	}
	if err := tx.Commit(); err != nil {
		if g.state == stateLive { // then the caller holds apply
			to := w.position()
			v.unsure = &to
		}
		return nil, fmt.Errorf("projections: commit: %w", err)
	}
	w.settle()
	return w, nil
}

// prefetch loads the units, offices and obligations that the steps name, some hundred to a query: a day that opens names
// thousands, and to a server each is a round trip.
func (w *set) prefetch(steps []step) error {
	if err := w.loadUnits(steps); err != nil {
		return err
	}
	var ids []slotID
	opens := map[dayKey]bool{} // by these steps: asking for it again for each of its reports would only take time
	for _, s := range steps {
		k := dayKey{s.key.Regime, s.key.Date}
		if s.entry == nil || opens[k] {
			continue
		}
		day, err := w.day(k)
		if err != nil {
			return err
		}
		if opens[k] = day == nil; opens[k] {
			continue
		}
		unit, err := w.unit(s.key.Unit)
		if err != nil {
			return err
		}
		if form := w.forms[s.key.Form]; unit != nil && form != 0 {
			ids = append(ids, newSlotID(day.n, form, unit.n))
		}
	}
	slices.Sort(ids)
	return w.load(slices.Compact(ids))
}

func (w *set) loadUnits(steps []step) error {
	named := map[domain.UnitCode]bool{}
	for i := range steps {
		switch e := steps[i].fact.Event.(type) {
		case domain.DayOpened:
			for _, d := range e.Duties {
				for _, g := range d.Groups {
					named[g.Parent] = true
					for _, u := range g.Units {
						named[u] = true
					}
				}
			}
		default:
			named[steps[i].key.Unit] = true
		}
	}
	delete(named, "") // of who reports through nobody, and of what is no report
	var units, offices []domain.UnitCode
	for u := range named {
		if w.units[u] == nil {
			units = append(units, u)
		}
		if w.offices[u] == nil {
			offices = append(offices, u)
		}
	}
	slices.Sort(units)
	slices.Sort(offices)
	found, err := w.from.units(units)
	if err != nil {
		return err
	}
	held, err := w.from.offices(offices)
	if err != nil {
		return err
	}
	w.know(found, held)
	return nil
}

// know takes in units and offices as they are stored.
func (w *set) know(units []*unitRow, offices []*officeRow) {
	for _, u := range units {
		w.units[u.code], w.unitByN[u.n] = u, u
	}
	for _, o := range offices {
		w.offices[o.unit] = o
	}
}

// advance moves the position from where this runner left it.
func (g *generation) advance(ctx context.Context, tx *sql.Tx, from eventlog.Position, to position) error {
	var done sql.Result
	var err error
	if from.IsZero() {
		done, err = tx.ExecContext(ctx, g.sql(`INSERT INTO {position} VALUES `+questionMarks(len(tablePosition.Columns), 1)+` ON CONFLICT (id) DO NOTHING`), to.args()...)
	} else {
		done, err = tx.ExecContext(ctx, g.sql(`UPDATE {position} SET commit_pos = ?, prepare_pos = ?, stream = ?, revision = ?, event_id = ?, recorded = ?, known = ?,
			events = ?, next_day = ?, next_form = ?, next_unit = ? WHERE id = ? AND commit_pos = ? AND prepare_pos = ?`),
			append(to.args()[1:], int64(1), int64(from.Commit), int64(from.Prepare))...)
	}
	if err != nil {
		return fmt.Errorf("projections: move position to %s: %w", to.at, err)
	}
	if n, err := done.RowsAffected(); err != nil || n != 1 {
		return errors.Join(fmt.Errorf("projections: move position from %s to %s: %w", from, to.at, ErrFenced), err)
	}
	return nil
}

type batchInContext struct{}

// subscriber hands the log to Watermill's router: one message is one ordered batch, and the next is emitted when the one
// before was acknowledged. A batch that was refused comes again, after a while.
type subscriber struct {
	views *Views
	once  bool
	stop  context.CancelCauseFunc
	wait  sync.WaitGroup
}

// Subscribe begins after the position of the views.
func (s *subscriber) Subscribe(ctx context.Context, _ string) (<-chan *message.Message, error) {
	out := make(chan *message.Message)
	s.wait.Go(func() {
		defer close(out)
		for failures := 0; ctx.Err() == nil; failures++ {
			before := s.views.Position()
			err := follow(ctx, s.views.config.Log, before, s.views.config.BatchSize, s.views.config.Decoders, func(b batch) bool {
				if len(b.steps) > 0 && !s.deliver(ctx, out, b) {
					return false
				}
				if b.caughtUp && s.once {
					s.stop(errCaughtUp)
					return false
				}
				return true
			})
			if ctx.Err() != nil {
				return
			}
			if err != nil && !errors.Is(err, eventlog.ErrUnavailable) {
				s.stop(fmt.Errorf("projections: follow the log: %w", err))
				return
			}
			if s.views.Position() != before {
				failures = 0
			}
			s.views.config.Logger.Warn("the log cannot be followed, trying again", zap.Error(err))
			pause(ctx, failures)
		}
	})
	return out, nil
}

// Close is called by the router at its end; the subscription ends with its context.
func (s *subscriber) Close() error { return nil }

// deliver emits a batch until it is acknowledged. false: the run is over.
func (s *subscriber) deliver(ctx context.Context, out chan<- *message.Message, b batch) bool {
	first, last := b.steps[0].recorded, b.steps[len(b.steps)-1].recorded
	for failures := 0; ; failures++ {
		msg := message.NewMessage(first.Position.String()+".."+last.Position.String(), nil)
		msg.Metadata.Set("from", first.Position.String())
		msg.Metadata.Set("to", last.Position.String())
		if c := correlation(b.steps); c != uuid.Nil {
			middleware.SetCorrelationID(c.String(), msg)
		}
		msg.SetContext(context.WithValue(ctx, batchInContext{}, b))
		select {
		case out <- msg:
		case <-ctx.Done():
			return false
		}
		select {
		case <-msg.Acked():
			return true
		case <-msg.Nacked():
			pause(ctx, failures)
		case <-ctx.Done():
			return false
		}
	}
}

// correlation is the one all facts of a batch share, if they do.
func correlation(steps []step) uuid.UUID {
	c := steps[0].fact.CorrelationID
	for _, s := range steps {
		if s.fact.CorrelationID != c {
			return uuid.Nil
		}
	}
	return c
}

// pause waits before another try, longer after each failure, by chance so that several runners do not wait alike.
func pause(ctx context.Context, failures int) {
	d := min(50*time.Millisecond<<min(failures, 10), 15*time.Second)
	wait(ctx, d/2+rand.N(d))
}

// wait gives false when ctx ended first.
func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// routerLogger lets Watermill log through zap.
type routerLogger struct{ log *zap.Logger }

func (l routerLogger) fields(f watermill.LogFields) []zap.Field {
	out := make([]zap.Field, 0, len(f))
	for k, v := range f {
		out = append(out, zap.Any(k, v))
	}
	return out
}
func (l routerLogger) Error(msg string, err error, f watermill.LogFields) {
	l.log.Error(msg, append(l.fields(f), zap.Error(err))...)
}
func (l routerLogger) Info(msg string, f watermill.LogFields)  { l.log.Debug(msg, l.fields(f)...) }
func (l routerLogger) Debug(msg string, f watermill.LogFields) {}
func (l routerLogger) Trace(msg string, f watermill.LogFields) {}
func (l routerLogger) With(f watermill.LogFields) watermill.LoggerAdapter {
	return routerLogger{l.log.With(l.fields(f)...)}
}
