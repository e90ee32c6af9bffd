package transparency

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
	"pgregory.net/rapid"
)

// seeded makes a key whose private half is the byte repeated, so that golden bytes can be written down.
func seeded(t testing.TB, name string, alg Algorithm, b byte) SigningKey {
	t.Helper()
	k, err := NewSigningKey(name, alg, bytes.NewReader(bytes.Repeat([]byte{b}, 32)))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// TestSpecExample verifies the example that stands in the signed-note specification.
func TestSpecExample(t *testing.T) {
	t.Parallel()
	k, err := ParseVerifierKey("example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k")
	if err != nil {
		t.Fatal(err)
	}
	n, err := ParseNote([]byte("This is an example message.\n\n— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.Verify(n.Text, n.Signatures[0]); err != nil {
		t.Error(err)
	}
	// The checkpoint and cosigned checkpoint of the specifications, whose keys are not published, must at least parse
	// and be written back byte for byte.
	for _, s := range []string{
		"example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n— witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n",
	} {
		n, err := ParseNote([]byte(s))
		if err != nil {
			t.Fatal(err)
		}
		if got := string(n.Marshal()); got != s {
			t.Error(cmp.Diff(s, got))
		}
		if c, err := ParseCheckpoint(n.Text); err != nil || c.Size != 20852163 || c.Text() != n.Text {
			t.Errorf("%v, %v", c, err)
		}
	}
}

func TestCheckpointAgreesWithSumDB(t *testing.T) {
	t.Parallel()
	k := seeded(t, "ledger.example/x", AlgEd25519, 1)
	n, err := Checkpoint{"ledger.example/x", 3, tlog.RecordHash([]byte("x"))}.Sign(k)
	if err != nil {
		t.Fatal(err)
	}
	v, err := note.NewVerifier(k.String())
	if err != nil {
		t.Fatal(err)
	}
	opened, err := note.Open(n.Marshal(), note.VerifierList(v))
	if err != nil || opened.Text != n.Text || len(opened.Sigs) != 1 {
		t.Errorf("golang.org/x/mod/sumdb/note does not accept our checkpoint: %v", err)
	}
	// And the other way round.
	private, public, err := note.GenerateKey(nil, "ledger.example/y")
	if err != nil {
		t.Fatal(err)
	}
	signer, err := note.NewSigner(private)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := note.Sign(&note.Note{Text: "ledger.example/y\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n"}, signer)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ParseVerifierKey(public)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := ParseNote(signed)
	if err != nil {
		t.Fatal(err)
	}
	if c, err := VerifyLog(parsed, []VerifierKey{key}); err != nil || c.Root != EmptyRoot {
		t.Errorf("%v %v", c, err)
	}
}

const goldenCheckpoint = `ledger.example/x
5
zRkDRFhw1c2J0KG7+V+RTk/5GHsNZjyXz/9TAbAC/DU=

— ledger.example/x VYDCz0OoQcS9WI530dym2gXxYc6yfwTNjFHrh1aWdF7rxGlC4P+rDjaGY9Z5zE1hVeWiDiN9JOe+pdZjwRVfn1vjswc=
— witness.example/w yxOT3AAAAABhTYWAZZOcZy8q/brpARWjtQJ7g0I+waUbuEJ/6pUO4IVMKUJOTDm0eW3oshPcnqDRLMVP2H61VKru2v34/y0nyqJoBA==
`

func goldenNote(t testing.TB) Note {
	t.Helper()
	root, err := parseHash("zRkDRFhw1c2J0KG7+V+RTk/5GHsNZjyXz/9TAbAC/DU=")
	if err != nil {
		t.Fatal(err)
	}
	n, err := Checkpoint{"ledger.example/x", 5, root}.Sign(seeded(t, "ledger.example/x", AlgEd25519, 1))
	if err != nil {
		t.Fatal(err)
	}
	s, err := seeded(t, "witness.example/w", AlgCosignatureV1, 2).Cosign(n.Text, time.Unix(1632470400, 0))
	if err != nil {
		t.Fatal(err)
	}
	n.Signatures = append(n.Signatures, s)
	return n
}

func TestCheckpointGolden(t *testing.T) {
	t.Parallel()
	if diff := cmp.Diff(goldenCheckpoint, string(goldenNote(t).Marshal())); diff != "" {
		t.Error(diff)
	}
}

func TestNoteStrict(t *testing.T) {
	t.Parallel()
	good := string(goldenNote(t).Marshal())
	for name, bad := range map[string]string{
		"no blank line":        strings.Replace(good, "\n\n", "\n", 1),
		"no signature":         good[:strings.Index(good, "\n\n")+2],
		"no last newline":      good[:len(good)-1],
		"trailing blank line":  good + "\n",
		"tab":                  strings.Replace(good, "5\n", "5\t\n", 1),
		"carriage return":      strings.ReplaceAll(good, "\n", "\r\n"),
		"hyphen, not em dash":  strings.Replace(good, "— ", "- ", 1),
		"plus in name":         strings.Replace(good, "— ledger", "— led+ger", 1),
		"two blanks":           strings.Replace(good, "— ledger.example/x ", "— ledger.example/x  ", 1),
		"base64 unpadded":      strings.Replace(good, "=\n— ", "\n— ", 1),
		"too many signatures":  good + strings.Repeat("— a AAAAAAA=\n", MaxNoteSignatures),
		"not UTF-8":            strings.Replace(good, "ledger", "led\xffger", 1),
		"only the key id":      good + "— a AAAAAA==\n",
		"above the size limit": strings.Repeat("x", MaxNoteBytes) + good,
	} {
		if _, err := ParseNote([]byte(bad)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, bad := range map[string]string{
		"leading zero":    "o\n05\nzRkDRFhw1c2J0KG7+V+RTk/5GHsNZjyXz/9TAbAC/DU=\n",
		"minus":           "o\n-5\nzRkDRFhw1c2J0KG7+V+RTk/5GHsNZjyXz/9TAbAC/DU=\n",
		"trailing bits":   "o\n5\nzRkDRFhw1c2J0KG7+V+RTk/5GHsNZjyXz/9TAbAC/DV=\n",
		"short root":      "o\n5\nzRkDRFhw1c2J0KG7+V+RTk/5GHsNZjyXz/9TAbAC\n",
		"no origin":       "\n5\nzRkDRFhw1c2J0KG7+V+RTk/5GHsNZjyXz/9TAbAC/DU=\n",
		"extension line":  "o\n5\nzRkDRFhw1c2J0KG7+V+RTk/5GHsNZjyXz/9TAbAC/DU=\nx\n",
		"too big":         "o\n9223372036854775808\nzRkDRFhw1c2J0KG7+V+RTk/5GHsNZjyXz/9TAbAC/DU=\n",
		"last line open ": "o\n5\nzRkDRFhw1c2J0KG7+V+RTk/5GHsNZjyXz/9TAbAC/DU=",
	} {
		if _, err := ParseCheckpoint(bad); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestVerifyLog(t *testing.T) {
	t.Parallel()
	old, young := seeded(t, "l", AlgEd25519, 1), seeded(t, "l", AlgEd25519, 2)
	stranger := seeded(t, "l", AlgEd25519, 3)
	c := Checkpoint{"l", 1, tlog.Hash{1}}
	sign := func(keys ...SigningKey) Note {
		n, err := c.Sign(keys...)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	forged := sign(old)
	forged.Text = strings.Replace(forged.Text, "\n1\n", "\n2\n", 1)
	halfForged := sign(old, young)
	halfForged.Signatures[1].Sig[0] ^= 1
	elsewhere, err := Checkpoint{"m", 1, tlog.Hash{1}}.Sign(seeded(t, "m", AlgEd25519, 1))
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name  string
		note  Note
		trust []VerifierKey
		want  error
	}{
		{"own key", sign(old), []VerifierKey{old.VerifierKey}, nil},
		{"change of keys, old verifier", sign(old, young), []VerifierKey{old.VerifierKey}, nil},
		{"change of keys, new verifier", sign(old, young), []VerifierKey{young.VerifierKey}, nil},
		{"signed by a stranger under our name", sign(stranger), []VerifierKey{old.VerifierKey}, ErrSignature},
		{"text changed", forged, []VerifierKey{old.VerifierKey}, ErrSignature},
		{"one of two known signatures is bad", halfForged, []VerifierKey{old.VerifierKey, young.VerifierKey}, ErrSignature},
		{"another log's checkpoint", elsewhere, []VerifierKey{old.VerifierKey}, ErrOrigin},
	} {
		if _, err := VerifyLog(tc.note, tc.trust); !errors.Is(err, tc.want) {
			t.Errorf("%s: got %v, want %v", tc.name, err, tc.want)
		}
	}
}

func testPolicy(t testing.TB, quorum string, witnesses int) (*Policy, []SigningKey) {
	t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "# test\nlog %s\n", seeded(t, "ledger.example/x", AlgEd25519, 1))
	var keys []SigningKey
	for i := range witnesses {
		k := seeded(t, fmt.Sprintf("witness.example/w%d", i), AlgCosignatureV1, byte(10+i))
		keys = append(keys, k)
		fmt.Fprintf(&b, "witness\tw%d %s\n", i, k)
	}
	b.WriteString(quorum)
	p, err := ParsePolicy([]byte(b.String()))
	if err != nil {
		t.Fatal(err)
	}
	return p, keys
}

func TestPolicyTimes(t *testing.T) {
	t.Parallel()
	p, w := testPolicy(t, "group g 2 w0 w1 w2\nquorum g\n", 3)
	c := Checkpoint{"ledger.example/x", 1, tlog.Hash{1}}
	type cosig struct {
		by int
		at int64
	}
	for _, tc := range []struct {
		name      string
		sigs      []cosig
		witnessed bool
		by, since int64
	}{
		{"none", nil, false, 0, 0},
		{"one of two", []cosig{{0, 100}}, false, 0, 0},
		{"one of two, twice", []cosig{{0, 100}, {0, 200}}, false, 0, 0},
		{"two", []cosig{{1, 110}, {0, 100}}, true, 110, 100},
		{"three", []cosig{{1, 110}, {0, 100}, {2, 105}}, true, 105, 105},
		{"asked again", []cosig{{1, 110}, {0, 100}, {0, 700}, {1, 710}}, true, 110, 700},
	} {
		n, err := c.Sign(seeded(t, "ledger.example/x", AlgEd25519, 1))
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range tc.sigs {
			sig, err := w[s.by].Cosign(n.Text, time.Unix(s.at, 0))
			if err != nil {
				t.Fatal(err)
			}
			n.Signatures = append(n.Signatures, sig)
		}
		j, err := p.Judge(n)
		if err != nil {
			t.Fatal(err)
		}
		var by, since int64
		if j.Witnessed {
			by, since = j.By.Unix(), j.Since.Unix()
		}
		if j.Witnessed != tc.witnessed || by != tc.by || since != tc.since {
			t.Errorf("%s: witnessed %v by %d since %d", tc.name, j.Witnessed, by, since)
		}
	}
}

func TestPolicyQuorum(t *testing.T) {
	t.Parallel()
	p, _ := testPolicy(t, "group a 2 w0 w1 w2\ngroup b any w3 w4\ngroup both all a b\nquorum both\n", 5)
	for set, want := range map[string]bool{"": false, "01": false, "013": true, "034": false, "1240": true, "34": false} {
		have := map[string]bool{}
		for _, c := range set {
			have["w"+string(c)] = true
		}
		if got := p.met(p.quorum, have); got != want {
			t.Errorf("%q: %v", set, got)
		}
	}
}

func TestPolicyStrict(t *testing.T) {
	t.Parallel()
	log := seeded(t, "l", AlgEd25519, 1).String()
	w := seeded(t, "w", AlgCosignatureV1, 2).String()
	w2 := seeded(t, "w2", AlgCosignatureV1, 3).String()
	for name, bad := range map[string]string{
		"no quorum":             "log " + log + "\n",
		"two quorums":           "quorum none\nquorum none\n",
		"undefined quorum":      "quorum w\n",
		"quorum before witness": "quorum w\nwitness w " + w + "\n",
		"name twice":            "witness w " + w + "\nwitness w " + w2 + "\nquorum w\n",
		"key twice":             "witness w " + w + "\nwitness v " + w + "\nquorum w\n",
		"none as a name":        "witness none " + w + "\nquorum none\n",
		"none as a member":      "group g any none\nquorum g\n",
		"log key as witness":    "witness w " + log + "\nquorum w\n",
		"witness key as log":    "log " + w + "\nquorum none\n",
		"log key twice":         "log " + log + "\nlog " + log + "\nquorum none\n",
		"threshold zero":        "witness w " + w + "\ngroup g 0 w\nquorum g\n",
		"threshold too high":    "witness w " + w + "\ngroup g 2 w\nquorum g\n",
		"member twice":          "witness w " + w + "\ngroup g any w w\nquorum g\n",
		"member of two groups":  "witness w " + w + "\ngroup g any w\ngroup h any w\nquorum g\n",
		"unknown word":          "wittness w " + w + "\nquorum none\n",
		"carriage return":       "quorum none\r\n",
		"wrong key id":          "log " + strings.Replace(log, "+", "+0", 1)[:len(log)] + "\nquorum none\n",
	} {
		if _, err := ParsePolicy([]byte(bad)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestVerifierKeyStrict(t *testing.T) {
	t.Parallel()
	good := seeded(t, "l", AlgEd25519, 1).String()
	rapid.Check(t, func(t *rapid.T) {
		b := []byte(good)
		b[rapid.IntRange(0, len(b)-1).Draw(t, "at")] ^= byte(rapid.IntRange(1, 255).Draw(t, "flip"))
		if k, err := ParseVerifierKey(string(b)); err == nil {
			t.Fatalf("%q passes as %v", b, k)
		}
	})
}
