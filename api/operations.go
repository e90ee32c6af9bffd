package api

import (
	"context"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/answerable-ledger/answerable/projections"
)

// Health is the answer of the two probes.
type Health struct {
	Status string           `json:"status" doc:"ok, ready or not ready."`
	Log    string           `json:"log,omitempty" doc:"reachable, unreachable, or not writable."`
	Views  string           `json:"views,omitempty" doc:"reachable, unreachable, or behind by more than this server may be."`
	Leader string           `json:"leader,omitempty" doc:"Who applies events to the views: this process, another process, or none for the moment."`
	Lag    *projections.Lag `json:"lag,omitempty"`
}

// ParkedStreams is the streams the views could not apply.
type ParkedStreams struct {
	Parked []projections.ParkedStream `json:"parked"`
}

// Retried says how many streams are no longer parked.
type Retried struct {
	Freed int `json:"freed"`
}

func (h *Handler) operationRoutes() []*route {
	return []*route{
		{id: "openapi", method: http.MethodGet, path: "/v1/openapi.json", tag: "operations", summary: "This document", mediaTypes: []string{"application/openapi+json"}, handle: func(c *call) error {
			c.x.Header()["Cache-Control"] = []string{"no-cache"}
			c.x.write(http.StatusOK, "application/openapi+json", h.openapi)
			return nil
		}},
		{id: "healthz", method: http.MethodGet, path: "/healthz", tag: "operations", summary: "Whether the process runs", answer: Health{},
			handle: func(c *call) error { return c.answer(http.StatusOK, Health{Status: "ok"}) }},
		{id: "readyz", method: http.MethodGet, path: "/readyz", tag: "operations", summary: "Whether the log is reachable and the views keep up", answer: Health{}, handle: h.ready},
		{id: "metrics", method: http.MethodGet, path: "/metrics", tag: "operations", summary: "Metrics for Prometheus", mediaTypes: []string{"text/plain"}, handle: func(c *call) error {
			promhttp.HandlerFor(h.Metrics, promhttp.HandlerOpts{}).ServeHTTP(c.x, c.r)
			return nil
		}},
		{id: "lag", method: http.MethodGet, path: "/v1/operations/lag", tag: "operations", summary: "How far the views are behind the log", answer: projections.Lag{}, handle: func(c *call) error {
			lag, err := h.Views.Lag(c.ctx)
			if err != nil {
				return err
			}
			return c.answer(http.StatusOK, lag)
		}},
		{id: "list-parked", method: http.MethodGet, path: "/v1/operations/parked", tag: "operations", summary: "Streams that hold an event the views could not apply; their units are not determinable", answer: ParkedStreams{}, handle: func(c *call) error {
			parked, err := h.Views.Parked(c.ctx)
			if err != nil {
				return err
			}
			return c.answer(http.StatusOK, ParkedStreams{Parked: parked})
		}},
		{id: "retry-parked", method: http.MethodPost, path: "/v1/operations/parked/retry", tag: "operations", summary: "Apply what is parked, now that the cause was mended; harmless to repeat", answer: Retried{}, handle: func(c *call) error {
			n, err := h.Views.RetryParked(c.ctx)
			if err != nil {
				return err
			}
			return c.answer(http.StatusOK, Retried{Freed: n})
		}},
	}
}

// unwritableFor is how long a refused append speaks against this server. Nothing else is asked of the disk: then requests
// come again, and the first of them finds out whether there is room.
const unwritableFor = 30 * time.Second

// ready tells a load balancer whether to send requests here. It says nothing that is not for everybody. That nobody leads
// is told and no reason to go elsewhere: another process takes over within seconds, and when none does the views fall
// behind.
func (h *Handler) ready(c *call) error {
	ctx, cancel := context.WithTimeout(c.ctx, 2*time.Second)
	defer cancel()
	out := Health{Status: "ready", Log: "reachable", Views: "reachable"}
	if _, err := h.Log.Head(ctx); err != nil {
		out.Log = "unreachable"
	} else if since := h.unwritable.Load(); since != 0 && h.Clock().Sub(time.Unix(0, since)) < unwritableFor {
		out.Log = "not writable"
	}
	if lag, err := h.Views.Lag(ctx); err != nil {
		if out.Log != "unreachable" { // how far the views are behind is asked of the log too
			out.Views = "unreachable"
		}
	} else if out.Lag = &lag; lag.Seconds > h.MaxLag.Seconds() {
		out.Views = "behind"
	}
	var err error
	if out.Leader, err = h.Views.Leader(ctx); err != nil {
		out.Views = "unreachable"
	}
	if out.Log == "reachable" && out.Views == "reachable" {
		return c.answer(http.StatusOK, out)
	}
	out.Status = "not ready"
	c.x.Header().Set("Retry-After", "1")
	return c.answer(http.StatusServiceUnavailable, out)
}
