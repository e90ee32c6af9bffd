package transparency

import (
	_ "embed"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/mod/sumdb/tlog"
	"pgregory.net/rapid"
)

// memTree is a tree in memory, by the book: the oracle for everything that reads tiles.
type memTree struct {
	leaves [][]byte
	hashes []tlog.Hash
}

func (m *memTree) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, x := range indexes {
		out[i] = m.hashes[x]
	}
	return out, nil
}

func (m *memTree) add(t testing.TB, leaf []byte) {
	t.Helper()
	hs, err := tlog.StoredHashes(int64(len(m.leaves)), leaf, m)
	if err != nil {
		t.Fatal(err)
	}
	m.hashes = append(m.hashes, hs...)
	m.leaves = append(m.leaves, leaf)
}

func (m *memTree) root(t testing.TB, size int64) tlog.Hash {
	t.Helper()
	h, err := tlog.TreeHash(size, m)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// tile gives a tile's bytes straight from the definition.
func (m *memTree) tile(id TileID) ([]byte, error) {
	b, err := tlog.ReadTileData(tlog.Tile{H: TileHeight, L: id.Level, N: id.N, W: id.Width}, m)
	return b, err
}

func grownTree(t testing.TB, n int) *memTree {
	m := &memTree{}
	for i := range n {
		l := sampleLeaf()
		l.Origin = "ledger.example/x"
		l.Revision = uint64(i)
		m.add(t, mustAppend(t, l))
	}
	return m
}

func TestFrontierAndTilesAgreeWithTlog(t *testing.T) {
	t.Parallel()
	const n = 700
	m := grownTree(t, n)
	var f Frontier
	for i := range n {
		if i%97 == 0 || i > 500 && i < 520 || i == 256 || i == 512 {
			if f.Root() != m.root(t, int64(i)) {
				t.Fatalf("root at size %d differs", i)
			}
			r := HashReader(int64(i), m.tile)
			if i > 0 {
				got, err := tlog.TreeHash(int64(i), r)
				if err != nil || got != f.Root() {
					t.Fatalf("root at size %d through tiles: %v", i, err)
				}
			}
		}
		f.Add(LeafHash(m.leaves[i]))
	}
	// By whole tiles.
	var g Frontier
	for i := range 2 {
		b, err := m.tile(TileID{0, int64(i), 256})
		if err != nil {
			t.Fatal(err)
		}
		hs := make([]tlog.Hash, 256)
		for j := range hs {
			hs[j] = tlog.Hash(b[32*j:])
		}
		g.AddTile(TileRoot(hs))
	}
	if g.Root() != m.root(t, 512) {
		t.Error("root by tiles differs")
	}
	if _, err := tlog.TreeHash(n+1, HashReader(n, m.tile)); !errors.Is(err, ErrProof) {
		t.Errorf("a reader must not go beyond its size: %v", err)
	}
}

func TestTilePaths(t *testing.T) {
	t.Parallel()
	// The examples of the tlog-tiles specification.
	if got := (TileID{0, 1234067, 256}).Path(); got != "tile/0/x001/x234/067" {
		t.Error(got)
	}
	var got []string
	for _, id := range TilesOf(70000)[273:] {
		got = append(got, id.Path())
	}
	if diff := cmp.Diff([]string{"tile/0/273.p/112", "tile/1/000", "tile/1/001.p/17", "tile/2/000.p/1"}, got); diff != "" {
		t.Error(diff)
	}
	if got := fmt.Sprint(TilesOf(256)); got != "[{0 0 256} {1 0 1}]" {
		t.Error(got)
	}
	rapid.Check(t, func(t *rapid.T) {
		id := TileID{rapid.IntRange(-1, 63).Draw(t, "level"), rapid.Int64Range(0, 1<<50).Draw(t, "n"), rapid.IntRange(1, 256).Draw(t, "width")}
		back, err := ParseTilePath(id.Path())
		if err != nil || back != id {
			t.Fatalf("%v: %s: %v %v", id, id.Path(), back, err)
		}
	})
	for _, bad := range []string{"", "tile/", "tile/0/1", "tile/00/001", "tile/64/001", "tile/0/x000/001", "tile/0/001.p/0",
		"tile/0/001.p/256", "tile/0/001.p/01", "tile/-1/001", "tile/0/001/", "tile/0/001.p/", "tile/0/x001", "tile/entries/001.p/1/2", "tile/0/+01"} {
		if id, err := ParseTilePath(bad); !errors.Is(err, ErrMalformed) {
			t.Errorf("%q: %v %v", bad, id, err)
		}
	}
}

func TestBundles(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		in := rapid.SliceOfN(rapid.SliceOfN(rapid.Byte(), 0, 300), 0, 20).Draw(t, "entries")
		var b []byte
		for _, e := range in {
			b = AppendEntry(b, e)
		}
		out, err := SplitEntries(b)
		if err != nil || len(out) != len(in) {
			t.Fatal(err)
		}
		for i := range in {
			if string(in[i]) != string(out[i]) {
				t.Fatal(i)
			}
		}
	})
	for _, bad := range []string{"\x00", "\x00\x02a", "\x00\x01ab"} {
		if _, err := SplitEntries([]byte(bad)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// receiptOf makes a receipt for a leaf of the tree, signed by the log and cosigned at the given seconds by w0, w1, …
func receiptOf(t testing.TB, m *memTree, index, size int64, cosigned ...int64) Proof {
	t.Helper()
	n, err := Checkpoint{"ledger.example/x", size, m.root(t, size)}.Sign(seeded(t, "ledger.example/x", AlgEd25519, 1))
	if err != nil {
		t.Fatal(err)
	}
	for i, at := range cosigned {
		s, err := seeded(t, fmt.Sprintf("witness.example/w%d", i), AlgCosignatureV1, byte(10+i)).Cosign(n.Text, time.Unix(at, 0))
		if err != nil {
			t.Fatal(err)
		}
		n.Signatures = append(n.Signatures, s)
	}
	p, err := tlog.ProveRecord(size, index, m)
	if err != nil {
		t.Fatal(err)
	}
	return Proof{Extra: m.leaves[index], Index: index, Hashes: p, Checkpoint: n}
}

//go:embed testdata/receipt.tlog-proof
var goldenReceipt string

func TestReceiptGolden(t *testing.T) {
	t.Parallel()
	p := receiptOf(t, grownTree(t, 3), 1, 3, 1632470400)
	got := string(p.Marshal())
	if diff := cmp.Diff(goldenReceipt, got); diff != "" {
		t.Error(diff)
	}
	back, err := ParseProof([]byte(got))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(p, back); diff != "" {
		t.Error(diff)
	}
}

var three = time.Date(2021, 9, 24, 8, 0, 0, 0, time.UTC) // 15:00 in Viet Nam

func TestReceiptLevels(t *testing.T) {
	t.Parallel()
	m := grownTree(t, 300)
	p, _ := testPolicy(t, "group g 2 w0 w1 w2\nquorum g\n", 3)
	at := func(s int64) int64 { return three.Unix() + s }
	for _, tc := range []struct {
		name     string
		cosigned []int64
		want     Level
	}{
		{"no witness", nil, Logged},
		{"witness down", []int64{at(-5)}, Logged},
		{"in time", []int64{at(-5), at(-2)}, ProvenBefore},
		{"the last second that proves anything", []int64{at(-5), at(-1)}, ProvenBefore},
		{"cosigned at the deadline", []int64{at(-5), at(0)}, Witnessed},
		{"cosigned after the deadline", []int64{at(1), at(2)}, Witnessed},
		{"late, but two of three in time", []int64{at(-5), at(9), at(-3)}, ProvenBefore},
	} {
		v, err := VerifyReceipt(receiptOf(t, m, 123, 300, tc.cosigned...).Marshal(), p, ReceiptOptions{NotAfter: three})
		if err != nil || v.Level != tc.want {
			t.Errorf("%s: %v, %v", tc.name, v.Level, err)
		}
	}
	v, err := VerifyReceipt(m.leaves[5], p, ReceiptOptions{NotAfter: three})
	if err != nil || v.Level != Recorded {
		t.Errorf("bare leaf: %v, %v", v.Level, err)
	}
}

func TestReceiptForgeries(t *testing.T) {
	t.Parallel()
	m := grownTree(t, 300)
	p, _ := testPolicy(t, "quorum w0\n", 1)
	good := receiptOf(t, m, 123, 300, three.Unix()-1)
	other, _ := testPolicyFor(t, "ledger.example/other")
	for _, tc := range []struct {
		name   string
		policy *Policy
		change func(*Proof)
		want   error
	}{
		{"true", p, func(*Proof) {}, nil},
		{"a digit in the leaf", p, func(x *Proof) { x.Extra = []byte(strings.Replace(string(x.Extra), `"rev":"123"`, `"rev":"124"`, 1)) }, ErrProof},
		{"backdated", p, func(x *Proof) { x.Extra = []byte(strings.Replace(string(x.Extra), "07:58:03.13", "06:58:03.13", 1)) }, ErrProof},
		{"another leaf", p, func(x *Proof) { x.Extra = m.leaves[124] }, ErrProof},
		{"another index", p, func(x *Proof) { x.Index++ }, ErrProof},
		{"index beyond the tree", p, func(x *Proof) { x.Index = 300 }, ErrProof},
		{"a hash changed", p, func(x *Proof) { x.Hashes[3][0] ^= 1 }, ErrProof},
		{"a hash dropped", p, func(x *Proof) { x.Hashes = x.Hashes[1:] }, ErrProof},
		{"a hash added", p, func(x *Proof) { x.Hashes = append(x.Hashes, tlog.Hash{}) }, ErrProof},
		{"hashes swapped", p, func(x *Proof) { x.Hashes[0], x.Hashes[1] = x.Hashes[1], x.Hashes[0] }, ErrProof},
		{"larger size", p, func(x *Proof) { x.Checkpoint.Text = strings.Replace(x.Checkpoint.Text, "\n300\n", "\n301\n", 1) }, ErrSignature},
		{"log signature", p, func(x *Proof) { x.Checkpoint.Signatures[0].Sig[9] ^= 1 }, ErrSignature},
		{"log signature left out", p, func(x *Proof) { x.Checkpoint.Signatures = x.Checkpoint.Signatures[1:] }, ErrSignature},
		{"cosignature", p, func(x *Proof) { x.Checkpoint.Signatures[1].Sig[70] ^= 1 }, ErrSignature},
		{"cosigned time", p, func(x *Proof) { x.Checkpoint.Signatures[1].Sig[7]-- }, ErrSignature},
		{"cosignature of another checkpoint", p, func(x *Proof) {
			x.Checkpoint.Signatures[1] = receiptOf(t, m, 1, 299, three.Unix()-9).Checkpoint.Signatures[1]
		}, ErrSignature},
		{"no leaf", p, func(x *Proof) { x.Extra = nil }, ErrMalformed},
		{"another log's policy", other, func(*Proof) {}, ErrOrigin},
	} {
		bad, err := ParseProof(good.Marshal())
		if err != nil {
			t.Fatal(err)
		}
		tc.change(&bad)
		if _, err := VerifyReceipt(bad.Marshal(), tc.policy, ReceiptOptions{}); !errors.Is(err, tc.want) {
			t.Errorf("%s: got %v, want %v", tc.name, err, tc.want)
		}
	}
}

// TestLeafOfAnotherLog: our log signs a tree that holds an entry naming another origin.
func TestLeafOfAnotherLog(t *testing.T) {
	t.Parallel()
	p, _ := testPolicy(t, "quorum none\n", 0)
	m := &memTree{}
	m.add(t, mustAppend(t, sampleLeaf()))
	if _, err := VerifyReceipt(receiptOf(t, m, 0, 1).Marshal(), p, ReceiptOptions{}); !errors.Is(err, ErrOrigin) {
		t.Error(err)
	}
}

func testPolicyFor(t testing.TB, origin string) (*Policy, SigningKey) {
	t.Helper()
	k := seeded(t, origin, AlgEd25519, 1)
	p, err := ParsePolicy([]byte("log " + k.String() + "\nquorum none\n"))
	if err != nil {
		t.Fatal(err)
	}
	return p, k
}

func TestReceiptFitsQRCode(t *testing.T) {
	t.Parallel()
	// A year's log of two million entries (21 hashes), three witnesses, the longest names of our conventions.
	l := sampleLeaf()
	l.Stream = "report-bd2021-ns.bieu-01-sh.xa-an-dien-ben-cat.20210924"
	l.Kind = "BreachWithdrawn"
	p := receiptOf(t, grownTree(t, 3), 1, 3, 1, 1, 1)
	p.Extra = mustAppend(t, l)
	p.Hashes = make([]tlog.Hash, 21)
	if n := len(p.Marshal()); n > 2953 {
		t.Errorf("%d bytes; a QR code holds 2,953", n)
	} else {
		t.Logf("%d bytes", n)
	}
}

// TestEveryFlipInAReceiptIsNoticed: no byte of a receipt can be changed without losing the verdict.
func TestEveryFlipInAReceiptIsNoticed(t *testing.T) {
	t.Parallel()
	p, _ := testPolicy(t, "quorum w0\n", 1)
	good := receiptOf(t, grownTree(t, 300), 123, 300, three.Unix()-1).Marshal()
	for i := range good {
		for _, flip := range []byte{1, 2, 0x20, 0x80} {
			bad := append([]byte{}, good...)
			bad[i] ^= flip
			v, err := VerifyReceipt(bad, p, ReceiptOptions{NotAfter: three})
			if err == nil && v.Level == ProvenBefore {
				t.Errorf("byte %d (%q) ^ %#x goes unnoticed", i, good[max(0, i-10):min(len(good), i+10)], flip)
			}
		}
	}
}

func TestConsistency(t *testing.T) {
	t.Parallel()
	m := grownTree(t, 30)
	n, err := Checkpoint{"ledger.example/x", 30, m.root(t, 30)}.Sign(seeded(t, "ledger.example/x", AlgEd25519, 1))
	if err != nil {
		t.Fatal(err)
	}
	proof, err := tlog.ProveTree(30, 7, m)
	if err != nil {
		t.Fatal(err)
	}
	in := Consistency{7, proof, n}
	out, err := ParseConsistency(in.Marshal())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(in, out); diff != "" {
		t.Error(diff)
	}
	c := Checkpoint{"ledger.example/x", 30, m.root(t, 30)}
	if err := CheckConsistency(out.Proof, 7, m.root(t, 7), c); err != nil {
		t.Error(err)
	}
	for name, err := range map[string]error{
		"another old root":      CheckConsistency(proof, 7, m.root(t, 8), c),
		"another old size":      CheckConsistency(proof, 8, m.root(t, 7), c),
		"two roots of one size": CheckConsistency(nil, 30, m.root(t, 29), c),
		"superfluous proof":     CheckConsistency(proof, 30, m.root(t, 30), c),
		"proof from nothing":    CheckConsistency(proof, 0, EmptyRoot, c),
		"shrunk":                CheckConsistency(nil, 31, tlog.Hash{}, c),
		"empty with a root":     CheckConsistency(nil, 0, EmptyRoot, Checkpoint{"o", 0, tlog.Hash{1}}),
	} {
		if !errors.Is(err, ErrProof) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
