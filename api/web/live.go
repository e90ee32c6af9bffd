package web

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
	"go.uber.org/zap"

	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/eventlog"
)

// Log is what a page that stays up to date asks of the log: what is recorded from here on.
type Log interface {
	Head(ctx context.Context) (eventlog.Position, error)
	Follow(ctx context.Context, after eventlog.Position, f eventlog.Filter, o eventlog.FollowOptions) iter.Seq2[eventlog.Batch, error]
}

const (
	// heartbeat is how often a quiet feed says that it is alive; proxies cut lines that are silent for longer.
	heartbeat = 15 * time.Second
	// gather is how long changes are gathered before a page is told: in the rush a second holds hundreds.
	gather = time.Second
	// maxFeeds bounds the pages that are kept up to date at once. Chosen: every office of a large department. A page that
	// finds no place stays as it was loaded.
	maxFeeds = 256
	// maxTold bounds the changes that are named one by one.
	maxTold = 50
)

// live is the feeds that are open.
type live struct {
	feeds       chan struct{} // as many as there are places for
	closing     chan struct{} // closed when feeds are to end
	closingOnce sync.Once
}

// changed is what a page is told: which reports, and the position it will see when it asks again.
type changed struct {
	Position string       `json:"position"`
	Reports  []toldReport `json:"reports,omitempty"`
	More     bool         `json:"more,omitempty"` // than are named
}

type toldReport struct {
	Form domain.FormID   `json:"form"`
	Unit domain.UnitCode `json:"unit"`
	Date domain.Date     `json:"date"`
}

// CloseFeeds ends the feeds of pages, which otherwise end only when their readers go. A server that shuts down calls it.
func (l *live) CloseFeeds() { l.closingOnce.Do(func() { close(l.closing) }) }

// take gives a feed its place until it leaves, or errBusy.
func (l *live) take() (leave func(), err error) {
	select {
	case l.feeds <- struct{}{}:
		return func() { <-l.feeds }, nil
	default:
		return nil, errBusy
	}
}

// liveFeed tells a page that reports of its regime and days changed, once the views show it. The page asks for its own part
// again: what may be read is decided there.
func (h *Handler) liveFeed(c *call) error {
	if h.Log == nil {
		return errNotFound
	}
	regime, from, to := domain.RegimeID(c.query.Get("regime")), domain.Date(c.query.Get("from")), domain.Date(c.query.Get("to"))
	if !domain.ValidID(string(regime)) {
		return errForm
	}
	leave, err := h.take()
	if err != nil {
		return err
	}
	defer leave()
	after, err := h.Log.Head(c.ctx)
	if err != nil {
		return fmt.Errorf("web: follow the reports of %s: %w", regime, err)
	}
	if seen := c.query.Get("at"); seen != "" { // what was recorded since the page was made
		if after, err = eventlog.ParsePosition(seen); err != nil {
			return fmt.Errorf("%w: %w", errForm, err)
		}
	}
	if last := c.r.Header.Get("Last-Event-ID"); last != "" {
		if after, err = eventlog.ParsePosition(last); err != nil {
			return fmt.Errorf("%w: %w", errForm, err)
		}
	}
	ctx, cancel := context.WithCancel(c.ctx)
	defer cancel()
	news := make(chan changed)
	go func() {
		defer close(news)
		if err := h.watch(ctx, c, regime, from, to, after, news); err != nil && ctx.Err() == nil { // the page reconnects where it stands
			h.Logger.Warn("a live page lost the log", zap.String("request", c.id), zap.Error(err))
		}
	}()
	return h.feed(ctx, c, news)
}

// watch passes on what changed, in log order, when the views show it.
func (h *Handler) watch(ctx context.Context, c *call, regime domain.RegimeID, from, to domain.Date, after eventlog.Position, news chan<- changed) error {
	unit := c.unitAsked()
	filter := eventlog.Filter{Prefixes: []string{domain.CategoryReport + "-" + string(regime) + ".", domain.CategoryRegimeDay + "-" + string(regime) + ".", domain.RegimeStream(regime)}}
	for b, err := range h.Log.Follow(ctx, after, filter, eventlog.FollowOptions{BatchSize: 500}) {
		if err != nil {
			return err
		}
		var n changed
		any := false
		for _, e := range b.Events {
			k, report := domain.ParseReportStream(e.Stream)
			if report {
				ours, err := h.within(ctx, unit, k)
				if err != nil {
					return err
				}
				if !ours || from != "" && k.Date < from || to != "" && k.Date > to {
					continue
				}
			}
			any = true
			n.tell(toldReport{k.Form, k.Unit, k.Date}, report)
		}
		if !any {
			continue
		}
		last := b.Events[len(b.Events)-1].Position
		if err := h.Views.WaitFor(ctx, last); err != nil {
			return err
		}
		n.Position = last.String()
		select {
		case news <- n:
		case <-ctx.Done():
			return nil
		}
	}
	return nil
}

// within reports whether a report is of a unit, or of one that reports through it.
func (h *Handler) within(ctx context.Context, unit domain.UnitCode, k domain.ReportKey) (bool, error) {
	if unit == "" || k.Unit == unit {
		return true, nil
	}
	u, err := h.Ledger.Unit(ctx, k.Unit)
	return u.ParentOn(k.Date) == unit, err
}

func (n *changed) tell(r toldReport, named bool) {
	switch {
	case !named || slices.Contains(n.Reports, r):
	case len(n.Reports) == maxTold:
		n.More = true
	default:
		n.Reports = append(n.Reports, r)
	}
}

// errBusy: as many pages are kept up to date as there is room for.
var errBusy = errors.New("too many pages are open")

// feed sends what changed, gathered, until the reader goes, the session ends, or the server does.
func (h *Handler) feed(ctx context.Context, c *call, news <-chan changed) error {
	control := http.NewResponseController(c.w)
	header := c.w.Header()
	header.Set("Content-Type", "text/event-stream")
	header.Set("X-Accel-Buffering", "no")
	c.status = http.StatusOK
	c.w.WriteHeader(http.StatusOK)
	send := func(text string) bool {
		// A recorder of tests has no deadlines; a line that has none is cut by its server.
		if err := control.SetWriteDeadline(time.Now().Add(2 * heartbeat)); err != nil && !errors.Is(err, http.ErrNotSupported) {
			return false
		}
		if _, err := c.w.Write([]byte(text)); err != nil {
			return false
		}
		return control.Flush() == nil
	}
	if !send(": answerable\nretry: 3000\n\n") {
		return nil
	}
	beat, tell := time.NewTicker(heartbeat), time.NewTicker(gather)
	defer beat.Stop()
	defer tell.Stop()
	var pending *changed
	tellPending := func() bool {
		b, err := json.Marshal(pending)
		if err != nil { // a struct of texts
			panic(err)
		}
		id := pending.Position
		pending = nil
		return send(fmt.Sprintf("id: %s\nevent: changed\ndata: %s\n\n", id, b))
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-h.closing:
			return nil
		case <-beat.C:
			if _, _, err := h.Accounts.Watch(c.r); err != nil || !send(": \n\n") {
				return nil
			}
		case n, ok := <-news:
			if !ok {
				if pending != nil {
					tellPending()
				}
				return nil
			}
			if pending == nil {
				pending = &changed{}
			}
			pending.Position, pending.More = n.Position, pending.More || n.More
			for _, r := range n.Reports {
				pending.tell(r, true)
			}
		case <-tell.C:
			if pending == nil {
				continue
			}
			if !tellPending() {
				return nil
			}
		}
	}
}
