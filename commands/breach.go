package commands

import (
	"context"

	"github.com/answerable-ledger/answerable/domain"
)

// ExplainBreach records a head's explanation.
func (l *Ledger) ExplainBreach(ctx context.Context, c Command, key domain.ReportKey, k domain.BreachKind, text string) (Result, error) {
	office, err := l.Office(ctx, key.Unit)
	if err != nil {
		return Result{}, err
	}
	return l.onReport(ctx, c, key, domain.RoleHead, func(r domain.Report, o obligation) ([]domain.Event, error) {
		return r.Explain(k, text, office, l.now(), o.actor)
	})
}

// ExcuseBreach records that a breach is excused.
func (l *Ledger) ExcuseBreach(ctx context.Context, c Command, key domain.ReportKey, k domain.BreachKind, reason string) (Result, error) {
	return l.onReport(ctx, c, key, domain.RoleDepartment, func(r domain.Report, o obligation) ([]domain.Event, error) {
		return r.Excuse(k, reason, o.actor)
	})
}

// UpholdBreach records that a breach stands in spite of its explanation.
func (l *Ledger) UpholdBreach(ctx context.Context, c Command, key domain.ReportKey, k domain.BreachKind, reason string) (Result, error) {
	return l.onReport(ctx, c, key, domain.RoleDepartment, func(r domain.Report, o obligation) ([]domain.Event, error) {
		return r.Uphold(k, reason, o.actor)
	})
}

// Remind records that a unit was urged.
func (l *Ledger) Remind(ctx context.Context, c Command, key domain.ReportKey, via, text string) (Result, error) {
	return l.onReport(ctx, c, key, domain.RoleDistrict, func(r domain.Report, o obligation) ([]domain.Event, error) {
		return r.Remind(o.Obligation, via, text, o.actor)
	})
}

func (l *Ledger) onReport(ctx context.Context, c Command, key domain.ReportKey, role domain.Role, decide func(domain.Report, obligation) ([]domain.Event, error)) (Result, error) {
	o, err := l.obligation(ctx, c, key)
	if err != nil {
		return Result{}, err
	}
	c.Role = actingRole(c, o, role)
	return change(ctx, l, c, key.Stream(), l.loadReport(key), func(r domain.Report) ([]domain.Event, error) {
		return decide(r, o)
	})
}
