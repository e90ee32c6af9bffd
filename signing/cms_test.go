package signing

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/asn1"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/smallstep/pkcs7"
)

func rsaModulus(bits int) *big.Int {
	n := new(big.Int).Lsh(big.NewInt(1), uint(bits))
	return n.Sub(n, big.NewInt(1))
}

func cmsCredential(t testing.TB, key crypto.PublicKey) Credential {
	t.Helper()
	public, err := EncodePublicKey(key, MethodCMS)
	must(t, err)
	id, err := KeyID(key)
	must(t, err)
	return Credential{ID: id, Method: MethodCMS, PublicKey: public}
}

func cmsSignature(der []byte, key crypto.PublicKey) Signature {
	id, _ := KeyID(key)
	return Signature{Method: MethodCMS, Credential: id, Signature: encode(der)}
}

func TestCMSAccepts(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	must(t, err)
	for name, c := range map[string]struct {
		key    crypto.Signer
		digest asn1.ObjectIdentifier
	}{
		"ECDSA P-256, SHA-256": {newP256(t), pkcs7.OIDDigestAlgorithmSHA256},
		"ECDSA P-384, SHA-384": {p384, pkcs7.OIDDigestAlgorithmSHA384},
		"RSA, SHA-256":         {newRSA(), pkcs7.OIDDigestAlgorithmSHA256},
		"RSA, SHA-512":         {newRSA(), pkcs7.OIDDigestAlgorithmSHA512},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			der := cmsMaker{cert: ca.issue(t, c.key.Public(), nil), key: c.key, sent: []*x509.Certificate{ca.middle}, digest: c.digest}.make(t, []byte(statement))
			got, err := Verify(cmsCredential(t, c.key.Public()), []byte(statement), cmsSignature(der, c.key.Public()), ca.policy())
			must(t, err)
			if !strings.Contains(got.Subject, "CN=Nguyễn Văn An") || got.Issuer != "CN=Test Issuer" || got.Serial == "" || got.SignedAt.IsZero() {
				t.Errorf("%+v", got)
			}
		})
	}
}

// TestCMSAgreesWithAnother: what is accepted here, an independent implementation accepts.
func TestCMSAgreesWithAnother(t *testing.T) {
	t.Parallel()
	ca, key := newAuthority(t), newP256(t)
	der := cmsMaker{cert: ca.issue(t, key.Public(), nil), key: key, sent: []*x509.Certificate{ca.middle}}.make(t, []byte(statement))
	p7, err := pkcs7.Parse(der)
	must(t, err)
	p7.Content = []byte(statement)
	must(t, p7.VerifyWithChainAtTime(ca.policy().Roots, received))
}

func TestCMSAttacks(t *testing.T) {
	t.Parallel()
	key, ca := newP256(t), newAuthority(t)
	stranger := newAuthority(t)
	sign := func(change func(*x509.Certificate)) cmsMaker {
		return cmsMaker{cert: ca.issue(t, key.Public(), change), key: key, sent: []*x509.Certificate{ca.middle}}
	}
	with := func(change func(*cmsMaker)) []byte {
		m := sign(nil)
		change(&m)
		return m.make(t, []byte(statement))
	}
	certificate := func(change func(*x509.Certificate)) []byte { return sign(change).make(t, []byte(statement)) }
	attributes := func(change func([]cmsAttribute) []cmsAttribute) []byte {
		return resign(t, with(func(*cmsMaker) {}), key, change)
	}
	signedAt := func(at time.Time) []byte {
		return attributes(func(attrs []cmsAttribute) []cmsAttribute {
			return append(slices.DeleteFunc(attrs, func(a cmsAttribute) bool { return a.Type.String() == oidSigningTime }),
				attribute(t, asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 5}, at))
		})
	}
	good := with(func(*cmsMaker) {})
	for name, c := range map[string]struct {
		der    []byte
		policy func(*Policy)
		kind   error
		code   Code
	}{
		"good":                  {der: good},
		"good, root sent along": {der: with(func(m *cmsMaker) { m.sent = append(m.sent, ca.root) })},
		"good, issuer known":    {der: with(func(m *cmsMaker) { m.sent = nil }), policy: func(p *Policy) { p.Intermediates = x509.NewCertPool(); p.Intermediates.AddCert(ca.middle) }},
		"good, no signing time": {der: attributes(func(a []cmsAttribute) []cmsAttribute {
			return slices.DeleteFunc(a, func(a cmsAttribute) bool { return a.Type.String() == oidSigningTime })
		})},
		"issuer unknown":       {der: with(func(m *cmsMaker) { m.sent = nil }), kind: ErrPolicy, code: CodeCertificateChain},
		"untrusted root":       {der: good, policy: func(p *Policy) { p.Roots = stranger.policy().Roots }, kind: ErrPolicy, code: CodeCertificateChain},
		"no roots":             {der: good, policy: func(p *Policy) { p.Roots = nil }, kind: ErrPolicy, code: CodePolicyIncomplete},
		"no time":              {der: good, policy: func(p *Policy) { p.At = time.Time{} }, kind: ErrPolicy, code: CodePolicyIncomplete},
		"expired":              {der: good, policy: func(p *Policy) { p.At = received.AddDate(2, 0, 0) }, kind: ErrPolicy, code: CodeCertificateTime},
		"not yet valid":        {der: good, policy: func(p *Policy) { p.At = received.AddDate(-2, 0, 0) }, kind: ErrPolicy, code: CodeCertificateTime},
		"issuer expired":       {der: certificate(func(c *x509.Certificate) { c.NotAfter = received.AddDate(9, 0, 0) }), policy: func(p *Policy) { p.At = received.AddDate(6, 0, 0) }, kind: ErrPolicy, code: CodeCertificateChain},
		"not for signatures":   {der: certificate(func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyEncipherment }), kind: ErrPolicy, code: CodeCertificateUse},
		"no use given":         {der: certificate(func(c *x509.Certificate) { c.KeyUsage = 0 }), kind: ErrPolicy, code: CodeCertificateUse},
		"an authority's own":   {der: certificate(func(c *x509.Certificate) { c.IsCA, c.BasicConstraintsValid = true, true }), kind: ErrPolicy, code: CodeCertificateUse},
		"attached":             {der: with(func(m *cmsMaker) { m.attached = true }), kind: ErrPolicy, code: CodeAttached},
		"SHA-1":                {der: with(func(m *cmsMaker) { m.digest = pkcs7.OIDDigestAlgorithmSHA1 }), kind: ErrPolicy, code: CodeAlgorithm},
		"two signers":          {der: with(func(m *cmsMaker) { m.twoSigners = true }), kind: ErrMalformed, code: CodeCMS},
		"no signed attributes": {der: with(func(m *cmsMaker) { m.noAttrs = true }), kind: ErrMalformed, code: CodeCMS},
		"unsigned attributes":  {der: with(func(m *cmsMaker) { m.unsigned = true }), kind: ErrPolicy, code: CodeUnsignedParts},
		"stray certificate":    {der: with(func(m *cmsMaker) { m.sent = append(m.sent, stranger.middle) }), kind: ErrPolicy, code: CodeUnsignedParts},
		"another statement":    {der: sign(nil).make(t, []byte(statement+" ")), kind: ErrStatement, code: CodeDigest},
		"another's key": {der: cmsMaker{cert: ca.issue(t, newRSA().Public(), nil), key: newRSA(), sent: []*x509.Certificate{ca.middle}}.make(t, []byte(statement)),
			kind: ErrCredential, code: CodeCertificateKey},
		"another's signature":        {der: with(func(m *cmsMaker) { m.key = newP256(t) }), kind: ErrSignature, code: CodeWrongSignature},
		"signed in the future":       {der: signedAt(received.Add(2 * time.Minute)), kind: ErrPolicy, code: CodeSignedInFuture},
		"clock a little ahead":       {der: signedAt(received.Add(30 * time.Second))},
		"signed before its time":     {der: signedAt(received.AddDate(-3, 0, 0)), kind: ErrPolicy, code: CodeCertificateTime},
		"attribute doubled":          {der: attributes(func(a []cmsAttribute) []cmsAttribute { return append(a, a[0]) }), kind: ErrMalformed, code: CodeCMS},
		"content of another type":    {der: attributes(retype(t)), kind: ErrMalformed, code: CodeCMS},
		"no digest":                  {der: attributes(func(a []cmsAttribute) []cmsAttribute { return a[:1] }), kind: ErrMalformed, code: CodeCMS},
		"bytes after it":             {der: append(slices.Clone(good), 0), kind: ErrMalformed, code: CodeCMS},
		"cut short":                  {der: good[:len(good)-1], kind: ErrMalformed, code: CodeCMS},
		"not CMS":                    {der: []byte("-----BEGIN CMS-----"), kind: ErrMalformed, code: CodeCMS},
		"digest with parameters":     {der: announce(t, good), kind: ErrMalformed, code: CodeCMS},
		"element after the last one": {der: extend(t, good), kind: ErrMalformed, code: CodeCMS},
		"other tag around the data":  {der: reTag(good), kind: ErrMalformed, code: CodeCMS},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := ca.policy()
			if c.policy != nil {
				c.policy(&p)
			}
			_, err := Verify(cmsCredential(t, key.Public()), []byte(statement), cmsSignature(c.der, key.Public()), p)
			expect(t, err, c.kind, c.code)
		})
	}
}

func retype(t testing.TB) func([]cmsAttribute) []cmsAttribute {
	return func(attrs []cmsAttribute) []cmsAttribute {
		return append(slices.DeleteFunc(attrs, func(a cmsAttribute) bool { return a.Type.String() == oidContentType }),
			attribute(t, asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 3}, asn1.ObjectIdentifier{1, 2, 3}))
	}
}

// reTag turns the explicit tag [0] around the signed data into [1].
func reTag(der []byte) []byte {
	var info cmsContentInfo
	if _, err := asn1.Unmarshal(der, &info); err != nil {
		panic(err)
	}
	info.Content = asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 1, IsCompound: true, Bytes: info.Content.Bytes}
	out, err := asn1.Marshal(info)
	if err != nil {
		panic(err)
	}
	return out
}

// announce gives the announced digest algorithm, which no signature covers, a parameter.
func announce(t testing.TB, der []byte) []byte {
	t.Helper()
	var info cmsContentInfo
	var d cmsSignedData
	must(t, unmarshalExactly(der, &info))
	must(t, unmarshalExactly(info.Content.Bytes, &d))
	d.DigestAlgorithms[0].Parameters = asn1.RawValue{FullBytes: []byte{2, 1, 5}}
	inner, err := asn1.Marshal(d)
	must(t, err)
	return wrap(t, inner)
}

// extend adds an element to the signed data that its definition does not name; readers in use skip it.
func extend(t testing.TB, der []byte) []byte {
	t.Helper()
	var info cmsContentInfo
	var sequence asn1.RawValue
	must(t, unmarshalExactly(der, &info))
	_, err := asn1.Unmarshal(info.Content.Bytes, &sequence)
	must(t, err)
	inner, err := asn1.Marshal(asn1.RawValue{Tag: asn1.TagSequence, IsCompound: true, Bytes: append(sequence.Bytes, 5, 0)})
	must(t, err)
	return wrap(t, inner)
}

func wrap(t testing.TB, signedData []byte) []byte {
	t.Helper()
	out, err := asn1.Marshal(cmsContentInfo{Type: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2},
		Content: asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true, Bytes: signedData}})
	must(t, err)
	return out
}
