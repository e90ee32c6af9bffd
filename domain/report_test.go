package domain_test

import (
	"strings"
	"testing"

	"github.com/answerable-ledger/answerable/domain"
)

func submit(clock string, c domain.Content, note string, o domain.Obligation, previous *domain.Content, by domain.Actor) func(domain.Report) ([]domain.Event, error) {
	return func(r domain.Report) ([]domain.Event, error) {
		return r.Submit(domain.Submission{Content: c, Note: note, ReceivedAt: at(clock)}, o, communeForm(), previous, by)
	}
}

func TestSubmit(t *testing.T) {
	t.Parallel()
	f := figures(1000, 600)
	yesterday := content(figures(1000, 700))
	extended := owed()
	extended.Due, extended.Closes = at("16:00:00"), at("16:10:00")
	onTimeExtended := submitted(f, domain.OnTime)
	onTimeExtended.Due = at("16:00:00")
	nilReport := domain.Content{FormVersion: 2, Nil: true}
	nilSubmitted := submitted(nil, domain.OnTime)
	nilSubmitted.Nil, nilSubmitted.Digest = true, nilReport.Digest(key)
	fell := submitted(f, domain.OnTime)
	fell.Note, fell.Findings = "đếm lại", []domain.Finding{{Rule: domain.FindingFall, RuleVersion: 1, Field: "installed", Was: 700, Is: 600}}
	sum := content(f)
	sum.Children = []domain.ChildPin{{Unit: "25945", Version: 2, Digest: "cc"}}
	summed := submitted(f, domain.OnTime)
	summed.Children, summed.Missing, summed.Digest = sum.Children, []domain.UnitCode{"25873"}, sum.Digest(key)
	many := content(f)
	many.Children = make([]domain.ChildPin, domain.MaxChildren+1)

	check(t, domain.Report{Key: key}, []spec[domain.Report]{
		{name: "rule 1: received at 14:59:59.999999999 is on time", when: submit("14:59:59.999999999", content(f), "", owed(), nil, theFiler()),
			then: []domain.Event{submitted(f, domain.OnTime)}},
		{name: "rule 1: received at 15:00:00.000 is late", when: submit("15:00:00.000", content(f), "", owed(), nil, theFiler()),
			then: []domain.Event{submitted(f, domain.Late)}},
		{name: "rule 2: judged against the extended deadline, which the event names", when: submit("15:30:00", content(f), "", extended, nil, theFiler()),
			then: []domain.Event{onTimeExtended}},
		{name: "rule 3: received in time, recorded after the breach, withdraws it",
			given: facts(fact("15:10:00", domain.System, breached(domain.BreachMissing, "15:00:00", 0))),
			when:  submit("14:59:59", content(f), "", owed(), nil, theFiler()),
			then: []domain.Event{submitted(f, domain.OnTime), domain.BreachWithdrawn{Breach: domain.BreachMissing,
				Reason: "received in time, recorded after the closing", ReceivedAt: at("14:59:59")}}},
		{name: "rule 3: a late report leaves its breach standing",
			given: facts(fact("15:10:00", domain.System, breached(domain.BreachMissing, "15:00:00", 0))),
			when:  submit("15:00:00", content(f), "", owed(), nil, theFiler()),
			then:  []domain.Event{submitted(f, domain.Late)}},
		{name: "rule 11: a nil report is explicit", when: submit("10:00:00", nilReport, "", owed(), nil, theFiler()), then: []domain.Event{nilSubmitted}},
		{name: "rule 11: an empty report is not a nil report", when: submit("10:00:00", content(nil), "", owed(), nil, theFiler()),
			wantErr: no(domain.Invalid, domain.CodeEmptyNotNil, "/figures")},
		{name: "rule 11: a nil report carries no figures", when: submit("10:00:00", domain.Content{FormVersion: 2, Nil: true, Figures: f}, "", owed(), nil, theFiler()),
			wantErr: no(domain.Invalid, domain.CodeNilWithFigures, "/figures")},
		{name: "rule 12: an unusual figure is recorded with the rule's version", when: submit("10:00:00", content(f), "đếm lại", owed(), &yesterday, theFiler()),
			then: []domain.Event{fell}},
		{name: "rule 12: an unusual figure needs a note", when: submit("10:00:00", content(f), " ", owed(), &yesterday, theFiler()),
			wantErr: no(domain.Invalid, domain.CodeNoteNeeded, "/figures/installed")},
		{name: "rule 16: a sum keeps which reports it is made of, and which it is without", then: []domain.Event{summed},
			when: func(r domain.Report) ([]domain.Event, error) {
				return r.Submit(domain.Submission{Content: sum, Missing: summed.Missing, ReceivedAt: at("10:00:00")}, owed(), communeForm(), nil, theFiler())
			}},
		{name: "rule 13: an exempt unit does not file", when: submit("10:00:00", content(f), "", exempted(), nil, theFiler()),
			wantErr: no(domain.Conflict, domain.CodeExempt, "")},
		{name: "a second submission is refused", given: facts(fact("09:00:00", filer, submitted(f, domain.OnTime))),
			when: submit("10:00:00", content(f), "", owed(), nil, theFiler()), wantErr: no(domain.Conflict, domain.CodeAlreadySubmitted, "")},
		{name: "who has no role files nothing", when: submit("10:00:00", content(f), "", owed(), nil, inspector()),
			wantErr: no(domain.Forbidden, domain.CodeRoleMissing, "")},
		{name: "the filer of another unit files nothing", when: submit("10:00:00", content(f), "", owed(), nil, actor(filer, domain.Grant{Role: domain.RoleFiler, Unit: "25945"})),
			wantErr: no(domain.Forbidden, domain.CodeRoleMissing, "")},
		{name: "another version of the form", when: submit("10:00:00", domain.Content{FormVersion: 1, Figures: f}, "", owed(), nil, theFiler()),
			wantErr: no(domain.Invalid, domain.CodeFormVersion, "/form_version")},
		{name: "an unknown field", when: submit("10:00:00", content(domain.Figures{"phones": 1}), "", owed(), nil, theFiler()),
			wantErr: no(domain.Invalid, domain.CodeFieldUnknown, "/figures/phones")},
		{name: "a negative figure", when: submit("10:00:00", content(figures(-1, 0)), "", owed(), nil, theFiler()),
			wantErr: no(domain.Invalid, domain.CodeRange, "/figures/smartphone_users")},
		{name: "2^53 is a figure", when: submit("10:00:00", content(figures(1<<53, 0)), "", owed(), nil, theFiler()),
			then: []domain.Event{submitted(figures(1<<53, 0), domain.OnTime)}},
		{name: "2^53 + 1 is none", when: submit("10:00:00", content(figures(1<<53+1, 0)), "", owed(), nil, theFiler()),
			wantErr: no(domain.Invalid, domain.CodeRange, "/figures/smartphone_users")},
		{name: "more children than a report may sum", when: submit("10:00:00", many, "", owed(), nil, theFiler()),
			wantErr: no(domain.Invalid, domain.CodeRange, "/children")},
		{name: "a note beyond its bound", when: submit("10:00:00", content(f), strings.Repeat("à", domain.MaxTextBytes), owed(), nil, theFiler()),
			wantErr: no(domain.Invalid, domain.CodeTextTooLong, "/note")},
		{name: "a note that is not UTF-8", when: submit("10:00:00", content(f), "\xff", owed(), nil, theFiler()),
			wantErr: no(domain.Invalid, domain.CodeTextTooLong, "/note")},
	})
}

// TestEveryFaultIsNamed: who sends two wrong figures is told of both.
func TestEveryFaultIsNamed(t *testing.T) {
	t.Parallel()
	_, err := submit("10:00:00", content(domain.Figures{"phones": 1, "installed": -1}), "", owed(), nil, theFiler())(domain.Report{Key: key})
	e, ok := err.(*domain.Error)
	if !ok || len(e.Faults) != 2 {
		t.Fatalf("got %v", err)
	}
	if s := e.Error(); !strings.Contains(s, "/figures/installed: ") || !strings.Contains(s, "/figures/phones: ") || !strings.HasPrefix(s, "invalid: ") {
		t.Error(s)
	}
}

func TestReturn(t *testing.T) {
	t.Parallel()
	f := figures(1000, 600)
	filed := facts(fact("09:00:00", filer, submitted(f, domain.OnTime)))
	signed := append(filed[:1:1], fact("10:00:00", head, domain.ReportSignedOff{Version: 1, Digest: digest(f), Signer: head}))
	send := func(version int, reason string, by domain.Actor) func(domain.Report) ([]domain.Event, error) {
		return func(r domain.Report) ([]domain.Event, error) {
			return r.Return(owed(), version, reason, office(), at("11:00:00"), by)
		}
	}
	check(t, domain.Report{Key: key}, []spec[domain.Report]{
		{name: "the head sends it back", given: filed, when: send(1, "thiếu khu phố 3", theHead()),
			then: []domain.Event{domain.ReportReturned{Version: 1, Digest: digest(f), Reason: "thiếu khu phố 3", ReturnedBy: head}}},
		{name: "rule 7: only who could sign it", given: filed, when: send(1, "thiếu", theFiler()), wantErr: no(domain.Forbidden, domain.CodeNotInOffice, "")},
		{name: "rule 6: what is signed is not sent back", given: signed, when: send(1, "thiếu", theHead()), wantErr: no(domain.Conflict, domain.CodeSigned, "")},
		{name: "nothing was filed", when: send(1, "thiếu", theHead()), wantErr: no(domain.NotFound, domain.CodeNotSubmitted, "")},
		{name: "another version", given: filed, when: send(2, "thiếu", theHead()), wantErr: no(domain.Precondition, domain.CodeOldVersion, "/version")},
		{name: "no reason", given: filed, when: send(1, "", theHead()), wantErr: no(domain.Invalid, domain.CodeTextMissing, "/reason")},
	})
}

func TestStatus(t *testing.T) {
	t.Parallel()
	f := figures(1000, 600)
	missing := fact("15:10:00", domain.System, breached(domain.BreachMissing, "15:00:00", 0))
	for _, c := range []struct {
		name   string
		given  []domain.Fact
		exempt bool
		want   domain.Status
	}{
		{"nothing yet", nil, false, domain.StatusDue},
		{"exempt", nil, true, domain.StatusExempt},
		{"on time", facts(fact("09:00:00", filer, submitted(f, domain.OnTime))), false, domain.StatusOnTime},
		{"rule 2: an exemption after filing does not move the judgement", facts(fact("09:00:00", filer, submitted(f, domain.OnTime))), true, domain.StatusOnTime},
		{"late", facts(fact("15:00:00", filer, submitted(f, domain.Late))), false, domain.StatusLate},
		{"rule 2: nor that of a late one", facts(fact("15:00:00", filer, submitted(f, domain.Late))), true, domain.StatusLate},
		{"rule 11: missing is a breach without a report", facts(missing), false, domain.StatusMissing},
		{"rule 4: an exemption comes before a breach that did not see it", facts(missing), true, domain.StatusExempt},
		{"filed after the closing", facts(missing, fact("16:00:00", filer, submitted(f, domain.Late))), false, domain.StatusLate},
		{"rule 3: withdrawn", facts(missing, fact("15:11:00", filer, submitted(f, domain.OnTime)),
			fact("15:11:00", filer, domain.BreachWithdrawn{Breach: domain.BreachMissing})), false, domain.StatusOnTime},
		{"rule 5: a correction after the deadline leaves it on time", facts(fact("09:00:00", filer, submitted(f, domain.OnTime)),
			fact("9 10:00:00", filer, corrected(2, f, figures(1000, 601)))), false, domain.StatusOnTime},
	} {
		r := domain.Report{Key: key}
		for _, g := range c.given {
			r = r.Apply(g)
		}
		if got := r.Status(c.exempt); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// TestVersionsNameTheirEvents: from a version one gets to the event that holds it, of a correction as of the first (rule 16).
func TestVersionsNameTheirEvents(t *testing.T) {
	t.Parallel()
	was, is := figures(1000, 600), figures(1000, 610)
	r := domain.Report{Key: key}
	for i, e := range []domain.Event{submitted(was, domain.OnTime), corrected(2, was, is)} {
		f := fact("09:00:00", filer, e)
		f.EventID = domain.NewEventID(domain.NewCommandID("test"), i)
		r = r.Apply(f)
		if v, _ := r.Newest(); v.EventID != f.EventID.String() {
			t.Errorf("rule 16: version %d is of event %q, want %s", v.Number, v.EventID, f.EventID)
		}
	}
}
