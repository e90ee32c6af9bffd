package web

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image/png"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/webauthn"
	"github.com/chromedp/chromedp"

	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/signing/enrolled"
)

// artifacts is where screenshots are kept: the directory named by ARTIFACTS_DIR, or the test's own.
func artifacts(t *testing.T) string {
	if dir := os.Getenv("ARTIFACTS_DIR"); dir != "" {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	return t.ArtifactDir()
}

// tab is a browser of its own, with its own cookies and its own authenticator.
type tab struct {
	t      *testing.T
	ctx    context.Context
	origin string
	shots  string
	name   string
}

// newTab starts Chromium. A machine without one is told how to get it.
func newTab(t *testing.T, origin, shots, name string, width, height int64) *tab {
	t.Helper()
	path := ""
	for _, program := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(program); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		t.Skip("no browser: install chromium (make tools does, as root on Debian)")
	}
	b := &tab{t: t, ctx: startBrowser(t, path), origin: origin, shots: shots, name: name}
	b.do(chromedp.EmulateViewport(width, height))
	messages := chromedp.Console(b.ctx)
	t.Cleanup(func() {
		_ = chromedp.Cancel(b.ctx)
		for m, err := range messages {
			if err != nil {
				break
			}
			// A page that refuses a form is no fault of it.
			if (m.Type == "error" || m.Type == chromedp.ConsoleException) && !strings.Contains(m.Text, "the server responded with a status of") {
				t.Errorf("%s: the console says %s", name, m.Text)
			}
		}
	})
	return b
}

// startBrowser starts Chromium with a profile of its own, for as long as the test lasts. A start that fails is tried again: on
// a machine with much to do, Chromium now and then crashes before it shows anything ("Zygote could not fork"), which says
// nothing about our pages.
func startBrowser(t *testing.T, path string) context.Context {
	t.Helper()
	var err error
	for range 3 {
		options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.UserDataDir(t.TempDir()))
		for _, flag := range []string{"disable-gpu", "disable-quic", "no-first-run", "disable-background-networking", "disable-component-update", "disable-sync"} {
			options = append(options, chromedp.Flag(flag, true))
		}
		if os.Geteuid() == 0 {
			options = append(options, chromedp.NoSandbox)
		}
		ctx, cancelProcess := chromedp.NewExecAllocator(t.Context(), options...)
		ctx, cancelTab := chromedp.NewContext(ctx)
		ctx, cancelTime := context.WithTimeout(ctx, 10*time.Minute)
		cancel := func() { cancelTime(); cancelTab(); cancelProcess() }
		if err = chromedp.Do(ctx); err == nil {
			t.Cleanup(cancel)
			return ctx
		}
		cancel()
		t.Logf("starting %s: %v", path, err)
	}
	t.Fatalf("the browser does not start: %v", err)
	return nil
}

func (b *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, steps...); err != nil {
		b.t.Fatalf("%s: %v", b.name, err)
	}
}

func (b *tab) text() string {
	b.t.Helper()
	text, err := chromedp.Run(b.ctx, chromedp.Evaluate[string]("document.body.innerText"))
	if err != nil {
		b.t.Fatalf("%s: %v", b.name, err)
	}
	return text
}

func (b *tab) open(path string) { b.t.Helper(); b.do(chromedp.Navigate(b.origin + path)) }

func (b *tab) shows(want ...string) {
	b.t.Helper()
	text := b.text()
	for _, w := range want {
		if !strings.Contains(text, w) {
			b.t.Errorf("%s: no %q in\n%s", b.name, w, text)
		}
	}
}

// press clicks what a selector finds, and waits until another page is there.
func (b *tab) press(selector string) {
	b.t.Helper()
	b.leave("press "+selector, chromedp.Click(chromedp.CSS(selector)))
}

// leave does what leads to another page, and waits until that is there. The event of loading is not waited for: the one
// of the page that is being left may come late.
func (b *tab) leave(what string, do chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if _, err := chromedp.Run(b.ctx, chromedp.Evaluate[bool](`window.left = true`)); err != nil {
		b.t.Fatalf("%s: %s: %v", b.name, what, err)
	}
	b.do(do)
	there, err := false, errors.New("not asked")
	for tries := 0; err != nil && tries < 20; tries++ { // a question dies with the page that is asked
		there, err = chromedp.Run(b.ctx, chromedp.Evaluate[bool](soon(`!window.left && document.readyState === "complete"`), chromedp.EvalAwaitPromise))
	}
	if !there {
		b.t.Fatalf("%s: %s leads to no other page: %v", b.name, what, err)
	}
}

// soon is a script that asks until what it asks is so, or half a minute is over.
func soon(script string) string {
	return `new Promise(done => { const end = performance.now() + 30000, ask = () => (` + script + `) ? done(true) : performance.now() > end ? done(false) : setTimeout(ask, 20); ask(); })`
}

func (b *tab) fill(selector, value string) {
	b.t.Helper()
	b.do(chromedp.SetValue(chromedp.CSS(selector), value))
}

// shot keeps a picture of the page, and makes sure that the page is no wider than the window.
func (b *tab) shot(name string) {
	b.t.Helper()
	wide, err := chromedp.Run(b.ctx, chromedp.Evaluate[float64](`document.documentElement.scrollWidth - window.innerWidth`))
	if err != nil {
		b.t.Fatal(err)
	}
	if wide > 0 {
		b.t.Errorf("%s: %s is %v px wider than the window", b.name, name, wide)
	}
	image, err := chromedp.Run(b.ctx, chromedp.FullScreenshot(100))
	if err != nil {
		b.t.Fatal(err)
	}
	if _, err := png.DecodeConfig(bytes.NewReader(image)); err != nil {
		b.t.Errorf("%s: %v", name, err)
	}
	if err := os.WriteFile(filepath.Join(b.shots, fmt.Sprintf("%s-%s.png", name, b.name)), image, 0o644); err != nil {
		b.t.Fatal(err)
	}
}

// serveWorld serves a world where browsers can have passkeys.
func serveWorld(t *testing.T) (*world, string) {
	t.Helper()
	listener, origin := listen(t)
	w := newWorldAt(t, origin, nil)
	judge, err := enrolled.New(enrolled.Config{Origins: []string{origin}, RPIDs: []string{"localhost"}}, func(s string) string { return s })
	w.ok(err)
	w.ledger.JudgeSignatures(judge)
	w.serve(t, listener)
	return w, origin
}

// listen gives a port of this machine under the name by which browsers let it have passkeys.
func listen(t *testing.T) (net.Listener, string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return listener, "http://localhost:" + port
}

// serve answers until the test ends.
func (w *world) serve(t *testing.T, listener net.Listener) {
	server := &http.Server{Handler: w.handler, ReadHeaderTimeout: time.Minute}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(listener)
	}()
	t.Cleanup(func() {
		_ = server.Close()
		<-done
	})
}

func (b *tab) signInAs(p domain.PersonID) {
	b.t.Helper()
	b.open("/demo")
	b.press(fmt.Sprintf(`form:has(input[value=%q]) button`, p))
}

// TestBrowserDay is the story of a day in real browsers: the filer on a phone, the head with a passkey, the inspector at a
// desk; nothing is wider than its window, and nothing is refused by the content security policy.
func TestBrowserDay(t *testing.T) {
	w, origin := serveWorld(t)
	shots := artifacts(t)
	phone := newTab(t, origin, shots, "phone", 390, 844)
	phone.open("/signin")
	phone.shot("signin")
	phone.signInAs("filer")
	phone.shows("Chưa đến hạn, chưa gửi", "còn 7 giờ")
	phone.shot("today")
	phone.press("a.button")
	phone.fill("#f_smartphone_users", "8.000")
	phone.press("form.stack button")
	phone.shows("Có vấn đề")
	phone.shot("file-problems")
	phone.fill("#f_smartphone_users", "8000")
	phone.fill("#f_installed", "4000")
	phone.fill("#f_new_today", "100")
	phone.press("form.stack button")
	phone.shows("Kiểm tra rồi gửi")
	phone.shot("check")
	phone.press(`button[value="send"]`)
	phone.shows("Số đến", "Đúng hạn")
	phone.shot("filed")

	// The head enrols a passkey, and signs with it what they see.
	head := newTab(t, origin, shots, "desk", 1280, 900)
	if _, err := chromedp.Call(head.ctx, webauthn.Enable, webauthn.EnableParams{}); err != nil {
		t.Fatal(err)
	}
	if _, err := chromedp.Call(head.ctx, webauthn.AddVirtualAuthenticator, webauthn.AddVirtualAuthenticatorParams{Options: &webauthn.VirtualAuthenticatorOptions{Protocol: "ctap2", Ctap2version: "ctap2_1",
		Transport: "internal", HasResidentKey: true, HasUserVerification: true, IsUserVerified: true, AutomaticPresenceSimulation: true}}); err != nil {
		t.Fatal(err)
	}
	head.signInAs("head")
	head.shows("Chờ ký", "8.000")
	head.shot("queue")
	head.open("/account")
	head.fill(`[data-enrol] input`, "Khóa ở bàn")
	head.press(`[data-enrol] button`)
	head.shows("Khóa ở bàn", "ký được báo cáo")
	head.shot("account")
	head.open(report + "/sign")
	head.shows("Bạn ký đúng những điều sau", "Ký bằng khóa")
	head.shot("sign")
	head.press(`[data-sign] button`)
	head.shows("Không còn báo cáo nào chờ ký")
	r, err := w.ledger.Report(w.ctx, domain.ReportKey{Regime: "bluezone", Form: "commune", Unit: "25741", Date: testDay})
	w.ok(err)
	if len(r.SignOffs) != 1 || r.SignOffs[0].Signature == nil || r.SignOffs[0].Signature.Method != "webauthn" || r.SignOffs[0].Signer != "head" {
		t.Fatalf("%+v", r.SignOffs)
	}
	// And signs in with it.
	head.press(`form.who button`)
	head.press(`[data-passkey] button`)
	head.shows("Chờ ký", "Nguyễn head")
	head.open("/answers")
	head.shot("answers")

	desk := newTab(t, origin, shots, "desk", 1280, 900)
	desk.signInAs("inspector")
	for _, at := range []struct{ name, path, want string }{
		{"inspect", "/inspect?date=2021-02-08&q=hiep", "Hiệp Thành"}, {"report", "/reports/25741/2021-02-08?regime=bluezone", "TM."},
		{"report-past", "/reports/25741/2021-02-08?regime=bluezone&known_at=2021-02-08T07%3A00", "Bạn đang xem quá khứ"},
		{"search", "/search?date=2021-02-08", "Không có dòng nào"}, {"grid", "/grid?from=2021-02-07&to=2021-02-08", "Tỷ lệ đúng hạn"},
		{"progress", "/progress?date=2021-02-08", "60 %"}, {"totals", "/totals?date=2021-02-08", "Đã nhận"},
		{"operations", "/operations", "Luồng bị giữ lại"}, {"judgements", "/judgements", "Không có dòng nào"}, {"access", "/access", "/inspect?date=2021-02-08&q=hiep"},
	} {
		sign := "?"
		if strings.Contains(at.path, "?") {
			sign = "&"
		}
		desk.name = "desk"
		desk.do(chromedp.EmulateViewport(1280, 900))
		desk.open(at.path + sign + "lang=vi")
		desk.shows(at.want)
		desk.shot(at.name)
		desk.name = "phone"
		desk.do(chromedp.EmulateViewport(390, 844))
		desk.open(at.path + sign + "lang=en")
		desk.shot(at.name)
	}
	board := newTab(t, origin, shots, "phone", 390, 844)
	board.signInAs("district")
	board.shows("Phú Lợi", "Đôn đốc")
	board.shot("district")
}
