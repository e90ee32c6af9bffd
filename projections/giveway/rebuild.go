package giveway

import (
	"context"
	"sync/atomic"
	"time"
)

// Rebuild lets readers go first: while the slowest hundredth of the last second's reads took too long, the rebuild waits.
// What is too long depends on how long they take without a rebuild, which is not to blame for that.
// When they still do after it stood still for longer than what is measured, it is not to blame, and goes on for a while.
type Rebuild struct {
	reads     *Reads
	elsewhere atomic.Int64 // the same in other processes, in nanoseconds, as if short were too long there
	short     time.Duration
	limit     time.Duration // what is too long here
	exempt    atomic.Int64  // nanoseconds since 1970 until which it does not wait
	waited    atomic.Int64
}

const (
	step      = 20 * time.Millisecond
	most      = 1500 * time.Millisecond // longer than reads are remembered
	heard     = 4 * time.Second         // the same for reads of other processes, of which it is heard later
	exemption = 5 * time.Second
)

// NewRebuild begins one beside the reads of its own process. A read that takes no longer than short is never too slow.
func NewRebuild(reads *Reads, short time.Duration) *Rebuild {
	return &Rebuild{reads: reads, short: short, limit: tooSlow(short, reads.usual())}
}

func (g *Rebuild) slowElsewhere() bool { return time.Duration(g.elsewhere.Load()) > g.short }

// Slow tells whether readers wait too long, here or elsewhere.
func (g *Rebuild) Slow() bool { return g.slowElsewhere() || g.reads.Slowest() > g.limit }

// Wait returns when readers are served in time, or with ctx's error.
func (g *Rebuild) Wait(ctx context.Context) error {
	if !g.Slow() || time.Now().UnixNano() < g.exempt.Load() {
		return ctx.Err()
	}
	for stood := time.Duration(0); g.Slow(); stood += step {
		if stood >= heard || stood >= most && !g.slowElsewhere() {
			g.exempt.Store(time.Now().Add(exemption).UnixNano())
			break
		}
		if !wait(ctx, step) {
			break
		}
		g.waited.Add(int64(step))
	}
	return ctx.Err()
}

// Paused is how long readers went first.
func (g *Rebuild) Paused() time.Duration { return time.Duration(g.waited.Load()) }

// wait tells whether a while went by before ctx ended.
func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
