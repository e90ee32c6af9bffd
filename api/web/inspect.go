package web

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/answerable-ledger/answerable/api/ui"
	"github.com/answerable-ledger/answerable/appstate"
	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/projections"
)

// inspectPage finds a unit by any name it had, without marks and case.
func (h *Handler) inspectPage(c *call) error {
	f, err := c.frame("inspect")
	if err != nil {
		return err
	}
	r, err := c.regime(&f)
	if err != nil {
		return err
	}
	p := ui.Inspect{Frame: f, Search: c.query.Get("q"), Previous: r.Neighbour(f.Date, -1), Following: r.Neighbour(f.Date, 1)}
	page, err := h.Views.Units(c.ctx, projections.UnitQuery{Search: p.Search, AsOf: f.Date, KnownAt: f.KnownAt, After: c.query.Get("cursor"), Limit: 200})
	if err != nil {
		return err
	}
	p.Units, p.Next = page.Rows, page.Next
	return c.render(http.StatusOK, p)
}

// reportPage is what a unit reported for a day: the versions side by side, who answers, everything that happened.
func (h *Handler) reportPage(c *call) error {
	if asked := c.query.Get("date"); asked != "" && asked != c.path("date") { // another day has another address
		date, err := domain.ParseDate(asked)
		if err != nil {
			return domain.Refuse(domain.Invalid, domain.CodeDate, "/date", "value", asked)
		}
		rest := maps.Clone(c.query)
		rest.Del("date")
		to := url.URL{Path: "/reports/" + c.path("unit") + "/" + string(date), RawQuery: rest.Encode()}
		return c.redirect(to.String())
	}
	f, err := c.frame("history")
	if err != nil {
		return err
	}
	r, err := c.regime(&f)
	if err != nil {
		return err
	}
	unit := c.unitAsked()
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
	answers, err := h.Views.Answer(c.ctx, projections.AnswerQuery{Regime: r.ID, Unit: unit, From: f.Date, To: f.Date, KnownAt: f.KnownAt, Limit: 200})
	if err != nil {
		return err
	}
	f.Title = history.UnitName + ", " + f.Day(f.Date)
	p := ui.Unit{Frame: f, History: history, Answers: answers.Records, Previous: r.Neighbour(f.Date, -1), Following: r.Neighbour(f.Date, 1), Permanent: true, Evidence: h.Evidence != nil}
	p.Know(h.Registry.Forms())
	day, err := h.Ledger.Day(c.ctx, r.ID, f.Date)
	if err != nil {
		return err
	}
	for _, report := range history.Reports {
		due := report.Compliance.Due
		if !slices.ContainsFunc(p.Presets, func(x ui.Preset) bool { return x.At.Equal(due) }) {
			p.Presets = append(p.Presets, ui.Preset{Text: "preset_deadline", At: due})
		}
	}
	if day.Closed != nil {
		p.Presets = append(p.Presets, ui.Preset{Text: "preset_closed", At: day.Closed.ClosedAt})
	}
	issued, err := h.issuedAt(c, r.ID, f.Date, day)
	if err != nil {
		return err
	}
	for _, at := range issued {
		p.Presets = append(p.Presets, ui.Preset{Text: "preset_issued", At: at})
	}
	return c.render(http.StatusOK, p)
}

// issuedAt is when each synthesis of a day was recorded.
func (h *Handler) issuedAt(c *call, regime domain.RegimeID, date domain.Date, day domain.Day) ([]time.Time, error) {
	if len(day.Issued) == 0 || h.Operate.Events == nil {
		return nil, nil
	}
	var out []time.Time
	for e, err := range h.Operate.Events.ReadStream(c.ctx, domain.DayStream(regime, date), 0) {
		if err != nil {
			return nil, fmt.Errorf("web: when the synthesis of %s was issued: %w", date, err)
		}
		if e.Kind == (domain.ReportIssued{}).Kind() {
			out = append(out, e.RecordedAt)
		}
	}
	return out, nil
}

// searchPage finds breaches, and reports by what came of them.
func (h *Handler) searchPage(c *call) error {
	f, err := c.frame("search")
	if err != nil {
		return err
	}
	r, err := c.regime(&f)
	if err != nil {
		return err
	}
	from, to, err := c.span(r)
	if err != nil {
		return err
	}
	q := c.query
	p := ui.Search{Frame: f, From: from, To: to, Unit: c.unitAsked(), What: q.Get("what"), Kind: q.Get("kind"), Outcome: q.Get("outcome")}
	if p.What == "" {
		p.What = "breaches"
	}
	if !slices.Contains([]string{"breaches", string(projections.FindChanged), string(projections.FindDeputy), string(projections.FindHeadChanged), string(projections.FindOutOfDate)}, p.What) {
		return errForm
	}
	if p.What == "breaches" {
		page, err := h.Views.Breaches(c.ctx, projections.BreachQuery{Regime: r.ID, From: from, To: to, Unit: p.Unit, Kind: domain.BreachKind(p.Kind), Outcome: p.Outcome,
			KnownAt: f.KnownAt, After: q.Get("cursor"), Limit: 200})
		if err != nil {
			return err
		}
		for _, b := range page.Rows {
			p.Breaches = append(p.Breaches, ui.BreachItem{BreachRow: b, FormTitle: h.formTitle(f, b.Form)})
		}
		p.Next = page.Next
		return c.render(http.StatusOK, p)
	}
	page, err := h.Views.Search(c.ctx, projections.SearchQuery{Regime: r.ID, Unit: p.Unit, From: from, To: to, What: projections.Finding(p.What), KnownAt: f.KnownAt, After: q.Get("cursor"), Limit: 200})
	if err != nil {
		return err
	}
	for _, record := range page.Records {
		p.Records = append(p.Records, ui.Answer{AnswerRecord: record, FormTitle: h.formTitle(f, record.Form)})
	}
	p.Next = page.Next
	return c.render(http.StatusOK, p)
}

// span is the days asked about; by default the week up to the day shown.
func (c *call) span(r domain.Regime) (from, to domain.Date, err error) {
	today, err := c.day(r)
	if err != nil {
		return "", "", err
	}
	from, to = max(today.AddDays(-6), r.Rules().FirstDay), today
	for _, x := range []struct {
		name string
		d    *domain.Date
	}{{"from", &from}, {"to", &to}} {
		if text := c.query.Get(x.name); text != "" {
			if *x.d, err = domain.ParseDate(text); err != nil {
				return "", "", err
			}
		}
	}
	return from, to, nil
}

// accessPage is who asked for what: the reader's own questions, and for an administrator everybody's.
func (h *Handler) accessPage(c *call) error {
	f, err := c.frame("access")
	if err != nil {
		return err
	}
	who := c.person.ID
	if c.actor.Has(domain.RoleAdmin, "") {
		who = domain.PersonID(c.query.Get("person"))
	}
	if err := h.State.Flush(c.ctx); err != nil {
		return err
	}
	rows, err := h.State.Accesses(c.ctx, who, int64(atoi(c.query.Get("after"))), 500)
	if err != nil {
		return err
	}
	p := ui.Access{Frame: f}
	for _, a := range rows {
		p.Rows = append(p.Rows, ui.AccessRow{ID: a.ID, At: a.At, Person: a.Person, Role: a.Role, What: asked(a), Status: a.Status})
		p.Last = a.ID
	}
	p.More = len(rows) == 500
	return c.render(http.StatusOK, p)
}

// asked is what somebody asked for; of what changes nothing, the address says it all.
func asked(a appstate.Access) string {
	if a.Method == http.MethodGet {
		return address(a.Path, a.Query)
	}
	return a.Method + " " + address(a.Path, a.Query)
}

func address(path, query string) string {
	if query == "" {
		return path
	}
	if readable, err := url.QueryUnescape(query); err == nil {
		query = readable
	}
	return path + "?" + query
}
