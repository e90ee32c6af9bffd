package treestore

import (
	"context"
	"fmt"
	"slices"

	"golang.org/x/mod/sumdb/tlog"
	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/answerable-ledger/answerable/eventlog"
	"github.com/answerable-ledger/answerable/transparency"
)

// run is a row of leaves' places.
type run struct {
	first  [2]int64 // position of its first leaf
	start  int64    // where that begins in the file of the leaves
	bytes  int64    // how many bytes of that file are the run's
	leaves []byte   // these bytes, when they were read
	places []byte
}

func readRun(c *sqlite.Conn, n int64) (r run, err error) {
	found := false
	err = sqlitex.Execute(c, `SELECT commit_position, prepare_position, start, bytes, places FROM run WHERE n = ?`, &sqlitex.ExecOptions{
		Args: []any{n},
		ResultFunc: func(st *sqlite.Stmt) error {
			found = true
			r.first = [2]int64{st.ColumnInt64(0), st.ColumnInt64(1)}
			r.start, r.bytes, r.places = st.ColumnInt64(2), st.ColumnInt64(3), blob(st, 4)
			return nil
		},
	})
	if err == nil && !found {
		err = fmt.Errorf("run %d is missing: %w", n, eventlog.ErrDamaged)
	}
	return r, err
}

func readTile(c *sqlite.Conn, level int, n int64) (hashes []byte, err error) {
	return appendTile(nil, c, level, n)
}

// appendTile is readTile, at the end of b.
func appendTile(b []byte, c *sqlite.Conn, level int, n int64) ([]byte, error) {
	found := false
	err := sqlitex.Execute(c, `SELECT hashes FROM tile WHERE id = ?`, &sqlitex.ExecOptions{
		Args: []any{tileID(level, n)},
		ResultFunc: func(st *sqlite.Stmt) error {
			found, b = true, appendBlob(b, st, 0)
			return nil
		},
	})
	if err == nil && !found {
		err = fmt.Errorf("tile %d of level %d is missing: %w", n, level, eventlog.ErrDamaged)
	}
	return b, err
}

func appendBlob(b []byte, st *sqlite.Stmt, col int) []byte {
	at, n := len(b), st.ColumnLen(col)
	b = slices.Grow(b, n)[:at+n]
	st.ColumnBytes(col, b[at:])
	return b
}

func blob(st *sqlite.Stmt, col int) []byte { return appendBlob([]byte{}, st, col) }

// read runs f on a connection that sees one state of the file throughout.
func (s *Store) read(ctx context.Context, f func(c *sqlite.Conn) error) (err error) {
	c, err := s.pool.Take(ctx)
	if err != nil {
		return err
	}
	defer s.pool.Put(c)
	end, err := begin(c, "DEFERRED")
	if err != nil {
		return err
	}
	defer end(&err)
	return f(c)
}

// Entries gives the leaves from lo up to, not including, hi, as they were hashed, with their places in the event log.
func (s *Store) Entries(ctx context.Context, lo, hi int64) (entries []Entry, err error) {
	err = s.read(ctx, func(c *sqlite.Conn) error {
		for n := lo / runLength; n*runLength < hi; n++ {
			r, err := readRun(c, n)
			if err != nil {
				return err
			}
			if err := s.leaves.fill(&r, n); err != nil {
				return err
			}
			all, err := transparency.SplitEntries(r.leaves)
			if err != nil {
				return fmt.Errorf("run %d: %w: %w", n, err, eventlog.ErrDamaged)
			}
			from, to := max(lo-n*runLength, 0), min(hi-n*runLength, runLength)
			if to > int64(len(all)) || len(r.places) != len(all)*placeBytes {
				return fmt.Errorf("run %d holds %d leaves and %d bytes of places, want %d: %w", n, len(all), len(r.places), to, eventlog.ErrDamaged)
			}
			for i := from; i < to; i++ {
				entries = append(entries, Entry{Leaf: all[i], Position: placeAt(r.places, int(i))})
			}
		}
		return nil
	})
	return entries, wrap(err, "read leaves %d to %d", lo, hi)
}

// Leaf gives one leaf and its place in the event log.
func (s *Store) Leaf(ctx context.Context, index int64) (leaf []byte, at eventlog.Position, err error) {
	err = s.read(ctx, func(c *sqlite.Conn) error {
		n, i := index/runLength, int(index%runLength)
		r, err := readRun(c, n)
		if err != nil {
			return err
		}
		if len(r.places) < (i+1)*placeBytes {
			return fmt.Errorf("run %d holds %d bytes of places, leaf %d wants %d: %w", n, len(r.places), index, (i+1)*placeBytes, eventlog.ErrDamaged)
		}
		at = placeAt(r.places, i)
		leaf, err = s.leaves.one(r, n, i)
		return err
	})
	return leaf, at, wrap(err, "read leaf %d", index)
}

// Index finds the leaf of the event at a position of the event log. found is false when it is not in the tree (yet).
func (s *Store) Index(ctx context.Context, at eventlog.Position) (index int64, found bool, err error) {
	room := s.room()
	defer s.rooms.Put(room)
	err = s.read(ctx, func(c *sqlite.Conn) error {
		return sqlitex.Execute(c, `SELECT n, places FROM run WHERE (commit_position, prepare_position) <= (?, ?) ORDER BY commit_position DESC, prepare_position DESC LIMIT 1`, &sqlitex.ExecOptions{
			Args: []any{int64(at.Commit), int64(at.Prepare)},
			ResultFunc: func(st *sqlite.Stmt) error {
				*room = appendBlob((*room)[:0], st, 1)
				places := *room
				for i := range len(places) / placeBytes {
					if placeAt(places, i) == at {
						index, found = st.ColumnInt64(0)*runLength+int64(i), true
					}
				}
				return nil
			},
		})
	})
	return index, found, wrap(err, "find the leaf at position %s", at)
}

// Tile gives a tile's hashes, or a bundle's entries, exactly Width of them.
func (s *Store) Tile(ctx context.Context, id transparency.TileID) (b []byte, err error) {
	if id.Level == transparency.EntriesLevel {
		lo := id.N * transparency.TileWidth
		entries, err := s.Entries(ctx, lo, lo+int64(id.Width))
		for _, e := range entries {
			b = transparency.AppendEntry(b, e.Leaf)
		}
		return b, err
	}
	err = s.read(ctx, func(c *sqlite.Conn) (err error) {
		b, err = readTile(c, id.Level, id.N)
		return err
	})
	if err == nil {
		err = holds(b, id)
	}
	if err != nil {
		return nil, wrap(err, "read %s", id.Path())
	}
	return b[:id.Width*tlog.HashSize], nil
}

// holds checks that a tile is as wide as it must be.
func holds(b []byte, id transparency.TileID) error {
	if len(b) < id.Width*tlog.HashSize {
		return fmt.Errorf("it holds %d hashes: %w", len(b)/tlog.HashSize, eventlog.ErrDamaged)
	}
	return nil
}

// room lends memory to who reads rows and keeps little of them: what a receipt reads is fifty times what it says, and the
// collector would run once for every sixty of them.
func (s *Store) room() *[]byte {
	if b, ok := s.rooms.Get().(*[]byte); ok {
		return b
	}
	return new([]byte)
}

// Hashes reads the hashes of the tree of the given size, in the numbering of tlog.
func (s *Store) Hashes(ctx context.Context, size int64) tlog.HashReader {
	return tlog.HashReaderFunc(func(indexes []int64) (hashes []tlog.Hash, err error) {
		room := s.room()
		defer s.rooms.Put(room)
		*room = (*room)[:0]
		err = s.read(ctx, func(c *sqlite.Conn) (err error) { // once for all of a proof's tiles
			hashes, err = transparency.HashReader(size, func(t transparency.TileID) ([]byte, error) {
				at := len(*room)
				all, err := appendTile(*room, c, t.Level, t.N)
				if err == nil {
					err = holds(all[at:], t)
				}
				if err != nil {
					return nil, fmt.Errorf("read %s: %w", t.Path(), err)
				}
				*room = all
				return all[at:], nil
			}).ReadHashes(indexes)
			return err
		})
		return hashes, wrap(err, "read the hashes of a tree of size %d", size)
	})
}

// Root is the root of the tree's first size leaves.
func (s *Store) Root(ctx context.Context, size int64) (tlog.Hash, error) {
	h, err := tlog.TreeHash(size, s.Hashes(ctx, size))
	return h, wrap(err, "root at size %d", size)
}
