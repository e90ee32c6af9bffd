package commands

import (
	"context"

	"github.com/answerable-ledger/answerable/domain"
)

// TakeOffice records that a person became head or acting head.
func (l *Ledger) TakeOffice(ctx context.Context, c Command, e domain.OfficeTaken) (Result, error) {
	if err := l.knownPerson(ctx, e.Person); err != nil {
		return Result{}, err
	}
	return l.onOffice(ctx, c, e.Unit, func(o domain.Office, by domain.Actor) ([]domain.Event, error) {
		return o.Take(e, l.now(), by)
	})
}

// LeaveOffice records that a head left.
func (l *Ledger) LeaveOffice(ctx context.Context, c Command, e domain.OfficeLeft) (Result, error) {
	return l.onOffice(ctx, c, e.Unit, func(o domain.Office, by domain.Actor) ([]domain.Event, error) {
		return o.Leave(e, by)
	})
}

// GrantAuthority records that a person may sign for a head.
func (l *Ledger) GrantAuthority(ctx context.Context, c Command, e domain.AuthorityGranted) (Result, error) {
	if err := l.knownPerson(ctx, e.Person); err != nil {
		return Result{}, err
	}
	return l.onOffice(ctx, c, e.Unit, func(o domain.Office, by domain.Actor) ([]domain.Event, error) {
		return o.Grant(e, l.now(), by)
	})
}

// RevokeAuthority records that they may no longer.
func (l *Ledger) RevokeAuthority(ctx context.Context, c Command, unit domain.UnitCode, authority, reason string) (Result, error) {
	return l.onOffice(ctx, c, unit, func(o domain.Office, by domain.Actor) ([]domain.Event, error) {
		return o.Revoke(authority, reason, l.now(), by)
	})
}

func (l *Ledger) onOffice(ctx context.Context, c Command, unit domain.UnitCode, decide func(domain.Office, domain.Actor) ([]domain.Event, error)) (Result, error) {
	if _, err := l.Unit(ctx, unit); err != nil {
		return Result{}, err
	}
	by, err := l.actor(ctx, c.Actor)
	if err != nil {
		return Result{}, err
	}
	if c.Role == "" {
		c.Role = by.RoleFor(unit, domain.RoleDepartment, domain.RoleHead)
	}
	return change(ctx, l, c, domain.OfficeStream(unit), l.loadOffice, func(o domain.Office) ([]domain.Event, error) {
		o.Unit = unit
		return decide(o, by)
	})
}

func (l *Ledger) knownPerson(ctx context.Context, p domain.PersonID) error {
	person, err := l.Person(ctx, p)
	if err == nil && !person.Exists() {
		return domain.Refuse(domain.NotFound, domain.CodePersonUnknown, "/person", "person", string(p))
	}
	return err
}
