package schemas

import (
	"bytes"
	"errors"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/answerable-ledger/answerable/domain"
)

// A golden file is never edited. The flag writes the ones that are missing, after a kind or a version was added.
var addGolden = flag.Bool("add-golden", false, "write golden samples that are missing")

type golden struct {
	ID         uuid.UUID      `json:"id"`
	Stream     string         `json:"stream"`
	Revision   uint64         `json:"revision"`
	RecordedAt time.Time      `json:"recorded_at"`
	Kind       string         `json:"kind"`
	Data       jsontext.Value `json:"data"`
	Meta       jsontext.Value `json:"meta"`
}

func goldenPath(kind string, version int) string {
	return filepath.Join("testdata", "golden", kind+"-"+strconv.Itoa(version)+".json")
}

func readGolden(t testing.TB, kind string, version int) Source {
	t.Helper()
	text, err := os.ReadFile(goldenPath(kind, version))
	if err != nil {
		t.Fatal(err)
	}
	var g golden
	if err := json.Unmarshal(text, &g); err != nil {
		t.Fatal(err)
	}
	return Source{Stream: g.Stream, Revision: g.Revision, RecordedAt: g.RecordedAt, Stored: Stored{ID: g.ID, Kind: g.Kind, Data: g.Data, Meta: g.Meta}}
}

func goldenFact(e domain.Event) domain.Fact {
	cmd := domain.NewCommandID("golden", e.Kind())
	return domain.Fact{Event: e, Meta: domain.Meta{
		EventID: domain.NewEventID(cmd, 0), Stream: sampleKey.Stream(), Revision: 3,
		ReceivedAt: at("2021-02-08T07:00:00.1Z"), RecordedAt: at("2021-02-08T07:00:00.123456789Z"),
		Actor: "p_1", Role: domain.RoleFiler, Channel: domain.ChannelSpreadsheet, CommandID: cmd,
		CorrelationID: domain.NewCommandID("request"), CausationID: domain.NewEventID(domain.NewCommandID("cause"), 1),
	}}
}

func TestGoldenSamplesStayReadable(t *testing.T) {
	t.Parallel()
	reg := registry(t)
	for _, e := range samples() {
		current, ok := CurrentVersion(e.Kind())
		if !ok {
			t.Fatalf("%s: no current version", e.Kind())
		}
		for v := 1; v <= current; v++ {
			t.Run(e.Kind()+"-"+strconv.Itoa(v), func(t *testing.T) {
				want := goldenFact(sampleOf(e, v))
				if _, err := os.Stat(goldenPath(e.Kind(), v)); errors.Is(err, fs.ErrNotExist) && *addGolden && v == current {
					writeGolden(t, want, v)
				}
				s := readGolden(t, e.Kind(), v)
				got, err := Decode(s)
				if err != nil {
					t.Fatal(err)
				}
				if d := cmp.Diff(want, got); d != "" {
					t.Errorf("decoded otherwise than it was meant (-want +got):\n%s", d)
				}
				if own := domain.StreamOf(got.Event); own != "" {
					s.Stream = own // the samples were written on one stream for all kinds
				}
				if err := reg.CheckRecorded(s); err != nil {
					t.Error(err)
				}
				if v < current {
					return
				}
				stored, err := Encode(want)
				if err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(stored.Data, s.Data) || !bytes.Equal(stored.Meta, s.Meta) {
					t.Errorf("Encode gives other bytes than it did\n got %s\n     %s\nwant %s\n     %s", stored.Data, stored.Meta, s.Data, s.Meta)
				}
				if err := reg.ValidateEvent(stored); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

func writeGolden(t *testing.T, f domain.Fact, version int) {
	t.Helper()
	s, err := Encode(f)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(golden{s.ID, f.Stream, f.Revision, f.RecordedAt, s.Kind, s.Data, s.Meta})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(goldenPath(s.Kind, version), append(text, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
}

// Every golden file belongs to a version that is still read: nothing is dropped because nobody looks at it.
func TestNoGoldenSampleIsForgotten(t *testing.T) {
	t.Parallel()
	entries, err := os.ReadDir("testdata/golden")
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		kind, version, _ := strings.Cut(strings.TrimSuffix(entry.Name(), ".json"), "-")
		n, err := strconv.Atoi(version)
		if current, ok := CurrentVersion(kind); !ok || err != nil || n < 1 || n > current {
			t.Errorf("%s is a sample of nothing", entry.Name())
		}
	}
}

// Every event says what it is about, so that one on a wrong stream is found; but for those that only ever follow, on their
// report's stream, one that says it.
func TestEveryEventNamesItsStream(t *testing.T) {
	t.Parallel()
	follow := map[string]bool{"ReportReturned": true, "ReportSignedOff": true, "BreachWithdrawn": true, "BreachExplained": true, "BreachExcused": true, "BreachUpheld": true}
	for _, e := range samples() {
		if (domain.StreamOf(e) == "") != follow[e.Kind()] {
			t.Errorf("%s names the stream %q", e.Kind(), domain.StreamOf(e))
		}
	}
	s := readGolden(t, "UnitRenamed", 1)
	s.Stream = "unit-25873"
	if err := registry(t).CheckRecorded(s); !errors.Is(err, ErrMalformed) {
		t.Errorf("an event of unit 25900 on the stream of another: %v", err)
	}
}
