package web

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/answerable-ledger/answerable/api/ui"
)

// apiDocument is what the pages need of the API's own document, read once.
type apiDocument struct {
	err     error
	version string
	groups  []ui.APIGroup
	schemas map[string]jsontext.Value
}

type openAPI struct {
	Info struct {
		Version string `json:"version"`
	} `json:"info"`
	Paths      map[string]map[string]openOperation `json:"paths"`
	Components struct {
		Schemas    map[string]jsontext.Value `json:"schemas"`
		Parameters map[string]openParam      `json:"parameters"`
	} `json:"components"`
}

type openOperation struct {
	ID          string                  `json:"operationId"`
	Summary     string                  `json:"summary"`
	Tags        []string                `json:"tags"`
	Parameters  []openParam             `json:"parameters"`
	RequestBody *openContent            `json:"requestBody"`
	Responses   map[string]*openContent `json:"responses"`
}

type openParam struct {
	Ref         string         `json:"$ref"`
	Name        string         `json:"name"`
	In          string         `json:"in"`
	Description string         `json:"description"`
	Required    bool           `json:"required"`
	Schema      jsontext.Value `json:"schema"`
}

type openContent struct {
	Content map[string]struct {
		Schema jsontext.Value `json:"schema"`
	} `json:"content"`
}

const schemaPrefix = "#/components/schemas/"

// apiDoc reads the document.
func (h *Handler) apiDoc() *apiDocument {
	h.operating.api.Do(func() { h.operating.doc = readAPI(h.Operate.OpenAPI) })
	return &h.operating.doc
}

func readAPI(text []byte) (d apiDocument) {
	if len(text) == 0 {
		return apiDocument{err: errNotFound}
	}
	var o openAPI
	if err := json.Unmarshal(text, &o); err != nil {
		return apiDocument{err: fmt.Errorf("web: read the API's document: %w", err)}
	}
	d.version, d.schemas = o.Info.Version, o.Components.Schemas
	byTag := map[string][]ui.APIRoute{}
	for path, operations := range o.Paths {
		for method, x := range operations {
			tag := ""
			if len(x.Tags) > 0 {
				tag = x.Tags[0]
			}
			byTag[tag] = append(byTag[tag], routeOf(o, strings.ToUpper(method), path, x))
		}
	}
	for _, tag := range slices.Sorted(maps.Keys(byTag)) {
		routes := byTag[tag]
		slices.SortFunc(routes, func(a, b ui.APIRoute) int {
			return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Method, b.Method))
		})
		d.groups = append(d.groups, ui.APIGroup{Tag: tag, Routes: routes})
	}
	return d
}

func routeOf(o openAPI, method, path string, x openOperation) ui.APIRoute {
	r := ui.APIRoute{ID: x.ID, Method: method, Path: path, Summary: x.Summary}
	for _, p := range x.Parameters {
		if name, ok := strings.CutPrefix(p.Ref, "#/components/parameters/"); ok {
			p = o.Components.Parameters[name]
		}
		r.Params = append(r.Params, ui.APIParam{Name: p.Name, In: p.In, Required: p.Required, Type: typeOf(p.Schema), Doc: p.Description})
	}
	if x.RequestBody != nil {
		for _, kind := range slices.Sorted(maps.Keys(x.RequestBody.Content)) {
			for _, name := range references(x.RequestBody.Content[kind].Schema) {
				if !slices.Contains(r.Body, name) {
					r.Body = append(r.Body, name)
				}
			}
		}
	}
	for _, status := range slices.Sorted(maps.Keys(x.Responses)) {
		answer := x.Responses[status]
		if answer == nil || status >= "400" { // every refusal is a problem, which the page says once
			continue
		}
		a := ui.APIAnswer{Status: status}
		for _, kind := range slices.Sorted(maps.Keys(answer.Content)) {
			a.Type = kind
			a.Schemas = append(a.Schemas, references(answer.Content[kind].Schema)...)
		}
		r.Answers = append(r.Answers, a)
	}
	return r
}

// typeOf is a parameter's type in a word or two.
func typeOf(schema jsontext.Value) string {
	var s struct {
		Type   jsontext.Value `json:"type"`
		Format string         `json:"format"`
		Enum   []string       `json:"enum"`
	}
	if len(schema) == 0 || json.Unmarshal(schema, &s) != nil {
		return ""
	}
	out := strings.Trim(s.Type.String(), `"`)
	if s.Format != "" {
		out += " (" + s.Format + ")"
	}
	if len(s.Enum) > 0 {
		out = strings.Join(s.Enum, " | ")
	}
	return out
}

// references lists the schemas that a schema names, in their order.
func references(schema jsontext.Value) (out []string) {
	d := jsontext.NewDecoder(strings.NewReader(string(schema)))
	ref := false
	for {
		t, err := d.ReadToken()
		if err != nil {
			return out
		}
		if t.Kind() != '"' {
			ref = false
			continue
		}
		s := t.String()
		if name, ok := strings.CutPrefix(s, schemaPrefix); ref && ok && !slices.Contains(out, name) {
			out = append(out, name)
		}
		ref = s == "$ref"
	}
}

// developersPage shows the API by its own document.
func (h *Handler) developersPage(c *call) error {
	f, err := c.developerTabs("developers")
	if err != nil {
		return err
	}
	d := h.apiDoc()
	if d.err != nil {
		return d.err
	}
	return c.render(http.StatusOK, ui.Developers{Frame: f, Version: d.version, Origin: h.Operate.Site, Groups: d.groups, Schemas: slices.Sorted(maps.Keys(d.schemas))})
}

// schemaPage shows one schema of the document.
func (h *Handler) schemaPage(c *call) error {
	f, err := c.developerTabs("schema")
	if err != nil {
		return err
	}
	d := h.apiDoc()
	if d.err != nil {
		return d.err
	}
	name := c.path("name")
	schema, ok := d.schemas[name]
	if !ok {
		return errNotFound
	}
	f.Title = name
	return c.render(http.StatusOK, ui.APISchema{Frame: f, Name: name, Text: indented(schema), Uses: references(schema)})
}
