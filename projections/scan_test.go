package projections

import (
	"testing"

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
