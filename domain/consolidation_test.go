package domain_test

import (
	"math/big"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/domain/domaintest"
)

func child(u domain.UnitCode, exempt bool, given ...domain.Fact) domain.Child {
	r := domain.Report{Key: domain.ReportKey{Regime: key.Regime, Form: key.Form, Unit: u, Date: day}}
	for _, f := range given {
		r = r.Apply(f)
	}
	return domain.Child{Unit: u, Form: communeForm(), Report: r, Exempt: exempt}
}

func TestConsolidate(t *testing.T) {
	t.Parallel()
	form := domaintest.Forms()[1]
	f, g := figures(1000, 600), figures(1000, 610)
	onTime, late := fact("14:00:00", filer, submitted(f, domain.OnTime)), fact("15:05:00", filer, submitted(f, domain.Late))
	nilReport := submitted(nil, domain.OnTime)
	nilReport.Nil, nilReport.Digest = true, "nil"
	staff := child("25901", false, onTime)
	staff.Form = domaintest.Forms()[2]
	sums := func(users, installed, reported, late, missing int64) domain.Figures {
		return domain.Figures{"smartphone_users": users, "installed": installed, "new_today": 0, "communes_reported": reported, "communes_late": late, "communes_missing": missing}
	}
	const most = 1 << 53
	for _, c := range []struct {
		name     string
		own      domain.Figures
		children []domain.Child
		figures  domain.Figures
		pins     []domain.ChildPin
		missing  []domain.UnitCode
		wantErr  *domain.Error
	}{
		{name: "rule 9: the newest version of every child is pinned, the missing are said",
			children: []domain.Child{child("25901", false, onTime, fact("16:00:00", filer, corrected(2, f, g))), child("25902", false, late), child("25903", false)},
			figures:  sums(2000, 1210, 2, 1, 1), pins: []domain.ChildPin{{Unit: "25901", Version: 2, Digest: digest(g)}, {Unit: "25902", Version: 1, Digest: digest(f)}},
			missing: []domain.UnitCode{"25903"}},
		{name: "rule 13: an exempt child without a report is neither", children: []domain.Child{child("25901", true), child("25902", true, onTime)},
			figures: sums(1000, 600, 1, 0, 0), pins: []domain.ChildPin{{Unit: "25902", Version: 1, Digest: digest(f)}}},
		{name: "rule 11: a nil report is a report", children: []domain.Child{child("25901", false, fact("14:00:00", filer, nilReport))},
			figures: sums(0, 0, 1, 0, 0), pins: []domain.ChildPin{{Unit: "25901", Version: 1, Digest: "nil"}}},
		{name: "rule 9: no child at all", figures: sums(0, 0, 0, 0, 0)},
		{name: "rule 10: own fields are the unit's", own: domain.Figures{"agencies_reached": 7}, children: []domain.Child{child("25901", false, onTime)},
			figures: func() domain.Figures { f := sums(1000, 600, 1, 0, 0); f["agencies_reached"] = 7; return f }(), pins: []domain.ChildPin{{Unit: "25901", Version: 1, Digest: digest(f)}}},
		{name: "rule 10: scopes are never added", children: []domain.Child{staff}, wantErr: no(domain.Invalid, domain.CodeScope, "")},
		{name: "rule 10: a summed field is not typed in", own: domain.Figures{"installed": 1}, wantErr: no(domain.Invalid, domain.CodeFieldSummed, "/figures/installed")},
		{name: "rule 10: nor is a counted one", own: domain.Figures{"communes_missing": 0}, wantErr: no(domain.Invalid, domain.CodeFieldSummed, "/figures/communes_missing")},
		{name: "an unknown field, the first by name", own: domain.Figures{"zebras": 1, "apples": 1}, wantErr: no(domain.Invalid, domain.CodeFieldUnknown, "/figures/apples")},
		{name: "a sum above 2^53", children: []domain.Child{child("25901", false, fact("14:00:00", filer, submitted(figures(most, 0), domain.OnTime))), child("25902", false, onTime)},
			wantErr: no(domain.Invalid, domain.CodeRange, "/figures/smartphone_users")},
	} {
		t.Run(c.name, func(t *testing.T) {
			figures, pins, missing, err := domain.Consolidate(form, c.own, c.children)
			checkRefusal(t, err, c.wantErr)
			if d := cmp.Diff([]any{c.figures, c.pins, c.missing}, []any{figures, pins, missing}, cmpopts.EquateEmpty()); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

// TestConsolidateNeverMixesScopes: with a child of another scope that has reported, there is no sum (rule 10).
func TestConsolidateNeverMixesScopes(t *testing.T) {
	t.Parallel()
	scopes := []domain.Scope{domain.ScopeTerritory, domain.ScopeOwnStaff, domain.ScopeSector}
	rapid.Check(t, func(t *rapid.T) {
		form := communeForm()
		form.Scope = rapid.SampledFrom(scopes).Draw(t, "scope")
		mixed, want := false, big.NewInt(0)
		var children []domain.Child
		for i := range rapid.IntRange(0, 8).Draw(t, "children") {
			n := rapid.Int64Range(0, domain.MaxFigure).Draw(t, "figure")
			c := child(domain.UnitCode('a'+rune(i)), rapid.Bool().Draw(t, "exempt"))
			c.Form.Scope = rapid.SampledFrom(append(scopes, form.Scope, form.Scope, form.Scope)).Draw(t, "child's scope")
			if rapid.Bool().Draw(t, "reported") {
				c.Report = c.Report.Apply(fact("14:00:00", filer, submitted(figures(n, 0), domain.OnTime)))
				mixed = mixed || c.Form.Scope != form.Scope
				want.Add(want, big.NewInt(n))
			}
			children = append(children, c)
		}
		sums, _, _, err := domain.Consolidate(form, nil, children)
		tooMuch := want.Cmp(big.NewInt(domain.MaxFigure)) > 0
		if (err != nil) != (mixed || tooMuch) {
			t.Fatalf("mixed %v, sum %s: %v", mixed, want, err)
		}
		if err == nil && want.Cmp(big.NewInt(sums["smartphone_users"])) != 0 {
			t.Fatalf("sum %d, want %s", sums["smartphone_users"], want)
		}
	})
}

func TestOutOfDate(t *testing.T) {
	t.Parallel()
	pins := []domain.ChildPin{{Unit: "c", Version: 1}, {Unit: "a", Version: 2}, {Unit: "b", Version: 1}}
	got := domain.OutOfDate(pins, []domain.UnitCode{"d", "e"}, map[domain.UnitCode]int{"a": 3, "b": 1, "c": 2, "d": 1})
	if want := []domain.UnitCode{"a", "c", "d"}; !slices.Equal(got, want) {
		t.Errorf("rule 9: %v, want %v", got, want)
	}
}
