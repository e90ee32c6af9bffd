package web

import (
	"archive/zip"
	"bytes"
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/google/uuid"
	"golang.org/x/net/html"

	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/eventlog"
	"github.com/answerable-ledger/answerable/schemas"
	"github.com/answerable-ledger/answerable/transparency"
	"github.com/answerable-ledger/answerable/transparency/receipts"
	"github.com/answerable-ledger/answerable/transparency/sequencer"
	"github.com/answerable-ledger/answerable/transparency/treestore"
)

// evident gives a world a transparency log. What it gives back signs everything recorded so far.
func (w *world) evident(damage func([]byte) []byte) (sign func()) {
	w.Helper()
	const origin = "ledger.example/test"
	dir := w.TempDir()
	key, err := transparency.NewSigningKey(origin, transparency.AlgEd25519, bytes.NewReader(bytes.Repeat([]byte{1}, 32)))
	w.ok(err)
	salts, err := transparency.NewSaltKey(bytes.NewReader(bytes.Repeat([]byte{2}, 32)))
	w.ok(err)
	policy, err := transparency.ParsePolicy(fmt.Appendf(nil, "log %s\nquorum none\n", key))
	w.ok(err)
	tree, err := treestore.Open(w.ctx, treestore.Options{Path: filepath.Join(dir, "tree.db"), Origin: origin, Create: true})
	w.ok(err)
	w.ok(treestore.CreateGuard(filepath.Join(dir, "guard")))
	guard, err := treestore.OpenGuard(filepath.Join(dir, "guard"))
	w.ok(err)
	w.Cleanup(func() { tree.Close(); guard.Close() })
	seq, err := sequencer.New(w.ctx, sequencer.Options{Log: w.log, Tree: tree, Guard: guard, Salts: salts, Keys: []transparency.SigningKey{key}, Clock: w.clock.Now,
		Header: func(e eventlog.Recorded) (time.Time, string, error) {
			at, actor := schemas.Header(e.Meta)
			return at, string(actor), nil
		}})
	w.ok(err)
	desk := receipts.New(receipts.Options{Log: w.log, Tree: tree, Maker: seq, Policy: policy})
	w.handler.Evidence, w.handler.Receipts, w.handler.Operate.Events = desk, true, w.log
	next := http.NewServeMux()
	next.HandleFunc("GET /v1/receipts/{event}", func(out http.ResponseWriter, r *http.Request) {
		got, err := desk.Receipt(r.Context(), uuid.MustParse(r.PathValue("event")))
		if err != nil {
			http.Error(out, err.Error(), http.StatusNotFound)
			return
		}
		if got.Level == transparency.Recorded {
			out.WriteHeader(http.StatusAccepted)
		}
		_, _ = out.Write(damage(got.Bytes))
	})
	next.HandleFunc("GET /v1/evidence/policy", func(out http.ResponseWriter, _ *http.Request) { fmt.Fprint(out, policy) })
	w.handler.Next = next
	return func() {
		w.Helper()
		_, err := seq.Force(context.WithoutCancel(w.ctx))
		w.ok(err)
	}
}

// filed sends the report of 25741, as from a browser of an origin.
func (w *world) filed(origin string) {
	w.Helper()
	form := figures("8000", "4000", "100")
	form.Set("key", newKey())
	form.Set("step", "send")
	w.as("filer").want(http.MethodPost, report+"/file", form, http.StatusSeeOther, func(r *http.Request) { r.Header.Set("Origin", origin) })
	w.settle()
}

// TestSlipHoldsTheReceipt: the slip shows the receipt as a code, leads to its proof, and the bundle of the day is there for
// those who may read it.
func TestSlipHoldsTheReceipt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	sign := w.evident(func(b []byte) []byte { return b })
	w.filed("https://ledger.example")
	filer := w.as("filer")
	filer.shows(filer.page(report+"/filed"), "Mới được ghi")
	sign()
	root := filer.page(report + "/filed")
	filer.shows(root, "Số đến", "Đã nằm trong sổ có chữ ký")
	svg := find(root, func(n *html.Node) bool { return n.Data == "svg" })
	if svg == nil || attr(svg, "aria-label") == "" || attr(svg, "viewbox") == "" && attr(svg, "viewBox") == "" {
		t.Fatal("the slip has no code")
	}
	link := find(root, func(n *html.Node) bool { return strings.HasPrefix(attr(n, "href"), "/proof/") })
	filer.shows(filer.page(attr(link, "href")), "notary verify", "c2sp.org/tlog-proof@v1")
	filer.want(http.MethodGet, "/proof/x", nil, http.StatusNotFound)

	inspector := w.as("inspector")
	root = inspector.page("/chain?date=2021-02-08&form=commune&field=installed")
	if attr(find(root, func(n *html.Node) bool { return strings.HasPrefix(attr(n, "href"), "/proof/") }), "href") != attr(link, "href") {
		t.Error("a number that is taken apart does not lead to its proof")
	}
	root = inspector.page("/reports/25741/2021-02-08?regime=bluezone")
	bundle := find(root, func(n *html.Node) bool { return strings.Contains(attr(n, "href"), "/evidence?") })
	r := inspector.want(http.MethodGet, attr(bundle, "href"), nil, http.StatusOK)
	z, err := zip.NewReader(bytes.NewReader(r.Body.Bytes()), int64(r.Body.Len()))
	if err != nil || len(z.File) < 4 {
		t.Fatalf("the bundle: %v, %v", z, err)
	}
	w.as("filer_far").want(http.MethodGet, attr(bundle, "href"), nil, http.StatusForbidden)
}

// TestBrowserVerifies: a browser checks a receipt by itself, and finds one flipped bit of the entry.
func TestBrowserVerifies(t *testing.T) {
	w, origin := serveWorld(t)
	wrong := false
	sign := w.evident(func(b []byte) []byte {
		if !wrong {
			return b
		}
		head, rest, _ := strings.Cut(string(b), "extra ")
		flipped := strings.Replace(rest, rest[200:204], "AAAA", 1)
		return []byte(head + "extra " + flipped)
	})
	w.filed(origin)
	sign()
	r, err := w.ledger.Report(w.ctx, domain.ReportKey{Regime: "bluezone", Form: "commune", Unit: "25741", Date: testDay})
	w.ok(err)
	b := newTab(t, origin, artifacts(t), "desk", 1280, 900)
	b.signInAs("inspector")
	b.open("/proof/" + r.Versions[0].EventID)
	b.do(chromedp.Click(chromedp.CSS("[data-receipt] button")), chromedp.WaitVisible(chromedp.CSS("[data-receipt] .verdict:not(:empty)")))
	b.shows("Đúng: sự kiện này nằm trong sổ đã ký.", "✓ Gốc được ký bằng khóa của sổ")
	b.shot("proof")
	wrong = true
	b.open("/proof/" + r.Versions[0].EventID)
	b.do(chromedp.Click(chromedp.CSS("[data-receipt] button")), chromedp.WaitVisible(chromedp.CSS("[data-receipt] .verdict:not(:empty)")))
	if text := b.text(); strings.Contains(text, "Đúng: sự kiện này") {
		t.Error(text)
	}
	phone := newTab(t, origin, artifacts(t), "phone", 390, 844)
	phone.signInAs("filer")
	phone.open(report + "/filed")
	phone.shot("slip")
	phone.open(report + "/filed?lang=en")
	phone.shot("slip-en")
}
