// Package access judges who is let in at a door, for the API's routes and for the people's pages alike.
//
// Its promise: nobody is let in whom no allowance of the door's rule names, and the two sides judge the same rule the same
// way. It reads the ledger's streams and never a view, which may be behind.
//
// Its failure model: when the ledger cannot be read, nobody is let in, and the error says so.
package access

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/answerable-ledger/answerable/domain"
)

// Reach is which units a grant of a role must cover.
type Reach int

// The reaches. Office, Oneself and Anybody ask for no role.
const (
	Anywhere Reach = iota // the role, for whatever unit it is held
	All                   // the role for every unit
	Own                   // the role for the unit that is asked about
	Subtree               // the role for the unit that is asked about, or for one that it reports through that day
	Office                // whoever holds or held the unit's office, or a right to sign for it; the ledger decides exactly
	Oneself               // whoever is asked about, with any role or none
	Anybody               // whoever is signed in; what is shown is theirs alone
)

// Allowance lets somebody in. Role is empty where the reach asks for none.
type Allowance struct {
	Role  domain.Role
	Reach Reach
}

// For allows the holders of each of some roles.
func (r Reach) For(roles ...domain.Role) []Allowance {
	var out []Allowance
	for _, role := range roles {
		out = append(out, Allowance{role, r})
	}
	return out
}

// ByOffice reports whether an office alone lets somebody in.
func ByOffice(allow []Allowance) bool {
	return slices.ContainsFunc(allow, func(a Allowance) bool { return a.Reach == Office })
}

// Ledger is what the judgement reads.
type Ledger interface {
	Unit(ctx context.Context, unit domain.UnitCode) (domain.Unit, error)
	Office(ctx context.Context, unit domain.UnitCode) (domain.Office, error)
}

// Asking is who asks for what, and when.
type Asking struct {
	Actor   domain.Actor
	Unit    domain.UnitCode // "" is every unit
	Oneself bool            // what is asked about is the actor's own
	At      time.Time       // when they ask: the tree of units is that day's
}

// Judge finds the first allowance that lets somebody in, and gives its role; "" where it asks for none. Who is not let in
// gets a refusal of kind Forbidden.
func Judge(ctx context.Context, l Ledger, allow []Allowance, q Asking) (domain.Role, error) {
	if q.Actor.ID == domain.System { // nobody calls as the ledger itself
		return "", domain.Refuse(domain.Forbidden, domain.CodeRoleMissing, "", "role", string(domain.RoleSystem), "unit", "")
	}
	var above []domain.UnitCode // the unit, and what it reports through; read once, when an allowance needs it
	for _, a := range allow {
		in := false
		switch a.Reach {
		case Anybody:
			in = true
		case Anywhere:
			in = q.Actor.HasAny(a.Role)
		case All:
			in = q.Actor.Has(a.Role, "")
		case Own:
			in = q.Actor.Has(a.Role, q.Unit)
		case Subtree:
			if in = q.Actor.Has(a.Role, ""); in || !q.Actor.HasAny(a.Role) {
				break
			}
			if above == nil {
				var err error
				if above, err = through(ctx, l, q.Unit, q.At); err != nil {
					return "", err
				}
			}
			in = slices.ContainsFunc(above, func(u domain.UnitCode) bool { return q.Actor.Has(a.Role, u) })
		case Oneself:
			in = q.Oneself
		case Office:
			var err error
			if in, err = InOffice(ctx, l, q.Unit, q.Actor.ID); err != nil {
				return "", err
			}
		}
		if in {
			return a.Role, nil
		}
	}
	return "", refused(allow, q)
}

// refused names what would have let them in: the office, or else the first role.
func refused(allow []Allowance, q Asking) error {
	if ByOffice(allow) {
		return domain.Refuse(domain.Forbidden, domain.CodeNotInOffice, "", "unit", string(q.Unit), "person", string(q.Actor.ID))
	}
	wanted := domain.Role("")
	if i := slices.IndexFunc(allow, func(a Allowance) bool { return a.Role != "" }); i >= 0 {
		wanted = allow[i].Role
	}
	return domain.Refuse(domain.Forbidden, domain.CodeRoleMissing, "", "role", string(wanted), "unit", string(q.Unit))
}

// maxHeight bounds the way up the tree, so that a circle of parents ends. Chosen: a country has five levels.
const maxHeight = 8

// through lists a unit and the units it reports through on the day of an instant, upwards.
func through(ctx context.Context, l Ledger, unit domain.UnitCode, at time.Time) ([]domain.UnitCode, error) {
	out := []domain.UnitCode{}
	for u := unit; u != "" && len(out) < maxHeight; {
		out = append(out, u)
		state, err := l.Unit(ctx, u)
		if err != nil {
			return nil, fmt.Errorf("access: what unit %s reports through: %w", unit, err)
		}
		u = state.ParentOn(domain.DateAt(at, domain.HoChiMinh))
	}
	return out, nil
}

// InOffice reports whether a person holds or held a unit's office, or holds or held a right to sign for it.
func InOffice(ctx context.Context, l Ledger, unit domain.UnitCode, person domain.PersonID) (bool, error) {
	if unit == "" {
		return false, nil
	}
	o, err := l.Office(ctx, unit)
	if err != nil {
		return false, fmt.Errorf("access: office of unit %s: %w", unit, err)
	}
	return slices.ContainsFunc(o.Tenures, func(t domain.Tenure) bool { return t.Person == person }) ||
		slices.ContainsFunc(o.Authorities, func(a domain.Authority) bool { return a.Person == person }), nil
}
