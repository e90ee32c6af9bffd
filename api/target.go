package api

import (
	"net/http"

	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/projections"
)

func (h *Handler) targetRoutes() []*route {
	return []*route{
		{id: "list-targets", method: http.MethodGet, path: "/v1/regimes/{regime}/targets", tag: "queries", summary: "Judged targets: the result, apart from whether the regime was kept", answer: projections.TargetPage{},
			params: []param{id("target", "One target."), id("unit", "One unit."), date("date", "The day it was judged on."), paramAsOf.saying("The day whose names are shown; default: the day of the judgement."), paramKnownAt, paramAt}, handle: h.targets},
	}
}

func (h *Handler) targets(c *call) error {
	if err := c.waitForViews(); err != nil {
		return err
	}
	page, err := h.Views.Targets(c.ctx, projections.TargetQuery{Regime: domain.RegimeID(c.path("regime")), Target: c.query.text("target"), Unit: domain.UnitCode(c.query.text("unit")),
		Date: c.query.date("date"), AsOf: c.query.date("as_of"), KnownAt: c.query.instant("known_at")})
	if err != nil {
		return err
	}
	return c.answer(http.StatusOK, page)
}
