package accounts

import (
	"net/http"
	"testing"
	"time"

	"github.com/answerable-ledger/answerable/appstate"
	"github.com/answerable-ledger/answerable/domain"
)

// signedInByPassword is a browser at which the person is, by the password it sets for them.
func (w *world) signedInByPassword(p domain.PersonID, password string) *browser {
	w.Helper()
	first := w.signedIn(p)
	w.ok(first.SetPassword(w.ctx, first.attempt(), first.session(), password))
	b := w.browser()
	b.opened(b.SignInPassword(w.ctx, b.attempt(), string(p), password))
	return b
}

func (b *browser) signedOut() {
	b.Helper()
	_, _, err := b.Authenticate(b.request(http.MethodGet))
	b.is(err, appstate.ErrNoSession)
}

func TestSessionLimits(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.signedIn("lan")

	w.clock.Advance(IdleLimit - time.Second)
	b.session() // in use: the idle limit moves
	w.clock.Advance(IdleLimit - time.Second)
	s := b.session()
	if want := w.clock.Now().Add(IdleLimit); !s.EndsAt().Equal(want) {
		t.Fatalf("ends at %s, want %s", s.EndsAt(), want)
	}
	w.clock.Advance(IdleLimit)
	b.signedOut()

	b = w.signedIn("lan")
	end := w.clock.Now().Add(AbsoluteLimit)
	for w.clock.Now().Add(IdleLimit / 2).Before(end) {
		w.clock.Advance(IdleLimit / 2)
		b.session()
	}
	if s := b.session(); !s.EndsAt().Equal(end) {
		t.Fatalf("ends at %s, want %s", s.EndsAt(), end)
	}
	w.clock.Set(end)
	b.signedOut()
}

func TestSignInReplacesWhatTheBrowserHad(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	lan, victim := w.signedIn("lan"), w.enrolled("minh")

	planted := lan.cookie // the attacker is signed in, and put their session into the victim's browser
	victim.cookie = planted
	victim.opened(victim.trySignIn())
	if victim.cookie == planted || victim.session().Person != "minh" {
		t.Fatal("the planted secret is in use")
	}
	lan.signedOut() // and it opens nothing after the victim signed in

	made := "a secret that the attacker made up, of some length......"
	victim.cookie = made
	victim.opened(victim.trySignIn())
	other := w.browser()
	other.cookie = made
	other.signedOut()

	one, two := victim.cookie, victim.session().ID // every sign-in has a secret and an id of its own
	victim.opened(victim.trySignIn())
	if victim.cookie == one || victim.session().ID == two {
		t.Fatal("the secret was kept")
	}
}

func TestSessionsEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	phone, desk := w.signedIn("lan"), w.signedIn("lan")
	phone.opened(phone.trySignIn()) // the second link ended the first's session
	minh, admin := w.signedIn("minh"), w.signedIn("admin")

	list, err := w.Sessions(w.ctx, "lan")
	w.ok(err)
	if len(list) != 2 {
		t.Fatalf("%d sessions", len(list))
	}
	w.is(minh.EndSession(w.ctx, minh.attempt(), minh.session(), phone.session().ID), appstate.ErrNoSession) // another's
	phone.session()
	w.ok(desk.EndSession(w.ctx, desk.attempt(), desk.session(), phone.session().ID))
	phone.signedOut()
	desk.session()

	phone.opened(phone.trySignIn())
	n, err := desk.EndOtherSessions(w.ctx, desk.attempt(), desk.session())
	if err != nil || n != 1 {
		t.Fatalf("%d ended, %v", n, err)
	}
	phone.signedOut()

	s := desk.session()
	w.ok(desk.SignOut(w.ctx, desk.attempt(), s))
	desk.signedOut()
	w.is(desk.SignOut(w.ctx, desk.attempt(), s), appstate.ErrNoSession)
	_, err = desk.FinishStepUp(w.ctx, desk.attempt(), s, "x", nil) // an ended session steps up no more
	w.is(err, ErrRefused)

	_, err = minh.EndSessionsOf(w.ctx, minh.attempt(), minh.session(), "admin")
	w.is(err, domain.Refuse(domain.Forbidden, domain.CodeRoleMissing, ""))
	n, err = admin.EndSessionsOf(w.ctx, admin.attempt(), admin.session(), "minh")
	if err != nil || n != 1 {
		t.Fatalf("%d ended, %v", n, err)
	}
	minh.signedOut()
}

func TestRevokedPasskeyEndsItsSessions(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b, admin := w.signedIn("lan"), w.signedIn("admin")
	password := w.signedInByPassword("lan", "mười hai con giáp")
	b.opened(b.trySignIn())

	_, err := admin.RevokePasskey(w.ctx, Attempt{}, admin.session(), "lan", encode(b.key.ID), "mất")
	w.is(err, ErrMethod)
	w.must(admin.RevokePasskey(w.ctx, admin.attempt(), admin.session(), "lan", encode(b.key.ID), "mất khóa"))
	b.signedOut()
	password.session()

	minh := w.signedIn("minh")
	_, err = minh.RevokePasskey(w.ctx, minh.attempt(), minh.session(), "admin", encode(admin.key.ID), "x")
	w.is(err, domain.Refuse(domain.Forbidden, domain.CodeRoleMissing, ""))

	// Also when it is revoked without this package.
	w.must(w.ledger.RevokeCredential(w.ctx, w.system(), "minh", encode(minh.key.ID), "mất khóa"))
	minh.signedOut()
	w.clock.Advance(FreshFor)
	_, err = admin.RevokePasskey(w.ctx, admin.attempt(), admin.session(), "lan", "x", "y")
	w.is(err, ErrNotFresh)
}
