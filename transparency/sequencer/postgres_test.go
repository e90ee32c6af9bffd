package sequencer_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	_ "github.com/lib/pq" // the driver of database/sql

	"github.com/answerable-ledger/answerable/eventlog"
	"github.com/answerable-ledger/answerable/internal/pgtest"
	"github.com/answerable-ledger/answerable/transparency"
	"github.com/answerable-ledger/answerable/transparency/sequencer"
	"github.com/answerable-ledger/answerable/transparency/treestore"
)

// shared is the PostgreSQL server of all tests that do not stop it.
var shared pgtest.Shared

func TestMain(m *testing.M) {
	code := m.Run()
	if err := shared.Close(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// station is a server's part of an installation on PostgreSQL: it has the keys, and nothing on a disk.
type station struct {
	tree  *treestore.Postgres
	guard *treestore.PostgresGuard
	q     *sequencer.Sequencer

	signed chan int64 // the newest checkpoint's size
}

func (s *station) close() {
	if s.guard != nil {
		s.guard.Close()
	}
	if s.tree != nil {
		s.tree.Close()
	}
}

// take opens tree and guard as a server does that is to sign from now on.
func take(t testing.TB, treePlace, guardPlace string, log eventlog.Log) (*station, error) {
	t.Helper()
	s := &station{signed: make(chan int64, 1)}
	t.Cleanup(s.close)
	for deadline := time.Now().Add(time.Minute); ; {
		var err error
		if s.guard, err = treestore.OpenPostgresGuard(t.Context(), guardPlace, origin); err == nil {
			break
		}
		// The server may take a moment to notice that the former holder is gone.
		if !errors.Is(err, eventlog.ErrInUse) || time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
	var err error
	if s.tree, err = treestore.OpenPostgres(t.Context(), treestore.Options{Path: treePlace, Origin: origin, Create: true}); err != nil {
		t.Fatal(err)
	}
	salts, err := transparency.NewSaltKey(repeated(7))
	if err != nil {
		t.Fatal(err)
	}
	s.q, err = sequencer.New(t.Context(), sequencer.Options{Log: log, Tree: s.tree, Guard: s.guard, Header: header, Salts: salts, Keys: []transparency.SigningKey{key(t, 1)}, Interval: time.Millisecond,
		Published: func(c treestore.Signed) {
			select {
			case <-s.signed:
			default:
			}
			s.signed <- c.Size
		}})
	return s, err
}

func mustTake(t testing.TB, treePlace, guardPlace string, log eventlog.Log) *station {
	t.Helper()
	s, err := take(t, treePlace, guardPlace, log)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func newGuard(t testing.TB) string {
	t.Helper()
	place := shared.Server(t).Database(t)
	if err := treestore.CreatePostgresGuard(t.Context(), place, origin, nil); err != nil {
		t.Fatal(err)
	}
	return place
}

// cutLocks ends the connections that hold locks in a database, as a network does that fails on one side.
func cutLocks(t testing.TB, place string) {
	t.Helper()
	db, err := sql.Open("postgres", place)
	if err == nil {
		_, err = db.Exec(`SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`)
		err = errors.Join(err, db.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
}

// Given servers that take signing from each other while those before go on as if nothing had happened, then only the last
// one adds to the tree and signs, every checkpoint lies on one history, and it is that of a tree that one process made.
func TestServersNeverFork(t *testing.T) {
	t.Parallel()
	treePlace, guardPlace := shared.Server(t).Database(t), newGuard(t)
	log := newLedger()
	var all []*station
	for round := range 5 {
		log.grow(t, 1+round*70, "")
		if round > 0 {
			cutLocks(t, guardPlace)
		}
		all = append(all, mustTake(t, treePlace, guardPlace, log))
		for i, s := range all {
			switch signed, err := s.q.Force(t.Context()); {
			case i < len(all)-1 && !errors.Is(err, eventlog.ErrInUse):
				t.Fatalf("round %d: a server that was replaced signs %d: %v", round, signed.Size, err)
			case i == len(all)-1 && (err != nil || signed.Size != int64(log.size)):
				t.Fatalf("round %d: the server that signs: %d %v", round, signed.Size, err)
			}
		}
		// Also while nothing is to be added, when it would only sign.
		if round > 0 {
			if _, err := all[round-1].q.Force(t.Context()); !errors.Is(err, eventlog.ErrInUse) {
				t.Fatalf("round %d: %v", round, err)
			}
		}
	}
	last := all[len(all)-1]
	if err := last.tree.Check(t.Context(), treestore.CheckOptions{}); err != nil {
		t.Error(err)
	}
	if err := last.q.Verify(t.Context(), nil); err != nil {
		t.Error(err)
	}
	alone := newSite(t)
	want := mustForce(t, alone.mustStart(t, log))
	got, _, err := last.tree.Latest(t.Context())
	if err != nil || string(got.Note.Marshal()) != string(want.Note.Marshal()) {
		t.Errorf("the tree is not that of one process: %v\n%s\n%s", err, got.Note.Marshal(), want.Note.Marshal())
	}
	kept, err := last.tree.Checkpoints(t.Context(), 0, 100)
	if err != nil || len(kept) != 5 {
		t.Errorf("%d checkpoints are kept: %v", len(kept), err)
	}
	for _, c := range kept {
		if root, err := alone.tree.Root(t.Context(), c.Size); err != nil || !strings.Contains(c.Note.Text, "\n"+root.String()+"\n") {
			t.Errorf("the checkpoint of size %d is on another history: %v", c.Size, err)
		}
	}
}

// Given a database, a log, or both, put back to an older state while the guard, which lies elsewhere, was not, then what
// loses nothing goes on, and everything else is refused with what mends it, and nothing is signed.
func TestRestoredBackupsOfServers(t *testing.T) {
	t.Parallel()
	treeOf := func(t *testing.T, n int) string { // a backup of the tree taken at n events
		treePlace := shared.Server(t).Database(t)
		s := mustTake(t, treePlace, newGuard(t), newLedger().grow(t, n, ""))
		mustForce(t, s.q)
		s.close()
		return treePlace
	}
	guardPlace := newGuard(t)
	whole := shared.Server(t).Database(t)
	s := mustTake(t, whole, guardPlace, newLedger().grow(t, 200, ""))
	mustForce(t, s.q)
	s.close()
	for _, tc := range []struct {
		name string
		tree string
		log  *ledger
		want string // part of the refusal; "" for none
	}{
		{"log and tree restored, shorter", treeOf(t, 150), newLedger().grow(t, 150, ""), "ends after 150 entries"},
		{"log and tree restored, then appended to", treeOf(t, 150), newLedger().grow(t, 150, "").grow(t, 90, "other"), "a checkpoint over 200 entries was signed that the event log does not lead to"},
		{"log restored and appended to, tree lost", shared.Server(t).Database(t), newLedger().grow(t, 150, "").grow(t, 90, "other"), "a checkpoint over 200 entries was signed that the event log does not lead to"},
		{"log restored and appended to, tree kept", whole, newLedger().grow(t, 150, "").grow(t, 90, "other"), "the newest leaf of the tree, 199"},
		{"tree alone restored", treeOf(t, 120), newLedger().grow(t, 200, ""), ""},
		{"tree lost", shared.Server(t).Database(t), newLedger().grow(t, 200, ""), ""},
	} {
		t.Run(tc.name, func(t *testing.T) { // one after the other: they have one guard
			before, err := treestore.ReadPostgresGuard(t.Context(), guardPlace, origin)
			if err != nil {
				t.Fatal(err)
			}
			s, err := take(t, tc.tree, guardPlace, tc.log)
			defer s.close()
			if err == nil {
				_, err = s.q.Force(t.Context())
			}
			if tc.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if !errors.Is(err, transparency.ErrFork) || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), "answerable restore") {
				t.Errorf("want a refusal with %q and what mends it: %v", tc.want, err)
			}
			if after, err := treestore.ReadPostgresGuard(t.Context(), guardPlace, origin); err != nil || string(before) != string(after) {
				t.Errorf("something was signed: %v", err)
			}
		})
	}
}

// Given a sequencer at work, when the tree's server crashes and comes back, and then the guard's, then it goes on by itself
// and signs for what was recorded meanwhile, also when nothing more is recorded.
func TestServersOfTheEvidenceComeAndGo(t *testing.T) {
	t.Parallel()
	trees, guards := pgtest.Start(t), pgtest.Start(t)
	treePlace, guardPlace := trees.Database(t), guards.Database(t)
	if err := treestore.CreatePostgresGuard(t.Context(), guardPlace, origin, nil); err != nil {
		t.Fatal(err)
	}
	log := newLedger().grow(t, 40, "")
	s := mustTake(t, treePlace, guardPlace, log)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.q.Run(ctx) }()
	signed := func() {
		t.Helper()
		late := time.After(2 * time.Minute)
		for size := int64(0); size != int64(log.size); {
			select {
			case err := <-ended:
				t.Fatal(err)
			case size = <-s.signed:
			case <-late:
				t.Fatalf("signed for %d of %d", size, log.size)
			}
		}
	}
	signed()
	for _, server := range []*pgtest.Server{trees, guards} {
		server.Kill()
		log.grow(t, 30, "")
		server.Run(t)
		signed()
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if err := s.tree.Check(t.Context(), treestore.CheckOptions{}); err != nil {
		t.Error(err)
	}
}

// Given a witnessed tree in a database and its guard in another, when one bit of what their rows say is changed, in every
// column that says something and at random, then verify notices it: by the signatures, by the event log, or by the guard.
func TestEveryFlipInTheRowsIsNoticed(t *testing.T) {
	t.Parallel()
	treePlace, guardPlace := shared.Server(t).Database(t), newGuard(t)
	log := newLedger()
	s := mustTake(t, treePlace, guardPlace, log)
	for range 6 {
		log.grow(t, 50, "")
		c := mustForce(t, s.q)
		sig, err := witnessKey(t).Cosign(c.Note.Text, time.Unix(1632470000+log.now.Load(), 0))
		if err == nil {
			err = s.tree.SaveCheckpoint(t.Context(), transparency.Note{Text: c.Note.Text, Signatures: []transparency.Signature{sig}}, time.Unix(1, 0))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	s.close()
	salts, err := transparency.NewSaltKey(repeated(7))
	if err != nil {
		t.Fatal(err)
	}
	p := witnessedPolicy(t, "")
	// As answerable verify does.
	look := func() error {
		tree, err := treestore.OpenPostgres(t.Context(), treestore.Options{Path: treePlace, Origin: origin})
		if err != nil {
			return err
		}
		defer tree.Close()
		o := sequencer.Options{Log: log, Tree: tree, Header: header, Salts: salts}
		if err := sequencer.NewReader(o).Verify(t.Context(), nil); err != nil {
			return err
		}
		if err := tree.Check(t.Context(), treestore.CheckOptions{Policy: p}); err != nil {
			return err
		}
		held, err := treestore.ReadPostgresGuard(t.Context(), guardPlace, origin)
		if err != nil {
			return err
		}
		n, err := transparency.ParseNote(held)
		if err != nil {
			return err
		}
		c, err := transparency.VerifyLog(n, p.LogKeys())
		if err != nil {
			return err
		}
		latest, _, err := tree.Latest(t.Context())
		if err == nil && (latest.Size != c.Size || latest.Note.Text != n.Text) {
			err = fmt.Errorf("the guard holds %d entries, the tree's newest checkpoint %d: %w", c.Size, latest.Size, transparency.ErrFork)
		}
		return err
	}
	if err := look(); err != nil {
		t.Fatal(err)
	}
	const seed = 3
	rng := rand.New(rand.NewPCG(seed, seed))
	// A high bit: with a low one the row may be another that is there, which the database refuses by itself.
	number := func(column string) string { return fmt.Sprintf(`%[1]s = %[1]s # %d`, column, 1<<(10+rng.IntN(20))) }
	bytea := func(column string) string {
		return fmt.Sprintf(`%[1]s = set_bit(%[1]s, (floor(%f * 8 * octet_length(%[1]s)))::bigint, 1 - get_bit(%[1]s, (floor(%[2]f * 8 * octet_length(%[1]s)))::bigint))`, column, rng.Float64())
	}
	text := func(column string) string {
		return fmt.Sprintf(`%[1]s = overlay(%[1]s PLACING '~' FROM %d)`, column, 1+rng.IntN(len(origin)))
	}
	for _, c := range []struct {
		what, place, table, key string
		flip                    func() string
		times                   int
	}{
		{"leaves", treePlace, "answerable_evidence.run", "n", func() string { return bytea("leaves") }, 25},
		{"places", treePlace, "answerable_evidence.run", "n", func() string { return bytea("places") }, 6},
		{"a run's first position", treePlace, "answerable_evidence.run", "n", func() string { return number("commit_position") }, 2},
		{"a run's first position", treePlace, "answerable_evidence.run", "n", func() string { return number("prepare_position") }, 2},
		{"a run's number", treePlace, "answerable_evidence.run", "n", func() string { return number("n") }, 2},
		{"hashes", treePlace, "answerable_evidence.tile", "level, n", func() string { return bytea("hashes") }, 15},
		{"a tile's number", treePlace, "answerable_evidence.tile", "level, n", func() string { return number("n") }, 2},
		{"a tile's level", treePlace, "answerable_evidence.tile", "level, n", func() string { return number("level") }, 2},
		{"a checkpoint and its signatures", treePlace, "answerable_evidence.checkpoint", "size", func() string { return bytea("note") }, 20},
		{"a checkpoint's size", treePlace, "answerable_evidence.checkpoint", "size", func() string { return number("size") }, 2},
		{"the tree's size", treePlace, "answerable_evidence.tree", "one", func() string { return number("size") }, 2},
		{"the log's name", treePlace, "answerable_evidence.tree", "one", func() string { return text("origin") }, 2},
		{"the tables' version", treePlace, "answerable_evidence.tree", "one", func() string { return number("version") }, 1},
		{"the guard", guardPlace, "answerable_guard.checkpoint", "origin", func() string { return bytea("note") }, 12},
		{"the guard's log", guardPlace, "answerable_guard.checkpoint", "origin", func() string { return text("origin") }, 1},
	} {
		db, err := sql.Open("postgres", c.place)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		run := func(statement string) {
			t.Helper()
			if _, err := db.ExecContext(t.Context(), statement); err != nil {
				t.Fatalf("%s: %v", statement, err)
			}
		}
		run(`CREATE SCHEMA IF NOT EXISTS pristine; DROP TABLE IF EXISTS pristine.kept; CREATE TABLE pristine.kept AS SELECT * FROM ` + c.table)
		var rows int
		if err := db.QueryRowContext(t.Context(), `SELECT count(*) FROM pristine.kept`).Scan(&rows); err != nil {
			t.Fatal(err)
		}
		for range c.times {
			change := fmt.Sprintf(`UPDATE %[1]s SET %s WHERE (%[3]s) = (SELECT %[3]s FROM %[1]s ORDER BY %[3]s OFFSET %d LIMIT 1)`, c.table, c.flip(), c.key, rng.IntN(rows))
			run(change)
			if err := look(); err == nil {
				t.Errorf("%s: not noticed: %s", c.what, change)
			}
			run(`DELETE FROM ` + c.table + `; INSERT INTO ` + c.table + ` SELECT * FROM pristine.kept`)
		}
		if err := look(); err != nil {
			t.Fatalf("%s, put back: %v", c.what, err)
		}
	}
}
