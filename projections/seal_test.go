package projections

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/answerable-ledger/answerable/domain"
)

// watched is a writer of sealed rows that counts what comes and what is asked for again.
type watched struct {
	bulkWriter
	sealed, back *int
}

func (w watched) write(r rows, each func(int) error) error {
	*w.sealed += r.n
	return w.bulkWriter.write(r, each)
}

func (w watched) row(id int64) ([]value, error) {
	row, err := w.bulkWriter.row(id)
	if row != nil {
		*w.back++
	}
	return row, err
}

type watchedStore struct {
	store
	sealed, back *int
}

func (s watchedStore) begin(ctx context.Context, fingerprint string) (*generation, error) {
	g, err := s.store.begin(ctx, fingerprint)
	if err != nil {
		return nil, err
	}
	fills := g.fills
	g.fills = func(ctx context.Context, t table, encoders int) (bulkWriter, error) {
		to, err := fills(ctx, t, encoders)
		return watched{to, s.sealed, s.back}, err
	}
	return g, nil
}

// Given a log of many days, of which a rebuild holds the newest alone, and facts about the others (a correction, a
// signature, a breach and what is said of it, more time, a head recorded late), then the rows are those of a fresh fold.
func TestSealedDaysComeBack(t *testing.T) {
	t.Parallel()
	onEveryEngine(t, sealedDaysComeBack)
}

func sealedDaysComeBack(t *testing.T, place place) {
	ctx := context.Background()
	log := newRecorder()
	var facts []domain.Fact
	l := &load{clock: time.Date(2020, 12, 1, 0, 0, 0, 0, time.UTC), next: map[string]uint64{}, max: 9000, facts: func(f domain.Fact) { facts = append(facts, f) }}
	l.write()
	l.facts, l.max = func(f domain.Fact) { facts = append(facts, f) }, len(facts)+400
	seen := 0
	for _, f := range facts[:len(facts):len(facts)] {
		e, ok := f.Event.(domain.ReportSubmitted)
		if !ok || l.full() {
			continue
		}
		switch {
		case seen%40 == 10 && l.next[f.Stream] == 2: // version 1 was signed
			l.fact(f.Stream, "p_filer", domain.ReportCorrected{Regime: e.Regime, Form: e.Form, FormVersion: 2, Unit: e.Unit, Date: e.Date, Version: 2, Replaces: 1, ReplacesDigest: e.Digest,
				Correction: domain.CorrectionContent, Reason: "bổ sung", Figures: domain.Figures{"installed": 7}, Digest: "d2"})
			l.fact(f.Stream, "p_deputy", domain.ReportSignedOff{Version: 2, Digest: "d2", Signer: "p_deputy", Capacity: domain.CapacityKT, Title: "PHÓ CHỦ TỊCH"})
		case seen%40 == 0:
			l.fact(f.Stream, "p_filer", domain.DeadlineBreached{Regime: e.Regime, Form: e.Form, Unit: e.Unit, Date: e.Date, Breach: domain.BreachUnsigned, Due: e.Due, RegimeVersion: 1, Version: 1})
			l.fact(f.Stream, "p_filer", domain.BreachExplained{Breach: domain.BreachUnsigned, Text: "Mất điện.", ExplainedBy: "p_filer"})
		case seen%40 == 20:
			l.fact(domain.CategoryOffice+"-"+string(e.Unit), "p_department", domain.OfficeTaken{Unit: e.Unit, Person: "p_late", Capacity: domain.CapacityActing, Title: "QUYỀN CHỦ TỊCH", From: e.Due.AddDate(0, 0, -1), Decision: "QĐ 2"})
		case seen == 1830: // its whole day comes back
			l.fact(domain.RegimeStream(e.Regime), "p_department", domain.DeadlineExtended{Regime: e.Regime, Date: e.Date, Duty: "commune", Units: []domain.UnitCode{e.Unit}, Due: e.Due.Add(time.Hour), Reason: "Lũ."})
		}
		seen++
	}
	log.record(t, facts...)
	v := openViews(t, place(t), log)
	defer closeViews(t, v)
	_, file := v.store.dialect().(sqliteDialect)
	var sealed, back int
	through(v, watchedStore{v.store, &sealed, &back})
	rebuilt := func(held int) map[string][]string {
		v.held, sealed, back = held, 0, 0
		must(t, v.Rebuild(ctx, nil))
		must(t, v.Verify(ctx))
		return dump(t, v)
	}
	whole := rebuilt(heldObligations)
	all := sealed
	if back > 0 {
		t.Errorf("everything was held, and %d came back", back)
	}
	if d := cmp.Diff(whole, rebuilt(0)); d != "" {
		t.Errorf("-held +sealed:\n%s", d)
	}
	if !file { // it copies all at once, or while the log is read, when what is sealed stays
		all, back = len(whole[tableObligation.Name]), back+1050
	}
	if parked, err := v.Parked(ctx); sealed != all || back < 1050 || len(parked) > 0 || err != nil {
		t.Errorf("%d rows of %d, %d came back; parked: %v %v", sealed, all, back, parked, err)
	}
}

// Given an event that cannot be applied, behind days that are sealed, then the rebuild that parks it writes nothing twice.
func TestAPoisonedEventBehindSealedDays(t *testing.T) {
	t.Parallel()
	onEveryEngine(t, aPoisonedEventBehindSealedDays)
}

func aPoisonedEventBehindSealedDays(t *testing.T, place place) {
	ctx := context.Background()
	g, log := openDay(), newRecorder()
	var facts []domain.Fact
	l := &load{clock: time.Date(2020, 12, 1, 0, 0, 0, 0, time.UTC), next: map[string]uint64{}, max: 9000, facts: func(f domain.Fact) { facts = append(facts, f) }}
	l.write()
	log.record(t, facts...)
	g.unreadable(t, log, "report-load.commune.99999.20210103")
	v := openViews(t, place(t), log)
	defer closeViews(t, v)
	v.held = 0
	var sealed, back int
	through(v, watchedStore{v.store, &sealed, &back})
	must(t, v.retryParked(ctx))
	if parked, err := v.Parked(ctx); len(parked) != 1 || err != nil {
		t.Errorf("parked: %v %v", parked, err)
	}
	must(t, v.Verify(ctx))
	if left, err := v.store.open(ctx, stateBuilding); left != nil || err != nil {
		t.Errorf("left %+v, %v", left, err)
	}
}
