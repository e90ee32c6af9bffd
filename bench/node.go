package bench

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/answerable-ledger/answerable/commands"
	"github.com/answerable-ledger/answerable/eventlog"
	"github.com/answerable-ledger/answerable/eventlog/sqlite"
	"github.com/answerable-ledger/answerable/projections"
	"github.com/answerable-ledger/answerable/schemas"
)

// The files of a node, as the program names its own.
const (
	ledgerFile = "ledger.db"
	viewsFile  = "views.db"
	stateFile  = "state.db"
)

// node is what a process that writes holds, all of it in one directory. Close it.
type node struct {
	dir      string
	now      func() time.Time
	log      eventlog.Log
	registry *schemas.Registry
	ledger   *commands.Ledger
	views    *projections.Views
	metrics  *prometheus.Registry
}

func (r *run) openNode(dir string, now func() time.Time) (_ *node, err error) {
	n := &node{dir: dir, now: now, metrics: prometheus.NewRegistry()}
	defer func() {
		if err != nil {
			err = errors.Join(err, n.close())
		}
	}()
	if n.registry, err = schemas.Load(); err != nil {
		return n, err
	}
	log, err := sqlite.Open(filepath.Join(dir, ledgerFile), sqlite.Options{Clock: now})
	if err != nil {
		return n, err
	}
	n.log = log
	n.ledger = commands.New(n.log, n.registry, now, r.Logger)
	n.views, err = projections.Open(r.ctx, projections.Config{Path: filepath.Join(dir, viewsFile), Log: n.log, Registry: n.registry, Logger: r.Logger, Clock: now, Metrics: n.metrics})
	return n, err
}

func (n *node) close() error {
	var errs []error
	if n.views != nil {
		errs = append(errs, n.views.Close())
	}
	if n.log != nil {
		errs = append(errs, n.log.Close())
	}
	return errors.Join(errs...)
}

// follow keeps the views while something else writes; stop ends it.
func (n *node) follow(ctx context.Context) (stop func() error) {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	wait := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
	go func() { ended <- n.views.Lead(ctx, wait) }()
	return func() error {
		cancel()
		if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
			return err
		}
		return nil
	}
}

// catchUp waits until the views hold everything that is in the log now.
func (n *node) catchUp(ctx context.Context) error {
	head, err := n.log.Head(ctx)
	if err != nil {
		return err
	}
	return n.views.WaitFor(ctx, head)
}

// source is an event as its decoder wants it.
func source(e eventlog.Recorded) schemas.Source {
	return schemas.Source{Stream: e.Stream, Revision: e.Revision, RecordedAt: e.RecordedAt,
		Stored: schemas.Stored{ID: e.ID, Kind: e.Kind, Data: e.Data, Meta: e.Meta}}
}

// clock is the time of a made-up log: it stands still until it is set.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

// newClock stands in the morning of the first day of a made-up log.
func newClock() *clock { return &clock{t: time.Date(2020, 1, 1, 1, 0, 0, 0, time.UTC)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

// set moves the clock, never backwards.
func (c *clock) set(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t.After(c.t) {
		c.t = t
	}
}
