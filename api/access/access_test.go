package access

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/answerable-ledger/answerable/domain"
)

// streams are a province, a district and a commune that moves to another district on 10 February.
type streams struct{ broken error }

func (s streams) Unit(_ context.Context, u domain.UnitCode) (domain.Unit, error) {
	parents := map[domain.UnitCode]domain.UnitCode{"25741": "718", "718": "74", "719": "74"}
	unit := domain.Unit{}.Apply(domain.Fact{Event: domain.UnitRegistered{Unit: u, Parent: parents[u], EffectiveOn: "2020-01-01"}})
	if u == "25741" {
		unit = unit.Apply(domain.Fact{Event: domain.UnitMoved{Unit: u, Parent: "719", EffectiveOn: "2021-02-10"}})
	}
	return unit, s.broken
}

func (s streams) Office(_ context.Context, u domain.UnitCode) (domain.Office, error) {
	if u != "25741" {
		return domain.Office{}, s.broken
	}
	return domain.Office{Tenures: []domain.Tenure{{Person: "head"}}, Authorities: []domain.Authority{{AuthorityGranted: domain.AuthorityGranted{Person: "deputy"}}}}, s.broken
}

func asking(who domain.PersonID, unit domain.UnitCode, grants ...domain.Grant) Asking {
	return Asking{Actor: domain.Actor{ID: who, Grants: grants}, Unit: unit, At: time.Date(2021, 2, 8, 12, 0, 0, 0, domain.HoChiMinh)}
}

func later(q Asking) Asking {
	q.At = q.At.AddDate(0, 0, 2)
	return q
}

func own(q Asking) Asking {
	q.Oneself = true
	return q
}

// TestJudge: each reach lets in whom it names, and nobody else (deny is the default).
func TestJudge(t *testing.T) {
	t.Parallel()
	filer := domain.Grant{Role: domain.RoleFiler, Unit: "25741"}
	district := domain.Grant{Role: domain.RoleDistrict, Unit: "718"}
	newDistrict := domain.Grant{Role: domain.RoleDistrict, Unit: "719"}
	department := domain.Grant{Role: domain.RoleDepartment}
	for name, c := range map[string]struct {
		allow []Allowance
		who   Asking
		in    bool
		role  domain.Role
		code  domain.Code
	}{
		"no allowance":                           {nil, asking("x", "25741", department), false, "", domain.CodeRoleMissing},
		"the role anywhere":                      {Anywhere.For(domain.RoleFiler), asking("x", "718", filer), true, domain.RoleFiler, ""},
		"the role for all, held for one":         {All.For(domain.RoleFiler), asking("x", "25741", filer), false, "", domain.CodeRoleMissing},
		"the role for all":                       {All.For(domain.RoleDepartment), asking("x", "", department), true, domain.RoleDepartment, ""},
		"one's own unit":                         {Own.For(domain.RoleFiler), asking("x", "25741", filer), true, domain.RoleFiler, ""},
		"another unit":                           {Own.For(domain.RoleFiler), asking("x", "25744", filer), false, "", domain.CodeRoleMissing},
		"every unit is not one's own":            {Own.For(domain.RoleFiler), asking("x", "", filer), false, "", domain.CodeRoleMissing},
		"the district above":                     {Subtree.For(domain.RoleDistrict), asking("x", "25741", district), true, domain.RoleDistrict, ""},
		"the district it will belong to":         {Subtree.For(domain.RoleDistrict), asking("x", "25741", newDistrict), false, "", domain.CodeRoleMissing},
		"the district it belongs to by then":     {Subtree.For(domain.RoleDistrict), later(asking("x", "25741", newDistrict)), true, domain.RoleDistrict, ""},
		"the district it belonged to":            {Subtree.For(domain.RoleDistrict), later(asking("x", "25741", district)), false, "", domain.CodeRoleMissing},
		"a commune over its district":            {Subtree.For(domain.RoleFiler), asking("x", "718", filer), false, "", domain.CodeRoleMissing},
		"the head":                               {[]Allowance{{Reach: Office}}, asking("head", "25741"), true, "", ""},
		"the deputy":                             {[]Allowance{{Reach: Office}}, asking("deputy", "25741"), true, "", ""},
		"another's office":                       {[]Allowance{{Reach: Office}}, asking("head", "25744"), false, "", domain.CodeNotInOffice},
		"no unit's office":                       {[]Allowance{{Reach: Office}}, asking("head", ""), false, "", domain.CodeNotInOffice},
		"oneself":                                {[]Allowance{{Reach: Oneself}}, own(asking("x", "")), true, "", ""},
		"another person":                         {[]Allowance{{Reach: Oneself}}, asking("x", ""), false, "", domain.CodeRoleMissing},
		"whoever is signed in":                   {[]Allowance{{Reach: Anybody}}, asking("x", ""), true, "", ""},
		"the ledger itself, whatever it is held": {[]Allowance{{Reach: Anybody}}, asking(domain.System, "", department), false, "", domain.CodeRoleMissing},
		"the first allowance that fits":          {append(Own.For(domain.RoleHead), All.For(domain.RoleDepartment)...), asking("x", "25741", department), true, domain.RoleDepartment, ""},
	} {
		role, err := Judge(t.Context(), streams{}, c.allow, c.who)
		var refusal *domain.Error
		switch {
		case c.in && (err != nil || role != c.role):
			t.Errorf("%s: %q, %v; want %q", name, role, err, c.role)
		case !c.in && (!errors.As(err, &refusal) || refusal.Kind != domain.Forbidden || refusal.Code() != c.code):
			t.Errorf("%s: %q, %v; want a refusal %s", name, role, err, c.code)
		}
	}
}

// TestNobodyIsLetInUnseen: when the ledger cannot be read, that is the answer.
func TestNobodyIsLetInUnseen(t *testing.T) {
	t.Parallel()
	away := errors.New("the log is away")
	for _, allow := range [][]Allowance{Subtree.For(domain.RoleDistrict), {{Reach: Office}}} {
		q := asking("head", "25741", domain.Grant{Role: domain.RoleDistrict, Unit: "718"})
		if _, err := Judge(t.Context(), streams{away}, allow, q); !errors.Is(err, away) {
			t.Errorf("%v: %v", allow, err)
		}
	}
}
