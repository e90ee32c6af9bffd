package domain

import "math/big"

// ChildPin names the exact version of a child's report that a consolidated figure is made of (rule 9).
type ChildPin struct {
	Unit    UnitCode `json:"unit"`
	Version int      `json:"version"`
	Digest  string   `json:"digest"`
}

// Child is what a consolidation knows of one child on the day.
type Child struct {
	Unit   UnitCode
	Form   Form
	Report Report
	Exempt bool
}

// Consolidate sums the children's newest versions into the figures of form, adding own, the fields the consolidating
// unit fills in itself. Children without a report are listed, not guessed. Exempt children are neither.
func Consolidate(form Form, own Figures, children []Child) (Figures, []ChildPin, []UnitCode, error) {
	out := Figures{}
	var pins []ChildPin
	var missing []UnitCode
	var reported, late, absent int64
	sums := map[string]*big.Int{}
	for _, c := range children {
		v, ok := c.Report.Newest()
		switch {
		case !ok && c.Exempt:
			continue
		case !ok:
			missing = append(missing, c.Unit)
			absent++
			continue
		}
		if c.Form.Scope != form.Scope { // rule 10
			return nil, nil, nil, refuse(Invalid, CodeScope, "", "scope", string(c.Form.Scope), "expected", string(form.Scope))
		}
		reported++
		if c.Report.Timeliness == Late {
			late++
		}
		pins = append(pins, ChildPin{c.Unit, v.Number, v.Digest})
		for name, n := range v.Content.Figures {
			if sums[name] == nil {
				sums[name] = new(big.Int)
			}
			sums[name].Add(sums[name], big.NewInt(n))
		}
	}
	for _, f := range form.Fields {
		switch f.RollUp {
		case RollUpSum:
			n := sums[f.Name]
			if n == nil {
				if f.Required {
					out[f.Name] = 0
				}
				continue
			}
			if !n.IsInt64() || n.Int64() > MaxFigure {
				return nil, nil, nil, refuse(Invalid, CodeRange, "/figures/"+f.Name, "min", "0", "max", "9007199254740992")
			}
			out[f.Name] = n.Int64()
		case RollUpReported:
			out[f.Name] = reported
		case RollUpLate:
			out[f.Name] = late
		case RollUpMissing:
			out[f.Name] = absent
		case RollUpOwn, RollUpNone:
			if n, ok := own[f.Name]; ok {
				out[f.Name] = n
			}
		}
	}
	for _, name := range own.Names() { // in order: the same attempt gets the same refusal
		if f, ok := form.Field(name); !ok {
			return nil, nil, nil, refuse(Invalid, CodeFieldUnknown, "/figures/"+name, "field", name)
		} else if f.RollUp != RollUpOwn && f.RollUp != RollUpNone {
			return nil, nil, nil, refuse(Invalid, CodeFieldSummed, "/figures/"+name, "field", name)
		}
	}
	return out, pins, missing, nil
}

// OutOfDate lists the children whose newest version is no longer the pinned one, or that were missing and have filed
// since: then the consolidated figure is out of date (rule 9).
func OutOfDate(pins []ChildPin, missing []UnitCode, newest map[UnitCode]int) []UnitCode {
	var out []UnitCode
	for _, p := range pins {
		if newest[p.Unit] > p.Version {
			out = append(out, p.Unit)
		}
	}
	for _, u := range missing {
		if newest[u] > 0 {
			out = append(out, u)
		}
	}
	return sortedUnits(out)
}
