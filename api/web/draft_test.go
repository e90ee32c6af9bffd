package web

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/answerable-ledger/answerable/commands"
	"github.com/answerable-ledger/answerable/domain"
)

// TestDraftsInTheBrowser: what was typed is there again after the page is left and after a line that broke, until the report
// is accepted; it is its writer's alone on a browser that two persons use, and gone from it when they sign out.
func TestDraftsInTheBrowser(t *testing.T) {
	w, origin := serveWorld(t)
	w.do(func(ctx context.Context, c commands.Command) (commands.Result, error) {
		return w.ledger.GrantRole(ctx, c, "nobody", domain.RoleFiler, "25741", w.clock.Now(), nil)
	})
	w.settle()
	b := newTab(t, origin, t.TempDir(), "drafts", 390, 844)
	first, second := w.as("filer"), w.as("nobody")
	typed := func(want string) {
		t.Helper()
		if !b.is(fmt.Sprintf(`document.querySelector("#f_smartphone_users").value === %q`, want)) {
			t.Errorf("the field does not hold %q", want)
		}
	}
	drafts := func(of string, want int) {
		t.Helper()
		if !b.is(fmt.Sprintf(`Object.keys(localStorage).filter(k => k.startsWith("draft/%s/")).length === %d`, of, want)) {
			t.Errorf("not %d drafts of %s are kept", want, of)
		}
	}
	write := func(selector, value string) {
		t.Helper()
		b.do(chromedp.Focus(chromedp.CSS(selector)))
		b.key(value)
	}

	b.sit(first)
	b.open(report + "/file")
	write("#f_smartphone_users", "8000")
	b.shows("Đã lưu nháp trên máy này.")
	b.open(report + "/file")
	b.shows("Đã lấy lại bản nháp trên máy này.")
	typed("8000")

	// The line breaks while the form is sent.
	if _, err := chromedp.Call(b.ctx, network.Enable, network.EnableParams{}); err != nil {
		t.Fatal(err)
	}
	line := cdp.Command[slowLine, cdp.Empty]{Method: "Network.emulateNetworkConditions"}
	if _, err := chromedp.Call(b.ctx, line, slowLine{Offline: true}); err != nil {
		t.Fatal(err)
	}
	b.press("form.stack button")
	if !b.is(`!document.querySelector("form.stack")`) {
		t.Fatal("the line did not break")
	}
	if _, err := chromedp.Call(b.ctx, line, slowLine{Download: -1, Upload: -1}); err != nil {
		t.Fatal(err)
	}
	b.open(report + "/file")
	typed("8000")

	// Somebody else who files for the same commune sees nothing of it, has a draft of their own, and takes it along.
	b.sit(second)
	b.open(report + "/file")
	typed("")
	write("#f_smartphone_users", "7000")
	drafts("nobody", 1)
	b.press("form.who button")
	drafts("nobody", 0)
	drafts("filer", 1)

	// Neither a refusal nor the check ends the draft. The answer that says the report was taken does.
	b.sit(first)
	b.open(report + "/file")
	typed("8000")
	write("#f_installed", "9000")
	b.press("form.stack button")
	b.shows("Có vấn đề")
	drafts("filer", 1)
	b.open(report + "/file")
	typed("8000")
	write("#f_installed", kb.End+strings.Repeat(kb.Backspace, len("9000"))+"4000")
	write("#f_new_today", "100")
	b.press("form.stack button")
	b.shows("Kiểm tra rồi gửi")
	drafts("filer", 1)
	b.press(`button[value="send"]`)
	b.shows("Số đến")
	drafts("filer", 0)

	// A correction that was begun is gone when its writer signs out.
	b.open(report + "/file")
	write("#reason", "Rà soát")
	drafts("filer", 1)
	b.press("form.who button")
	drafts("filer", 0)
}
