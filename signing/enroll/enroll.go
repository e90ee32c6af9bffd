package enroll

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"

	"github.com/answerable-ledger/answerable/signing"
)

// Enrolled is the stored form of a credential, in the words of the ledger's CredentialEnrolled.
type Enrolled struct {
	Credential string
	Method     string
	PublicKey  string // see signing.Credential
	Detail     string // JSON of Detail
}

// DetailVersion names the form of Detail.
const DetailVersion = "answerable/credential/1"

// Detail is what was known of a credential when it was enrolled. Byte strings are base64 (RFC 4648 section 4).
type Detail struct {
	V string `json:"v"`

	// webauthn
	COSE              string   `json:"cose,omitempty"` // the public key as the authenticator gave it
	RPID              string   `json:"rp_id,omitempty"`
	Origin            string   `json:"origin,omitempty"`
	AAGUID            string   `json:"aaguid,omitempty"` // model of authenticator; its own word unless Attestation proves it
	SignCount         uint32   `json:"sign_count,omitempty"`
	Synced            bool     `json:"synced,omitempty"`      // the key may be copied to other devices
	Attestation       string   `json:"attestation,omitempty"` // see the constants
	Transports        []string `json:"transports,omitempty"`
	AttestationObject string   `json:"attestation_object,omitempty"`
	ClientData        string   `json:"client_data,omitempty"`

	// cms
	Certificate string `json:"certificate,omitempty"` // DER
	Subject     string `json:"subject,omitempty"`     // RFC 2253
	Issuer      string `json:"issuer,omitempty"`
	Serial      string `json:"serial,omitempty"` // decimal
}

// ParseDetail reads a stored Detail; the empty text is the empty detail.
func ParseDetail(stored string) (Detail, error) {
	var d Detail
	if stored == "" {
		return d, nil
	}
	if err := json.Unmarshal([]byte(stored), &d); err != nil || d.V != DetailVersion {
		return Detail{}, fmt.Errorf("enroll: read detail of version %q: %w", d.V, signing.Refuse(signing.ErrMalformed, signing.CodeResponse, "not a credential's detail: %v", err))
	}
	return d, nil
}

// Ed25519 enrols a machine's key, given as the 32 bytes of the key or as its SubjectPublicKeyInfo in DER.
func Ed25519(key []byte) (Enrolled, error) {
	public := ed25519.PublicKey(key)
	if len(key) != ed25519.PublicKeySize {
		parsed, err := x509.ParsePKIXPublicKey(key)
		k, ok := parsed.(ed25519.PublicKey)
		if err != nil || !ok {
			return Enrolled{}, fmt.Errorf("enroll: ed25519 key of %d bytes: %w", len(key), signing.Refuse(signing.ErrMalformed, signing.CodePublicKey, "not an Ed25519 key: %T, %v", parsed, err))
		}
		public = k
	}
	e, err := byKeyID(public, signing.MethodEd25519, Detail{})
	if err != nil {
		return Enrolled{}, fmt.Errorf("enroll: ed25519: %w", err)
	}
	return e, nil
}

// CMS enrols the key of a signer's certificate, which must be acceptable now (policy.At) as it must be whenever it is
// signed with. A renewed certificate for the same key needs no new enrolment. chain are the certificates between it and
// the root.
func CMS(certificate *x509.Certificate, chain []*x509.Certificate, policy signing.Policy) (Enrolled, error) {
	if err := signing.CheckCertificate(certificate, chain, policy); err != nil {
		return Enrolled{}, fmt.Errorf("enroll: certificate of %q: %w", certificate.Subject, err)
	}
	e, err := byKeyID(certificate.PublicKey, signing.MethodCMS, Detail{Certificate: encode(certificate.Raw),
		Subject: certificate.Subject.String(), Issuer: certificate.Issuer.String(), Serial: certificate.SerialNumber.String()})
	if err != nil {
		return Enrolled{}, fmt.Errorf("enroll: certificate of %q: %w", certificate.Subject, err)
	}
	return e, nil
}

func byKeyID(key crypto.PublicKey, method string, d Detail) (Enrolled, error) {
	public, err := signing.EncodePublicKey(key, method)
	if err != nil {
		return Enrolled{}, err
	}
	id, err := signing.KeyID(key)
	if err != nil {
		return Enrolled{}, err
	}
	return d.enrolled(id, method, public)
}

func (d Detail) enrolled(id, method, public string) (Enrolled, error) {
	d.V = DetailVersion
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(d); err != nil {
		return Enrolled{}, err
	}
	return Enrolled{Credential: id, Method: method, PublicKey: public, Detail: string(bytes.TrimSpace(b.Bytes()))}, nil
}

func encode(b []byte) string { return base64.StdEncoding.EncodeToString(b) }
