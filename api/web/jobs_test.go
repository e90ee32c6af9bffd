package web

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/answerable-ledger/answerable/api/ui"
	"github.com/answerable-ledger/answerable/projections"
)

// TestFormerRebuild: after a restart the page tells of the last rebuild what the store knows, and of this process's own first.
func TestFormerRebuild(t *testing.T) {
	t.Parallel()
	live := projections.Generation{State: "live", Version: "v2", Place: "90"}
	previous := projections.Generation{State: "previous", Version: "v1", Place: "80"}
	written := projections.Generation{State: "written", Version: "v3", Place: "40"}
	for _, x := range []struct {
		name   string
		status string
		stored []projections.Generation
		here   bool
		want   []ui.Job
	}{
		{"nothing is known", "none", []projections.Generation{live}, false, nil},
		{"this process makes no views", "", nil, false, nil},
		{"it switched", "none", []projections.Generation{live, previous}, false, []ui.Job{{Kind: "rebuild", What: "v2, 90", State: "done"}}},
		{"it was killed", "none", []projections.Generation{live, written}, false, []ui.Job{{Kind: "rebuild", What: "v3, 40", State: "interrupted"}}},
		{"it was killed after another switched", "none", []projections.Generation{live, previous, written}, false, []ui.Job{{Kind: "rebuild", What: "v3, 40", State: "interrupted"}}},
		{"one goes on", "running", []projections.Generation{live, written}, false, []ui.Job{{Kind: "rebuild", State: "running"}}},
		{"one was begun here", "refused", []projections.Generation{live, previous}, true, []ui.Job{{Kind: "rebuild", Who: "admin", State: "refused", Ended: time.Unix(9, 0)}}},
	} {
		var j jobs
		if x.here {
			j.begin(ui.Job{Kind: "rebuild", Who: "admin"})("refused", time.Unix(9, 0))
		}
		if d := cmp.Diff(x.want, j.list(x.status, x.stored)); d != "" {
			t.Errorf("%s: %s", x.name, d)
		}
	}
}
