package documents_test

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/answerable-ledger/answerable/documents"
	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/eventlog"
	"github.com/answerable-ledger/answerable/eventlog/memlog"
	"github.com/answerable-ledger/answerable/projections"
	"github.com/answerable-ledger/answerable/schemas"
	"github.com/answerable-ledger/answerable/transparency"
	"github.com/answerable-ledger/answerable/transparency/receipts"
	"github.com/answerable-ledger/answerable/transparency/treestore"
)

const origin = "ledger.example/x"

var madeAt = time.Date(2021, 2, 9, 3, 0, 0, 0, time.UTC)

// shelf holds the parts of bundles: a log of true events, one answer, and evidence of which only the form matters here.
type shelf struct {
	t      *testing.T
	log    *memlog.Log
	policy *transparency.Policy
	signed treestore.Signed
	erased map[uuid.UUID]bool
	broken error // of every receipt
}

func newShelf(t *testing.T) *shelf {
	t.Helper()
	key, err := transparency.NewSigningKey(origin, transparency.AlgEd25519, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s := &shelf{t: t, log: memlog.New(func() time.Time { return madeAt }), erased: map[uuid.UUID]bool{}}
	if s.policy, err = transparency.ParsePolicy(fmt.Appendf(nil, "log %s\nquorum none\n", key.VerifierKey)); err != nil {
		t.Fatal(err)
	}
	note, err := transparency.Checkpoint{Origin: origin, Size: 9}.Sign(key)
	if err != nil {
		t.Fatal(err)
	}
	s.signed = treestore.Signed{Size: 9, Note: note, SignedAt: madeAt}
	return s
}

// record puts a fact at the end of a stream.
func (s *shelf) record(stream string, actor domain.PersonID, e domain.Event) uuid.UUID {
	s.t.Helper()
	next := uint64(0)
	for _, err := range s.log.ReadStream(s.t.Context(), stream, 0) {
		if err != nil {
			s.t.Fatal(err)
		}
		next++
	}
	cmd := domain.NewCommandID(stream, fmt.Sprint(next))
	stored, err := schemas.Encode(domain.Fact{Event: e, Meta: domain.Meta{EventID: domain.NewEventID(cmd, 0), ReceivedAt: madeAt, Actor: actor, Role: domain.RoleFiler, Channel: domain.ChannelAPI, CommandID: cmd, CorrelationID: cmd}})
	if err != nil {
		s.t.Fatal(err)
	}
	if _, err := s.log.Append(s.t.Context(), stream, eventlog.After(next), []eventlog.Proposed{{ID: stored.ID, Kind: stored.Kind, Data: stored.Data, Meta: stored.Meta}}); err != nil {
		s.t.Fatal(err)
	}
	return stored.ID
}

func (s *shelf) Receipt(_ context.Context, id uuid.UUID) (receipts.Receipt, error) {
	return receipts.Receipt{Level: transparency.Logged, Index: 3, Size: 9, Bytes: []byte("receipt of " + id.String() + "\n")}, s.broken
}

func (s *shelf) Opening(_ context.Context, e eventlog.Recorded) (transparency.Opening, error) {
	if s.erased[e.ID] {
		return transparency.Opening{}, fmt.Errorf("%s: %w", e.ID, transparency.ErrErased)
	}
	return transparency.Opening{EventID: e.ID, HasPayload: true, Payload: e.Data}, nil
}

func (s *shelf) Checkpoints(context.Context) ([]treestore.Signed, error) {
	return []treestore.Signed{s.signed}, nil
}

func (s *shelf) Consistency(context.Context, int64, transparency.Note) (transparency.Consistency, error) {
	return transparency.Consistency{}, errors.New("one checkpoint needs no proof")
}

func (s *shelf) Policy() *transparency.Policy { return s.policy }

func (s *shelf) Answer(context.Context, projections.AnswerQuery) (projections.AnswerPage, error) {
	return projections.AnswerPage{Records: []projections.AnswerRecord{{Slot: projections.Slot{Regime: "bluezone", Form: "commune", Unit: "25900", Date: "2021-02-08"},
		UnitName: "Thị trấn Tân Bình <b>", Status: domain.StatusOnTime, Answerable: projections.HeadRef{Unit: "25900"}, HeadDeadline: projections.HeadRef{Unit: "719"}}}}, nil
}

// full records a day of a unit: what belongs into its bundle and what does not.
func (s *shelf) full() (closed uuid.UUID) {
	key := domain.ReportKey{Regime: "bluezone", Form: "commune", Unit: "25900", Date: "2021-02-08"}
	other := key
	other.Unit = "25741"
	s.record(domain.LogKeyStream, domain.System, domain.LogKeyIntroduced{Origin: origin, Key: "k", IntroducedBy: domain.System})
	s.record(domain.RegimeStream("bluezone"), "p_dept", domain.RegimeClosed{Regime: "bluezone", LastDay: "2021-02-10", Reason: "x", GrantedBy: "p_dept"})
	s.record(domain.DayStream("bluezone", key.Date), domain.System, domain.DayOpened{Regime: "bluezone", Date: key.Date, RegimeVersion: 1, Duties: []domain.DayDuty{}})
	closed = s.record(domain.DayStream("bluezone", key.Date), domain.System, domain.DayClosed{Regime: "bluezone", Date: key.Date, RegimeVersion: 1, ClosedAt: madeAt})
	signature := &domain.Signature{Method: "ed25519", Credential: "k1", Signature: "eA=="}
	s.record(key.Stream(), "filer", domain.ReportSubmitted{Regime: key.Regime, Form: key.Form, FormVersion: 2, Unit: key.Unit, Date: key.Date, Figures: domain.Figures{"installed": 1}, Timeliness: domain.OnTime, Due: madeAt, RegimeVersion: 1, Statement: "{}", Signature: signature})
	s.record(key.Stream(), "head", domain.ReportSignedOff{Version: 1, Signer: "head", Capacity: domain.CapacityHead, Statement: "{}", CheckpointSeen: "9 x"})
	s.record(other.Stream(), "filer_2", domain.ReportSubmitted{Regime: other.Regime, Form: other.Form, FormVersion: 2, Unit: other.Unit, Date: other.Date, Timeliness: domain.OnTime, Due: madeAt, RegimeVersion: 1})
	for _, p := range []domain.PersonID{"filer", "head", "filer_2"} {
		s.record(domain.PersonStream(p), p, domain.PersonRegistered{Person: p, Name: "Nguyễn Văn " + string(p)})
		s.record(domain.PersonStream(p), p, domain.CredentialEnrolled{Person: p, Credential: "k1", Method: "ed25519", PublicKey: "x", EnrolledBy: p})
	}
	s.record(domain.OfficeStream("25900"), "p_dept", domain.OfficeTaken{Unit: "25900", Person: "head", Capacity: domain.CapacityHead, From: madeAt})
	s.record(domain.OfficeStream("719"), "p_dept", domain.OfficeTaken{Unit: "719", Person: "p_719", Capacity: domain.CapacityHead, From: madeAt})
	s.record(domain.OfficeStream("25741"), "p_dept", domain.OfficeTaken{Unit: "25741", Person: "p_25741", Capacity: domain.CapacityHead, From: madeAt})
	return closed
}

func (s *shelf) bundle(q documents.BundleQuery) ([]byte, error) {
	var b bytes.Buffer
	err := documents.WriteBundle(s.t.Context(), &b, documents.Sources{Streams: s.log, Answers: s, Evidence: s, Forms: []domain.FormID{"commune"}, Decode: func(r eventlog.Recorded) (domain.Fact, error) {
		return schemas.Decode(schemas.Source{Stream: r.Stream, Revision: r.Revision, RecordedAt: r.RecordedAt, Stored: schemas.Stored{ID: r.ID, Kind: r.Kind, Data: r.Data, Meta: r.Meta}})
	}}, q)
	return b.Bytes(), err
}

var query = documents.BundleQuery{Regime: "bluezone", Unit: "25900", From: "2021-02-08", To: "2021-02-08", MadeAt: madeAt}

func unzip(t *testing.T, b []byte) (files map[string]string, names []string) {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	files = map[string]string{}
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		files[f.Name] = string(text)
		names = append(names, f.Name)
	}
	return files, names
}

// Given a day of a province, when a unit's bundle is made, then it holds what the unit's duties are judged by and nothing of
// others, opened where it is the unit's alone, and of persons the keys alone.
func TestABundleHoldsWhatIsTheUnits(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	closed := s.full()
	b, err := s.bundle(query)
	if err != nil {
		t.Fatal(err)
	}
	files, names := unzip(t, b)
	if !slices.IsSorted(names) {
		t.Errorf("the order of files is not that of their names: %q", names)
	}
	var m documents.Manifest
	if err := json.Unmarshal([]byte(files["bundle.json"]), &m); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range m.Entries {
		got = append(got, e.Stream+" "+e.Kind)
		if _, ok := files["receipts/"+e.EventID+".tlog-proof"]; !ok {
			t.Errorf("%s %s has no receipt", e.Stream, e.Kind)
		}
		_, opened := files["openings/"+e.EventID+".opening.json"]
		if opened != e.Opened || opened == (e.EventID == closed.String()) {
			t.Errorf("%s %s: opened %t", e.Stream, e.Kind, opened)
		}
	}
	want := []string{"log-keys LogKeyIntroduced", "regime-bluezone RegimeClosed", "regimeday-bluezone.20210208 DayOpened", "regimeday-bluezone.20210208 DayClosed",
		"report-bluezone.commune.25900.20210208 ReportSubmitted", "report-bluezone.commune.25900.20210208 ReportSignedOff",
		"office-25900 OfficeTaken", "office-719 OfficeTaken", "person-filer CredentialEnrolled", "person-head CredentialEnrolled"}
	if !slices.Equal(got, want) {
		t.Errorf("it holds\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if m.Origin != origin || m.V != documents.BundleVersion || files["policy.txt"] != s.policy.String() || !strings.Contains(files["checkpoints"], s.signed.Note.Text) {
		t.Errorf("%+v", m)
	}
	page := files["summary.html"]
	for _, part := range []string{`lang="vi"`, "Thị trấn Tân Bình &lt;b&gt;", "đúng hạn"} {
		if !strings.Contains(page, part) {
			t.Errorf("the page lacks %q", part)
		}
	}
	for _, part := range []string{"<script", "http://", "https://", "Nguyễn Văn filer"} {
		if strings.Contains(page, part) {
			t.Errorf("the page loads, runs or tells %q", part)
		}
	}
	again, err := s.bundle(query)
	if err != nil || !bytes.Equal(b, again) {
		t.Errorf("made again it is another: %v", err)
	}
	english := query
	english.Lang = domain.English
	if b, err = s.bundle(english); err != nil {
		t.Fatal(err)
	}
	if files, _ = unzip(t, b); !strings.Contains(files["summary.html"], "on time") {
		t.Error("the English page speaks no English")
	}
}

// Half a bundle is none; what was erased is left closed, and nothing else changes.
func TestABundleIsWholeOrNone(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	s.full()
	for name, change := range map[string]func(*documents.BundleQuery){
		"no day":            func(q *documents.BundleQuery) { q.From = "8 Feb" },
		"ends before":       func(q *documents.BundleQuery) { q.To = "2021-02-07" },
		"a year":            func(q *documents.BundleQuery) { q.To = "2022-02-08" },
		"an end that isn't": func(q *documents.BundleQuery) { q.To = "2021-02-30" },
	} {
		q := query
		change(&q)
		if b, err := s.bundle(q); !errors.Is(err, &domain.Error{Kind: domain.Invalid}) || len(b) > 0 {
			t.Errorf("%s: %d bytes, %v", name, len(b), err)
		}
	}
	for e, err := range s.log.ReadStream(t.Context(), "report-bluezone.commune.25900.20210208", 0) {
		if err != nil {
			t.Fatal(err)
		}
		s.erased[e.ID] = true
		break
	}
	b, err := s.bundle(query)
	if err != nil {
		t.Fatal(err)
	}
	files, _ := unzip(t, b)
	var m documents.Manifest
	if err := json.Unmarshal([]byte(files["bundle.json"]), &m); err != nil {
		t.Fatal(err)
	}
	if i := slices.IndexFunc(m.Entries, func(e documents.ManifestEntry) bool { return e.Kind == "ReportSubmitted" }); m.Entries[i].Opened || len(m.Entries) != 10 {
		t.Errorf("what was erased: %+v", m.Entries)
	}
	s.broken = errors.New("the tree is away")
	if b, err := s.bundle(query); !errors.Is(err, s.broken) || len(b) > 0 {
		t.Errorf("without a receipt: %d bytes, %v", len(b), err)
	}
}
