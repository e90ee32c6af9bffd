package commands_test

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/eventlog"
	"github.com/answerable-ledger/answerable/schemas"
)

// dutiesOfCommunes are four forms that every commune owes.
func dutiesOfCommunes(t *testing.T, registry *schemas.Registry) (out []domain.Duty) {
	for i, form := range []domain.FormID{"commune", "staff", "publicity", "sector"} {
		current, ok := registry.CurrentForm(form)
		if !ok {
			t.Fatalf("no form %s", form)
		}
		out = append(out, domain.Duty{ID: domain.DutyID(fmt.Sprint("d", i)), Item: "2a", Name: domain.Wording{Vi: "a", En: "a"}, Form: form, FormVersion: current.Version,
			Holders: domain.Holders{Levels: []domain.Level{domain.LevelCommune}}, Due: "15:00", GraceMinutes: 5})
	}
	return out
}

// A day with more obligations than an event can name is refused in words that say how many it can, and nothing is recorded;
// with that many, it is opened.
func TestADayTooLargeIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	registry, err := schemas.Load()
	if err != nil {
		t.Fatal(err)
	}
	rules := rules()
	rules.Duties, rules.Targets = dutiesOfCommunes(t, registry), nil
	w.ok(w.ledger.IssueRegime(w.ctx, w.as("dept"), "large", rules))
	const long, units = 40, 5_600
	duties := len(rules.Duties)
	code := func(i int) domain.UnitCode { return domain.UnitCode(fmt.Sprintf("u%0*d", long-1, i)) }
	for i := range units {
		w.ok(w.ledger.RegisterUnit(w.ctx, w.system(), domain.UnitRegistered{Unit: code(i), Level: domain.LevelCommune, Type: "x", Name: "Đơn vị", Parent: "d1", EffectiveOn: "2020-01-01", Synthetic: true}))
	}
	_, err = w.ledger.OpenDay(w.ctx, w.as("dept"), "large", day)
	var refusal *domain.Error
	if !errors.As(err, &refusal) || refusal.Code() != domain.CodeDayTooLarge || refusal.Faults[0].Pointer != "/duties/0" {
		t.Fatal(err)
	}
	most, convErr := strconv.Atoi(refusal.Faults[0].Args["max"])
	if convErr != nil || refusal.Faults[0].Args["count"] != strconv.Itoa(duties*(units+3)) || most > duties*units || most < duties*units*9/10 {
		t.Errorf("%+v", refusal.Faults[0])
	}
	if d, err := w.ledger.Day(w.ctx, "large", day); err != nil || d.Opened != nil {
		t.Errorf("%+v, %v", d.Opened, err)
	}
	for i := range units + 3 - most/duties {
		w.ok(w.ledger.ChangeUnit(w.ctx, w.system(), code(i), domain.UnitDissolved{Unit: code(i), EffectiveOn: day, Basis: "QĐ"}))
	}
	w.ok(w.ledger.OpenDay(w.ctx, w.as("dept"), "large", day))
}

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
	rules.Duties, rules.Targets = dutiesOfCommunes(t, registry), nil
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
