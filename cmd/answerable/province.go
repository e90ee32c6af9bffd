package main

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/answerable-ledger/answerable/commands"
	"github.com/answerable-ledger/answerable/domain"
)

// province is a made-up regime of any size, for the benchmarks and for the tests that kill the process: communes
// numbered from 0 under districts of a hundred, one form a day.
type province struct {
	regime domain.RegimeID
	units  int
	zone   string
	day    domain.Date // first day
	last   domain.Date
}

const (
	provinceFiler domain.PersonID = "filer_all"
	provinceHead  domain.PersonID = "head_all"
)

func (p province) unit(i int) domain.UnitCode { return domain.UnitCode(fmt.Sprintf("u%05d", i)) }

func (p province) district(i int) domain.UnitCode {
	return domain.UnitCode(fmt.Sprintf("d%03d", i/100))
}

func (p province) rules() domain.Rules {
	return domain.Rules{Title: "Đo tải", TitleEn: "Load test", Number: "0", IssuedOn: p.day, IssuedBy: "bench", Zone: p.zone, FirstDay: p.day, LastDay: p.last,
		Duties: []domain.Duty{{ID: "item2a", Item: "2a", Name: domain.Wording{Vi: "Cấp xã", En: "Communes"}, Form: "commune", FormVersion: 2,
			Holders: domain.Holders{Levels: []domain.Level{domain.LevelCommune}}, Due: "23:00", GraceMinutes: 5, SignOffDue: "23:30"}}}
}

// setUp registers everything in a new ledger and issues the regime; many at once, since the log writes in groups.
func (p province) setUp(ctx context.Context, l *commands.Ledger, now func() time.Time) error {
	command := func(parts ...string) commands.Command {
		return systemCommand(append([]string{"province"}, parts...)...)
	}
	for _, person := range []struct {
		id   domain.PersonID
		role domain.Role
	}{{provinceFiler, domain.RoleFiler}, {provinceHead, domain.RoleHead}} {
		if _, err := l.RegisterPerson(ctx, command("person", string(person.id)), domain.PersonRegistered{Person: person.id, Name: string(person.id), Synthetic: true}); err != nil {
			return err
		}
		if _, err := l.GrantRole(ctx, command("role", string(person.id)), person.id, person.role, "", now(), nil); err != nil {
			return err
		}
	}
	register := func(u domain.UnitCode, level domain.Level, parent domain.UnitCode) error {
		_, err := l.RegisterUnit(ctx, command("unit", string(u)), domain.UnitRegistered{Unit: u, Level: level, Type: string(level), Name: "Đơn vị " + string(u),
			Parent: parent, EffectiveOn: "2020-01-01", Synthetic: true})
		if err != nil {
			return err
		}
		_, err = l.TakeOffice(ctx, command("office", string(u)), domain.OfficeTaken{Unit: u, Person: provinceHead, Capacity: domain.CapacityHead,
			Title: "Chủ tịch", From: now().Add(-time.Hour), Decision: "bench"})
		return err
	}
	for i := 0; i < p.units; i += 100 {
		if err := register(p.district(i), domain.LevelDistrict, ""); err != nil {
			return err
		}
	}
	if err := parallel(128, p.units, func(i int) error { return register(p.unit(i), domain.LevelCommune, p.district(i)) }); err != nil {
		return err
	}
	_, err := l.IssueRegime(ctx, command("regime"), p.regime, p.rules())
	return err
}

// open opens a day.
func (p province) open(ctx context.Context, l *commands.Ledger, day domain.Date) error {
	_, err := l.OpenDay(ctx, systemCommand("province", "open", string(day)), p.regime, day)
	return err
}

// systemCommand is an act of the ledger itself, named by its parts.
func systemCommand(parts ...string) commands.Command {
	return commands.Command{ID: domain.NewCommandID(parts...), Actor: domain.System, Role: domain.RoleSystem, Channel: domain.ChannelSystem}
}

// key is the obligation of a unit on a day.
func (p province) key(i int, d domain.Date) domain.ReportKey {
	return domain.ReportKey{Regime: p.regime, Form: "commune", Unit: p.unit(i), Date: d}
}

// figures differ from unit to unit and from day to day, and grow.
func (p province) figures(i, day int) domain.Figures {
	users := int64(2000 + 7*(i%900))
	return domain.Figures{"smartphone_users": users, "installed": users/3 + int64(day), "new_today": 1, "households_visited": int64(40 + (i+day)%60)}
}

// body is a filing as JSON.
func (p province) body(i, day int) []byte {
	f := p.figures(i, day)
	b := []byte(`{"figures":{"households_visited":`)
	b = strconv.AppendInt(b, f["households_visited"], 10)
	b = append(b, `,"installed":`...)
	b = strconv.AppendInt(b, f["installed"], 10)
	b = append(b, `,"new_today":`...)
	b = strconv.AppendInt(b, f["new_today"], 10)
	b = append(b, `,"smartphone_users":`...)
	b = strconv.AppendInt(b, f["smartphone_users"], 10)
	return append(b, `},"note":"Số liệu giả lập để đo tải."}`...)
}

// parallel calls f for 0 to n-1 from a number of goroutines and returns the first error.
func parallel(workers, n int, f func(i int) error) error {
	var mu sync.Mutex
	var first error
	next := 0
	var wg sync.WaitGroup
	for range min(workers, n) {
		wg.Go(func() {
			for {
				mu.Lock()
				i := next
				next++
				stop := first != nil || i >= n
				mu.Unlock()
				if stop {
					return
				}
				if err := f(i); err != nil {
					mu.Lock()
					if first == nil {
						first = err
					}
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	return first
}
