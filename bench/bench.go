package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"go.uber.org/zap"
)

// ErrHoldsViews: the database named for the engines is in use; what would be measured is somebody's.
var ErrHoldsViews = errors.New("the database holds views already")

// Options say what is measured, and how long. All but Only, Dir and Postgres are required.
type Options struct {
	Only     []string      // append, rush, replay, query, grid, engines; none is all of them
	Events   int           // of the replayed log, and of the engines'; at least 1000
	Units    int           // of the rush at the deadline
	Callers  int           // connections of the rush
	During   time.Duration // how long each append measurement runs
	Rounds   int           // times each pair is measured in turn; the median counts
	Dir      string        // where the measured files lie; "" is the system's place for temporary ones
	Postgres string        // an empty database, whose views are measured too; "" is none
	Version  string        // of what is measured
	Clock    func() time.Time
	Logger   *zap.Logger
	Progress func(what string, total int64) (at func(done int64), end func()) // shows how far a long log is made
}

// run is one measurement.
type run struct {
	Options
	ctx context.Context
}

func (r *run) wants(part string) bool { return len(r.Only) == 0 || slices.Contains(r.Only, part) }

// Run measures in a directory of its own, and removes it.
func Run(ctx context.Context, o Options) (result Result, err error) {
	r := &run{o, ctx}
	dir, err := os.MkdirTemp(r.Dir, "answerable-bench-")
	if err != nil {
		return result, fmt.Errorf("bench: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	result = Result{At: r.Clock().UTC(), Version: r.Version}
	if result.Machine, err = describeMachine(dir); err != nil {
		return result, err
	}
	if r.wants("append") {
		if result.Append, err = r.appends(dir); err != nil {
			return result, fmt.Errorf("bench append: %w", err)
		}
	}
	if r.wants("rush") {
		if result.Rush, err = r.rush(dir); err != nil {
			return result, fmt.Errorf("bench rush: %w", err)
		}
	}
	if r.wants("replay") || r.wants("query") || r.wants("grid") {
		if err = r.replay(dir, &result); err != nil {
			return result, fmt.Errorf("bench replay: %w", err)
		}
	}
	if r.wants("engines") {
		if result.Engines, err = r.engines(dir); err != nil {
			return result, fmt.Errorf("bench engines: %w", err)
		}
	}
	return result, nil
}

// wait is over after a while, or when ctx is.
func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
