package accounts

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/answerable-ledger/answerable/appstate"
	"github.com/answerable-ledger/answerable/domain"
)

// Method is how a person proved who they are.
type Method string

const (
	MethodPasskey  Method = "passkey"
	MethodPassword Method = "password"
	MethodLink     Method = "link" // opens an enrolment, never a session that signs in
	MethodOIDC     Method = "oidc" // a provider vouched for them
	MethodDemo     Method = "demo" // nothing was proved
)

// What a session is for.
const (
	purposeUse   = "use"
	purposeEnrol = "enrol" // to enrol a passkey or set a password, after a link
)

// Session is a browser at which a person is.
type Session struct{ appstate.Session }

// Method is how the person last proved who they are.
func (s Session) Method() Method { return Method(s.Session.Method) }

// Fresh reports whether the person proved who they are within FreshFor, by any method but a provider's word: it may have
// taken the proof of this morning for enough.
func (s Session) Fresh(at time.Time) bool {
	return s.Method() != MethodOIDC && at.Before(s.AuthenticatedAt.Add(FreshFor))
}

// Strong reports whether they did so with a passkey, which verified them.
func (s Session) Strong(at time.Time) bool { return s.Fresh(at) && s.Method() == MethodPasskey }

// EndsAt is when the session ends if it is not used again: what a page warns of, and when a stream of events stops.
func (s Session) EndsAt() time.Time {
	if s.IdleUntil.Before(s.ExpiresAt) {
		return s.IdleUntil
	}
	return s.ExpiresAt
}

// Opened is a session with its secret, which goes to the browser by SetCookie and nowhere else.
type Opened struct {
	Secret  string
	Session Session
}

// Authenticate finds who sent a request, and moves the session's idle limit. appstate.ErrNoSession: nobody is signed in.
// A session ends at once when the passkey it was opened with is revoked, wherever that happened.
func (a *Accounts) Authenticate(r *http.Request) (Session, domain.Person, error) {
	return a.find(r, purposeUse, true)
}

// Watch finds who sent a request that a page made by itself, to keep up to date. It is no use of the session: one that is
// left open ends when it would have ended.
func (a *Accounts) Watch(r *http.Request) (Session, domain.Person, error) {
	return a.find(r, purposeUse, false)
}

// Enrolment finds the person whom a one-time link let in to enrol a passkey or set a password. They are not signed in.
func (a *Accounts) Enrolment(r *http.Request) (Session, domain.Person, error) {
	return a.find(r, purposeEnrol, false)
}

func (a *Accounts) find(r *http.Request, purpose string, use bool) (Session, domain.Person, error) {
	ctx := r.Context()
	secret, ok := a.cookie(r)
	if !ok {
		return Session{}, domain.Person{}, appstate.ErrNoSession
	}
	s, err := a.state.Session(ctx, hashSecret(secret))
	if err != nil {
		return Session{}, domain.Person{}, err
	}
	// A data directory of the demonstration may be served in earnest later, and a provider be believed no more.
	if s.Purpose != purpose || Method(s.Method) == MethodDemo && !a.demo.granted || Method(s.Method) == MethodOIDC && a.oidc == nil {
		return Session{}, domain.Person{}, appstate.ErrNoSession
	}
	p, err := a.person(ctx, s.Person)
	if errors.Is(err, ErrRefused) || err == nil && s.Credential != "" && !slices.ContainsFunc(p.Credentials, func(c domain.Credential) bool {
		return c.Credential == s.Credential && c.RevokedAt.IsZero()
	}) {
		return Session{}, domain.Person{}, appstate.ErrNoSession
	}
	if err != nil {
		return Session{}, domain.Person{}, err
	}
	if now := a.now(); use && !now.Before(s.SeenAt.Add(touchEvery)) {
		s.SeenAt, s.IdleUntil = now, now.Add(IdleLimit)
		if err := a.state.TouchSession(ctx, s.Hash, s.SeenAt, s.IdleUntil); err != nil {
			return Session{}, domain.Person{}, err
		}
	}
	return Session{s}, p, nil
}

// open makes a session of a person who proved who they are. Its secret is new whatever the browser sent, and the session
// that the browser had ends: a secret from before the sign-in, which somebody else may know, opens nothing after it.
func (a *Accounts) open(ctx context.Context, t Attempt, p domain.PersonID, m Method, credential string) (Opened, error) {
	secret, hash := newSecret()
	s := appstate.Session{Hash: hash, ID: newName(), Person: p, Purpose: purposeUse, Method: string(m), Credential: credential,
		CreatedAt: t.at, AuthenticatedAt: t.at, SeenAt: t.at, IdleUntil: t.at.Add(IdleLimit), ExpiresAt: t.at.Add(AbsoluteLimit), Address: t.address, Agent: t.agent}
	if err := a.state.OpenSession(ctx, s, t.session, a.entry(t, p, p, ActSignIn, string(m)+" "+s.ID)); err != nil {
		return Opened{}, err
	}
	return Opened{secret, Session{s}}, nil
}

// stepUp gives a session a new secret when its person has proved again who they are. Its absolute limit stays.
func (a *Accounts) stepUp(ctx context.Context, t Attempt, s Session, m Method, credential string) (Opened, error) {
	secret, hash := newSecret()
	next := s.Session
	next.Hash, next.Method, next.Credential = hash, string(m), credential
	next.AuthenticatedAt, next.SeenAt, next.IdleUntil = t.at, t.at, t.at.Add(IdleLimit)
	if err := a.state.RotateSession(ctx, s.Hash, next, a.entry(t, s.Person, s.Person, ActStepUp, string(m)+" "+s.ID)); err != nil {
		return Opened{}, err
	}
	return Opened{secret, Session{next}}, nil
}

// SignOut ends the session. The caller clears the cookie.
func (a *Accounts) SignOut(ctx context.Context, t Attempt, s Session) error {
	if err := t.valid(); err != nil {
		return err
	}
	return a.state.EndSession(ctx, s.Person, s.ID, a.entry(t, s.Person, s.Person, ActSignOut, s.ID))
}

// Sessions lists where a person is signed in, the last used first. Also enrolments that a link opened are in it.
func (a *Accounts) Sessions(ctx context.Context, p domain.PersonID) ([]Session, error) {
	list, err := a.state.Sessions(ctx, p)
	if err != nil {
		return nil, err
	}
	out := make([]Session, len(list))
	for i, s := range list {
		out[i] = Session{s}
	}
	return out, nil
}

// EndSession ends another session of the same person, by its ID. It needs no fresh proof: whoever suspects a stranger in
// their account must be able to throw them out at once.
func (a *Accounts) EndSession(ctx context.Context, t Attempt, by Session, id string) error {
	if err := t.valid(); err != nil {
		return err
	}
	return a.state.EndSession(ctx, by.Person, id, a.entry(t, by.Person, by.Person, ActEndSession, id))
}

// EndOtherSessions ends every session of the person but the one they are in, and tells how many.
func (a *Accounts) EndOtherSessions(ctx context.Context, t Attempt, by Session) (int64, error) {
	if err := t.valid(); err != nil {
		return 0, err
	}
	return a.state.EndSessions(ctx, by.Person, by.ID, a.entry(t, by.Person, by.Person, ActEndSession, "all others"))
}

// EndSessionsOf ends every session of another person, by an administrator.
func (a *Accounts) EndSessionsOf(ctx context.Context, t Attempt, by Session, p domain.PersonID) (int64, error) {
	if err := a.administers(ctx, t, by); err != nil {
		return 0, err
	}
	return a.state.EndSessions(ctx, p, "", a.entry(t, p, by.Person, ActEndSession, "all"))
}

// fresh refuses what needs a recent proof when there is none.
func (a *Accounts) fresh(t Attempt, s Session) error {
	if err := t.valid(); err != nil {
		return err
	}
	if s.Purpose != purposeUse || !s.Fresh(t.at) {
		return ErrNotFresh
	}
	return nil
}

// administers refuses whoever is no administrator with a recent proof.
func (a *Accounts) administers(ctx context.Context, t Attempt, s Session) error {
	if err := a.fresh(t, s); err != nil {
		return err
	}
	p, err := a.person(ctx, s.Person)
	if err != nil {
		return err
	}
	if !p.ActorAt(t.at).Has(domain.RoleAdmin, "") {
		return fmt.Errorf("accounts: %s: %w", s.Person, domain.Refuse(domain.Forbidden, domain.CodeRoleMissing, "", "role", string(domain.RoleAdmin), "unit", ""))
	}
	return nil
}
