package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/answerable-ledger/answerable/appstate"
	"github.com/answerable-ledger/answerable/commands"
	"github.com/answerable-ledger/answerable/eventlog"
	"github.com/answerable-ledger/answerable/eventlog/sqlite"
	"github.com/answerable-ledger/answerable/projections"
	"github.com/answerable-ledger/answerable/schemas"
)

// The files of a data directory. The log is the only one that cannot be made again.
const (
	ledgerFile = "ledger.db"
	viewsFile  = "views.db"
	stateFile  = "state.db"
)

// dataFlag is the data directory of a command that reads, or writes, one that is there already.
type dataFlag struct {
	Data string `help:"Data directory; without it the demonstration's." placeholder:"DIR"`
}

// dir is the directory meant.
func (d dataFlag) dir(a *app) (string, error) {
	if d.Data != "" {
		return d.Data, nil
	}
	return demoDir(a.env)
}

// demoDir is where the demonstration keeps its data unless told otherwise.
func demoDir(env map[string]string) (string, error) {
	cache := env["XDG_CACHE_HOME"]
	if cache == "" {
		var err error
		if cache, err = os.UserCacheDir(); err != nil {
			return "", usagef("no place for the demonstration's data (%v); name one with --data", err)
		}
	}
	return filepath.Join(cache, "answerable", "demo"), nil
}

// node is everything a process that writes holds of a data directory. Close it.
type node struct {
	dir      string
	now      func() time.Time
	log      eventlog.Log
	registry *schemas.Registry
	ledger   *commands.Ledger
	views    *projections.Views
	metrics  *prometheus.Registry
}

// openNode opens a directory for writing; at most one process can. What is on servers is opened there, by any number.
func (a *app) openNode(ctx context.Context, dir string, now func() time.Time) (_ *node, err error) {
	n := &node{dir: dir, now: now, metrics: prometheus.NewRegistry()}
	defer func() {
		if err != nil {
			err = errors.Join(err, n.close())
		}
	}()
	if n.registry, err = schemas.Load(); err != nil {
		return n, err
	}
	if n.log, err = a.openLogFor(ctx, dir, now); err != nil {
		return n, err
	}
	n.ledger = commands.New(n.log, n.registry, now, a.logger)
	n.views, err = projections.Open(ctx, projections.Config{Path: a.inDatabase(dir, viewsFile), Log: n.log, Registry: n.registry, Logger: a.logger, Clock: now, Metrics: n.metrics})
	return n, inDir(dir, err)
}

// openExisting is openNode for a directory that must hold a ledger already.
func (a *app) openExisting(ctx context.Context, dir string) (*node, error) {
	if place := a.server(logURLKey); place != "" {
		n, err := a.openNode(ctx, dir, a.now)
		if err != nil {
			return nil, err
		}
		head, err := n.log.Head(ctx)
		if err == nil && head.IsZero() {
			err = usagef("%s holds no ledger yet: make one with 'answerable init'", hidePassword(place))
		}
		if err != nil {
			return nil, errors.Join(err, n.close())
		}
		return n, nil
	}
	if err := isThere(dir); err != nil {
		return nil, err
	}
	return a.openNode(ctx, dir, a.now)
}

// openToRead opens a ledger for reading, also while another process writes it: its log, and no views.
func (a *app) openToRead(ctx context.Context, dir string) (_ *node, err error) {
	n := &node{dir: dir, now: a.now}
	if n.registry, err = schemas.Load(); err != nil {
		return nil, err
	}
	if n.log, err = a.readLog(ctx, dir); err != nil {
		return nil, err
	}
	n.ledger = commands.New(n.log, n.registry, a.now, a.logger)
	return n, nil
}

// read is openToRead for as long as f takes.
func (a *app) read(dir string, f func(*node) error) error {
	n, err := a.openToRead(a.ctx, dir)
	if err != nil {
		return err
	}
	return errors.Join(f(n), n.close())
}

// read opens the directory meant.
func (d dataFlag) read(a *app, f func(*node) error) error {
	dir, err := d.dir(a)
	if err != nil {
		return err
	}
	return a.read(dir, f)
}

// openVerifier opens the views for comparing them with the log, also while another process keeps them.
func (a *app) openVerifier(n *node) (*projections.Views, error) {
	views, err := projections.OpenVerifier(a.ctx, projections.Config{Path: a.inDatabase(n.dir, viewsFile), Log: n.log, Registry: n.registry, Logger: a.logger, Clock: n.now})
	if err = viewsGone(n.dir, err); err != nil {
		return nil, inDir(n.dir, errors.Join(err, writable(n.dir)))
	}
	return views, nil
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

// openLog opens a directory's own log for reading, also while another process writes it.
func (a *app) openLog(dir string) (*sqlite.Log, error) {
	log, err := sqlite.Open(filepath.Join(dir, ledgerFile), sqlite.Options{ReadOnly: true})
	return log, inDir(dir, err)
}

// openViews opens a directory's views for reading, also while another process keeps them.
func (a *app) openViews(ctx context.Context, dir string) (*projections.Views, error) {
	registry, err := schemas.Load()
	if err != nil {
		return nil, err
	}
	views, err := projections.OpenReader(ctx, a.inDatabase(dir, viewsFile), registry)
	if err = viewsGone(dir, err); err != nil {
		return nil, inDir(dir, errors.Join(err, writable(dir)))
	}
	return views, nil
}

// writable says why nothing can be made in a directory. SQLite reads views only where it may put a file beside them, and
// tells no more than that it cannot open them.
func writable(dir string) error {
	if dir == "" {
		return nil
	}
	f, err := os.CreateTemp(dir, "probe-*")
	if err != nil {
		return err
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

// viewsGone says that views are gone where the log is there: a directory without either holds no ledger.
func viewsGone(dir string, err error) error {
	if !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if _, e := os.Stat(filepath.Join(dir, ledgerFile)); e != nil {
		return err
	}
	return fmt.Errorf("%w (%v)", projections.ErrDamaged, err)
}

// openState opens a directory's tokens and kept answers.
func (a *app) openState(ctx context.Context, dir string) (*appstate.State, error) {
	return appstate.Open(ctx, a.inDatabase(dir, stateFile), appstate.Options{Clock: a.now, Logger: a.logger})
}

// eachEvent calls f with every event of a log, in order, up to where the log stands now.
func eachEvent(ctx context.Context, log eventlog.Log, f func(eventlog.Recorded) error) error {
	for b, err := range log.Follow(ctx, eventlog.Position{}, eventlog.Filter{}, eventlog.FollowOptions{}) {
		if err != nil {
			return err
		}
		for _, e := range b.Events {
			if err := f(e); err != nil {
				return err
			}
		}
		if b.CaughtUp {
			return nil
		}
	}
	return ctx.Err()
}

// follow keeps the views while something else writes; stop ends it.
func (n *node) follow(ctx context.Context) (stop func() error, err error) {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	wait := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
	go func() { ended <- n.views.Lead(ctx, wait) }() // a server that leads does it for us
	return func() error {
		cancel()
		if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
			return err
		}
		return nil
	}, nil
}

// catchUp waits until the views hold everything that is in the log now.
func (n *node) catchUp(ctx context.Context) error {
	head, err := n.log.Head(ctx)
	if err != nil {
		return err
	}
	return n.views.WaitFor(ctx, head)
}
