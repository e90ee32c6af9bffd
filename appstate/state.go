// Package appstate keeps what the program needs to run and the ledger does not: API tokens, the sessions of browsers and
// what else signing in needs, the answers kept for repeats of requests, and the log of who read what.
//
// Its promise: the secret of a token, session or link is shown once and never stored; one that was revoked, used up or
// has expired is refused by every call after that; an account changes together with its line in the account log, or not
// at all; an answer kept under a key is given again, byte for byte, for seven days.
//
// Its failure model: nothing here is a fact of the ledger. Losing the file loses the tokens (make new ones), everybody's
// session and password and whom a provider of OpenID Connect vouches for (passkeys are in the ledger and go on), the kept
// answers (the ledger recognises its own commands without them), the account log and the access log. Revocations, kept
// answers and the account log are on the disk before the call returns. Times of last use of tokens and access entries are written in batches: a power cut loses those
// of the last second, and a reader waits rather than goes unlogged when the batch is full. When the file cannot be
// written, calls fail with ErrUnavailable, and with ErrFull when a full disk is why.
//
// The tables are in one SQLite file, or in PostgreSQL (postgres.go), which several servers then share.
package appstate

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"go.uber.org/zap"
	"modernc.org/sqlite" // also the driver of database/sql
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/answerable-ledger/answerable/internal/postgres"
)

var (
	// ErrUnavailable: the store cannot be read or written now.
	ErrUnavailable = errors.New("the application's state cannot be reached")
	// ErrFull: there is no room left for the state; nothing of the call was stored, everything acknowledged before is there
	// and is read, and writing goes on when there is room. It is ErrUnavailable too.
	ErrFull = fmt.Errorf("%w: no space left on its disk, make room there", ErrUnavailable)
	// ErrNoToken: there is no such token, or it was revoked, or it has expired.
	ErrNoToken = errors.New("no such token")
	// ErrInProgress: a request with this key is being answered.
	ErrInProgress = errors.New("a request with this key is under way")
	// ErrOtherRequest: the key was used for a request that said something else.
	ErrOtherRequest = errors.New("the key was used for another request")
)

// State is the application's state. It is safe for concurrent use, also by several processes: on one machine with SQLite,
// on any number with PostgreSQL.
type State struct {
	db      *sql.DB
	dialect dialect
	now     func() time.Time
	logger  *zap.Logger

	entries chan Access     // to the writer; its capacity is what may wait
	flush   chan chan error // asks the writer to write what it has
	done    chan struct{}   // closed when the writer has ended
	stop    chan struct{}   // closed by Close
	closing sync.Once

	usedMu sync.Mutex
	used   map[string]time.Time // token id to last use, not yet written

	tokens tokenIndex
}

// Options of Open. Zero values are usable.
type Options struct {
	Clock  func() time.Time // nil: time.Now
	Logger *zap.Logger      // nil: none
	// TokenTTL is how long a revocation by another process may go unnoticed, in real time; 0 is two seconds. One by this
	// State is noticed at once.
	TokenTTL time.Duration
}

// Open opens the SQLite file at path, making it when it is missing; only its owner can read it. A path that is a connection
// string of PostgreSQL (postgres://…, with sslmode and connect_timeout) opens the tables in that database.
func Open(ctx context.Context, path string, o Options) (*State, error) {
	if postgres.Is(path) {
		return openPostgres(ctx, path, o)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("appstate: open %s: %w: %w", path, ErrUnavailable, err)
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("appstate: open %s: %w: %w", path, ErrUnavailable, err)
	}
	if err := f.Close(); err != nil {
		return nil, fmt.Errorf("appstate: open %s: %w: %w", path, ErrUnavailable, err)
	}
	pragmas := url.Values{"_txlock": {"immediate"}, "_pragma": {"busy_timeout(5000)", "journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(1)"}}
	db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: path}).EscapedPath()+"?"+pragmas.Encode())
	if err != nil {
		return nil, fmt.Errorf("appstate: open %s: %w: %w", path, ErrUnavailable, err)
	}
	s, err := open(ctx, db, sqliteDialect(), o)
	if err != nil {
		return nil, fmt.Errorf("appstate: open %s: %w", path, errors.Join(err, db.Close()))
	}
	return s, nil
}

func open(ctx context.Context, db *sql.DB, d dialect, o Options) (*State, error) {
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	if o.TokenTTL == 0 {
		o.TokenTTL = 2 * time.Second
	}
	s := &State{db: db, dialect: d, now: o.Clock, logger: o.Logger, entries: make(chan Access, maxWaiting),
		flush: make(chan chan error), done: make(chan struct{}), stop: make(chan struct{}), used: map[string]time.Time{}, tokens: tokenIndex{ttl: o.TokenTTL}}
	if err := s.migrate(ctx); err != nil {
		return nil, err
	}
	go s.write()
	return s, nil
}

// Close writes what waits and releases the file.
func (s *State) Close() error {
	s.closing.Do(func() { close(s.stop) })
	<-s.done
	return s.db.Close()
}

// dialect is what differs between the databases.
type dialect struct {
	name        string
	placeholder func(n int) string // of the n-th parameter, from 1
	versions    [][]string         // statements that bring the tables from version i to i+1
	// serialise makes transactions about the same thing, its parameter, come one after the other. "" where they all do.
	serialise string
	// full reports that there was no room left.
	full func(error) bool
}

func sqliteDialect() dialect {
	return dialect{name: "sqlite", placeholder: func(int) string { return "?" }, full: sqliteFull, versions: [][]string{{
		`CREATE TABLE token (id TEXT PRIMARY KEY, hash BLOB NOT NULL UNIQUE, person TEXT NOT NULL, scope TEXT NOT NULL, label TEXT NOT NULL,
			created_at INTEGER NOT NULL, expires_at INTEGER NOT NULL, used_at INTEGER NOT NULL, revoked_at INTEGER NOT NULL)`,
		`CREATE TABLE token_change (n INTEGER NOT NULL)`,
		`INSERT INTO token_change (n) VALUES (0)`,
		`CREATE TABLE kept_answer (person TEXT NOT NULL, route TEXT NOT NULL, request_key TEXT NOT NULL, digest BLOB NOT NULL, started_at INTEGER NOT NULL,
			status INTEGER NOT NULL, headers BLOB NOT NULL, body BLOB NOT NULL, PRIMARY KEY (person, route, request_key))`,
		`CREATE INDEX kept_answer_started ON kept_answer (started_at)`,
		`CREATE TABLE access_log (id INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, person TEXT NOT NULL, token TEXT NOT NULL, role TEXT NOT NULL,
			method TEXT NOT NULL, path TEXT NOT NULL, query TEXT NOT NULL, status INTEGER NOT NULL, request TEXT NOT NULL)`,
		`CREATE INDEX access_log_person ON access_log (person, id)`,
	}, accountTables(`INTEGER PRIMARY KEY AUTOINCREMENT`), subjectTables(), subjectSalts(`lower(hex(randomblob(32)))`)}}
}

// sqliteFull: a disk that is full when the file beside a database has to grow has a code of its own.
func sqliteFull(err error) bool {
	var e *sqlite.Error
	return errors.Is(err, syscall.ENOSPC) || errors.As(err, &e) && (e.Code()&0xff == sqlite3.SQLITE_FULL || e.Code() == sqlite3.SQLITE_IOERR_SHMSIZE)
}

// unavailable gives the error of a statement that was to write its kind.
func (s *State) unavailable(err error) error {
	if s.dialect.full(err) {
		return fmt.Errorf("%w: %w", ErrFull, err)
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}

// sql writes the placeholders of a query whose parameters are all written '?'.
func (d dialect) sql(query string) string {
	if d.placeholder(1) == "?" {
		return query
	}
	var b strings.Builder
	n := 0
	for _, c := range []byte(query) {
		if c != '?' {
			b.WriteByte(c)
			continue
		}
		n++
		b.WriteString(d.placeholder(n))
	}
	return b.String()
}

func (s *State) migrate(ctx context.Context) error {
	if _, err := s.db.ExecContext(ctx, `CREATE TABLE IF NOT EXISTS appstate (version INTEGER NOT NULL)`); err != nil {
		return s.unavailable(err)
	}
	return s.inTx(ctx, func(tx *sql.Tx) error {
		var version int
		err := tx.QueryRowContext(ctx, `SELECT version FROM appstate`).Scan(&version)
		if errors.Is(err, sql.ErrNoRows) {
			_, err = tx.ExecContext(ctx, `INSERT INTO appstate (version) VALUES (0)`)
		}
		if err != nil {
			return err
		}
		if version > len(s.dialect.versions) {
			return fmt.Errorf("its tables are of version %d, this program knows %d: upgrade the program", version, len(s.dialect.versions))
		}
		if version == len(s.dialect.versions) {
			return nil // and nothing is written: a process that starts while the disk is full can answer
		}
		for _, statements := range s.dialect.versions[version:] {
			for _, statement := range statements {
				if _, err := tx.ExecContext(ctx, statement); err != nil {
					return s.unavailable(err)
				}
			}
		}
		_, err = tx.ExecContext(ctx, `UPDATE appstate SET version = `+strconv.Itoa(len(s.dialect.versions)))
		return err
	})
}

// inTx runs a transaction that comes before or after every other one of inTx, by whatever process.
func (s *State) inTx(ctx context.Context, f func(*sql.Tx) error) error {
	return s.inTxAbout(ctx, "", f)
}

// inTxAbout runs a transaction that comes before or after every other one about the same thing.
func (s *State) inTxAbout(ctx context.Context, about string, f func(*sql.Tx) error) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return s.unavailable(err)
	}
	if s.dialect.serialise != "" {
		if _, err := tx.ExecContext(ctx, s.dialect.serialise, about); err != nil {
			return errors.Join(s.unavailable(err), tx.Rollback())
		}
	}
	if err := f(tx); err != nil {
		if ctx.Err() == nil {
			return errors.Join(err, tx.Rollback())
		}
		return err // the end of ctx rolls back by itself
	}
	if err := tx.Commit(); err != nil {
		return s.unavailable(err)
	}
	return nil
}

// micros is how instants are stored: microseconds since 1970, 0 for the zero time.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func fromMicros(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.UnixMicro(n).UTC()
}
