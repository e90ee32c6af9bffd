package domain_test

import (
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/answerable-ledger/answerable/domain"
)

func registered(code, parent domain.UnitCode, l domain.Level, typ string, more ...domain.Event) domain.Unit {
	u := domain.Unit{}.Apply(fact("1 08:00:00", "p_department", domain.UnitRegistered{Unit: code, Level: l, Type: typ, Name: "Tân Bình", Parent: parent, EffectiveOn: "2000-01-01"}))
	for _, e := range more {
		u = u.Apply(fact("1 09:00:00", "p_department", e))
	}
	return u
}

func tree() []domain.Unit {
	return []domain.Unit{
		registered("25945", "720", domain.LevelCommune, "Xã"), registered(unit, district, domain.LevelCommune, "Thị trấn"),
		registered("25873", district, domain.LevelCommune, "Phường"), registered(district, "74", domain.LevelDistrict, "Huyện"), registered("720", "74", domain.LevelDistrict, "Huyện"),
	}
}

func opened() domain.DayOpened {
	cutOff, signOff := at("12:00:00"), at("17:00:00")
	return domain.DayOpened{Regime: key.Regime, Date: day, RegimeVersion: 1, Duties: []domain.DayDuty{
		{Duty: "commune", Form: "commune", FormVersion: 2, CutOff: &cutOff, Due: at("15:00:00"), GraceSeconds: 600, SignOffDue: &signOff,
			Groups: []domain.DutyGroup{{Parent: "719", Units: []domain.UnitCode{"25873", "25900"}}, {Parent: "720", Units: []domain.UnitCode{"25945"}}}},
		{Duty: "district", Form: "district", FormVersion: 2, Due: at("16:00:00"), GraceSeconds: 300, Consolidates: "commune",
			Groups: []domain.DutyGroup{{Parent: "74", Units: []domain.UnitCode{"719"}}}},
	}}
}

func openDay() domain.Day { return domain.Day{}.Apply(fact("7 18:00:00", domain.System, opened())) }

func TestOpenDay(t *testing.T) {
	t.Parallel()
	open := func(r domain.Regime, date domain.Date, units []domain.Unit, now string) func(domain.Day) ([]domain.Event, error) {
		return func(d domain.Day) ([]domain.Event, error) { return d.Open(r, date, units, at(now)) }
	}
	amendedRules := rules()
	amendedRules.Duties[0].Due = "14:00"
	second := opened()
	second.RegimeVersion = 2
	second.Duties = slices.Clone(second.Duties)
	second.Duties[0].Due = at("14:00:00")
	moved := func(on domain.Date) []domain.Unit {
		return append(tree()[1:], registered("25945", "720", domain.LevelCommune, "Xã", domain.UnitMoved{Unit: "25945", Parent: "719", EffectiveOn: on}))
	}
	merged := opened()
	merged.Duties = slices.Clone(merged.Duties)
	merged.Duties[0].Groups = []domain.DutyGroup{{Parent: "719", Units: []domain.UnitCode{"25873", "25900", "25945"}}}
	gone := opened()
	gone.Duties = slices.Clone(gone.Duties)
	gone.Duties[0].Groups = gone.Duties[0].Groups[:1]
	many := make([]domain.Unit, domain.MaxUnitsPerDay+1)
	for i := range many {
		many[i] = domain.Unit{Code: domain.UnitCode("u" + strconv.Itoa(i)), Level: domain.LevelCommune, From: "2000-01-01"}
	}

	check(t, domain.Day{}, []spec[domain.Day]{
		{name: "rule 3: the obligations are listed before they fall due", when: open(regime(), day, tree(), "7 18:00:00"), then: []domain.Event{opened()}},
		{name: "rule 3: not once one could no longer be kept", when: open(regime(), day, tree(), "15:00:00"), wantErr: no(domain.Conflict, domain.CodeDeadlinePassed, "/date")},
		{name: "rule 3: once", given: facts(fact("7 18:00:00", domain.System, opened())), when: open(regime(), day, tree(), "7 19:00:00"), wantErr: no(domain.Conflict, domain.CodeDayOpen, "/date")},
		{name: "rule 2: under the version then in force, which the day names", when: open(regime(domain.RegimeAmended{Version: 2, Rules: amendedRules}), day, tree(), "7 18:00:00"), then: []domain.Event{second}},
		{name: "rule 15: a unit moved on the day reports through its new parent", when: open(regime(), day, moved(day), "7 18:00:00"), then: []domain.Event{merged}},
		{name: "rule 15: one that moves the day after does not", when: open(regime(), day, moved("2021-02-09"), "7 18:00:00"), then: []domain.Event{opened()}},
		{name: "rule 15: a unit that ended owes nothing", then: []domain.Event{gone},
			when: open(regime(), day, append(tree()[1:], registered("25945", "720", domain.LevelCommune, "Xã", domain.UnitMerged{Into: unit, EffectiveOn: day})), "7 18:00:00")},
		{name: "rule 15: one that ends the day after still does", then: []domain.Event{opened()},
			when: open(regime(), day, append(tree()[1:], registered("25945", "720", domain.LevelCommune, "Xã", domain.UnitDissolved{EffectiveOn: "2021-02-09"})), "7 18:00:00")},
		{name: "a day the regime skips", when: open(regime(), "2021-02-07", tree(), "6 18:00:00"), wantErr: no(domain.Invalid, domain.CodeNotReportingDay, "/date")},
		{name: "a regime that is not there", when: open(domain.Regime{}, day, tree(), "7 18:00:00"), wantErr: no(domain.NotFound, domain.CodeRegimeUnknown, "/regime")},
		{name: "more units than an event can hold", when: open(regime(), day, many, "7 18:00:00"), wantErr: no(domain.Invalid, domain.CodeRange, "/duty")},
	})
}

// TestOpenByTypeAsOfTheDay: a type that is known to change later does not count before (rule 15).
func TestOpenByTypeAsOfTheDay(t *testing.T) {
	t.Parallel()
	r := rules()
	r.Duties = r.Duties[:1]
	r.Duties[0].Holders = domain.Holders{Types: []string{"Phường"}}
	for on, want := range map[domain.Date]int{"2021-02-08": 1, "2021-02-09": 0} {
		u := registered("25945", "720", domain.LevelCommune, "Xã", domain.UnitReclassified{Type: "Phường", EffectiveOn: on})
		events, err := domain.Day{}.Open(regime(domain.RegimeAmended{Version: 2, Rules: r}), day, []domain.Unit{u}, at("7 18:00:00"))
		if err != nil {
			t.Fatal(err)
		}
		if got := len(events[0].(domain.DayOpened).Duties[0].Groups); got != want {
			t.Errorf("rule 15: a ward from %s on is listed %d times, want %d", on, got, want)
		}
	}
}

// TestOpenOwesAFormOnce: of two duties with one form a unit owes the first that it holds.
func TestOpenOwesAFormOnce(t *testing.T) {
	t.Parallel()
	r := rules()
	first := r.Duties[0]
	first.ID, first.Due, first.Holders, first.CutOff = "early", "13:00", domain.Holders{Units: []domain.UnitCode{unit}}, ""
	r.Duties = []domain.Duty{first, r.Duties[0]}
	events, err := domain.Day{}.Open(regime(domain.RegimeAmended{Version: 2, Rules: r}), day, tree(), at("7 18:00:00"))
	if err != nil {
		t.Fatal(err)
	}
	d := domain.Day{}.Apply(fact("7 18:00:00", domain.System, events[0]))
	var got []string
	for _, o := range d.Obligations(regime()) {
		got = append(got, string(o.Duty)+" "+string(o.Key.Unit)+" "+o.Due.In(domain.HoChiMinh).Format("15:04"))
	}
	if diff := cmp.Diff([]string{"early 25900 13:00", "commune 25873 15:00", "commune 25945 15:00"}, got); diff != "" {
		t.Error(diff)
	}
	if got := d.Children("commune", district); !slices.Equal(got, []domain.UnitCode{"25873", "25900"}) {
		t.Errorf("rule 9: children %v", got)
	}
}

func TestObligation(t *testing.T) {
	t.Parallel()
	want := owed()
	cutOff := at("12:00:00")
	want.RegimeVersion, want.CutOff = 1, &cutOff
	got, err := openDay().Obligation(regime(), key)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("rules 2 and 14: %s", d)
	}

	_, err = domain.Day{}.Obligation(regime(), key)
	checkRefusal(t, err, no(domain.NotFound, domain.CodeDayNotOpen, "/date"))
	elsewhere := key
	elsewhere.Unit = "99999"
	_, err = openDay().Obligation(regime(), elsewhere)
	checkRefusal(t, err, no(domain.NotFound, domain.CodeNoObligation, "/unit"))

	// Rule 2: an amendment does not touch an open day; an extension does, and moves the sign-off when it passes it.
	later := rules()
	later.Duties[0].Due = "18:00"
	got, _ = openDay().Obligation(regime(domain.RegimeAmended{Version: 2, Rules: later}), key)
	if !got.Due.Equal(at("15:00:00")) || got.RegimeVersion != 1 {
		t.Errorf("rule 2: %s under version %d", got.Due, got.RegimeVersion)
	}
	for due, signOff := range map[string]string{"16:00:00": "17:00:00", "18:00:00": "18:00:00"} {
		got, _ = openDay().Obligation(regime(domain.DeadlineExtended{Date: day, Duty: "commune", Due: at(due)}), key)
		if !got.Due.Equal(at(due)) || !got.Closes.Equal(at(due).Add(10*time.Minute)) || !got.SignOffDue.Equal(at(signOff)) || !got.SignOffCloses.Equal(at(signOff).Add(10*time.Minute)) {
			t.Errorf("rule 13: extended to %s: %+v", due, got)
		}
	}
	got, _ = openDay().Obligation(regime(domain.DayExempted{Date: day, Units: []domain.UnitCode{unit}, Reason: "lũ"}), key)
	if got.Exempt == nil || got.Exempt.Reason != "lũ" {
		t.Errorf("rule 13: %+v", got.Exempt)
	}
}

func TestCloseDay(t *testing.T) {
	t.Parallel()
	all := domain.Counts{Obligations: 4, OnTime: 1, Late: 1, Missing: 1, Exempt: 1, Nil: 1}
	closed := domain.DayClosed{Regime: key.Regime, Date: day, RegimeVersion: 1, ClosedAt: at("16:05:00"), Counts: all, ViewsDigest: "d", ViewsPosition: "p"}
	end := func(r domain.Regime, n domain.Counts, now string) func(domain.Day) ([]domain.Event, error) {
		return func(d domain.Day) ([]domain.Event, error) { return d.Close(r, n, "d", "p", at(now)) }
	}
	fewer, more, wrong, other := all, all, all, all
	other.Obligations = 5
	fewer.Missing = 0
	more.OnTime = 2
	wrong.Obligations, wrong.OnTime = 5, 2
	before := facts(fact("7 18:00:00", domain.System, opened()))
	check(t, domain.Day{}, []spec[domain.Day]{
		{name: "rule 3: after the last deadline of sending and its grace", given: before, when: end(regime(), all, "16:05:00"), then: []domain.Event{closed}},
		{name: "rule 3: not before", given: before, when: end(regime(), all, "16:04:59.999999999"), wantErr: no(domain.Conflict, domain.CodeDayNotOver, "/date")},
		{name: "rule 3: an extension keeps the day open", given: before, when: end(regime(domain.DeadlineExtended{Date: day, Duty: "commune", Due: at("18:00:00")}), all, "16:05:00"), wantErr: no(domain.Conflict, domain.CodeDayNotOver, "/date")},
		{name: "rule 3: once", given: append(before, fact("16:05:00", domain.System, closed)), when: end(regime(), all, "16:06:00"), wantErr: no(domain.Conflict, domain.CodeDayClosed, "/date")},
		{name: "rule 4: the counts cover every obligation", given: before, when: end(regime(), fewer, "16:05:00"), wantErr: no(domain.Conflict, domain.CodeCounts, "/counts")},
		{name: "rule 4: and none twice", given: before, when: end(regime(), more, "16:05:00"), wantErr: no(domain.Conflict, domain.CodeCounts, "/counts")},
		{name: "rule 4: of this day", given: before, when: end(regime(), wrong, "16:05:00"), wantErr: no(domain.Conflict, domain.CodeCounts, "/counts")},
		{name: "rule 4: all of them", given: before, when: end(regime(), other, "16:05:00"), wantErr: no(domain.Conflict, domain.CodeCounts, "/counts")},
		{name: "a day that was opened", when: end(regime(), all, "16:05:00"), wantErr: no(domain.NotFound, domain.CodeDayNotOpen, "/date")},
	})
}

// A synthesis names the version of each report in it, and its digest binds what each said, in whatever order they were
// summed (rule 16).
func TestIssuedTotal(t *testing.T) {
	t.Parallel()
	form := domain.Form{ID: "commune", Scope: domain.ScopeTerritory}
	got := domain.NewIssuedTotal(form, figures(2000, 1200), 4, []domain.ChildPin{{Unit: "25945", Version: 1, Digest: "cc"}, {Unit: "25741", Version: 2, Digest: "bb"}, {Unit: "25900", Version: 1, Digest: "aa"}}, []domain.UnitCode{"25873"})
	want := domain.IssuedTotal{Form: "commune", Scope: domain.ScopeTerritory, Figures: figures(2000, 1200), Expected: 4, Missing: []domain.UnitCode{"25873"},
		Inputs:       []domain.IssuedVersion{{Version: 1, Units: []domain.UnitCode{"25900", "25945"}}, {Version: 2, Units: []domain.UnitCode{"25741"}}},
		InputsDigest: "7e0c3b292b18e30fb936b6c9d4bfd88285c099550b5bf293fed0d01819d9df68"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error("rule 16:", d)
	}
}

func TestIssueReport(t *testing.T) {
	t.Parallel()
	parts := []domain.IssuedTotal{{Form: "commune", Scope: domain.ScopeTerritory, Figures: figures(2000, 1200), Expected: 3, Inputs: []domain.IssuedVersion{{Version: 1, Units: []domain.UnitCode{unit}}}, InputsDigest: "d", Missing: []domain.UnitCode{"25945"}}}
	sent := func(n int) domain.ReportIssued {
		return domain.ReportIssued{Regime: key.Regime, Date: day, Number: n, To: "UBND tỉnh", IssuedBy: "p_department", Note: "lần đầu", Parts: parts}
	}
	issue := func(to string, by domain.Actor) func(domain.Day) ([]domain.Event, error) {
		return func(d domain.Day) ([]domain.Event, error) { return d.Issue(to, "lần đầu", parts, by) }
	}
	before := facts(fact("7 18:00:00", domain.System, opened()))
	check(t, domain.Day{}, []spec[domain.Day]{
		{name: "rule 16: the synthesis keeps what each number was made of", given: before, when: issue("UBND tỉnh", department()), then: []domain.Event{sent(1)}},
		{name: "rule 16: a second one is the second", given: append(before, fact("17:00:00", "p_department", sent(1))), when: issue("UBND tỉnh", department()), then: []domain.Event{sent(2)}},
		{name: "rule 16: none takes an earlier one's place", given: append(before, fact("17:00:00", "p_department", sent(1)), fact("18:00:00", "p_department", sent(2))), when: issue("UBND tỉnh", department()), then: []domain.Event{sent(3)}},
		{name: "by the department", given: before, when: issue("UBND tỉnh", theHead()), wantErr: no(domain.Forbidden, domain.CodeRoleMissing, "")},
		{name: "to somebody", given: before, when: issue("", department()), wantErr: no(domain.Invalid, domain.CodeTextMissing, "/to")},
		{name: "a day that was opened", when: issue("UBND tỉnh", department()), wantErr: no(domain.NotFound, domain.CodeDayNotOpen, "/date")},
	})
}

func TestDayFinds(t *testing.T) {
	t.Parallel()
	d := openDay()
	if got := d.Children("commune", district); !slices.Equal(got, []domain.UnitCode{"25873", "25900"}) {
		t.Errorf("rule 9: %v", got)
	}
	if d.Children("commune", "74") != nil || (domain.Day{}).Children("commune", district) != nil {
		t.Error("rule 9: children of nobody")
	}
	if _, ok := d.Duty("district"); !ok {
		t.Error("no duty")
	}
	if _, ok := d.Duty("ward"); ok {
		t.Error("a duty that is not there")
	}
	if n := len(d.Obligations(regime())); n != 4 {
		t.Errorf("%d obligations", n)
	}
	if !d.LastClose(regime()).Equal(at("16:05:00")) {
		t.Errorf("closes at %s", d.LastClose(regime()))
	}
}
