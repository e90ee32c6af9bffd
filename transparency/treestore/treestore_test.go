package treestore_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/tlog"
	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/answerable-ledger/answerable/eventlog"
	"github.com/answerable-ledger/answerable/transparency"
	"github.com/answerable-ledger/answerable/transparency/treestore"
)

const origin = "ledger.example/x"

// leaf makes the i-th leaf: three streams in turn.
func leaf(t testing.TB, i int) treestore.Entry {
	t.Helper()
	b, err := transparency.Leaf{
		Origin: origin, EventID: uuid.NewSHA1(uuid.NameSpaceURL, fmt.Append(nil, i)), Stream: fmt.Sprintf("report-%d", i%3), Revision: uint64(i / 3),
		Kind: "ReportSubmitted", RecordedAt: time.Unix(int64(1632470000+i), 0), Actor: "p-1",
	}.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	return treestore.Entry{Leaf: b, Position: eventlog.Position{Commit: uint64(10 * (i + 1)), Prepare: uint64(10*(i+1) + i%2)}}
}

func leaves(t testing.TB, lo, hi int) (out []treestore.Entry) {
	for i := lo; i < hi; i++ {
		out = append(out, leaf(t, i))
	}
	return out
}

func signer(t testing.TB) transparency.SigningKey {
	t.Helper()
	k, err := transparency.NewSigningKey(origin, transparency.AlgEd25519, zeros{})
	if err != nil {
		t.Fatal(err)
	}
	return k
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { return len(b), nil }

func policy(t testing.TB) *transparency.Policy {
	t.Helper()
	p, err := transparency.ParsePolicy([]byte("log " + signer(t).String() + "\nquorum none\n"))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func sign(t testing.TB, s tree, size int64) transparency.Note {
	t.Helper()
	root, err := s.Root(t.Context(), size)
	if err != nil {
		t.Fatal(err)
	}
	n, err := transparency.Checkpoint{Origin: origin, Size: size, Root: root}.Sign(signer(t))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestGrowInUnevenBatches(t *testing.T) {
	t.Parallel()
	onEveryEngine(t, growInUnevenBatches)
}

func growInUnevenBatches(t *testing.T, place func() string) {
	path := place()
	s := open(t, path)
	var want transparency.Frontier
	size := 0
	for i, n := range []int{1, 30, 1, 1, 200, 23, 1, 255, 256, 1, 700, 3} {
		if err := s.Append(t.Context(), int64(size), leaves(t, size, size+n)); err != nil {
			t.Fatal(err)
		}
		for j := size; j < size+n; j++ {
			want.Add(transparency.LeafHash(leaf(t, j).Leaf))
		}
		size += n
		if i%3 == 2 { // go on from what is in the file alone
			s.Close()
			s = open(t, path)
		}
		got, err := s.Root(t.Context(), int64(size))
		if err != nil || got != want.Root() {
			t.Fatalf("root at size %d: %v", size, err)
		}
	}
	// Everything comes back, also what lies across rows and tiles.
	all, err := s.Entries(t.Context(), 0, int64(size))
	if err != nil {
		t.Fatal(err)
	}
	for i, e := range all {
		if w := leaf(t, i); string(e.Leaf) != string(w.Leaf) || e.Position != w.Position {
			t.Fatalf("leaf %d differs", i)
		}
		if at, found, err := s.Index(t.Context(), e.Position); err != nil || !found || at != int64(i) {
			t.Fatalf("leaf %d found at %d, %v, %v", i, at, found, err)
		}
	}
	for _, p := range []eventlog.Position{{}, {Commit: 10, Prepare: 11}, {Commit: 15}, {Commit: 1 << 40}} {
		if _, found, err := s.Index(t.Context(), p); found || err != nil {
			t.Errorf("position %s: found %v, %v", p, found, err)
		}
	}
	if err := s.SaveCheckpoint(t.Context(), sign(t, s, int64(size)), time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	if err := s.Check(t.Context(), treestore.CheckOptions{Policy: policy(t)}); err != nil {
		t.Error(err)
	}
	for i := range int64(size) {
		if i%37 != 0 {
			continue
		}
		p, err := s.Receipt(t.Context(), i, policy(t))
		if err != nil {
			t.Fatal(err)
		}
		v, err := transparency.VerifyReceipt(p.Marshal(), policy(t), transparency.ReceiptOptions{})
		if err != nil || v.Level != transparency.Logged {
			t.Fatalf("receipt %d: %v %v", i, v.Level, err)
		}
	}
}

func TestAppendRefuses(t *testing.T) {
	t.Parallel()
	onEveryEngine(t, appendRefuses)
}

func appendRefuses(t *testing.T, place func() string) {
	s := open(t, place())
	if err := s.Append(t.Context(), 0, leaves(t, 0, 40)); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		at      int64
		entries []treestore.Entry
		want    error
	}{
		"a gap":                  {41, leaves(t, 41, 42), eventlog.ErrInvalid},
		"again":                  {39, leaves(t, 39, 41), eventlog.ErrInvalid},
		"an event it has":        {40, leaves(t, 39, 41), eventlog.ErrInvalid},
		"twice in one batch":     {40, append(leaves(t, 40, 80), leaf(t, 79)), eventlog.ErrInvalid},
		"a leaf without content": {40, []treestore.Entry{{Position: eventlog.Position{Commit: 1 << 20}}}, eventlog.ErrTooLarge},
	} {
		if err := s.Append(t.Context(), tc.at, tc.entries); !errors.Is(err, tc.want) {
			t.Errorf("%s: %v", name, err)
		}
		if s.Size() != 40 {
			t.Fatalf("%s: size %d", name, s.Size())
		}
	}
	if err := s.Append(t.Context(), 40, leaves(t, 40, 300)); err != nil {
		t.Errorf("after refusals: %v", err)
	}
	if err := s.Check(t.Context(), treestore.CheckOptions{}); err != nil {
		t.Error(err)
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	onEveryEngine(t, openRefuses)
}

func openRefuses(t *testing.T, place func() string) {
	path := place()
	if _, err := openTree(t.Context(), treestore.Options{Path: path, Origin: origin}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing: %v", err)
	}
	open(t, path).Close()
	if _, err := openTree(t.Context(), treestore.Options{Path: path, Origin: "ledger.example/y"}); !errors.Is(err, transparency.ErrOrigin) {
		t.Errorf("another log's: %v", err)
	}
	if _, err := openTree(t.Context(), treestore.Options{Path: path, Origin: origin, Prefixes: []string{"report-"}}); !errors.Is(err, eventlog.ErrInvalid) {
		t.Errorf("other streams: %v", err)
	}
	open(t, path).Close()
	some := place()
	for _, c := range []struct {
		prefixes []string
		create   bool
		covers   int // 0: refused
	}{
		{[]string{"report-", "unit-"}, true, 2},
		{[]string{"report-", "unit-", "log-"}, false, 2}, // a reader of a newer program changes nothing
		{[]string{"report-", "unit-", "log-"}, true, 3},
		{[]string{"report-", "unit-"}, true, 0},
		{[]string{"unit-", "report-", "log-"}, true, 0},
		{[]string{"report-", "unit-", "log-x"}, true, 0},
	} {
		s, err := openTree(t.Context(), treestore.Options{Path: some, Origin: origin, Prefixes: c.prefixes, Create: c.create})
		if c.covers == 0 {
			if !errors.Is(err, eventlog.ErrInvalid) {
				t.Errorf("%q: %v", c.prefixes, err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if got := s.Filter().Prefixes; len(got) != c.covers {
			t.Errorf("%q: it covers %q", c.prefixes, got)
		}
		s.Close()
	}
}

func TestOpenRefusesGarbage(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "tree.db")
	if err := os.WriteFile(path, []byte("this is no database, and long enough to be looked at as one"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := openTree(t.Context(), treestore.Options{Path: path, Origin: origin}); !errors.Is(err, eventlog.ErrDamaged) {
		t.Errorf("garbage: %v", err)
	}
}

func TestCheckpointsAreKept(t *testing.T) {
	t.Parallel()
	onEveryEngine(t, checkpointsAreKept)
}

func checkpointsAreKept(t *testing.T, place func() string) {
	s := open(t, place())
	if err := s.Append(t.Context(), 0, leaves(t, 0, 10)); err != nil {
		t.Fatal(err)
	}
	if _, ok, err := s.Latest(t.Context()); ok || err != nil {
		t.Errorf("before the first: %v %v", ok, err)
	}
	if _, err := s.Receipt(t.Context(), 3, nil); !errors.Is(err, transparency.ErrNotYet) {
		t.Errorf("receipt before the first checkpoint: %v", err)
	}
	for _, size := range []int64{3, 7} {
		if err := s.SaveCheckpoint(t.Context(), sign(t, s, size), time.Unix(size, 0)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Receipt(t.Context(), 7, nil); !errors.Is(err, transparency.ErrNotYet) {
		t.Errorf("receipt beyond the signed size: %v", err)
	}
	fork, err := transparency.Checkpoint{Origin: origin, Size: 7, Root: tlog.Hash{1}}.Sign(signer(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.SaveCheckpoint(t.Context(), fork, time.Unix(9, 0)); !errors.Is(err, transparency.ErrFork) {
		t.Errorf("a second root for one size: %v", err)
	}
	w, err := transparency.NewSigningKey("witness.example/w", transparency.AlgCosignatureV1, zeros{})
	if err != nil {
		t.Fatal(err)
	}
	n := sign(t, s, 7)
	for _, at := range []int64{100, 200, 300} {
		sig, err := w.Cosign(n.Text, time.Unix(at, 0))
		if err != nil {
			t.Fatal(err)
		}
		if err := s.SaveCheckpoint(t.Context(), transparency.Note{Text: n.Text, Signatures: []transparency.Signature{sig}}, time.Unix(at, 0)); err != nil {
			t.Fatal(err)
		}
	}
	p, err := transparency.ParsePolicy(fmt.Appendf(nil, "log %s\nwitness w %s\nquorum w\n", signer(t), w))
	if err != nil {
		t.Fatal(err)
	}
	latest, _, err := s.Latest(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	j, err := p.Judge(latest.Note)
	if err != nil || j.By.Unix() != 100 || j.Since.Unix() != 300 || len(latest.Note.Signatures) != 3 || latest.SignedAt.Unix() != 7 {
		t.Errorf("the first and the newest cosignature stay: %+v %v", j, err)
	}
	// Leaf 1 is covered by size 3 too, but only size 7 was witnessed.
	r, err := s.Receipt(t.Context(), 1, p)
	if err != nil {
		t.Fatal(err)
	}
	if v, err := transparency.VerifyReceipt(r.Marshal(), p, transparency.ReceiptOptions{}); err != nil || v.Judged.Size != 7 || v.Level != transparency.Witnessed {
		t.Errorf("%+v %v", v, err)
	}
}

func TestErase(t *testing.T) {
	t.Parallel()
	onEveryEngine(t, erase)
}

func erase(t *testing.T, place func() string) {
	s := open(t, place())
	id := uuid.New()
	if e, err := s.Erased(t.Context(), id); e || err != nil {
		t.Errorf("before: %v %v", e, err)
	}
	if err := s.Erase(t.Context(), id, time.Unix(1, 0), "request 12/2026"); err != nil {
		t.Fatal(err)
	}
	if e, err := s.Erased(t.Context(), id); !e || err != nil {
		t.Errorf("after: %v %v", e, err)
	}
}

func TestGuard(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "guard")
	if _, err := treestore.OpenGuard(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing guard is never taken for an empty one: %v", err)
	}
	if err := treestore.CreateGuard(path); err != nil {
		t.Fatal(err)
	}
	if err := treestore.CreateGuard(path); !errors.Is(err, fs.ErrExist) {
		t.Errorf("made twice: %v", err)
	}
	g, err := treestore.OpenGuard(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := treestore.OpenGuard(path); !errors.Is(err, eventlog.ErrInUse) {
		t.Errorf("two signers: %v", err)
	}
	if err := g.Swap(t.Context(), nil, []byte("one")); err != nil {
		t.Fatal(err)
	}
	if err := g.Swap(t.Context(), nil, []byte("two")); !errors.Is(err, eventlog.ErrConflict) {
		t.Errorf("swap from what is not there: %v", err)
	}
	if err := os.WriteFile(path, []byte("older"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := g.Swap(t.Context(), []byte("one"), []byte("two")); !errors.Is(err, eventlog.ErrConflict) {
		t.Errorf("changed from outside: %v", err)
	}
	if string(g.Last()) != "one" {
		t.Errorf("last is %q", g.Last())
	}
	if err := g.Close(); err != nil {
		t.Fatal(err)
	}
	g, err = treestore.OpenGuard(path)
	if err != nil || string(g.Last()) != "older" {
		t.Errorf("opened again: %v", err)
	}
	g.Close()
}

// TestCheckFindsDamage changes the stored rows one by one.
func TestCheckFindsDamage(t *testing.T) {
	t.Parallel()
	pristine := filepath.Join(t.TempDir(), "tree.db")
	s := open(t, pristine)
	if err := s.Append(t.Context(), 0, leaves(t, 0, 600)); err != nil {
		t.Fatal(err)
	}
	for _, size := range []int64{0, 256, 599} {
		if err := s.SaveCheckpoint(t.Context(), sign(t, s, size), time.Unix(size, 0)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Check(t.Context(), treestore.CheckOptions{Policy: policy(t)}); err != nil {
		t.Fatal(err)
	}
	s.Close()
	for name, sql := range map[string]string{
		"where a run begins":            `UPDATE run SET start = start + 1 WHERE n = 1`,
		"where a run ends":              `UPDATE run SET bytes = bytes - 1 WHERE n = 1`,
		"a run beyond the file":         `UPDATE run SET start = 1 << 60 WHERE n = 1`,
		"a run of many bytes":           `UPDATE run SET bytes = 1 << 60 WHERE n = 1`,
		"a run dropped":                 `DELETE FROM run WHERE n = 1`,
		"two runs swapped":              `UPDATE run SET n = 9 WHERE n = 0; UPDATE run SET n = 0 WHERE n = 1; UPDATE run SET n = 1 WHERE n = 9`,
		"a run added":                   `INSERT INTO run SELECT 99, 99999, 99999, start, bytes, places FROM run WHERE n = 1`,
		"the tree cut back":             `UPDATE tree SET size = 576`,
		"the tree cut back to a run":    `UPDATE tree SET size = 512; DELETE FROM run WHERE n >= 2`,
		"the tree enlarged":             `UPDATE tree SET size = 601`,
		"a place":                       `UPDATE run SET places = CAST(x'ff' || substr(places, 2) AS BLOB) WHERE n = 2`,
		"a first place":                 `UPDATE run SET commit_position = commit_position + 1 WHERE n = 2`,
		"a hash of a full tile":         `UPDATE tile SET hashes = CAST(x'00000000' || substr(hashes, 5) AS BLOB) WHERE id = 0`,
		"a hash of the last tile":       `UPDATE tile SET hashes = CAST(x'00000000' || substr(hashes, 5) AS BLOB) WHERE id = 2`,
		"a hash of level one":           `UPDATE tile SET hashes = CAST(x'00000000' || substr(hashes, 5) AS BLOB) WHERE id > 1000`,
		"a tile dropped":                `DELETE FROM tile WHERE id = 1`,
		"a tile added":                  `INSERT INTO tile VALUES (77, x'00')`,
		"a checkpoint's size":           `UPDATE checkpoint SET note = CAST(replace(CAST(note AS TEXT), char(10) || '256' || char(10), char(10) || '257' || char(10)) AS BLOB) WHERE size = 256`,
		"a checkpoint moved":            `UPDATE checkpoint SET size = 257 WHERE size = 256`,
		"a checkpoint's signature":      `UPDATE checkpoint SET note = CAST(substr(CAST(note AS TEXT), 1, length(CAST(note AS TEXT)) - 12) || 'AAAAAAAAAA=' || char(10) AS BLOB) WHERE size = 599`,
		"a checkpoint beyond the tree":  `UPDATE checkpoint SET size = 601 WHERE size = 599`,
		"a signature line by a witness": `UPDATE checkpoint SET note = CAST(CAST(note AS TEXT) || '— stranger AAAAAAA=' || char(10) AS BLOB) WHERE size = 599`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "tree.db")
			copyFile(t, pristine, path)
			copyFile(t, pristine+treestore.LeavesSuffix, path+treestore.LeavesSuffix)
			execute(t, path, sql)
			damageIsFound(t, path)
		})
	}
	leaves, err := os.ReadFile(pristine + treestore.LeavesSuffix)
	if err != nil {
		t.Fatal(err)
	}
	for name, damage := range map[string]func(b []byte) []byte{
		"a byte of a leaf":   func(b []byte) []byte { b[len(b)/2] ^= 1; return b },
		"a leaf's length":    func(b []byte) []byte { b[0] ^= 1; return b },
		"the last byte":      func(b []byte) []byte { b[len(b)-1] ^= 1; return b },
		"the file cut off":   func(b []byte) []byte { return b[:len(b)-1] },
		"the file emptied":   func([]byte) []byte { return nil },
		"the file not there": nil,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "tree.db")
			copyFile(t, pristine, path)
			if damage != nil {
				if err := os.WriteFile(path+treestore.LeavesSuffix, damage(bytes.Clone(leaves)), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			damageIsFound(t, path)
		})
	}
}

// damageIsFound opens a damaged tree and checks it.
func damageIsFound(t *testing.T, path string) {
	t.Helper()
	s, err := treestore.Open(t.Context(), treestore.Options{Path: path, Origin: origin})
	if err != nil {
		t.Logf("found on opening: %v", err)
		return
	}
	defer s.Close()
	err = s.Check(context.Background(), treestore.CheckOptions{Policy: policy(t)})
	if err == nil {
		t.Fatal("not noticed")
	}
	t.Log(err)
}

func execute(t *testing.T, path, sql string) {
	t.Helper()
	c, err := sqlite.OpenConn(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := sqlitex.ExecuteScript(c, sql, nil); err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
}

func copyFile(t testing.TB, from, to string) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, b, 0o600); err != nil {
		t.Fatal(err)
	}
}
