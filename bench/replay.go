package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"github.com/answerable-ledger/answerable/bench/province"
	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/eventlog"
	"github.com/answerable-ledger/answerable/projections"
	"github.com/answerable-ledger/answerable/schemas"
)

// Replay is the rebuild of all views from a long log, beside scanning and decoding it on all cores, and beside
// writing the same views one event at a time.
type Replay struct {
	Events            int64   `json:"events"`
	PerSecond         float64 `json:"per_second"`
	DecodePerSecond   float64 `json:"decode_per_second"`
	Share             float64 `json:"share"`
	OneByOnePerSecond float64 `json:"one_by_one_per_second"`
	TimesOneByOne     float64 `json:"times_one_by_one"`
}

// Query is one kind of point query at the full size of the log.
type Query struct {
	Query  string  `json:"query"`
	Events int64   `json:"events"`
	P50ms  float64 `json:"p50_ms"`
	P99ms  float64 `json:"p99_ms"`
}

// oneByOne is how many events are written one at a time to take that limit.
const oneByOne = 4000

// replay measures what is measured on the long log: the rebuild, the point queries, the pages.
func (r *run) replay(dir string, out *Result) (err error) {
	replay := r.wants("replay")
	dir = filepath.Join(dir, "replay")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	clock := newClock()
	n, err := r.openNode(dir, clock.now)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, n.close()) }()
	units := max(50, min(11000, r.Events/90))
	p := province.Province{Regime: "bench", Units: units, Zone: "Asia/Ho_Chi_Minh", Day: "2020-01-01", Last: "2029-12-01"}
	if err := p.SetUp(r.ctx, n.ledger, clock.now); err != nil {
		return err
	}
	at, done := r.Progress("events for the replay", int64(r.Events))
	day, days := p.Day, 0
	for events := 0; events < r.Events; days++ {
		opens, err := n.openDay(r.ctx, clock, p, day)
		if err != nil {
			return err
		}
		if err := n.report(r.ctx, clock, p, day, opens, days); err != nil {
			return err
		}
		events += 2*units + 1
		day = day.AddDays(1)
		at(int64(events))
	}
	done()
	head, err := n.log.Head(r.ctx)
	if err != nil {
		return err
	}
	x := &Replay{Events: int64(head.Commit)}
	var decodes, rebuilds, shares []float64
	rounds := r.Rounds
	if !replay {
		rounds = 1
	}
	for range rounds {
		began := time.Now()
		if replay {
			if err := decodeAll(r.ctx, n.log); err != nil {
				return err
			}
			decodes = append(decodes, float64(x.Events)/time.Since(began).Seconds())
		}
		began = time.Now()
		if err := n.views.Rebuild(r.ctx, nil); err != nil {
			return err
		}
		rebuilds = append(rebuilds, float64(x.Events)/time.Since(began).Seconds())
		if replay {
			shares = append(shares, rebuilds[len(rebuilds)-1]/decodes[len(decodes)-1])
		}
	}
	x.DecodePerSecond, x.PerSecond, x.Share = median(decodes), median(rebuilds), median(shares)
	if r.wants("query") {
		if out.Query, err = pointQueries(r.ctx, n.views, p, days, x.Events); err != nil {
			return err
		}
	}
	if r.wants("grid") {
		if out.Pages, err = r.pages(n, p, day.AddDays(-1), days, x.Events); err != nil {
			return err
		}
	}
	if !replay {
		return nil
	}
	if x.OneByOnePerSecond, err = r.oneByOne(n, clock, p, day, days); err != nil {
		return err
	}
	x.TimesOneByOne = x.PerSecond / x.OneByOnePerSecond
	out.Replay = x
	return nil
}

// openDay opens a day of the province half an hour after midnight.
func (n *node) openDay(ctx context.Context, clock *clock, p province.Province, day domain.Date) (opens time.Time, err error) {
	if opens, err = domain.ClockTime("00:30").On(day, domain.HoChiMinh); err != nil {
		return opens, err
	}
	clock.set(opens)
	return opens, p.Open(ctx, n.ledger, day)
}

// report records a report and its signature for each unit, past the write side: what is measured is how they are read.
func (n *node) report(ctx context.Context, clock *clock, p province.Province, day domain.Date, opens time.Time, number int) error {
	clock.set(opens.Add(9 * time.Hour))
	now := clock.now()
	return p.Each(256, func(i int) error {
		key := p.Key(i, day)
		figures := p.Figures(i, number)
		digest := domain.Content{FormVersion: 2, Figures: figures}.Digest(key)
		command := domain.NewCommandID("bench", key.Stream())
		meta := domain.Meta{ReceivedAt: now, Actor: province.Filer, Role: domain.RoleFiler, Channel: domain.ChannelAPI, CommandID: command, CorrelationID: command}
		filed := domain.Fact{Meta: meta, Event: domain.ReportSubmitted{Regime: p.Regime, Form: key.Form, FormVersion: 2, Unit: key.Unit, Date: day, Figures: figures,
			Note: "Số liệu giả lập để đo tải.", Digest: digest, Due: opens.Add(22*time.Hour + 30*time.Minute), RegimeVersion: 1, Timeliness: domain.OnTime}}
		signed := filed
		signed.Actor, signed.Role = province.Head, domain.RoleHead
		right := domain.SignerRight{Capacity: domain.CapacityHead, Title: "Chủ tịch"}
		signed.Event = domain.ReportSignedOff{Version: 1, Digest: digest, Signer: province.Head, Capacity: right.Capacity, Title: right.Title,
			Statement: domain.Statement(key, domain.Version{Number: 1, Digest: digest}, right, province.Head, "", "")}
		var proposed []eventlog.Proposed
		for j, f := range []domain.Fact{filed, signed} {
			f.EventID = domain.NewEventID(command, j)
			s, err := schemas.Encode(f)
			if err != nil {
				return err
			}
			proposed = append(proposed, eventlog.Proposed{ID: s.ID, Kind: s.Kind, Data: s.Data, Meta: s.Meta})
		}
		_, err := n.log.Append(ctx, key.Stream(), eventlog.NoStream, proposed)
		return err
	})
}

// decodeAll is the limit of a replay: the log is scanned, every event is decoded on all cores, nothing is kept.
func decodeAll(ctx context.Context, log eventlog.Log) error {
	batches := make(chan []eventlog.Recorded, 8)
	failed := make(chan error, runtime.GOMAXPROCS(0))
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for batch := range batches {
				for _, e := range batch {
					if _, err := schemas.Decode(source(e)); err != nil {
						select {
						case failed <- err:
						default:
						}
					}
				}
			}
		})
	}
	err := func() error {
		defer close(batches)
		for b, err := range log.Follow(ctx, eventlog.Position{}, eventlog.Filter{}, eventlog.FollowOptions{}) {
			if err != nil {
				return err
			}
			batches <- b.Events
			if b.CaughtUp {
				return nil
			}
		}
		return ctx.Err()
	}()
	wg.Wait()
	select {
	case e := <-failed:
		return errors.Join(err, e)
	default:
		return err
	}
}

// oneByOne measures views that are written one event at a time, in a transaction each.
func (r *run) oneByOne(n *node, clock *clock, p province.Province, day domain.Date, number int) (float64, error) {
	few := p
	few.Units = min(p.Units, oneByOne/2)
	opens, err := n.openDay(r.ctx, clock, p, day) // the day alone first: its rows are made in one go
	if err != nil {
		return 0, err
	}
	if err := n.views.CatchUp(r.ctx); err != nil {
		return 0, err
	}
	before, err := n.log.Head(r.ctx)
	if err != nil {
		return 0, err
	}
	if err := n.report(r.ctx, clock, few, day, opens, number); err != nil {
		return 0, err
	}
	if err := n.views.Close(); err != nil {
		return 0, err
	}
	n.views = nil
	n.views, err = projections.Open(r.ctx, projections.Config{Path: filepath.Join(n.dir, viewsFile), Log: n.log, Registry: n.registry, Logger: r.Logger, BatchSize: 1})
	if err != nil {
		return 0, err
	}
	began := time.Now()
	if err := n.views.CatchUp(r.ctx); err != nil {
		return 0, err
	}
	took := time.Since(began)
	after, err := n.log.Head(r.ctx)
	if err != nil {
		return 0, err
	}
	if after == before {
		return 0, errors.New("there was nothing to write one by one")
	}
	return float64(after.Commit-before.Commit) / took.Seconds(), nil
}

// pointQueries asks for random units and days, one question after the other.
func pointQueries(ctx context.Context, v *projections.Views, p province.Province, days int, events int64) ([]Query, error) {
	r := rand.New(rand.NewPCG(3, 4))
	const asked = 2000
	measure := func(name string, ask func(u domain.UnitCode, d domain.Date) error) (Query, error) {
		var took []time.Duration
		for i := range asked + 100 {
			u, d := p.Unit(r.IntN(p.Units)), p.Day.AddDays(r.IntN(days))
			began := time.Now()
			if err := ask(u, d); err != nil {
				return Query{}, fmt.Errorf("%s of %s on %s: %w", name, u, d, err)
			}
			if i >= 100 { // the first ones open connections
				took = append(took, time.Since(began))
			}
		}
		return Query{Query: name, Events: events, P50ms: ms(quantile(took, 0.5)), P99ms: ms(quantile(took, 0.99))}, nil
	}
	history, err := measure("history", func(u domain.UnitCode, d domain.Date) error {
		h, err := v.History(ctx, projections.HistoryQuery{Regime: p.Regime, Unit: u, Date: d})
		if err == nil && len(h.Reports) == 0 {
			err = errors.New("nothing was found")
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	answer, err := measure("answer", func(u domain.UnitCode, d domain.Date) error {
		page, err := v.Answer(ctx, projections.AnswerQuery{Regime: p.Regime, Unit: u, From: d, To: d})
		if err == nil && len(page.Records) == 0 {
			err = errors.New("nothing was found")
		}
		return err
	})
	return []Query{history, answer}, err
}
