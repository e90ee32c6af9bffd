package enroll

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/answerable-ledger/answerable/signing"
)

const statement = `{"decision":"sign-off","unit":"xa-yen-so","v":"answerable/sign-off/1","version":1}`

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func expect(t *testing.T, err error, code signing.Code) {
	t.Helper()
	if signing.CodeOf(err) != code || (code == "") != (err == nil) {
		t.Fatalf("got %v (%q), want %q", err, signing.CodeOf(err), code)
	}
}

func (e Enrolled) credential() signing.Credential {
	return signing.Credential{ID: e.Credential, Method: e.Method, PublicKey: e.PublicKey}
}

func TestEd25519(t *testing.T) {
	t.Parallel()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	der, err := x509.MarshalPKIXPublicKey(public)
	must(t, err)
	raw, err := Ed25519(public)
	must(t, err)
	spki, err := Ed25519(der)
	must(t, err)
	if diff := cmp.Diff(raw, spki); diff != "" {
		t.Errorf("the two forms of one key differ: %s", diff)
	}
	_, err = signing.Verify(raw.credential(), []byte(statement), signing.SignEd25519(private, raw.Credential, []byte(statement)), signing.Policy{})
	must(t, err)

	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	other, err := x509.MarshalPKIXPublicKey(p256.Public())
	must(t, err)
	for name, bad := range map[string][]byte{"nothing": nil, "31 bytes": public[1:], "another kind": other, "the neutral point": append([]byte{1}, make([]byte, 31)...)} {
		_, err := Ed25519(bad)
		if signing.CodeOf(err) != signing.CodePublicKey {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestCMS(t *testing.T) {
	t.Parallel()
	now := time.Date(2025, 3, 1, 8, 0, 0, 0, time.UTC)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	ca := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Test Root"}, NotBefore: now.AddDate(-1, 0, 0), NotAfter: now.AddDate(1, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	root := certify(t, ca, ca, key, key)
	leaf := &x509.Certificate{SerialNumber: big.NewInt(77), Subject: pkix.Name{CommonName: "Nguyễn Văn An"}, NotBefore: ca.NotBefore, NotAfter: ca.NotAfter, KeyUsage: x509.KeyUsageContentCommitment}
	cert := certify(t, leaf, root, key, key)
	roots := x509.NewCertPool()
	roots.AddCert(root)

	e, err := CMS(cert, nil, signing.Policy{Roots: roots, At: now})
	must(t, err)
	d, err := ParseDetail(e.Detail)
	must(t, err)
	if e.Method != signing.MethodCMS || d.Serial != "77" || d.Subject != "CN=Nguyễn Văn An" || d.Issuer != "CN=Test Root" || d.Certificate == "" {
		t.Errorf("%+v %+v", e, d)
	}
	if _, err := signing.ParsePublicKey(e.PublicKey, signing.MethodCMS); err != nil {
		t.Error(err)
	}
	_, err = CMS(cert, nil, signing.Policy{Roots: x509.NewCertPool(), At: now})
	expect(t, err, signing.CodeCertificateChain)
	_, err = CMS(cert, nil, signing.Policy{Roots: roots, At: now.AddDate(3, 0, 0)})
	expect(t, err, signing.CodeCertificateTime)
	_, err = CMS(cert, nil, signing.Policy{})
	expect(t, err, signing.CodePolicyIncomplete)
}

func certify(t testing.TB, template, parent *x509.Certificate, subject, signer *ecdsa.PrivateKey) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, subject.Public(), signer)
	must(t, err)
	c, err := x509.ParseCertificate(der)
	must(t, err)
	return c
}

func TestParseDetail(t *testing.T) {
	t.Parallel()
	d, err := ParseDetail("")
	must(t, err)
	if d.V != "" {
		t.Errorf("%+v", d)
	}
	for _, bad := range []string{"{}", "[]", "x", `{"v":"answerable/credential/2"}`} {
		if _, err := ParseDetail(bad); signing.CodeOf(err) != signing.CodeResponse || !strings.Contains(err.Error(), "detail") {
			t.Errorf("%s: %v", bad, err)
		}
	}
}
