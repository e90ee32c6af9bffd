package web

import (
	"errors"
	"net/http"
	"slices"

	"github.com/answerable-ledger/answerable/api/ui"
	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/projections"
)

// chainPage takes a number of a synthesis apart: which report of which unit gave how much of it, in which version, and who
// answers for that; and of a consolidated report, the units below (rule 9).
func (h *Handler) chainPage(c *call) error {
	f, err := c.frame("chain")
	if err != nil {
		return err
	}
	r, err := c.regime(&f)
	if err != nil {
		return err
	}
	p := ui.Chain{Frame: f, Form: domain.FormID(c.query.Get("form")), Field: c.query.Get("field"), Area: c.unitAsked()}
	form, ok := h.Registry.CurrentForm(p.Form)
	i := slices.IndexFunc(form.Fields, func(x domain.Field) bool { return x.Name == p.Field })
	if !ok || i < 0 {
		return errForm
	}
	p.FormTitle, p.Label = f.Word(form.Title), f.Word(form.Fields[i].Label)
	s, err := h.Views.Synthesis(c.ctx, projections.SynthesisQuery{Regime: r.ID, Date: f.Date, Form: p.Form, Area: p.Area, KnownAt: f.KnownAt})
	if err != nil {
		return err
	}
	records := map[domain.UnitCode]projections.AnswerRecord{}
	for after := ""; ; {
		page, err := h.Views.Answer(c.ctx, projections.AnswerQuery{Regime: r.ID, Form: p.Form, From: f.Date, To: f.Date, KnownAt: f.KnownAt, After: after, Limit: projections.MaxLimit})
		if err != nil {
			return err
		}
		for _, record := range page.Records {
			records[record.Unit] = record
		}
		if after = page.Next; after == "" {
			break
		}
	}
	for _, total := range s.Totals {
		if total.Area != p.Area {
			continue
		}
		p.AreaName, p.Missing = total.AreaName, total.Missing
		for _, sum := range total.Sums {
			if sum.Field == p.Field {
				p.Total = &sum.Value
			}
		}
		for _, pin := range total.MadeOf {
			record := records[pin.Unit]
			part := ui.ChainPart{Unit: pin.Unit, UnitName: record.UnitName, Version: pin.Version, Answerable: record.Answerable, SignOff: record.SignOff, Children: record.Children}
			for _, figure := range record.Figures {
				if figure.Field == p.Field {
					part.Value, part.Answerable, part.ChangedIn = &figure.Value, figure.Answerable, figure.ChangedIn
				}
			}
			p.Parts = append(p.Parts, part)
		}
	}
	return c.render(http.StatusOK, p)
}

// changedBelow tells what changed of the reports that a consolidated one was made of, since it was.
func (h *Handler) changedBelow(c *call, f ui.Frame, r domain.Regime, row projections.ComplianceRow) ([]ui.ChangedChild, error) {
	if len(row.OutOfDate) == 0 {
		return nil, nil
	}
	key := domain.ReportKey{Regime: row.Regime, Form: row.Form, Unit: row.Unit, Date: row.Date}
	day, err := h.Ledger.Day(c.ctx, key.Regime, key.Date)
	if err != nil {
		return nil, err
	}
	o, err := day.Obligation(r, key)
	if err != nil {
		return nil, err
	}
	report, err := h.Ledger.Report(c.ctx, key)
	if err != nil {
		return nil, err
	}
	newest, _ := report.Newest()
	var out []ui.ChangedChild
	for _, unit := range row.OutOfDate {
		child := ui.ChangedChild{Unit: unit}
		if child.UnitName, err = c.unitName(unit, row.Date); err != nil {
			return nil, err
		}
		of := domain.ReportKey{Regime: row.Regime, Form: o.Consolidates, Unit: unit, Date: row.Date}
		now, err := h.Ledger.Report(c.ctx, of)
		if errors.Is(err, &domain.Error{Kind: domain.NotFound}) {
			continue
		}
		if err != nil {
			return nil, err
		}
		v, ok := now.Newest()
		if !ok {
			continue
		}
		var before domain.Figures
		if i := slices.IndexFunc(newest.Content.Children, func(p domain.ChildPin) bool { return p.Unit == unit }); i >= 0 {
			if child.Pinned = newest.Content.Children[i].Version; child.Pinned >= 1 && child.Pinned <= len(now.Versions) {
				before = now.Versions[child.Pinned-1].Content.Figures
			}
		}
		form, _ := h.Registry.Form(o.Consolidates, v.Content.FormVersion)
		child.Newest, child.Reason = v.Number, v.Reason
		child.Figures = slices.DeleteFunc(differences(f, form, before, v.Content.Figures, true), func(d ui.Difference) bool { return !d.Changed })
		out = append(out, child)
	}
	return out, nil
}
