package domain_test

import (
	"math"
	"math/big"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/answerable-ledger/answerable/domain"
)

func TestJudge(t *testing.T) {
	t.Parallel()
	target := domain.Target{ID: "sixty", Duty: "commune", Numerator: "installed", Denominator: "smartphone_users", AtLeastPercent: 60, On: day}
	report := func(users, installed int64) domain.Report {
		return domain.Report{Key: key}.Apply(fact("14:00:00", filer, submitted(figures(users, installed), domain.Late)))
	}
	judged := func(met bool, users, installed int64) []domain.Event {
		return []domain.Event{domain.TargetJudged{Regime: key.Regime, RegimeVersion: 3, Target: "sixty", Unit: unit, Form: key.Form, Date: day, Met: met,
			Numerator: installed, Denominator: users, AtLeastPercent: 60, Version: 1, Digest: digest(figures(users, installed))}}
	}
	nothing := judged(false, 0, 0)[0].(domain.TargetJudged)
	nothing.Version, nothing.Digest = 0, ""
	judge := func(o domain.Obligation, r domain.Report) func(domain.Results) ([]domain.Event, error) {
		return func(s domain.Results) ([]domain.Event, error) { return s.Judge(target, o, r), nil }
	}
	before := func(e domain.Event) []domain.Fact { return facts(fact("16:00:00", domain.System, e)) }
	otherDay := nothing
	otherDay.Date = "2021-02-07"
	check(t, domain.Results{}, []spec[domain.Results]{
		{name: "rule 4: exactly sixty in a hundred is met, also by a late report", when: judge(owed(), report(1000, 600)), then: judged(true, 1000, 600)},
		{name: "rule 4: one less is not", when: judge(owed(), report(1000, 599)), then: judged(false, 1000, 599)},
		{name: "rule 4: of nothing nothing is met", when: judge(owed(), report(0, 0)), then: judged(false, 0, 0)},
		{name: "rule 4: without a report the target is missed", when: judge(owed(), domain.Report{Key: key}), then: []domain.Event{nothing}},
		{name: "rule 4: once", given: before(nothing), when: judge(owed(), report(1000, 600))},
		{name: "rule 4: once per day", given: before(otherDay), when: judge(owed(), report(1000, 600)), then: judged(true, 1000, 600)},
		{name: "rule 13: an exempt unit is not judged", when: judge(exempted(), domain.Report{Key: key})},
	})
	// Rule 16: it is judged on the newest version.
	r := report(1000, 600).Apply(fact("15:00:00", filer, corrected(2, figures(1000, 600), figures(1000, 500))))
	got := domain.Results{}.Judge(target, owed(), r)
	want := judged(false, 1000, 500)[0].(domain.TargetJudged)
	want.Version = 2
	if d := cmp.Diff([]domain.Event{want}, got, cmpopts.EquateEmpty()); d != "" {
		t.Errorf("rule 16: %s", d)
	}
}

// TestAtLeastIsExact, where a float is not and 64 bits do not suffice.
func TestAtLeastIsExact(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		n, d    int64
		percent int
		want    bool
	}{{1 << 60, 1 << 60, 60, true}, {1 << 60, 1 << 61, 60, false}, {1 << 62, 1 << 60, 100, true}, {math.MaxInt64, math.MaxInt64, 100, true}, {math.MaxInt64 - 1, math.MaxInt64, 100, false}} {
		if domain.AtLeast(c.n, c.d, c.percent) != c.want {
			t.Errorf("%d of %d at least %d %%: %v", c.n, c.d, c.percent, !c.want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		number := rapid.OneOf(rapid.Int64Range(0, 1000), rapid.Int64Range(1<<56, math.MaxInt64)) // where 64 bits do and do not suffice
		n, percent := number.Draw(t, "n"), rapid.IntRange(0, 100).Draw(t, "percent")
		// Near the border, where it is decided.
		d := rapid.OneOf(number, rapid.Custom(func(t *rapid.T) int64 {
			border := new(big.Int).Div(new(big.Int).Mul(big.NewInt(n), big.NewInt(100)), big.NewInt(int64(max(percent, 1))))
			border.Add(border, big.NewInt(rapid.Int64Range(-2, 2).Draw(t, "off")))
			if !border.IsInt64() || border.Sign() < 0 {
				return 0
			}
			return border.Int64()
		})).Draw(t, "d")
		want := new(big.Int).Mul(big.NewInt(n), big.NewInt(100)).Cmp(new(big.Int).Mul(big.NewInt(d), big.NewInt(int64(percent)))) >= 0
		if got := domain.AtLeast(n, d, percent); got != want {
			t.Fatalf("%d of %d at least %d %%: %v", n, d, percent, got)
		}
	})
}
