package api

import (
	"net/http"
	"time"

	"github.com/answerable-ledger/answerable/commands"
	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/projections"
)

const dayPath = "/v1/regimes/{regime}/days/{date}"

type openDayBody struct{}

type extendBody struct {
	Duty   domain.DutyID     `json:"duty"`
	Units  []domain.UnitCode `json:"units,omitempty" required:"false" doc:"None: every unit that holds the duty."`
	Due    time.Time         `json:"due"`
	Reason string            `json:"reason"`
}

type exemptBody struct {
	Duties []domain.DutyID   `json:"duties,omitempty" required:"false" doc:"None: every duty."`
	Units  []domain.UnitCode `json:"units,omitempty" required:"false" doc:"None: every unit."`
	Reason string            `json:"reason"`
}

type synthesisBody struct {
	To   string `json:"to" doc:"Who it is sent to."`
	Note string `json:"note,omitempty" required:"false"`
}

func (h *Handler) dayRoutes() []*route {
	day := func(c *call) (domain.RegimeID, domain.Date) {
		return domain.RegimeID(c.path("regime")), domain.Date(c.path("date"))
	}
	return []*route{
		{id: "open-day", method: http.MethodPost, path: dayPath + "/opening", tag: "days", summary: "Record what is owed on a day; the ledger does it by itself six hours ahead",
			body: openDayBody{}, answer: Recorded{}, status: http.StatusCreated, keyed: keyNeeded,
			handle: commandRoute(func(c *call, cmd commands.Command, _ openDayBody) (commands.Result, error) {
				regime, date := day(c)
				return h.Ledger.OpenDay(c.ctx, cmd, regime, date)
			})},
		{id: "extend-deadline", method: http.MethodPost, path: dayPath + "/extensions", tag: "days", summary: "Move a deadline that has not passed",
			body: extendBody{}, answer: Recorded{}, status: http.StatusCreated, keyed: keyNeeded,
			handle: commandRoute(func(c *call, cmd commands.Command, b extendBody) (commands.Result, error) {
				if err := h.knownUnits(c, "/units", b.Units); err != nil {
					return commands.Result{}, err
				}
				regime, date := day(c)
				return h.Ledger.ExtendDeadline(c.ctx, cmd, regime, b.Duty, date, b.Units, b.Due, b.Reason)
			})},
		{id: "exempt-day", method: http.MethodPost, path: dayPath + "/exemptions", tag: "days", summary: "Free units of duties on a day, before they fall due",
			body: exemptBody{}, answer: Recorded{}, status: http.StatusCreated, keyed: keyNeeded,
			handle: commandRoute(func(c *call, cmd commands.Command, b exemptBody) (commands.Result, error) {
				if err := h.knownUnits(c, "/units", b.Units); err != nil {
					return commands.Result{}, err
				}
				regime, date := day(c)
				return h.Ledger.ExemptDay(c.ctx, cmd, regime, date, b.Duties, b.Units, b.Reason)
			})},
		{id: "issue-synthesis", method: http.MethodPost, path: dayPath + "/syntheses", tag: "days", summary: "Freeze the day's synthesis and record that it was sent up",
			body: synthesisBody{}, answer: Recorded{}, status: http.StatusCreated, keyed: keyNeeded,
			handle: commandRoute(func(c *call, cmd commands.Command, b synthesisBody) (commands.Result, error) {
				regime, date := day(c)
				return h.Ledger.IssueReport(c.ctx, cmd, regime, date, b.To, b.Note)
			})},
		{id: "list-days", method: http.MethodGet, path: "/v1/regimes/{regime}/days", tag: "days", summary: "The days that were opened, with what came of each",
			params: []param{date("from", "First day."), date("to", "Last day."), paramKnownAt, paramAt}, answer: projections.DayPage{}, handle: func(c *call) error {
				if err := c.waitForViews(); err != nil {
					return err
				}
				page, err := h.Views.Days(c.ctx, domain.RegimeID(c.path("regime")), c.query.date("from"), c.query.date("to"), c.query.instant("known_at"))
				if err != nil {
					return err
				}
				return c.answer(http.StatusOK, page)
			}},
	}
}
