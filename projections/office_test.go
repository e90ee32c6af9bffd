package projections

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/answerable-ledger/answerable/domain"
)

// Who was head is remembered for a span of time: whatever was asked before, the answer is that of domain's own rule.
func TestHeadIsTheSameHoweverItWasAskedBefore(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		begin := time.Date(2021, 1, 1, 0, 0, 0, 0, time.UTC)
		hour := rapid.IntRange(0, 40)
		u := &unitRow{office: &officeRow{}}
		for range rapid.IntRange(0, 4).Draw(t, "tenures") {
			x := domain.Tenure{From: begin.Add(time.Duration(hour.Draw(t, "from")) * time.Hour)}
			if n := hour.Draw(t, "lasts"); n > 0 {
				x.Until = x.From.Add(time.Duration(n) * time.Hour)
			}
			u.office.state.Tenures = append(u.office.state.Tenures, x)
		}
		for range 30 {
			when := begin.Add(time.Duration(hour.Draw(t, "asked")) * time.Hour)
			got, err := newSet(nil).tenure(u, at(when))
			must(t, err)
			if want := domain.HeadAmong(u.office.state.Tenures, when); int(got) != want {
				t.Fatalf("at %s the head is of tenure %d, domain says %d", when, got, want)
			}
		}
	})
}
