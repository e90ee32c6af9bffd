package projections

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
	"syscall"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/answerable-ledger/answerable/eventlog"
	"github.com/answerable-ledger/answerable/projections/giveway"
)

// sqliteDialect keeps each generation in a file of its own beside the registry file: a rebuild can then write without a
// journal, and an old generation is dropped by unlinking it. Rows and position of a generation are in one file, since a
// transaction over attached files is not atomic in a crash.
type sqliteDialect struct{}

func (sqliteDialect) bind(query string) string   { return query }
func (sqliteDialect) name(_ int, t table) string { return t.Name }
func (sqliteDialect) create(_ int, t table) string {
	var cols []string
	for i, c := range t.Columns {
		typ := " TEXT"
		if c.Integer {
			typ = " INTEGER"
		}
		if t.Key == 1 && i == 0 && c.Integer {
			typ += " PRIMARY KEY" // an alias of the row's own number: no second tree
		}
		cols = append(cols, c.Name+typ)
	}
	if t.Key == 1 && t.Columns[0].Integer {
		return fmt.Sprintf("CREATE TABLE %s (%s)", t.Name, strings.Join(cols, ", "))
	}
	return fmt.Sprintf("CREATE TABLE %s (%s, PRIMARY KEY (%s)) WITHOUT ROWID", t.Name, strings.Join(cols, ", "), strings.Join(t.keyNames(), ", "))
}

func (sqliteDialect) index(_ int, t table) []string {
	var out []string
	for _, i := range t.Indexes {
		out = append(out, i.create(t, t.Name))
	}
	return out
}

// rowsPerInsert is how many rows a statement takes at best. Measured.
const rowsPerInsert = 16

func (d sqliteDialect) insert(ctx context.Context, tx *sql.Tx, _ int, r rows, conflict string) error {
	return insertRows(ctx, tx, d, r.table.Name, r, conflict, rowsPerInsert)
}

func (sqliteDialect) clean(text string) string               { return text }
func (sqliteDialect) patient(context.Context, *sql.Tx) error { return nil }

func (sqliteDialect) transient(err error) bool {
	switch sqliteCode(err) {
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		return true
	}
	return false
}

// full: a disk that is full when the file beside a database has to grow has a code of its own.
func (sqliteDialect) full(err error) bool {
	var e *sqlite.Error
	return errors.Is(err, syscall.ENOSPC) || sqliteCode(err) == sqlite3.SQLITE_FULL || errors.As(err, &e) && e.Code() == sqlite3.SQLITE_IOERR_SHMSIZE
}

func (d sqliteDialect) damaged(err error) bool {
	switch sqliteCode(err) {
	case sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_FORMAT:
		return true
	}
	return d.missing(err)
}

// missing: SQLite has no code of its own for it.
func (sqliteDialect) missing(err error) bool {
	return sqliteCode(err) == sqlite3.SQLITE_ERROR && strings.Contains(err.Error(), "no such table")
}

// sqliteCode is an error's primary code, or 0.
func sqliteCode(err error) int {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return 0
	}
	return e.Code() & 0xff
}

// sqlitePoll is how often a process looks whether another replaced the generation. Chosen: a switch is seen within a
// second, and a look costs some microseconds.
const sqlitePoll = time.Second

// sqliteStore is the registry file and the generations beside it.
type sqliteStore struct {
	path     string
	registry *sql.DB
	readOnly bool
}

// uri names a database file. WAL with synchronous=NORMAL: a power cut may take the last commits of the views, never
// their consistency, and what it takes is read from the log again.
func uri(path string, readOnly bool) string {
	q := url.Values{}
	q.Add("_pragma", "busy_timeout(5000)")
	q.Add("_pragma", "cache_size(-65536)")
	if readOnly {
		q.Add("mode", "ro")
	} else {
		q.Add("_pragma", "journal_mode(WAL)")
		q.Add("_pragma", "synchronous(NORMAL)")
		q.Add("_txlock", "immediate")
	}
	return "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + q.Encode()
}

// openSQLite opens the registry. One that cannot be read is set aside when the views are to be mended, with the generations
// it knew: without it nobody can tell which of them was live.
func openSQLite(path string, readOnly, mend bool) (store, error) {
	if readOnly {
		if _, err := os.Stat(path); err != nil {
			return nil, fmt.Errorf("projections: open %s: %w", path, err)
		}
	}
	db, err := sql.Open("sqlite", uri(path, readOnly))
	if err != nil {
		return nil, fmt.Errorf("projections: open %s: %w", path, err)
	}
	db.SetMaxOpenConns(1)
	s := &sqliteStore{path: path, registry: db, readOnly: readOnly}
	if readOnly {
		return s, nil
	}
	_, err = db.Exec(`CREATE TABLE IF NOT EXISTS generation (n INTEGER PRIMARY KEY, fingerprint TEXT NOT NULL, state TEXT NOT NULL);
		CREATE TABLE IF NOT EXISTS written (n INTEGER PRIMARY KEY, record TEXT NOT NULL);
		` + fmt.Sprintf(giveway.CreateTable, ""))
	if err == nil {
		var n int
		err = db.QueryRow(`SELECT COUNT(*) FROM generation`).Scan(&n) // reads a page that the statement above may not
	}
	switch d := s.dialect(); {
	case err == nil:
		return s, nil
	case d.full(err):
		err = fmt.Errorf("%w: %w", ErrFull, err)
	case d.damaged(err) && !mend:
		err = fmt.Errorf("%w: %w", ErrDamaged, err)
	case d.damaged(err):
		ext := filepath.Ext(path)
		files, _ := filepath.Glob(strings.TrimSuffix(path, ext) + "-[0-9]*" + ext) // the pattern is well formed
		err = db.Close()
		for _, file := range append(files, path) { // the registry last: until it is gone, this is tried again
			err = errors.Join(err, setFileAside(file, time.Now()))
		}
		if err == nil {
			return openSQLite(path, false, false)
		}
	}
	return nil, errors.Join(fmt.Errorf("projections: open %s: %w", path, err), db.Close())
}

func (s *sqliteStore) close() error     { return s.registry.Close() }
func (s *sqliteStore) dialect() dialect { return sqliteDialect{} }

// alone holds a lock of a file beside the registry, which ends with the process however that ends.
func (s *sqliteStore) alone(ctx context.Context, f func(context.Context) error) (err error) {
	path := s.path + "-rebuild.lock"
	db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: path}).EscapedPath()+"?_pragma=busy_timeout(1000)&_pragma=journal_mode(MEMORY)&_txlock=exclusive")
	if err != nil {
		return fmt.Errorf("projections: lock %s: %w", path, err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	tx, err := db.BeginTx(context.WithoutCancel(ctx), nil) // a lock ends with f, not with ctx
	if s.dialect().transient(err) {
		return ErrRebuilding
	}
	if err != nil {
		return fmt.Errorf("projections: lock %s: %w", path, err)
	}
	defer func() { _ = tx.Rollback() }() // it wrote nothing
	return f(ctx)
}

// hold looks at the register while tx keeps everybody else from writing to the generation: whoever replaces it asks for
// the same lock first.
func (s *sqliteStore) hold(ctx context.Context, _ *sql.Tx, g *generation) error {
	var state string
	err := s.registry.QueryRowContext(ctx, `SELECT state FROM generation WHERE n = ?`, g.n).Scan(&state)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("projections: registry %s: %w", s.path, err)
	}
	if state != g.state {
		return fmt.Errorf("projections: generation %d is %q and no longer %q: %w", g.n, state, g.state, ErrFenced)
	}
	return nil
}

func (s *sqliteStore) announce(context.Context, *sql.Tx) error { return nil }

// led: nobody else does; the log beside it has one writer.
func (s *sqliteStore) led(context.Context) (bool, error) { return false, nil }

func (s *sqliteStore) lead(ctx context.Context, f func(context.Context) error) error { return f(ctx) }

// watch looks now and then whether another process replaced the generation; nobody else moves its position.
func (s *sqliteStore) watch(ctx context.Context, moved func()) {
	last, _ := s.liveNumber(ctx)
	for wait(ctx, sqlitePoll) {
		if n, err := s.liveNumber(ctx); err == nil && n != last {
			last = n
			moved()
		}
	}
}

// tidy leaves alone what another process builds.
func (s *sqliteStore) tidy(ctx context.Context) error {
	var n int
	err := s.registry.QueryRowContext(ctx, `SELECT COUNT(*) FROM generation WHERE state IN (?, ?)`, stateBuilding, stateRetired).Scan(&n)
	if err != nil {
		return fmt.Errorf("projections: registry %s: %w", s.path, err)
	}
	if n == 0 {
		return nil
	}
	err = s.alone(ctx, func(ctx context.Context) error {
		return errors.Join(s.discard(ctx, stateBuilding), s.discard(ctx, stateRetired))
	})
	if errors.Is(err, ErrRebuilding) {
		return nil
	}
	return err
}

func (s *sqliteStore) liveNumber(ctx context.Context) (n int, err error) {
	err = s.registry.QueryRowContext(ctx, `SELECT n FROM generation WHERE state = ?`, stateLive).Scan(&n)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return 0, fmt.Errorf("projections: registry %s: %w", s.path, err)
	}
	return n, nil
}

func (s *sqliteStore) open(ctx context.Context, state string) (*generation, error) {
	g := &generation{dialect: sqliteDialect{}, state: state}
	err := s.registry.QueryRowContext(ctx, `SELECT n, fingerprint FROM generation WHERE state = ? ORDER BY n DESC LIMIT 1`, state).Scan(&g.n, &g.fingerprint)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("projections: registry %s: %w", s.path, err)
	}
	if err := s.connect(g); err != nil {
		return nil, errors.Join(err, g.close())
	}
	return g, nil
}

func (s *sqliteStore) connect(g *generation) (err error) {
	file := s.file(g.n)
	if _, err := os.Stat(file); err != nil {
		return fmt.Errorf("projections: generation %d: %w (%v)", g.n, ErrDamaged, err)
	}
	if !s.readOnly {
		if g.write, err = sql.Open("sqlite", uri(file, false)); err != nil {
			return fmt.Errorf("projections: open %s: %w", file, err)
		}
		g.write.SetMaxOpenConns(1)
		if err := g.write.Ping(); err != nil {
			return fmt.Errorf("projections: open %s: %w", file, err)
		}
	}
	if g.read, err = sql.Open("sqlite", uri(file, true)); err != nil {
		return fmt.Errorf("projections: open %s: %w", file, err)
	}
	g.read.SetMaxOpenConns(8)
	g.read.SetMaxIdleConns(8)
	return nil
}

func (s *sqliteStore) file(n int) string {
	ext := filepath.Ext(s.path)
	return strings.TrimSuffix(s.path, ext) + "-" + strconv.Itoa(n) + ext
}

// begin writes without a journal: until the generation is live it can be thrown away. Rows come in the order of their keys,
// so that a page that is full is never looked at again: a cache that fits the processor's is faster than a large one.
func (s *sqliteStore) begin(ctx context.Context, fingerprint string) (*generation, error) {
	if err := s.discard(ctx, stateBuilding); err != nil {
		return nil, err
	}
	g := &generation{fingerprint: fingerprint, dialect: sqliteDialect{}, state: stateBuilding}
	err := s.registry.QueryRowContext(ctx, `INSERT INTO generation (n, fingerprint, state) SELECT COALESCE(MAX(n), 0) + 1, ?, ? FROM generation RETURNING n`, fingerprint, stateBuilding).Scan(&g.n)
	if err != nil {
		return nil, fmt.Errorf("projections: registry %s: %w", s.path, err)
	}
	remove(s.file(g.n))
	q := url.Values{"_pragma": {"page_size(16384)", "journal_mode(OFF)", "synchronous(OFF)", "locking_mode(EXCLUSIVE)", "cache_size(-2048)"}}
	if g.write, err = sql.Open("sqlite", "file:"+(&url.URL{Path: s.file(g.n)}).EscapedPath()+"?"+q.Encode()); err != nil {
		return nil, fmt.Errorf("projections: create generation %d: %w", g.n, err)
	}
	g.write.SetMaxOpenConns(1)
	g.growing, err = keepSyncing(s.file(g.n))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("projections: create generation %d: %w", g.n, err), g.close())
	}
	for _, t := range tables {
		if _, err := g.write.ExecContext(ctx, g.dialect.create(g.n, t)); err != nil {
			return nil, errors.Join(fmt.Errorf("projections: create generation %d: %w", g.n, err), g.close())
		}
	}
	g.write.SetMaxIdleConns(0) // its pages are written by hand next: SQLite must not have it open, and a transaction opens it again
	g.fills = g.writePages
	return g, nil
}

// finish syncs the file while no connection has it open: closing any descriptor of a file drops the process's locks on it.
func (s *sqliteStore) finish(_ context.Context, g *generation) error {
	err := errors.Join(g.write.Close(), g.growing.stop())
	g.write, g.growing = nil, nil
	if err != nil {
		return fmt.Errorf("projections: finish generation %d: %w", g.n, err)
	}
	for _, path := range []string{s.file(g.n), filepath.Dir(s.path)} {
		if err := syncPath(path); err != nil {
			return fmt.Errorf("projections: finish generation %d: %w", g.n, err)
		}
	}
	return s.connect(g)
}

// settle comes after finish: what the record speaks of is on the disk, or there is no record. The register's own commit is
// not synced by itself (see uri); a power cut may take the record, and the rows are then made again.
func (s *sqliteStore) settle(ctx context.Context, g *generation, record string) error {
	return settleIn(ctx, s.registry, g, "", record)
}

func (s *sqliteStore) board() giveway.Board {
	return giveway.Board{DB: s.registry, Bind: sqliteDialect{}.bind}
}

func (s *sqliteStore) record(ctx context.Context, g *generation) (string, error) {
	return recordIn(ctx, s.registry, g, "")
}

// publish keeps everybody from writing to the live generation until the register says that it no longer is.
func (s *sqliteStore) publish(ctx context.Context, g *generation, at eventlog.Position, former string, anyway bool) (err error) {
	before, err := s.open(ctx, stateLive)
	if err != nil && !anyway {
		return err
	}
	if err == nil && before != nil {
		defer func() { err = errors.Join(err, before.close()) }()
		held, err := before.write.BeginTx(ctx, nil)
		if err != nil {
			return fmt.Errorf("projections: publish generation %d: %w", g.n, err)
		}
		defer func() { _ = held.Rollback() }() // it wrote nothing
		p, err := before.position(ctx, held)
		if err != nil && !anyway {
			return err
		}
		if !anyway && p.at.Compare(at) > 0 {
			return fmt.Errorf("projections: publish generation %d at %s: %w", g.n, at, errBehind)
		}
	}
	tx, err := s.registry.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("projections: publish generation %d: %w", g.n, err)
	}
	defer func() { _ = tx.Rollback() }() // after a commit it does nothing
	if err := switchTo(ctx, tx, g, "", former); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("projections: publish generation %d: %w", g.n, err)
	}
	return nil
}

func (s *sqliteStore) discard(ctx context.Context, state string) error {
	rows, err := s.registry.QueryContext(ctx, `SELECT n FROM generation WHERE state = ?`, state)
	if err != nil {
		return fmt.Errorf("projections: registry %s: %w", s.path, err)
	}
	var ns []int
	for rows.Next() {
		var n int
		if err = rows.Scan(&n); err == nil {
			ns = append(ns, n)
		}
	}
	if err := errors.Join(err, rows.Err(), rows.Close()); err != nil {
		return fmt.Errorf("projections: registry %s: %w", s.path, err)
	}
	for _, n := range ns {
		remove(s.file(n))
		if _, err := s.registry.ExecContext(ctx, `DELETE FROM generation WHERE n = ?1; DELETE FROM written WHERE n = ?1`, n); err != nil {
			return fmt.Errorf("projections: registry %s: %w", s.path, err)
		}
	}
	return nil
}

// setAside keeps the file of a generation that cannot be read for whoever wants to know why, and forgets the generation.
func (s *sqliteStore) setAside(ctx context.Context, state string, now time.Time) error {
	return s.alone(ctx, func(ctx context.Context) error {
		n, err := s.liveNumber(ctx)
		if err != nil || n == 0 {
			return err
		}
		if err := setFileAside(s.file(n), now); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		if _, err := s.registry.ExecContext(ctx, `DELETE FROM generation WHERE n = ? AND state = ?`, n, state); err != nil {
			return fmt.Errorf("projections: registry %s: %w", s.path, err)
		}
		return nil
	})
}

// setFileAside renames a database file; what belonged to it beside it is worth nothing without it.
func setFileAside(file string, now time.Time) error {
	if err := os.Rename(file, file+".damaged-"+now.UTC().Format("20060102T150405Z")); err != nil {
		return fmt.Errorf("projections: set aside: %w", err)
	}
	remove(file)
	return nil
}

// remove unlinks a database file with its companions. What cannot be removed is only wasted space.
func remove(file string) {
	for _, suffix := range []string{"", "-wal", "-shm", "-journal"} {
		_ = os.Remove(file + suffix)
	}
}

// growing is a file that is written to disk while it grows, so that little is left to wait for at its end.
type growing struct {
	file *os.File
	end  chan struct{}
	errs chan error
}

// syncEvery is chosen: the disk is kept busy with some tens of megabytes at a time.
const syncEvery = 100 * time.Millisecond

func keepSyncing(path string) (*growing, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	g := &growing{file, make(chan struct{}), make(chan error, 1)}
	go func() {
		tick := time.NewTicker(syncEvery)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				if err := file.Sync(); err != nil { // an error is reported once: a later sync would not know of it
					g.errs <- err
					return
				}
			case <-g.end:
				g.errs <- nil
				return
			}
		}
	}()
	return g, nil
}

// stop is called after the database has closed the file: closing any descriptor drops the process's locks on it. nil for a
// file that does not grow.
func (g *growing) stop() error {
	if g == nil {
		return nil
	}
	close(g.end)
	return errors.Join(<-g.errs, g.file.Close())
}

func syncPath(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
