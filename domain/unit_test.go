package domain_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/answerable-ledger/answerable/domain"
)

func TestRegisterAndChangeUnit(t *testing.T) {
	t.Parallel()
	e := domain.UnitRegistered{Unit: unit, Level: domain.LevelCommune, Type: "Xã", Name: "Tân Bình", Parent: district, EffectiveOn: "2004-05-10"}
	register := func(by domain.Actor, change func(*domain.UnitRegistered)) func(domain.Unit) ([]domain.Event, error) {
		e := e
		if change != nil {
			change(&e)
		}
		return func(u domain.Unit) ([]domain.Event, error) { return u.Register(e, by) }
	}
	change := func(e domain.Event, by domain.Actor) func(domain.Unit) ([]domain.Event, error) {
		return func(u domain.Unit) ([]domain.Event, error) { return u.Change(e, by) }
	}
	known := facts(fact("1 08:00:00", "p_department", e))
	ended := append(known[:1:1], fact("2 08:00:00", "p_department", domain.UnitDissolved{Unit: unit, EffectiveOn: "2021-02-09"}))
	town := domain.UnitReclassified{Unit: unit, Type: "Thị trấn", Name: "Tân Bình", EffectiveOn: "2021-02-01", Basis: "NQ 1190"}
	renamed := domain.UnitRenamed{Unit: unit, Name: "Tân Bình Đông", EffectiveOn: "2021-02-01", Basis: "NQ"}
	nameless, typeless, early, groundless := renamed, town, renamed, renamed
	nameless.Name, typeless.Name, early.EffectiveOn, groundless.Basis = "", strings.Repeat("a", domain.MaxNameBytes+1), "2004-05-09", ""
	later := renamed
	later.EffectiveOn = "2021-02-30"
	check(t, domain.Unit{}, []spec[domain.Unit]{
		{name: "register", when: register(department(), nil), then: []domain.Event{e}},
		{name: "once", given: known, when: register(department(), nil), wantErr: no(domain.Conflict, domain.CodeUnitExists, "/unit")},
		{name: "by the department", when: register(admin(), nil), wantErr: no(domain.Forbidden, domain.CodeRoleMissing, "")},
		{name: "rule 15: under its code, which streams can carry", when: register(department(), func(e *domain.UnitRegistered) { e.Unit = "Tân Bình" }), wantErr: no(domain.Invalid, domain.CodeID, "/unit")},
		{name: "at a level", when: register(department(), func(e *domain.UnitRegistered) { e.Level = "hamlet" }), wantErr: no(domain.Invalid, domain.CodeChoice, "/level")},
		{name: "with a name", when: register(department(), func(e *domain.UnitRegistered) { e.Name = " " }), wantErr: no(domain.Invalid, domain.CodeTextMissing, "/name")},
		{name: "from a day on", when: register(department(), func(e *domain.UnitRegistered) { e.EffectiveOn = "2021" }), wantErr: no(domain.Invalid, domain.CodeDate, "/effective_on")},
		{name: "rule 15: reclassified under the same code", given: known, when: change(town, department()), then: []domain.Event{town}},
		{name: "rule 15: renamed", given: known, when: change(renamed, department()), then: []domain.Event{renamed}},
		{name: "rule 15: moved", given: known, when: change(domain.UnitMoved{Unit: unit, Parent: "720", EffectiveOn: "2021-02-01", Basis: "NQ"}, department()),
			then: []domain.Event{domain.UnitMoved{Unit: unit, Parent: "720", EffectiveOn: "2021-02-01", Basis: "NQ"}}},
		{name: "rule 15: merged", given: known, when: change(domain.UnitMerged{Unit: unit, Into: "25873", EffectiveOn: "2021-02-01", Basis: "NQ"}, department()),
			then: []domain.Event{domain.UnitMerged{Unit: unit, Into: "25873", EffectiveOn: "2021-02-01", Basis: "NQ"}}},
		{name: "rule 15: dissolved", given: known, when: change(domain.UnitDissolved{Unit: unit, EffectiveOn: "2021-02-01", Basis: "NQ"}, department()),
			then: []domain.Event{domain.UnitDissolved{Unit: unit, EffectiveOn: "2021-02-01", Basis: "NQ"}}},
		{name: "what ended does not change", given: ended, when: change(renamed, department()), wantErr: no(domain.Conflict, domain.CodeUnitEnded, "/unit")},
		{name: "what is there", when: change(renamed, department()), wantErr: no(domain.NotFound, domain.CodeUnitUnknown, "/unit")},
		{name: "by the department only", given: known, when: change(renamed, theHead()), wantErr: no(domain.Forbidden, domain.CodeRoleMissing, "")},
		{name: "to a name", given: known, when: change(nameless, department()), wantErr: no(domain.Invalid, domain.CodeTextMissing, "/name")},
		{name: "of bounded length", given: known, when: change(typeless, department()), wantErr: no(domain.Invalid, domain.CodeTextTooLong, "/name")},
		{name: "not before it was there", given: known, when: change(early, department()), wantErr: no(domain.Invalid, domain.CodeDate, "/effective_on")},
		{name: "on a day", given: known, when: change(later, department()), wantErr: no(domain.Invalid, domain.CodeDate, "/effective_on")},
		{name: "on a ground", given: known, when: change(groundless, department()), wantErr: no(domain.Invalid, domain.CodeTextMissing, "/basis")},
		{name: "rule 15: another unit's change is not recorded here", given: known, when: change(domain.UnitRenamed{Unit: "25873", Name: "a", EffectiveOn: "2021-02-01", Basis: "NQ"}, department()),
			wantErr: no(domain.Invalid, domain.CodeChoice, "/unit")},
		{name: "not under itself", given: known, when: change(domain.UnitMoved{Unit: unit, Parent: unit, EffectiveOn: "2021-02-01", Basis: "NQ"}, department()), wantErr: no(domain.Invalid, domain.CodeChoice, "/parent")},
		{name: "not into itself", given: known, when: change(domain.UnitMerged{Unit: unit, Into: unit, EffectiveOn: "2021-02-01", Basis: "NQ"}, department()), wantErr: no(domain.Invalid, domain.CodeChoice, "/into")},
		{name: "no other event changes a unit", given: known, when: change(e, department()), wantErr: no(domain.Invalid, domain.CodeChoice, "")},
	})
}

// TestUnitAsOf: "the tree as of" a day does not depend on the order in which changes were recorded (rule 15).
func TestUnitAsOf(t *testing.T) {
	t.Parallel()
	changes := []domain.Event{
		domain.UnitReclassified{Type: "Thị trấn", Name: "Tân Bình", EffectiveOn: "2021-02-01"},
		domain.UnitMoved{Parent: "720", EffectiveOn: "2021-02-05"},
		domain.UnitRenamed{Name: "Tân Thành", NameEn: "Tan Thanh", EffectiveOn: "2021-02-03"},
		domain.UnitRenamed{Name: "Tân Mỹ", EffectiveOn: "2021-02-07"},
	}
	want := map[domain.Date]domain.UnitPeriod{
		"2020-01-01": {From: "2000-01-01", Type: "Xã", Name: "Tân Bình", Parent: district}, "2021-01-31": {From: "2000-01-01", Type: "Xã", Name: "Tân Bình", Parent: district},
		"2021-02-01": {From: "2021-02-01", Type: "Thị trấn", Name: "Tân Bình", Parent: district}, "2021-02-03": {From: "2021-02-03", Type: "Thị trấn", Name: "Tân Thành", NameEn: "Tan Thanh", Parent: district},
		"2021-02-05": {From: "2021-02-05", Type: "Thị trấn", Name: "Tân Thành", NameEn: "Tan Thanh", Parent: "720"}, "2021-02-08": {From: "2021-02-07", Type: "Thị trấn", Name: "Tân Mỹ", Parent: "720"},
	}
	rapid.Check(t, func(t *rapid.T) {
		u := registered(unit, district, domain.LevelCommune, "Xã", rapid.Permutation(changes).Draw(t, "order")...)
		for on, want := range want {
			if d := cmp.Diff(want, u.On(on)); d != "" {
				t.Fatalf("rule 15: on %s: %s", on, d)
			}
		}
		if u.Code != unit || u.Name != "Tân Mỹ" || u.Type != "Thị trấn" || u.Parent != "720" || u.ParentOn("2021-02-04") != district {
			t.Fatalf("rule 15: %+v", u)
		}
	})
	// Two changes of one day are one period.
	u := registered(unit, district, domain.LevelCommune, "Xã", domain.UnitRenamed{Name: "a", EffectiveOn: "2021-02-01"}, domain.UnitRenamed{Name: "b", EffectiveOn: "2021-02-01"})
	if len(u.Periods) != 2 || u.Name != "b" {
		t.Errorf("%+v", u.Periods)
	}
}

func TestUnitActive(t *testing.T) {
	t.Parallel()
	u := registered(unit, district, domain.LevelCommune, "Xã", domain.UnitMerged{Into: "25873", EffectiveOn: "2021-02-09"})
	for on, want := range map[domain.Date]bool{"1999-12-31": false, "2000-01-01": true, "2021-02-08": true, "2021-02-09": false} {
		if u.ActiveOn(on) != want {
			t.Errorf("rule 15: on %s: %v", on, !want)
		}
	}
	if u.Into != "25873" || (domain.Unit{}).ActiveOn(day) {
		t.Error("rule 15")
	}
}
