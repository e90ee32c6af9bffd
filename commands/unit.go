package commands

import (
	"context"

	"github.com/answerable-ledger/answerable/domain"
)

// RegisterUnit records a unit.
func (l *Ledger) RegisterUnit(ctx context.Context, c Command, e domain.UnitRegistered) (Result, error) {
	return l.onUnit(ctx, c, e.Unit, func(u domain.Unit, by domain.Actor) ([]domain.Event, error) {
		return u.Register(e, by)
	})
}

// ChangeUnit records a rename, reclassification, move, merger or dissolution.
func (l *Ledger) ChangeUnit(ctx context.Context, c Command, unit domain.UnitCode, e domain.Event) (Result, error) {
	return l.onUnit(ctx, c, unit, func(u domain.Unit, by domain.Actor) ([]domain.Event, error) {
		return u.Change(e, by)
	})
}

func (l *Ledger) onUnit(ctx context.Context, c Command, unit domain.UnitCode, decide func(domain.Unit, domain.Actor) ([]domain.Event, error)) (Result, error) {
	if !domain.ValidID(string(unit)) {
		return Result{}, domain.Refuse(domain.Invalid, domain.CodeID, "/unit", "value", string(unit))
	}
	by, err := l.actor(ctx, c.Actor)
	if err != nil {
		return Result{}, err
	}
	if c.Role == "" {
		c.Role = by.RoleFor("", domain.RoleDepartment)
	}
	return change(ctx, l, c, domain.UnitStream(unit), l.loadUnit, func(u domain.Unit) ([]domain.Event, error) {
		return decide(u, by)
	})
}
