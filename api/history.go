package api

import (
	"net/http"

	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/projections"
)

func (h *Handler) historyRoutes() []*route {
	return []*route{
		{id: "history", method: http.MethodGet, path: "/v1/regimes/{regime}/history/{unit}/{date}", tag: "queries", summary: "What a unit reported for a day, every version, as known at an instant", answer: projections.History{},
			params: []param{id("form", "One form."), paramAsOf.saying("The day whose names and tree are shown; default: the day asked about. A unit that does not exist on it is marked absent."), paramKnownAt, paramAt}, handle: h.history},
		{id: "answers", method: http.MethodGet, path: "/v1/regimes/{regime}/answers", tag: "queries", summary: "The record of item 10: which figures, and who answers for them", answer: projections.AnswerPage{},
			params: []param{date("date", "One day."), date("from", "First day."), date("to", "Last day."), id("unit", "One unit."), id("form", "One form."), id("person", "What one person answers for."),
				paramAsOf, paramKnownAt, paramAt, paramCursor, paramPage}, handle: h.answers},
	}
}

func (h *Handler) history(c *call) error {
	if err := c.waitForViews(); err != nil {
		return err
	}
	out, err := h.Views.History(c.ctx, projections.HistoryQuery{Regime: domain.RegimeID(c.path("regime")), Unit: domain.UnitCode(c.path("unit")), Form: domain.FormID(c.query.text("form")),
		Date: domain.Date(c.path("date")), AsOf: c.query.date("as_of"), KnownAt: c.query.instant("known_at")})
	if err != nil {
		return err
	}
	return c.answer(http.StatusOK, out)
}

func (h *Handler) answers(c *call) error {
	after, err := c.readyQuery()
	if err != nil {
		return err
	}
	q := projections.AnswerQuery{Regime: domain.RegimeID(c.path("regime")), Unit: domain.UnitCode(c.query.text("unit")), Form: domain.FormID(c.query.text("form")),
		From: c.query.date("from"), To: c.query.date("to"), Person: domain.PersonID(c.query.text("person")), AsOf: c.query.date("as_of"), KnownAt: c.query.instant("known_at"), After: after, Limit: c.query.limit()}
	if d := c.query.date("date"); d != "" {
		q.From, q.To = d, d
	}
	page, err := h.Views.Answer(c.ctx, q)
	if err != nil {
		return err
	}
	page.Next = c.cursorOf(page.Next)
	return c.page(page, page.Next)
}
