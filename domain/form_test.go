package domain_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/answerable-ledger/answerable/domain"
)

// rfc8785 is the canonical JSON of a value without fractions: members in order, no escapes but the needed ones.
func rfc8785(v any) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(err)
	}
	// encoding/json escapes these two for JavaScript's sake; RFC 8785 does not.
	return strings.NewReplacer(`\u2028`, "\u2028", `\u2029`, "\u2029").Replace(strings.TrimSuffix(b.String(), "\n"))
}

// TestDigestIsOfTheCanonicalContent: what a sign-off binds is the RFC 8785 form of the content and its obligation, and
// no two contents share it (rule 6).
func TestDigestIsOfTheCanonicalContent(t *testing.T) {
	t.Parallel()
	draw := func(t *rapid.T) (domain.Content, map[string]any) {
		figures := rapid.MapOf(rapid.StringMatching(`[a-z][a-z_0-9]{0,8}`), rapid.Int64Range(0, domain.MaxFigure)).Draw(t, "figures")
		c := domain.Content{FormVersion: rapid.IntRange(1, 9).Draw(t, "form version"), Figures: figures, Nil: rapid.Bool().Draw(t, "nil")}
		shown := map[string]int64{}
		for name, n := range figures {
			shown[name] = n
		}
		value := map[string]any{"date": "2021-02-08", "figures": shown, "form": "commune", "form_version": c.FormVersion, "nil": c.Nil, "regime": "bluezone", "unit": "25900"}
		if n := rapid.IntRange(0, 3).Draw(t, "children"); n > 0 {
			var pins []any
			for range n {
				p := domain.ChildPin{Unit: domain.UnitCode(rapid.StringMatching(`[0-9]{5}`).Draw(t, "unit")), Version: rapid.IntRange(1, 9).Draw(t, "version"), Digest: "d"}
				c.Children = append(c.Children, p)
				pins = append(pins, map[string]any{"digest": p.Digest, "unit": string(p.Unit), "version": p.Version})
			}
			value["children"] = pins
		}
		return c, value
	}
	rapid.Check(t, func(t *rapid.T) {
		a, value := draw(t)
		if got, want := string(a.Canonical(key)), rfc8785(value); got != want {
			t.Fatalf("got  %s\nwant %s", got, want)
		}
		b, other := draw(t)
		if (rfc8785(value) == rfc8785(other)) != (a.Digest(key) == b.Digest(key)) {
			t.Fatalf("digests of %v and %v", a, b)
		}
	})
}

// TestDigestIsPinned: the bytes a sign-off of today binds must be the same in every year.
func TestDigestIsPinned(t *testing.T) {
	t.Parallel()
	c := domain.Content{FormVersion: 2, Figures: domain.Figures{"smartphone_users": 8123, "installed": 4410, "new_today": 0},
		Children: []domain.ChildPin{{Unit: "25901", Version: 2, Digest: "ab"}}}
	const canonical = `{"children":[{"digest":"ab","unit":"25901","version":2}],"date":"2021-02-08","figures":{"installed":4410,"new_today":0,"smartphone_users":8123},"form":"commune","form_version":2,"nil":false,"regime":"bluezone","unit":"25900"}`
	if got := string(c.Canonical(key)); got != canonical {
		t.Errorf("rule 6: %s", got)
	}
	const want = "f5751ed737c2c5cdff8fb197a3ce4ee06919246ae508d5dac4cb3e228a1a0859"
	if got := c.Digest(key); got != want {
		t.Errorf("rule 6: %s", got)
	}
}
