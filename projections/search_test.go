package projections

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/answerable-ledger/answerable/domain"
)

// A search finds what looking at every record finds, and a grid shows what every row says, whatever happened and whenever
// it is asked about.
func TestSearchAndGridAreTheRows(t *testing.T) {
	propertyOnEveryEngine(t, func(t *rapid.T, place place) {
		ctx := context.Background()
		ledger := history(t)
		r := newRecorder()
		r.record(t, ledger.Facts...)
		dir := place(t)
		v := openViews(t, dir, r)
		defer func() { closeViews(t, v) }()
		switch rapid.SampledFrom([]string{"rebuilt", "followed", "former"}).Draw(t, "rows") {
		case "rebuilt":
			must(t, v.Rebuild(ctx, nil))
		case "followed":
			must(t, v.followInBatches(ctx, func() int { return rapid.IntRange(1, 20).Draw(t, "batch") }))
			must(t, v.Verify(ctx))
		case "former": // rows without the list
			must(t, v.Rebuild(ctx, nil))
			asFormerly(t, v)
			v = openViews(t, dir, r)
		}
		var known *time.Time
		if rapid.Bool().Draw(t, "past") {
			then := rapid.SampledFrom(ledger.Facts).Draw(t, "then").RecordedAt
			known = &then
		}
		whole, err := v.Answer(ctx, AnswerQuery{Regime: ledger.World.Regime, KnownAt: known, Limit: MaxLimit})
		if err != nil { // the regime was not there yet
			return
		}
		for _, what := range []Finding{FindChanged, FindDeputy, FindHeadChanged, FindOutOfDate} {
			var want, got []AnswerRecord
			for _, a := range whole.Records {
				if what.found(a) {
					want = append(want, a)
				}
			}
			for after, pages := "", 0; pages == 0 || after != ""; pages++ {
				page, err := v.Search(ctx, SearchQuery{Regime: ledger.World.Regime, What: what, KnownAt: known, Limit: 2, After: after})
				must(t, err)
				got, after = append(got, page.Records...), page.Next
			}
			if d := cmp.Diff(want, got, cmpopts.EquateEmpty()); d != "" {
				t.Fatalf("%s (-looked at +found):\n%s", what, d)
			}
		}

		days := ledger.World.Days
		for _, parent := range []domain.UnitCode{"", "718"} {
			page, err := v.Compliance(ctx, ComplianceQuery{Regime: ledger.World.Regime, Parent: parent, KnownAt: known, Limit: MaxLimit})
			grid, err2 := v.Grid(ctx, GridQuery{Regime: ledger.World.Regime, From: days[0], To: days[len(days)-1], Parent: parent, KnownAt: known})
			if err != nil || err2 != nil {
				if err == nil || err2 == nil {
					t.Fatalf("%v, %v", err, err2)
				}
				continue
			}
			cells := 0
			for _, g := range grid.Rows {
				cells += len(g.Cells)
			}
			if cells != len(page.Rows) {
				t.Fatalf("%d cells through %q, %d rows", cells, parent, len(page.Rows))
			}
			for _, row := range page.Rows {
				i := slices.IndexFunc(grid.Rows, func(g GridRow) bool { return g.Unit == row.Unit && g.Form == row.Form })
				if i < 0 || !slices.Contains(grid.Rows[i].Cells, GridCell{row.Date, row.Status, row.Version}) || grid.Rows[i].Determinable != row.Determinable {
					t.Fatalf("%+v is not in %+v", row, grid.Rows)
				}
			}
		}
		if known == nil {
			atDeadlines(t, v, ledger.World.Regime, rapid.SampledFrom(days).Draw(t, "day"))
		}
	})
}

// atDeadlines compares a grid of what was known at the deadlines with what is known at each of them.
func atDeadlines(t *rapid.T, v *Views, regime domain.RegimeID, day domain.Date) {
	ctx := context.Background()
	page, err := v.Compliance(ctx, ComplianceQuery{Regime: regime, From: day, To: day, Limit: MaxLimit})
	must(t, err)
	grid, err := v.Grid(ctx, GridQuery{Regime: regime, From: day, To: day, AtDeadline: true})
	must(t, err)
	for _, row := range page.Rows {
		then, err := v.Compliance(ctx, ComplianceQuery{Regime: regime, From: row.Date, To: row.Date, Unit: row.Unit, Form: row.Form, KnownAt: &row.Due})
		must(t, err)
		for _, was := range then.Rows {
			i := slices.IndexFunc(grid.Rows, func(g GridRow) bool { return g.Unit == row.Unit && g.Form == row.Form })
			if i < 0 || !slices.Contains(grid.Rows[i].Cells, GridCell{was.Date, was.Status, was.Version}) {
				t.Fatalf("%+v is not in %+v", was, grid.Rows)
			}
		}
	}
}
