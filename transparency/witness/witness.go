// Package witness cosigns other people's logs (C2SP tlog-witness), and asks such witnesses for cosignatures.
//
// Its promise: for each log it signs one history. Between reading what it signed last and the new state being on disk no
// other request of that log comes in between, so it never rolls back and never signs two trees of one size. The newest
// cosigned checkpoint is a plain file, which is also what monitors are served.
//
// Its failure model: it may be killed at any instant; then a cosignature may be on disk that the log never got, and the
// log asks again. If its folder is lost or put back to an older state it would sign a second history: the folder belongs
// on a disk of the witness's own and must not be restored from a backup.
package witness

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/answerable-ledger/answerable/transparency"
)

// maxBody is far above an add-checkpoint request of 63 hashes and 64 signatures.
const maxBody = 128 << 10

// Witness is the server. Make it with New.
type Witness struct {
	dir  string
	lock *os.File
	key  transparency.SigningKey
	logs map[string][]transparency.VerifierKey
	now  func() time.Time
	log  func(string)

	mu    sync.Mutex // owns last and the files; held over check and write, so that they are one
	last  map[string]state
	clock time.Time // the newest cosigned time: the witness's clock never goes back either
}

type state struct {
	checkpoint transparency.Checkpoint
	note       transparency.Note
}

// Options are a witness's identity and the logs it serves.
type Options struct {
	Dir  string // one folder for each log is made in it
	Key  transparency.SigningKey
	Logs []transparency.VerifierKey // several for one origin while that log changes its key
	Now  func() time.Time
	Log  func(line string) // refusals worth a person's attention; may be nil
}

// New reads the state of every log. What it cannot read it refuses to serve. It takes a lock on the folder: a second
// process with its own memory of the same state could sign a second history.
func New(o Options) (*Witness, error) {
	if o.Key.Alg != transparency.AlgCosignatureV1 {
		return nil, fmt.Errorf("witness: key %s has type %#02x, want %#02x: %w", o.Key.Name, byte(o.Key.Alg), byte(transparency.AlgCosignatureV1), transparency.ErrMalformed)
	}
	w := &Witness{dir: o.Dir, key: o.Key, logs: map[string][]transparency.VerifierKey{}, now: o.Now, log: o.Log, last: map[string]state{}}
	if w.now == nil {
		w.now = time.Now
	}
	if w.log == nil {
		w.log = func(string) {}
	}
	for _, k := range o.Logs {
		w.logs[k.Name] = append(w.logs[k.Name], k)
	}
	if err := os.MkdirAll(o.Dir, 0o755); err != nil {
		return nil, fmt.Errorf("witness: %w", err)
	}
	var err error
	if w.lock, err = os.OpenFile(filepath.Join(o.Dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600); err != nil {
		return nil, fmt.Errorf("witness: %w", err)
	}
	if err := flock(w.lock); err != nil {
		w.lock.Close()
		return nil, fmt.Errorf("witness: another process uses %s: %w", o.Dir, err)
	}
	if err := w.load(); err != nil {
		w.lock.Close()
		return nil, err
	}
	return w, nil
}

// Close gives the folder back. Requests must have ended.
func (w *Witness) Close() error { return w.lock.Close() }

func (w *Witness) load() error {
	for origin, keys := range w.logs {
		b, err := os.ReadFile(w.path(origin))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("witness: state of %s: %w", origin, err)
		}
		if err := w.restore(origin, keys, b); err != nil {
			return fmt.Errorf("witness: state of %s in %s: %w", origin, w.path(origin), err)
		}
	}
	return nil
}

// restore believes only what carries the witness's own cosignature.
func (w *Witness) restore(origin string, keys []transparency.VerifierKey, b []byte) error {
	n, err := transparency.ParseNote(b)
	if err != nil {
		return err
	}
	c, err := transparency.ParseCheckpoint(n.Text)
	if err != nil {
		return err
	}
	if c.Origin != origin {
		return fmt.Errorf("it is of log %s: %w", c.Origin, transparency.ErrOrigin)
	}
	own := false
	for _, s := range n.Signatures {
		if !w.key.Made(s) {
			continue
		}
		at, err := w.key.Verify(n.Text, s)
		if err != nil {
			return err
		}
		own = true
		if at.After(w.clock) {
			w.clock = at
		}
	}
	if !own {
		return fmt.Errorf("this witness has not cosigned it: %w", transparency.ErrSignature)
	}
	w.last[origin] = state{c, n}
	return nil
}

func (w *Witness) path(origin string) string {
	return filepath.Join(w.dir, originHash(origin), "checkpoint")
}

func originHash(origin string) string {
	h := sha256.Sum256([]byte(origin))
	return hex.EncodeToString(h[:])
}

// refusal is an answer other than 200.
type refusal struct {
	status int
	body   string
}

func (r *refusal) Error() string { return fmt.Sprintf("%d %s", r.status, strings.TrimSpace(r.body)) }

// AddCheckpoint checks a request and cosigns. The answers are those of the protocol.
func (w *Witness) addCheckpoint(b []byte) ([]byte, error) {
	req, err := transparency.ParseConsistency(b)
	if err != nil {
		return nil, &refusal{http.StatusBadRequest, err.Error()}
	}
	claimed, err := transparency.ParseCheckpoint(req.Checkpoint.Text)
	if err != nil {
		return nil, &refusal{http.StatusBadRequest, err.Error()}
	}
	keys, ok := w.logs[claimed.Origin]
	if !ok {
		return nil, &refusal{http.StatusNotFound, "this witness does not know that log"}
	}
	c, err := transparency.VerifyLog(req.Checkpoint, keys)
	if err != nil {
		return nil, &refusal{http.StatusForbidden, err.Error()}
	}
	if req.Old > c.Size {
		return nil, &refusal{http.StatusBadRequest, "the old size is above the checkpoint's"}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	last, seen := w.last[c.Origin]
	if req.Old != last.checkpoint.Size {
		return nil, &refusal{http.StatusConflict, fmt.Sprintf("%d\n", last.checkpoint.Size)}
	}
	oldRoot := last.checkpoint.Root
	if !seen {
		oldRoot = transparency.EmptyRoot
	}
	if err := transparency.CheckConsistency(req.Proof, req.Old, oldRoot, c); err != nil {
		// Signed by the log and contradicting what it signed before: this is what witnesses are for.
		w.log(fmt.Sprintf("NOT COSIGNED: %v\nseen before:\n%s\nsubmitted now:\n%s", err, last.note.Marshal(), req.Marshal()))
		return nil, &refusal{http.StatusUnprocessableEntity, err.Error()}
	}
	at := w.now()
	if at.Before(w.clock) {
		at = w.clock
	}
	sig, err := w.key.Cosign(req.Checkpoint.Text, at)
	if err != nil {
		return nil, err
	}
	note := transparency.Note{Text: req.Checkpoint.Text}
	for _, s := range req.Checkpoint.Signatures {
		for _, k := range keys {
			if k.Made(s) {
				note.Signatures = append(note.Signatures, s)
			}
		}
	}
	note.Signatures = append(note.Signatures, sig)
	if err := writeSync(w.path(c.Origin), note.Marshal()); err != nil {
		return nil, err
	}
	w.last[c.Origin], w.clock = state{c, note}, at
	return sig.AppendLine(nil), nil
}

// Handler serves add-checkpoint and, for monitors, <origin hash>/checkpoint. Both prefixes are the same.
func (w *Witness) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /add-checkpoint", func(rw http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(http.MaxBytesReader(rw, r.Body, maxBody))
		if err != nil {
			http.Error(rw, "the request is too long or was cut off", http.StatusBadRequest)
			return
		}
		answer, err := w.addCheckpoint(b)
		var no *refusal
		switch {
		case errors.As(err, &no):
			rw.Header().Set("Content-Type", "text/plain; charset=utf-8")
			if no.status == http.StatusConflict {
				rw.Header().Set("Content-Type", "text/x.tlog.size")
			}
			rw.WriteHeader(no.status)
			io.WriteString(rw, no.body)
		case err != nil:
			w.log(fmt.Sprintf("add-checkpoint: %v", err))
			http.Error(rw, "internal error", http.StatusInternalServerError)
		default:
			rw.Header().Set("Content-Type", "text/plain; charset=utf-8")
			rw.Write(answer)
		}
	})
	mux.HandleFunc("GET /{hash}/checkpoint", func(rw http.ResponseWriter, r *http.Request) {
		w.mu.Lock()
		defer w.mu.Unlock()
		for origin, s := range w.last {
			if originHash(origin) == r.PathValue("hash") {
				rw.Header().Set("Content-Type", "text/plain; charset=utf-8")
				rw.Header().Set("Cache-Control", "public, max-age=1")
				rw.Write(s.note.Marshal())
				return
			}
		}
		http.NotFound(rw, r)
	})
	return mux
}

// writeSync replaces a file so that after a power loss the old or the new one is there.
func writeSync(path string, b []byte) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, "new-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // gone already when the rename succeeded
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return err
	}
	if d, err := os.Open(dir); err == nil {
		// Best effort: not every system can sync a directory.
		d.Sync()
		d.Close()
	}
	return nil
}

// Client asks one witness.
type Client struct {
	Prefix string // submission prefix
	Key    transparency.VerifierKey
	HTTP   *http.Client
}

// SizeError is the witness's answer that it stands elsewhere.
type SizeError struct{ Size int64 }

func (e *SizeError) Error() string { return fmt.Sprintf("the witness stands at size %d", e.Size) }

// RefusedError is any other answer but a cosignature.
type RefusedError struct {
	Status int
	Body   string
}

func (e *RefusedError) Error() string {
	return fmt.Sprintf("the witness refuses with %d: %s", e.Status, e.Body)
}

// AddCheckpoint submits a checkpoint with a proof from the size the witness is believed to stand at and returns its
// cosignature, verified. *SizeError tells where it stands instead.
func (c *Client) AddCheckpoint(ctx context.Context, old int64, proof tlog.TreeProof, n transparency.Note) (transparency.Signature, error) {
	fail := func(err error) (transparency.Signature, error) {
		return transparency.Signature{}, fmt.Errorf("witness %s: %w", c.Key.Name, err)
	}
	body := transparency.Consistency{Old: old, Proof: proof, Checkpoint: n}.Marshal()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(c.Prefix, "/")+"/add-checkpoint", strings.NewReader(string(body)))
	if err != nil {
		return fail(err)
	}
	req.Header.Set("Content-Type", "text/plain; charset=utf-8")
	res, err := c.HTTP.Do(req)
	if err != nil {
		return fail(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, transparency.MaxNoteBytes))
	if err != nil {
		return fail(err)
	}
	switch {
	case res.StatusCode == http.StatusConflict && res.Header.Get("Content-Type") == "text/x.tlog.size":
		var size int64
		if _, err := fmt.Sscanf(string(b), "%d\n", &size); err != nil || size < 0 {
			return fail(fmt.Errorf("its size %.30q: %w", b, transparency.ErrMalformed))
		}
		return fail(&SizeError{size})
	case res.StatusCode != http.StatusOK:
		return fail(&RefusedError{res.StatusCode, strings.TrimSpace(string(b[:min(len(b), 500)]))})
	}
	sigs, err := transparency.ParseSignatures(string(b))
	if err != nil {
		return fail(err)
	}
	for _, s := range sigs {
		if c.Key.Made(s) {
			if _, err := c.Key.Verify(n.Text, s); err != nil {
				return fail(err)
			}
			return s, nil
		}
	}
	return fail(fmt.Errorf("it answers without a cosignature by the key we know: %w", transparency.ErrSignature))
}
