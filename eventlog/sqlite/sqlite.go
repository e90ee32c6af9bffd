// Package sqlite keeps an event log in one SQLite file.
//
// Its promise: the contract of package eventlog, in dense order (the n-th event has position n), with every
// acknowledged append in the write-ahead log and fsynced before the answer leaves. The file is an ordinary SQLite
// database: table event holds one row per event and refuses UPDATE, DELETE and any INSERT but the next one.
//
// Its failure model: the process may be killed and the machine may lose power at any instant; Open finds exactly the
// groups whose COMMIT reached the disk, whole. A full disk refuses appends with ErrFull and takes them again when there
// is room. When fsync itself fails nobody can say what the disk holds (the kernel may have dropped the pages and
// forgotten about it), so the group gets ErrOutcomeUnknown and the writer stops until the log is opened anew.
//
// One process writes: a lock on a file beside the database sees to it. Any number of processes may read.
package sqlite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	engine "zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/answerable-ledger/answerable/eventlog"
)

const (
	// applicationID marks the file as ours, in the header where file(1) and SQLite look: "ANSL".
	applicationID = 0x414e534c
	// schemaVersion is written to user_version. A file with a higher one was written by newer software and is refused.
	schemaVersion = 1
	// pageSizeBytes: rows of about 1 kB waste a quarter of a 4 kB page and a ninth of an 8 kB one; at 16 kB a lone
	// caller, who writes a whole page for each event, begins to pay.
	pageSizeBytes = 8192
	// readers is how many connections serve reads at once. A reader holds one for a chunk of rows, never while its
	// caller thinks, so a few serve many followers.
	readers = 4
	// busyTimeout is how long another process may hold SQLite's own locks, which it needs to recover or to look inside.
	busyTimeout = 10 * time.Second
	// pollInterval is how often a follower of a file another process writes looks for more.
	pollInterval = 200 * time.Millisecond
)

// schema is version 1. prev is the position of the stream's event before this one, 0 for its first: the stream read
// backwards, instead of an index that would have to be kept sorted by name while writing (that index, not fsync, is what
// a log in SQLite usually spends its time on). heads holds where streams end, in runs; it is derived and may be emptied.
const schema = `
CREATE TABLE event (
	seq         INTEGER PRIMARY KEY,
	stream      TEXT    NOT NULL,
	revision    INTEGER NOT NULL,
	prev        INTEGER NOT NULL,
	recorded_at INTEGER NOT NULL, -- microseconds since 1970, UTC
	id          BLOB    NOT NULL,
	kind        TEXT    NOT NULL,
	meta        BLOB    NOT NULL,
	data        BLOB    NOT NULL
) STRICT;
CREATE TRIGGER event_is_never_changed BEFORE UPDATE ON event BEGIN SELECT RAISE(ABORT, 'events are never changed'); END;
CREATE TRIGGER event_is_never_deleted BEFORE DELETE ON event BEGIN SELECT RAISE(ABORT, 'events are never deleted'); END;
CREATE TRIGGER event_is_only_appended BEFORE INSERT ON event WHEN NEW.seq <> (SELECT coalesce(max(seq), 0) + 1 FROM event)
	BEGIN SELECT RAISE(ABORT, 'events are only appended'); END;
CREATE TABLE heads (
	through INTEGER PRIMARY KEY, -- the run covers the events after the run before, through this one
	after   INTEGER NOT NULL,
	run     BLOB    NOT NULL
) STRICT;
`

// Options tell Open how.
type Options struct {
	// Clock gives the time an event is recorded at. Nil means time.Now.
	Clock eventlog.Clock
	// ReadOnly opens a log that another process may be writing at the same time. Append answers ErrReadOnly and
	// followers poll.
	ReadOnly bool

	tune tuning
}

// tuning holds what tests make small, to meet in a moment what otherwise takes long. Zeros mean the constants.
type tuning struct {
	runEvents       uint64
	checkpointBytes int
	maxPages        int
}

// Log is an open event log. It implements eventlog.Log.
type Log struct {
	path  string
	uri   string
	clock eventlog.Clock
	lock  *os.File // nil when read-only
	pool  *pool
	heads *heads

	// head and wake are written together by the writer under mu, after COMMIT and before any answer.
	mu   sync.Mutex
	head uint64
	wake chan struct{} // closed and replaced at each commit

	// queue and done belong to the writer goroutine, which starts in Open and ends in Close; both are nil when read-only.
	queue  chan *appendCall
	writer *writer
	done   chan struct{} // closed when the writer has ended

	closing   chan struct{} // closed by Close
	closeOnce sync.Once
	closeErr  error

	counters
}

var _ eventlog.Log = (*Log)(nil)

// Stats are counts since Open, and present sizes.
type Stats struct {
	Head        uint64 // events in the log, when it was last looked at in a read-only one
	Streams     int    // streams in the log; 0 in a read-only one that has not needed to know
	Queued      int    // appends waiting for the next group
	Appends     uint64 // appends that stored something
	Events      uint64 // events stored
	Bytes       uint64 // data and meta of these events
	Repeats     uint64 // appends whose events were there already
	Refused     uint64 // appends that conflicted or did not match
	Failed      uint64 // appends that failed otherwise
	Groups      uint64 // transactions that stored something
	Checkpoints uint64 // times the write-ahead log was moved into the database
}

type counters struct {
	appends, events, bytes, repeats, refused, failed, groups, checkpoints atomic.Uint64
}

// Stats costs a few loads; a metrics page may ask for it at any rate.
func (l *Log) Stats() Stats {
	return Stats{
		Head: l.committed(), Streams: l.heads.len(), Queued: len(l.queue),
		Appends: l.appends.Load(), Events: l.events.Load(), Bytes: l.bytes.Load(),
		Repeats: l.repeats.Load(), Refused: l.refused.Load(), Failed: l.failed.Load(),
		Groups: l.groups.Load(), Checkpoints: l.checkpoints.Load(),
	}
}

// Open opens the log at path, making it when it is not there (unless o.ReadOnly). Errors: ErrInUse when another process
// writes it, ErrReadOnly when the place cannot be written, ErrDamaged when the file is not such a log or contradicts
// itself, ErrInvalid when it was written by newer software, ErrFull.
//
// Open reads where every stream ends, in about a quarter of a second per million streams, and keeps it in memory, in 40
// to 85 bytes per stream. A read-only log does so when a stream is first read.
func Open(path string, o Options) (*Log, error) {
	l, err := open(path, o)
	if err != nil {
		return nil, fmt.Errorf("sqlite: open %s: %w", path, translate(err))
	}
	return l, nil
}

func open(path string, o Options) (_ *Log, err error) {
	l := &Log{
		path:    path,
		clock:   o.Clock,
		heads:   newHeads(),
		wake:    make(chan struct{}),
		closing: make(chan struct{}),
	}
	if l.clock == nil {
		l.clock = time.Now
	}
	if o.ReadOnly {
		return l, l.openReadOnly()
	}
	l.uri = fileURI(path)

	if l.lock, err = lockFile(lockPath(path)); err != nil {
		return nil, err
	}
	var conn *engine.Conn
	defer func() {
		if err != nil {
			if l.pool != nil {
				l.pool.close()
			}
			if conn != nil {
				conn.Close()
			}
			_ = unlockFile(l.lock)
		}
	}()
	if conn, err = openWriter(path); err != nil {
		return nil, err
	}
	if err := syncDir(filepath.Dir(path)); err != nil {
		return nil, err
	}
	w := newWriter(l, conn, o.tune)
	if o.tune.maxPages > 0 {
		if err := w.limitPages(o.tune.maxPages); err != nil {
			return nil, err
		}
	}
	if err := w.load(); err != nil {
		return nil, err
	}
	l.head = w.head
	l.pool = newPool(l.uri, readers)
	l.writer = w
	l.queue = make(chan *appendCall, maxGroupAppends)
	l.done = make(chan struct{})
	go w.run()
	return l, nil
}

// openReadOnly opens the file for reading and tries it.
func (l *Log) openReadOnly() error {
	if _, err := os.Stat(l.path); err != nil {
		return err
	}
	err := l.tryReadOnly(fileURI(l.path) + "?mode=ro")
	if errors.Is(err, eventlog.ErrUnavailable) || errors.Is(err, eventlog.ErrReadOnly) {
		// SQLite wants to make the index of the write-ahead log beside the file. On a medium that cannot be written
		// nobody else writes either, so the file may be taken for unchangeable, if it is whole without that log.
		if wal, statErr := os.Stat(l.path + "-wal"); statErr == nil && wal.Size() > 0 {
			return fmt.Errorf("its write-ahead log must be moved into it first, by opening it where it can be written: %w", err)
		}
		err = l.tryReadOnly(fileURI(l.path) + "?mode=ro&immutable=1")
	}
	return err
}

func (l *Log) tryReadOnly(uri string) error {
	l.uri = uri
	l.pool = newPool(uri, readers)
	err := l.pool.with(context.Background(), func(conn *engine.Conn) error {
		if err := checkIdentity(conn, false); err != nil {
			return err
		}
		head, _, err := readHead(conn)
		l.head = head
		return err
	})
	if err != nil {
		l.pool.close()
	}
	return err
}

// openWriter opens the one connection that writes, and makes the tables in a new file.
func openWriter(path string) (_ *engine.Conn, err error) {
	conn, err := engine.OpenConn(path, engine.OpenReadWrite, engine.OpenCreate)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			conn.Close()
		}
	}()
	conn.SetBusyTimeout(busyTimeout)
	if err := checkIdentity(conn, true); err != nil {
		return nil, err
	}
	for _, pragma := range []string{
		fmt.Sprintf("PRAGMA page_size = %d", pageSizeBytes), // has its effect on a new file alone
		"PRAGMA journal_mode = WAL",
		"PRAGMA synchronous = FULL",
		"PRAGMA wal_autocheckpoint = 0",        // the writer does it, after the answers are out
		"PRAGMA journal_size_limit = 33554432", // what a long reader made the WAL grow to is given back
		"PRAGMA cache_size = -16384",
		"PRAGMA trusted_schema = OFF",
	} {
		if err := sqlitex.ExecuteTransient(conn, pragma, nil); err != nil {
			return nil, fmt.Errorf("%s: %w", pragma, err)
		}
	}
	mode, err := queryInt(conn, "SELECT journal_mode = 'wal' FROM pragma_journal_mode")
	if err != nil {
		return nil, err
	}
	if mode != 1 {
		return nil, fmt.Errorf("the file system does not support a write-ahead log: %w", eventlog.ErrInvalid)
	}
	tables, err := queryInt(conn, "SELECT count(*) FROM sqlite_schema")
	if err != nil {
		return nil, err
	}
	if tables > 0 {
		return conn, nil
	}
	// One transaction: a crash leaves an empty database, which the next Open takes for a new one, or a whole one.
	script := fmt.Sprintf("PRAGMA application_id = %d; PRAGMA user_version = %d; %s", applicationID, schemaVersion, schema)
	if err := sqlitex.ExecuteScript(conn, script, nil); err != nil {
		return nil, err
	}
	return conn, nil
}

// checkIdentity refuses files that are not such a log. A file without any table passes when it may become one.
func checkIdentity(conn *engine.Conn, mayBeNew bool) error {
	tables, err := queryInt(conn, "SELECT count(*) FROM sqlite_schema")
	if err != nil {
		return err
	}
	app, err := queryInt(conn, "PRAGMA application_id")
	if err != nil {
		return err
	}
	version, err := queryInt(conn, "PRAGMA user_version")
	if err != nil {
		return err
	}
	switch {
	case tables == 0 && app == 0 && mayBeNew:
		return nil
	case app != applicationID:
		return fmt.Errorf("not an event log: application id %#x, want %#x: %w", app, applicationID, eventlog.ErrDamaged)
	case version > schemaVersion:
		return fmt.Errorf("written by newer software: schema version %d, this one knows up to %d: %w", version, schemaVersion, eventlog.ErrInvalid)
	}
	return nil
}

// Close ends the writer and the followers, moves the write-ahead log into the file and gives the lock back. Appends that
// wait for their group get ErrUnavailable.
func (l *Log) Close() error {
	l.closeOnce.Do(func() {
		close(l.closing)
		if l.done != nil {
			<-l.done
		}
		l.pool.close()
		if l.writer != nil {
			l.closeErr = errors.Join(l.writer.close(), unlockFile(l.lock))
		}
		if l.closeErr != nil {
			l.closeErr = fmt.Errorf("sqlite: close %s: %w", l.path, translate(l.closeErr))
		}
	})
	return l.closeErr
}

// Backup writes a copy of the log as it stands now to dst, which must not exist. Appends go on meanwhile. The copy is
// consistent at a commit, fsynced, and appears under its name only when it is whole.
func (l *Log) Backup(ctx context.Context, dst string) error {
	if err := l.backup(ctx, dst); err != nil {
		return fmt.Errorf("sqlite: back up %s to %s: %w", l.path, dst, translate(err))
	}
	return nil
}

func (l *Log) backup(ctx context.Context, dst string) error {
	if l.isClosed() {
		return errClosed
	}
	if _, err := os.Lstat(dst); err == nil {
		return fmt.Errorf("it exists: %w", eventlog.ErrInvalid)
	}
	partial := dst + ".partial"
	if err := os.Remove(partial); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	defer os.Remove(partial)
	// Not from the pool: its connections have query_only set, which VACUUM INTO takes for itself too.
	conn, err := engine.OpenConn(l.uri, engine.OpenReadWrite, engine.OpenURI)
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.SetInterrupt(ctx.Done())
	if err := sqlitex.ExecuteTransient(conn, "VACUUM INTO ?", &sqlitex.ExecOptions{Args: []any{partial}}); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return err
	}
	if err := syncFile(partial); err != nil {
		return err
	}
	if err := os.Rename(partial, dst); err != nil {
		return err
	}
	return syncDir(filepath.Dir(dst))
}

func (l *Log) isClosed() bool {
	select {
	case <-l.closing:
		return true
	default:
		return false
	}
}

// committed is the newest position that COMMIT has answered for.
func (l *Log) committed() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.head
}

// fileURI names the file to SQLite with every byte of its path meaning itself.
func fileURI(path string) string {
	return "file:" + strings.NewReplacer("%", "%25", "?", "%3f", "#", "%23").Replace(filepath.ToSlash(path))
}

func syncFile(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func queryInt(conn *engine.Conn, query string) (int64, error) {
	var n int64
	err := sqlitex.ExecuteTransient(conn, query, &sqlitex.ExecOptions{ResultFunc: func(stmt *engine.Stmt) error {
		n = stmt.ColumnInt64(0)
		return nil
	}})
	return n, err
}
