package ui

import (
	"net/url"
	"slices"
	"time"

	"golang.org/x/text/language"
	"golang.org/x/text/message"

	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/projections"
)

// Frame is what every page has around its content.
type Frame struct {
	Language  domain.Language
	Title     string
	Path      string     // of this page, without the query
	Query     url.Values // of this page, valid
	StyleVer  string
	Synthetic bool           // figures or persons on it are made up
	Zone      *time.Location // of every time shown
	KnownAt   *time.Time     // nil: as known now
	Now       time.Time
	Request   string
	Regime    domain.RegimeID
	Date      domain.Date
	// FormTitles name the forms; a form without a title is shown by its id.
	FormTitles map[domain.FormID]domain.Wording
	// RegimeTitle is the order's, in the page's language.
	RegimeTitle string

	// Tabs are pages of one kind, beside each other.
	Tabs []NavItem
	// People is a page of who is signed in or about to be: it has a script, and its reader's own pages around it.
	People    bool
	Person    string // who is signed in; "" is nobody
	PersonID  domain.PersonID
	Nav       []NavItem
	Versions  map[string]string // of the static files, by their names
	ScriptVer string
	Live      string // where the browser hears that something changed; "" where nothing does
	Demo      bool   // one may sign in without proof
	Done      bool   // something was just recorded
}

// T is a text of the pages in the page's language.
func (f Frame) T(key string) string { return text(key, f.Language) }

// Word is a wording in the page's language.
func (f Frame) Word(w domain.Wording) string {
	if f.Language == domain.English && w.En != "" {
		return w.En
	}
	return w.Vi
}

// FormName is a form's title in the page's language.
func (f Frame) FormName(id domain.FormID) string {
	if w := f.Word(f.FormTitles[id]); w != "" {
		return w
	}
	return string(id)
}

// Number writes an integer as the language does: 1.234.567 or 1,234,567.
func (f Frame) Number(n any) string {
	if p, ok := n.(*int64); ok {
		if p == nil {
			return ""
		}
		n = *p
	}
	tag := language.Vietnamese
	if f.Language == domain.English {
		tag = language.English
	}
	return message.NewPrinter(tag).Sprint(n)
}

// Time is an instant in the regime's zone, to the second: a deadline is kept or missed within one.
func (f Frame) Time(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	if f.Language == domain.English {
		return t.In(f.zone()).Format("2006-01-02 15:04:05")
	}
	return t.In(f.zone()).Format("15:04:05 02/01/2006")
}

// Machine is an instant for programs.
func (f Frame) Machine(t time.Time) string { return t.In(f.zone()).Format(time.RFC3339) }

// Exact is an instant for an address: what was recorded within the same second is on one side of it.
func (f Frame) Exact(t time.Time) string { return t.In(f.zone()).Format(time.RFC3339Nano) }

// AsKnown is the instant whose knowledge the page shows.
func (f Frame) AsKnown() time.Time {
	if f.KnownAt != nil {
		return *f.KnownAt
	}
	return f.Now
}

// KnownThen reports whether the page is as known at an instant.
func (f Frame) KnownThen(t time.Time) bool { return f.KnownAt != nil && f.KnownAt.Equal(t) }

// Local is an instant as a field of a form holds it.
func (f Frame) Local(t *time.Time) string {
	if t == nil {
		return ""
	}
	return t.In(f.zone()).Format("2006-01-02T15:04:05")
}

// Day is a civil day in the language's order.
func (f Frame) Day(d domain.Date) string {
	t, err := time.Parse(time.DateOnly, string(d))
	if err != nil || f.Language == domain.English {
		return string(d)
	}
	return t.Format("02/01/2006")
}

func (f Frame) zone() *time.Location {
	if f.Zone == nil {
		return domain.HoChiMinh
	}
	return f.Zone
}

// Link is the address of a page, with the question that is being asked now and the changes given as pairs.
func (f Frame) Link(path string, changes ...string) string {
	q := url.Values{}
	for _, name := range []string{"regime", "date", "known_at"} {
		if v := f.Query.Get(name); v != "" {
			q.Set(name, v)
		}
	}
	return address(path, q, changes)
}

// Here is the address of this page with the changes given as pairs; "" takes a parameter away.
func (f Frame) Here(changes ...string) string {
	q := url.Values{}
	for name, v := range f.Query {
		if len(v) > 0 && v[0] != "" && name != "lang" {
			q.Set(name, v[0])
		}
	}
	return address(f.Path, q, changes)
}

func address(path string, q url.Values, changes []string) string {
	for i := 0; i+1 < len(changes); i += 2 {
		if changes[i+1] == "" {
			q.Del(changes[i])
		} else {
			q.Set(changes[i], changes[i+1])
		}
	}
	if len(q) == 0 {
		return path
	}
	return path + "?" + q.Encode()
}

// UnitLink is the address of a unit's page for a day.
func (f Frame) UnitLink(u domain.UnitCode, d domain.Date) string {
	return f.Link("/units/"+url.PathEscape(string(u)), "regime", string(f.Regime), "date", string(d))
}

// Asset is the address of a static file.
func (f Frame) Asset(name string) string { return "/assets/" + name + "?v=" + f.Versions[name] }

// Feed is where a browser hears of reports of some days that came in after a position: of all, or through one unit.
func (f Frame) Feed(through domain.UnitCode, from, to domain.Date, at string) string {
	return address("/live", url.Values{}, []string{"regime", string(f.Regime), "unit", string(through), "from", string(from), "to", string(to), "at", at})
}

// Other is the other language, for the toggle.
func (f Frame) Other() domain.Language {
	if f.Language == domain.English {
		return domain.Vietnamese
	}
	return domain.English
}

// Mark is the letter of a status: no page tells a status by colour alone.
func (f Frame) Mark(r projections.ComplianceRow) string {
	if !r.Determinable {
		return "?"
	}
	return f.T("mark." + string(r.Status))
}

// Status is a status in words.
func (f Frame) Status(r projections.ComplianceRow) string {
	if !r.Determinable {
		return f.T("status.undeterminable")
	}
	return f.T("status." + string(r.Status))
}

// Class is the style of a status.
func (f Frame) Class(r projections.ComplianceRow) string {
	if !r.Determinable {
		return "unknown"
	}
	return string(r.Status)
}

// Board is the day's board.
type Board struct {
	Frame
	Regimes   []domain.RegimeID
	Previous  domain.Date // "" where there is none
	Following domain.Date
	Board     projections.DayBoard
	Rows      []projections.ComplianceRow
	Next      string // cursor of the rows' next page
	Area      domain.UnitCode
}

// Unit is a unit's history for a day.
type Unit struct {
	Frame
	Previous  domain.Date
	Following domain.Date
	History   projections.History
	Answers   []projections.AnswerRecord
	Labels    map[domain.FormID]map[string]domain.Wording // of figures
	Forms     map[domain.FormID]domain.Wording
	Order     map[domain.FormID][]string // the forms' fields, as the forms have them
	Presets   []Preset
	Permanent bool // the page has an address for ever, with both times
	Evidence  bool // what proves the events can be had
}

// BundleLink is the address of everything recorded about the unit's day, with what proves it.
func (p Unit) BundleLink() string {
	return address("/reports/"+url.PathEscape(string(p.History.Unit))+"/evidence", url.Values{}, []string{"regime", string(p.Regime), "from", string(p.Date), "to", string(p.Date)})
}

// Label is a figure's name in the page's language.
func (p Unit) Label(form domain.FormID, field string) string {
	if w, ok := p.Labels[form][field]; ok {
		return p.Word(w)
	}
	return field
}

// AnswerOf finds who answers for a form.
func (p Unit) AnswerOf(form domain.FormID) *projections.AnswerRecord {
	for i := range p.Answers {
		if p.Answers[i].Form == form {
			return &p.Answers[i]
		}
	}
	return nil
}

// Breaches is the list of breaches.
type Breaches struct {
	Frame
	Rows []projections.BreachRow
	Next string
}

// Synthesis is the day's roll-ups.
type Synthesis struct {
	Frame
	Previous  domain.Date
	Following domain.Date
	Synthesis projections.Synthesis
}

// Failure says that something cannot be shown, and why.
type Failure struct {
	Frame
	Status int
	Detail string
	StepUp bool // signing in again would help
}

func (Board) template() string     { return "board" }
func (Unit) template() string      { return "unit" }
func (Breaches) template() string  { return "breaches" }
func (Synthesis) template() string { return "synthesis" }
func (Failure) template() string   { return "failure" }

// FormTitle is a form's title in the page's language.
func (p Unit) FormTitle(form domain.FormID) string {
	if w, ok := p.Forms[form]; ok {
		return p.Word(w)
	}
	return string(form)
}

// HeadAt is who held the office at one of the instants that matter, and, where the office was vacant, who above.
type HeadAt struct {
	Label string
	Chain []projections.HeadRef
}

// Heads lists the instants that matter for a report, and who held the office then.
func (p Unit) Heads(a *projections.AnswerRecord) []HeadAt {
	out := []HeadAt{{"answerable", chain(&a.Answerable)}, {"head_deadline", chain(&a.HeadDeadline)}}
	if a.HeadSignOff != nil {
		out = append(out, HeadAt{"head_sign_off", chain(a.HeadSignOff)})
	}
	if a.HeadCorrect != nil {
		out = append(out, HeadAt{"head_correction", chain(a.HeadCorrect)})
	}
	return out
}

func chain(h *projections.HeadRef) []projections.HeadRef {
	var out []projections.HeadRef
	for ; h != nil; h = h.Above {
		out = append(out, *h)
	}
	return out
}

// NewestFirst turns versions round: what counts now comes first.
func (p Unit) NewestFirst(v []projections.VersionRow) []projections.VersionRow {
	v = slices.Clone(v)
	slices.Reverse(v)
	return v
}

// Detail is what a line of the timeline says beside its kind, in words.
func (p Unit) Detail(t projections.TimelineRow) string {
	for _, prefix := range []string{"breach.", "status.", "correction."} {
		if _, ok := texts[prefix+t.Detail]; ok {
			return p.T(prefix + t.Detail)
		}
	}
	return t.Detail
}

// LatestFirst turns a timeline round.
func (p Unit) LatestFirst(t []projections.TimelineRow) []projections.TimelineRow {
	t = slices.Clone(t)
	slices.Reverse(t)
	return t
}
