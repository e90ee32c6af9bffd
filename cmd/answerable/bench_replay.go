package main

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

	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/eventlog"
	"github.com/answerable-ledger/answerable/projections"
	"github.com/answerable-ledger/answerable/schemas"
)

// replayResult is the rebuild of all views from a long log, beside scanning and decoding it on all cores, and beside
// writing the same views one event at a time.
type replayResult struct {
	Events            int64   `json:"events"`
	PerSecond         float64 `json:"per_second"`
	DecodePerSecond   float64 `json:"decode_per_second"`
	Share             float64 `json:"share"`
	OneByOnePerSecond float64 `json:"one_by_one_per_second"`
	TimesOneByOne     float64 `json:"times_one_by_one"`
}

// queryResult is one kind of point query at the full size of the log.
type queryResult struct {
	Query  string  `json:"query"`
	Events int64   `json:"events"`
	P50ms  float64 `json:"p50_ms"`
	P99ms  float64 `json:"p99_ms"`
}

// oneByOne is how many events are written one at a time to take that limit.
const oneByOne = 4000

// replay measures what is measured on the long log: the rebuild, the point queries, the pages.
func (c benchCmd) replay(a *app, dir string, wants func(string) bool, out *benchResult) (err error) {
	replay := wants("replay")
	dir = filepath.Join(dir, "replay")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	clock := &simulatedClock{}
	clock.set(time.Date(2020, 1, 1, 1, 0, 0, 0, time.UTC))
	n, err := a.openNode(a.ctx, dir, clock.now)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, n.close()) }()
	units := max(50, min(11000, c.Events/90))
	p := province{regime: "bench", units: units, zone: "Asia/Ho_Chi_Minh", day: "2020-01-01", last: "2029-12-01"}
	if err := p.setUp(a.ctx, n.ledger, clock.now); err != nil {
		return err
	}
	progress := a.progress("events for the replay", int64(c.Events))
	day, days := p.day, 0
	for events := 0; events < c.Events; days++ {
		opens, err := n.openBenchDay(a.ctx, clock, p, day)
		if err != nil {
			return err
		}
		if err := n.benchReports(a.ctx, clock, p, day, opens, days, units); err != nil {
			return err
		}
		events += 2*units + 1
		day = day.AddDays(1)
		progress.at(int64(events))
	}
	progress.done()
	head, err := n.log.Head(a.ctx)
	if err != nil {
		return err
	}
	r := &replayResult{Events: int64(head.Commit)}
	var decodes, rebuilds, shares []float64
	rounds := c.Rounds
	if !replay {
		rounds = 1
	}
	for range rounds {
		began := time.Now()
		if replay {
			if err := decodeAll(a.ctx, n.log); err != nil {
				return err
			}
			decodes = append(decodes, float64(r.Events)/time.Since(began).Seconds())
		}
		began = time.Now()
		if err := n.views.Rebuild(a.ctx, nil); err != nil {
			return err
		}
		rebuilds = append(rebuilds, float64(r.Events)/time.Since(began).Seconds())
		if replay {
			shares = append(shares, rebuilds[len(rebuilds)-1]/decodes[len(decodes)-1])
		}
	}
	r.DecodePerSecond, r.PerSecond, r.Share = median(decodes), median(rebuilds), median(shares)
	if wants("query") {
		if out.Query, err = pointQueries(a.ctx, n.views, p, days, r.Events); err != nil {
			return err
		}
	}
	if wants("grid") {
		if out.Pages, err = a.pages(n, p, day.AddDays(-1), days, r.Events); err != nil {
			return err
		}
	}
	if !replay {
		return nil
	}
	if r.OneByOnePerSecond, err = a.oneByOne(n, clock, p, day, days); err != nil {
		return err
	}
	r.TimesOneByOne = r.PerSecond / r.OneByOnePerSecond
	out.Replay = r
	return nil
}

// openBenchDay opens a day of the province half an hour after midnight.
func (n *node) openBenchDay(ctx context.Context, clock *simulatedClock, p province, day domain.Date) (opens time.Time, err error) {
	if opens, err = domain.ClockTime("00:30").On(day, domain.HoChiMinh); err != nil {
		return opens, err
	}
	clock.set(opens)
	return opens, p.open(ctx, n.ledger, day)
}

// benchReports records a report and its signature for each of the first units, past the write side: what is measured is
// how they are read.
func (n *node) benchReports(ctx context.Context, clock *simulatedClock, p province, day domain.Date, opens time.Time, number, units int) error {
	clock.set(opens.Add(9 * time.Hour))
	now := clock.now()
	return parallel(256, units, func(i int) error {
		key := p.key(i, day)
		figures := p.figures(i, number)
		digest := domain.Content{FormVersion: 2, Figures: figures}.Digest(key)
		command := domain.NewCommandID("bench", key.Stream())
		meta := domain.Meta{ReceivedAt: now, Actor: provinceFiler, Role: domain.RoleFiler, Channel: domain.ChannelAPI, CommandID: command, CorrelationID: command}
		filed := domain.Fact{Meta: meta, Event: domain.ReportSubmitted{Regime: p.regime, Form: key.Form, FormVersion: 2, Unit: key.Unit, Date: day, Figures: figures,
			Note: "Số liệu giả lập để đo tải.", Digest: digest, Due: opens.Add(22*time.Hour + 30*time.Minute), RegimeVersion: 1, Timeliness: domain.OnTime}}
		signed := filed
		signed.Actor, signed.Role = provinceHead, domain.RoleHead
		right := domain.SignerRight{Capacity: domain.CapacityHead, Title: "Chủ tịch"}
		signed.Event = domain.ReportSignedOff{Version: 1, Digest: digest, Signer: provinceHead, Capacity: right.Capacity, Title: right.Title,
			Statement: domain.Statement(key, domain.Version{Number: 1, Digest: digest}, right, provinceHead, "", "")}
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
					if _, err := decodeEvent(e); err != nil {
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
func (a *app) oneByOne(n *node, clock *simulatedClock, p province, day domain.Date, number int) (float64, error) {
	units := min(p.units, oneByOne/2)
	opens, err := n.openBenchDay(a.ctx, clock, p, day) // the day alone first: its rows are made in one go
	if err != nil {
		return 0, err
	}
	if err := n.views.CatchUp(a.ctx); err != nil {
		return 0, err
	}
	before, err := n.log.Head(a.ctx)
	if err != nil {
		return 0, err
	}
	if err := n.benchReports(a.ctx, clock, p, day, opens, number, units); err != nil {
		return 0, err
	}
	if err := n.views.Close(); err != nil {
		return 0, err
	}
	n.views = nil
	n.views, err = projections.Open(a.ctx, projections.Config{Path: filepath.Join(n.dir, viewsFile), Log: n.log, Registry: n.registry, Logger: a.logger, BatchSize: 1})
	if err != nil {
		return 0, err
	}
	began := time.Now()
	if err := n.views.CatchUp(a.ctx); err != nil {
		return 0, err
	}
	took := time.Since(began)
	after, err := n.log.Head(a.ctx)
	if err != nil {
		return 0, err
	}
	if after == before {
		return 0, errors.New("there was nothing to write one by one")
	}
	return float64(after.Commit-before.Commit) / took.Seconds(), nil
}

// pointQueries asks for random units and days, one question after the other.
func pointQueries(ctx context.Context, v *projections.Views, p province, days int, events int64) ([]queryResult, error) {
	r := rand.New(rand.NewPCG(3, 4))
	const asked = 2000
	measure := func(name string, ask func(u domain.UnitCode, d domain.Date) error) (queryResult, error) {
		var took []time.Duration
		for i := range asked + 100 {
			u, d := p.unit(r.IntN(p.units)), p.day.AddDays(r.IntN(days))
			began := time.Now()
			if err := ask(u, d); err != nil {
				return queryResult{}, fmt.Errorf("%s of %s on %s: %w", name, u, d, err)
			}
			if i >= 100 { // the first ones open connections
				took = append(took, time.Since(began))
			}
		}
		return queryResult{Query: name, Events: events, P50ms: ms(quantile(took, 0.5)), P99ms: ms(quantile(took, 0.99))}, nil
	}
	history, err := measure("history", func(u domain.UnitCode, d domain.Date) error {
		h, err := v.History(ctx, projections.HistoryQuery{Regime: p.regime, Unit: u, Date: d})
		if err == nil && len(h.Reports) == 0 {
			err = errors.New("nothing was found")
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	answer, err := measure("answer", func(u domain.UnitCode, d domain.Date) error {
		page, err := v.Answer(ctx, projections.AnswerQuery{Regime: p.regime, Unit: u, From: d, To: d})
		if err == nil && len(page.Records) == 0 {
			err = errors.New("nothing was found")
		}
		return err
	})
	return []queryResult{history, answer}, err
}
