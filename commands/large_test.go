package commands_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/eventlog"
	"github.com/answerable-ledger/answerable/schemas"
)

// The two events that name every unit of a day fit into one event of every store with a quarter to spare, for a province of
// 11,000 units by official codes of which each owes four forms, some reports in their third version and some missing.
func TestEventsOfALargeProvinceFit(t *testing.T) {
	t.Parallel()
	registry, err := schemas.Load()
	if err != nil {
		t.Fatal(err)
	}
	const n = 11_000
	system := domain.SystemActor()
	rules := rules()
	rules.Duties, rules.Targets = nil, nil
	for i, form := range []domain.FormID{"commune", "staff", "publicity", "sector"} {
		current, ok := registry.CurrentForm(form)
		if !ok {
			t.Fatalf("no form %s", form)
		}
		rules.Duties = append(rules.Duties, domain.Duty{ID: domain.DutyID(fmt.Sprint("d", i)), Item: "2a", Name: domain.Wording{Vi: "a", En: "a"}, Form: form, FormVersion: current.Version,
			Holders: domain.Holders{Levels: []domain.Level{domain.LevelCommune}}, Due: "15:00", GraceMinutes: 5})
	}
	issued, err := domain.Regime{}.Issue(regime, rules, system)
	if err != nil {
		t.Fatal(err)
	}
	r := domain.Regime{}.Apply(domain.Fact{Event: issued[0]})
	units := make([]domain.Unit, n)
	for i := range units {
		e := domain.UnitRegistered{Unit: domain.UnitCode(fmt.Sprintf("%05d", 20000+i)), Level: domain.LevelCommune, Type: "Xã", Name: "Đơn vị", Parent: domain.UnitCode(fmt.Sprintf("%03d", i/16)), EffectiveOn: "2020-01-01"}
		units[i] = domain.Unit{}.Apply(domain.Fact{Event: e})
	}
	fits := func(events []domain.Event, err error) domain.Event {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		stored, err := schemas.Encode(domain.Fact{Event: events[0], Meta: domain.Meta{Actor: domain.System, Role: domain.RoleSystem, Channel: domain.ChannelSystem, ReceivedAt: at("08:00:00.000000")}})
		if err != nil {
			t.Fatal(err)
		}
		if err := registry.ValidateEvent(stored); err != nil {
			t.Fatal(err)
		}
		size := len(stored.Data) + len(stored.Meta)
		t.Logf("%s: %d bytes of %d", events[0].Kind(), size, eventlog.MaxEventBytes)
		if size > eventlog.MaxEventBytes*3/4 {
			t.Errorf("%s has %d bytes", events[0].Kind(), size)
		}
		return events[0]
	}
	opened := domain.Day{}.Apply(domain.Fact{Event: fits(domain.Day{}.Open(r, day, units, at("08:00:00.000000")))})
	var parts []domain.IssuedTotal
	for _, duty := range opened.Opened.Duties {
		form, _ := registry.Form(duty.Form, duty.FormVersion)
		var pins []domain.ChildPin
		var missing []domain.UnitCode
		for i, u := range units {
			if i%10 == 9 {
				missing = append(missing, u.Code)
			} else {
				pins = append(pins, domain.ChildPin{Unit: u.Code, Version: 1 + i%3, Digest: strings.Repeat("0123456789abcdef", 4)})
			}
		}
		parts = append(parts, domain.NewIssuedTotal(form, domain.Figures{"installed": 1}, n, pins, missing))
	}
	fits(opened.Issue("UBND tỉnh", "", parts, system))
}
