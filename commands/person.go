package commands

import (
	"context"
	"time"

	"github.com/answerable-ledger/answerable/domain"
)

// RegisterPerson records a person.
func (l *Ledger) RegisterPerson(ctx context.Context, c Command, e domain.PersonRegistered) (Result, error) {
	return l.onPerson(ctx, c, e.Person, func(p domain.Person, by domain.Actor) ([]domain.Event, error) {
		return p.Register(e, by)
	})
}

// GrantRole records a role; until nil is without end.
func (l *Ledger) GrantRole(ctx context.Context, c Command, person domain.PersonID, role domain.Role, unit domain.UnitCode, from time.Time, until *time.Time) (Result, error) {
	if unit != "" {
		if _, err := l.Unit(ctx, unit); err != nil {
			return Result{}, err
		}
	}
	return l.onPerson(ctx, c, person, func(p domain.Person, by domain.Actor) ([]domain.Event, error) {
		return p.GrantRole(role, unit, from, until, by)
	})
}

// RevokeRole records a role's end.
func (l *Ledger) RevokeRole(ctx context.Context, c Command, person domain.PersonID, role domain.Role, unit domain.UnitCode, reason string) (Result, error) {
	return l.onPerson(ctx, c, person, func(p domain.Person, by domain.Actor) ([]domain.Event, error) {
		return p.RevokeRole(role, unit, reason, l.now(), by)
	})
}

// EnrollCredential records a key a person signs with.
func (l *Ledger) EnrollCredential(ctx context.Context, c Command, e domain.CredentialEnrolled) (Result, error) {
	return l.onPerson(ctx, c, e.Person, func(p domain.Person, by domain.Actor) ([]domain.Event, error) {
		return p.Enroll(e, by)
	})
}

// RevokeCredential records a key's end.
func (l *Ledger) RevokeCredential(ctx context.Context, c Command, person domain.PersonID, credential, reason string) (Result, error) {
	return l.onPerson(ctx, c, person, func(p domain.Person, by domain.Actor) ([]domain.Event, error) {
		return p.RevokeCredential(credential, reason, l.now(), by)
	})
}

func (l *Ledger) onPerson(ctx context.Context, c Command, person domain.PersonID, decide func(domain.Person, domain.Actor) ([]domain.Event, error)) (Result, error) {
	if !domain.ValidID(string(person)) {
		return Result{}, domain.Refuse(domain.Invalid, domain.CodeID, "/person", "value", string(person))
	}
	by, err := l.actor(ctx, c.Actor)
	if err != nil {
		return Result{}, err
	}
	if c.Role == "" {
		c.Role = by.RoleFor("", domain.RoleAdmin)
	}
	return change(ctx, l, c, domain.PersonStream(person), l.loadPerson, func(p domain.Person) ([]domain.Event, error) {
		return decide(p, by)
	})
}
