package projections

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/eventlog"
	"github.com/answerable-ledger/answerable/eventlog/memlog"
	"github.com/answerable-ledger/answerable/schemas"
)

// asReleased is a fact in the bytes that an earlier release wrote: a submission under version 1 of its schema, which said
// late and not timeliness, with a report of version 1 of its form, which did not ask for households.
func asReleased(t failer, f domain.Fact) schemas.Stored {
	e, ok := f.Event.(domain.ReportSubmitted)
	if ok {
		delete(e.Figures, "households_visited")
		e.FormVersion = 1
		e.Digest = domain.Content{FormVersion: 1, Figures: e.Figures}.Digest(domain.ReportKey{Regime: e.Regime, Form: e.Form, Unit: e.Unit, Date: e.Date})
		f.Event = e
	}
	s, err := schemas.Encode(f)
	must(t, err)
	if ok {
		s.Data = replaced(t, s.Data, `"timeliness":"on_time"`, `"late":false`)
		s.Meta = replaced(t, s.Meta, `"schema":3`, `"schema":1`)
	}
	return s
}

func replaced(t failer, b []byte, old, new string) []byte {
	if !bytes.Contains(b, []byte(old)) {
		t.Fatalf("%s does not say %s: the present version is another", b, old)
	}
	return bytes.Replace(b, []byte(old), []byte(new), 1)
}

// province is a log that a schema changed in: the days of an earlier release, then those of this one, of which the last is
// still to be recorded.
type provinceLog struct {
	log  eventlog.Log
	now  time.Time
	rest []domain.Fact
	days []domain.Date
}

func newProvinceLog(t failer, events, held int) *provinceLog {
	p := &provinceLog{}
	p.log = memlog.New(func() time.Time { return p.now })
	var facts []domain.Fact
	l := &load{clock: time.Date(2020, 12, 1, 0, 0, 0, 0, time.UTC), next: map[string]uint64{}, max: events, facts: func(f domain.Fact) { facts = append(facts, f) }}
	l.write()
	for i, f := range facts[:len(facts)-held] {
		s, err := schemas.Encode(f)
		if i < events/2 {
			s = asReleased(t, f)
		}
		must(t, err)
		p.append(t, f, s)
		if o, ok := f.Event.(domain.DayOpened); ok {
			p.days = append(p.days, o.Date)
		}
	}
	p.rest = facts[len(facts)-held:]
	return p
}

func (p *provinceLog) append(t failer, f domain.Fact, s schemas.Stored) eventlog.Position {
	p.now = f.RecordedAt
	a, err := p.log.Append(context.Background(), f.Stream, eventlog.After(f.Revision), []eventlog.Proposed{{ID: s.ID, Kind: s.Kind, Data: s.Data, Meta: s.Meta}})
	must(t, err)
	return a.Position
}

// readers ask at a rate, from several goroutines, until stop is called: nothing fails, and nobody who asks after somebody
// was answered gets an older answer. It gives how long each took.
type readers struct {
	mu      sync.Mutex
	newest  eventlog.Position
	took    []time.Duration
	failed  []error
	stopped chan struct{}
	all     sync.WaitGroup
}

func startReaders(ask func(r *rand.Rand) (At, error), perSecond, goroutines int) *readers {
	r := &readers{stopped: make(chan struct{})}
	for n := range goroutines {
		r.all.Go(func() {
			chance := rand.New(rand.NewPCG(1, uint64(n)))
			tick := time.NewTicker(time.Duration(goroutines) * time.Second / time.Duration(perSecond))
			defer tick.Stop()
			for {
				select {
				case <-tick.C:
				case <-r.stopped:
					return
				}
				r.one(ask, chance)
			}
		})
	}
	return r
}

func (r *readers) one(ask func(*rand.Rand) (At, error), chance *rand.Rand) {
	r.mu.Lock()
	before := r.newest
	r.mu.Unlock()
	started := time.Now()
	at, err := ask(chance)
	took := time.Since(started)
	r.mu.Lock()
	defer r.mu.Unlock()
	if err == nil && at.Position.Compare(before) < 0 {
		err = errors.New("answered as of " + at.Place + ", after an answer as of " + before.String())
	}
	if err != nil {
		r.failed = append(r.failed, err)
		return
	}
	if at.Position.Compare(r.newest) > 0 {
		r.newest = at.Position
	}
	r.took = append(r.took, took)
}

func (r *readers) stop() (took []time.Duration, failed []error) {
	close(r.stopped)
	r.all.Wait()
	slices.Sort(r.took)
	return r.took, r.failed
}

// asks are the questions of a day's work.
func (p *provinceLog) ask(v *Views) func(r *rand.Rand) (At, error) {
	return func(r *rand.Rand) (At, error) {
		ctx := context.Background()
		u := domain.UnitCode(strconv.Itoa(25000 + 100*r.IntN(loadDistricts) + r.IntN(loadCommunes)))
		day := p.days[r.IntN(len(p.days))]
		switch r.IntN(3) {
		case 0:
			h, err := v.History(ctx, HistoryQuery{Regime: "load", Unit: u, Date: day})
			return h.At, err
		case 1:
			a, err := v.Answer(ctx, AnswerQuery{Regime: "load", Unit: u, Form: "commune", From: day, To: day})
			return a.At, err
		}
		c, err := v.Compliance(ctx, ComplianceQuery{Regime: "load", Unit: u, From: day, To: day})
		return c.At, err
	}
}

// The schema changed: a form asks for one figure more, an event names what it only denied, a table has another column. The
// program that knows this is started on rows that do not. While it makes the new ones 200 reads and 20 writes a second go
// on: none fails, none is answered as of before an earlier one, every writer reads what it wrote; and the rows are what a
// fresh fold gives.
func TestASchemaChangeUnderLoad(t *testing.T) {
	t.Parallel()
	onEveryEngine(t, func(t *testing.T, place place) {
		ctx := context.Background()
		const held = 60
		p, dir := newProvinceLog(t, 8000+held, held), place(t)
		asFormerly(t, caughtUpViews(t, dir, p.log))

		v := openViews(t, dir, p.log)
		defer closeViews(t, v)
		r := startReaders(p.ask(v), 200, 8)
		written := make(chan error, 1)
		begin := make(chan struct{})
		go func() {
			<-begin
			tick := time.NewTicker(time.Second / 20)
			defer tick.Stop()
			for _, f := range p.rest {
				<-tick.C
				s, err := schemas.Encode(f)
				must(t, err)
				if err := v.WaitFor(ctx, p.append(t, f, s)); err != nil {
					written <- err
					return
				}
			}
			written <- nil
		}()
		stop := running(t, v)
		close(begin)
		s := untilRebuilt(t, v)
		must(t, <-written)
		took, failed := r.stop()
		stop()
		if s.State != "done" || s.Comparison.Undeclared != 0 || s.Comparison.Declared != formerChanges {
			t.Fatalf("%+v: %+v", s, s.Comparison)
		}
		if len(failed) > 0 {
			t.Fatalf("%d of %d reads failed, the first: %v", len(failed), len(took)+len(failed), failed[0])
		}
		t.Logf("%d reads, 99 of 100 within %s; %+v", len(took), took[len(took)*99/100], *s.Progress)
		must(t, v.Verify(ctx))
		head, err := p.log.Head(ctx)
		must(t, err)
		if v.Position() != head {
			t.Errorf("stands at %s, the log at %s", v.Position(), head)
		}
		page, err := v.FormUse(ctx, "load", "", "")
		must(t, err)
		versions := map[int]int{}
		for _, u := range page.Uses {
			versions[u.Version] += u.Reports
		}
		if versions[1] == 0 || versions[2] == 0 || versions[-1] != 0 {
			t.Errorf("versions in use: %v", versions)
		}
	})
}

// BenchmarkReadsDuringARebuild is how long reads take while the views are rebuilt, beside how long they take otherwise.
func BenchmarkReadsDuringARebuild(b *testing.B) {
	for b.Loop() {
		p := newProvinceLog(b, benchEvents(), 1)
		v := caughtUpViews(b, b.TempDir(), p.log, func(c *Config) { c.Decoders = 0 })
		quiet := startReaders(p.ask(v), 200, 8)
		alone := time.NewTimer(3 * time.Second)
		<-alone.C
		before, failed := quiet.stop()
		during := startReaders(p.ask(v), 200, 8)
		var last Progress
		started := time.Now()
		_, err := v.RebuildWith(context.Background(), RebuildOptions{Progress: func(p Progress) { last = p }})
		must(b, err)
		took, more := during.stop()
		must(b, errors.Join(append(failed, more...)...))
		b.ReportMetric(float64(before[len(before)*99/100].Microseconds())/1000, "p99_quiet_ms")
		b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99_ms")
		b.ReportMetric(float64(took[len(took)-1].Microseconds())/1000, "max_ms")
		b.ReportMetric(float64(last.Events)/time.Since(started).Seconds(), "events/s")
		b.ReportMetric(last.Paused, "paused_s")
		closeViews(b, v)
	}
}
