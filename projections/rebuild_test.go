package projections

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/eventlog"
)

// formerChanges is how many columns and tables came since fold version 1.
const formerChanges = 2

// asFormerly makes the live generation what fold version 1 made of the same facts, and closes the views.
func asFormerly(t failer, v *Views) {
	t.Helper()
	for _, change := range []string{`ALTER TABLE {obligation} DROP COLUMN form_version`, `DROP TABLE {finding}`} {
		_, err := v.current.write.Exec(v.current.sql(change))
		must(t, err)
	}
	reregister(t, v, "0123456789abcdef0123456789abcdef")
	closeViews(t, v)
}

// reregister changes the fingerprint of the live generation.
func reregister(t failer, v *Views, fingerprint string) {
	t.Helper()
	var err error
	switch s := v.store.(type) {
	case *sqliteStore:
		_, err = s.registry.Exec(`UPDATE generation SET fingerprint = ? WHERE state = ?`, fingerprint, stateLive)
	case *postgresStore:
		_, err = s.registry.Exec(`UPDATE `+pgSchema+`.generation SET fingerprint = $1 WHERE state = $2`, fingerprint, stateLive)
	}
	must(t, err)
}

// caughtUpViews are views of a log in a new place.
func caughtUpViews(t failer, dir string, log eventlog.Log, change ...func(*Config)) *Views {
	t.Helper()
	v := openViews(t, dir, log, change...)
	must(t, v.CatchUp(context.Background()))
	return v
}

// untilRebuilt waits for the end of the rebuild of a process.
func untilRebuilt(t failer, v *Views) RebuildStatus {
	t.Helper()
	for {
		s, changed := v.RebuildStatus()
		if s.State != "none" && s.State != "running" {
			return s
		}
		<-changed
	}
}

// running runs views until the test ends, or until stop is called.
func running(t *testing.T, v *Views) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- v.Lead(ctx, func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }) }()
	return func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("ended with %v", err)
		}
	}
}

// Given rows that a former program made, when this one follows the log, then they are answered from and followed while the
// new ones are made; these take their place; and the former are kept up, so that one can go back and forth.
func TestARebuildAfterASchemaChange(t *testing.T) {
	t.Parallel()
	onEveryEngine(t, func(t *testing.T, place place) {
		ctx := context.Background()
		g, log, dir := busyDay(), newRecorder(), place(t)
		log.record(t, g.facts...)
		asFormerly(t, caughtUpViews(t, dir, log))

		v := openViews(t, dir, log)
		defer closeViews(t, v)
		uses := func(want ...FormUse) {
			t.Helper()
			page, err := v.FormUse(ctx, "bluezone", today, today)
			must(t, err)
			if d := cmp.Diff(want, page.Uses); d != "" {
				t.Error(d)
			}
		}
		uses(FormUse{"commune", -1, 2}, FormUse{"district", -1, 1})
		before, err := v.Compliance(ctx, ComplianceQuery{})
		must(t, err)

		stop := running(t, v)
		if s := untilRebuilt(t, v); s.State != "done" || s.Comparison.Undeclared != 0 || s.Comparison.Declared != formerChanges || s.Comparison.Place == "" {
			t.Fatalf("%+v: %+v", s, s.Comparison)
		}
		uses(FormUse{"commune", 2, 2}, FormUse{"district", 2, 1})
		after, err := v.Compliance(ctx, ComplianceQuery{})
		must(t, err)
		if d := cmp.Diff(before, after); d != "" {
			t.Errorf("the answers changed: %s", d)
		}
		must(t, v.Verify(ctx))

		// The former rows follow.
		n := len(g.facts)
		g.at("19:00").sign("25900", 2, 90, "p_head_25900")
		log.record(t, g.facts[n:]...)
		head, err := log.Head(ctx)
		must(t, err)
		must(t, v.WaitFor(ctx, head))
		must(t, v.Undo(ctx))
		if v.Position().Compare(head) < 0 {
			t.Errorf("went back to %s", v.Position())
		}
		uses(FormUse{"commune", -1, 2}, FormUse{"district", -1, 1})
		if s := standing("25900")(t, v, nil); s != "on_time v2 signed" {
			t.Errorf("former rows say %q", s)
		}
		stop()

		// What was undone stays so when the program starts again, until somebody goes forward.
		w := openViews(t, dir, log)
		must(t, w.CatchUp(ctx))
		if w.current.fingerprint == w.fingerprint {
			t.Error("went forward by itself")
		}
		must(t, w.Undo(ctx))
		if w.current.fingerprint != w.fingerprint {
			t.Error("did not go forward")
		}
		must(t, w.Verify(ctx))
		must(t, w.DropPrevious(ctx))
		if err := w.Undo(ctx); !errors.Is(err, ErrNoPrevious) {
			t.Errorf("went back to nothing: %v", err)
		}
		closeViews(t, w)
	})
}

// Given rows that say something else than the log, when they are rebuilt, then each figure is named, nothing is switched,
// and only whoever accepts gets the new rows.
func TestARebuildShowsWhatDiffers(t *testing.T) {
	t.Parallel()
	onEveryEngine(t, func(t *testing.T, place place) {
		ctx := context.Background()
		log := newRecorder()
		log.record(t, busyDay().facts...)
		v := caughtUpViews(t, place(t), log)
		defer closeViews(t, v)
		for _, change := range []string{
			`UPDATE {obligation} SET history = replace(history, '"installed":90', '"installed":91'), status = 'late' WHERE history LIKE '%"installed":90%'`,
			`DELETE FROM {breach}`,
			`INSERT INTO {holder} VALUES ('p_x', '718')`,
		} {
			_, err := v.current.write.Exec(v.current.sql(change))
			must(t, err)
		}
		want := []string{
			"holder: unit 718: row: p_x 718 -> nothing",
			"obligation: unit 25900, form commune, day 2021-02-08: status: late -> on_time",
			"obligation: unit 25900, form commune, day 2021-02-08: history[2].figures.installed: 91 -> 90",
			"breach: unit 25945, form commune, day 2021-02-08: row: nothing -> ",
		}
		n := v.current.n
		var told []string
		o := RebuildOptions{Differs: func(c Change) { told = append(told, c.String()) }}
		for _, o.DryRun = range []bool{false, true} {
			told = nil
			found, err := v.RebuildWith(ctx, o)
			if o.DryRun && err != nil || !o.DryRun && !errors.Is(err, ErrDiffers) || found.Undeclared != 4 || len(found.First) != 4 || v.current.n != n {
				t.Fatalf("%+v, %v", found, err)
			}
			for i, w := range want {
				if i >= len(told) || !strings.HasPrefix(told[i], w) {
					t.Errorf("told %q, want %q", told, w)
				}
			}
		}
		o = RebuildOptions{Accept: true}
		if found, err := v.RebuildWith(ctx, o); err != nil || found.Undeclared != 4 || v.current.n == n {
			t.Fatalf("%+v, %v", found, err)
		}
		must(t, v.Verify(ctx))
		if found, err := v.RebuildWith(ctx, RebuildOptions{}); err != nil || found.Undeclared+found.Declared != 0 || found.Rows == 0 {
			t.Errorf("nothing differs, and yet %+v, %v", found, err)
		}
	})
}

// A rebuild that this program begins by itself stops at what nobody declared, and says so once.
func TestARebuildByItselfAsksFirst(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	log, dir := newRecorder(), t.TempDir()
	log.record(t, busyDay().facts...)
	v := caughtUpViews(t, dir, log)
	_, err := v.current.write.Exec(`UPDATE obligation SET history = replace(history, '"installed":90', '"installed":91')`)
	must(t, err)
	asFormerly(t, v)
	core, logs := observer.New(zap.ErrorLevel)
	v = openViews(t, dir, log, func(c *Config) { c.Logger = zap.New(core) })
	defer closeViews(t, v)
	stop := running(t, v)
	s := untilRebuilt(t, v)
	stop()
	if s.State != "refused" || s.Comparison.Undeclared != 1 || s.Comparison.First[0].Old != "91" || v.current.columns == nil {
		t.Errorf("%+v", s)
	}
	if logs.FilterMessageSnippet("stay as a former program").Len() != 1 {
		t.Errorf("logged %v", logs.All())
	}
	_, err = v.Compliance(ctx, ComplianceQuery{})
	must(t, err)
}

// Given rows that lack what no query can do without, then nothing is answered until the new rows are there.
func TestRowsThatCannotBeRead(t *testing.T) {
	t.Parallel()
	onEveryEngine(t, func(t *testing.T, place place) {
		ctx := context.Background()
		for _, change := range []string{`ALTER TABLE {obligation} DROP COLUMN history`, `DROP TABLE {signoff}`} {
			log, dir := newRecorder(), place(t)
			log.record(t, busyDay().facts...)
			v := caughtUpViews(t, dir, log)
			_, err := v.current.write.Exec(v.current.sql(change))
			must(t, err)
			asFormerly(t, v)
			v = openViews(t, dir, log)
			if _, err := v.Compliance(ctx, ComplianceQuery{}); !errors.Is(err, ErrBuilding) {
				t.Errorf("%s: answered: %v", change, err)
			}
			must(t, v.CatchUp(ctx))
			must(t, v.Verify(ctx))
			closeViews(t, v)
		}
	})
}

// Given rows of a newer program, then this one answers and does not write.
func TestRowsOfANewerProgram(t *testing.T) {
	t.Parallel()
	onEveryEngine(t, func(t *testing.T, place place) {
		ctx := context.Background()
		g, log, dir := busyDay(), newRecorder(), place(t)
		log.record(t, g.facts...)
		v := caughtUpViews(t, dir, log)
		reregister(t, v, "99.1-00")
		closeViews(t, v)
		v = openViews(t, dir, log)
		defer closeViews(t, v)
		n := len(g.facts)
		g.at("19:00").sign("25900", 2, 90, "p_head_25900")
		log.record(t, g.facts[n:]...)
		if err := v.CatchUp(ctx); !errors.Is(err, ErrNewer) {
			t.Errorf("wrote: %v", err)
		}
		if err := v.followInBatches(ctx, func() int { return 100 }); !errors.Is(err, ErrNewer) {
			t.Errorf("wrote: %v", err)
		}
		if s := standing("25900")(t, v, nil); s != "on_time v2 superseded" {
			t.Errorf("answers %q", s)
		}
	})
}

func TestVersions(t *testing.T) {
	t.Parallel()
	own, err := fingerprint(sqliteDialect{})
	must(t, err)
	if v := versionOf(own); v.fold != foldVersion || v.schemas < 48 {
		t.Errorf("%s is read as %v", own, v)
	}
	for _, x := range []struct {
		fingerprint string
		newer       bool
	}{{own, false}, {"0123", false}, {"1.999-00", false}, {"2.1-00", false}, {"3.1-00", false}, {"3.999-00", true}, {"4.1-00", true}} {
		if versionOf(x.fingerprint).newer(versionOf(own)) != x.newer {
			t.Errorf("%s newer than %s: want %t", x.fingerprint, own, x.newer)
		}
	}
}

// Every column and table that came later is declared, and nothing else than what there is.
func TestDeclaredChanges(t *testing.T) {
	t.Parallel()
	all, err := declarations(version{}, version{fold: foldVersion})
	must(t, err)
	byName := map[string]table{}
	for _, x := range tables {
		byName[x.Name] = x
		if x.Since > 0 && !slices.ContainsFunc(all, func(d declaration) bool { return d.covers(x.Name, "", "") && d.Fold == x.Since }) {
			t.Errorf("table %s came with fold version %d and is not declared", x.Name, x.Since)
		}
		for _, c := range x.Columns {
			declared := false
			for _, d := range all {
				declared = declared || d.covers(x.Name, c.Name, "") && d.Fold == c.Since
			}
			if c.Since > 0 && !declared {
				t.Errorf("%s.%s came with fold version %d and is not declared", x.Name, c.Name, c.Since)
			}
		}
	}
	for _, d := range all {
		if byName[d.View].Name == "" || d.What.Vi == "" || d.What.En == "" || d.Fold < 2 || d.Fold > foldVersion {
			t.Errorf("declaration %+v", d)
		}
	}
	some := declaration{View: "obligation", Column: "history", Field: "figures.installed"}
	for field, want := range map[string]bool{"figures.installed": true, "figures.installed.x": true, "figures": false, "figures.installedx": false, "": false} {
		if some.covers("obligation", "history", field) != want || some.covers("day", "history", field) || some.covers("obligation", "compliance", field) {
			t.Errorf("%q: covered %t", field, !want)
		}
	}
	if f := withoutPlaces("history[12].figures.installed", "history"); f != "figures.installed" {
		t.Errorf("field %q", f)
	}
}

// The live rows go on while new ones are made, in whatever phase.
func TestTheLiveRowsGoOn(t *testing.T) {
	t.Parallel()
	onEveryEngine(t, func(t *testing.T, place place) {
		ctx := context.Background()
		g, log := busyDay(), newRecorder()
		log.record(t, g.facts...)
		v := caughtUpViews(t, place(t), log)
		defer closeViews(t, v)
		stop := running(t, v)
		defer stop()
		var phases []string
		version := 2
		_, err := v.RebuildWith(ctx, RebuildOptions{Progress: func(p Progress) {
			if len(phases) > 0 && phases[len(phases)-1] == p.Phase {
				return
			}
			phases = append(phases, p.Phase)
			if p.Phase == "done" {
				return
			}
			n := len(g.facts)
			version++
			g.at("20:00").correct("25900", version, int64(version))
			log.record(t, g.facts[n:]...)
			head, err := log.Head(ctx)
			must(t, err)
			must(t, v.WaitFor(ctx, head))
		}})
		must(t, err)
		if d := cmp.Diff([]string{"read", "compare", "write", "index", "catch up", "switch", "done"}, phases); d != "" {
			t.Error(d)
		}
		head, err := log.Head(ctx)
		must(t, err)
		if v.Position().Compare(head) < 0 {
			t.Errorf("went back to %s, the live rows stood at %s", v.Position(), head)
		}
		must(t, v.Verify(ctx))
	})
}

// A rebuild that is cancelled leaves nothing, whatever it was doing.
func TestARebuildIsCancelled(t *testing.T) {
	t.Parallel()
	onEveryEngine(t, func(t *testing.T, place place) {
		log, dir := newRecorder(), place(t)
		log.record(t, busyDay().facts...)
		v := caughtUpViews(t, dir, log)
		defer closeViews(t, v)
		n := v.current.n
		for _, phase := range []string{"read", "compare", "write", "index", "catch up", "switch"} {
			_, err := v.RebuildWith(context.Background(), RebuildOptions{Progress: func(p Progress) {
				if p.Phase == phase {
					v.CancelRebuild()
				}
			}})
			if s, _ := v.RebuildStatus(); !errors.Is(err, context.Canceled) || s.State != "cancelled" {
				t.Errorf("%s: %v, %+v", phase, err, s)
			}
			for _, state := range []string{stateBuilding, stateWritten} {
				if left, err := v.store.open(context.Background(), state); left != nil || err != nil {
					t.Errorf("%s: left generation %+v, %v", phase, left, err)
				}
			}
			if v.current.n != n {
				t.Fatalf("%s: switched", phase)
			}
		}
		must(t, v.Verify(context.Background()))
		must(t, v.StartRebuild(RebuildOptions{}))
		if s := untilRebuilt(t, v); s.State != "done" || v.current.n == n {
			t.Errorf("%+v", s)
		}
	})
}

// An event that cannot be applied stops a rebuild and is shown; what was parked before may stay so when that is asked for.
func TestAPoisonedEventStopsARebuild(t *testing.T) {
	t.Parallel()
	onEveryEngine(t, func(t *testing.T, place place) {
		ctx := context.Background()
		g, log := busyDay(), newRecorder()
		log.record(t, g.facts...)
		g.at("20:00").unreadable(t, log, key("25900").Stream())
		v := caughtUpViews(t, place(t), log)
		defer closeViews(t, v)
		n := v.current.n
		_, err := v.RebuildWith(ctx, RebuildOptions{})
		if s, _ := v.RebuildStatus(); err == nil || !strings.Contains(err.Error(), key("25900").Stream()) || s.State != "refused" || !strings.Contains(s.Error, "ReportAnnotated") || v.current.n != n {
			t.Errorf("%v, %+v", err, s)
		}
		if found, err := v.RebuildWith(ctx, RebuildOptions{Parked: true}); err != nil || found.Undeclared != 0 || v.current.n == n {
			t.Errorf("%+v, %v", found, err)
		}
		must(t, v.Verify(ctx))
	})
}

// Two processes on one place: one leads, the other rebuilds, and the one that leads goes on with the new rows.
func TestAnotherProcessRebuilds(t *testing.T) {
	t.Parallel()
	onEveryEngine(t, func(t *testing.T, place place) {
		ctx := context.Background()
		g, log, dir := busyDay(), newRecorder(), place(t)
		log.record(t, g.facts...)
		one := caughtUpViews(t, dir, log)
		defer closeViews(t, one)
		stop := running(t, one)
		defer stop()
		other := openViews(t, dir, log)
		defer closeViews(t, other)
		version := 2
		for range 3 {
			_, err := other.RebuildWith(ctx, RebuildOptions{})
			must(t, err)
			version++
			n := len(g.facts)
			g.at("20:00").correct("25900", version, int64(version))
			log.record(t, g.facts[n:]...)
			head, err := log.Head(ctx)
			must(t, err)
			must(t, one.WaitFor(ctx, head))
			must(t, one.Verify(ctx))
		}
		must(t, other.Undo(ctx))
		n := len(g.facts)
		g.at("21:00").correct("25900", version+1, 7)
		log.record(t, g.facts[n:]...)
		head, err := log.Head(ctx)
		must(t, err)
		must(t, one.WaitFor(ctx, head))
		must(t, one.Verify(ctx))
	})
}

// A second rebuild beside one that goes on is refused, in the same process and on SQLite in another.
func TestOneRebuildAtATime(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	log, dir := newRecorder(), t.TempDir()
	log.record(t, busyDay().facts...)
	v := caughtUpViews(t, dir, log)
	defer closeViews(t, v)
	var here, there error
	_, err := v.RebuildWith(ctx, RebuildOptions{Progress: func(p Progress) {
		if p.Phase == "write" && here == nil {
			_, here = v.RebuildWith(ctx, RebuildOptions{})
			other := openViews(t, dir, log)
			_, there = other.RebuildWith(ctx, RebuildOptions{})
			closeViews(t, other)
		}
	}})
	must(t, err)
	if !errors.Is(here, ErrRebuilding) || !errors.Is(there, ErrRebuilding) {
		t.Errorf("here %v, there %v", here, there)
	}
	must(t, v.Verify(ctx))
}

// fullStore makes generations that have no room: for the pages of the large table, or for what SQLite itself writes, whose
// own limit of pages fails as a full disk does.
type fullStore struct {
	store
	pages bool
}

func (s fullStore) begin(ctx context.Context, fingerprint string) (*generation, error) {
	g, err := s.store.begin(ctx, fingerprint)
	if err != nil {
		return nil, err
	}
	fills := g.fills
	g.fills = nil
	if s.pages {
		g.fills = func(ctx context.Context, t table, encoders int) (bulkWriter, error) {
			to, err := fills(ctx, t, encoders)
			return fullWriter{to}, err
		}
		return g, nil
	}
	g.write.SetMaxIdleConns(1) // the limit is the connection's
	_, err = g.write.ExecContext(ctx, `PRAGMA max_page_count = 40`)
	return g, err
}

type fullWriter struct{ bulkWriter }

func (fullWriter) write(rows, func(int) error) error {
	return &os.PathError{Op: "write", Err: syscall.ENOSPC}
}

// A disk that is full ends a rebuild; the live rows answer and follow, and when there is room it is done.
func TestADiskThatIsFull(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	log := newRecorder()
	l := &load{clock: time.Date(2020, 12, 1, 0, 0, 0, 0, time.UTC), next: map[string]uint64{}, max: 6000, facts: func(f domain.Fact) { log.record(t, f) }}
	l.write()
	v := caughtUpViews(t, t.TempDir(), log)
	defer closeViews(t, v)
	whole := v.store
	for _, pages := range []bool{false, true} {
		through(v, fullStore{whole, pages})
		if _, err := v.RebuildWith(ctx, RebuildOptions{}); !errors.Is(err, ErrFull) {
			t.Fatalf("pages %v: %v", pages, err)
		}
		v.store = whole
		if left, err := v.store.open(ctx, stateBuilding); left != nil || err != nil {
			t.Errorf("pages %v: left %+v, %v", pages, left, err)
		}
	}
	must(t, v.Verify(ctx))
	_, err := v.RebuildWith(ctx, RebuildOptions{})
	must(t, err)
	must(t, v.Verify(ctx))
}

// slowFromNowOn has the reads of a process take long.
func slowFromNowOn(v *Views) {
	later := time.Now().Add(4 * time.Minute)
	for quarter := range 4 { // of this second and of the next ones
		for range 100 {
			v.reads.Note(later.Add(time.Duration(quarter)*time.Second/4), 64*time.Millisecond)
		}
	}
}

// A rebuild waits while reads are slow, and says so.
func TestARebuildGivesWay(t *testing.T) {
	t.Parallel()
	log := newRecorder()
	log.record(t, busyDay().facts...)
	v := caughtUpViews(t, t.TempDir(), log)
	defer closeViews(t, v)
	slowFromNowOn(v)
	var paused float64
	_, err := v.RebuildWith(t.Context(), RebuildOptions{Progress: func(p Progress) { paused = p.Paused }})
	if must(t, err); paused == 0 {
		t.Error("a rebuild did not wait, or did not say so")
	}
}
