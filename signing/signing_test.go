package signing

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/hex"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func newMachine(t testing.TB) (ed25519.PrivateKey, Credential) {
	t.Helper()
	key := newEd25519(t)
	public, err := EncodePublicKey(key.Public(), MethodEd25519)
	must(t, err)
	id, err := KeyID(key.Public())
	must(t, err)
	return key, Credential{ID: id, Method: MethodEd25519, PublicKey: public}
}

func TestChallengeIsOfTheContextAndTheStatement(t *testing.T) {
	t.Parallel()
	// printf 'answerable/sign-off/1\n{}' | sha256sum
	const want = "aa220d0622e6d54e634180f47f3f540b47761b135ce16aa2e9761ede98f57ef1"
	if got := hex.EncodeToString(Challenge([]byte("{}"))); got != want {
		t.Errorf("got %s", got)
	}
}

func TestEd25519(t *testing.T) {
	t.Parallel()
	key, cred := newMachine(t)
	sig := SignEd25519(key, cred.ID, []byte(statement))
	got, err := Verify(cred, []byte(statement), sig, Policy{})
	must(t, err)
	if diff := cmp.Diff(Verdict{Method: MethodEd25519, Credential: cred.ID}, got); diff != "" {
		t.Error(diff)
	}

	_, other := newMachine(t)
	for name, c := range map[string]struct {
		cred      func(*Credential)
		sig       func(*Signature)
		statement string
		kind      error
		code      Code
	}{
		"another statement":     {statement: statement + " ", kind: ErrSignature, code: CodeWrongSignature},
		"another's key":         {cred: func(c *Credential) { c.PublicKey = other.PublicKey }, kind: ErrSignature, code: CodeWrongSignature},
		"another's credential":  {cred: func(c *Credential) { *c = other }, kind: ErrCredential, code: CodeOtherCredential},
		"no credential":         {cred: func(c *Credential) { c.ID = "" }, sig: func(s *Signature) { s.Credential = "" }, kind: ErrCredential, code: CodeOtherCredential},
		"without the context":   {sig: func(s *Signature) { s.Signature = encode(ed25519.Sign(key, []byte(statement))) }, kind: ErrSignature, code: CodeWrongSignature},
		"over the challenge":    {sig: func(s *Signature) { s.Signature = encode(ed25519.Sign(key, Challenge([]byte(statement)))) }, kind: ErrSignature, code: CodeWrongSignature},
		"as an unknown method":  {cred: func(c *Credential) { c.Method = "pgp" }, sig: func(s *Signature) { s.Method = "pgp" }, kind: ErrMalformed, code: CodeMethod},
		"as webauthn":           {cred: func(c *Credential) { c.Method = MethodWebAuthn }, sig: func(s *Signature) { s.Method = MethodWebAuthn }, kind: ErrMalformed, code: CodeBase64},
		"as cms":                {cred: func(c *Credential) { c.Method = MethodCMS }, sig: func(s *Signature) { s.Method = MethodCMS }, kind: ErrMalformed, code: CodePublicKey},
		"superfluous part":      {sig: func(s *Signature) { s.ClientData = "AAAA" }, kind: ErrMalformed, code: CodeBase64},
		"cut short":             {sig: func(s *Signature) { s.Signature = encode(make([]byte, 63)) }, kind: ErrSignature, code: CodeWrongSignature},
		"public key is garbage": {cred: func(c *Credential) { c.PublicKey = "AAAA" }, kind: ErrMalformed, code: CodePublicKey},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c1, s1, presented := cred, sig, statement
			if c.cred != nil {
				c.cred(&c1)
			}
			if c.sig != nil {
				c.sig(&s1)
			}
			if c.statement != "" {
				presented = c.statement
			}
			_, err := Verify(c1, []byte(presented), s1, Policy{})
			expect(t, err, c.kind, c.code)
		})
	}
}

// TestSmallOrderKeysAreRefused shows first that the danger is real: one signature fits every message under such a key.
func TestSmallOrderKeysAreRefused(t *testing.T) {
	t.Parallel()
	identity := make(ed25519.PublicKey, 32)
	identity[0] = 1
	universal := append(bytes.Clone(identity), make([]byte, 32)...) // R is the neutral point, S is 0
	if !ed25519.Verify(identity, []byte("anything"), universal) || !ed25519.Verify(identity, []byte("something else"), universal) {
		t.Fatal("the attack this guards against does not work; is the guard needed?")
	}
	for _, s := range []string{
		"0100000000000000000000000000000000000000000000000000000000000000",
		"0100000000000000000000000000000000000000000000000000000000000080",
		"0000000000000000000000000000000000000000000000000000000000000000",
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	} {
		b, err := hex.DecodeString(s)
		must(t, err)
		for _, method := range []string{MethodEd25519, MethodWebAuthn} {
			_, err = EncodePublicKey(ed25519.PublicKey(b), method)
			expect(t, err, ErrMalformed, CodePublicKey)
		}
	}
}

func TestKeysNotAccepted(t *testing.T) {
	t.Parallel()
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	must(t, err)
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	must(t, err)
	small := *newRSA()
	small.E = 3
	for name, c := range map[string]struct {
		key    crypto.PublicKey
		method string
	}{
		"P-224":               {p224.Public(), MethodCMS},
		"P-384 in a browser":  {p384.Public(), MethodWebAuthn},
		"RSA, exponent 3":     {&small.PublicKey, MethodWebAuthn},
		"RSA, 1024 bits":      {&rsa.PublicKey{N: rsaModulus(1024), E: 65537}, MethodCMS},
		"RSA, 8192 bits":      {&rsa.PublicKey{N: rsaModulus(8192), E: 65537}, MethodCMS},
		"RSA for a machine":   {newRSA().Public(), MethodEd25519},
		"P-256 for a machine": {newP256(t).Public(), MethodEd25519},
		"a string":            {"key", MethodWebAuthn},
		"nothing":             {nil, MethodWebAuthn},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := EncodePublicKey(c.key, c.method)
			expect(t, err, ErrMalformed, CodePublicKey)
		})
	}
}

func TestCOSEKeysThereAndBack(t *testing.T) {
	t.Parallel()
	for _, key := range []crypto.PublicKey{newP256(t).Public(), newRSA().Public(), newEd25519(t).Public()} {
		cose, err := COSEKey(key)
		must(t, err)
		back, err := ParseCOSEKey(cose)
		must(t, err)
		if !back.(interface{ Equal(crypto.PublicKey) bool }).Equal(key) {
			t.Errorf("%T came back different", key)
		}
		for _, bad := range [][]byte{nil, cose[:len(cose)-1], append(bytes.Clone(cose), 0), append([]byte{0xa0}, cose...)} {
			if _, err := ParseCOSEKey(bad); CodeOf(err) != CodePublicKey {
				t.Errorf("%x: %v", bad, err)
			}
		}
	}
}

// TestKeysHaveOneSpelling: the readers beneath skip what they do not know; a stored key has no such parts.
func TestKeysHaveOneSpelling(t *testing.T) {
	t.Parallel()
	der, err := x509.MarshalPKIXPublicKey(newP256(t).Public())
	must(t, err)
	var spki asn1.RawValue
	_, err = asn1.Unmarshal(der, &spki)
	must(t, err)
	longer, err := asn1.Marshal(asn1.RawValue{Tag: asn1.TagSequence, IsCompound: true, Bytes: append(spki.Bytes, 5, 0)})
	must(t, err)
	if _, err := x509.ParsePKIXPublicKey(longer); err != nil {
		t.Fatalf("the reader beneath refuses it by now: %v", err)
	}
	_, err = ParsePublicKey(encode(longer), MethodWebAuthn)
	expect(t, err, ErrMalformed, CodePublicKey)

	cose, err := COSEKey(newRSA().Public())
	must(t, err)
	i := len(coseRS256) + 2
	padded := slices.Concat(cose[:i-2], []byte{1, 1, 0}, cose[i:]) // the modulus with a zero ahead
	_, err = ParseCOSEKey(padded)
	expect(t, err, ErrMalformed, CodePublicKey)
}

// stored is one valid signature with all that is stored of it.
type stored struct {
	name   string
	cred   Credential
	sig    Signature
	policy Policy
}

func oneOfEach(t testing.TB) []stored {
	t.Helper()
	var all []stored
	for name, key := range map[string]crypto.Signer{"ES256": newP256(t), "RS256": newRSA(), "EdDSA": newEd25519(t)} {
		a := newAuthenticator(t, key)
		all = append(all, stored{name, a.cred, a.sign(t, Challenge([]byte(statement))), policy})
	}
	key, cred := newMachine(t)
	all = append(all, stored{"ed25519", cred, SignEd25519(key, cred.ID, []byte(statement)), Policy{}})
	ca := newAuthority(t)
	for name, key := range map[string]crypto.Signer{"CMS by ECDSA": newP256(t), "CMS by RSA": newRSA()} {
		m := cmsMaker{cert: ca.issue(t, key.Public(), nil), key: key, sent: []*x509.Certificate{ca.middle}}
		all = append(all, stored{name, cmsCredential(t, key.Public()), cmsSignature(m.make(t, []byte(statement)), key.Public()), ca.policy()})
	}
	for _, s := range all {
		if _, err := Verify(s.cred, []byte(statement), s.sig, s.policy); err != nil {
			t.Fatalf("%s: %v", s.name, err)
		}
	}
	return all
}

// parts are all strings that make up a stored signature, with the statement.
func (s *stored) parts(statement *string) []*string {
	return []*string{statement, &s.sig.Method, &s.sig.Credential, &s.sig.Signature, &s.sig.ClientData, &s.sig.AuthenticatorData,
		&s.cred.ID, &s.cred.Method, &s.cred.PublicKey}
}

// TestEveryFlippedBitIsNoticed flips every single bit of every part: of its text, and of the bytes its base64 stands for.
func TestEveryFlippedBitIsNoticed(t *testing.T) {
	t.Parallel()
	for _, good := range oneOfEach(t) {
		t.Run(good.name, func(t *testing.T) {
			t.Parallel()
			presented := statement
			for i := range good.parts(&presented) {
				bad, text := good, statement
				part := bad.parts(&text)[i]
				whole := *part
				try := func(bit int, what string) {
					if v, err := Verify(bad.cred, []byte(text), bad.sig, bad.policy); err == nil {
						t.Errorf("bit %d of the %s of part %d went unnoticed: %+v", bit, what, i, v)
					}
				}
				step := 1
				if len(whole) > 200 {
					step = 11 // prime to 8: long texts need not be tried whole, the bytes they stand for are
				}
				for bit := 0; bit < 8*len(whole); bit += step {
					*part = string(flip([]byte(whole), bit))
					try(bit, "text")
				}
				b, err := base64.StdEncoding.DecodeString(whole)
				if err != nil {
					continue
				}
				if step = 1; strings.HasSuffix(good.name, "RSA") || good.name == "RS256" {
					step = 19 // slow, and built like those by other keys, of which every bit is tried
				}
				for bit := 0; bit < 8*len(b); bit += step {
					*part = encode(flip(b, bit))
					try(bit, "bytes")
				}
			}
		})
	}
}

// TestAnyChangeIsNoticed replaces, removes, doubles and inserts runs of bytes. Only ECDSA signatures may change and stay
// valid, and only by one known turn that no such edit makes.
func TestAnyChangeIsNoticed(t *testing.T) {
	t.Parallel()
	all := oneOfEach(t)
	rapid.Check(t, func(t *rapid.T) {
		s, presented := rapid.SampledFrom(all).Draw(t, "signed"), statement
		parts := s.parts(&presented)
		part := parts[rapid.SampledFrom([]int{0, 1, 2, 3, 3, 3, 3, 3, 4, 4, 5, 5, 6, 7, 8, 8}).Draw(t, "part")]
		whole := *part
		b, err := base64.StdEncoding.DecodeString(whole)
		if inBytes := err == nil && rapid.Bool().Draw(t, "in the bytes"); inBytes {
			*part = encode(edit(t, b))
		} else {
			*part = string(edit(t, []byte(whole)))
		}
		if *part == whole {
			return
		}
		if v, err := Verify(s.cred, []byte(presented), s.sig, s.policy); err == nil {
			t.Fatalf("a change went unnoticed: %+v", v)
		}
	})
}

func edit(t *rapid.T, b []byte) []byte {
	from := rapid.IntRange(0, len(b)).Draw(t, "from")
	to := min(len(b), from+rapid.IntRange(0, 40).Draw(t, "length"))
	return slices.Concat(b[:from], rapid.OneOf(
		rapid.Just([]byte(nil)),
		rapid.SliceOfN(rapid.Byte(), 0, 40),
		rapid.Just(slices.Concat(b[from:to], b[from:to])),
	).Draw(t, "instead"), b[to:])
}

func flip(b []byte, bit int) []byte {
	out := bytes.Clone(b)
	out[bit/8] ^= 1 << (bit % 8)
	return out
}
