package receipts_test

import (
	"errors"
	"fmt"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/answerable-ledger/answerable/eventlog"
	"github.com/answerable-ledger/answerable/eventlog/memlog"
	"github.com/answerable-ledger/answerable/transparency"
	"github.com/answerable-ledger/answerable/transparency/receipts"
	"github.com/answerable-ledger/answerable/transparency/sequencer"
	"github.com/answerable-ledger/answerable/transparency/treestore"
)

const origin = "ledger.example/x"

// zeros is a source of keys that is the same every time.
type zeros byte

func (z zeros) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = byte(z)
	}
	return len(b), nil
}

// world is a ledger with its tree, and the desk that hands out receipts.
type world struct {
	t       *testing.T
	log     *memlog.Log
	tree    *treestore.Store
	seq     *sequencer.Sequencer
	policy  *transparency.Policy
	witness transparency.SigningKey
	desk    *receipts.Desk
	events  []uuid.UUID
}

func newWorld(t *testing.T) *world {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	w := &world{t: t, log: memlog.New(func() time.Time { return time.Unix(1632470000, 0).UTC() })}
	key, err := transparency.NewSigningKey(origin, transparency.AlgEd25519, zeros(1))
	must(err)
	w.witness, err = transparency.NewSigningKey("witness.example/thanhtra", transparency.AlgCosignatureV1, zeros(2))
	must(err)
	w.policy, err = transparency.ParsePolicy(fmt.Appendf(nil, "log %s\nwitness thanhtra %s\nquorum thanhtra\n", key.VerifierKey, w.witness.VerifierKey))
	must(err)
	salts, err := transparency.NewSaltKey(zeros(3))
	must(err)
	dir := t.TempDir()
	must(treestore.CreateGuard(filepath.Join(dir, "guard")))
	guard, err := treestore.OpenGuard(filepath.Join(dir, "guard"))
	must(err)
	w.tree, err = treestore.Open(t.Context(), treestore.Options{Path: filepath.Join(dir, "tree.db"), Origin: origin, Create: true})
	must(err)
	t.Cleanup(func() { w.tree.Close(); guard.Close() })
	w.seq, err = sequencer.New(t.Context(), sequencer.Options{Log: w.log, Tree: w.tree, Guard: guard, Salts: salts, Keys: []transparency.SigningKey{key},
		Clock:  func() time.Time { return time.Unix(1632470001, 0) },
		Header: func(e eventlog.Recorded) (time.Time, string, error) { return e.RecordedAt, "p_1", nil }})
	must(err)
	w.desk = receipts.New(receipts.Options{Log: w.log, Tree: w.tree, Maker: w.seq, Policy: w.policy})
	return w
}

func (w *world) record(n int) {
	w.t.Helper()
	for range n {
		i := len(w.events)
		id := uuid.NewSHA1(uuid.NameSpaceURL, fmt.Append(nil, i))
		e := eventlog.Proposed{ID: id, Kind: "ReportSubmitted", Data: fmt.Appendf(nil, `{"installed":%d}`, i), Meta: []byte(`{}`)}
		if _, err := w.log.Append(w.t.Context(), fmt.Sprintf("report-%d", i%3), eventlog.After(uint64(i/3)), []eventlog.Proposed{e}); err != nil {
			w.t.Fatal(err)
		}
		w.events = append(w.events, id)
	}
}

func (w *world) sign() treestore.Signed {
	w.t.Helper()
	s, err := w.seq.Force(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

// receipt wants a receipt of a level, and that a stranger with the policy and the opening comes to the same.
func (w *world) receipt(n int, want transparency.Level) receipts.Receipt {
	w.t.Helper()
	r, err := w.desk.Receipt(w.t.Context(), w.events[n])
	if err != nil || r.Level != want || r.Event.ID != w.events[n] {
		w.t.Fatalf("event %d: %v of event %s, %v; want %v", n, r.Level, r.Event.ID, err, want)
	}
	if len(r.Bytes) > receipts.MaxQRBytes {
		w.t.Errorf("event %d: %d bytes fit no QR code", n, len(r.Bytes))
	}
	o, err := w.desk.Opening(w.t.Context(), r.Event)
	if err != nil {
		w.t.Fatal(err)
	}
	v, err := transparency.VerifyReceipt(r.Bytes, w.policy, transparency.ReceiptOptions{Opening: &o})
	if err != nil || v.Level != want || v.Index != r.Index || v.Leaf.EventID != w.events[n] {
		w.t.Fatalf("event %d: verified as %v at %d, %v", n, v.Level, v.Index, err)
	}
	return r
}

// A receipt is there as soon as the event is, and becomes better by itself.
func TestReceiptsBecomeBetter(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.record(5)
	if r := w.receipt(3, transparency.Recorded); r.Index != -1 || r.Size != 0 {
		t.Errorf("only recorded: %+v", r)
	}
	if s, err := w.desk.Status(t.Context()); err != nil || s.Signed != 0 || s.Entries != 0 || !s.WantsWitnesses {
		t.Errorf("before the first checkpoint: %+v, %v", s, err)
	}
	signed := w.sign()
	if r := w.receipt(3, transparency.Logged); r.Index != 3 || r.Size != 5 {
		t.Errorf("logged: %+v", r)
	}
	cosigned, err := w.witness.Cosign(signed.Note.Text, time.Unix(1632470002, 0))
	if err != nil {
		t.Fatal(err)
	}
	if err := w.tree.SaveCheckpoint(t.Context(), signed.Note.With(cosigned), signed.SignedAt); err != nil {
		t.Fatal(err)
	}
	w.receipt(3, transparency.Witnessed)
	w.record(2)
	w.receipt(6, transparency.Recorded)
	w.sign()
	w.receipt(6, transparency.Logged)
	w.receipt(0, transparency.Witnessed) // an older checkpoint that was witnessed is worth more than the newest
	s, err := w.desk.Status(t.Context())
	if err != nil || s.Origin != origin || s.Entries != 7 || s.Signed != 7 || s.Witnessed != 5 {
		t.Errorf("%+v, %v", s, err)
	}
	all, err := w.desk.Checkpoints(t.Context())
	if err != nil || len(all) != 2 {
		t.Fatalf("%d checkpoints, %v", len(all), err)
	}
	c, err := w.desk.Consistency(t.Context(), all[0].Size, all[1].Note)
	if err != nil {
		t.Fatal(err)
	}
	first, err := transparency.ParseCheckpoint(all[0].Note.Text)
	if err != nil {
		t.Fatal(err)
	}
	last, err := transparency.ParseCheckpoint(all[1].Note.Text)
	if err != nil {
		t.Fatal(err)
	}
	if err := transparency.CheckConsistency(c.Proof, first.Size, first.Root, last); err != nil {
		t.Error(err)
	}
}

func TestWhatIsNotThereOrWasErased(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.record(3)
	w.sign()
	if _, err := w.desk.Receipt(t.Context(), uuid.NewSHA1(uuid.NameSpaceURL, []byte("nobody's"))); !errors.Is(err, receipts.ErrUnknown) {
		t.Errorf("an event nobody recorded: %v", err)
	}
	e, err := w.desk.Event(t.Context(), w.events[1])
	if err != nil || e.ID != w.events[1] {
		t.Fatalf("%+v, %v", e, err)
	}
	if err := w.tree.Erase(t.Context(), e.ID, time.Unix(1632470009, 0), "theo yêu cầu"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.desk.Opening(t.Context(), e); !errors.Is(err, transparency.ErrErased) {
		t.Errorf("its content was erased: %v", err)
	}
	r, err := w.desk.Receipt(t.Context(), e.ID)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := transparency.VerifyReceipt(r.Bytes, w.policy, transparency.ReceiptOptions{}); err != nil {
		t.Errorf("the receipt of what was erased stays good: %v", err)
	}
	public := httptest.NewRecorder()
	w.desk.Handler(func(err error) { t.Error(err) }).ServeHTTP(public, httptest.NewRequest("GET", "/checkpoint", nil))
	if n, err := transparency.ParseNote(public.Body.Bytes()); err != nil || public.Code != 200 {
		t.Errorf("%d, %v: %s", public.Code, err, n.Text)
	}
}
