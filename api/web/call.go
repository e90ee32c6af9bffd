package web

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/answerable-ledger/answerable/accounts"
	"github.com/answerable-ledger/answerable/api/access"
	"github.com/answerable-ledger/answerable/api/ui"
	"github.com/answerable-ledger/answerable/commands"
	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/eventlog"
)

// call is one request of a route.
type call struct {
	h       *Handler
	w       http.ResponseWriter
	r       *http.Request
	ctx     context.Context
	route   *route
	at      time.Time // when it came in
	id      string
	attempt accounts.Attempt // of a POST
	session accounts.Session
	person  domain.Person // the zero Person where nobody is signed in
	actor   domain.Actor
	role    domain.Role // as which the caller was let in; "" by office, or as nobody in particular
	query   url.Values
	said    string // what the access log says of a request whose query does not
	status  int    // 0 until the answer begins
}

func (c *call) path(name string) string { return c.r.PathValue(name) }

func (c *call) key() domain.ReportKey {
	return domain.ReportKey{Regime: domain.RegimeID(c.path("regime")), Form: domain.FormID(c.path("form")),
		Unit: domain.UnitCode(c.path("unit")), Date: domain.Date(c.path("date"))}
}

func (c *call) unitAsked() domain.UnitCode {
	if u := c.path("unit"); u != "" {
		return domain.UnitCode(u)
	}
	return domain.UnitCode(c.query.Get("unit"))
}

// parsePath refuses names no stream can carry before anybody makes a stream name of them.
func (c *call) parsePath() error {
	for _, p := range []struct {
		name string
		code domain.Code
	}{{"regime", domain.CodeRegimeUnknown}, {"form", domain.CodeFormUnknown}, {"unit", domain.CodeUnitUnknown}} {
		v := c.path(p.name)
		if v == "" {
			v = c.r.URL.Query().Get(p.name)
		}
		if v != "" && !domain.ValidID(v) {
			return domain.Refuse(domain.NotFound, p.code, "/"+p.name, p.name, v)
		}
	}
	if v := c.path("form"); v != "" {
		if _, ok := c.h.Registry.CurrentForm(domain.FormID(v)); !ok {
			return domain.Refuse(domain.NotFound, domain.CodeFormUnknown, "/form", "form", v)
		}
	}
	if v := c.path("date"); v != "" {
		if _, err := domain.ParseDate(v); err != nil {
			return domain.Refuse(domain.Invalid, domain.CodeDate, "/date", "value", v)
		}
	}
	return nil
}

const languageCookie = "lang"

// language of a page: what was just chosen, what was chosen before, Vietnamese. The choice is the browser's, not the
// person's: it is no change a GET may not make.
func (c *call) language() domain.Language {
	chosen := c.query.Get("lang")
	if chosen == string(domain.English) || chosen == string(domain.Vietnamese) {
		if c.status == 0 {
			http.SetCookie(c.w, &http.Cookie{Name: languageCookie, Value: chosen, Path: "/", MaxAge: 365 * 24 * 3600, HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: c.r.TLS != nil})
		}
	} else if cookie, err := c.r.Cookie(languageCookie); err == nil {
		chosen = cookie.Value
	}
	if chosen == string(domain.English) {
		return domain.English
	}
	return domain.Vietnamese
}

// bare is a frame that asks nobody for anything, so that also a failure can be shown.
func (c *call) bare(title string) ui.Frame {
	f := ui.Frame{Language: c.language(), Path: c.r.URL.Path, Query: c.query, Synthetic: c.h.Demo, Now: c.at, Request: c.id, Person: c.person.Name, PersonID: c.person.ID, People: true, Demo: c.h.Accounts.HasDemo()}
	_, f.StyleVer = c.h.pages.Style()
	f.Versions = c.h.pages.Versions()
	f.ScriptVer = f.Versions["app.js"]
	f.Synthetic = f.Synthetic || c.person.Synthetic
	f.Title = f.T(title)
	if c.r.Method != http.MethodGet {
		f.Query = url.Values{}
	}
	return f
}

// frame is what a page has around its content, once the views show what its reader has just recorded.
func (c *call) frame(title string) (ui.Frame, error) {
	f := c.bare(title)
	if at := c.query.Get("at"); at != "" {
		p, err := eventlog.ParsePosition(at)
		if err != nil {
			return f, fmt.Errorf("%w: %w", errForm, err)
		}
		ctx, cancel := context.WithTimeout(c.ctx, c.h.WaitFor)
		defer cancel()
		if err := c.h.Views.WaitFor(ctx, p); err != nil {
			return f, err
		}
		f.Done = true
	}
	if c.person.Exists() {
		var err error
		if f.Nav, err = c.nav(); err != nil {
			return f, err
		}
	}
	return f, nil
}

// regime is the one asked for, or the newest, and the day asked for, or today, or the reporting day nearest to it.
func (c *call) regime(f *ui.Frame) (domain.Regime, error) {
	id := domain.RegimeID(c.path("regime"))
	if id == "" {
		id = domain.RegimeID(c.query.Get("regime"))
	}
	if id == "" {
		all, err := c.h.Ledger.Regimes(c.ctx)
		if err != nil {
			return domain.Regime{}, err
		}
		if len(all) == 0 {
			return domain.Regime{}, domain.Refuse(domain.NotFound, domain.CodeRegimeUnknown, "/regime", "regime", "")
		}
		id = all[len(all)-1]
	}
	r, err := c.h.Ledger.Regime(c.ctx, id)
	if err != nil {
		return r, err
	}
	f.Regime, f.Zone = r.ID, r.Zone
	f.RegimeTitle = f.Word(domain.Wording{Vi: r.Rules().Title, En: r.Rules().TitleEn})
	if f.KnownAt, err = c.instant("known_at", r.Zone); err != nil {
		return r, err
	}
	f.Date, err = c.day(r)
	return r, err
}

func (c *call) day(r domain.Regime) (domain.Date, error) {
	text := c.path("date")
	if text == "" {
		text = c.query.Get("date")
	}
	if text != "" {
		return domain.ParseDate(text)
	}
	return r.DayShown(c.at), nil
}

// instant is a time of a query: RFC 3339, or a clock time in a zone as a field of a form sends it.
func (c *call) instant(name string, zone *time.Location) (*time.Time, error) {
	text := c.query.Get(name)
	if text == "" {
		return nil, nil
	}
	if t, err := time.Parse(time.RFC3339Nano, text); err == nil {
		return &t, nil
	}
	for _, layout := range []string{"2006-01-02T15:04:05", "2006-01-02T15:04"} {
		if t, err := time.ParseInLocation(layout, text, zone); err == nil {
			return &t, nil
		}
	}
	return nil, domain.Refuse(domain.Invalid, domain.CodeDate, "/"+name, "value", text)
}

// days lists the reporting days before and with a day, the last one first.
func days(r domain.Regime, d domain.Date, n int) []domain.Date {
	var out []domain.Date
	for i := 0; i < 4*n && len(out) < n; i++ {
		if x := d.AddDays(-i); r.ReportsOn(x) {
			out = append(out, x)
		}
	}
	return out
}

// command is the act of a form. Its id is made of the key the form was given, the act and everything typed: sending the
// form twice is one act, and changing it makes another, which the ledger judges again.
func (c *call) command(parts ...string) (commands.Command, error) {
	key := c.r.PostForm.Get("key")
	if _, err := uuid.Parse(key); err != nil {
		return commands.Command{}, fmt.Errorf("%w: key", errForm)
	}
	return c.commandOf(append([]string{key, c.r.PostForm.Encode()}, parts...)...), nil
}

func (c *call) commandOf(parts ...string) commands.Command {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return commands.Command{ID: domain.NewCommandID("web", string(c.person.ID), c.route.id, c.r.URL.Path, hex.EncodeToString(sum[:])),
		Actor: c.person.ID, Role: c.actingRole(), Channel: domain.ChannelWeb, ReceivedAt: c.at}
}

// actingRole is the role of who was let in by an office: they act as its head, whatever roles they hold beside. Of
// everybody else it is "": the ledger finds it among their roles.
func (c *call) actingRole() domain.Role {
	if c.role == "" && (access.ByOffice(c.route.rule.allow) || len(c.actor.Grants) == 0) {
		return domain.RoleHead
	}
	return ""
}

func newKey() string { return uuid.NewString() }

// redirect sends the browser on; it asks with GET, so that going back or reloading sends nothing again.
func (c *call) redirect(to string) error {
	c.status = http.StatusSeeOther
	c.w.Header().Set("Location", to)
	c.w.WriteHeader(c.status)
	return nil
}

// done goes on to a page that waits for what was recorded.
func (c *call) done(path string, r commands.Result, query ...string) error {
	q := url.Values{}
	for i := 0; i+1 < len(query); i += 2 {
		if query[i+1] != "" {
			q.Set(query[i], query[i+1])
		}
	}
	if r.PositionKnown {
		q.Set("at", r.Position.String())
	}
	if len(q) > 0 {
		path += "?" + q.Encode()
	}
	return c.redirect(path)
}

func (c *call) render(status int, p ui.Page) error {
	b, err := c.h.pages.Render(p)
	return c.send(status, b, err)
}

// renderLive answers with the page, or, where the page itself asks what changed on it, with the part that does.
func (c *call) renderLive(p ui.Page) error {
	c.w.Header().Add("Vary", "HX-Request")
	if c.r.Header.Get("HX-Request") != "true" {
		return c.render(http.StatusOK, p)
	}
	b, err := c.h.pages.Part(p, "live")
	return c.send(http.StatusOK, b, err)
}

func (c *call) send(status int, b []byte, err error) error {
	if err != nil {
		return err
	}
	c.w.Header().Set("Content-Language", string(c.language()))
	c.w.Header().Add("Vary", "Cookie")
	c.write(status, "text/html; charset=utf-8", b)
	return nil
}

// nav is the pages a person works on; the first is the one they begin with.
func (c *call) nav() ([]ui.NavItem, error) {
	var out []ui.NavItem
	add := func(path, title string) {
		if !slices.ContainsFunc(out, func(n ui.NavItem) bool { return n.Path == path }) {
			out = append(out, ui.NavItem{Path: path, Title: title, Here: c.r.URL.Path == strings.SplitN(path, "?", 2)[0]})
		}
	}
	a := c.actor
	if a.HasAny(domain.RoleFiler) {
		add("/today", "today")
	}
	signs := a.HasAny(domain.RoleHead)
	if !signs { // a deputy signs by an authority, without the role of head
		units, err := c.officesBeside(a.Grants)
		if err != nil {
			return nil, err
		}
		signs = len(units) > 0
	}
	if signs {
		add("/queue", "queue")
		add("/answers", "my_answers")
	}
	for _, g := range a.Grants {
		if g.Role == domain.RoleDistrict && g.Unit != "" {
			add("/district?unit="+url.QueryEscape(string(g.Unit)), "district")
			add("/today", "today")
		}
	}
	if a.Has(domain.RoleInspector, "") {
		add("/inspect", "inspect")
		add("/search", "search")
	}
	if a.Has(domain.RoleDepartment, "") || a.Has(domain.RoleInspector, "") {
		add("/grid", "grid")
		add("/judgements", "breaches")
		add("/progress", "progress")
		add("/totals", "synthesis")
	}
	if a.Has(domain.RoleDepartment, "") {
		add("/inspect", "inspect")
	}
	for _, n := range c.operateNav() {
		add(n.Path, n.Title)
	}
	if a.Has(domain.RoleAdmin, "") || a.Has(domain.RoleInspector, "") {
		add("/access", "access")
	}
	add("/account", "account")
	return out, nil
}

// officesBeside is offices; of who holds roles it looks only at the units that they hold them for, since their pages are many.
func (c *call) officesBeside(grants []domain.Grant) (out []domain.UnitCode, err error) {
	if len(grants) == 0 {
		return c.offices()
	}
	for _, g := range grants {
		ok, err := access.InOffice(c.ctx, c.h.Ledger, g.Unit, c.person.ID)
		if err != nil {
			return nil, err
		}
		if ok {
			out = append(out, g.Unit)
		}
	}
	return out, nil
}

// offices lists the units whose office a person holds, held, or may sign for.
func (c *call) offices() ([]domain.UnitCode, error) {
	units, err := c.h.Ledger.Units(c.ctx)
	if err != nil {
		return nil, err
	}
	var out []domain.UnitCode
	for _, u := range units {
		ok, err := access.InOffice(c.ctx, c.h.Ledger, u.Code, c.person.ID)
		if err != nil {
			return nil, err
		}
		if ok {
			out = append(out, u.Code)
		}
	}
	return out, nil
}

// name is what a unit is called on a day.
func (c *call) unitName(u domain.UnitCode, d domain.Date) (string, error) {
	state, err := c.h.Ledger.Unit(c.ctx, u)
	if err != nil {
		return "", err
	}
	return state.On(d).Name, nil
}

func atoi(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		return 0
	}
	return n
}

var errForm = errors.New("the form cannot be read")
