package signing

import (
	"crypto"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"time"
)

// The methods of signing.
const (
	MethodWebAuthn = "webauthn"
	MethodEd25519  = "ed25519"
	MethodCMS      = "cms"
)

// context separates these signatures from whatever else the same key may sign.
const context = "answerable/sign-off/1\n"

// maxPartBytes bounds each decoded part of a signature: the largest honest one is a CMS with its certificates.
const maxPartBytes = 64 << 10

// Message is what an ed25519 credential signs: the context line, then the statement.
func Message(statement []byte) []byte {
	return append([]byte(context), statement...)
}

// Challenge is the WebAuthn challenge for a statement: the SHA-256 of its Message. WebAuthn wants challenges nobody can
// foresee; the nonce inside the statement makes them so.
func Challenge(statement []byte) []byte {
	sum := sha256.Sum256(Message(statement))
	return sum[:]
}

// Credential is an enrolled key.
type Credential struct {
	ID        string // webauthn: base64url without padding of the credential id, as browsers give it; otherwise see KeyID
	Method    string
	PublicKey string // base64 (RFC 4648 section 4) of the SubjectPublicKeyInfo in DER, for every method
}

// Signature is what is stored with a statement. Signature, ClientData and AuthenticatorData are base64 (RFC 4648 section
// 4, with padding) of the exact bytes; the last two belong to webauthn alone.
type Signature struct {
	Method            string `json:"method"`
	Credential        string `json:"credential"`
	Signature         string `json:"signature"`
	ClientData        string `json:"client_data,omitempty"`
	AuthenticatorData string `json:"authenticator_data,omitempty"`
}

// Policy is what the verifier demands beyond a true signature. The zero policy accepts ed25519 alone: the other methods
// need to be told which sites or which roots count.
type Policy struct {
	Origins     []string // webauthn: pages that may ask, as browsers write them: "https://host" or "https://host:port"
	RPIDs       []string // webauthn: the relying party ids, host names, in use now or formerly
	AllowSynced bool     // webauthn: accept keys that may be copied between devices (passkeys with the BE flag)

	Roots         *x509.CertPool // cms: nil trusts nobody
	Intermediates *x509.CertPool // cms: for signers that send their own certificate only
	At            time.Time      // cms: when the signature was received, by a clock the verifier believes
	ClockSkew     time.Duration  // cms: how far the signer's clock may be ahead of that
}

// Verdict is what a valid signature says besides being valid.
type Verdict struct {
	Method     string
	Credential string

	Origin    string // webauthn: where it was asked for
	RPID      string // webauthn: which of the policy's relying parties
	SignCount uint32 // webauthn: see Cloned
	Synced    bool   // webauthn: the key may be copied to other devices (BE)
	BackedUp  bool   // webauthn: and was, at that moment (BS)

	Subject  string    // cms: the certificate's subject, RFC 2253
	Issuer   string    // cms
	Serial   string    // cms: decimal
	SignedAt time.Time // cms: when the signer says it was, zero when it does not say; nobody vouches for it
}

// Verify reports whether the credential's key signed exactly this statement in a way the policy allows. The error is a
// Refusal. It does not know whose the credential is, nor whether it was in force: see CredentialAt.
func Verify(cred Credential, statement []byte, sig Signature, policy Policy) (Verdict, error) {
	v, err := verify(cred, statement, sig, policy)
	if err != nil {
		return Verdict{}, fmt.Errorf("signing: verify %s signature by %q: %w", sig.Method, sig.Credential, err)
	}
	v.Method, v.Credential = sig.Method, sig.Credential
	return v, nil
}

func verify(cred Credential, statement []byte, sig Signature, policy Policy) (Verdict, error) {
	if cred.ID != sig.Credential || cred.ID == "" {
		return Verdict{}, Refuse(ErrCredential, CodeOtherCredential, "the signature names %q, the credential is %q", sig.Credential, cred.ID)
	}
	if cred.Method != sig.Method {
		return Verdict{}, Refuse(ErrCredential, CodeOtherCredential, "the signature is %q, the credential is for %q", sig.Method, cred.Method)
	}
	key, err := ParsePublicKey(cred.PublicKey, cred.Method)
	if err != nil {
		return Verdict{}, err
	}
	raw, err := decode("signature", sig.Signature)
	if err != nil {
		return Verdict{}, err
	}
	if sig.Method == MethodWebAuthn {
		clientData, err := decode("client_data", sig.ClientData)
		if err != nil {
			return Verdict{}, err
		}
		authData, err := decode("authenticator_data", sig.AuthenticatorData)
		if err != nil {
			return Verdict{}, err
		}
		return verifyAssertion(key, Challenge(statement), clientData, authData, raw, policy)
	}
	if sig.ClientData != "" || sig.AuthenticatorData != "" {
		return Verdict{}, Refuse(ErrMalformed, CodeBase64, "client_data and authenticator_data belong to webauthn alone")
	}
	if sig.Method == MethodCMS {
		return verifyCMS(key, statement, raw, policy)
	}
	return Verdict{}, checkSignature(key, Message(statement), raw) // ParsePublicKey let no other method through
}

// Cloned reports whether a sign count that does not advance tells of a second copy of the key (WebAuthn 6.1.1): last is
// the highest count accepted before, now the one of this signature. Authenticators that do not count always say 0.
func Cloned(last, now uint32) bool {
	return (last != 0 || now != 0) && now <= last
}

// SignEd25519 makes the signature of a machine.
func SignEd25519(key ed25519.PrivateKey, credential string, statement []byte) Signature {
	return Signature{Method: MethodEd25519, Credential: credential,
		Signature: base64.StdEncoding.EncodeToString(ed25519.Sign(key, Message(statement)))}
}

// decode reads a base64 part in its one spelling: the standard decoder skips line breaks, so the text is compared with
// what the bytes encode to.
func decode(name, s string) ([]byte, error) {
	if s == "" || len(s) > base64.StdEncoding.EncodedLen(maxPartBytes) {
		return nil, Refuse(ErrMalformed, CodeBase64, "%s is missing or longer than %d bytes", name, maxPartBytes)
	}
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil || base64.StdEncoding.EncodeToString(b) != s {
		return nil, Refuse(ErrMalformed, CodeBase64, "%s is not canonical base64", name)
	}
	return b, nil
}

// checkSignature checks a bare signature: ECDSA P-256 in DER or RSA PKCS#1 v1.5 over SHA-256, or Ed25519.
func checkSignature(key crypto.PublicKey, message, sig []byte) error {
	if !signedBy(key, message, sig) {
		return Refuse(ErrSignature, CodeWrongSignature, "the enrolled key did not make this signature")
	}
	return nil
}
