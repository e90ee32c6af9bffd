package sequencer_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
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
	"github.com/answerable-ledger/answerable/transparency/witness"
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

// TestEveryFlipInAnExportIsNoticed flips random bits in random files of a witnessed export.
func TestEveryFlipInAnExportIsNoticed(t *testing.T) {
	t.Parallel()
	_, _, _, dir := witnessedSite(t, 700)
	p := witnessedPolicy(t, "")
	r, err := audit(dir, transparency.AuditOptions{Policy: p})
	if err != nil {
		t.Fatal(err)
	}
	type file struct {
		path string
		good []byte
	}
	var files []file
	total := 0
	if err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		files = append(files, file{path, b})
		total += len(b)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	const seed, flips = 1, 400
	rng := rand.New(rand.NewPCG(seed, seed))
	for range flips {
		// Half by size, half by file, so that the small files are met too.
		f := files[rng.IntN(len(files))]
		if rng.IntN(2) == 0 {
			at := rng.IntN(total)
			for _, g := range files {
				if at < len(g.good) {
					f = g
					break
				}
				at -= len(g.good)
			}
		}
		i, bit := rng.IntN(len(f.good)), rng.IntN(8)
		bad := bytes.Clone(f.good)
		bad[i] ^= 1 << bit
		if err := os.WriteFile(f.path, bad, 0o644); err != nil {
			t.Fatal(err)
		}
		got, err := audit(dir, transparency.AuditOptions{Policy: p})
		// A signature line whose name or key id was hit belongs to nobody: that is shown, with one witnessed head fewer.
		if err == nil && got.Unknown == 0 && got.Witnessed == r.Witnessed {
			t.Errorf("%s: byte %d, bit %d (%q) not noticed", f.path, i, bit, f.good[max(0, i-20):min(len(f.good), i+20)])
		}
		if err := os.WriteFile(f.path, f.good, 0o644); err != nil {
			t.Fatal(err)
		}
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

func TestCosigner(t *testing.T) {
	t.Parallel()
	log := newLedger().grow(t, 30, "")
	w, err := witness.New(witness.Options{Dir: t.TempDir(), Key: witnessKey(t), Logs: []transparency.VerifierKey{key(t, 1).VerifierKey}})
	if err != nil {
		t.Fatal(err)
	}
	down := make(chan struct{}) // the witness is down until it is closed
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		select {
		case <-down:
			w.Handler().ServeHTTP(rw, r)
		default:
			http.Error(rw, "down", 503)
		}
	}))
	t.Cleanup(server.Close)
	s := newSite(t)
	p := witnessedPolicy(t, server.URL)
	var c *sequencer.Cosigner
	q := s.mustStart(t, log, func(o *sequencer.Options) { o.Published = func(x treestore.Signed) { c.Offer(x) } })
	failed := make(chan error, 100)
	c = sequencer.NewCosigner(sequencer.CosignerOptions{Tree: s.tree, Policy: p, HTTP: http.DefaultClient, Clock: time.Now, Refresh: q.Force,
		Report: func(_ string, _ int64, err error) {
			if err != nil {
				failed <- err
			}
		}})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()

	// A witness that is down holds up nothing: the receipt says "logged".
	mustForce(t, q)
	<-failed
	level := func() transparency.Level {
		proof, err := s.tree.Receipt(t.Context(), 7, p)
		if err != nil {
			t.Fatal(err)
		}
		v, err := transparency.VerifyReceipt(proof.Marshal(), p, transparency.ReceiptOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return v.Level
	}
	if got := level(); got != transparency.Logged {
		t.Errorf("witness down: %v", got)
	}
	close(down)
	if _, err := c.Wait(t.Context(), 30); err != nil {
		t.Fatal(err)
	}
	if got := level(); got != transparency.Witnessed {
		t.Errorf("witness up again: %v", got)
	}
	log.grow(t, 10, "")
	mustForce(t, q)
	if k, err := c.Wait(t.Context(), 40); err != nil || k.Size != 40 {
		t.Error(k.Size, err)
	}
	cancel()
	<-done
	s.close()

	// A log that was put back and went another way meets the witness that remembers.
	other := newSite(t)
	var c2 *sequencer.Cosigner
	q2 := other.mustStart(t, newLedger().grow(t, 20, "").grow(t, 30, "other"), func(o *sequencer.Options) {
		o.Published = func(x treestore.Signed) { c2.Offer(x) }
	})
	forked := make(chan error, 100)
	c2 = sequencer.NewCosigner(sequencer.CosignerOptions{Tree: other.tree, Policy: p, HTTP: http.DefaultClient, Clock: time.Now, Refresh: q2.Force,
		Report: func(_ string, _ int64, err error) { forked <- err }})
	ctx, cancel = context.WithCancel(t.Context())
	go func() { done <- c2.Run(ctx) }()
	mustForce(t, q2)
	if err := <-forked; !errors.Is(err, transparency.ErrFork) {
		t.Errorf("want a fork: %v", err)
	}
	cancel()
	<-done
}

// TestEveryFlipInTheTreeFileIsNoticed flips random bits in tree.db. One that goes unnoticed must have changed nothing that
// the file says: it lay in free space, or in the engine's own housekeeping.
func TestEveryFlipInTheTreeFileIsNoticed(t *testing.T) {
	t.Parallel()
	s, _, log, _ := witnessedSite(t, 300)
	s.close()
	good, err := os.ReadFile(s.treePath())
	if err != nil {
		t.Fatal(err)
	}
	p := witnessedPolicy(t, "")
	look := func(b []byte) (said string, err error) {
		removeTree(t, s)
		if err := os.WriteFile(s.treePath(), b, 0o600); err != nil {
			t.Fatal(err)
		}
		tree, err := treestore.Open(t.Context(), treestore.Options{Path: s.treePath(), Origin: origin})
		if err != nil {
			return "", err
		}
		defer tree.Close()
		guard, err := treestore.OpenGuard(s.guardPath())
		if err != nil {
			t.Fatal(err)
		}
		defer guard.Close()
		if err := tree.Check(t.Context(), treestore.CheckOptions{Policy: p}); err != nil {
			return "", err
		}
		q, err := sequencer.New(t.Context(), sequencer.Options{Log: log, Tree: tree, Guard: guard, Header: header, Salts: s.salts, Keys: []transparency.SigningKey{key(t, 1)}})
		if err != nil {
			return "", err
		}
		if err := q.Verify(t.Context(), nil); err != nil {
			return "", err
		}
		kept, err := tree.Checkpoints(t.Context(), 0, 1000)
		if err != nil {
			return "", err
		}
		for _, k := range kept {
			said += string(k.Note.Marshal())
		}
		return said, nil
	}
	want, err := look(good)
	if err != nil {
		t.Fatal(err)
	}
	const seed, flips = 2, 150
	rng := rand.New(rand.NewPCG(seed, seed))
	free := 0
	for range flips {
		bad := bytes.Clone(good)
		i, bit := rng.IntN(len(bad)), rng.IntN(8)
		bad[i] ^= 1 << bit
		got, err := look(bad)
		if err != nil {
			continue
		}
		// Leaves, tiles and places were compared with the log; the checkpoints are what is left.
		if got != want {
			t.Errorf("byte %d, bit %d not noticed", i, bit)
		}
		free++
	}
	t.Logf("%d of %d flips lay in free space", free, flips)
}
