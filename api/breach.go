package api

import (
	"net/http"

	"github.com/answerable-ledger/answerable/commands"
	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/projections"
)

const reportPath = "/v1/regimes/{regime}/reports/{form}/{unit}/{date}"

type explanationBody struct {
	Text string `json:"text"`
}

type reasonBody struct {
	Reason string `json:"reason"`
}

type reminderBody struct {
	Via  string `json:"via" doc:"How the unit was urged: telephone, letter, message."`
	Text string `json:"text,omitempty" required:"false"`
}

func (h *Handler) breachRoutes() []*route {
	kind := func(c *call) domain.BreachKind { return domain.BreachKind(c.path("breach")) }
	return []*route{
		{id: "explain-breach", method: http.MethodPost, path: reportPath + "/breaches/{breach}/explanations", tag: "breaches",
			summary: "Explain a breach, as who held the office at the deadline or holds it now", body: explanationBody{}, answer: Recorded{}, status: http.StatusCreated, keyed: keyNeeded,
			handle: commandRoute(func(c *call, cmd commands.Command, b explanationBody) (commands.Result, error) {
				return h.Ledger.ExplainBreach(c.ctx, cmd, c.reportKey(), kind(c), b.Text)
			})},
		{id: "excuse-breach", method: http.MethodPost, path: reportPath + "/breaches/{breach}/excuse", tag: "breaches",
			summary: "Excuse a breach; it stays, marked excused", body: reasonBody{}, answer: Recorded{}, status: http.StatusCreated, keyed: keyNeeded,
			handle: commandRoute(func(c *call, cmd commands.Command, b reasonBody) (commands.Result, error) {
				return h.Ledger.ExcuseBreach(c.ctx, cmd, c.reportKey(), kind(c), b.Reason)
			})},
		{id: "uphold-breach", method: http.MethodPost, path: reportPath + "/breaches/{breach}/uphold", tag: "breaches",
			summary: "Uphold a breach in spite of its explanation", body: reasonBody{}, answer: Recorded{}, status: http.StatusCreated, keyed: keyNeeded,
			handle: commandRoute(func(c *call, cmd commands.Command, b reasonBody) (commands.Result, error) {
				return h.Ledger.UpholdBreach(c.ctx, cmd, c.reportKey(), kind(c), b.Reason)
			})},
		{id: "remind", method: http.MethodPost, path: reportPath + "/reminders", tag: "breaches",
			summary: "Record that a unit was urged to report", body: reminderBody{}, answer: Recorded{}, status: http.StatusCreated, keyed: keyNeeded,
			handle: commandRoute(func(c *call, cmd commands.Command, b reminderBody) (commands.Result, error) {
				return h.Ledger.Remind(c.ctx, cmd, c.reportKey(), b.Via, b.Text)
			})},
		{id: "list-breaches", method: http.MethodGet, path: "/v1/regimes/{regime}/breaches", tag: "queries", summary: "Breaches, and what came of each",
			params: []param{date("from", "First day."), date("to", "Last day."), id("unit", "One unit."), id("parent", "The units reporting through this one."),
				{name: "kind", kind: paramChoice, choices: []string{"missing", "late", "unsigned"}, doc: "One kind."},
				{name: "outcome", kind: paramChoice, choices: []string{"standing", "withdrawn", "explained", "excused", "upheld"}, doc: "One outcome."},
				paramAsOf, paramKnownAt, paramAt, paramCursor, paramPage},
			answer: projections.BreachPage{}, handle: h.listBreaches},
	}
}

func (h *Handler) listBreaches(c *call) error {
	after, err := c.readyQuery()
	if err != nil {
		return err
	}
	page, err := h.Views.Breaches(c.ctx, projections.BreachQuery{Regime: domain.RegimeID(c.path("regime")), From: c.query.date("from"), To: c.query.date("to"),
		Unit: domain.UnitCode(c.query.text("unit")), Parent: domain.UnitCode(c.query.text("parent")), Kind: domain.BreachKind(c.query.text("kind")),
		Outcome: c.query.text("outcome"), AsOf: c.query.date("as_of"), KnownAt: c.query.instant("known_at"), After: after, Limit: c.query.limit()})
	if err != nil {
		return err
	}
	page.Next = c.cursorOf(page.Next)
	return c.page(page, page.Next)
}
