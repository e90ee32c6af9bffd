package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/google/uuid"
	"go.uber.org/zap"

	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/eventlog"
	"github.com/answerable-ledger/answerable/schemas"
	"github.com/answerable-ledger/answerable/transparency"
	"github.com/answerable-ledger/answerable/transparency/receipts"
	"github.com/answerable-ledger/answerable/transparency/treestore"
)

// Evidence is what is asked of the transparency log.
type Evidence interface {
	Receipt(ctx context.Context, id uuid.UUID) (receipts.Receipt, error)
	Event(ctx context.Context, id uuid.UUID) (eventlog.Recorded, error)
	Opening(ctx context.Context, e eventlog.Recorded) (transparency.Opening, error)
	Status(ctx context.Context) (receipts.Status, error)
	Checkpoints(ctx context.Context) ([]treestore.Signed, error)
	Consistency(ctx context.Context, old int64, newest transparency.Note) (transparency.Consistency, error)
	SignedLately(ctx context.Context, seen string) (bool, error)
	Policy() *transparency.Policy
	Handler(onError func(error)) http.Handler
}

const (
	receiptsPath = "/v1/receipts/"
	openingsPath = "/v1/openings/"
	proofType    = "text/plain; charset=utf-8"
	// levelHeader says how much a receipt proves: recorded, logged or witnessed.
	levelHeader = "Answerable-Evidence"
)

// EvidenceStatus is how far the evidence has come.
type EvidenceStatus struct {
	Origin    string           `json:"origin" doc:"The log's name."`
	Level     string           `json:"level" doc:"What the newest checkpoint is: logged, witnessed; recorded before the first; broken when nothing is signed any more."`
	Entries   int64            `json:"entries" doc:"Events in the tree."`
	Signed    int64            `json:"signed" doc:"Of them, covered by a checkpoint."`
	Witnessed int64            `json:"witnessed" doc:"Of them, covered by a checkpoint that a quorum of witnesses cosigned."`
	Waiting   int64            `json:"not_yet_witnessed" doc:"Of them, not covered by such a checkpoint; all of them when no witness is asked."`
	Asked     bool             `json:"witnesses_asked" doc:"Whether the policy asks for witnesses at all."`
	Cosigned  []CosignedStatus `json:"cosigned,omitempty" doc:"Who cosigned the newest checkpoint."`
	Keys      []LogKeyStatus   `json:"keys,omitempty" doc:"The keys that sign the log, as recorded in the ledger; retired ones too."`
	Problem   string           `json:"problem,omitempty"`
}

// CosignedStatus is one witness's word for the newest checkpoint.
type CosignedStatus struct {
	Witness string    `json:"witness"`
	First   time.Time `json:"first"`
	Last    time.Time `json:"last"`
}

// LogKeyStatus is a key of the log and the time it was in use.
type LogKeyStatus struct {
	Key          string     `json:"key" doc:"As policies write it."`
	IntroducedAt time.Time  `json:"introduced_at"`
	RetiredAt    *time.Time `json:"retired_at,omitempty"`
}

func (h *Handler) receiptRoutes() []*route {
	public := h.noLog
	if h.Evidence != nil {
		files := http.StripPrefix("/log/", h.Evidence.Handler(func(err error) { h.Logger.Error("the transparency log could not be read", zap.Error(err)) }))
		public = func(c *call) error {
			files.ServeHTTP(c.x, c.r)
			return nil
		}
	}
	return []*route{
		{id: "get-receipt", method: http.MethodGet, path: receiptsPath + "{event_id}", tag: "evidence", mediaTypes: []string{"text/plain"}, handle: h.getReceipt,
			headers: []string{levelHeader, "Content-Disposition"}, also: []int{http.StatusAccepted, http.StatusServiceUnavailable},
			summary: "What proves that an event is in the ledger, as good as it is now: a C2SP tlog-proof; 202 with the bare entry until the first checkpoint covers it"},
		{id: "get-opening", method: http.MethodGet, path: openingsPath + "{event_id}", tag: "evidence", answer: map[string]string{}, handle: h.getOpening, export: true,
			headers: []string{"Content-Disposition"}, also: []int{http.StatusGone},
			summary: "What shows an event's content to whoever checks its receipt; for those who may read the event"},
		{id: "evidence-status", method: http.MethodGet, path: "/v1/evidence", tag: "evidence", answer: EvidenceStatus{}, handle: h.evidenceStatus, also: []int{http.StatusNotFound, http.StatusServiceUnavailable},
			summary: "How much of the ledger is signed and witnessed"},
		{id: "evidence-policy", method: http.MethodGet, path: "/v1/evidence/policy", tag: "evidence", mediaTypes: []string{"text/plain"}, handle: h.evidencePolicy, also: []int{http.StatusNotFound},
			summary: "The log's keys and witnesses as the operator names them (C2SP tlog-policy); compare it with what others hold"},
		// The files' paths and headers are those of C2SP tlog-tiles; they are not part of this document.
		{id: "log-file", method: http.MethodGet, path: "/log/{path...}", page: true, handle: public},
	}
}

func (h *Handler) noLog(c *call) error { return refuse(http.StatusNotFound, codeNoEvidence) }

// eventID reads the id in the path.
func (c *call) eventID() (uuid.UUID, error) {
	if c.h.Evidence == nil {
		return uuid.Nil, refuse(http.StatusNotFound, codeNoEvidence)
	}
	id, err := uuid.Parse(c.path("event_id"))
	if err != nil || id.String() != c.path("event_id") {
		return uuid.Nil, refuse(http.StatusNotFound, codeEvent, "value", c.path("event_id"))
	}
	return id, nil
}

func eventMissing(id uuid.UUID, err error) error {
	if errors.Is(err, receipts.ErrUnknown) {
		return refuse(http.StatusNotFound, codeEvent, "value", id.String()).because(err)
	}
	return err
}

// getReceipt is open to everybody: a receipt says what the public log says, and is carried about on paper.
func (h *Handler) getReceipt(c *call) error {
	id, err := c.eventID()
	if err != nil {
		return err
	}
	r, err := h.Evidence.Receipt(c.ctx, id)
	if err != nil {
		return eventMissing(id, err)
	}
	header := c.x.Header()
	header[levelHeader] = []string{r.Level.String()}
	header.Set("Content-Disposition", fmt.Sprintf("attachment; filename=%q", id.String()+".tlog-proof"))
	status := http.StatusOK
	if r.Level == transparency.Recorded {
		status = http.StatusAccepted
		header.Set("Retry-After", "2")
	}
	c.x.write(status, proofType, r.Bytes)
	return nil
}

// getOpening asks the policy twice: who may come to the door at all, and who may read this event.
func (h *Handler) getOpening(c *call) error {
	id, err := c.eventID()
	if err != nil {
		return err
	}
	e, err := h.Evidence.Event(c.ctx, id)
	if err != nil {
		return eventMissing(id, err)
	}
	if err := h.mayOpen(c, e); err != nil {
		return err
	}
	o, err := h.Evidence.Opening(c.ctx, e)
	if errors.Is(err, transparency.ErrErased) {
		return refuse(http.StatusGone, codeErased).because(err)
	}
	if err != nil {
		return err
	}
	body, err := json.Marshal(o)
	if err != nil {
		return fmt.Errorf("api: encode the opening of event %s: %w", id, err)
	}
	c.x.Header().Set("Content-Disposition", fmt.Sprintf("attachment; filename=%q", id.String()+".opening.json"))
	c.x.write(http.StatusOK, jsonType, append(body, '\n'))
	return nil
}

// mayOpen refuses who may not read an event: its own actor may, and whoever the rule of its kind of stream lets in.
func (h *Handler) mayOpen(c *call, e eventlog.Recorded) error {
	if _, actor := schemas.Header(e.Meta); actor == c.actor.ID && actor != domain.System {
		return nil
	}
	rule, unit, person := openingRule(e.Stream, e.Kind)
	if person != "" && person == c.actor.ID {
		return nil
	}
	_, err := h.letIn(c.ctx, c, rule, unit)
	return err
}

func (h *Handler) evidenceStatus(c *call) error {
	if h.Evidence == nil {
		return refuse(http.StatusNotFound, codeNoEvidence)
	}
	s, err := h.Evidence.Status(c.ctx)
	if err != nil {
		return err
	}
	out := EvidenceStatus{Origin: s.Origin, Entries: s.Entries, Signed: s.Signed, Witnessed: s.Witnessed, Waiting: s.Entries - s.Witnessed, Asked: s.WantsWitnesses, Level: transparency.Recorded.String()}
	switch {
	case s.Signed > 0 && s.Witnessed == s.Signed:
		out.Level = transparency.Witnessed.String()
	case s.Signed > 0:
		out.Level = transparency.Logged.String()
	}
	for _, x := range s.Cosigned {
		out.Cosigned = append(out.Cosigned, CosignedStatus{x.Witness, x.First, x.Last})
	}
	keys, err := h.Ledger.LogKeys(c.ctx)
	if err != nil {
		return err
	}
	for _, k := range keys.Keys {
		status := LogKeyStatus{Key: k.Key, IntroducedAt: k.IntroducedAt}
		if !k.RetiredAt.IsZero() {
			status.RetiredAt = &k.RetiredAt
		}
		out.Keys = append(out.Keys, status)
	}
	if h.EvidenceTrouble != nil {
		if err := h.EvidenceTrouble(); err != nil {
			out.Level, out.Problem = "broken", err.Error()
		}
	}
	return c.answer(http.StatusOK, out)
}

func (h *Handler) evidencePolicy(c *call) error {
	if h.Evidence == nil {
		return refuse(http.StatusNotFound, codeNoEvidence)
	}
	c.x.write(http.StatusOK, proofType, []byte(h.Evidence.Policy().String()))
	return nil
}

// checkpointSeen names the newest checkpoint in a statement.
func (h *Handler) checkpointSeen(ctx context.Context) (string, error) {
	if h.Evidence == nil {
		return "", nil
	}
	s, err := h.Evidence.Status(ctx)
	if err != nil || s.Signed == 0 {
		return "", err
	}
	return receipts.Names(s.Checkpoint), nil
}

// checkCheckpoint refuses one that the log did not sign of late. Without a log nobody is misled by what stands there.
func (h *Handler) checkCheckpoint(ctx context.Context, seen string) error {
	if seen == "" || h.Evidence == nil {
		return nil
	}
	known, err := h.Evidence.SignedLately(ctx, seen)
	if err == nil && !known {
		err = refuse(http.StatusUnprocessableEntity, codeCheckpoint, "value", seen).in("checkpoint")
	}
	return err
}
