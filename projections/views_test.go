package projections

import (
	"context"
	"errors"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/domain/domaintest"
	"github.com/answerable-ledger/answerable/eventlog"
	"github.com/answerable-ledger/answerable/eventlog/memlog"
	"github.com/answerable-ledger/answerable/schemas"
)

// failer is a *testing.T or a *rapid.T.
type failer interface {
	Helper()
	Fatalf(format string, args ...any)
}

// recorder is a log in memory whose clock is what each fact says.
type recorder struct {
	*memlog.Log
	now time.Time
}

func newRecorder() *recorder {
	r := &recorder{}
	r.Log = memlog.New(func() time.Time { return r.now })
	return r
}

// record appends facts as they say they were recorded.
func (r *recorder) record(t failer, facts ...domain.Fact) {
	t.Helper()
	for _, f := range facts {
		s, err := schemas.Encode(f)
		if err != nil {
			t.Fatalf("%v", err)
		}
		r.append(t, f, eventlog.Proposed{ID: s.ID, Kind: s.Kind, Data: s.Data, Meta: s.Meta})
	}
}

func (r *recorder) append(t failer, f domain.Fact, p eventlog.Proposed) {
	t.Helper()
	r.now = f.RecordedAt
	if _, err := r.Append(context.Background(), f.Stream, eventlog.After(f.Revision), []eventlog.Proposed{p}); err != nil {
		t.Fatalf("append %s to %s: %v", p.Kind, f.Stream, err)
	}
}

// tempDir is a directory of one example of a property.
func tempDir(t cleaner) string {
	dir, err := os.MkdirTemp("", "views")
	must(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func registry(t failer) *schemas.Registry {
	t.Helper()
	r, err := schemas.Load()
	if err != nil {
		t.Fatalf("%v", err)
	}
	return r
}

func openViews(t failer, dir string, log eventlog.Log, change ...func(*Config)) *Views {
	t.Helper()
	c := Config{Path: viewsIn(dir), Log: log, Registry: registry(t), Decoders: 2}
	for _, f := range change {
		f(&c)
	}
	v, err := Open(context.Background(), c)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	return v
}

// through has views use another store from now on. What watches for other processes, and asks the store too, ends before it.
func through(v *Views, s store) {
	v.unwatch()
	v.watching.Wait()
	v.store = s
}

func closeViews(t failer, v *Views) {
	t.Helper()
	if err := v.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
}

func must(t failer, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%v", err)
	}
}

// follower applies the log in batches of given sizes, without the router: what the runner does, one batch at a time.
func (v *Views) followInBatches(ctx context.Context, size func() int) error {
	var steps []step
	err := follow(ctx, v.config.Log, v.Position(), 1000, 1, func(b batch) bool {
		steps = append(steps, b.steps...)
		return !b.caughtUp
	})
	for err == nil && len(steps) > 0 {
		n := min(max(size(), 1), len(steps))
		err = v.applyBatch(ctx, batch{steps: steps[:n]})
		steps = steps[n:]
	}
	return err
}

// history plays a random history of a small world.
func history(t *rapid.T) *domaintest.Ledger {
	s := domaintest.Seeded(rapid.Uint64Range(0, 1<<40).Draw(t, "seed"))
	w := domaintest.NewWorld(s, domaintest.Size{Districts: 1 + s.IntN(2), Communes: 1 + s.IntN(3), Bodies: 1, Days: 1 + s.IntN(3)})
	l := domaintest.NewLedger(w)
	l.Play(w.Attempts(s, rapid.IntRange(1, 90).Draw(t, "attempts")))
	for i := range l.Facts { // a log keeps whole microseconds
		l.Facts[i].RecordedAt = l.Facts[i].RecordedAt.Truncate(time.Microsecond)
	}
	return l
}

// Rows do not depend on how the log was cut into batches, nor on whether they were written one batch at a time or all at
// once; and they say what domain's own folds say.
func TestLiveRebuildAndFreshFoldAgree(t *testing.T) {
	propertyOnEveryEngine(t, func(t *rapid.T, place place) {
		ctx := context.Background()
		dir, log, ledger := place(t), newRecorder(), history(t)
		log.record(t, ledger.Facts...)
		v := openViews(t, dir, log)
		defer closeViews(t, v)
		sizes := rapid.SampledFrom([]int{1, 2, 7, 50, 1000})
		must(t, v.followInBatches(ctx, func() int { return sizes.Draw(t, "size") }))
		must(t, v.Verify(ctx))
		agreesWithDomain(t, v, ledger)
		live := dump(t, v)
		v.held = rapid.SampledFrom([]int{0, 5, heldObligations}).Draw(t, "held")
		must(t, v.Rebuild(ctx, nil))
		if d := cmp.Diff(live, dump(t, v)); d != "" {
			t.Fatalf("rebuilt differs from live (-live +rebuilt):\n%s", d)
		}
		must(t, v.Verify(ctx))
	})
}

// dump reads every table.
func dump(t failer, v *Views) map[string][]string {
	t.Helper()
	g, err := v.generation(context.Background())
	must(t, err)
	return dumpOf(t, g)
}

func dumpOf(t failer, g *generation) map[string][]string {
	t.Helper()
	out := map[string][]string{}
	for _, tb := range tables {
		rows, err := g.read.Query("SELECT * FROM " + g.name(tb))
		must(t, err)
		for rows.Next() {
			cols := make([]any, len(tb.Columns))
			for i := range cols {
				cols[i] = new(any)
			}
			must(t, rows.Scan(cols...))
			line := ""
			for _, c := range cols {
				line += texts([]any{*c.(*any)})[0] + "|"
			}
			out[tb.Name] = append(out[tb.Name], line)
		}
		must(t, errors.Join(rows.Err(), rows.Close()))
		slices.Sort(out[tb.Name])
	}
	return out
}

// agreesWithDomain compares what the views answer with the states that the ledger folded.
func agreesWithDomain(t failer, v *Views, l *domaintest.Ledger) {
	t.Helper()
	ctx := context.Background()
	for date, day := range l.Days {
		page, err := v.Compliance(ctx, ComplianceQuery{Regime: l.World.Regime, From: date, To: date, Limit: MaxLimit})
		must(t, err)
		rows := map[domain.ReportKey]ComplianceRow{}
		for _, r := range page.Rows {
			rows[domain.ReportKey{Regime: r.Regime, Form: r.Form, Unit: r.Unit, Date: r.Date}] = r
		}
		obligations := day.Obligations(l.Regime)
		if len(rows) != len(obligations) {
			t.Fatalf("%s: %d rows, %d obligations", date, len(rows), len(obligations))
		}
		for _, o := range obligations {
			agreesOnReport(t, v, l, rows[o.Key], o)
		}
		board, err := v.Board(ctx, BoardQuery{Regime: l.World.Regime, Date: date})
		must(t, err)
		b := board.Total
		if c := l.Counts(date); b.OnTime != c.OnTime || b.Late != c.Late || b.Missing != c.Missing || b.Exempt != c.Exempt || b.Nil != c.Nil ||
			b.OnTime+b.Late+b.Missing+b.Exempt+b.Due != b.Obligations {
			t.Fatalf("%s: board %+v, counts %+v", date, b, c)
		}
	}
}

func agreesOnReport(t failer, v *Views, l *domaintest.Ledger, row ComplianceRow, o domain.Obligation) {
	t.Helper()
	ctx := context.Background()
	r := l.Report(o.Key)
	if row.Status != r.Status(o.Exempt != nil) || row.SignOff != r.SignOffState() || row.Version != len(r.Versions) || !row.Due.Equal(o.Due) || row.Parent != o.Parent {
		t.Fatalf("%s: row %+v, report %+v, obligation %+v", o.Key.Stream(), row, r, o)
	}
	h, err := v.History(ctx, HistoryQuery{Regime: o.Key.Regime, Unit: o.Key.Unit, Form: o.Key.Form, Date: o.Key.Date})
	must(t, err)
	if len(h.Reports) != 1 || len(h.Reports[0].Versions) != len(r.Versions) {
		t.Fatalf("%s: history %+v", o.Key.Stream(), h)
	}
	for i, shown := range h.Reports[0].Versions {
		want := r.Versions[i]
		if !shown.Figures.Equal(want.Content.Figures) || shown.Digest != want.Digest || shown.EventID != want.EventID || !shown.RecordedAt.Equal(want.RecordedAt.Truncate(time.Microsecond)) ||
			(domain.Content{FormVersion: shown.FormVersion, Figures: shown.Figures, Nil: shown.Nil, Children: shown.Children}).Digest(o.Key) != want.Digest {
			t.Fatalf("%s: version %d is shown as %+v, it is %+v", o.Key.Stream(), i+1, shown, want)
		}
	}
	page, err := v.Answer(ctx, AnswerQuery{Regime: o.Key.Regime, Unit: o.Key.Unit, Form: o.Key.Form, From: o.Key.Date, To: o.Key.Date})
	must(t, err)
	if len(page.Records) != 1 {
		t.Fatalf("%s: %d answers", o.Key.Stream(), len(page.Records))
	}
	a := page.Records[0]
	newest, _ := r.Newest()
	newest.FiguresAt = newest.FiguresAt.Truncate(time.Microsecond) // as the log keeps it: the head may have left in between
	head, held := domain.Answerable(l.Offices[o.Key.Unit], newest, o.Due)
	if a.Answerable.Vacant == held || held && (a.Answerable.Person.ID != head.Person || a.Answerable.Title != head.Title) {
		t.Fatalf("%s: answerable %+v, it is %+v (held %t)", o.Key.Stream(), a.Answerable, head, held)
	}
	if len(a.Breaches) != len(r.Breaches) {
		t.Fatalf("%s: breaches %+v, they are %+v", o.Key.Stream(), a.Breaches, r.Breaches)
	}
	for i, b := range r.Breaches {
		if a.Breaches[i].Breach != b.Breach || a.Breaches[i].Outcome != outcome(b) || len(a.Breaches[i].Explanations) != len(b.Explanations) {
			t.Fatalf("%s: breach %+v, it is %+v", o.Key.Stream(), a.Breaches[i], b)
		}
	}
}
