package api

import (
	"github.com/answerable-ledger/answerable/commands"
	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/intake"
)

// parseFiling reads the body of a submission. What it means on its day, the ledger decides.
func (h *Handler) parseFiling(c *call, raw []byte) (commands.Filing, error) {
	key := c.reportKey()
	s, err := intake.ParseReport(raw, h.Registry, key, h.dutyOf(c, key))
	return filing(key, s), err
}

func (h *Handler) parseReplacement(c *call, raw []byte) (commands.Replacement, error) {
	key := c.reportKey()
	s, err := intake.ParseCorrection(raw, h.Registry, key, h.dutyOf(c, key))
	return commands.Replacement{Filing: commands.Filing{Key: key, FormVersion: s.FormVersion, Figures: s.Figures, Nil: s.Nil, Note: s.Note},
		Replaces: s.Replaces, Correction: s.Correction, Reason: s.Reason}, err
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
