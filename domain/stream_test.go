package domain_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/answerable-ledger/answerable/domain"
)

func TestStreams(t *testing.T) {
	t.Parallel()
	for got, want := range map[string]string{
		key.Stream():                             "report-bluezone.commune.25900.20210208",
		domain.RegimeStream("bluezone"):          "regime-bluezone",
		domain.DayStream("bluezone", day):        "regimeday-bluezone.20210208",
		domain.UnitStream(unit):                  "unit-25900",
		domain.OfficeStream(unit):                "office-25900",
		domain.PersonStream("p_1"):               "person-p_1",
		domain.ResultStream("bluezone", "25900"): "result-bluezone.25900",
	} {
		if got != want {
			t.Errorf("%s, want %s", got, want)
		}
		category, _, _ := strings.Cut(got, "-")
		if !slices.Contains(domain.Categories, category) || strings.Count(got, "-") != 1 {
			t.Errorf("%s is in no category", got)
		}
	}
}

func TestValidID(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]bool{"": false, "a": true, "so_y_te": true, "25900": true, strings.Repeat("a", 40): true, strings.Repeat("a", 41): false,
		"a-b": false, "a.b": false, "A": false, "đ": false, "a b": false, "a\n": false} {
		if domain.ValidID(s) != want {
			t.Errorf("%q: %v", s, !want)
		}
	}
}

func FuzzParseReportStream(f *testing.F) {
	for _, s := range []string{key.Stream(), "report-", "report-a.b.c.20210208", "report-a.b.c.2021-2-8", "report-a.b.c.d.20210208", "unit-25900", "report-....", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if k, ok := domain.ParseReportStream(s); ok && k.Stream() != s {
			t.Errorf("%q comes back as %q", s, k.Stream())
		}
	})
}
