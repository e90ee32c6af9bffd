package api

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/answerable-ledger/answerable/api/access"
	"github.com/answerable-ledger/answerable/domain"
)

// rule is who may call a route. The unit comes from the path, or from the first of the query parameters named in unit
// that was given; a query that names no unit asks about every unit.
type rule struct {
	public bool // without a token
	demo   bool // without a token in the demonstration
	unit   []string
	person string // the query parameter that oneself is compared with; "" is the path's person
	allow  []access.Allowance
	why    code // what a refusal says, where the name of a role would not tell the caller what to do
}

// everybody is every role a person can hold. RoleSystem is not among them: the ledger itself does not call.
func everybody() []access.Allowance {
	return access.Anywhere.For(domain.RoleFiler, domain.RoleHead, domain.RoleDistrict, domain.RoleDepartment, domain.RoleInspector, domain.RoleAdmin)
}

// readers may read what a unit reported: the unit itself, who it reports through, the department and inspectors.
func readers() []access.Allowance {
	return access.Subtree.For(domain.RoleInspector, domain.RoleDepartment, domain.RoleDistrict, domain.RoleHead, domain.RoleFiler)
}

// policy is the one table of who may call what, by operation id. A route that is not in it is not served. The ledger
// decides again, on the state it records after; this table keeps out who has no business at a door at all, and is the
// only guard of reading.
func policy() map[string]rule {
	department := access.All.For(domain.RoleDepartment)
	admin := access.All.For(domain.RoleAdmin)
	filers := access.Own.For(domain.RoleFiler, domain.RoleDistrict)
	signers := slices.Concat(access.Own.For(domain.RoleHead), []access.Allowance{{Reach: access.Office}})
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
		"remind":         {allow: slices.Concat(access.Subtree.For(domain.RoleDistrict), department)},
		"get-report":     {allow: readers()},
		// Each row is judged by itself. Who oversees does not file: a report that came from the department would be on time,
		// or late, by the department's doing.
		"import-reports":    {allow: access.Anywhere.For(domain.RoleFiler, domain.RoleDistrict), why: codeFilersOnly},
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
		"enroll-credential": {allow: slices.Concat([]access.Allowance{{Reach: access.Oneself}}, admin)},
		"revoke-credential": {allow: slices.Concat([]access.Allowance{{Reach: access.Oneself}}, admin)},

		// Reference data: no figures in it.
		"list-regimes": {allow: everybody()},
		"get-regime":   {allow: everybody()},
		"list-days":    {allow: everybody()},
		"list-units":   {allow: everybody()},
		"get-unit":     {allow: everybody()},
		"get-office":   {allow: everybody()},
		"list-forms":   {allow: everybody()},
		"get-form":     {allow: everybody()},
		"get-me":       {allow: slices.Concat([]access.Allowance{{Reach: access.Oneself}}, everybody())},
		"get-person":   {allow: slices.Concat([]access.Allowance{{Reach: access.Oneself}}, access.All.For(domain.RoleAdmin, domain.RoleInspector))},

		// Queries.
		"board":          {allow: readers(), unit: []string{"area"}},
		"compliance":     {allow: readers(), unit: byUnit},
		"unit-records":   {allow: readers(), unit: byUnit},
		"history":        {allow: readers()},
		"answers":        {allow: append(readers(), access.Allowance{Reach: access.Oneself}), unit: []string{"unit"}, person: "person"},
		"list-breaches":  {allow: readers(), unit: byUnit},
		"synthesis":      {allow: readers(), unit: []string{"area"}},
		"sign-off-queue": {allow: readers(), unit: []string{"unit"}},
		"list-targets":   {allow: readers(), unit: []string{"unit"}},
		"list-events":    {allow: access.All.For(domain.RoleInspector, domain.RoleDepartment)},
		"stream-events":  {allow: access.All.For(domain.RoleInspector, domain.RoleDepartment)},

		// Operations.
		// Evidence. What the log holds is public; what opens it is not, and openingRule says whose it is.
		"get-receipt":     {public: true},
		"get-opening":     {allow: append(everybody(), access.Allowance{Reach: access.Office}, access.Allowance{Reach: access.Oneself})},
		"evidence-bundle": {allow: readers()},
		"evidence-status": {public: true},
		"evidence-policy": {public: true},
		"log-file":        {public: true},

		"lag":          {allow: access.Anywhere.For(domain.RoleAdmin, domain.RoleDepartment, domain.RoleInspector)},
		"list-parked":  {allow: access.Anywhere.For(domain.RoleAdmin, domain.RoleDepartment, domain.RoleInspector)},
		"retry-parked": {allow: admin},

		"rebuild-status": {allow: access.Anywhere.For(domain.RoleAdmin, domain.RoleDepartment, domain.RoleInspector)},
		"stream-rebuild": {allow: access.Anywhere.For(domain.RoleAdmin, domain.RoleDepartment, domain.RoleInspector)},
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

// openingRule says who may open an event, by its stream: who may read the same thing otherwise. unit is the one it is
// about, person the one it is of.
func openingRule(stream, kind string) (r rule, unit domain.UnitCode, person domain.PersonID) {
	category, rest, _ := strings.Cut(stream, "-")
	switch category {
	case domain.CategoryReport:
		if key, ok := domain.ParseReportStream(stream); ok {
			return rule{allow: append(readers(), access.Allowance{Reach: access.Office})}, key.Unit, ""
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
		return rule{allow: access.All.For(domain.RoleAdmin, domain.RoleInspector)}, "", domain.PersonID(rest)
	}
	return rule{allow: access.All.For(domain.RoleInspector)}, "", ""
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
	asked := c.path("person")
	oneself := asked == "" || asked == string(c.actor.ID)
	if rule.person != "" {
		oneself = c.query.text(rule.person) == string(c.actor.ID)
	}
	role, err := access.Judge(ctx, h.Ledger, rule.allow, access.Asking{Actor: c.actor, Unit: unit, Oneself: oneself, At: c.receivedAt})
	if rule.why != "" && c.actor.ID != domain.System && errors.Is(err, &domain.Error{Kind: domain.Forbidden}) {
		err = refuse(http.StatusForbidden, rule.why)
	}
	return role, err
}
