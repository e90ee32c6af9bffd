package signing

import (
	"errors"
	"fmt"
)

// The kinds of refusal. Test with errors.Is; CodeOf gives the exact reason.
var (
	// ErrMalformed: a part is not of the format it claims, or is another spelling of it.
	ErrMalformed = errors.New("malformed")
	// ErrCredential: the credential is not the one named, was not enrolled at that place in the log, or was revoked.
	ErrCredential = errors.New("credential not valid")
	// ErrSignature: no signature by that key over these parts.
	ErrSignature = errors.New("signature not valid")
	// ErrStatement: a true signature by that key, over something else than this statement.
	ErrStatement = errors.New("signed something else")
	// ErrPolicy: a true signature over this statement, made in a way the policy refuses.
	ErrPolicy = errors.New("refused by policy")
)

// Code names one reason. Codes are stable: callers translate them, stored verdicts hold them.
type Code string

// The reasons, by kind.
const (
	// ErrMalformed
	CodeMethod            Code = "signing_method"             // a method this package does not know
	CodeBase64            Code = "signing_base64"             // a part is not canonical base64, missing, superfluous or too long
	CodePublicKey         Code = "signing_public_key"         // the enrolled key cannot be read or is of a kind not accepted
	CodeClientData        Code = "signing_client_data"        // the client data is not the JSON WebAuthn prescribes
	CodeAuthenticatorData Code = "signing_authenticator_data" // the authenticator data is not what WebAuthn prescribes
	CodeCMS               Code = "signing_cms"                // the CMS structure is not the one accepted
	CodeResponse          Code = "signing_response"           // a browser's answer is not what WebAuthn prescribes
	CodeAttestation       Code = "signing_attestation"        // the attestation object cannot be read or does not hold

	// ErrCredential
	CodeOtherCredential Code = "signing_other_credential" // signature and credential name different credentials or methods
	CodeNotEnrolled     Code = "signing_not_enrolled"     // no enrolment before that place in the log
	CodeRevoked         Code = "signing_revoked"          // revoked before that place in the log
	CodeEnrolledTwice   Code = "signing_enrolled_twice"   // enrolled more than once: which key counts cannot be told

	// ErrSignature
	CodeWrongSignature Code = "signing_wrong_signature" // the key did not make this signature over these parts

	// ErrStatement
	CodeCeremony  Code = "signing_ceremony"  // an authenticator's answer for another purpose (type is not the one asked for)
	CodeChallenge Code = "signing_challenge" // the challenge is that of another statement
	CodeDigest    Code = "signing_digest"    // the CMS digest is that of another content

	// ErrPolicy
	CodeOrigin             Code = "signing_origin"              // signed on a page that is not ours
	CodeCrossOrigin        Code = "signing_cross_origin"        // signed inside a frame of another page
	CodeRelyingParty       Code = "signing_relying_party"       // the credential was used for another site
	CodeUserAbsent         Code = "signing_user_absent"         // nobody touched the authenticator (UP)
	CodeUserNotVerified    Code = "signing_user_not_verified"   // the authenticator did not check who it was (UV)
	CodeSynced             Code = "signing_synced"              // the key can be copied to other devices (BE)
	CodeAttached           Code = "signing_attached"            // the CMS carries its own content
	CodeUnsignedParts      Code = "signing_unsigned_parts"      // the CMS carries parts that nothing signs
	CodeAlgorithm          Code = "signing_algorithm"           // a digest or signature algorithm that is not accepted
	CodeCertificateKey     Code = "signing_certificate_key"     // the certificate is for another key than the enrolled one
	CodeCertificateChain   Code = "signing_certificate_chain"   // the certificate does not lead to a configured root
	CodeCertificateTime    Code = "signing_certificate_time"    // the certificate was not valid at that time
	CodeCertificateUse     Code = "signing_certificate_use"     // the certificate is not for signatures
	CodeSignedInFuture     Code = "signing_signed_in_future"    // the claimed signing time is after the receipt
	CodeUnattested         Code = "signing_unattested"          // enrolment without proof of what the authenticator is
	CodeAuthenticatorModel Code = "signing_authenticator_model" // the model of authenticator is not on the list
	CodeEnrolmentChallenge Code = "signing_enrolment_challenge" // the enrolment answers another challenge
	CodePolicyIncomplete   Code = "signing_policy_incomplete"   // the policy lacks what the method needs: nothing can pass
)

// Refusal says why a signature, a credential or an enrolment was not accepted. It unwraps to its kind.
type Refusal struct {
	Kind   error
	Code   Code
	Detail string // in English words, for logs and for those who look closer; callers translate Code
}

// Error is the refusal in words.
func (r *Refusal) Error() string { return fmt.Sprintf("%v: %s", r.Kind, r.Detail) }

// Unwrap is the kind.
func (r *Refusal) Unwrap() error { return r.Kind }

// Refuse makes a refusal; enroll uses it as well.
func Refuse(kind error, code Code, format string, args ...any) *Refusal {
	return &Refusal{Kind: kind, Code: code, Detail: fmt.Sprintf(format, args...)}
}

// CodeOf is the reason an error holds, "" when it holds none.
func CodeOf(err error) Code {
	var r *Refusal
	if errors.As(err, &r) {
		return r.Code
	}
	return ""
}
