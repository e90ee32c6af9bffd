package treestore

import (
	"context"
	"fmt"
	"slices"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/answerable-ledger/answerable/eventlog"
	"github.com/answerable-ledger/answerable/transparency"
)

// CheckOptions say what to check the file against.
type CheckOptions struct {
	Policy   *transparency.Policy // the log's own keys and witnesses
	Progress func(done, of int64) // may be nil
}

// Check derives the whole tree again from the stored leaves and compares everything stored with it: the tiles, the order
// of the places, the revisions of each stream, every kept checkpoint's root and signatures, and the file's own structure.
// It returns the first contradiction, which names the place.
func (s *Store) Check(ctx context.Context, o CheckOptions) error {
	return wrap(s.read(ctx, func(c *sqlite.Conn) error {
		var faults []string
		err := sqlitex.Execute(c, `PRAGMA integrity_check(5)`, &sqlitex.ExecOptions{ResultFunc: func(st *sqlite.Stmt) error {
			if r := st.ColumnText(0); r != "ok" {
				faults = append(faults, r)
			}
			return nil
		}})
		if err != nil {
			return err
		}
		if len(faults) > 0 {
			return fmt.Errorf("the file's structure: %q: %w", faults, eventlog.ErrDamaged)
		}
		return check(ctx, s.origin, fileRows{c, s.leaves, new(int64)}, o)
	}), "check")
}

// rows are what is stored of a tree, in one state throughout.
type rows interface {
	size() (int64, error)
	// perRun is how many leaves share a run; run is asked for in order.
	perRun() int64
	run(n int64) (run, error)
	tile(level int, n int64) ([]byte, error)
	// counts are how many runs and tiles there are.
	counts() (runs, tiles int64, err error)
	// signed gives every checkpoint in order of size.
	signed() ([]Signed, error)
}

// fileRows are those of a database and its file of leaves.
type fileRows struct {
	c      *sqlite.Conn
	leaves *leafFile
	end    *int64 // of the runs so far, in that file
}

func (r fileRows) number(query string) (n int64, err error) {
	err = sqlitex.Execute(r.c, query, &sqlitex.ExecOptions{ResultFunc: func(st *sqlite.Stmt) error {
		n = st.ColumnInt64(0)
		return nil
	}})
	return n, err
}

func (r fileRows) perRun() int64                           { return runLength }
func (r fileRows) size() (int64, error)                    { return r.number(`SELECT size FROM tree`) }
func (r fileRows) tile(level int, n int64) ([]byte, error) { return readTile(r.c, level, n) }
func (r fileRows) signed() ([]Signed, error)               { return selectCheckpoints(r.c, `ORDER BY size`) }
func (r fileRows) run(n int64) (run, error) {
	out, err := readRun(r.c, n)
	if err != nil {
		return out, err
	}
	if out.start != *r.end {
		return out, fmt.Errorf("run %d: its leaves begin at byte %d, those ahead of it end at %d: %w", n, out.start, *r.end, eventlog.ErrDamaged)
	}
	*r.end += out.bytes
	return out, r.leaves.fill(&out, n)
}
func (r fileRows) counts() (runs, tiles int64, err error) {
	if runs, err = r.number(`SELECT count(*) FROM run`); err == nil {
		tiles, err = r.number(`SELECT count(*) FROM tile`)
	}
	return runs, tiles, err
}

func check(ctx context.Context, origin string, c rows, o CheckOptions) error {
	perRun := c.perRun()
	size, err := c.size()
	if err != nil {
		return err
	}
	signed, err := c.signed()
	if err != nil {
		return err
	}
	var (
		frontier transparency.Frontier
		tiles    tileChecker
		streams  = transparency.NewStreams(origin)
		last     eventlog.Position
	)
	next := 0
	roots := func() error {
		for ; next < len(signed) && signed[next].Size == frontier.Size(); next++ {
			if err := checkSigned(origin, signed[next], frontier, o.Policy); err != nil {
				return err
			}
		}
		return nil
	}
	if err := roots(); err != nil {
		return err
	}
	for n := int64(0); n*perRun < size; n++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		r, err := c.run(n)
		if err != nil {
			return err
		}
		leaves, err := transparency.SplitEntries(r.leaves)
		if err != nil {
			return fmt.Errorf("run %d: %w", n, err)
		}
		if want := min(perRun, size-n*perRun); int64(len(leaves)) != want || len(r.places) != int(want)*placeBytes {
			return fmt.Errorf("run %d: %d leaves and %d bytes of places, want %d leaves: %w", n, len(leaves), len(r.places), want, eventlog.ErrDamaged)
		}
		if p := placeAt(r.places, 0); int64(p.Commit) != r.first[0] || int64(p.Prepare) != r.first[1] {
			return fmt.Errorf("run %d: it begins at %s, its row says otherwise: %w", n, p, eventlog.ErrDamaged)
		}
		for i, b := range leaves {
			index := n*perRun + int64(i)
			at := placeAt(r.places, i)
			if last.Compare(at) >= 0 {
				return fmt.Errorf("leaf %d: its position %s is not beyond %s: %w", index, at, last, eventlog.ErrDamaged)
			}
			last = at
			leaf, err := transparency.ParseLeaf(b)
			if err != nil {
				return fmt.Errorf("leaf %d: %w", index, err)
			}
			if err := streams.Add(&leaf); err != nil {
				return fmt.Errorf("leaf %d: %w", index, err)
			}
			h := transparency.LeafHash(b)
			frontier.Add(h)
			if err := tiles.add(c, 0, index, h); err != nil {
				return err
			}
			if err := roots(); err != nil {
				return err
			}
		}
		if o.Progress != nil {
			o.Progress(frontier.Size(), size)
		}
	}
	if next < len(signed) {
		return fmt.Errorf("a checkpoint of size %d is kept, the tree has %d leaves: %w", signed[next].Size, size, eventlog.ErrDamaged)
	}
	return tiles.finish(c, size)
}

func checkSigned(origin string, k Signed, f transparency.Frontier, p *transparency.Policy) error {
	cp, err := transparency.ParseCheckpoint(k.Note.Text)
	if err != nil {
		return fmt.Errorf("checkpoint of size %d: %w", k.Size, err)
	}
	if cp.Origin != origin || cp.Size != k.Size || cp.Root != f.Root() {
		return fmt.Errorf("checkpoint of size %d is signed for another tree: %w", k.Size, transparency.ErrProof)
	}
	if p == nil {
		return nil
	}
	j, err := p.Judge(k.Note)
	if err != nil {
		return fmt.Errorf("checkpoint of size %d: %w", k.Size, err)
	}
	if j.Unknown > 0 {
		return fmt.Errorf("checkpoint of size %d carries %d signatures by nobody the policy names: %w", k.Size, j.Unknown, transparency.ErrSignature)
	}
	return nil
}

// tileChecker builds every tile again and compares it with the stored one as soon as it is full.
type tileChecker struct{ levels [][]byte }

func (t *tileChecker) add(c rows, level int, index int64, h [32]byte) error {
	if level == len(t.levels) {
		t.levels = append(t.levels, nil)
	}
	t.levels[level] = append(t.levels[level], h[:]...)
	if (index+1)%transparency.TileWidth != 0 {
		return nil
	}
	full := t.levels[level]
	if err := t.compare(c, level, index/transparency.TileWidth); err != nil {
		return err
	}
	up := transparency.TileRoot(hashesOf(full))
	t.levels[level] = full[:0]
	return t.add(c, level+1, index/transparency.TileWidth, up)
}

func (t *tileChecker) compare(c rows, level int, n int64) error {
	stored, err := c.tile(level, n)
	if err != nil {
		return err
	}
	if !slices.Equal(stored, t.levels[level]) {
		return fmt.Errorf("tile %d of level %d is not the one its leaves make: %w", n, level, eventlog.ErrDamaged)
	}
	return nil
}

// finish compares the incomplete tiles at the end and sees that there are no others.
func (t *tileChecker) finish(c rows, size int64) error {
	count := int64(0)
	for level := range t.levels {
		here := size >> (level * transparency.TileHeight)
		count += (here + transparency.TileWidth - 1) / transparency.TileWidth
		if here%transparency.TileWidth != 0 {
			if err := t.compare(c, level, here/transparency.TileWidth); err != nil {
				return err
			}
		}
	}
	runs, tiles, err := c.counts()
	if err != nil {
		return err
	}
	perRun := c.perRun()
	if want := (size + perRun - 1) / perRun; runs != want || tiles != count {
		return fmt.Errorf("%d runs and %d tiles are stored, a tree of %d leaves has %d and %d: %w", runs, tiles, size, want, count, eventlog.ErrDamaged)
	}
	return nil
}
