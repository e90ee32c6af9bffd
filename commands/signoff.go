package commands

import (
	"context"
	"time"

	"github.com/answerable-ledger/answerable/domain"
)

// Signatures judges what signs a sign-off or a filing, before it is recorded.
type Signatures interface {
	// Check refuses an act whose signature is wanted and missing, or is not over exactly this statement by a key that
	// the signer has enrolled and that is in force. at is when the attempt was received.
	Check(signer domain.Person, statement string, s *domain.Signature, at time.Time) error
}

// JudgeSignatures has every sign-off judged from now on; it is called before the first command. Without a judge a sign-off
// that carries a signature is refused: what nobody checked must not stand in the ledger as if somebody had.
func (l *Ledger) JudgeSignatures(s Signatures) { l.signatures = s }

func (l *Ledger) checkSignature(ctx context.Context, events []domain.Event, at time.Time) error {
	for _, e := range events {
		x, ok := e.(domain.ReportSignedOff)
		if !ok {
			continue
		}
		if l.signatures == nil {
			if x.Signature != nil {
				return domain.Refuse(domain.Forbidden, domain.CodeSignatureRefused, "/signature", "reason", "not_judged")
			}
			continue
		}
		signer, err := l.Person(ctx, x.Signer)
		if err != nil {
			return err
		}
		if err := l.signatures.Check(signer, x.Statement, x.Signature, at); err != nil {
			return err
		}
	}
	return nil
}

// asSigner completes a command of whoever could sign a report, and reads what it is decided on.
func (l *Ledger) asSigner(ctx context.Context, c Command, key domain.ReportKey) (Command, obligation, domain.Office, error) {
	o, err := l.obligation(ctx, c, key)
	if err != nil {
		return c, o, domain.Office{}, err
	}
	office, err := l.Office(ctx, key.Unit)
	if err != nil {
		return c, o, office, err
	}
	if c, err = l.complete(c); err == nil {
		c.Role = actingRole(c, o, domain.RoleHead)
	}
	return c, o, office, err
}

// SignOff records a signature on the newest version of a report. The office is read before the report: whoever loses
// office in between has signed in office, at the instant the attempt was received (rule 7).
func (l *Ledger) SignOff(ctx context.Context, c Command, key domain.ReportKey, a domain.SigningAttempt) (Result, error) {
	c, o, office, err := l.asSigner(ctx, c, key)
	if err != nil {
		return Result{}, err
	}
	rules, _ := o.regime.RulesVersion(o.RegimeVersion)
	a.At = c.ReceivedAt
	return change(ctx, l, c, key.Stream(), l.loadReport(key), func(r domain.Report) ([]domain.Event, error) {
		events, err := r.SignOff(a, o.Obligation, rules, office, o.actor)
		if err != nil {
			return nil, err
		}
		return events, l.checkSignature(ctx, events, a.At)
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
