package projections

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"pgregory.net/rapid"

	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/eventlog"
	"github.com/answerable-ledger/answerable/schemas"
)

// A day of two communes with something of everything.
func busyDay() *given {
	return openDay().at("14:00").submit("25900", 100, nil).at("14:10").sign("25900", 1, 100, "p_head_25900").at("15:05").breach("25945", domain.BreachMissing).
		at("15:30").submit("718", 100, []domain.UnitCode{"25945"}, pin("25900", 1, 100)).at("17:00").correct("25900", 2, 90).at("18:00").submit("25945", 50, nil)
}

// The runner follows what is there and what comes, and a waiting reader sees its own writes.
func TestRunFollowsAndWakes(t *testing.T) {
	t.Parallel()
	onEveryEngine(t, runFollowsAndWakes)
}

func runFollowsAndWakes(t *testing.T, place place) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	g, log := busyDay(), newRecorder()
	half := len(g.facts) / 2
	log.record(t, g.facts[:half]...)
	v := openViews(t, place(t), log, func(c *Config) { c.Metrics, c.BatchSize = prometheus.NewRegistry(), 3 })
	ended := make(chan error, 1)
	go func() { ended <- v.Run(ctx) }()
	for _, f := range g.facts[half:] {
		log.record(t, f)
		at, err := log.Head(ctx)
		must(t, err)
		must(t, v.WaitFor(ctx, at))
		if v.Position().Compare(at) < 0 {
			t.Fatalf("woken at %s, waited for %s", v.Position(), at)
		}
	}
	lag, err := v.Lag(ctx)
	must(t, err)
	if lag.Events != 0 || lag.Seconds != 0 || lag.Place != lag.HeadAt {
		t.Errorf("lag %+v", lag)
	}
	must(t, v.Verify(ctx))
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("ended with %v", err)
	}
	short, stop := context.WithCancel(context.Background())
	stop()
	if err := v.WaitFor(short, eventlog.Position{Commit: 1 << 40, Prepare: 1 << 40}); !errors.Is(err, context.Canceled) {
		t.Errorf("waited with %v", err)
	}
	closeViews(t, v)
}

// A process may end after any batch: the next goes on from the position, and the rows are the same.
func TestRestartAtAnyPointGoesOn(t *testing.T) {
	propertyOnEveryEngine(t, func(t *rapid.T, place place) {
		ctx := context.Background()
		ledger, log, dir := history(t), newRecorder(), place(t)
		rest := ledger.Facts
		for len(rest) > 0 {
			n := rapid.IntRange(1, len(rest)).Draw(t, "recorded")
			log.record(t, rest[:n]...)
			rest = rest[n:]
			v := openViews(t, dir, log)
			if rapid.Bool().Draw(t, "router") {
				must(t, v.CatchUp(ctx))
			} else {
				must(t, v.followInBatches(ctx, func() int { return 10 }))
			}
			if len(rest) == 0 {
				must(t, v.Verify(ctx))
				agreesWithDomain(t, v, ledger)
			}
			closeViews(t, v)
		}
	})
}

func (v *Views) steps(t failer, after eventlog.Position) []step {
	t.Helper()
	var out []step
	must(t, follow(context.Background(), v.config.Log, after, 1000, 1, func(b batch) bool {
		out = append(out, b.steps...)
		return !b.caughtUp
	}))
	return out
}

// Rows and position move together or not at all, wherever the database fails.
func TestRowsAndPositionMoveTogether(t *testing.T) {
	t.Parallel()
	onEveryEngine(t, rowsAndPositionMoveTogether)
}

func rowsAndPositionMoveTogether(t *testing.T, place place) {
	ctx := context.Background()
	g, log := busyDay(), newRecorder()
	log.record(t, g.facts...)
	for _, broken := range []string{"obligation", "position", "breach", "signoff", "unit"} {
		t.Run(broken, func(t *testing.T) {
			t.Parallel()
			v := openViews(t, place(t), log)
			defer closeViews(t, v)
			steps := v.steps(t, eventlog.Position{})
			must(t, v.applyBatch(ctx, batch{steps: steps[:14]}))
			before, at := dump(t, v), v.Position()
			mend := breakTable(t, v.current, broken)
			rest := steps[14:]
			if broken == "unit" {
				log := newRecorder()
				log.record(t, g.facts...)
				log.record(t, g.fact(domain.UnitStream("25900"), "p_dept", domain.UnitRenamed{Unit: "25900", Name: "Tân Bình 2", EffectiveOn: today, Basis: "NQ"}).facts[len(g.facts)-1])
				v.config.Log = log
				rest = v.steps(t, at)
			}
			err := v.applyBatch(ctx, batch{steps: rest})
			if err == nil || !strings.Contains(err.Error(), "broken") {
				t.Fatalf("applied to a broken table: %v", err)
			}
			if d := cmp.Diff(before, dump(t, v)); d != "" || v.Position() != at {
				t.Fatalf("something moved, to %s:\n%s", v.Position(), d)
			}
			mend()
			must(t, v.applyBatch(ctx, batch{steps: rest}))
			must(t, v.Verify(ctx))
		})
	}
}

// breakTable makes a table refuse every change until it is mended.
func breakTable(t *testing.T, g *generation, table string) (mend func()) {
	t.Helper()
	do := func(statement string) {
		t.Helper()
		_, err := g.write.Exec(g.sql(statement))
		must(t, err)
	}
	if _, ok := g.dialect.(postgresDialect); ok {
		do(`CREATE FUNCTION broken() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''broken''; END'`)
		do("CREATE TRIGGER fail BEFORE INSERT OR UPDATE OR DELETE ON {" + table + "} FOR EACH ROW EXECUTE FUNCTION broken()")
		return func() { do("DROP TRIGGER fail ON {" + table + "}") }
	}
	for _, when := range []string{"INSERT", "UPDATE", "DELETE"} {
		do("CREATE TRIGGER fail_" + when + " BEFORE " + when + " ON {" + table + "} BEGIN SELECT RAISE(ABORT, 'broken'); END")
	}
	return func() {
		for _, when := range []string{"INSERT", "UPDATE", "DELETE"} {
			do("DROP TRIGGER fail_" + when)
		}
	}
}

// Two runners on the same views: the position's compare-and-set stops the one that comes second, and nothing of it stays.
func TestTheSecondRunnerIsFenced(t *testing.T) {
	t.Parallel()
	onEveryEngine(t, theSecondRunnerIsFenced)
}

func theSecondRunnerIsFenced(t *testing.T, place place) {
	ctx := context.Background()
	dir, g, log := place(t), busyDay(), newRecorder()
	log.record(t, g.facts...)
	first := openViews(t, dir, log)
	defer closeViews(t, first)
	steps := first.steps(t, eventlog.Position{})
	first.apply.Lock()
	first.leading = true // it believes to be the only one, and does not look at what others do
	first.apply.Unlock()
	must(t, first.applyBatch(ctx, batch{steps: steps[:10]}))
	second := openViews(t, dir, log)
	defer closeViews(t, second)
	must(t, second.applyBatch(ctx, batch{steps: steps[:15]}))
	if err := first.applyBatch(ctx, batch{steps: steps[:20]}); !errors.Is(err, ErrFenced) {
		t.Fatalf("the first runner: %v", err)
	}
	if err := first.applyBatch(ctx, batch{steps: steps[:20]}); !errors.Is(err, ErrFenced) { // and again, with nothing in memory
		t.Fatalf("the first runner again: %v", err)
	}
	must(t, second.Verify(ctx))
	must(t, second.applyBatch(ctx, batch{steps: steps}))
	must(t, second.Verify(ctx))
}

// unreadable is an event of a kind that this program does not know, at the end of a stream.
func (g *given) unreadable(t failer, r *recorder, stream string) {
	t.Helper()
	g.fact(stream, domain.System, domain.BreachWithdrawn{Breach: domain.BreachLate, Reason: "x", ReceivedAt: g.now})
	f := g.facts[len(g.facts)-1]
	s, err := schemas.Encode(f)
	must(t, err)
	r.append(t, f, eventlog.Proposed{ID: s.ID, Kind: "ReportAnnotated", Data: s.Data, Meta: s.Meta})
}

// An event that cannot be applied parks its stream. Its unit is not determinable from then on, the rest goes on, a rebuild
// stops and names the event.
func TestAPoisonedEventParksItsStream(t *testing.T) {
	t.Parallel()
	onEveryEngine(t, aPoisonedEventParksItsStream)
}

func aPoisonedEventParksItsStream(t *testing.T, place place) {
	ctx := context.Background()
	g, log := openDay(), newRecorder()
	log.record(t, g.facts...)
	g.at("14:00").submit("25900", 100, nil).submit("25945", 50, nil)
	log.record(t, g.facts[len(g.facts)-2:]...)
	g.at("14:30").unreadable(t, log, key("25900").Stream())
	n := len(g.facts)
	g.at("14:40").correct("25900", 2, 90).correct("25945", 2, 40)
	g.at("15:30").submit("718", 130, nil, pin("25900", 2, 90), pin("25945", 2, 40))
	log.record(t, g.facts[n:]...)
	v := openViews(t, place(t), log)
	defer closeViews(t, v)
	must(t, v.followInBatches(ctx, func() int { return 1000 }))

	parked, err := v.Parked(ctx)
	must(t, err)
	if len(parked) != 1 || parked[0].Unit != "25900" || parked[0].Revision != 1 || parked[0].Waiting != 1 || parked[0].Kind != "ReportAnnotated" || !strings.Contains(parked[0].Error, "not known") {
		t.Fatalf("parked %+v", parked)
	}
	early := clock("14:10")
	for _, x := range []struct {
		view  shown
		known *time.Time
		want  string
	}{
		{standing("25900"), nil, "on_time v1 waiting NOT DETERMINABLE"}, {standing("25900"), &early, "on_time v1 waiting"}, {standing("25945"), nil, "on_time v2 waiting"},
		{total("commune", "718"), nil, "40 of 1 units of 1, missing [], not determinable [25900]"}, {standing("718"), nil, "on_time v1 waiting"},
	} {
		if have := x.view(t, v, x.known); have != x.want {
			t.Errorf("%q, want %q", have, x.want)
		}
	}
	board, err := v.Board(ctx, BoardQuery{Regime: "bluezone", Date: today})
	must(t, err)
	if b := board.Total; b.NotDeterminable != 1 || b.OnTime != 2 || b.Obligations != 3 {
		t.Errorf("never compliant: %+v", b)
	}
	h, err := v.History(ctx, HistoryQuery{Regime: "bluezone", Unit: "25900", Date: today})
	must(t, err)
	if h.Determinable || len(h.Reports[0].Versions) != 1 {
		t.Errorf("history %+v", h)
	}
	must(t, v.Verify(ctx))
	if err := v.Rebuild(ctx, nil); err == nil || !strings.Contains(err.Error(), parked[0].EventID) || !strings.Contains(err.Error(), key("25900").Stream()) {
		t.Errorf("a rebuild must stop and name the event: %v", err)
	}
	if n, err := v.RetryParked(ctx); n != 0 || err != nil {
		t.Errorf("nothing was mended, and %d were drained: %v", n, err)
	}
	must(t, v.Verify(ctx))
}

// What an earlier program parked is applied by one that can, and then nothing is left of it.
func TestRetryDrainsWhatWasParked(t *testing.T) {
	t.Parallel()
	onEveryEngine(t, retryDrainsWhatWasParked)
}

func retryDrainsWhatWasParked(t *testing.T, place place) {
	ctx := context.Background()
	g, log := busyDay(), newRecorder()
	log.record(t, g.facts...)
	v := openViews(t, place(t), log)
	defer closeViews(t, v)
	steps := v.steps(t, eventlog.Position{})
	poisoned := map[string]error{}
	for _, s := range steps {
		if s.recorded.Stream == key("25900").Stream() {
			poisoned[s.recorded.ID.String()] = errors.New("a bug")
		}
	}
	w, err := v.attempt(ctx, v.current, nil, v.position(), steps, poisoned)
	must(t, err)
	v.moved(w.position())
	if have := standing("25900")(t, v, nil); have != "due v0 none NOT DETERMINABLE" {
		t.Errorf("parked: %s", have)
	}
	n, err := v.RetryParked(ctx)
	if n != 1 || err != nil {
		t.Fatalf("drained %d: %v", n, err)
	}
	if have := standing("25900")(t, v, nil); have != "on_time v2 superseded" {
		t.Errorf("drained: %s", have)
	}
	must(t, v.Verify(ctx))
}

// Every stream of the ledger can hold what cannot be applied; what it says of whom is then not determinable.
func TestWhoIsNotDeterminable(t *testing.T) {
	t.Parallel()
	onEveryEngine(t, whoIsNotDeterminable)
}

func whoIsNotDeterminable(t *testing.T, place place) {
	for stream, want := range map[string]string{
		domain.UnitStream("25900"): "25900", domain.OfficeStream("25900"): "25900", domain.ResultStream("bluezone", "25900"): "25900",
		domain.RegimeStream("bluezone"): "25900 25945 718", domain.DayStream("bluezone", today): "25900 25945 718", domain.PersonStream("p_head_25900"): "",
		domain.ReportKey{Regime: "bluezone", Form: "commune", Unit: "25900", Date: "2021-03-01"}.Stream(): "25900",
	} {
		ctx := context.Background()
		g, log := openDay(), newRecorder()
		log.record(t, g.facts...)
		g.at("14:00").unreadable(t, log, stream)
		v := openViews(t, place(t), log)
		must(t, v.CatchUp(ctx))
		p, err := v.Compliance(ctx, ComplianceQuery{Regime: "bluezone"})
		must(t, err)
		var have []string
		for _, r := range p.Rows {
			if !r.Determinable {
				have = append(have, string(r.Unit))
			}
		}
		if strings.Join(have, " ") != want {
			t.Errorf("%s: not determinable %v, want %q", stream, have, want)
		}
		must(t, v.Verify(ctx))
		closeViews(t, v)
	}
}

// Facts that do not fit together are parked, not folded into something.
func TestWhatDoesNotFitIsParked(t *testing.T) {
	t.Parallel()
	onEveryEngine(t, whatDoesNotFitIsParked)
}

func whatDoesNotFitIsParked(t *testing.T, place place) {
	stray := domain.ReportKey{Regime: "bluezone", Form: "commune", Unit: "99999", Date: today}
	for name, g := range map[string]*given{
		"a report nobody owes":            openDay().fact(stray.Stream(), "p", domain.ReportReturned{Version: 1, Reason: "x", ReturnedBy: "p"}),
		"a first version twice":           openDay().at("14:00").submit("25900", 1, nil).submit("25900", 2, nil),
		"a version left out":              openDay().at("14:00").submit("25900", 1, nil).correct("25900", 3, 2),
		"a signature of nothing":          openDay().at("14:00").sign("25900", 1, 1, "p_head_25900"),
		"a day opened twice":              openDay().fact(domain.DayStream("bluezone", today), domain.System, domain.DayOpened{Regime: "bluezone", Date: today}),
		"a day of another stream":         openDay().fact(domain.DayStream("bluezone", "2021-02-09"), domain.System, domain.DayOpened{Regime: "bluezone", Date: "2021-02-10"}),
		"a unit's fact in an office":      openDay().fact(domain.OfficeStream("25900"), "p", domain.UnitDissolved{Unit: "25900", EffectiveOn: today, Basis: "x"}),
		"an office's fact about a person": openDay().fact(domain.PersonStream("p_head_25900"), "p", domain.OfficeLeft{Unit: "25900", Person: "p", Until: clock("14:00"), Reason: "x"}),
	} {
		ctx := context.Background()
		log := newRecorder()
		log.record(t, g.facts...)
		v := openViews(t, place(t), log)
		must(t, v.followInBatches(ctx, func() int { return 1000 }))
		if p, err := v.Parked(ctx); err != nil || len(p) != 1 || p[0].EventID != g.facts[len(g.facts)-1].EventID.String() {
			t.Errorf("%s: parked %+v, %v", name, p, err)
		}
		must(t, v.Verify(ctx))
		closeViews(t, v)
	}
}

// Views of another log, or of more than the log has, are refused, and a rebuild mends them.
func TestViewsAheadOfTheLogAreRefused(t *testing.T) {
	t.Parallel()
	onEveryEngine(t, viewsAheadOfTheLogAreRefused)
}

func viewsAheadOfTheLogAreRefused(t *testing.T, place place) {
	ctx := context.Background()
	dir, g, log := place(t), busyDay(), newRecorder()
	log.record(t, g.facts...)
	v := openViews(t, dir, log)
	must(t, v.CatchUp(ctx))
	path := v.config.Path
	closeViews(t, v)

	restored, other := newRecorder(), newRecorder()
	restored.record(t, g.facts[:len(g.facts)-2]...)
	for _, f := range busyDay().facts {
		f.EventID = uuid.NewSHA1(f.EventID, nil)
		other.record(t, f)
	}
	for name, log := range map[string]*recorder{"restored": restored, "another": other} {
		if _, err := Open(ctx, Config{Path: path, Log: log, Registry: registry(t)}); !errors.Is(err, ErrAhead) || !strings.Contains(err.Error(), "answerable rebuild") {
			t.Errorf("%s log: %v", name, err)
		}
	}
	v = openViews(t, dir, restored, func(c *Config) { c.Mend = true })
	must(t, v.Rebuild(ctx, nil))
	must(t, v.Verify(ctx))
	closeViews(t, v)
	v = openViews(t, dir, restored)
	must(t, v.Verify(ctx))
	closeViews(t, v)
}

// Verify names the view, the unit and the day of what was changed behind its back.
func TestVerifyNamesTheDifference(t *testing.T) {
	t.Parallel()
	onEveryEngine(t, verifyNamesTheDifference)
}

func verifyNamesTheDifference(t *testing.T, place place) {
	ctx := context.Background()
	log := newRecorder()
	log.record(t, busyDay().facts...)
	for change, want := range map[string]Difference{
		`UPDATE {obligation} SET compliance = replace(compliance, 'on_time', 'late') WHERE compliance LIKE '%on_time%' AND parent = 2`: {View: "compliance", Row: "unit 25900, form commune, day 2021-02-08", Column: "compliance"},
		`UPDATE {obligation} SET history = replace(history, ':90', ':91')`:                                                             {View: "history", Row: "unit 25900, form commune, day 2021-02-08", Column: "history"},
		`UPDATE {obligation} SET parent = 7 WHERE parent = 1`:                                                                          {View: "obligation", Row: "unit 718, form district, day 2021-02-08", Column: "parent"},
		`DELETE FROM {breach}`:                       {View: "breach", Row: "unit 25945, form commune, day 2021-02-08", Column: "all"},
		`INSERT INTO {holder} VALUES ('p_x', '718')`: {View: "holder", Row: "p_x 718", Column: "all"},
		`UPDATE {position} SET events = events + 1`:  {View: "position", Row: "position", Column: "all"},
		`UPDATE {unit} SET search = '' WHERE n = 1`:  {View: "unit", Row: "1", Column: "search"},
		`DELETE FROM {signoff} WHERE unit IN (3, 4)`: {View: "signoff", Column: "all"},
		`UPDATE {day} SET closed = 5`:                {View: "day", Row: "1", Column: "closed"},
	} {
		v := openViews(t, place(t), log)
		must(t, v.CatchUp(ctx))
		must(t, v.Verify(ctx))
		_, err := v.current.write.Exec(v.current.sql(change))
		must(t, err)
		var d *Difference
		if err := v.Verify(ctx); !errors.As(err, &d) {
			t.Errorf("%s: %v", change, err)
		} else if d.View != want.View || want.Row != "" && d.Row != want.Row || d.Column != want.Column {
			t.Errorf("%s: %v, want %+v", change, d, want)
		}
		closeViews(t, v)
	}
}

// A reader in another process sees what is applied, and the new generation after a rebuild.
func TestAReaderBesideTheRunner(t *testing.T) {
	t.Parallel()
	onEveryEngine(t, aReaderBesideTheRunner)
}

func aReaderBesideTheRunner(t *testing.T, place place) {
	ctx := context.Background()
	g, log := busyDay(), newRecorder()
	log.record(t, g.facts[:20]...)
	v := openViews(t, place(t), log)
	defer closeViews(t, v)
	must(t, v.CatchUp(ctx))
	r, err := OpenReader(ctx, v.config.Path, registry(t))
	must(t, err)
	defer closeViews(t, r)
	same := func() {
		t.Helper()
		a, err := v.Compliance(ctx, ComplianceQuery{})
		must(t, err)
		b, err := r.Compliance(ctx, ComplianceQuery{})
		must(t, err)
		if d := cmp.Diff(a, b); d != "" {
			t.Error(d)
		}
	}
	same()
	log.record(t, g.facts[20:]...)
	must(t, v.CatchUp(ctx))
	same()
	must(t, v.Rebuild(ctx, nil))
	same()
	if err := r.Run(ctx); !errors.Is(err, ErrReadOnly) {
		t.Errorf("a reader applied: %v", err)
	}
	if _, err := OpenReader(ctx, viewsIn(place(t)), registry(t)); err == nil {
		t.Error("opened what is not there")
	}
}

// The digest of a day is the same in every ledger with the same facts, and changes with any obligation's standing.
func TestDigestOfADay(t *testing.T) {
	t.Parallel()
	onEveryEngine(t, digestOfADay)
}

func digestOfADay(t *testing.T, place place) {
	ctx := context.Background()
	digest := func(g *given) string {
		log := newRecorder()
		log.record(t, g.facts...)
		v := openViews(t, place(t), log)
		defer closeViews(t, v)
		must(t, v.CatchUp(ctx))
		d, at, err := v.Digest(ctx, "bluezone", today)
		must(t, err)
		if at != v.Position() || len(d) != 64 {
			t.Errorf("digest %s at %s", d, at)
		}
		return d
	}
	if digest(busyDay()) != digest(busyDay()) {
		t.Error("the same facts, another digest")
	}
	if digest(busyDay()) == digest(busyDay().at("19:00").sign("25900", 2, 90, "p_head_25900")) {
		t.Error("a signature more, the same digest")
	}
}

// A batch that was refused comes again, the same one, and the next only after it was acknowledged.
func TestTheSubscriberKeepsOrder(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	g, log := busyDay(), newRecorder()
	log.record(t, g.facts...)
	v := openViews(t, t.TempDir(), log, func(c *Config) { c.BatchSize = 4 })
	defer closeViews(t, v)
	s := &subscriber{views: v, once: true, stop: cancel}
	messages, err := s.Subscribe(ctx, "ledger")
	must(t, err)
	var seen []string
	refused := map[string]bool{}
	for m := range messages {
		select {
		case <-messages:
			t.Fatal("a second batch before the first was acknowledged")
		default:
		}
		if !refused[m.UUID] {
			refused[m.UUID] = true
			m.Nack()
			continue
		}
		b := m.Context().Value(batchInContext{}).(batch)
		for _, s := range b.steps {
			seen = append(seen, s.recorded.ID.String())
		}
		m.Ack()
	}
	s.wait.Wait()
	var want []string
	for _, f := range g.facts {
		want = append(want, f.EventID.String())
	}
	if d := cmp.Diff(want, seen); d != "" || !errors.Is(context.Cause(ctx), errCaughtUp) {
		t.Errorf("ended with %v:\n%s", context.Cause(ctx), d)
	}
}

var _ message.Subscriber = (*subscriber)(nil)
