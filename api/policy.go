package api

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/answerable-ledger/answerable/domain"
)

// reach is which units a grant of a role must cover for a route.
type reach int

const (
	anywhere reach = iota // the role, for whatever unit it is held
	all                   // the role for every unit
	own                   // the role for the unit that is asked about
	subtree               // the role for the unit that is asked about, or for one that it reports through
	office                // whoever holds or held the unit's office, or a right to sign for it; the ledger decides exactly
	oneself               // whoever is asked about, with any role or none
)

// allowance lets the holders of a role call a route. role is empty for office and oneself.
type allowance struct {
	role  domain.Role
	reach reach
}

// rule is who may call a route. The unit comes from the path, or from the first of the query parameters named in unit
// that was given; a query that names no unit asks about every unit.
type rule struct {
	public bool // without a token
	demo   bool // without a token in the demonstration
	unit   []string
	person string // the query parameter that oneself is compared with; "" is the path's person
	allow  []allowance
	why    code // what a refusal says, where the name of a role would not tell the caller what to do
}

// everybody is every role a person can hold. RoleSystem is not among them: the ledger itself does not call.
func everybody() []allowance {
	return []allowance{{domain.RoleFiler, anywhere}, {domain.RoleHead, anywhere}, {domain.RoleDistrict, anywhere},
		{domain.RoleDepartment, anywhere}, {domain.RoleInspector, anywhere}, {domain.RoleAdmin, anywhere}}
}

// readers may read what a unit reported: the unit itself, who it reports through, the department and inspectors.
func readers() []allowance {
	return []allowance{{domain.RoleInspector, subtree}, {domain.RoleDepartment, subtree}, {domain.RoleDistrict, subtree},
		{domain.RoleHead, subtree}, {domain.RoleFiler, subtree}}
}

func only(reach reach, roles ...domain.Role) []allowance {
	var out []allowance
	for _, r := range roles {
		out = append(out, allowance{r, reach})
	}
	return out
}

// policy is the one table of who may call what, by operation id. A route that is not in it is not served. The ledger
// decides again, on the state it records after; this table keeps out who has no business at a door at all, and is the
// only guard of reading.
func policy() map[string]rule {
	department := only(all, domain.RoleDepartment)
	admin := only(all, domain.RoleAdmin)
	filers := only(own, domain.RoleFiler, domain.RoleDistrict)
	signers := slices.Concat(only(own, domain.RoleHead), []allowance{{reach: office}})
	byUnit := []string{"unit", "parent"}
	return map[string]rule{
		// What a unit does about one report. {unit} is in the path.
		"submit-report":  {allow: filers},
		"put-report":     {allow: filers},
		"correct-report": {allow: filers},
		"return-report":  {allow: signers},
		"get-statement":  {allow: signers},
		"sign-off":       {allow: signers},
		"explain-breach": {allow: signers},
		"excuse-breach":  {allow: department},
		"uphold-breach":  {allow: department},
		"remind":         {allow: slices.Concat(only(subtree, domain.RoleDistrict), department)},
		"get-report":     {allow: readers()},
		// Each row is judged by itself. Who oversees does not file: a report that came from the department would be on time,
		// or late, by the department's doing.
		"import-reports":    {allow: only(anywhere, domain.RoleFiler, domain.RoleDistrict), why: codeFilersOnly},
		"issue-regime":      {allow: department},
		"amend-regime":      {allow: department},
		"close-regime":      {allow: department},
		"open-day":          {allow: department},
		"extend-deadline":   {allow: department},
		"exempt-day":        {allow: department},
		"issue-synthesis":   {allow: department},
		"register-unit":     {allow: department},
		"change-unit":       {allow: department},
		"take-office":       {allow: department},
		"leave-office":      {allow: department},
		"grant-authority":   {allow: slices.Concat(signers, department)},
		"revoke-authority":  {allow: slices.Concat(signers, department)},
		"register-person":   {allow: admin},
		"grant-role":        {allow: admin},
		"revoke-role":       {allow: admin},
		"enroll-credential": {allow: slices.Concat([]allowance{{reach: oneself}}, admin)},
		"revoke-credential": {allow: slices.Concat([]allowance{{reach: oneself}}, admin)},

		// Reference data: no figures in it.
		"list-regimes": {allow: everybody()},
		"get-regime":   {allow: everybody()},
		"list-days":    {allow: everybody()},
		"list-units":   {allow: everybody()},
		"get-unit":     {allow: everybody()},
		"get-office":   {allow: everybody()},
		"list-forms":   {allow: everybody()},
		"get-form":     {allow: everybody()},
		"get-me":       {allow: slices.Concat([]allowance{{reach: oneself}}, everybody())},
		"get-person":   {allow: slices.Concat([]allowance{{reach: oneself}}, only(all, domain.RoleAdmin, domain.RoleInspector))},

		// Queries.
		"board":          {allow: readers(), unit: []string{"area"}},
		"compliance":     {allow: readers(), unit: byUnit},
		"unit-records":   {allow: readers(), unit: byUnit},
		"history":        {allow: readers()},
		"answers":        {allow: append(readers(), allowance{reach: oneself}), unit: []string{"unit"}, person: "person"},
		"list-breaches":  {allow: readers(), unit: byUnit},
		"synthesis":      {allow: readers(), unit: []string{"area"}},
		"sign-off-queue": {allow: readers(), unit: []string{"unit"}},
		"list-targets":   {allow: readers(), unit: []string{"unit"}},
		"list-events":    {allow: only(all, domain.RoleInspector, domain.RoleDepartment)},
		"stream-events":  {allow: only(all, domain.RoleInspector, domain.RoleDepartment)},

		// Operations.
		// Evidence. What the log holds is public; what opens it is not, and openingRule says whose it is.
		"get-receipt":     {public: true},
		"get-opening":     {allow: append(everybody(), allowance{reach: office}, allowance{reach: oneself})},
		"evidence-bundle": {allow: readers()},
		"evidence-status": {public: true},
		"evidence-policy": {public: true},
		"log-file":        {public: true},

		"lag":          {allow: only(anywhere, domain.RoleAdmin, domain.RoleDepartment, domain.RoleInspector)},
		"list-parked":  {allow: only(anywhere, domain.RoleAdmin, domain.RoleDepartment, domain.RoleInspector)},
		"retry-parked": {allow: admin},

		"rebuild-status": {allow: only(anywhere, domain.RoleAdmin, domain.RoleDepartment, domain.RoleInspector)},
		"stream-rebuild": {allow: only(anywhere, domain.RoleAdmin, domain.RoleDepartment, domain.RoleInspector)},
		"start-rebuild":  {allow: admin},
		"cancel-rebuild": {allow: admin},
		"undo-rebuild":   {allow: admin},
		"drop-previous":  {allow: admin},

		"metrics":    {allow: admin},
		"list-words": {public: true},
		"openapi":    {public: true},
		"healthz":    {public: true},
		"readyz":     {public: true},

		// Pages.
		"page-board":     {allow: readers(), demo: true, unit: []string{"area"}},
		"page-unit":      {allow: readers(), demo: true},
		"page-breaches":  {allow: readers(), demo: true, unit: []string{"unit"}},
		"page-synthesis": {allow: readers(), demo: true, unit: []string{"area"}},
		"page-style":     {public: true},
	}
}

// byOffice reports whether an office alone lets somebody in.
func (r rule) byOffice() bool {
	return slices.ContainsFunc(r.allow, func(a allowance) bool { return a.reach == office })
}

// openingRule says who may open an event, by its stream: who may read the same thing otherwise. unit is the one it is
// about, person the one it is of.
func openingRule(stream, kind string) (r rule, unit domain.UnitCode, person domain.PersonID) {
	category, rest, _ := strings.Cut(stream, "-")
	switch category {
	case domain.CategoryReport:
		if key, ok := domain.ParseReportStream(stream); ok {
			return rule{allow: append(readers(), allowance{reach: office})}, key.Unit, ""
		}
	case domain.CategoryResult:
		_, u, _ := strings.Cut(rest, ".")
		return rule{allow: readers()}, domain.UnitCode(u), ""
	case domain.CategoryRegimeDay:
		if kind != "DayOpened" { // counts of the whole province
			return rule{allow: readers()}, "", ""
		}
		return rule{allow: everybody()}, "", ""
	case domain.CategoryRegime, domain.CategoryUnit, domain.CategoryOffice, domain.CategoryLog:
		return rule{allow: everybody()}, "", ""
	case domain.CategoryPerson:
		return rule{allow: only(all, domain.RoleAdmin, domain.RoleInspector)}, "", domain.PersonID(rest)
	}
	return rule{allow: only(all, domain.RoleInspector)}, "", ""
}

// authorise finds the allowance that lets an actor call a route, and says as which role they call.
func (h *Handler) authorise(ctx context.Context, c *call) (domain.Role, error) {
	role, err := h.letIn(ctx, c, c.route.rule, c.unitAsked())
	if err == nil && c.areaAsOf() && !c.actor.Has(role, "") {
		err = refuse(http.StatusForbidden, codeAsOfReach).in(paramAsOf.name)
	}
	return role, err
}

// areaAsOf reports whether a call asks about the units of an area in the tree of another day: these need not be the ones
// that its caller's role reaches.
func (c *call) areaAsOf() bool {
	if c.query.text(paramAsOf.name) == "" || c.path("unit") != "" {
		return false
	}
	for _, name := range c.route.rule.unit {
		if c.query.text(name) != "" {
			return name != "unit"
		}
	}
	return false
}

// letIn finds the allowance of a rule that lets a call's actor in, for what is about a unit.
func (h *Handler) letIn(ctx context.Context, c *call, rule rule, unit domain.UnitCode) (domain.Role, error) {
	if c.actor.ID == domain.System { // no token is bound to it; if one were, it opens nothing
		return "", domain.Refuse(domain.Forbidden, domain.CodeRoleMissing, "", "role", string(domain.RoleSystem), "unit", "")
	}
	var above []domain.UnitCode // unit, and what it reports through; read once, when a rule needs it
	for _, a := range rule.allow {
		switch a.reach {
		case anywhere:
			if c.actor.HasAny(a.role) {
				return a.role, nil
			}
		case all:
			if c.actor.Has(a.role, "") {
				return a.role, nil
			}
		case own:
			if c.actor.Has(a.role, unit) {
				return a.role, nil
			}
		case subtree:
			if !c.actor.HasAny(a.role) {
				continue
			}
			if c.actor.Has(a.role, "") {
				return a.role, nil
			}
			if above == nil {
				var err error
				if above, err = h.above(ctx, unit); err != nil {
					return "", err
				}
			}
			if slices.ContainsFunc(above, func(u domain.UnitCode) bool { return c.actor.Has(a.role, u) }) {
				return a.role, nil
			}
		case oneself:
			if rule.person != "" && c.query.text(rule.person) == string(c.actor.ID) {
				return "", nil
			}
			if person := c.path("person"); rule.person == "" && (person == "" || person == string(c.actor.ID)) {
				return "", nil
			}
		case office:
			ok, err := h.inOffice(ctx, unit, c.actor.ID)
			if err != nil {
				return "", err
			}
			if ok {
				return "", nil
			}
		}
	}
	if rule.why != "" {
		return "", refuse(http.StatusForbidden, rule.why)
	}
	if rule.byOffice() {
		return "", domain.Refuse(domain.Forbidden, domain.CodeNotInOffice, "", "unit", string(unit), "person", string(c.actor.ID))
	}
	wanted := domain.Role("")
	for _, a := range rule.allow {
		if a.role != "" {
			wanted = a.role
			break
		}
	}
	return "", domain.Refuse(domain.Forbidden, domain.CodeRoleMissing, "", "role", string(wanted), "unit", string(unit))
}

// maxHeight bounds the way up the tree, so that a circle of parents ends. Chosen: a country has five levels.
const maxHeight = 8

// above lists a unit and the units it reports through now, upwards.
func (h *Handler) above(ctx context.Context, unit domain.UnitCode) ([]domain.UnitCode, error) {
	out := []domain.UnitCode{}
	for u := unit; u != "" && len(out) < maxHeight; {
		out = append(out, u)
		state, err := h.Ledger.Unit(ctx, u)
		if err != nil {
			return nil, fmt.Errorf("api: what is above unit %s: %w", unit, err)
		}
		u = state.Parent
	}
	return out, nil
}

func (h *Handler) inOffice(ctx context.Context, unit domain.UnitCode, person domain.PersonID) (bool, error) {
	if unit == "" {
		return false, nil
	}
	o, err := h.Ledger.Office(ctx, unit)
	if err != nil {
		return false, fmt.Errorf("api: office of unit %s: %w", unit, err)
	}
	return slices.ContainsFunc(o.Tenures, func(t domain.Tenure) bool { return t.Person == person }) ||
		slices.ContainsFunc(o.Authorities, func(a domain.Authority) bool { return a.Person == person }), nil
}
