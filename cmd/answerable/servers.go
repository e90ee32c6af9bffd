package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/answerable-ledger/answerable/appstate"
	"github.com/answerable-ledger/answerable/eventlog"
	"github.com/answerable-ledger/answerable/eventlog/esdb"
	"github.com/answerable-ledger/answerable/eventlog/sqlite"
	"github.com/answerable-ledger/answerable/internal/postgres"
)

// The settings that name servers. They are no flags: others on the machine can read a process's command line.
const (
	logURLKey      = "log_url"
	postgresURLKey = "postgres_url"
	guardURLKey    = "guard_url"
)

// server is the connection string of a server, "" when the data directory holds what would be there.
func (a *app) server(key string) string {
	if a.local || a.settings == nil {
		return ""
	}
	v, _ := a.settings.at(key, "")
	return v
}

// inDatabase is the place of what a file of a data directory would hold: the database, where one is set.
func (a *app) inDatabase(dir, file string) string {
	if place := a.server(postgresURLKey); place != "" {
		return place
	}
	return filepath.Join(dir, file)
}

// openLogFor opens the log for writing.
func (a *app) openLogFor(ctx context.Context, dir string, now func() time.Time) (eventlog.Log, error) {
	place := a.server(logURLKey)
	if place == "" {
		log, err := sqlite.Open(filepath.Join(dir, ledgerFile), sqlite.Options{Clock: now})
		if err != nil {
			return nil, inDir(dir, err) // not a log of nothing
		}
		return log, nil
	}
	log, err := esdb.Open(ctx, esdb.Options{URL: place, Clock: now, Logf: a.logger.Sugar().Warnf, Infof: a.logger.Sugar().Infof})
	if err != nil {
		return nil, fmt.Errorf("setting %s: %w", logURLKey, err)
	}
	return log, nil
}

// readLog opens the log for reading, also while another process writes it.
func (a *app) readLog(ctx context.Context, dir string) (eventlog.Log, error) {
	if a.server(logURLKey) != "" {
		return a.openLogFor(ctx, dir, a.now)
	}
	log, err := a.openLog(dir)
	if err != nil {
		return nil, err
	}
	return log, nil
}

// emptyLog refuses a server that holds a ledger already.
func (a *app) emptyLog(dir string) error {
	place := a.server(logURLKey)
	if place == "" {
		return nil
	}
	log, err := a.openLogFor(a.ctx, dir, a.now)
	if err != nil {
		return err
	}
	head, err := log.Head(a.ctx)
	if err == nil && !head.IsZero() {
		err = usagef("%s holds a ledger already; it is left as it is", hidePassword(place))
	}
	return errors.Join(err, log.Close())
}

// protectLog has the log's server refuse what would take events out of the ledger.
func (a *app) protectLog(ctx context.Context, log eventlog.Log, user string) error {
	l, ok := log.(*esdb.Log)
	if !ok {
		return nil
	}
	if user == "" {
		user = userOf(a.server(logURLKey))
	}
	if user == "" {
		a.logger.Warn("the log's server asks nobody who they are: it cannot be told to keep the ledger's events")
		return nil
	}
	_, err := l.Protect(ctx, user)
	return err
}

// checkLog ends with an error when the log's server hides events of the ledger, or has removed them; it looks once, while
// the process serves, since a long log takes a while.
func (a *app) checkLog(ctx context.Context, log eventlog.Log) error {
	if l, ok := log.(*esdb.Log); ok {
		if err := l.CheckWhole(ctx); errors.Is(err, eventlog.ErrGone) {
			return err
		} else if err != nil && ctx.Err() == nil {
			a.logger.Warn("whether events are missing from the log could not be seen", zap.Error(err))
		}
	}
	<-ctx.Done()
	return ctx.Err()
}

func userOf(place string) string {
	if u, err := url.Parse(place); err == nil {
		return u.User.Username()
	}
	before, _, ok := strings.Cut(place, "@") // several hosts are no URL
	if _, user, found := strings.Cut(before, "://"); ok && found {
		user, _, _ = strings.Cut(user, ":")
		return user
	}
	return ""
}

// hidePassword is a connection string as it may be shown.
func hidePassword(place string) string {
	scheme, rest, ok := strings.Cut(place, "://")
	user, hosts, named := strings.Cut(rest, "@")
	if name, _, secret := strings.Cut(user, ":"); ok && named && secret {
		return scheme + "://" + name + ":xxxxx@" + hosts
	}
	return place
}

// total is how many events lie before a place in the log, 0 where the log does not count them.
func (a *app) total(head eventlog.Position) int64 {
	if a.server(logURLKey) != "" {
		return 0
	}
	return int64(head.Commit)
}

// whenThere repeats open while a server that it needs cannot be reached.
func (a *app) whenThere(ctx context.Context, open func() error) error {
	for wait := 250 * time.Millisecond; ; wait = min(2*wait, 5*time.Second) {
		err := open()
		passing := errors.Is(err, eventlog.ErrUnavailable) || errors.Is(err, appstate.ErrUnavailable) || postgres.Transient(err)
		if !passing || a.server(logURLKey)+a.server(postgresURLKey)+a.server(guardURLKey) == "" {
			return err
		}
		a.logger.Warn("a server cannot be reached, trying again", zap.Duration("in", wait), zap.Error(err))
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return errors.Join(err, ctx.Err())
		}
	}
}
