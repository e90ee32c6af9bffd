package witness_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/answerable-ledger/answerable/transparency"
	"github.com/answerable-ledger/answerable/transparency/witness"
)

// Whatever is sent to a witness, it answers as the protocol says and cosigns only what its log signed and what continues
// the checkpoint before.
func FuzzAddCheckpoint(f *testing.F) {
	log, own := key(f, "log.example/fuzz", transparency.AlgEd25519, 1), key(f, "witness.example/w", transparency.AlgCosignatureV1, 2)
	tree := grown(f, 9, "a")
	note := func(m *tlog.Tree) transparency.Note {
		n, err := transparency.Checkpoint{Origin: log.Name, Size: m.N, Root: m.Hash}.Sign(log)
		if err != nil {
			f.Fatal(err)
		}
		return n
	}
	at := func(size int64) *tlog.Tree {
		h, err := tlog.TreeHash(size, tree)
		if err != nil {
			f.Fatal(err)
		}
		return &tlog.Tree{N: size, Hash: h}
	}
	proof, err := tlog.ProveTree(9, 5, tree)
	if err != nil {
		f.Fatal(err)
	}
	first := transparency.Consistency{Checkpoint: note(at(5))}.Marshal()
	next := transparency.Consistency{Old: 5, Proof: proof, Checkpoint: note(at(9))}.Marshal()
	f.Add(first)
	f.Add(next)
	f.Add(bytes.Replace(next, []byte("old 5"), []byte("old 4"), 1))
	f.Add(bytes.Replace(next, []byte("\n9\n"), []byte("\n8\n"), 1))
	f.Add([]byte("old 0\n\n"))
	w, err := witness.New(witness.Options{Dir: f.TempDir(), Key: own, Logs: []transparency.VerifierKey{log.VerifierKey}, Now: func() time.Time { return time.Unix(1632480000, 0) }, Log: func(string) {}})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { w.Close() })
	send := func(b []byte) (int, []byte) {
		r := httptest.NewRecorder()
		w.Handler().ServeHTTP(r, httptest.NewRequest(http.MethodPost, "/add-checkpoint", bytes.NewReader(b)))
		return r.Code, r.Body.Bytes()
	}
	if code, said := send(first); code != http.StatusOK {
		f.Fatalf("%d %s", code, said)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		code, said := send(b)
		if !slices.Contains([]int{http.StatusOK, http.StatusBadRequest, http.StatusForbidden, http.StatusNotFound, http.StatusConflict, http.StatusUnprocessableEntity}, code) {
			t.Fatalf("%d %s", code, said)
		}
		if code != http.StatusOK {
			return
		}
		c, err := transparency.ParseConsistency(b)
		if err != nil {
			t.Fatalf("cosigned what is no request: %v", err)
		}
		// Only two checkpoints of this log were ever signed.
		if c.Checkpoint.Text != note(at(5)).Text && c.Checkpoint.Text != note(at(9)).Text {
			t.Fatalf("cosigned what the log did not sign:\n%s", c.Checkpoint.Text)
		}
		sigs, err := transparency.ParseSignatures(string(said))
		if err != nil || len(sigs) != 1 {
			t.Fatalf("%q: %v", said, err)
		}
		if _, err := own.Verify(c.Checkpoint.Text, sigs[0]); err != nil {
			t.Fatal(err)
		}
	})
}

// answers is a witness that says whatever it likes.
type answers struct {
	status int
	sizes  bool
	body   []byte
}

func (a answers) RoundTrip(*http.Request) (*http.Response, error) {
	h := http.Header{}
	if a.sizes {
		h.Set("Content-Type", "text/x.tlog.size")
	}
	return &http.Response{StatusCode: a.status, Header: h, Body: io.NopCloser(bytes.NewReader(a.body))}, nil
}

// Whatever a witness answers, no cosignature is believed that its key did not make.
func FuzzAnswer(f *testing.F) {
	log, own := key(f, "log.example/fuzz", transparency.AlgEd25519, 1), key(f, "witness.example/w", transparency.AlgCosignatureV1, 2)
	n, err := transparency.Checkpoint{Origin: log.Name, Size: 1}.Sign(log)
	if err != nil {
		f.Fatal(err)
	}
	good, err := own.Cosign(n.Text, time.Unix(1632480000, 0))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(uint16(200), false, good.AppendLine(nil))
	f.Add(uint16(409), true, []byte("7\n"))
	f.Add(uint16(409), true, []byte("-7\n"))
	f.Add(uint16(403), false, []byte("no"))
	f.Fuzz(func(t *testing.T, status uint16, sizes bool, body []byte) {
		c := witness.Client{Prefix: "https://witness.example", Key: own.VerifierKey, HTTP: &http.Client{Transport: answers{int(status), sizes, body}}}
		s, err := c.AddCheckpoint(t.Context(), 0, nil, n)
		var elsewhere *witness.SizeError
		switch {
		case err == nil && (status != http.StatusOK || !bytes.Contains(body, good.AppendLine(nil))):
			t.Fatalf("%d %q: believed %v", status, body, s)
		case errors.As(err, &elsewhere) && elsewhere.Size < 0:
			t.Fatalf("size %d", elsewhere.Size)
		}
	})
}
