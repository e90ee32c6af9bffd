package api

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/answerable-ledger/answerable/appstate"
	"github.com/answerable-ledger/answerable/commands"
	"github.com/answerable-ledger/answerable/eventlog"
	"github.com/answerable-ledger/answerable/schemas"
)

// Log is what the feed, the comparison of repeats and the readiness check need of the event log.
type Log interface {
	ReadStream(ctx context.Context, stream string, from uint64) iter.Seq2[eventlog.Recorded, error]
	Follow(ctx context.Context, after eventlog.Position, filter eventlog.Filter, o eventlog.FollowOptions) iter.Seq2[eventlog.Batch, error]
	Head(ctx context.Context) (eventlog.Position, error)
}

// Config is what the API is made of. Everything but the options at the end is needed.
type Config struct {
	Ledger   *commands.Ledger
	Views    Views
	Log      Log
	Registry *schemas.Registry
	State    *appstate.State
	Clock    func() time.Time // the ledger's clock
	Logger   *zap.Logger
	Metrics  *prometheus.Registry

	// Evidence is the transparency log; nil gives no receipts. EvidenceTrouble says why nothing is signed any more.
	Evidence        Evidence
	EvidenceTrouble func() error

	// Version is the program's, for the OpenAPI document.
	Version string
	// Demo opens the pages to everybody and marks every figure as synthetic. The API under /v1 stays closed.
	Demo bool
	// Rebuilds makes the views again when an operator asks for it; nil: not in this process.
	Rebuilds Rebuilder
	// MaxLag is how far the views may lie behind before the process is not ready; 0 is a minute.
	MaxLag time.Duration
	// WaitFor bounds how long a read with ?at= waits for its position; 0 is five seconds.
	WaitFor time.Duration
}

// Handler serves the API and the pages. It is made by New.
type Handler struct {
	Config
	mux     *http.ServeMux
	api     huma.API
	metrics metrics
	ids     requestIDs
	headers []securityHeader
	routes  []*route
	pages   pages
	openapi []byte

	// unwritable is when an append was last refused because the log cannot be written, in nanoseconds; 0 since the last
	// one that was not.
	unwritable atomic.Int64

	closing     chan struct{} // closed when feeds are to end
	closingOnce sync.Once
}

// New makes the handler of everything the process serves. It fails when a route has no rule in the policy, so that a
// forgotten one is noticed when the program starts and not by whom it lets in.
func New(c Config) (*Handler, error) {
	if c.Ledger == nil || c.Views == nil || c.Log == nil || c.Registry == nil || c.State == nil || c.Clock == nil || c.Logger == nil || c.Metrics == nil {
		return nil, errors.New("api: Config is not complete")
	}
	if c.MaxLag == 0 {
		c.MaxLag = time.Minute
	}
	if c.Rebuilds == nil {
		c.Rebuilds = noRebuilder{}
	}
	if c.WaitFor == 0 {
		c.WaitFor = 5 * time.Second
	}
	h := &Handler{Config: c, mux: http.NewServeMux(), ids: newRequestIDs(), headers: securityHeaders(), closing: make(chan struct{})}
	components, err := newComponents()
	if err != nil {
		return nil, fmt.Errorf("api: %w", err)
	}
	h.api = humago.New(h.mux, openAPIConfig(c.Version, components))
	h.metrics = newMetrics(c.Metrics, c.Views)
	if h.pages, err = newPages(); err != nil {
		return nil, fmt.Errorf("api: %w", err)
	}
	h.routes = h.table()
	if err := h.register(); err != nil {
		return nil, fmt.Errorf("api: %w", err)
	}
	if h.openapi, err = h.document(); err != nil {
		return nil, fmt.Errorf("api: %w", err)
	}
	return h, nil
}

// ServeHTTP serves one request. The first thing it does is to take the time: that instant decides timeliness (rule 2),
// whatever the request has to wait for afterwards.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := &exchange{ResponseWriter: w, receivedAt: h.Clock(), requestID: h.ids.next(), packs: strings.Contains(r.Header.Get("Accept-Encoding"), "gzip")}
	header := w.Header()
	for _, s := range h.headers {
		header[s.name] = s.value
	}
	header["X-Request-Id"] = []string{x.requestID}
	h.mux.ServeHTTP(x, r)
}

// OpenAPI is the document that describes the API, as it is served.
func (h *Handler) OpenAPI() []byte { return h.openapi }

// CloseFeeds ends the feeds of events, which otherwise end only when their readers go: a server that shuts down waits for
// every other request and not for them.
func (h *Handler) CloseFeeds() { h.closingOnce.Do(func() { close(h.closing) }) }

// NewServer is a server with the limits the handler is meant to run under. The feed of events moves its own deadlines,
// and ends when the server begins to shut down.
func NewServer(handler http.Handler, logger *zap.Logger) *http.Server {
	std, err := zap.NewStdLogAt(logger, zap.WarnLevel)
	if err != nil { // only for a level that does not exist
		panic(err)
	}
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       2 * time.Minute, // an import over a slow line
		WriteTimeout:      2 * time.Minute,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          std,
	}
	if h, ok := handler.(*Handler); ok {
		server.RegisterOnShutdown(h.CloseFeeds)
	}
	return server
}

type securityHeader struct {
	name  string // in canonical form
	value []string
}

// securityHeaders go with every answer. Nothing is loaded from elsewhere, nothing is framed, no inline code runs.
func securityHeaders() []securityHeader {
	return []securityHeader{
		{"Content-Security-Policy", []string{"default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"}},
		{"Cross-Origin-Opener-Policy", []string{"same-origin"}},
		{"Cross-Origin-Resource-Policy", []string{"same-origin"}},
		{"Referrer-Policy", []string{"no-referrer"}},
		{"X-Content-Type-Options", []string{"nosniff"}},
		{"X-Frame-Options", []string{"DENY"}},
		{"Cache-Control", []string{"no-store"}},
	}
}
