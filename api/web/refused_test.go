package web

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/answerable-ledger/answerable/domain"
)

// TestRefusedAccess: what somebody who is signed in may not have is noted with what came of it; strangers leave no trace.
func TestRefusedAccess(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	type noted struct {
		Who    domain.PersonID
		Method string
		Path   string
		Status int
	}
	const elsewhere = "/reports/25819/2021-02-08"
	for _, x := range []noted{
		{"filer", http.MethodGet, elsewhere, http.StatusForbidden},                       // of another district
		{"filer", http.MethodGet, "/reports/25819/evidence", http.StatusForbidden},       // all of it in a file
		{"inspector", http.MethodGet, "/reports/99999/2021-02-08", http.StatusNotFound},  // of no unit
		{"inspector", http.MethodPost, "/operations/retry", http.StatusForbidden},        // an act of administrators
		{"nobody", http.MethodGet, "/grid", http.StatusForbidden},                        // without any role
		{"head", http.MethodGet, "/reports/25819/2021-02-08", http.StatusForbidden},      // by no office of theirs
		{"district", http.MethodGet, "/organisation/25819/nowhere", http.StatusNotFound}, // nothing of ours: not noted
		{"", http.MethodGet, elsewhere, http.StatusSeeOther}, {"", http.MethodPost, "/operations/retry", http.StatusUnauthorized},
		{"inspector", http.MethodGet, "/assets/none", http.StatusNotFound},
	} {
		var form url.Values
		if x.Method == http.MethodPost {
			form = url.Values{"key": {newKey()}}
		}
		if r := w.as(x.Who).ask(x.Method, x.Path, form); r.Code != x.Status && x.Who != "" {
			t.Errorf("%s %s by %q: %d, want %d", x.Method, x.Path, x.Who, r.Code, x.Status)
		}
	}
	w.ok(w.state.Flush(w.ctx))
	entries, err := w.state.Accesses(w.ctx, "", 0, 100)
	w.ok(err)
	var got []noted
	for _, e := range entries {
		got = append(got, noted{e.Person, e.Method, e.Path, e.Status})
	}
	want := []noted{{"filer", "GET", elsewhere, 403}, {"filer", "GET", "/reports/25819/evidence", 403}, {"inspector", "GET", "/reports/99999/2021-02-08", 404},
		{"inspector", "POST", "/operations/retry", 403}, {"nobody", "GET", "/grid", 403}, {"head", "GET", elsewhere, 403}}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	admin := w.as("admin")
	admin.shows(admin.page("/access"), "POST /operations/retry", "403 bị từ chối", "404 bị từ chối")
}
