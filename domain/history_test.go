package domain_test

import (
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/domain/domaintest"
)

// drawn lets rapid make the choices of a world and its attempts, so that a failing history shrinks.
type drawn struct{ t *rapid.T }

func (d drawn) IntN(n int) int { return rapid.IntRange(0, n-1).Draw(d.t, "choice") }

// everyHistory plays random attempts in random worlds and calls after following each one.
func everyHistory(t *testing.T, after func(t *rapid.T, l *domaintest.Ledger, a domaintest.Attempt, recorded []domain.Fact)) {
	t.Helper()
	rapid.Check(t, func(t *rapid.T) {
		s := drawn{t}
		w := domaintest.NewWorld(s, domaintest.Size{Districts: 1 + s.IntN(2), Communes: 1 + s.IntN(2), Days: 1 + s.IntN(2)})
		l := domaintest.NewLedger(w)
		for _, a := range w.Attempts(s, s.IntN(60)) {
			recorded, err := l.Try(a)
			if err != nil && len(recorded) > 0 {
				t.Fatalf("%s was refused and recorded: %v", a.Act, err)
			}
			after(t, l, a, recorded)
		}
	})
}

// TestRulesHoldInEveryHistory re-derives rules 1 to 16 from the facts of random histories; domaintest.Check says how.
func TestRulesHoldInEveryHistory(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := drawn{t}
		w := domaintest.NewWorld(s, domaintest.Size{Districts: 1 + s.IntN(2), Communes: 1 + s.IntN(3), Days: 1 + s.IntN(3)})
		l := domaintest.NewLedger(w)
		l.Play(w.Attempts(s, s.IntN(120)))
		if err := domaintest.Check(l.Facts); err != nil {
			t.Fatal(err)
		}
	})
}

// TestRulesHoldInLongHistories does the same with more people for longer, from fixed seeds.
func TestRulesHoldInLongHistories(t *testing.T) {
	t.Parallel()
	seen := map[string]int{}
	for seed := range uint64(30) {
		s := domaintest.Seeded(seed)
		w := domaintest.NewWorld(s, domaintest.Size{Districts: 2, Communes: 3, Bodies: 2, Days: 4})
		l := domaintest.NewLedger(w)
		l.Play(w.Attempts(s, 600))
		if err := domaintest.Check(l.Facts); err != nil {
			t.Errorf("seed %d: %v", seed, err)
		}
		for _, f := range l.Facts {
			seen[f.Event.Kind()]++
		}
	}
	// A generator that no longer reaches a fact tests nothing about it.
	for _, kind := range []string{"DayOpened", "DayClosed", "ReportIssued", "ReportSubmitted", "ReportCorrected", "ReportReturned", "ReportSignedOff",
		"DeadlineBreached", "BreachWithdrawn", "BreachExplained", "BreachExcused", "BreachUpheld", "ReminderSent", "DeadlineExtended", "DayExempted",
		"RegimeAmended", "OfficeTaken", "OfficeLeft", "AuthorityGranted", "AuthorityRevoked", "TargetJudged", "UnitMoved"} {
		if seen[kind] == 0 {
			t.Errorf("no %s in 30 histories", kind)
		}
	}
}

// TestCountsCoverEveryObligation: on time + late + missing + exempt + due = obligations, at any time (rule 4), and nothing is
// due any more when the day is closed.
func TestCountsCoverEveryObligation(t *testing.T) {
	t.Parallel()
	everyHistory(t, func(t *rapid.T, l *domaintest.Ledger, a domaintest.Attempt, _ []domain.Fact) {
		for d, day := range l.Days {
			n, due := l.Counts(d), 0
			for _, o := range day.Obligations(l.Regime) {
				if l.Report(o.Key).Status(o.Exempt != nil) == domain.StatusDue {
					due++
				}
			}
			if n.OnTime+n.Late+n.Missing+n.Exempt+due != n.Obligations || day.Closed != nil && due > 0 {
				t.Fatalf("after %s: %+v and %d due", a.Act, n, due)
			}
		}
	})
}

// TestTimelinessNeverMoves, whatever happens after the first version (rules 2 and 5).
func TestTimelinessNeverMoves(t *testing.T) {
	t.Parallel()
	judged := map[*domaintest.Ledger]map[domain.ReportKey]domain.Timeliness{}
	everyHistory(t, func(t *rapid.T, l *domaintest.Ledger, a domaintest.Attempt, _ []domain.Fact) {
		if judged[l] == nil {
			clear(judged)
			judged[l] = map[domain.ReportKey]domain.Timeliness{}
		}
		for k, r := range l.Reports {
			was, ok := judged[l][k]
			if ok && r.Timeliness != was {
				t.Fatalf("%s moved %s from %s to %s", a.Act, k.Stream(), was, r.Timeliness)
			}
			if r.Timeliness != "" {
				judged[l][k] = r.Timeliness
			}
		}
	})
}

// TestCloseIsIdempotent: asked again at once, or by a second scheduler, it records nothing more (rule 3).
func TestCloseIsIdempotent(t *testing.T) {
	t.Parallel()
	everyHistory(t, func(t *rapid.T, l *domaintest.Ledger, a domaintest.Attempt, _ []domain.Fact) {
		if a.Act != domaintest.Close {
			return
		}
		for _, o := range l.Days[a.Key.Date].Obligations(l.Regime) {
			if again := l.Report(o.Key).Close(o, a.Recorded); len(again) > 0 {
				t.Fatalf("%s closed again: %v", o.Key.Stream(), again)
			}
		}
	})
}

// TestSuccessionDoesNotRewrite: who answered for a version when its time had come answers for it for ever (rule 8).
func TestSuccessionDoesNotRewrite(t *testing.T) {
	t.Parallel()
	type figure struct {
		key     domain.ReportKey
		version int
	}
	answerable := map[*domaintest.Ledger]map[figure]domain.PersonID{}
	everyHistory(t, func(t *rapid.T, l *domaintest.Ledger, a domaintest.Attempt, _ []domain.Fact) {
		if answerable[l] == nil {
			clear(answerable)
			answerable[l] = map[figure]domain.PersonID{}
		}
		for k, r := range l.Reports {
			o, err := l.Days[k.Date].Obligation(l.Regime, k)
			if err != nil {
				t.Fatal(err)
			}
			for _, v := range r.Versions {
				if !a.Recorded.After(o.Due) || !a.Recorded.After(v.FiguresAt) { // the office may still change hands at that instant
					continue
				}
				who, _ := domain.Answerable(l.Offices[k.Unit], v, o.Due)
				f := figure{k, v.Number}
				if was, ok := answerable[l][f]; ok && was != who.Person {
					t.Fatalf("%s moved %s version %d from %q to %q", a.Act, k.Stream(), v.Number, was, who.Person)
				}
				answerable[l][f] = who.Person
			}
		}
	})
}

// TestSignOffIsOfTheNewestVersion only (rule 6).
func TestSignOffIsOfTheNewestVersion(t *testing.T) {
	t.Parallel()
	everyHistory(t, func(t *rapid.T, l *domaintest.Ledger, a domaintest.Attempt, recorded []domain.Fact) {
		for k, r := range l.Reports {
			v, filed := r.Newest()
			signed := filed && slices.ContainsFunc(r.SignOffs, func(s domain.SignOff) bool { return s.Version == v.Number && s.Digest == v.Digest })
			if r.Signed() != signed {
				t.Fatalf("after %s %s is signed: %v", a.Act, k.Stream(), r.Signed())
			}
		}
		for _, f := range recorded { // a sign-off is added to, never taken from
			if k, ok := domain.ParseReportStream(f.Stream); ok && f.Event.Kind() == "ReportCorrected" && l.Report(k).Signed() {
				t.Fatalf("%s is signed at once after its correction", f.Stream)
			}
		}
	})
}

// TestOutOfDateMarks: a consolidated report is out of date exactly for the children that changed since (rule 9).
func TestOutOfDateMarks(t *testing.T) {
	t.Parallel()
	everyHistory(t, func(t *rapid.T, l *domaintest.Ledger, _ domaintest.Attempt, _ []domain.Fact) {
		for k, r := range l.Reports {
			v, ok := r.Newest()
			if !ok || k.Form != domaintest.District {
				continue
			}
			newest := map[domain.UnitCode]int{}
			var want []domain.UnitCode
			for child, c := range l.Reports {
				if child.Form != domaintest.Commune || child.Date != k.Date {
					continue
				}
				newest[child.Unit] = len(c.Versions)
				pinned := slices.ContainsFunc(v.Content.Children, func(p domain.ChildPin) bool { return p.Unit == child.Unit && p.Version < len(c.Versions) })
				if pinned || slices.Contains(v.Missing, child.Unit) && len(c.Versions) > 0 {
					want = append(want, child.Unit)
				}
			}
			slices.Sort(want)
			if got := domain.OutOfDate(v.Content.Children, v.Missing, newest); !slices.Equal(got, want) {
				t.Fatalf("%s: %v, want %v", k.Stream(), got, want)
			}
		}
	})
}

// TestOneSeedGivesOneHistory: the generator keeps its promise, and so do decisions and folds (the package's promise).
func TestOneSeedGivesOneHistory(t *testing.T) {
	t.Parallel()
	play := func() []domain.Fact {
		s := domaintest.Seeded(42)
		w := domaintest.NewWorld(s, domaintest.Size{Districts: 2, Communes: 2, Days: 2})
		l := domaintest.NewLedger(w)
		l.Play(w.Attempts(s, 300))
		return l.Facts
	}
	if d := cmp.Diff(play(), play()); d != "" {
		t.Error(d)
	}
}

// TestFoldTakesAnyFacts: every state takes any facts in any order without a panic; what was recorded is never refused.
func TestFoldTakesAnyFacts(t *testing.T) {
	t.Parallel()
	s := domaintest.Seeded(7)
	w := domaintest.NewWorld(s, domaintest.Size{Districts: 2, Communes: 2, Bodies: 2, Days: 2})
	l := domaintest.NewLedger(w)
	l.Play(w.Attempts(s, 800))
	all := l.Facts
	for _, e := range []domain.Event{domain.UnitRenamed{Unit: "1", Name: "a"}, domain.UnitReclassified{}, domain.UnitMerged{}, domain.UnitDissolved{},
		domain.RoleRevoked{}, domain.CredentialEnrolled{}, domain.CredentialRevoked{}, domain.SignInMethodSet{}, domain.SignInMethodEnded{}, domain.RegimeClosed{}, domain.RegimeAmended{Rules: domain.Rules{Zone: "Nowhere"}},
		domain.DayOpened{Duties: []domain.DayDuty{{}, {Groups: []domain.DutyGroup{{}}}}}, domain.ReportCorrected{Correction: domain.CorrectionErratum}, domain.TargetJudged{}} {
		all = append(all, domain.Fact{Event: e})
	}
	rapid.Check(t, func(t *rapid.T) {
		order := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "order"), 0)).Perm(len(all))[:rapid.IntRange(1, 120).Draw(t, "facts")]
		var regime domain.Regime
		var day domain.Day
		var unit domain.Unit
		var office domain.Office
		var person domain.Person
		var report domain.Report
		var results domain.Results
		for _, i := range order {
			f := all[i]
			regime, day, unit, office = regime.Apply(f), day.Apply(f), unit.Apply(f), office.Apply(f)
			person, report, results = person.Apply(f), report.Apply(f), results.Apply(f)
			// What views and decisions ask of a state must not panic either.
			for _, o := range day.Obligations(regime) {
				report.Close(o, f.RecordedAt)
				report.Status(o.Exempt != nil)
			}
			regime.Rules()
			unit.On("2021-02-08")
			office.HeadAt(f.RecordedAt)
			person.ActorAt(f.RecordedAt)
			report.SignOffState()
			if v, ok := report.Newest(); ok {
				domain.Answerable(office, v, f.RecordedAt)
			}
		}
	})
}

// TestStatesAreValues: two facts applied to one state do not see each other, and the state does not change. A state that
// two readers share may be folded on by both.
func TestStatesAreValues(t *testing.T) {
	t.Parallel()
	s := domaintest.Seeded(11)
	w := domaintest.NewWorld(s, domaintest.Size{Communes: 2, Days: 2})
	l := domaintest.NewLedger(w)
	l.Play(w.Attempts(s, 500))
	streams := map[string][]domain.Fact{}
	for _, f := range l.Facts {
		streams[f.Stream] = append(streams[f.Stream], f)
	}
	fork(t, domain.Report{}, streams)
	fork(t, domain.Regime{}, streams)
	fork(t, domain.Day{}, streams)
	fork(t, domain.Unit{}, streams)
	fork(t, domain.Office{}, streams)
	fork(t, domain.Person{}, streams)
	fork(t, domain.Results{}, streams)
}

// fork folds each stream and, after every fact, folds some other fact onto the same state.
func fork[S folds[S]](t *testing.T, zero S, streams map[string][]domain.Fact) {
	t.Helper()
	exported := cmp.Exporter(func(reflect.Type) bool { return true })
	for _, name := range slices.Sorted(maps.Keys(streams)) {
		stream := streams[name]
		state, again := zero, zero
		for i, f := range stream {
			state.Apply(stream[(i+1)%len(stream)]) // a reader elsewhere goes on from the same state
			state = state.Apply(f)
			again = zero
			for _, g := range stream[:i+1] {
				again = again.Apply(g)
			}
			if d := cmp.Diff(again, state, exported); d != "" {
				t.Fatalf("%s after %d facts:\n%s", name, i+1, d)
			}
		}
	}
}
