package schemas

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/answerable-ledger/answerable/domain"
)

func sampleFact() domain.Fact {
	cmd := domain.NewCommandID("sample")
	return domain.Fact{
		Meta: domain.Meta{EventID: domain.NewEventID(cmd, 0), Stream: "report-bluezone.commune.25900.20210208", Revision: 3,
			ReceivedAt: time.Date(2021, 2, 8, 7, 59, 59, 900_000_000, time.UTC), RecordedAt: time.Date(2021, 2, 8, 8, 0, 0, 100_000_000, time.UTC),
			Actor: "p_25900", Role: domain.RoleFiler, Channel: domain.ChannelAPI, CommandID: cmd, CorrelationID: uuid.MustParse("0195b6a0-5a0e-7c3e-8f4e-0f6b3a9d1c22")},
		Event: domain.ReportSubmitted{Regime: "bluezone", Form: "commune", FormVersion: 2, Unit: "25900", Date: "2021-02-08",
			Figures: domain.Figures{"smartphone_users": 8123, "installed": 4410, "new_today": 312, "households_visited": 1204},
			Note:    "Mẫu số giảm vì đã loại máy trùng; đã đối chiếu với danh sách của 6 khu phố ngày 07/02/2021.",
			Digest:  "6b2b3a4c5d6e7f8091a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f708", Due: time.Date(2021, 2, 8, 7, 0, 0, 0, time.UTC),
			RegimeVersion: 1, Timeliness: domain.Late,
			Findings: []domain.Finding{{Rule: domain.FindingDenominator, RuleVersion: 1, Field: "smartphone_users", Was: 9500, Is: 8123}}},
	}
}

func source(t testing.TB, f domain.Fact) Source {
	t.Helper()
	s, err := Encode(f)
	if err != nil {
		t.Fatal(err)
	}
	return Source{Stream: f.Stream, Revision: f.Revision, RecordedAt: f.RecordedAt, Stored: s}
}

func TestDecodeGivesWhatEncodeTook(t *testing.T) {
	f := sampleFact()
	got, err := Decode(source(t, f))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(f, got); d != "" {
		t.Error(d)
	}
}

func BenchmarkDecode(b *testing.B) {
	s := source(b, sampleFact())
	b.Logf("data %d B, meta %d B: %s %s", len(s.Data), len(s.Meta), s.Data, s.Meta)
	b.SetBytes(int64(len(s.Data) + len(s.Meta)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Decode(s); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodeMeta(b *testing.B) {
	s := source(b, sampleFact())
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := decodeMeta(s.Meta); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEncode(b *testing.B) {
	f := sampleFact()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Encode(f); err != nil {
			b.Fatal(err)
		}
	}
}
