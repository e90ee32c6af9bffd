package web

import (
	"slices"
	"sync"
	"time"

	"github.com/answerable-ledger/answerable/api/ui"
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

// list gives the jobs, the newest first. A rebuild that goes on, or was, and was not begun on a page stands before them.
func (j *jobs) list(rebuild string) []ui.Job {
	j.mu.Lock()
	defer j.mu.Unlock()
	var out []ui.Job
	begunHere := slices.ContainsFunc(j.known, func(x *ui.Job) bool { return x.Kind == "rebuild" })
	if !begunHere && rebuild != "" && rebuild != "none" {
		out = append(out, ui.Job{Kind: "rebuild", State: rebuild})
	}
	for _, x := range slices.Backward(j.known) {
		out = append(out, *x)
	}
	return out
}
