package accounts

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/answerable-ledger/answerable/appstate"
)

func TestAttemptAndProtect(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.signedIn("lan")
	for _, test := range []struct {
		name, method, site, origin, referer string
		cookie                              bool
		attempt                             error
		passes                              bool
	}{
		{"our page", "POST", "same-origin", origin, "", true, nil, true},
		{"our page, browser before 2023", "POST", "", origin, "", true, nil, true},
		{"our page, browser before 2020", "POST", "", "", origin + "/x", true, nil, true},
		{"typed by the user", "POST", "none", "", "", true, nil, true},
		{"GET", "GET", "same-origin", origin, "", true, ErrMethod, true},
		{"HEAD", "HEAD", "", "", "", true, ErrMethod, true},
		{"OPTIONS", "OPTIONS", "cross-site", "https://evil.example", "", true, ErrMethod, true},
		{"another site", "POST", "cross-site", "https://evil.example", "", true, ErrCrossSite, false},
		{"another site without a session", "POST", "cross-site", "https://evil.example", "", false, ErrCrossSite, false},
		{"a sister site", "POST", "same-site", "https://other.ledger.example", "", true, ErrCrossSite, false},
		{"another site, browser before 2023", "POST", "", "https://evil.example", "", true, ErrCrossSite, false},
		{"another site, browser before 2020", "POST", "", "", "https://evil.example/", true, ErrCrossSite, false},
		{"nothing told", "POST", "", "", "", true, ErrCrossSite, false},
		{"null origin", "POST", "", "null", "", true, ErrCrossSite, false},
		{"our host on another port", "POST", "", "https://ledger.example:444", "", true, ErrCrossSite, false},
		{"DELETE from another site", "DELETE", "cross-site", "https://evil.example", "", true, ErrCrossSite, false},
		{"a program with a token", "POST", "", "", "", false, ErrCrossSite, true},
	} {
		r := httptest.NewRequest(test.method, origin+"/x", nil)
		for name, value := range map[string]string{"Sec-Fetch-Site": test.site, "Origin": test.origin, "Referer": test.referer} {
			if value != "" {
				r.Header.Set(name, value)
			}
		}
		if test.cookie {
			r.AddCookie(&http.Cookie{Name: w.CookieName(), Value: b.cookie})
		}
		if _, err := w.Attempt(r); err != test.attempt {
			t.Errorf("%s: Attempt: %v, want %v", test.name, err, test.attempt)
		}
		passed := false
		refused := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusForbidden) })
		w.Protect(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { passed = true }), refused).ServeHTTP(httptest.NewRecorder(), r)
		if passed != test.passes {
			t.Errorf("%s: passed %t", test.name, passed)
		}
	}
}

// Nothing that changes anything takes an Attempt that no request made.
func TestEverythingNeedsAnAttempt(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *Options) { o.Demo = EnableDemo() })
	b := w.signedIn("lan")
	s, none := b.session(), Attempt{}
	before := w.acts("")
	for name, do := range map[string]func() error{
		"BeginSignIn":      func() error { _, err := w.BeginSignIn(w.ctx, none); return err },
		"FinishSignIn":     func() error { _, err := w.FinishSignIn(w.ctx, none, "", nil); return err },
		"SignInPassword":   func() error { _, err := w.SignInPassword(w.ctx, none, "lan", ""); return err },
		"SignInAs":         func() error { _, err := w.SignInAs(w.ctx, none, "lan"); return err },
		"BeginStepUp":      func() error { _, err := w.BeginStepUp(w.ctx, none, s); return err },
		"FinishStepUp":     func() error { _, err := w.FinishStepUp(w.ctx, none, s, "", nil); return err },
		"StepUpPassword":   func() error { _, err := w.StepUpPassword(w.ctx, none, s, ""); return err },
		"BeginEnrolment":   func() error { _, err := w.BeginEnrolment(w.ctx, none, s); return err },
		"FinishEnrolment":  func() error { _, err := w.FinishEnrolment(w.ctx, none, s, "", "", nil); return err },
		"BeginSignature":   func() error { _, err := w.BeginSignature(w.ctx, none, s, "x"); return err },
		"FinishSignature":  func() error { _, _, err := w.FinishSignature(w.ctx, none, s, "", nil); return err },
		"SetPassword":      func() error { return w.SetPassword(w.ctx, none, s, goodPassword) },
		"RemovePassword":   func() error { return w.RemovePassword(w.ctx, none, s, "lan", "") },
		"RevokePasskey":    func() error { _, err := w.RevokePasskey(w.ctx, none, s, "lan", "", ""); return err },
		"SignOut":          func() error { return w.SignOut(w.ctx, none, s) },
		"EndSession":       func() error { return w.EndSession(w.ctx, none, s, s.ID) },
		"EndOtherSessions": func() error { _, err := w.EndOtherSessions(w.ctx, none, s); return err },
		"EndSessionsOf":    func() error { _, err := w.EndSessionsOf(w.ctx, none, s, "minh"); return err },
		"IssueLink":        func() error { _, _, err := w.IssueLink(w.ctx, none, s, "minh"); return err },
		"OpenLink":         func() error { _, err := w.OpenLink(w.ctx, none, ""); return err },
	} {
		if err := do(); err != ErrMethod {
			t.Errorf("%s: %v", name, err)
		}
	}
	if after := w.acts(""); after != before {
		t.Errorf("log: %s", after)
	}
}

func TestCookie(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, test := range []struct{ origin, set, clear string }{
		{origin, "__Host-answerable_session=secret; Path=/; HttpOnly; Secure; SameSite=Lax", "__Host-answerable_session=; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=Lax"},
		{"http://localhost:8080", "answerable_session=secret; Path=/; HttpOnly; SameSite=Lax", "answerable_session=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax"},
	} {
		a := w.accounts(func(o *Options) { o.Origin = test.origin })
		x := httptest.NewRecorder()
		a.SetCookie(x, Opened{Secret: "secret"})
		a.ClearCookie(x)
		if got := x.Header().Values("Set-Cookie"); len(got) != 2 || got[0] != test.set || got[1] != test.clear {
			t.Errorf("%s: %q", test.origin, got)
		}
	}
	b := w.signedIn("lan")
	r := b.request(http.MethodGet)
	r.AddCookie(&http.Cookie{Name: w.CookieName(), Value: "x"}) // which of the two is ours?
	_, _, err := w.Authenticate(r)
	w.is(err, appstate.ErrNoSession)
}

func TestAddress(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	behind := w.accounts(func(o *Options) {
		o.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("::1/128")}
	})
	for _, test := range []struct {
		a              *Accounts
		remote         string
		forwarded      []string
		want, rateUnit string
	}{
		{w.Accounts, "192.0.2.1:1", nil, "192.0.2.1", "a192.0.2.1"},
		{w.Accounts, "192.0.2.1:1", []string{"198.51.100.1"}, "192.0.2.1", "a192.0.2.1"}, // anybody can send the header
		{w.Accounts, "[::ffff:192.0.2.1]:1", nil, "192.0.2.1", "a192.0.2.1"},
		{w.Accounts, "[2001:db8::1:2]:1", nil, "2001:db8::1:2", "a2001:db8::/64"},
		{w.Accounts, "[fe80::1%eth0]:1", nil, "fe80::1", "afe80::/64"},
		{w.Accounts, "@", nil, "", "a"},
		{behind, "10.0.0.1:1", []string{"198.51.100.1"}, "198.51.100.1", "a198.51.100.1"},
		{behind, "10.0.0.1:1", []string{"203.0.113.9, 198.51.100.1, 10.0.0.2"}, "198.51.100.1", "a198.51.100.1"},
		{behind, "10.0.0.1:1", []string{"203.0.113.9", "198.51.100.1"}, "198.51.100.1", "a198.51.100.1"},
		{behind, "10.0.0.1:1", []string{"203.0.113.9, nonsense"}, "10.0.0.1", "a10.0.0.1"},
		{behind, "10.0.0.1:1", nil, "10.0.0.1", "a10.0.0.1"},
		{behind, "192.0.2.1:1", []string{"198.51.100.1"}, "192.0.2.1", "a192.0.2.1"},
	} {
		r := httptest.NewRequest(http.MethodPost, "/", nil)
		r.RemoteAddr = test.remote
		r.Header["X-Forwarded-For"] = test.forwarded
		if got := test.a.address(r); got != test.want || addressKey(got) != test.rateUnit {
			t.Errorf("%s %v: %s, %s", test.remote, test.forwarded, got, addressKey(got))
		}
	}
}

func TestSafeNext(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ next, want string }{
		{"/", "/"},
		{"/reports/25900?date=2021-02-08&known_at=2021-02-09T17:00:00%2B07:00", "/reports/25900?date=2021-02-08&known_at=2021-02-09T17:00:00%2B07:00"},
		{"/đơn-vị", "/%C4%91%C6%A1n-v%E1%BB%8B"},
		{"/a#b", "/a"},
		{"/a?next=//evil.example", "/a?next=//evil.example"},
		{"", "/"}, {"reports", "/"}, {"https://evil.example/", "/"}, {"//evil.example", "/"}, {"///evil.example", "/"}, {`/\evil.example`, "/"}, {`\/evil.example`, "/"},
		{"/\t/evil.example", "/"}, {"/\n//evil.example", "/"}, {"/%2F/evil.example", "/"}, {"/%5Cevil.example", "/"}, {"/%09/evil.example", "/"}, {"javascript:alert(1)", "/"}, {" /a", "/"},
		{"/%zz", "/"}, {"/a\r\nSet-Cookie: x=y", "/"}, {"/" + strings.Repeat("a", 3000), "/"}, {"/\xff", "/"},
	} {
		if got := SafeNext(test.next); got != test.want {
			t.Errorf("%q: %q, want %q", test.next, got, test.want)
		}
	}
}

func TestSafeNextStaysHere(t *testing.T) {
	t.Parallel()
	base, err := url.Parse(origin)
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		next := rapid.StringOf(rapid.SampledFrom([]rune(`/\:.?#%@&=25fFcC09aehtps evil`+"\t\n\r\x00ế"))).Draw(t, "next")
		got := SafeNext(next)
		u, err := base.Parse(got)
		if err != nil || u.Host != base.Host || u.Scheme != base.Scheme || u.User != nil || !strings.HasPrefix(got, "/") || strings.HasPrefix(got, "//") || strings.ContainsAny(got, "\\\t\r\n") {
			t.Fatalf("%q leads to %q (%v)", next, got, err)
		}
		if again := SafeNext(got); again != got {
			t.Fatalf("%q gives %q, then %q", next, got, again)
		}
	})
}
