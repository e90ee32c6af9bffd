package domaintest

import (
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/answerable-ledger/answerable/domain"
)

// Check re-derives the rules of docs/rules.md from a history of facts, in the order recorded, and names the first fact
// that breaks one, with the rule. It calls no decision of package domain and keeps its own small state, on purpose.
func Check(facts []domain.Fact) error {
	c := checker{days: map[string]*checkedDay{}, reports: map[string]*checkedReport{}, offices: map[domain.UnitCode]*checkedOffice{},
		judged: map[string]bool{}, revisions: map[string]uint64{}, ids: map[string]bool{}}
	for i, f := range facts {
		if err := c.check(f); err != nil {
			return fmt.Errorf("fact %d, %s at %d of %s: %w", i, f.Event.Kind(), f.Revision, f.Stream, err)
		}
	}
	return c.closed()
}

type checker struct {
	rules     []domain.Rules
	extended  []domain.DeadlineExtended
	exempted  []domain.DayExempted
	days      map[string]*checkedDay
	reports   map[string]*checkedReport
	offices   map[domain.UnitCode]*checkedOffice
	judged    map[string]bool
	revisions map[string]uint64
	ids       map[string]bool
	last      time.Time
}

type checkedDay struct {
	opened   domain.DayOpened
	openedAt time.Time
	closed   bool
}

type checkedReport struct {
	versions   []checkedVersion
	timeliness domain.Timeliness
	breaches   map[domain.BreachKind]domain.DeadlineBreached
	withdrawn  map[domain.BreachKind]bool
	signed     map[int]time.Time
}

type checkedVersion struct {
	content  domain.Content
	digest   string
	note     string
	filer    domain.PersonID
	received time.Time
}

type checkedOffice struct {
	heads       []domain.OfficeTaken
	left        map[int]time.Time
	authorities []domain.AuthorityGranted
	revoked     map[string]time.Time
}

func broken(rule int, format string, args ...any) error {
	return fmt.Errorf("rule %d: %s", rule, fmt.Sprintf(format, args...))
}

func (c *checker) check(f domain.Fact) error {
	if f.RecordedAt.Before(c.last) {
		return broken(2, "recorded_at went back from %s to %s", c.last, f.RecordedAt)
	}
	c.last = f.RecordedAt
	if want, ok := c.revisions[f.Stream]; ok && f.Revision != want+1 || !ok && f.Revision != 0 {
		return broken(3, "revision %d after %d", f.Revision, want)
	}
	c.revisions[f.Stream] = f.Revision
	if c.ids[f.EventID.String()] {
		return broken(3, "event id %s twice", f.EventID)
	}
	c.ids[f.EventID.String()] = true

	switch e := f.Event.(type) {
	case domain.RegimeIssued:
		c.rules = append(c.rules, e.Rules)
	case domain.RegimeAmended:
		c.rules = append(c.rules, e.Rules)
		if e.Version != len(c.rules) {
			return broken(2, "amended to version %d of %d", e.Version, len(c.rules))
		}
		return granted(e.Reason, e.GrantedBy)
	case domain.DeadlineExtended:
		if !f.RecordedAt.Before(c.due(e.Duty, e.Units, e.Date)) {
			return broken(2, "a deadline was moved after it had passed")
		}
		c.extended = append(c.extended, e)
		return granted(e.Reason, e.GrantedBy)
	case domain.DayExempted:
		c.exempted = append(c.exempted, e)
		return granted(e.Reason, e.GrantedBy)
	case domain.DayOpened:
		return c.opened(f, e)
	case domain.DayClosed:
		return c.dayClosed(e)
	case domain.ReportIssued:
		for _, p := range e.Parts {
			var pins []domain.ChildPin
			for _, in := range p.Inputs {
				for _, u := range in.Units {
					pin := domain.ChildPin{Unit: u, Version: in.Version}
					if r := c.reports[domain.ReportKey{Regime: e.Regime, Form: p.Form, Unit: u, Date: e.Date}.Stream()]; r != nil && in.Version <= len(r.versions) {
						pin.Digest = r.versions[in.Version-1].digest
					}
					pins = append(pins, pin)
				}
			}
			if err := c.pins(e.Regime, p.Form, e.Date, pins, p.Missing); err != nil {
				return err
			}
			if domain.PinsDigest(pins) != p.InputsDigest {
				return broken(16, "the synthesis of %s is not made of the recorded versions", p.Form)
			}
		}
	case domain.TargetJudged:
		return c.target(e)
	case domain.OfficeTaken, domain.OfficeLeft, domain.AuthorityGranted, domain.AuthorityRevoked:
		return c.office(f)
	}
	if strings.HasPrefix(f.Stream, domain.CategoryReport+"-") {
		return c.report(f)
	}
	return nil
}

func granted(reason string, by domain.PersonID) error {
	if strings.TrimSpace(reason) == "" || by == "" {
		return broken(13, "granted by %q for the reason %q", by, reason)
	}
	return nil
}

func (c *checker) opened(f domain.Fact, e domain.DayOpened) error {
	if c.days[f.Stream] != nil {
		return broken(3, "the day was opened twice")
	}
	if e.RegimeVersion != len(c.rules) {
		return broken(2, "opened under version %d, in force is %d", e.RegimeVersion, len(c.rules))
	}
	owed := map[string]bool{}
	for _, d := range e.Duties {
		if !f.RecordedAt.Before(d.Due) {
			return broken(3, "opened after %s was due", d.Duty)
		}
		for _, g := range d.Groups {
			for _, u := range g.Units {
				if k := string(d.Form) + "." + string(u); owed[k] {
					return broken(3, "%s owed twice", k)
				} else {
					owed[k] = true
				}
			}
		}
	}
	c.days[f.Stream] = &checkedDay{opened: e, openedAt: f.RecordedAt}
	return nil
}

func (c *checker) dayClosed(e domain.DayClosed) error {
	day := c.days[domain.DayStream(e.Regime, e.Date)]
	if day == nil || day.closed {
		return broken(3, "closed a day that is not open")
	}
	day.closed = true
	n := e.Counts
	var want domain.Counts
	for _, d := range day.opened.Duties {
		for _, g := range d.Groups {
			for _, u := range g.Units {
				want.Obligations++
				switch r := c.reports[domain.ReportKey{Regime: e.Regime, Form: d.Form, Unit: u, Date: e.Date}.Stream()]; {
				case r != nil && r.timeliness == domain.OnTime:
					want.OnTime++
				case r != nil && r.timeliness == domain.Late:
					want.Late++
				case c.exempt(d.Duty, u, e.Date):
					want.Exempt++
				default:
					want.Missing++
				}
			}
		}
	}
	want.Nil = n.Nil
	if n != want || n.OnTime+n.Late+n.Missing+n.Exempt != n.Obligations {
		return broken(4, "counted %+v, the reports say %+v", n, want)
	}
	return nil
}

// closed holds what must be so at the end: no breach stands against a report received in time, and every obligation of a
// closed day is judged.
func (c *checker) closed() error {
	for stream, r := range c.reports {
		if _, ok := r.breaches[domain.BreachMissing]; ok && r.timeliness == domain.OnTime && !r.withdrawn[domain.BreachMissing] {
			return broken(3, "%s was received in time and its breach stands", stream)
		}
	}
	for _, day := range c.days {
		if !day.closed {
			continue
		}
		for _, d := range day.opened.Duties {
			for _, g := range d.Groups {
				for _, u := range g.Units {
					k := domain.ReportKey{Regime: day.opened.Regime, Form: d.Form, Unit: u, Date: day.opened.Date}
					if r := c.reports[k.Stream()]; !c.exempt(d.Duty, u, k.Date) && (r == nil || r.timeliness != domain.OnTime && len(r.breaches) == 0) {
						return broken(3, "%s: the day is closed, and there is neither a report in time nor a breach", k.Stream())
					}
				}
			}
		}
	}
	return nil
}

// due is the deadline of a duty, after the extensions recorded so far; for several units the earliest.
func (c *checker) due(duty domain.DutyID, units []domain.UnitCode, date domain.Date) time.Time {
	var base, earliest time.Time
	for _, day := range c.days {
		for _, d := range day.opened.Duties {
			if day.opened.Date == date && d.Duty == duty {
				base = d.Due
			}
		}
	}
	if base.IsZero() && len(c.rules) > 0 {
		for _, d := range c.rules[len(c.rules)-1].Duties {
			if d.ID == duty {
				base, _ = d.Due.On(date, domain.HoChiMinh)
			}
		}
	}
	for _, u := range units {
		due := base
		for _, x := range c.extended {
			if x.Duty == duty && x.Date == date && (len(x.Units) == 0 || slices.Contains(x.Units, u)) && x.Due.After(due) {
				due = x.Due
			}
		}
		if earliest.IsZero() || due.Before(earliest) {
			earliest = due
		}
	}
	if earliest.IsZero() {
		return base
	}
	return earliest
}

func (c *checker) exempt(duty domain.DutyID, u domain.UnitCode, d domain.Date) bool {
	return slices.ContainsFunc(c.exempted, func(x domain.DayExempted) bool {
		return x.Date == d && (len(x.Units) == 0 || slices.Contains(x.Units, u)) && (len(x.Duties) == 0 || slices.Contains(x.Duties, duty))
	})
}

func (c *checker) dutyOf(k domain.ReportKey) (domain.DayDuty, *checkedDay) {
	day := c.days[domain.DayStream(k.Regime, k.Date)]
	if day == nil {
		return domain.DayDuty{}, nil
	}
	for _, d := range day.opened.Duties {
		for _, g := range d.Groups {
			if d.Form == k.Form && slices.Contains(g.Units, k.Unit) {
				return d, day
			}
		}
	}
	return domain.DayDuty{}, nil
}

func (c *checker) target(e domain.TargetJudged) error {
	k := domain.ReportKey{Regime: e.Regime, Form: e.Form, Unit: e.Unit, Date: e.Date}
	if id := e.Target + k.Stream(); c.judged[id] {
		return broken(4, "target %s judged twice", e.Target)
	} else {
		c.judged[id] = true
	}
	r := c.reports[k.Stream()]
	if e.Version == 0 {
		if e.Met || r != nil && len(r.versions) > 0 {
			return broken(4, "judged without the report")
		}
		return nil
	}
	v := r.versions[e.Version-1]
	if e.Version != len(r.versions) || e.Digest != v.digest {
		return broken(16, "judged on version %d of %d", e.Version, len(r.versions))
	}
	left := new(big.Int).Mul(big.NewInt(e.Numerator), big.NewInt(100))
	right := new(big.Int).Mul(big.NewInt(e.Denominator), big.NewInt(int64(e.AtLeastPercent)))
	if met := e.Denominator > 0 && left.Cmp(right) >= 0; met != e.Met {
		return broken(4, "%d of %d judged %v", e.Numerator, e.Denominator, e.Met)
	}
	return nil
}

func (c *checker) pins(regime domain.RegimeID, form domain.FormID, date domain.Date, pins []domain.ChildPin, missing []domain.UnitCode) error {
	for _, p := range pins {
		r := c.reports[domain.ReportKey{Regime: regime, Form: form, Unit: p.Unit, Date: date}.Stream()]
		if r == nil || len(r.versions) != p.Version || r.versions[p.Version-1].digest != p.Digest {
			return broken(9, "version %d of %s was not the newest", p.Version, p.Unit)
		}
	}
	for _, u := range missing {
		if r := c.reports[(domain.ReportKey{Regime: regime, Form: form, Unit: u, Date: date}).Stream()]; r != nil && len(r.versions) > 0 {
			return broken(9, "%s was not missing", u)
		}
	}
	return nil
}

func equalFigures(a, b domain.Content) bool {
	return a.Nil == b.Nil && maps.Equal(a.Figures, b.Figures) && slices.Equal(a.Children, b.Children)
}

func cut(stream, category string) (string, bool) { return strings.CutPrefix(stream, category+"-") }
