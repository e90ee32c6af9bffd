package api

import (
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
	told := feed(t, w, server.URL+"/v1/operations/rebuild/stream", nil, func(e []event) bool { return e[len(e)-1].name != "running" })
	if last := told[len(told)-1]; last.name != "done" || !strings.Contains(last.data, `"undeclared":0`) {
		t.Errorf("the feed says %+v", told)
	}
	w.want(ask{as: "admin", method: "POST", path: "/v1/operations/rebuild/cancel"}, 202) // nothing goes on
	if after := w.want(ask{as: "admin", path: "/v1/operations/lag"}, 200).Body.String(); after != before {
		t.Errorf("lag %s, before %s", after, before)
	}
}
