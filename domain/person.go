package domain

import (
	"slices"
	"time"

	"github.com/google/uuid"
)

// Role is what a person may do. Heads sign by their office, not by a role; RoleHead lets them see their queue.
type Role string

const (
	RoleFiler      Role = "filer"      // files and corrects for a unit
	RoleHead       Role = "head"       // reads what a unit's head answers for, signs by office
	RoleDistrict   Role = "district"   // files for a district, sees and urges its communes
	RoleDepartment Role = "department" // runs the regime: days, extensions, excuses, organisation, synthesis
	RoleInspector  Role = "inspector"  // reads everything, changes nothing
	RoleAdmin      Role = "admin"      // persons, roles, tokens, operations; no figures
	RoleSystem     Role = "system"     // the ledger itself
)

// Roles lists them for tables and tests.
var Roles = []Role{RoleFiler, RoleHead, RoleDistrict, RoleDepartment, RoleInspector, RoleAdmin, RoleSystem}

// PersonRegistered holds the personal data of a person; every other stream holds the id alone.
type PersonRegistered struct {
	Person    PersonID `json:"person"`
	Name      string   `json:"name"`
	Synthetic bool     `json:"synthetic,omitempty"`
}

// RoleGranted gives a role, for one unit or for all, for a time.
type RoleGranted struct {
	Person    PersonID   `json:"person"`
	Role      Role       `json:"role"`
	Unit      UnitCode   `json:"unit,omitempty"` // "" is every unit
	From      time.Time  `json:"from"`
	Until     *time.Time `json:"until,omitempty"`
	GrantedBy PersonID   `json:"granted_by"`
}

// RoleRevoked takes a role away.
type RoleRevoked struct {
	Person    PersonID  `json:"person"`
	Role      Role      `json:"role"`
	Unit      UnitCode  `json:"unit,omitempty"`
	At        time.Time `json:"at"`
	RevokedBy PersonID  `json:"revoked_by"`
	Reason    string    `json:"reason"`
}

// CredentialEnrolled binds a key to a person: what they sign with can be checked from here on.
type CredentialEnrolled struct {
	Person     PersonID `json:"person"`
	Credential string   `json:"credential"`
	Method     string   `json:"method"` // webauthn, ed25519, cms
	PublicKey  string   `json:"public_key"`
	Detail     string   `json:"detail,omitempty"`
	EnrolledBy PersonID `json:"enrolled_by"`
}

// CredentialRevoked ends a key's use.
type CredentialRevoked struct {
	Person     PersonID  `json:"person"`
	Credential string    `json:"credential"`
	At         time.Time `json:"at"`
	RevokedBy  PersonID  `json:"revoked_by"`
	Reason     string    `json:"reason"`
}

func (PersonRegistered) Kind() string   { return "PersonRegistered" }
func (RoleGranted) Kind() string        { return "RoleGranted" }
func (RoleRevoked) Kind() string        { return "RoleRevoked" }
func (CredentialEnrolled) Kind() string { return "CredentialEnrolled" }
func (CredentialRevoked) Kind() string  { return "CredentialRevoked" }
func (PersonRegistered) event()         {}
func (RoleGranted) event()              {}
func (RoleRevoked) event()              {}
func (CredentialEnrolled) event()       {}
func (CredentialRevoked) event()        {}

// Credential is a key of a person.
type Credential struct {
	CredentialEnrolled
	EnrolledAt time.Time
	RevokedAt  time.Time // zero while in use
}

// Person is what a person's stream folds to.
type Person struct {
	ID          PersonID
	Name        string
	Synthetic   bool
	Grants      []RoleGranted // revoked ones end at their revocation
	Credentials []Credential
	// SignInMethods are the ways to sign in besides keys, those that ended too, in the order of their setting.
	SignInMethods []SignInMethod
	CommandLog
}

// Apply folds one fact.
func (p Person) Apply(f Fact) Person {
	p.CommandLog = p.CommandLog.add(f.Meta)
	switch e := f.Event.(type) {
	case PersonRegistered:
		p.ID, p.Name, p.Synthetic = e.Person, e.Name, e.Synthetic
	case RoleGranted:
		p.Grants = append(slices.Clip(p.Grants), e)
	case RoleRevoked:
		p.Grants = slices.Clone(p.Grants)
		for i, g := range p.Grants {
			if g.Role == e.Role && g.Unit == e.Unit && (g.Until == nil || g.Until.After(e.At)) {
				at := e.At
				p.Grants[i].Until = &at
			}
		}
	case CredentialEnrolled:
		p.Credentials = append(slices.Clip(p.Credentials), Credential{CredentialEnrolled: e, EnrolledAt: f.RecordedAt})
	case CredentialRevoked:
		p.Credentials = slices.Clone(p.Credentials)
		for i := range p.Credentials {
			if p.Credentials[i].Credential == e.Credential {
				p.Credentials[i].RevokedAt = e.At
			}
		}
	case SignInMethodSet:
		p = p.endSignIn(e.Method, e.Digest, f.RecordedAt)
		p.SignInMethods = append(slices.Clip(p.SignInMethods), SignInMethod{SignInMethodSet: e, SetAt: f.RecordedAt, Event: f.EventID})
	case SignInMethodEnded:
		p = p.endSignIn(e.Method, e.Digest, e.At)
	}
	return p
}

// Exists reports whether the person was registered.
func (p Person) Exists() bool { return p.ID != "" }

// ActorAt is the person with the roles they hold at an instant.
func (p Person) ActorAt(at time.Time) Actor {
	a := Actor{ID: p.ID}
	for _, g := range p.Grants {
		if !at.Before(g.From) && (g.Until == nil || at.Before(*g.Until)) {
			a.Grants = append(a.Grants, Grant{g.Role, g.Unit})
		}
	}
	return a
}

// Grant is a role for a unit, or for every unit when Unit is "".
type Grant struct {
	Role Role
	Unit UnitCode
}

// Actor is who attempts something, with what they may do at that instant.
type Actor struct {
	ID     PersonID
	Grants []Grant
}

// SystemActor is the ledger acting by itself.
func SystemActor() Actor { return Actor{ID: System, Grants: []Grant{{Role: RoleSystem}}} }

// Has reports whether the actor holds a role for a unit; u "" asks for the role for every unit.
func (a Actor) Has(r Role, u UnitCode) bool {
	return slices.ContainsFunc(a.Grants, func(g Grant) bool { return g.Role == r && (g.Unit == "" || g.Unit == u) })
}

// HasAny reports whether the actor holds a role for some unit.
func (a Actor) HasAny(r Role) bool {
	return slices.ContainsFunc(a.Grants, func(g Grant) bool { return g.Role == r })
}

// require refuses who holds neither the role nor is the ledger itself. Deny is the default everywhere.
func (a Actor) require(r Role, u UnitCode) error {
	if a.Has(r, u) || a.Has(RoleSystem, "") {
		return nil
	}
	return refuse(Forbidden, CodeRoleMissing, "", "role", string(r), "unit", string(u))
}

// RoleFor is the role under which the actor's act on a unit is recorded: the first of the wanted ones they hold.
func (a Actor) RoleFor(u UnitCode, wanted ...Role) Role {
	for _, r := range wanted {
		if a.Has(r, u) {
			return r
		}
	}
	for _, g := range a.Grants {
		return g.Role
	}
	return ""
}

// Register decides a person's entry.
func (p Person) Register(e PersonRegistered, by Actor) ([]Event, error) {
	if p.Exists() {
		return nil, refuse(Conflict, CodePersonExists, "/person", "person", string(e.Person))
	}
	if err := by.require(RoleAdmin, ""); err != nil {
		return nil, err
	}
	if !ValidID(string(e.Person)) || e.Person == System {
		return nil, refuse(Invalid, CodeID, "/person", "value", string(e.Person))
	}
	if err := checkName("/name", e.Name); err != nil {
		return nil, err
	}
	return []Event{e}, nil
}

// GrantRole decides a role.
func (p Person) GrantRole(role Role, unit UnitCode, from time.Time, until *time.Time, by Actor) ([]Event, error) {
	if err := p.mayAdminister(by); err != nil {
		return nil, err
	}
	if !slices.Contains(Roles, role) || role == RoleSystem {
		return nil, refuse(Invalid, CodeChoice, "/role", "value", string(role))
	}
	if until != nil && !until.After(from) {
		return nil, refuse(Invalid, CodeNotLater, "/until", "due", shown(from, HoChiMinh))
	}
	if until != nil {
		end := until.UTC()
		until = &end
	}
	return []Event{RoleGranted{Person: p.ID, Role: role, Unit: unit, From: from.UTC(), Until: until, GrantedBy: by.ID}}, nil
}

// RevokeRole decides a role's end.
func (p Person) RevokeRole(role Role, unit UnitCode, reason string, now time.Time, by Actor) ([]Event, error) {
	if err := p.mayAdminister(by); err != nil {
		return nil, err
	}
	if err := checkText("/reason", reason, true); err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(p.Grants, func(g RoleGranted) bool {
		return g.Role == role && g.Unit == unit && (g.Until == nil || g.Until.After(now))
	}) {
		return nil, refuse(NotFound, CodeRoleMissing, "/role", "role", string(role), "unit", string(unit))
	}
	return []Event{RoleRevoked{Person: p.ID, Role: role, Unit: unit, At: now.UTC(), RevokedBy: by.ID, Reason: reason}}, nil
}

// Enroll decides a credential. A person enrols their own; an administrator enrols for a machine or at recovery.
func (p Person) Enroll(e CredentialEnrolled, by Actor) ([]Event, error) {
	if p.ID != by.ID || !p.Exists() {
		if err := p.mayAdminister(by); err != nil {
			return nil, err
		}
	}
	if e.Credential == "" || e.PublicKey == "" {
		return nil, refuse(Invalid, CodeTextMissing, "/credential")
	}
	if !slices.Contains([]string{"webauthn", "ed25519", "cms"}, e.Method) {
		return nil, refuse(Invalid, CodeChoice, "/method", "value", e.Method)
	}
	if slices.ContainsFunc(p.Credentials, func(c Credential) bool { return c.Credential == e.Credential }) {
		return nil, refuse(Conflict, CodeCredentialExists, "/credential", "credential", e.Credential)
	}
	e.Person, e.EnrolledBy = p.ID, by.ID
	return []Event{e}, nil
}

// RevokeCredential decides a credential's end.
func (p Person) RevokeCredential(credential, reason string, now time.Time, by Actor) ([]Event, error) {
	if p.ID != by.ID || !p.Exists() {
		if err := p.mayAdminister(by); err != nil {
			return nil, err
		}
	}
	if err := checkText("/reason", reason, true); err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(p.Credentials, func(c Credential) bool { return c.Credential == credential && c.RevokedAt.IsZero() }) {
		return nil, refuse(NotFound, CodeCredentialUnknown, "/credential", "credential", credential)
	}
	return []Event{CredentialRevoked{Person: p.ID, Credential: credential, At: now.UTC(), RevokedBy: by.ID, Reason: reason}}, nil
}

func (p Person) mayAdminister(by Actor) error {
	if !p.Exists() {
		return refuse(NotFound, CodePersonUnknown, "/person")
	}
	return by.require(RoleAdmin, "")
}

// CommandLog remembers the commands a stream has taken, so that a repeat after the stream moved on is recognised: the
// store catches only repeats at the same expected revision.
type CommandLog struct{ seen []commandSeen }

type commandSeen struct {
	id       uuid.UUID
	revision uint64 // of the command's last event
}

func (l CommandLog) add(m Meta) CommandLog {
	if n := len(l.seen); n > 0 && l.seen[n-1].id == m.CommandID {
		out := append(slices.Clone(l.seen[:n-1]), commandSeen{m.CommandID, m.Revision})
		return CommandLog{out}
	}
	return CommandLog{append(slices.Clip(l.seen), commandSeen{m.CommandID, m.Revision})}
}

// Seen reports whether the command was taken, and the revision of its last event.
func (l CommandLog) Seen(command uuid.UUID) (revision uint64, ok bool) {
	for i := len(l.seen) - 1; i >= 0; i-- {
		if l.seen[i].id == command {
			return l.seen[i].revision, true
		}
	}
	return 0, false
}
