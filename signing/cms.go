package signing

import (
	"bytes"
	"crypto"
	_ "crypto/sha512" // SHA-384 and SHA-512 are looked up by their crypto.Hash
	"crypto/subtle"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"slices"
	"time"
)

// The structures of RFC 5652 as far as accepted. Raw values keep optional parts apart from absent ones.
type cmsContentInfo struct {
	Type    asn1.ObjectIdentifier
	Content asn1.RawValue
}

type cmsSignedData struct {
	Version          int
	DigestAlgorithms []pkix.AlgorithmIdentifier `asn1:"set"`
	Encapsulated     cmsEncapsulated
	Certificates     asn1.RawValue   `asn1:"optional,tag:0"`
	CRLs             asn1.RawValue   `asn1:"optional,tag:1"`
	Signers          []cmsSignerInfo `asn1:"set"`
}

type cmsEncapsulated struct {
	Type    asn1.ObjectIdentifier
	Content asn1.RawValue `asn1:"optional,tag:0"`
}

type cmsSignerInfo struct {
	Version         int
	Certificate     cmsIssuerAndSerial
	DigestAlgorithm pkix.AlgorithmIdentifier
	SignedAttrs     asn1.RawValue `asn1:"optional,tag:0"`
	Algorithm       pkix.AlgorithmIdentifier
	Signature       []byte
	UnsignedAttrs   asn1.RawValue `asn1:"optional,tag:1"`
}

type cmsIssuerAndSerial struct {
	Issuer asn1.RawValue
	Serial *big.Int
}

type cmsAttribute struct {
	Type   asn1.ObjectIdentifier
	Values []asn1.RawValue `asn1:"set"`
}

// The object identifiers used, dotted.
const (
	oidData          = "1.2.840.113549.1.7.1"
	oidSignedData    = "1.2.840.113549.1.7.2"
	oidContentType   = "1.2.840.113549.1.9.3"
	oidMessageDigest = "1.2.840.113549.1.9.4"
	oidSigningTime   = "1.2.840.113549.1.9.5"
	oidRSA           = "1.2.840.113549.1.1.1" // names no digest: RFC 3370 lets the digest algorithm decide
)

// cms is a SignedData of the one shape accepted.
type cms struct {
	certificates []*x509.Certificate
	signer       *x509.Certificate
	hash         crypto.Hash
	algorithm    x509.SignatureAlgorithm
	attributes   []byte // as signed: with the tag of a SET
	digest       []byte
	contentType  string
	signedAt     time.Time
	signature    []byte
}

// parseCMS reads a detached SignedData. Everything that no signature covers must have the one value it can have, so that
// no bit of a stored signature can change unnoticed; hence DER alone, one signer with signed attributes, no CRLs and no
// unsigned attributes.
func parseCMS(der []byte) (*cms, error) {
	var info cmsContentInfo
	if err := unmarshalExactly(der, &info); err != nil {
		return nil, err
	}
	if info.Type.String() != oidSignedData || !isContext(info.Content, 0) {
		return nil, Refuse(ErrMalformed, CodeCMS, "content of type %v, signed data is due", info.Type)
	}
	var d cmsSignedData
	if err := unmarshalExactly(info.Content.Bytes, &d); err != nil {
		return nil, err
	}
	if len(d.Encapsulated.Content.FullBytes) != 0 {
		return nil, Refuse(ErrPolicy, CodeAttached, "the content is attached; a detached signature over the statement is due")
	}
	if d.Version != 1 || d.Encapsulated.Type.String() != oidData || len(d.DigestAlgorithms) != 1 || len(d.Signers) != 1 || d.Signers[0].Version != 1 {
		return nil, Refuse(ErrMalformed, CodeCMS, "one signer named by issuer and serial number over plain data is due (version %d, content %v, %d digests, %d signers)",
			d.Version, d.Encapsulated.Type, len(d.DigestAlgorithms), len(d.Signers))
	}
	s := d.Signers[0]
	if len(d.CRLs.FullBytes) != 0 || len(s.UnsignedAttrs.FullBytes) != 0 {
		return nil, Refuse(ErrPolicy, CodeUnsignedParts, "CRLs or unsigned attributes are present")
	}
	m := &cms{signature: s.Signature}
	if err := m.algorithms(d.DigestAlgorithms[0], s.DigestAlgorithm, s.Algorithm); err != nil {
		return nil, err
	}
	if err := m.signedAttributes(s.SignedAttrs); err != nil {
		return nil, err
	}
	return m, m.findSigner(d.Certificates, s.Certificate)
}

func (m *cms) algorithms(announced, digest, signature pkix.AlgorithmIdentifier) error {
	name := digest.Algorithm.String()
	switch name {
	case "2.16.840.1.101.3.4.2.1":
		m.hash = crypto.SHA256
	case "2.16.840.1.101.3.4.2.2":
		m.hash = crypto.SHA384
	case "2.16.840.1.101.3.4.2.3":
		m.hash = crypto.SHA512
	default:
		return Refuse(ErrPolicy, CodeAlgorithm, "digest algorithm %s; SHA-256, SHA-384 and SHA-512 are accepted", name)
	}
	if announced.Algorithm.String() != name || !noParameters(announced) || !noParameters(digest) || !noParameters(signature) {
		return Refuse(ErrMalformed, CodeCMS, "digest algorithms disagree, or have parameters")
	}
	type choice struct {
		oid  string
		hash crypto.Hash
	}
	switch (choice{signature.Algorithm.String(), m.hash}) {
	case choice{oidRSA, crypto.SHA256}, choice{"1.2.840.113549.1.1.11", crypto.SHA256}:
		m.algorithm = x509.SHA256WithRSA
	case choice{oidRSA, crypto.SHA384}, choice{"1.2.840.113549.1.1.12", crypto.SHA384}:
		m.algorithm = x509.SHA384WithRSA
	case choice{oidRSA, crypto.SHA512}, choice{"1.2.840.113549.1.1.13", crypto.SHA512}:
		m.algorithm = x509.SHA512WithRSA
	case choice{"1.2.840.10045.4.3.2", crypto.SHA256}:
		m.algorithm = x509.ECDSAWithSHA256
	case choice{"1.2.840.10045.4.3.3", crypto.SHA384}:
		m.algorithm = x509.ECDSAWithSHA384
	case choice{"1.2.840.10045.4.3.4", crypto.SHA512}:
		m.algorithm = x509.ECDSAWithSHA512
	default:
		return Refuse(ErrPolicy, CodeAlgorithm, "signature algorithm %v with digest %s is not accepted", signature.Algorithm, name)
	}
	return nil
}

// signedAttributes reads what the signature covers. They are required: a signature over the bare content could be
// presented as one over attributes and the other way round.
func (m *cms) signedAttributes(raw asn1.RawValue) error {
	if !isContext(raw, 0) {
		return Refuse(ErrMalformed, CodeCMS, "signed attributes are missing")
	}
	m.attributes = bytes.Clone(raw.FullBytes)
	m.attributes[0] = asn1.TagSet | 0x20 // RFC 5652 section 5.4: signed as a SET, sent with an implicit tag
	seen := map[string]bool{}
	for rest := raw.Bytes; len(rest) > 0; {
		var a cmsAttribute
		var err error
		if rest, err = asn1.Unmarshal(rest, &a); err != nil {
			return Refuse(ErrMalformed, CodeCMS, "signed attribute: %v", err)
		}
		name := a.Type.String()
		if seen[name] || len(a.Values) == 0 {
			return Refuse(ErrMalformed, CodeCMS, "signed attribute %s is doubled or empty", name)
		}
		seen[name] = true
		var to any
		var contentType asn1.ObjectIdentifier
		switch name {
		case oidContentType:
			to = &contentType
		case oidMessageDigest:
			to = &m.digest
		case oidSigningTime:
			to = &m.signedAt
		default:
			continue
		}
		if rest, err := asn1.Unmarshal(a.Values[0].FullBytes, to); err != nil || len(rest) != 0 || len(a.Values) != 1 {
			return Refuse(ErrMalformed, CodeCMS, "signed attribute %s cannot be read", name)
		}
		if name == oidContentType {
			m.contentType = contentType.String()
		}
	}
	if m.contentType != oidData || m.digest == nil {
		return Refuse(ErrMalformed, CodeCMS, "signed attributes lack the content type of plain data or the digest")
	}
	return nil
}

func (m *cms) findSigner(raw asn1.RawValue, name cmsIssuerAndSerial) error {
	if len(raw.FullBytes) == 0 || !isContext(raw, 0) {
		return Refuse(ErrMalformed, CodeCMS, "no certificates")
	}
	var err error
	if m.certificates, err = x509.ParseCertificates(raw.Bytes); err != nil {
		return Refuse(ErrMalformed, CodeCMS, "certificates: %v", err)
	}
	i := slices.IndexFunc(m.certificates, func(c *x509.Certificate) bool {
		return bytes.Equal(c.RawIssuer, name.Issuer.FullBytes) && c.SerialNumber.Cmp(name.Serial) == 0
	})
	if i < 0 {
		return Refuse(ErrMalformed, CodeCMS, "the signer's certificate is missing")
	}
	m.signer = m.certificates[i]
	return nil
}

// verifyCMS checks the signature with the certificate's key, then that this is the enrolled key, then what was signed,
// then the certificate.
func verifyCMS(key crypto.PublicKey, statement, der []byte, policy Policy) (Verdict, error) {
	if policy.Roots == nil || policy.At.IsZero() {
		return Verdict{}, Refuse(ErrPolicy, CodePolicyIncomplete, "the policy names no roots or no time of receipt")
	}
	m, err := parseCMS(der)
	if err != nil {
		return Verdict{}, err
	}
	if err := m.signer.CheckSignature(m.algorithm, m.attributes, m.signature); err != nil {
		return Verdict{}, Refuse(ErrSignature, CodeWrongSignature, "the certificate's key did not make this signature: %v", err)
	}
	if k, ok := key.(interface{ Equal(crypto.PublicKey) bool }); !ok || !k.Equal(m.signer.PublicKey) {
		return Verdict{}, Refuse(ErrCredential, CodeCertificateKey, "the certificate of %q holds another key than the enrolled one", m.signer.Subject)
	}
	h := m.hash.New()
	h.Write(statement)
	if subtle.ConstantTimeCompare(h.Sum(nil), m.digest) != 1 {
		return Verdict{}, Refuse(ErrStatement, CodeDigest, "the digest signed is that of another content")
	}
	if err := CheckCertificate(m.signer, m.certificates, policy); err != nil {
		return Verdict{}, err
	}
	if !m.signedAt.IsZero() {
		if m.signedAt.After(policy.At.Add(policy.ClockSkew)) {
			return Verdict{}, Refuse(ErrPolicy, CodeSignedInFuture, "said to be signed at %s, received at %s", m.signedAt.Format(time.RFC3339), policy.At.Format(time.RFC3339))
		}
		if m.signedAt.Before(m.signer.NotBefore) || m.signedAt.After(m.signer.NotAfter) {
			return Verdict{}, Refuse(ErrPolicy, CodeCertificateTime, "said to be signed at %s, outside the certificate's validity", m.signedAt.Format(time.RFC3339))
		}
	}
	return Verdict{Subject: m.signer.Subject.String(), Issuer: m.signer.Issuer.String(), Serial: m.signer.SerialNumber.String(), SignedAt: m.signedAt}, nil
}

// CheckCertificate judges a signer's certificate: valid at policy.At, for signatures (digitalSignature or
// contentCommitment), no authority's own, leading to a root. Every certificate sent along must be part of the chain:
// others would be bytes that nothing vouches for.
func CheckCertificate(c *x509.Certificate, sent []*x509.Certificate, policy Policy) error {
	if policy.Roots == nil || policy.At.IsZero() {
		return Refuse(ErrPolicy, CodePolicyIncomplete, "the policy names no roots or no time")
	}
	if policy.At.Before(c.NotBefore) || policy.At.After(c.NotAfter) {
		return Refuse(ErrPolicy, CodeCertificateTime, "the certificate is valid from %s to %s, not at %s",
			c.NotBefore.Format(time.RFC3339), c.NotAfter.Format(time.RFC3339), policy.At.Format(time.RFC3339))
	}
	if c.IsCA || c.KeyUsage&(x509.KeyUsageDigitalSignature|x509.KeyUsageContentCommitment) == 0 {
		return Refuse(ErrPolicy, CodeCertificateUse, "the certificate of %q is not for signatures", c.Subject)
	}
	between := x509.NewCertPool()
	if policy.Intermediates != nil {
		between = policy.Intermediates.Clone()
	}
	for _, s := range sent {
		between.AddCert(s)
	}
	chains, err := c.Verify(x509.VerifyOptions{Roots: policy.Roots, Intermediates: between, CurrentTime: policy.At,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
	if err != nil {
		return Refuse(ErrPolicy, CodeCertificateChain, "%v", err)
	}
	for _, s := range sent {
		if !slices.ContainsFunc(chains, func(chain []*x509.Certificate) bool { return slices.ContainsFunc(chain, s.Equal) }) {
			return Refuse(ErrPolicy, CodeUnsignedParts, "the certificate of %q is sent along and leads nowhere", s.Subject)
		}
	}
	return nil
}

// unmarshalExactly reads DER and refuses what the reader tolerates: bytes after the value or inside it that the
// structure does not name.
func unmarshalExactly[T any](der []byte, to *T) error {
	rest, err := asn1.Unmarshal(der, to)
	if err != nil || len(rest) != 0 {
		return Refuse(ErrMalformed, CodeCMS, "not the DER of a signed data structure: %v, %d bytes left", err, len(rest))
	}
	if again, err := asn1.Marshal(*to); err != nil || !bytes.Equal(again, der) {
		return Refuse(ErrMalformed, CodeCMS, "another spelling of a signed data structure, or with parts it does not have")
	}
	return nil
}

// isContext reports whether a value is the constructed one with a context tag.
func isContext(v asn1.RawValue, tag int) bool {
	return v.Class == asn1.ClassContextSpecific && v.Tag == tag && v.IsCompound
}

// noParameters reports whether an algorithm has no parameters; RFC 5754 allows both spellings of that.
func noParameters(a pkix.AlgorithmIdentifier) bool {
	return len(a.Parameters.FullBytes) == 0 || bytes.Equal(a.Parameters.FullBytes, asn1.NullBytes)
}
