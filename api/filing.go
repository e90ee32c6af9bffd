package api

import (
	"net/http"
	"strings"

	"github.com/answerable-ledger/answerable/commands"
	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/intake"
)

// signatureHeader carries what the machine of a unit signs its filing with: "<credential> <signature>".
const signatureHeader = "Answerable-Signature"

// filingSignature reads the signature of a filing, nil when it has none. The request's key is the statement's nonce: so a
// statement is good for one act, and for its repeats.
func (c *call) filingSignature() (*commands.FilingSignature, error) {
	sent := c.r.Header.Values(signatureHeader)
	if len(sent) == 0 {
		return nil, nil
	}
	key, err := c.idempotencyKey()
	if err != nil {
		return nil, err
	}
	if key == "" {
		return nil, refuse(http.StatusBadRequest, codeKeyMissing).in(keyHeader)
	}
	credential, signature, ok := strings.Cut(sent[0], " ")
	if !ok || len(sent) > 1 || credential == "" || len(credential) > 2048 {
		return nil, domain.Refuse(domain.Forbidden, domain.CodeSignatureRefused, "/signature", "reason", "malformed")
	}
	return &commands.FilingSignature{Nonce: key, Signature: domain.Signature{Method: "ed25519", Credential: credential, Signature: signature}}, nil
}

// parseFiling reads the body of a submission. What it means on its day, the ledger decides.
func (h *Handler) parseFiling(c *call, raw []byte) (commands.Filing, error) {
	key := c.reportKey()
	s, err := intake.ParseReport(raw, h.Registry, key, h.dutyOf(c, key))
	if err != nil {
		return commands.Filing{}, err
	}
	out := filing(key, s)
	out.Signed, err = c.filingSignature()
	return out, err
}

func (h *Handler) parseReplacement(c *call, raw []byte) (commands.Replacement, error) {
	key := c.reportKey()
	s, err := intake.ParseCorrection(raw, h.Registry, key, h.dutyOf(c, key))
	if err != nil {
		return commands.Replacement{}, err
	}
	out := commands.Replacement{Filing: commands.Filing{Key: key, FormVersion: s.FormVersion, Figures: s.Figures, Nil: s.Nil, Note: s.Note},
		Replaces: s.Replaces, Correction: s.Correction, Reason: s.Reason}
	out.Signed, err = c.filingSignature()
	return out, err
}

func filing(key domain.ReportKey, s domain.Submission) commands.Filing {
	return commands.Filing{Key: key, FormVersion: s.FormVersion, Figures: s.Figures, Nil: s.Nil, Note: s.Note}
}

// dutyOf is what the report is filed for. Where there is no such obligation the ledger says so later; the body is then read
// as that of a plain report.
func (h *Handler) dutyOf(c *call, key domain.ReportKey) domain.DayDuty {
	day, err := h.Ledger.Day(c.ctx, key.Regime, key.Date)
	if err != nil {
		return domain.DayDuty{}
	}
	duty, _ := day.DutyOf(key.Form, key.Unit)
	return duty
}
