package api

import (
	"github.com/answerable-ledger/answerable/commands"
	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/intake"
)

// parseFiling reads the body of a submission. What it means on its day, the ledger decides.
func (h *Handler) parseFiling(c *call, raw []byte) (commands.Filing, error) {
	key := c.reportKey()
	parse := intake.ParseReport
	if h.consolidates(c, key) {
		parse = intake.ParseConsolidated
	}
	s, err := parse(raw, h.Registry, key)
	return filing(key, s), err
}

func (h *Handler) parseReplacement(c *call, raw []byte) (commands.Replacement, error) {
	key := c.reportKey()
	parse := intake.ParseCorrection
	if h.consolidates(c, key) {
		parse = intake.ParseConsolidatedCorrection
	}
	s, err := parse(raw, h.Registry, key)
	return commands.Replacement{Filing: commands.Filing{Key: key, FormVersion: s.FormVersion, Figures: s.Figures, Nil: s.Nil, Note: s.Note},
		Replaces: s.Replaces, Correction: s.Correction, Reason: s.Reason}, err
}

func filing(key domain.ReportKey, s domain.Submission) commands.Filing {
	return commands.Filing{Key: key, FormVersion: s.FormVersion, Figures: s.Figures, Nil: s.Nil, Note: s.Note}
}

// consolidates reports whether the ledger sums the report itself. Where there is no such obligation the ledger says so
// later; the body is then read as that of a plain report.
func (h *Handler) consolidates(c *call, key domain.ReportKey) bool {
	day, err := h.Ledger.Day(c.ctx, key.Regime, key.Date)
	if err != nil || day.Opened == nil {
		return false
	}
	for _, d := range day.Opened.Duties {
		if d.Form == key.Form {
			return d.Consolidates != ""
		}
	}
	return false
}
