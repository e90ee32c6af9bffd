package api

import (
	"net/http"
	"time"

	"github.com/answerable-ledger/answerable/commands"
	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/projections"
)

const officePath = "/v1/units/{unit}/office"

type takeOfficeBody struct {
	Person   domain.PersonID `json:"person"`
	Capacity domain.Capacity `json:"capacity" enum:"head,acting"`
	Title    string          `json:"title"`
	From     time.Time       `json:"from"`
	Decision string          `json:"decision"`
}

type leaveOfficeBody struct {
	Person domain.PersonID `json:"person"`
	Until  time.Time       `json:"until" doc:"First instant out of office."`
	Reason string          `json:"reason"`
}

type grantAuthorityBody struct {
	Authority string          `json:"authority" doc:"Number of the written authority."`
	Person    domain.PersonID `json:"person"`
	Capacity  domain.Capacity `json:"capacity" enum:"KT,TL,TUQ"`
	Title     string          `json:"title"`
	Forms     []domain.FormID `json:"forms,omitempty" required:"false" doc:"None: every form."`
	From      time.Time       `json:"from"`
	Until     time.Time       `json:"until" doc:"First instant without it."`
	Decision  string          `json:"decision"`
}

type revokeAuthorityBody struct {
	Authority string `json:"authority"`
	Reason    string `json:"reason"`
}

func (h *Handler) officeRoutes() []*route {
	unit := func(c *call) domain.UnitCode { return domain.UnitCode(c.path("unit")) }
	return []*route{
		{id: "take-office", method: http.MethodPost, path: officePath + "/tenures", tag: "offices", summary: "Record that a person became head or acting head",
			body: takeOfficeBody{}, answer: Recorded{}, status: http.StatusCreated, keyed: keyNeeded,
			handle: commandRoute(func(c *call, cmd commands.Command, b takeOfficeBody) (commands.Result, error) {
				if err := checkPerson("/person", b.Person); err != nil {
					return commands.Result{}, err
				}
				return h.Ledger.TakeOffice(c.ctx, cmd, domain.OfficeTaken{Unit: unit(c), Person: b.Person, Capacity: b.Capacity, Title: b.Title, From: b.From, Decision: b.Decision})
			})},
		{id: "leave-office", method: http.MethodPost, path: officePath + "/departures", tag: "offices", summary: "Record that a head left",
			body: leaveOfficeBody{}, answer: Recorded{}, status: http.StatusCreated, keyed: keyNeeded,
			handle: commandRoute(func(c *call, cmd commands.Command, b leaveOfficeBody) (commands.Result, error) {
				return h.Ledger.LeaveOffice(c.ctx, cmd, domain.OfficeLeft{Unit: unit(c), Person: b.Person, Until: b.Until, Reason: b.Reason})
			})},
		{id: "grant-authority", method: http.MethodPost, path: officePath + "/authorities", tag: "offices", summary: "Let a person sign for the head, for a time and some forms",
			body: grantAuthorityBody{}, answer: Recorded{}, status: http.StatusCreated, keyed: keyNeeded,
			handle: commandRoute(func(c *call, cmd commands.Command, b grantAuthorityBody) (commands.Result, error) {
				if err := checkPerson("/person", b.Person); err != nil {
					return commands.Result{}, err
				}
				return h.Ledger.GrantAuthority(c.ctx, cmd, domain.AuthorityGranted{Unit: unit(c), Authority: b.Authority, Person: b.Person, Capacity: b.Capacity,
					Title: b.Title, Forms: b.Forms, From: b.From, Until: b.Until, Decision: b.Decision})
			})},
		{id: "revoke-authority", method: http.MethodPost, path: officePath + "/revocations", tag: "offices", summary: "End an authority before its time",
			body: revokeAuthorityBody{}, answer: Recorded{}, status: http.StatusCreated, keyed: keyNeeded,
			handle: commandRoute(func(c *call, cmd commands.Command, b revokeAuthorityBody) (commands.Result, error) {
				return h.Ledger.RevokeAuthority(c.ctx, cmd, unit(c), b.Authority, b.Reason)
			})},
		{id: "get-office", method: http.MethodGet, path: officePath, tag: "offices", summary: "Who held a unit's office, and who may sign for it", answer: projections.OfficeRow{},
			params: []param{paramAsOf.saying("Only who was in the office, and who could sign, at some time of this day; the unit by its name then. Default: everybody there ever was."), paramKnownAt, paramAt}, handle: func(c *call) error {
				if err := c.waitForViews(); err != nil {
					return err
				}
				if _, err := h.Ledger.Unit(c.ctx, unit(c)); err != nil {
					return err
				}
				row, err := h.Views.Offices(c.ctx, projections.OfficeQuery{Unit: unit(c), AsOf: c.query.date("as_of"), KnownAt: c.query.instant("known_at")})
				if err != nil {
					return err
				}
				return c.answer(http.StatusOK, row)
			}},
	}
}

func checkPerson(pointer string, p domain.PersonID) error {
	if !domain.ValidID(string(p)) {
		return domain.Refuse(domain.Invalid, domain.CodeID, pointer, "value", string(p))
	}
	return nil
}
