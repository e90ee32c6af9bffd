package accounts

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/answerable-ledger/answerable/appstate"
	"github.com/answerable-ledger/answerable/domain"
)

// IssueLink makes a one-time link into a person's account, for an administrator who knows who they hand it to. The secret
// is told once. Whoever opens it can enrol a passkey or set a password, and nothing else; every earlier link of the person
// stops working. A page should carry the secret in a URL's fragment or a form, never in its path or query, which are logged.
func (a *Accounts) IssueLink(ctx context.Context, t Attempt, by Session, person domain.PersonID) (secret string, l appstate.Link, err error) {
	if err := a.administers(ctx, t, by); err != nil {
		return "", appstate.Link{}, err
	}
	return issueLink(ctx, a.ledger, a.state, a.entry(t, person, by.Person, ActLink, ""))
}

// IssueLocalLink makes the same for whoever holds the server's files: the first administrator, and one who lost everything.
func IssueLocalLink(ctx context.Context, l Ledger, s *appstate.State, now time.Time, person domain.PersonID) (secret string, link appstate.Link, err error) {
	return issueLink(ctx, l, s, appstate.AccountEntry{At: now, Person: person, By: domain.System, Act: string(ActLink)})
}

func issueLink(ctx context.Context, ledger Ledger, s *appstate.State, log appstate.AccountEntry) (string, appstate.Link, error) {
	p, err := ledger.Person(ctx, log.Person)
	if err != nil {
		return "", appstate.Link{}, fmt.Errorf("accounts: issue a link for %s: %w", log.Person, err)
	}
	if !p.Exists() || log.Person == domain.System {
		return "", appstate.Link{}, domain.Refuse(domain.NotFound, domain.CodePersonUnknown, "/person", "person", string(log.Person))
	}
	secret, hash := newSecret()
	l := appstate.Link{Hash: hash, ID: newName(), Person: p.ID, IssuedBy: log.By, CreatedAt: log.At, ExpiresAt: log.At.Add(LinkLimit)}
	log.Detail = l.ID
	if err := s.CreateLink(ctx, l, log); err != nil {
		return "", appstate.Link{}, err
	}
	return secret, l, nil
}

// OpenLink uses a link up. What it opens is an enrolment of EnrolLimit, not a session that signs in: its person proves who
// they are afterwards, with what they enrolled. ErrRefused says nothing of what is wrong with the link.
func (a *Accounts) OpenLink(ctx context.Context, t Attempt, secret string) (Opened, error) {
	if err := t.valid(); err != nil {
		return Opened{}, err
	}
	if err := a.byAddress.take(addressKey(t.address), t.at); err != nil {
		return Opened{}, err
	}
	sessionSecret, hash := newSecret()
	var s appstate.Session
	_, err := a.state.UseLink(ctx, hashSecret(secret), t.session, func(l appstate.Link) (appstate.Session, appstate.AccountEntry) {
		s = appstate.Session{Hash: hash, ID: newName(), Person: l.Person, Purpose: purposeEnrol, Method: string(MethodLink), Link: l.ID,
			CreatedAt: t.at, AuthenticatedAt: t.at, SeenAt: t.at, IdleUntil: t.at.Add(EnrolLimit), ExpiresAt: t.at.Add(EnrolLimit), Address: t.address, Agent: t.agent}
		return s, a.entry(t, l.Person, l.Person, ActLinkUsed, l.ID)
	})
	if errors.Is(err, appstate.ErrNoLink) {
		return Opened{}, a.refused(ctx, t, "", "one-time link")
	}
	if err != nil {
		return Opened{}, err
	}
	return Opened{sessionSecret, Session{s}}, nil
}

// mayEnrol refuses who may not change what they sign in with: it takes a recent proof, or the enrolment of a link.
func (a *Accounts) mayEnrol(t Attempt, s Session) error {
	if err := t.valid(); err != nil {
		return err
	}
	if s.Purpose == purposeEnrol && s.Live(t.at) {
		return nil
	}
	return a.fresh(t, s)
}
