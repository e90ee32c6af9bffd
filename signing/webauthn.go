package signing

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"slices"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// The ceremonies: what an authenticator was asked for.
const (
	CeremonyGet    = "webauthn.get"
	CeremonyCreate = "webauthn.create"
)

// The flags of authenticator data (WebAuthn 6.1).
const (
	flagUserPresent    = 1 << 0
	flagUserVerified   = 1 << 2
	flagBackupEligible = 1 << 3
	flagBackedUp       = 1 << 4
	flagAttested       = 1 << 6
	flagExtensions     = 1 << 7
)

// authenticatorDataLen is the fixed part: hash of the relying party id, flags, sign count.
const authenticatorDataLen = sha256.Size + 1 + 4

// ClientData is what the browser vouches for: the page, the challenge, the purpose (WebAuthn 5.8.1). Other members may
// be present and are not read; they are signed like the rest.
type ClientData struct {
	Type        string `json:"type"`
	Challenge   string `json:"challenge"` // base64url without padding
	Origin      string `json:"origin"`
	CrossOrigin bool   `json:"crossOrigin"`
	TopOrigin   string `json:"topOrigin"`
}

// ParseClientData reads client data. Doubled members and text that is not UTF-8 are refused: two readers could
// understand them differently.
func ParseClientData(b []byte) (ClientData, error) {
	var c ClientData
	if jsontext.Value(b).Kind() != '{' {
		return c, Refuse(ErrMalformed, CodeClientData, "client data is not a JSON object")
	}
	if err := json.Unmarshal(b, &c); err != nil {
		return ClientData{}, Refuse(ErrMalformed, CodeClientData, "client data: %v", err)
	}
	return c, nil
}

// Check judges client data: the ceremony, the challenge in its one spelling, and a page of our own that is not framed by
// another.
func (c ClientData) Check(ceremony string, challenge []byte, origins []string) error {
	switch {
	case c.Type != ceremony:
		return Refuse(ErrStatement, CodeCeremony, "made for %q, not for %q", c.Type, ceremony)
	case c.Challenge != base64.RawURLEncoding.EncodeToString(challenge):
		return Refuse(ErrStatement, CodeChallenge, "the challenge signed is %q, that of another statement", c.Challenge)
	case c.CrossOrigin || c.TopOrigin != "":
		return Refuse(ErrPolicy, CodeCrossOrigin, "signed in a frame inside %q", c.TopOrigin)
	case len(origins) == 0:
		return Refuse(ErrPolicy, CodePolicyIncomplete, "the policy names no site")
	case !slices.Contains(origins, c.Origin):
		return Refuse(ErrPolicy, CodeOrigin, "signed on %q", c.Origin)
	}
	return nil
}

// AuthenticatorData is what the authenticator vouches for (WebAuthn 6.1), without attested key and extensions.
type AuthenticatorData struct {
	RPIDHash       [sha256.Size]byte
	UserPresent    bool
	UserVerified   bool
	BackupEligible bool // the key may be copied to other devices
	BackedUp       bool // and was
	Attested       bool // a new key follows: in enrolments only
	SignCount      uint32
}

// ParseAuthenticatorData reads the fixed part and checks that what follows was announced.
func ParseAuthenticatorData(b []byte) (AuthenticatorData, error) {
	var a AuthenticatorData
	if len(b) < authenticatorDataLen {
		return a, Refuse(ErrMalformed, CodeAuthenticatorData, "authenticator data of %d bytes, at least %d are due", len(b), authenticatorDataLen)
	}
	flags := b[sha256.Size]
	if more := len(b) > authenticatorDataLen; more != (flags&(flagAttested|flagExtensions) != 0) {
		return a, Refuse(ErrMalformed, CodeAuthenticatorData, "authenticator data of %d bytes contradicts its flags %08b", len(b), flags)
	}
	if flags&flagBackedUp != 0 && flags&flagBackupEligible == 0 {
		return a, Refuse(ErrMalformed, CodeAuthenticatorData, "a key that cannot be copied is said to be backed up")
	}
	copy(a.RPIDHash[:], b)
	a.UserPresent, a.UserVerified = flags&flagUserPresent != 0, flags&flagUserVerified != 0
	a.BackupEligible, a.BackedUp = flags&flagBackupEligible != 0, flags&flagBackedUp != 0
	a.Attested = flags&flagAttested != 0
	a.SignCount = binary.BigEndian.Uint32(b[sha256.Size+1:])
	return a, nil
}

// Check judges authenticator data and says for which relying party it was made. Presence and verification of the user
// are not for a policy to waive: a sign-off is a person's act.
func (a AuthenticatorData) Check(rpIDs []string, allowSynced bool) (rpID string, err error) {
	i := slices.IndexFunc(rpIDs, func(id string) bool { return sha256.Sum256([]byte(id)) == a.RPIDHash })
	switch {
	case i < 0:
		return "", Refuse(ErrPolicy, CodeRelyingParty, "made for a relying party that is none of %q", rpIDs)
	case !a.UserPresent:
		return "", Refuse(ErrPolicy, CodeUserAbsent, "nobody touched the authenticator")
	case !a.UserVerified:
		return "", Refuse(ErrPolicy, CodeUserNotVerified, "the authenticator did not verify its user")
	case a.BackupEligible && !allowSynced:
		return "", Refuse(ErrPolicy, CodeSynced, "the key can be copied to other devices")
	}
	return rpIDs[i], nil
}

// verifyAssertion follows WebAuthn 7.2, the signature first.
func verifyAssertion(key crypto.PublicKey, challenge, clientData, authData, sig []byte, policy Policy) (Verdict, error) {
	c, err := ParseClientData(clientData)
	if err != nil {
		return Verdict{}, err
	}
	a, err := ParseAuthenticatorData(authData)
	if err != nil {
		return Verdict{}, err
	}
	if a.Attested {
		return Verdict{}, Refuse(ErrMalformed, CodeAuthenticatorData, "an assertion does not carry a new key")
	}
	sum := sha256.Sum256(clientData)
	if err := checkSignature(key, append(bytes.Clone(authData), sum[:]...), sig); err != nil {
		return Verdict{}, err
	}
	if err := c.Check(CeremonyGet, challenge, policy.Origins); err != nil {
		return Verdict{}, err
	}
	rpID, err := a.Check(policy.RPIDs, policy.AllowSynced)
	if err != nil {
		return Verdict{}, err
	}
	return Verdict{Origin: c.Origin, RPID: rpID, SignCount: a.SignCount, Synced: a.BackupEligible, BackedUp: a.BackedUp}, nil
}

// ParseAssertion reads a browser's answer, PublicKeyCredential.toJSON() after navigator.credentials.get (WebAuthn 5.1,
// AuthenticationResponseJSON), into the stored form. It verifies nothing.
func ParseAssertion(response []byte) (Signature, error) {
	var r struct {
		ID       string `json:"id"`
		RawID    string `json:"rawId"`
		Type     string `json:"type"`
		Response struct {
			ClientData        string `json:"clientDataJSON"`
			AuthenticatorData string `json:"authenticatorData"`
			Signature         string `json:"signature"`
		} `json:"response"`
	}
	s := Signature{Method: MethodWebAuthn}
	if len(response) > 2*maxPartBytes {
		return Signature{}, Refuse(ErrMalformed, CodeResponse, "an answer of %d bytes", len(response))
	}
	if err := json.Unmarshal(response, &r); err != nil {
		return Signature{}, Refuse(ErrMalformed, CodeResponse, "not an authentication response: %v", err)
	}
	if r.Type != "public-key" || r.ID != r.RawID {
		return Signature{}, Refuse(ErrMalformed, CodeResponse, "type %q, id %q, rawId %q", r.Type, r.ID, r.RawID)
	}
	if _, err := DecodeURL("id", r.ID); err != nil {
		return Signature{}, err
	}
	s.Credential = r.ID
	for _, part := range []struct {
		name, from string
		to         *string
	}{
		{"clientDataJSON", r.Response.ClientData, &s.ClientData},
		{"authenticatorData", r.Response.AuthenticatorData, &s.AuthenticatorData},
		{"signature", r.Response.Signature, &s.Signature},
	} {
		b, err := DecodeURL(part.name, part.from)
		if err != nil {
			return Signature{}, err
		}
		*part.to = base64.StdEncoding.EncodeToString(b)
	}
	return s, nil
}

// DecodeURL reads a part of a browser's answer: base64url without padding, in its one spelling, not empty.
func DecodeURL(name, s string) ([]byte, error) {
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil || len(b) == 0 || len(b) > maxPartBytes || base64.RawURLEncoding.EncodeToString(b) != s {
		return nil, Refuse(ErrMalformed, CodeResponse, "%s is missing, too long or not canonical base64url", name)
	}
	return b, nil
}
