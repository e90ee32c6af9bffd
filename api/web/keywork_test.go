package web

import (
	"context"
	"testing"

	"github.com/chromedp/chromedp/kb"

	"github.com/answerable-ledger/answerable/commands"
	"github.com/answerable-ledger/answerable/domain"
)

// TestReturningAndSigningWithKeysAlone: without a mouse a head returns a report with a reason, the filer corrects it, the
// head signs with a passkey, the district consolidates, an inspector goes back to what was known at the deadline, and an
// administrator starts a dry run of a rebuild.
func TestReturningAndSigningWithKeysAlone(t *testing.T) {
	w, origin := serveWorld(t)
	key := domain.ReportKey{Regime: "bluezone", Form: "commune", Unit: "25741", Date: testDay}
	of := func(key domain.ReportKey) domain.Report {
		t.Helper()
		r, err := w.ledger.Report(w.ctx, key)
		w.ok(err)
		return r
	}
	filer := w.as("filer")
	check := filer.send(filer.page(report+"/file"), "/file", figures("8000", "4000", "100"), 200)
	filer.follow(check, "/file", map[string][]string{"step": {"send"}})
	w.settle()

	b := newTab(t, origin, t.TempDir(), "keys", 1280, 900)
	passkey := b.authenticator()
	head := w.as("head")
	b.sit(head)
	passkey.enrols("Khóa")
	b.open(report + "/sign")
	b.tabTo("#reason")
	b.key("Thiếu khu phố 3")
	b.tabTo(`form[action$="/return"] button`)
	b.sendKey(kb.Enter)
	w.settle()

	b.sit(filer)
	b.open("/today")
	b.shows("Thiếu khu phố 3")
	b.tabTo("p.acts a.button") // correcting is what the card asks for first
	b.sendKey(kb.Enter)
	b.shows("Lý do")
	b.tabTo("#f_installed")
	b.key("4100") // what Tab reaches is selected, and typing replaces it
	b.tabTo("#reason")
	b.key("Bổ sung khu phố 3")
	b.tabTo("form.stack button")
	b.sendKey(kb.Enter)
	b.shows("Kiểm tra rồi gửi")
	b.tabTo(`button[value="send"]`)
	b.sendKey(" ")
	b.shows("4.100", "Bổ sung khu phố 3")
	if r := of(key); len(r.Versions) != 2 {
		t.Fatalf("%+v", r)
	}
	w.settle()

	b.sit(head)
	b.open(report + "/sign")
	b.tabTo(`[data-sign] button`)
	b.sendKey(kb.Enter)
	b.shows("Không còn báo cáo nào chờ ký")
	if r := of(key); len(r.SignOffs) != 1 || r.SignOffs[0].Version != 2 || r.SignOffs[0].Signature == nil {
		t.Fatalf("%+v", r)
	}

	b.sit(w.as("district"))
	b.open("/reports/bluezone/district/718/2021-02-08/file")
	b.tabTo("#f_agencies_reached")
	b.key("12")
	b.tabTo("form.stack button")
	b.sendKey(kb.Enter)
	b.tabTo(`button[value="send"]`)
	b.sendKey(kb.Enter)
	if r := of(domain.ReportKey{Regime: "bluezone", Form: "district", Unit: "718", Date: testDay}); len(r.Versions) != 1 {
		t.Fatalf("%+v", r)
	}

	w.clock.Set(at(18, 0))
	if _, err := (&commands.Closer{Ledger: w.ledger, Parallel: 1}).CloseDue(context.Background()); err != nil {
		t.Fatal(err)
	}
	w.settle()
	b.sit(w.as("inspector"))
	b.open("/reports/25741/2021-02-08?regime=bluezone")
	b.tabTo(`.presets a[href*="known_at"]`)
	b.sendKey(kb.Enter)
	b.shows("Bạn đang xem quá khứ")
	// The other time control, with keys: an hour later. The hour is the fourth field wherever dates are written day or month first.
	b.tabTo(`form.asked input[name="known_at"]`)
	for _, key := range []string{kb.ArrowRight, kb.ArrowRight, kb.ArrowRight, kb.ArrowUp} {
		b.key(key)
	}
	if !b.is(`document.activeElement.value.startsWith("2021-02-08T16:00")`) {
		t.Error("the keys do not change the time as known at")
	}
	b.sendKey(kb.Enter)
	b.shows("Bạn đang xem quá khứ", "16:00:00 08/02/2021")
	b.open("/search?from=2021-02-08&to=2021-02-08")
	b.tabTo(`select[name="what"]`)
	b.key(kb.ArrowDown) // from the breaches to what was changed after the deadline, of which this day has nothing
	b.tabTo(`form.asked button`)
	b.sendKey(kb.Enter)
	b.shows("Chịu trách nhiệm", "Không có")

	b.sit(w.as("admin"))
	b.open("/operations")
	b.tabTo(`button[value="dry"]`)
	b.sendKey(kb.Enter)
	w.rebuilt()
	if s, _ := w.views.RebuildStatus(); s.State != "done" {
		t.Errorf("%+v", s)
	}
}
