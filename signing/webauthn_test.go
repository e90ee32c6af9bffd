package signing

import (
	"crypto"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// expect checks kind and code of a refusal, or that there is none when code is "".
func expect(t *testing.T, err error, kind error, code Code) {
	t.Helper()
	if code == "" {
		if err != nil {
			t.Fatalf("refused: %v", err)
		}
		return
	}
	if CodeOf(err) != code || !errors.Is(err, kind) {
		t.Fatalf("got %v (%q), want %v (%q)", err, CodeOf(err), kind, code)
	}
}

func TestWebAuthnAccepts(t *testing.T) {
	t.Parallel()
	for name, key := range map[string]crypto.Signer{"ES256": newP256(t), "RS256": newRSA(), "EdDSA": newEd25519(t)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newAuthenticator(t, key)
			a.more = `,"crossOrigin":false,"other_keys_can_be_added_here":"do not compare clientDataJSON against a template"`
			got, err := Verify(a.cred, []byte(statement), a.sign(t, Challenge([]byte(statement))), policy)
			must(t, err)
			want := Verdict{Method: MethodWebAuthn, Credential: a.cred.ID, Origin: a.origin, RPID: a.rpID, SignCount: 7}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestWebAuthnAttacks(t *testing.T) {
	t.Parallel()
	key := newP256(t)
	for name, c := range map[string]struct {
		with   func(*authenticator)
		after  func(*Signature)
		policy func(*Policy)
		other  string // the statement presented, when not the one signed
		kind   error
		code   Code
	}{
		"replayed for another statement": {other: strings.Replace(statement, `"version":1`, `"version":2`, 1), kind: ErrStatement, code: CodeChallenge},
		"statement with a space added":   {other: statement + " ", kind: ErrStatement, code: CodeChallenge},
		"a zero byte":                    {other: "\x00", kind: ErrStatement, code: CodeChallenge},
		"an enrolment":                   {with: func(a *authenticator) { a.typ = CeremonyCreate }, kind: ErrStatement, code: CodeCeremony},
		"a payment":                      {with: func(a *authenticator) { a.typ = "payment.get" }, kind: ErrStatement, code: CodeCeremony},
		"wrong origin":                   {with: func(a *authenticator) { a.origin = "https://ledger.example.evil.example" }, kind: ErrPolicy, code: CodeOrigin},
		"origin by plain http":           {with: func(a *authenticator) { a.origin = "http://ledger.example" }, kind: ErrPolicy, code: CodeOrigin},
		"in another's frame":             {with: func(a *authenticator) { a.more = `,"crossOrigin":true` }, kind: ErrPolicy, code: CodeCrossOrigin},
		"under another's page":           {with: func(a *authenticator) { a.more = `,"topOrigin":"https://evil.example"` }, kind: ErrPolicy, code: CodeCrossOrigin},
		"wrong relying party":            {with: func(a *authenticator) { a.rpID = "evil.example" }, kind: ErrPolicy, code: CodeRelyingParty},
		"former relying party":           {with: func(a *authenticator) { a.rpID = "old.example" }},
		"nobody present":                 {with: func(a *authenticator) { a.flags = flagUserVerified }, kind: ErrPolicy, code: CodeUserAbsent},
		"user not verified":              {with: func(a *authenticator) { a.flags = flagUserPresent }, kind: ErrPolicy, code: CodeUserNotVerified},
		"synced key":                     {with: func(a *authenticator) { a.flags |= flagBackupEligible }, kind: ErrPolicy, code: CodeSynced},
		"synced key, allowed":            {with: func(a *authenticator) { a.flags |= flagBackupEligible | flagBackedUp }, policy: func(p *Policy) { p.AllowSynced = true }},
		"backed up but not eligible":     {with: func(a *authenticator) { a.flags |= flagBackedUp }, kind: ErrMalformed, code: CodeAuthenticatorData},
		"carries a new key":              {with: func(a *authenticator) { a.flags |= flagAttested; a.extra = make([]byte, 40) }, kind: ErrMalformed, code: CodeAuthenticatorData},
		"extensions":                     {with: func(a *authenticator) { a.flags |= flagExtensions; a.extra = []byte{0xa0} }},
		"extensions announced, absent":   {with: func(a *authenticator) { a.flags |= flagExtensions }, kind: ErrMalformed, code: CodeAuthenticatorData},
		"bytes nobody announced":         {with: func(a *authenticator) { a.extra = []byte{0xa0} }, kind: ErrMalformed, code: CodeAuthenticatorData},
		"doubled member":                 {with: func(a *authenticator) { a.more = `,"origin":"https://ledger.example"` }, kind: ErrMalformed, code: CodeClientData},
		"member in capitals":             {with: func(a *authenticator) { a.more = `,"ORIGIN":"https://evil.example"` }},
		"not UTF-8":                      {with: func(a *authenticator) { a.more = ",\"x\":\"\xff\"" }, kind: ErrMalformed, code: CodeClientData},
		"wrong key":                      {with: func(a *authenticator) { a.key = newP256(t) }, kind: ErrSignature, code: CodeWrongSignature},
		"key of another kind":            {with: func(a *authenticator) { a.key = newEd25519(t) }, kind: ErrSignature, code: CodeWrongSignature},
		"policy without origins":         {policy: func(p *Policy) { p.Origins = nil }, kind: ErrPolicy, code: CodePolicyIncomplete},
		"policy without relying parties": {policy: func(p *Policy) { p.RPIDs = nil }, kind: ErrPolicy, code: CodeRelyingParty},
		"another credential":             {after: func(s *Signature) { s.Credential = "a2V5LTI" }, kind: ErrCredential, code: CodeOtherCredential},
		"another method":                 {after: func(s *Signature) { s.Method = MethodEd25519 }, kind: ErrCredential, code: CodeOtherCredential},
		"line break in base64":           {after: func(s *Signature) { s.Signature = s.Signature[:8] + "\n" + s.Signature[8:] }, kind: ErrMalformed, code: CodeBase64},
		"no signature":                   {after: func(s *Signature) { s.Signature = "" }, kind: ErrMalformed, code: CodeBase64},
		"no client data":                 {after: func(s *Signature) { s.ClientData = "" }, kind: ErrMalformed, code: CodeBase64},
		"no authenticator data":          {after: func(s *Signature) { s.AuthenticatorData = "" }, kind: ErrMalformed, code: CodeBase64},
		"client data too long":           {after: func(s *Signature) { s.ClientData = strings.Repeat("AAAA", maxPartBytes) }, kind: ErrMalformed, code: CodeBase64},
		"client data is a list":          {after: func(s *Signature) { s.ClientData = encode([]byte(`[]`)) }, kind: ErrMalformed, code: CodeClientData},
		"client data is null":            {after: func(s *Signature) { s.ClientData = encode([]byte(`null`)) }, kind: ErrMalformed, code: CodeClientData},
		"authenticator data too short":   {after: func(s *Signature) { s.AuthenticatorData = encode(make([]byte, 36)) }, kind: ErrMalformed, code: CodeAuthenticatorData},
		"client data of another signing": {after: func(s *Signature) {
			s.ClientData = encode([]byte(`{"type":"webauthn.get","challenge":"","origin":""}`))
		}, kind: ErrSignature, code: CodeWrongSignature},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, p := newAuthenticator(t, key), policy
			if c.with != nil {
				c.with(a)
			}
			sig := a.sign(t, Challenge([]byte(statement)))
			if c.after != nil {
				c.after(&sig)
			}
			if c.policy != nil {
				c.policy(&p)
			}
			presented := statement
			if c.other != "" {
				presented = c.other
			}
			_, err := Verify(a.cred, []byte(presented), sig, p)
			expect(t, err, c.kind, c.code)
		})
	}
}

func TestSignatureOfLoginDoesNotSignAStatement(t *testing.T) {
	t.Parallel()
	a := newAuthenticator(t, newP256(t))
	_, err := Verify(a.cred, []byte(statement), a.sign(t, []byte("a random challenge of a login....")), policy)
	expect(t, err, ErrStatement, CodeChallenge)
}

func TestCloned(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		last, now uint32
		want      bool
	}{{0, 0, false}, {0, 1, false}, {1, 2, false}, {1, 1, true}, {2, 1, true}, {1, 0, true}} {
		if got := Cloned(c.last, c.now); got != c.want {
			t.Errorf("Cloned(%d, %d) = %v", c.last, c.now, got)
		}
	}
}

func TestParseAssertion(t *testing.T) {
	t.Parallel()
	a := newAuthenticator(t, newP256(t))
	sig := a.sign(t, Challenge([]byte(statement)))
	url := strings.NewReplacer("+", "-", "/", "_", "=", "")
	answer := `{"id":"a2V5LTE","rawId":"a2V5LTE","type":"public-key","authenticatorAttachment":"platform","clientExtensionResults":{},"response":{"clientDataJSON":"` +
		url.Replace(sig.ClientData) + `","authenticatorData":"` + url.Replace(sig.AuthenticatorData) + `","signature":"` + url.Replace(sig.Signature) + `","userHandle":"AA"}}`
	got, err := ParseAssertion([]byte(answer))
	must(t, err)
	if diff := cmp.Diff(sig, got); diff != "" {
		t.Error(diff)
	}
	for name, bad := range map[string]string{
		"not JSON":     answer[1:],
		"doubled id":   strings.Replace(answer, `{"id"`, `{"id":"a2V5LTE","id"`, 1),
		"two ids":      strings.Replace(answer, `"id":"a2V5LTE"`, `"id":"a2V5LTI"`, 1),
		"another type": strings.Replace(answer, "public-key", "password", 1),
		"padding":      strings.ReplaceAll(answer, "a2V5LTE", "a2V5LTE="),
		"no id":        strings.ReplaceAll(answer, "a2V5LTE", ""),
		"no parts":     `{"id":"a2V5LTE","rawId":"a2V5LTE","type":"public-key"}`,
		"huge":         answer + strings.Repeat(" ", 2*maxPartBytes),
	} {
		_, err := ParseAssertion([]byte(bad))
		if CodeOf(err) != CodeResponse {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// w3cVectors are the specification's own; package enroll reads them as well.
type w3cVectors struct {
	RPID    string `json:"rp_id"`
	Origin  string `json:"origin"`
	Vectors []struct {
		Section        string `json:"section"`
		Name           string `json:"name"`
		Authentication struct {
			Challenge         hexBytes `json:"challenge"`
			ClientData        hexBytes `json:"client_data"`
			AuthenticatorData hexBytes `json:"authenticator_data"`
			Signature         hexBytes `json:"signature"`
			PublicKey         hexBytes `json:"public_key"`
		} `json:"authentication"`
	} `json:"vectors"`
}

type hexBytes []byte

func (h *hexBytes) UnmarshalText(b []byte) (err error) {
	*h, err = hex.DecodeString(string(b))
	return err
}

// TestSpecificationVectors: the signatures of every vector with a key of an accepted kind are true; some vectors are then
// refused by policy, each for the reason its flags and origins give.
func TestSpecificationVectors(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile("testdata/w3c-vectors.json")
	must(t, err)
	var all w3cVectors
	must(t, json.Unmarshal(b, &all))
	want := map[string]Code{
		"16.2": CodeUserNotVerified, "16.3": CodeUserNotVerified, "16.4": CodeCrossOrigin, "16.5": CodeCrossOrigin, "16.6": "", "16.7": "",
		"16.8": CodePublicKey, "16.9": CodePublicKey, "16.10": CodeUserNotVerified, "16.11": CodeUserNotVerified, "16.13": "",
		"16.14": CodeUserNotVerified, "16.15": CodeUserNotVerified, "16.16": CodeUserNotVerified,
	}
	p := Policy{Origins: []string{all.Origin}, RPIDs: []string{all.RPID}, AllowSynced: true}
	for _, v := range all.Vectors {
		a := v.Authentication
		key, err := ParseCOSEKey(a.PublicKey)
		if err == nil {
			_, err = verifyAssertion(key, a.Challenge, a.ClientData, a.AuthenticatorData, a.Signature, p)
			a.Signature[len(a.Signature)-1] ^= 1
			_, again := verifyAssertion(key, a.Challenge, a.ClientData, a.AuthenticatorData, a.Signature, p)
			expect(t, again, ErrSignature, CodeWrongSignature)
		}
		if code, ok := want[v.Section]; !ok || CodeOf(err) != code || (code == "") != (err == nil) {
			t.Errorf("%s %s: %v, want %q", v.Section, v.Name, err, code)
		}
		delete(want, v.Section)
	}
	if len(want) != 0 {
		t.Errorf("vectors missing: %v", want)
	}
}
