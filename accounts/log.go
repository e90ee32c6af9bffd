package accounts

import (
	"context"

	"github.com/answerable-ledger/answerable/appstate"
	"github.com/answerable-ledger/answerable/domain"
)

// Act is what the account log says happened.
type Act string

const (
	ActSignIn         Act = "sign_in"
	ActRefused        Act = "sign_in_refused" // a wrong password or passkey; Detail says what was wrong
	ActCloned         Act = "passkey_cloned"  // a passkey counted no further: there may be two of it
	ActStepUp         Act = "step_up"
	ActSignOut        Act = "sign_out"
	ActEndSession     Act = "end_session"
	ActPasskey        Act = "passkey_enrolled"
	ActPasskeyRevoked Act = "passkey_revoked"
	ActPassword       Act = "password_set"
	ActPasswordGone   Act = "password_removed"
	ActSubject        Act = "subject_bound" // to who they are at a provider
	ActSubjectGone    Act = "subject_unbound"
	ActLink           Act = "link_issued"
	ActLinkUsed       Act = "link_used"
)

func (a *Accounts) entry(t Attempt, person, by domain.PersonID, act Act, detail string) appstate.AccountEntry {
	return appstate.AccountEntry{At: t.at, Person: person, By: by, Act: string(act), Address: t.address, Detail: truncate(detail, 500)}
}

// refused logs a sign-in that failed. What was typed is not in it when it names nobody: people type passwords into the
// wrong field.
func (a *Accounts) refused(ctx context.Context, t Attempt, person domain.PersonID, why string) error {
	if err := a.state.LogAccount(ctx, a.entry(t, person, "", ActRefused, why)); err != nil {
		return err
	}
	return ErrRefused
}

// Log lists what happened to a person's account, the newest first; person "" is everybody's, before 0 begins at the end.
func (a *Accounts) Log(ctx context.Context, person domain.PersonID, before int64, limit int) ([]appstate.AccountEntry, error) {
	return a.state.AccountEntries(ctx, person, before, limit)
}
