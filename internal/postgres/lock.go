package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// Lock names what at most one process does at a time, within a database.
type Lock int

// The locks of this program.
const (
	LockSetup   Lock = iota + 1 // making and changing tables
	LockRebuild                 // making a generation of the views
	LockLeader                  // applying events and closing days
	LockSigner                  // signing for the transparency log
)

// lockClass sets this program's locks apart from others in the same database.
const lockClass = 0x616e7377

// ErrLockLost: the connection that held a lock broke, so that another process may have it by now.
var ErrLockLost = errors.New("the lock was lost with its connection to PostgreSQL")

// How often a holder sees to its connection and others ask for the lock, and how long an answer may take. Chosen: another
// process takes over within some seconds, and a server under load is not taken for dead.
const (
	lockEvery  = time.Second
	lockWithin = 5 * time.Second
)

// Alone runs f while this process holds a lock, after waiting for it until ctx ends. The context of f ends, with
// ErrLockLost, when the connection that holds the lock breaks. Another process may then be at work before f notices: what
// f writes must be fenced besides.
//
// The connection is its own, and must lead to the server itself: behind a pooler that shares connections between
// transactions a lock is nobody's.
func Alone(ctx context.Context, place string, l Lock, name string, f func(ctx context.Context) error) error {
	held, err := lock(ctx, place, l, name, true)
	if err != nil {
		return err
	}
	return held.during(ctx, l, f)
}

// IfAlone is Alone that does not wait: false when another process holds the lock, and f did not run.
func IfAlone(ctx context.Context, place string, l Lock, name string, f func(ctx context.Context) error) (bool, error) {
	held, err := lock(ctx, place, l, name, false)
	if held == nil || err != nil {
		return false, err
	}
	return true, held.during(ctx, l, f)
}

// Held reports whether some process holds a lock.
func Held(ctx context.Context, db *sql.DB, l Lock) (held bool, err error) {
	err = db.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 2
		AND classid::bigint = $1 AND objid::bigint = $2 AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))`,
		int64(lockClass), int64(l)).Scan(&held)
	if err != nil {
		err = fmt.Errorf("postgres: who holds lock %d: %w", l, err)
	}
	return held, err
}

// during runs f and gives the lock back.
func (held *holder) during(ctx context.Context, l Lock, f func(ctx context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		for {
			if err := held.alive(ctx); err != nil {
				cancel(fmt.Errorf("%w: %w", ErrLockLost, err))
				return
			}
			if !pause(ctx, lockEvery) {
				return
			}
		}
	}()
	err := f(ctx)
	if cause := context.Cause(ctx); errors.Is(cause, ErrLockLost) {
		err = errors.Join(cause, err)
	}
	cancel(nil)
	<-watched
	return errors.Join(err, held.release(l))
}

// holder is the connection that holds a lock.
type holder struct {
	db   *sql.DB
	conn *sql.Conn
}

// lock gives nil when it need not wait and another process holds the lock.
func lock(ctx context.Context, place string, l Lock, name string, wait bool) (_ *holder, err error) {
	db, err := Open(place, Pool{Name: name, Settings: map[string]string{"statement_timeout": "0"}})
	if err != nil {
		return nil, err
	}
	db.SetConnMaxLifetime(0)
	db.SetConnMaxIdleTime(0)
	h := &holder{db: db}
	for delay := 10 * time.Millisecond; ; delay = min(2*delay, lockEvery) {
		got, err := h.try(ctx, l)
		if got {
			return h, nil
		}
		if err == nil && !wait {
			return nil, h.close()
		}
		if err != nil && !Transient(err) && !errors.Is(err, context.DeadlineExceeded) || ctx.Err() != nil {
			return nil, errors.Join(fmt.Errorf("postgres: wait for lock %d: %w", l, errors.Join(err, context.Cause(ctx))), h.close())
		}
		pause(ctx, delay)
	}
}

func (h *holder) try(ctx context.Context, l Lock) (got bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, lockWithin)
	defer cancel()
	if h.conn == nil {
		if h.conn, err = h.db.Conn(ctx); err != nil {
			return false, err
		}
	}
	err = h.conn.QueryRowContext(ctx, `SELECT pg_try_advisory_lock($1, $2)`, int64(lockClass), int64(l)).Scan(&got)
	if err != nil {
		_ = h.conn.Close() // it is broken
		h.conn = nil
	}
	return got, err
}

// release lets go of the lock, so that whoever waits need not wait for the server to notice the end of the connection.
func (h *holder) release(l Lock) error {
	ctx, cancel := context.WithTimeout(context.Background(), lockWithin)
	defer cancel()
	_, _ = h.conn.ExecContext(ctx, `SELECT pg_advisory_unlock($1, $2)`, int64(lockClass), int64(l)) // a broken connection holds none
	return h.close()
}

func (h *holder) close() error {
	if h.conn != nil {
		_ = h.conn.Close() // a connection that is in use would outlive its pool
	}
	return h.db.Close()
}

// alive asks for a sign of life. A connection that database/sql would replace by another does not count.
func (h *holder) alive(ctx context.Context) error {
	within, cancel := context.WithTimeout(ctx, lockWithin)
	defer cancel()
	_, err := h.conn.ExecContext(within, `SELECT 1`)
	if ctx.Err() != nil {
		return nil // told to end
	}
	return err
}

// pause gives false when ctx ended first.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
