package domain_test

import (
	"testing"

	"github.com/answerable-ledger/answerable/domain"
)

func TestTakeAndLeave(t *testing.T) {
	t.Parallel()
	taken := domain.OfficeTaken{Unit: unit, Person: head, Capacity: domain.CapacityHead, Title: "CHỦ TỊCH", From: at("1 00:00:00"), Decision: "QĐ 12"}
	left := domain.OfficeLeft{Unit: unit, Person: head, Until: at("8 08:00:00"), Reason: "điều động"}
	acting := domain.OfficeTaken{Unit: unit, Person: next, Capacity: domain.CapacityActing, Title: "Q. CHỦ TỊCH", From: at("8 08:00:00")}
	take := func(e domain.OfficeTaken, by domain.Actor, change func(*domain.OfficeTaken)) func(domain.Office) ([]domain.Event, error) {
		if change != nil {
			change(&e)
		}
		return func(o domain.Office) ([]domain.Event, error) { return o.Take(e, at("9 00:00:00"), by) }
	}
	leave := func(by domain.Actor, change func(*domain.OfficeLeft)) func(domain.Office) ([]domain.Event, error) {
		e := left
		if change != nil {
			change(&e)
		}
		return func(o domain.Office) ([]domain.Event, error) { return o.Leave(e, by) }
	}
	held := facts(fact("1 08:00:00", "p_department", taken))
	vacant := append(held[:1:1], fact("8 07:00:00", "p_department", left))
	check(t, domain.Office{Unit: unit}, []spec[domain.Office]{
		{name: "rule 8: a head takes office", when: take(taken, department(), nil), then: []domain.Event{taken}},
		{name: "rule 1: in UTC", when: take(taken, department(), func(e *domain.OfficeTaken) { e.From = e.From.In(domain.HoChiMinh) }), then: []domain.Event{taken}},
		{name: "rule 8: one person at a time", given: held, when: take(acting, department(), nil), wantErr: no(domain.Conflict, domain.CodeOfficeHeld, "/from")},
		{name: "rule 8: the successor from the very instant", given: vacant, when: take(acting, department(), nil), then: []domain.Event{acting}},
		{name: "rule 8: not an instant before", given: vacant, wantErr: no(domain.Conflict, domain.CodeOfficeHeld, "/from"),
			when: take(acting, department(), func(e *domain.OfficeTaken) { e.From = e.From.Add(-1) })},
		{name: "rule 8: who signs KT. is not the head", when: take(taken, department(), func(e *domain.OfficeTaken) { e.Capacity = domain.CapacityKT }), wantErr: no(domain.Invalid, domain.CodeChoice, "/capacity")},
		{name: "rule 8: of this unit", when: take(taken, department(), func(e *domain.OfficeTaken) { e.Unit = "25873" }), wantErr: no(domain.Invalid, domain.CodeChoice, "/unit")},
		{name: "rule 8: out of this unit's", given: held, when: leave(department(), func(e *domain.OfficeLeft) { e.Unit = "25873" }), wantErr: no(domain.Invalid, domain.CodeChoice, "/unit")},
		{name: "rule 8: a person, not the ledger", when: take(taken, department(), func(e *domain.OfficeTaken) { e.Person = domain.System }), wantErr: no(domain.Invalid, domain.CodeTextMissing, "/person")},
		{name: "with a title", when: take(taken, department(), func(e *domain.OfficeTaken) { e.Title = "" }), wantErr: no(domain.Invalid, domain.CodeTextMissing, "/title")},
		{name: "recorded by the department", when: take(taken, theHead(), nil), wantErr: no(domain.Forbidden, domain.CodeRoleMissing, "")},
		{name: "rule 8: the head leaves", given: held, when: leave(department(), nil), then: []domain.Event{left}},
		{name: "rule 8: after having come", given: held, when: leave(department(), func(e *domain.OfficeLeft) { e.Until = at("1 00:00:00") }), wantErr: no(domain.Invalid, domain.CodeNotLater, "/until")},
		{name: "rule 8: once", given: vacant, when: leave(department(), nil), wantErr: no(domain.Conflict, domain.CodeNotInOffice, "/person")},
		{name: "rule 8: with a reason", given: held, when: leave(department(), func(e *domain.OfficeLeft) { e.Reason = "" }), wantErr: no(domain.Invalid, domain.CodeTextMissing, "/reason")},
		{name: "rule 8: recorded by the department", given: held, when: leave(inspector(), nil), wantErr: no(domain.Forbidden, domain.CodeRoleMissing, "")},
	})
}

func TestHeadAt(t *testing.T) {
	t.Parallel()
	o := office(fact("8 07:00:00", "p_department", domain.OfficeLeft{Unit: unit, Person: head, Until: at("8 08:00:00")}),
		fact("9 07:00:00", "p_department", domain.OfficeTaken{Unit: unit, Person: next, Capacity: domain.CapacityActing, From: at("9 08:00:00")}))
	for when, want := range map[string]domain.PersonID{"1 00:00:00": head, "8 07:59:59.999999999": head, "8 08:00:00": "", "9 07:59:59.999999999": "", "9 08:00:00": next, "28 00:00:00": next} {
		if got, ok := o.HeadAt(at(when)); got.Person != want || ok != (want != "") {
			t.Errorf("rule 8: at %s %q, want %q", when, got.Person, want)
		}
	}
}

// TestHeadFoundLater: what is recorded after a deadline about who held the office at it is the answer from then on, and the
// office as it was known before gives the answer of before (rule 8).
func TestHeadFoundLater(t *testing.T) {
	t.Parallel()
	left := fact("8 07:00:00", "p_department", domain.OfficeLeft{Unit: unit, Person: head, Until: at("8 08:00:00")})
	asKnown := office(left) // at the deadline: vacant since the morning
	r := domain.Report{Key: key}.Apply(fact("09:00:00", filer, submitted(figures(1000, 600), domain.OnTime)))
	if got, ok := domain.Answerable(asKnown, r.Versions[0], at("15:00:00")); ok {
		t.Errorf("rule 8: %+v, want a vacancy", got)
	}
	// The next day: the decision of the 8th, 10:00, comes in.
	taken := domain.OfficeTaken{Unit: unit, Person: next, Capacity: domain.CapacityActing, Title: "Q. CHỦ TỊCH", From: at("8 10:00:00"), Decision: "QĐ 13"}
	decided, err := asKnown.Take(taken, at("9 09:00:00"), department())
	if err != nil {
		t.Fatalf("rule 8: %v", err)
	}
	found := asKnown.Apply(fact("9 09:00:00", "p_department", decided[0]))
	got, ok := domain.Answerable(found, r.Versions[0], at("15:00:00"))
	if !ok || got.Person != next || !got.RecordedAt.Equal(at("9 09:00:00")) {
		t.Errorf("rule 8: %+v, want the head who was in office, and when that was recorded", got)
	}
	if _, ok := domain.Answerable(asKnown, r.Versions[0], at("15:00:00")); ok {
		t.Error("rule 8: what was known before has changed")
	}
	// Never over a time that somebody else is recorded to have held the office.
	taken.From = at("8 07:59:59")
	if _, err := asKnown.Take(taken, at("9 09:00:00"), department()); err == nil {
		t.Error("rule 8: two heads at once")
	}
}

func TestGrantAndRevokeAuthority(t *testing.T) {
	t.Parallel()
	granted := domain.AuthorityGranted{Unit: unit, Authority: "uq_1", Person: deputy, Capacity: domain.CapacityTUQ, Title: "PHÓ CHỦ TỊCH", Forms: []domain.FormID{"commune"},
		From: at("8 00:00:00"), Until: at("10 00:00:00"), GrantedBy: head, Decision: "GUQ 5"}
	grant := func(by domain.Actor, change func(*domain.AuthorityGranted)) func(domain.Office) ([]domain.Event, error) {
		e := granted
		e.GrantedBy = "p_forged"
		if change != nil {
			change(&e)
		}
		return func(o domain.Office) ([]domain.Event, error) { return o.Grant(e, at("8 08:00:00"), by) }
	}
	revoke := func(authority, reason string, by domain.Actor) func(domain.Office) ([]domain.Event, error) {
		return func(o domain.Office) ([]domain.Event, error) {
			return o.Revoke(authority, reason, at("8 09:00:00"), by)
		}
	}
	byDepartment := granted
	byDepartment.GrantedBy = "p_department"
	held := facts(fact("1 08:00:00", "p_department", domain.OfficeTaken{Unit: unit, Person: head, Capacity: domain.CapacityHead, Title: "CHỦ TỊCH", From: at("1 00:00:00")}))
	with := append(held[:1:1], fact("8 08:00:00", head, granted))
	revoked := domain.AuthorityRevoked{Unit: unit, Authority: "uq_1", At: at("8 09:00:00"), RevokedBy: head, Reason: "hết việc"}
	check(t, domain.Office{Unit: unit}, []spec[domain.Office]{
		{name: "rule 7: the head grants, under their own name", given: held, when: grant(theHead(), nil), then: []domain.Event{granted}},
		{name: "rule 7: so does the department", given: held, when: grant(department(), nil), then: []domain.Event{byDepartment}},
		{name: "rule 7: authority is not passed on", given: with, when: grant(actor(deputy), func(e *domain.AuthorityGranted) { e.Authority = "uq_2" }), wantErr: no(domain.Forbidden, domain.CodeRoleMissing, "")},
		{name: "rule 7: in a capacity that can be granted", given: held, when: grant(theHead(), func(e *domain.AuthorityGranted) { e.Capacity = domain.CapacityHead }), wantErr: no(domain.Invalid, domain.CodeChoice, "/capacity")},
		{name: "rule 7: for this unit", given: held, when: grant(theHead(), func(e *domain.AuthorityGranted) { e.Unit = "25873" }), wantErr: no(domain.Invalid, domain.CodeChoice, "/unit")},
		{name: "rule 7: to a person", given: held, when: grant(theHead(), func(e *domain.AuthorityGranted) { e.Person = domain.System }), wantErr: no(domain.Invalid, domain.CodeTextMissing, "/person")},
		{name: "rule 7: with an end", given: held, when: grant(theHead(), func(e *domain.AuthorityGranted) { e.Until = e.From }), wantErr: no(domain.Invalid, domain.CodeNotLater, "/until")},
		{name: "rule 7: once", given: with, when: grant(theHead(), nil), wantErr: no(domain.Conflict, domain.CodeAuthorityExists, "/authority")},
		{name: "rule 7: the head revokes", given: with, when: revoke("uq_1", "hết việc", theHead()), then: []domain.Event{revoked}},
		{name: "rule 7: what there is", given: held, when: revoke("uq_1", "hết việc", theHead()), wantErr: no(domain.NotFound, domain.CodeAuthorityUnknown, "/authority")},
		{name: "rule 7: once revoked", given: append(with[:2:2], fact("8 08:30:00", head, revoked)), when: revoke("uq_1", "hết việc", theHead()), wantErr: no(domain.Conflict, domain.CodeAuthorityExpired, "/authority")},
		{name: "rule 7: with a reason", given: with, when: revoke("uq_1", " ", theHead()), wantErr: no(domain.Invalid, domain.CodeTextMissing, "/reason")},
		{name: "rule 7: nobody else revokes", given: with, when: revoke("uq_1", "hết việc", actor(deputy)), wantErr: no(domain.Forbidden, domain.CodeRoleMissing, "")},
	})
}

func TestMarks(t *testing.T) {
	t.Parallel()
	for c, want := range map[domain.Capacity]string{domain.CapacityHead: "TM.", domain.CapacityActing: "Q.", domain.CapacityKT: "KT.", domain.CapacityTL: "TL.", domain.CapacityTUQ: "TUQ."} {
		if got := c.Mark(); got != want {
			t.Errorf("%s: %s", c, got)
		}
	}
}
