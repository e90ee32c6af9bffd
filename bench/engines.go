package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/answerable-ledger/answerable/bench/province"
	"github.com/answerable-ledger/answerable/eventlog"
	"github.com/answerable-ledger/answerable/projections"
)

// Engine is what readers and writers notice of the views on one engine, on a log of many events.
type Engine struct {
	Engine  string  `json:"engine"`
	Events  int64   `json:"events"`
	Quiet   float64 `json:"reads_quiet_p99_ms"`   // at readsPerSecond, while nothing else goes on
	During  float64 `json:"reads_rebuild_p99_ms"` // the same while the views are rebuilt
	Worst   float64 `json:"reads_rebuild_max_ms"`
	Reads   int     `json:"reads"` // during the rebuild
	Rebuild float64 `json:"rebuild_seconds"`
	Paused  float64 `json:"rebuild_paused_seconds"` // for the sake of readers
	Rate    float64 `json:"written_per_second"`     // events, while the lag was taken
	LagP50  float64 `json:"lag_p50_ms"`             // from the acknowledgement of an event to the views' holding it
	LagP99  float64 `json:"lag_p99_ms"`
}

// What is wanted of every engine.
const (
	readsPerSecond = 200
	readWantedMs   = 50
	lagWantedMs    = 200
	lagPerSecond   = 500 // events; each report is filed and signed at once, which makes two
)

// engines measures the views of the embedded default, and of PostgreSQL where the settings name a database. The log is the
// embedded one: what is measured is the views.
func (r *run) engines(dir string) (out []Engine, err error) {
	dir = filepath.Join(dir, "engines")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	clock := newClock()
	n, err := r.openNode(dir, clock.now)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, n.close()) }()
	units := max(50, min(11000, r.Events/90))
	p := province.Province{Regime: "bench", Units: units, Zone: "Asia/Ho_Chi_Minh", Day: "2020-01-01", Last: "2029-12-01"}
	if err := p.SetUp(r.ctx, n.ledger, clock.now); err != nil {
		return nil, err
	}
	e := &engineRun{run: r, node: n, clock: clock, province: p}
	at, done := r.Progress("events for the engines", int64(r.Events))
	for events := 0; events < r.Events; events += 2*units + 1 {
		if err := e.day(n.log, units); err != nil {
			return nil, err
		}
		at(int64(events))
	}
	done()
	embedded, err := e.measure("embedded", n.views)
	if err != nil {
		return nil, fmt.Errorf("embedded: %w", err)
	}
	out = append(out, embedded)
	if r.Postgres == "" {
		return out, nil
	}
	v, err := projections.Open(r.ctx, projections.Config{Path: r.Postgres, Log: n.log, Registry: n.registry, Logger: r.Logger, Clock: clock.now})
	if err == nil && !v.Position().IsZero() {
		err = ErrHoldsViews
	}
	if err != nil {
		return nil, fmt.Errorf("PostgreSQL: %w", err)
	}
	defer func() { err = errors.Join(err, v.Close()) }()
	onServer, err := e.measure("PostgreSQL", v)
	if err != nil {
		return nil, fmt.Errorf("PostgreSQL: %w", err)
	}
	return append(out, onServer), nil
}

// engineRun is a log on which engines are measured.
type engineRun struct {
	*run
	*node
	clock    *clock
	province province.Province
	days     int
}

// day records one more day of some units through a log.
func (r *engineRun) day(log eventlog.Log, units int) error {
	day := r.province.Day.AddDays(r.days)
	opens, err := r.openDay(r.ctx, r.clock, r.province, day)
	if err != nil {
		return err
	}
	through, few := &node{log: log}, r.province
	few.Units = units
	err = through.report(r.ctx, r.clock, few, day, opens, r.days)
	r.days++
	return err
}

func (r *engineRun) measure(engine string, v *projections.Views) (x Engine, err error) {
	ctx := r.ctx
	if err := v.CatchUp(ctx); err != nil {
		return x, err
	}
	head, err := r.log.Head(ctx)
	if err != nil {
		return x, err
	}
	x = Engine{Engine: engine, Events: int64(head.Commit)}
	quiet, err := r.readDuring(v, func() error { return wait(ctx, max(r.During, time.Second)) })
	if err != nil {
		return x, err
	}
	var last projections.Progress
	busy, err := r.readDuring(v, func() error {
		_, err := v.RebuildWith(ctx, projections.RebuildOptions{Progress: func(p projections.Progress) { last = p }})
		return err
	})
	if err != nil {
		return x, err
	}
	x.Quiet, x.During, x.Worst, x.Reads = ms(quantile(quiet, 0.99)), ms(quantile(busy, 0.99)), ms(quantile(busy, 1)), len(busy)
	x.Rebuild, x.Paused = last.Seconds, last.Paused
	return x, r.lag(v, &x)
}

// readDuring asks a day's questions at a rate until what is done has been done.
func (r *engineRun) readDuring(v *projections.Views, do func() error) (took []time.Duration, err error) {
	const readers = 8
	ctx, cancel := context.WithCancel(r.ctx)
	defer cancel()
	var mu sync.Mutex
	var wg sync.WaitGroup
	for i := range readers {
		wg.Go(func() {
			chance := rand.New(rand.NewPCG(5, uint64(i)))
			tick := time.NewTicker(readers * time.Second / readsPerSecond)
			defer tick.Stop()
			for {
				select {
				case <-tick.C:
				case <-ctx.Done():
					return
				}
				began := time.Now()
				e := r.ask(r.ctx, v, chance)
				mu.Lock()
				took = append(took, time.Since(began))
				err = errors.Join(err, e)
				mu.Unlock()
				if e != nil {
					return
				}
			}
		})
	}
	done := do()
	cancel()
	wg.Wait()
	return took, errors.Join(done, err)
}

// ask is one of three questions about a unit and a day.
func (r *engineRun) ask(ctx context.Context, v *projections.Views, chance *rand.Rand) (err error) {
	u, d := r.province.Unit(chance.IntN(r.province.Units)), r.province.Day.AddDays(chance.IntN(r.days))
	switch chance.IntN(3) {
	case 0:
		_, err = v.History(ctx, projections.HistoryQuery{Regime: r.province.Regime, Unit: u, Date: d})
	case 1:
		_, err = v.Answer(ctx, projections.AnswerQuery{Regime: r.province.Regime, Unit: u, From: d, To: d})
	default:
		_, err = v.Compliance(ctx, projections.ComplianceQuery{Regime: r.province.Regime, Unit: u, From: d, To: d})
	}
	return err
}

// lag records a day at a rate while the views follow, and takes how long each event is in the log and not in the views.
func (r *engineRun) lag(v *projections.Views, x *Engine) (err error) {
	ctx, cancel := context.WithCancel(r.ctx)
	ended, leads := make(chan error, 1), make(chan struct{})
	go func() {
		ended <- v.Lead(ctx, func(ctx context.Context) error {
			close(leads)
			<-ctx.Done()
			return ctx.Err()
		})
	}()
	defer func() {
		cancel()
		if e := <-ended; !errors.Is(e, context.Canceled) {
			err = errors.Join(err, e)
		}
	}()
	select { // who has just begun to follow is not behind
	case <-leads:
	case <-time.After(time.Minute):
		return errors.New("nobody leads the views after a minute")
	}
	const eventsEach = 2
	tick := time.NewTicker(eventsEach * time.Second / lagPerSecond)
	defer tick.Stop()
	log := &pacedLog{Log: r.log, tick: tick.C, views: v}
	began := time.Now()
	if err := r.day(log, min(r.province.Units, int(5*max(r.During, time.Second)/time.Second)*lagPerSecond/eventsEach)); err != nil {
		return err
	}
	written := time.Since(began)
	log.waiting.Wait()
	x.Rate = float64(eventsEach*len(log.took)) / written.Seconds()
	x.LagP50, x.LagP99 = ms(quantile(log.took, 0.5)), ms(quantile(log.took, 0.99))
	return log.failed
}

// pacedLog appends one batch for each tick and measures how long the views are behind it.
type pacedLog struct {
	eventlog.Log
	tick    <-chan time.Time
	views   *projections.Views
	waiting sync.WaitGroup

	mu     sync.Mutex // owns what follows
	took   []time.Duration
	failed error
}

func (l *pacedLog) Append(ctx context.Context, stream string, expected eventlog.Expected, events []eventlog.Proposed) (eventlog.Appended, error) {
	select {
	case <-l.tick:
	case <-ctx.Done():
		return eventlog.Appended{}, ctx.Err()
	}
	appended, err := l.Log.Append(ctx, stream, expected, events)
	if err != nil {
		return appended, err
	}
	began := time.Now()
	l.waiting.Go(func() {
		err := l.views.WaitFor(ctx, appended.Position)
		l.mu.Lock()
		defer l.mu.Unlock()
		l.took, l.failed = append(l.took, time.Since(began)), errors.Join(l.failed, err)
	})
	return appended, nil
}
