package schemas

import (
	stdjson "encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

// Every schema of an event and of a form is judged without the library when the value is good: one that is not plain
// would be right as well, and several times as slow.
func TestEverySchemaIsPlain(t *testing.T) {
	t.Parallel()
	for name := range registry(t).schemas.roots {
		if registry(t).schemas.plain[name] == nil && !strings.HasPrefix(name, "defs/") {
			t.Errorf("%s uses a keyword that plainSchema does not know", name)
		}
	}
}

// The plain form accepts exactly what the library accepts: the samples of every kind, whatever is changed in them.
func TestPlainAcceptsWhatTheLibraryAccepts(t *testing.T) {
	t.Parallel()
	c := registry(t).schemas
	type sample struct {
		schema string
		text   []byte
	}
	all := []sample{{"forms/commune/1", []byte(`{"smartphone_users":5,"installed":4,"new_today":3}`)}}
	for _, e := range samples() {
		f := sampleFact()
		f.Event = e
		s, err := Encode(f)
		if err != nil {
			t.Fatal(err)
		}
		version, _ := CurrentVersion(s.Kind)
		all = append(all, sample{eventSchema(s.Kind, version), s.Data}, sample{"meta/1", s.Meta})
	}
	same := func(t rapidOrTest, schema string, v any) {
		if quick, library := c.plain[schema].accepts(v), c.roots[schema].Validate(v); quick != (library == nil) {
			t.Fatalf("%s of %v: plain %t, library %v", schema, v, quick, library)
		}
	}
	for _, s := range all {
		v, faults := readValue(s.text, "")
		if len(faults) > 0 || !c.plain[s.schema].accepts(v) {
			t.Errorf("%s: %s is not accepted: %v", s.schema, s.text, faults)
		}
		same(t, s.schema, v)
	}
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.SampledFrom(all).Draw(t, "sample")
		v, _ := readValue(s.text, "")
		for range rapid.IntRange(1, 2).Draw(t, "changes") {
			v = changed(t, v)
		}
		same(t, s.schema, v)
	})
}

type rapidOrTest interface{ Fatalf(string, ...any) }

// changed is a value with something in it changed, left out or added.
func changed(t *rapid.T, v any) any {
	other := rapid.OneOf(
		rapid.SampledFrom([]any{nil, true, "", "x", "Ẩn", "filer", "late", "2021-02-08", "2021-02-30", "2021-02-08T08:00:00Z", "2021-02-08T08:00:00+07:00", "15:00", "24:00",
			strings.Repeat("a", 40), strings.Repeat("a", 41), strings.Repeat("0", 64), strings.Repeat("g", 64), strings.Repeat("ă", 300), strings.Repeat("ă", 301), strings.Repeat("ă", 8193),
			stdjson.Number("0"), stdjson.Number("-1"), stdjson.Number("101"), stdjson.Number("1000001"), stdjson.Number("9007199254740992"), stdjson.Number("9007199254740993"), stdjson.Number("99999999999999999999"),
			[]any{}, map[string]any{}, []any{"a", stdjson.Number("1")}, map[string]any{"a": stdjson.Number("1")}}),
		rapid.Map(rapid.String(), func(s string) any { return strings.ToValidUTF8(s, "") }),
	).Filter(func(v any) bool { s, ok := v.(string); return !ok || utf8.ValidString(s) })
	switch x := v.(type) {
	case map[string]any:
		if len(x) == 0 || rapid.IntRange(0, 9).Draw(t, "at") == 0 {
			break
		}
		name := rapid.SampledFrom(slices.Sorted(maps.Keys(x))).Draw(t, "member")
		switch rapid.IntRange(0, 5).Draw(t, "how") {
		case 0:
			delete(x, name)
		case 1:
			x[rapid.SampledFrom([]string{"a", "Ẩn", "nil", "note", "", "installed"}).Draw(t, "name")] = other.Draw(t, "value")
		default:
			x[name] = changed(t, x[name])
		}
		return x
	case []any:
		if len(x) == 0 || rapid.IntRange(0, 9).Draw(t, "at") == 0 {
			break
		}
		i := rapid.IntRange(0, len(x)-1).Draw(t, "item")
		x[i] = changed(t, x[i])
		return x
	}
	return other.Draw(t, "value")
}
