package commands_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.uber.org/zap"

	"github.com/answerable-ledger/answerable/commands"
	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/eventlog"
	"github.com/answerable-ledger/answerable/eventlog/eventlogtest"
	"github.com/answerable-ledger/answerable/eventlog/memlog"
	"github.com/answerable-ledger/answerable/schemas"
)

const (
	regime = domain.RegimeID("test")
	day    = domain.Date("2021-02-08")
)

// world is a ledger with one district of three communes and the people they need.
type world struct {
	*testing.T
	ctx    context.Context
	clock  *eventlogtest.Clock
	log    *eventlogtest.Faulty // of whole; it takes reports one by one
	whole  *memlog.Log          // takes a file's reports as one
	ledger *commands.Ledger
	n      int
}

// at is a time of the test day in Vietnam.
func at(clock string) time.Time {
	t, err := time.ParseInLocation("2006-01-02 15:04:05.000000", string(day)+" "+clock, domain.HoChiMinh)
	if err != nil {
		panic(err)
	}
	return t
}

func rules() domain.Rules {
	return domain.Rules{
		Title: "Báo cáo thử", TitleEn: "Test report", Number: "01/CT", IssuedOn: "2021-02-05", IssuedBy: "UBND tỉnh", Zone: "Asia/Ho_Chi_Minh",
		FirstDay: "2021-02-08", LastDay: "2021-02-10",
		Duties: []domain.Duty{
			{ID: "area", Item: "2a", Name: domain.Wording{Vi: "Địa bàn", En: "Area"}, Form: "commune", FormVersion: 2,
				Holders: domain.Holders{Levels: []domain.Level{domain.LevelCommune}}, CutOff: "13:00", Due: "14:00", GraceMinutes: 5, SignOffDue: "17:00"},
			{ID: "sum", Item: "2b", Name: domain.Wording{Vi: "Tổng hợp", En: "Sum"}, Form: "district", FormVersion: 2,
				Holders: domain.Holders{Levels: []domain.Level{domain.LevelDistrict}}, Due: "15:00", GraceMinutes: 5, SignOffDue: "17:00", Consolidates: "area"},
		},
		Targets: []domain.Target{{ID: "t60", Name: domain.Wording{Vi: "60 %", En: "60 %"}, Duty: "area", Numerator: "installed", Denominator: "smartphone_users", AtLeastPercent: 60, On: "2021-02-08"}},
	}
}

func newWorld(t *testing.T) *world {
	t.Helper()
	registry, err := schemas.Load()
	if err != nil {
		t.Fatal(err)
	}
	w := &world{T: t, ctx: context.Background(), clock: eventlogtest.NewClock()}
	w.clock.Set(at("08:00:00.000000"))
	w.whole = memlog.New(w.clock.Now)
	w.log = eventlogtest.NewFaulty(w.whole)
	w.ledger = commands.New(w.log, registry, w.clock.Now, zap.NewNop())
	w.ok(w.ledger.RegisterPerson(w.ctx, w.system(), domain.PersonRegistered{Person: "dept", Name: "Người vận hành", Synthetic: true}))
	w.ok(w.ledger.GrantRole(w.ctx, w.system(), "dept", domain.RoleDepartment, "", at("00:00:00.000000"), nil))
	w.unit("d1", domain.LevelDistrict, "")
	for _, c := range []domain.UnitCode{"c1", "c2", "c3"} {
		w.unit(c, domain.LevelCommune, "d1")
	}
	w.ok(w.ledger.IssueRegime(w.ctx, w.as("dept"), regime, rules()))
	return w
}

func (w *world) unit(u domain.UnitCode, level domain.Level, parent domain.UnitCode) {
	w.Helper()
	w.ok(w.ledger.RegisterUnit(w.ctx, w.system(), domain.UnitRegistered{Unit: u, Level: level, Type: "x", Name: "Đơn vị " + string(u), Parent: parent, EffectiveOn: "2020-01-01", Synthetic: true}))
	for _, who := range []string{"filer", "head"} {
		p := domain.PersonID(who + "_" + string(u))
		w.ok(w.ledger.RegisterPerson(w.ctx, w.system(), domain.PersonRegistered{Person: p, Name: string(p), Synthetic: true}))
		w.ok(w.ledger.GrantRole(w.ctx, w.system(), p, domain.Role(who), u, at("00:00:00.000000"), nil))
	}
	w.ok(w.ledger.TakeOffice(w.ctx, w.system(), domain.OfficeTaken{Unit: u, Person: domain.PersonID("head_" + string(u)), Capacity: domain.CapacityHead, Title: "Chủ tịch", From: at("00:00:00.000000"), Decision: "QĐ"}))
}

func (w *world) as(p domain.PersonID) commands.Command {
	w.n++
	return commands.Command{ID: domain.NewCommandID(w.Name(), fmt.Sprint(w.n)), Actor: p, Channel: domain.ChannelAPI}
}
func (w *world) system() commands.Command { return w.as(domain.System) }

func (w *world) ok(r commands.Result, err error) commands.Result {
	w.Helper()
	if err != nil {
		w.Fatalf("refused: %v", err)
	}
	return r
}

func (w *world) refused(k domain.Kind, code domain.Code, _ commands.Result, err error) {
	w.Helper()
	if !errors.Is(err, domain.Refuse(k, code, "")) {
		w.Fatalf("want %s %s, got %v", k, code, err)
	}
}

func key(form domain.FormID, u domain.UnitCode) domain.ReportKey {
	return domain.ReportKey{Regime: regime, Form: form, Unit: u, Date: day}
}

func filing(u domain.UnitCode, installed int64) commands.Filing {
	return commands.Filing{Key: key("commune", u), Figures: domain.Figures{"smartphone_users": 100, "installed": installed, "new_today": 1}}
}

func (w *world) file(u domain.UnitCode, installed int64) commands.Result {
	w.Helper()
	return w.ok(w.ledger.SubmitReport(w.ctx, w.as("filer_"+domain.PersonID(u)), filing(u, installed)))
}

func (w *world) closer() *commands.Closer { return &commands.Closer{Ledger: w.ledger, Parallel: 1} }

func (w *world) closeDue(c *commands.Closer) {
	w.Helper()
	if _, err := c.CloseDue(w.ctx); err != nil {
		w.Fatal(err)
	}
}

func (w *world) report(k domain.ReportKey) domain.Report {
	w.Helper()
	r, err := w.ledger.Report(w.ctx, k)
	if err != nil {
		w.Fatal(err)
	}
	return r
}

func TestRule1BeforeMeansStrictlyBefore(t *testing.T) {
	for _, c := range []struct {
		received string
		want     domain.Timeliness
	}{{"13:59:59.900000", domain.OnTime}, {"13:59:59.999999", domain.OnTime}, {"14:00:00.000000", domain.Late}, {"14:00:00.000001", domain.Late}} {
		w := newWorld(t)
		w.closeDue(w.closer())
		w.clock.Set(at("14:00:01.000000"))
		cmd := w.as("filer_c1")
		cmd.ReceivedAt = at(c.received)
		w.ok(w.ledger.SubmitReport(w.ctx, cmd, filing("c1", 10)))
		if got := w.report(key("commune", "c1")).Timeliness; got != c.want {
			t.Errorf("received at %s: %s, want %s", c.received, got, c.want)
		}
	}
}

func TestReceivedInTheFutureIsRefused(t *testing.T) {
	w := newWorld(t)
	w.closeDue(w.closer())
	cmd := w.as("filer_c1")
	cmd.ReceivedAt = w.clock.Now().Add(6 * time.Second)
	r, err := w.ledger.SubmitReport(w.ctx, cmd, filing("c1", 10))
	w.refused(domain.Invalid, domain.CodeClock, r, err)
}

func TestOneCommandIsRecordedOnce(t *testing.T) {
	w := newWorld(t)
	w.closeDue(w.closer())
	cmd := w.as("filer_c1")
	first := w.ok(w.ledger.SubmitReport(w.ctx, cmd, filing("c1", 10)))
	w.clock.Advance(time.Hour)
	w.ok(w.ledger.CorrectReport(w.ctx, w.as("filer_c1"), commands.Replacement{Filing: filing("c1", 11), Replaces: 1, Correction: domain.CorrectionContent, Reason: "đếm lại"}))
	// The stream has moved on: the store alone could not tell that this is a repeat.
	again := w.ok(w.ledger.SubmitReport(w.ctx, cmd, filing("c1", 10)))
	if !again.Repeat || again.Revision != first.Revision || !slices.Equal(again.EventIDs, first.EventIDs) || !again.RecordedAt.Equal(first.RecordedAt) {
		t.Errorf("the repeat answered %+v, the first time %+v", again, first)
	}
	if n := len(w.report(key("commune", "c1")).Versions); n != 2 {
		t.Errorf("%d versions, want 2", n)
	}
}

func TestAppendOfUnknownOutcomeIsNotDoubled(t *testing.T) {
	for name, faults := range map[string][]eventlogtest.Fault{
		"stored, answer lost":         {eventlogtest.StoreAndFail()},
		"lost, answer lost":           {eventlogtest.LoseAndFail()},
		"both, one after the other":   {eventlogtest.LoseAndFail(), eventlogtest.StoreAndFail()},
		"stored, then unreachable":    {eventlogtest.StoreAndFail(), eventlogtest.Refuse(eventlog.ErrUnavailable)},
		"unreachable, then reachable": {eventlogtest.Refuse(eventlog.ErrUnavailable)},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.closeDue(w.closer())
			w.log.OnAppend(faults...)
			w.file("c1", 10)
			if n := len(w.report(key("commune", "c1")).Versions); n != 1 {
				t.Errorf("%d versions, want 1", n)
			}
			eventlogtest.CheckLog(t, w.log)
		})
	}
}

func TestUnreachableLogIsToldAndNothingIsLost(t *testing.T) {
	w := newWorld(t)
	w.closeDue(w.closer())
	down := eventlogtest.Refuse(eventlog.ErrUnavailable)
	w.log.OnAppend(down, down, down, down)
	cmd := w.as("filer_c1")
	if _, err := w.ledger.SubmitReport(w.ctx, cmd, filing("c1", 10)); !errors.Is(err, eventlog.ErrUnavailable) {
		t.Fatalf("got %v", err)
	}
	w.ok(w.ledger.SubmitReport(w.ctx, cmd, filing("c1", 10)))
}

// What was perhaps stored before the log went away is not said to be unstored.
func TestUnreachableAfterAnUnknownOutcomeIsStillUnknown(t *testing.T) {
	w := newWorld(t)
	w.closeDue(w.closer())
	down := eventlogtest.Refuse(eventlog.ErrUnavailable)
	w.log.OnAppend(eventlogtest.StoreAndFail(), down, down, down)
	cmd := w.as("filer_c1")
	if _, err := w.ledger.SubmitReport(w.ctx, cmd, filing("c1", 10)); !errors.Is(err, eventlog.ErrOutcomeUnknown) {
		t.Fatalf("got %v", err)
	}
	w.ok(w.ledger.SubmitReport(w.ctx, cmd, filing("c1", 10)))
	if n := len(w.report(key("commune", "c1")).Versions); n != 1 {
		t.Errorf("%d versions, want 1", n)
	}
}

func TestRacingCorrectionsChain(t *testing.T) {
	w := newWorld(t)
	w.closeDue(w.closer())
	w.file("c1", 10)
	var wg sync.WaitGroup
	var mu sync.Mutex
	won, lost := 0, 0
	for i := range 16 {
		cmd := w.as("filer_c1")
		wg.Go(func() {
			_, err := w.ledger.CorrectReport(w.ctx, cmd, commands.Replacement{Filing: filing("c1", int64(20+i)), Replaces: 1, Correction: domain.CorrectionContent, Reason: "đếm lại"})
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				won++
			case errors.Is(err, domain.Refuse(domain.Precondition, domain.CodeOldVersion, "")):
				lost++
			default:
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if won != 1 || lost != 15 {
		t.Errorf("%d corrections of version 1 were taken and %d refused, want 1 and 15", won, lost)
	}
}

func TestRule3ClosingRecordsEachBreachOnce(t *testing.T) {
	w := newWorld(t)
	w.closeDue(w.closer())
	w.file("c1", 70)
	w.ok(w.ledger.SignOff(w.ctx, w.as("head_c1"), key("commune", "c1"), domain.SigningAttempt{Version: 1, Digest: w.report(key("commune", "c1")).Versions[0].Digest}))
	w.clock.Set(at("14:01:00.000000"))
	w.file("c2", 20) // late, before the closing
	w.clock.Set(at("14:04:59.000000"))
	w.closeDue(w.closer())
	if n := len(w.report(key("commune", "c3")).Breaches); n != 0 {
		t.Fatalf("%d breaches inside the grace", n)
	}
	w.clock.Set(at("17:30:00.000000"))
	var wg sync.WaitGroup
	for range 4 { // four processes, each having just started
		wg.Go(func() {
			if _, err := w.closer().CloseDue(w.ctx); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	w.closeDue(w.closer())
	for u, want := range map[domain.UnitCode][]domain.BreachKind{
		"c1": nil, "c2": {domain.BreachLate, domain.BreachUnsigned}, "c3": {domain.BreachMissing},
	} {
		var got []domain.BreachKind
		for _, b := range w.report(key("commune", u)).Breaches {
			got = append(got, b.Breach)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: breaches %v, want %v", u, got, want)
		}
	}
	d, err := w.ledger.Day(w.ctx, regime, day)
	if err != nil || d.Closed == nil {
		t.Fatalf("the day is not closed: %v", err)
	}
	want := domain.Counts{Obligations: 4, OnTime: 1, Late: 1, Missing: 2}
	if d.Closed.Counts != want {
		t.Errorf("counts %+v, want %+v", d.Closed.Counts, want)
	}
	eventlogtest.CheckLog(t, w.log)
}

func TestRule3ReportReceivedInTimeButRecordedAfterItsBreach(t *testing.T) {
	w := newWorld(t)
	w.closeDue(w.closer())
	w.clock.Set(at("14:10:00.000000"))
	w.closeDue(w.closer())
	cmd := w.as("filer_c1")
	cmd.ReceivedAt = at("13:59:00.000000")
	w.ok(w.ledger.SubmitReport(w.ctx, cmd, filing("c1", 10)))
	r := w.report(key("commune", "c1"))
	if r.Timeliness != domain.OnTime || len(r.Breaches) != 1 || r.Breaches[0].Withdrawn == nil {
		t.Errorf("timeliness %s, breaches %+v", r.Timeliness, r.Breaches)
	}
}

func TestRule4TargetIsJudgedApart(t *testing.T) {
	w := newWorld(t)
	w.closeDue(w.closer())
	w.file("c1", 60)
	w.file("c2", 59)
	w.clock.Set(at("15:05:00.000000"))
	w.closeDue(w.closer())
	w.closeDue(w.closer())
	got := map[domain.UnitCode]bool{}
	for _, r := range eventlogtest.CheckLog(t, w.log) {
		if r.Kind != "TargetJudged" {
			continue
		}
		f, err := schemas.Decode(schemas.Source{Stream: r.Stream, Revision: r.Revision, RecordedAt: r.RecordedAt, Stored: schemas.Stored{ID: r.ID, Kind: r.Kind, Data: r.Data, Meta: r.Meta}})
		if err != nil {
			t.Fatal(err)
		}
		e := f.Event.(domain.TargetJudged)
		if _, twice := got[e.Unit]; twice {
			t.Errorf("%s was judged twice", e.Unit)
		}
		got[e.Unit] = e.Met
	}
	if len(got) != 3 || !got["c1"] || got["c2"] || got["c3"] {
		t.Errorf("judged %v", got)
	}
	if n := len(w.report(key("commune", "c2")).Breaches); n != 0 {
		t.Errorf("missing the target made %d breaches of the regime", n)
	}
}

func TestRule9ConsolidationPinsItsChildren(t *testing.T) {
	w := newWorld(t)
	w.closeDue(w.closer())
	w.file("c1", 10)
	w.file("c2", 20)
	k := key("district", "d1")
	w.ok(w.ledger.SubmitReport(w.ctx, w.as("filer_d1"), commands.Filing{Key: k, Figures: domain.Figures{"agencies_reached": 3}}))
	v, _ := w.report(k).Newest()
	if v.Content.Figures["installed"] != 30 || v.Content.Figures["communes_reported"] != 2 || v.Content.Figures["communes_missing"] != 1 {
		t.Errorf("figures %v", v.Content.Figures)
	}
	if len(v.Content.Children) != 2 || v.Content.Children[0].Unit != "c1" || v.Content.Children[0].Version != 1 || !slices.Equal(v.Missing, []domain.UnitCode{"c3"}) {
		t.Errorf("pins %v, missing %v", v.Content.Children, v.Missing)
	}
	r, err := w.ledger.SubmitReport(w.ctx, w.as("filer_d1"), commands.Filing{Key: k, Figures: domain.Figures{"installed": 99}})
	w.refused(domain.Invalid, domain.CodeFieldSummed, r, err)
	// Consolidating again after a child's correction is a correction of the district's report.
	w.ok(w.ledger.CorrectReport(w.ctx, w.as("filer_c1"), commands.Replacement{Filing: filing("c1", 11), Replaces: 1, Correction: domain.CorrectionContent, Reason: "đếm lại"}))
	w.ok(w.ledger.CorrectReport(w.ctx, w.as("filer_d1"), commands.Replacement{Filing: commands.Filing{Key: k, Figures: domain.Figures{"agencies_reached": 3}}, Replaces: 1, Correction: domain.CorrectionContent, Reason: "tổng hợp lại"}))
	if v, _ = w.report(k).Newest(); v.Content.Figures["installed"] != 31 || v.Content.Children[0].Version != 2 {
		t.Errorf("figures %v, pins %v", v.Content.Figures, v.Content.Children)
	}
	// Rule 5: an erratum of form is no consolidating again, whatever the children have filed since (rule 16).
	w.file("c3", 5)
	w.ok(w.ledger.CorrectReport(w.ctx, w.as("filer_d1"), commands.Replacement{Filing: commands.Filing{Key: k, Note: "ghi đúng tên huyện"}, Replaces: 2, Correction: domain.CorrectionErratum, Reason: "sai tên"}))
	if v, _ = w.report(k).Newest(); v.Number != 3 || v.Content.Figures["installed"] != 31 || len(v.Content.Children) != 2 || !slices.Equal(v.Missing, []domain.UnitCode{"c3"}) {
		t.Errorf("rule 5: an erratum of version 2 says %v of %v, without %v", v.Content.Figures, v.Content.Children, v.Missing)
	}
}

func TestRefusalsWriteNothing(t *testing.T) {
	w := newWorld(t)
	w.closeDue(w.closer())
	w.file("c1", 10)
	before, err := w.log.Head(w.ctx)
	if err != nil {
		t.Fatal(err)
	}
	submit := func(p domain.PersonID, f commands.Filing) (commands.Result, error) {
		return w.ledger.SubmitReport(w.ctx, w.as(p), f)
	}
	with := func(change func(*commands.Filing)) commands.Filing {
		f := filing("c2", 10)
		change(&f)
		return f
	}
	sign := func(p domain.PersonID, a domain.SigningAttempt) (commands.Result, error) {
		return w.ledger.SignOff(w.ctx, w.as(p), key("commune", "c1"), a)
	}
	digest := w.report(key("commune", "c1")).Versions[0].Digest
	for name, c := range map[string]struct {
		kind domain.Kind
		code domain.Code
		try  func() (commands.Result, error)
	}{
		"unknown regime": {domain.NotFound, domain.CodeRegimeUnknown, func() (commands.Result, error) {
			return submit("filer_c2", with(func(f *commands.Filing) { f.Key.Regime = "none" }))
		}},
		"unknown unit": {domain.NotFound, domain.CodeUnitUnknown, func() (commands.Result, error) {
			return submit("filer_c2", with(func(f *commands.Filing) { f.Key.Unit = "none" }))
		}},
		"unknown form": {domain.NotFound, domain.CodeFormUnknown, func() (commands.Result, error) {
			return submit("filer_c2", with(func(f *commands.Filing) { f.Key.Form = "none" }))
		}},
		"no date": {domain.Invalid, domain.CodeDate, func() (commands.Result, error) {
			return submit("filer_c2", with(func(f *commands.Filing) { f.Key.Date = "2021-02-30" }))
		}},
		"day not open": {domain.NotFound, domain.CodeDayNotOpen, func() (commands.Result, error) {
			return submit("filer_c2", with(func(f *commands.Filing) { f.Key.Date = "2021-03-01" }))
		}},
		"no obligation": {domain.NotFound, domain.CodeNoObligation, func() (commands.Result, error) {
			return submit("filer_c2", with(func(f *commands.Filing) { f.Key.Form = "district" }))
		}},
		"old form": {domain.Invalid, domain.CodeFormVersion, func() (commands.Result, error) {
			return submit("filer_c2", with(func(f *commands.Filing) { f.FormVersion = 1 }))
		}},
		"more than phones": {domain.Invalid, domain.CodeAtMost, func() (commands.Result, error) { return submit("filer_c2", filing("c2", 101)) }},
		"negative":         {domain.Invalid, domain.CodeRange, func() (commands.Result, error) { return submit("filer_c2", filing("c2", -1)) }},
		"empty, not nil": {domain.Invalid, domain.CodeEmptyNotNil, func() (commands.Result, error) {
			return submit("filer_c2", with(func(f *commands.Filing) { f.Figures = nil }))
		}},
		"nil, not empty": {domain.Invalid, domain.CodeNilWithFigures, func() (commands.Result, error) {
			return submit("filer_c2", with(func(f *commands.Filing) { f.Nil = true }))
		}},
		"second submission": {domain.Conflict, domain.CodeAlreadySubmitted, func() (commands.Result, error) { return submit("filer_c1", filing("c1", 11)) }},
		"another's unit":    {domain.Forbidden, domain.CodeRoleMissing, func() (commands.Result, error) { return submit("filer_c1", filing("c2", 10)) }},
		"nobody":            {domain.Forbidden, domain.CodeRoleMissing, func() (commands.Result, error) { return submit("nobody", filing("c2", 10)) }},
		"identical": {domain.Conflict, domain.CodeIdentical, func() (commands.Result, error) {
			return w.ledger.CorrectReport(w.ctx, w.as("filer_c1"), commands.Replacement{Filing: filing("c1", 10), Replaces: 1, Correction: domain.CorrectionContent, Reason: "x"})
		}},
		"old version": {domain.Precondition, domain.CodeOldVersion, func() (commands.Result, error) {
			return w.ledger.CorrectReport(w.ctx, w.as("filer_c1"), commands.Replacement{Filing: filing("c1", 11), Replaces: 2, Correction: domain.CorrectionContent, Reason: "x"})
		}},
		"signed by a stranger": {domain.Forbidden, domain.CodeNotInOffice, func() (commands.Result, error) {
			return sign("head_c2", domain.SigningAttempt{Version: 1, Digest: digest})
		}},
		"signed another text": {domain.Precondition, domain.CodeDigest, func() (commands.Result, error) {
			return sign("head_c1", domain.SigningAttempt{Version: 1, Digest: "00"})
		}},
		"extension by a head": {domain.Forbidden, domain.CodeRoleMissing, func() (commands.Result, error) {
			return w.ledger.ExtendDeadline(w.ctx, w.as("head_c1"), regime, "area", day, nil, at("16:00:00.000000"), "x")
		}},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := c.try()
			w.refused(c.kind, c.code, r, err)
		})
	}
	if after, _ := w.log.Head(w.ctx); after != before {
		t.Errorf("refusals moved the log from %s to %s", before, after)
	}
}

func TestRule2ExtensionMovesOnlyWhatIsNotDue(t *testing.T) {
	w := newWorld(t)
	w.closeDue(w.closer())
	w.ok(w.ledger.ExtendDeadline(w.ctx, w.as("dept"), regime, "area", day, []domain.UnitCode{"c1"}, at("14:30:00.000000"), "mất điện"))
	w.clock.Set(at("14:20:00.000000"))
	w.closeDue(w.closer())
	w.file("c1", 10)
	if got := w.report(key("commune", "c1")); got.Timeliness != domain.OnTime || len(got.Breaches) != 0 {
		t.Errorf("extended unit: %s, %v", got.Timeliness, got.Breaches)
	}
	if got := w.report(key("commune", "c2")); len(got.Breaches) != 1 {
		t.Errorf("the other unit has %d breaches, want 1", len(got.Breaches))
	}
	r, err := w.ledger.ExtendDeadline(w.ctx, w.as("dept"), regime, "area", day, []domain.UnitCode{"c2"}, at("16:00:00.000000"), "muộn")
	w.refused(domain.Conflict, domain.CodeDeadlinePassed, r, err)
}

func TestCloserTakesUpWhereAnotherStopped(t *testing.T) {
	w := newWorld(t)
	w.closeDue(w.closer())
	w.clock.Set(at("17:30:00.000000"))
	// The log goes away after each further append in turn: a crash at every place of the closing.
	for range 40 {
		w.log.OnAppend(eventlogtest.Pass(), eventlogtest.Refuse(eventlog.ErrDamaged))
		if _, err := w.closer().CloseDue(w.ctx); err == nil {
			break
		}
	}
	w.closeDue(w.closer())
	for _, k := range []domain.ReportKey{key("commune", "c1"), key("commune", "c2"), key("commune", "c3"), key("district", "d1")} {
		if n := len(w.report(k).Breaches); n != 1 {
			t.Errorf("%s has %d breaches, want 1", k.Stream(), n)
		}
	}
	eventlogtest.CheckLog(t, w.log)
}

func TestCloserSaysWhenItIsNeededNext(t *testing.T) {
	w := newWorld(t)
	c := w.closer()
	next, err := c.CloseDue(w.ctx)
	if err != nil || !next.Equal(at("14:05:00.000000")) {
		t.Errorf("next %s, %v; want 14:05", next.In(domain.HoChiMinh), err)
	}
}

func TestCommandWithoutAnIDIsRefused(t *testing.T) {
	w := newWorld(t)
	if _, err := w.ledger.SubmitReport(w.ctx, commands.Command{ID: uuid.Nil, Actor: "filer_c1"}, filing("c1", 1)); err == nil {
		t.Error("taken")
	}
}
