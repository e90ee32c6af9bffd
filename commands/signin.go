package commands

import (
	"context"

	"github.com/answerable-ledger/answerable/domain"
)

// SetSignInMethod records that a person gets a way to sign in. The caller gives it effect afterwards, so that there is
// none the log does not tell of.
func (l *Ledger) SetSignInMethod(ctx context.Context, c Command, e domain.SignInMethodSet) (Result, error) {
	return l.onPerson(ctx, c, e.Person, func(p domain.Person, by domain.Actor) ([]domain.Event, error) {
		return p.SetSignIn(e, by)
	})
}

// EndSignInMethod records that a way to sign in has ended; the caller has ended it already. Of one that is not in use as
// far as the log tells, nothing is recorded.
func (l *Ledger) EndSignInMethod(ctx context.Context, c Command, e domain.SignInMethodEnded) (Result, error) {
	return l.onPerson(ctx, c, e.Person, func(p domain.Person, by domain.Actor) ([]domain.Event, error) {
		return p.EndSignIn(e, by)
	})
}
