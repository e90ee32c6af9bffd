package treestore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/answerable-ledger/answerable/eventlog"
	"github.com/answerable-ledger/answerable/internal/postgres"
	"github.com/answerable-ledger/answerable/transparency"
)

const (
	pgSchema  = "answerable_evidence"
	pgVersion = 1
	// pgRunLength is how many leaves share a row. One row for each leaf would cost more than hashing it; a row of 256, the
	// width of a public bundle, would be written again in full (about 150 kB) for each single late leaf.
	pgRunLength  = 32
	pgSchemaNext = pgSchema + "_new" // a tree that is made again, until it takes the other's place
)

// The leaves and hashes are stored beside their rows and as they are: packing costs more than reading them ever will.
// writer tells one opening for writing from every other: who writes does so in transactions that begin by comparing it.
var pgTables = []string{
	`CREATE TABLE tree (one INTEGER PRIMARY KEY CHECK (one = 1), version INTEGER NOT NULL, origin TEXT NOT NULL, prefixes TEXT NOT NULL,
		size BIGINT NOT NULL, writer BIGINT NOT NULL)`,
	`CREATE TABLE run (n BIGINT PRIMARY KEY, commit_position BIGINT NOT NULL, prepare_position BIGINT NOT NULL, leaves BYTEA NOT NULL, places BYTEA NOT NULL,
		UNIQUE (commit_position, prepare_position))`,
	`ALTER TABLE run ALTER leaves SET STORAGE EXTERNAL, ALTER places SET STORAGE EXTERNAL`,
	`CREATE TABLE tile (level INTEGER NOT NULL, n BIGINT NOT NULL, hashes BYTEA NOT NULL, PRIMARY KEY (level, n))`,
	`ALTER TABLE tile ALTER hashes SET STORAGE EXTERNAL`,
	`CREATE TABLE checkpoint (size BIGINT PRIMARY KEY, note BYTEA NOT NULL, signed_at_us BIGINT NOT NULL)`,
	`CREATE TABLE erased (event_id BYTEA PRIMARY KEY, erased_at_us BIGINT NOT NULL, reason TEXT NOT NULL)`,
}

// Postgres keeps a tree in a schema of a PostgreSQL database, for servers that share no disk. Its promise is Store's, and
// one more: of all that ever opened it for writing only the last can write. A process that lost its lock and does not know
// yet fails with eventlog.ErrInUse; nothing of its transaction is stored.
type Postgres struct {
	shown  string // the place, as it may be shown
	schema string
	write  *sql.DB // nil: opened for reading
	reads  *sql.DB
	writer int64
	met    metQuorum

	mu     sync.Mutex // owns what follows
	origin string
	filter eventlog.Filter
	tail   pgTail
	unsure bool // an append was cut off, and may have been stored
}

// pgTail is the growing end of the tree, kept in memory so that an append reads nothing. What it refers to is never changed.
type pgTail struct {
	size int64
	last eventlog.Position
	run  pgRun    // the last one, while it is incomplete
	edge [][]byte // by level: the hashes of the last, incomplete tile
}

type pgRun struct {
	n              int64
	first          eventlog.Position
	leaves, places []byte
}

// OpenPostgres opens the tree in the database that o.Path, a connection string, names. With o.Create it is made when it is
// not there, and opened for writing: whoever had it open for writing before can write no more. Without, a tree that is not
// there is fs.ErrNotExist.
func OpenPostgres(ctx context.Context, o Options) (*Postgres, error) {
	return openPostgres(ctx, o, pgSchema)
}

// RemakePostgres makes an empty tree beside the one that is there, and drops one that was begun so before. It takes its
// place by Replace.
func RemakePostgres(ctx context.Context, o Options) (*Postgres, error) {
	db, err := postgres.Open(o.Path, postgres.Pool{Name: "evidence"})
	if err != nil {
		return nil, fmt.Errorf("treestore: %w", err)
	}
	_, err = db.ExecContext(ctx, `DROP SCHEMA IF EXISTS `+pgSchemaNext+` CASCADE`)
	if err = errors.Join(pgWrap(err, "drop a tree that was not finished"), db.Close()); err != nil {
		return nil, err
	}
	o.Create = true
	return openPostgres(ctx, o, pgSchemaNext)
}

func openPostgres(ctx context.Context, o Options, schema string) (_ *Postgres, err error) {
	shown, err := postgres.Check(o.Path)
	if err != nil {
		return nil, fmt.Errorf("treestore: %w", err)
	}
	p := &Postgres{shown: shown, schema: schema, filter: eventlog.Filter{Prefixes: o.Prefixes}}
	defer func() {
		if err != nil {
			err = errors.Join(pgWrap(err, "open %s", shown), p.Close())
		}
	}()
	// A commit is on the disk when it returns, whatever the server's settings say: nothing is signed that is not durable.
	if p.write, err = postgres.Open(o.Path, postgres.Pool{Name: "evidence", Conns: 3, Settings: map[string]string{"search_path": schema, "synchronous_commit": "on"}}); err != nil {
		return nil, err
	}
	if o.Create {
		if err := p.prepare(ctx, o); err != nil {
			return nil, err
		}
	}
	role, err := postgres.FindReader(ctx, p.write)
	if err != nil {
		return nil, err
	}
	if p.reads, err = postgres.Open(o.Path, postgres.Pool{Name: "evidence reader", Conns: readers, Role: role,
		Settings: map[string]string{"search_path": schema, "default_transaction_read_only": "on", "default_transaction_isolation": "repeatable read"}}); err != nil {
		return nil, err
	}
	if !o.Create {
		err = p.write.Close()
		if p.write = nil; err != nil {
			return nil, err
		}
	}
	return p, p.load(ctx, o)
}

// prepare makes the tables when they are not there, and has this process be the one that writes.
func (p *Postgres) prepare(ctx context.Context, o Options) error {
	if err := transparency.CheckKeyName(o.Origin); err != nil {
		return err
	}
	there, err := p.there(ctx)
	if err == nil && !there {
		// Several processes may start at once; only one of them makes the tables.
		err = postgres.Alone(ctx, o.Path, postgres.LockSetup, "evidence set-up", func(ctx context.Context) error {
			there, err := p.there(ctx)
			if err != nil || there {
				return err
			}
			if _, err := postgres.MakeReader(ctx, p.write); err != nil { // who may make none is told so by the views
				return err
			}
			return p.create(ctx, o)
		})
	}
	if err != nil {
		return err
	}
	return p.inTx(ctx, func(tx *sql.Tx) error {
		var version int
		var origin, prefixes string
		if err := tx.QueryRowContext(ctx, `SELECT version, origin, prefixes FROM tree FOR UPDATE`).Scan(&version, &origin, &prefixes); err != nil {
			return err
		}
		if err := p.judge(o, version, origin, prefixes); err != nil { // before anything is taken from its writer
			return err
		}
		var locked bool // the role was made, or given to this database's user, after the tables
		if err := tx.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = $1 AND NOT has_schema_privilege(oid, $2, 'USAGE'))`, postgres.Reader, p.schema).Scan(&locked); err != nil {
			return err
		}
		if locked {
			if err := postgres.GrantReader(ctx, tx, p.schema); err != nil {
				return err
			}
		}
		// A newer program knows a category more. Its streams are empty until such a program fills them, so the leaves so
		// far are the same under both filters.
		return tx.QueryRowContext(ctx, `UPDATE tree SET writer = writer + 1, prefixes = $1 RETURNING writer`, strings.Join(o.Prefixes, "\n")).Scan(&p.writer)
	})
}

func (p *Postgres) there(ctx context.Context) (there bool, err error) {
	err = p.write.QueryRowContext(ctx, `SELECT to_regclass($1) IS NOT NULL`, p.schema+".tree").Scan(&there)
	return there, err
}

func (p *Postgres) create(ctx context.Context, o Options) error {
	return p.inTx(ctx, func(tx *sql.Tx) error {
		for _, statement := range append([]string{`CREATE SCHEMA IF NOT EXISTS ` + p.schema}, pgTables...) {
			if _, err := tx.ExecContext(ctx, statement); err != nil {
				return err
			}
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO tree VALUES (1, $1, $2, $3, 0, 0)`, int64(pgVersion), o.Origin, strings.Join(o.Prefixes, "\n")); err != nil {
			return err
		}
		return postgres.GrantReader(ctx, tx, p.schema)
	})
}

// judge compares what is stored with what is meant.
func (p *Postgres) judge(o Options, version int, origin, prefixes string) error {
	switch {
	case version != pgVersion:
		return fmt.Errorf("its tables have version %d, this program writes %d: %w", version, pgVersion, eventlog.ErrInvalid)
	case origin != o.Origin:
		return fmt.Errorf("the tree is of log %s, not %s: %w", origin, o.Origin, transparency.ErrOrigin)
	case !extends(prefixes, strings.Join(o.Prefixes, "\n")):
		return fmt.Errorf("the tree covers the streams %q, not %q; what a log covers never changes: %w", prefixes, o.Prefixes, eventlog.ErrInvalid)
	}
	return nil
}

// load reads the growing end, from one state of the tables. With an origin it compares the tree with what is meant.
func (p *Postgres) load(ctx context.Context, o Options) error {
	var t pgTail
	var origin string
	var filter eventlog.Filter
	err := p.read(ctx, func(tx *sql.Tx) error {
		var version int
		var prefixes string
		err := tx.QueryRowContext(ctx, `SELECT version, origin, prefixes, size FROM tree`).Scan(&version, &origin, &prefixes, &t.size)
		switch {
		case postgres.Code(err) == "42P01", postgres.Code(err) == "3F000":
			return fmt.Errorf("there is no tree in the database yet: %w", fs.ErrNotExist)
		case errors.Is(err, sql.ErrNoRows):
			return fmt.Errorf("the tree's own row is missing: %w", eventlog.ErrDamaged)
		case err != nil:
			return err
		case t.size < 0:
			return fmt.Errorf("the tree says that it has %d leaves: %w", t.size, eventlog.ErrDamaged)
		}
		if prefixes != "" {
			filter.Prefixes = strings.Split(prefixes, "\n")
		}
		if o.Origin != "" {
			if err := p.judge(o, version, origin, prefixes); err != nil {
				return err
			}
		}
		return t.read(pgRows{ctx: ctx, tx: tx})
	})
	if err != nil {
		return err
	}
	p.origin, p.filter, p.tail = origin, filter, t
	return nil
}

func (t *pgTail) read(stored pgRows) error {
	if t.size > 0 {
		n := (t.size - 1) / pgRunLength
		r, err := stored.run(n)
		if err != nil {
			return err
		}
		if want := int((t.size-1)%pgRunLength) + 1; len(r.places) != want*placeBytes {
			return fmt.Errorf("the last run holds %d leaves, want %d: %w", len(r.places)/placeBytes, want, eventlog.ErrDamaged)
		}
		t.last = placeAt(r.places, len(r.places)/placeBytes-1)
		if t.size%pgRunLength != 0 {
			t.run = pgRun{n: n, first: placeAt(r.places, 0), leaves: r.leaves, places: r.places}
		}
	}
	for level := 0; t.size>>(level*transparency.TileHeight) > 0; level++ {
		count := t.size >> (level * transparency.TileHeight)
		var hashes []byte
		if w := int(count % transparency.TileWidth); w > 0 {
			var err error
			if hashes, err = stored.tile(level, count/transparency.TileWidth); err != nil {
				return err
			}
			if len(hashes) != w*tlog.HashSize {
				return fmt.Errorf("the last tile of level %d holds %d bytes, want %d: %w", level, len(hashes), w*tlog.HashSize, eventlog.ErrDamaged)
			}
		}
		t.edge = append(t.edge, hashes)
	}
	return nil
}

// Close releases the connections. Closing twice is harmless.
func (p *Postgres) Close() error {
	var errs []error
	for _, db := range []*sql.DB{p.write, p.reads} {
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	return errors.Join(errs...)
}

// Origin is the log's name.
func (p *Postgres) Origin() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.origin
}

// Filter is which streams the log covers.
func (p *Postgres) Filter() eventlog.Filter {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.filter
}

// Size is the number of leaves stored, signed or not, as this process knows it: what another wrote counts after Refresh.
func (p *Postgres) Size() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.tail.size
}

// Last is the position of the newest leaf's event, zero for an empty tree.
func (p *Postgres) Last() eventlog.Position {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.tail.last
}

// Refresh looks how far the process that writes has come.
func (p *Postgres) Refresh(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return pgWrap(p.load(ctx, Options{}), "read how far the tree has come")
}

// Append adds leaves at the end, as Store.Append does. eventlog.ErrInUse: another process has opened the tree for writing
// since. eventlog.ErrUnavailable: the server was away; when the leaves were stored all the same the tree knows it at the
// next call, which fails with ErrUnavailable once more.
func (p *Postgres) Append(ctx context.Context, size int64, entries []Entry) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.unsure {
		if err := p.load(ctx, Options{}); err != nil {
			return pgWrap(err, "append at %d", size)
		}
		if p.unsure = false; p.tail.size > size {
			return fmt.Errorf("treestore: append at %d: what was being stored when the server went away is stored, up to %d: %w", size, p.tail.size, eventlog.ErrUnavailable)
		}
	}
	if p.tail.size != size {
		return fmt.Errorf("treestore: append at %d: the tree has %d leaves: %w", size, p.tail.size, eventlog.ErrInvalid)
	}
	if len(entries) == 0 {
		return nil
	}
	next, changed, tiles, err := p.tail.grow(entries)
	if err != nil {
		return pgWrap(err, "append %d leaves at %d", len(entries), size)
	}
	err = p.inTx(ctx, func(tx *sql.Tx) error {
		if err := p.fence(ctx, tx, `UPDATE tree SET size = $3 WHERE writer = $1 AND size = $2`, p.writer, size, next.size); err != nil {
			return err
		}
		if err := putRuns(ctx, tx, changed); err != nil {
			return err
		}
		return putTiles(ctx, tx, tiles)
	})
	if err == nil {
		p.tail = next
		return nil
	}
	p.unsure = postgres.Transient(err) || ctx.Err() != nil
	return pgWrap(err, "append %d leaves at %d", len(entries), size)
}

// grow gives the end of the tree with more leaves, and what is to be stored for it.
func (t pgTail) grow(entries []Entry) (next pgTail, runs []pgRun, tiles []tileWrite, err error) {
	r := t.run
	r.leaves, r.places = append([]byte(nil), r.leaves...), append([]byte(nil), r.places...)
	next.last = t.last
	for i, e := range entries {
		index := t.size + int64(i)
		if next.last.Compare(e.Position) >= 0 {
			return next, nil, nil, fmt.Errorf("leaf %d: its position %s is not beyond %s: %w", index, e.Position, next.last, eventlog.ErrInvalid)
		}
		if len(e.Leaf) == 0 || len(e.Leaf) > transparency.MaxLeafBytes {
			return next, nil, nil, fmt.Errorf("leaf %d has %d bytes: %w", index, len(e.Leaf), eventlog.ErrTooLarge)
		}
		next.last = e.Position
		if len(r.places) == 0 {
			r.n, r.first = index/pgRunLength, e.Position
		}
		r.leaves = transparency.AppendEntry(r.leaves, e.Leaf)
		r.places = appendPlace(r.places, e.Position)
		if len(r.places) == pgRunLength*placeBytes {
			runs, r = append(runs, r), pgRun{}
		}
	}
	if len(r.places) > 0 {
		runs = append(runs, r)
	}
	g := new(growRoom).grow(t.edge, t.size, entries)
	next.size, next.run, next.edge = t.size+int64(len(entries)), r, g.edge
	return next, runs, g.tiles, nil
}

// inTx runs a transaction that writes.
func (p *Postgres) inTx(ctx context.Context, f func(*sql.Tx) error) error {
	if p.write == nil {
		return fmt.Errorf("the tree is open for reading: %w", eventlog.ErrReadOnly)
	}
	tx, err := p.write.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := f(tx); err != nil {
		if rerr := tx.Rollback(); rerr != nil && !errors.Is(rerr, sql.ErrTxDone) && !postgres.Transient(rerr) {
			err = errors.Join(err, rerr)
		}
		return err
	}
	return tx.Commit()
}

// fence is the first statement of each transaction that writes. It changes, or locks, the tree's own row when this process is
// still the one that writes, so that two of them come one after the other, and holds that against who comes next.
func (p *Postgres) fence(ctx context.Context, tx *sql.Tx, statement string, args ...any) error {
	done, err := tx.ExecContext(ctx, statement, args...)
	if err != nil {
		return err
	}
	n, err := done.RowsAffected()
	if err != nil || n == 1 {
		return err
	}
	var writer, size int64
	if err := tx.QueryRowContext(ctx, `SELECT writer, size FROM tree`).Scan(&writer, &size); err != nil {
		return err
	}
	if writer != p.writer {
		return fmt.Errorf("another process has opened the tree for writing since; nothing of this one's is stored: %w", eventlog.ErrInUse)
	}
	return fmt.Errorf("the tree has %d leaves, and this process did not write them: %w", size, eventlog.ErrDamaged)
}

// Replace has a tree of RemakePostgres take the place of the one that is there. Whoever has that one open for writing can
// write no more. The tree is closed, whatever comes of it.
func (p *Postgres) Replace(ctx context.Context) error {
	err := p.inTx(ctx, func(tx *sql.Tx) error {
		var there bool
		if err := tx.QueryRowContext(ctx, `SELECT to_regclass($1) IS NOT NULL`, pgSchema+".tree").Scan(&there); err != nil {
			return err
		}
		if there {
			// Counted on, so that a writer of the old tree is none of the new one.
			if _, err := tx.ExecContext(ctx, `UPDATE tree SET writer = (SELECT writer + 1 FROM `+pgSchema+`.tree FOR UPDATE)`); err != nil {
				return err
			}
		}
		for _, statement := range []string{`DROP SCHEMA IF EXISTS ` + pgSchema + ` CASCADE`, `ALTER SCHEMA ` + pgSchemaNext + ` RENAME TO ` + pgSchema} {
			if _, err := tx.ExecContext(ctx, statement); err != nil {
				return err
			}
		}
		return nil
	})
	return errors.Join(pgWrap(err, "put the new tree in the old one's place"), p.Close())
}

// putAtOnce is how many rows go in one statement: a batch of ten thousand leaves takes ten.
const putAtOnce = 32

func putRuns(ctx context.Context, tx *sql.Tx, runs []pgRun) error {
	for len(runs) > 0 {
		n := min(len(runs), putAtOnce)
		var args []any
		for _, r := range runs[:n] {
			args = append(args, r.n, int64(r.first.Commit), int64(r.first.Prepare), r.leaves, r.places)
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO run VALUES `+pgValues(n, 5)+` ON CONFLICT (n) DO UPDATE SET leaves = excluded.leaves, places = excluded.places`, args...); err != nil {
			return err
		}
		runs = runs[n:]
	}
	return nil
}

func putTiles(ctx context.Context, tx *sql.Tx, tiles []tileWrite) error {
	for len(tiles) > 0 {
		n := min(len(tiles), putAtOnce)
		var args []any
		for _, t := range tiles[:n] {
			args = append(args, int64(t.level), t.n, t.hashes)
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO tile VALUES `+pgValues(n, 3)+` ON CONFLICT (level, n) DO UPDATE SET hashes = excluded.hashes`, args...); err != nil {
			return err
		}
		tiles = tiles[n:]
	}
	return nil
}

// pgValues are the placeholders of rows: ($1, $2), ($3, $4).
func pgValues(rows, columns int) string {
	var b strings.Builder
	for i := range rows * columns {
		switch {
		case i == 0:
			b.WriteString("(")
		case i%columns == 0:
			b.WriteString("), (")
		default:
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "$%d", i+1)
	}
	return b.String() + ")"
}

// pgWrap names the operation and turns what the server says into the few kinds callers know. A server without room is away
// besides: what waits is stored by itself when there is room again.
func pgWrap(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	operation := fmt.Sprintf(format, args...)
	switch code := postgres.Code(err); {
	case code == "53100":
		return fmt.Errorf("treestore: %s: %w, %w: %w", operation, eventlog.ErrFull, eventlog.ErrUnavailable, err)
	case postgres.Transient(err):
		return fmt.Errorf("treestore: %s: %w: %w", operation, eventlog.ErrUnavailable, err)
	case code == "42501", code == "25006":
		return fmt.Errorf("treestore: %s: %w: %w", operation, eventlog.ErrReadOnly, err)
	case strings.HasPrefix(code, "XX"):
		return fmt.Errorf("treestore: %s: %w: %w", operation, eventlog.ErrDamaged, err)
	case code == "42P01", code == "3F000":
		return fmt.Errorf("treestore: %s: its tables are gone (answerable rebuild --tree): %w: %w", operation, eventlog.ErrGone, err)
	}
	return fmt.Errorf("treestore: %s: %w", operation, err)
}

// pgMicros is how instants are stored.
func pgMicros(n int64) time.Time { return time.UnixMicro(n).UTC() }
