package web

import (
	"errors"
	"net/http"
	"slices"
	"strconv"

	"github.com/answerable-ledger/answerable/api/ui"
	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/projections"
)

// maxDepth bounds how far a number is taken apart. Chosen: a country has five levels.
const maxDepth = 8

// chainPage takes a number of a synthesis apart: which report of which unit gave how much of it, in which version, and who
// answers for that; and of a consolidated report the versions it has pinned, in turn, down to the communes (rule 9).
func (h *Handler) chainPage(c *call) error {
	f, err := c.frame("chain")
	if err != nil {
		return err
	}
	r, err := c.regime(&f)
	if err != nil {
		return err
	}
	p := ui.Chain{Frame: f, Evidence: h.Evidence != nil, Form: domain.FormID(c.query.Get("form")), Field: c.query.Get("field"), Area: c.unitAsked(), Of: domain.UnitCode(c.query.Get("of"))}
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
	day, err := h.Ledger.Day(c.ctx, r.ID, f.Date)
	if err != nil {
		return err
	}
	x := apart{c: c, regime: r, day: day, known: &f, date: f.Date, field: p.Field, records: map[domain.FormID]map[domain.UnitCode]projections.AnswerRecord{}}
	skip, err := boardCursor(c.query.Get("cursor"))
	if err != nil {
		return err
	}
	areas, within := map[domain.UnitCode]projections.SynthesisTotal{}, map[domain.UnitCode]bool{}
	for _, total := range s.Totals {
		if areas[total.Area] = total; total.Area != p.Area {
			for _, pin := range total.MadeOf {
				within[pin.Unit] = true
			}
		}
	}
	total := areas[p.Area]
	p.AreaName, p.Missing, p.Total = total.AreaName, pageOf(total.Missing, skip), sumOf(total, p.Field)
	pins := total.MadeOf
	many := len(pins) > partsOnPage
	if many { // then the areas stand for what is within them
		pins = slices.DeleteFunc(slices.Clone(pins), func(pin domain.ChildPin) bool { return within[pin.Unit] })
		if skip == 0 {
			p.Parts = foldedAreas(s.Totals, p.Area, p.Field)
		}
	}
	x.few = many || p.Area != "" || p.Of != ""
	if p.Of != "" {
		pins = slices.DeleteFunc(slices.Clone(pins), func(pin domain.ChildPin) bool { return pin.Unit != p.Of })
	}
	if skip+partsOnPage < max(len(pins), len(total.Missing)) {
		p.Next = strconv.Itoa(skip + partsOnPage)
	}
	nodes := 0
	for _, pin := range pageOf(pins, skip) {
		part, err := x.part(p.Form, pin, nil, 0)
		if err != nil {
			return err
		}
		p.Parts = append(p.Parts, part)
		nodes += 1 + len(part.Parts)
	}
	if p.Of == "" && nodes > partsOnPage {
		for i := range p.Parts {
			if part := &p.Parts[i]; len(part.Parts) > 0 {
				part.Folded, part.Parts = len(part.Parts), nil
			}
		}
	}
	if p.Area == "" && !many && nodes <= partsOnPage {
		if p.Parts, err = x.byArea(p.Form, p.Parts, areas); err != nil {
			return err
		}
	}
	return c.render(http.StatusOK, p)
}

// foldedAreas is what each area gave, for pages of their own to take apart.
func foldedAreas(totals []projections.SynthesisTotal, asked domain.UnitCode, field string) []ui.ChainPart {
	var out []ui.ChainPart
	for _, t := range totals {
		if t.Area != asked && t.Received > 0 {
			out = append(out, ui.ChainPart{Unit: t.Area, UnitName: t.AreaName, Value: sumOf(t, field), Folded: t.Received})
		}
	}
	return out
}

func sumOf(total projections.SynthesisTotal, field string) *int64 {
	for _, sum := range total.Sums {
		if sum.Field == field {
			return &sum.Value
		}
	}
	return nil
}

// apart takes one figure of a day to pieces.
type apart struct {
	c       *call
	regime  domain.Regime
	day     domain.Day
	known   *ui.Frame // as known when
	date    domain.Date
	field   string
	records map[domain.FormID]map[domain.UnitCode]projections.AnswerRecord // of the forms that were needed
	few     bool                                                           // units are needed among many: each is asked about alone
}

// record is who answers for a unit's report of the day.
func (x *apart) record(form domain.FormID, unit domain.UnitCode) (projections.AnswerRecord, error) {
	if !x.few {
		records, err := x.of(form)
		return records[unit], err
	}
	page, err := x.c.h.Views.Answer(x.c.ctx, projections.AnswerQuery{Regime: x.regime.ID, Form: form, Unit: unit, From: x.date, To: x.date, KnownAt: x.known.KnownAt, Limit: 1})
	if err != nil || len(page.Records) == 0 {
		return projections.AnswerRecord{}, err
	}
	return page.Records[0], nil
}

// of lists who answers for a form's reports of the day.
func (x *apart) of(form domain.FormID) (map[domain.UnitCode]projections.AnswerRecord, error) {
	if m, ok := x.records[form]; ok {
		return m, nil
	}
	m := map[domain.UnitCode]projections.AnswerRecord{}
	for after := ""; ; {
		page, err := x.c.h.Views.Answer(x.c.ctx, projections.AnswerQuery{Regime: x.regime.ID, Form: form, From: x.date, To: x.date, KnownAt: x.known.KnownAt, After: after, Limit: projections.MaxLimit})
		if err != nil {
			return nil, err
		}
		for _, record := range page.Records {
			m[record.Unit] = record
		}
		if after = page.Next; after == "" {
			break
		}
	}
	x.records[form] = m
	return m, nil
}

// part is what one version of a report gave, with what that was made of in turn. The view knows the newest version; an
// earlier one, which a sum above has pinned, stands in the report for ever. head is who answers for that, where it is known.
func (x *apart) part(form domain.FormID, pin domain.ChildPin, head *projections.HeadRef, depth int) (ui.ChainPart, error) {
	record, err := x.record(form, pin.Unit)
	if err != nil {
		return ui.ChainPart{}, err
	}
	out := ui.ChainPart{Unit: pin.Unit, UnitName: record.UnitName, Version: pin.Version, Newest: record.Version, Answerable: record.Answerable}
	if head != nil {
		out.Answerable = *head
	}
	type below struct {
		domain.ChildPin
		head *projections.HeadRef
	}
	var pins []below
	if record.Version == pin.Version {
		out.SignOff, out.EventID = record.SignOff, record.EventID
		for _, figure := range record.Figures {
			if figure.Field == x.field {
				out.Value, out.Answerable, out.ChangedIn = &figure.Value, figure.Answerable, figure.ChangedIn
			}
		}
		for _, child := range record.Children {
			pins = append(pins, below{domain.ChildPin{Unit: child.Unit, Version: child.Version, Digest: child.Digest}, &child.Answerable})
		}
	} else {
		for i, s := range record.Superseded {
			if s.Digest == pin.Digest {
				out.SignOff = &record.Superseded[i]
			}
		}
		report, err := x.c.h.Ledger.Report(x.c.ctx, domain.ReportKey{Regime: x.regime.ID, Form: form, Unit: pin.Unit, Date: x.date})
		if err != nil {
			return out, err
		}
		if pin.Version >= 1 && pin.Version <= len(report.Versions) {
			out.EventID = report.Versions[pin.Version-1].EventID
			content := report.Versions[pin.Version-1].Content
			if value, ok := content.Figures[x.field]; ok {
				out.Value = &value
			}
			for _, child := range content.Children {
				pins = append(pins, below{child, nil})
			}
		}
	}
	if len(pins) == 0 || depth == maxDepth {
		return out, nil
	}
	o, err := x.day.Obligation(x.regime, domain.ReportKey{Regime: x.regime.ID, Form: form, Unit: pin.Unit, Date: x.date})
	if err != nil || o.Consolidates == "" {
		return out, err
	}
	for _, child := range pins {
		part, err := x.part(o.Consolidates, child.ChildPin, child.head, depth+1)
		if err != nil {
			return out, err
		}
		out.Parts = append(out.Parts, part)
	}
	return out, nil
}

// byArea puts reports that no report sums under the areas they belong to; those of the top itself stay where they are.
func (x *apart) byArea(form domain.FormID, parts []ui.ChainPart, areas map[domain.UnitCode]projections.SynthesisTotal) ([]ui.ChainPart, error) {
	records, err := x.of(form)
	if err != nil {
		return nil, err
	}
	var out []ui.ChainPart
	for _, part := range parts {
		parent := records[part.Unit].Parent
		total, ok := areas[parent]
		if ok && parent != "" && len(part.Parts) == 0 {
			unit, err := x.c.h.Ledger.Unit(x.c.ctx, parent)
			if err != nil {
				return nil, err
			}
			ok = unit.ParentOn(x.date) != ""
		}
		if !ok || parent == "" || len(part.Parts) > 0 {
			out = append(out, part)
			continue
		}
		i := slices.IndexFunc(out, func(y ui.ChainPart) bool { return y.Version == 0 && y.Unit == parent })
		if i < 0 {
			i, out = len(out), append(out, ui.ChainPart{Unit: parent, UnitName: total.AreaName, Value: sumOf(total, x.field)})
		}
		out[i].Parts = append(out[i].Parts, part)
	}
	return out, nil
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
