package domain_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/answerable-ledger/answerable/domain"
)

func TestClose(t *testing.T) {
	t.Parallel()
	f, g := figures(1000, 600), figures(1000, 610)
	onTime, late := fact("14:00:00", filer, submitted(f, domain.OnTime)), fact("15:05:00", filer, submitted(f, domain.Late))
	sign := func(clock string, version int, of domain.Figures) domain.Fact {
		return fact(clock, head, domain.ReportSignedOff{Version: version, Digest: digest(of), Signer: head})
	}
	missing, lateBreach := breached(domain.BreachMissing, "15:00:00", 0), breached(domain.BreachLate, "15:00:00", 1)
	withdrawn := fact("15:11:00", filer, domain.BreachWithdrawn{Breach: domain.BreachMissing, ReceivedAt: at("14:59:00")})
	unsigned := func(version int) domain.DeadlineBreached { return breached(domain.BreachUnsigned, "17:00:00", version) }
	extended := owed()
	extended.Due, extended.Closes = at("16:00:00"), at("16:10:00")
	noSignOff := owed()
	noSignOff.SignOffDue, noSignOff.SignOffCloses = nil, nil

	for _, c := range []struct {
		name  string
		given []domain.Fact
		o     domain.Obligation
		now   string
		want  []domain.Event
	}{
		{"rule 3: before the grace is over nothing is a breach", nil, owed(), "15:09:59.999", nil},
		{"rule 3: at deadline plus grace it is", nil, owed(), "15:10:00", []domain.Event{missing}},
		{"rule 3: once", facts(fact("15:10:00", domain.System, missing)), owed(), "18:00:00", nil},
		{"rule 3: and not again when it was withdrawn", facts(fact("15:10:00", domain.System, missing), onTime, withdrawn, sign("16:00:00", 1, f)), owed(), "18:00:00", nil},
		{"rule 3: nor unsigned again, by a correction that waited even longer", facts(onTime, fact("17:10:00", domain.System, unsigned(1)), sign("16:58:00", 1, f),
			fact("17:11:00", head, domain.BreachWithdrawn{Breach: domain.BreachUnsigned}), fact("16:59:00", filer, corrected(2, f, g))), owed(), "18:00:00", nil},
		{"rule 4: on time is no breach", facts(onTime), owed(), "15:10:00", nil},
		{"rule 4: late is one", facts(late), owed(), "15:10:00", []domain.Event{lateBreach}},
		{"rule 4: once", facts(late, fact("15:10:00", domain.System, lateBreach)), owed(), "16:00:00", nil},
		{"rule 4: what is missing and then late is one breach", facts(fact("15:10:00", domain.System, missing), late), noSignOff, "18:00:00", nil},
		{"rule 2: the extended deadline counts", nil, extended, "16:09:59", nil},
		{"rule 13: an exempt unit breaches nothing", nil, exempted(), "18:00:00", nil},
		{"rule 4: unsigned at the sign-off deadline plus grace", facts(onTime), owed(), "17:10:00", []domain.Event{unsigned(1)}},
		{"rule 4: not before", facts(onTime), owed(), "17:09:59", nil},
		{"rule 4: once", facts(onTime, fact("17:10:00", domain.System, unsigned(1))), owed(), "18:00:00", nil},
		{"rule 1: signed just before 17:00 is in time", facts(onTime, sign("16:59:59.999", 1, f)), owed(), "18:00:00", nil},
		{"rule 1: signed at 17:00 is not", facts(onTime, sign("17:00:00", 1, f)), owed(), "18:00:00", []domain.Event{unsigned(1)}},
		{"rule 6: signed, then corrected before 17:00, is unsigned", facts(onTime, sign("15:00:00", 1, f), fact("16:00:00", filer, corrected(2, f, g))), owed(), "18:00:00", []domain.Event{unsigned(2)}},
		{"rule 6: signed again it is not", facts(onTime, sign("15:00:00", 1, f), fact("16:00:00", filer, corrected(2, f, g)), sign("16:30:00", 2, g)), owed(), "18:00:00", nil},
		{"rule 4: a correction after 17:00 does not unsign what was signed", facts(onTime, sign("15:00:00", 1, f), fact("17:05:00", filer, corrected(2, f, g))), owed(), "18:00:00", nil},
		{"rule 4: the breach names the version that was unsigned", facts(onTime, fact("17:05:00", filer, corrected(2, f, g))), owed(), "18:00:00", []domain.Event{unsigned(1)}},
		{"rule 4: late and unsigned are two breaches", facts(late), owed(), "17:10:00", []domain.Event{lateBreach, unsigned(1)}},
		{"rule 4: missing is not unsigned as well", nil, owed(), "18:00:00", []domain.Event{missing}},
		{"rule 4: nor is what came after 17:00", facts(fact("17:01:00", filer, submitted(f, domain.Late))), owed(), "18:00:00", []domain.Event{lateBreach}},
		{"a duty without sign-off deadline", facts(onTime), noSignOff, "18:00:00", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := domain.Report{Key: key}
			for _, f := range c.given {
				r = r.Apply(f)
			}
			if d := cmp.Diff(c.want, r.Close(c.o, at(c.now)), cmpopts.EquateEmpty()); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

func TestExplainExcuseUphold(t *testing.T) {
	t.Parallel()
	missing := facts(fact("15:10:00", domain.System, breached(domain.BreachMissing, "15:00:00", 0)))
	withdrawn := append(missing[:1:1], fact("15:11:00", filer, domain.BreachWithdrawn{Breach: domain.BreachMissing}))
	explain := func(text string, o domain.Office, now string, by domain.PersonID) func(domain.Report) ([]domain.Event, error) {
		return func(r domain.Report) ([]domain.Event, error) {
			return r.Explain(domain.BreachMissing, text, o, at(now), actor(by))
		}
	}
	excuse := func(reason string, by domain.Actor) func(domain.Report) ([]domain.Event, error) {
		return func(r domain.Report) ([]domain.Event, error) { return r.Excuse(domain.BreachMissing, reason, by) }
	}
	uphold := func(reason string, by domain.Actor) func(domain.Report) ([]domain.Event, error) {
		return func(r domain.Report) ([]domain.Event, error) { return r.Uphold(domain.BreachMissing, reason, by) }
	}
	explained := func(by domain.PersonID) []domain.Event {
		return []domain.Event{domain.BreachExplained{Breach: domain.BreachMissing, Text: "mất điện", ExplainedBy: by}}
	}
	check(t, domain.Report{Key: key}, []spec[domain.Report]{
		{name: "rule 13: the head of the deadline explains", given: missing, when: explain("mất điện", office(succession()...), "9 10:00:00", head), then: explained(head)},
		{name: "rule 13: so does the head of today", given: missing, when: explain("mất điện", office(succession()...), "9 10:00:00", next), then: explained(next)},
		{name: "rule 13: nobody else", given: missing, when: explain("mất điện", office(succession()...), "9 10:00:00", filer), wantErr: no(domain.Forbidden, domain.CodeNotInOffice, "")},
		{name: "rule 13: an explanation has words", given: missing, when: explain(" ", office(), "16:00:00", head), wantErr: no(domain.Invalid, domain.CodeTextMissing, "/text")},
		{name: "rule 13: there is a breach to explain", when: explain("mất điện", office(), "16:00:00", head), wantErr: no(domain.NotFound, domain.CodeNoBreach, "/breach")},
		{name: "rule 13: what was withdrawn needs none", given: withdrawn, when: explain("mất điện", office(), "16:00:00", head), wantErr: no(domain.NotFound, domain.CodeNoBreach, "/breach")},
		{name: "rule 13: an excuse names grantor and reason", given: missing, when: excuse("bão", department()),
			then: []domain.Event{domain.BreachExcused{Breach: domain.BreachMissing, Reason: "bão", GrantedBy: "p_department"}}},
		{name: "rule 13: and needs the right to grant", given: missing, when: excuse("bão", theHead()), wantErr: no(domain.Forbidden, domain.CodeRoleMissing, "")},
		{name: "rule 13: and a reason", given: missing, when: excuse("", department()), wantErr: no(domain.Invalid, domain.CodeTextMissing, "/reason")},
		{name: "rule 13: and a breach", when: excuse("bão", department()), wantErr: no(domain.NotFound, domain.CodeNoBreach, "/breach")},
		{name: "rule 13: upholding too names who and why", given: missing, when: uphold("đã nhắc hai lần", department()),
			then: []domain.Event{domain.BreachUpheld{Breach: domain.BreachMissing, Reason: "đã nhắc hai lần", UpheldBy: "p_department"}}},
		{name: "rule 13: and needs the right", given: missing, when: uphold("không", inspector()), wantErr: no(domain.Forbidden, domain.CodeRoleMissing, "")},
		{name: "rule 13: and a reason that is not too long", given: missing, when: uphold(strings.Repeat("a", domain.MaxTextBytes+1), department()), wantErr: no(domain.Invalid, domain.CodeTextTooLong, "/reason")},
	})

	// An explanation changes nothing and none takes another's place; the last of excused and upheld counts; the breach stays.
	explanation := fact("16:00:00", head, domain.BreachExplained{Breach: domain.BreachMissing, Text: "mất điện", ExplainedBy: head})
	excused := fact("17:00:00", "p_department", domain.BreachExcused{Breach: domain.BreachMissing, Reason: "bão"})
	upheld := fact("16:30:00", "p_department", domain.BreachUpheld{Breach: domain.BreachMissing})
	for _, c := range []struct {
		name            string
		given           []domain.Fact
		excused, upheld bool
	}{
		{"an explanation changes nothing", facts(), false, false},
		{"excused", facts(excused), true, false},
		{"upheld, then excused", facts(upheld, excused), true, false},
		{"excused, then upheld", facts(excused, upheld), false, true},
	} {
		r := domain.Report{Key: key}
		for _, f := range slices.Concat(missing, facts(explanation, explanation), c.given) {
			r = r.Apply(f)
		}
		if b := r.Breaches[0]; len(r.Breaches) != 1 || len(b.Explanations) != 2 || b.Withdrawn != nil || (b.Upheld != nil) != c.upheld || (b.Excused != nil) != c.excused || r.Status(false) != domain.StatusMissing {
			t.Errorf("rule 13: %s: %+v", c.name, b)
		}
	}
}

func TestRemind(t *testing.T) {
	t.Parallel()
	officer := actor("p_719", domain.Grant{Role: domain.RoleDistrict, Unit: district})
	sent := func(by domain.PersonID) []domain.Event {
		return []domain.Event{domain.ReminderSent{Regime: key.Regime, Form: key.Form, Unit: unit, Date: day, SentBy: by, Via: "mail", Text: "đề nghị gửi trước 15h"}}
	}
	remind := func(via, text string, by domain.Actor) func(domain.Report) ([]domain.Event, error) {
		return func(r domain.Report) ([]domain.Event, error) { return r.Remind(owed(), via, text, by) }
	}
	const text = "đề nghị gửi trước 15h"
	check(t, domain.Report{Key: key}, []spec[domain.Report]{
		{name: "rule 9: a district urges its commune", when: remind("mail", text, officer), then: sent("p_719")},
		{name: "rule 9: the department anybody", when: remind("mail", text, department()), then: sent("p_department")},
		{name: "rule 9: the ledger by itself", when: remind("mail", text, domain.SystemActor()), then: sent(domain.System)},
		{name: "rule 9: another district does not", when: remind("mail", text, actor("p_720", domain.Grant{Role: domain.RoleDistrict, Unit: "720"})), wantErr: no(domain.Forbidden, domain.CodeRoleMissing, "")},
		{name: "rule 9: who has filed is not urged", given: facts(fact("09:00:00", filer, submitted(figures(1000, 600), domain.OnTime))), when: remind("mail", text, officer),
			wantErr: no(domain.Conflict, domain.CodeAlreadySubmitted, "")},
		{name: "a way", when: remind("", text, officer), wantErr: no(domain.Invalid, domain.CodeTextMissing, "/via")},
		{name: "a bounded text", when: remind("mail", strings.Repeat("a", domain.MaxTextBytes+1), officer), wantErr: no(domain.Invalid, domain.CodeTextTooLong, "/text")},
	})
}
