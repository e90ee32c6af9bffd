package projections

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"

	"github.com/answerable-ledger/answerable/domain"
)

// given writes down facts as they could have been recorded. The day is 2021-02-08, due at 15:00 in Bình Dương, which is
// 08:00 UTC; the district consolidates by 16:00.
type given struct {
	facts []domain.Fact
	next  map[string]uint64
	now   time.Time
}

const today domain.Date = "2021-02-08"

func clock(hhmm string) time.Time {
	t, err := time.ParseInLocation("2006-01-02 15:04", hhmm, domain.HoChiMinh)
	if err != nil {
		t, err = time.ParseInLocation("2006-01-02 15:04", string(today)+" "+hhmm, domain.HoChiMinh)
	}
	if err != nil {
		panic(err)
	}
	return t.UTC()
}

func (g *given) at(hhmm string) *given { g.now = clock(hhmm); return g }

func (g *given) fact(stream string, actor domain.PersonID, e domain.Event) *given {
	revision := g.next[stream]
	g.next[stream]++
	id := uuid.NewSHA1(uuid.Nil, fmt.Appendf(nil, "%s %d", stream, revision))
	g.facts = append(g.facts, domain.Fact{Event: e, Meta: domain.Meta{EventID: id, Stream: stream, Revision: revision, ReceivedAt: g.now, RecordedAt: g.now,
		Actor: actor, Role: domain.RoleFiler, Channel: domain.ChannelWeb, CommandID: id, CorrelationID: id}})
	g.now = g.now.Add(time.Second)
	return g
}

func key(unit domain.UnitCode) domain.ReportKey {
	form := domain.FormID("commune")
	if unit == "718" {
		form = "district"
	}
	return domain.ReportKey{Regime: "bluezone", Form: form, Unit: unit, Date: today}
}

func (g *given) unit(code, parent domain.UnitCode, level domain.Level, name string) *given {
	g.fact(domain.UnitStream(code), "p_dept", domain.UnitRegistered{Unit: code, Level: level, Type: "Xã", Name: name, Parent: parent, EffectiveOn: "2000-01-01"})
	head := domain.PersonID("p_head_" + code)
	g.fact(domain.PersonStream(head), "p_admin", domain.PersonRegistered{Person: head, Name: "Thủ trưởng " + name, Synthetic: true})
	return g.take(code, head, "2020-01-01 08:00")
}

func (g *given) take(unit domain.UnitCode, p domain.PersonID, from string) *given {
	return g.fact(domain.OfficeStream(unit), "p_dept", domain.OfficeTaken{Unit: unit, Person: p, Capacity: domain.CapacityHead, Title: "CHỦ TỊCH", From: clock(from), Decision: "QĐ 1"})
}

func (g *given) leave(unit domain.UnitCode, p domain.PersonID, until string) *given {
	return g.fact(domain.OfficeStream(unit), "p_dept", domain.OfficeLeft{Unit: unit, Person: p, Until: clock(until), Reason: "điều động"})
}

// openDay is where every example begins: a province, a district, two communes, their heads, an open day.
func openDay() *given {
	g := (&given{next: map[string]uint64{}}).at("2021-02-05 09:00")
	g.unit("74", "", domain.LevelProvince, "Bình Dương").unit("718", "74", domain.LevelDistrict, "Thủ Dầu Một")
	g.unit("25900", "718", domain.LevelCommune, "Tân Bình").unit("25945", "718", domain.LevelCommune, "Hoà Phú")
	g.fact("regime-bluezone", "p_dept", domain.RegimeIssued{Regime: "bluezone", Rules: domain.Rules{Title: "Chỉ thị 03", Zone: "Asia/Ho_Chi_Minh", FirstDay: "2021-02-05"}})
	g.at("06:00")
	signDue := clock("17:00")
	return g.fact(domain.DayStream("bluezone", today), domain.System, domain.DayOpened{Regime: "bluezone", Date: today, RegimeVersion: 1, Duties: []domain.DayDuty{
		{Duty: "d2a", Form: "commune", FormVersion: 2, Due: clock("15:00"), GraceSeconds: 300, SignOffDue: &signDue, Groups: []domain.DutyGroup{{Parent: "718", Units: []domain.UnitCode{"25900", "25945"}}}},
		{Duty: "d2b", Form: "district", FormVersion: 2, Due: clock("16:00"), GraceSeconds: 300, Consolidates: "commune", Groups: []domain.DutyGroup{{Parent: "74", Units: []domain.UnitCode{"718"}}}},
	}})
}

func content(unit domain.UnitCode, installed int64, pins ...domain.ChildPin) domain.Content {
	return domain.Content{FormVersion: 2, Figures: domain.Figures{"smartphone_users": 4000, "installed": installed, "new_today": 5}, Children: pins}
}

func pin(unit domain.UnitCode, version int, installed int64) domain.ChildPin {
	return domain.ChildPin{Unit: unit, Version: version, Digest: content(unit, installed).Digest(key(unit))}
}

func (g *given) submit(unit domain.UnitCode, installed int64, missing []domain.UnitCode, pins ...domain.ChildPin) *given {
	k, c := key(unit), content(unit, installed, pins...)
	due, timeliness := clock("15:00"), domain.OnTime
	if unit == "718" {
		due = clock("16:00")
	}
	if !g.now.Before(due) {
		timeliness = domain.Late
	}
	return g.fact(k.Stream(), "p_filer", domain.ReportSubmitted{Regime: k.Regime, Form: k.Form, FormVersion: 2, Unit: unit, Date: today, Figures: c.Figures, Digest: c.Digest(k),
		Due: due, RegimeVersion: 1, Timeliness: timeliness, Children: pins, Missing: missing})
}

func (g *given) correct(unit domain.UnitCode, version int, installed int64, pins ...domain.ChildPin) *given {
	k, c := key(unit), content(unit, installed, pins...)
	return g.fact(k.Stream(), "p_filer", domain.ReportCorrected{Regime: k.Regime, Form: k.Form, FormVersion: 2, Unit: unit, Date: today, Version: version, Replaces: version - 1,
		Correction: domain.CorrectionContent, Reason: "đếm lại", Figures: c.Figures, Digest: c.Digest(k), Children: pins})
}

func (g *given) sign(unit domain.UnitCode, version int, installed int64, by domain.PersonID) *given {
	k := key(unit)
	return g.fact(k.Stream(), by, domain.ReportSignedOff{Version: version, Digest: content(unit, installed).Digest(k), Signer: by, Capacity: domain.CapacityHead, Title: "CHỦ TỊCH", Statement: "{}"})
}

func (g *given) breach(unit domain.UnitCode, kind domain.BreachKind) *given {
	k := key(unit)
	return g.fact(k.Stream(), domain.System, domain.DeadlineBreached{Regime: k.Regime, Form: k.Form, Unit: unit, Date: today, Duty: "d2a", Breach: kind, Due: clock("15:00"), RegimeVersion: 1})
}

func (g *given) report(unit domain.UnitCode, by domain.PersonID, e domain.Event) *given {
	return g.fact(key(unit).Stream(), by, e)
}

func (g *given) grant(e domain.Event) *given { return g.fact("regime-bluezone", "p_dept", e) }

// shown is what an example looks at, in words, so that a table can be read.
type shown func(t *testing.T, v *Views, known *time.Time) string

func standing(unit domain.UnitCode) shown {
	return func(t *testing.T, v *Views, known *time.Time) string {
		p, err := v.Compliance(context.Background(), ComplianceQuery{Regime: "bluezone", Unit: unit, From: today, To: today, KnownAt: known})
		must(t, err)
		if len(p.Rows) == 0 {
			return "no row"
		}
		r := p.Rows[0]
		out := fmt.Sprintf("%s v%d %s", r.Status, r.Version, r.SignOff)
		for _, b := range r.Breaches {
			out += " " + string(b)
		}
		for _, c := range r.OutOfDate {
			out += " out_of_date:" + string(c)
		}
		for name, is := range map[string]bool{" nil": r.Nil, " excused": r.Excused, " NOT DETERMINABLE": !r.Determinable} {
			if is {
				out += name
			}
		}
		if due := r.Due.In(domain.HoChiMinh).Format("15:04"); due != "15:00" && unit != "718" {
			out += " due " + due
		}
		return out
	}
}

func answering(unit domain.UnitCode) shown {
	return func(t *testing.T, v *Views, known *time.Time) string {
		p, err := v.Answer(context.Background(), AnswerQuery{Regime: "bluezone", Unit: unit, From: today, To: today, KnownAt: known})
		must(t, err)
		if len(p.Records) == 0 {
			return "no record"
		}
		a := p.Records[0]
		out := "deadline " + head(&a.HeadDeadline)
		if a.HeadSignOff != nil {
			out += ", signed " + head(a.HeadSignOff)
		}
		if a.HeadCorrect != nil {
			out += ", corrected " + head(a.HeadCorrect)
		}
		return out + "; answers " + head(&a.Answerable)
	}
}

func head(h *HeadRef) string {
	switch {
	case h.Person != nil:
		return strings.TrimPrefix(string(h.Person.ID), "p_head_")
	case h.Above != nil:
		return "vacant under " + head(h.Above)
	}
	return "vacant"
}

func breaches(t *testing.T, v *Views, known *time.Time) string {
	p, err := v.Breaches(context.Background(), BreachQuery{Regime: "bluezone", KnownAt: known})
	must(t, err)
	var out []string
	for _, b := range p.Rows {
		s := fmt.Sprintf("%s %s %s of %s", b.Unit, b.Breach, b.Outcome, head(&b.Head))
		for _, e := range b.Explanations {
			s += " «" + e.Text + "»"
		}
		if b.Judgement != nil {
			s += " judged «" + b.Judgement.Text + "»"
		}
		out = append(out, s)
	}
	return strings.Join(out, "; ")
}

func total(form domain.FormID, area domain.UnitCode) shown {
	return func(t *testing.T, v *Views, known *time.Time) string {
		s, err := v.Synthesis(context.Background(), SynthesisQuery{Regime: "bluezone", Date: today, Form: form, KnownAt: known})
		must(t, err)
		for _, x := range s.Totals {
			if x.Area == area {
				for _, f := range x.Sums {
					if f.Field == "installed" {
						return fmt.Sprintf("%d of %d units of %d, missing %v, not determinable %v", f.Value, f.Units, x.Expected, x.Missing, x.NotDeterminable)
					}
				}
			}
		}
		return "no total"
	}
}

func queue(units ...domain.UnitCode) shown {
	return func(t *testing.T, v *Views, _ *time.Time) string {
		p, err := v.SignOffQueue(context.Background(), SignOffQuery{Units: units})
		must(t, err)
		var out []string
		for _, r := range p.Rows {
			out = append(out, fmt.Sprintf("%s v%d %s signed before %d installed %d", r.Unit, r.Version, r.State, r.SignedBefore, r.Figures["installed"]))
		}
		return strings.Join(out, "; ")
	}
}

// figures is who answers for each figure.
func figures(u domain.UnitCode) shown {
	return func(t *testing.T, v *Views, known *time.Time) string {
		t.Helper()
		p, err := v.Answer(context.Background(), AnswerQuery{Regime: "bluezone", Unit: u, Form: "commune", From: today, To: today, KnownAt: known})
		must(t, err)
		var out []string
		for _, r := range p.Records {
			for _, f := range r.Figures {
				out = append(out, f.Field+" "+strings.TrimPrefix(string(f.Answerable.Person.ID), "p_head_"))
			}
		}
		return strings.Join(out, ", ")
	}
}

// then is what a view shows after the given facts; known "" asks for everything known.
type then struct {
	known string
	view  shown
	want  string
}

func TestViewsShowTheRules(t *testing.T) {
	t.Parallel()
	onEveryEngine(t, viewsShowTheRules)
}

func viewsShowTheRules(t *testing.T, place place) {
	excuse := domain.BreachExcused{Breach: domain.BreachMissing, Reason: "mất điện", GrantedBy: "p_dept"}
	for name, example := range map[string]struct {
		given *given
		then  []then
	}{
		"an open day owes": {openDay(), []then{
			{"", standing("25900"), "due v0 none"}, {"05:00", standing("25900"), "no row"}, {"", queue("25900"), ""},
			{"", answering("25900"), "deadline 25900; answers 25900"}, {"", total("commune", "718"), "0 of 0 units of 2, missing [25900 25945], not determinable []"}}},
		"rule 1, rule 2: judged by when it was received": {openDay().at("14:59").submit("25900", 100, nil).at("15:00").submit("25945", 50, nil), []then{
			{"", standing("25900"), "on_time v1 waiting"}, {"", standing("25945"), "late v1 waiting"},
			{"", total("commune", "718"), "150 of 2 units of 2, missing [], not determinable []"}, {"14:59", total("commune", ""), "100 of 1 units of 2, missing [25945], not determinable []"}}},
		"rule 3: missing, then late all the same; the breach stays": {openDay().at("15:05").breach("25900", domain.BreachMissing).at("18:00").submit("25900", 100, nil), []then{
			{"16:00", standing("25900"), "missing v0 none missing"}, {"", standing("25900"), "late v1 waiting missing"}, {"", breaches, "25900 missing standing of 25900"}}},
		"rule 3: received in time, recorded after the breach": {openDay().at("15:05").breach("25900", domain.BreachMissing).at("14:59").submit("25900", 100, nil).at("15:06").
			report("25900", "p_filer", domain.BreachWithdrawn{Breach: domain.BreachMissing, Reason: "nhận đúng hạn", ReceivedAt: clock("14:59")}), []then{
			{"", standing("25900"), "on_time v1 waiting"}, {"", breaches, "25900 missing withdrawn of 25900"}}},
		"rule 5: a correction moves no timeliness": {openDay().at("14:00").submit("25900", 100, nil).at("2021-02-09 10:00").correct("25900", 2, 90), []then{
			{"", standing("25900"), "on_time v2 waiting"}, {"2021-02-08 20:00", standing("25900"), "on_time v1 waiting"}, {"", total("commune", "718"), "90 of 1 units of 2, missing [25945], not determinable []"},
			{"2021-02-08 20:00", total("commune", "718"), "100 of 1 units of 2, missing [25945], not determinable []"}}},
		"rule 6: a later version stands unsigned": {openDay().at("14:00").submit("25900", 100, nil).at("14:10").sign("25900", 1, 100, "p_head_25900").at("14:20").correct("25900", 2, 90), []then{
			{"14:15", standing("25900"), "on_time v1 signed"}, {"", standing("25900"), "on_time v2 superseded"},
			{"", queue("25900", "25945"), "25900 v2 superseded signed before 1 installed 90"}, {"14:15", answering("25900"), "deadline 25900, signed 25900; answers 25900"},
			{"", answering("25900"), "deadline 25900, corrected 25900; answers 25900"}}},
		"a returned report stays in the queue until it is signed": {openDay().at("14:00").submit("25900", 100, nil).at("14:10").
			report("25900", "p_head_25900", domain.ReportReturned{Version: 1, Digest: content("25900", 100).Digest(key("25900")), Reason: "thiếu", ReturnedBy: "p_head_25900"}), []then{
			{"", standing("25900"), "on_time v1 returned"}, {"", queue("25900"), "25900 v1 returned signed before 0 installed 100"}}},
		"rule 8: succession rewrites nothing": {openDay().at("14:00").submit("25900", 100, nil).at("2021-02-09 08:00").leave("25900", "p_head_25900", "2021-02-09 08:00").
			take("25900", "p_new", "2021-02-09 08:00").at("2021-02-10 09:00").correct("25900", 2, 90), []then{
			{"2021-02-09 12:00", answering("25900"), "deadline 25900; answers 25900"}, {"", answering("25900"), "deadline 25900, corrected p_new; answers p_new"}}},
		"rule 8: a correction moves who answers for the figures it changed, and no others": {openDay().at("14:00").submit("25900", 100, nil).at("2021-02-09 08:00").leave("25900", "p_head_25900", "2021-02-09 08:00").
			take("25900", "p_new", "2021-02-09 08:00").at("2021-02-10 09:00").correct("25900", 2, 90), []then{
			{"2021-02-09 12:00", figures("25900"), "smartphone_users 25900, installed 25900, new_today 25900"}, {"", figures("25900"), "smartphone_users 25900, installed p_new, new_today 25900"}}},
		"rule 8: a tenure recorded late is known late": {openDay().at("16:30").leave("25900", "p_head_25900", "2021-02-08 12:00").at("2021-02-09 09:00").take("25900", "p_new", "2021-02-08 12:00"), []then{
			{"16:00", answering("25900"), "deadline 25900; answers 25900"}, {"20:00", answering("25900"), "deadline vacant under 718; answers vacant under 718"},
			{"", answering("25900"), "deadline p_new; answers p_new"}}},
		"rule 8: in a vacancy the level above is shown, also when it changes": {openDay().at("12:00").leave("25900", "p_head_25900", "2021-02-08 12:00").
			at("13:00").leave("718", "p_head_718", "2021-02-08 13:00").at("14:00").take("718", "p_new_718", "2021-02-08 14:00"), []then{
			{"12:30", answering("25900"), "deadline vacant under 718; answers vacant under 718"}, {"13:30", answering("25900"), "deadline vacant under vacant; answers vacant under vacant"},
			{"", answering("25900"), "deadline vacant under p_new_718; answers vacant under p_new_718"}, {"", answering("25945"), "deadline 25945; answers 25945"}}},
		"rule 9: a child's correction makes the sum out of date until it is made again": {openDay().at("14:00").submit("25900", 100, nil).submit("25945", 50, nil).
			at("15:30").submit("718", 150, nil, pin("25900", 1, 100), pin("25945", 1, 50)).at("17:00").correct("25900", 2, 90).at("18:00").correct("718", 2, 140, pin("25900", 2, 90), pin("25945", 1, 50)), []then{
			{"16:00", standing("718"), "on_time v1 waiting"}, {"17:30", standing("718"), "on_time v1 waiting out_of_date:25900"}, {"", standing("718"), "on_time v2 waiting"}}},
		"rule 9: a missing child that arrives makes the sum out of date": {openDay().at("14:00").submit("25900", 100, nil).at("15:30").
			submit("718", 100, []domain.UnitCode{"25945"}, pin("25900", 1, 100)).at("17:00").submit("25945", 50, nil), []then{
			{"16:00", standing("718"), "on_time v1 waiting"}, {"", standing("718"), "on_time v1 waiting out_of_date:25945"}}},
		"rule 9: a sum of what had changed meanwhile is out of date from the start": {openDay().at("14:00").submit("25900", 100, nil).correct("25900", 2, 90).
			at("15:30").submit("718", 100, []domain.UnitCode{"25945"}, pin("25900", 1, 100)), []then{{"", standing("718"), "on_time v1 waiting out_of_date:25900"}}},
		"rule 11: nil is explicit": {openDay().at("14:00").report("25900", "p_filer", domain.ReportSubmitted{Regime: "bluezone", Form: "commune", FormVersion: 2, Unit: "25900", Date: today, Nil: true,
			Digest: domain.Content{FormVersion: 2, Nil: true}.Digest(key("25900")), Due: clock("15:00"), RegimeVersion: 1, Timeliness: domain.OnTime}), []then{{"", standing("25900"), "on_time v1 waiting nil"}}},
		"rule 13: explained, then excused": {openDay().at("15:05").breach("25900", domain.BreachMissing).at("16:00").
			report("25900", "p_head_25900", domain.BreachExplained{Breach: domain.BreachMissing, Text: "mất điện", ExplainedBy: "p_head_25900"}).at("17:00").report("25900", "p_dept", excuse), []then{
			{"15:30", breaches, "25900 missing standing of 25900"}, {"16:30", breaches, "25900 missing explained of 25900 «mất điện»"},
			{"", breaches, "25900 missing excused of 25900 «mất điện» judged «mất điện»"}, {"", standing("25900"), "missing v0 none missing excused"}, {"16:30", standing("25900"), "missing v0 none missing"}}},
		"rule 13: an extension moves the deadline of who is named": {openDay().at("14:00").grant(domain.DeadlineExtended{Regime: "bluezone", Date: today, Duty: "d2a", Units: []domain.UnitCode{"25900"}, Due: clock("18:00"), Reason: "bão", GrantedBy: "p_dept"}), []then{
			{"", standing("25900"), "due v0 none due 18:00"}, {"", standing("25945"), "due v0 none"}, {"13:00", standing("25900"), "due v0 none"}}},
		"rule 13: an exemption frees who is named, before the day is open too": {func() *given {
			g := openDay()
			open := g.facts[len(g.facts)-1]
			g.facts = g.facts[:len(g.facts)-1]
			g.at("05:00").grant(domain.DayExempted{Regime: "bluezone", Date: today, Units: []domain.UnitCode{"25900"}, Reason: "bão", GrantedBy: "p_dept"})
			g.facts = append(g.facts, open)
			return g.at("14:00").grant(domain.DayExempted{Regime: "bluezone", Date: today, Duties: []domain.DutyID{"d2a"}, Reason: "bão", GrantedBy: "p_dept"})
		}(), []then{
			{"10:00", standing("25900"), "exempt v0 none"}, {"10:00", standing("25945"), "due v0 none"}, {"", standing("25945"), "exempt v0 none"}, {"", standing("718"), "due v0 none"},
			{"", total("commune", "718"), "0 of 0 units of 0, missing [], not determinable []"}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			log := newRecorder()
			log.record(t, example.given.facts...)
			v := openViews(t, place(t), log)
			defer closeViews(t, v)
			must(t, v.followInBatches(context.Background(), func() int { return 3 }))
			for _, x := range example.then {
				var known *time.Time
				if x.known != "" {
					at := clock(x.known)
					known = &at
				}
				if have := x.view(t, v, known); have != x.want {
					t.Errorf("known at %q: %q, want %q", x.known, have, x.want)
				}
			}
			must(t, v.Verify(context.Background()))
		})
	}
}

// Rule 15: nothing is re-keyed, and the tree as of a day is asked for apart from what was known.
func TestUnitsChangeAndKeepTheirRows(t *testing.T) {
	t.Parallel()
	onEveryEngine(t, unitsChangeAndKeepTheirRows)
}

func unitsChangeAndKeepTheirRows(t *testing.T, place place) {
	ctx := context.Background()
	g := openDay().at("14:00").submit("25900", 100, nil)
	g.at("2021-03-01 09:00").fact(domain.UnitStream("25900"), "p_dept", domain.UnitReclassified{Unit: "25900", Type: "Thị trấn", Name: "Thị trấn Tân Bình", EffectiveOn: "2021-02-01", Basis: "NQ 1"})
	g.fact(domain.UnitStream("25900"), "p_dept", domain.UnitMoved{Unit: "25900", Parent: "720", EffectiveOn: "2021-03-01", Basis: "NQ 2"})
	log := newRecorder()
	log.record(t, g.facts...)
	v := openViews(t, place(t), log)
	defer closeViews(t, v)
	must(t, v.CatchUp(ctx))

	before := clock("2021-02-20 12:00")
	for _, x := range []struct {
		asOf  domain.Date
		known *time.Time
		want  string
	}{{"", nil, "Thị trấn Tân Bình"}, {"", &before, "Tân Bình"}, {"2021-01-31", nil, "Tân Bình"}} {
		p, err := v.Compliance(ctx, ComplianceQuery{Regime: "bluezone", Unit: "25900", AsOf: x.asOf, KnownAt: x.known})
		must(t, err)
		if r := p.Rows[0]; r.UnitName != x.want || r.Parent != "718" {
			t.Errorf("as of %q, known at %v: %s under %s, want %s under 718", x.asOf, x.known, r.UnitName, r.Parent, x.want)
		}
	}
	for search, want := range map[string][]domain.UnitCode{"hoa phu": {"25945"}, "HÒA": {"25945"}, "tan binh": {"25900"}, "thi tran": {"25900"}, "259": {"25900", "25945"}, "xyz": nil, "%": nil} {
		p, err := v.Units(ctx, UnitQuery{Search: search, Level: domain.LevelCommune})
		must(t, err)
		var have []domain.UnitCode
		for _, u := range p.Rows {
			have = append(have, u.Unit)
		}
		if d := cmp.Diff(want, have, cmpopts.EquateEmpty()); d != "" {
			t.Errorf("search %q:\n%s", search, d)
		}
	}
	p, err := v.Units(ctx, UnitQuery{Unit: "25900", AsOf: "2021-02-08"})
	must(t, err)
	if u := p.Rows[0]; u.Parent != "718" || u.Type != "Thị trấn" {
		t.Errorf("as of the day: %+v", u)
	}
}

// Rule 4: reaching the result is apart from keeping the regime.
func TestTargetsAreApartFromBreaches(t *testing.T) {
	t.Parallel()
	onEveryEngine(t, targetsAreApartFromBreaches)
}

func targetsAreApartFromBreaches(t *testing.T, place place) {
	ctx := context.Background()
	g := openDay().at("14:00").submit("25900", 100, nil).at("16:00")
	for _, j := range []domain.TargetJudged{{Unit: "25900", Numerator: 100, Denominator: 4000, Version: 1}, {Unit: "25945", Met: true, Numerator: 3000, Denominator: 4000}} {
		j.Regime, j.RegimeVersion, j.Target, j.Form, j.Date, j.AtLeastPercent = "bluezone", 1, "sixty_percent", "commune", today, 60
		g.fact(domain.ResultStream("bluezone", j.Unit), domain.System, j)
	}
	log := newRecorder()
	log.record(t, g.facts...)
	v := openViews(t, place(t), log)
	defer closeViews(t, v)
	must(t, v.CatchUp(ctx))
	p, err := v.Targets(ctx, TargetQuery{Regime: "bluezone"})
	must(t, err)
	if p.Met != 1 || p.Missed != 1 || len(p.Rows) != 2 || head(&p.Rows[0].Head) != "25900" || p.Rows[0].UnitName != "Tân Bình" {
		t.Errorf("targets %+v", p)
	}
	if have := breaches(t, v, nil); have != "" {
		t.Errorf("a missed target is no breach: %s", have)
	}
}
