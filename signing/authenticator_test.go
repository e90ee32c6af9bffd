package signing

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"math/big"
	"sync"
	"testing"
	"time"

	"github.com/smallstep/pkcs7"
)

const statement = `{"authority":"","capacity":"head","checkpoint":"42","date":"2025-03-01","decision":"sign-off","digest":"d1","form":"daily",` +
	`"nonce":"bm9uY2U","regime":"covid","signer":"nguyen-van-an","unit":"xa-yen-so","v":"answerable/sign-off/1","version":1}`

var policy = Policy{Origins: []string{"https://ledger.example"}, RPIDs: []string{"old.example", "ledger.example"}}

// authenticator is a security key that can be told to misbehave.
type authenticator struct {
	key       crypto.Signer
	cred      Credential
	typ       string
	origin    string
	rpID      string
	more      string // further members of the client data
	flags     byte
	signCount uint32
	extra     []byte // after the fixed part of the authenticator data
}

func newAuthenticator(t testing.TB, key crypto.Signer) *authenticator {
	t.Helper()
	public, err := EncodePublicKey(key.Public(), MethodWebAuthn)
	if err != nil {
		t.Fatal(err)
	}
	return &authenticator{key: key, cred: Credential{ID: "a2V5LTE", Method: MethodWebAuthn, PublicKey: public},
		typ: CeremonyGet, origin: "https://ledger.example", rpID: "ledger.example", flags: flagUserPresent | flagUserVerified, signCount: 7}
}

func (a *authenticator) sign(t testing.TB, challenge []byte) Signature {
	t.Helper()
	clientData := fmt.Appendf(nil, `{"type":%q,"challenge":%q,"origin":%q%s}`, a.typ, base64.RawURLEncoding.EncodeToString(challenge), a.origin, a.more)
	hash := sha256.Sum256([]byte(a.rpID))
	authData := append(hash[:], a.flags)
	authData = append(binary.BigEndian.AppendUint32(authData, a.signCount), a.extra...)
	sum := sha256.Sum256(clientData)
	return Signature{Method: MethodWebAuthn, Credential: a.cred.ID, Signature: encode(signRaw(t, a.key, append(authData[:len(authData):len(authData)], sum[:]...))),
		ClientData: encode(clientData), AuthenticatorData: encode(authData)}
}

func signRaw(t testing.TB, key crypto.Signer, message []byte) []byte {
	t.Helper()
	opts, digest := crypto.SignerOpts(crypto.SHA256), message
	if _, ok := key.(ed25519.PrivateKey); ok {
		opts = crypto.Hash(0)
	} else {
		sum := sha256.Sum256(message)
		digest = sum[:]
	}
	sig, err := key.Sign(rand.Reader, digest, opts)
	if err != nil {
		t.Fatal(err)
	}
	return sig
}

func encode(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

func unbase64(t testing.TB, s string) []byte {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func newP256(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func newEd25519(t testing.TB) ed25519.PrivateKey {
	t.Helper()
	_, k, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// newRSA makes one key for all tests: making it is slow.
var newRSA = sync.OnceValue(func() *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return k
})

// authority is a certificate authority with an intermediate one, made for a test.
type authority struct {
	root, middle       *x509.Certificate
	rootKey, middleKey crypto.Signer
	serial             int64
}

// received is near the present: the library that makes the CMS writes its own clock into it.
var received = time.Now().UTC().Truncate(time.Second).Add(time.Minute)

func newAuthority(t testing.TB) *authority {
	t.Helper()
	a := &authority{rootKey: newP256(t), middleKey: newP256(t), serial: 10}
	ca := x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Test Root"}, NotBefore: received.AddDate(-5, 0, 0), NotAfter: received.AddDate(5, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	a.root = certify(t, &ca, &ca, a.rootKey.Public(), a.rootKey)
	middle := ca
	middle.SerialNumber, middle.Subject = big.NewInt(2), pkix.Name{CommonName: "Test Issuer"}
	a.middle = certify(t, &middle, a.root, a.middleKey.Public(), a.rootKey)
	return a
}

func certify(t testing.TB, template, parent *x509.Certificate, public crypto.PublicKey, signer crypto.Signer) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, signer)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// issue makes a signer's certificate; change may be nil.
func (a *authority) issue(t testing.TB, public crypto.PublicKey, change func(*x509.Certificate)) *x509.Certificate {
	t.Helper()
	a.serial++
	c := &x509.Certificate{SerialNumber: big.NewInt(a.serial), Subject: pkix.Name{CommonName: "Nguyễn Văn An", Organization: []string{"UBND xã Yên Sở"}},
		NotBefore: received.AddDate(-1, 0, 0), NotAfter: received.AddDate(1, 0, 0), KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageContentCommitment}
	if change != nil {
		change(c)
	}
	return certify(t, c, a.middle, public, a.middleKey)
}

func (a *authority) policy() Policy {
	p := Policy{Roots: x509.NewCertPool(), At: received, ClockSkew: time.Minute}
	p.Roots.AddCert(a.root)
	return p
}

// cmsMaker makes CMS by an independent implementation, as asked.
type cmsMaker struct {
	cert       *x509.Certificate
	key        crypto.PrivateKey
	sent       []*x509.Certificate
	digest     []int // SHA-256 when nil
	attached   bool
	unsigned   bool // with an unsigned attribute
	noAttrs    bool // without signed attributes
	twoSigners bool
}

func (m cmsMaker) make(t testing.TB, content []byte) []byte {
	t.Helper()
	sd, err := pkcs7.NewSignedData(content)
	if err != nil {
		t.Fatal(err)
	}
	sd.SetDigestAlgorithm(pkcs7.OIDDigestAlgorithmSHA256)
	if m.digest != nil {
		sd.SetDigestAlgorithm(m.digest)
	}
	config := pkcs7.SignerInfoConfig{}
	if m.unsigned {
		config.ExtraUnsignedAttributes = []pkcs7.Attribute{{Type: []int{1, 2, 3}, Value: "anything"}}
	}
	for range map[bool]int{false: 1, true: 2}[m.twoSigners] {
		if m.noAttrs {
			err = sd.SignWithoutAttr(m.cert, m.key, config)
		} else {
			err = sd.AddSigner(m.cert, m.key, config)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range m.sent {
		sd.AddCertificate(c)
	}
	if !m.attached {
		sd.Detach()
	}
	der, err := sd.Finish()
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// resign gives a CMS other signed attributes, truly signed.
func resign(t testing.TB, der []byte, key crypto.Signer, change func([]cmsAttribute) []cmsAttribute) []byte {
	t.Helper()
	var info cmsContentInfo
	var d cmsSignedData
	var attrs []cmsAttribute
	must(t, unmarshalExactly(der, &info))
	must(t, unmarshalExactly(info.Content.Bytes, &d))
	set := append([]byte{0x31}, d.Signers[0].SignedAttrs.FullBytes[1:]...)
	if _, err := asn1.UnmarshalWithParams(set, &attrs, "set"); err != nil {
		t.Fatal(err)
	}
	set, err := asn1.MarshalWithParams(change(attrs), "set")
	must(t, err)
	d.Signers[0].Signature = signRaw(t, key, set)
	set[0] = 0xa0
	d.Signers[0].SignedAttrs = asn1.RawValue{FullBytes: set}
	inner, err := asn1.Marshal(d)
	must(t, err)
	info.Content = asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true, Bytes: inner}
	out, err := asn1.Marshal(info)
	must(t, err)
	return out
}

// attribute makes a signed attribute.
func attribute(t testing.TB, oid asn1.ObjectIdentifier, value any) cmsAttribute {
	t.Helper()
	b, err := asn1.Marshal(value)
	must(t, err)
	return cmsAttribute{Type: oid, Values: []asn1.RawValue{{FullBytes: b}}}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
