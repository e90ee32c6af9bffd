package api

import (
	"net/http"

	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/projections"
)

func (h *Handler) synthesisRoutes() []*route {
	return []*route{
		{id: "synthesis", method: http.MethodGet, path: dayPath + "/synthesis", tag: "queries", summary: "The day's roll-ups per form and area, with coverage and what each was made of", answer: projections.Synthesis{},
			params: []param{id("form", "One form."), id("area", "One area."), paramAsOf, paramKnownAt, paramAt}, handle: h.synthesis},
	}
}

func (h *Handler) synthesis(c *call) error {
	if err := c.waitForViews(); err != nil {
		return err
	}
	out, err := h.Views.Synthesis(c.ctx, projections.SynthesisQuery{Regime: domain.RegimeID(c.path("regime")), Date: domain.Date(c.path("date")),
		Form: domain.FormID(c.query.text("form")), Area: domain.UnitCode(c.query.text("area")), AsOf: c.query.date("as_of"), KnownAt: c.query.instant("known_at")})
	if err != nil {
		return err
	}
	if !out.Opened {
		return domain.Refuse(domain.NotFound, domain.CodeDayNotOpen, "/date", "date", string(out.Date))
	}
	return c.answer(http.StatusOK, out)
}
