package domain

import (
	"slices"
	"strconv"
	"time"
)

// BreachKind is the sort of a breach of the regime (rule 4). Missing a target is not one of them: that is TargetJudged.
type BreachKind string

const (
	BreachMissing  BreachKind = "missing"  // nothing was received by the closing
	BreachLate     BreachKind = "late"     // something was received, after the deadline
	BreachUnsigned BreachKind = "unsigned" // the newest version was not signed by the sign-off deadline
)

// DeadlineBreached is a fact, recorded once per obligation and kind (rule 3).
type DeadlineBreached struct {
	Regime        RegimeID   `json:"regime"`
	Form          FormID     `json:"form"`
	Unit          UnitCode   `json:"unit"`
	Date          Date       `json:"date"`
	Duty          DutyID     `json:"duty"`
	Breach        BreachKind `json:"breach"`
	Due           time.Time  `json:"due"`
	RegimeVersion int        `json:"regime_version"`
	Version       int        `json:"version,omitempty"` // the version that was late or unsigned
}

// BreachWithdrawn says that the breach did not happen: the report, or its sign-off, had been received in time (rule 3).
type BreachWithdrawn struct {
	Breach     BreachKind `json:"breach"`
	Reason     string     `json:"reason"`
	ReceivedAt time.Time  `json:"received_at"`
}

// BreachExplained is a head's explanation; a fact of its own, which changes nothing else (rule 13).
type BreachExplained struct {
	Breach      BreachKind `json:"breach"`
	Text        string     `json:"text"`
	ExplainedBy PersonID   `json:"explained_by"`
}

// BreachExcused accepts an explanation; the breach stays, marked excused.
type BreachExcused struct {
	Breach    BreachKind `json:"breach"`
	Reason    string     `json:"reason"`
	GrantedBy PersonID   `json:"granted_by"`
}

// BreachUpheld refuses one.
type BreachUpheld struct {
	Breach   BreachKind `json:"breach"`
	Reason   string     `json:"reason"`
	UpheldBy PersonID   `json:"upheld_by"`
}

// ReminderSent is the evidence that a unit was urged (Decree 157/2007/NĐ-CP, Article 10).
type ReminderSent struct {
	Regime RegimeID `json:"regime"`
	Form   FormID   `json:"form"`
	Unit   UnitCode `json:"unit"`
	Date   Date     `json:"date"`
	SentBy PersonID `json:"sent_by"`
	Via    string   `json:"via"`
	Text   string   `json:"text,omitempty"`
}

func (DeadlineBreached) Kind() string { return "DeadlineBreached" }
func (BreachWithdrawn) Kind() string  { return "BreachWithdrawn" }
func (BreachExplained) Kind() string  { return "BreachExplained" }
func (BreachExcused) Kind() string    { return "BreachExcused" }
func (BreachUpheld) Kind() string     { return "BreachUpheld" }
func (ReminderSent) Kind() string     { return "ReminderSent" }
func (DeadlineBreached) event()       {}
func (BreachWithdrawn) event()        {}
func (BreachExplained) event()        {}
func (BreachExcused) event()          {}
func (BreachUpheld) event()           {}
func (ReminderSent) event()           {}

// Breach is a recorded breach and what came of it.
type Breach struct {
	DeadlineBreached
	RecordedAt   time.Time
	Withdrawn    *BreachWithdrawn
	Explanations []BreachExplained
	Excused      *BreachExcused
	Upheld       *BreachUpheld
}

// breach changes a copy of the breaches: another fold of the same facts may hold them.
func (r *Report) breach(k BreachKind, change func(*Breach)) {
	r.Breaches = slices.Clone(r.Breaches)
	for i := range r.Breaches {
		if r.Breaches[i].Breach == k {
			change(&r.Breaches[i])
		}
	}
}

// open is a breach that stands.
func (r Report) open(k BreachKind) (Breach, bool) {
	for _, b := range r.Breaches {
		if b.Breach == k && b.Withdrawn == nil {
			return b, true
		}
	}
	return Breach{}, false
}

func (r Report) hasBreach(k BreachKind) bool {
	return slices.ContainsFunc(r.Breaches, func(b Breach) bool { return b.Breach == k })
}

// Close decides what the closing of an obligation records at an instant: nothing, or one breach of each kind at most,
// ever. It may be asked any number of times (rule 3).
func (r Report) Close(o Obligation, now time.Time) []Event {
	if o.Exempt != nil {
		return nil
	}
	breach := func(k BreachKind, due time.Time, version int) Event {
		return DeadlineBreached{Regime: o.Key.Regime, Form: o.Key.Form, Unit: o.Key.Unit, Date: o.Key.Date, Duty: o.Duty,
			Breach: k, Due: due, RegimeVersion: o.RegimeVersion, Version: version}
	}
	var events []Event
	if !now.Before(o.Closes) && !r.hasBreach(BreachMissing) && !r.hasBreach(BreachLate) {
		switch {
		case len(r.Versions) == 0:
			events = append(events, breach(BreachMissing, o.Due, 0))
		case r.Timeliness == Late:
			events = append(events, breach(BreachLate, o.Due, 1))
		}
	}
	if o.SignOffCloses != nil && !now.Before(*o.SignOffCloses) && !r.hasBreach(BreachUnsigned) {
		if version, ok := r.unsignedAt(*o.SignOffDue); ok {
			events = append(events, breach(BreachUnsigned, *o.SignOffDue, version))
		}
	}
	return events
}

// unsignedAt is the version that was the newest at an instant, when it was not signed then. A report filed only after
// the sign-off deadline has nothing to be signed by it: it is late or missing, and not unsigned as well.
func (r Report) unsignedAt(due time.Time) (version int, ok bool) {
	for _, v := range r.Versions {
		if v.ReceivedAt.Before(due) {
			version = v.Number
		}
	}
	signed := slices.ContainsFunc(r.SignOffs, func(s SignOff) bool { return s.Version == version && s.At.Before(due) })
	return version, version > 0 && !signed
}

// Explain decides a head's explanation. It is theirs who held the office at the deadline, or who holds it now.
func (r Report) Explain(k BreachKind, text string, office Office, now time.Time, by Actor) ([]Event, error) {
	b, err := r.standing(k)
	if err != nil {
		return nil, err
	}
	then, ok1 := office.HeadAt(b.Due)
	today, ok2 := office.HeadAt(now)
	if !(ok1 && then.Person == by.ID || ok2 && today.Person == by.ID) {
		return nil, refuse(Forbidden, CodeNotInOffice, "", "unit", string(r.Key.Unit), "person", string(by.ID))
	}
	if err := checkText("/text", text, true); err != nil {
		return nil, err
	}
	return []Event{BreachExplained{Breach: k, Text: text, ExplainedBy: by.ID}}, nil
}

// Excuse decides to accept; Uphold to refuse. Both need the right to grant and a reason (rule 13).
func (r Report) Excuse(k BreachKind, reason string, by Actor) ([]Event, error) {
	if err := r.mayJudge(k, reason, by); err != nil {
		return nil, err
	}
	return []Event{BreachExcused{Breach: k, Reason: reason, GrantedBy: by.ID}}, nil
}

// Uphold decides that a breach stands in spite of its explanation.
func (r Report) Uphold(k BreachKind, reason string, by Actor) ([]Event, error) {
	if err := r.mayJudge(k, reason, by); err != nil {
		return nil, err
	}
	return []Event{BreachUpheld{Breach: k, Reason: reason, UpheldBy: by.ID}}, nil
}

func (r Report) mayJudge(k BreachKind, reason string, by Actor) error {
	if _, err := r.standing(k); err != nil {
		return err
	}
	if err := by.require(RoleDepartment, ""); err != nil {
		return err
	}
	return checkText("/reason", reason, true)
}

func (r Report) standing(k BreachKind) (Breach, error) {
	b, ok := r.open(k)
	if !ok {
		return Breach{}, refuse(NotFound, CodeNoBreach, "/breach", "breach", string(k), "unit", string(r.Key.Unit), "date", string(r.Key.Date))
	}
	return b, nil
}

// Remind decides a reminder to a unit that has not filed; a district urges its communes, the department anybody.
func (r Report) Remind(o Obligation, via, text string, by Actor) ([]Event, error) {
	if !by.Has(RoleDistrict, o.Parent) && !by.Has(RoleDepartment, "") && !by.Has(RoleSystem, "") {
		return nil, refuse(Forbidden, CodeRoleMissing, "", "role", string(RoleDistrict), "unit", string(o.Parent))
	}
	if v, ok := r.Newest(); ok {
		return nil, refuse(Conflict, CodeAlreadySubmitted, "", "unit", string(o.Key.Unit), "date", string(o.Key.Date), "version", strconv.Itoa(v.Number))
	}
	if err := checkText("/via", via, true); err != nil {
		return nil, err
	}
	if err := checkText("/text", text, false); err != nil {
		return nil, err
	}
	return []Event{ReminderSent{Regime: o.Key.Regime, Form: o.Key.Form, Unit: o.Key.Unit, Date: o.Key.Date, SentBy: by.ID, Via: via, Text: text}}, nil
}
