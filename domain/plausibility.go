package domain

import "strings"

// FindingRule names a plausibility rule.
type FindingRule string

const (
	FindingFall        FindingRule = "cumulative_fall"   // a count of everything so far went down
	FindingDenominator FindingRule = "denominator_moved" // what others are measured against moved by more than a tenth
	FindingRepeat      FindingRule = "same_as_before"    // every figure is the one of the day before
)

// PlausibilityVersion is the version of the rules below; a finding keeps the one that made it (rule 12).
const PlausibilityVersion = 1

// Finding is something that need not be wrong but needs a word from the filer.
type Finding struct {
	Rule        FindingRule `json:"rule"`
	RuleVersion int         `json:"rule_version"`
	Field       string      `json:"field,omitempty"`
	Was         int64       `json:"was"`
	Is          int64       `json:"is"`
}

// Plausibility compares a content with the one of the day before. The hard rules (more installed than phones, rates over
// 100 %) are the form's schema's: they refuse, so they leave no finding.
func Plausibility(c Content, form Form, previous *Content) []Finding {
	if c.Nil || previous == nil || previous.Nil {
		return nil
	}
	var out []Finding
	same, compared := true, 0
	for _, f := range form.Fields {
		is, ok1 := c.Figures[f.Name]
		was, ok2 := previous.Figures[f.Name]
		if !ok1 || !ok2 {
			same = same && ok1 == ok2
			continue
		}
		compared++
		same = same && is == was
		if f.Cumulative && is < was {
			out = append(out, Finding{FindingFall, PlausibilityVersion, f.Name, was, is})
		}
		if f.Denominator && !f.Cumulative && moved(was, is) {
			out = append(out, Finding{FindingDenominator, PlausibilityVersion, f.Name, was, is})
		}
	}
	if same && compared > 0 && !allZero(c.Figures) {
		out = append(out, Finding{Rule: FindingRepeat, RuleVersion: PlausibilityVersion})
	}
	return out
}

func moved(was, is int64) bool {
	d := is - was
	if d < 0 {
		d = -d
	}
	return d > was/10
}

func allZero(f Figures) bool {
	for _, v := range f {
		if v != 0 {
			return false
		}
	}
	return true
}

// Describe is the finding in words.
func (f Finding) Describe(l Language) string {
	return strings.TrimSpace(NewFault(Code("finding_"+string(f.Rule)), "", "field", f.Field).Text(l))
}
