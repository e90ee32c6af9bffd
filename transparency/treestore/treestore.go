// Package treestore keeps the transparency log's tree in one SQLite file: the leaves as they were hashed, their places in
// the event log, the tiles of the tree and every checkpoint that was ever signed.
//
// Its promise: leaves, hashes and the position they go up to move in one transaction that survives power loss, so a
// process killed at any instant finds a tree that matches its position. Leaves are only ever added at the end.
//
// Its failure model: the file may be lost, damaged or replaced by an older copy. Loss costs nothing but time, for the tree
// is a function of the event log; Check finds damage; an older copy is found out by the Guard, a second copy of the last
// signed checkpoint that is kept elsewhere and moves before anything is published.
package treestore

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
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
	schemaVersion = 1

	// runLength is how many leaves share a row. One row for each leaf would cost more than hashing it; a row of 256, the
	// width of a public bundle, would be written again in full (about 150 kB) for each single late leaf.
	runLength = 32
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
CREATE TABLE run (
	n       INTEGER PRIMARY KEY,
	commit_position  INTEGER NOT NULL,
	prepare_position INTEGER NOT NULL,
	leaves  BLOB    NOT NULL,
	places  BLOB    NOT NULL,
	UNIQUE (commit_position, prepare_position)
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
}

// Store is an open tree. Every method is safe for concurrent use.
type Store struct {
	origin string
	filter eventlog.Filter
	pool   *sqlitex.Pool
	met    metQuorum

	mu     sync.Mutex // owns what follows
	w      *sqlite.Conn
	tail   tail
	back   *backfill
	closed bool
}

// tail is the growing end of the tree, kept in memory so that an append reads nothing.
type tail struct {
	size   int64
	last   eventlog.Position
	leaves []byte   // of the last, incomplete run
	places []byte   // likewise
	first  [2]int64 // position of that run's first leaf
	edge   [][]byte // by level: the hashes of the last, incomplete tile
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
	if err := s.prepare(o); err != nil {
		s.w.Close()
		return nil, wrap(err, "open %s", o.Path)
	}
	s.pool, err = sqlitex.NewPool(o.Path, sqlitex.PoolOptions{Flags: sqlite.OpenReadOnly, PoolSize: readers, PrepareConn: func(c *sqlite.Conn) error {
		return sqlitex.ExecuteTransient(c, `PRAGMA cell_size_check = ON`, nil)
	}})
	if err == nil {
		if s.back, err = newBackfill(o.Path); err != nil {
			s.pool.Close()
		}
	}
	if err != nil {
		s.w.Close()
		return nil, wrap(err, "open %s", o.Path)
	}
	return s, nil
}

func (s *Store) prepare(o Options) error {
	s.w.SetBusyTimeout(5 * time.Second)
	// FULL, not NORMAL: after a power loss NORMAL may lose the last transaction, and a checkpoint over leaves that
	// vanished is a fork. Large pages, because leaves are written in runs of 20 kB; a cache that holds the largest
	// transaction (ten thousand leaves, 6 MB), or its pages go to disk twice.
	for _, p := range []string{`PRAGMA page_size = 16384`, `PRAGMA journal_mode = WAL`, `PRAGMA synchronous = FULL`, `PRAGMA cell_size_check = ON`, `PRAGMA cache_size = -24000`, `PRAGMA wal_autocheckpoint = 0`} {
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
	if err := sqlitex.ExecuteScript(s.w, schema, nil); err != nil {
		return err
	}
	if err := sqlitex.Execute(s.w, `INSERT INTO tree VALUES (1, ?, ?, 0)`, &sqlitex.ExecOptions{Args: []any{o.Origin, strings.Join(o.Prefixes, "\n")}}); err != nil {
		return err
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
		t.last = placeAt(r.places, len(r.places)/placeBytes-1)
		if t.size%runLength != 0 {
			t.leaves, t.places, t.first = r.leaves, r.places, r.first
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
	s.back.close()
	err := s.pool.Close()
	if cerr := s.w.Close(); err == nil {
		err = cerr
	}
	return wrap(err, "close")
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
		bytes := 0
		for _, e := range entries {
			bytes += len(e.Leaf)
		}
		return wrap(s.back.committed(s.w, bytes), "copy back after %d leaves", s.tail.size)
	}
	if lerr := s.load(Options{}); lerr != nil {
		err = errors.Join(err, lerr)
	}
	return wrap(err, "append %d leaves at %d", len(entries), size)
}

func (s *Store) append(entries []Entry) (err error) {
	end, err := begin(s.w, "IMMEDIATE")
	if err != nil {
		return err
	}
	defer end(&err)
	t := &s.tail
	// Hashing needs no file and writing little thought: they go on at once.
	hashed := make(chan growth, 1)
	go func() { hashed <- grow(t.edge, t.size, entries) }()
	// It reads t.edge and t.size, so it must have ended before either changes, also when writing fails.
	defer func() {
		if hashed != nil {
			<-hashed
		}
	}()
	last := t.last
	for i, e := range entries {
		index := t.size + int64(i)
		if last.Compare(e.Position) >= 0 {
			return fmt.Errorf("leaf %d: its position %s is not beyond %s: %w", index, e.Position, last, eventlog.ErrInvalid)
		}
		if len(e.Leaf) == 0 || len(e.Leaf) > transparency.MaxLeafBytes {
			return fmt.Errorf("leaf %d has %d bytes: %w", index, len(e.Leaf), eventlog.ErrTooLarge)
		}
		last = e.Position
		if len(t.places) == 0 {
			t.first = [2]int64{int64(e.Position.Commit), int64(e.Position.Prepare)}
		}
		t.leaves = transparency.AppendEntry(t.leaves, e.Leaf)
		t.places = appendPlace(t.places, e.Position)
		if len(t.places) == runLength*placeBytes || i == len(entries)-1 {
			if err := s.writeRun(index / runLength); err != nil {
				return err
			}
		}
		if len(t.places) == runLength*placeBytes {
			t.leaves, t.places = t.leaves[:0], t.places[:0]
		}
	}
	g := <-hashed
	hashed = nil
	for _, w := range g.tiles {
		if err := s.writeTile(w.level, w.n, w.hashes); err != nil {
			return err
		}
	}
	size := t.size + int64(len(entries))
	if err := sqlitex.Execute(s.w, `UPDATE tree SET size = ?`, &sqlitex.ExecOptions{Args: []any{size}}); err != nil {
		return err
	}
	t.size, t.last, t.edge = size, last, g.edge
	return nil
}

// growth is what new leaves do to the tiles.
type growth struct {
	tiles []tileWrite
	edge  [][]byte
}

type tileWrite struct {
	level  int
	n      int64
	hashes []byte
}

// grow hashes leaves into the growing tiles of a tree. A tile that is full is hashed into the one above.
func grow(edge [][]byte, size int64, entries []Entry) growth {
	g := growth{edge: make([][]byte, len(edge))}
	for level, hashes := range edge {
		g.edge[level] = append(make([]byte, 0, transparency.TileWidth*tlog.HashSize), hashes...)
	}
	for i, e := range entries {
		g.add(0, (size+int64(i))/transparency.TileWidth, transparency.LeafHash(e.Leaf))
	}
	size += int64(len(entries))
	for level, hashes := range g.edge {
		if len(hashes) > 0 {
			g.tiles = append(g.tiles, tileWrite{level, size >> (level * transparency.TileHeight) / transparency.TileWidth, hashes})
		}
	}
	return g
}

func (g *growth) add(level int, n int64, h tlog.Hash) {
	if level == len(g.edge) {
		g.edge = append(g.edge, nil)
	}
	if g.edge[level] == nil {
		g.edge[level] = make([]byte, 0, transparency.TileWidth*tlog.HashSize)
	}
	if g.edge[level] = append(g.edge[level], h[:]...); len(g.edge[level]) < transparency.TileWidth*tlog.HashSize {
		return
	}
	full := g.edge[level]
	g.edge[level] = nil
	g.tiles = append(g.tiles, tileWrite{level, n, full})
	g.add(level+1, n/transparency.TileWidth, transparency.TileRoot(hashesOf(full)))
}

func hashesOf(b []byte) []tlog.Hash {
	hs := make([]tlog.Hash, len(b)/tlog.HashSize)
	for i := range hs {
		hs[i] = tlog.Hash(b[i*tlog.HashSize:])
	}
	return hs
}

func (s *Store) writeRun(n int64) error {
	st, err := s.w.Prepare(`INSERT INTO run VALUES (?, ?, ?, ?, ?) ON CONFLICT (n) DO UPDATE SET leaves = excluded.leaves, places = excluded.places`)
	if err != nil {
		return err
	}
	st.BindInt64(1, n)
	st.BindInt64(2, s.tail.first[0])
	st.BindInt64(3, s.tail.first[1])
	st.BindBytes(4, s.tail.leaves)
	st.BindBytes(5, s.tail.places)
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
