package api

import (
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/answerable-ledger/answerable/appstate"
	"github.com/answerable-ledger/answerable/commands"
	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/projections"
)

type signOffBody struct {
	Version        int               `json:"version,omitempty" required:"false" doc:"The version looked at; or If-Match, or the statement's."`
	Digest         string            `json:"digest,omitempty" required:"false" doc:"Its digest; or If-Match, or the statement's."`
	CheckpointSeen string            `json:"checkpoint_seen,omitempty" required:"false" doc:"The checkpoint of the log it was seen under; or the statement's."`
	Nonce          string            `json:"nonce,omitempty" required:"false" doc:"The statement's, when there is none."`
	Statement      string            `json:"statement,omitempty" required:"false" doc:"The text signed, when it was signed; it must be the one the ledger gave, byte for byte."`
	Signature      *domain.Signature `json:"signature,omitempty" required:"false" doc:"Over the statement, by a key the signer has enrolled. Its parts are base64."`
}

// Statement is the exact text a person signs for the newest version of a report.
type Statement struct {
	Statement string `json:"statement"`
	Version   int    `json:"version"`
	Digest    string `json:"digest"`
	// CheckpointSeen and Nonce are those in the statement.
	CheckpointSeen string     `json:"checkpoint_seen,omitempty"`
	Nonce          string     `json:"nonce"`
	ExpiresAt      *time.Time `json:"expires_at,omitempty" doc:"Until when a signature over this statement is taken; once. None: only an unsigned sign-off can use it."`
}

func (h *Handler) signOffRoutes() []*route {
	return []*route{
		{id: "get-statement", method: http.MethodGet, path: reportPath + "/statement", tag: "sign-offs", answer: Statement{}, etag: true,
			summary: "The exact text to sign for the newest version, as the caller would sign it now",
			params:  []param{{name: "checkpoint", doc: "The checkpoint of the log that was seen; default: the newest."}, {name: "nonce", doc: "One of the caller's own; without it the ledger gives one, and only over that can be signed."}}, handle: h.getStatement},
		{id: "sign-off", method: http.MethodPost, path: reportPath + "/sign-offs", tag: "sign-offs", body: signOffBody{}, answer: Recorded{}, status: http.StatusCreated, keyed: keyNeeded, ifMatch: true, etag: true,
			summary: "Sign the newest version off, in the right one holds at the instant of receipt", handle: commandRoute(h.signOff)},
		{id: "sign-off-queue", method: http.MethodGet, path: "/v1/regimes/{regime}/sign-off-queue", tag: "queries", answer: projections.QueuePage{},
			summary: "Reports that wait for a signature, or waited for it at an instant",
			params:  []param{id("unit", "One unit; default: every unit."), id("form", "One form."), paramAsOf.saying("The day whose names are shown; default: each row's own."), paramKnownAt, paramAt, paramCursor, paramPage}, handle: h.signOffQueue},
	}
}

func (h *Handler) getStatement(c *call) error {
	out := Statement{CheckpointSeen: c.query.text("checkpoint"), Nonce: c.query.text("nonce")}
	var err error
	if out.CheckpointSeen == "" {
		if out.CheckpointSeen, err = h.checkpointSeen(c.ctx); err != nil {
			return err
		}
	} else if err = h.checkCheckpoint(c.ctx, out.CheckpointSeen); err != nil {
		return err
	}
	issued := out.Nonce == ""
	if issued {
		out.Nonce = rand.Text()
	}
	text, v, err := h.Ledger.Statement(c.ctx, c.actor.ID, c.reportKey(), out.CheckpointSeen, out.Nonce)
	if err != nil {
		return err
	}
	if issued {
		expires := c.receivedAt.Add(statementTime).UTC()
		out.ExpiresAt = &expires
		if err := h.State.BeginCeremony(c.ctx, statementCeremony(c.actor.ID, out.Nonce, text, expires)); err != nil {
			return err
		}
	}
	out.Statement, out.Version, out.Digest = text, v.Number, v.Digest
	c.x.Header().Set("ETag", etag(v.Number, v.Digest))
	return c.answer(http.StatusOK, out)
}

// statementTime is how long a statement that was given out may be signed: a person looks at figures, then at a key.
const statementTime = 10 * time.Minute

const statementKind = "statement"

// statementCeremony remembers a statement by its nonce, in digests: what is kept gives nothing away.
func statementCeremony(person domain.PersonID, nonce, text string, expires time.Time) appstate.Ceremony {
	id, statement := sha256.Sum256([]byte(statementKind+"\n"+nonce)), sha256.Sum256([]byte(text))
	return appstate.Ceremony{Hash: hex.EncodeToString(id[:]), Kind: statementKind, Person: person, Data: hex.EncodeToString(statement[:]), ExpiresAt: expires}
}

// takeStatement uses a statement up. A repeat of the command that used it goes on, to be recognised by the ledger.
func (h *Handler) takeStatement(c *call, cmd commands.Command, b signOffBody) error {
	want := statementCeremony(c.actor.ID, b.Nonce, b.Statement, time.Time{})
	got, err := h.State.TakeCeremony(c.ctx, want.Hash)
	if err == nil && got.Kind == want.Kind && got.Person == want.Person && got.Data == want.Data {
		return nil
	}
	if err != nil && !errors.Is(err, appstate.ErrNoCeremony) {
		return err
	}
	report, readErr := h.Ledger.Report(c.ctx, c.reportKey())
	if readErr != nil {
		return readErr
	}
	if _, repeat := report.Seen(cmd.ID); repeat {
		return nil
	}
	e := refuse(http.StatusUnprocessableEntity, codeNonce).because(err)
	e.pointer = "/nonce"
	return e
}

// fromStatement fills in what only the statement says.
func (b *signOffBody) fromStatement() {
	var s struct {
		Checkpoint string `json:"checkpoint"`
		Digest     string `json:"digest"`
		Nonce      string `json:"nonce"`
		Version    int    `json:"version"`
	}
	if b.Statement == "" || json.Unmarshal([]byte(b.Statement), &s) != nil { // the ledger says what is wrong with it
		return
	}
	b.CheckpointSeen, b.Digest, b.Nonce = cmp.Or(b.CheckpointSeen, s.Checkpoint), cmp.Or(b.Digest, s.Digest), cmp.Or(b.Nonce, s.Nonce)
	b.Version = cmp.Or(b.Version, s.Version)
}

func (h *Handler) signOff(c *call, cmd commands.Command, b signOffBody) (commands.Result, error) {
	b.fromStatement()
	seen, err := c.versionSeen(b.Version, b.Digest)
	if err != nil {
		return commands.Result{}, err
	}
	if seen.Digest == "" {
		return commands.Result{}, domain.Refuse(domain.Invalid, domain.CodeRequired, "/digest", "name", "digest")
	}
	if b.Signature != nil {
		if b.Statement == "" { // what was signed must be said, not guessed
			return commands.Result{}, domain.Refuse(domain.Invalid, domain.CodeRequired, "/statement", "name", "statement")
		}
		if err := h.takeStatement(c, cmd, b); err != nil { // what it says to have seen was asked when it was issued
			return commands.Result{}, err
		}
	} else if err := h.checkCheckpoint(c.ctx, b.CheckpointSeen); err != nil {
		return commands.Result{}, err
	}
	result, err := h.Ledger.SignOff(c.ctx, cmd, c.reportKey(), domain.SigningAttempt{Version: seen.Version, Digest: seen.Digest,
		CheckpointSeen: b.CheckpointSeen, Nonce: b.Nonce, Statement: b.Statement, Signature: b.Signature})
	return result, h.withCurrent(c, err)
}

func (h *Handler) signOffQueue(c *call) error {
	after, err := c.readyQuery()
	if err != nil {
		return err
	}
	q := projections.SignOffQuery{Regime: domain.RegimeID(c.path("regime")), AsOf: c.query.date("as_of"), KnownAt: c.query.instant("known_at"), After: after, Limit: c.query.limit()}
	if f := c.query.text("form"); f != "" {
		q.Forms = []domain.FormID{domain.FormID(f)}
	}
	if u := c.query.text("unit"); u != "" {
		if _, err := h.Ledger.Unit(c.ctx, domain.UnitCode(u)); err != nil {
			return err
		}
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
