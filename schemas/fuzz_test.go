package schemas

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"strconv"
	"testing"
	"time"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/answerable-ledger/answerable/domain"
)

// What decodes, encodes again, and to bytes that decode to the same fact.
func FuzzDecode(f *testing.F) {
	for _, kind := range Kinds() {
		current, _ := CurrentVersion(kind)
		for v := 1; v <= current; v++ {
			if _, err := os.Stat(goldenPath(kind, v)); err != nil {
				f.Fatal(err)
			}
			s := readGolden(f, kind, v)
			f.Add(kind, []byte(s.Data), []byte(s.Meta))
		}
	}
	f.Add("ReportSubmitted", []byte(`{"late":null}`), []byte(`{"schema":1}`))
	f.Add("ReportSubmitted", []byte(`{"regime":"a","regime":"b"}`), []byte(`{"received_at":"2021-02-08T07:00:00+07:00","schema":2}`))
	f.Add("Nothing", []byte(`{}`), []byte(`{}`))
	f.Fuzz(func(t *testing.T, kind string, data, meta []byte) {
		s := Source{Stream: "report-a.b.c.20210208", Stored: Stored{Kind: kind, Data: data, Meta: meta}}
		fact, err := Decode(s)
		if err != nil {
			if !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrUnknownKind) && !errors.Is(err, ErrNewer) {
				t.Fatalf("an error of no kind: %v", err)
			}
			return
		}
		first, err := Encode(fact)
		if err != nil {
			t.Skip() // years beyond 9999 are read but not written
		}
		again, err := Decode(Source{Stream: s.Stream, Stored: first})
		if err != nil {
			t.Fatalf("what Encode gave does not decode: %v\n%s\n%s", err, first.Data, first.Meta)
		}
		second, err := Encode(again)
		if err != nil || !bytes.Equal(first.Data, second.Data) || !bytes.Equal(first.Meta, second.Meta) {
			t.Fatalf("not a fixed point: %v\n%s\n%s", err, first.Data, second.Data)
		}
	})
}

// Figures that are let pass are what encoding/json, the reader most others use, makes of the same bytes.
func FuzzValidateFigures(f *testing.F) {
	for _, seed := range []string{
		`{"smartphone_users":10,"installed":6,"new_today":1}`,
		`{"smartphone_users":9007199254740992,"installed":0,"new_today":0,"households_visited":5}`,
		`{"smartphone_users":1.0,"installed":1e3,"new_today":-0}`,
		`{"installed":1,"installed":2}`, `{"\u0069nstalled":1,"installed":2}`, `[]`, `null`, `"`, `{"a":{"b":[1,2,{}]}}`, "\xff", `{"x":1e999999999}`,
	} {
		f.Add([]byte(seed))
	}
	reg := registry(f)
	f.Fuzz(func(t *testing.T, figures []byte) {
		got, err := reg.ParseFigures("commune", 2, figures)
		if err != nil {
			if len(faultsOf(t, err)) == 0 {
				t.Fatalf("a refusal without a fault: %v", err)
			}
			return
		}
		var want map[string]int64
		if err := json.Unmarshal(figures, &want); err != nil {
			t.Fatalf("let pass %q: %v", figures, err)
		}
		if d := cmp.Diff(domain.Figures(want), got); d != "" {
			t.Fatal(d)
		}
		if got["installed"] > got["smartphone_users"] || got["new_today"] < 0 || got["smartphone_users"] > domain.MaxFigure {
			t.Fatalf("let pass %v", got)
		}
	})
}

// The short way through meta and the long one agree, and what the short way calls plainly good the schema accepts.
func TestMetaIsReadAlikeByBothWays(t *testing.T) {
	t.Parallel()
	reg := registry(t)
	rapid.Check(t, func(t *rapid.T) {
		id := func(label string) uuid.UUID {
			return uuid.UUID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, label))
		}
		m := domain.Meta{
			ReceivedAt:    time.Unix(rapid.Int64Range(-2e9, 4e9).Draw(t, "seconds"), rapid.Int64Range(0, 999_999_999).Draw(t, "ns")).UTC(),
			Actor:         domain.PersonID(rapid.OneOf(rapid.StringMatching(`[a-z0-9_]{1,41}`), rapid.String()).Draw(t, "actor")),
			Role:          domain.Role(rapid.OneOf(rapid.SampledFrom([]string{"filer", "system", "", "Filer"}), rapid.String()).Draw(t, "role")),
			Channel:       rapid.SampledFrom(append(channels(), "fax")).Draw(t, "channel"),
			CommandID:     id("command"),
			CorrelationID: id("correlation"),
		}
		if rapid.Bool().Draw(t, "caused") {
			m.CausationID = id("causation")
		}
		version := rapid.IntRange(1, 2_000_000).Draw(t, "version")
		b, err := appendMeta(nil, m, version)
		if err != nil {
			return // not UTF-8
		}
		var long metaMembers
		if err := jsonv2.Unmarshal(b, &long, reading); err != nil {
			t.Fatalf("%s: %v", b, err)
		}
		got, gotVersion, err := decodeMeta(b)
		if err != nil || gotVersion != version || !cmp.Equal(m, got) {
			t.Fatalf("%s\nread as %+v, %d, %v", b, got, gotVersion, err)
		}
		if got.Actor != long.Actor || got.CommandID != long.CommandID || !got.ReceivedAt.Equal(long.ReceivedAt) || long.Schema != version {
			t.Fatalf("the two ways differ: %+v %+v", got, long)
		}
		if plainlyGoodMeta(b) {
			if faults := reg.text("meta/1", b, "/meta"); len(faults) > 0 {
				t.Fatalf("%s: %v", b, faults)
			}
		}
	})
}

func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	good := source(t, sampleFact())
	for name, c := range map[string]struct {
		change func(*Source)
		want   error
	}{
		"an unknown kind":  {func(s *Source) { s.Kind = "ReportTorn" }, ErrUnknownKind},
		"a newer version":  {func(s *Source) { s.Meta = bytes.Replace(s.Meta, []byte(`"schema":3`), []byte(`"schema":4`), 1) }, ErrNewer},
		"a duplicate name": {func(s *Source) { s.Data = bytes.Replace(s.Data, []byte(`{`), []byte(`{"regime":"x",`), 1) }, ErrMalformed},
		"a duplicate figure": {func(s *Source) {
			s.Data = bytes.Replace(s.Data, []byte(`"figures":{`), []byte(`"figures":{"installed":1,`), 1)
		}, ErrMalformed},
		"an unknown member":  {func(s *Source) { s.Data = bytes.Replace(s.Data, []byte(`{`), []byte(`{"colour":"x",`), 1) }, ErrMalformed},
		"another case":       {func(s *Source) { s.Data = bytes.Replace(s.Data, []byte(`"unit"`), []byte(`"Unit"`), 1) }, ErrMalformed},
		"bad UTF-8":          {func(s *Source) { s.Data = bytes.Replace(s.Data, []byte(`25900`), []byte("\xff5900"), 1) }, ErrMalformed},
		"a fraction":         {func(s *Source) { s.Data = bytes.Replace(s.Data, []byte(`4410`), []byte("4410.5"), 1) }, ErrMalformed},
		"a second value":     {func(s *Source) { s.Data = append(s.Data, "{}"...) }, ErrMalformed},
		"half of it":         {func(s *Source) { s.Data = s.Data[:len(s.Data)/2] }, ErrMalformed},
		"no meta":            {func(s *Source) { s.Meta = nil }, ErrMalformed},
		"a meta member more": {func(s *Source) { s.Meta = bytes.Replace(s.Meta, []byte(`{`), []byte(`{"x":1,`), 1) }, ErrMalformed},
		"schema zero":        {func(s *Source) { s.Meta = bytes.Replace(s.Meta, []byte(`"schema":3`), []byte(`"schema":0`), 1) }, ErrMalformed},
		"version 1 of bytes of version 3": {func(s *Source) {
			s.Meta = bytes.Replace(s.Meta, []byte(`"schema":3`), []byte(`"schema":1`), 1)
		}, ErrMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := good
			s.Data, s.Meta = bytes.Clone(good.Data), bytes.Clone(good.Meta)
			c.change(&s)
			_, err := Decode(s)
			if !errors.Is(err, c.want) {
				t.Fatalf("got %v, want %v", err, c.want)
			}
			for _, part := range []string{s.Stream, s.Kind, strconv.FormatUint(s.Revision, 10)} {
				if !bytes.Contains([]byte(err.Error()), []byte(part)) {
					t.Errorf("%q does not name %q", err, part)
				}
			}
		})
	}
}

// The hop is a function of the bytes alone, and leaves all but its own member as it was.
func TestHopChangesOneMember(t *testing.T) {
	t.Parallel()
	for late, timeliness := range map[string]string{"true": "late", "false": "on_time"} {
		in := []byte(`{"regime":"a", "late" : ` + late + `,"figures":{"b":1,"a":2}}`)
		want := `{"regime":"a","timeliness":"` + timeliness + `","figures":{"b":1,"a":2}}`
		for range 3 {
			got, err := upcast("ReportSubmitted", 1, in)
			if err != nil || string(got) != want {
				t.Errorf("got %s, %v, want %s", got, err, want)
			}
		}
	}
	for _, bad := range []string{`{}`, `{"late":"yes"}`, `{"late":true,"late":true}`, `[]`, ``, `{"late":true`} {
		if got, err := upcast("ReportSubmitted", 1, []byte(bad)); err == nil {
			t.Errorf("%s became %s", bad, got)
		}
	}
}

// A report changed after it was signed, or by a hop, does not pass verification.
func TestCheckRecordedComparesTheDigest(t *testing.T) {
	t.Parallel()
	s := readGolden(t, "ReportSubmitted", 2)
	s.Data = bytes.Replace(s.Data, []byte(`"installed":4410`), []byte(`"installed":4411`), 1)
	if err := registry(t).CheckRecorded(s); !errors.Is(err, ErrMalformed) {
		t.Errorf("got %v", err)
	}
}
