package web

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"golang.org/x/net/html"

	"github.com/answerable-ledger/answerable/accounts"
	"github.com/answerable-ledger/answerable/internal/oidctest"
)

// TestOIDC: the button is there where a provider is set; who has bound their account signs in by it, and everybody else is
// told how to.
func TestOIDC(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	op := oidctest.New(t, w.clock.Now)
	if strings.Contains(w.as("").want(http.MethodGet, "/signin", nil, http.StatusOK).Body.String(), "oidc") {
		t.Error("there is a button for a provider that is not set")
	}
	w.as("").want(http.MethodPost, "/signin/oidc", nil, http.StatusNotFound)
	w.as("").want(http.MethodGet, accounts.ReturnPath, nil, http.StatusNotFound)

	var err error
	w.handler.Accounts, err = accounts.New(w.ledger, w.state, accounts.Options{Origin: "https://ledger.example", Name: "test", Clock: w.clock.Now, Demo: accounts.EnableDemo(),
		OIDC: accounts.OIDC{Issuer: op.URL, ClientID: oidctest.ClientID, ClientSecret: oidctest.ClientSecret, Name: "SSO " + hostile}})
	w.ok(err)

	// elsewhere presses a button, and answers with the page that the provider sends the browser back to.
	elsewhere := func(b *browser, root *html.Node, action, subject string) *html.Node {
		t.Helper()
		to := attr(find(b.send(root, action, nil, http.StatusOK), func(n *html.Node) bool { return strings.HasPrefix(attr(n, "href"), op.URL) }), "href")
		code, state := op.Vouch(t, to, subject, nil)
		return b.page(accounts.ReturnPath + "?" + url.Values{"code": {code}, "state": {state}}.Encode())
	}

	stranger := w.as("")
	root := stranger.page("/signin?next=%2Ftoday")
	stranger.shows(root, "Đăng nhập bằng SSO")
	root = stranger.send(elsewhere(stranger, root, "/signin/oidc", "lan@op"), accounts.ReturnPath, nil, http.StatusForbidden)
	stranger.shows(root, "liên kết dùng một lần", "Mật khẩu")

	filer := w.as("filer")
	root = filer.page("/account")
	filer.shows(root, "Chưa liên kết")
	root = filer.follow(elsewhere(filer, root, "/account/oidc", "lan@op"), accounts.ReturnPath, nil)
	filer.shows(root, "lan@op", op.URL)

	again := w.as("")
	root = elsewhere(again, again.page("/signin?next=%2Ftoday"), "/signin/oidc", "lan@op")
	target, values := again.form(root, accounts.ReturnPath, nil)
	if r := again.want(http.MethodPost, target, values, http.StatusSeeOther); r.Header().Get("Location") != "/today" {
		t.Errorf("leads to %s", r.Header().Get("Location"))
	}
	again.shows(again.page("/account"), "OpenID Connect", "lan@op")
	again.want(http.MethodPost, "/account/oidc", nil, http.StatusForbidden) // without a proof of their own
	w.as("").want(http.MethodPost, target, values, http.StatusUnauthorized)

	for _, next := range []string{"//evil.example", "https://evil.example/", "/\\evil.example"} {
		b := w.as("")
		to := attr(find(b.parsed("/signin/oidc", b.want(http.MethodPost, "/signin/oidc", url.Values{"next": {next}}, http.StatusOK)),
			func(n *html.Node) bool { return strings.HasPrefix(attr(n, "href"), op.URL) }), "href")
		code, state := op.Vouch(t, to, "lan@op", nil)
		r := b.want(http.MethodPost, accounts.ReturnPath, url.Values{"code": {code}, "state": {state}}, http.StatusSeeOther)
		if r.Header().Get("Location") != "/home" {
			t.Errorf("%s leads to %s", next, r.Header().Get("Location"))
		}
	}
	no := w.as("")
	no.shows(no.parsed("refused there", no.want(http.MethodGet, accounts.ReturnPath+"?error=access_denied&error_description="+url.QueryEscape(hostile), nil, http.StatusUnauthorized)), "không xác nhận")

	// Who is bound has another way to sign in, and may do without a password.
	filer.follow(filer.page("/account"), "/account/password", url.Values{"password": {phrase}})
	if root = filer.follow(filer.page("/account"), "/account/password/remove", nil); formOf(root, "/account/password/remove") != nil {
		t.Error("the password is still there")
	}
	again = w.as("")
	target, values = again.form(elsewhere(again, again.page("/signin"), "/signin/oidc", "lan@op"), accounts.ReturnPath, nil)
	again.want(http.MethodPost, target, values, http.StatusSeeOther)
	again.page("/account")

	root = filer.follow(filer.page("/account"), "/account/oidc/unbind", nil)
	filer.shows(root, "Chưa liên kết")
	again.want(http.MethodGet, "/account", nil, http.StatusSeeOther) // signed in nowhere

	// An administrator takes it away too: it signs in no longer, where it had is signed out, and the account log says who did.
	filer.follow(elsewhere(filer, filer.page("/account"), "/account/oidc", "lan@op"), accounts.ReturnPath, nil)
	admin := w.as("admin")
	root = admin.follow(admin.page("/people/filer"), "/people/filer/unbind", url.Values{"reason": {"Chuyển công tác"}})
	admin.shows(root, "bỏ liên kết với hệ thống khác admin", "Các cách đăng nhập khác", op.URL, "kết thúc")
	if find(root, func(n *html.Node) bool { return strings.HasSuffix(attr(n, "action"), "/unbind") }) != nil {
		t.Error("the subject is still bound")
	}
	filer.want(http.MethodGet, "/account", nil, http.StatusSeeOther)
	again = w.as("")
	again.send(elsewhere(again, again.page("/signin"), "/signin/oidc", "lan@op"), accounts.ReturnPath, nil, http.StatusForbidden)
	admin.want(http.MethodPost, "/people/filer/unbind", url.Values{"issuer": {op.URL}, "subject": {"lan@op"}, "reason": {"Chuyển công tác"}}, http.StatusNotFound)

	w.handler.Accounts, err = accounts.New(w.ledger, w.state, accounts.Options{Origin: "https://ledger.example", Name: "test", Clock: w.clock.Now, Demo: accounts.EnableDemo(),
		OIDC: accounts.OIDC{Issuer: op.URL, ClientID: oidctest.ClientID, Name: "SSO"}})
	w.ok(err)
	op.Close()
	down := w.as("")
	down.shows(down.send(down.page("/signin"), "/signin/oidc", nil, http.StatusBadGateway), "không hỏi được", "Mật khẩu")
}

// TestOIDCInBrowser: the way to the provider and back goes by itself in a real browser, under the policy of our pages.
func TestOIDCInBrowser(t *testing.T) {
	listener, origin := listen(t)
	w := newWorldAt(t, origin, nil)
	op := oidctest.New(t, w.clock.Now)
	var err error
	w.handler.Accounts, err = accounts.New(w.ledger, w.state, accounts.Options{Origin: origin, Name: "test", Clock: w.clock.Now, Demo: accounts.EnableDemo(),
		OIDC: accounts.OIDC{Issuer: op.URL, ClientID: oidctest.ClientID, ClientSecret: oidctest.ClientSecret, Name: "SSO"}})
	w.ok(err)
	w.serve(t, listener)
	b := newTab(t, origin, t.TempDir(), "oidc", 390, 844)
	b.signInAs("filer")
	b.open("/account")
	b.do(chromedp.Click(chromedp.CSS(`form[action="/account/oidc"] button`)))
	b.do(chromedp.WaitVisible(chromedp.CSS(`form[action="/account/oidc/unbind"]`)))
	b.shows(oidctest.BrowserSubject)
	b.press(`form[action="/signout"] button`)
	b.open("/signin?next=%2Faccount")
	b.do(chromedp.Click(chromedp.CSS(`form[action="/signin/oidc"] button`)))
	b.do(chromedp.WaitVisible(chromedp.CSS(`form[action="/account/oidc/unbind"]`)))
	b.shows("hệ thống khác (OpenID Connect)")

	// Both pages on the way, and what is said where the way ends, for everybody; they do not go on by themselves here.
	b.press(`form[action="/signout"] button`)
	b.onEveryPage(axeSource + `; HTMLFormElement.prototype.requestSubmit = () => {};`)
	b.everyWay("oidc-sign-in", func(lang string) { b.open("/signin?" + lang) })
	b.everyWay("oidc-return", func(lang string) { b.open(accounts.ReturnPath + "?code=x&state=y&" + lang) })
	b.everyWay("oidc-refused-there", func(lang string) { b.open(accounts.ReturnPath + "?error=access_denied&" + lang) })
	b.everyWay("oidc-not-vouched", func(lang string) {
		b.open(accounts.ReturnPath + "?code=x&state=y&" + lang)
		b.press("main form button")
	})
	b.name = "oidc"
}
