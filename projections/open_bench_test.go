package projections

import (
	"context"
	"strconv"
	"testing"
	"time"

	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/eventlog"
	"github.com/answerable-ledger/answerable/internal/pgtest"
)

// BenchmarkADayOpens is how long the views take for the one event that makes an obligation for each of 11,500 units: it
// stands between every event after it and its readers. cold: the first batch of a process, which knows no unit yet.
func BenchmarkADayOpens(b *testing.B) {
	const units = 11_500
	ctx := context.Background()
	engines := map[string]func(b *testing.B) string{
		"sqlite":   func(b *testing.B) string { return b.TempDir() },
		"postgres": func(b *testing.B) string { return pgtest.Start(b).Database(b) },
	}
	for engine, place := range engines {
		b.Run(engine, func(b *testing.B) {
			r := newRecorder()
			clock := time.Date(2020, 12, 1, 0, 0, 0, 0, time.UTC)
			l := &load{clock: clock, next: map[string]uint64{}, max: 10_000_000, facts: func(f domain.Fact) { r.record(b, f) }}
			g := domain.DutyGroup{Parent: "700"}
			l.unit("700", domain.LevelDistrict, "Huyện", "74")
			for i := range units {
				code := domain.UnitCode(strconv.Itoa(20000 + i))
				l.unit(code, domain.LevelCommune, "Xã", "700")
				g.Units = append(g.Units, code)
			}
			l.fact("regime-load", "p_department", domain.RegimeIssued{Regime: "load", Rules: domain.Rules{Title: "Chế độ báo cáo thử tải", Zone: "Asia/Ho_Chi_Minh", FirstDay: "2021-01-01",
				Duties: []domain.Duty{{ID: "commune", Form: "commune", FormVersion: 2, Due: "15:00", SignOffDue: "17:00", Holders: domain.Holders{Levels: []domain.Level{domain.LevelCommune}}}}}})
			v := openViews(b, place(b), r)
			defer closeViews(b, v)
			must(b, v.CatchUp(ctx))
			must(b, v.take(ctx)) // otherwise each announced position is looked up, and what is known forgotten
			day := 0
			open := func() []step {
				date := domain.Date("2021-01-01").AddDays(day)
				day++
				due := clock.AddDate(0, 1, day)
				l.fact(domain.DayStream("load", date), domain.System, domain.DayOpened{Regime: "load", Date: date, RegimeVersion: 1, Duties: []domain.DayDuty{
					{Duty: "commune", Form: "commune", FormVersion: 2, Due: due, GraceSeconds: 300, SignOffDue: &due, Groups: []domain.DutyGroup{g}}}})
				var steps []step
				must(b, follow(ctx, r, v.Position(), 1000, 1, func(x batch) bool {
					steps = append(steps, x.steps...)
					return !x.caughtUp
				}))
				return steps
			}
			for range 3 {
				must(b, v.applyBatch(ctx, batch{after: eventlog.Position{}, steps: open()}))
			}
			for _, warm := range []string{"cold", "warm"} {
				b.Run(warm, func(b *testing.B) {
					before := time.Duration(0)
					for b.Loop() {
						b.StopTimer()
						steps := open()
						if warm == "cold" {
							v.live = nil
						}
						was := cpu()
						b.StartTimer()
						must(b, v.applyBatch(ctx, batch{steps: steps}))
						before += cpu() - was
					}
					b.ReportMetric(before.Seconds()*1000/float64(b.N), "cpu_ms/op")
				})
			}
		})
	}
}
