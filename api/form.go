package api

import (
	"net/http"

	"github.com/answerable-ledger/answerable/domain"
)

// Form is the current version of a report form.
type Form struct {
	Form    domain.FormID  `json:"form"`
	Version int            `json:"version"`
	Item    string         `json:"item" doc:"Paragraph of the order."`
	Scope   domain.Scope   `json:"scope"`
	Title   domain.Wording `json:"title"`
	Fields  []FormField    `json:"fields"`
	// Schema is the file that judges the figures.
	Schema *Verbatim `json:"schema,omitempty"`
}

// FormField is one figure of a form.
type FormField struct {
	Name        string         `json:"name"`
	Label       domain.Wording `json:"label"`
	Unit        domain.Wording `json:"unit"`
	Cumulative  bool           `json:"cumulative"`
	Denominator bool           `json:"denominator,omitempty"`
	RollUp      domain.RollUp  `json:"rollup"`
	Required    bool           `json:"required"`
	AtMost      string         `json:"at_most,omitempty"`
}

// Forms is every form.
type Forms struct {
	Forms []Form `json:"forms"`
}

func (h *Handler) formRoutes() []*route {
	return []*route{
		{id: "list-forms", method: http.MethodGet, path: "/v1/forms", tag: "forms", summary: "The current version of every form", answer: Forms{}, handle: func(c *call) error {
			out := Forms{Forms: []Form{}}
			for _, f := range h.Registry.Forms() {
				out.Forms = append(out.Forms, formOf(f))
			}
			return c.answer(http.StatusOK, out)
		}},
		{id: "get-form", method: http.MethodGet, path: "/v1/forms/{form}", tag: "forms", summary: "A form with its schema", answer: Form{}, handle: func(c *call) error {
			f, ok := h.Registry.CurrentForm(domain.FormID(c.path("form")))
			if !ok {
				return domain.Refuse(domain.NotFound, domain.CodeFormUnknown, "/form", "form", c.path("form"))
			}
			out := formOf(f)
			if text, ok := h.Registry.FormSchema(f.ID, f.Version); ok {
				out.Schema = &Verbatim{text}
			}
			return c.answer(http.StatusOK, out)
		}},
	}
}

func formOf(f domain.Form) Form {
	out := Form{Form: f.ID, Version: f.Version, Item: f.Item, Scope: f.Scope, Title: f.Title, Fields: []FormField{}}
	for _, x := range f.Fields {
		out.Fields = append(out.Fields, FormField{x.Name, x.Label, x.Unit, x.Cumulative, x.Denominator, x.RollUp, x.Required, x.AtMost})
	}
	return out
}
