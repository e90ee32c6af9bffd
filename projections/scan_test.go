package projections

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/answerable-ledger/answerable/domain"
)

// What was written is read back, by the short way and by the long one alike.
func TestComplianceStatesAreReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		state := rapid.Custom(func(t *rapid.T) complianceState {
			return complianceState{
				From: instant(rapid.Int64Range(1, 1<<62).Draw(t, "from")), Due: instant(rapid.Int64Range(0, 3).Draw(t, "due")),
				Status:   rapid.SampledFrom([]domain.Status{domain.StatusDue, domain.StatusLate, ""}).Draw(t, "status"),
				SignOff:  rapid.SampledFrom([]domain.SignOffState{domain.SignOffNone, domain.SignOffSigned}).Draw(t, "sign_off"),
				Received: instant(rapid.Int64Range(-2, 2).Draw(t, "received")), SignOffDue: instant(rapid.Int64Range(0, 1).Draw(t, "sign_off_due")),
				Digest:    rapid.SampledFrom([]string{"", "ab", "một \"hai\"", `\`, "\n"}).Draw(t, "digest"),
				Breaches:  rapid.SliceOfN(rapid.SampledFrom([]domain.BreachKind{domain.BreachLate, domain.BreachMissing}), 0, 2).Draw(t, "breaches"),
				OutOfDate: rapid.SliceOfN(rapid.SampledFrom([]domain.UnitCode{"1", "so_2", "ấp"}), 0, 3).Draw(t, "out_of_date"),
				Version:   rapid.Int32Range(0, 3).Draw(t, "version"), Reminders: rapid.Int32Range(0, 2).Draw(t, "reminders"),
				Nil: rapid.Bool().Draw(t, "nil"), Excused: rapid.Bool().Draw(t, "excused"), Exempt: rapid.Bool().Draw(t, "exempt"),
			}
		})
		all := rapid.SliceOfN(state, 1, 5).Draw(t, "states")
		doc := string(appendCompliance(nil, all))
		have, err := readCompliance(doc)
		must(t, err)
		slow, err := decodeCompliance(doc)
		must(t, err)
		for _, read := range [][]complianceState{have, slow} {
			if d := cmp.Diff(all, read, cmpopts.EquateEmpty()); d != "" {
				t.Fatalf("%s:\n%s", doc, d)
			}
		}
	})
}

// What both ways read, they read alike.
func FuzzScanCompliance(f *testing.F) {
	for _, seed := range []string{`[{"f":1,"s":"due","o":"none"}]`, `[{"f":1},{"f":2,"u":["a","b"],"z":true}]`, `[{"h":"\u0061"}]`, `[]`, `[{"f":-0}]`, `[{"f":01}]`, `[{"f":1,"f":2}]`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, doc string) {
		short, ok := scanCompliance(doc)
		if !ok {
			return
		}
		long, err := decodeCompliance(doc)
		if err == nil && !cmp.Equal(short, long, cmpopts.EquateEmpty()) {
			t.Fatalf("%q: %+v, %+v", doc, short, long)
		}
	})
}

// A cursor is what a page gave, or nothing: two texts never stand for one place.
func FuzzParseCursor(f *testing.F) {
	for _, seed := range []string{"", cursor{"2021-02-08", newSlotID(1, 2, 3)}.String(), cursor{"2021-02-08", 0}.String(), "MjAyMS0wMi0wOCAtMQ", "MjAyMS0wMi0wOCAwMQ", "eCAx", "=", "MjAyMS0wMi0wOCAx\n"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := parseCursor(text)
		switch {
		case err != nil && !errors.Is(err, ErrCursor):
			t.Fatal(err)
		case err == nil && text != "" && (c.String() != text || c.id < 0):
			t.Fatalf("%q is %+v, which is %q", text, c, c.String())
		}
	})
}

// An instant of knowledge is never later than the one asked about.
func FuzzKnownAt(f *testing.F) {
	for _, seed := range []string{"0001-01-01T00:00:00Z", "1600-01-01T00:00:00Z", "1969-12-31T23:59:59.9Z", "1970-01-01T00:00:00.000000001Z", "2021-02-08T15:00:00+07:00", "2262-01-01T00:00:00Z", "9999-12-31T23:59:59.999999999Z"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		asked, err := time.Parse(time.RFC3339Nano, text)
		if err != nil {
			return
		}
		known := knownAt(&asked)
		if known < 0 || known != forever && known != 0 && !time.Unix(0, int64(known)).Equal(asked) || known == forever && asked.Year() < 2262 || known == 0 && asked.Unix() > 0 {
			t.Fatalf("%s: %d", text, known)
		}
	})
}

// The documents of a row are read as they were written, or refused; whatever they are, nothing panics.
func FuzzRowDocuments(f *testing.F) {
	f.Add(string(appendAnswers(nil, []answerState{{From: 1, Deadline: headRef{2, 1, 0}}, {From: 3, Deadline: headRef{2, 0, 4}, SignOff: headRef{At: 5}, Figures: headRef{6, 1, 1}}})))
	f.Add(string(appendBreaches(nil, []breachState{{From: 1}, {2, "excused"}})))
	for _, seed := range []string{"", "[]", "[{}]", `[{"n":1,"k":"ReportSubmitted","v":1,"h":"x"},{"n":2,"k":"ReportSignedOff","v":1}]`, `[{"f":1,"d":[1]}]`, `[{"e":"x"}]`, "[null]"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, doc string) {
		if all, err := readAnswers(doc); err == nil && len(all) > 0 {
			again, err := readAnswers(string(appendAnswers(nil, all)))
			if err != nil || !slices.EqualFunc(all, again, func(a, b answerState) bool {
				return a.From == b.From && a.Deadline == b.Deadline && (a.SignOff.At == 0 || a.SignOff == b.SignOff) && (a.Figures.At == 0 || a.Figures == b.Figures)
			}) {
				t.Fatalf("%+v is written and read as %+v, %v", all, again, err)
			}
		}
		if all, err := readBreaches(doc); err == nil && len(all) > 0 {
			if again, err := readBreaches(string(appendBreaches(nil, all))); err != nil || !slices.EqualFunc(all, again, func(a, b breachState) bool { return a.From == b.From && a.Outcome == b.Outcome }) {
				t.Fatalf("%+v is written and read as %+v, %v", all, again, err)
			}
		}
		if whole, err := entriesUntil(doc, forever); err == nil && len(whole) > 0 {
			if part, err := entriesUntil(doc, whole[0].Known); err != nil || len(part) > len(whole) {
				t.Fatalf("%d of %d entries are known: %v", len(part), len(whole), err)
			}
		}
	})
}
