package accounts

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/answerable-ledger/answerable/appstate"
	"github.com/answerable-ledger/answerable/internal/oidctest"
)

func newOIDCWorld(t *testing.T) (*world, *oidctest.Provider) {
	t.Helper()
	w := newWorld(t)
	op := oidctest.New(t, w.clock.Now)
	w.Accounts = w.accounts(func(o *Options) {
		o.OIDC = OIDC{Issuer: op.URL, ClientID: oidctest.ClientID, ClientSecret: oidctest.ClientSecret, Name: "SSO"}
	})
	return w, op
}

// back is what the browser sends when it comes back with the cookie of a departure.
func (b *browser) back(d Departure) Attempt {
	b.Helper()
	cookie := httptest.NewRecorder()
	b.SetDeparture(cookie, d)
	r := b.request(http.MethodPost)
	for _, c := range cookie.Result().Cookies() {
		r.AddCookie(c)
	}
	t, err := b.Attempt(r)
	b.ok(err)
	return t
}

// bound is a browser whose person is signed in by a passkey and has bound a subject.
func (w *world) bound(op *oidctest.Provider, b *browser, subject string) *browser {
	w.Helper()
	s := b.session()
	d, err := b.BeginBinding(w.ctx, b.attempt(), s)
	w.ok(err)
	code, state := op.Vouch(w.T, d.To, subject, nil)
	r, err := b.FinishOIDC(w.ctx, b.back(d), s, code, state)
	w.ok(err)
	if !r.Bound || r.Opened.Secret != "" {
		w.Fatalf("%+v", r)
	}
	return b
}

// A subject that a person bound signs them in; its session is like every other, and proves nothing anew.
func TestOIDCSignsIn(t *testing.T) {
	t.Parallel()
	w, op := newOIDCWorld(t)
	lan := w.bound(op, w.signedIn("lan"), "248289761001")

	b := w.browser()
	b.cookie = "planted"
	d, err := b.BeginOIDC(w.ctx, b.attempt(), "/today?date=2021-02-08")
	w.ok(err)
	code, state := op.Vouch(t, d.To, "248289761001", nil)
	r, err := b.FinishOIDC(w.ctx, b.back(d), Session{}, code, state)
	w.ok(err)
	b.opened(r.Opened, nil)
	s := b.session()
	if s.Person != "lan" || s.Method() != MethodOIDC || s.Fresh(w.clock.Now()) || s.Strong(w.clock.Now()) || r.Next != "/today?date=2021-02-08" || b.cookie == "planted" {
		t.Fatalf("%+v, %+v", s, r)
	}
	if rest := w.atRest(); strings.Contains(rest, r.Opened.Secret) || strings.Contains(rest, strings.SplitN(d.cookie, ".", 2)[1]) || strings.Contains(rest, state) {
		t.Error("a secret is at rest")
	}

	// It may not change what signs in, nor administer, before a proof of the person's own.
	_, err = b.BeginEnrolment(w.ctx, b.attempt(), s)
	w.is(err, ErrNotFresh)
	w.is(b.SetPassword(w.ctx, b.attempt(), s, "một câu dài dễ nhớ"), ErrNotFresh)
	_, err = b.BeginBinding(w.ctx, b.attempt(), s)
	w.is(err, ErrNotFresh)
	w.is(b.Unbind(w.ctx, b.attempt(), s, op.URL, "248289761001"), ErrNotFresh)

	// Unbinding ends it.
	w.ok(lan.Unbind(w.ctx, lan.attempt(), lan.session(), op.URL, "248289761001"))
	_, _, err = b.Authenticate(b.request(http.MethodGet))
	w.is(err, appstate.ErrNoSession)
	d, err = b.BeginOIDC(w.ctx, b.attempt(), "")
	w.ok(err)
	code, state = op.Vouch(t, d.To, "248289761001", nil)
	_, err = b.FinishOIDC(w.ctx, b.back(d), Session{}, code, state)
	w.is(err, ErrUnbound)
	if acts := w.acts("lan"); !strings.Contains(acts, "subject_bound sign_in subject_unbound") {
		t.Error(acts)
	}
}

// What a provider did not say to this browser, for this server, now and for the first time, signs nobody in.
func TestOIDCRefuses(t *testing.T) {
	t.Parallel()
	w, op := newOIDCWorld(t)
	w.bound(op, w.signedIn("lan"), "lan@op")
	says := func(claim string, value any) func(map[string]any) { return func(c map[string]any) { c[claim] = value } }
	past := w.clock.Now().Unix() - 1
	for _, c := range []struct {
		name    string
		subject string
		claims  func(map[string]any)
		bring   func(code, state *string, d *Departure)
		want    error
	}{
		{name: "nothing is wrong", subject: "lan@op"},
		{name: "another nonce", subject: "lan@op", claims: says("nonce", "another"), want: ErrNotVouched},
		{name: "no nonce", subject: "lan@op", claims: says("nonce", ""), want: ErrNotVouched},
		{name: "another audience", subject: "lan@op", claims: says("aud", "another"), want: ErrNotVouched},
		{name: "for two, and nobody says for whom", subject: "lan@op", claims: says("aud", []string{"another", oidctest.ClientID}), want: ErrNotVouched},
		{name: "for another party", subject: "lan@op", claims: says("azp", "another"), want: ErrNotVouched},
		{name: "another issuer", subject: "lan@op", claims: says("iss", "https://evil.example"), want: ErrNotVouched},
		{name: "expired", subject: "lan@op", claims: says("exp", past), want: ErrNotVouched},
		{name: "no subject", subject: "", want: ErrNotVouched},
		{name: "a subject without end", subject: strings.Repeat("x", 256), want: ErrNotVouched},
		{name: "nobody's subject", subject: "ai@op", want: ErrUnbound},
		{name: "nobody's subject, with an administrator's address", subject: "ai@op", claims: says("email", "lan@op"), want: ErrUnbound},
		{name: "another state", subject: "lan@op", bring: func(_, state *string, _ *Departure) { *state = "x" + *state }, want: ErrNotVouched},
		{name: "no state", subject: "lan@op", bring: func(_, state *string, _ *Departure) { *state = "" }, want: ErrNotVouched},
		{name: "another code", subject: "lan@op", bring: func(code, _ *string, _ *Departure) { *code = "another" }, want: ErrNotVouched},
		{name: "no cookie", subject: "lan@op", bring: func(_, _ *string, d *Departure) { d.cookie = "" }, want: ErrNotVouched},
		{name: "the cookie of a binding", subject: "lan@op", bring: func(_, _ *string, d *Departure) {
			d.cookie = strings.Replace(d.cookie, string(kindVouch), string(kindBind), 1)
		}, want: ErrNotFresh},
	} {
		b := w.browser()
		d, err := b.BeginOIDC(w.ctx, b.attempt(), "//evil.example")
		w.ok(err)
		code, state := op.Vouch(t, d.To, c.subject, c.claims)
		if c.bring != nil {
			c.bring(&code, &state, &d)
		}
		r, err := b.FinishOIDC(w.ctx, b.back(d), Session{}, code, state)
		if !errors.Is(err, c.want) || c.want == nil && (r.Opened.Session.Person != "lan" || r.Next != "/") {
			t.Errorf("%s: %+v, %v", c.name, r, err)
		}
		if _, err := b.FinishOIDC(w.ctx, b.back(d), Session{}, code, state); err == nil {
			t.Errorf("%s: it is taken a second time", c.name)
		}
	}
}

// A code and state of one browser are none of another's, and too late is too late.
func TestOIDCIsForOneBrowser(t *testing.T) {
	t.Parallel()
	w, op := newOIDCWorld(t)
	lan := w.bound(op, w.signedIn("lan"), "lan@op")
	mine, theirs := w.browser(), w.browser()
	first, err := mine.BeginOIDC(w.ctx, mine.attempt(), "")
	w.ok(err)
	code, state := op.Vouch(t, first.To, "lan@op", nil)
	second, err := theirs.BeginOIDC(w.ctx, theirs.attempt(), "")
	w.ok(err)
	_, err = theirs.FinishOIDC(w.ctx, theirs.back(second), Session{}, code, state)
	w.is(err, ErrNotVouched)
	_, otherState := op.Vouch(t, second.To, "lan@op", nil)
	_, err = theirs.FinishOIDC(w.ctx, theirs.back(second), Session{}, code, otherState)
	w.is(err, ErrNotVouched)

	w.clock.Advance(CeremonyLimit)
	_, err = mine.FinishOIDC(w.ctx, mine.back(first), Session{}, code, state)
	w.is(err, ErrNotVouched)

	// Of two persons who bring one subject the first has it, and a binding is its session's alone.
	_, err = lan.BeginBinding(w.ctx, lan.attempt(), lan.session())
	w.is(err, ErrNotFresh)
	minh := w.signedIn("minh")
	d, err := minh.BeginBinding(w.ctx, minh.attempt(), minh.session())
	w.ok(err)
	code, state = op.Vouch(t, d.To, "lan@op", nil)
	_, err = minh.FinishOIDC(w.ctx, minh.back(d), minh.session(), code, state)
	w.is(err, appstate.ErrSubjectTaken)
	d, err = minh.BeginBinding(w.ctx, minh.attempt(), minh.session())
	w.ok(err)
	code, state = op.Vouch(t, d.To, "minh@op", nil)
	admin := w.signedIn("admin")
	_, err = admin.FinishOIDC(w.ctx, admin.back(d), admin.session(), code, state)
	w.is(err, ErrNotVouched)
}

// Where the provider is down, or knows another secret, that is said; where none is set, nothing of it is there.
func TestOIDCWithoutProvider(t *testing.T) {
	t.Parallel()
	w, op := newOIDCWorld(t)
	b := w.browser()
	wrong := &browser{world: w, origin: origin}
	a := w.accounts(func(o *Options) {
		o.OIDC = OIDC{Issuer: op.URL, ClientID: oidctest.ClientID, ClientSecret: "another", Name: "SSO"}
	})
	d, err := a.BeginOIDC(w.ctx, b.attempt(), "")
	w.ok(err)
	code, state := op.Vouch(t, d.To, "x", nil)
	_, err = a.FinishOIDC(w.ctx, wrong.back(d), Session{}, code, state)
	w.is(err, ErrProvider)

	op.Close()
	_, err = b.BeginOIDC(w.ctx, b.attempt(), "")
	w.is(err, ErrProvider)

	w.Accounts = w.accounts()
	if _, err = b.BeginOIDC(w.ctx, b.attempt(), ""); !errors.Is(err, ErrNoOIDC) || w.Provider() != "" {
		t.Error(err)
	}
	_, err = b.FinishOIDC(w.ctx, b.attempt(), Session{}, code, state)
	w.is(err, ErrNoOIDC)
	for _, o := range []OIDC{{Issuer: "http://op.example", ClientID: "c", Name: "n"}, {Issuer: op.URL, Name: "n"}, {ClientID: "c", Name: "n"}} {
		if _, err := New(w.ledger, w.state, Options{Origin: origin, Clock: w.clock.Now, OIDC: o}); err == nil {
			t.Errorf("%+v is taken", o)
		}
	}
}
