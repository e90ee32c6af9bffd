package api

import (
	"os"
	"regexp"
	"slices"
	"testing"

	"github.com/answerable-ledger/answerable/domain"
)

// TestEverySigningCodeHasWords: why a signature was refused is told in words.
func TestEverySigningCodeHasWords(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("../signing/errors.go")
	if err != nil {
		t.Fatal(err)
	}
	codes := regexp.MustCompile(`Code = "(signing_[a-z0-9_]+)"`).FindAllSubmatch(source, -1)
	if len(codes) < 30 || len(codes)+2 != len(domain.Words()["signature"]) {
		t.Errorf("%d codes", len(codes))
	}
	for _, c := range codes {
		if code := string(c[1]); domain.Word("signature", code, domain.Vietnamese) == code {
			t.Errorf("%s has no words", code)
		}
	}
}

// TestWords: every code that a schema allows in an answer has its words.
func TestWords(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	words := decodeInto[Words](t, w.want(ask{path: "/v1/words"}, 200)).Words
	c := contractOf(t, w.handler.openapi)
	for of, at := range map[string]string{"breach": "defs.1.breach/enum", "role": "defs.1.role/enum", "level": "defs.1.level/enum", "scope": "defs.1.scope/enum", "rule": "defs.1.finding/properties/rule/enum", "correction": "Correction/properties/correction/enum"} {
		codes, _ := c.at("#/components/schemas/" + at).([]any)
		if len(codes) == 0 {
			t.Errorf("no codes at %s", at)
		}
		for _, code := range codes {
			if x := words[of][code.(string)]; x.Vi == "" || x.En == "" {
				t.Errorf("%s %s has no words", of, code)
			}
		}
	}
	for of, codes := range map[string][]string{"status": statuses(), "outcome": {"standing", "withdrawn", "explained", "excused", "upheld"}} {
		for code := range words[of] {
			if !slices.Contains(codes, code) {
				t.Errorf("%s %s is no choice", of, code)
			}
		}
		if len(words[of]) != len(codes) {
			t.Errorf("%s: %d words", of, len(words[of]))
		}
	}
}
