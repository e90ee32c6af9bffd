package enroll

import (
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"

	"github.com/answerable-ledger/answerable/signing"
)

// A stored detail is read or refused with a code, and what is read is stored as the same again.
func FuzzParseDetail(f *testing.F) {
	r := newRegistration(f)
	e, err := WebAuthn(r.answer(f), challenge, open)
	must(f, err)
	for _, s := range []string{"", "{}", `{"v":"` + DetailVersion + `"}`, e.Detail, `{"v":"` + DetailVersion + `","v":"x"}`, `{"v":7}`, `[]`, `{"v":"` + DetailVersion + `","serial":7}`, "\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d, err := ParseDetail(s)
		if err != nil {
			if signing.CodeOf(err) == "" || !cmp.Equal(d, Detail{}) {
				t.Fatalf("refused without a code, or with a detail: %+v, %v", d, err)
			}
			return
		}
		if s == "" {
			return
		}
		again, err := json.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := ParseDetail(string(again)); err != nil || !cmp.Equal(d, got) {
			t.Fatalf("%s: %+v, %v", again, got, err)
		}
	})
}
