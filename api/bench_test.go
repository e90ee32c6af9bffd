package api

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/answerable-ledger/answerable/appstate"
	"github.com/answerable-ledger/answerable/commands"
	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/eventlog/memlog"
)

// BenchmarkSubmit is one report of the deadline's rush without the network: every report is another unit's, filed by
// another person with their own token. The log is in memory, so that what is measured is everything but the disk.
func BenchmarkSubmit(b *testing.B) {
	const communes = 4000
	c := &clock{t: clockAt("05:00:00").AddDate(0, 0, -3)}
	w := newBenchWorld(b, c, memlog.New(c.Now), communes)
	requests := make([]*http.Request, communes)
	b.ResetTimer()
	for n := 0; n < b.N; {
		b.StopTimer()
		w.clock.Set(w.clock.Now().AddDate(0, 0, 1))
		day := domain.DateAt(w.clock.Now(), domain.HoChiMinh)
		w.openDay(b, day)
		for i := range requests {
			path := fmt.Sprintf("/v1/regimes/bluezone/reports/commune/c%d/%s", i, day)
			r := httptest.NewRequest(http.MethodPut, path, strings.NewReader(fmt.Sprintf(`{"figures":{"smartphone_users":8000,"installed":%d,"new_today":%d},"note":"như hôm qua"}`, 4000+n%10, 100)))
			r.Header.Set("Content-Type", jsonType)
			r.Header.Set("Authorization", "Bearer "+w.tokens[domain.PersonID(fmt.Sprintf("p%d", i))])
			requests[i] = r
		}
		b.StartTimer()
		for i := 0; i < communes && n < b.N; i, n = i+1, n+1 {
			out := httptest.NewRecorder()
			w.handler.ServeHTTP(out, requests[i])
			if out.Code != http.StatusCreated {
				b.Fatalf("%d %s", out.Code, out.Body)
			}
		}
	}
}

func (w *world) openDay(tb testing.TB, day domain.Date) {
	w.do(func(ctx context.Context, c commands.Command) (commands.Result, error) {
		return w.ledger.OpenDay(ctx, c, "bluezone", day)
	})
}

func newBenchWorld(b *testing.B, c *clock, log *memlog.Log, communes int) *world {
	w := newWorldOn(b, c, options{log: log}, func(w *world) {
		w.populate()
		ctx := context.Background()
		for i := range communes {
			unit, person := domain.UnitCode(fmt.Sprintf("c%d", i)), domain.PersonID(fmt.Sprintf("p%d", i))
			w.do(func(ctx context.Context, c commands.Command) (commands.Result, error) {
				return w.ledger.RegisterUnit(ctx, c, domain.UnitRegistered{Unit: unit, Level: domain.LevelCommune, Type: "Xã", Name: string(unit), Parent: "718", EffectiveOn: "2020-01-01"})
			})
			w.do(func(ctx context.Context, c commands.Command) (commands.Result, error) {
				return w.ledger.RegisterPerson(ctx, c, domain.PersonRegistered{Person: person, Name: string(person)})
			})
			w.do(func(ctx context.Context, c commands.Command) (commands.Result, error) {
				return w.ledger.GrantRole(ctx, c, person, domain.RoleFiler, unit, w.clock.Now(), nil)
			})
			secret, _, err := w.state.CreateToken(ctx, appstate.NewToken{Person: person, Scope: appstate.ScopeWrite})
			if err != nil {
				b.Fatal(err)
			}
			w.tokens[person] = secret
		}
	})
	return w
}
