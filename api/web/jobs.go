package web

import (
	"slices"
	"sync"
	"time"

	"github.com/answerable-ledger/answerable/api/ui"
	"github.com/answerable-ledger/answerable/projections"
)

// maxJobs bounds the jobs that are listed. Chosen: what a screen shows. The access log keeps who asked for what.
const maxJobs = 20

// jobs is what this process was asked for from its pages that takes more than a moment, the newest last.
type jobs struct {
	mu    sync.Mutex // owns what follows
	known []*ui.Job
}

// begin lists a job until it ends, and a while after.
func (j *jobs) begin(job ui.Job) (end func(state string, at time.Time)) {
	job.State = "running"
	x := &job
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.known = append(j.known, x); len(j.known) > maxJobs {
		j.known = j.known[1:]
	}
	return func(state string, at time.Time) {
		j.mu.Lock()
		defer j.mu.Unlock()
		x.State, x.Ended = state, at
	}
}

// list gives the jobs, the newest first. A rebuild that was not begun on a page stands before them: one that goes on, or was,
// since this process began, or else the one that the store tells of.
func (j *jobs) list(rebuild string, stored []projections.Generation) []ui.Job {
	j.mu.Lock()
	defer j.mu.Unlock()
	var out []ui.Job
	begunHere := slices.ContainsFunc(j.known, func(x *ui.Job) bool { return x.Kind == "rebuild" })
	if !begunHere && rebuild != "" && rebuild != "none" {
		out = append(out, ui.Job{Kind: "rebuild", State: rebuild})
	} else if !begunHere {
		out = formerRebuild(stored)
	}
	for _, x := range slices.Backward(j.known) {
		out = append(out, *x)
	}
	return out
}

// formerRebuild is what became of the last rebuild of an earlier process, as far as the rows it left tell: none knows who began
// it and when. One that was interrupted after another had switched is the later one; a dry run leaves nothing.
func formerRebuild(stored []projections.Generation) []ui.Job {
	for _, x := range []struct{ rows, state string }{{"written", "interrupted"}, {"previous", "done"}} {
		i := slices.IndexFunc(stored, func(g projections.Generation) bool { return g.State == x.rows })
		if i < 0 {
			continue
		}
		told := stored[i]
		if x.state == "done" { // what it made is what is read
			if i = slices.IndexFunc(stored, func(g projections.Generation) bool { return g.State == "live" }); i >= 0 {
				told = stored[i]
			}
		}
		return []ui.Job{{Kind: "rebuild", What: told.Version + ", " + told.Place, State: x.state}}
	}
	return nil
}
