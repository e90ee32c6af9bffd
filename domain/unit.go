package domain

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// Level is where a unit stands in the tree.
type Level string

const (
	LevelProvince Level = "province"
	LevelDistrict Level = "district"
	LevelCommune  Level = "commune"
	LevelBody     Level = "body" // department, mass organisation, university: reports to the province directly
)

// UnitRegistered brings a unit into the ledger under its official code.
type UnitRegistered struct {
	Unit        UnitCode `json:"unit"`
	Level       Level    `json:"level"`
	Type        string   `json:"type"` // "Phường", "Xã", "so", "dai_hoc": what the register calls it
	Name        string   `json:"name"`
	NameEn      string   `json:"name_en,omitempty"`
	Parent      UnitCode `json:"parent,omitempty"`
	EffectiveOn Date     `json:"effective_on"`
	Source      string   `json:"source,omitempty"`
	Synthetic   bool     `json:"synthetic,omitempty"`
}

// UnitRenamed, UnitReclassified, UnitMoved, UnitMerged and UnitDissolved change a unit from a day on. The code stays,
// and nothing recorded under it is re-keyed (rule 15).
type UnitRenamed struct {
	Unit        UnitCode `json:"unit"`
	Name        string   `json:"name"`
	NameEn      string   `json:"name_en,omitempty"`
	EffectiveOn Date     `json:"effective_on"`
	Basis       string   `json:"basis"`
}
type UnitReclassified struct {
	Unit        UnitCode `json:"unit"`
	Type        string   `json:"type"`
	Name        string   `json:"name"`
	EffectiveOn Date     `json:"effective_on"`
	Basis       string   `json:"basis"`
}
type UnitMoved struct {
	Unit        UnitCode `json:"unit"`
	Parent      UnitCode `json:"parent"`
	EffectiveOn Date     `json:"effective_on"`
	Basis       string   `json:"basis"`
}
type UnitMerged struct {
	Unit        UnitCode `json:"unit"`
	Into        UnitCode `json:"into"`
	EffectiveOn Date     `json:"effective_on"`
	Basis       string   `json:"basis"`
}
type UnitDissolved struct {
	Unit        UnitCode `json:"unit"`
	EffectiveOn Date     `json:"effective_on"`
	Basis       string   `json:"basis"`
}

func (UnitRegistered) Kind() string   { return "UnitRegistered" }
func (UnitRenamed) Kind() string      { return "UnitRenamed" }
func (UnitReclassified) Kind() string { return "UnitReclassified" }
func (UnitMoved) Kind() string        { return "UnitMoved" }
func (UnitMerged) Kind() string       { return "UnitMerged" }
func (UnitDissolved) Kind() string    { return "UnitDissolved" }
func (UnitRegistered) event()         {}
func (UnitRenamed) event()            {}
func (UnitReclassified) event()       {}
func (UnitMoved) event()              {}
func (UnitMerged) event()             {}
func (UnitDissolved) event()          {}

// UnitPeriod is how a unit was from a day on.
type UnitPeriod struct {
	From   Date
	Type   string
	Name   string
	NameEn string
	Parent UnitCode
}

// Unit is what a unit's stream folds to: the newest description, and every one before it.
type Unit struct {
	Code      UnitCode
	Level     Level
	Type      string
	Name      string
	NameEn    string
	Parent    UnitCode
	From      Date
	Until     Date // first day without the unit; "" while it exists
	Into      UnitCode
	Synthetic bool
	Periods   []UnitPeriod // sorted by From
	CommandLog
	changes []unitChange // as recorded, which need not be the order in which they take effect
}

// unitChange is one recorded change: what it sets, from a day on.
type unitChange struct {
	from                   Date
	typ, name, nameEn      string
	parent                 UnitCode
	setsType, setsName     bool
	setsNameEn, setsParent bool
}

// Apply folds one fact.
func (u Unit) Apply(f Fact) Unit {
	u.CommandLog = u.CommandLog.add(f.Meta)
	switch e := f.Event.(type) {
	case UnitRegistered:
		u.Code, u.Level, u.From, u.Synthetic = e.Unit, e.Level, e.EffectiveOn, e.Synthetic
		u = u.changed(unitChange{from: e.EffectiveOn, typ: e.Type, setsType: true, name: e.Name, setsName: true,
			nameEn: e.NameEn, setsNameEn: true, parent: e.Parent, setsParent: true})
	case UnitRenamed:
		u = u.changed(unitChange{from: e.EffectiveOn, name: e.Name, setsName: true, nameEn: e.NameEn, setsNameEn: true})
	case UnitReclassified:
		u = u.changed(unitChange{from: e.EffectiveOn, typ: e.Type, setsType: true, name: e.Name, setsName: true})
	case UnitMoved:
		u = u.changed(unitChange{from: e.EffectiveOn, parent: e.Parent, setsParent: true})
	case UnitMerged:
		u.Until, u.Into = e.EffectiveOn, e.Into
	case UnitDissolved:
		u.Until = e.EffectiveOn
	}
	return u
}

// changed takes one more change and tells the periods anew: what a change sets holds until a later day sets it again,
// also when that later change was recorded first.
func (u Unit) changed(c unitChange) Unit {
	u.changes = append(slices.Clip(u.changes), c)
	inEffect := slices.Clone(u.changes)
	slices.SortStableFunc(inEffect, func(a, b unitChange) int { return compareString(a.from, b.from) })
	u.Periods = make([]UnitPeriod, 0, len(inEffect))
	var p UnitPeriod
	for _, c := range inEffect {
		if n := len(u.Periods); n > 0 && c.from == p.From {
			u.Periods = u.Periods[:n-1]
		}
		p.From = c.from
		if c.setsType {
			p.Type = c.typ
		}
		if c.setsName {
			p.Name = c.name
		}
		if c.setsNameEn {
			p.NameEn = c.nameEn
		}
		if c.setsParent {
			p.Parent = c.parent
		}
		u.Periods = append(u.Periods, p)
	}
	u.Type, u.Name, u.NameEn, u.Parent = p.Type, p.Name, p.NameEn, p.Parent
	return u
}

// Exists reports whether the unit was registered.
func (u Unit) Exists() bool { return u.Code != "" }

// On describes the unit as it was on a day.
func (u Unit) On(d Date) UnitPeriod {
	var p UnitPeriod
	for i, x := range u.Periods {
		if i == 0 || x.From <= d {
			p = x
		}
	}
	return p
}

// ParentOn is the unit it reported through on a day.
func (u Unit) ParentOn(d Date) UnitCode { return u.On(d).Parent }

// ActiveOn reports whether the unit exists on a day.
func (u Unit) ActiveOn(d Date) bool {
	return u.Exists() && u.From <= d && (u.Until == "" || d < u.Until)
}

// Register decides a unit's entry.
func (u Unit) Register(e UnitRegistered, by Actor) ([]Event, error) {
	if u.Exists() {
		return nil, refuse(Conflict, CodeUnitExists, "/unit", "unit", string(e.Unit))
	}
	if err := by.require(RoleDepartment, ""); err != nil {
		return nil, err
	}
	if !ValidID(string(e.Unit)) {
		return nil, refuse(Invalid, CodeID, "/unit", "value", string(e.Unit))
	}
	if !slices.Contains([]Level{LevelProvince, LevelDistrict, LevelCommune, LevelBody}, e.Level) {
		return nil, refuse(Invalid, CodeChoice, "/level", "value", string(e.Level))
	}
	if err := checkName("/name", e.Name); err != nil {
		return nil, err
	}
	if _, err := ParseDate(string(e.EffectiveOn)); err != nil {
		return nil, refuse(Invalid, CodeDate, "/effective_on", "value", string(e.EffectiveOn))
	}
	return []Event{e}, nil
}

// Change decides any later change of a unit; e is one of the Unit… events but UnitRegistered.
func (u Unit) Change(e Event, by Actor) ([]Event, error) {
	if !u.Exists() {
		return nil, refuse(NotFound, CodeUnitUnknown, "/unit")
	}
	if err := by.require(RoleDepartment, ""); err != nil {
		return nil, err
	}
	if StreamOf(e) != UnitStream(u.Code) {
		return nil, refuse(Invalid, CodeChoice, "/unit", "value", StreamOf(e))
	}
	var on Date
	var basis string
	switch e := e.(type) {
	case UnitRenamed:
		on, basis = e.EffectiveOn, e.Basis
		if err := checkName("/name", e.Name); err != nil {
			return nil, err
		}
	case UnitReclassified:
		on, basis = e.EffectiveOn, e.Basis
		if err := checkName("/name", e.Name); err != nil {
			return nil, err
		}
	case UnitMoved:
		on, basis = e.EffectiveOn, e.Basis
		if e.Parent == u.Code {
			return nil, refuse(Invalid, CodeChoice, "/parent", "value", string(e.Parent))
		}
	case UnitMerged:
		on, basis = e.EffectiveOn, e.Basis
		if e.Into == u.Code {
			return nil, refuse(Invalid, CodeChoice, "/into", "value", string(e.Into))
		}
	case UnitDissolved:
		on, basis = e.EffectiveOn, e.Basis
	default:
		return nil, refuse(Invalid, CodeChoice, "", "value", e.Kind())
	}
	if _, err := ParseDate(string(on)); err != nil || on < u.From {
		return nil, refuse(Invalid, CodeDate, "/effective_on", "value", string(on))
	}
	if u.Until != "" {
		return nil, refuse(Conflict, CodeUnitEnded, "/unit", "unit", string(u.Code), "date", string(u.Until))
	}
	if err := checkText("/basis", basis, true); err != nil {
		return nil, err
	}
	return []Event{e}, nil
}

func checkName(pointer, s string) error {
	if strings.TrimSpace(s) == "" {
		return refuse(Invalid, CodeTextMissing, pointer)
	}
	if len(s) > MaxNameBytes || !utf8.ValidString(s) {
		return refuse(Invalid, CodeTextTooLong, pointer, "max", "300")
	}
	return nil
}

func checkText(pointer, s string, required bool) error {
	if required && strings.TrimSpace(s) == "" {
		return refuse(Invalid, CodeTextMissing, pointer)
	}
	if len(s) > MaxTextBytes || !utf8.ValidString(s) {
		return refuse(Invalid, CodeTextTooLong, pointer, "max", "8192")
	}
	return nil
}
