package accounts

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/answerable-ledger/answerable/domain"
)

// Offices is what accounts need of the units' offices: who signs by an office alone holds no role, and needs a passkey.
type Offices interface {
	Units(ctx context.Context) ([]domain.Unit, error)
	Office(ctx context.Context, u domain.UnitCode) (domain.Office, error)
}

// roleToEnrol is the role that the event of a person's enrolment names: "" leaves it to the ledger, which finds it among
// their roles; who holds none, and is in office or has an authority to sign at the instant, enrols in the role of heads.
// What they may sign with it, the ledger asks of the office again at every signature (rule 7). ErrNoRole otherwise.
func (a *Accounts) roleToEnrol(ctx context.Context, p domain.Person, at time.Time) (domain.Role, error) {
	return a.roleOf(ctx, p, at, func(o domain.Office) bool {
		return slices.ContainsFunc(o.Tenures, func(t domain.Tenure) bool { return t.Person == p.ID && t.Covers(at) }) ||
			slices.ContainsFunc(o.Authorities, func(x domain.Authority) bool { return x.Person == p.ID && x.Covers(at) })
	})
}

// roleToRevoke is the same for ending a passkey's use. It takes no right that is still in force: who has left keeps a
// passkey that signs them in, and must be able to end it when it is lost.
func (a *Accounts) roleToRevoke(ctx context.Context, p domain.Person, at time.Time) (domain.Role, error) {
	return a.roleOf(ctx, p, at, func(o domain.Office) bool {
		return slices.ContainsFunc(o.Tenures, func(t domain.Tenure) bool { return t.Person == p.ID }) ||
			slices.ContainsFunc(o.Authorities, func(x domain.Authority) bool { return x.Person == p.ID })
	})
}

func (a *Accounts) roleOf(ctx context.Context, p domain.Person, at time.Time, entitles func(domain.Office) bool) (domain.Role, error) {
	if len(p.ActorAt(at).Grants) > 0 {
		return "", nil
	}
	units, err := a.ledger.Units(ctx)
	if err != nil {
		return "", fmt.Errorf("accounts: what %s signs for: %w", p.ID, err)
	}
	for _, u := range units {
		o, err := a.ledger.Office(ctx, u.Code)
		if err != nil {
			return "", fmt.Errorf("accounts: whether %s signs for %s: %w", p.ID, u.Code, err)
		}
		if entitles(o) {
			return domain.RoleHead, nil
		}
	}
	return "", ErrNoRole
}
