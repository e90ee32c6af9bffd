package sequencer_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/answerable-ledger/answerable/eventlog"
	"github.com/answerable-ledger/answerable/transparency"
	"github.com/answerable-ledger/answerable/transparency/sequencer"
	"github.com/answerable-ledger/answerable/transparency/treestore"
)

func witnessKey(t testing.TB) transparency.SigningKey {
	t.Helper()
	k, err := transparency.NewSigningKey("witness.example/w", transparency.AlgCosignatureV1, repeated(20))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func witnessedPolicy(t testing.TB, url string) *transparency.Policy {
	t.Helper()
	p, err := transparency.ParsePolicy(fmt.Appendf(nil, "log %s\nwitness w %s %s\nquorum w\n", key(t, 1), witnessKey(t), url))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// cosign signs what the log holds now and has it cosigned at the ledger's time plus late.
func cosign(t testing.TB, s *site, q *sequencer.Sequencer, log *ledger, late time.Duration) transparency.Note {
	t.Helper()
	c := mustForce(t, q)
	sig, err := witnessKey(t).Cosign(c.Note.Text, time.Unix(1632470000+log.now.Load(), 0).Add(late))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.tree.SaveCheckpoint(t.Context(), transparency.Note{Text: c.Note.Text, Signatures: []transparency.Signature{sig}}, time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	latest, _, err := s.tree.Latest(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return latest.Note
}

// witnessedSite has n events, one a second, with a cosigned checkpoint every 50 seconds, and its export.
func witnessedSite(t testing.TB, n int) (*site, *sequencer.Sequencer, *ledger, string) {
	t.Helper()
	log := newLedger()
	s := newSite(t)
	q := s.mustStart(t, log)
	for log.size < n {
		log.grow(t, min(50, n-log.size), "")
		cosign(t, s, q, log, time.Second)
	}
	dir := t.TempDir()
	if err := treestore.Export(t.Context(), s.tree, dir, nil); err != nil {
		t.Fatal(err)
	}
	return s, q, log, dir
}

func audit(dir string, o transparency.AuditOptions) (transparency.AuditReport, error) {
	return transparency.Audit(context.Background(), transparency.FromFS(os.DirFS(dir)), o)
}

func TestAuditOfExportAndOverHTTP(t *testing.T) {
	t.Parallel()
	s, q, log, dir := witnessedSite(t, 1000)
	p := witnessedPolicy(t, "")
	var openings []transparency.Opening
	for e, err := range log.ReadStream(t.Context(), "report-2", 100) {
		if err != nil {
			t.Fatal(err)
		}
		o, err := q.Opening(t.Context(), e)
		if err != nil {
			t.Fatal(err)
		}
		openings = append(openings, o)
	}
	var seen int64
	r, err := audit(dir, transparency.AuditOptions{Policy: p, Openings: openings, Each: func(i int64, l *transparency.Leaf, _ []transparency.Opening) error {
		if i != seen || l.Revision != uint64(i/5) {
			return fmt.Errorf("leaf %d out of order", i)
		}
		seen++
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	if r.Latest.Size != 1000 || r.Streams != 5 || r.Checkpoints != 20 || r.Witnessed != 20 || r.Covered != 1000 || r.Opened != 100 || r.Unknown != 0 || seen != 1000 {
		t.Errorf("%+v", r)
	}
	server := httptest.NewServer(http.StripPrefix("/log", treestore.Handler(s.tree, func(err error) { t.Error(err) })))
	t.Cleanup(server.Close)
	over, err := transparency.Audit(t.Context(), transparency.FromURL(server.URL+"/log", http.DefaultClient), transparency.AuditOptions{Policy: p})
	if err != nil || over.Latest.Root != r.Latest.Root {
		t.Errorf("%+v %v", over, err)
	}
	// Export and server give the same bytes.
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		want, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		got, err := transparency.FromURL(server.URL+"/log", http.DefaultClient).Fetch(t.Context(), filepath.ToSlash(rel))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %v", rel, err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestHandlerHeadersAndLimits(t *testing.T) {
	t.Parallel()
	s, q, log, _ := witnessedSite(t, 600)
	h := treestore.Handler(s.tree, func(err error) { t.Error(err) })
	get := func(method, path string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(method, path, nil))
		return w
	}
	log.grow(t, 100, "") // sequenced, not signed
	if err := q.CatchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		path  string
		code  int
		cache string
	}{
		{"/checkpoint", 200, "public, max-age=1"},
		{"/tile/0/000", 200, "public, max-age=31536000, immutable"},
		{"/tile/0/002.p/88", 200, "public, max-age=31536000, immutable"},
		{"/tile/entries/002.p/88", 200, "public, max-age=31536000, immutable"},
		{"/tile/1/000.p/2", 200, "public, max-age=31536000, immutable"},
		{"/history/000", 200, "public, max-age=1"},
		{"/history/001", 404, "no-store"},
		{"/tile/0/002.p/89", 404, "no-store"},       // there, but nothing was signed for it
		{"/tile/entries/002.p/89", 404, "no-store"}, // likewise
		{"/tile/0/002", 404, "no-store"},
		{"/tile/1/000.p/3", 404, "no-store"},
		{"/tile/9/000", 404, "no-store"},
		{"/tile/0/0", 404, "no-store"},
		{"/../guard", 404, "no-store"},
		{"/", 404, "no-store"},
	} {
		w := get("GET", tc.path)
		if w.Code != tc.code || w.Header().Get("Cache-Control") != tc.cache {
			t.Errorf("%s: %d %q", tc.path, w.Code, w.Header().Get("Cache-Control"))
		}
	}
	if w := get("POST", "/checkpoint"); w.Code != 405 {
		t.Errorf("POST: %d", w.Code)
	}
}

// forge writes an export that a dishonest operator would write: own key, changed leaves, everything derived again.
func forge(t testing.TB, from string, change func([][]byte) [][]byte) string {
	t.Helper()
	var leaves [][]byte
	f := transparency.FromFS(os.DirFS(from))
	b, err := f.Fetch(t.Context(), "checkpoint")
	if err != nil {
		t.Fatal(err)
	}
	n, err := transparency.ParseNote(b)
	if err != nil {
		t.Fatal(err)
	}
	c, err := transparency.ParseCheckpoint(n.Text)
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range transparency.BundlesOf(c.Size) {
		b, err := f.Fetch(t.Context(), id.Path())
		if err != nil {
			t.Fatal(err)
		}
		entries, err := transparency.SplitEntries(b)
		if err != nil {
			t.Fatal(err)
		}
		leaves = append(leaves, entries...)
	}
	leaves = change(leaves)
	dir := t.TempDir()
	tree, err := treestore.Open(t.Context(), treestore.Options{Path: filepath.Join(dir, "tree.db"), Origin: origin, Create: true})
	if err != nil {
		t.Fatal(err)
	}
	defer tree.Close()
	var entries []treestore.Entry
	for i, l := range leaves {
		entries = append(entries, treestore.Entry{Leaf: l, Position: eventlog.Position{Commit: uint64(i + 1), Prepare: uint64(i + 1)}})
	}
	if err := tree.Append(t.Context(), 0, entries); err != nil {
		t.Fatal(err)
	}
	root, err := tree.Root(t.Context(), int64(len(leaves)))
	if err != nil {
		t.Fatal(err)
	}
	signed, err := transparency.Checkpoint{Origin: origin, Size: int64(len(leaves)), Root: root}.Sign(key(t, 1))
	if err != nil {
		t.Fatal(err)
	}
	if err := tree.SaveCheckpoint(t.Context(), signed, time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, "log")
	if err := treestore.Export(t.Context(), tree, out, nil); err != nil {
		t.Fatal(err)
	}
	return out
}

func relabel(l []byte, change func(*transparency.Leaf)) []byte {
	leaf, err := transparency.ParseLeaf(l)
	if err != nil {
		panic(err)
	}
	change(&leaf)
	b, err := leaf.Append(nil)
	if err != nil {
		panic(err)
	}
	return b
}

// TestAuditFindsWhatAnOperatorCanDo: the operator holds the key and derives the whole tree again; what is left against him
// is the sequence inside each stream, and for the rest the memory of the auditor and the witnesses.
func TestAuditFindsWhatAnOperatorCanDo(t *testing.T) {
	t.Parallel()
	_, q, log, dir := witnessedSite(t, 600)
	b, err := os.ReadFile(filepath.Join(dir, "checkpoint"))
	if err != nil {
		t.Fatal(err)
	}
	pinned, err := transparency.ParseNote(b)
	if err != nil {
		t.Fatal(err)
	}
	var opening transparency.Opening
	for e, err := range log.ReadStream(t.Context(), "report-2", 20) { // leaf 102
		if err != nil {
			t.Fatal(err)
		}
		if opening, err = q.Opening(t.Context(), e); err != nil {
			t.Fatal(err)
		}
		break
	}
	for _, tc := range []struct {
		name   string
		change func([][]byte) [][]byte
		want   error // without memory; nil when only memory helps
		place  string
	}{
		{"nothing", func(l [][]byte) [][]byte { return l }, nil, ""},
		{"dropped", func(l [][]byte) [][]byte { return slices.Delete(l, 102, 103) }, transparency.ErrSequence, "entry 106"},
		{"swapped within a stream", func(l [][]byte) [][]byte { l[102], l[107] = l[107], l[102]; return l }, transparency.ErrSequence, "entry 102"},
		{"doubled", func(l [][]byte) [][]byte { return slices.Insert(l, 103, l[102]) }, transparency.ErrSequence, "entry 103"},
		{"inserted", func(l [][]byte) [][]byte {
			return slices.Insert(l, 103, relabel(l[102], func(x *transparency.Leaf) { x.EventID[0] ^= 1; x.Actor = "p-9" }))
		}, transparency.ErrSequence, "entry 103"},
		{"backdated below the one before", func(l [][]byte) [][]byte {
			l[102] = relabel(l[102], func(x *transparency.Leaf) { x.RecordedAt = x.RecordedAt.Add(-time.Hour) })
			return l
		}, transparency.ErrSequence, "entry 102"},
		{"another log's entry", func(l [][]byte) [][]byte {
			l[102] = relabel(l[102], func(x *transparency.Leaf) { x.Origin = "ledger.example/other" })
			return l
		}, transparency.ErrOrigin, "entry 102"},
		{"another figure, opening held", func(l [][]byte) [][]byte {
			l[102] = relabel(l[102], func(x *transparency.Leaf) { x.Payload[0] ^= 1 })
			return l
		}, transparency.ErrCommitment, "entry 102"},
		{"the opened event removed with its stream", func(l [][]byte) [][]byte {
			return slices.DeleteFunc(l, func(b []byte) bool { return bytes.Contains(b, []byte(`"report-2"`)) })
		}, transparency.ErrCommitment, "opening of event"},
		{"another actor", func(l [][]byte) [][]byte {
			l[102] = relabel(l[102], func(x *transparency.Leaf) { x.Actor = "p-9" })
			return l
		}, nil, ""},
		{"swapped across streams", func(l [][]byte) [][]byte { l[102], l[103] = l[103], l[102]; return l }, nil, ""},
		{"cut off", func(l [][]byte) [][]byte { return l[:500] }, nil, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			forged := forge(t, dir, tc.change)
			p := witnessedPolicy(t, "")
			r, err := audit(forged, transparency.AuditOptions{Policy: p, Openings: []transparency.Opening{opening}})
			if !errors.Is(err, tc.want) || err != nil && !strings.Contains(err.Error(), tc.place) {
				t.Errorf("without memory: %v", err)
			}
			if err == nil && r.Witnessed != 0 {
				t.Error("no witness cosigned a forged log")
			}
			// With memory nothing passes but the true one.
			_, err = audit(forged, transparency.AuditOptions{Policy: p, Pinned: []transparency.Note{pinned}})
			if tc.name == "nothing" {
				if err != nil {
					t.Errorf("the true log: %v", err)
				}
				return
			}
			if err == nil {
				t.Fatal("with memory: not noticed")
			}
			var fork *transparency.Fork
			if tc.want == nil && tc.name != "cut off" {
				if !errors.As(err, &fork) || !strings.Contains(err.Error(), string(pinned.Marshal())) {
					t.Fatalf("both notes must be shown: %v", err)
				}
				checkForkEvidence(t, fork)
			}
			if tc.name == "cut off" && !errors.Is(err, transparency.ErrOlder) {
				t.Error(err)
			}
		})
	}
}

// checkForkEvidence does what a third party would: both notes are signed, and no proof leads from one to the other.
func checkForkEvidence(t *testing.T, f *transparency.Fork) {
	t.Helper()
	keys := []transparency.VerifierKey{key(t, 1).VerifierKey}
	older, err := transparency.VerifyLog(f.Older, keys)
	if err != nil {
		t.Fatal(err)
	}
	newer, err := transparency.VerifyLog(f.Newer, keys)
	if err != nil {
		t.Fatal(err)
	}
	if err := transparency.CheckConsistency(f.Proof, older.Size, older.Root, newer); !errors.Is(err, transparency.ErrProof) {
		t.Errorf("the evidence proves nothing: %v", err)
	}
}

// TestBackdating: events whose recorded time lies outside what the witnesses' clocks allow.
func TestBackdating(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		at   int64         // second at which the events after the witnessed silence say they were recorded
		late time.Duration // offset of the witness's clock
		want error
	}{
		{"honest", 210, time.Second, nil},
		{"clocks five seconds apart", 210, -5 * time.Second, nil},
		{"recorded while the log is known to have been without it", 10, time.Second, transparency.ErrTime},
		{"recorded a minute after it was witnessed", 210, -time.Minute, transparency.ErrTime},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			log := newLedger()
			s := newSite(t)
			q := s.mustStart(t, log)
			cosign(t, s, q, log, 0) // the empty tree
			log.grow(t, 5, "")
			cosign(t, s, q, log, tc.late)
			log.now.Store(205) // silence until here, and witnessed silence
			cosign(t, s, q, log, tc.late)
			for i := range 5 {
				log.now.Store(tc.at + int64(i))
				appendNext(t, log, i)
			}
			log.now.Store(215)
			cosign(t, s, q, log, tc.late)
			dir := t.TempDir()
			if err := treestore.Export(t.Context(), s.tree, dir, nil); err != nil {
				t.Fatal(err)
			}
			_, err := audit(dir, transparency.AuditOptions{Policy: witnessedPolicy(t, "")})
			if !errors.Is(err, tc.want) {
				t.Fatal(err)
			}
			if err != nil {
				t.Log(err)
			}
		})
	}
}

func appendNext(t testing.TB, l *ledger, i int) {
	t.Helper()
	if _, err := l.Append(t.Context(), fmt.Sprintf("late-%d", i), eventlog.NoStream, []eventlog.Proposed{{ID: [16]byte{9, byte(i)}, Kind: "ReportSubmitted", Meta: []byte(`{}`)}}); err != nil {
		t.Fatal(err)
	}
}

func TestTwoCheckpointsOfOneSize(t *testing.T) {
	t.Parallel()
	_, _, _, dir := witnessedSite(t, 100)
	n, err := transparency.Checkpoint{Origin: origin, Size: 100, Root: tlog.Hash{1}}.Sign(key(t, 1))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "checkpoint"), n.Marshal(), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err = audit(dir, transparency.AuditOptions{Policy: witnessedPolicy(t, "")})
	if !errors.Is(err, transparency.ErrFork) {
		t.Error(err)
	}
}

func TestMissingFilesAreFaults(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"tile/0/000", "tile/0/002.p/88", "tile/entries/001", "tile/entries/002.p/88", "tile/1/000.p/2"} {
		_, _, _, dir := witnessedSite(t, 600)
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
		var fault *transparency.Fault
		if _, err := audit(dir, transparency.AuditOptions{Policy: witnessedPolicy(t, "")}); !errors.As(err, &fault) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
