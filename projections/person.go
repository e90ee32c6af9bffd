package projections

import (
	"context"
	"strings"

	"github.com/answerable-ledger/answerable/domain"
)

// personRow is a person in the working set. The views hold personal data in this row alone; all others hold the id.
type personRow struct {
	id domain.PersonID
	chronicle
	dirty bool
}

func (w *set) applyPerson(s *step) error {
	id := domain.PersonID(strings.TrimPrefix(s.recorded.Stream, domain.CategoryPerson+"-"))
	switch s.fact.Event.(type) {
	case domain.PersonRegistered, domain.RoleGranted, domain.RoleRevoked, domain.CredentialEnrolled, domain.CredentialRevoked,
		domain.SignInMethodSet, domain.SignInMethodEnded:
	default:
		return errStrayKind
	}
	p := w.persons[id]
	if p == nil && w.from != nil {
		var err error
		if p, err = w.from.person(id); err != nil {
			return err
		}
	}
	if p == nil {
		p = &personRow{id: id}
	}
	if err := p.add(s, w.known); err != nil {
		return err
	}
	w.changing = true
	w.persons[id] = p
	p.dirty, w.directoryDirty = true, true
	return nil
}

// Person names a person as known now.
func (v *Views) Person(ctx context.Context, id domain.PersonID) (PersonRef, error) {
	var out PersonRef
	_, err := v.ask(ctx, "", nil, func(r *reader) (err error) {
		out, err = r.person(id)
		return err
	})
	return out, err
}
