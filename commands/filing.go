package commands

import (
	"context"

	"github.com/answerable-ledger/answerable/domain"
)

// FilingSignature is what the machine of a unit sends beside a filing, so that nobody else, the operator neither, can say
// that it filed something else.
type FilingSignature struct {
	Nonce     string // names the act in the statement; good once
	Signature domain.Signature
}

// signed checks a filing's signature over the statement that the ledger makes of the filing itself; nil for a filing that
// carries none.
func (l *Ledger) signed(ctx context.Context, c Command, s *FilingSignature, statement domain.FilingStatement) (*domain.SignedFiling, error) {
	if s == nil {
		return nil, nil
	}
	if l.signatures == nil { // what nobody checked must not stand in the ledger as if somebody had
		return nil, domain.Refuse(domain.Forbidden, domain.CodeSignatureRefused, "/signature", "reason", "not_judged")
	}
	if s.Nonce == "" {
		return nil, domain.Refuse(domain.Invalid, domain.CodeTextMissing, "/signature/nonce")
	}
	statement.Signer, statement.Nonce = c.Actor, s.Nonce
	signer, err := l.Person(ctx, c.Actor)
	if err != nil {
		return nil, err
	}
	filed := domain.SignedFiling{Statement: statement.Text(), Signature: s.Signature}
	if err := l.signatures.Check(signer, filed.Statement, &filed.Signature, c.ReceivedAt); err != nil {
		return nil, err
	}
	return &filed, nil
}

func (f Filing) statement(form domain.Form) domain.FilingStatement {
	return domain.FilingStatement{Key: f.Key, FormVersion: form.Version, Figures: f.Figures, Nil: f.Nil, Note: f.Note}
}

func (f Replacement) statement(form domain.Form) domain.FilingStatement {
	s := f.Filing.statement(form)
	s.Replaces, s.Correction, s.Reason = f.Replaces, f.Correction, f.Reason
	return s
}
