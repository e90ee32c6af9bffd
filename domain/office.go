package domain

import (
	"slices"
	"time"
)

// Capacity is in what right a person signs: Decree 30/2020/NĐ-CP, Article 13.
type Capacity string

const (
	CapacityHead   Capacity = "head"   // TM. or in the head's own right
	CapacityActing Capacity = "acting" // Q.: acting head
	CapacityKT     Capacity = "KT"     // deputy for the head, in assigned fields
	CapacityTL     Capacity = "TL"     // by order
	CapacityTUQ    Capacity = "TUQ"    // by authority: written, limited in time and content, not to be passed on
)

// Mark is what stands before the signature.
func (c Capacity) Mark() string {
	switch c {
	case CapacityHead:
		return "TM."
	case CapacityActing:
		return "Q."
	}
	return string(c) + "."
}

// OfficeTaken begins a tenure: From is when the person entered office, which may lie before the fact was recorded.
type OfficeTaken struct {
	Unit     UnitCode  `json:"unit"`
	Person   PersonID  `json:"person"`
	Capacity Capacity  `json:"capacity"` // head or acting
	Title    string    `json:"title"`
	From     time.Time `json:"from"`
	Decision string    `json:"decision"`
}

// OfficeLeft ends a tenure.
type OfficeLeft struct {
	Unit   UnitCode  `json:"unit"`
	Person PersonID  `json:"person"`
	Until  time.Time `json:"until"` // first instant out of office
	Reason string    `json:"reason"`
}

// AuthorityGranted lets a person sign for the head, within a scope of forms and a time.
type AuthorityGranted struct {
	Unit      UnitCode  `json:"unit"`
	Authority string    `json:"authority"`
	Person    PersonID  `json:"person"`
	Capacity  Capacity  `json:"capacity"` // KT, TL or TUQ
	Title     string    `json:"title"`
	Forms     []FormID  `json:"forms,omitempty"` // none: every form
	From      time.Time `json:"from"`
	Until     time.Time `json:"until"` // first instant without it
	GrantedBy PersonID  `json:"granted_by"`
	Decision  string    `json:"decision"`
}

// AuthorityRevoked ends an authority before its time.
type AuthorityRevoked struct {
	Unit      UnitCode  `json:"unit"`
	Authority string    `json:"authority"`
	At        time.Time `json:"at"`
	RevokedBy PersonID  `json:"revoked_by"`
	Reason    string    `json:"reason"`
}

func (OfficeTaken) Kind() string      { return "OfficeTaken" }
func (OfficeLeft) Kind() string       { return "OfficeLeft" }
func (AuthorityGranted) Kind() string { return "AuthorityGranted" }
func (AuthorityRevoked) Kind() string { return "AuthorityRevoked" }
func (OfficeTaken) event()            {}
func (OfficeLeft) event()             {}
func (AuthorityGranted) event()       {}
func (AuthorityRevoked) event()       {}

// Tenure is one person's time as head or acting head.
type Tenure struct {
	Person     PersonID
	Capacity   Capacity
	Title      string
	From       time.Time
	Until      time.Time // zero while in office
	Decision   string
	RecordedAt time.Time
}

// Covers reports whether the tenure holds at an instant.
func (t *Tenure) Covers(at time.Time) bool {
	return !at.Before(t.From) && (t.Until.IsZero() || at.Before(t.Until))
}

// Authority is a granted right to sign.
type Authority struct {
	AuthorityGranted
	RevokedAt time.Time // zero while not revoked
}

// Covers reports whether the authority is in force at an instant.
func (a Authority) Covers(at time.Time) bool {
	return !at.Before(a.From) && at.Before(a.Until) && (a.RevokedAt.IsZero() || at.Before(a.RevokedAt))
}

// Office is what an office's stream folds to. The zero Office with its Unit set is one nobody was ever in.
type Office struct {
	Unit        UnitCode
	Tenures     []Tenure // in the order recorded
	Authorities []Authority
	CommandLog
}

// Apply folds one fact.
func (o Office) Apply(f Fact) Office {
	o.CommandLog = o.CommandLog.add(f.Meta)
	switch e := f.Event.(type) {
	case OfficeTaken:
		o.Unit = e.Unit
		o.Tenures = append(slices.Clip(o.Tenures), Tenure{e.Person, e.Capacity, e.Title, e.From, time.Time{}, e.Decision, f.RecordedAt})
	case OfficeLeft:
		o.Tenures = slices.Clone(o.Tenures)
		for i := len(o.Tenures) - 1; i >= 0; i-- {
			if o.Tenures[i].Person == e.Person && o.Tenures[i].Until.IsZero() {
				o.Tenures[i].Until = e.Until
				break
			}
		}
	case AuthorityGranted:
		o.Unit = e.Unit
		o.Authorities = append(slices.Clip(o.Authorities), Authority{AuthorityGranted: e})
	case AuthorityRevoked:
		o.Authorities = slices.Clone(o.Authorities)
		for i := range o.Authorities {
			if o.Authorities[i].Authority == e.Authority {
				o.Authorities[i].RevokedAt = e.At
			}
		}
	}
	return o
}

// HeadAt is the head or acting head at an instant; false is a vacancy (rule 8).
func (o Office) HeadAt(at time.Time) (Tenure, bool) {
	if n := HeadAmong(o.Tenures, at); n > 0 {
		return o.Tenures[n-1], true
	}
	return Tenure{}, false
}

// HeadAmong is HeadAt's answer as its place among an office's tenures, counted from 1; 0 is a vacancy.
func HeadAmong(tenures []Tenure, at time.Time) int {
	for i := len(tenures) - 1; i >= 0; i-- {
		if tenures[i].Covers(at) {
			return i + 1
		}
	}
	return 0
}

// SignerRight is the right by which a person may sign a form at an instant (rule 7).
type SignerRight struct {
	Capacity  Capacity
	Title     string
	Authority string // id of the authority; "" for the head's own right
}

// Right finds the right, or refuses and says what is wrong with what the person has.
func (o Office) Right(p PersonID, form FormID, at time.Time) (SignerRight, error) {
	if t, ok := o.HeadAt(at); ok && t.Person == p {
		return SignerRight{t.Capacity, t.Title, ""}, nil
	}
	var found *Error
	for i := len(o.Authorities) - 1; i >= 0; i-- {
		a := o.Authorities[i]
		if a.Person != p {
			continue
		}
		inScope := len(a.Forms) == 0 || slices.Contains(a.Forms, form)
		switch {
		case a.Covers(at) && inScope:
			return SignerRight{a.Capacity, a.Title, a.Authority}, nil
		case a.Covers(at):
			found = refuse(Forbidden, CodeAuthorityScope, "", "authority", a.Authority, "form", string(form))
		case found == nil && !at.Before(a.From):
			until := a.Until
			if !a.RevokedAt.IsZero() && a.RevokedAt.Before(until) {
				until = a.RevokedAt
			}
			found = refuse(Forbidden, CodeAuthorityExpired, "", "authority", a.Authority, "until", shown(until, HoChiMinh))
		}
	}
	if found != nil {
		return SignerRight{}, found
	}
	return SignerRight{}, refuse(Forbidden, CodeNotInOffice, "", "unit", string(o.Unit), "person", string(p))
}

// Take decides a tenure. Two heads at once are refused: the former leaves first (rule 8: one person answers).
func (o Office) Take(e OfficeTaken, now time.Time, by Actor) ([]Event, error) {
	if e.Unit != o.Unit {
		return nil, refuse(Invalid, CodeChoice, "/unit", "value", string(e.Unit))
	}
	if err := by.require(RoleDepartment, ""); err != nil {
		return nil, err
	}
	if e.Capacity != CapacityHead && e.Capacity != CapacityActing {
		return nil, refuse(Invalid, CodeChoice, "/capacity", "value", string(e.Capacity))
	}
	if e.Person == "" || e.Person == System {
		return nil, refuse(Invalid, CodeTextMissing, "/person")
	}
	if err := checkName("/title", e.Title); err != nil {
		return nil, err
	}
	for _, t := range o.Tenures {
		if t.Until.IsZero() || e.From.Before(t.Until) {
			return nil, refuse(Conflict, CodeOfficeHeld, "/from", "person", string(t.Person), "from", shown(t.From, HoChiMinh))
		}
	}
	e.From = e.From.UTC()
	return []Event{e}, nil
}

// Leave decides the end of the present tenure.
func (o Office) Leave(e OfficeLeft, by Actor) ([]Event, error) {
	if e.Unit != o.Unit {
		return nil, refuse(Invalid, CodeChoice, "/unit", "value", string(e.Unit))
	}
	if err := by.require(RoleDepartment, ""); err != nil {
		return nil, err
	}
	if err := checkText("/reason", e.Reason, true); err != nil {
		return nil, err
	}
	for _, t := range o.Tenures {
		if t.Person == e.Person && t.Until.IsZero() {
			if !e.Until.After(t.From) {
				return nil, refuse(Invalid, CodeNotLater, "/until", "due", shown(t.From, HoChiMinh))
			}
			e.Until = e.Until.UTC()
			return []Event{e}, nil
		}
	}
	return nil, refuse(Conflict, CodeNotInOffice, "/person", "unit", string(o.Unit), "person", string(e.Person))
}

// Grant decides an authority. The head grants for their own unit, the department for any.
func (o Office) Grant(e AuthorityGranted, now time.Time, by Actor) ([]Event, error) {
	if t, ok := o.HeadAt(now); !ok || t.Person != by.ID {
		if err := by.require(RoleDepartment, ""); err != nil {
			return nil, err
		}
	}
	if e.Unit != o.Unit {
		return nil, refuse(Invalid, CodeChoice, "/unit", "value", string(e.Unit))
	}
	if e.Capacity != CapacityKT && e.Capacity != CapacityTL && e.Capacity != CapacityTUQ {
		return nil, refuse(Invalid, CodeChoice, "/capacity", "value", string(e.Capacity))
	}
	if e.Person == "" || e.Person == System || e.Authority == "" {
		return nil, refuse(Invalid, CodeTextMissing, "/person")
	}
	if !e.Until.After(e.From) {
		return nil, refuse(Invalid, CodeNotLater, "/until", "due", shown(e.From, HoChiMinh))
	}
	if slices.ContainsFunc(o.Authorities, func(a Authority) bool { return a.Authority == e.Authority }) {
		return nil, refuse(Conflict, CodeAuthorityExists, "/authority", "authority", e.Authority)
	}
	e.From, e.Until, e.GrantedBy = e.From.UTC(), e.Until.UTC(), by.ID
	return []Event{e}, nil
}

// Revoke decides the end of an authority.
func (o Office) Revoke(authority, reason string, now time.Time, by Actor) ([]Event, error) {
	if t, ok := o.HeadAt(now); !ok || t.Person != by.ID {
		if err := by.require(RoleDepartment, ""); err != nil {
			return nil, err
		}
	}
	if err := checkText("/reason", reason, true); err != nil {
		return nil, err
	}
	i := slices.IndexFunc(o.Authorities, func(a Authority) bool { return a.Authority == authority })
	if i < 0 {
		return nil, refuse(NotFound, CodeAuthorityUnknown, "/authority", "authority", authority)
	}
	if !o.Authorities[i].RevokedAt.IsZero() {
		return nil, refuse(Conflict, CodeAuthorityExpired, "/authority", "authority", authority, "until", shown(o.Authorities[i].RevokedAt, HoChiMinh))
	}
	return []Event{AuthorityRevoked{Unit: o.Unit, Authority: authority, At: now.UTC(), RevokedBy: by.ID, Reason: reason}}, nil
}
