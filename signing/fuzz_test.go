package signing

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

// seeds gives every golden signature to a fuzz target.
func seeds(f *testing.F, add func(golden)) {
	f.Helper()
	files, err := filepath.Glob("testdata/golden/*.json")
	must(f, err)
	for _, file := range files {
		b, err := os.ReadFile(file)
		must(f, err)
		var g golden
		must(f, json.Unmarshal(b, &g))
		add(g)
	}
}

func FuzzClientData(f *testing.F) {
	seeds(f, func(g golden) { f.Add(unbase64OrNil(g.Signature.ClientData)) })
	f.Add([]byte(`{"type":"webauthn.get","challenge":"AA","origin":"https://a","crossOrigin":true,"topOrigin":"https://b"}`))
	f.Add([]byte(`{"type":1}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := ParseClientData(b)
		if (err == nil) == (CodeOf(err) == CodeClientData) {
			t.Fatalf("%v", err)
		}
		if err != nil {
			return
		}
		// What this reader understands, the common reader understands in the same way.
		var other map[string]any
		if err := json.Unmarshal(b, &other); err != nil {
			t.Fatalf("accepted, yet not JSON: %v", err)
		}
		if s, _ := other["type"].(string); s != c.Type {
			t.Fatalf("type %q and %q", s, c.Type)
		}
		if s, _ := other["challenge"].(string); s != c.Challenge {
			t.Fatalf("challenge %q and %q", s, c.Challenge)
		}
		if s, _ := other["origin"].(string); s != c.Origin {
			t.Fatalf("origin %q and %q", s, c.Origin)
		}
	})
}

func FuzzAuthenticatorData(f *testing.F) {
	seeds(f, func(g golden) { f.Add(unbase64OrNil(g.Signature.AuthenticatorData)) })
	f.Add(append(make([]byte, 32), 0x80, 0, 0, 0, 1, 0xa0))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := ParseAuthenticatorData(b)
		if err != nil {
			return
		}
		if !bytes.Equal(a.RPIDHash[:], b[:32]) || a.BackedUp && !a.BackupEligible {
			t.Fatalf("%+v", a)
		}
		if _, err := a.Check([]string{"ledger.example"}, false); err == nil && (!a.UserPresent || !a.UserVerified || a.BackupEligible) {
			t.Fatalf("passed: %+v", a)
		}
	})
}

func FuzzCMS(f *testing.F) {
	seeds(f, func(g golden) {
		if g.Signature.Method == MethodCMS {
			f.Add(unbase64OrNil(g.Signature.Signature))
		}
	})
	f.Add([]byte{0x30, 0x80, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := parseCMS(b)
		if err == nil && (m.signer == nil || len(m.digest) == 0 && m.hash == 0 || m.attributes[0] != 0x31) {
			t.Fatalf("%+v", m)
		}
	})
}

func FuzzPublicKey(f *testing.F) {
	seeds(f, func(g golden) { f.Add(g.PublicKey, g.Signature.Method) })
	f.Fuzz(func(t *testing.T, stored, method string) {
		key, err := ParsePublicKey(stored, method)
		if err != nil {
			return
		}
		if again, err := EncodePublicKey(key, method); err != nil || again != stored {
			t.Fatalf("%q came back as %q, %v", stored, again, err)
		}
	})
}

func FuzzCOSEKey(f *testing.F) {
	for _, key := range []any{newP256(f).Public(), newRSA().Public(), newEd25519(f).Public()} {
		b, err := COSEKey(key)
		must(f, err)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		key, err := ParseCOSEKey(b)
		if err != nil {
			return
		}
		if again, err := COSEKey(key); err != nil || !bytes.Equal(again, b) {
			t.Fatalf("%x came back as %x, %v", b, again, err)
		}
		if _, err := x509.MarshalPKIXPublicKey(key); err != nil {
			t.Fatal(err)
		}
	})
}

func FuzzAssertion(f *testing.F) {
	f.Add([]byte(`{"id":"AA","rawId":"AA","type":"public-key","response":{"clientDataJSON":"e30","authenticatorData":"AA","signature":"AA"}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := ParseAssertion(b)
		if err != nil {
			return
		}
		for _, part := range []string{s.ClientData, s.AuthenticatorData, s.Signature} {
			if _, err := decode("part", part); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// FuzzVerify: nothing but the golden signature itself verifies; by chance none is found.
func FuzzVerify(f *testing.F) {
	type known struct{ g golden }
	all := map[string]known{}
	seeds(f, func(g golden) {
		all[g.Signature.Method+g.PublicKey] = known{g}
		f.Add(g.PublicKey, g.Statement, g.Signature.Method, g.Signature.Credential, g.Signature.Signature, g.Signature.ClientData, g.Signature.AuthenticatorData)
	})
	p := policy
	p.Roots, p.At = x509.NewCertPool(), received
	f.Fuzz(func(t *testing.T, public, statement, method, id, signature, clientData, authData string) {
		sig := Signature{Method: method, Credential: id, Signature: signature, ClientData: clientData, AuthenticatorData: authData}
		_, err := Verify(Credential{ID: id, Method: method, PublicKey: public}, []byte(statement), sig, p)
		if err != nil {
			if CodeOf(err) == "" {
				t.Fatalf("an error without a code: %v", err)
			}
			return
		}
		if k, ok := all[method+public]; ok {
			sig.Credential = k.g.Signature.Credential
			if sig != k.g.Signature || statement != k.g.Statement {
				t.Fatalf("forged: %+v", sig)
			}
		}
	})
}

func unbase64OrNil(s string) []byte {
	b, _ := decode("part", s)
	return b
}
