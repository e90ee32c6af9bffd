package domain_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/answerable-ledger/answerable/domain"
)

func rules() domain.Rules {
	return domain.Rules{Title: "Chỉ thị 03", Zone: "Asia/Ho_Chi_Minh", FirstDay: "2021-02-05", LastDay: "2021-02-10", SkipDays: []domain.Date{"2021-02-07"},
		Duties: []domain.Duty{
			{ID: "commune", Form: "commune", FormVersion: 2, Holders: domain.Holders{Levels: []domain.Level{domain.LevelCommune}}, CutOff: "12:00", Due: "15:00", GraceMinutes: 10, SignOffDue: "17:00"},
			{ID: "district", Form: "district", FormVersion: 2, Holders: domain.Holders{Units: []domain.UnitCode{district}}, Due: "16:00", GraceMinutes: 5, Consolidates: "commune"},
		},
		Targets: []domain.Target{{ID: "sixty", Duty: "commune", Numerator: "installed", Denominator: "smartphone_users", AtLeastPercent: 60, On: "2021-02-10"}}}
}

func issued() []domain.Fact {
	return facts(fact("1 08:00:00", "p_department", domain.RegimeIssued{Regime: key.Regime, Rules: rules()}))
}

func regime(more ...domain.Event) domain.Regime {
	r := domain.Regime{}.Apply(issued()[0])
	for _, e := range more {
		r = r.Apply(fact("2 08:00:00", "p_department", e))
	}
	return r
}

func TestIssueAndAmend(t *testing.T) {
	t.Parallel()
	issue := func(id domain.RegimeID, by domain.Actor) func(domain.Regime) ([]domain.Event, error) {
		return func(r domain.Regime) ([]domain.Event, error) { return r.Issue(id, rules(), by) }
	}
	amend := func(reason string, by domain.Actor) func(domain.Regime) ([]domain.Event, error) {
		return func(r domain.Regime) ([]domain.Event, error) { return r.Amend(rules(), reason, by) }
	}
	end := func(last domain.Date, by domain.Actor) func(domain.Regime) ([]domain.Event, error) {
		return func(r domain.Regime) ([]domain.Event, error) { return r.Close(last, "hết dịch", by) }
	}
	closed := domain.RegimeClosed{Regime: key.Regime, LastDay: "2021-02-09", Reason: "hết dịch", GrantedBy: "p_department"}
	check(t, domain.Regime{}, []spec[domain.Regime]{
		{name: "issue", when: issue("bluezone", department()), then: []domain.Event{domain.RegimeIssued{Regime: "bluezone", Rules: rules()}}},
		{name: "issue once", given: issued(), when: issue("bluezone", department()), wantErr: no(domain.Conflict, domain.CodeRegimeExists, "")},
		{name: "issue by the department", when: issue("bluezone", admin()), wantErr: no(domain.Forbidden, domain.CodeRoleMissing, "")},
		{name: "issue under an id that stream names can carry", when: issue("blue-zone", department()), wantErr: no(domain.Invalid, domain.CodeID, "/regime")},
		{name: "rule 2: an amendment is a further version", given: issued(), when: amend("lùi giờ", department()),
			then: []domain.Event{domain.RegimeAmended{Regime: key.Regime, Version: 2, Rules: rules(), Reason: "lùi giờ", GrantedBy: "p_department"}}},
		{name: "rule 13: it names a reason", given: issued(), when: amend("", department()), wantErr: no(domain.Invalid, domain.CodeTextMissing, "/reason")},
		{name: "rule 13: and needs the right", given: issued(), when: amend("lùi giờ", inspector()), wantErr: no(domain.Forbidden, domain.CodeRoleMissing, "")},
		{name: "amend what exists", when: amend("lùi giờ", department()), wantErr: no(domain.NotFound, domain.CodeRegimeUnknown, "/regime")},
		{name: "rule 13: the end names who and why", given: issued(), when: end("2021-02-09", department()), then: []domain.Event{closed}},
		{name: "rule 13: it needs the right", given: issued(), when: end("2021-02-09", theHead()), wantErr: no(domain.Forbidden, domain.CodeRoleMissing, "")},
		{name: "the end is a day", given: issued(), when: end("2021-02-30", department()), wantErr: no(domain.Invalid, domain.CodeDate, "/last_day")},
		{name: "it ends once", given: append(issued(), fact("9 08:00:00", "p_department", closed)), when: end("2021-02-09", department()), wantErr: no(domain.Conflict, domain.CodeRegimeClosed, "")},
	})
}

// TestRulesAreChecked: each setting that cannot work is refused at its place.
func TestRulesAreChecked(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		change  func(*domain.Rules)
		code    domain.Code
		pointer string
	}{
		{"no title", func(r *domain.Rules) { r.Title = " " }, domain.CodeTextMissing, "/title"},
		{"no such zone", func(r *domain.Rules) { r.Zone = "Asia/Ha_Noi" }, domain.CodeZone, "/zone"},
		{"the machine's own zone", func(r *domain.Rules) { r.Zone = "Local" }, domain.CodeZone, "/zone"},
		{"no zone", func(r *domain.Rules) { r.Zone = "" }, domain.CodeZone, "/zone"},
		{"no first day", func(r *domain.Rules) { r.FirstDay = "" }, domain.CodeDate, "/first_day"},
		{"the end before the beginning", func(r *domain.Rules) { r.LastDay = "2021-02-04" }, domain.CodeDate, "/last_day"},
		{"more than ten years", func(r *domain.Rules) { r.LastDay = "2031-03-01" }, domain.CodeDate, "/last_day"},
		{"a skipped day that is none", func(r *domain.Rules) { r.SkipDays = []domain.Date{"2021-2-7"} }, domain.CodeDate, "/skip_days/0"},
		{"no duty", func(r *domain.Rules) { r.Duties, r.Targets = nil, nil }, domain.CodeTextMissing, "/duties"},
		{"a duty twice", func(r *domain.Rules) { r.Duties[1].ID, r.Duties[1].Consolidates = "commune", "" }, domain.CodeID, "/duties/1/duty"},
		{"a form that streams cannot carry", func(r *domain.Rules) { r.Duties[0].Form = "commune.2" }, domain.CodeID, "/duties/0/form"},
		{"no deadline", func(r *domain.Rules) { r.Duties[0].Due = "" }, domain.CodeClockTime, "/duties/0/due"},
		{"rule 14: data counted up to after the deadline", func(r *domain.Rules) { r.Duties[0].CutOff = "15:01" }, domain.CodeClockTime, "/duties/0/cut_off"},
		{"signed before it is due", func(r *domain.Rules) { r.Duties[0].SignOffDue = "14:59" }, domain.CodeClockTime, "/duties/0/sign_off_due"},
		{"more grace than a day has", func(r *domain.Rules) { r.Duties[0].GraceMinutes = domain.MaxGraceMinutes + 1 }, domain.CodeRange, "/duties/0/grace_minutes"},
		{"less grace than none", func(r *domain.Rules) { r.Duties[0].GraceMinutes = -1 }, domain.CodeRange, "/duties/0/grace_minutes"},
		{"sums a duty that is not there", func(r *domain.Rules) { r.Duties[1].Consolidates = "ward" }, domain.CodeDutyUnknown, "/duties/1/consolidates"},
		{"sums itself", func(r *domain.Rules) { r.Duties[1].Consolidates = "district" }, domain.CodeDutyUnknown, "/duties/1/consolidates"},
		{"sums what sums it", func(r *domain.Rules) { r.Duties[0].Consolidates = "district" }, domain.CodeDutyUnknown, "/duties/0/consolidates"},
		{"a target of no duty", func(r *domain.Rules) { r.Targets[0].Duty = "ward" }, domain.CodeDutyUnknown, "/targets/0/duty"},
		{"a target without id", func(r *domain.Rules) { r.Targets[0].ID = "" }, domain.CodeID, "/targets/0/target"},
		{"two targets with one id", func(r *domain.Rules) { r.Targets = append(r.Targets, r.Targets[0]) }, domain.CodeID, "/targets/1/target"},
		{"more than all", func(r *domain.Rules) { r.Targets[0].AtLeastPercent = 101 }, domain.CodeRange, "/targets/0/at_least_percent"},
		{"a target of no day", func(r *domain.Rules) { r.Targets[0].On = "" }, domain.CodeDate, "/targets/0/on"},
	} {
		r := rules()
		c.change(&r)
		_, err := domain.Regime{}.Issue("bluezone", r, department())
		var e *domain.Error
		if !errors.As(err, &e) {
			t.Errorf("%s: accepted", c.name)
			continue
		}
		if !slices.ContainsFunc(e.Faults, func(f domain.Fault) bool { return f.Code == c.code && f.Pointer == c.pointer }) {
			t.Errorf("%s: %v, want %s at %s", c.name, err, c.code, c.pointer)
		}
		if _, err := regime().Amend(r, "thử", department()); err == nil {
			t.Errorf("%s: accepted as an amendment", c.name)
		}
	}
	// Rule 14: cut-off and deadline are two settings, and may be one time.
	r := rules()
	r.Duties[0].CutOff, r.Duties[0].SignOffDue = "15:00", "15:00:00"
	if _, err := (domain.Regime{}).Issue("bluezone", r, department()); err != nil {
		t.Error(err)
	}
}

func TestExtend(t *testing.T) {
	t.Parallel()
	extend := func(duty domain.DutyID, date domain.Date, units []domain.UnitCode, due, reason, now string, by domain.Actor) func(domain.Regime) ([]domain.Event, error) {
		return func(r domain.Regime) ([]domain.Event, error) {
			return r.Extend(domain.Day{}, duty, date, units, at(due), reason, at(now), by)
		}
	}
	extended := domain.DeadlineExtended{Regime: key.Regime, Date: day, Duty: "commune", Units: []domain.UnitCode{"25873", unit}, Due: at("18:00:00"), Reason: "bão số 1", GrantedBy: "p_department"}
	both := []domain.UnitCode{unit, "25873", unit}
	already := append(issued(), fact("8 14:00:00", "p_department", extended))
	openDay := domain.Day{}.Apply(fact("7 18:00:00", domain.System, domain.DayOpened{Regime: key.Regime, Date: day, Duties: []domain.DayDuty{{Duty: "commune", Form: "commune", Due: at("14:00:00")}}}))
	check(t, domain.Regime{}, []spec[domain.Regime]{
		{name: "rule 13: it names who and why", given: issued(), when: extend("commune", day, both, "18:00:00", "bão số 1", "14:59:59", department()), then: []domain.Event{extended}},
		{name: "rule 2: at the deadline it is too late", given: issued(), when: extend("commune", day, both, "18:00:00", "bão số 1", "15:00:00", department()), wantErr: no(domain.Conflict, domain.CodeDeadlinePassed, "/date")},
		{name: "rule 2: too late for one is too late for all named", given: already, when: extend("commune", day, []domain.UnitCode{unit, "25874"}, "19:00:00", "bão số 1", "15:30:00", department()), wantErr: no(domain.Conflict, domain.CodeDeadlinePassed, "/date")},
		{name: "rule 2: who was extended may be so again", given: already, when: extend("commune", day, both, "19:00:00", "bão số 1", "17:59:00", department()),
			then: []domain.Event{func() domain.Event { e := extended; e.Due = at("19:00:00"); return e }()}},
		{name: "an extension is later", given: already, when: extend("commune", day, both, "18:00:00", "bão số 1", "14:00:00", department()), wantErr: no(domain.Invalid, domain.CodeNotLater, "/due")},
		{name: "rule 13: it needs the right", given: issued(), when: extend("commune", day, both, "18:00:00", "bão", "14:00:00", theHead()), wantErr: no(domain.Forbidden, domain.CodeRoleMissing, "")},
		{name: "rule 13: and a reason", given: issued(), when: extend("commune", day, both, "18:00:00", "", "14:00:00", department()), wantErr: no(domain.Invalid, domain.CodeTextMissing, "/reason")},
		{name: "a duty of the regime", given: issued(), when: extend("ward", day, both, "18:00:00", "bão", "14:00:00", department()), wantErr: no(domain.Invalid, domain.CodeDutyUnknown, "/duty")},
		{name: "a reporting day", given: issued(), when: extend("commune", "2021-02-07", both, "18:00:00", "bão", "14:00:00", department()), wantErr: no(domain.Invalid, domain.CodeNotReportingDay, "/date")},
		{name: "rule 2: an open day keeps its own deadline, which has passed", given: issued(), wantErr: no(domain.Conflict, domain.CodeDeadlinePassed, "/date"), when: func(r domain.Regime) ([]domain.Event, error) {
			return r.Extend(openDay, "commune", day, both, at("18:00:00"), "bão", at("14:30:00"), department())
		}},
		{name: "rule 2: an open day has only its own duties", given: issued(), wantErr: no(domain.Invalid, domain.CodeDutyUnknown, "/duty"), when: func(r domain.Regime) ([]domain.Event, error) {
			return r.Extend(openDay, "district", day, both, at("18:00:00"), "bão", at("13:30:00"), department())
		}},
	})
}

// TestExtended: for the units named or for all, the latest counts, and another day or duty is not touched.
func TestExtended(t *testing.T) {
	t.Parallel()
	one := domain.DeadlineExtended{Date: day, Duty: "commune", Units: []domain.UnitCode{unit}, Due: at("18:00:00")}
	all := domain.DeadlineExtended{Date: day, Duty: "commune", Due: at("16:00:00")}
	r := regime(one, all)
	for _, c := range []struct {
		duty domain.DutyID
		d    domain.Date
		u    domain.UnitCode
		want string
	}{{"commune", day, unit, "18:00:00"}, {"commune", day, "25873", "16:00:00"}, {"district", day, unit, "15:00:00"}, {"commune", "2021-02-09", unit, "15:00:00"}} {
		if got := r.Extended(c.duty, c.d, c.u, at("15:00:00")); !got.Equal(at(c.want)) {
			t.Errorf("rule 13: %s %s %s: %s", c.duty, c.d, c.u, got)
		}
	}
}

func TestExemption(t *testing.T) {
	t.Parallel()
	exempt := func(d domain.Day, duties []domain.DutyID, units []domain.UnitCode, reason, now string, by domain.Actor) func(domain.Regime) ([]domain.Event, error) {
		return func(r domain.Regime) ([]domain.Event, error) {
			return r.Exemption(d, day, duties, units, reason, at(now), by)
		}
	}
	one, communes := []domain.UnitCode{unit}, []domain.DutyID{"commune"}
	// Opened with both duties; the rules have dropped the commune's since.
	openDay := domain.Day{}.Apply(fact("7 18:00:00", domain.System, domain.DayOpened{Regime: key.Regime, Date: day,
		Duties: []domain.DayDuty{{Duty: "commune", Form: "commune", Due: at("15:00:00")}, {Duty: "district", Form: "district", Due: at("16:00:00")}}}))
	fewer := rules()
	fewer.Duties, fewer.Targets = []domain.Duty{fewer.Duties[1]}, nil
	fewer.Duties[0].Consolidates = ""
	extended := append(issued(), fact("8 09:00:00", "p_department", domain.DeadlineExtended{Regime: key.Regime, Date: day, Duty: "commune", Units: one, Due: at("18:00:00")}))
	amended := append(issued(), fact("8 09:00:00", "p_department", domain.RegimeAmended{Regime: key.Regime, Version: 2, Rules: fewer}))
	check(t, domain.Regime{}, []spec[domain.Regime]{
		{name: "rule 13: it names who and why", given: issued(), when: exempt(domain.Day{}, communes, one, "lũ", "14:59:59", department()),
			then: []domain.Event{domain.DayExempted{Regime: key.Regime, Date: day, Duties: communes, Units: one, Reason: "lũ", GrantedBy: "p_department"}}},
		{name: "rule 13: after the deadline only an excuse is left", given: issued(), when: exempt(domain.Day{}, communes, one, "lũ", "15:00:00", department()), wantErr: no(domain.Conflict, domain.CodeDeadlinePassed, "/date")},
		{name: "rule 2: the whole day, when one deadline of it has passed", given: issued(), when: exempt(domain.Day{}, nil, nil, "lũ", "15:30:00", department()), wantErr: no(domain.Conflict, domain.CodeDeadlinePassed, "/date")},
		{name: "rule 2: the whole open day, when a duty that the rules dropped since has passed", given: amended, when: exempt(openDay, nil, nil, "lũ", "15:30:00", department()), wantErr: no(domain.Conflict, domain.CodeDeadlinePassed, "/date")},
		{name: "rule 2: any duty named, when its deadline has passed", given: issued(), when: exempt(openDay, []domain.DutyID{"district", "commune"}, one, "lũ", "15:30:00", department()), wantErr: no(domain.Conflict, domain.CodeDeadlinePassed, "/date")},
		{name: "rule 2: any unit named, when its deadline has passed", given: extended, when: exempt(domain.Day{}, communes, []domain.UnitCode{unit, "25873"}, "lũ", "15:30:00", department()), wantErr: no(domain.Conflict, domain.CodeDeadlinePassed, "/date")},
		{name: "rule 13: who was given longer may still be freed", given: extended, when: exempt(domain.Day{}, communes, one, "lũ", "15:30:00", department()),
			then: []domain.Event{domain.DayExempted{Regime: key.Regime, Date: day, Duties: communes, Units: one, Reason: "lũ", GrantedBy: "p_department"}}},
		{name: "rule 13: it needs the right", given: issued(), when: exempt(domain.Day{}, nil, one, "lũ", "10:00:00", admin()), wantErr: no(domain.Forbidden, domain.CodeRoleMissing, "")},
		{name: "rule 13: and a reason", given: issued(), when: exempt(domain.Day{}, nil, one, " ", "10:00:00", department()), wantErr: no(domain.Invalid, domain.CodeTextMissing, "/reason")},
		{name: "a duty of the regime", given: issued(), when: exempt(domain.Day{}, []domain.DutyID{"ward"}, one, "lũ", "10:00:00", department()), wantErr: no(domain.Invalid, domain.CodeDutyUnknown, "/duty")},
	})
	r := regime(domain.DayExempted{Date: day, Duties: communes, Units: one}, domain.DayExempted{Date: "2021-02-09"})
	for _, c := range []struct {
		duty domain.DutyID
		d    domain.Date
		u    domain.UnitCode
		want bool
	}{{"commune", day, unit, true}, {"commune", day, "25873", false}, {"district", day, unit, false}, {"district", "2021-02-09", district, true}, {"commune", "2021-02-10", unit, false}} {
		if _, got := r.Exempt(c.duty, c.d, c.u); got != c.want {
			t.Errorf("rule 13: %s %s %s exempt: %v", c.duty, c.d, c.u, got)
		}
	}
}

func TestReportingDays(t *testing.T) {
	t.Parallel()
	r := regime()
	ended := regime(domain.RegimeClosed{LastDay: "2021-02-08"})
	for d, want := range map[domain.Date][2]bool{"2021-02-04": {}, "2021-02-05": {true, true}, "2021-02-07": {}, "2021-02-08": {true, true}, "2021-02-09": {true, false}, "2021-02-10": {true, false}, "2021-02-11": {}} {
		if got := [2]bool{r.ReportsOn(d), ended.ReportsOn(d)}; got != want {
			t.Errorf("%s: %v, want %v", d, got, want)
		}
	}
	if (domain.Regime{}).ReportsOn(day) {
		t.Error("a regime that does not exist has no days")
	}
	for d, want := range map[domain.Date][2]domain.Date{"2021-02-06": {"2021-02-05", "2021-02-08"}, "2021-02-05": {"", "2021-02-06"}, "2021-02-10": {"2021-02-09", ""}, "2022-01-01": {}} {
		if got := [2]domain.Date{r.Neighbour(d, -1), r.Neighbour(d, 1)}; got != want {
			t.Errorf("beside %s: %v, want %v", d, got, want)
		}
	}
	for d, want := range map[domain.Date][2]domain.Date{"2021-01-01": {"2021-02-05", "2021-02-05"}, "2021-02-07": {"2021-02-07", "2021-02-07"}, "2021-02-09": {"2021-02-09", "2021-02-08"}, "2026-11-22": {"2021-02-10", "2021-02-08"}} {
		midnight, err := time.ParseInLocation(time.DateOnly, string(d), domain.HoChiMinh) // in UTC that is the day before
		if got := [2]domain.Date{r.DayShown(midnight), ended.DayShown(midnight)}; err != nil || got != want {
			t.Errorf("shown on %s: %v, want %v", d, got, want)
		}
	}
}

// TestVersionsStay: an amendment adds a version, the earlier ones can still be judged by (rule 2).
func TestVersionsStay(t *testing.T) {
	t.Parallel()
	later := rules()
	later.Title, later.Zone = strings.ToUpper(later.Title), "Asia/Tokyo"
	r := regime(domain.RegimeAmended{Version: 2, Rules: later})
	first, ok1 := r.RulesVersion(1)
	second, ok2 := r.RulesVersion(2)
	_, ok3 := r.RulesVersion(3)
	if !ok1 || !ok2 || ok3 || r.Version() != 2 || len(r.InForce) != 2 || r.Zone.String() != "Asia/Tokyo" {
		t.Errorf("rule 2: %+v", r)
	}
	if d := cmp.Diff([]domain.Rules{rules(), later, later}, []domain.Rules{first, second, r.Rules()}); d != "" {
		t.Errorf("rule 2: %s", d)
	}
}
