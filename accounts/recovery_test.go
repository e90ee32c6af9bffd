package accounts

import (
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/answerable-ledger/answerable/appstate"
	"github.com/answerable-ledger/answerable/domain"
)

func TestLinkOpensAnEnrolmentOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	admin, lost := w.signedIn("admin"), w.signedIn("lan")
	secret, l, err := admin.IssueLink(w.ctx, admin.attempt(), admin.session(), "lan")
	w.ok(err)
	if l.IssuedBy != "admin" || l.Person != "lan" || !l.ExpiresAt.Equal(w.clock.Now().Add(LinkLimit)) {
		t.Fatalf("%+v", l)
	}
	b := w.browser()
	s := b.opened(b.OpenLink(w.ctx, b.attempt(), secret))

	b.signedOut() // it is no session that signs in
	_, err = b.BeginStepUp(w.ctx, b.attempt(), s)
	w.is(err, ErrRefused)
	_, err = b.BeginSignature(w.ctx, b.attempt(), s, "x")
	w.is(err, ErrRefused)
	_, err = b.StepUpPassword(w.ctx, b.attempt(), s, "x")
	w.is(err, ErrRefused)
	_, err = b.RevokePasskey(w.ctx, b.attempt(), s, "lan", encode(lost.key.ID), "x")
	w.is(err, ErrNotFresh)
	w.is(b.RemovePassword(w.ctx, b.attempt(), s, "lan", ""), ErrNotFresh)
	_, _, err = b.IssueLink(w.ctx, b.attempt(), s, "lan")
	w.is(err, ErrNotFresh)
	got, p, err := b.Enrolment(b.request(http.MethodGet))
	if err != nil || got.ID != s.ID || p.ID != "lan" {
		t.Fatalf("%+v, %v", got, err)
	}
	_, _, err = admin.Enrolment(admin.request(http.MethodGet)) // and a session is no enrolment
	w.is(err, appstate.ErrNoSession)

	_, err = w.browser().OpenLink(w.ctx, b.attempt(), secret)
	w.is(err, ErrRefused)

	lost.session() // until it was used to the end
	w.ok(b.SetPassword(w.ctx, b.attempt(), s, "mười hai con giáp"))
	lost.signedOut()
	_, _, err = b.Enrolment(b.request(http.MethodGet))
	w.is(err, appstate.ErrNoSession)
	b.opened(b.SignInPassword(w.ctx, b.attempt(), "lan", "mười hai con giáp"))
	if got := w.acts("lan"); !strings.HasSuffix(got, "link_issued link_used password_set sign_in") {
		t.Fatal(got)
	}

	second, _, err := admin.IssueLink(w.ctx, admin.attempt(), admin.session(), "lan")
	w.ok(err)
	s = b.opened(b.OpenLink(w.ctx, b.attempt(), second))
	c, err := b.BeginEnrolment(w.ctx, b.attempt(), s)
	w.ok(err)
	w.must(b.FinishEnrolment(w.ctx, b.attempt(), s, c.ID, "", b.create(c)))
	list := w.passkeysOf("lan")
	if d := list[len(list)-1].Detail; d.IssuedBy != "admin" || d.Link == "" {
		t.Fatalf("the event does not say who let them in: %+v", d)
	}
}

func TestLinkRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	admin, lan := w.signedIn("admin"), w.signedIn("lan")
	b := w.browser()
	issue := func() string {
		t.Helper()
		secret, _, err := IssueLocalLink(w.ctx, w.ledger, w.state, w.clock.Now(), "minh")
		w.ok(err)
		return secret
	}
	first, second := issue(), issue()
	_, err := b.OpenLink(w.ctx, b.attempt(), first) // replaced
	w.is(err, ErrRefused)
	w.clock.Advance(LinkLimit)
	_, err = b.OpenLink(w.ctx, b.attempt(), second) // expired
	w.is(err, ErrRefused)
	_, err = b.OpenLink(w.ctx, b.attempt(), "") // none
	w.is(err, ErrRefused)

	s := b.opened(b.OpenLink(w.ctx, b.attempt(), issue()))
	w.clock.Advance(EnrolLimit)
	_, err = b.BeginEnrolment(w.ctx, b.attempt(), s) // the enrolment expired
	w.is(err, ErrNotFresh)
	_, _, err = b.Enrolment(b.request(http.MethodGet))
	w.is(err, appstate.ErrNoSession)

	admin.opened(admin.trySignIn())
	lan.opened(lan.trySignIn())
	_, _, err = lan.IssueLink(w.ctx, lan.attempt(), lan.session(), "lan")
	w.is(err, domain.Refuse(domain.Forbidden, domain.CodeRoleMissing, ""))
	_, _, err = admin.IssueLink(w.ctx, admin.attempt(), admin.session(), "nobody")
	w.is(err, domain.Refuse(domain.NotFound, domain.CodePersonUnknown, ""))
	_, _, err = IssueLocalLink(w.ctx, w.ledger, w.state, w.clock.Now(), "nobody")
	w.is(err, domain.Refuse(domain.NotFound, domain.CodePersonUnknown, ""))
	w.clock.Advance(FreshFor)
	_, _, err = admin.IssueLink(w.ctx, admin.attempt(), admin.session(), "lan")
	w.is(err, ErrNotFresh)
}

func TestOneOfManyOpensALink(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	secret, _, err := IssueLocalLink(w.ctx, w.ledger, w.state, w.clock.Now(), "lan")
	w.ok(err)
	var mu sync.Mutex
	var wg sync.WaitGroup
	in := 0
	for range 8 {
		wg.Go(func() {
			b := w.browser()
			_, err := b.OpenLink(w.ctx, b.attempt(), secret)
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				in++
			} else if !errors.Is(err, ErrRefused) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if in != 1 {
		t.Fatalf("%d opened it", in)
	}
}
