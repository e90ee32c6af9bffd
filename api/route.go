package api

import (
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"go.uber.org/zap"

	"github.com/answerable-ledger/answerable/appstate"
	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/eventlog"
)

// route is one row of the table of routes: what is served, and what the OpenAPI document says of it.
type route struct {
	id      string
	method  string
	path    string
	summary string
	tag     string
	params  []param // of the query; the path's are in the path
	// body and answer are samples of the Go types whose schemas the document shows; bodyRef names a schema of a file.
	body, answer any
	bodyRef      string
	mediaTypes   []string // of the answer, when it is not application/json
	bodyTypes    []string // of the body, when it is not application/json
	status       int      // of success; 0 is 200
	also         []int    // other statuses it answers, which do not follow from the rest of the row
	headers      []string // of the answer, beside those that follow
	etag         bool     // the answer names the version it is about
	keyed        keyed
	ifMatch      bool
	export       bool // the reading is logged whoever reads
	page         bool // an error is a page too
	handle       func(*call) error

	rule    rule
	metrics routeMetrics
}

// keyed says whether a route takes an Idempotency-Key.
type keyed int

const (
	keyless keyed = iota
	keyNeeded
	keyOptional // the content is the key
)

// register binds the routes to the mux and to the OpenAPI document.
func (h *Handler) register() error {
	rules := policy()
	for _, rt := range h.routes {
		rule, ok := rules[rt.id]
		if !ok {
			return fmt.Errorf("route %s has no rule", rt.id)
		}
		if !rule.public && len(rule.allow) == 0 {
			return fmt.Errorf("the rule of route %s lets nobody in", rt.id)
		}
		delete(rules, rt.id)
		rt.rule = rule
		rt.metrics = h.metrics.of(rt.id)
		op := rt.operation(h.api.OpenAPI().Components.Schemas)
		h.api.Adapter().Handle(op, func(ctx huma.Context) {
			r, w := humago.Unwrap(ctx)
			h.serve(rt, w.(*exchange), r)
		})
		if !rt.page {
			h.api.OpenAPI().AddOperation(op)
		}
	}
	for id := range rules {
		return fmt.Errorf("rule %s has no route", id)
	}
	h.mux.HandleFunc("/", h.notRouted)
	return nil
}

// serve answers one request of a route.
func (h *Handler) serve(rt *route, x *exchange, r *http.Request) {
	c := &call{h: h, x: x, r: r, route: rt, ctx: r.Context(), receivedAt: x.receivedAt}
	defer func() {
		p := recover()
		if p == http.ErrAbortHandler {
			panic(p)
		}
		if p != nil {
			h.metrics.panics.Inc()
			h.Logger.Error("a handler panicked", zap.String("route", rt.id), zap.String("request", x.requestID), zap.Any("panic", p), zap.ByteString("stack", debug.Stack()))
			h.fail(c, fmt.Errorf("api: %s panicked", rt.id))
		}
		rt.metrics.observe(x.status, h.Clock().Sub(x.receivedAt))
	}()
	if err := h.admit(c); err != nil {
		h.fail(c, err)
		h.logAccess(c)
		return
	}
	defer h.logAccess(c) // also when the handler panics: it may have begun to answer
	if err := rt.handle(c); err != nil {
		h.fail(c, err)
	}
}

// admit lets the caller in, or says why not.
func (h *Handler) admit(c *call) error {
	rt := c.route
	if err := c.parsePath(); err != nil {
		return err
	}
	if !rt.rule.public {
		token, err := h.authenticate(c.r, c.receivedAt)
		if err != nil && rt.rule.demo && h.Demo && c.r.Header.Get("Authorization") == "" {
			return c.parseQuery()
		}
		if err != nil {
			return err
		}
		c.token, c.actor.ID = token, token.Person // a refusal is theirs, too
		if token.Scope != appstate.ScopeWrite && rt.method != http.MethodGet {
			return refuse(http.StatusForbidden, codeTokenScope)
		}
		person, err := h.Ledger.Person(c.ctx, token.Person)
		if err != nil {
			return fmt.Errorf("api: person %s: %w", token.Person, err)
		}
		c.actor = person.ActorAt(c.receivedAt)
		c.actor.ID = token.Person
		if err := c.parseQuery(); err != nil {
			return err
		}
		c.role, err = h.authorise(c.ctx, c)
		return err
	}
	return c.parseQuery()
}

// stillAdmitted asks again whether a caller may go on: the token may have been revoked or have expired since, and the role
// taken away. It is for answers that never end.
func (h *Handler) stillAdmitted(c *call) error {
	now := h.Clock()
	token, err := h.authenticate(c.r, now)
	if err != nil {
		return err
	}
	person, err := h.Ledger.Person(c.ctx, token.Person)
	if err != nil {
		return fmt.Errorf("api: person %s: %w", token.Person, err)
	}
	again := *c
	again.actor = person.ActorAt(now)
	again.actor.ID = token.Person
	_, err = h.authorise(c.ctx, &again)
	return err
}

// fail answers with an error, as a document or as a page.
func (h *Handler) fail(c *call, err error) {
	if c.route.page {
		h.writeErrorPage(c, err)
		return
	}
	if errors.Is(err, eventlog.ErrFull) || errors.Is(err, eventlog.ErrReadOnly) {
		h.unwritable.Store(h.Clock().UnixNano())
	}
	h.writeProblem(c.x, c.r, err)
}

// logFailure notes what went wrong on our side, and in a word what was refused.
func (h *Handler) logFailure(x *exchange, r *http.Request, p *Problem, err error) {
	fields := []zap.Field{zap.String("request", x.requestID), zap.String("method", r.Method), zap.String("path", r.URL.Path), zap.Int("status", p.Status), zap.String("code", p.Code)}
	switch {
	case p.Status >= http.StatusInternalServerError && r.Context().Err() == nil:
		h.Logger.Error("request failed", append(fields, zap.Error(err))...)
	default:
		h.Logger.Debug("request refused", fields...)
	}
}

// logAccess notes the readings of inspectors, every export, whatever came of them, and what any holder of a token was
// refused; once for each request.
func (h *Handler) logAccess(c *call) {
	refused := c.x.status == http.StatusForbidden || c.x.status == http.StatusNotFound
	reading := c.route.method == http.MethodGet && (c.role == domain.RoleInspector || c.route.export)
	if c.logged || c.token.ID == "" || !refused && !reading {
		return
	}
	c.logged = true
	err := h.State.LogAccess(c.ctx, appstate.Access{At: c.receivedAt, Person: c.actor.ID, Token: c.token.ID, Role: c.role, Method: c.r.Method,
		Path: c.r.URL.Path, Query: c.r.URL.RawQuery, Status: c.x.status, Request: c.x.requestID})
	if err != nil {
		h.Logger.Error("an access was not logged", zap.String("request", c.x.requestID), zap.String("person", string(c.actor.ID)), zap.Error(err))
	}
}

// notRouted answers what no route takes: 405 where another method would do, 404 elsewhere.
func (h *Handler) notRouted(w http.ResponseWriter, r *http.Request) {
	x := w.(*exchange)
	var allowed []string
	for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodDelete} {
		probe := *r
		probe.Method = method
		if _, pattern := h.mux.Handler(&probe); pattern != "/" && pattern != "" {
			allowed = append(allowed, method)
		}
	}
	if len(allowed) > 0 && !slices.Contains(allowed, r.Method) {
		allow := strings.Join(allowed, ", ")
		e := refuse(http.StatusMethodNotAllowed, codeMethod, "method", r.Method, "allow", allow)
		e.allow = allow
		h.writeProblem(x, r, e)
		return
	}
	h.writeProblem(x, r, refuse(http.StatusNotFound, codeRoute))
}
