package api

import (
	"net/http"

	"github.com/answerable-ledger/answerable/commands"
	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/projections"
)

type signOffBody struct {
	Version        int               `json:"version,omitempty" required:"false" doc:"The version looked at; or If-Match."`
	Digest         string            `json:"digest,omitempty" required:"false" doc:"Its digest; or If-Match."`
	CheckpointSeen string            `json:"checkpoint_seen,omitempty" required:"false" doc:"The checkpoint of the log it was seen under."`
	Nonce          string            `json:"nonce,omitempty" required:"false"`
	Statement      string            `json:"statement,omitempty" required:"false" doc:"The text signed, when it was signed; it must be the one the ledger gives."`
	Signature      *domain.Signature `json:"signature,omitempty" required:"false"`
}

// Statement is the exact text a person signs for the newest version of a report.
type Statement struct {
	Statement string `json:"statement"`
	Version   int    `json:"version"`
	Digest    string `json:"digest"`
}

func (h *Handler) signOffRoutes() []*route {
	return []*route{
		{id: "get-statement", method: http.MethodGet, path: reportPath + "/statement", tag: "sign-offs", answer: Statement{},
			summary: "The exact text to sign for the newest version, as the caller would sign it now",
			params:  []param{{name: "checkpoint", doc: "The checkpoint of the log that was seen."}, {name: "nonce", doc: "Makes the text this signature's own."}}, handle: h.getStatement},
		{id: "sign-off", method: http.MethodPost, path: reportPath + "/sign-offs", tag: "sign-offs", body: signOffBody{}, answer: Recorded{}, status: http.StatusCreated, keyed: keyNeeded, ifMatch: true,
			summary: "Sign the newest version off, in the right one holds at the instant of receipt", handle: commandRoute(h.signOff)},
		{id: "sign-off-queue", method: http.MethodGet, path: "/v1/regimes/{regime}/sign-off-queue", tag: "queries", answer: projections.QueuePage{},
			summary: "Reports that wait for a signature", params: []param{id("unit", "One unit; default: every unit."), id("form", "One form."), paramAt, paramCursor, paramPage}, handle: h.signOffQueue},
	}
}

func (h *Handler) getStatement(c *call) error {
	text, v, err := h.Ledger.Statement(c.ctx, c.actor.ID, c.reportKey(), c.query.text("checkpoint"), c.query.text("nonce"))
	if err != nil {
		return err
	}
	c.x.Header().Set("ETag", etag(v.Number, v.Digest))
	return c.answer(http.StatusOK, Statement{Statement: text, Version: v.Number, Digest: v.Digest})
}

func (h *Handler) signOff(c *call, cmd commands.Command, b signOffBody) (commands.Result, error) {
	seen, err := c.versionSeen(b.Version, b.Digest)
	if err != nil {
		return commands.Result{}, err
	}
	if seen.Digest == "" {
		return commands.Result{}, domain.Refuse(domain.Invalid, domain.CodeRequired, "/digest", "name", "digest")
	}
	result, err := h.Ledger.SignOff(c.ctx, cmd, c.reportKey(), domain.SigningAttempt{Version: seen.Version, Digest: seen.Digest,
		CheckpointSeen: b.CheckpointSeen, Nonce: b.Nonce, Statement: b.Statement, Signature: b.Signature})
	return result, h.withCurrent(c, err)
}

// signOffQueue is of the present only: what waited in the past, the history says.
func (h *Handler) signOffQueue(c *call) error {
	after, err := c.readyQuery()
	if err != nil {
		return err
	}
	q := projections.SignOffQuery{Regime: domain.RegimeID(c.path("regime")), After: after, Limit: c.query.limit()}
	if f := c.query.text("form"); f != "" {
		q.Forms = []domain.FormID{domain.FormID(f)}
	}
	if u := c.query.text("unit"); u != "" {
		q.Units = []domain.UnitCode{domain.UnitCode(u)}
	} else {
		units, err := h.Ledger.Units(c.ctx)
		if err != nil {
			return err
		}
		for _, u := range units {
			q.Units = append(q.Units, u.Code)
		}
	}
	page, err := h.Views.SignOffQueue(c.ctx, q)
	if err != nil {
		return err
	}
	page.Next = c.cursorOf(page.Next)
	return c.page(page, page.Next)
}
