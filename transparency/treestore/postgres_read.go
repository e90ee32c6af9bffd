package treestore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/answerable-ledger/answerable/eventlog"
	"github.com/answerable-ledger/answerable/transparency"
)

// read runs f in a transaction that sees one state of the tables throughout.
func (p *Postgres) read(ctx context.Context, f func(*sql.Tx) error) error {
	tx, err := p.reads.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // nothing was written
	return f(tx)
}

// asker is a connection or a transaction.
type asker interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// pgRows are what the tables hold, in one state throughout. Runs are read many at a time.
type pgRows struct {
	ctx  context.Context
	tx   asker
	runs map[int64]run // those read ahead; nil: one is read at a time
}

// readAhead is how many runs are read at a time where all are: five megabytes.
const readAhead = 256

func (r pgRows) perRun() int64 { return pgRunLength }

func (r pgRows) size() (n int64, err error) {
	err = r.tx.QueryRowContext(r.ctx, `SELECT size FROM tree`).Scan(&n)
	return n, err
}

func (r pgRows) run(n int64) (run, error) {
	if found, ok := r.runs[n]; ok {
		return found, nil
	}
	count := int64(1)
	if r.runs != nil {
		clear(r.runs)
		count = readAhead
	}
	found, err := pgRuns(r.ctx, r.tx, n, n+count-1)
	if err != nil {
		return run{}, err
	}
	for at, x := range found {
		if r.runs != nil {
			r.runs[at] = x
		}
	}
	if x, ok := found[n]; ok {
		return x, nil
	}
	return run{}, fmt.Errorf("run %d is missing: %w", n, eventlog.ErrDamaged)
}

func (r pgRows) tile(level int, n int64) (hashes []byte, err error) {
	err = r.tx.QueryRowContext(r.ctx, `SELECT hashes FROM tile WHERE level = $1 AND n = $2`, int64(level), n).Scan(&hashes)
	if errors.Is(err, sql.ErrNoRows) {
		err = fmt.Errorf("tile %d of level %d is missing: %w", n, level, eventlog.ErrDamaged)
	}
	return hashes, err
}

func (r pgRows) counts() (runs, tiles int64, err error) {
	err = r.tx.QueryRowContext(r.ctx, `SELECT (SELECT count(*) FROM run), (SELECT count(*) FROM tile)`).Scan(&runs, &tiles)
	return runs, tiles, err
}

func (r pgRows) signed() ([]Signed, error) { return pgCheckpoints(r.ctx, r.tx, `ORDER BY size`) }

// pgRuns gives the runs from lo to hi that there are.
func pgRuns(ctx context.Context, tx asker, lo, hi int64) (map[int64]run, error) {
	found, err := tx.QueryContext(ctx, `SELECT n, commit_position, prepare_position, leaves, places FROM run WHERE n BETWEEN $1 AND $2`, lo, hi)
	if err != nil {
		return nil, err
	}
	defer found.Close()
	out := map[int64]run{}
	for found.Next() {
		var n int64
		var r run
		if err := found.Scan(&n, &r.first[0], &r.first[1], &r.leaves, &r.places); err != nil {
			return nil, err
		}
		out[n] = r
	}
	return out, found.Err()
}

func pgCheckpoints(ctx context.Context, tx asker, where string, args ...any) (out []Signed, err error) {
	found, err := tx.QueryContext(ctx, `SELECT size, note, signed_at_us FROM checkpoint `+where, args...)
	if err != nil {
		return nil, err
	}
	defer found.Close()
	for found.Next() {
		var s Signed
		var note []byte
		var at int64
		if err := found.Scan(&s.Size, &note, &at); err != nil {
			return nil, err
		}
		if s.Note, err = transparency.ParseNote(note); err != nil {
			return nil, fmt.Errorf("checkpoint of size %d: %w: %w", s.Size, err, eventlog.ErrDamaged)
		}
		s.SignedAt = pgMicros(at)
		out = append(out, s)
	}
	return out, found.Err()
}

// Entries gives the leaves from lo up to, not including, hi, as they were hashed, with their places in the event log.
func (p *Postgres) Entries(ctx context.Context, lo, hi int64) (entries []Entry, err error) {
	if lo >= hi {
		return nil, nil
	}
	runs, err := pgRuns(ctx, p.reads, lo/pgRunLength, (hi-1)/pgRunLength)
	for n := lo / pgRunLength; err == nil && n*pgRunLength < hi; n++ {
		r, ok := runs[n]
		if !ok {
			err = fmt.Errorf("run %d is missing: %w", n, eventlog.ErrDamaged)
			break
		}
		var all [][]byte
		if all, err = transparency.SplitEntries(r.leaves); err != nil {
			err = fmt.Errorf("run %d: %w: %w", n, err, eventlog.ErrDamaged)
			break
		}
		from, to := max(lo-n*pgRunLength, 0), min(hi-n*pgRunLength, pgRunLength)
		if to > int64(len(all)) || len(r.places) != len(all)*placeBytes {
			err = fmt.Errorf("run %d holds %d leaves and %d bytes of places, want %d: %w", n, len(all), len(r.places), to, eventlog.ErrDamaged)
			break
		}
		for i := from; i < to; i++ {
			entries = append(entries, Entry{Leaf: all[i], Position: placeAt(r.places, int(i))})
		}
	}
	if err != nil {
		return nil, pgWrap(err, "read leaves %d to %d", lo, hi)
	}
	return entries, nil
}

// Leaf gives one leaf and its place in the event log.
func (p *Postgres) Leaf(ctx context.Context, index int64) ([]byte, eventlog.Position, error) {
	e, err := p.Entries(ctx, index, index+1)
	if err != nil {
		return nil, eventlog.Position{}, err
	}
	return e[0].Leaf, e[0].Position, nil
}

// Index finds the leaf of the event at a position of the event log. found is false when it is not in the tree (yet).
func (p *Postgres) Index(ctx context.Context, at eventlog.Position) (index int64, found bool, err error) {
	var n int64
	var places []byte
	err = p.reads.QueryRowContext(ctx, `SELECT n, places FROM run WHERE (commit_position, prepare_position) <= ($1, $2) ORDER BY commit_position DESC, prepare_position DESC LIMIT 1`,
		int64(at.Commit), int64(at.Prepare)).Scan(&n, &places)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return 0, false, pgWrap(err, "find the leaf at position %s", at)
	}
	for i := range len(places) / placeBytes {
		if placeAt(places, i) == at {
			return n*pgRunLength + int64(i), true, nil
		}
	}
	return 0, false, nil
}

// Tile gives a tile's hashes, or a bundle's entries, exactly Width of them.
func (p *Postgres) Tile(ctx context.Context, id transparency.TileID) (b []byte, err error) {
	if id.Level == transparency.EntriesLevel {
		lo := id.N * transparency.TileWidth
		entries, err := p.Entries(ctx, lo, lo+int64(id.Width))
		for _, e := range entries {
			b = transparency.AppendEntry(b, e.Leaf)
		}
		return b, err
	}
	b, err = pgRows{ctx: ctx, tx: p.reads}.tile(id.Level, id.N)
	if err == nil && len(b) < id.Width*tlog.HashSize {
		err = fmt.Errorf("it holds %d hashes: %w", len(b)/tlog.HashSize, eventlog.ErrDamaged)
	}
	if err != nil {
		return nil, pgWrap(err, "read %s", id.Path())
	}
	return b[:id.Width*tlog.HashSize], nil
}

// Hashes reads the hashes of the tree of the given size, in the numbering of tlog.
func (p *Postgres) Hashes(ctx context.Context, size int64) tlog.HashReader {
	return transparency.HashReader(size, func(t transparency.TileID) ([]byte, error) { return p.Tile(ctx, t) })
}

// Root is the root of the tree's first size leaves.
func (p *Postgres) Root(ctx context.Context, size int64) (tlog.Hash, error) {
	h, err := tlog.TreeHash(size, p.Hashes(ctx, size))
	return h, pgWrap(err, "root at size %d", size)
}

// SaveCheckpoint is Store.SaveCheckpoint.
func (p *Postgres) SaveCheckpoint(ctx context.Context, n transparency.Note, at time.Time) error {
	c, err := transparency.ParseCheckpoint(n.Text)
	if err != nil {
		return pgWrap(err, "save checkpoint")
	}
	err = p.inTx(ctx, func(tx *sql.Tx) error {
		if err := p.stillWrites(ctx, tx); err != nil {
			return err
		}
		stored := pgRows{ctx: ctx, tx: tx}
		size, err := stored.size()
		switch {
		case err != nil:
			return err
		case c.Origin != p.Origin():
			return fmt.Errorf("it is of log %s: %w", c.Origin, transparency.ErrOrigin)
		case c.Size > size:
			return fmt.Errorf("the tree has %d leaves: %w", size, eventlog.ErrInvalid)
		}
		kept, err := pgCheckpoints(ctx, tx, `WHERE size = $1`, c.Size)
		if err != nil {
			return err
		}
		if len(kept) > 0 {
			if kept[0].Note.Text != n.Text {
				return fmt.Errorf("another one is kept:\n%s\n%s%w", kept[0].Note.Text, n.Text, transparency.ErrFork)
			}
			n, at = kept[0].Note.With(n.Signatures...), kept[0].SignedAt
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO checkpoint VALUES ($1, $2, $3) ON CONFLICT (size) DO UPDATE SET note = excluded.note`, c.Size, n.Marshal(), at.UnixMicro())
		return err
	})
	return pgWrap(err, "save checkpoint of size %d", c.Size)
}

// stillWrites is fence for a transaction that leaves the size as it is.
func (p *Postgres) stillWrites(ctx context.Context, tx *sql.Tx) error {
	return p.fence(ctx, tx, `SELECT 1 FROM tree WHERE writer = $1 FOR UPDATE`, p.writer)
}

func (p *Postgres) checkpoints(ctx context.Context, where string, args ...any) ([]Signed, error) {
	out, err := pgCheckpoints(ctx, p.reads, where, args...)
	return out, pgWrap(err, "read checkpoints")
}

// Checkpoints gives up to limit checkpoints in order of size, leaving out the first skip of them.
func (p *Postgres) Checkpoints(ctx context.Context, skip, limit int64) ([]Signed, error) {
	return p.checkpoints(ctx, `ORDER BY size LIMIT $1 OFFSET $2`, limit, skip)
}

// CheckpointsFrom gives up to limit checkpoints of at least the given size, in order of size.
func (p *Postgres) CheckpointsFrom(ctx context.Context, size, limit int64) ([]Signed, error) {
	return p.checkpoints(ctx, `WHERE size >= $1 ORDER BY size LIMIT $2`, size, limit)
}

// NewestCheckpoints gives up to limit checkpoints, the largest first.
func (p *Postgres) NewestCheckpoints(ctx context.Context, limit int64) ([]Signed, error) {
	return p.checkpoints(ctx, `ORDER BY size DESC LIMIT $1`, limit)
}

// Latest is the newest signed checkpoint. Nothing beyond it may be shown to anybody. ok is false before the first.
func (p *Postgres) Latest(ctx context.Context) (latest Signed, ok bool, err error) {
	all, err := p.NewestCheckpoints(ctx, 1)
	if err != nil || len(all) == 0 {
		return Signed{}, false, err
	}
	return all[0], true, nil
}

// Receipt is Store.Receipt.
func (p *Postgres) Receipt(ctx context.Context, index int64, policy *transparency.Policy) (transparency.Proof, error) {
	return receipt(ctx, pgProving{p, index}, &p.met, index, policy)
}

// pgProving reads what proves one leaf in one question to the server, not in one for each tile.
type pgProving struct {
	*Postgres
	index int64
}

func (r pgProving) Hashes(ctx context.Context, size int64) tlog.HashReader {
	found, err := r.tiles(ctx, size)
	return transparency.HashReader(size, func(t transparency.TileID) ([]byte, error) {
		if b := found[[2]int64{int64(t.Level), t.N}]; len(b) >= t.Width*tlog.HashSize {
			return b[:t.Width*tlog.HashSize], nil
		}
		if err != nil {
			return nil, pgWrap(err, "read the tiles of leaf %d", r.index)
		}
		return r.Tile(ctx, t)
	})
}

// tiles gives, by level and number, those above the leaf and those at the end of the tree: between them lie all hashes of a
// proof.
func (r pgProving) tiles(ctx context.Context, size int64) (map[[2]int64][]byte, error) {
	var args []any
	for level := 0; size>>(level*transparency.TileHeight) > 0; level++ {
		last := (size>>(level*transparency.TileHeight) - 1) / transparency.TileWidth
		args = append(args, int64(level), last)
		if above := r.index >> ((level + 1) * transparency.TileHeight); above < last {
			args = append(args, int64(level), above)
		}
	}
	if len(args) == 0 {
		return nil, nil
	}
	rows, err := r.reads.QueryContext(ctx, `SELECT level, n, hashes FROM tile WHERE (level, n) IN (`+pgValues(len(args)/2, 2)+`)`, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	found := map[[2]int64][]byte{}
	for rows.Next() {
		var at [2]int64
		var hashes []byte
		if err := rows.Scan(&at[0], &at[1], &hashes); err != nil {
			return nil, err
		}
		found[at] = hashes
	}
	return found, rows.Err()
}

// Erase notes that the salts of an event must not be derived any more, as Store.Erase does.
func (p *Postgres) Erase(ctx context.Context, event uuid.UUID, at time.Time, reason string) error {
	err := p.inTx(ctx, func(tx *sql.Tx) error {
		if err := p.stillWrites(ctx, tx); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO erased VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`, event[:], at.UnixMicro(), reason)
		return err
	})
	return pgWrap(err, "erase salts of event %s", event)
}

// Erased reports whether the event's salts were erased.
func (p *Postgres) Erased(ctx context.Context, event uuid.UUID) (erased bool, err error) {
	err = p.reads.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM erased WHERE event_id = $1)`, event[:]).Scan(&erased)
	return erased, pgWrap(err, "look for event %s among the erased", event)
}

// Erasures lists the notes.
func (p *Postgres) Erasures(ctx context.Context) ([]Erasure, error) {
	out, err := p.erasures(ctx)
	return out, pgWrap(err, "read erasures")
}

func (p *Postgres) erasures(ctx context.Context) (out []Erasure, err error) {
	found, err := p.reads.QueryContext(ctx, `SELECT event_id, erased_at_us, reason FROM erased`)
	if err != nil {
		return nil, err
	}
	defer found.Close()
	for found.Next() {
		var id []byte
		var at int64
		var e Erasure
		if err := found.Scan(&id, &at, &e.Reason); err != nil {
			return nil, err
		}
		if e.Event, err = uuid.FromBytes(id); err != nil {
			return nil, err
		}
		e.At = pgMicros(at)
		out = append(out, e)
	}
	return out, found.Err()
}

// Check is Store.Check. The structure of the files is the server's to check (data checksums, pg_amcheck).
func (p *Postgres) Check(ctx context.Context, o CheckOptions) error {
	return pgWrap(p.read(ctx, func(tx *sql.Tx) error {
		return check(ctx, p.Origin(), pgRows{ctx: ctx, tx: tx, runs: map[int64]run{}}, o)
	}), "check")
}
