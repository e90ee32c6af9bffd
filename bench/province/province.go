package province

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/answerable-ledger/answerable/commands"
	"github.com/answerable-ledger/answerable/domain"
)

// Province is a regime with one form a day. Its communes are numbered from 0, under districts of a hundred.
type Province struct {
	Regime domain.RegimeID
	Units  int // communes
	Zone   string
	Day    domain.Date // the first
	Last   domain.Date
}

// Who acts for all of its units.
const (
	Filer domain.PersonID = "filer_all"
	Head  domain.PersonID = "head_all"
)

// Unit is the code of a commune.
func (p Province) Unit(i int) domain.UnitCode { return domain.UnitCode(fmt.Sprintf("u%05d", i)) }

// District is the code of the district above a commune.
func (p Province) District(i int) domain.UnitCode {
	return domain.UnitCode(fmt.Sprintf("d%03d", i/100))
}

// Rules are those of its regime.
func (p Province) Rules() domain.Rules {
	return domain.Rules{Title: "Đo tải", TitleEn: "Load test", Number: "0", IssuedOn: p.Day, IssuedBy: "bench", Zone: p.Zone, FirstDay: p.Day, LastDay: p.Last,
		Duties: []domain.Duty{{ID: "item2a", Item: "2a", Name: domain.Wording{Vi: "Cấp xã", En: "Communes"}, Form: "commune", FormVersion: 2,
			Holders: domain.Holders{Levels: []domain.Level{domain.LevelCommune}}, Due: "23:00", GraceMinutes: 5, SignOffDue: "23:30"}}}
}

// SetUp registers everything in a new ledger and issues the regime; many at once, since the log writes in groups.
func (p Province) SetUp(ctx context.Context, l *commands.Ledger, now func() time.Time) error {
	command := func(parts ...string) commands.Command {
		return commands.System(append([]string{"province"}, parts...)...)
	}
	for _, person := range []struct {
		id   domain.PersonID
		role domain.Role
	}{{Filer, domain.RoleFiler}, {Head, domain.RoleHead}} {
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
		_, err = l.TakeOffice(ctx, command("office", string(u)), domain.OfficeTaken{Unit: u, Person: Head, Capacity: domain.CapacityHead,
			Title: "Chủ tịch", From: now().Add(-time.Hour), Decision: "bench"})
		return err
	}
	for i := 0; i < p.Units; i += 100 {
		if err := register(p.District(i), domain.LevelDistrict, ""); err != nil {
			return err
		}
	}
	if err := p.Each(128, func(i int) error { return register(p.Unit(i), domain.LevelCommune, p.District(i)) }); err != nil {
		return err
	}
	_, err := l.IssueRegime(ctx, command("regime"), p.Regime, p.Rules())
	return err
}

// Open opens a day.
func (p Province) Open(ctx context.Context, l *commands.Ledger, day domain.Date) error {
	_, err := l.OpenDay(ctx, commands.System("province", "open", string(day)), p.Regime, day)
	return err
}

// Key is the obligation of a unit on a day.
func (p Province) Key(i int, d domain.Date) domain.ReportKey {
	return domain.ReportKey{Regime: p.Regime, Form: "commune", Unit: p.Unit(i), Date: d}
}

// Figures differ from unit to unit and from day to day, and grow.
func (p Province) Figures(i, day int) domain.Figures {
	users := int64(2000 + 7*(i%900))
	return domain.Figures{"smartphone_users": users, "installed": users/3 + int64(day), "new_today": 1, "households_visited": int64(40 + (i+day)%60)}
}

// Body is a filing of those figures as JSON.
func (p Province) Body(i, day int) []byte {
	f := p.Figures(i, day)
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

// Each calls f for every commune from a number of goroutines, stops at the first error and returns it.
func (p Province) Each(workers int, f func(i int) error) error {
	var mu sync.Mutex
	var first error
	next := 0
	var wg sync.WaitGroup
	for range min(workers, p.Units) {
		wg.Go(func() {
			for {
				mu.Lock()
				i := next
				next++
				stop := first != nil || i >= p.Units
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
