package web

import (
	"bytes"
	"context"
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/answerable-ledger/answerable/api"
	"github.com/answerable-ledger/answerable/domain"
)

// axeSource is axe-core 4.14.1, under the Mozilla Public License 2.0; only tests use it.
//
//go:embed testdata/axe/axe.min.js
var axeSource string

// axeRun judges a page by every rule of axe, those of WCAG 2.2 that it leaves out by itself too. Of a grid's many cells,
// which are all alike, it looks at the first rows: every one of them would take a minute.
const axeRun = `axe.run({exclude: [["table.grid tbody tr:nth-child(n+4)"]]}, {resultTypes: ["violations"], rules: {"target-size": {enabled: true}}})
.then(r => r.violations.map(v => v.id + " (" + v.help + "): " + v.nodes.slice(0, 4).map(n => n.target.join(" ") + " " + n.html.slice(0, 160)).join(" | ")))`

// wide lists what makes a page wider than its window; what scrolls in a region of its own may be wider.
const wide = `(() => {
  const w = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth <= w) return [];
  const out = [...document.querySelectorAll("body *")].filter(e => !e.closest(".scroll *") && e.getBoundingClientRect().right > w + 0.5).map(e => e.tagName + "." + e.className + " " + Math.round(e.getBoundingClientRect().right) + ": " + e.textContent.trim().slice(0, 60));
  return ["wider than " + w + ": " + document.documentElement.scrollWidth, ...out.slice(0, 5)];
})()`

// small lists what can be pressed and is smaller than 24 px each way. WCAG 2.5.8 leaves out links within a sentence, what
// has its own circle of 24 px free of other targets, and what is not shown until it is reached.
const small = `(() => {
  const targets = [...document.querySelectorAll("a[href], button, input:not([type=hidden]), select, textarea, summary")].filter(e => e.checkVisibility() && !e.closest(".skip"));
  const box = new Map(targets.map(e => [e, (e.closest("label.tick") && e.type !== "hidden" ? e.closest("label.tick") : e).getBoundingClientRect()]));
  const inText = e => e.tagName === "A" && getComputedStyle(e).display === "inline" && [...e.parentElement.childNodes].some(n => n.nodeType === 3 && n.textContent.trim().length > 1);
  const alone = e => {
    const b = box.get(e), x = b.left + b.width / 2, y = b.top + b.height / 2;
    return targets.every(o => o === e || (() => { const r = box.get(o), dx = Math.max(r.left - x, 0, x - r.right), dy = Math.max(r.top - y, 0, y - r.bottom); return dx * dx + dy * dy >= 144; })());
  };
  return targets.filter(e => { const b = box.get(e); return (b.width < 23.9 || b.height < 23.9) && !inText(e) && !alone(e); }).map(e => e.outerHTML.slice(0, 120) + " " + JSON.stringify(box.get(e)));
})()`

// says evaluates a script whose value is a list of what is wrong.
func (b *tab) says(what, script string) {
	b.t.Helper()
	wrong, err := chromedp.Run(b.ctx, chromedp.Evaluate[[]string](script, chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatalf("%s: %s: %v", b.name, what, err)
	}
	for _, s := range wrong {
		b.t.Errorf("%s: %s: %s", b.name, what, s)
	}
}

// sit gives the browser the cookies of somebody who is signed in, and takes away those it had.
func (b *tab) sit(who *browser) {
	b.t.Helper()
	if _, err := chromedp.Call(b.ctx, network.ClearBrowserCookies, cdp.Empty{}); err != nil {
		b.t.Fatal(err)
	}
	for name, value := range who.cookies {
		if _, err := chromedp.Call(b.ctx, network.SetCookie, network.SetCookieParams{Name: name, Value: value, URL: b.origin, Path: "/"}); err != nil {
			b.t.Fatal(err)
		}
	}
}

// visit opens a page and brings it into the state that is meant.
func (b *tab) visit(v visit, lang domain.Language) {
	b.t.Helper()
	sign := "?"
	if strings.Contains(v.path, "?") {
		sign = "&"
	}
	b.open(v.path + sign + "lang=" + string(lang))
	for _, s := range v.then {
		for field, value := range s.fill {
			if field == "#file" {
				b.attach(field, value)
				continue
			}
			b.fill(field, value)
		}
		// The tests look at what the server says, so the browser's own checks are left aside.
		b.do(chromedp.Func(func(context.Context, *chromedp.Target) error {
			_, err := chromedp.Run(b.ctx, chromedp.Evaluate[int](`[...document.forms].forEach(f => f.noValidate = true), 1`))
			return err
		}))
		b.press(s.press)
	}
}

// attach chooses a file with some content.
func (b *tab) attach(selector, content string) {
	b.t.Helper()
	script := fmt.Sprintf(`(() => { const d = new DataTransfer(); d.items.add(new File([%q], "ngày 08.csv", {type: "text/csv"})); document.querySelector(%q).files = d.files; return d.files.length; })()`, content, selector)
	if n, err := chromedp.Run(b.ctx, chromedp.Evaluate[int](script)); err != nil || n != 1 {
		b.t.Fatalf("%s: choose a file: %d, %v", b.name, n, err)
	}
}

// TestEveryPageForEverybody looks at every page in a browser, in both languages: axe finds nothing wrong on a desk and on a
// phone; at 320 px and at twice the size nothing but regions of their own scrolls sideways; everything that is to be
// pressed is large enough. Pages are kept as pictures, all of them when ARTIFACTS_DIR says where;
// ANSWERABLE_PAGES is how the names begin of the only ones to look at, for who works on them.
func TestEveryPageForEverybody(t *testing.T) {
	w, origin := serveWorld(t)
	w.fullDay()
	shots := artifacts(t)
	everything := os.Getenv("ARTIFACTS_DIR") != "" // a picture takes as long as a visit
	b := newTab(t, origin, shots, "", 1280, 900)
	b.onEveryPage(axeSource)
	visits := w.visits()
	slices.SortStableFunc(visits, func(a, b visit) int { return strings.Compare(string(a.who), string(b.who)) })
	if some := os.Getenv("ANSWERABLE_PAGES"); some != "" {
		visits = slices.DeleteFunc(visits, func(v visit) bool { return !strings.HasPrefix(v.name, some) })
	}
	seated := map[domain.PersonID]*browser{}
	for i, v := range visits {
		if seated[v.who] == nil {
			seated[v.who] = w.seated(v.who)
		}
		if i == 0 || visits[i-1].who != v.who {
			b.sit(seated[v.who])
		}
		for _, lang := range []domain.Language{domain.Vietnamese, domain.English} {
			b.do(chromedp.EmulateViewport(1280, 900))
			b.name = fmt.Sprintf("%s (%s, 1280)", v.name, lang)
			b.visit(v, lang)
			b.says("axe", axeRun)
			b.says("wide", wide)
			if everything || lang == domain.English {
				b.picture(fmt.Sprintf("%s-%s-1280", v.name, lang))
			}
			b.do(chromedp.EmulateViewport(390, 844))
			b.name = fmt.Sprintf("%s (%s, 390)", v.name, lang)
			b.says("axe", axeRun)
			b.says("wide", wide)
			b.says("small", small)
			if everything || lang == domain.Vietnamese {
				b.picture(fmt.Sprintf("%s-%s-390", v.name, lang))
			}
			for width, scale := range map[int64]float64{320: 1, 640: 2} {
				b.do(chromedp.EmulateViewport(width, 900, chromedp.EmulateScale(scale)))
				b.name = fmt.Sprintf("%s (%s, %d at %v)", v.name, lang, width, scale)
				b.says("wide", wide)
			}
		}
	}
	b.name = "every page"
}

// onEveryPage runs a script in every page before its own.
func (b *tab) onEveryPage(script string) {
	b.t.Helper()
	if _, err := chromedp.Call(b.ctx, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: script}); err != nil {
		b.t.Fatal(err)
	}
}

// everyWay looks at a page as TestEveryPageForEverybody does. open is told the language, as a parameter of a query.
func (b *tab) everyWay(name string, open func(lang string)) {
	b.t.Helper()
	for _, lang := range []domain.Language{domain.Vietnamese, domain.English} {
		b.do(chromedp.EmulateViewport(1280, 900))
		open("lang=" + string(lang))
		for _, width := range []int64{1280, 390} {
			b.name = fmt.Sprintf("%s (%s, %d)", name, lang, width)
			b.do(chromedp.EmulateViewport(width, 900))
			b.says("axe", axeRun)
			b.says("wide", wide)
			b.says("small", small)
			if os.Getenv("ARTIFACTS_DIR") != "" {
				b.picture(fmt.Sprintf("%s-%s-%d", name, lang, width))
			}
		}
	}
}

// TestOpenPagesForEverybody looks at the pages that everybody sees in the demonstration: they are the API's.
func TestOpenPagesForEverybody(t *testing.T) {
	listener, origin := listen(t)
	w := newWorldAt(t, origin, nil)
	w.fullDay()
	open, err := api.New(api.Config{Ledger: w.ledger, Views: w.views, Log: w.log, Registry: w.handler.Registry, State: w.state, Clock: w.clock.Now, Logger: zap.NewNop(), Metrics: prometheus.NewRegistry(), Demo: true})
	w.ok(err)
	w.handler.Demo, w.handler.Next = true, open
	w.serve(t, listener)
	b := newTab(t, origin, artifacts(t), "", 1280, 900)
	b.onEveryPage(axeSource)
	for name, path := range map[string]string{"open-board": "/?date=2021-02-08", "open-unit": "/units/25741?date=2021-02-08", "open-breaches": "/breaches?", "open-synthesis": "/synthesis?date=2021-02-08", "open-failure": "/units/x?date=soon"} {
		b.everyWay(name, func(lang string) { b.open(path + "&" + lang) })
	}
	b.name = "open pages"
}

// picture keeps a picture of the page.
func (b *tab) picture(name string) {
	b.t.Helper()
	image, err := chromedp.Run(b.ctx, chromedp.FullScreenshot(100))
	if err != nil {
		b.t.Fatalf("%s: %v", b.name, err)
	}
	if err := os.WriteFile(filepath.Join(b.shots, name+".png"), bytes.Clone(image), 0o644); err != nil {
		b.t.Fatal(err)
	}
}
