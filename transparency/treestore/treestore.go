// Package treestore keeps the transparency log's tree: in an SQLite file the tiles of the tree, the leaves' places in the
// event log and every checkpoint that was ever signed; beside it, in a file that only grows, the leaves as they were hashed.
// For servers that share no disk all of it is in PostgreSQL (postgres.go), and there only the last that opened it for
// writing can write.
//
// Its promise: hashes and the position they go up to move in one transaction that survives power loss, after the leaves
// under them are durable, so a process killed at any instant finds a tree that matches its position. Leaves are only ever
// added at the end.
//
// Its failure model: the files may be lost, damaged or replaced by older copies. Loss costs nothing but time, for the tree
// is a function of the event log; Check finds damage; an older copy is found out by the Guard, a second copy of the last
// signed checkpoint that is kept elsewhere and moves before anything is published. A server that is away is
// eventlog.ErrUnavailable, and the next call goes on from what is stored.
package treestore

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/tlog"
	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/answerable-ledger/answerable/eventlog"
	"github.com/answerable-ledger/answerable/transparency"
)

const (
	applicationID = 0x616e7372 // "ansr"
	schemaVersion = 2

	// runLength is how many leaves share a row, those of a public bundle. One row for each leaf would cost more than
	// hashing it.
	runLength = transparency.TileWidth
	// placeBytes is a position in the event log as stored: commit and prepare, big-endian.
	placeBytes = 16
	// readers is how many readings go on at once.
	readers = 4
)

// The hashes are stored as full-height tiles: the rows are what the public tiles are, and there are two for 256 leaves
// instead of 511.
const schema = `
CREATE TABLE tree (
	one      INTEGER PRIMARY KEY CHECK (one = 1),
	origin   TEXT    NOT NULL,
	prefixes TEXT    NOT NULL,
	size     INTEGER NOT NULL
) STRICT;
CREATE TABLE tile (
	id     INTEGER PRIMARY KEY,
	hashes BLOB    NOT NULL
) STRICT;
CREATE TABLE checkpoint (
	size         INTEGER PRIMARY KEY,
	note         BLOB    NOT NULL,
	signed_at_us INTEGER NOT NULL
) STRICT;
CREATE TABLE erased (
	event_id     BLOB    PRIMARY KEY,
	erased_at_us INTEGER NOT NULL,
	reason       TEXT    NOT NULL
) STRICT, WITHOUT ROWID;
`

// runTable is where in the event log and in the file of the leaves each run of leaves stands.
const runTable = `
CREATE TABLE run (
	n       INTEGER PRIMARY KEY,
	commit_position  INTEGER NOT NULL,
	prepare_position INTEGER NOT NULL,
	start   INTEGER NOT NULL,
	bytes   INTEGER NOT NULL,
	places  BLOB    NOT NULL,
	UNIQUE (commit_position, prepare_position)
) STRICT;
`

// Options say which tree is meant.
type Options struct {
	Path     string
	Origin   string
	Prefixes []string // which streams the log covers; it may gain some at the end, before they hold anything. None: all
	Create   bool     // make the file when it is not there
}

// Entry is a leaf on its way into the tree.
type Entry struct {
	Leaf     []byte
	Position eventlog.Position
	// Hash is the leaf's, where who made the leaf hashed it while it was at hand. Zero: the tree does.
	Hash tlog.Hash
}

// Store is an open tree. Every method is safe for concurrent use.
type Store struct {
	origin string
	filter eventlog.Filter
	pool   *sqlitex.Pool
	met    metQuorum
	rooms  sync.Pool // of *[]byte

	mu      sync.Mutex // owns what follows
	w       *sqlite.Conn
	leaves  *leafFile // reading needs no lock
	growing growRoom
	tail    tail
	closed  bool
}

// tail is the growing end of the tree, kept in memory so that an append reads nothing.
type tail struct {
	size int64
	last eventlog.Position
	end  int64    // of the leaves, in their file
	run  run      // the last, incomplete one; without places there is none
	edge [][]byte // by level: the hashes of the last, incomplete tile
}

// Open opens the tree.
func Open(ctx context.Context, o Options) (*Store, error) {
	if _, err := os.Stat(o.Path); err != nil && !o.Create {
		return nil, fmt.Errorf("treestore: open: %w", err)
	}
	s := &Store{origin: o.Origin, filter: eventlog.Filter{Prefixes: o.Prefixes}}
	var err error
	if s.w, err = sqlite.OpenConn(o.Path, sqlite.OpenReadWrite, sqlite.OpenCreate); err != nil {
		return nil, wrap(err, "open %s", o.Path)
	}
	if s.leaves, err = openLeaves(o.Path, o.Create); err != nil {
		s.w.Close()
		return nil, wrap(err, "open %s", o.Path)
	}
	if err := s.prepare(o); err != nil {
		s.w.Close()
		s.leaves.close()
		return nil, wrap(err, "open %s", o.Path)
	}
	s.pool, err = sqlitex.NewPool(o.Path, sqlitex.PoolOptions{Flags: sqlite.OpenReadOnly, PoolSize: readers, PrepareConn: func(c *sqlite.Conn) error {
		return sqlitex.ExecuteTransient(c, `PRAGMA cell_size_check = ON`, nil)
	}})
	if err != nil {
		s.w.Close()
		s.leaves.close()
		return nil, wrap(err, "open %s", o.Path)
	}
	return s, nil
}

func (s *Store) prepare(o Options) error {
	s.w.SetBusyTimeout(5 * time.Second)
	// FULL, not NORMAL: after a power loss NORMAL may lose the last transaction, and a checkpoint over leaves that
	// vanished is a fork. Large pages, because tiles have 8 kB; a cache that holds the largest transaction, or its pages go
	// to disk twice. What was committed is copied into place every 16 MB: each copying is waited for, and has the disk write
	// through twice.
	for _, p := range []string{`PRAGMA page_size = 16384`, `PRAGMA journal_mode = WAL`, `PRAGMA synchronous = FULL`, `PRAGMA cell_size_check = ON`, `PRAGMA cache_size = -24000`, `PRAGMA wal_autocheckpoint = 1024`} {
		if err := sqlitex.ExecuteTransient(s.w, p, nil); err != nil {
			return err
		}
	}
	version, err := pragma(s.w, "user_version")
	if err != nil {
		return err
	}
	app, err := pragma(s.w, "application_id")
	if err != nil {
		return err
	}
	switch {
	case version == 0 && app == 0:
		if !o.Create {
			return fmt.Errorf("the file is empty: %w", eventlog.ErrDamaged)
		}
		if err := transparency.CheckKeyName(o.Origin); err != nil {
			return err
		}
		if err := s.create(o); err != nil {
			return err
		}
	case app != applicationID:
		return fmt.Errorf("the file belongs to another program: %w", eventlog.ErrDamaged)
	case version == 1:
		if err := s.migrate(o.Path); err != nil {
			return fmt.Errorf("move the leaves into a file of their own: %w", err)
		}
	case version != schemaVersion:
		return fmt.Errorf("the file has version %d, this program writes %d: %w", version, schemaVersion, eventlog.ErrInvalid)
	}
	return s.load(o)
}

func (s *Store) create(o Options) (err error) {
	end, err := begin(s.w, "IMMEDIATE")
	if err != nil {
		return err
	}
	defer end(&err)
	if err := sqlitex.ExecuteScript(s.w, schema+runTable, nil); err != nil {
		return err
	}
	if err := sqlitex.Execute(s.w, `INSERT INTO tree VALUES (1, ?, ?, 0)`, &sqlitex.ExecOptions{Args: []any{o.Origin, strings.Join(o.Prefixes, "\n")}}); err != nil {
		return err
	}
	// What a lost database left behind belongs to nothing.
	if err := s.leaves.f.Truncate(0); err != nil {
		return writeError(err)
	}
	for _, p := range []string{fmt.Sprintf(`PRAGMA application_id = %d`, applicationID), fmt.Sprintf(`PRAGMA user_version = %d`, schemaVersion)} {
		if err := sqlitex.ExecuteTransient(s.w, p, nil); err != nil {
			return err
		}
	}
	return nil
}

func pragma(c *sqlite.Conn, name string) (n int64, err error) {
	err = sqlitex.ExecuteTransient(c, `PRAGMA `+name, &sqlitex.ExecOptions{ResultFunc: func(st *sqlite.Stmt) error {
		n = st.ColumnInt64(0)
		return nil
	}})
	return n, err
}

// load reads the growing end. It is called on opening, and again when a transaction failed and the memory may be ahead.
func (s *Store) load(o Options) error {
	var t tail
	var origin, prefixes string
	found := false
	err := sqlitex.Execute(s.w, `SELECT origin, prefixes, size FROM tree`, &sqlitex.ExecOptions{ResultFunc: func(st *sqlite.Stmt) error {
		origin, prefixes, t.size, found = st.ColumnText(0), st.ColumnText(1), st.ColumnInt64(2), true
		return nil
	}})
	switch {
	case err != nil:
		return err
	case !found:
		return fmt.Errorf("the tree's own row is missing: %w", eventlog.ErrDamaged)
	case t.size < 0:
		return fmt.Errorf("the tree says that it has %d leaves: %w", t.size, eventlog.ErrDamaged)
	case o.Origin != "" && origin != o.Origin:
		return fmt.Errorf("the tree is of log %s, not %s: %w", origin, o.Origin, transparency.ErrOrigin)
	case o.Origin != "" && !extends(prefixes, strings.Join(o.Prefixes, "\n")):
		return fmt.Errorf("the tree covers the streams %q, not %q; what a log covers never changes: %w", prefixes, o.Prefixes, eventlog.ErrInvalid)
	case o.Origin != "" && o.Create && prefixes != strings.Join(o.Prefixes, "\n"):
		// A newer program knows a category more. Its streams are empty until such a program fills them, so the leaves so
		// far are the same under both filters.
		prefixes = strings.Join(o.Prefixes, "\n")
		if err := sqlitex.Execute(s.w, `UPDATE tree SET prefixes = ?`, &sqlitex.ExecOptions{Args: []any{prefixes}}); err != nil {
			return err
		}
	}
	s.origin = origin
	if prefixes != "" {
		s.filter = eventlog.Filter{Prefixes: strings.Split(prefixes, "\n")}
	}
	if t.size > 0 {
		r, err := readRun(s.w, (t.size-1)/runLength)
		if err != nil {
			return err
		}
		if want := int((t.size-1)%runLength) + 1; len(r.places) != want*placeBytes {
			return fmt.Errorf("the last run holds %d leaves, want %d: %w", len(r.places)/placeBytes, want, eventlog.ErrDamaged)
		}
		t.last, t.end = placeAt(r.places, len(r.places)/placeBytes-1), r.start+r.bytes
		if t.size%runLength != 0 {
			t.run = r
		}
	}
	for level := 0; t.size>>(level*transparency.TileHeight) > 0; level++ {
		count := t.size >> (level * transparency.TileHeight)
		var hashes []byte
		if w := int(count % transparency.TileWidth); w > 0 {
			if hashes, err = readTile(s.w, level, count/transparency.TileWidth); err != nil {
				return err
			}
			if len(hashes) != w*tlog.HashSize {
				return fmt.Errorf("the last tile of level %d holds %d bytes, want %d: %w", level, len(hashes), w*tlog.HashSize, eventlog.ErrDamaged)
			}
		}
		t.edge = append(t.edge, hashes)
	}
	s.tail = t
	return nil
}

// extends reports whether a list of prefixes is another one, or begins with it.
func extends(old, list string) bool {
	return list == old || old != "" && strings.HasPrefix(list, old+"\n")
}

// Close releases the file. Closing twice is harmless.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	return wrap(errors.Join(s.pool.Close(), s.w.Close(), s.leaves.close()), "close")
}

// Origin is the log's name.
func (s *Store) Origin() string { return s.origin }

// Filter is which streams the log covers.
func (s *Store) Filter() eventlog.Filter { return s.filter }

// Size is the number of leaves stored, signed or not.
func (s *Store) Size() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tail.size
}

// Last is the position of the newest leaf's event, zero for an empty tree.
func (s *Store) Last() eventlog.Position {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tail.last
}

// Append adds leaves at the end, all or none, when the tree has exactly size leaves. Positions must ascend: an event that
// is in the tree cannot enter it again. The slices are not kept.
func (s *Store) Append(ctx context.Context, size int64, entries []Entry) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tail.size != size {
		return fmt.Errorf("treestore: append at %d: the tree has %d leaves: %w", size, s.tail.size, eventlog.ErrInvalid)
	}
	if len(entries) == 0 {
		return nil
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("treestore: append at %d: %w", size, err)
	}
	err := s.append(entries)
	if err == nil {
		return nil
	}
	if lerr := s.load(Options{}); lerr != nil {
		err = errors.Join(err, lerr)
	}
	return wrap(err, "append %d leaves at %d", len(entries), size)
}

func (s *Store) append(entries []Entry) (err error) {
	t := &s.tail
	last := t.last
	for i, e := range entries {
		if last.Compare(e.Position) >= 0 {
			return fmt.Errorf("leaf %d: its position %s is not beyond %s: %w", t.size+int64(i), e.Position, last, eventlog.ErrInvalid)
		}
		if len(e.Leaf) == 0 || len(e.Leaf) > transparency.MaxLeafBytes {
			return fmt.Errorf("leaf %d has %d bytes: %w", t.size+int64(i), len(e.Leaf), eventlog.ErrTooLarge)
		}
		last = e.Position
	}
	// The database's lock holds for the file of the leaves too: who has it, and finds the tree as it was left, owns the end.
	end, err := begin(s.w, "IMMEDIATE")
	if err != nil {
		return err
	}
	defer end(&err)
	if err := s.unchanged(); err != nil {
		return err
	}
	// The leaves go to the disk while the rows that speak of them are made and written; they are committed after it.
	var stored error
	var wg sync.WaitGroup
	wg.Go(func() { stored = s.leaves.write(t.end, entries) })
	grown, err := s.writeRows(entries)
	wg.Wait()
	if err != nil || stored != nil {
		return errors.Join(err, stored)
	}
	s.tail = grown
	return nil
}

// writeRows writes what new leaves change in the database, and gives the tail they make. Hashing goes on wherever a
// processor is free.
func (s *Store) writeRows(entries []Entry) (grown tail, err error) {
	grown = s.tail
	grown.run.places = slices.Clone(s.tail.run.places)
	var g growth
	var wg sync.WaitGroup
	wg.Go(func() { g = s.growing.grow(s.tail.edge, s.tail.size, entries) })
	err = s.writeRuns(&grown, entries)
	wg.Wait()
	if err != nil {
		return tail{}, err
	}
	for _, w := range g.tiles {
		if err := s.writeTile(w.level, w.n, w.hashes); err != nil {
			return tail{}, err
		}
	}
	grown.edge = g.edge
	return grown, sqlitex.Execute(s.w, `UPDATE tree SET size = ?`, &sqlitex.ExecOptions{Args: []any{grown.size}})
}

// unchanged checks that no other process added leaves since this one looked.
func (s *Store) unchanged() error {
	return sqlitex.Execute(s.w, `SELECT size FROM tree`, &sqlitex.ExecOptions{ResultFunc: func(st *sqlite.Stmt) error {
		if size := st.ColumnInt64(0); size != s.tail.size {
			return fmt.Errorf("another process made it %d leaves long: %w", size, eventlog.ErrConflict)
		}
		return nil
	}})
}

// writeRuns writes the rows of new leaves and moves t's size and ends with them.
func (s *Store) writeRuns(t *tail, entries []Entry) error {
	for i, e := range entries {
		if len(t.run.places) == 0 {
			t.run.first, t.run.start, t.run.bytes = [2]int64{int64(e.Position.Commit), int64(e.Position.Prepare)}, t.end, 0
		}
		n := int64(2 + len(e.Leaf))
		t.run.bytes, t.end, t.last = t.run.bytes+n, t.end+n, e.Position
		t.run.places = appendPlace(t.run.places, e.Position)
		t.size++
		full := len(t.run.places) == runLength*placeBytes
		if full || i == len(entries)-1 {
			if err := s.writeRun((t.size-1)/runLength, t.run); err != nil {
				return err
			}
		}
		if full {
			t.run.places = t.run.places[:0]
		}
	}
	return nil
}

func (s *Store) writeRun(n int64, r run) error {
	st, err := s.w.Prepare(`INSERT INTO run VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (n) DO UPDATE SET bytes = excluded.bytes, places = excluded.places`)
	if err != nil {
		return err
	}
	for i, v := range [...]int64{n, r.first[0], r.first[1], r.start, r.bytes} {
		st.BindInt64(i+1, v)
	}
	st.BindBytes(6, r.places)
	return finish(st)
}

func (s *Store) writeTile(level int, n int64, hashes []byte) error {
	st, err := s.w.Prepare(`INSERT INTO tile VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET hashes = excluded.hashes`)
	if err != nil {
		return err
	}
	st.BindInt64(1, tileID(level, n))
	st.BindBytes(2, hashes)
	return finish(st)
}

func finish(st *sqlite.Stmt) error {
	_, err := st.Step()
	if rerr := st.Reset(); err == nil {
		err = rerr
	}
	return err
}

func tileID(level int, n int64) int64 { return int64(level)<<56 | n }

func appendPlace(b []byte, p eventlog.Position) []byte {
	b = binary.BigEndian.AppendUint64(b, p.Commit)
	return binary.BigEndian.AppendUint64(b, p.Prepare)
}

func placeAt(places []byte, i int) eventlog.Position {
	b := places[i*placeBytes:]
	return eventlog.Position{Commit: binary.BigEndian.Uint64(b), Prepare: binary.BigEndian.Uint64(b[8:])}
}

// wrap names the operation and turns the engine's codes into the few kinds callers know.
func wrap(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	var kind error
	switch sqlite.ErrCode(err).ToPrimary() {
	case sqlite.ResultFull:
		kind = eventlog.ErrFull
	case sqlite.ResultReadOnly, sqlite.ResultPerm:
		kind = eventlog.ErrReadOnly
	case sqlite.ResultCorrupt, sqlite.ResultNotADB:
		kind = eventlog.ErrDamaged
	case sqlite.ResultBusy, sqlite.ResultLocked:
		kind = eventlog.ErrInUse
	case sqlite.ResultIOErr, sqlite.ResultCantOpen, sqlite.ResultInterrupt:
		kind = eventlog.ErrUnavailable
	default:
		return fmt.Errorf("treestore: %s: %w", fmt.Sprintf(format, args...), err)
	}
	return fmt.Errorf("treestore: %s: %w: %w", fmt.Sprintf(format, args...), kind, err)
}
