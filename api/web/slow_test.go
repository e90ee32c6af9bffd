package web

import (
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"github.com/answerable-ledger/answerable/domain"
)

// lineBytes bounds what a page and all that belongs to it bring over the line the first time, compressed: what is wanted of a page alone, with
// and the style and scripts, which are kept from then on.
const lineBytes = 40_000

// slowLine is how a browser is told to slow its line down: milliseconds, and bytes a second. Debian's Chromium does not take
// the command by which newer ones are told.
type slowLine struct {
	Offline  bool    `json:"offline"`
	Latency  float64 `json:"latency"`
	Download float64 `json:"downloadThroughput"`
	Upload   float64 `json:"uploadThroughput"`
}

// TestSlowLine: over a line of 50 kB/s that answers after half a second a commune files, and nothing but the one style
// keeps a page from being shown; once they are there, style and scripts are not asked for again.
func TestSlowLine(t *testing.T) {
	w, origin := serveWorld(t)
	b := newTab(t, origin, t.TempDir(), "slow", 390, 844)
	if _, err := chromedp.Call(b.ctx, network.Enable, network.EnableParams{}); err != nil {
		t.Fatal(err)
	}
	line := cdp.Command[slowLine, cdp.Empty]{Method: "Network.emulateNetworkConditions"}
	if _, err := chromedp.Call(b.ctx, line, slowLine{Latency: 500, Download: 50_000, Upload: 50_000}); err != nil {
		t.Fatal(err)
	}
	blocking := `performance.getEntriesByType("resource").filter(e => e.renderBlockingStatus === "blocking" && !new URL(e.name).pathname.endsWith(".css")).map(e => "nothing is shown before " + e.name)`
	brought := `[...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")].reduce((sum, e) => sum + e.transferSize, 0)`
	again := `performance.getEntriesByType("resource").filter(e => e.transferSize > 0 && new URL(e.name).pathname.startsWith("/assets/")).map(e => "is brought again: " + e.name)`
	weigh := func(page string) {
		t.Helper()
		b.says(page, blocking)
		n, err := chromedp.Run(b.ctx, chromedp.Evaluate[int](brought))
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s brings %d bytes", page, n)
		if n > lineBytes {
			t.Errorf("%s brings %d bytes", page, n)
		}
	}
	b.sit(w.as("filer"))
	b.open("/today")
	weigh("today")
	b.press("a.button")
	weigh("file")
	b.says("file", again)
	for field, value := range map[string]string{"#f_smartphone_users": "8000", "#f_installed": "4000", "#f_new_today": "100"} {
		b.fill(field, value)
	}
	b.press("form.stack button")
	weigh("check")
	b.press(`button[value="send"]`)
	b.shows("Số đến", "Đúng hạn")
	weigh("filed")
	b.sit(w.as("inspector"))
	b.open("/grid?from=2021-02-07&to=2021-02-08")
	weigh("grid")
	r, err := w.ledger.Report(w.ctx, domain.ReportKey{Regime: "bluezone", Form: "commune", Unit: "25741", Date: testDay})
	w.ok(err)
	if len(r.Versions) != 1 {
		t.Errorf("%+v", r)
	}
}
