package domain_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/answerable-ledger/answerable/domain"
)

func TestPlausibility(t *testing.T) {
	t.Parallel()
	nilReport := domain.Content{Nil: true}
	c := func(users, installed, today int64) domain.Content {
		return content(domain.Figures{"smartphone_users": users, "installed": installed, "new_today": today})
	}
	fall := domain.Finding{Rule: domain.FindingFall, RuleVersion: domain.PlausibilityVersion, Field: "installed", Was: 600, Is: 599}
	moved := func(was, is int64) domain.Finding {
		return domain.Finding{Rule: domain.FindingDenominator, RuleVersion: domain.PlausibilityVersion, Field: "smartphone_users", Was: was, Is: is}
	}
	repeat := domain.Finding{Rule: domain.FindingRepeat, RuleVersion: domain.PlausibilityVersion}
	noToday := content(domain.Figures{"smartphone_users": 1000, "installed": 600})
	for _, x := range []struct {
		name    string
		was, is domain.Content
		want    []domain.Finding
	}{
		{"rule 12: it grew", c(1000, 600, 0), c(1000, 601, 1), nil},
		{"rule 12: a cumulative count fell", c(1000, 600, 0), c(1000, 599, 1), []domain.Finding{fall}},
		{"rule 12: what is not cumulative may fall", c(1000, 600, 9), c(1000, 600, 1), nil},
		{"rule 12: a denominator moved by a tenth", c(1000, 600, 0), c(1100, 601, 0), nil},
		{"rule 12: by more", c(1000, 600, 0), c(1101, 601, 0), []domain.Finding{moved(1000, 1101)}},
		{"rule 12: downwards too", c(1000, 600, 0), c(899, 601, 0), []domain.Finding{moved(1000, 899)}},
		{"rule 12: of few", c(9, 6, 0), c(10, 7, 0), []domain.Finding{moved(9, 10)}},
		{"rule 12: yesterday's numbers again", c(1000, 600, 5), c(1000, 600, 5), []domain.Finding{repeat}},
		{"rule 12: so is a single number", content(domain.Figures{"installed": 600}), content(domain.Figures{"installed": 600}), []domain.Finding{repeat}},
		{"rule 12: naughts may repeat", c(0, 0, 0), c(0, 0, 0), nil},
		{"rule 12: one field fewer is not the same", c(1000, 600, 0), noToday, nil},
		{"rule 12: nothing to compare with nil", nilReport, c(1, 0, 0), nil},
		{"rule 12: nor nil with anything", c(1, 0, 0), nilReport, nil},
	} {
		if d := cmp.Diff(x.want, domain.Plausibility(x.is, communeForm(), &x.was), cmpopts.EquateEmpty()); d != "" {
			t.Errorf("%s: %s", x.name, d)
		}
	}
	if got := domain.Plausibility(c(1, 1, 1), communeForm(), nil); got != nil {
		t.Errorf("rule 12: the first report of all: %v", got)
	}
	for _, f := range []domain.Finding{fall, moved(1, 2), repeat} {
		for _, l := range []domain.Language{domain.Vietnamese, domain.English} {
			if s := f.Describe(l); s == "" || strings.ContainsAny(s, "{}") || strings.HasPrefix(s, "finding_") {
				t.Errorf("rule 12: %s in %s: %q", f.Rule, l, s)
			}
		}
	}
}
