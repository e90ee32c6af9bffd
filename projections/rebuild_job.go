package projections

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/answerable-ledger/answerable/projections/giveway"
)

// Progress of a rebuild.
type Progress struct {
	Phase     string  `json:"phase"` // read, compare, write, index, catch up, switch, done
	Events    int64   `json:"events"`
	Total     int64   `json:"total"` // -1 where the log does not count its events
	Rows      int64   `json:"rows,omitempty"`
	AllRows   int64   `json:"all_rows,omitempty"`
	Seconds   float64 `json:"seconds"`                  // since it began
	PerSecond float64 `json:"per_second"`               // in this phase: rows where AllRows is given, events otherwise
	Left      float64 `json:"seconds_left,omitempty"`   // of this phase
	Paused    float64 `json:"paused_seconds,omitempty"` // for the sake of readers
}

// RebuildStatus is how the rebuild of this process stands, or how the last one ended.
type RebuildStatus struct {
	State      string      `json:"state"` // none, running, done, refused, cancelled, failed
	Progress   *Progress   `json:"progress,omitempty"`
	Comparison *Comparison `json:"comparison,omitempty"`
	Error      string      `json:"error,omitempty"`
}

// job is the one rebuild that a process does at a time.
type job struct {
	mu      sync.Mutex
	wait    sync.WaitGroup // of those begun by StartRebuild
	cancel  context.CancelCauseFunc
	build   *build
	status  RebuildStatus
	changed chan struct{} // closed and replaced with each change; nil while nobody asked
}

// begin is refused while another rebuild goes on. Whoever began calls end.
func (j *job) begin(ctx context.Context, v *Views, how rebuilding) (context.Context, *build, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.cancel != nil {
		return nil, nil, ErrRebuilding
	}
	ctx, j.cancel = context.WithCancelCause(ctx)
	b := &build{rebuilding: how, v: v, way: giveway.NewRebuild(&v.reads, v.slowRead())}
	clock := newStopwatch(time.Now)
	var one sync.Mutex // rows may be made by several goroutines
	b.report = func(p Progress) {
		one.Lock()
		defer one.Unlock()
		p = clock.finish(p)
		p.Paused = b.way.Paused().Seconds()
		if how.Progress != nil {
			how.Progress(p)
		}
		j.mu.Lock()
		defer j.mu.Unlock()
		j.status.Progress = &p
		j.tell()
	}
	j.build, j.status = b, RebuildStatus{State: "running"}
	j.tell()
	return ctx, b, nil
}

func (j *job) end(err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.cancel(nil)
	j.cancel = nil
	found := j.build.found
	j.status.State, j.status.Comparison = "done", &found
	var bad *applyError
	switch {
	case err == nil:
	case errors.Is(err, ErrDiffers), errors.As(err, &bad):
		j.status.State = "refused"
	case errors.Is(err, context.Canceled):
		j.status.State = "cancelled"
	default:
		j.status.State = "failed"
	}
	if err != nil {
		j.status.Error = err.Error()
	}
	j.tell()
}

// tell wakes who waits for a change. The caller holds mu.
func (j *job) tell() {
	if j.changed != nil {
		close(j.changed)
		j.changed = nil
	}
}

// RebuildStatus tells how the rebuild of this process stands, and gives a channel that is closed at the next change.
func (v *Views) RebuildStatus() (RebuildStatus, <-chan struct{}) {
	v.job.mu.Lock()
	defer v.job.mu.Unlock()
	if v.job.changed == nil {
		v.job.changed = make(chan struct{})
	}
	s := v.job.status
	if s.State == "" {
		s.State = "none"
	}
	return s, v.job.changed
}

// StartRebuild begins a rebuild that goes on when its caller has gone, until it is done, cancelled, or the views closed.
// ErrRebuilding: one goes on already.
func (v *Views) StartRebuild(o RebuildOptions) error {
	if v.readOnly {
		return ErrReadOnly
	}
	ctx, b, err := v.job.begin(context.Background(), v, rebuilding{RebuildOptions: o, former: statePrevious})
	if err != nil {
		return err
	}
	v.job.wait.Go(func() { _, _ = b.run(ctx) }) // the status tells how it ended
	return nil
}

// errCancelled: somebody wants no new rows.
var errCancelled = fmt.Errorf("the rebuild was cancelled: %w", context.Canceled)

// CancelRebuild ends the rebuild of this process, and nothing is left of it; false when there is none.
func (v *Views) CancelRebuild() bool { return v.job.stop(errCancelled) }

// stop ends the rebuild that goes on, if one does.
func (j *job) stop(why error) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.cancel == nil {
		return false
	}
	j.cancel(why)
	return true
}
