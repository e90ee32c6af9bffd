package enroll

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"fmt"
	"slices"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-webauthn/webauthn/metadata"
	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/protocol/webauthncbor"
	"github.com/google/uuid"

	"github.com/answerable-ledger/answerable/signing"
)

// maxResponseBytes bounds a browser's answer: attestations carry a few certificates.
const maxResponseBytes = 128 << 10

// What an attestation proved.
const (
	AttestationNone   = "none"   // nothing: everything the authenticator says of itself is hearsay
	AttestationSelf   = "self"   // that the sender holds the key, and nothing of the device
	AttestationClaims = "claims" // a certificate that the policy gave no roots to judge by
	AttestationProven = "proven" // the device's maker vouches for its model: the certificate leads to a root of the policy
)

// Policy is what an enrolment must satisfy. That the authenticator verified its user is always demanded.
type Policy struct {
	Origins     []string // pages that may ask, as in signing.Policy
	RPIDs       []string
	AllowSynced bool // accept keys that may be copied between devices

	// AllowUnproven accepts authenticators that do not prove their model. Most browsers send no attestation unless asked,
	// and platform authenticators often have none. Where it is set, ask for none: one that is sent must hold.
	AllowUnproven bool
	// Roots are the makers' attestation roots; nil proves nobody.
	Roots *x509.CertPool
	// AAGUIDs are the models accepted, empty for any. With AllowUnproven a model is what the sender says it is.
	AAGUIDs []string
	At      time.Time // the time at which attestation certificates must be valid
}

// WebAuthn reads a browser's answer, PublicKeyCredential.toJSON() after navigator.credentials.create (WebAuthn 5.1,
// RegistrationResponseJSON), given to this challenge. It follows WebAuthn 7.1.
func WebAuthn(response, challenge []byte, policy Policy) (Enrolled, error) {
	e, err := webAuthn(response, challenge, policy)
	if err != nil {
		return Enrolled{}, fmt.Errorf("enroll: webauthn: %w", err)
	}
	return e, nil
}

func webAuthn(response, challenge []byte, policy Policy) (Enrolled, error) {
	r, err := parseResponse(response)
	if err != nil {
		return Enrolled{}, err
	}
	client, err := signing.ParseClientData(r.clientData)
	if err != nil {
		return Enrolled{}, err
	}
	if err := client.Check(signing.CeremonyCreate, challenge, policy.Origins); err != nil {
		if signing.CodeOf(err) == signing.CodeChallenge {
			err = signing.Refuse(signing.ErrStatement, signing.CodeEnrolmentChallenge, "answers the challenge %q", client.Challenge)
		}
		return Enrolled{}, err
	}
	object, err := parseAttestation(r.attestation)
	if err != nil {
		return Enrolled{}, err
	}
	auth, err := signing.ParseAuthenticatorData(object.RawAuthData)
	if err != nil {
		return Enrolled{}, err
	}
	rpID, err := auth.Check(policy.RPIDs, policy.AllowSynced)
	if err != nil {
		return Enrolled{}, err
	}
	key, err := signing.ParseCOSEKey(object.AuthData.AttData.CredentialPublicKey)
	if err != nil {
		return Enrolled{}, err
	}
	id := base64.RawURLEncoding.EncodeToString(object.AuthData.AttData.CredentialID)
	if id != r.id || id == "" {
		return Enrolled{}, signing.Refuse(signing.ErrMalformed, signing.CodeResponse, "the answer names credential %q, the authenticator %q", r.id, id)
	}
	attestation, err := judge(object, r.clientData, policy)
	if err != nil {
		return Enrolled{}, err
	}
	public, err := signing.EncodePublicKey(key, signing.MethodWebAuthn)
	if err != nil {
		return Enrolled{}, err
	}
	return Detail{COSE: encode(object.AuthData.AttData.CredentialPublicKey), RPID: rpID, Origin: client.Origin, AAGUID: aaguid(object), SignCount: auth.SignCount,
		Synced: auth.BackupEligible, Attestation: attestation, Transports: r.transports, AttestationObject: encode(r.attestation), ClientData: encode(r.clientData),
	}.enrolled(id, signing.MethodWebAuthn, public)
}

type response struct {
	id                      string
	clientData, attestation []byte
	transports              []string
}

func parseResponse(b []byte) (response, error) {
	var r struct {
		ID       string `json:"id"`
		RawID    string `json:"rawId"`
		Type     string `json:"type"`
		Response struct {
			ClientData  string   `json:"clientDataJSON"`
			Attestation string   `json:"attestationObject"`
			Transports  []string `json:"transports"`
		} `json:"response"`
	}
	if len(b) > maxResponseBytes {
		return response{}, signing.Refuse(signing.ErrMalformed, signing.CodeResponse, "an answer of %d bytes", len(b))
	}
	if err := json.Unmarshal(b, &r); err != nil {
		return response{}, signing.Refuse(signing.ErrMalformed, signing.CodeResponse, "not a registration response: %v", err)
	}
	if r.Type != "public-key" || r.ID != r.RawID || len(r.Response.Transports) > 16 {
		return response{}, signing.Refuse(signing.ErrMalformed, signing.CodeResponse, "type %q, id %q, rawId %q, %d transports", r.Type, r.ID, r.RawID, len(r.Response.Transports))
	}
	out := response{id: r.ID, transports: r.Response.Transports}
	var err error
	if out.clientData, err = signing.DecodeURL("clientDataJSON", r.Response.ClientData); err != nil {
		return response{}, err
	}
	out.attestation, err = signing.DecodeURL("attestationObject", r.Response.Attestation)
	return out, err
}

func parseAttestation(b []byte) (*protocol.AttestationObject, error) {
	var o protocol.AttestationObject
	if err := webauthncbor.Unmarshal(b, &o); err != nil {
		return nil, signing.Refuse(signing.ErrMalformed, signing.CodeAttestation, "not an attestation object: %v", err)
	}
	if err := o.AuthData.Unmarshal(o.RawAuthData); err != nil {
		return nil, signing.Refuse(signing.ErrMalformed, signing.CodeAuthenticatorData, "authenticator data: %v", err)
	}
	if !o.AuthData.Flags.HasAttestedCredentialData() {
		return nil, signing.Refuse(signing.ErrMalformed, signing.CodeAuthenticatorData, "no new key")
	}
	return &o, nil
}

// judge verifies the attestation statement and says what it proved. A statement that is there must hold even where none
// is demanded: a false one is a forgery, not an absence.
func judge(o *protocol.AttestationObject, clientData []byte, policy Policy) (string, error) {
	sum := sha256.Sum256(clientData)
	if err := o.VerifyAttestation(sum[:], nil, protocol.AttestationPolicy{}, protocol.SignaturePolicy{}); err != nil {
		return "", signing.Refuse(signing.ErrSignature, signing.CodeAttestation, "attestation of format %q does not hold: %v", o.Format, err)
	}
	proved := AttestationClaims
	switch {
	case o.Format == string(protocol.AttestationFormatNone):
		proved = AttestationNone
	case o.Type == string(metadata.BasicSurrogate):
		proved = AttestationSelf
	case policy.Roots != nil:
		err := chain(o, policy)
		if err == nil {
			proved = AttestationProven
		} else if !policy.AllowUnproven {
			return "", signing.Refuse(signing.ErrPolicy, signing.CodeUnattested, "the attestation does not lead to a root: %v", err)
		}
	}
	if proved != AttestationProven && !policy.AllowUnproven {
		return "", signing.Refuse(signing.ErrPolicy, signing.CodeUnattested, "the authenticator does not prove what it is (%s)", proved)
	}
	if model := aaguid(o); len(policy.AAGUIDs) > 0 && !slices.Contains(policy.AAGUIDs, model) {
		return "", signing.Refuse(signing.ErrPolicy, signing.CodeAuthenticatorModel, "authenticator model %s is not accepted", model)
	}
	return proved, nil
}

// chain leads the attestation certificate to a root of the policy.
func chain(o *protocol.AttestationObject, policy Policy) error {
	x5c, _ := o.AttStatement["x5c"].([]any)
	if len(x5c) == 0 {
		return fmt.Errorf("format %q carries no certificates", o.Format)
	}
	var leaf *x509.Certificate
	between := x509.NewCertPool()
	for _, raw := range x5c {
		der, _ := raw.([]byte)
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return err
		}
		if leaf == nil {
			leaf = c
		}
		between.AddCert(c)
	}
	if o.Format == string(protocol.AttestationFormatTPM) {
		// Certificates of TPM keys name the module in a critical subjectAltName of a kind the standard library leaves to the
		// caller; the format's verification above has read it.
		leaf.UnhandledCriticalExtensions = slices.DeleteFunc(leaf.UnhandledCriticalExtensions, func(id asn1.ObjectIdentifier) bool {
			return id.Equal(asn1.ObjectIdentifier{2, 5, 29, 17})
		})
	}
	_, err := leaf.Verify(x509.VerifyOptions{Roots: policy.Roots, Intermediates: between, CurrentTime: policy.At, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
	return err
}

func aaguid(o *protocol.AttestationObject) string {
	id, err := uuid.FromBytes(o.AuthData.AttData.AAGUID)
	if err != nil {
		return ""
	}
	return id.String()
}
