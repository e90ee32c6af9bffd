package api

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/answerable-ledger/answerable/projections"
)

// An administrator begins a rebuild, follows it to its end, and finds the views as they were.
func TestARebuildOverHTTP(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	before := w.want(ask{as: "admin", path: "/v1/operations/lag"}, 200).Body.String()
	if s := decodeInto[projections.RebuildStatus](t, w.want(ask{as: "admin", path: "/v1/operations/rebuild"}, 200)); s.State == "running" {
		t.Errorf("%+v", s)
	}
	w.want(ask{as: "inspector", method: "POST", path: "/v1/operations/rebuild"}, 403)
	w.want(ask{as: "admin", method: "POST", path: "/v1/operations/rebuild?dry_run=perhaps"}, 400)
	w.want(ask{as: "admin", method: "POST", path: "/v1/operations/rebuild"}, 202)
	server := httptest.NewServer(w.handler)
	t.Cleanup(server.Close)
	r, err := http.NewRequestWithContext(t.Context(), "GET", server.URL+"/v1/operations/rebuild/stream", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+w.tokens["inspector"])
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	told, err := io.ReadAll(answer.Body) // the feed ends with the rebuild
	if err != nil || !strings.Contains(string(told), "event: done\ndata: {") || !strings.Contains(string(told), `"undeclared":0`) {
		t.Errorf("the feed says %s, %v", told, err)
	}
	w.want(ask{as: "admin", method: "POST", path: "/v1/operations/rebuild/cancel"}, 202) // nothing goes on
	if after := w.want(ask{as: "admin", path: "/v1/operations/lag"}, 200).Body.String(); after != before {
		t.Errorf("lag %s, before %s", after, before)
	}
}

// An administrator goes back to the views before a rebuild and forward again; a repeat of either changes nothing, and
// when the previous ones are dropped there is nothing to go back to.
func TestARebuildIsUndoneOverHTTP(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	const operations = "/v1/operations/rebuild"
	code := func(path, key string, status int) string {
		t.Helper()
		return decodeInto[Problem](t, w.want(ask{as: "admin", method: "POST", path: operations + path, key: key}, status)).Code
	}
	if c := code("/undo", "early", 409); c != string(codeNoPrevious) {
		t.Error(c)
	}
	if c := code("/drop-previous", "early", 409); c != string(codeNoPrevious) {
		t.Error(c)
	}
	w.want(ask{as: "department", method: "POST", path: operations + "/undo"}, 403)
	w.want(ask{as: "admin", method: "POST", path: operations + "/undo", key: "-"}, 400)
	if err := w.views.Rebuild(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if s := decodeInto[projections.RebuildStatus](t, w.want(ask{as: "admin", method: "POST", path: operations + "/undo", key: "back"}, 200)); s.State != "done" {
		t.Errorf("%+v", s)
	}
	if r := w.want(ask{as: "admin", method: "POST", path: operations + "/undo", key: "back"}, 200); r.Header().Get("Idempotency-Replayed") != "true" {
		t.Error(r.Header())
	}
	w.submit()
	w.settle()
	w.want(ask{as: "inspector", path: "/v1/regimes/bluezone/compliance?unit=25741&status=on_time"}, 200)
	w.want(ask{as: "admin", method: "POST", path: operations + "/drop-previous", key: "drop"}, 200)
	w.want(ask{as: "admin", method: "POST", path: operations + "/drop-previous", key: "drop"}, 200)
	if c := code("/undo", "late", 409); c != string(codeNoPrevious) {
		t.Error(c)
	}
}
