package ui

import (
	"html"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/projections"
)

// Inspect finds units.
type Inspect struct {
	Frame
	Search    string
	Previous  domain.Date
	Following domain.Date
	Units     []projections.UnitRow
	Next      string
}

// Preset is an instant that is often asked about.
type Preset struct {
	Text string // key of its words
	At   time.Time
}

// Search finds breaches, and reports by what came of them.
type Search struct {
	Frame
	From, To domain.Date
	Unit     domain.UnitCode
	What     string
	Kind     string
	Outcome  string
	Breaches []BreachItem
	Records  []Answer
	Next     string
}

// BreachItem is a breach in a list.
type BreachItem struct {
	projections.BreachRow
	FormTitle string
	Key       string
	Link      string
}

// Choice is an option of a list.
type Choice struct{ Value, Text string }

// Grid is units by days.
type Grid struct {
	Frame
	From, To    domain.Date
	Area        domain.UnitCode
	Form        domain.FormID
	Forms       []Choice
	AtDeadline  bool
	AtSynthesis bool
	Days        []domain.Date
	Areas       []GridArea
	Totals      []GridTotal // by day
	All         GridTotal
	Place       string
	Next        string // where the next page of rows begins; "" on the last one
	links       []gridLink
}

// GridArea is the units that report through one.
type GridArea struct {
	Area   domain.UnitCode // "" are those that report directly
	Name   string
	Rows   []GridRow
	Total  GridTotal
	Folded bool // its rows are on a page of their own
}

// GridRow is a unit's obligation over the days.
type GridRow struct {
	Unit      domain.UnitCode
	UnitName  string
	FormTitle string
	Cells     []GridCell // by day
	Total     GridTotal
}

// GridCell is a unit's day; Status "" is one on which nothing is owed.
type GridCell struct {
	Status    domain.Status
	Corrected bool
	Doubtful  bool // not determinable
}

// Line is the cells of a row. They are written without a template, which would take longer for the four thousand cells of a
// grid than everything else: each holds words of this package, and an address.
func (p Grid) Line(r GridRow) template.HTML {
	var b strings.Builder
	for i, c := range r.Cells {
		if c.Status == "" || i >= len(p.links) {
			b.WriteString("<td></td>")
			continue
		}
		row := projections.ComplianceRow{Status: c.Status, Determinable: !c.Doubtful}
		link := p.links[i]
		b.WriteString(`<td><a class="` + html.EscapeString(p.Class(row)) + `" href="` + html.EscapeString(link.before) + url.PathEscape(string(r.Unit)) + html.EscapeString(link.after) + `">` + html.EscapeString(p.Mark(row)))
		if c.Corrected {
			b.WriteByte('*')
		}
		b.WriteString(`<span class="words"> ` + html.EscapeString(p.Status(row)) + `</span></a></td>`)
	}
	return template.HTML(b.String())
}

// Columns is how wide the grid is.
func (p Grid) Columns() int { return len(p.Days) + 3 }

// gridLink is the address of a day's reports, around the unit.
type gridLink struct{ before, after string }

// Linked makes the addresses of the grid's days.
func (p *Grid) Linked() {
	for _, d := range p.Days {
		before, after, _ := strings.Cut(p.ReportLink("UNIT", d), "UNIT")
		p.links = append(p.links, gridLink{before, after})
	}
}

// GridTotal counts obligations that are not exempt.
type GridTotal struct{ Expected, Received, OnTime int }

// Judge is the breaches that a department accepts or refuses explanations of.
type Judge struct {
	Frame
	From, To domain.Date
	Unit     domain.UnitCode
	Kind     string
	Outcome  string
	MayJudge bool
	Rows     []BreachItem
	Next     string
}

// Progress is how far the targets are.
type Progress struct {
	Frame
	Targets []ProgressTarget
}

// ProgressTarget is one target.
type ProgressTarget struct {
	Name           string
	On             domain.Date
	AtLeastPercent int
	Met, Missed    int
	Areas          []ProgressArea
	Judged         []projections.TargetRow
}

// ProgressArea is the sums of an area; Area "" is the province.
type ProgressArea struct {
	Area        domain.UnitCode
	Name        string
	Numerator   int64
	Denominator int64
	Percent     int
	Expected    int
	Received    int
}

// Totals is the day's synthesis.
type Totals struct {
	Frame
	Previous  domain.Date
	Following domain.Date
	Area      domain.UnitCode // whose parts are shown; "" is the province
	Form      domain.FormID   // the one shown; "" is each
	Forms     []FormTotal
	Place     string
	Issued    []Issued
	MayIssue  bool
	Key       string
}

// FormTotal is the sums of one form, and one page of what they are made of: the areas beneath, or, where there are none, the
// units themselves.
type FormTotal struct {
	projections.SynthesisTotal
	Beneath     []projections.SynthesisTotal
	MissingHere []domain.UnitCode
	MadeOfHere  []domain.ChildPin
	Next        string // where the next page begins; "" on the last one
}

// Issued is a synthesis that was sent up.
type Issued struct {
	Number int
	To     string
	Note   string
	Parts  int
}

// Access is who asked for what.
type Access struct {
	Frame
	Rows []AccessRow
	Last int64
	More bool
}

// AccessRow is one question.
type AccessRow struct {
	ID     int64
	At     time.Time
	Person domain.PersonID
	Role   domain.Role
	What   string
	Status int
}

// Refused reports whether they were not shown, or not let do, what they asked for: who may not see a unit and who asks for
// none that there is are answered alike in places.
func (r AccessRow) Refused() bool {
	return r.Status == http.StatusForbidden || r.Status == http.StatusNotFound
}

// District is the board of a district's children.
type District struct {
	Frame
	Unit      domain.UnitCode
	UnitName  string
	Previous  domain.Date
	Following domain.Date
	Own       []DistrictRow
	Rows      []DistrictRow
	Total     int    // of which Rows are some
	Next      string // "" on the last page
}

// DistrictRow is one obligation on the board.
type DistrictRow struct {
	projections.ComplianceRow
	FormTitle string
	Key       string
	Link      string
	MayRemind bool
	MayFile   bool
	Sums      bool           // the ledger sums what is below
	Changed   []ChangedChild // since it was consolidated
}

// Know gives the page the words and the order of every form's figures.

func (p *Unit) Know(forms []domain.Form) {
	p.Labels, p.Forms, p.Order = map[domain.FormID]map[string]domain.Wording{}, map[domain.FormID]domain.Wording{}, map[domain.FormID][]string{}
	for _, form := range forms {
		p.Forms[form.ID] = form.Title
		p.Labels[form.ID] = map[string]domain.Wording{}
		for _, field := range form.Fields {
			p.Labels[form.ID][field.Name] = field.Label
			p.Order[form.ID] = append(p.Order[form.ID], field.Name)
		}
	}
}

// VersionLine is one figure over the versions.
type VersionLine struct {
	Label string
	Cells []VersionCell
}

// VersionCell is a figure in one version.
type VersionCell struct {
	Value   *int64
	Changed bool // from the version before
}

// SideBySide lays versions next to each other, in the form's own order.

func (p Unit) SideBySide(form domain.FormID, versions []projections.VersionRow) []VersionLine {
	names := slices.Clone(p.Order[form])
	for _, v := range versions {
		for _, name := range v.Figures.Names() {
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	var out []VersionLine
	for _, name := range names {
		line, given := VersionLine{Label: p.Label(form, name)}, false
		for i, v := range versions {
			cell := VersionCell{}
			if value, ok := v.Figures[name]; ok {
				cell.Value, given = &value, true
			}
			if i > 0 {
				before := line.Cells[i-1].Value
				cell.Changed = (before == nil) != (cell.Value == nil) || before != nil && *before != *cell.Value
			}
			line.Cells = append(line.Cells, cell)
		}
		if given {
			out = append(out, line)
		}
	}
	return out
}

func (Inspect) template() string    { return "inspect" }
func (Search) template() string     { return "search" }
func (Grid) template() string       { return "grid" }
func (Judge) template() string      { return "judge" }
func (Progress) template() string   { return "progress" }
func (Totals) template() string     { return "totals" }
func (Operations) template() string { return "operations" }
func (Access) template() string     { return "access" }
func (District) template() string   { return "district" }
