package api

import (
	"net/http"

	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/projections"
)

// statuses are the choices of ?status=.
func statuses() []string {
	return []string{string(domain.StatusDue), string(domain.StatusOnTime), string(domain.StatusLate), string(domain.StatusMissing), string(domain.StatusExempt)}
}

func (h *Handler) complianceRoutes() []*route {
	return []*route{
		{id: "board", method: http.MethodGet, path: dayPath + "/board", tag: "queries", summary: "The day's counts, in all and per area", answer: projections.DayBoard{},
			params: []param{id("area", "One area only; who sees one area alone must name it."), paramAsOf, paramKnownAt, paramAt}, handle: h.board},
		{id: "compliance", method: http.MethodGet, path: "/v1/regimes/{regime}/compliance", tag: "queries", summary: "Where each obligation stands", answer: projections.CompliancePage{},
			params: []param{date("date", "One day."), date("from", "First day."), date("to", "Last day."), id("unit", "One unit."), id("parent", "The units reporting through this one."), id("form", "One form."),
				{name: "status", kind: paramChoices, choices: statuses(), doc: "Statuses, joined by commas."}, paramAsOf, paramKnownAt, paramAt, paramCursor, paramPage}, handle: h.compliance},
		{id: "unit-records", method: http.MethodGet, path: "/v1/regimes/{regime}/records", tag: "queries", summary: "Rates and streaks of units over the days", answer: projections.UnitRecordPage{},
			params: []param{date("from", "First day."), date("to", "Last day."), id("unit", "One unit."), id("parent", "The units reporting through this one."), id("form", "One form."),
				paramAsOf, paramKnownAt, paramAt}, handle: h.records},
	}
}

// complianceQuery reads the parameters that compliance and records have in common.
func (c *call) complianceQuery(after string) projections.ComplianceQuery {
	q := projections.ComplianceQuery{Regime: domain.RegimeID(c.path("regime")), From: c.query.date("from"), To: c.query.date("to"),
		Unit: domain.UnitCode(c.query.text("unit")), Parent: domain.UnitCode(c.query.text("parent")), Form: domain.FormID(c.query.text("form")),
		AsOf: c.query.date("as_of"), KnownAt: c.query.instant("known_at"), After: after, Limit: c.query.limit()}
	if d := c.query.date("date"); d != "" {
		q.From, q.To = d, d
	}
	for _, s := range c.query.list("status") {
		q.Status = append(q.Status, domain.Status(s))
	}
	return q
}

func (h *Handler) compliance(c *call) error {
	after, err := c.readyQuery()
	if err != nil {
		return err
	}
	page, err := h.Views.Compliance(c.ctx, c.complianceQuery(after))
	if err != nil {
		return err
	}
	page.Next = c.cursorOf(page.Next)
	return c.page(page, page.Next)
}

func (h *Handler) records(c *call) error {
	if err := c.waitForViews(); err != nil {
		return err
	}
	page, err := h.Views.UnitRecords(c.ctx, c.complianceQuery(""))
	if err != nil {
		return err
	}
	return c.answer(http.StatusOK, page)
}

func (h *Handler) board(c *call) error {
	if err := c.waitForViews(); err != nil {
		return err
	}
	b, err := h.Views.Board(c.ctx, projections.BoardQuery{Regime: domain.RegimeID(c.path("regime")), Date: domain.Date(c.path("date")),
		Area: domain.UnitCode(c.query.text("area")), AsOf: c.query.date("as_of"), KnownAt: c.query.instant("known_at")})
	if err != nil {
		return err
	}
	return c.answer(http.StatusOK, b)
}
