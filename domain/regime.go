package domain

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// RegimeIssued opens a reporting regime. Version 1 of the rules is in force from this fact on.
type RegimeIssued struct {
	Regime RegimeID `json:"regime"`
	Rules  Rules    `json:"rules"`
}

// RegimeAmended puts a new version of the rules in force for the days opened after it; days that are open keep theirs
// (rule 2).
type RegimeAmended struct {
	Regime    RegimeID `json:"regime"`
	Version   int      `json:"version"`
	Rules     Rules    `json:"rules"`
	Reason    string   `json:"reason"`
	GrantedBy PersonID `json:"granted_by"`
}

// DeadlineExtended moves a deadline that has not passed, for the units named or for all.
type DeadlineExtended struct {
	Regime    RegimeID   `json:"regime"`
	Date      Date       `json:"date"`
	Duty      DutyID     `json:"duty"`
	Units     []UnitCode `json:"units,omitempty"`
	Due       time.Time  `json:"due"`
	Reason    string     `json:"reason"`
	GrantedBy PersonID   `json:"granted_by"`
}

// DayExempted lifts obligations of a day before they fall due, for the units and duties named, or for all.
type DayExempted struct {
	Regime    RegimeID   `json:"regime"`
	Date      Date       `json:"date"`
	Duties    []DutyID   `json:"duties,omitempty"`
	Units     []UnitCode `json:"units,omitempty"`
	Reason    string     `json:"reason"`
	GrantedBy PersonID   `json:"granted_by"`
}

// RegimeClosed ends the regime: no day after LastDay is opened.
type RegimeClosed struct {
	Regime    RegimeID `json:"regime"`
	LastDay   Date     `json:"last_day"`
	Reason    string   `json:"reason"`
	GrantedBy PersonID `json:"granted_by"`
}

func (RegimeIssued) Kind() string     { return "RegimeIssued" }
func (RegimeAmended) Kind() string    { return "RegimeAmended" }
func (DeadlineExtended) Kind() string { return "DeadlineExtended" }
func (DayExempted) Kind() string      { return "DayExempted" }
func (RegimeClosed) Kind() string     { return "RegimeClosed" }
func (RegimeIssued) event()           {}
func (RegimeAmended) event()          {}
func (DeadlineExtended) event()       {}
func (DayExempted) event()            {}
func (RegimeClosed) event()           {}

// Rules is one version of a regime: settings, not code. What an order leaves open is set here and listed under
// Assumptions (rule 14).
type Rules struct {
	Title       string    `json:"title"`
	TitleEn     string    `json:"title_en"`
	Number      string    `json:"number"`
	IssuedOn    Date      `json:"issued_on"`
	IssuedBy    string    `json:"issued_by"`
	Zone        string    `json:"zone"`
	FirstDay    Date      `json:"first_day"`
	LastDay     Date      `json:"last_day,omitempty"` // "" while no end is set
	SkipDays    []Date    `json:"skip_days,omitempty"`
	Duties      []Duty    `json:"duties"`
	Targets     []Target  `json:"targets,omitempty"`
	SelfSignOff bool      `json:"self_sign_off,omitempty"` // the filer may sign (rule 7)
	Assumptions []Wording `json:"assumptions,omitempty"`
}

// Wording is a text in both languages.
type Wording struct {
	Vi string `json:"vi"`
	En string `json:"en"`
}

// Duty is one paragraph of the order: who reports which form by when. Two duties may ask for one form; a unit that holds
// both owes it once, under the one listed first.
type Duty struct {
	ID           DutyID    `json:"duty"`
	Item         string    `json:"item"` // paragraph of the order, "2a"
	Name         Wording   `json:"name"`
	Form         FormID    `json:"form"`
	FormVersion  int       `json:"form_version"`
	Holders      Holders   `json:"holders"`
	CutOff       ClockTime `json:"cut_off,omitempty"` // data are counted up to here (rule 14)
	Due          ClockTime `json:"due"`               // received strictly before this is on time (rule 1)
	GraceMinutes int       `json:"grace_minutes"`     // from Due to the closing
	SignOffDue   ClockTime `json:"sign_off_due,omitempty"`
	Consolidates DutyID    `json:"consolidates,omitempty"` // this duty sums the children's reports of that one (rule 9)
}

// Holders says which units hold a duty: those of a level, of a type, or named one by one; the parts add up.
type Holders struct {
	Levels []Level    `json:"levels,omitempty"`
	Types  []string   `json:"types,omitempty"`
	Units  []UnitCode `json:"units,omitempty"`
}

// Hold reports whether a unit is among the holders.
func (h Holders) Hold(u Unit) bool {
	return slices.Contains(h.Levels, u.Level) || slices.Contains(h.Types, u.Type) || slices.Contains(h.Units, u.Code)
}

// Target is a result the order demands apart from the reporting itself (rule 4).
type Target struct {
	ID             string  `json:"target"`
	Name           Wording `json:"name"`
	Duty           DutyID  `json:"duty"`
	Numerator      string  `json:"numerator"`
	Denominator    string  `json:"denominator"`
	AtLeastPercent int     `json:"at_least_percent"`
	On             Date    `json:"on"`
}

// Regime is what a regime's stream folds to.
type Regime struct {
	ID         RegimeID
	Versions   []Rules // version n is Versions[n-1]
	InForce    []time.Time
	Extensions []DeadlineExtended
	Exemptions []DayExempted
	Closed     *RegimeClosed
	Zone       *time.Location
	CommandLog
}

// Apply folds one fact.
func (r Regime) Apply(f Fact) Regime {
	r.CommandLog = r.CommandLog.add(f.Meta)
	switch e := f.Event.(type) {
	case RegimeIssued:
		r.ID = e.Regime
		r = r.withRules(e.Rules, f.RecordedAt)
	case RegimeAmended:
		r = r.withRules(e.Rules, f.RecordedAt)
	case DeadlineExtended:
		r.Extensions = append(slices.Clip(r.Extensions), e)
	case DayExempted:
		r.Exemptions = append(slices.Clip(r.Exemptions), e)
	case RegimeClosed:
		r.Closed = &e
	}
	return r
}

func (r Regime) withRules(rules Rules, at time.Time) Regime {
	r.Versions = append(slices.Clip(r.Versions), rules)
	r.InForce = append(slices.Clip(r.InForce), at)
	if z, err := Zone(rules.Zone); err == nil {
		r.Zone = z
	} else if r.Zone == nil {
		r.Zone = HoChiMinh
	}
	return r
}

// Exists reports whether the regime was issued.
func (r Regime) Exists() bool { return len(r.Versions) > 0 }

// Version is the number of the rules in force.
func (r Regime) Version() int { return len(r.Versions) }

// Rules is the version in force.
func (r Regime) Rules() Rules {
	if len(r.Versions) == 0 {
		return Rules{}
	}
	return r.Versions[len(r.Versions)-1]
}

// RulesVersion is one version of the rules, for judging by the version that was in force.
func (r Regime) RulesVersion(n int) (Rules, bool) {
	if n < 1 || n > len(r.Versions) {
		return Rules{}, false
	}
	return r.Versions[n-1], true
}

// Duty finds a duty by its id.
func (r Rules) Duty(id DutyID) (Duty, bool) {
	i := slices.IndexFunc(r.Duties, func(d Duty) bool { return d.ID == id })
	if i < 0 {
		return Duty{}, false
	}
	return r.Duties[i], true
}

// Reports says whether a day is a reporting day of the rules.
func (r Rules) Reports(d Date) bool {
	return d >= r.FirstDay && (r.LastDay == "" || d <= r.LastDay) && !slices.Contains(r.SkipDays, d)
}

// ReportsOn says whether the regime, with its end, has the day.
func (r Regime) ReportsOn(d Date) bool {
	return r.Exists() && r.Rules().Reports(d) && (r.Closed == nil || d <= r.Closed.LastDay)
}

// DayShown is the day a person looks at who names none: that of an instant in the regime's zone, or the nearest one between
// the regime's first day and its last.
func (r Regime) DayShown(at time.Time) Date {
	rules := r.Rules()
	d, last := DateAt(at, r.Zone), rules.LastDay
	if r.Closed != nil && (last == "" || r.Closed.LastDay < last) {
		last = r.Closed.LastDay
	}
	if last != "" && d > last {
		d = last
	}
	return max(d, rules.FirstDay)
}

// Neighbour is the reporting day next to a day, step days at a time: 1 forward, -1 back; "" when there is none within a
// month.
func (r Regime) Neighbour(d Date, step int) Date {
	for i := 1; i <= 31; i++ {
		if n := d.AddDays(i * step); r.ReportsOn(n) {
			return n
		}
	}
	return ""
}

// Extended is the deadline of a unit's duty on a day after all extensions; due when there is none.
func (r Regime) Extended(duty DutyID, d Date, u UnitCode, due time.Time) time.Time {
	for _, x := range r.Extensions {
		if x.Duty == duty && x.Date == d && (len(x.Units) == 0 || slices.Contains(x.Units, u)) && x.Due.After(due) {
			due = x.Due
		}
	}
	return due
}

// Exempt reports whether a unit is freed of a duty on a day, and by which grant.
func (r Regime) Exempt(duty DutyID, d Date, u UnitCode) (DayExempted, bool) {
	for _, x := range r.Exemptions {
		if x.Date == d && (len(x.Duties) == 0 || slices.Contains(x.Duties, duty)) && (len(x.Units) == 0 || slices.Contains(x.Units, u)) {
			return x, true
		}
	}
	return DayExempted{}, false
}

// Issue decides the first version of a regime.
func (r Regime) Issue(id RegimeID, rules Rules, by Actor) ([]Event, error) {
	if r.Exists() {
		return nil, refuse(Conflict, CodeRegimeExists, "", "regime", string(id))
	}
	if err := by.require(RoleDepartment, ""); err != nil {
		return nil, err
	}
	if !ValidID(string(id)) {
		return nil, refuse(Invalid, CodeID, "/regime", "value", string(id))
	}
	if err := rules.check(); err != nil {
		return nil, err
	}
	return []Event{RegimeIssued{Regime: id, Rules: rules}}, nil
}

// Amend decides a further version. Open and closed days keep the version they were opened under (rule 2).
func (r Regime) Amend(rules Rules, reason string, by Actor) ([]Event, error) {
	if err := r.mayGrant(reason, by); err != nil {
		return nil, err
	}
	if err := rules.check(); err != nil {
		return nil, err
	}
	return []Event{RegimeAmended{Regime: r.ID, Version: r.Version() + 1, Rules: rules, Reason: reason, GrantedBy: by.ID}}, nil
}

// Extend decides a later deadline. One that has passed is not moved: that needs an excuse (rule 2, rule 13). day is the
// day's state; before the day is open the present rules say what its deadline will be.
func (r Regime) Extend(day Day, duty DutyID, date Date, units []UnitCode, due time.Time, reason string, now time.Time, by Actor) ([]Event, error) {
	if err := r.mayGrant(reason, by); err != nil {
		return nil, err
	}
	old, err := r.dueOf(day, duty, date)
	if err != nil {
		return nil, err
	}
	for _, u := range orAll(units) {
		if present := r.Extended(duty, date, u, old); !now.Before(present) {
			return nil, refuse(Conflict, CodeDeadlinePassed, "/date", "due", shown(present, r.Zone))
		} else if !due.After(present) {
			return nil, refuse(Invalid, CodeNotLater, "/due", "due", shown(present, r.Zone))
		}
	}
	return []Event{DeadlineExtended{Regime: r.ID, Date: date, Duty: duty, Units: sortedUnits(units), Due: due.UTC(), Reason: reason, GrantedBy: by.ID}}, nil
}

// Exemption decides to free units of duties on a day, before these fall due; afterwards a breach is excused instead.
func (r Regime) Exemption(day Day, date Date, duties []DutyID, units []UnitCode, reason string, now time.Time, by Actor) ([]Event, error) {
	if err := r.mayGrant(reason, by); err != nil {
		return nil, err
	}
	named := duties
	if len(named) == 0 && day.Opened != nil { // the day's list, which an amendment since then does not shorten
		for _, d := range day.Opened.Duties {
			named = append(named, d.Duty)
		}
	} else if len(named) == 0 {
		for _, d := range r.Rules().Duties {
			named = append(named, d.ID)
		}
	}
	for _, duty := range named {
		due, err := r.dueOf(day, duty, date)
		if err != nil {
			return nil, err
		}
		for _, u := range orAll(units) {
			if present := r.Extended(duty, date, u, due); !now.Before(present) {
				return nil, refuse(Conflict, CodeDeadlinePassed, "/date", "due", shown(present, r.Zone))
			}
		}
	}
	return []Event{DayExempted{Regime: r.ID, Date: date, Duties: slices.Clone(duties), Units: sortedUnits(units), Reason: reason, GrantedBy: by.ID}}, nil
}

// Close decides the regime's end.
func (r Regime) Close(last Date, reason string, by Actor) ([]Event, error) {
	if err := r.mayGrant(reason, by); err != nil {
		return nil, err
	}
	if r.Closed != nil {
		return nil, refuse(Conflict, CodeRegimeClosed, "", "regime", string(r.ID))
	}
	if _, err := ParseDate(string(last)); err != nil {
		return nil, refuse(Invalid, CodeDate, "/last_day", "value", string(last))
	}
	return []Event{RegimeClosed{Regime: r.ID, LastDay: last, Reason: reason, GrantedBy: by.ID}}, nil
}

func (r Regime) mayGrant(reason string, by Actor) error {
	if !r.Exists() {
		return refuse(NotFound, CodeRegimeUnknown, "/regime")
	}
	if err := by.require(RoleDepartment, ""); err != nil {
		return err
	}
	return checkText("/reason", reason, true)
}

func (r Regime) dueOf(day Day, duty DutyID, date Date) (time.Time, error) {
	if g, ok := day.Duty(duty); ok {
		return g.Due, nil
	}
	d, ok := r.Rules().Duty(duty)
	if !ok || day.Opened != nil {
		return time.Time{}, refuse(Invalid, CodeDutyUnknown, "/duty", "duty", string(duty))
	}
	if !r.ReportsOn(date) {
		return time.Time{}, refuse(Invalid, CodeNotReportingDay, "/date", "date", string(date))
	}
	return d.Due.On(date, r.Zone)
}

func orAll(units []UnitCode) []UnitCode {
	if len(units) == 0 {
		return []UnitCode{""}
	}
	return units
}

func sortedUnits(units []UnitCode) []UnitCode {
	out := slices.Clone(units)
	slices.Sort(out)
	return slices.Compact(out)
}

// sumsItself reports whether what a duty sums is in the end itself: nobody could file first.
func (r Rules) sumsItself(d Duty) bool {
	below, ok := d, true
	for range r.Duties {
		if below, ok = r.Duty(below.Consolidates); !ok || below.ID == d.ID {
			return ok
		}
	}
	return false
}

func (r Rules) check() error {
	var faults []Fault
	add := func(c Code, pointer string, args ...string) { faults = append(faults, NewFault(c, pointer, args...)) }
	if strings.TrimSpace(r.Title) == "" || len(r.Title) > MaxTextBytes {
		add(CodeTextMissing, "/title")
	}
	zone, err := Zone(r.Zone)
	if err != nil {
		add(CodeZone, "/zone", "value", r.Zone)
		zone = HoChiMinh
	}
	if _, err := ParseDate(string(r.FirstDay)); err != nil {
		add(CodeDate, "/first_day", "value", string(r.FirstDay))
	}
	if r.LastDay != "" {
		if _, err := ParseDate(string(r.LastDay)); err != nil || r.LastDay < r.FirstDay || r.FirstDay.AddDays(MaxRegimeDays) < r.LastDay {
			add(CodeDate, "/last_day", "value", string(r.LastDay))
		}
	}
	if len(r.Duties) == 0 {
		add(CodeTextMissing, "/duties")
	}
	seen := map[DutyID]bool{}
	for i, d := range r.Duties {
		at := "/duties/" + strconv.Itoa(i)
		if !ValidID(string(d.ID)) || seen[d.ID] {
			add(CodeID, at+"/duty", "value", string(d.ID))
		}
		seen[d.ID] = true
		if !ValidID(string(d.Form)) {
			add(CodeID, at+"/form", "value", string(d.Form))
		}
		due, err := d.Due.On(r.FirstDay, zone)
		if err != nil {
			add(CodeClockTime, at+"/due", "value", string(d.Due))
		}
		for _, x := range []struct {
			name   string
			t      ClockTime
			before bool
		}{{"cut_off", d.CutOff, true}, {"sign_off_due", d.SignOffDue, false}} {
			if x.t == "" {
				continue
			}
			if t, err := x.t.On(r.FirstDay, zone); err != nil || x.before && t.After(due) || !x.before && t.Before(due) {
				add(CodeClockTime, at+"/"+x.name, "value", string(x.t))
			}
		}
		if d.GraceMinutes < 0 || d.GraceMinutes > MaxGraceMinutes {
			add(CodeRange, at+"/grace_minutes", "min", "0", "max", strconv.Itoa(MaxGraceMinutes))
		}
		if d.Consolidates != "" {
			if _, ok := r.Duty(d.Consolidates); !ok || r.sumsItself(d) {
				add(CodeDutyUnknown, at+"/consolidates", "duty", string(d.Consolidates))
			}
		}
	}
	for i, d := range r.SkipDays { // a misspelt one would skip nothing
		if _, err := ParseDate(string(d)); err != nil {
			add(CodeDate, "/skip_days/"+strconv.Itoa(i), "value", string(d))
		}
	}
	targets := map[string]bool{}
	for i, t := range r.Targets {
		at := "/targets/" + strconv.Itoa(i)
		if !ValidID(t.ID) || targets[t.ID] { // a target is judged once by its id
			add(CodeID, at+"/target", "value", t.ID)
		}
		targets[t.ID] = true
		if _, ok := r.Duty(t.Duty); !ok {
			add(CodeDutyUnknown, at+"/duty", "duty", string(t.Duty))
		}
		if t.AtLeastPercent < 0 || t.AtLeastPercent > 100 {
			add(CodeRange, at+"/at_least_percent", "min", "0", "max", "100")
		}
		if _, err := ParseDate(string(t.On)); err != nil {
			add(CodeDate, at+"/on", "value", string(t.On))
		}
	}
	if len(faults) > 0 {
		return &Error{Kind: Invalid, Faults: faults}
	}
	return nil
}
