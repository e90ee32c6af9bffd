package projections

import (
	gocmp "cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/domain/domaintest"
)

// What is asked as known at T is what would have been answered at T: the same as from views of the log as it was then.
func TestKnownAtIsTheLogAsItWas(t *testing.T) {
	propertyOnEveryEngine(t, func(t *rapid.T, place place) {
		ctx := context.Background()
		ledger := history(t)
		then := rapid.SampledFrom(ledger.Facts).Draw(t, "then").RecordedAt
		if rapid.Bool().Draw(t, "between") {
			then = then.Add(time.Second)
		}
		whole, cut := newRecorder(), newRecorder()
		whole.record(t, ledger.Facts...)
		for _, f := range ledger.Facts {
			if !f.RecordedAt.After(then) {
				cut.record(t, f)
			}
		}
		now, before := openViews(t, place(t), whole), openViews(t, place(t), cut)
		defer closeViews(t, now)
		defer closeViews(t, before)
		must(t, now.followInBatches(ctx, func() int { return 50 }))
		must(t, before.Rebuild(ctx, nil))
		for _, q := range questions(ledger.World) {
			asked, err1 := q.ask(ctx, now, &then)
			answered, err2 := q.ask(ctx, before, nil)
			if fmt.Sprint(err1) != fmt.Sprint(err2) {
				t.Fatalf("%s: %v, then %v", q.name, err1, err2)
			}
			if d := cmp.Diff(answered, asked, cmpopts.IgnoreTypes(At{}), cmpopts.EquateEmpty()); d != "" {
				t.Fatalf("%s as known at %s (-the log as it was +asked now):\n%s", q.name, then, d)
			}
		}
	})
}

type question struct {
	name string
	ask  func(ctx context.Context, v *Views, known *time.Time) (any, error)
}

// questions asks everything that can be asked as known at an instant.
func questions(w domaintest.World) []question {
	first, last := w.Days[0], w.Days[len(w.Days)-1]
	district := domain.UnitCode("718")
	qs := []question{
		{"compliance", func(ctx context.Context, v *Views, known *time.Time) (any, error) {
			return v.Compliance(ctx, ComplianceQuery{Regime: w.Regime, Limit: MaxLimit, KnownAt: known})
		}},
		{"late or missing below a district", func(ctx context.Context, v *Views, known *time.Time) (any, error) {
			return v.Compliance(ctx, ComplianceQuery{Regime: w.Regime, Parent: district, Status: []domain.Status{domain.StatusLate, domain.StatusMissing}, KnownAt: known})
		}},
		{"unit records", func(ctx context.Context, v *Views, known *time.Time) (any, error) {
			return v.UnitRecords(ctx, ComplianceQuery{Regime: w.Regime, From: first, To: last, KnownAt: known})
		}},
		{"answers", func(ctx context.Context, v *Views, known *time.Time) (any, error) {
			return v.Answer(ctx, AnswerQuery{Regime: w.Regime, Limit: MaxLimit, KnownAt: known})
		}},
		{"a person's answers", func(ctx context.Context, v *Views, known *time.Time) (any, error) {
			return v.Answer(ctx, AnswerQuery{Regime: w.Regime, Person: domaintest.Head(district), Limit: MaxLimit, KnownAt: known})
		}},
		{"breaches", func(ctx context.Context, v *Views, known *time.Time) (any, error) {
			return v.Breaches(ctx, BreachQuery{Regime: w.Regime, Limit: MaxLimit, KnownAt: known})
		}},
		{"standing breaches", func(ctx context.Context, v *Views, known *time.Time) (any, error) {
			return v.Breaches(ctx, BreachQuery{Regime: w.Regime, Parent: district, Outcome: OutcomeStanding, Limit: MaxLimit, KnownAt: known})
		}},
		{"targets", func(ctx context.Context, v *Views, known *time.Time) (any, error) {
			return v.Targets(ctx, TargetQuery{Regime: w.Regime, KnownAt: known})
		}},
		{"units", func(ctx context.Context, v *Views, known *time.Time) (any, error) {
			return v.Units(ctx, UnitQuery{AsOf: first, Search: "binh", KnownAt: known})
		}},
		{"days", func(ctx context.Context, v *Views, known *time.Time) (any, error) {
			return v.Days(ctx, w.Regime, "", "", known)
		}},
		{"regimes", func(ctx context.Context, v *Views, known *time.Time) (any, error) {
			return v.Regimes(ctx, RegimeQuery{KnownAt: known})
		}},
	}
	for _, d := range w.Days {
		qs = append(qs,
			question{"board", func(ctx context.Context, v *Views, known *time.Time) (any, error) {
				return v.Board(ctx, BoardQuery{Regime: w.Regime, Date: d, KnownAt: known})
			}},
			question{"synthesis", func(ctx context.Context, v *Views, known *time.Time) (any, error) {
				return v.Synthesis(ctx, SynthesisQuery{Regime: w.Regime, Date: d, KnownAt: known})
			}},
			question{"synthesis of a district", func(ctx context.Context, v *Views, known *time.Time) (any, error) {
				return v.Synthesis(ctx, SynthesisQuery{Regime: w.Regime, Date: d, Area: district, Form: domaintest.Commune, KnownAt: known})
			}})
		for _, u := range w.Units {
			qs = append(qs, question{"history", func(ctx context.Context, v *Views, known *time.Time) (any, error) {
				return v.History(ctx, HistoryQuery{Regime: w.Regime, Unit: u.Unit, Date: d, KnownAt: known})
			}})
		}
	}
	for _, u := range w.Units {
		qs = append(qs, question{"office", func(ctx context.Context, v *Views, known *time.Time) (any, error) {
			return v.Offices(ctx, OfficeQuery{Unit: u.Unit, KnownAt: known})
		}})
	}
	return qs
}

// Pages give what one long page gives, each row once.
func TestPagesJoinUp(t *testing.T) {
	propertyOnEveryEngine(t, func(t *rapid.T, place place) {
		ctx := context.Background()
		ledger, log := history(t), newRecorder()
		log.record(t, ledger.Facts...)
		v := openViews(t, place(t), log)
		defer closeViews(t, v)
		must(t, v.Rebuild(ctx, nil))
		limit := rapid.IntRange(1, 5).Draw(t, "limit")
		regime := ledger.World.Regime

		whole, err := v.Compliance(ctx, ComplianceQuery{Regime: regime, Limit: MaxLimit})
		must(t, err)
		var rows []ComplianceRow
		for after := ""; ; {
			p, err := v.Compliance(ctx, ComplianceQuery{Regime: regime, Limit: limit, After: after})
			must(t, err)
			rows = append(rows, p.Rows...)
			if after = p.Next; after == "" {
				break
			}
		}
		if d := cmp.Diff(whole.Rows, rows); d != "" {
			t.Fatalf("compliance:\n%s", d)
		}
		all, err := v.Breaches(ctx, BreachQuery{Regime: regime, Limit: MaxLimit})
		must(t, err)
		var breaches []BreachRow
		for after := ""; ; {
			p, err := v.Breaches(ctx, BreachQuery{Regime: regime, Limit: limit, After: after})
			must(t, err)
			breaches = append(breaches, p.Rows...)
			if after = p.Next; after == "" {
				break
			}
		}
		if d := cmp.Diff(all.Rows, breaches); d != "" {
			t.Fatalf("breaches:\n%s", d)
		}
		var units, queue []domain.UnitCode
		for _, u := range ledger.World.Units {
			units = append(units, u.Unit)
		}
		for after := ""; ; {
			p, err := v.SignOffQueue(ctx, SignOffQuery{Units: units, Limit: limit, After: after})
			must(t, err)
			for _, r := range p.Rows {
				queue = append(queue, r.Unit)
			}
			if after = p.Next; after == "" {
				break
			}
		}
		var waiting []domain.UnitCode
		for _, k := range slices.SortedFunc(maps.Keys(ledger.Reports), func(a, b domain.ReportKey) int { return gocmp.Compare(a.Date, b.Date) }) {
			if waitsForSignature(ledger.Reports[k].SignOffState()) {
				waiting = append(waiting, k.Unit)
			}
		}
		slices.Sort(queue)
		slices.Sort(waiting)
		if d := cmp.Diff(waiting, queue, cmpopts.EquateEmpty()); d != "" {
			t.Fatalf("sign-off queue:\n%s", d)
		}
	})
}

// What the history row keeps of a fact is enough for domain's own fold.
func TestEntriesFoldLikeFacts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ledger := history(t)
		for k, want := range ledger.Reports {
			var s slot
			for _, f := range ledger.Facts {
				if f.Stream != k.Stream() {
					continue
				}
				n, ok := entryOf(&f, "1")
				if !ok {
					t.Fatalf("%s is no entry", f.Event.Kind())
				}
				tail, err := n.appendTail(nil, new(fieldOrder))
				must(t, err)
				s.entries = append(s.entries, heldEntry{at(f.RecordedAt), tail})
			}
			entries, err := entriesUntil(string(s.appendHistory(nil)), forever)
			must(t, err)
			have := reportOf(k, entries)
			want.CommandLog = domain.CommandLog{}
			for i := range want.Versions {
				want.Versions[i].RecordedAt = want.Versions[i].RecordedAt.Truncate(time.Microsecond)
				want.Versions[i].FiguresAt = want.Versions[i].FiguresAt.Truncate(time.Microsecond)
			}
			for i := range want.SignOffs {
				want.SignOffs[i].Statement, want.SignOffs[i].RecordedAt = "", want.SignOffs[i].RecordedAt.Truncate(time.Microsecond)
			}
			for i := range want.Breaches {
				want.Breaches[i].RecordedAt = want.Breaches[i].RecordedAt.Truncate(time.Microsecond)
			}
			if d := cmp.Diff(want, have, cmpopts.EquateEmpty(), cmpopts.IgnoreUnexported(domain.CommandLog{})); d != "" {
				t.Fatalf("%s (-facts +entries):\n%s", k.Stream(), d)
			}
		}
	})
}
