package accounts

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/protocol/webauthncose"
	"github.com/go-webauthn/webauthn/webauthn"
	"golang.org/x/text/unicode/norm"

	"github.com/answerable-ledger/answerable/appstate"
	"github.com/answerable-ledger/answerable/commands"
	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/signing"
	"github.com/answerable-ledger/answerable/signing/enroll"
)

// encode is how a credential's id is written in events: base64url without padding, as browsers give it.
func encode(id []byte) string { return base64.RawURLEncoding.EncodeToString(id) }

// Detail is what a passkey's event says of it, as JSON in CredentialEnrolled.Detail: what package enroll found, and
// how it came here. A reader of enroll.Detail reads it too.
type Detail struct {
	enroll.Detail
	Label    string          `json:"label,omitempty"`     // the person's own name for it
	Link     string          `json:"link,omitempty"`      // id of the one-time link it was enrolled by
	IssuedBy domain.PersonID `json:"issued_by,omitempty"` // who made that link
}

// owner is a person as the library of passkeys sees them. The user handle is the person's id, which names nobody outside
// the ledger: so a passkey finds its person by the ledger alone.
type owner struct {
	person domain.Person
	rpID   string
}

// WebAuthnID, WebAuthnName, WebAuthnDisplayName and WebAuthnCredentials are those of webauthn.User.
func (o owner) WebAuthnID() []byte          { return []byte(o.person.ID) }
func (o owner) WebAuthnName() string        { return string(o.person.ID) }
func (o owner) WebAuthnDisplayName() string { return o.person.Name }

func (o owner) WebAuthnCredentials() []webauthn.Credential {
	var out []webauthn.Credential
	for _, c := range o.person.Credentials {
		if x, _, ok := o.passkey(c); ok {
			out = append(out, x)
		}
	}
	return out
}

// passkey is a credential in use that signs its person in. One that somebody else enrolled for the person, as an
// administrator can over the API, may prove signatures; it signs nobody in.
func (o owner) passkey(c domain.Credential) (webauthn.Credential, Detail, bool) {
	d, ok := detail(c)
	id, idErr := base64.RawURLEncoding.DecodeString(c.Credential)
	key, keyErr := base64.StdEncoding.DecodeString(d.COSE)
	if !ok || d.RPID != o.rpID || c.EnrolledBy != c.Person || !c.RevokedAt.IsZero() || idErr != nil || keyErr != nil || len(key) == 0 {
		return webauthn.Credential{}, Detail{}, false
	}
	x := webauthn.Credential{ID: id, PublicKey: key, Flags: webauthn.CredentialFlags{BackupEligible: d.Synced}}
	for _, t := range d.Transports {
		x.Transport = append(x.Transport, protocol.AuthenticatorTransport(t))
	}
	return x, d, true
}

// find is the detail of one of the person's passkeys in use.
func (o owner) find(id []byte) (Detail, bool) {
	for _, c := range o.person.Credentials {
		if _, d, ok := o.passkey(c); ok && c.Credential == encode(id) {
			return d, true
		}
	}
	return Detail{}, false
}

func detail(c domain.Credential) (Detail, bool) {
	var d Detail
	if _, err := enroll.ParseDetail(c.Detail); err != nil || c.Method != signing.MethodWebAuthn || json.Unmarshal([]byte(c.Detail), &d) != nil {
		return Detail{}, false
	}
	return d, true
}

// BeginEnrolment begins to enrol a passkey for the session's person. It needs a recent proof or the enrolment of a link.
func (a *Accounts) BeginEnrolment(ctx context.Context, t Attempt, s Session) (Ceremony, error) {
	if a.rp == nil {
		return Ceremony{}, ErrNoPasskeys
	}
	if err := a.mayEnrol(t, s); err != nil {
		return Ceremony{}, err
	}
	p, err := a.person(ctx, s.Person)
	if err != nil {
		return Ceremony{}, err
	}
	if _, err := a.roleToEnrol(ctx, p, t.at); err != nil {
		return Ceremony{}, err
	}
	o := owner{p, a.rp.Config.RPID}
	var exclude []protocol.CredentialDescriptor
	for _, c := range o.WebAuthnCredentials() {
		exclude = append(exclude, c.Descriptor())
	}
	options, session, err := a.rp.BeginRegistration(o, webauthn.WithExclusions(exclude), webauthn.WithCredentialParameters(algorithms()))
	if err != nil {
		return Ceremony{}, fmt.Errorf("accounts: begin to enrol a passkey of %s: %w", p.ID, err)
	}
	return a.begin(ctx, t, kindEnrol, &s, kept{Session: *session}, options.Response)
}

// algorithms are those that package signing verifies, the most usual first.
func algorithms() []protocol.CredentialParameter {
	var out []protocol.CredentialParameter
	for _, alg := range []webauthncose.COSEAlgorithmIdentifier{webauthncose.AlgES256, webauthncose.AlgEdDSA, webauthncose.AlgRS256} {
		out = append(out, protocol.CredentialParameter{Type: protocol.PublicKeyCredentialType, Algorithm: alg})
	}
	return out
}

// FinishEnrolment records the passkey as an event. After a link the enrolment and all the person's sessions end, and they
// sign in with the passkey.
func (a *Accounts) FinishEnrolment(ctx context.Context, t Attempt, s Session, ceremony, label string, response []byte) (commands.Result, error) {
	if a.rp == nil {
		return commands.Result{}, ErrNoPasskeys
	}
	if err := a.mayEnrol(t, s); err != nil {
		return commands.Result{}, err
	}
	data, err := a.take(ctx, t, kindEnrol, &s, ceremony)
	if err != nil {
		return commands.Result{}, err
	}
	p, err := a.person(ctx, s.Person)
	if err != nil {
		return commands.Result{}, err
	}
	role, err := a.roleToEnrol(ctx, p, t.at)
	if err != nil {
		return commands.Result{}, err
	}
	e, err := a.created(t, data, response)
	if err != nil {
		return commands.Result{}, a.refused(ctx, t, p.ID, "passkey: "+err.Error())
	}
	d, err := a.describe(ctx, e, label, s)
	if err != nil {
		return commands.Result{}, fmt.Errorf("accounts: enrol a passkey of %s: %w", p.ID, err)
	}
	text, err := json.Marshal(d)
	if err != nil {
		return commands.Result{}, fmt.Errorf("accounts: enrol a passkey of %s: %w", p.ID, err)
	}
	// First here, then in the ledger: of two persons who bring the same credential, one gets it. A counter without an
	// event, as a crash between the two leaves it, is never asked for.
	err = a.state.AddPasskey(ctx, appstate.Passkey{Credential: e.Credential, Person: p.ID, Counter: d.SignCount}, a.entry(t, p.ID, p.ID, ActPasskey, e.Credential+" "+s.Link))
	if err != nil {
		return commands.Result{}, err
	}
	result, err := a.ledger.EnrollCredential(ctx, commands.Command{ID: domain.NewCommandID("enrol-passkey", string(p.ID), e.Credential), Actor: p.ID, Role: role, Channel: domain.ChannelWeb, ReceivedAt: t.at},
		domain.CredentialEnrolled{Person: p.ID, Credential: e.Credential, Method: e.Method, PublicKey: e.PublicKey, Detail: string(text)})
	if err != nil {
		return commands.Result{}, fmt.Errorf("accounts: enrol a passkey of %s: %w", p.ID, err)
	}
	if s.Purpose == purposeEnrol {
		if _, err := a.state.EndSessions(ctx, p.ID, "", a.entry(t, p.ID, p.ID, ActEndSession, "all, after link "+s.Link)); err != nil {
			return commands.Result{}, err
		}
	}
	return result, nil
}

// created judges what the authenticator made.
func (a *Accounts) created(t Attempt, data kept, response []byte) (enroll.Enrolled, error) {
	challenge, err := base64.RawURLEncoding.DecodeString(data.Session.Challenge)
	if err != nil {
		return enroll.Enrolled{}, err
	}
	if len(response) > maxResponseBytes {
		return enroll.Enrolled{}, fmt.Errorf("an answer of %d bytes", len(response))
	}
	// A passkey that is copied between a person's devices signs in; whether it signs reports is the signing policy's to say.
	return enroll.WebAuthn(response, challenge, enroll.Policy{Origins: []string{a.origin}, RPIDs: []string{a.rp.Config.RPID}, AllowSynced: true, AllowUnproven: true, At: t.at})
}

func (a *Accounts) describe(ctx context.Context, e enroll.Enrolled, label string, s Session) (Detail, error) {
	found, err := enroll.ParseDetail(e.Detail)
	if err != nil {
		return Detail{}, err
	}
	d := Detail{Detail: found, Label: truncate(norm.NFC.String(label), maxLabelBytes), Link: s.Link}
	d.IssuedBy, err = a.linkBy(ctx, s)
	return d, err
}

// linkBy is who made the link that a session's enrolment was opened by; "" when none was.
func (a *Accounts) linkBy(ctx context.Context, s Session) (domain.PersonID, error) {
	if s.Link == "" {
		return "", nil
	}
	links, err := a.state.Links(ctx, s.Person)
	if err != nil {
		return "", err
	}
	for _, l := range links {
		if l.ID == s.Link {
			return l.IssuedBy, nil
		}
	}
	return "", fmt.Errorf("link %s: %w", s.Link, appstate.ErrNoLink)
}

// Passkey is a passkey of a person, for a list of them.
type Passkey struct {
	Credential string
	Detail     Detail
	EnrolledAt time.Time
	EnrolledBy domain.PersonID
	RevokedAt  time.Time // zero while in use
	UsedAt     time.Time // zero: never, as far as is known
	SuspectAt  time.Time // when a copy of it was last refused; zero: never
	SignsIn    bool      // it signs its person in at this server
	Signs      bool      // and signs reports
}

// Passkeys lists a person's passkeys, those out of use too, in the order of their enrolment.
func (a *Accounts) Passkeys(ctx context.Context, p domain.Person) ([]Passkey, error) {
	known, err := a.state.Passkeys(ctx, p.ID)
	if err != nil {
		return nil, err
	}
	var out []Passkey
	for _, c := range p.Credentials {
		if c.Method != signing.MethodWebAuthn {
			continue
		}
		x := Passkey{Credential: c.Credential, EnrolledAt: c.EnrolledAt, EnrolledBy: c.EnrolledBy, RevokedAt: c.RevokedAt,
			UsedAt: known[c.Credential].UsedAt, SuspectAt: known[c.Credential].SuspectAt}
		x.Detail, _ = detail(c)
		if a.rp != nil {
			_, _, x.SignsIn = owner{p, a.rp.Config.RPID}.passkey(c)
			x.Signs = x.SignsIn && (a.synced || !x.Detail.Synced)
		}
		out = append(out, x)
	}
	return out, nil
}

// RevokePasskey ends a passkey's use, by its person or an administrator; the ledger decides. Sessions it opened end with
// it. It needs a recent proof.
func (a *Accounts) RevokePasskey(ctx context.Context, t Attempt, by Session, person domain.PersonID, credential, why string) (commands.Result, error) {
	if err := a.fresh(t, by); err != nil {
		return commands.Result{}, err
	}
	p, err := a.person(ctx, by.Person)
	if err != nil {
		return commands.Result{}, err
	}
	role, err := a.roleToRevoke(ctx, p, t.at)
	if err != nil {
		return commands.Result{}, err
	}
	result, err := a.ledger.RevokeCredential(ctx, commands.Command{ID: domain.NewCommandID("revoke-passkey", string(person), credential), Actor: by.Person, Role: role, Channel: domain.ChannelWeb, ReceivedAt: t.at},
		person, credential, why)
	if err != nil {
		return commands.Result{}, fmt.Errorf("accounts: revoke a passkey of %s: %w", person, err)
	}
	return result, a.state.LogAccount(ctx, a.entry(t, person, by.Person, ActPasskeyRevoked, credential+": "+why))
}

// BeginSignature begins a signature of the session's person over a statement, such as commands.Ledger.Statement gives:
// the challenge is made of these very words (signing.Challenge). domain.CodeCredentialUnknown: the person has no passkey
// that may sign; one that is copied between devices may not, unless the policy says so.
func (a *Accounts) BeginSignature(ctx context.Context, t Attempt, s Session, statement string) (Ceremony, error) {
	if statement == "" || len(statement) > maxStatementBytes {
		return Ceremony{}, domain.Refuse(domain.Invalid, domain.CodeStatement, "/statement")
	}
	return a.challenge(ctx, t, s, kindSign, statement)
}

// FinishSignature gives the statement that was signed and the signature as an event carries it, which package signing
// accepts.
func (a *Accounts) FinishSignature(ctx context.Context, t Attempt, s Session, ceremony string, response []byte) (statement string, signature domain.Signature, err error) {
	answer, data, err := a.answered(ctx, t, s, kindSign, ceremony, response)
	if err != nil {
		return "", domain.Signature{}, err
	}
	p, err := a.person(ctx, s.Person)
	if err != nil {
		return "", domain.Signature{}, err
	}
	signed, err := signing.ParseAssertion(response)
	if err == nil {
		for _, c := range p.Credentials {
			if c.Credential == encode(answer.RawID) {
				_, err = signing.Verify(signing.Credential{ID: c.Credential, Method: c.Method, PublicKey: c.PublicKey}, []byte(data.Statement), signed,
					signing.Policy{Origins: []string{a.origin}, RPIDs: []string{a.rp.Config.RPID}, AllowSynced: a.synced})
			}
		}
	}
	if err != nil { // the library was content with what would not stand before others
		return "", domain.Signature{}, a.refused(ctx, t, s.Person, "signature: "+err.Error())
	}
	return data.Statement, domain.Signature(signed), nil
}
