package web

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"testing"

	"github.com/chromedp/cdproto/webauthn"
	"github.com/chromedp/chromedp"

	"github.com/answerable-ledger/answerable/commands"
	"github.com/answerable-ledger/answerable/domain"
)

// authenticator is a browser's own, which its tests can spoil.
type authenticator struct {
	*tab
	id webauthn.AuthenticatorID
}

func (b *tab) authenticator() authenticator {
	b.t.Helper()
	if _, err := chromedp.Call(b.ctx, webauthn.Enable, webauthn.EnableParams{}); err != nil {
		b.t.Fatal(err)
	}
	a, err := chromedp.Call(b.ctx, webauthn.AddVirtualAuthenticator, webauthn.AddVirtualAuthenticatorParams{Options: &webauthn.VirtualAuthenticatorOptions{Protocol: "ctap2", Ctap2version: "ctap2_1",
		Transport: "internal", HasResidentKey: true, HasUserVerification: true, IsUserVerified: true, AutomaticPresenceSimulation: true}})
	if err != nil {
		b.t.Fatal(err)
	}
	return authenticator{b, a.AuthenticatorID}
}

// verifies says whether the authenticator knows who touches it.
func (a authenticator) verifies(is bool) {
	a.t.Helper()
	if _, err := chromedp.Call(a.ctx, webauthn.SetUserVerified, webauthn.SetUserVerifiedParams{AuthenticatorID: a.id, IsUserVerified: is}); err != nil {
		a.t.Fatal(err)
	}
}

// credential is the one it holds.
func (a authenticator) credential() webauthn.Credential {
	a.t.Helper()
	all, err := chromedp.Call(a.ctx, webauthn.GetCredentials, webauthn.GetCredentialsParams{AuthenticatorID: a.id})
	if err != nil || len(all.Credentials) != 1 {
		a.t.Fatalf("%+v, %v", all, err)
	}
	return *all.Credentials[0]
}

func (a authenticator) clear() {
	a.t.Helper()
	if _, err := chromedp.Call(a.ctx, webauthn.ClearCredentials, webauthn.ClearCredentialsParams{AuthenticatorID: a.id}); err != nil {
		a.t.Fatal(err)
	}
}

// offersEverything makes pages ask the authenticator for any passkey it holds, whomever it is of, as somebody would who
// changes the script: what refuses another's is the server then, and not the browser.
func (a authenticator) offersEverything() {
	a.t.Helper()
	a.onEveryPage(`if (navigator.credentials) {
  const get = navigator.credentials.get.bind(navigator.credentials);
  navigator.credentials.get = (o) => { o.publicKey.allowCredentials = []; return get(o).then((c) => { window.offered = true; return c; }); };
}`)
}

// holds changes the one it holds.
func (a authenticator) holds(c webauthn.Credential) {
	a.t.Helper()
	a.clear()
	if _, err := chromedp.Call(a.ctx, webauthn.AddCredential, webauthn.AddCredentialParams{AuthenticatorID: a.id, Credential: &c}); err != nil {
		a.t.Fatal(err)
	}
}

// enrols makes a passkey for who is signed in.
func (a authenticator) enrols(label string) {
	a.t.Helper()
	a.open("/account")
	a.fill(`[data-enrol] input`, label)
	a.press(`[data-enrol] button`)
	a.shows(label)
}

// refused presses the button that signs, and is told that nothing was.
func (a authenticator) refused(why string) {
	a.t.Helper()
	a.open(report + "/sign")
	a.do(chromedp.Click(chromedp.CSS(`[data-sign] button`)))
	if !a.is(`document.querySelector("[data-sign] .problem").checkVisibility()`) {
		a.t.Errorf("%s: nothing says that it is refused", why)
	}
	if !a.is(`document.querySelector("[data-sign] .problem").innerText.trim().length > 10`) {
		a.t.Errorf("%s: it is not said why", why)
	}
	a.picture("story-refused-" + why)
}

// TestStoryOfADay is one report from the commune to the inspector: five persons, three browsers, passkeys; signing with what
// does not prove who signs is refused; what is corrected afterwards is seen everywhere, and what was known before still is.
func TestStoryOfADay(t *testing.T) {
	w, origin := serveWorld(t)
	sign := w.evident(func(b []byte) []byte { return b })
	shots := artifacts(t)
	key := domain.ReportKey{Regime: "bluezone", Form: "commune", Unit: "25741", Date: testDay}
	signed := func() []domain.SignOff {
		t.Helper()
		r, err := w.ledger.Report(w.ctx, key)
		w.ok(err)
		return r.SignOffs
	}

	// The commune files on a phone.
	phone := newTab(t, origin, shots, "phone", 390, 844)
	phone.signInAs("filer")
	phone.press("a.button")
	for field, value := range map[string]string{"#f_smartphone_users": "8000", "#f_installed": "4000", "#f_new_today": "100"} {
		phone.fill(field, value)
	}
	phone.press("form.stack button")
	phone.press(`button[value="send"]`)
	phone.shows("Số đến", "Đúng hạn")
	phone.shot("story-1-filed")

	// The head signs. Neither a touch by nobody in particular, nor a copy of the key, nor another's key by the
	// name of the head's signs anything.
	desk := newTab(t, origin, shots, "head", 1280, 900)
	own := desk.authenticator()
	desk.signInAs("head")
	own.enrols("Khóa của Chủ tịch")
	genuine := own.credential()
	desk.press(`form.who button`)
	own.clear()
	desk.signInAs("district")
	own.enrols("Khóa của người khác")
	stranger := own.credential()
	desk.press(`form.who button`)
	desk.signInAs("head")
	own.holds(genuine)
	own.verifies(false)
	own.refused("no-verification")
	own.verifies(true)
	clone := genuine
	clone.SignCount = 0
	own.holds(clone)
	own.refused("cloned")
	if s := signed(); len(s) != 0 {
		t.Fatalf("signed: %+v", s)
	}
	somebody, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	w.ok(err)
	others := genuine
	others.SignCount = 10
	others.PrivateKey, err = x509.MarshalPKCS8PrivateKey(somebody)
	w.ok(err)
	own.holds(others)
	own.refused("not-its-key")
	if s := signed(); len(s) != 0 {
		t.Fatalf("signed: %+v", s)
	}
	own.holds(stranger)
	own.refused("anothers")
	own.offersEverything()
	own.refused("anothers-offered")
	if !desk.is(`window.offered === true`) {
		t.Error("the authenticator offered nothing, so the server refused nothing")
	}
	if s := signed(); len(s) != 0 {
		t.Fatalf("signed: %+v", s)
	}
	genuine.SignCount = 20
	own.holds(genuine)
	desk.open(report + "/sign")
	desk.press(`[data-sign] button`)
	desk.shows("Không còn báo cáo nào chờ ký")
	if s := signed(); len(s) != 1 || s[0].Signer != "head" || s[0].Signature == nil {
		t.Fatalf("signed: %+v", s)
	}
	desk.shot("story-2-signed")

	// The district consolidates, the department looks on.
	office := newTab(t, origin, shots, "office", 1280, 900)
	office.signInAs("district")
	office.shows("Phú Lợi", "Đúng hạn")
	office.press("section.card a.button")
	office.fill("#f_agencies_reached", "12")
	office.press("form.stack button")
	office.press(`button[value="send"]`)
	office.shows("Số đến")
	office.shot("story-3-consolidated")
	office.press(`form.who button`)
	office.signInAs("department")
	office.open("/grid?from=2021-02-08&to=2021-02-08")
	office.shows("Tỷ lệ đúng hạn", "Phú Lợi")
	office.open("/totals?date=2021-02-08")
	office.shows("Thủ Dầu Một", "4.000")
	office.shot("story-4-totals")
	office.press(`form.who button`)

	// The commune corrects; what was consolidated is out of date.
	w.clock.Set(at(9, 30))
	phone.signInAs("filer")
	phone.open(report + "/file")
	phone.fill("#f_installed", "4150")
	phone.fill("#reason", "Rà soát lại")
	phone.press("form.stack button")
	phone.shows("Kiểm tra rồi gửi", "thay đổi")
	phone.press(`button[value="send"]`)
	phone.shows("4.150", "Rà soát lại")
	w.settle()
	sign()
	office.signInAs("district")
	office.shows("Cấp dưới đã thay đổi sau khi tổng hợp")
	office.shot("story-5-out-of-date")
	office.press(`form.who button`)

	// The inspector sees both versions, both times, who signed which, and the evidence.
	office.signInAs("inspector")
	office.open("/reports/25741/2021-02-08?regime=bluezone")
	office.shows("Bản 2", "4.000", "4.150", "Rà soát lại", "09:30:00 08/02/2021", "Đã ký bản cũ, bản mới chưa ký", "Nguyễn head")
	if !office.is(`document.querySelector("a[href^='/proof/'], a[href*='/evidence?']")`) {
		t.Error("nothing leads to the evidence")
	}
	office.shot("story-6-now")
	office.open("/reports/25741/2021-02-08?regime=bluezone&known_at=2021-02-08T09%3A00")
	office.shows("Bạn đang xem quá khứ", "09:00:00 08/02/2021", "4.000")
	if !office.is(`!document.querySelector("main").innerText.includes("4.150")`) {
		t.Error("the past knows the correction")
	}
	office.shot("story-7-then")

	// The head is away. The deputy, who signs for the head and holds no role, enrols a passkey and signs the correction.
	w.do(func(ctx context.Context, c commands.Command) (commands.Result, error) {
		return w.ledger.GrantAuthority(ctx, c, domain.AuthorityGranted{Unit: "25741", Authority: "kt_1", Person: "deputy", Capacity: domain.CapacityKT, Title: "Phó Chủ tịch", From: w.clock.Now(), Until: at(12, 0), Decision: "03/QĐ"})
	})
	office.press(`form.who button`)
	deputys := office.authenticator()
	office.signInAs("deputy")
	office.shows("Chờ ký", "4.150")
	deputys.enrols("Khóa của Phó Chủ tịch")
	office.shows("KT. Phó Chủ tịch", "12:00:00 08/02/2021", "ký được báo cáo")
	office.shot("story-8-deputy")
	office.open(report + "/sign")
	office.shows("KT. Phó Chủ tịch")
	office.press(`[data-sign] button`)
	office.shows("Không còn báo cáo nào chờ ký")
	if s := signed(); len(s) != 2 || s[1].Signer != "deputy" || s[1].Capacity != domain.CapacityKT || s[1].Version != 2 || s[1].Signature == nil {
		t.Fatalf("signed: %+v", s)
	}
	p, err := w.ledger.Person(w.ctx, "deputy")
	w.ok(err)
	if len(p.Grants) != 0 || len(p.Credentials) != 1 {
		t.Errorf("%+v", p)
	}
}
