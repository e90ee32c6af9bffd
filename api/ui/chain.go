package ui

import (
	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/projections"
)

// Chain is a number of a synthesis, taken apart.
type Chain struct {
	Frame
	Form      domain.FormID
	FormTitle string
	Field     string
	Label     string
	Area      domain.UnitCode // "" is the province
	AreaName  string
	Total     *int64
	Evidence  bool // there is proof of events
	Missing   []domain.UnitCode
	Parts     []ChainPart
	Of        domain.UnitCode // the one part that is shown; "" is each
	Next      string          // where the next page of parts begins; "" on the last one
}

// ChainPart is what one report gave, or what an area's reports gave together.
type ChainPart struct {
	Unit       domain.UnitCode
	UnitName   string
	Version    int    // 0: an area, which has no report of its own here
	Newest     int    // of the report now, as far as is known
	Value      *int64 // nil: the report does not have the figure
	ChangedIn  int    // the version that last changed it
	Answerable projections.HeadRef
	EventID    string                  // of the version that was taken; "" for an area
	SignOff    *projections.SignOffRow // of the version that was taken; nil: nobody signed it
	Parts      []ChainPart             // what it is made of
	Folded     int                     // how many parts it is made of that are on a page of their own
}

// ChainLevel is some parts of a page of a chain.
type ChainLevel struct {
	Chain
	Open  bool // each is shown with what it is made of
	Items []ChainPart
}

// Level gives a template some parts, and the page around them.
func (p Chain) Level(parts []ChainPart, open bool) ChainLevel { return ChainLevel{p, open, parts} }

// One is the part alone, for the template that shows one.
func (p ChainPart) One() []ChainPart { return []ChainPart{p} }

// Holders is who answers: the head, or, where the office was vacant, the one above.
func (p ChainPart) Holders() []projections.HeadRef { return chain(&p.Answerable) }

// Apart is the address of the page that takes a number apart.
func (f Frame) Apart(form domain.FormID, field string, area domain.UnitCode) string {
	return f.Link("/chain", "regime", string(f.Regime), "date", string(f.Date), "form", string(form), "field", field, "unit", string(area))
}

// ChangedChild is a report below that changed since it was consolidated.
type ChangedChild struct {
	Unit     domain.UnitCode
	UnitName string
	Pinned   int // the version it was consolidated from; 0: none was there
	Newest   int
	Reason   string
	Figures  []Difference
}

func (Chain) template() string { return "chain" }
