package transparency

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

// What these targets hold the parsers of untrusted bytes to: no panic, every refusal is ErrMalformed, and what is accepted
// is written back as it was, so that one thing has one spelling.

func refusedAsMalformed(t *testing.T, err error) {
	t.Helper()
	if !errors.Is(err, ErrMalformed) {
		t.Fatalf("refused without saying that it is malformed: %v", err)
	}
}

// receiptSeed is a receipt that verifies, and the policy that it verifies under.
func receiptSeed(f *testing.F) (receipt []byte, policy *Policy) {
	f.Helper()
	log, witness := seeded(f, "log.example/fuzz", AlgEd25519, 1), seeded(f, "witness.example/w", AlgCosignatureV1, 2)
	l := sampleLeaf()
	l.Origin = "log.example/fuzz"
	leaf := mustAppend(f, l)
	c := Checkpoint{Origin: l.Origin, Size: 1, Root: tlog.RecordHash(leaf)}
	n, err := c.Sign(log)
	if err != nil {
		f.Fatal(err)
	}
	cosigned, err := witness.Cosign(n.Text, time.Date(2021, 2, 8, 8, 0, 0, 0, time.UTC))
	if err != nil {
		f.Fatal(err)
	}
	policy, err = ParsePolicy([]byte("log " + log.VerifierKey.String() + "\nwitness w " + witness.VerifierKey.String() + "\nquorum w\n"))
	if err != nil {
		f.Fatal(err)
	}
	return Proof{Extra: leaf, Checkpoint: n.With(cosigned)}.Marshal(), policy
}

func FuzzNote(f *testing.F) {
	f.Add([]byte("This is an example message.\n\n— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"))
	for _, s := range []string{"", "\n\n", "a\n\n— b AAAAAAA=\n", "a\n\n— b AAAAAAA=\n— b AAAAAAA=", "a\n\n\n— b+ AAAA\n", "\xff\n\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		n, err := ParseNote(b)
		if err != nil {
			refusedAsMalformed(t, err)
			return
		}
		if again := n.Marshal(); !bytes.Equal(again, b) {
			t.Fatalf("two spellings:\n%q\n%q", b, again)
		}
		if c, err := ParseCheckpoint(n.Text); err == nil && c.Text() != n.Text {
			t.Fatalf("two spellings of a checkpoint:\n%q\n%q", n.Text, c.Text())
		}
	})
}

func FuzzCheckpoint(f *testing.F) {
	for _, s := range []string{"example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n", "", "\n\n\n", "a\n01\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n",
		"a\n9223372036854775808\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n", "a\n1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\nmore\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		c, err := ParseCheckpoint(s)
		if err != nil {
			refusedAsMalformed(t, err)
			return
		}
		if c.Size < 0 || c.Text() != s {
			t.Fatalf("two spellings:\n%q\n%q", s, c.Text())
		}
	})
}

func FuzzProof(f *testing.F) {
	good, _ := receiptSeed(f)
	f.Add(good)
	golden, err := os.ReadFile("testdata/receipt.tlog-proof")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(golden)
	f.Add(bytes.Replace(good, []byte("index 0"), []byte("index 00"), 1))
	f.Add(bytes.Replace(good, []byte("extra "), []byte("extra"), 1))
	f.Add([]byte("c2sp.org/tlog-proof@v1\nextra \nindex 0\n\na\n\n— b AAAAAAA=\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := ParseProof(b)
		if err != nil {
			refusedAsMalformed(t, err)
			return
		}
		if len(p.Extra) == 0 { // an empty line says the same as none; a receipt without an entry proves nothing
			b = bytes.Replace(b, []byte("\nextra \n"), []byte("\n"), 1)
		}
		if again := p.Marshal(); !bytes.Equal(again, b) {
			t.Fatalf("two spellings:\n%q\n%q", b, again)
		}
	})
}

func FuzzConsistency(f *testing.F) {
	log := seeded(f, "log.example/fuzz", AlgEd25519, 1)
	n, err := Checkpoint{Origin: "log.example/fuzz", Size: 2}.Sign(log)
	if err != nil {
		f.Fatal(err)
	}
	good := Consistency{Old: 1, Proof: tlog.TreeProof{{1}}, Checkpoint: n}.Marshal()
	f.Add(good)
	f.Add([]byte("old 1\n\n"))
	f.Add(bytes.Replace(good, []byte("old 1"), []byte("old -1"), 1))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := ParseConsistency(b)
		if err != nil {
			refusedAsMalformed(t, err)
			return
		}
		if again := c.Marshal(); !bytes.Equal(again, b) {
			t.Fatalf("two spellings:\n%q\n%q", b, again)
		}
	})
}

// The history of checkpoints, which is also how notary remembers what it saw.
func FuzzHistory(f *testing.F) {
	receipt, _ := receiptSeed(f)
	p, err := ParseProof(receipt)
	if err != nil {
		f.Fatal(err)
	}
	one := AppendHistory(nil, p.Checkpoint)
	f.Add(one)
	f.Add(AppendHistory(one, p.Checkpoint))
	for _, s := range []string{"", "0\n", "00\n", "9223372036854775807\n", "-1\n", "5\na\n\n— "} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		notes, err := SplitHistory(b)
		if err != nil {
			refusedAsMalformed(t, err)
			return
		}
		var again []byte
		for _, n := range notes {
			again = AppendHistory(again, n)
		}
		if !bytes.Equal(again, b) {
			t.Fatalf("two spellings:\n%q\n%q", b, again)
		}
	})
}

func FuzzTilePath(f *testing.F) {
	for _, s := range []string{"tile/0/000", "tile/entries/x001/234", "tile/8/x001/x234/067.p/8", "tile/0/000.p/0", "tile/0/x000/001", "tile/0/1", "", "tile/64/000", "tile/0/000.p/256"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if n, err := ParseGroupedNumber(s); err == nil && (n < 0 || GroupedNumber(n) != s) {
			t.Fatalf("two spellings of a number: %q and %q", s, GroupedNumber(n))
		}
		id, err := ParseTilePath(s)
		if err != nil {
			refusedAsMalformed(t, err)
			return
		}
		if id.Path() != s {
			t.Fatalf("two spellings: %q and %q", s, id.Path())
		}
	})
}

// The entries of a bundle are what was appended to it.
func FuzzSplitEntries(f *testing.F) {
	f.Add(AppendEntry(AppendEntry(nil, []byte("a")), nil))
	f.Add([]byte{0, 2, 'a'})
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		entries, err := SplitEntries(b)
		if err != nil {
			refusedAsMalformed(t, err)
			return
		}
		var again []byte
		for _, e := range entries {
			again = AppendEntry(again, e)
		}
		if !bytes.Equal(again, b) {
			t.Fatalf("%x came back as %x", b, again)
		}
	})
}

func FuzzVerifierKey(f *testing.F) {
	for _, s := range []string{"example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k", "example.com/foo+530D903A+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k", "++", "a+00000000+AA==", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		k, err := ParseVerifierKey(s)
		if err != nil {
			refusedAsMalformed(t, err)
			return
		}
		if k.String() != s {
			t.Fatalf("two spellings: %q and %q", s, k)
		}
		if _, err := k.Verify("a\n", Signature{Name: k.Name, KeyID: k.ID, Sig: []byte(s)}); err == nil {
			t.Fatal("it verifies what nobody signed")
		}
	})
}

// A policy that is read, written and read again is the same, and asks the same of a checkpoint.
func FuzzPolicy(f *testing.F) {
	receipt, policy := receiptSeed(f)
	proof, err := ParseProof(receipt)
	if err != nil {
		f.Fatal(err)
	}
	text := policy.String()
	f.Add([]byte(text))
	f.Add([]byte("# a comment\n\n" + text + "group g all w\n"))
	f.Add([]byte("group g 2 w g\nquorum g\n"))
	f.Add([]byte("quorum none\n"))
	f.Add([]byte(text + "quorum none\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := ParsePolicy(b)
		if err != nil {
			refusedAsMalformed(t, err)
			return
		}
		again, err := ParsePolicy([]byte(p.String()))
		if err != nil || again.String() != p.String() {
			t.Fatalf("%q came back as %v, %v", p, again, err)
		}
		one, err1 := p.Judge(proof.Checkpoint)
		two, err2 := again.Judge(proof.Checkpoint)
		if (err1 == nil) != (err2 == nil) || one.Witnessed != two.Witnessed {
			t.Fatalf("%q judges otherwise when it is read again: %v, %v", p, err1, err2)
		}
	})
}

// Whatever is done to a receipt, it does not come to prove another entry.
func FuzzReceipt(f *testing.F) {
	good, policy := receiptSeed(f)
	want, err := VerifyReceipt(good, policy, ReceiptOptions{})
	if err != nil || want.Level != Witnessed {
		f.Fatalf("the seed proves %s: %v", want.Level, err)
	}
	f.Add(good)
	f.Add(want.LeafBytes)
	f.Add(bytes.Replace(good, []byte("index 0"), []byte("index 1"), 1))
	f.Add(append(bytes.Clone(good), good...))
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := VerifyReceipt(b, policy, ReceiptOptions{})
		if err != nil {
			if !IsFault(err) {
				t.Fatalf("refused as if it had not been looked at: %v", err)
			}
			return
		}
		if v.Level > Recorded && !bytes.Equal(v.LeafBytes, want.LeafBytes) {
			t.Fatalf("%s of an entry that nobody logged: %q", v.Level, v.LeafBytes)
		}
	})
}

// An opening that is read, written and read again opens the same.
func FuzzOpening(f *testing.F) {
	for _, o := range []Opening{{EventID: sampleID}, {EventID: sampleID, Payload: []byte(`{"a":1}`), HasPayload: true}, {EventID: sampleID, Meta: []byte{0xff}, HasMeta: true, Payload: []byte{}, HasPayload: true}} {
		b, err := json.Marshal(o)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte(`{"v":"x"}`))
	f.Add([]byte(`[]`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var o, again Opening
		if err := json.Unmarshal(b, &o); err != nil {
			return
		}
		text, err := json.Marshal(o)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(text, &again); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if o.EventID != again.EventID || o.HasPayload != again.HasPayload || o.HasMeta != again.HasMeta || !bytes.Equal(o.Payload, again.Payload) || !bytes.Equal(o.Meta, again.Meta) ||
			o.PayloadSalt != again.PayloadSalt || o.MetaSalt != again.MetaSalt {
			t.Fatalf("%+v came back as %+v", o, again)
		}
	})
}
