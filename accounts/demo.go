package accounts

import (
	"context"

	"github.com/answerable-ledger/answerable/domain"
)

// Demo is the leave to sign in without proof. Its zero value gives none; EnableDemo gives it. It has nothing that a flag,
// a file or the environment could set: a program is the demonstration because its source says so.
type Demo struct{ granted bool }

// EnableDemo is called by the demonstration's command and nowhere else; a test looks.
func EnableDemo() Demo { return Demo{granted: true} }

// SignInAs signs in as one of the demonstration's own persons, who prove nothing. ErrNoDemo everywhere else, and for every
// person who is not synthetic.
func (a *Accounts) SignInAs(ctx context.Context, t Attempt, person domain.PersonID) (Opened, error) {
	if !a.demo.granted {
		return Opened{}, ErrNoDemo
	}
	if err := t.valid(); err != nil {
		return Opened{}, err
	}
	p, err := a.person(ctx, person)
	if err != nil {
		return Opened{}, err
	}
	if !p.Synthetic {
		return Opened{}, ErrNoDemo
	}
	return a.open(ctx, t, p.ID, MethodDemo, "")
}
