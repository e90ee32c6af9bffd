package domain_test

import (
	"strings"
	"testing"
	"time"

	"github.com/answerable-ledger/answerable/domain"
)

func TestSignInMethods(t *testing.T) {
	t.Parallel()
	digest := strings.Repeat("4f", 32)
	known := facts(fact("1 08:00:00", "p_admin", domain.PersonRegistered{Person: filer, Name: "Trần Thị Hạnh"}))
	password := domain.SignInMethodSet{Person: filer, Method: domain.SignInPassword, SetBy: filer}
	byLink := domain.SignInMethodSet{Person: filer, Method: domain.SignInPassword, Link: "l1", LinkBy: "p_admin", SetBy: filer}
	vouched := domain.SignInMethodSet{Person: filer, Method: domain.SignInOIDC, Issuer: "https://sso.example", Digest: digest, SetBy: filer}
	found := password
	found.SetBy = domain.System
	both := append(known[:1:1], fact("2 08:00:00", filer, password), fact("2 09:00:00", filer, vouched))
	ended := domain.SignInMethodEnded{Person: filer, Method: domain.SignInPassword, At: at("9 08:00:00"), EndedBy: filer}
	byAdmin := domain.SignInMethodEnded{Person: filer, Method: domain.SignInOIDC, Digest: digest, At: at("9 08:00:00"), EndedBy: "p_admin", Reason: "chuyển công tác"}

	set := func(e domain.SignInMethodSet, by domain.Actor) func(domain.Person) ([]domain.Event, error) {
		return func(p domain.Person) ([]domain.Event, error) { return p.SetSignIn(e, by) }
	}
	end := func(e domain.SignInMethodEnded, by domain.Actor) func(domain.Person) ([]domain.Event, error) {
		return func(p domain.Person) ([]domain.Event, error) { return p.EndSignIn(e, by) }
	}
	without := func(change func(*domain.SignInMethodEnded)) domain.SignInMethodEnded {
		e := byAdmin
		change(&e)
		return e
	}
	check(t, domain.Person{}, []spec[domain.Person]{
		{name: "a person sets their password", given: known, when: set(password, theFiler()), then: []domain.Event{password}},
		{name: "again, in the former's place", given: both, when: set(password, theFiler()), then: []domain.Event{password}},
		{name: "by a link", given: known, when: set(byLink, theFiler()), then: []domain.Event{byLink}},
		{name: "and binds who they are elsewhere", given: known, when: set(vouched, theFiler()), then: []domain.Event{vouched}},
		{name: "the ledger records what it finds", given: known, when: set(password, domain.SystemActor()), then: []domain.Event{found}},
		{name: "nobody sets it for them", given: known, when: set(password, theHead()), wantErr: no(domain.Forbidden, domain.CodeRoleMissing, "")},
		{name: "not even an administrator", given: known, when: set(password, admin()), wantErr: no(domain.Forbidden, domain.CodeRoleMissing, "")},
		{name: "who is registered", when: set(password, theFiler()), wantErr: no(domain.NotFound, domain.CodePersonUnknown, "/person")},
		{name: "by a way there is", given: known, when: set(domain.SignInMethodSet{Method: "sms"}, theFiler()), wantErr: no(domain.Invalid, domain.CodeChoice, "/method")},
		{name: "a subject by its digest", given: known, when: set(domain.SignInMethodSet{Method: domain.SignInOIDC, Issuer: "https://sso.example"}, theFiler()), wantErr: no(domain.Invalid, domain.CodeTextMissing, "/digest")},
		{name: "at a provider", given: known, when: set(domain.SignInMethodSet{Method: domain.SignInOIDC, Digest: digest}, theFiler()), wantErr: no(domain.Invalid, domain.CodeTextMissing, "/issuer")},
		{name: "nothing is made of a password", given: known, when: set(domain.SignInMethodSet{Method: domain.SignInPassword, Digest: digest}, theFiler()), wantErr: no(domain.Invalid, domain.CodeTextMissing, "/digest")},

		{name: "a person ends their own", given: both, when: end(ended, theFiler()), then: []domain.Event{ended}},
		{name: "an administrator ends another's", given: both, when: end(byAdmin, admin()), then: []domain.Event{byAdmin}},
		{name: "with a reason", given: both, when: end(without(func(e *domain.SignInMethodEnded) { e.Reason = " " }), admin()), wantErr: no(domain.Invalid, domain.CodeTextMissing, "/reason")},
		{name: "in their own name", given: both, when: end(without(func(e *domain.SignInMethodEnded) { e.EndedBy = filer }), admin()), then: []domain.Event{byAdmin}},
		{name: "the ledger tells who did", given: both, when: end(byAdmin, domain.SystemActor()), then: []domain.Event{byAdmin}},
		{name: "nobody else", given: both, when: end(byAdmin, theHead()), wantErr: no(domain.Forbidden, domain.CodeRoleMissing, "")},
		{name: "what is not in use has no end", given: known, when: end(ended, theFiler())},
		{name: "nor a second one", given: append(both[:3:3], fact("9 08:00:00", filer, ended)), when: end(ended, theFiler())},
	})

	var p domain.Person
	for _, f := range append(both[:3:3], fact("3 08:00:00", filer, password), fact("9 08:00:00", "p_admin", byAdmin)) {
		p = p.Apply(f)
	}
	if n := len(p.SignInMethods); n != 3 {
		t.Fatalf("%d ways", n)
	}
	for i, want := range []time.Time{p.SignInMethods[2].SetAt, byAdmin.At, {}} { // the first password ended with the second
		if got := p.SignInMethods[i].EndedAt; !got.Equal(want) {
			t.Errorf("way %d ended at %s, want %s", i, got, want)
		}
	}
}
