package projections

import (
	"context"
	"errors"
	"sync"
	"time"
)

// Progress of a rebuild.
type Progress struct {
	Phase     string  `json:"phase"` // read, compare, write, index, catch up, switch, done
	Events    int64   `json:"events"`
	Total     int64   `json:"total"` // -1 where the log does not count its events
	Rows      int64   `json:"rows,omitempty"`
	AllRows   int64   `json:"all_rows,omitempty"`
	Seconds   float64 `json:"seconds"`    // since it began
	PerSecond float64 `json:"per_second"` // events while reading, rows afterwards
	Left      float64 `json:"seconds_left,omitempty"`
	Paused    float64 `json:"paused_seconds,omitempty"` // for the sake of readers
}

// finish fills in what follows from the time that the phase and all of it took.
func (p Progress) finish(all, phase time.Duration) Progress {
	done, total := p.Events, p.Total
	if p.AllRows > 0 {
		done, total = p.Rows, p.AllRows
	}
	p.Seconds = all.Seconds()
	if s := phase.Seconds(); s > 0 {
		p.PerSecond = float64(done) / s
	}
	if total > done && p.PerSecond > 0 {
		p.Left = float64(total-done) / p.PerSecond
	}
	return p
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
	cancel  context.CancelFunc
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
	ctx, j.cancel = context.WithCancel(ctx)
	b := &build{rebuilding: how, v: v, giveWay: newGiveWay(v)}
	clock := newStopwatch()
	var one sync.Mutex // rows may be made by several goroutines
	b.report = func(p Progress) {
		one.Lock()
		defer one.Unlock()
		p = p.finish(clock.times(p.Phase))
		p.Paused = b.paused().Seconds()
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
	j.cancel()
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

// CancelRebuild ends the rebuild of this process; false when there is none.
func (v *Views) CancelRebuild() bool {
	v.job.mu.Lock()
	defer v.job.mu.Unlock()
	if v.job.cancel == nil {
		return false
	}
	v.job.cancel()
	return true
}
