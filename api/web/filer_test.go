package web

import (
	"net/http"
	"net/url"
	"testing"

	"golang.org/x/net/html"
)

// TestDraftsAreTheirWriters: a draft carries its writer's name; the answer that says a report was taken ends the draft of
// what it replaced, and no other page does; signing out ends the writer's drafts alone.
func TestDraftsAreTheirWriters(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	filer := w.as("filer")
	page := filer.page(report + "/file")
	draft := find(page, func(n *html.Node) bool { return hasAttr(n, "data-draft") })
	if draft == nil || attr(draft, "data-draft") != "filer/bluezone/25741/commune/2021-02-08/0" {
		t.Fatalf("the draft is not named by its writer: %v", draft)
	}
	ends := func(n *html.Node) bool { return hasAttr(n, "data-draft-taken") }
	check := filer.send(page, "/file", figures("8000", "4000", "100"), http.StatusOK)
	if find(check, ends) != nil {
		t.Error("a report that is not sent ends its draft")
	}
	filed := filer.follow(check, "/file", url.Values{"step": {"send"}})
	if taken := find(filed, ends); taken == nil || attr(taken, "data-draft-taken") != "filer/bluezone/25741/commune/2021-02-08" || attr(taken, "data-version") != "1" {
		t.Error("a report that was taken keeps its draft")
	}
	if find(filer.page(report+"/filed"), ends) != nil {
		t.Error("a page that answers nothing ends a draft")
	}
	if find(filed, func(n *html.Node) bool {
		return attr(n, "action") == "/signout" && attr(n, "data-drafts-of") == "filer"
	}) == nil {
		t.Error("signing out keeps drafts")
	}
}
