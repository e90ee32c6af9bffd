package witness_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/answerable-ledger/answerable/transparency"
	"github.com/answerable-ledger/answerable/transparency/witness"
)

type repeated byte

func (r repeated) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = byte(r)
	}
	return len(b), nil
}

func key(t testing.TB, name string, alg transparency.Algorithm, b byte) transparency.SigningKey {
	t.Helper()
	k, err := transparency.NewSigningKey(name, alg, repeated(b))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// tree is a log in memory; way makes another history of it.
type tree struct {
	hashes []tlog.Hash
	size   int64
}

func (m *tree) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, x := range indexes {
		out[i] = m.hashes[x]
	}
	return out, nil
}

func grown(t testing.TB, n int, way string) *tree {
	t.Helper()
	m := &tree{}
	for ; m.size < int64(n); m.size++ {
		hs, err := tlog.StoredHashes(m.size, fmt.Append(nil, way, m.size), m)
		if err != nil {
			t.Fatal(err)
		}
		m.hashes = append(m.hashes, hs...)
	}
	return m
}

func (m *tree) note(t testing.TB, size int64, k transparency.SigningKey) transparency.Note {
	t.Helper()
	root, err := tlog.TreeHash(size, m)
	if err != nil {
		t.Fatal(err)
	}
	n, err := transparency.Checkpoint{Origin: k.Name, Size: size, Root: root}.Sign(k)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func (m *tree) proof(t testing.TB, old, size int64) tlog.TreeProof {
	t.Helper()
	if old == 0 || old == size {
		return nil
	}
	p, err := tlog.ProveTree(size, old, m)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

type bench struct {
	dir     string
	now     time.Time
	log     transparency.SigningKey
	own     transparency.SigningKey
	server  *httptest.Server
	witness *witness.Witness
	said    []string
}

func start(t testing.TB) *bench {
	t.Helper()
	b := &bench{dir: t.TempDir(), now: time.Unix(1632470400, 0), log: key(t, "ledger.example/x", transparency.AlgEd25519, 1), own: key(t, "witness.example/w", transparency.AlgCosignatureV1, 2)}
	b.restart(t)
	return b
}

func (b *bench) restart(t testing.TB) {
	t.Helper()
	if b.witness != nil {
		b.server.Close()
		b.witness.Close()
	}
	w, err := witness.New(witness.Options{Dir: b.dir, Key: b.own, Logs: []transparency.VerifierKey{b.log.VerifierKey}, Now: func() time.Time { return b.now }, Log: func(s string) { b.said = append(b.said, s) }})
	if err != nil {
		t.Fatal(err)
	}
	b.server, b.witness = httptest.NewServer(w.Handler()), w
	t.Cleanup(b.server.Close)
}

func (b *bench) post(t testing.TB, body []byte) (int, string, string) {
	t.Helper()
	res, err := http.Post(b.server.URL+"/add-checkpoint", "text/plain", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(answer), res.Header.Get("Content-Type")
}

func TestProtocol(t *testing.T) {
	t.Parallel()
	b := start(t)
	m, fork := grown(t, 40, ""), grown(t, 40, "other")
	stranger := key(t, "ledger.example/x", transparency.AlgEd25519, 9)
	other := key(t, "ledger.example/other", transparency.AlgEd25519, 1)
	ask := func(tr *tree, old, size int64) []byte {
		return transparency.Consistency{Old: old, Proof: tr.proof(t, old, size), Checkpoint: tr.note(t, size, b.log)}.Marshal()
	}
	forged := m.note(t, 20, b.log)
	forged.Signatures[0].Sig[3] ^= 1
	emptyWrong, err := transparency.Checkpoint{Origin: b.log.Name, Size: 0, Root: tlog.Hash{1}}.Sign(b.log)
	if err != nil {
		t.Fatal(err)
	}
	// The order matters: the witness stands at the size of the last 200.
	for _, step := range []struct {
		name string
		body []byte
		want int
	}{
		{"garbage", []byte("hello"), 400},
		{"unknown log", transparency.Consistency{Checkpoint: m.note(t, 10, other)}.Marshal(), 404},
		{"signed by a stranger", transparency.Consistency{Checkpoint: m.note(t, 10, stranger)}.Marshal(), 403},
		{"known key, bad signature", transparency.Consistency{Checkpoint: forged}.Marshal(), 403},
		{"empty tree with a root", transparency.Consistency{Checkpoint: emptyWrong}.Marshal(), 422},
		{"empty tree", ask(m, 0, 0), 200},
		{"proof from nothing", transparency.Consistency{Proof: m.proof(t, 3, 10), Checkpoint: m.note(t, 10, b.log)}.Marshal(), 422},
		{"first", ask(m, 0, 10), 200},
		{"first again", ask(m, 0, 10), 409},
		{"same size", ask(m, 10, 10), 200},
		{"same size, other root", ask(fork, 10, 10), 422},
		{"old above new", transparency.Consistency{Old: 11, Checkpoint: m.note(t, 10, b.log)}.Marshal(), 400},
		{"grown", ask(m, 10, 25), 200},
		{"old size wrong", ask(m, 10, 30), 409},
		{"another history", ask(fork, 25, 30), 422},
		{"a shortened proof", transparency.Consistency{Old: 25, Proof: m.proof(t, 25, 40)[1:], Checkpoint: m.note(t, 40, b.log)}.Marshal(), 422},
		{"grown again", ask(m, 25, 40), 200},
	} {
		code, answer, kind := b.post(t, step.body)
		if code != step.want {
			t.Fatalf("%s: %d %s", step.name, code, answer)
		}
		if code == 409 && (kind != "text/x.tlog.size" || answer != "10\n" && answer != "25\n") {
			t.Errorf("%s: %q as %s", step.name, answer, kind)
		}
		if code == 200 {
			sigs, err := transparency.ParseSignatures(answer)
			if err != nil || len(sigs) != 1 {
				t.Fatalf("%s: %q", step.name, answer)
			}
			req, err := transparency.ParseConsistency(step.body)
			if err != nil {
				t.Fatal(err)
			}
			if at, err := b.own.Verify(req.Checkpoint.Text, sigs[0]); err != nil || !at.Equal(b.now) {
				t.Errorf("%s: %v %v", step.name, at, err)
			}
		}
	}
	if len(b.said) == 0 || !strings.Contains(b.said[0], "NOT COSIGNED") {
		t.Errorf("a contradiction must be told to a person: %q", b.said)
	}
	// Monitors read what was cosigned, under the hash of the origin.
	res, err := http.Get(b.server.URL + "/1b3a4d2b-no-such/checkpoint")
	if err != nil || res.StatusCode != 404 {
		t.Errorf("unknown hash: %v %v", res.Status, err)
	}
	files, err := filepath.Glob(filepath.Join(b.dir, "*", "checkpoint"))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	res, err = http.Get(b.server.URL + "/" + filepath.Base(filepath.Dir(files[0])) + "/checkpoint")
	if err != nil || res.StatusCode != 200 {
		t.Fatal(res.Status, err)
	}
	served, _ := io.ReadAll(res.Body)
	p, err := transparency.ParsePolicy(fmt.Appendf(nil, "log %s\nwitness w %s\nquorum w\n", b.log, b.own))
	if err != nil {
		t.Fatal(err)
	}
	n, err := transparency.ParseNote(served)
	if err != nil {
		t.Fatal(err)
	}
	if j, err := p.Judge(n); err != nil || !j.Witnessed || j.Size != 40 {
		t.Errorf("%+v %v", j, err)
	}
}

func TestStateOutlivesAKill(t *testing.T) {
	t.Parallel()
	b := start(t)
	m, fork := grown(t, 40, ""), grown(t, 40, "other")
	c := witness.Client{Prefix: b.server.URL, Key: b.own.VerifierKey, HTTP: http.DefaultClient}
	if _, err := c.AddCheckpoint(t.Context(), 0, nil, m.note(t, 20, b.log)); err != nil {
		t.Fatal(err)
	}
	b.now = b.now.Add(-time.Hour) // and the machine's clock is wrong after the restart
	b.restart(t)
	c.Prefix = b.server.URL
	var elsewhere *witness.SizeError
	if _, err := c.AddCheckpoint(t.Context(), 0, nil, fork.note(t, 30, b.log)); !errors.As(err, &elsewhere) || elsewhere.Size != 20 {
		t.Errorf("forgot where it stood: %v", err)
	}
	var refused *witness.RefusedError
	if _, err := c.AddCheckpoint(t.Context(), 20, fork.proof(t, 20, 30), fork.note(t, 30, b.log)); !errors.As(err, &refused) || refused.Status != 422 {
		t.Errorf("another history: %v", err)
	}
	n := m.note(t, 30, b.log)
	sig, err := c.AddCheckpoint(t.Context(), 20, m.proof(t, 20, 30), n)
	if err != nil {
		t.Fatal(err)
	}
	if at, err := b.own.Verify(n.Text, sig); err != nil || at.Before(time.Unix(1632470400, 0)) {
		t.Errorf("its clock went back: %v %v", at, err)
	}
}

// TestRace sends the two requests of the protocol's warning at once, many times: it must never roll back.
func TestRace(t *testing.T) {
	t.Parallel()
	b := start(t)
	m := grown(t, 200, "")
	c := witness.Client{Prefix: b.server.URL, Key: b.own.VerifierKey, HTTP: http.DefaultClient}
	var wg sync.WaitGroup
	largest := make([]int64, 4)
	for i := range largest {
		wg.Go(func() {
			var old int64
			for size := int64(i + 1); size <= 40; {
				_, err := c.AddCheckpoint(t.Context(), old, m.proof(t, old, size), m.note(t, size, b.log))
				var elsewhere *witness.SizeError
				switch {
				case err == nil:
					old, largest[i] = size, size
					size += int64(i + 1)
				case errors.As(err, &elsewhere):
					if elsewhere.Size < old {
						t.Errorf("rolled back from %d to %d", old, elsewhere.Size)
						return
					}
					old = elsewhere.Size
					size = max(size, old)
				default:
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

func TestDamagedStateIsRefused(t *testing.T) {
	t.Parallel()
	b := start(t)
	m := grown(t, 40, "")
	c := witness.Client{Prefix: b.server.URL, Key: b.own.VerifierKey, HTTP: http.DefaultClient}
	if _, err := c.AddCheckpoint(t.Context(), 0, nil, m.note(t, 20, b.log)); err != nil {
		t.Fatal(err)
	}
	if _, err := witness.New(witness.Options{Dir: b.dir, Key: b.own}); err == nil {
		t.Error("two processes on one folder")
	}
	b.server.Close()
	b.witness.Close()
	files, _ := filepath.Glob(filepath.Join(b.dir, "*", "checkpoint"))
	good, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 1
		if err := os.WriteFile(files[0], bad, 0o644); err != nil {
			t.Fatal(err)
		}
		w, err := witness.New(witness.Options{Dir: b.dir, Key: b.own, Logs: []transparency.VerifierKey{b.log.VerifierKey}})
		if err == nil {
			w.Close()
		}
		// The log's own line is not what the witness relies on; everything else is.
		logLine := i >= bytes.Index(good, []byte("\n\n"))+2 && i < bytes.LastIndex(good, []byte("—"))
		if err == nil && !logLine {
			t.Errorf("byte %d (%q) changed and taken for its own state", i, good[i])
		}
	}
}
