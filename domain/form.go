package domain

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"
	"strconv"
)

// Scope is what a form's figures count. Figures of different scopes are never added together (rule 10): a teacher in
// Dĩ An is in the commune's territory, in the school's staff and in the education sector.
type Scope string

const (
	ScopeTerritory Scope = "territory"
	ScopeOwnStaff  Scope = "own_staff"
	ScopeSector    Scope = "sector"
)

// RollUp is how a field behaves in a consolidated report (rule 10).
type RollUp string

const (
	RollUpSum  RollUp = "sum"  // the children's figures are added
	RollUpNone RollUp = "none" // means nothing above the unit
	RollUpOwn  RollUp = "own"  // the consolidating unit fills it in itself
	// The next three count the children instead of adding their figures.
	RollUpReported RollUp = "children_reported"
	RollUpLate     RollUp = "children_late"
	RollUpMissing  RollUp = "children_missing"
)

// Form is one version of a report form, read from its schema file by package schemas: a new form needs no code.
type Form struct {
	ID         FormID
	Version    int
	Item       string
	Scope      Scope
	Title      Wording
	Fields     []Field
	RuleNumber int // version of the plausibility rules the form carries (rule 12)
}

// Field is one figure of a form.
type Field struct {
	Name       string
	Label      Wording
	Unit       Wording // "người", "persons"
	Cumulative bool    // counts everything up to the cut-off, so it does not fall (rule 12)
	// Denominator marks a figure that others are measured against, so it does not move much (rule 12).
	Denominator bool
	RollUp      RollUp
	Required    bool
	// AtMost names the field this one may not exceed; checked by the schema, repeated here for pages and help.
	AtMost string
}

// Field finds a field by name.
func (f Form) Field(name string) (Field, bool) {
	i := slices.IndexFunc(f.Fields, func(x Field) bool { return x.Name == name })
	if i < 0 {
		return Field{}, false
	}
	return f.Fields[i], true
}

// Figures are the numbers of a report by field name. They are values: nobody writes to a map that was handed out.
type Figures map[string]int64

// Equal compares by content.
func (f Figures) Equal(g Figures) bool { return maps.Equal(f, g) }

// Names is the sorted list of fields that have a figure.
func (f Figures) Names() []string { return slices.Sorted(maps.Keys(f)) }

// Content is what one version of a report says: what a sign-off binds and what a correction must change.
type Content struct {
	FormVersion int
	Figures     Figures
	Nil         bool
	Children    []ChildPin
}

// Digest is the SHA-256, in hex, of the content's canonical bytes (rule 6): a JSON object in the form of RFC 8785 with
// the obligation it belongs to, so that the same numbers of another unit or day have another digest.
func (c Content) Digest(k ReportKey) string {
	sum := sha256.Sum256(c.Canonical(k))
	return hex.EncodeToString(sum[:])
}

// Canonical is the bytes Digest hashes. All names and ids in it are ASCII identifiers, so no escaping arises.
func (c Content) Canonical(k ReportKey) []byte {
	b := make([]byte, 0, 256)
	b = append(b, '{')
	if len(c.Children) > 0 {
		b = append(b, `"children":[`...)
		for i, p := range c.Children {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(b, `{"digest":"`...)
			b = append(b, p.Digest...)
			b = append(b, `","unit":"`...)
			b = append(b, p.Unit...)
			b = append(b, `","version":`...)
			b = strconv.AppendInt(b, int64(p.Version), 10)
			b = append(b, '}')
		}
		b = append(b, `],`...)
	}
	b = append(b, `"date":"`...)
	b = append(b, k.Date...)
	b = append(b, `","figures":{`...)
	for i, n := range c.Figures.Names() {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, '"')
		b = append(b, n...)
		b = append(b, `":`...)
		b = strconv.AppendInt(b, c.Figures[n], 10)
	}
	b = append(b, `},"form":"`...)
	b = append(b, k.Form...)
	b = append(b, `","form_version":`...)
	b = strconv.AppendInt(b, int64(c.FormVersion), 10)
	b = append(b, `,"nil":`...)
	b = strconv.AppendBool(b, c.Nil)
	b = append(b, `,"regime":"`...)
	b = append(b, k.Regime...)
	b = append(b, `","unit":"`...)
	b = append(b, k.Unit...)
	b = append(b, `"}`...)
	return b
}
