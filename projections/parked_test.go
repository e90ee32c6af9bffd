package projections

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	"pgregory.net/rapid"

	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/eventlog"
	"github.com/answerable-ledger/answerable/schemas"
)

// countedLog counts how often it is read from its beginning.
type countedLog struct {
	*recorder
	reads atomic.Int32
}

func (l *countedLog) Follow(ctx context.Context, after eventlog.Position, f eventlog.Filter, o eventlog.FollowOptions) iter.Seq2[eventlog.Batch, error] {
	if after.IsZero() {
		l.reads.Add(1)
	}
	return l.recorder.Follow(ctx, after, f, o)
}

// poisonedLog is two days of a province, in which events that cannot be applied were put here and there: into streams of
// every category, also ones that nothing else is in, and before events that are fine.
func poisonedLog(t *testing.T, poisons int) (*recorder, map[string]bool) {
	log, bad := newRecorder(), map[string]bool{}
	next := map[string]uint64{}
	put := func(f domain.Fact, kind string) {
		f.Revision = next[f.Stream]
		next[f.Stream]++
		f.EventID = uuid.NewSHA1(uuid.Nil, []byte(f.Stream+" "+strconv.FormatUint(f.Revision, 10)))
		s, err := schemas.Encode(f)
		must(t, err)
		if kind == "" {
			kind = s.Kind
		} else {
			bad[f.EventID.String()] = true
		}
		log.append(t, f, eventlog.Proposed{ID: f.EventID, Kind: kind, Data: s.Data, Meta: s.Meta})
	}
	var facts []domain.Fact
	l := &load{clock: time.Date(2020, 12, 1, 0, 0, 0, 0, time.UTC), next: map[string]uint64{}, max: 6200, facts: func(f domain.Fact) { facts = append(facts, f) }}
	l.write()
	every := len(facts) / (poisons + 1)
	for i, f := range facts {
		put(f, "")
		if i%every != every-1 || len(bad) == poisons {
			continue
		}
		n := len(bad)
		f.CorrelationID = uuid.Nil
		left := domain.OfficeLeft{Unit: "25000", Person: "p", Until: l.clock, Reason: "x"}
		stray := domain.PersonRegistered{Person: "p", Name: "Nguyễn Văn A"}
		switch n % 8 {
		case 0: // where it is: its own stream goes no further
			f.Event = stray
			put(f, "ReportAnnotated")
		case 1:
			f.Stream, f.Event = domain.UnitStream(domain.UnitCode(strconv.Itoa(90000+n))), left
			put(f, left.Kind())
		case 2:
			f.Stream, f.Event = domain.OfficeStream(domain.UnitCode(strconv.Itoa(25000+n))), stray
			put(f, stray.Kind())
		case 3:
			f.Stream, f.Event = domain.PersonStream(domain.PersonID("p_"+strconv.Itoa(n))), left
			put(f, left.Kind())
		case 4:
			f.Stream, f.Event = domain.RegimeStream(domain.RegimeID("r"+strconv.Itoa(n))), stray
			put(f, stray.Kind())
		case 5:
			f.Stream, f.Event = domain.DayStream("load", domain.Date(time.Date(2022, 1, n, 0, 0, 0, 0, time.UTC).Format(time.DateOnly))), domain.DayClosed{Regime: "load", Date: "2022-01-01"}
			put(f, f.Event.Kind())
		case 6: // a report that nobody owes
			f.Stream = domain.ReportKey{Regime: "load", Form: "commune", Unit: domain.UnitCode(strconv.Itoa(80000 + n)), Date: "2021-01-01"}.Stream()
			f.Event = domain.ReportReturned{Version: 1, Digest: "d", Reason: "x", ReturnedBy: "p"}
			put(f, f.Event.Kind())
		case 7: // a signature of a version that is not there
			f.Stream = domain.ReportKey{Regime: "load", Form: "commune", Unit: domain.UnitCode(strconv.Itoa(25000 + n%50)), Date: "2021-01-01"}.Stream()
			f.Event = domain.ReportSignedOff{Version: 9, Digest: "d", Signer: "p_deputy", Capacity: domain.CapacityKT, Title: "PHÓ CHỦ TỊCH"}
			put(f, f.Event.Kind())
		}
	}
	return log, bad
}

// Given a log with 200 events that cannot be applied, then it is folded in one pass, and the rows are those of a fold that
// knows beforehand which to park, and those that the runner makes, batch by batch.
func TestAFoldParksAndGoesOn(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	recorded, bad := poisonedLog(t, 200)
	log := &countedLog{recorder: recorded}
	seen, told := observer.New(zap.ErrorLevel)
	v := openViews(t, t.TempDir(), log, func(c *Config) { c.Logger = zap.New(seen) })
	defer closeViews(t, v)

	w, err := v.foldAll(ctx, eventlog.Position{}, always, nil)
	must(t, err)
	if n := log.reads.Load(); n != 1 {
		t.Errorf("the log was read %d times", n)
	}
	if len(bad) != 200 || len(w.parked) < 150 {
		t.Fatalf("%d events cannot be applied, %d streams are parked", len(bad), len(w.parked))
	}
	known := map[string]error{}
	for _, p := range w.parked {
		if !bad[p.eventID] && !strings.Contains(p.err, errNoObligation.Error()) { // a day or a unit before it was parked
			t.Errorf("parked: %+v", p)
		}
		known[p.eventID] = errors.New(p.err)
	}
	beforehand := newSet(nil)
	must(t, v.foldOnce(ctx, beforehand, eventlog.Position{}, known, nil))
	if d := cmp.Diff(shownSet(t, beforehand), shownSet(t, w)); d != "" {
		t.Errorf("-known beforehand +found on the way:\n%s", d)
	}

	must(t, v.followInBatches(ctx, func() int { return 1000 }))
	must(t, v.Verify(ctx))
	if n := told.FilterMessageSnippet("parking a stream").Len(); n != len(w.parked) {
		t.Errorf("%d streams were parked, %d were told", len(w.parked), n)
	}
	log.reads.Store(0)
	must(t, v.retryParked(ctx))
	must(t, v.Verify(ctx))
	if n := log.reads.Load(); n > 2+1 { // the rebuild's, its look for a hole, and Verify's
		t.Errorf("the log was read %d times", n)
	}
}

// Given a fault of this program in the middle of an event, then the fold begins again, and parks that event before it
// touches anything.
func TestAFoldBeginsAgainAfterHalfAStep(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	recorded, bad := poisonedLog(t, 20)
	log := &countedLog{recorder: recorded}
	v := openViews(t, t.TempDir(), log)
	defer closeViews(t, v)
	faults := 0
	w, err := v.foldSealing(ctx, eventlog.Position{}, always, nil, func() *sealing {
		return &sealing{asked: map[int64]instant{}, begin: func() (bulkWriter, error) { // for the second day that is opened
			if faults++; faults == 1 {
				panic("a bug")
			}
			return nil, nil
		}}
	})
	must(t, err)
	if n := log.reads.Load(); n != 2 {
		t.Errorf("the log was read %d times", n)
	}
	p := w.parked[domain.DayStream("load", "2021-01-02")]
	if p == nil || !strings.Contains(p.err, "panic: a bug") || bad[p.eventID] {
		t.Fatalf("parked: %+v", p)
	}
	known := map[string]error{}
	for _, p := range w.parked {
		known[p.eventID] = errors.New(p.err)
	}
	beforehand := newSet(nil)
	must(t, v.foldOnce(ctx, beforehand, eventlog.Position{}, known, nil))
	if d := cmp.Diff(shownSet(t, beforehand), shownSet(t, w)); d != "" {
		t.Errorf("-known beforehand +found on the way:\n%s", d)
	}
}

// A step that is refused leaves nothing behind, whatever stream it is in and whatever is wrong with it.
func TestARefusedStepChangesNothing(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		log := newRecorder()
		log.record(t, history(t).Facts...)
		var steps []step
		must(t, follow(context.Background(), log, eventlog.Position{}, 1000, 1, func(b batch) bool {
			steps = append(steps, b.steps...)
			return !b.caughtUp
		}))
		want, have := newSet(nil), newSet(nil)
		for _, s := range steps {
			must(t, want.fold(&s, nil))
			for _, spoiled := range spoils(s) {
				have.known = max(have.known, at(s.recorded.RecordedAt))
				var bad *applyError
				if err := have.Apply(&spoiled); !errors.As(err, &bad) || bad.halfway {
					t.Fatalf("%s of %s: %v", spoiled.recorded.Kind, spoiled.recorded.Stream, err)
				}
			}
			must(t, have.fold(&s, nil))
		}
		if d := cmp.Diff(shownSet(t, want), shownSet(t, have)); d != "" {
			t.Fatalf("-want +have:\n%s", d)
		}
	})
}

// spoils are a step with something wrong.
func spoils(s step) []step {
	unread, gap, strange, elsewhere, nobodys := s, s, s, s, s
	unread.err = errors.New("unreadable")
	out := []step{unread}
	gap.fact.Revision += 3
	strange.fact.Event = domain.OfficeLeft{Unit: "1", Person: "p", Until: s.fact.RecordedAt, Reason: "x"}
	elsewhere.recorded.Stream = "nowhere-1"
	out = append(out, elsewhere)
	nobodys.recorded.Stream, nobodys.fact.Revision = category(s.recorded.Stream)+"-nobody", 3
	switch category(s.recorded.Stream) {
	case domain.CategoryLog: // nothing of it is shown
	case domain.CategoryResult:
		out = append(out, strange)
	case domain.CategoryReport: // what is strange there its decoder says
		out = append(out, gap)
	case domain.CategoryOffice:
		strange.fact.Event = domain.UnitDissolved{Unit: "1", EffectiveOn: "2021-01-01", Basis: "x"}
		out = append(out, gap, strange, nobodys)
	default:
		out = append(out, gap, strange, nobodys)
	}
	return out
}

// shownSet is everything that a bulk fold would write.
func shownSet(t failer, w *set) map[string][]string {
	t.Helper()
	out := map[string][]string{"position": {fmt.Sprint(w.position())}}
	for _, r := range w.changes(true) {
		args := make([]any, len(r.table.Columns))
		for i := range r.n {
			must(t, r.fill(i, args))
			out[r.table.Name] = append(out[r.table.Name], strings.Join(texts(args), "|"))
		}
	}
	return out
}
