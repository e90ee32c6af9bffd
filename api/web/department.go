package web

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/answerable-ledger/answerable/api/ui"
	"github.com/answerable-ledger/answerable/commands"
	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/projections"
)

// maxGridDays bounds the columns of the grid. Chosen: a directive's quarter.
const maxGridDays = 92

// gridCells and gridRows bound a page of the grid: beyond, the districts are shown, and each has a page of its own. Chosen:
// the 91 units and 45 days of the directive of 2021 are on one page, which stays below 40 kB on the line.
const (
	gridCells = 6000
	gridRows  = 500
)

// judgedAtOnce is how many breaches a page holds. Chosen: some four screens of a desk.
const judgedAtOnce = 25

// gridPage is the compliance of units by days, as known now or as it was known at each day's deadline.
func (h *Handler) gridPage(c *call) error {
	f, err := c.frame("grid")
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
	p := ui.Grid{Frame: f, From: from, To: to, Area: c.unitAsked(), AtDeadline: c.query.Get("known") == "deadline", AtSynthesis: c.query.Get("known") == "synthesis", Form: domain.FormID(c.query.Get("form"))}
	for d := from; d <= to && len(p.Days) < maxGridDays; d = d.AddDays(1) {
		if r.ReportsOn(d) {
			p.Days = append(p.Days, d)
		}
	}
	if n := len(p.Days); n > 0 {
		to = p.Days[n-1]
	}
	q := projections.GridQuery{Regime: r.ID, From: from, To: to, Parent: p.Area, Form: p.Form, KnownAt: f.KnownAt, AtDeadline: p.AtDeadline}
	ask := h.Views.Grid
	if p.AtSynthesis {
		ask = func(ctx context.Context, q projections.GridQuery) (projections.Grid, error) {
			return h.gridAtSynthesis(c, p.Days, q)
		}
	}
	grid, err := ask(c.ctx, q)
	if err != nil {
		return err
	}
	p.Place = grid.Place
	h.fillGrid(&p, f, grid.Rows)
	skip, err := boardCursor(c.query.Get("cursor"))
	if err != nil {
		return err
	}
	foldGrid(&p, skip)
	for _, form := range h.Registry.Forms() {
		if slices.ContainsFunc(r.Rules().Duties, func(d domain.Duty) bool { return d.Form == form.ID }) {
			p.Forms = append(p.Forms, ui.Choice{Value: string(form.ID), Text: f.Word(form.Title)})
		}
	}
	if h.Log != nil && f.KnownAt == nil && !p.AtDeadline && !p.AtSynthesis {
		p.Live = p.Feed(p.Area, from, to, p.Place)
	}
	return c.renderLive(p)
}

// gridAtSynthesis asks of each day what was known when its synthesis was issued last, or when it was closed. Days that stand
// open, or whose instant is the same, are asked for together.
func (h *Handler) gridAtSynthesis(c *call, days []domain.Date, q projections.GridQuery) (projections.Grid, error) {
	type row struct {
		unit, parent domain.UnitCode
		form         domain.FormID
	}
	var out projections.Grid
	place := map[row]int{}
	for i := 0; i < len(days); {
		known, err := h.synthesisedAt(c, q.Regime, days[i])
		if err != nil {
			return out, err
		}
		part := q
		part.From, part.To, part.KnownAt = days[i], days[i], known
		for i++; i < len(days) && known == nil; i++ {
			next, err := h.synthesisedAt(c, q.Regime, days[i])
			if err != nil {
				return out, err
			}
			if next != nil {
				break
			}
			part.To = days[i]
		}
		grid, err := h.Views.Grid(c.ctx, part)
		if err != nil {
			return out, err
		}
		out.At = grid.At
		for _, x := range grid.Rows {
			key := row{x.Unit, x.Parent, x.Form}
			j, ok := place[key]
			if !ok {
				place[key] = len(out.Rows)
				out.Rows = append(out.Rows, x)
				continue
			}
			out.Rows[j].Cells = append(out.Rows[j].Cells, x.Cells...)
			out.Rows[j].Determinable = out.Rows[j].Determinable && x.Determinable
		}
	}
	return out, nil
}

// synthesisedAt is when a day's synthesis was issued last, or else when the day was closed; nil while it stands open.
func (h *Handler) synthesisedAt(c *call, regime domain.RegimeID, date domain.Date) (*time.Time, error) {
	day, err := h.Ledger.Day(c.ctx, regime, date)
	if err != nil {
		return nil, err
	}
	issued, err := h.issuedAt(c, regime, date, day)
	switch {
	case err != nil:
		return nil, err
	case len(issued) > 0:
		return &issued[len(issued)-1], nil
	case day.Closed != nil:
		return &day.Closed.ClosedAt, nil
	}
	return nil, nil
}

func (h *Handler) fillGrid(p *ui.Grid, f ui.Frame, rows []projections.GridRow) {
	p.Linked()
	column := make(map[domain.Date]int, len(p.Days))
	for i, d := range p.Days {
		column[d] = i
	}
	p.Totals = make([]ui.GridTotal, len(p.Days))
	slices.SortStableFunc(rows, func(a, b projections.GridRow) int {
		return cmp.Or(cmp.Compare(a.Parent, b.Parent), cmp.Compare(a.Unit, b.Unit), cmp.Compare(a.Form, b.Form))
	})
	titles := map[domain.FormID]string{}
	for _, row := range rows {
		if n := len(p.Areas); n == 0 || p.Areas[n-1].Area != row.Parent {
			p.Areas = append(p.Areas, ui.GridArea{Area: row.Parent, Name: row.Area})
		}
		if titles[row.Form] == "" {
			titles[row.Form] = h.formTitle(f, row.Form)
		}
		area := &p.Areas[len(p.Areas)-1]
		line := ui.GridRow{Unit: row.Unit, UnitName: row.UnitName, FormTitle: titles[row.Form], Cells: make([]ui.GridCell, len(p.Days))}
		for _, cell := range row.Cells {
			i, ok := column[cell.Date]
			if !ok {
				continue
			}
			line.Cells[i] = ui.GridCell{Status: cell.Status, Corrected: cell.Version > 1, Doubtful: !row.Determinable}
			for _, t := range []*ui.GridTotal{&p.Totals[i], &line.Total, &area.Total, &p.All} {
				if cell.Status != domain.StatusExempt {
					t.Expected++
				}
				if row.Determinable && (cell.Status == domain.StatusOnTime || cell.Status == domain.StatusLate) {
					t.Received++
				}
				if row.Determinable && cell.Status == domain.StatusOnTime {
					t.OnTime++
				}
			}
		}
		area.Rows = append(area.Rows, line)
	}
}

// foldGrid leaves on a page what it can carry: of a whole province the districts, of what is left one page of rows. The sums
// are of all.
func foldGrid(p *ui.Grid, skip int) {
	rows := 0
	for _, a := range p.Areas {
		rows += len(a.Rows)
	}
	atOnce := min(gridRows, gridCells/max(1, len(p.Days)))
	if rows <= atOnce {
		return
	}
	seen := 0
	for i := range p.Areas {
		a := &p.Areas[i]
		if p.Area == "" && a.Area != "" {
			a.Folded, a.Rows = true, nil
			continue
		}
		all := a.Rows
		a.Rows = all[min(max(skip-seen, 0), len(all)):min(max(skip+atOnce-seen, 0), len(all))]
		seen += len(all)
	}
	if skip+atOnce < seen {
		p.Next = strconv.Itoa(skip + atOnce)
	}
}

// judgePage lists breaches, for the department to accept or to refuse an explanation.
func (h *Handler) judgePage(c *call) error {
	f, err := c.frame("breaches")
	if err != nil {
		return err
	}
	r, err := c.regime(&f)
	if err != nil {
		return err
	}
	q := c.query
	from, to, err := c.span(r)
	if err != nil {
		return err
	}
	p := ui.Judge{Frame: f, From: from, To: to, Outcome: q.Get("outcome"), Kind: q.Get("kind"), Unit: c.unitAsked(), MayJudge: c.actor.Has(domain.RoleDepartment, "") && f.KnownAt == nil}
	page, err := h.Views.Breaches(c.ctx, projections.BreachQuery{Regime: r.ID, From: from, To: to, Unit: p.Unit, Outcome: p.Outcome, Kind: domain.BreachKind(p.Kind), KnownAt: f.KnownAt, After: q.Get("cursor"), Limit: judgedAtOnce})
	if err != nil {
		return err
	}
	p.Next = page.Next
	for _, b := range page.Rows {
		p.Rows = append(p.Rows, ui.BreachItem{BreachRow: b, FormTitle: h.formTitle(f, b.Form), Key: newKey(),
			Link: reportURL(domain.ReportKey{Regime: b.Regime, Form: b.Form, Unit: b.Unit, Date: b.Date})})
	}
	return c.render(http.StatusOK, p)
}

func (h *Handler) excuse(c *call) error { return h.judged(c, h.Ledger.ExcuseBreach) }
func (h *Handler) uphold(c *call) error { return h.judged(c, h.Ledger.UpholdBreach) }

type judgement func(ctx context.Context, c commands.Command, key domain.ReportKey, k domain.BreachKind, reason string) (commands.Result, error)

func (h *Handler) judged(c *call, judge judgement) error {
	cmd, err := c.command()
	if err != nil {
		return err
	}
	result, err := judge(c.ctx, cmd, c.key(), domain.BreachKind(c.r.PostForm.Get("breach")), typedText(c, "reason"))
	if err != nil {
		return err
	}
	return c.done("/judgements", result, "unit", string(c.unitAsked()), "from", c.path("date"), "to", c.path("date"))
}

// progressPage is the results the order demands apart from reporting.
func (h *Handler) progressPage(c *call) error {
	f, err := c.frame("progress")
	if err != nil {
		return err
	}
	r, err := c.regime(&f)
	if err != nil {
		return err
	}
	p := ui.Progress{Frame: f}
	for _, target := range r.Rules().Targets {
		t := ui.ProgressTarget{Name: f.Word(target.Name), On: target.On, AtLeastPercent: target.AtLeastPercent}
		page, err := h.Views.Targets(c.ctx, projections.TargetQuery{Regime: r.ID, Target: target.ID, KnownAt: f.KnownAt})
		if err != nil {
			return err
		}
		t.Met, t.Missed, t.Judged = page.Met, page.Missed, page.Rows
		duty, _ := r.Rules().Duty(target.Duty)
		if t.Areas, err = h.progress(c, f, r, duty.Form, target); err != nil {
			return err
		}
		p.Targets = append(p.Targets, t)
	}
	return c.render(http.StatusOK, p)
}

// progress is the sums of a target's two figures by area, as they stand on the day shown.
func (h *Handler) progress(c *call, f ui.Frame, r domain.Regime, form domain.FormID, target domain.Target) ([]ui.ProgressArea, error) {
	s, err := h.Views.Synthesis(c.ctx, projections.SynthesisQuery{Regime: r.ID, Date: min(f.Date, target.On), Form: form, KnownAt: f.KnownAt})
	if err != nil {
		return nil, err
	}
	var out []ui.ProgressArea
	for _, total := range s.Totals {
		area := ui.ProgressArea{Area: total.Area, Name: total.AreaName, Expected: total.Expected, Received: total.Received}
		for _, sum := range total.Sums {
			switch sum.Field {
			case target.Numerator:
				area.Numerator = sum.Value
			case target.Denominator:
				area.Denominator = sum.Value
			}
		}
		if area.Denominator > 0 {
			area.Percent = int(100 * area.Numerator / area.Denominator) // rounded down: 59.9 is not 60
		}
		out = append(out, area)
	}
	return out, nil
}

func (h *Handler) issue(c *call) error {
	form := c.r.PostForm
	date, err := domain.ParseDate(form.Get("date"))
	if err != nil {
		return err
	}
	if !domain.ValidID(form.Get("regime")) {
		return errForm
	}
	cmd, err := c.command()
	if err != nil {
		return err
	}
	result, err := h.Ledger.IssueReport(c.ctx, cmd, domain.RegimeID(form.Get("regime")), date, typedText(c, "to"), typedText(c, "note"))
	if err != nil {
		return err
	}
	return c.done("/totals", result, "regime", form.Get("regime"), "date", string(date))
}

// districtPage is the board of a district's children: what is missing first, and what the district itself owes of them.
func (h *Handler) districtPage(c *call) error {
	f, err := c.frame("district")
	if err != nil {
		return err
	}
	r, err := c.regime(&f)
	if err != nil {
		return err
	}
	p := ui.District{Frame: f, Unit: c.unitAsked(), Previous: r.Neighbour(f.Date, -1), Following: r.Neighbour(f.Date, 1)}
	rows, place, err := h.children(c, projections.ComplianceQuery{Regime: r.ID, From: f.Date, To: f.Date, Parent: p.Unit, KnownAt: f.KnownAt, Limit: projections.MaxLimit})
	if err != nil {
		return err
	}
	skip, err := boardCursor(c.query.Get("cursor"))
	if err != nil {
		return err
	}
	if end := skip + boardRows; end < len(rows) {
		p.Next = strconv.Itoa(end)
	}
	p.Total = len(rows)
	for _, row := range rows[min(skip, len(rows)):min(skip+boardRows, len(rows))] {
		p.Rows = append(p.Rows, ui.DistrictRow{ComplianceRow: row, FormTitle: h.formTitle(f, row.Form), Key: newKey(), MayRemind: f.KnownAt == nil && row.Status != domain.StatusExempt && row.ReceivedAt == nil,
			Link: reportURL(domain.ReportKey{Regime: row.Regime, Form: row.Form, Unit: row.Unit, Date: row.Date})})
	}
	if h.Log != nil && f.KnownAt == nil {
		p.Live = p.Feed(p.Unit, f.Date, f.Date, place)
	}
	if p.Unit == "" {
		return c.renderLive(p)
	}
	if p.UnitName, err = c.unitName(p.Unit, f.Date); err != nil {
		return err
	}
	mine, err := h.Views.Compliance(c.ctx, projections.ComplianceQuery{Regime: r.ID, From: f.Date, To: f.Date, Unit: p.Unit, KnownAt: f.KnownAt, Limit: 20})
	if err != nil {
		return err
	}
	day, err := h.Ledger.Day(c.ctx, r.ID, f.Date)
	if err != nil {
		return err
	}
	for _, row := range mine.Rows {
		key := domain.ReportKey{Regime: row.Regime, Form: row.Form, Unit: row.Unit, Date: row.Date}
		changed, err := h.changedBelow(c, f, r, row)
		if err != nil {
			return err
		}
		o, err := day.Obligation(r, key)
		if err != nil && !errors.Is(err, &domain.Error{Kind: domain.NotFound}) {
			return err
		}
		p.Own = append(p.Own, ui.DistrictRow{ComplianceRow: row, Sums: o.Consolidates != "", FormTitle: h.formTitle(f, row.Form), Link: reportURL(key), Changed: changed, MayFile: f.KnownAt == nil && c.actor.Has(domain.RoleDistrict, p.Unit) && row.Status != domain.StatusExempt})
	}
	return c.renderLive(p)
}

// boardRows is how many rows of a board one page has. A district of the province has fewer than 30 communes; without a
// district it is every obligation of the day, and a page of 2,000 would weigh a megabyte.
const boardRows = 200

// boardCursor is how many rows of a board the pages before showed. The order moves as reports come in, so that no row names
// a place in it for long.
func boardCursor(text string) (int, error) {
	if text == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 || n > domain.MaxUnitsPerDay {
		return 0, fmt.Errorf("%w: %q", projections.ErrCursor, text)
	}
	return n, nil
}

// children are all rows of a board, what is missing first: that is known only once the last of them is read.
func (h *Handler) children(c *call, q projections.ComplianceQuery) (rows []projections.ComplianceRow, place string, err error) {
	for first := true; ; first = false {
		page, err := h.Views.Compliance(c.ctx, q)
		if err != nil {
			return nil, place, err
		}
		if first { // what changes while the rest is read is told by the feed
			place = page.Place
		}
		rows = append(rows, page.Rows...)
		if q.After = page.Next; q.After == "" {
			break
		}
	}
	order := []domain.Status{domain.StatusMissing, domain.StatusDue, domain.StatusLate, domain.StatusOnTime, domain.StatusExempt}
	slices.SortStableFunc(rows, func(a, b projections.ComplianceRow) int {
		return slices.Index(order, a.Status) - slices.Index(order, b.Status)
	})
	return rows, place, nil
}

// remind records that a unit was urged.
func (h *Handler) remind(c *call) error {
	cmd, err := c.command()
	if err != nil {
		return err
	}
	key := c.key()
	result, err := h.Ledger.Remind(c.ctx, cmd, key, "web", typedText(c, "text"))
	if err != nil {
		return err
	}
	parent := ""
	if u, err := h.Ledger.Unit(c.ctx, key.Unit); err == nil && !c.actor.Has(domain.RoleDepartment, "") {
		parent = string(u.ParentOn(key.Date))
	}
	return c.done("/district", result, "unit", parent, "date", string(key.Date), "regime", string(key.Regime))
}
