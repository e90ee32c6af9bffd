package domain

import "math/bits"

// TargetJudged says whether a unit reached a target, apart from whether it kept the regime (rule 4). It is judged once
// per unit and target, against one version of one report.
type TargetJudged struct {
	Regime         RegimeID `json:"regime"`
	RegimeVersion  int      `json:"regime_version"`
	Target         string   `json:"target"`
	Unit           UnitCode `json:"unit"`
	Form           FormID   `json:"form"`
	Date           Date     `json:"date"`
	Met            bool     `json:"met"`
	Numerator      int64    `json:"numerator"`
	Denominator    int64    `json:"denominator"`
	AtLeastPercent int      `json:"at_least_percent"`
	Version        int      `json:"version,omitempty"` // 0: nothing was reported, so the target is missed
	Digest         string   `json:"digest,omitempty"`
}

func (TargetJudged) Kind() string { return "TargetJudged" }
func (TargetJudged) event()       {}

// Results is what a result stream folds to.
type Results struct {
	Judged []TargetJudged
	CommandLog
}

// Apply folds one fact.
func (r Results) Apply(f Fact) Results {
	r.CommandLog = r.CommandLog.add(f.Meta)
	if e, ok := f.Event.(TargetJudged); ok {
		r.Judged = append(r.Judged[:len(r.Judged):len(r.Judged)], e)
	}
	return r
}

// Judge decides a target from the newest version of the report it is measured on; nothing when it was judged already, or
// when the unit was freed of reporting what it would be judged on.
func (r Results) Judge(t Target, o Obligation, report Report) []Event {
	if o.Exempt != nil {
		return nil
	}
	for _, j := range r.Judged {
		if j.Target == t.ID && j.Date == o.Key.Date {
			return nil
		}
	}
	e := TargetJudged{Regime: o.Key.Regime, RegimeVersion: o.RegimeVersion, Target: t.ID, Unit: o.Key.Unit, Form: o.Key.Form,
		Date: o.Key.Date, AtLeastPercent: t.AtLeastPercent}
	if v, ok := report.Newest(); ok {
		e.Version, e.Digest = v.Number, v.Digest
		e.Numerator, e.Denominator = v.Content.Figures[t.Numerator], v.Content.Figures[t.Denominator]
		e.Met = e.Denominator > 0 && AtLeast(e.Numerator, e.Denominator, t.AtLeastPercent)
	}
	return []Event{e}
}

// AtLeast compares n/d with a percentage exactly, also where 100*n passes 64 bits. None of the three is negative.
func AtLeast(n, d int64, percent int) bool {
	h1, l1 := bits.Mul64(uint64(n), 100)
	h2, l2 := bits.Mul64(uint64(d), uint64(percent))
	return h1 > h2 || h1 == h2 && l1 >= l2
}
