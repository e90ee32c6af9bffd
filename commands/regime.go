package commands

import (
	"context"
	"time"

	"github.com/answerable-ledger/answerable/domain"
)

// IssueRegime records the first version of a regime's rules.
func (l *Ledger) IssueRegime(ctx context.Context, c Command, id domain.RegimeID, rules domain.Rules) (Result, error) {
	if err := l.checkForms(rules); err != nil {
		return Result{}, err
	}
	return l.onRegime(ctx, c, id, func(r domain.Regime, by domain.Actor) ([]domain.Event, error) {
		return r.Issue(id, rules, by)
	})
}

// AmendRegime records the next version of a regime's rules.
func (l *Ledger) AmendRegime(ctx context.Context, c Command, id domain.RegimeID, rules domain.Rules, reason string) (Result, error) {
	if err := l.checkForms(rules); err != nil {
		return Result{}, err
	}
	return l.onRegime(ctx, c, id, func(r domain.Regime, by domain.Actor) ([]domain.Event, error) {
		return r.Amend(rules, reason, by)
	})
}

// dayOf reads a day, and refuses units that were never registered.
func (l *Ledger) dayOf(ctx context.Context, id domain.RegimeID, date domain.Date, units []domain.UnitCode) (domain.Day, error) {
	day, err := l.Day(ctx, id, date)
	if err == nil {
		err = l.knownUnits(ctx, units)
	}
	return day, err
}

// ExtendDeadline records a later deadline for a duty on a day.
func (l *Ledger) ExtendDeadline(ctx context.Context, c Command, id domain.RegimeID, duty domain.DutyID, date domain.Date, units []domain.UnitCode, due time.Time, reason string) (Result, error) {
	day, err := l.dayOf(ctx, id, date, units)
	if err != nil {
		return Result{}, err
	}
	return l.onRegime(ctx, c, id, func(r domain.Regime, by domain.Actor) ([]domain.Event, error) {
		return r.Extend(day, duty, date, units, due, reason, l.now(), by)
	})
}

// ExemptDay records that units are freed of duties on a day.
func (l *Ledger) ExemptDay(ctx context.Context, c Command, id domain.RegimeID, date domain.Date, duties []domain.DutyID, units []domain.UnitCode, reason string) (Result, error) {
	day, err := l.dayOf(ctx, id, date, units)
	if err != nil {
		return Result{}, err
	}
	return l.onRegime(ctx, c, id, func(r domain.Regime, by domain.Actor) ([]domain.Event, error) {
		return r.Exemption(day, date, duties, units, reason, l.now(), by)
	})
}

// CloseRegime records a regime's last day.
func (l *Ledger) CloseRegime(ctx context.Context, c Command, id domain.RegimeID, last domain.Date, reason string) (Result, error) {
	return l.onRegime(ctx, c, id, func(r domain.Regime, by domain.Actor) ([]domain.Event, error) {
		return r.Close(last, reason, by)
	})
}

func (l *Ledger) onRegime(ctx context.Context, c Command, id domain.RegimeID, decide func(domain.Regime, domain.Actor) ([]domain.Event, error)) (Result, error) {
	if !domain.ValidID(string(id)) {
		return Result{}, domain.Refuse(domain.Invalid, domain.CodeID, "/regime", "value", string(id))
	}
	by, err := l.actor(ctx, c.Actor)
	if err != nil {
		return Result{}, err
	}
	if c.Role == "" {
		c.Role = by.RoleFor("", domain.RoleDepartment)
	}
	return change(ctx, l, c, domain.RegimeStream(id), l.loadRegime, func(r domain.Regime) ([]domain.Event, error) {
		return decide(r, by)
	})
}

// checkForms refuses rules that name a form or a field that no schema defines.
func (l *Ledger) checkForms(rules domain.Rules) error {
	for _, d := range rules.Duties {
		if _, ok := l.registry.Form(d.Form, d.FormVersion); !ok {
			return domain.Refuse(domain.Invalid, domain.CodeFormUnknown, "/duties", "form", string(d.Form))
		}
	}
	for _, t := range rules.Targets {
		d, ok := rules.Duty(t.Duty)
		if !ok {
			continue // the domain names it
		}
		form, _ := l.registry.Form(d.Form, d.FormVersion)
		for _, name := range []string{t.Numerator, t.Denominator} {
			if _, ok := form.Field(name); !ok {
				return domain.Refuse(domain.Invalid, domain.CodeFieldUnknown, "/targets", "field", name)
			}
		}
	}
	return nil
}

func (l *Ledger) knownUnits(ctx context.Context, units []domain.UnitCode) error {
	for _, u := range units {
		if _, err := l.Unit(ctx, u); err != nil {
			return err
		}
	}
	return nil
}
