package commands_test

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"

	"github.com/answerable-ledger/answerable/commands"
	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/eventlog"
	"github.com/answerable-ledger/answerable/eventlog/memlog"
	"github.com/answerable-ledger/answerable/schemas"
)

// rows makes the rows of a file, each sent by its unit's filer.
func (w *world) rows(filings ...commands.Filing) []commands.FileRow {
	out := make([]commands.FileRow, len(filings))
	for i, f := range filings {
		out[i] = commands.FileRow{Command: w.as("filer_" + domain.PersonID(f.Key.Unit)), Filing: f}
	}
	return out
}

func district(agencies int64) commands.Filing {
	return commands.Filing{Key: key("district", "d1"), Figures: domain.Figures{"agencies_reached": agencies}}
}

// A file may hold the communes' reports and the district's that sums them, in any order: the sums are of what the file
// says, and a repeat of the file records nothing (rule 9).
func TestSubmitFile(t *testing.T) { onEachLog(t, testSubmitFile) }

func testSubmitFile(w *world) {
	t := w.T
	rows := w.rows(district(4), filing("c2", 60), filing("c1", 50))
	results, refusals, err := w.ledger.SubmitFile(w.ctx, rows)
	if err != nil || refusals[0] != nil || refusals[1] != nil || refusals[2] != nil {
		t.Fatal(refusals, err)
	}
	for i, r := range results {
		if r.Stream != rows[i].Filing.Key.Stream() || r.Repeat {
			t.Errorf("row %d: %+v", i, r)
		}
	}
	v, _ := w.report(key("district", "d1")).Newest()
	want := domain.Figures{"smartphone_users": 200, "installed": 110, "new_today": 2, "communes_reported": 2, "communes_late": 0, "communes_missing": 1, "agencies_reached": 4}
	if d := cmp.Diff(want, v.Content.Figures); d != "" {
		t.Error(d)
	}
	if len(v.Content.Children) != 2 || v.Content.Children[0].Unit != "c1" || v.Content.Children[0].Version != 1 || !cmp.Equal(v.Missing, []domain.UnitCode{"c3"}) {
		t.Errorf("%+v", v)
	}
	again, _, err := w.ledger.SubmitFile(w.ctx, rows)
	if err != nil || !again[0].Repeat || !again[1].Repeat || !again[2].Repeat {
		t.Errorf("%+v, %v", again, err)
	}
}

// What a row becomes only together with the rows before it is refused before anything is recorded: a sum beyond what a
// figure may be, and a cumulative count that falls from one day of the file to the next without a word.
func TestSubmitFileRefusesWhole(t *testing.T) {
	t.Parallel()
	huge := func(u domain.UnitCode) commands.Filing {
		f := filing(u, 50)
		f.Figures = domain.Figures{"smartphone_users": domain.MaxFigure, "installed": 50, "new_today": 1}
		return f
	}
	next := filing("c1", 40)
	next.Key.Date = day.AddDays(1)
	for name, c := range map[string]struct {
		filings []commands.Filing
		row     int
		code    domain.Code
	}{
		"a sum too large":       {[]commands.Filing{district(1), huge("c1"), huge("c2")}, 0, domain.CodeRange},
		"a fall without a word": {[]commands.Filing{next, filing("c1", 50)}, 0, domain.CodeNoteNeeded},
		"nobody asked":          {[]commands.Filing{filing("c1", 50), {Key: key("staff", "c1"), Figures: domain.Figures{"staff": 1}}}, 1, domain.CodeNoObligation},
	} {
		onEachLog(t, func(w *world) {
			t := w.T
			w.ok(w.ledger.OpenDay(w.ctx, w.as("dept"), regime, day.AddDays(1)))
			before, err := w.log.Head(w.ctx)
			if err != nil {
				t.Fatal(err)
			}
			_, refusals, err := w.ledger.SubmitFile(w.ctx, w.rows(c.filings...))
			if err != nil {
				t.Fatal(err)
			}
			for i, refusal := range refusals {
				if (refusal != nil) != (i == c.row) || refusal != nil && refusal.Code() != c.code {
					t.Errorf("%s: row %d: %v", name, i, refusal)
				}
			}
			if after, err := w.log.Head(w.ctx); err != nil || after != before {
				t.Errorf("%s: recorded up to %s, before it was %s, %v", name, after, before, err)
			}
		})
	}
}

// A file whose recording was cut off is finished by submitting it again.
func TestSubmitFileAfterAFault(t *testing.T) { onEachLog(t, testSubmitFileAfterAFault) }

func testSubmitFileAfterAFault(w *world) {
	t := w.T
	rows := w.rows(district(1), filing("c1", 50))
	w.ok(w.ledger.SubmitReport(w.ctx, rows[1].Command, rows[1].Filing)) // as far as the first attempt came
	results, refusals, err := w.ledger.SubmitFile(w.ctx, rows)
	if err != nil || refusals[0] != nil || refusals[1] != nil || results[0].Repeat || !results[1].Repeat {
		t.Errorf("%+v, %v, %v", results, refusals, err)
	}
}

// opened is a world whose day is open.
func opened(t *testing.T) *world {
	w := newWorld(t)
	w.ok(w.ledger.OpenDay(w.ctx, w.as("dept"), regime, day))
	return w
}

// onEachLog runs f in a world whose log takes a file's reports one by one, and in one whose log takes them as one.
func onEachLog(t *testing.T, f func(*world)) {
	for _, name := range []string{"row by row", "as one"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := opened(t)
			if name == "as one" {
				w.ledger = w.on(w.whole)
			}
			f(w)
		})
	}
}

// on is a ledger on another log.
func (w *world) on(log commands.Log) *commands.Ledger {
	w.Helper()
	registry, err := schemas.Load()
	if err != nil {
		w.Fatal(err)
	}
	return commands.New(log, registry, w.clock.Now, zap.NewNop())
}

// racing is a log that takes a file's reports as one, and before whose taking something happens.
type racing struct {
	*memlog.Log
	before func() // the first time
	after  error  // what is answered the first time although it was stored
}

func (r *racing) AppendAll(ctx context.Context, parts []eventlog.Part) ([]eventlog.Appended, error) {
	if f := r.before; f != nil {
		r.before = nil
		f()
	}
	done, err := r.Log.AppendAll(ctx, parts)
	if err == nil && r.after != nil {
		err, r.after = r.after, nil
	}
	return done, err
}

// Another writer who comes between the deciding and the recording with a row of the file has it refused whole: what is
// half done nobody finds again.
func TestSubmitFileRefusesWholeAfterARace(t *testing.T) {
	t.Parallel()
	w := opened(t)
	var head eventlog.Position
	race := &racing{Log: w.whole, before: func() {
		w.file("c2", 10)
		head, _ = w.whole.Head(w.ctx)
	}}
	results, refusals, err := w.on(race).SubmitFile(w.ctx, w.rows(district(4), filing("c2", 60), filing("c1", 50)))
	if err != nil || refusals[0] != nil || refusals[2] != nil || refusals[1] == nil || refusals[1].Code() != domain.CodeAlreadySubmitted {
		t.Errorf("%v, %v", refusals, err)
	}
	for i, r := range results {
		if r.Stream != "" {
			t.Errorf("row %d: %+v", i, r)
		}
	}
	if now, err := w.whole.Head(w.ctx); err != nil || head.IsZero() || now != head {
		t.Errorf("recorded up to %s, the other writer up to %s, %v", now, head, err)
	}
}

// Where what came between leaves the rows standing, the file is decided again on it and recorded whole: the day was closed,
// so c1's report, received in time, withdraws its breach (rule 3).
func TestSubmitFileIsDecidedAgainAfterARace(t *testing.T) {
	t.Parallel()
	w := opened(t)
	rows := w.rows(district(4), filing("c2", 60), filing("c1", 50))
	for i := range rows {
		rows[i].Command.ReceivedAt = at("13:59:59.000000")
	}
	w.clock.Set(at("14:05:01.000000"))
	race := &racing{Log: w.whole, before: func() { w.closeDue(w.closer()) }}
	results, refusals, err := w.on(race).SubmitFile(w.ctx, rows)
	if err != nil || refusals[0] != nil || refusals[1] != nil || refusals[2] != nil {
		t.Fatal(refusals, err)
	}
	c1 := w.report(key("commune", "c1"))
	if len(c1.Breaches) != 1 || c1.Breaches[0].Withdrawn == nil || results[2].Revision != 2 {
		t.Errorf("%+v, %+v", c1, results[2])
	}
	if v, _ := w.report(key("district", "d1")).Newest(); len(v.Content.Children) != 2 {
		t.Errorf("%+v", v)
	}
}

// Rows that were recorded and reported as of unknown outcome are recorded once, and not called repeats.
func TestSubmitFileOfUnknownOutcome(t *testing.T) {
	t.Parallel()
	w := opened(t)
	rows := w.rows(district(4), filing("c1", 50))
	results, _, err := w.on(&racing{Log: w.whole, after: eventlog.ErrOutcomeUnknown}).SubmitFile(w.ctx, rows)
	if err != nil || results[0].Repeat || results[1].Repeat || results[0].Position.Compare(results[1].Position) <= 0 {
		t.Errorf("%+v, %v", results, err)
	}
	if r := w.report(key("commune", "c1")); len(r.Versions) != 1 {
		t.Errorf("%+v", r)
	}
}
