package web

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/answerable-ledger/answerable/api/ui"
	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/projections"
)

// maxChanges bounds what is kept of a rebuild's difference report. Chosen: what a person reads through; the rest is counted,
// and the command line prints all of it.
const maxChanges = 200

// rebuildReport is what the last rebuild that was begun here found.
type rebuildReport struct {
	mu    sync.Mutex // owns what follows
	run   *found     // nil: none was begun here
	begun time.Time
}

// found is what one rebuild tells of, from a goroutine of its own.
type found struct {
	mu    sync.Mutex // owns what follows
	rows  []projections.Change
	total int64
}

func (f *found) add(c projections.Change) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.total++; len(f.rows) < maxChanges {
		f.rows = append(f.rows, c)
	}
}

// of gives the report that belongs to a comparison: that of the rebuild begun here, unless another one was compared since.
func (d *rebuildReport) of(c *projections.Comparison) (rows []projections.Change, cut bool) {
	if c == nil {
		return nil, false
	}
	all := c.Declared + c.Undeclared
	d.mu.Lock()
	run := d.run
	d.mu.Unlock()
	if run != nil {
		run.mu.Lock()
		defer run.mu.Unlock()
		if run.total == all {
			return slices.Clone(run.rows), int64(len(run.rows)) < all
		}
	}
	return c.First, int64(len(c.First)) < all
}

func (h *Handler) operationsPage(c *call) error { return h.showOperations(c, nil) }

func (h *Handler) showOperations(c *call, refusal error) error {
	f, err := c.operationTabs("operations")
	if err != nil {
		return err
	}
	p := ui.Operations{Frame: f, MayAct: c.actor.Has(domain.RoleAdmin, ""), MayAudit: c.may("access")}
	if p.Lag, err = h.Views.Lag(c.ctx); err != nil {
		return err
	}
	if p.Parked, err = h.Views.Parked(c.ctx); err != nil {
		return err
	}
	p.Feeds = []ui.Feed{{Name: "feed.live", Place: p.Lag.Place, Events: p.Lag.Events, Seconds: p.Lag.Seconds}}
	var stored []projections.Generation
	if o := h.Operate.Rebuilds; o != nil {
		p.Rebuilds = true
		if stored, err = h.rebuildState(c, o, &p); err != nil {
			return err
		}
	}
	if h.Operate.Integrity != nil {
		s, err := h.Operate.Integrity(c.ctx)
		if err != nil {
			return err
		}
		tree := ui.Feed{Name: "feed.tree", Place: strconv.FormatInt(s.Signed, 10), Events: s.Entries - s.Signed}
		if tree.Events > 0 && !s.SignedAt.IsZero() {
			tree.Seconds = max(0, c.at.Sub(s.SignedAt).Seconds())
		}
		p.Feeds = append(p.Feeds, tree)
	}
	if h.Operate.Backup != nil {
		p.Backup = h.Operate.Backup()
	}
	p.Jobs = h.operating.jobs.list(p.Rebuild.State, stored)
	status, err := c.refused(f, &p.Acts, refusal)
	if err != nil {
		return err
	}
	if p.Running() {
		p.Live = "/operations/feed"
	}
	if refusal == nil {
		return c.renderLive(p)
	}
	return c.render(status, p)
}

// rebuildState tells how a rebuild stands, and gives what the store holds of this one and of earlier ones.
func (h *Handler) rebuildState(c *call, o Rebuilder, p *ui.Operations) ([]projections.Generation, error) {
	p.Rebuild.RebuildStatus, _ = o.RebuildStatus()
	if p.Rebuild.State != "running" {
		p.Rebuild.Changes, p.Rebuild.Cut = h.operating.found.of(p.Rebuild.Comparison)
	}
	generations, err := o.Generations(c.ctx)
	if err != nil {
		return nil, err
	}
	var live int64
	for _, g := range generations {
		switch g.State {
		case "live":
			live = g.Events
			p.Feeds[0].Detail = g.Version
		case "written":
			p.Feeds = append(p.Feeds, ui.Feed{Name: "feed.written", Detail: g.Version, Place: g.Place, Events: p.Lag.Events + max(0, live-g.Events), Seconds: -1})
		case "previous":
			p.Rebuild.Previous = &g
			p.Feeds = append(p.Feeds, ui.Feed{Name: "feed.previous", Detail: g.Version, Place: g.Place, Events: p.Lag.Events + max(0, live-g.Events), Seconds: -1})
		}
	}
	return generations, nil
}

// rebuildFeed tells a page that a rebuild has come further, and ends with it. The page asks for its own part again.
func (h *Handler) rebuildFeed(c *call) error {
	r, err := h.rebuilder()
	if err != nil {
		return err
	}
	leave, err := h.take()
	if err != nil {
		return err
	}
	defer leave()
	ctx, cancel := context.WithCancel(c.ctx)
	defer cancel()
	news := make(chan changed)
	go func() {
		defer close(news)
		for {
			s, next := r.RebuildStatus() // before it is told of, so that no change after it is missed
			select {
			case news <- changed{}:
			case <-ctx.Done():
				return
			}
			if s.State != "running" {
				return
			}
			select {
			case <-next:
			case <-ctx.Done():
				return
			}
		}
	}()
	return h.feed(ctx, c, news)
}

func (h *Handler) retry(c *call) error {
	if _, err := h.Views.RetryParked(c.ctx); err != nil {
		return h.showOperations(c, err)
	}
	return c.redirect("/operations")
}

// rebuilder is what makes the views, or the refusal of a process that does not.
func (h *Handler) rebuilder() (Rebuilder, error) {
	if h.Operate.Rebuilds == nil {
		return nil, projections.ErrReadOnly
	}
	return h.Operate.Rebuilds, nil
}

// rebuild begins one: a dry run, one that switches when nothing undeclared differs, or one that switches whatever differs.
func (h *Handler) rebuild(c *call) error {
	r, err := h.rebuilder()
	if err != nil {
		return h.showOperations(c, err)
	}
	run := &found{}
	o := projections.RebuildOptions{Parked: c.r.PostForm.Get("parked") == "1", Fresh: c.r.PostForm.Get("fresh") == "1", Differs: run.add}
	switch c.r.PostForm.Get("how") {
	case "dry":
		o.DryRun = true
	case "switch":
	case "accept":
		if c.r.PostForm.Get("agree") != "1" {
			return h.showOperations(c, domain.Refuse(domain.Invalid, domain.CodeTextMissing, "/agree"))
		}
		o.Accept = true
	default:
		return errForm
	}
	if err := r.StartRebuild(o); err != nil {
		return h.showOperations(c, err)
	}
	h.operating.found.mu.Lock()
	h.operating.found.run, h.operating.found.begun = run, c.at
	h.operating.found.mu.Unlock()
	end := h.operating.jobs.begin(ui.Job{Kind: "rebuild", Who: c.person.ID, What: map[bool]string{true: "--dry-run"}[o.DryRun], Begun: c.at})
	go func() { // until it ends, or the server does
		for {
			s, next := r.RebuildStatus()
			if s.State != "running" {
				end(s.State, h.Clock())
				return
			}
			select {
			case <-next:
			case <-h.closing:
				return
			}
		}
	}()
	return c.redirect("/operations")
}

func (h *Handler) rebuildCancel(c *call) error {
	r, err := h.rebuilder()
	if err != nil {
		return h.showOperations(c, err)
	}
	r.CancelRebuild() // one that has just ended needs no cancelling
	return c.redirect("/operations")
}

// undoTime bounds how long a page waits for the previous views to take over. They are kept up, so that this is short.
const undoTime = 30 * time.Second

func (h *Handler) rebuildUndo(c *call) error {
	r, err := h.rebuilder()
	if err == nil {
		ctx, cancel := context.WithTimeout(c.ctx, undoTime)
		defer cancel()
		err = r.Undo(ctx)
	}
	if err != nil {
		return h.showOperations(c, err)
	}
	return c.redirect("/operations")
}

func (h *Handler) rebuildDrop(c *call) error {
	if c.r.PostForm.Get("agree") != "1" {
		return h.showOperations(c, domain.Refuse(domain.Invalid, domain.CodeTextMissing, "/agree"))
	}
	r, err := h.rebuilder()
	if err == nil {
		err = r.DropPrevious(c.ctx)
	}
	if err != nil {
		return h.showOperations(c, err)
	}
	return c.redirect("/operations")
}

// integrityPage says in plain words whether the ledger can be trusted.
func (h *Handler) integrityPage(c *call) error {
	f, err := c.operationTabs("integrity")
	if err != nil {
		return err
	}
	p := ui.Integrity{Frame: f, Site: h.Operate.Site, MayAct: c.may("verify"), Verdict: "none"}
	if h.Operate.Integrity != nil {
		if p.State, err = h.Operate.Integrity(c.ctx); err != nil {
			return err
		}
		p.Made, p.Verdict = p.State.Origin != "", verdict(p.State)
	}
	p.State.Checks = p.State.Checks && h.Operate.Verify != nil
	return c.render(http.StatusOK, p)
}

// verdict is the worst that is known.
func verdict(s ui.IntegrityState) string {
	switch {
	case s.Trouble != "" || s.SecondSays != "" || !s.Last.At.IsZero() && !s.Last.Running && !s.Last.OK:
		return "broken"
	case s.Origin == "":
		return "none"
	case s.Signed == 0:
		return "unsigned"
	case s.Wants && s.Witnessed == 0:
		return "unwitnessed"
	case !s.Wants:
		return "alone"
	}
	return "good"
}

func (h *Handler) verify(c *call) error {
	if h.Operate.Verify == nil {
		return errNotFound
	}
	h.Operate.Verify()
	return c.redirect("/integrity")
}

// configurationPage lists the settings, where each comes from, and no secret.
func (h *Handler) configurationPage(c *call) error {
	f, err := c.operationTabs("configuration")
	if err != nil {
		return err
	}
	return c.render(http.StatusOK, ui.Configuration{Frame: f, Rows: h.Operate.Settings})
}
