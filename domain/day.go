package domain

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"time"
)

// DayOpened is the list of what is owed on a day, recorded before it falls due: a breach is later an obligation of this
// list without a report. It freezes the rules' version and the tree of units for the day (rule 2, rule 15).
type DayOpened struct {
	Regime        RegimeID  `json:"regime"`
	Date          Date      `json:"date"`
	RegimeVersion int       `json:"regime_version"`
	Duties        []DayDuty `json:"duties"`
}

// DayDuty is one duty on one day.
type DayDuty struct {
	Duty         DutyID     `json:"duty"`
	Form         FormID     `json:"form"`
	FormVersion  int        `json:"form_version"`
	CutOff       *time.Time `json:"cut_off,omitempty"`
	Due          time.Time  `json:"due"`
	GraceSeconds int        `json:"grace_seconds"`
	SignOffDue   *time.Time `json:"sign_off_due,omitempty"`
	Consolidates FormID     `json:"consolidates,omitempty"`
	// Groups holds the units that owe the duty, under the unit each reports through. Together with sorted codes this
	// is the smallest form: a day of 11,000 units takes some 110 kB a duty.
	Groups []DutyGroup `json:"groups"`
}

// DutyGroup is the holders of a duty under one parent.
type DutyGroup struct {
	Parent UnitCode   `json:"parent,omitempty"`
	Units  []UnitCode `json:"units"`
}

// DayClosed says that every deadline of sending has passed and what came of it. The sign-offs of the day may be due later.
type DayClosed struct {
	Regime        RegimeID  `json:"regime"`
	Date          Date      `json:"date"`
	RegimeVersion int       `json:"regime_version"`
	ClosedAt      time.Time `json:"closed_at"`
	Counts        Counts    `json:"counts"`
	// ViewsDigest is the digest of the day's rows in the views at ViewsPosition, so that what was shown then can be
	// checked by replay. Empty when the ledger was closed by a process that runs no views.
	ViewsDigest   string `json:"views_digest,omitempty"`
	ViewsPosition string `json:"views_position,omitempty"`
}

// Counts of a day. OnTime + Late + Missing + Exempt = Obligations, always; Nil and Excused count among the others.
type Counts struct {
	Obligations int `json:"obligations"`
	OnTime      int `json:"on_time"`
	Late        int `json:"late"`
	Missing     int `json:"missing"`
	Exempt      int `json:"exempt"`
	Nil         int `json:"nil"`
}

// ReportIssued is the synthesis that the department sent up, frozen with what each number was made of.
type ReportIssued struct {
	Regime   RegimeID      `json:"regime"`
	Date     Date          `json:"date"`
	Number   int           `json:"number"` // 1 for the first of the day
	To       string        `json:"to"`
	IssuedBy PersonID      `json:"issued_by"`
	Note     string        `json:"note,omitempty"`
	Parts    []IssuedTotal `json:"parts"`
}

// IssuedTotal is the sum of one form; forms of different scopes are never added together (rule 10).
type IssuedTotal struct {
	Form     FormID  `json:"form"`
	Scope    Scope   `json:"scope"`
	Figures  Figures `json:"figures"`
	Expected int     `json:"expected"`
	// Inputs names the exact version of every report in the sum, and InputsDigest binds their contents (rule 16). The
	// digest of each one stands in its own stream: with 11,000 of them repeated here, a province's synthesis would not
	// fit into one event.
	Inputs       []IssuedVersion `json:"inputs"`
	InputsDigest string          `json:"inputs_digest"` // see PinsDigest
	Missing      []UnitCode      `json:"missing,omitempty"`
}

// IssuedVersion is the units whose report is in a sum by one version.
type IssuedVersion struct {
	Version int        `json:"version"`
	Units   []UnitCode `json:"units"`
}

// NewIssuedTotal names what Consolidate pinned.
func NewIssuedTotal(form Form, figures Figures, expected int, pins []ChildPin, missing []UnitCode) IssuedTotal {
	return IssuedTotal{Form: form.ID, Scope: form.Scope, Figures: figures, Expected: expected,
		Inputs: IssuedVersions(pins), InputsDigest: PinsDigest(pins), Missing: sortedUnits(missing)}
}

// IssuedVersions groups pins by version, in order, the units of each in order.
func IssuedVersions(pins []ChildPin) []IssuedVersion {
	units := map[int][]UnitCode{}
	for _, p := range pins {
		units[p.Version] = append(units[p.Version], p.Unit)
	}
	out := make([]IssuedVersion, 0, len(units))
	for version, of := range units {
		out = append(out, IssuedVersion{version, sortedUnits(of)})
	}
	slices.SortFunc(out, func(a, b IssuedVersion) int { return a.Version - b.Version })
	return out
}

// PinsDigest is the SHA-256, in hex, of a line "unit version digest" for every pin, in the order of the units. Events hold
// it and old ones are brought to it: it never changes.
func PinsDigest(pins []ChildPin) string {
	pins = slices.SortedFunc(slices.Values(pins), func(a, b ChildPin) int { return compareString(a.Unit, b.Unit) })
	h := sha256.New()
	for _, p := range pins {
		fmt.Fprintf(h, "%s %d %s\n", p.Unit, p.Version, p.Digest)
	}
	return hex.EncodeToString(h.Sum(nil))
}

func (DayOpened) Kind() string    { return "DayOpened" }
func (DayClosed) Kind() string    { return "DayClosed" }
func (ReportIssued) Kind() string { return "ReportIssued" }
func (DayOpened) event()          {}
func (DayClosed) event()          {}
func (ReportIssued) event()       {}

// Day is what a regimeday stream folds to.
type Day struct {
	Opened   *DayOpened
	OpenedAt time.Time
	Closed   *DayClosed
	Issued   []ReportIssued
	CommandLog
	index map[obligationKey]place
}

type obligationKey struct {
	form FormID
	unit UnitCode
}

type place struct{ duty, group int }

// Apply folds one fact.
func (d Day) Apply(f Fact) Day {
	d.CommandLog = d.CommandLog.add(f.Meta)
	switch e := f.Event.(type) {
	case DayOpened:
		d.Opened, d.OpenedAt = &e, f.RecordedAt
		d.index = map[obligationKey]place{}
		for i, duty := range e.Duties {
			for j, g := range duty.Groups {
				for _, u := range g.Units {
					d.index[obligationKey{duty.Form, u}] = place{i, j}
				}
			}
		}
	case DayClosed:
		d.Closed = &e
	case ReportIssued:
		d.Issued = append(slices.Clip(d.Issued), e)
	}
	return d
}

// Duty finds the day's version of a duty.
func (d Day) Duty(id DutyID) (DayDuty, bool) {
	if d.Opened == nil {
		return DayDuty{}, false
	}
	i := slices.IndexFunc(d.Opened.Duties, func(x DayDuty) bool { return x.Duty == id })
	if i < 0 {
		return DayDuty{}, false
	}
	return d.Opened.Duties[i], true
}

// DutyOf finds the duty under which a unit owes a form on the day; false when it owes none.
func (d Day) DutyOf(form FormID, unit UnitCode) (DayDuty, bool) {
	p, ok := d.index[obligationKey{form, unit}]
	if !ok {
		return DayDuty{}, false
	}
	return d.Opened.Duties[p.duty], true
}

// Above is how many levels of reports stand below a unit's report of a form: 0 for one that is made first-hand, 1 for one
// that sums such reports.
func (d Day) Above(form FormID, unit UnitCode) int {
	duty, ok := d.DutyOf(form, unit)
	n := 0
	for ok && duty.Consolidates != "" && n < len(d.Opened.Duties) { // rules that sum in a circle end here
		n++
		i := slices.IndexFunc(d.Opened.Duties, func(x DayDuty) bool { return x.Form == duty.Consolidates })
		if ok = i >= 0; ok {
			duty = d.Opened.Duties[i]
		}
	}
	return n
}

// Obligation is one unit's duty on one day, with the extension and exemption that apply to it.
type Obligation struct {
	Key           ReportKey
	Duty          DutyID
	FormVersion   int
	Parent        UnitCode
	RegimeVersion int
	CutOff        *time.Time
	Due           time.Time // strict: received at Due is late (rule 1)
	Closes        time.Time // Due plus grace: the breach is recorded from here on (rule 3)
	SignOffDue    *time.Time
	SignOffCloses *time.Time
	Exempt        *DayExempted
	Consolidates  FormID
}

// Obligation finds what a unit owes. The refusal names whether the day, or the unit's duty on it, is missing.
func (d Day) Obligation(r Regime, key ReportKey) (Obligation, error) {
	if d.Opened == nil {
		return Obligation{}, refuse(NotFound, CodeDayNotOpen, "/date", "date", string(key.Date))
	}
	p, ok := d.index[obligationKey{key.Form, key.Unit}]
	if !ok {
		return Obligation{}, refuse(NotFound, CodeNoObligation, "/unit", "unit", string(key.Unit), "form", string(key.Form), "date", string(key.Date))
	}
	duty := d.Opened.Duties[p.duty]
	o := Obligation{
		Key: key, Duty: duty.Duty, FormVersion: duty.FormVersion, Parent: duty.Groups[p.group].Parent,
		RegimeVersion: d.Opened.RegimeVersion, CutOff: duty.CutOff, Consolidates: duty.Consolidates,
		Due: r.Extended(duty.Duty, key.Date, key.Unit, duty.Due), SignOffDue: duty.SignOffDue,
	}
	grace := time.Duration(duty.GraceSeconds) * time.Second
	o.Closes = o.Due.Add(grace)
	if o.SignOffDue != nil {
		due := *o.SignOffDue
		if due.Before(o.Due) { // an extension beyond it moves the sign-off too
			due = o.Due
		}
		closes := due.Add(grace)
		o.SignOffDue, o.SignOffCloses = &due, &closes
	}
	if x, ok := r.Exempt(duty.Duty, key.Date, key.Unit); ok {
		o.Exempt = &x
	}
	return o, nil
}

// Obligations lists all of the day in a stable order: by duty as the rules list them, then by parent and code.
func (d Day) Obligations(r Regime) []Obligation {
	if d.Opened == nil {
		return nil
	}
	var out []Obligation
	for _, duty := range d.Opened.Duties {
		for _, g := range duty.Groups {
			for _, u := range g.Units {
				if o, err := d.Obligation(r, ReportKey{d.Opened.Regime, duty.Form, u, d.Opened.Date}); err == nil {
					out = append(out, o)
				}
			}
		}
	}
	return out
}

// Children lists the units whose reports of form a parent sums on this day: the tree as of the day's opening (rule 15).
func (d Day) Children(form FormID, parent UnitCode) []UnitCode {
	if d.Opened == nil {
		return nil
	}
	var out []UnitCode
	for _, duty := range d.Opened.Duties {
		if duty.Form != form {
			continue
		}
		for _, g := range duty.Groups {
			if g.Parent == parent {
				out = append(out, g.Units...)
			}
		}
	}
	return sortedUnits(out)
}

// LastClose is the instant from which the whole day can be closed: the last deadline of sending, with its grace.
func (d Day) LastClose(r Regime) time.Time {
	var last time.Time
	for _, o := range d.Obligations(r) {
		if o.Closes.After(last) {
			last = o.Closes
		}
	}
	return last
}

// Open decides the day's list from the rules in force and the units that exist. A day whose first deadline has passed
// cannot be opened: nobody could have kept it (rule 3: obligations are recorded before they fall due).
func (d Day) Open(r Regime, date Date, units []Unit, now time.Time) ([]Event, error) {
	if !r.Exists() {
		return nil, refuse(NotFound, CodeRegimeUnknown, "/regime")
	}
	if !r.ReportsOn(date) {
		return nil, refuse(Invalid, CodeNotReportingDay, "/date", "date", string(date))
	}
	if d.Opened != nil {
		return nil, refuse(Conflict, CodeDayOpen, "/date", "date", string(date))
	}
	opened := DayOpened{Regime: r.ID, Date: date, RegimeVersion: r.Version()}
	rules := r.Rules()
	owed := map[obligationKey]bool{} // a unit owes a form once a day, under the first duty that it holds
	for _, duty := range rules.Duties {
		due, err := duty.Due.On(date, r.Zone)
		if err != nil {
			return nil, err
		}
		if !now.Before(due) {
			return nil, refuse(Conflict, CodeDeadlinePassed, "/date", "due", shown(due, r.Zone))
		}
		day := DayDuty{Duty: duty.ID, Form: duty.Form, FormVersion: duty.FormVersion, Due: due, GraceSeconds: 60 * duty.GraceMinutes}
		if day.CutOff, err = optionalTime(duty.CutOff, date, r.Zone); err != nil {
			return nil, err
		}
		if day.SignOffDue, err = optionalTime(duty.SignOffDue, date, r.Zone); err != nil {
			return nil, err
		}
		if summed, ok := rules.Duty(duty.Consolidates); ok {
			day.Consolidates = summed.Form
		}
		groups := map[UnitCode][]UnitCode{}
		n := 0
		for _, u := range units {
			was := u.On(date)
			u.Type, u.Parent = was.Type, was.Parent // as of the day, whatever is known to come (rule 15)
			owes := obligationKey{duty.Form, u.Code}
			if u.ActiveOn(date) && duty.Holders.Hold(u) && !owed[owes] {
				owed[owes] = true
				groups[u.Parent] = append(groups[u.Parent], u.Code)
				n++
			}
		}
		if n > MaxUnitsPerDay {
			return nil, refuse(Invalid, CodeRange, "/duty", "min", "0", "max", strconv.Itoa(MaxUnitsPerDay))
		}
		for parent, codes := range groups {
			day.Groups = append(day.Groups, DutyGroup{Parent: parent, Units: sortedUnits(codes)})
		}
		slices.SortFunc(day.Groups, func(a, b DutyGroup) int { return compareString(a.Parent, b.Parent) })
		opened.Duties = append(opened.Duties, day)
	}
	return []Event{opened}, nil
}

func optionalTime(c ClockTime, d Date, zone *time.Location) (*time.Time, error) {
	if c == "" {
		return nil, nil
	}
	t, err := c.On(d, zone)
	if err != nil {
		return nil, err
	}
	return &t, nil
}

func compareString[S ~string](a, b S) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// Close decides the day's closing. counts is what the reports' own streams say; it must cover every obligation.
func (d Day) Close(r Regime, counts Counts, digest, position string, now time.Time) ([]Event, error) {
	switch {
	case d.Opened == nil:
		return nil, refuse(NotFound, CodeDayNotOpen, "/date")
	case d.Closed != nil:
		return nil, refuse(Conflict, CodeDayClosed, "/date", "date", string(d.Opened.Date))
	case now.Before(d.LastClose(r)):
		return nil, refuse(Conflict, CodeDayNotOver, "/date", "closes", shown(d.LastClose(r), r.Zone))
	}
	owed, counted := len(d.Obligations(r)), counts.OnTime+counts.Late+counts.Missing+counts.Exempt
	if counts.Obligations != owed || counted != owed { // a wrong count would stand for ever
		return nil, refuse(Conflict, CodeCounts, "/counts", "counted", strconv.Itoa(counted), "obligations", strconv.Itoa(owed))
	}
	return []Event{DayClosed{Regime: d.Opened.Regime, Date: d.Opened.Date, RegimeVersion: d.Opened.RegimeVersion,
		ClosedAt: now.UTC(), Counts: counts, ViewsDigest: digest, ViewsPosition: position}}, nil
}

// Issue decides to send the synthesis up. A day may be issued again after corrections; each keeps its number.
func (d Day) Issue(to, note string, parts []IssuedTotal, by Actor) ([]Event, error) {
	if d.Opened == nil {
		return nil, refuse(NotFound, CodeDayNotOpen, "/date")
	}
	if err := by.require(RoleDepartment, ""); err != nil {
		return nil, err
	}
	if err := checkText("/to", to, true); err != nil {
		return nil, err
	}
	if err := checkText("/note", note, false); err != nil {
		return nil, err
	}
	return []Event{ReportIssued{Regime: d.Opened.Regime, Date: d.Opened.Date, Number: len(d.Issued) + 1, To: to, Note: note, IssuedBy: by.ID, Parts: parts}}, nil
}
