package web

import (
	"net/http"
	"strconv"

	"github.com/answerable-ledger/answerable/api/ui"
	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/projections"
)

// partsOnPage is how many parts of a sum one page shows. Chosen: a province has fewer districts, and a district fewer
// communes; where thousands report to the province itself, the page still is one.
const partsOnPage = 200

// totalsPage is the day's synthesis with its coverage, of the province or of one area: what it is made of is shown one level
// deep, and each part leads to its own page. The department issues it.
func (h *Handler) totalsPage(c *call) error {
	f, err := c.frame("synthesis")
	if err != nil {
		return err
	}
	r, err := c.regime(&f)
	if err != nil {
		return err
	}
	p := ui.Totals{Frame: f, Area: c.unitAsked(), Form: domain.FormID(c.query.Get("form")), Previous: r.Neighbour(f.Date, -1), Following: r.Neighbour(f.Date, 1), Key: newKey()}
	skip, err := boardCursor(c.query.Get("cursor"))
	if err != nil {
		return err
	}
	s, err := h.Views.Synthesis(c.ctx, projections.SynthesisQuery{Regime: r.ID, Date: f.Date, Area: p.Area, Form: p.Form, KnownAt: f.KnownAt})
	if err != nil {
		return err
	}
	p.Place = s.Place
	beneath := map[domain.FormID][]projections.SynthesisTotal{}
	for _, total := range s.Totals {
		if total.Area != p.Area {
			beneath[total.Form] = append(beneath[total.Form], total)
		}
	}
	for _, total := range s.Totals {
		if total.Area == p.Area {
			p.Forms = append(p.Forms, formTotal(total, beneath[total.Form], skip))
		}
	}
	day, err := h.Ledger.Day(c.ctx, r.ID, f.Date)
	if err != nil {
		return err
	}
	p.MayIssue = p.Area == "" && p.Form == "" && c.actor.Has(domain.RoleDepartment, "") && f.KnownAt == nil && day.Opened != nil
	for _, issued := range day.Issued {
		p.Issued = append(p.Issued, ui.Issued{Number: issued.Number, To: issued.To, Note: issued.Note, Parts: len(issued.Parts)})
	}
	return c.render(http.StatusOK, p)
}

// formTotal is one page of a sum's parts, after those that were skipped.
func formTotal(total projections.SynthesisTotal, beneath []projections.SynthesisTotal, skip int) ui.FormTotal {
	out := ui.FormTotal{SynthesisTotal: total}
	longest := len(beneath)
	if out.Beneath = pageOf(beneath, skip); len(beneath) == 0 {
		out.MissingHere, out.MadeOfHere = pageOf(total.Missing, skip), pageOf(total.MadeOf, skip)
		longest = max(len(total.Missing), len(total.MadeOf))
	}
	if skip+partsOnPage < longest {
		out.Next = strconv.Itoa(skip + partsOnPage)
	}
	return out
}

// pageOf is the parts of a page, after those that were skipped.
func pageOf[T any](all []T, skip int) []T {
	return all[min(skip, len(all)):min(skip+partsOnPage, len(all))]
}
