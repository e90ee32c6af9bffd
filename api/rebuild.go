package api

import (
	"fmt"
	"net/http"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/answerable-ledger/answerable/projections"
)

// Rebuilder makes the views again, beside those that are read.
type Rebuilder interface {
	// RebuildStatus gives a channel too, which is closed at the next change.
	RebuildStatus() (projections.RebuildStatus, <-chan struct{})
	StartRebuild(projections.RebuildOptions) error
	CancelRebuild() bool
}

// noRebuilder is for a process that does not make views.
type noRebuilder struct{}

func (noRebuilder) RebuildStatus() (projections.RebuildStatus, <-chan struct{}) {
	return projections.RebuildStatus{State: "none"}, nil
}
func (noRebuilder) StartRebuild(projections.RebuildOptions) error { return projections.ErrReadOnly }
func (noRebuilder) CancelRebuild() bool                           { return false }

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
			params: []param{yes("accept", "Switch also when the new views change what no release declares."), yes("dry_run", "Compare, and write nothing."), yes("parked", "What is parked may stay parked.")},
			handle: func(c *call) error {
				o := projections.RebuildOptions{Accept: c.query.text("accept") != "", DryRun: c.query.text("dry_run") != "", Parked: c.query.text("parked") != ""}
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
	}
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
