package accounts

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/answerable-ledger/answerable/appstate"
	"github.com/answerable-ledger/answerable/commands"
	"github.com/answerable-ledger/answerable/domain"
)

// ActUntold: a way to sign in has ended and the log could not be told. Reconcile will.
const ActUntold Act = "end_not_recorded"

// settling is how long a way to sign in may be told of and not yet work: the write of the state follows the event's in
// the same request. Reconcile lets it be for so long.
const settling = 15 * time.Minute

// endsLookedThrough is how many lines of a person's account log are looked through for an end. Of one beyond them the log
// says that the ledger found it.
const endsLookedThrough = 10_000

// subjectDigest is how an event names a subject. Who has the state can show which one it is; who has the log alone
// cannot try subjects out, which are often numbers: the salt is not in it.
func subjectDigest(x appstate.Subject) string {
	h := sha256.New()
	for _, s := range []string{x.Salt, x.Issuer, x.Subject} {
		fmt.Fprintf(h, "%d:%s", len(s), s)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// endedDetail is the account log's line of a binding's end, which Reconcile reads: the binding has gone by then.
func endedDetail(x appstate.Subject, digest, why string) string {
	return fmt.Sprintf("(%s) %s %s: %s", digest[:16], x.Issuer, x.Subject, why)
}

// checkWhy wants a reason of whoever ends another person's way to sign in. What it refuses the ledger would refuse too,
// when it is too late: the way ends first.
func checkWhy(person, by domain.PersonID, why string) error {
	if person != by && strings.TrimSpace(why) == "" {
		return domain.Refuse(domain.Invalid, domain.CodeTextMissing, "/reason")
	}
	if len(why) > domain.MaxTextBytes || strings.ToValidUTF8(why, "") != why {
		return domain.Refuse(domain.Invalid, domain.CodeTextTooLong, "/reason", "max", "8192")
	}
	return nil
}

// tellSet records that a person sets a way to sign in, before it works: whatever lets somebody in, the log told of first.
// A crash after it leaves a way that is told of and does not work, and its person, who got no answer, sets it again.
func (a *Accounts) tellSet(ctx context.Context, t Attempt, p domain.Person, s Session, e domain.SignInMethodSet) error {
	role, err := a.roleToSignIn(ctx, p, t.at)
	if err != nil {
		return err
	}
	e.Person, e.Link = p.ID, s.Link
	if e.LinkBy, err = a.linkBy(ctx, s); err != nil {
		return err
	}
	_, err = a.ledger.SetSignInMethod(ctx, commands.Command{ID: domain.NewCommandID("set-sign-in-method", string(p.ID), newName()), Actor: p.ID, Role: role, Channel: domain.ChannelWeb, ReceivedAt: t.at}, e)
	if err != nil {
		return fmt.Errorf("accounts: record that %s sets a %s: %w", p.ID, e.Method, err)
	}
	return nil
}

// roleToSignIn is the role that the event of setting a way to sign in names. A right that has ended will do: whoever was
// in office reads what they answer for.
func (a *Accounts) roleToSignIn(ctx context.Context, p domain.Person, at time.Time) (domain.Role, error) {
	role, err := a.roleToRevoke(ctx, p, at)
	if errors.Is(err, ErrNoRole) && len(p.Grants) > 0 {
		return p.Grants[len(p.Grants)-1].Role, nil
	}
	return role, err
}

// tellEnded records that a way to sign in has ended, after it has: a log that is away keeps nobody from ending one. It
// then stands in the account log, and Reconcile tells it.
func (a *Accounts) tellEnded(ctx context.Context, t Attempt, e domain.SignInMethodEnded) error {
	err := a.recordEnd(ctx, e, e.EndedBy, t.at)
	if err == nil {
		return nil
	}
	return a.state.LogAccount(ctx, a.entry(t, e.Person, e.EndedBy, ActUntold, e.Method+": "+err.Error()))
}

// recordEnd appends the event of an end once, whoever else does it too: the command is named by the event it ends.
func (a *Accounts) recordEnd(ctx context.Context, e domain.SignInMethodEnded, by domain.PersonID, at time.Time) error {
	p, err := a.ledger.Person(ctx, e.Person)
	if err != nil {
		return fmt.Errorf("accounts: find %s: %w", e.Person, err)
	}
	m, inUse := p.SignInMethod(e.Method, e.Digest)
	if !inUse {
		return nil
	}
	c := commands.Command{ID: domain.NewCommandID("end-sign-in-method", m.Event.String()), Actor: by, Channel: domain.ChannelWeb, ReceivedAt: at}
	if by == e.Person {
		if c.Role, err = a.roleToSignIn(ctx, p, at); errors.Is(err, ErrNoRole) {
			by, err = domain.System, nil
		}
		if err != nil {
			return err
		}
	}
	if by == domain.System {
		c.Actor, c.Role, c.Channel = domain.System, domain.RoleSystem, domain.ChannelSystem
	}
	if _, err := a.ledger.EndSignInMethod(ctx, c, e); err != nil {
		return fmt.Errorf("accounts: record the end of a %s of %s: %w", e.Method, e.Person, err)
	}
	return nil
}

// Reconcile makes the log tell of the ways to sign in that there are, and of no others: what a crash left between log and
// state, an end while the log was away, and a state that was put back from a backup. It gives the number of events it
// appended or others did at the same time. A server does it when it starts and from time to time.
func (a *Accounts) Reconcile(ctx context.Context) (told int, err error) {
	persons, err := a.state.AccountPersons(ctx)
	if err != nil {
		return 0, err
	}
	for _, id := range persons {
		n, err := a.reconcile(ctx, id)
		told += n
		if err != nil {
			return told, err
		}
	}
	return told, nil
}

func (a *Accounts) reconcile(ctx context.Context, id domain.PersonID) (told int, err error) {
	// The state first: what it has, the log was told of before.
	there, err := a.signInMethods(ctx, id)
	if err != nil {
		return 0, err
	}
	p, err := a.ledger.Person(ctx, id)
	if err != nil {
		return 0, fmt.Errorf("accounts: find %s: %w", id, err)
	}
	if !p.Exists() {
		return 0, nil
	}
	now := a.now()
	works := map[string]bool{}
	for _, e := range there {
		works[e.Method+e.Digest] = true
		if _, told := p.SignInMethod(e.Method, e.Digest); told {
			continue
		}
		c := commands.Command{ID: domain.NewCommandID("found-sign-in-method", string(id), newName()), Actor: domain.System, Role: domain.RoleSystem, Channel: domain.ChannelSystem, ReceivedAt: now}
		if _, err := a.ledger.SetSignInMethod(ctx, c, e); err != nil {
			return told, fmt.Errorf("accounts: record a %s of %s: %w", e.Method, id, err)
		}
		told++
	}
	for _, m := range p.SignInMethods {
		if !m.EndedAt.IsZero() || works[m.Method+m.Digest] {
			continue
		}
		e, ended, err := a.endOf(ctx, m)
		if err != nil {
			return told, err
		}
		if !ended { // it never worked, or is about to
			if m.SetAt.Add(settling).After(now) {
				continue
			}
			e.At, e.EndedBy, e.Reason = now, domain.System, "it was told of and never worked"
		}
		if err := a.recordEnd(ctx, e, domain.System, now); err != nil {
			return told, err
		}
		told++
	}
	return told, nil
}

// signInMethods are the ways to sign in that the state has.
func (a *Accounts) signInMethods(ctx context.Context, id domain.PersonID) ([]domain.SignInMethodSet, error) {
	var out []domain.SignInMethodSet
	_, err := a.state.Password(ctx, id)
	switch {
	case err == nil:
		out = append(out, domain.SignInMethodSet{Person: id, Method: domain.SignInPassword})
	case !errors.Is(err, appstate.ErrNoPassword):
		return nil, err
	}
	subjects, err := a.state.Subjects(ctx, id)
	for _, x := range subjects {
		out = append(out, domain.SignInMethodSet{Person: id, Method: domain.SignInOIDC, Issuer: x.Issuer, Digest: subjectDigest(x)})
	}
	return out, err
}

// endOf finds in the account log who ended a way to sign in, when and why.
func (a *Accounts) endOf(ctx context.Context, m domain.SignInMethod) (e domain.SignInMethodEnded, ended bool, err error) {
	e = domain.SignInMethodEnded{Person: m.Person, Method: m.Method, Digest: m.Digest}
	entries, err := a.state.AccountEntries(ctx, m.Person, 0, endsLookedThrough)
	for _, x := range entries {
		switch {
		case x.At.Before(m.SetAt): // what ended before it was set was another
			return e, false, err
		case m.Method == domain.SignInPassword && x.Act == string(ActPassword): // it worked last
			return e, false, err
		case m.Method == domain.SignInPassword && x.Act == string(ActPasswordGone):
			e.At, e.EndedBy, e.Reason = x.At, x.By, x.Detail
			return e, true, err
		case m.Method == domain.SignInOIDC && x.Act == string(ActSubjectGone) && strings.HasPrefix(x.Detail, "("+m.Digest[:16]+")"):
			_, why, _ := strings.Cut(x.Detail, ": ")
			e.At, e.EndedBy, e.Reason = x.At, x.By, why
			return e, true, err
		}
	}
	return e, false, err
}
