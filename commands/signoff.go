package commands

import (
	"context"

	"github.com/answerable-ledger/answerable/domain"
)

// SignOff records a signature on the newest version of a report. The office is read before the report: whoever loses
// office in between has signed in office, at the instant the attempt was received (rule 7).
func (l *Ledger) SignOff(ctx context.Context, c Command, key domain.ReportKey, a domain.SigningAttempt) (Result, error) {
	o, err := l.obligation(ctx, c, key)
	if err != nil {
		return Result{}, err
	}
	office, err := l.Office(ctx, key.Unit)
	if err != nil {
		return Result{}, err
	}
	if c, err = l.complete(c); err != nil {
		return Result{}, err
	}
	c.Role = actingRole(c, o, domain.RoleHead)
	rules, _ := o.regime.RulesVersion(o.RegimeVersion)
	a.At = c.ReceivedAt
	return change(ctx, l, c, key.Stream(), l.loadReport(key), func(r domain.Report) ([]domain.Event, error) {
		return r.SignOff(a, o.Obligation, rules, office, o.actor)
	})
}

// Statement is the exact text that a person would sign for the newest version of a report now, with that version.
func (l *Ledger) Statement(ctx context.Context, person domain.PersonID, key domain.ReportKey, checkpoint, nonce string) (string, domain.Version, error) {
	office, err := l.Office(ctx, key.Unit)
	if err != nil {
		return "", domain.Version{}, err
	}
	right, err := office.Right(person, key.Form, l.now())
	if err != nil {
		return "", domain.Version{}, err
	}
	r, err := l.Report(ctx, key)
	if err != nil {
		return "", domain.Version{}, err
	}
	v, ok := r.Newest()
	if !ok {
		return "", v, domain.Refuse(domain.NotFound, domain.CodeNotSubmitted, "", "unit", string(key.Unit), "date", string(key.Date))
	}
	return domain.Statement(key, v, right, person, checkpoint, nonce), v, nil
}
