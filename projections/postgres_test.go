package projections

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/lib/pq"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	"pgregory.net/rapid"

	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/eventlog"
	"github.com/answerable-ledger/answerable/internal/pgtest"
	"github.com/answerable-ledger/answerable/internal/postgres"
)

// Given a history, when it is applied to views in both databases, then they keep the same rows.
func TestEnginesKeepTheSameRows(t *testing.T) {
	s := shared.Server(t)
	ctx := context.Background()
	for i := range 3 {
		log := newRecorder()
		log.record(t, rapid.Custom(history).Example(i).Facts...)
		one, other := openViews(t, t.TempDir(), log), openViews(t, s.Database(t), log)
		must(t, one.followInBatches(ctx, func() int { return 20 }))
		must(t, other.CatchUp(ctx))
		if d := cmp.Diff(dump(t, one), dump(t, other)); d != "" {
			t.Errorf("history %d (-sqlite +postgres):\n%s", i, d)
		}
		closeViews(t, one)
		closeViews(t, other)
	}
}

// as is a connection string for another user of the same database.
func as(t *testing.T, place, user string) string {
	t.Helper()
	u, err := url.Parse(place)
	must(t, err)
	u.User = url.User(user)
	return u.String()
}

func execute(t *testing.T, place string, statements ...string) {
	t.Helper()
	db, err := postgres.Open(place, postgres.Pool{Name: "test"})
	must(t, err)
	defer db.Close()
	for _, s := range statements {
		_, err := db.Exec(s)
		must(t, err)
	}
}

// Given views, when they are opened for reading, by their owner or by a user who may only read, then nothing can be
// written, whatever the connection says of itself.
func TestTheReaderCannotWrite(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	place := shared.Server(t).Database(t)
	log := newRecorder()
	log.record(t, busyDay().facts...)
	v := openViews(t, place, log)
	defer closeViews(t, v)
	must(t, v.CatchUp(ctx))
	execute(t, place, `DROP ROLE IF EXISTS t_reader`, `CREATE ROLE t_reader LOGIN IN ROLE answerable_reader`)
	for name, place := range map[string]string{"the owner": place, "a reader": as(t, place, "t_reader")} {
		r, err := OpenReader(ctx, place, registry(t))
		must(t, err)
		defer closeViews(t, r)
		if have := standing("25900")(t, r, nil); have != standing("25900")(t, v, nil) {
			t.Errorf("%s reads %s", name, have)
		}
		conn, err := r.current.read.Conn(ctx)
		must(t, err)
		defer conn.Close()
		if _, err := conn.ExecContext(ctx, r.current.sql(`DELETE FROM {obligation}`)); postgres.Code(err) != "25006" { // read-only transaction
			t.Errorf("%s writes: %v", name, err)
		}
		_, err = conn.ExecContext(ctx, `SET default_transaction_read_only = off`)
		must(t, err)
		for _, statement := range []string{`DELETE FROM {obligation}`, `INSERT INTO {form} VALUES (9, 'x')`, `UPDATE {position} SET events = 0`, `DROP TABLE {unit}`,
			`TRUNCATE {breach}`, `UPDATE answerable_views.generation SET state = 'retired'`, `CREATE TABLE answerable_views.mine (n INTEGER)`} {
			if _, err := conn.ExecContext(ctx, r.current.sql(statement)); postgres.Code(err) != "42501" { // insufficient privilege
				t.Errorf("%s: %s: %v", name, statement, err)
			}
		}
	}
}

// Given a user who may make no roles, then the views work all the same, the log says so, and readers are held by a setting.
func TestAUserWhoMayMakeNoRoles(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	place := shared.Server(t).Database(t)
	u, err := url.Parse(place)
	must(t, err)
	execute(t, place, `DROP ROLE IF EXISTS t_plain`, `CREATE ROLE t_plain LOGIN`, `GRANT CREATE ON DATABASE `+pq.QuoteIdentifier(strings.Trim(u.Path, "/"))+` TO t_plain`)
	log := newRecorder()
	log.record(t, busyDay().facts...)
	core, said := observer.New(zap.WarnLevel)
	v := openViews(t, as(t, place, "t_plain"), log, func(c *Config) { c.Logger = zap.New(core) })
	defer closeViews(t, v)
	must(t, v.CatchUp(ctx))
	must(t, v.Verify(ctx))
	if said.FilterMessageSnippet("answerable_reader cannot be made").Len() != 1 {
		t.Errorf("the log says %v", said.All())
	}
	if _, err := v.current.read.Exec(v.current.sql(`DELETE FROM {obligation}`)); postgres.Code(err) != "25006" {
		t.Errorf("a reading connection writes: %v", err)
	}
}

// Given a connection string that leaves open what must be said, then it is refused, and the password is not in the error.
func TestConnectionStringsAreJudged(t *testing.T) {
	t.Parallel()
	for place, want := range map[string]string{"postgres://u:geheim@h/db?connect_timeout=5": "sslmode", "postgres://u:geheim@h/db?sslmode=require": "connect_timeout"} {
		_, err := Open(context.Background(), Config{Path: place, Log: newRecorder(), Registry: registry(t)})
		if !errors.Is(err, postgres.ErrURL) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "geheim") {
			t.Errorf("%s: %v", place, err)
		}
	}
}

// Given facts that hold what PostgreSQL cannot, then the views hold a sign in its place, and verify knows it.
func TestWhatPostgresCannotHold(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	log := newRecorder()
	log.record(t, busyDay().at("19:00").fact(domain.UnitStream("25900"), "p_dept",
		domain.UnitRenamed{Unit: "25900", Name: "Tân\x00Bình", EffectiveOn: today, Basis: "NQ"}).facts...)
	v := openViews(t, shared.Server(t).Database(t), log)
	defer closeViews(t, v)
	must(t, v.CatchUp(ctx))
	must(t, v.Verify(ctx))
	must(t, v.Rebuild(ctx, nil))
	must(t, v.Verify(ctx))
	if p, err := v.Parked(ctx); err != nil || len(p) != 0 {
		t.Errorf("parked %v, %v", p, err)
	}
}

// Given a batch whose commit was not answered and was done, then the runner goes on from there, and is not fenced off by
// itself.
func TestACommitThatWasNotAnswered(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	place, log := shared.Server(t).Database(t), newRecorder()
	log.record(t, busyDay().facts...)
	v := openViews(t, place, log)
	defer closeViews(t, v)
	v.apply.Lock()
	v.leading = true
	v.apply.Unlock()
	steps := v.steps(t, eventlog.Position{})
	must(t, v.applyBatch(ctx, batch{steps: steps[:5]}))
	w, err := v.attempt(ctx, v.current, nil, v.position(), steps[5:10], nil) // it is committed, and this runner has not heard of it
	must(t, err)
	to := w.position()
	v.unsure = &to
	must(t, v.applyBatch(ctx, batch{steps: steps[5:15]}))
	must(t, v.Verify(ctx))
	if v.Position() != steps[14].recorded.Position {
		t.Errorf("stands at %s", v.Position())
	}
}

// running leads views until the test ends, or the returned function is called.
func leadUntil(t *testing.T, v *Views) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- v.Lead(ctx, func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }) }()
	return func() {
		t.Helper()
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("led until %v", err)
		}
	}
}

// Given two processes on one database, when the connection by which one leads is cut, then one of them leads again, both
// hear of everything that is applied, and nothing is applied twice.
func TestTheLeadIsTakenOver(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	place, log, g := shared.Server(t).Database(t), newRecorder(), busyDay()
	log.record(t, g.facts[0])
	one, other := openViews(t, place, log), openViews(t, place, log)
	stopOne, stopOther := leadUntil(t, one), leadUntil(t, other)
	for i, f := range g.facts[1:] {
		if i%5 == 4 {
			execute(t, place, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'answerable leader' AND datname = current_database()`)
		}
		log.record(t, f)
		head, err := log.Head(ctx)
		must(t, err)
		must(t, one.WaitFor(ctx, head))
		must(t, other.WaitFor(ctx, head))
	}
	must(t, one.Verify(ctx))
	stopOne()
	log.record(t, g.at("21:00").submit("718", 1, nil).facts[len(g.facts)-1]) // it does not fit, and is parked
	head, err := log.Head(ctx)
	must(t, err)
	must(t, other.WaitFor(ctx, head))
	must(t, one.WaitFor(ctx, head))
	must(t, one.Verify(ctx))
	stopOther()
	closeViews(t, one)
	closeViews(t, other)
}

// Given two processes on one database, when one leads, then both know; when it stops, then both know that nobody does.
func TestTheLeaderIsKnown(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	place, log, g := shared.Server(t).Database(t), newRecorder(), busyDay()
	log.record(t, g.facts[0])
	head, err := log.Head(ctx)
	must(t, err)
	one, other := openViews(t, place, log), openViews(t, place, log)
	stop := leadUntil(t, one)
	must(t, one.WaitFor(ctx, head))
	leaders := func(ofOne, ofOther string) {
		t.Helper()
		for v, want := range map[*Views]string{one: ofOne, other: ofOther} {
			if l, err := v.Leader(ctx); err != nil || l != want {
				t.Errorf("the leader is %q, %v; want %q", l, err, want)
			}
		}
	}
	leaders(LeaderThis, LeaderAnother)
	stop()
	leaders(LeaderNone, LeaderNone)
	closeViews(t, one)
	closeViews(t, other)
}

// Given views under load, when the server is restarted or crashes, then the runner goes on by itself and the rows are what
// a fresh fold gives.
func TestTheServerIsRestartedUnderLoad(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	server := pgtest.Start(t)
	log, g := newRecorder(), busyDay()
	log.record(t, g.facts[0])
	v := openViews(t, server.Database(t), log)
	defer closeViews(t, v)
	stop := leadUntil(t, v)
	for i, f := range g.facts[1:] {
		switch i % 8 {
		case 3:
			server.Stop()
		case 5:
			server.Kill()
		}
		log.record(t, f)
		if i%8 == 3 || i%8 == 5 {
			server.Run(t)
		}
	}
	head, err := log.Head(ctx)
	must(t, err)
	must(t, v.WaitFor(ctx, head))
	stop()
	must(t, v.Verify(ctx))
}

// Given a reader that does not end, then the views go on and are rebuilt beside it, and it reads on from what it began with.
func TestASlowReaderHoldsNobodyBack(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	place, log, g := shared.Server(t).Database(t)+"&lock_timeout=100ms", newRecorder(), busyDay()
	log.record(t, g.facts[:20]...)
	v := openViews(t, place, log)
	defer closeViews(t, v)
	must(t, v.CatchUp(ctx))
	slow, err := v.current.read.BeginTx(ctx, nil)
	must(t, err)
	defer slow.Rollback() //nolint:errcheck // it changed nothing
	first := v.current
	before, err := first.position(ctx, slow)
	must(t, err)

	log.record(t, g.facts[20:]...)
	must(t, v.CatchUp(ctx))
	for range 3 {
		must(t, v.Rebuild(ctx, nil))
		must(t, v.store.discard(ctx, stateRetired))
	}
	must(t, v.Verify(ctx))
	if after, err := first.position(ctx, slow); err != nil || after != before {
		t.Errorf("the slow reader reads %v, %v", after, err)
	}
}
