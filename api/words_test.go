package api

import (
	"slices"
	"testing"
)

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
