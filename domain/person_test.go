package domain_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"

	"github.com/answerable-ledger/answerable/domain"
)

func TestPerson(t *testing.T) {
	t.Parallel()
	known := facts(fact("1 08:00:00", "p_admin", domain.PersonRegistered{Person: filer, Name: "Trần Thị Hạnh"}))
	until := at("10 00:00:00")
	untilLocal := until.In(domain.HoChiMinh)
	granted := domain.RoleGranted{Person: filer, Role: domain.RoleFiler, Unit: unit, From: at("1 00:00:00"), Until: &until, GrantedBy: "p_admin"}
	withRole := append(known[:1:1], fact("1 08:00:00", "p_admin", granted))
	enrolled := domain.CredentialEnrolled{Person: filer, Credential: "c1", Method: "webauthn", PublicKey: "pk", EnrolledBy: filer}
	withKey := append(known[:1:1], fact("1 08:00:00", filer, enrolled))
	byAdmin := enrolled
	byAdmin.EnrolledBy = "p_admin"
	revokedKey := domain.CredentialRevoked{Person: filer, Credential: "c1", At: at("9 08:00:00"), RevokedBy: filer, Reason: "mất máy"}

	register := func(id domain.PersonID, name string, by domain.Actor) func(domain.Person) ([]domain.Event, error) {
		return func(p domain.Person) ([]domain.Event, error) {
			return p.Register(domain.PersonRegistered{Person: id, Name: name}, by)
		}
	}
	grant := func(r domain.Role, until *time.Time, by domain.Actor) func(domain.Person) ([]domain.Event, error) {
		return func(p domain.Person) ([]domain.Event, error) {
			return p.GrantRole(r, unit, at("1 00:00:00"), until, by)
		}
	}
	revoke := func(now, reason string, by domain.Actor) func(domain.Person) ([]domain.Event, error) {
		return func(p domain.Person) ([]domain.Event, error) {
			return p.RevokeRole(domain.RoleFiler, unit, reason, at(now), by)
		}
	}
	enroll := func(e domain.CredentialEnrolled, by domain.Actor) func(domain.Person) ([]domain.Event, error) {
		return func(p domain.Person) ([]domain.Event, error) { return p.Enroll(e, by) }
	}
	revokeKey := func(reason string, by domain.Actor) func(domain.Person) ([]domain.Event, error) {
		return func(p domain.Person) ([]domain.Event, error) {
			return p.RevokeCredential("c1", reason, at("9 08:00:00"), by)
		}
	}
	noKey, otherMethod := enrolled, enrolled
	noKey.PublicKey = ""
	otherMethod.Method = "password"
	check(t, domain.Person{}, []spec[domain.Person]{
		{name: "register", when: register(filer, "Trần Thị Hạnh", admin()), then: []domain.Event{domain.PersonRegistered{Person: filer, Name: "Trần Thị Hạnh"}}},
		{name: "once", given: known, when: register(filer, "Trần Thị Hạnh", admin()), wantErr: no(domain.Conflict, domain.CodePersonExists, "/person")},
		{name: "by an administrator", when: register(filer, "Trần Thị Hạnh", department()), wantErr: no(domain.Forbidden, domain.CodeRoleMissing, "")},
		{name: "not the ledger itself", when: register(domain.System, "Sổ", admin()), wantErr: no(domain.Invalid, domain.CodeID, "/person")},
		{name: "under an id that streams can carry", when: register("p-1", "Trần", admin()), wantErr: no(domain.Invalid, domain.CodeID, "/person")},
		{name: "with a name", when: register(filer, "", admin()), wantErr: no(domain.Invalid, domain.CodeTextMissing, "/name")},
		{name: "rule 1: a role ends in UTC", given: known, when: grant(domain.RoleFiler, &untilLocal, admin()), then: []domain.Event{granted}},
		{name: "no role of that name", given: known, when: grant("chief", nil, admin()), wantErr: no(domain.Invalid, domain.CodeChoice, "/role")},
		{name: "nobody becomes the ledger", given: known, when: grant(domain.RoleSystem, nil, admin()), wantErr: no(domain.Invalid, domain.CodeChoice, "/role")},
		{name: "an end after the beginning", given: known, when: grant(domain.RoleFiler, &granted.From, admin()), wantErr: no(domain.Invalid, domain.CodeNotLater, "/until")},
		{name: "roles are the administrator's", given: known, when: grant(domain.RoleFiler, nil, department()), wantErr: no(domain.Forbidden, domain.CodeRoleMissing, "")},
		{name: "to a person that exists", when: grant(domain.RoleFiler, nil, admin()), wantErr: no(domain.NotFound, domain.CodePersonUnknown, "/person")},
		{name: "a role is taken away", given: withRole, when: revoke("9 08:00:00", "chuyển công tác", admin()),
			then: []domain.Event{domain.RoleRevoked{Person: filer, Role: domain.RoleFiler, Unit: unit, At: at("9 08:00:00"), RevokedBy: "p_admin", Reason: "chuyển công tác"}}},
		{name: "one that is held", given: withRole, when: revoke("10 00:00:00", "chuyển công tác", admin()), wantErr: no(domain.NotFound, domain.CodeRoleMissing, "/role")},
		{name: "with a reason", given: withRole, when: revoke("9 08:00:00", "", admin()), wantErr: no(domain.Invalid, domain.CodeTextMissing, "/reason")},
		{name: "by an administrator only", given: withRole, when: revoke("9 08:00:00", "x", inspector()), wantErr: no(domain.Forbidden, domain.CodeRoleMissing, "")},
		{name: "a person enrols their own key", given: known, when: enroll(enrolled, theFiler()), then: []domain.Event{enrolled}},
		{name: "an administrator may for them", given: known, when: enroll(enrolled, admin()), then: []domain.Event{byAdmin}},
		{name: "nobody else", given: known, when: enroll(enrolled, theHead()), wantErr: no(domain.Forbidden, domain.CodeRoleMissing, "")},
		{name: "a key", given: known, when: enroll(noKey, theFiler()), wantErr: no(domain.Invalid, domain.CodeTextMissing, "/credential")},
		{name: "of a method that proves something", given: known, when: enroll(otherMethod, theFiler()), wantErr: no(domain.Invalid, domain.CodeChoice, "/method")},
		{name: "a key once", given: withKey, when: enroll(enrolled, theFiler()), wantErr: no(domain.Conflict, domain.CodeCredentialExists, "/credential")},
		{name: "a lost key is revoked", given: withKey, when: revokeKey("mất máy", theFiler()), then: []domain.Event{revokedKey}},
		{name: "one that is in use", given: append(withKey[:2:2], fact("9 08:00:00", filer, revokedKey)), when: revokeKey("mất máy", theFiler()), wantErr: no(domain.NotFound, domain.CodeCredentialUnknown, "/credential")},
		{name: "a reason for it", given: withKey, when: revokeKey("", theFiler()), wantErr: no(domain.Invalid, domain.CodeTextMissing, "/reason")},
		{name: "by nobody else", given: withKey, when: revokeKey("x", theHead()), wantErr: no(domain.Forbidden, domain.CodeRoleMissing, "")},
	})
}

// TestActorAt: a role counts from its beginning to its end, and deny is the default.
func TestActorAt(t *testing.T) {
	t.Parallel()
	until := at("9 00:00:00")
	p := domain.Person{}
	for _, f := range facts(
		fact("1 08:00:00", "p_admin", domain.PersonRegistered{Person: filer, Name: "Trần Thị Hạnh"}),
		fact("1 08:00:00", "p_admin", domain.RoleGranted{Role: domain.RoleFiler, Unit: unit, From: at("2 00:00:00"), Until: &until}),
		fact("1 08:00:00", "p_admin", domain.RoleGranted{Role: domain.RoleInspector, From: at("2 00:00:00")}),
		fact("4 08:00:00", "p_admin", domain.RoleRevoked{Role: domain.RoleInspector, At: at("4 08:00:00")})) {
		p = p.Apply(f)
	}
	for when, want := range map[string][]domain.Grant{
		"1 23:59:59": nil, "2 00:00:00": {{Role: domain.RoleFiler, Unit: unit}, {Role: domain.RoleInspector}},
		"4 08:00:00": {{Role: domain.RoleFiler, Unit: unit}}, "9 00:00:00": nil,
	} {
		if d := cmp.Diff(domain.Actor{ID: filer, Grants: want}, p.ActorAt(at(when)), cmpopts.EquateEmpty()); d != "" {
			t.Errorf("at %s: %s", when, d)
		}
	}
	a := p.ActorAt(at("5 00:00:00"))
	if !a.Has(domain.RoleFiler, unit) || a.Has(domain.RoleFiler, "") || a.Has(domain.RoleFiler, "25873") || a.HasAny(domain.RoleInspector) || !a.HasAny(domain.RoleFiler) {
		t.Errorf("%+v", a)
	}
	if r := department().RoleFor(unit, domain.RoleFiler, domain.RoleDepartment); r != domain.RoleDepartment {
		t.Error(r)
	}
	if r := theFiler().RoleFor(unit, domain.RoleDepartment); r != domain.RoleFiler {
		t.Error(r)
	}
	if r := actor("p").RoleFor(unit, domain.RoleDepartment); r != "" {
		t.Error(r)
	}
}

// TestCommandLog: a command is known with the revision of its last event, also after others (rule 3).
func TestCommandLog(t *testing.T) {
	t.Parallel()
	first, second := domain.NewCommandID("close", "1"), domain.NewCommandID("close", "2")
	if first == second || first != domain.NewCommandID("close", "1") || domain.NewEventID(first, 0) == domain.NewEventID(first, 1) || domain.NewEventID(first, 0) == domain.NewEventID(first, 256) {
		t.Error("rule 3: ids are not the name's")
	}
	// These bytes are in every ledger: a repeat after an upgrade must have the same ids.
	if got := domain.NewEventID(first, 1); first != uuid.MustParse("3ffbe408-4dd8-59af-a489-6c8ac7d04bb1") || got != uuid.MustParse("447caf05-c901-54c3-9bcc-797962432bf1") {
		t.Errorf("rule 3: ids changed: %s %s", first, got)
	}
	r := domain.Report{}
	for i, id := range []uuid.UUID{first, first, second} {
		r = r.Apply(domain.Fact{Meta: domain.Meta{CommandID: id, Revision: uint64(i)}, Event: domain.ReminderSent{}})
	}
	if n, ok := r.Seen(first); !ok || n != 1 {
		t.Errorf("rule 3: first: %d %v", n, ok)
	}
	if n, ok := r.Seen(second); !ok || n != 2 {
		t.Errorf("rule 3: second: %d %v", n, ok)
	}
	if _, ok := r.Seen(domain.NewCommandID("other")); ok {
		t.Error("rule 3: a command it never took")
	}
}
