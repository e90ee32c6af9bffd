package web

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/answerable-ledger/answerable/accounts"
	"github.com/answerable-ledger/answerable/api/ui"
	"github.com/answerable-ledger/answerable/appstate"
	"github.com/answerable-ledger/answerable/commands"
	"github.com/answerable-ledger/answerable/documents"
	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/eventlog"
	"github.com/answerable-ledger/answerable/projections"
	"github.com/answerable-ledger/answerable/schemas"
)

// Views is what the pages ask of the read side.
type Views interface {
	Compliance(ctx context.Context, q projections.ComplianceQuery) (projections.CompliancePage, error)
	Grid(ctx context.Context, q projections.GridQuery) (projections.Grid, error)
	History(ctx context.Context, q projections.HistoryQuery) (projections.History, error)
	Answer(ctx context.Context, q projections.AnswerQuery) (projections.AnswerPage, error)
	Search(ctx context.Context, q projections.SearchQuery) (projections.AnswerPage, error)
	Breaches(ctx context.Context, q projections.BreachQuery) (projections.BreachPage, error)
	Synthesis(ctx context.Context, q projections.SynthesisQuery) (projections.Synthesis, error)
	SignOffQueue(ctx context.Context, q projections.SignOffQuery) (projections.QueuePage, error)
	Targets(ctx context.Context, q projections.TargetQuery) (projections.TargetPage, error)
	Units(ctx context.Context, q projections.UnitQuery) (projections.UnitPage, error)
	Parked(ctx context.Context) ([]projections.ParkedStream, error)
	RetryParked(ctx context.Context) (int, error)
	Lag(ctx context.Context) (projections.Lag, error)
	WaitFor(ctx context.Context, p eventlog.Position) error
}

// Config is what the pages are made of. Everything but the options at the end is needed.
type Config struct {
	Ledger   *commands.Ledger
	Views    Views
	Registry *schemas.Registry
	Accounts *accounts.Accounts
	State    *appstate.State // the access log
	Clock    func() time.Time
	Logger   *zap.Logger
	// Next serves what is no page of this package: the API and the open pages.
	Next http.Handler

	// Log tells pages that stay open what is recorded; nil keeps none of them up to date.
	Log Log
	// Demo marks every figure as synthetic. Whether one may sign in without proof, Accounts knows.
	Demo bool
	// Evidence is what proves events to outsiders; nil: none is made.
	Evidence documents.Evidence
	// Receipts says that Next gives receipts of events under /v1/receipts/.
	Receipts bool
	// DemoPersons are listed on the demonstration's page of persons to sign in as; of them, those who are synthetic.
	DemoPersons []domain.PersonID
	// Checkpoint is the newest checkpoint of the log, which a statement to sign names; nil names none.
	Checkpoint func(context.Context) (string, error)
	// SignedLately reports whether a checkpoint that a form brings back is one of the log's; nil: none is.
	SignedLately func(ctx context.Context, seen string) (bool, error)
	// Operate is what the pages of operators and developers are made of.
	Operate Operate
	// WaitFor bounds how long a page waits for the views to show what was just recorded; 0 is five seconds.
	WaitFor time.Duration
}

// Handler serves the pages. It is made by New.
type Handler struct {
	Config
	*live
	mux     *http.ServeMux
	pages   *ui.Pages
	routes  []*route
	process string // random part of the request ids

	operating operating
}

// New makes the handler. It fails when a route has no rule in the policy.
func New(c Config) (*Handler, error) {
	if c.Ledger == nil || c.Views == nil || c.Registry == nil || c.Accounts == nil || c.State == nil || c.Clock == nil || c.Logger == nil || c.Next == nil {
		return nil, errors.New("web: Config is not complete")
	}
	if c.WaitFor == 0 {
		c.WaitFor = 5 * time.Second
	}
	var b [6]byte
	rand.Read(b[:]) // it never fails: crypto/rand ends the process first
	h := &Handler{Config: c, mux: http.NewServeMux(), process: hex.EncodeToString(b[:])}
	var err error
	if h.pages, err = ui.New(); err != nil {
		return nil, fmt.Errorf("web: %w", err)
	}
	h.live = &live{feeds: make(chan struct{}, maxFeeds), closing: make(chan struct{})}
	h.routes = h.table()
	if err := h.register(); err != nil {
		return nil, fmt.Errorf("web: %w", err)
	}
	return h, nil
}

// ServeHTTP serves one request. The first thing it does is to take the time: that instant decides timeliness (rule 2).
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	at := h.Clock()
	if _, pattern := h.mux.Handler(r); pattern == "" {
		h.Next.ServeHTTP(w, r)
		return
	}
	var b [6]byte
	rand.Read(b[:])
	id := h.process + "-" + hex.EncodeToString(b[:])
	r = r.WithContext(context.WithValue(r.Context(), arrivalKey{}, arrival{at: at, id: id}))
	header := w.Header() // set here, for the mux answers by itself when a path is not clean
	header.Set("Content-Security-Policy", contentSecurity)
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("X-Frame-Options", "DENY")
	header.Set("Referrer-Policy", "same-origin")
	header.Set("Cross-Origin-Opener-Policy", "same-origin")
	header.Set("Cross-Origin-Resource-Policy", "same-origin")
	header.Set("Permissions-Policy", "geolocation=(), camera=(), microphone=()")
	header.Set("Cache-Control", "no-store")
	header.Set("X-Request-Id", id)
	h.mux.ServeHTTP(w, r)
}

// arrival is when a request came in, and its id.
type arrival struct {
	at time.Time
	id string
}

type arrivalKey struct{}

// contentSecurity lets a page load our own style and script, send to us, and nothing else.
const contentSecurity = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// serve answers one request of a route.
func (h *Handler) serve(rt *route, w http.ResponseWriter, r *http.Request) {
	a, _ := r.Context().Value(arrivalKey{}).(arrival)
	c := &call{h: h, w: w, r: r, ctx: r.Context(), route: rt, at: a.at, id: a.id}
	defer func() {
		p := recover()
		if p == http.ErrAbortHandler {
			panic(p)
		}
		if p != nil {
			h.Logger.Error("a page panicked", zap.String("route", rt.id), zap.String("request", c.id), zap.Any("panic", p), zap.ByteString("stack", debug.Stack()))
			c.fail(fmt.Errorf("web: %s panicked", rt.id))
		}
	}()
	if err := h.admit(c); err != nil {
		c.fail(err)
		h.logAccess(c)
		return
	}
	defer h.logAccess(c) // also when the handler panics: it may have begun to answer
	if err := rt.handle(c); err != nil {
		c.fail(err)
	}
}

// logAccess notes what inspectors ask, every page of figures that somebody reads by a role of oversight, every file, and
// whatever anybody who is signed in was refused. What strangers are refused is noise, which would bury the rest.
func (h *Handler) logAccess(c *call) {
	refused := !c.route.rule.public && c.person.Exists() && (c.status == http.StatusForbidden || c.status == http.StatusNotFound)
	admitted := c.role == domain.RoleInspector || c.role == domain.RoleDepartment || c.role == domain.RoleAdmin
	if !refused && !(c.route.logged && admitted) && !(c.route.file && c.person.Exists()) {
		return
	}
	query := c.r.URL.RawQuery
	if c.said != "" {
		query = c.said
	}
	err := h.State.LogAccess(c.ctx, appstate.Access{At: c.at, Person: c.person.ID, Token: "session:" + c.session.ID, Role: c.role, Method: c.r.Method,
		Path: c.r.URL.Path, Query: query, Status: c.status, Request: c.id})
	if err != nil {
		h.Logger.Error("an access was not logged", zap.String("request", c.id), zap.String("person", string(c.person.ID)), zap.Error(err))
	}
}

// write sends a whole answer. A reader that has gone away is none of ours to handle.
func (c *call) write(status int, contentType string, body []byte) {
	header := c.w.Header()
	header.Add("Vary", "Accept-Encoding")
	header.Set("Content-Type", contentType)
	if len(body) > 1400 && strings.Contains(c.r.Header.Get("Accept-Encoding"), "gzip") { // below a packet it gains nothing
		var b bytes.Buffer
		z, err := gzip.NewWriterLevel(&b, gzip.BestSpeed+4)
		if err == nil {
			_, err = z.Write(body)
		}
		if err == nil && z.Close() == nil {
			header.Set("Content-Encoding", "gzip")
			body = b.Bytes()
		}
	}
	header.Set("Content-Length", strconv.Itoa(len(body)))
	c.status = status
	c.w.WriteHeader(status)
	_, _ = c.w.Write(body)
}
