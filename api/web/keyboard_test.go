package web

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/answerable-ledger/answerable/domain"
)

// tabOrder is what the Tab key must reach on a page, in this order: of radio buttons the chosen one.
const tabOrder = `(() => {
  window.reach = [...document.querySelectorAll("a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex='0']")]
    .filter(e => e.checkVisibility() && !e.disabled && e.tabIndex >= 0 && !(e.type === "radio" && !e.checked));
  window.at = -1;
  document.activeElement.blur();
  return window.reach.length;
})()`

// focused says how the element that has the focus is wrong: which it should be, and how its focus is to be seen. A field of
// a date has parts of the browser's own, which Tab goes through.
const focused = `(() => {
  const e = document.activeElement;
  if (e === window.reach[window.at] && e.type.startsWith("date")) return [];
  const i = ++window.at, want = window.reach[i], s = getComputedStyle(e), box = e.getBoundingClientRect(), out = [];
  if (e !== want) out.push("focus " + i + " is on " + e.outerHTML.slice(0, 120) + ", not on " + (want && want.outerHTML.slice(0, 120)));
  const part = c => { c /= 255; return c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4; };
  const light = text => { const [r, g, b] = text.match(/[0-9.]+/g).map(Number); return 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b); };
  if (s.outlineStyle === "none" || parseFloat(s.outlineWidth) < 2 || 1.05 / (light(s.outlineColor) + 0.05) < 3) out.push("its focus is not seen: " + s.outline + " on " + e.outerHTML.slice(0, 120));
  if (box.bottom < 0 || box.right < 0 || box.top > innerHeight || box.left > innerWidth) out.push("it is out of sight: " + e.outerHTML.slice(0, 120));
  return out;
})()`

func (b *tab) key(keys string) { b.t.Helper(); b.do(chromedp.KeyEvent(keys)) }

// sendKey presses a key, and waits until another page is there.
func (b *tab) sendKey(keys string) {
	b.t.Helper()
	b.leave("press a key", chromedp.KeyEvent(keys))
}

// is reports whether something is so, or becomes so soon.
func (b *tab) is(script string) bool {
	b.t.Helper()
	is, err := chromedp.Run(b.ctx, chromedp.Evaluate[bool](soon(script), chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatalf("%s: %s: %v", b.name, script, err)
	}
	return is
}

// tabTo presses the Tab key until an element has the focus.
func (b *tab) tabTo(selector string) {
	b.t.Helper()
	for range 80 {
		b.key(kb.Tab)
		there, err := chromedp.Run(b.ctx, chromedp.Evaluate[bool]("document.activeElement.matches(`"+selector+"`)"))
		if err != nil {
			b.t.Fatalf("%s: %v", b.name, err)
		}
		if there {
			return
		}
	}
	b.t.Fatalf("%s: the Tab key does not reach %s", b.name, selector)
}

// TestKeysReachEverything: on every page the Tab key reaches all there is to press or to fill in, in the order of the page,
// and it is seen where one is. Of a page of many things alike, as a grid is, the first are looked at.
func TestKeysReachEverything(t *testing.T) {
	w, origin := serveWorld(t)
	w.fullDay()
	b := newTab(t, origin, t.TempDir(), "keys", 1280, 900)
	seated := map[domain.PersonID]*browser{}
	for _, v := range w.visits() {
		if len(v.then) > 0 { // what a sent form answers is the same page with more said
			continue
		}
		if seated[v.who] == nil {
			seated[v.who] = w.seated(v.who)
		}
		b.name = v.name
		b.sit(seated[v.who])
		b.open(v.path)
		n, err := chromedp.Run(b.ctx, chromedp.Evaluate[int](tabOrder))
		if err != nil {
			t.Fatal(err)
		}
		if n < 3 {
			t.Errorf("%s has %d things to reach", v.path, n)
		}
		for reached := 0; reached < min(n, 24); {
			b.key(kb.Tab)
			b.says("keys", focused)
			if reached, err = chromedp.Run(b.ctx, chromedp.Evaluate[int](`window.at + 1`)); err != nil {
				t.Fatal(err)
			}
		}
		// The first thing leads past what every page begins with.
		b.open(v.path)
		b.key(kb.Tab)
		b.key(kb.Enter)
		if !b.is(`document.activeElement.id === "main"`) {
			t.Errorf("%s: the skip link does not lead to what is on the page", v.path)
		}
	}
	b.name = "keys"
}

// TestFilingWithKeysAlone signs in, files and signs off without a mouse.
func TestFilingWithKeysAlone(t *testing.T) {
	w, origin := serveWorld(t)
	for _, p := range []domain.PersonID{"filer", "head"} {
		w.password(p, "mưa rơi trên mái tôn")
	}
	b := newTab(t, origin, t.TempDir(), "keys", 390, 844)
	signIn := func(name string) {
		t.Helper()
		b.open("/signin")
		b.tabTo("#name")
		b.key(name)
		b.key(kb.Tab)
		b.key("mưa rơi trên mái tôn")
		b.sendKey(kb.Enter)
	}
	signIn("filer")
	b.shows("Báo cáo hôm nay", "còn 7 giờ")
	b.tabTo("a.button")
	b.sendKey(kb.Enter)
	b.tabTo("#f_smartphone_users")
	b.key("8.000")
	b.sendKey(kb.Enter)
	// What is wrong is said first; its link leads to the field.
	if !b.is(`document.activeElement.matches(".problems")`) {
		t.Error("the summary of what is wrong has not the focus")
	}
	b.key(kb.Tab)
	b.key(kb.Enter)
	if !b.is(`document.activeElement.id === "f_smartphone_users"`) {
		t.Error("the summary does not lead to the field")
	}
	b.key(kb.End + strings.Repeat(kb.Backspace, len("8.000")))
	b.key("8000")
	b.tabTo("#f_installed")
	b.key("4000")
	b.tabTo("#f_new_today")
	b.key("100")
	b.tabTo("form.stack button")
	b.sendKey(kb.Enter)
	b.shows("Kiểm tra rồi gửi")
	b.tabTo(`button[value="send"]`)
	b.sendKey(" ")
	b.shows("Số đến", "Đúng hạn")
	b.tabTo("form.who button")
	b.sendKey(kb.Enter)

	signIn("head")
	b.tabTo("section a.button")
	b.sendKey(kb.Enter)
	b.tabTo(`input[name="agree"]`)
	b.key(" ")
	b.tabTo(`form[action$="/sign"] button`)
	b.sendKey(kb.Enter)
	b.shows("Không còn báo cáo nào chờ ký")
	r, err := w.ledger.Report(w.ctx, domain.ReportKey{Regime: "bluezone", Form: "commune", Unit: "25741", Date: testDay})
	w.ok(err)
	if len(r.Versions) != 1 || len(r.SignOffs) != 1 {
		t.Errorf("%+v", r)
	}
}

// password gives somebody a password, by a link of the administrator.
func (w *world) password(p domain.PersonID, password string) {
	w.Helper()
	b := w.enrols(p)
	target, values := b.form(b.page("/enrol"), "/enrol/password", url.Values{"password": {password}})
	b.want(http.MethodPost, target, values, http.StatusSeeOther)
}

// TestPrintedAndStill: on paper there is what is to be kept and nothing that is to be pressed; heads of tables are on every
// sheet, a slip is on one; and nothing on a page moves, least of all for who wants less of it.
func TestPrintedAndStill(t *testing.T) {
	w, origin := serveWorld(t)
	w.fullDay()
	b := newTab(t, origin, t.TempDir(), "paper", 1280, 900)
	sheets := regexp.MustCompile(`/Type\s*/Page\b`)
	for _, at := range []struct {
		who    domain.PersonID
		path   string
		atMost int
	}{{"filer", report + "/filed", 1}, {"inspector", "/grid?from=2021-02-05&to=2021-02-10", 2}, {"inspector", "/reports/25741/2021-02-08", 4}, {"head", "/answers", 3}, {"department", "/totals", 3}} {
		b.name = at.path
		b.sit(w.as(at.who))
		b.open(at.path)
		if _, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Media: "print", Features: []*emulation.MediaFeature{{Name: "prefers-reduced-motion", Value: "reduce"}}}); err != nil {
			t.Fatal(err)
		}
		b.says("print", `[...document.querySelectorAll("nav, button, form, .skip, .acts")].filter(e => e.checkVisibility()).map(e => "is printed: " + e.outerHTML.slice(0, 100))`)
		b.says("print", `[...document.querySelectorAll("thead")].filter(e => getComputedStyle(e).display !== "table-header-group").map(e => "is not repeated: " + e.outerHTML.slice(0, 100))`)
		b.says("print", `[...document.querySelectorAll(".scroll")].filter(e => getComputedStyle(e).overflowX !== "visible" || getComputedStyle(e).maxHeight !== "none").map(e => "is cut: " + e.outerHTML.slice(0, 100))`)
		b.says("still", `[...document.querySelectorAll("*")].filter(e => { const s = getComputedStyle(e); return s.animationName !== "none" || parseFloat(s.transitionDuration) > 0 || s.scrollBehavior === "smooth"; }).map(e => "moves: " + e.outerHTML.slice(0, 100))`)
		pdf, err := chromedp.Run(b.ctx, chromedp.PrintToPDF(chromedp.PDFPreferCSSPageSize()))
		if err != nil {
			t.Fatal(err)
		}
		if n := len(sheets.FindAll(pdf, -1)); n < 1 || n > at.atMost {
			t.Errorf("%s is %d sheets", at.path, n)
		}
		if _, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{}); err != nil {
			t.Fatal(err)
		}
	}
}
