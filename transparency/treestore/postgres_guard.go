package treestore

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"time"

	"github.com/answerable-ledger/answerable/eventlog"
	"github.com/answerable-ledger/answerable/internal/postgres"
)

// The guards of any number of logs lie in one table of a database that holds nothing else of theirs.
const (
	guardSchema = "answerable_guard"
	guardTable  = guardSchema + ".checkpoint"
)

// PostgresGuard is a Guard in a PostgreSQL database, for servers that share no disk: on another server than the tree's,
// and in no backup. Its promise is Guard's: the checkpoint moves by compare-and-set before it is shown to anybody. One
// process at a time holds it; who held it before can move it no more, also when that process does not know yet.
type PostgresGuard struct {
	shown, origin string
	db            *sql.DB
	lock          *sql.Conn // holds the lock as long as it lives
	holder        int64     // tells this opening from every other

	mu          sync.Mutex // owns what follows
	last, tried []byte     // tried: a swap to it was cut off, and may have been stored
}

// CreatePostgresGuard makes the guard of a log whose last signed checkpoint is given; none for a log that has never signed
// anything. One that is there is fs.ErrExist.
func CreatePostgresGuard(ctx context.Context, place, origin string, last []byte) error {
	shown, err := postgres.Check(place)
	if err != nil {
		return fmt.Errorf("guard: %w", err)
	}
	db, err := openGuards(place)
	if err != nil {
		return err
	}
	err = postgres.Alone(ctx, place, postgres.LockSetup, "guard set-up", func(ctx context.Context) error {
		for _, statement := range []string{`CREATE SCHEMA IF NOT EXISTS ` + guardSchema,
			`CREATE TABLE IF NOT EXISTS ` + guardTable + ` (origin TEXT PRIMARY KEY, note BYTEA NOT NULL, holder BIGINT NOT NULL)`} {
			if _, err := db.ExecContext(ctx, statement); err != nil {
				return err
			}
		}
		_, err := db.ExecContext(ctx, `INSERT INTO `+guardTable+` VALUES ($1, $2, 0)`, origin, append([]byte{}, last...))
		if postgres.Code(err) == "23505" {
			return fmt.Errorf("there is one of log %s: %w", origin, fs.ErrExist)
		}
		return err
	})
	return errors.Join(guardWrap(err, "create in %s", shown), db.Close())
}

// ReadPostgresGuard gives the last signed checkpoint as the guard of a log has it, also while another process holds it. A
// guard that is not there is fs.ErrNotExist.
func ReadPostgresGuard(ctx context.Context, place, origin string) (last []byte, err error) {
	shown, err := postgres.Check(place)
	if err != nil {
		return nil, fmt.Errorf("guard: %w", err)
	}
	db, err := openGuards(place)
	if err != nil {
		return nil, err
	}
	err = guardScan(db.QueryRowContext(ctx, `SELECT note FROM `+guardTable+` WHERE origin = $1`, origin), origin, &last)
	return last, errors.Join(guardWrap(err, "read from %s", shown), db.Close())
}

// OpenPostgresGuard takes the guard of a log over and reads the last signed checkpoint. eventlog.ErrInUse: another process
// holds it. A guard that is not there is fs.ErrNotExist, and never taken for that of a log without checkpoints: it would let
// restored backups fork the log.
func OpenPostgresGuard(ctx context.Context, place, origin string) (_ *PostgresGuard, err error) {
	shown, err := postgres.Check(place)
	if err != nil {
		return nil, fmt.Errorf("guard: %w", err)
	}
	g := &PostgresGuard{shown: shown, origin: origin}
	if g.db, err = openGuards(place); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(guardWrap(err, "open %s", shown), g.Close())
		}
	}()
	if g.lock, err = g.db.Conn(ctx); err != nil {
		return nil, err
	}
	var got bool
	if err := g.lock.QueryRowContext(ctx, `SELECT pg_try_advisory_lock(hashtextextended($1, 0))`, guardTable+" "+origin).Scan(&got); err != nil {
		return nil, err
	}
	if !got {
		return nil, fmt.Errorf("another process signs for this log: %w", eventlog.ErrInUse)
	}
	err = guardScan(g.lock.QueryRowContext(ctx, `UPDATE `+guardTable+` SET holder = holder + 1 WHERE origin = $1 RETURNING holder, note`, origin), origin, &g.holder, &g.last)
	return g, err
}

func openGuards(place string) (*sql.DB, error) {
	db, err := postgres.Open(place, postgres.Pool{Name: "guard", Conns: 2, Settings: map[string]string{"synchronous_commit": "on"}})
	if err != nil {
		return nil, fmt.Errorf("guard: %w", err)
	}
	return db, nil
}

func guardScan(row *sql.Row, origin string, into ...any) error {
	err := row.Scan(into...)
	if code := postgres.Code(err); errors.Is(err, sql.ErrNoRows) || code == "42P01" || code == "3F000" {
		return fmt.Errorf("the second copy of the last signed checkpoint of log %s is missing: %w", origin, fs.ErrNotExist)
	}
	return err
}

// Last is the last signed checkpoint, empty when nothing was ever signed.
func (g *PostgresGuard) Last() []byte {
	g.mu.Lock()
	defer g.mu.Unlock()
	return bytes.Clone(g.last)
}

// Swap replaces the checkpoint old, and none but old, by next. When it returns without an error next survives power loss.
// eventlog.ErrInUse: another process holds the guard since; nothing changed. eventlog.ErrUnavailable: the server is away,
// and whether next is stored will show.
func (g *PostgresGuard) Swap(ctx context.Context, old, next []byte) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !bytes.Equal(g.last, old) {
		return fmt.Errorf("guard %s: it changed under this process; nothing was signed: %w", g.shown, eventlog.ErrConflict)
	}
	// What was tried and cut off is this process's own when it is there: nobody else could write while it is the holder.
	tried := g.tried
	if tried == nil {
		tried = old
	}
	done, err := g.db.ExecContext(ctx, `UPDATE `+guardTable+` SET note = $4 WHERE origin = $1 AND holder = $2 AND (note = $3 OR note = $5)`, g.origin, g.holder, nonNil(old), nonNil(next), nonNil(tried))
	if err != nil {
		g.tried = bytes.Clone(next)
		return guardWrap(err, "swap in %s", g.shown)
	}
	if n, err := done.RowsAffected(); err != nil || n == 0 {
		return errors.Join(err, g.moved(ctx))
	}
	g.last, g.tried = bytes.Clone(next), nil
	return nil
}

// moved says why nothing could be swapped.
func (g *PostgresGuard) moved(ctx context.Context) error {
	var holder int64
	err := guardScan(g.db.QueryRowContext(ctx, `SELECT holder FROM `+guardTable+` WHERE origin = $1`, g.origin), g.origin, &holder)
	switch {
	case err != nil:
		return guardWrap(err, "swap in %s", g.shown)
	case holder != g.holder:
		return fmt.Errorf("guard %s: another process signs for this log since; nothing was signed: %w", g.shown, eventlog.ErrInUse)
	}
	return fmt.Errorf("guard %s: it changed under this process; nothing was signed: %w", g.shown, eventlog.ErrConflict)
}

// nonNil is an empty text for none: the column has no NULL.
func nonNil(b []byte) []byte { return append([]byte{}, b...) }

// Close gives the lock back.
func (g *PostgresGuard) Close() error {
	if g.lock != nil {
		// So that the next holder need not wait for the server to notice the end of the connection.
		ctx, cancel := context.WithTimeout(context.Background(), unlockWithin)
		defer cancel()
		_, _ = g.lock.ExecContext(ctx, `SELECT pg_advisory_unlock(hashtextextended($1, 0))`, guardTable+" "+g.origin) // a broken connection holds none
		_ = g.lock.Close()                                                                                            // a connection that is in use would outlive its pool
	}
	return g.db.Close()
}

// unlockWithin bounds the wait for a server that does not answer any more.
const unlockWithin = 5 * time.Second

func guardWrap(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	operation := fmt.Sprintf(format, args...)
	if postgres.Transient(err) {
		return fmt.Errorf("guard: %s: %w: %w", operation, eventlog.ErrUnavailable, err)
	}
	return fmt.Errorf("guard: %s: %w", operation, err)
}
