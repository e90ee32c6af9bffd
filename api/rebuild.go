package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/answerable-ledger/answerable/appstate"
	"github.com/answerable-ledger/answerable/projections"
)

// Rebuilder makes the views again, beside those that are read.
type Rebuilder interface {
	// RebuildStatus gives a channel too, which is closed at the next change.
	RebuildStatus() (projections.RebuildStatus, <-chan struct{})
	StartRebuild(projections.RebuildOptions) error
	CancelRebuild() bool
	// Undo makes the views before the last rebuild the ones that are read again, and these the previous ones.
	Undo(ctx context.Context) error
	// DropPrevious removes the previous views: there is nothing to go back to then.
	DropPrevious(ctx context.Context) error
}

// noRebuilder is for a process that does not make views.
type noRebuilder struct{}

func (noRebuilder) RebuildStatus() (projections.RebuildStatus, <-chan struct{}) {
	return projections.RebuildStatus{State: "none"}, nil
}
func (noRebuilder) StartRebuild(projections.RebuildOptions) error { return projections.ErrReadOnly }
func (noRebuilder) CancelRebuild() bool                           { return false }
func (noRebuilder) Undo(context.Context) error                    { return projections.ErrReadOnly }
func (noRebuilder) DropPrevious(context.Context) error            { return projections.ErrReadOnly }

// rebuildTick is how often a feed of progress speaks at most. Chosen: as often as an eye follows.
const rebuildTick = 200 * time.Millisecond

func (h *Handler) rebuildRoutes() []*route {
	yes := func(name, doc string) param {
		return param{name: name, kind: paramChoice, choices: []string{"true"}, doc: doc}
	}
	return []*route{
		{id: "rebuild-status", method: http.MethodGet, path: "/v1/operations/rebuild", tag: "operations", summary: "How the rebuild of the views in this process stands, or how the last one ended", answer: projections.RebuildStatus{},
			handle: func(c *call) error { return h.rebuildStatus(c, http.StatusOK) }},
		{id: "stream-rebuild", method: http.MethodGet, path: "/v1/operations/rebuild/stream", tag: "operations", summary: "The progress of the rebuild (server-sent events), until it ends",
			mediaTypes: []string{eventStreamType}, handle: h.streamRebuild},
		{id: "start-rebuild", method: http.MethodPost, path: "/v1/operations/rebuild", tag: "operations", summary: "Begin a rebuild, unless one goes on; harmless to repeat", status: http.StatusAccepted, answer: projections.RebuildStatus{},
			params: []param{yes("accept", "Switch also when the new views change what no release declares."), yes("dry_run", "Compare, and write nothing."), yes("parked", "What is parked may stay parked."),
				yes("fresh", "Begin anew, also where an interrupted rebuild could be gone on with.")},
			handle: func(c *call) error {
				o := projections.RebuildOptions{Accept: c.query.text("accept") != "", DryRun: c.query.text("dry_run") != "", Parked: c.query.text("parked") != "", Fresh: c.query.text("fresh") != ""}
				// A rebuild that goes on already is what was asked for: the answer says how it stands.
				if s, _ := h.Rebuilds.RebuildStatus(); s.State != "running" {
					if err := h.Rebuilds.StartRebuild(o); err != nil {
						return err
					}
				}
				return h.rebuildStatus(c, http.StatusAccepted)
			}},
		{id: "cancel-rebuild", method: http.MethodPost, path: "/v1/operations/rebuild/cancel", tag: "operations", summary: "Cancel the rebuild that goes on, if any: the views stay as they are", status: http.StatusAccepted, answer: projections.RebuildStatus{},
			handle: func(c *call) error {
				h.Rebuilds.CancelRebuild()
				return h.rebuildStatus(c, http.StatusAccepted)
			}},
		{id: "undo-rebuild", method: http.MethodPost, path: "/v1/operations/rebuild/undo", tag: "operations", keyed: keyNeeded, also: []int{http.StatusConflict, http.StatusUnprocessableEntity}, answer: projections.RebuildStatus{},
			summary: "Go back to the views before the last rebuild, which have followed the log since; once more goes forward again",
			handle:  func(c *call) error { return h.rebuildOnce(c, h.Rebuilds.Undo) }},
		{id: "drop-previous", method: http.MethodPost, path: "/v1/operations/rebuild/drop-previous", tag: "operations", keyed: keyNeeded, also: []int{http.StatusConflict, http.StatusUnprocessableEntity}, answer: projections.RebuildStatus{},
			summary: "Remove the views before the last rebuild: their room is free, and there is nothing to go back to",
			handle:  func(c *call) error { return h.rebuildOnce(c, h.Rebuilds.DropPrevious) }},
	}
}

// rebuildOnce does what a second time would turn round, once for each key: a caller whose answer was lost sends it again.
// It is done to its end when the caller has gone, since nobody would know whether it was.
func (h *Handler) rebuildOnce(c *call, act func(context.Context) error) error {
	key, err := c.idempotencyKey()
	if err != nil {
		return err
	}
	ctx := context.WithoutCancel(c.ctx)
	request := appstate.Request{Person: c.actor.ID, Route: "POST " + c.r.URL.Path, Key: key}
	kept, err := h.State.Begin(ctx, request)
	if err != nil {
		return err
	}
	if kept == nil {
		if err := act(ctx); err != nil {
			return errors.Join(err, h.State.Forget(ctx, request))
		}
		s, _ := h.Rebuilds.RebuildStatus()
		body, err := json.Marshal(s, answerJSON)
		if err != nil {
			return fmt.Errorf("api: encode the status of a rebuild: %w", err)
		}
		kept = &appstate.Answer{Status: http.StatusOK, Body: append(body, '\n')}
		if err := h.State.Keep(ctx, request, *kept); err != nil {
			return err
		}
	} else {
		h.metrics.repeats.Inc()
		c.x.Header().Set("Idempotency-Replayed", "true")
	}
	c.x.write(kept.Status, jsonType, kept.Body)
	return nil
}

func (h *Handler) rebuildStatus(c *call, status int) error {
	s, _ := h.Rebuilds.RebuildStatus()
	return c.answer(status, s)
}

// streamRebuild sends how a rebuild stands whenever that changes, some times a second at most, and ends with it.
func (h *Handler) streamRebuild(c *call) error {
	control := http.NewResponseController(c.x)
	header := c.x.Header()
	header.Set("Content-Type", eventStreamType)
	header.Set("X-Accel-Buffering", "no")
	c.x.WriteHeader(http.StatusOK)
	h.logAccess(c)
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	tick := time.NewTicker(rebuildTick)
	defer tick.Stop()
	for {
		s, changed := h.Rebuilds.RebuildStatus()
		text, err := json.Marshal(s, answerJSON)
		if err != nil {
			return fmt.Errorf("api: encode the progress of a rebuild: %w", err)
		}
		if err := extend(control); err != nil {
			return nil
		}
		if _, err := fmt.Fprintf(c.x, "event: %s\ndata: %s\n\n", s.State, text); err != nil || control.Flush() != nil {
			return nil // the reader has gone
		}
		if s.State != "running" {
			return nil
		}
		for waiting := true; waiting; {
			select {
			case <-c.ctx.Done():
				return nil
			case <-h.closing:
				return nil
			case <-beat.C:
				if _, err := h.authenticate(c.r, h.Clock()); err != nil { // revoked or expired meanwhile
					return nil
				}
			case <-changed:
				waiting = false
			}
		}
		select {
		case <-tick.C: // what changed within a tick is told once
		case <-c.ctx.Done():
			return nil
		}
	}
}
