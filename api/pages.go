package api

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"

	"github.com/answerable-ledger/answerable/api/ui"
	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/projections"
)

const htmlType = "text/html; charset=utf-8"

// pageRows bounds the rows of a page. Chosen: a province's obligations of a day on one or two pages.
const pageRows = 250

// pages renders the pages; its routes are in the table like any other.
type pages struct{ *ui.Pages }

func newPages() (pages, error) {
	p, err := ui.New()
	return pages{p}, err
}

func (h *Handler) pageRoutes() []*route {
	regime := id("regime", "The regime.")
	day := date("date", "The day.")
	known := param{name: "known_at", kind: paramLocal, doc: "As known at this instant."}
	lang := param{name: "lang", kind: paramChoice, choices: []string{string(domain.Vietnamese), string(domain.English)}, doc: "The language from here on."}
	page := func(id, path, summary string, handle func(*call) error, more ...param) *route {
		return &route{id: id, method: http.MethodGet, path: path, summary: summary, page: true, params: append([]param{regime, day, known, lang, paramAt}, more...), handle: handle}
	}
	return []*route{
		page("page-board", "/{$}", "The day's board", h.boardPage, id("area", "One area."), paramCursor),
		page("page-unit", "/units/{unit}", "A unit's history", h.unitPage),
		page("page-breaches", "/breaches", "Breaches", h.breachesPage, id("unit", "One unit."), paramCursor),
		page("page-synthesis", "/synthesis", "The day's roll-ups", h.synthesisPage, id("area", "One area.")),
		{id: "page-style", method: http.MethodGet, path: "/assets/app.css", page: true, params: []param{{name: "v", doc: "Version."}}, handle: func(c *call) error {
			css, version := h.pages.Style()
			if c.query.text("v") == version {
				c.x.Header()["Cache-Control"] = []string{"public, max-age=31536000, immutable"}
			}
			c.x.write(http.StatusOK, "text/css; charset=utf-8", css)
			return nil
		}},
	}
}

const languageCookie = "lang"

// language of a page: what was just chosen, what was chosen before, Vietnamese.
func (c *call) language() domain.Language {
	chosen := c.query.text("lang")
	if chosen != "" {
		http.SetCookie(c.x, &http.Cookie{Name: languageCookie, Value: chosen, Path: "/", MaxAge: 365 * 24 * 3600, HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: c.r.TLS != nil})
	} else if cookie, err := c.r.Cookie(languageCookie); err == nil {
		chosen = cookie.Value
	}
	if chosen == string(domain.English) {
		return domain.English
	}
	return domain.Vietnamese
}

// frame is what a page has around its content, and the regime and day it is about.
func (h *Handler) frame(c *call, title string) (ui.Frame, domain.Regime, error) {
	_, version := h.pages.Style()
	f := ui.Frame{Language: c.language(), Path: c.r.URL.Path, Query: url.Values(c.query), StyleVer: version, Synthetic: h.Demo, Demo: h.Demo, Now: c.receivedAt, Request: c.x.requestID}
	f.Title = f.T(title)
	f.FormTitles = map[domain.FormID]domain.Wording{}
	for _, form := range h.Registry.Forms() {
		f.FormTitles[form.ID] = form.Title
	}
	if err := c.waitForViews(); err != nil {
		return f, domain.Regime{}, err
	}
	id := domain.RegimeID(c.query.text("regime"))
	if id == "" {
		all, err := h.Ledger.Regimes(c.ctx)
		if err != nil || len(all) == 0 {
			return f, domain.Regime{}, err
		}
		id = all[len(all)-1]
	}
	r, err := h.Ledger.Regime(c.ctx, id)
	if err != nil {
		return f, r, err
	}
	f.Regime, f.Zone = r.ID, r.Zone
	f.RegimeTitle = f.Word(domain.Wording{Vi: r.Rules().Title, En: r.Rules().TitleEn})
	f.KnownAt = c.query.local("known_at", r.Zone)
	f.Date, err = h.dayShown(c, r)
	return f, r, err
}

// dayShown is the day asked for, or today, or the reporting day nearest to it.
func (h *Handler) dayShown(c *call, r domain.Regime) (domain.Date, error) {
	if d := c.query.date("date"); d != "" {
		return d, nil
	}
	return r.DayShown(c.receivedAt), nil
}

func (h *Handler) render(c *call, status int, p ui.Page) error {
	b, err := h.pages.Render(p)
	if err != nil {
		return err
	}
	c.x.Header()["Content-Language"] = []string{string(c.language())}
	c.x.Header().Add("Vary", "Cookie")
	c.x.write(status, htmlType, b)
	return nil
}

// writeErrorPage shows an error as a page.
func (h *Handler) writeErrorPage(c *call, err error) {
	problem := problemOf(err, c.language())
	h.logFailure(c.x, c.r, problem, err)
	if c.x.status != 0 {
		return
	}
	_, version := h.pages.Style()
	f := ui.Frame{Language: c.language(), Title: problem.Title, Path: c.r.URL.Path, Query: url.Values(c.query), StyleVer: version, Now: c.receivedAt, Request: c.x.requestID}
	if problem.Status == http.StatusUnauthorized {
		c.x.Header().Set("WWW-Authenticate", `Bearer realm="answerable"`)
	}
	if err := h.render(c, problem.Status, ui.Failure{Frame: f, Status: problem.Status, Detail: problem.Detail}); err != nil {
		h.writeProblem(c.x, c.r, err)
	}
}

func (h *Handler) boardPage(c *call) error {
	f, r, err := h.frame(c, "board")
	if err != nil {
		return err
	}
	p := ui.Board{Frame: f, Area: domain.UnitCode(c.query.text("area"))}
	if !r.Exists() {
		return h.render(c, http.StatusOK, p)
	}
	p.Previous, p.Following = r.Neighbour(f.Date, -1), r.Neighbour(f.Date, 1)
	if p.Regimes, err = h.Ledger.Regimes(c.ctx); err != nil {
		return err
	}
	after, err := c.cursor()
	if err != nil {
		return err
	}
	board, err := h.Views.Board(c.ctx, projections.BoardQuery{Regime: r.ID, Date: f.Date, Area: p.Area, KnownAt: f.KnownAt})
	if err != nil {
		return err
	}
	p.Board = board
	rows, err := h.Views.Compliance(c.ctx, projections.ComplianceQuery{Regime: r.ID, From: f.Date, To: f.Date, Parent: p.Area, KnownAt: f.KnownAt, After: after, Limit: pageRows})
	if err != nil {
		return err
	}
	p.Rows, p.Next = rows.Rows, c.cursorOf(rows.Next)
	if !p.Synthetic {
		p.Synthetic, err = h.syntheticUnits(c.ctx, p.Rows)
	}
	if err != nil {
		return err
	}
	return h.render(c, http.StatusOK, p)
}

// syntheticUnits reports whether one of the rows is of a made-up unit.
func (h *Handler) syntheticUnits(ctx context.Context, rows []projections.ComplianceRow) (bool, error) {
	for _, row := range rows {
		u, err := h.Ledger.Unit(ctx, row.Unit)
		if err != nil || u.Synthetic {
			return u.Synthetic, err
		}
	}
	return false, nil
}

func (h *Handler) unitPage(c *call) error {
	f, r, err := h.frame(c, "history")
	if err != nil {
		return err
	}
	unit := domain.UnitCode(c.path("unit"))
	state, err := h.Ledger.Unit(c.ctx, unit)
	if err != nil {
		return err
	}
	history, err := h.Views.History(c.ctx, projections.HistoryQuery{Regime: r.ID, Unit: unit, Date: f.Date, KnownAt: f.KnownAt})
	if errors.Is(err, domain.Refuse(domain.NotFound, domain.CodeDayNotOpen, "")) { // the page then says that nothing is owed
		history, err = projections.History{Unit: unit, UnitName: state.On(f.Date).Name, UnitType: state.On(f.Date).Type, Date: f.Date, Determinable: true}, nil
	}
	if err != nil {
		return err
	}
	answers, err := h.Views.Answer(c.ctx, projections.AnswerQuery{Regime: r.ID, Unit: unit, From: f.Date, To: f.Date, KnownAt: f.KnownAt, Limit: pageRows})
	if err != nil {
		return err
	}
	f.Title = history.UnitName + ", " + f.Day(f.Date)
	p := ui.Unit{Frame: f, History: history, Answers: answers.Records, Previous: r.Neighbour(f.Date, -1), Following: r.Neighbour(f.Date, 1)}
	p.Know(h.Registry.Forms())
	p.Synthetic = p.Synthetic || state.Synthetic || slices.ContainsFunc(history.Reports, syntheticFiler)
	return h.render(c, http.StatusOK, p)
}

func syntheticFiler(r projections.ReportHistory) bool {
	return slices.ContainsFunc(r.Versions, func(v projections.VersionRow) bool { return v.Filer.Synthetic })
}

func (h *Handler) breachesPage(c *call) error {
	f, r, err := h.frame(c, "breaches")
	if err != nil {
		return err
	}
	after, err := c.cursor()
	if err != nil {
		return err
	}
	from := c.query.date("date") // without one: every day
	page, err := h.Views.Breaches(c.ctx, projections.BreachQuery{Regime: r.ID, From: from, To: from, Unit: domain.UnitCode(c.query.text("unit")), KnownAt: f.KnownAt, After: after, Limit: pageRows})
	if err != nil {
		return err
	}
	f.Date = from
	f.Synthetic = f.Synthetic || slices.ContainsFunc(page.Rows, func(b projections.BreachRow) bool { return b.Head.Person != nil && b.Head.Person.Synthetic })
	return h.render(c, http.StatusOK, ui.Breaches{Frame: f, Rows: page.Rows, Next: c.cursorOf(page.Next)})
}

func (h *Handler) synthesisPage(c *call) error {
	f, r, err := h.frame(c, "synthesis")
	if err != nil {
		return err
	}
	s, err := h.Views.Synthesis(c.ctx, projections.SynthesisQuery{Regime: r.ID, Date: f.Date, Area: domain.UnitCode(c.query.text("area")), KnownAt: f.KnownAt})
	if err != nil {
		return err
	}
	return h.render(c, http.StatusOK, ui.Synthesis{Frame: f, Synthesis: s,
		Previous: r.Neighbour(f.Date, -1), Following: r.Neighbour(f.Date, 1)})
}
