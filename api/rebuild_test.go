package api

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/answerable-ledger/answerable/projections"
)

// idle waits until the views are not being made: those of a world are when they are first there.
func (w *world) idle() {
	for s, changed := w.views.RebuildStatus(); s.State == "running"; s, changed = w.views.RebuildStatus() {
		<-changed
	}
}

// An administrator begins a rebuild, follows it to its end, and finds the views as they were.
func TestARebuildOverHTTP(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	before := w.want(ask{as: "admin", path: "/v1/operations/lag"}, 200).Body.String()
	w.idle()
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
	for _, want := range []string{"event: done\ndata: {", `"undeclared":0`, `"phase":"`, `"events":`, `"total":`, `"per_second":`, `"seconds":`} {
		if err != nil || !strings.Contains(string(told), want) {
			t.Errorf("the feed says %s, %v; not %s", told, err, want)
		}
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
	w.idle()
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

// endless is a rebuild that goes on until it is cancelled.
type endless struct {
	Rebuilder
	mu      sync.Mutex
	state   string
	changed chan struct{}
}

func (e *endless) RebuildStatus() (projections.RebuildStatus, <-chan struct{}) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return projections.RebuildStatus{State: e.state, Progress: &projections.Progress{Phase: "read", Events: 250, Total: 1000, Seconds: 5, PerSecond: 50, Left: 15}}, e.changed
}

func (e *endless) to(state string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.state = state
	close(e.changed)
	e.changed = make(chan struct{})
}

func (e *endless) StartRebuild(projections.RebuildOptions) error { e.to("running"); return nil }
func (e *endless) CancelRebuild() bool                           { e.to("cancelled"); return true }

// A rebuild that goes on says how far it is, at what rate, and how long it will take; begun again it is the same one; and
// its feed ends when it is cancelled.
func TestARebuildIsCancelledOverHTTP(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	w.handler.Rebuilds = &endless{state: "none", changed: make(chan struct{})}
	for range 2 {
		s := decodeInto[projections.RebuildStatus](t, w.want(ask{as: "admin", method: "POST", path: "/v1/operations/rebuild"}, 202))
		if s.State != "running" || s.Progress.Events != 250 || s.Progress.Total != 1000 || s.Progress.PerSecond != 50 || s.Progress.Left != 15 {
			t.Errorf("%+v", s)
		}
	}
	server := httptest.NewServer(w.handler)
	t.Cleanup(server.Close)
	r, err := http.NewRequestWithContext(t.Context(), "GET", server.URL+"/v1/operations/rebuild/stream", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+w.tokens["department"])
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	first := make([]byte, len("event: running\n"))
	if _, err := io.ReadFull(answer.Body, first); err != nil || string(first) != "event: running\n" {
		t.Fatalf("%q, %v", first, err)
	}
	if s := decodeInto[projections.RebuildStatus](t, w.want(ask{as: "admin", method: "POST", path: "/v1/operations/rebuild/cancel"}, 202)); s.State != "cancelled" {
		t.Errorf("%+v", s)
	}
	rest, err := io.ReadAll(answer.Body)
	if err != nil || !strings.Contains(string(rest), `"seconds_left":15`) || !strings.Contains(string(rest), "event: cancelled\n") {
		t.Errorf("%s, %v", rest, err)
	}
}
