package api

import (
	"net/http"
	"time"

	"github.com/answerable-ledger/answerable/commands"
	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/projections"
)

type issueBody struct {
	Rules domain.Rules `json:"rules"`
}

type amendBody struct {
	Rules  domain.Rules `json:"rules"`
	Reason string       `json:"reason"`
}

type closeRegimeBody struct {
	LastDay domain.Date `json:"last_day"`
	Reason  string      `json:"reason"`
}

// Regime is a regime with every version of its rules, as the ledger has it now.
type Regime struct {
	Regime     domain.RegimeID           `json:"regime"`
	Version    int                       `json:"version"`
	Rules      domain.Rules              `json:"rules"`
	Versions   []RulesVersion            `json:"versions"`
	Extensions []domain.DeadlineExtended `json:"extensions,omitempty"`
	Exemptions []domain.DayExempted      `json:"exemptions,omitempty"`
	Closed     *domain.RegimeClosed      `json:"closed,omitempty"`
}

// RulesVersion is one version of the rules, and since when it is in force for days opened after it.
type RulesVersion struct {
	Version int          `json:"version"`
	InForce time.Time    `json:"in_force"`
	Rules   domain.Rules `json:"rules"`
}

func (h *Handler) regimeRoutes() []*route {
	regime := func(c *call) domain.RegimeID { return domain.RegimeID(c.path("regime")) }
	return []*route{
		{id: "issue-regime", method: http.MethodPost, path: "/v1/regimes/{regime}", tag: "regimes", summary: "Issue a reporting regime",
			body: issueBody{}, answer: Recorded{}, status: http.StatusCreated, keyed: keyNeeded,
			handle: commandRoute(func(c *call, cmd commands.Command, b issueBody) (commands.Result, error) {
				result, err := h.Ledger.IssueRegime(c.ctx, cmd, regime(c), b.Rules)
				return result, under("/rules", err, "/regime", "/reason")
			})},
		{id: "amend-regime", method: http.MethodPost, path: "/v1/regimes/{regime}/amendments", tag: "regimes", summary: "Put a new version of the rules in force for days opened from now on",
			body: amendBody{}, answer: Recorded{}, status: http.StatusCreated, keyed: keyNeeded,
			handle: commandRoute(func(c *call, cmd commands.Command, b amendBody) (commands.Result, error) {
				result, err := h.Ledger.AmendRegime(c.ctx, cmd, regime(c), b.Rules, b.Reason)
				return result, under("/rules", err, "/regime", "/reason")
			})},
		{id: "close-regime", method: http.MethodPost, path: "/v1/regimes/{regime}/closing", tag: "regimes", summary: "Set a regime's last day",
			body: closeRegimeBody{}, answer: Recorded{}, status: http.StatusCreated, keyed: keyNeeded,
			handle: commandRoute(func(c *call, cmd commands.Command, b closeRegimeBody) (commands.Result, error) {
				if err := checkDate("/last_day", b.LastDay); err != nil {
					return commands.Result{}, err
				}
				return h.Ledger.CloseRegime(c.ctx, cmd, regime(c), b.LastDay, b.Reason)
			})},
		{id: "list-regimes", method: http.MethodGet, path: "/v1/regimes", tag: "regimes", summary: "Every regime with the rules in force",
			params: []param{paramAsOf.saying("The rules in force at the end of this day, of the regimes that were issued by then. Default: the newest."), paramKnownAt, paramAt},
			answer: projections.RegimePage{}, handle: func(c *call) error {
				if err := c.waitForViews(); err != nil {
					return err
				}
				page, err := h.Views.Regimes(c.ctx, projections.RegimeQuery{AsOf: c.query.date("as_of"), KnownAt: c.query.instant("known_at")})
				if err != nil {
					return err
				}
				return c.answer(http.StatusOK, page)
			}},
		{id: "get-regime", method: http.MethodGet, path: "/v1/regimes/{regime}", tag: "regimes", summary: "A regime with every version of its rules",
			answer: Regime{}, handle: func(c *call) error {
				r, err := h.Ledger.Regime(c.ctx, regime(c))
				if err != nil {
					return err
				}
				out := Regime{Regime: r.ID, Version: r.Version(), Rules: r.Rules(), Extensions: r.Extensions, Exemptions: r.Exemptions, Closed: r.Closed}
				for i, rules := range r.Versions {
					out.Versions = append(out.Versions, RulesVersion{i + 1, r.InForce[i], rules})
				}
				return c.answer(http.StatusOK, out)
			}},
	}
}
