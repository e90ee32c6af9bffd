package accounts

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"github.com/answerable-ledger/answerable/appstate"
	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/signing"
)

// kind of a ceremony: what its challenge may be answered for. An answer to one kind is none to another.
type kind string

const (
	kindSignIn kind = "sign-in"
	kindStepUp kind = "step-up"
	kindEnrol  kind = "enrol"
	kindSign   kind = "sign"
)

// Ceremony is a challenge for the browser's authenticator. The page gives Options to
// PublicKeyCredential.parseCreationOptionsFromJSON (of an enrolment) or parseRequestOptionsFromJSON, and posts ID back
// with the credential's toJSON() as it is.
type Ceremony struct {
	ID      string          `json:"ceremony"`
	Options json.RawMessage `json:"options"`
}

// kept is what a ceremony's answer is checked against. It never leaves the server.
type kept struct {
	Session   webauthn.SessionData `json:"session"`
	Statement string               `json:"statement,omitempty"`
	Next      string               `json:"next,omitempty"` // where to go after a sign-in that a provider vouches for
}

// begin stores a ceremony; s is the session it belongs to, nil before signing in.
func (a *Accounts) begin(ctx context.Context, t Attempt, k kind, s *Session, data kept, options any) (Ceremony, error) {
	o, err := json.Marshal(options)
	if err != nil {
		return Ceremony{}, fmt.Errorf("accounts: begin to %s: %w", k, err)
	}
	id, err := a.keep(ctx, t, k, s, data)
	if err != nil {
		return Ceremony{}, err
	}
	return Ceremony{ID: id, Options: o}, nil
}

// keep stores what the answer to a ceremony is checked against, and gives its id.
func (a *Accounts) keep(ctx context.Context, t Attempt, k kind, s *Session, data kept) (id string, err error) {
	d, err := json.Marshal(data)
	if err != nil {
		return "", fmt.Errorf("accounts: begin to %s: %w", k, err)
	}
	id, hash := newSecret()
	c := appstate.Ceremony{Hash: hash, Kind: string(k), Data: string(d), ExpiresAt: t.at.Add(CeremonyLimit)}
	if s != nil {
		c.Person, c.Session = s.Person, s.ID
	}
	if err := a.state.BeginCeremony(ctx, c); err != nil {
		return "", err
	}
	return id, nil
}

// take uses a ceremony up: whatever is wrong with the answer, there is no second one. ErrRefused when there is none of
// this kind for this session.
func (a *Accounts) take(ctx context.Context, t Attempt, k kind, s *Session, id string) (kept, error) {
	if err := t.valid(); err != nil {
		return kept{}, err
	}
	if err := a.byAddress.take(addressKey(t.address), t.at); err != nil {
		return kept{}, err
	}
	c, err := a.state.TakeCeremony(ctx, hashSecret(id))
	if err != nil && !errors.Is(err, appstate.ErrNoCeremony) {
		return kept{}, err
	}
	var person domain.PersonID
	var session string
	if s != nil {
		person, session = s.Person, s.ID
	}
	if err != nil || c.Kind != string(k) || c.Person != person || c.Session != session {
		return kept{}, a.refused(ctx, t, person, string(k)+": no such challenge")
	}
	var data kept
	if err := json.Unmarshal([]byte(c.Data), &data); err != nil {
		return kept{}, fmt.Errorf("accounts: finish to %s: %w", k, err)
	}
	return data, nil
}

// BeginSignIn begins a sign-in by passkey. Who will answer is not asked: the passkey knows.
func (a *Accounts) BeginSignIn(ctx context.Context, t Attempt) (Ceremony, error) {
	if a.rp == nil {
		return Ceremony{}, ErrNoPasskeys
	}
	if err := t.valid(); err != nil {
		return Ceremony{}, err
	}
	if err := a.byAddress.take(addressKey(t.address), t.at); err != nil {
		return Ceremony{}, err
	}
	options, session, err := a.rp.BeginDiscoverableLogin(webauthn.WithUserVerification(protocol.VerificationRequired))
	if err != nil {
		return Ceremony{}, fmt.Errorf("accounts: begin to sign in: %w", err)
	}
	return a.begin(ctx, t, kindSignIn, nil, kept{Session: *session}, options.Response)
}

// FinishSignIn signs in whoever the passkey belongs to. ErrRefused says nothing of what is wrong; a copied passkey is
// appstate.ErrCloned as well.
func (a *Accounts) FinishSignIn(ctx context.Context, t Attempt, ceremony string, response []byte) (Opened, error) {
	if a.rp == nil {
		return Opened{}, ErrNoPasskeys
	}
	data, err := a.take(ctx, t, kindSignIn, nil, ceremony)
	if err != nil {
		return Opened{}, err
	}
	answer, err := parseAssertion(response)
	if err != nil {
		return Opened{}, a.refused(ctx, t, "", err.Error())
	}
	p, err := a.person(ctx, domain.PersonID(answer.Response.UserHandle))
	if errors.Is(err, ErrRefused) {
		return Opened{}, a.refused(ctx, t, "", "passkey of nobody")
	}
	if err != nil {
		return Opened{}, err
	}
	o := owner{p, a.rp.Config.RPID}
	_, used, err := a.rp.ValidatePasskeyLogin(func([]byte, []byte) (webauthn.User, error) { return o, nil }, data.Session, answer)
	if err != nil {
		return Opened{}, a.refused(ctx, t, p.ID, reason(err))
	}
	if err := a.count(ctx, t, o, used.ID, answer); err != nil {
		return Opened{}, err
	}
	return a.open(ctx, t, p.ID, MethodPasskey, encode(used.ID))
}

// BeginStepUp begins to prove again who is in a session, by a passkey of theirs.
func (a *Accounts) BeginStepUp(ctx context.Context, t Attempt, s Session) (Ceremony, error) {
	return a.challenge(ctx, t, s, kindStepUp, "")
}

// FinishStepUp gives the session a new secret and a new AuthenticatedAt.
func (a *Accounts) FinishStepUp(ctx context.Context, t Attempt, s Session, ceremony string, response []byte) (Opened, error) {
	answer, _, err := a.answered(ctx, t, s, kindStepUp, ceremony, response)
	if err != nil {
		return Opened{}, err
	}
	return a.stepUp(ctx, t, s, MethodPasskey, encode(answer.RawID))
}

// challenge begins a ceremony that a passkey of the session's person must answer; with a statement the challenge is made
// of it, and only passkeys that may sign are asked.
func (a *Accounts) challenge(ctx context.Context, t Attempt, s Session, k kind, statement string) (Ceremony, error) {
	if a.rp == nil {
		return Ceremony{}, ErrNoPasskeys
	}
	if err := t.valid(); err != nil {
		return Ceremony{}, err
	}
	if s.Purpose != purposeUse {
		return Ceremony{}, ErrRefused
	}
	p, err := a.person(ctx, s.Person)
	if err != nil {
		return Ceremony{}, err
	}
	o := owner{p, a.rp.Config.RPID}
	var allowed []protocol.CredentialDescriptor
	for _, c := range o.WebAuthnCredentials() {
		if k != kindSign || a.synced || !c.Flags.BackupEligible {
			allowed = append(allowed, c.Descriptor())
		}
	}
	if len(allowed) == 0 {
		return Ceremony{}, domain.Refuse(domain.NotFound, domain.CodeCredentialUnknown, "/credential", "credential", "")
	}
	options := []webauthn.LoginOption{webauthn.WithUserVerification(protocol.VerificationRequired), webauthn.WithAllowedCredentials(allowed)}
	if k == kindSign {
		options = append(options, webauthn.WithChallenge(signing.Challenge([]byte(statement))))
	}
	assertion, session, err := a.rp.BeginLogin(o, options...)
	if err != nil {
		return Ceremony{}, fmt.Errorf("accounts: begin to %s: %w", k, err)
	}
	return a.begin(ctx, t, k, &s, kept{Session: *session, Statement: statement}, assertion.Response)
}

// answered checks the answer to a challenge.
func (a *Accounts) answered(ctx context.Context, t Attempt, s Session, k kind, ceremony string, response []byte) (*protocol.ParsedCredentialAssertionData, kept, error) {
	if a.rp == nil {
		return nil, kept{}, ErrNoPasskeys
	}
	data, err := a.take(ctx, t, k, &s, ceremony)
	if err != nil {
		return nil, kept{}, err
	}
	answer, err := parseAssertion(response)
	if err != nil {
		return nil, kept{}, a.refused(ctx, t, s.Person, err.Error())
	}
	p, err := a.person(ctx, s.Person)
	if err != nil {
		return nil, kept{}, err
	}
	o := owner{p, a.rp.Config.RPID}
	used, err := a.rp.ValidateLogin(o, data.Session, answer)
	if err != nil {
		return nil, kept{}, a.refused(ctx, t, s.Person, reason(err))
	}
	if err := a.count(ctx, t, o, used.ID, answer); err != nil {
		return nil, kept{}, err
	}
	return answer, data, nil
}

// count keeps the counter of a passkey that answered well, and refuses one that did not count on. The library only warns.
func (a *Accounts) count(ctx context.Context, t Attempt, o owner, id []byte, answer *protocol.ParsedCredentialAssertionData) error {
	enrolled, ok := o.find(id)
	if !ok { // revoked between the check and here
		return a.refused(ctx, t, o.person.ID, "passkey not in use")
	}
	err := a.state.CountPasskey(ctx, appstate.Passkey{Credential: encode(id), Person: o.person.ID, Counter: answer.Response.AuthenticatorData.Counter, UsedAt: t.at},
		enrolled.SignCount, a.entry(t, o.person.ID, "", ActCloned, ""))
	if errors.Is(err, appstate.ErrCloned) || errors.Is(err, appstate.ErrPasskeyTaken) {
		return fmt.Errorf("%w: %w", ErrRefused, err)
	}
	return err
}

func parseAssertion(response []byte) (*protocol.ParsedCredentialAssertionData, error) {
	if len(response) > maxResponseBytes {
		return nil, errors.New("passkey: the answer is too long")
	}
	answer, err := protocol.ParseCredentialRequestResponseBytes(response)
	if err != nil {
		return nil, errors.New(reason(err))
	}
	return answer, nil
}

// reason is what the account log says of an answer that was refused.
func reason(err error) string {
	var e *protocol.Error
	if errors.As(err, &e) {
		return "passkey: " + e.Details
	}
	return "passkey: " + err.Error()
}
