package commands_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/answerable-ledger/answerable/commands"
	"github.com/answerable-ledger/answerable/domain"
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
func TestSubmitFile(t *testing.T) {
	t.Parallel()
	w := opened(t)
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
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := opened(t)
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
					t.Errorf("row %d: %v", i, refusal)
				}
			}
			if after, err := w.log.Head(w.ctx); err != nil || after != before {
				t.Errorf("recorded up to %s, before it was %s, %v", after, before, err)
			}
		})
	}
}

// A file whose recording was cut off is finished by submitting it again.
func TestSubmitFileAfterAFault(t *testing.T) {
	t.Parallel()
	w := opened(t)
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
