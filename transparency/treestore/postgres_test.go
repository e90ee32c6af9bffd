package treestore_test

import (
	"bytes"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"strings"
	"testing"
	"time"

	_ "github.com/lib/pq" // the driver of database/sql

	"github.com/answerable-ledger/answerable/eventlog"
	"github.com/answerable-ledger/answerable/internal/pgtest"
	"github.com/answerable-ledger/answerable/internal/smalldisk"
	"github.com/answerable-ledger/answerable/transparency/treestore"
)

func openPostgres(t testing.TB, place string) *treestore.Postgres {
	t.Helper()
	return open(t, place).(*treestore.Postgres)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// onPostgres executes statements as somebody who goes past the program.
func onPostgres(t testing.TB, place string, statements ...string) error {
	t.Helper()
	db, err := sql.Open("postgres", place)
	must(t, err)
	defer db.Close()
	for _, s := range statements {
		if _, err := db.Exec(s); err != nil {
			return fmt.Errorf("%s: %w", s, err)
		}
	}
	return nil
}

// Given a process that writes the tree, when another opens it for writing, then the first can add no leaf, keep no
// checkpoint and erase nothing any more, and what it wrote before is the other's to go on from.
func TestOnlyTheLastWriterWrites(t *testing.T) {
	t.Parallel()
	place := shared.Server(t).Database(t)
	first := openPostgres(t, place)
	must(t, first.Append(t.Context(), 0, leaves(t, 0, 40)))
	reader, err := treestore.OpenPostgres(t.Context(), treestore.Options{Path: place, Origin: origin})
	must(t, err)
	defer reader.Close()
	second := openPostgres(t, place)
	if second.Size() != 40 || second.Last() != leaf(t, 39).Position {
		t.Errorf("the second goes on from %d", second.Size())
	}
	note := sign(t, first, 40)
	for what, err := range map[string]error{
		"leaves":        first.Append(t.Context(), 40, leaves(t, 40, 41)),
		"a checkpoint":  first.SaveCheckpoint(t.Context(), note, time.Unix(1, 0)),
		"an erasure":    first.Erase(t.Context(), [16]byte{1}, time.Unix(1, 0), "test"),
		"leaves, again": first.Append(t.Context(), 40, leaves(t, 40, 300)),
	} {
		if !errors.Is(err, eventlog.ErrInUse) {
			t.Errorf("%s of a writer that was replaced: %v", what, err)
		}
	}
	must(t, second.Append(t.Context(), 40, leaves(t, 40, 100)))
	must(t, second.SaveCheckpoint(t.Context(), note, time.Unix(1, 0)))
	if err := reader.Append(t.Context(), 40, leaves(t, 40, 41)); !errors.Is(err, eventlog.ErrReadOnly) && !errors.Is(err, eventlog.ErrInvalid) {
		t.Errorf("a reader appends: %v", err)
	}
	if err := reader.SaveCheckpoint(t.Context(), note, time.Unix(1, 0)); !errors.Is(err, eventlog.ErrReadOnly) {
		t.Errorf("a reader keeps a checkpoint: %v", err)
	}
	must(t, reader.Refresh(t.Context()))
	if reader.Size() != 100 {
		t.Errorf("the reader sees %d leaves", reader.Size())
	}
	must(t, reader.Check(t.Context(), treestore.CheckOptions{Policy: policy(t)}))
}

func TestPostgresComesAndGoes(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t)
	t.Run("tree", func(t *testing.T) { treeAwayAndBack(t, server) })
	t.Run("append", func(t *testing.T) { appendStoredUnanswered(t, server) })
	t.Run("guard", func(t *testing.T) { guardAwayAndBack(t, server) })
	t.Run("disk", func(t *testing.T) { fullAndMadeRoom(t, server) })
}

// Given a tree whose disk is full, then what is added is refused by that name, as something that will pass; what was added
// before is there; and when there is room again the tree goes on.
func fullAndMadeRoom(t *testing.T, server *pgtest.Server) {
	t.Helper()
	place, dir := server.SmallDatabase(t, 32)
	s := openPostgres(t, place)
	must(t, s.Append(t.Context(), 0, leaves(t, 0, 40)))
	disk := &smalldisk.Disk{Dir: dir}
	disk.Fill(t)
	if err := s.Append(t.Context(), 40, leaves(t, 40, 10_000)); !errors.Is(err, eventlog.ErrFull) || !errors.Is(err, eventlog.ErrUnavailable) {
		t.Errorf("on a full disk: %v", err)
	}
	if e, err := s.Entries(t.Context(), 0, 40); err != nil || len(e) != 40 || s.Size() != 40 {
		t.Errorf("what was there: %d of %d leaves, %v", len(e), s.Size(), err)
	}
	disk.Free(t)
	must(t, s.Append(t.Context(), 40, leaves(t, 40, 1000)))
	must(t, s.Check(t.Context(), treestore.CheckOptions{}))
}

// Given a tree, when the server stops and comes back, then calls fail with ErrUnavailable meanwhile, and go on after it
// from where it stands.
func treeAwayAndBack(t *testing.T, server *pgtest.Server) {
	t.Helper()
	s := openPostgres(t, server.Database(t))
	must(t, s.Append(t.Context(), 0, leaves(t, 0, 40)))
	for _, stop := range []func(){server.Stop, server.Kill} {
		size := int(s.Size())
		stop()
		if err := s.Append(t.Context(), int64(size), leaves(t, size, size+50)); !errors.Is(err, eventlog.ErrUnavailable) {
			t.Errorf("append while it is away: %v", err)
		}
		if _, _, err := s.Latest(t.Context()); !errors.Is(err, eventlog.ErrUnavailable) {
			t.Errorf("read while it is away: %v", err)
		}
		server.Run(t)
		deadline := time.Now().Add(time.Minute)
		for {
			err := s.Append(t.Context(), s.Size(), leaves(t, int(s.Size()), size+50))
			if err == nil {
				break
			}
			if !errors.Is(err, eventlog.ErrUnavailable) || time.Now().After(deadline) {
				t.Fatal(err)
			}
		}
	}
	must(t, s.SaveCheckpoint(t.Context(), sign(t, s, 140), time.Unix(1, 0)))
	must(t, s.Check(t.Context(), treestore.CheckOptions{Policy: policy(t)}))
}

// Given an append whose commit nobody answered, when it had been stored, then the tree finds it out and goes on behind it.
func appendStoredUnanswered(t *testing.T, server *pgtest.Server) {
	t.Helper()
	place := server.Database(t)
	s := openPostgres(t, place)
	must(t, s.Append(t.Context(), 0, leaves(t, 0, 40)))
	server.Stop()
	if err := s.Append(t.Context(), 40, leaves(t, 40, 41)); !errors.Is(err, eventlog.ErrUnavailable) {
		t.Fatal(err)
	}
	server.Run(t)
	// As if that append's commit had come through: the same leaf, under the same writer's number.
	other := server.Database(t)
	twin := openPostgres(t, other)
	must(t, twin.Append(t.Context(), 0, leaves(t, 0, 40)))
	must(t, twin.Append(t.Context(), 40, leaves(t, 40, 41)))
	from, err := sql.Open("postgres", other)
	must(t, err)
	defer from.Close()
	var run, places, tile []byte
	must(t, from.QueryRow(`SELECT leaves, places FROM answerable_evidence.run WHERE n = 1`).Scan(&run, &places))
	must(t, from.QueryRow(`SELECT hashes FROM answerable_evidence.tile WHERE level = 0`).Scan(&tile))
	must(t, onPostgres(t, place, fmt.Sprintf(`UPDATE answerable_evidence.run SET leaves = '\x%x', places = '\x%x' WHERE n = 1`, run, places),
		fmt.Sprintf(`UPDATE answerable_evidence.tile SET hashes = '\x%x' WHERE level = 0`, tile), `UPDATE answerable_evidence.tree SET size = 41`))
	if err := s.Append(t.Context(), 40, leaves(t, 40, 41)); !errors.Is(err, eventlog.ErrUnavailable) || s.Size() != 41 {
		t.Errorf("at %d: %v", s.Size(), err)
	}
	must(t, s.Append(t.Context(), 41, leaves(t, 41, 80)))
	must(t, s.Check(t.Context(), treestore.CheckOptions{}))
}

// Given a tree, when it is made again, then the one there was is read until the new one takes its place, and whoever had the
// old one open for writing writes no more, however often the new one is opened.
func TestATreeTakesAnothersPlace(t *testing.T) {
	t.Parallel()
	place := shared.Server(t).Database(t)
	old := openPostgres(t, place)
	for range 3 {
		old = openPostgres(t, place)
	}
	must(t, old.Append(t.Context(), 0, leaves(t, 0, 40)))
	for range 2 { // the first is given up
		made, err := treestore.RemakePostgres(t.Context(), treestore.Options{Path: place, Origin: origin})
		must(t, err)
		must(t, made.Append(t.Context(), 0, leaves(t, 0, 33)))
		must(t, made.Close())
	}
	made, err := treestore.RemakePostgres(t.Context(), treestore.Options{Path: place, Origin: origin})
	must(t, err)
	must(t, made.Append(t.Context(), 0, leaves(t, 0, 50)))
	if _, _, err := old.Leaf(t.Context(), 39); err != nil {
		t.Error(err)
	}
	must(t, made.Replace(t.Context()))
	for range 8 {
		now := openPostgres(t, place)
		if now.Size() != 50 {
			t.Fatalf("the new tree has %d leaves", now.Size())
		}
		if err := old.Append(t.Context(), 40, leaves(t, 40, 60)); !errors.Is(err, eventlog.ErrInUse) {
			t.Fatalf("a writer of the old tree: %v", err)
		}
	}
}

// Given a tree, when somebody reads it with the role for readers, or through the program's reading connections, then
// nothing of it can be written.
func TestTheReaderOfATreeCannotWrite(t *testing.T) {
	t.Parallel()
	place := shared.Server(t).Database(t)
	s := openPostgres(t, place)
	must(t, s.Append(t.Context(), 0, leaves(t, 0, 40)))
	must(t, onPostgres(t, place, `DROP ROLE IF EXISTS t_tree_reader`, `CREATE ROLE t_tree_reader LOGIN IN ROLE answerable_reader`))
	u, err := url.Parse(place)
	must(t, err)
	u.User = url.User("t_tree_reader")
	r, err := treestore.OpenPostgres(t.Context(), treestore.Options{Path: u.String(), Origin: origin})
	must(t, err)
	defer r.Close()
	must(t, r.Check(t.Context(), treestore.CheckOptions{}))
	if _, err := treestore.OpenPostgres(t.Context(), treestore.Options{Path: u.String(), Origin: origin, Create: true}); !errors.Is(err, eventlog.ErrReadOnly) {
		t.Errorf("a reader opens it for writing: %v", err)
	}
	for _, statement := range []string{`UPDATE answerable_evidence.tree SET size = 0`, `DELETE FROM answerable_evidence.run`, `TRUNCATE answerable_evidence.tile`,
		`INSERT INTO answerable_evidence.erased VALUES ('x', 0, '')`, `UPDATE answerable_evidence.checkpoint SET note = ''`, `DROP SCHEMA answerable_evidence CASCADE`} {
		if err := onPostgres(t, u.String(), statement); err == nil || !strings.Contains(err.Error(), "permission denied") && !strings.Contains(err.Error(), "must be owner") {
			t.Errorf("%s: %v", statement, err)
		}
	}
}

func TestPostgresGuard(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	place := shared.Server(t).Database(t)
	if _, err := treestore.OpenPostgresGuard(ctx, place, origin); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing guard is never taken for an empty one: %v", err)
	}
	must(t, treestore.CreatePostgresGuard(ctx, place, origin, nil))
	must(t, treestore.CreatePostgresGuard(ctx, place, "ledger.example/other", []byte("theirs")))
	if err := treestore.CreatePostgresGuard(ctx, place, origin, nil); !errors.Is(err, fs.ErrExist) {
		t.Errorf("made twice: %v", err)
	}
	if _, err := treestore.OpenPostgresGuard(ctx, place, "ledger.example/third"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a log without one: %v", err)
	}
	g, err := treestore.OpenPostgresGuard(ctx, place, origin)
	must(t, err)
	if _, err := treestore.OpenPostgresGuard(ctx, place, origin); !errors.Is(err, eventlog.ErrInUse) {
		t.Errorf("two signers: %v", err)
	}
	must(t, g.Swap(ctx, nil, []byte("one")))
	if err := g.Swap(ctx, nil, []byte("two")); !errors.Is(err, eventlog.ErrConflict) {
		t.Errorf("swap from what is not there: %v", err)
	}
	must(t, onPostgres(t, place, `UPDATE answerable_guard.checkpoint SET note = 'older' WHERE origin = '`+origin+`'`))
	if err := g.Swap(ctx, []byte("one"), []byte("two")); !errors.Is(err, eventlog.ErrConflict) || string(g.Last()) != "one" {
		t.Errorf("changed from outside: %v", err)
	}
	// The server lost the connection that holds the lock, and gave it to another.
	must(t, onPostgres(t, place, `SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`))
	var next *treestore.PostgresGuard
	for deadline := time.Now().Add(time.Minute); ; {
		if next, err = treestore.OpenPostgresGuard(ctx, place, origin); err == nil {
			break
		}
		if !errors.Is(err, eventlog.ErrInUse) || time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
	if string(next.Last()) != "older" {
		t.Errorf("last is %q", next.Last())
	}
	must(t, onPostgres(t, place, `UPDATE answerable_guard.checkpoint SET note = 'one' WHERE origin = '`+origin+`'`))
	if err := g.Swap(ctx, []byte("one"), []byte("two")); !errors.Is(err, eventlog.ErrInUse) {
		t.Errorf("a former holder swaps: %v", err)
	}
	must(t, g.Close())
	must(t, next.Close())
	last, err := treestore.ReadPostgresGuard(ctx, place, origin)
	if err != nil || string(last) != "one" {
		t.Errorf("read: %q %v", last, err)
	}
	if last, err := treestore.ReadPostgresGuard(ctx, place, "ledger.example/other"); err != nil || string(last) != "theirs" {
		t.Errorf("another log's: %q %v", last, err)
	}
}

// Given a guard whose server stops while a checkpoint is swapped, then the swap is repeated when it is back, whether it had
// been stored or not.
func guardAwayAndBack(t *testing.T, server *pgtest.Server) {
	t.Helper()
	ctx := t.Context()
	place := server.Database(t)
	must(t, treestore.CreatePostgresGuard(ctx, place, origin, nil))
	g, err := treestore.OpenPostgresGuard(ctx, place, origin)
	must(t, err)
	defer g.Close()
	must(t, g.Swap(ctx, nil, []byte("one")))
	for _, stored := range []bool{false, true} {
		server.Kill()
		if err := g.Swap(ctx, []byte("one"), []byte("two")); !errors.Is(err, eventlog.ErrUnavailable) || !bytes.Equal(g.Last(), []byte("one")) {
			t.Errorf("while it is away: %v", err)
		}
		server.Run(t)
		if stored {
			must(t, onPostgres(t, place, `UPDATE answerable_guard.checkpoint SET note = 'two'`))
		}
		must(t, g.Swap(ctx, []byte("one"), []byte("three")))
		must(t, g.Swap(ctx, []byte("three"), []byte("one")))
	}
}

// TestCheckFindsDamageInPostgres changes the stored rows one by one.
func TestCheckFindsDamageInPostgres(t *testing.T) {
	t.Parallel()
	place := shared.Server(t).Database(t)
	s := openPostgres(t, place)
	must(t, s.Append(t.Context(), 0, leaves(t, 0, 600)))
	for _, size := range []int64{0, 256, 599} {
		must(t, s.SaveCheckpoint(t.Context(), sign(t, s, size), time.Unix(size, 0)))
	}
	must(t, s.Check(t.Context(), treestore.CheckOptions{Policy: policy(t)}))
	must(t, s.Close())
	tables := []string{"tree", "run", "tile", "checkpoint"}
	must(t, onPostgres(t, place, `CREATE SCHEMA pristine`))
	for _, table := range tables {
		must(t, onPostgres(t, place, `CREATE TABLE pristine.`+table+` AS SELECT * FROM answerable_evidence.`+table))
	}
	for name, change := range map[string]string{
		"a byte of a leaf":              `UPDATE run SET leaves = overlay(leaves PLACING 'x' FROM 301) WHERE n = 3`,
		"a leaf's length":               `UPDATE run SET leaves = set_byte(leaves, 0, 0) || '\x00' WHERE n = 3`,
		"a run dropped":                 `DELETE FROM run WHERE n = 4`,
		"two runs swapped":              `UPDATE run SET leaves = (SELECT leaves FROM run b WHERE b.n = 11 - run.n) WHERE n IN (5, 6)`,
		"a run added":                   `INSERT INTO run SELECT 99, 99999, 99999, leaves, places FROM run WHERE n = 1`,
		"the tree cut back":             `UPDATE tree SET size = 576`,
		"the tree cut back to a run":    `UPDATE tree SET size = 576; DELETE FROM run WHERE n >= 18`,
		"the tree enlarged":             `UPDATE tree SET size = 601`,
		"the tree's own row":            `DELETE FROM tree`,
		"a place":                       `UPDATE run SET places = set_byte(places, 0, 255) WHERE n = 2`,
		"a first place":                 `UPDATE run SET commit_position = commit_position + 1 WHERE n = 2`,
		"a hash of a full tile":         `UPDATE tile SET hashes = overlay(hashes PLACING '\x00000000' FROM 1) WHERE level = 0 AND n = 0`,
		"a hash of the last tile":       `UPDATE tile SET hashes = overlay(hashes PLACING '\x00000000' FROM 1) WHERE level = 0 AND n = 2`,
		"a hash of level one":           `UPDATE tile SET hashes = overlay(hashes PLACING '\x00000000' FROM 1) WHERE level = 1`,
		"a tile dropped":                `DELETE FROM tile WHERE level = 0 AND n = 1`,
		"a tile added":                  `INSERT INTO tile VALUES (0, 77, '\x00')`,
		"a checkpoint's size":           `UPDATE checkpoint SET note = convert_to(replace(convert_from(note, 'UTF8'), E'\n256\n', E'\n257\n'), 'UTF8') WHERE size = 256`,
		"a checkpoint moved":            `UPDATE checkpoint SET size = 257 WHERE size = 256`,
		"a checkpoint's signature":      `UPDATE checkpoint SET note = overlay(note PLACING 'AAAAAAAAAA' FROM octet_length(note) - 11) WHERE size = 599`,
		"a checkpoint beyond the tree":  `UPDATE checkpoint SET size = 601 WHERE size = 599`,
		"a signature line by a witness": `UPDATE checkpoint SET note = note || convert_to(E'— stranger AAAAAAA=\n', 'UTF8') WHERE size = 599`,
	} {
		t.Run(name, func(t *testing.T) { // one after the other
			for _, table := range tables {
				must(t, onPostgres(t, place, `DELETE FROM answerable_evidence.`+table+`; INSERT INTO answerable_evidence.`+table+` SELECT * FROM pristine.`+table))
			}
			must(t, onPostgres(t, place, `SET search_path = answerable_evidence; `+change))
			s, err := treestore.OpenPostgres(t.Context(), treestore.Options{Path: place, Origin: origin})
			if err != nil {
				t.Logf("found on opening: %v", err)
				return
			}
			defer s.Close()
			err = s.Check(t.Context(), treestore.CheckOptions{Policy: policy(t)})
			if err == nil {
				t.Fatal("not noticed")
			}
			t.Log(err)
		})
	}
}
