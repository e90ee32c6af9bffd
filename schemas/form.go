package schemas

import (
	"fmt"
	"slices"

	"github.com/go-json-experiment/json"

	"github.com/answerable-ledger/answerable/domain"
)

// formNote is the member "answerable:form" of a form's schema: what the form is.
type formNote struct {
	Form    domain.FormID  `json:"form"`
	Version int            `json:"version"`
	Item    string         `json:"item"`
	Scope   domain.Scope   `json:"scope"`
	Title   domain.Wording `json:"title"`
	Rules   int            `json:"rules"`
	// Consolidates names the form whose figures this one sums; Load checks that every summed field exists there.
	Consolidates domain.FormID `json:"consolidates,omitempty"`
}

// fieldNote is the member "answerable:field" of a property: what the figure is.
type fieldNote struct {
	Label       domain.Wording `json:"label"`
	Unit        domain.Wording `json:"unit"`
	Cumulative  bool           `json:"cumulative,omitempty"`
	Denominator bool           `json:"denominator,omitempty"`
	RollUp      domain.RollUp  `json:"rollup"`
}

// readForm takes a form from its schema file. The fields are in the order of the file, which is the order on the page.
func readForm(text []byte) (domain.Form, domain.FormID, error) {
	var file struct {
		Note       *formNote         `json:"answerable:form"`
		AtMost     map[string]string `json:"answerable:atMost"`
		Type       string            `json:"type"`
		Required   []string          `json:"required"`
		Additional *bool             `json:"additionalProperties"`
		Properties orderedMembers    `json:"properties"`
	}
	if err := json.Unmarshal(text, &file); err != nil {
		return domain.Form{}, "", err
	}
	n := file.Note
	switch {
	case n == nil:
		return domain.Form{}, "", fmt.Errorf("answerable:form is missing")
	case file.Type != "object" || file.Additional == nil || *file.Additional:
		return domain.Form{}, "", fmt.Errorf("a form is an object without additional properties")
	case !slices.Contains([]domain.Scope{domain.ScopeTerritory, domain.ScopeOwnStaff, domain.ScopeSector}, n.Scope):
		return domain.Form{}, "", fmt.Errorf("scope %q", n.Scope)
	case n.Item == "" || n.Title.Vi == "" || n.Title.En == "" || n.Rules < 1:
		return domain.Form{}, "", fmt.Errorf("item, title and rules are needed")
	case len(file.Properties) == 0 || len(file.Properties) > domain.MaxFields:
		return domain.Form{}, "", fmt.Errorf("%d fields", len(file.Properties))
	}
	form := domain.Form{ID: n.Form, Version: n.Version, Item: n.Item, Scope: n.Scope, Title: n.Title, RuleNumber: n.Rules}
	for _, p := range file.Properties {
		f, err := readField(p)
		if err != nil {
			return domain.Form{}, "", fmt.Errorf("%s: %w", p.name, err)
		}
		f.Required = slices.Contains(file.Required, p.name)
		f.AtMost = file.AtMost[p.name]
		form.Fields = append(form.Fields, f)
	}
	return form, n.Consolidates, nil
}

func readField(p member) (domain.Field, error) {
	var property struct {
		Type string     `json:"type"`
		Min  *int64     `json:"minimum"`
		Max  *int64     `json:"maximum"`
		Note *fieldNote `json:"answerable:field"`
	}
	if err := json.Unmarshal(p.value, &property); err != nil {
		return domain.Field{}, err
	}
	n := property.Note
	switch {
	case !domain.ValidID(p.name):
		return domain.Field{}, fmt.Errorf("the name is no id")
	case property.Type != "integer" || property.Min == nil || *property.Min < 0 || property.Max == nil || *property.Max > domain.MaxFigure:
		return domain.Field{}, fmt.Errorf("a figure is an integer between 0 and 2^53")
	case n == nil || n.Label.Vi == "" || n.Label.En == "" || n.Unit.Vi == "" || n.Unit.En == "":
		return domain.Field{}, fmt.Errorf("label and unit are needed in both languages")
	case !slices.Contains([]domain.RollUp{domain.RollUpSum, domain.RollUpNone, domain.RollUpOwn, domain.RollUpReported, domain.RollUpLate, domain.RollUpMissing}, n.RollUp):
		return domain.Field{}, fmt.Errorf("rollup %q", n.RollUp)
	}
	return domain.Field{Name: p.name, Label: n.Label, Unit: n.Unit, Cumulative: n.Cumulative, Denominator: n.Denominator, RollUp: n.RollUp}, nil
}

// checkConsolidation: what is summed must exist below, and mean the same scope (rule 10).
func checkConsolidation(above, below domain.Form) error {
	if above.Scope != below.Scope {
		return fmt.Errorf("scope %s sums scope %s", above.Scope, below.Scope)
	}
	for _, f := range above.Fields {
		if _, ok := below.Field(f.Name); f.RollUp == domain.RollUpSum && !ok {
			return fmt.Errorf("%s is summed but not a field of %s", f.Name, below.ID)
		}
	}
	return nil
}
