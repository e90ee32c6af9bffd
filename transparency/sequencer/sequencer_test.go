package sequencer_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/answerable-ledger/answerable/eventlog"
	"github.com/answerable-ledger/answerable/eventlog/memlog"
	"github.com/answerable-ledger/answerable/transparency"
	"github.com/answerable-ledger/answerable/transparency/sequencer"
	"github.com/answerable-ledger/answerable/transparency/treestore"
)

const origin = "ledger.example/x"

type repeated byte

func (r repeated) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = byte(r)
	}
	return len(b), nil
}

func key(t testing.TB, b byte) transparency.SigningKey {
	t.Helper()
	k, err := transparency.NewSigningKey(origin, transparency.AlgEd25519, repeated(b))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func header(e eventlog.Recorded) (time.Time, string, error) {
	var m struct {
		ReceivedAt time.Time `json:"received_at"`
		Actor      string    `json:"actor"`
	}
	err := json.Unmarshal(e.Meta, &m)
	return m.ReceivedAt, m.Actor, err
}

// ledger is an event log whose n-th event is always the same, until told to go another way.
type ledger struct {
	*memlog.Log
	now  *atomic.Int64
	size int
}

func newLedger() *ledger {
	now := new(atomic.Int64)
	return &ledger{Log: memlog.New(func() time.Time { return time.Unix(1632470000+now.Load(), 0).UTC() }), now: now}
}

func (l *ledger) grow(t testing.TB, n int, way string) *ledger {
	t.Helper()
	for range n {
		i := l.size
		l.size++
		l.now.Store(int64(i))
		e := eventlog.Proposed{
			ID:   uuid.NewSHA1(uuid.NameSpaceURL, fmt.Append(nil, way, i)),
			Kind: "ReportSubmitted",
			Data: fmt.Appendf(nil, `{"installed":"%d"}`, i),
			Meta: fmt.Appendf(nil, `{"received_at":"2021-09-24T07:00:00.%06dZ","actor":"p-%d"}`, i, i%7),
		}
		if _, err := l.Append(context.Background(), fmt.Sprintf("report-%d", i%5), eventlog.After(uint64(i/5)), []eventlog.Proposed{e}); err != nil {
			t.Fatal(err)
		}
	}
	return l
}

// site is one installation: a directory with tree, guard and salt key.
type site struct {
	dir   string
	tree  *treestore.Store
	guard *treestore.Guard
	salts transparency.SaltKey
}

func newSite(t testing.TB) *site {
	t.Helper()
	s := &site{dir: t.TempDir()}
	if err := treestore.CreateGuard(s.guardPath()); err != nil {
		t.Fatal(err)
	}
	var err error
	if s.salts, err = transparency.NewSaltKey(repeated(7)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.close)
	return s
}

func (s *site) treePath() string  { return filepath.Join(s.dir, "tree.db") }
func (s *site) guardPath() string { return filepath.Join(s.dir, "guard") }

func (s *site) close() {
	if s.tree != nil {
		s.tree.Close()
		s.guard.Close()
		s.tree = nil
	}
}

// start opens the site's files, as a new process would.
func (s *site) start(t testing.TB, log eventlog.Log, change ...func(*sequencer.Options)) (*sequencer.Sequencer, error) {
	t.Helper()
	s.close()
	var err error
	if s.tree, err = treestore.Open(t.Context(), treestore.Options{Path: s.treePath(), Origin: origin, Create: true}); err != nil {
		t.Fatal(err)
	}
	if s.guard, err = treestore.OpenGuard(s.guardPath()); err != nil {
		t.Fatal(err)
	}
	o := sequencer.Options{Log: log, Tree: s.tree, Guard: s.guard, Header: header, Salts: s.salts, Keys: []transparency.SigningKey{key(t, 1)}}
	for _, c := range change {
		c(&o)
	}
	return sequencer.New(t.Context(), o)
}

func (s *site) mustStart(t testing.TB, log eventlog.Log, change ...func(*sequencer.Options)) *sequencer.Sequencer {
	t.Helper()
	q, err := s.start(t, log, change...)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func mustForce(t testing.TB, q *sequencer.Sequencer) treestore.Signed {
	t.Helper()
	c, err := q.Force(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func copyFile(t testing.TB, from, to string) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestReplayGivesTheSameTree(t *testing.T) {
	t.Parallel()
	log := newLedger()
	a, b := newSite(t), newSite(t)
	// One follows in small steps with restarts, the other comes late and takes all at once.
	for _, n := range []int{1, 0, 300, 5, 700} {
		log.grow(t, n, "")
		mustForce(t, a.mustStart(t, log))
	}
	one := mustForce(t, a.mustStart(t, log))
	two := mustForce(t, b.mustStart(t, log))
	if one.Size != 1006 || !bytes.Equal(one.Note.Marshal(), two.Note.Marshal()) {
		t.Errorf("checkpoints differ:\n%s\n%s", one.Note.Marshal(), two.Note.Marshal())
	}
	if err := b.mustStart(t, log).Verify(t.Context(), nil); err != nil {
		t.Error(err)
	}
}

func TestReceiptsOpenAndVerify(t *testing.T) {
	t.Parallel()
	log := newLedger().grow(t, 300, "")
	s := newSite(t)
	q := s.mustStart(t, log)
	mustForce(t, q)
	p, err := transparency.ParsePolicy([]byte("log " + key(t, 1).String() + "\nquorum none\n"))
	if err != nil {
		t.Fatal(err)
	}
	for e, err := range log.ReadStream(t.Context(), "report-3", 17) {
		if err != nil {
			t.Fatal(err)
		}
		r, err := q.Receipt(t.Context(), e.Position, p)
		if err != nil {
			t.Fatal(err)
		}
		o, err := q.Opening(t.Context(), e)
		if err != nil {
			t.Fatal(err)
		}
		v, err := transparency.VerifyReceipt(r.Marshal(), p, transparency.ReceiptOptions{Opening: &o})
		if err != nil || !v.Opened || v.Leaf.Actor != fmt.Sprintf("p-%d", (17*5+3)%7) || v.Leaf.Revision != 17 || v.Leaf.ReceivedAt.IsZero() {
			t.Fatalf("%+v %v", v, err)
		}
		bare, err := q.BareLeaf(e)
		if err != nil || !bytes.Equal(bare, v.LeafBytes) {
			t.Fatalf("the leaf handed out at once must be the one in the tree: %v", err)
		}
		if err := s.tree.Erase(t.Context(), e.ID, time.Unix(1, 0), "test"); err != nil {
			t.Fatal(err)
		}
		if _, err := q.Opening(t.Context(), e); !errors.Is(err, transparency.ErrErased) {
			t.Errorf("opening after erasure: %v", err)
		}
		if _, err := transparency.VerifyReceipt(r.Marshal(), p, transparency.ReceiptOptions{}); err != nil {
			t.Errorf("the receipt outlives the erasure: %v", err)
		}
		break
	}
	log.grow(t, 1, "")
	head, err := log.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := q.Receipt(t.Context(), head, p); !errors.Is(err, transparency.ErrNotYet) {
		t.Errorf("receipt for an event not sequenced: %v", err)
	}
	if err := q.CatchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := q.Receipt(t.Context(), head, p); !errors.Is(err, transparency.ErrNotYet) {
		t.Errorf("receipt for an event not signed for: %v", err)
	}
}

// TestKilledBetweenAnyTwoSteps rebuilds, for each step of signing, the files a kill there leaves behind.
func TestKilledBetweenAnyTwoSteps(t *testing.T) {
	t.Parallel()
	log := newLedger().grow(t, 100, "")
	s := newSite(t)
	q := s.mustStart(t, log)
	first := mustForce(t, q)

	// Leaves are durable, nothing is signed.
	log.grow(t, 50, "")
	if err := q.CatchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	q = s.mustStart(t, log)
	if latest, _, err := s.tree.Latest(t.Context()); err != nil || latest.Size != first.Size {
		t.Fatalf("nothing may be shown before it is signed: %d %v", latest.Size, err)
	}
	// The guard moved, the checkpoint is not kept.
	s.close()
	copyFile(t, s.treePath(), s.treePath()+".before")
	q = s.mustStart(t, log)
	second := mustForce(t, q)
	s.close()
	removeTree(t, s)
	copyFile(t, s.treePath()+".before", s.treePath())
	q = s.mustStart(t, log)
	latest, _, err := s.tree.Latest(t.Context())
	if err != nil || !bytes.Equal(latest.Note.Marshal(), second.Note.Marshal()) {
		t.Errorf("what the guard holds was signed and must be kept: %v", err)
	}
	if again := mustForce(t, q); !bytes.Equal(again.Note.Marshal(), second.Note.Marshal()) {
		t.Error("signed twice for one size")
	}
	// The leaves of the newest transaction are gone too (an older copy of the tree): they are made again, and checked.
	s.close()
	removeTree(t, s)
	q = s.mustStart(t, log)
	if again := mustForce(t, q); !bytes.Equal(again.Note.Marshal(), second.Note.Marshal()) {
		t.Error("the tree made again is another")
	}
	// An older guard is brought forward.
	s.close()
	if err := os.WriteFile(s.guardPath(), first.Note.Marshal(), 0o600); err != nil {
		t.Fatal(err)
	}
	s.mustStart(t, log)
	if !bytes.Equal(s.guard.Last(), second.Note.Marshal()) {
		t.Error("the guard stays behind the tree")
	}
}

func removeTree(t testing.TB, s *site) {
	t.Helper()
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if err := os.Remove(s.treePath() + suffix); err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
	}
}

func TestRestoredBackups(t *testing.T) {
	t.Parallel()
	// What happened, and was signed: 200 events.
	signedFor := func(t *testing.T) *site {
		s := newSite(t)
		mustForce(t, s.mustStart(t, newLedger().grow(t, 200, "")))
		s.close()
		return s
	}
	older := func(t *testing.T, s *site, n int) { // a tree from a backup taken at n events
		b := newSite(t)
		mustForce(t, b.mustStart(t, newLedger().grow(t, n, "")))
		b.close()
		removeTree(t, s)
		copyFile(t, b.treePath(), s.treePath())
	}
	for _, tc := range []struct {
		name string
		log  *ledger
		tree func(*testing.T, *site)
		want string // part of the refusal; "" for none
	}{
		{"tree alone restored", newLedger().grow(t, 200, ""), func(t *testing.T, s *site) { older(t, s, 120) }, ""},
		{"tree lost", newLedger().grow(t, 200, ""), func(t *testing.T, s *site) { removeTree(t, s) }, ""},
		{"log restored, shorter", newLedger().grow(t, 150, ""), func(t *testing.T, s *site) { removeTree(t, s) }, "ends after 150 entries, and a checkpoint over 200"},
		{"log and tree restored, shorter", newLedger().grow(t, 150, ""), func(t *testing.T, s *site) { older(t, s, 150) }, "ends after 150 entries"},
		{"log and tree restored, then appended to", newLedger().grow(t, 150, "").grow(t, 90, "other"), func(t *testing.T, s *site) { older(t, s, 150) }, "a checkpoint over 200 entries was signed that the event log does not lead to"},
		{"log restored and appended to, tree kept", newLedger().grow(t, 150, "").grow(t, 90, "other"), func(*testing.T, *site) {}, "the newest leaf of the tree, 199"},
		{"log rewritten far back, tree lost", newLedger().grow(t, 3, "").grow(t, 297, "other"), func(t *testing.T, s *site) { removeTree(t, s) }, "a checkpoint over 200 entries"},
		{"log restored, tree kept", newLedger().grow(t, 150, ""), func(*testing.T, *site) {}, "the newest leaf of the tree, 199"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := signedFor(t)
			tc.tree(t, s)
			before, err := os.ReadFile(s.guardPath())
			if err != nil {
				t.Fatal(err)
			}
			q, err := s.start(t, tc.log)
			if err == nil {
				_, err = q.Force(t.Context())
			}
			if tc.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			if !errors.Is(err, transparency.ErrFork) || !strings.Contains(err.Error(), tc.want) {
				t.Fatalf("want a refusal with %q: %v", tc.want, err)
			}
			if !strings.Contains(err.Error(), "answerable restore") {
				t.Errorf("the refusal must say what mends it: %v", err)
			}
			// More events do not make it sign either.
			tc.log.grow(t, 100, "other")
			if q != nil {
				if _, err := q.Force(t.Context()); !errors.Is(err, transparency.ErrFork) {
					t.Errorf("later: %v", err)
				}
			}
			if after, err := os.ReadFile(s.guardPath()); err != nil || !bytes.Equal(before, after) {
				t.Errorf("something was signed: %v", err)
			}
		})
	}
}

// TestTamperedLog: the event log was changed in place behind the tree's back; the newest event is untouched.
func TestTamperedLog(t *testing.T) {
	t.Parallel()
	true200 := newLedger().grow(t, 200, "")
	for name, tc := range map[string]struct {
		change func([]eventlog.Recorded) []eventlog.Recorded
		want   error
	}{
		"a figure": {func(e []eventlog.Recorded) []eventlog.Recorded { e[77].Data = []byte(`{"installed":"9999"}`); return e }, transparency.ErrProof},
		"redacted in place": {func(e []eventlog.Recorded) []eventlog.Recorded {
			e[77].Data = bytes.Repeat([]byte{0xff}, len(e[77].Data))
			return e
		}, transparency.ErrProof},
		"an actor": {func(e []eventlog.Recorded) []eventlog.Recorded {
			e[77].Meta = bytes.Replace(e[77].Meta, []byte("p-0"), []byte("p-1"), 1)
			return e
		}, transparency.ErrProof},
		"reformatted": {func(e []eventlog.Recorded) []eventlog.Recorded {
			e[77].Data = bytes.Replace(e[77].Data, []byte(":"), []byte(": "), 1)
			return e
		}, transparency.ErrProof},
		"backdated": {func(e []eventlog.Recorded) []eventlog.Recorded {
			e[77].RecordedAt = e[77].RecordedAt.Add(-time.Hour)
			return e
		}, transparency.ErrProof},
		"dropped":    {func(e []eventlog.Recorded) []eventlog.Recorded { return append(e[:77], e[78:]...) }, transparency.ErrProof},
		"swapped":    {func(e []eventlog.Recorded) []eventlog.Recorded { e[77], e[78] = e[78], e[77]; return e }, transparency.ErrProof},
		"doubled":    {func(e []eventlog.Recorded) []eventlog.Recorded { e[78] = e[77]; return e }, transparency.ErrProof},
		"cut off":    {func(e []eventlog.Recorded) []eventlog.Recorded { return e[:150] }, eventlog.ErrGone},
		"moved":      {func(e []eventlog.Recorded) []eventlog.Recorded { e[77].Position.Prepare++; return e }, eventlog.ErrDamaged},
		"renamed":    {func(e []eventlog.Recorded) []eventlog.Recorded { e[77].Kind = "ReportCorrected"; return e }, transparency.ErrProof},
		"unmodified": {func(e []eventlog.Recorded) []eventlog.Recorded { return e }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			faulty := &tampered{Log: true200, change: func(e []eventlog.Recorded) []eventlog.Recorded { return e }}
			q := s.mustStart(t, faulty)
			mustForce(t, q)
			faulty.change = tc.change
			err := q.Verify(t.Context(), nil)
			if !errors.Is(err, tc.want) {
				t.Fatalf("got %v, want %v", err, tc.want)
			}
			t.Log(err)
		})
	}
}

// tampered gives out changed events, all in one batch.
type tampered struct {
	eventlog.Log
	change func([]eventlog.Recorded) []eventlog.Recorded
}

func (f *tampered) Follow(ctx context.Context, after eventlog.Position, filter eventlog.Filter, o eventlog.FollowOptions) iter.Seq2[eventlog.Batch, error] {
	return func(yield func(eventlog.Batch, error) bool) {
		o.BatchSize = 10000
		for b, err := range f.Log.Follow(ctx, after, filter, o) {
			b.Events = f.change(b.Events)
			if !yield(b, err) {
				return
			}
		}
	}
}

func TestKeyRotation(t *testing.T) {
	t.Parallel()
	log := newLedger().grow(t, 10, "")
	s := newSite(t)
	mustForce(t, s.mustStart(t, log))
	old, young := key(t, 1), key(t, 2)
	accepts := func(c treestore.Signed, k transparency.SigningKey) bool {
		_, err := transparency.VerifyLog(c.Note, []transparency.VerifierKey{k.VerifierKey})
		return err == nil
	}
	both := func(o *sequencer.Options) { o.Keys = []transparency.SigningKey{young, old} }
	// The same size signed again in the overlap gets both lines.
	if c := mustForce(t, s.mustStart(t, log, both)); !accepts(c, old) || !accepts(c, young) {
		t.Error("in the overlap both policies must accept")
	}
	log.grow(t, 10, "")
	if c := mustForce(t, s.mustStart(t, log, both)); !accepts(c, old) || !accepts(c, young) {
		t.Error("in the overlap both policies must accept a new checkpoint")
	}
	after := func(o *sequencer.Options) {
		o.Keys, o.Retired = []transparency.SigningKey{young}, []transparency.VerifierKey{old.VerifierKey}
	}
	log.grow(t, 10, "")
	if c := mustForce(t, s.mustStart(t, log, after)); accepts(c, old) || !accepts(c, young) {
		t.Error("after the overlap the new key alone signs")
	}
	s.close()
	if _, err := s.start(t, log, func(o *sequencer.Options) { o.Keys = []transparency.SigningKey{key(t, 3)} }); !errors.Is(err, transparency.ErrSignature) {
		t.Errorf("a key that never signed here: %v", err)
	}
}

func TestHeaderErrorStops(t *testing.T) {
	t.Parallel()
	log := newLedger().grow(t, 10, "")
	s := newSite(t)
	q := s.mustStart(t, log, func(o *sequencer.Options) {
		o.Header = func(e eventlog.Recorded) (time.Time, string, error) {
			if e.Position.Commit == 6 {
				return time.Time{}, "", errors.New("no metadata")
			}
			return header(e)
		}
	})
	if _, err := q.Force(t.Context()); err == nil || !strings.Contains(err.Error(), "report-0@1") {
		t.Errorf("the event must be named: %v", err)
	}
}

// TestPace runs on a simulated clock: a burst of events every 100 ms for five seconds, then silence.
func TestPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newLedger()
		s := newSite(t)
		type published struct {
			at   time.Duration
			size int64
		}
		var mu sync.Mutex // owns all
		var all []published
		seen := func() []published {
			mu.Lock()
			defer mu.Unlock()
			return slices.Clone(all)
		}
		start := time.Now()
		q := s.mustStart(t, log, func(o *sequencer.Options) {
			o.Published = func(c treestore.Signed) {
				mu.Lock()
				defer mu.Unlock()
				all = append(all, published{time.Since(start), c.Size})
			}
		})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- q.Run(ctx) }()
		for range 50 {
			log.grow(t, 3, "")
			time.Sleep(100 * time.Millisecond)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		during := seen()
		burst := len(during)
		if burst < 4 || burst > 8 {
			t.Errorf("%d checkpoints for five seconds of events: %v", burst, during)
		}
		for i := 1; i < burst; i++ {
			if during[i].at-during[i-1].at < time.Second {
				t.Errorf("two checkpoints within a second: %v", during)
			}
		}
		if during[burst-1].size != 150 {
			t.Errorf("the last checkpoint covers %d of 150", during[burst-1].size)
		}
		time.Sleep(35 * time.Minute)
		synctest.Wait()
		if all := seen(); len(all)-burst != 3 || all[len(all)-1].size != 150 {
			t.Errorf("%d heartbeats in 35 minutes", len(all)-burst)
		}
		// A deadline does not wait for the pace.
		log.grow(t, 1, "")
		if c := mustForce(t, q); c.Size != 151 {
			t.Errorf("forced at size %d", c.Size)
		}
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		s.close()
	})
}

func TestRunSignsWhatAKilledProcessLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newLedger().grow(t, 20, "")
		s := newSite(t)
		if err := s.mustStart(t, log).CatchUp(t.Context()); err != nil {
			t.Fatal(err)
		}
		q := s.mustStart(t, log)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- q.Run(ctx) }()
		time.Sleep(2 * time.Second)
		if c, ok, err := s.tree.Latest(t.Context()); !ok || err != nil || c.Size != 20 {
			t.Errorf("%v %v %v", c.Size, ok, err)
		}
		cancel()
		<-done
		s.close()
	})
}
