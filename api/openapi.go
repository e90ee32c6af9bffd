package api

import (
	stdjson "encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/schemas"
)

// The document is made of the table of routes and of the schema files that judge what is sent: the components named
// forms.…, events.… and defs.… are the files themselves, word for word.

const componentPrefix = "#/components/schemas/"

// Names of the components that describe the bodies of reports.
const (
	bodySubmission = "Submission"
	bodyCorrection = "Correction"
)

// components is huma's registry of schemas, together with the files.
type components struct {
	huma.Registry
	files map[string]stdjson.RawMessage
}

func newComponents() (*components, error) {
	c := &components{Registry: huma.NewMapRegistry(componentPrefix, schemaName), files: map[string]stdjson.RawMessage{}}
	err := fs.WalkDir(schemas.Files(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || path.Ext(name) != ".json" {
			return err
		}
		text, err := fs.ReadFile(schemas.Files(), name)
		c.files[componentOf(strings.TrimSuffix(name, ".json"))] = text
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("schema files: %w", err)
	}
	forms := []string{}
	for name := range c.files {
		if strings.HasPrefix(name, "forms.") {
			forms = append(forms, name)
		}
	}
	slices.Sort(forms)
	c.files[bodySubmission] = submissionSchema(forms, false)
	c.files[bodyCorrection] = submissionSchema(forms, true)
	return c, nil
}

// componentOf makes a component's name of a file's: forms/commune/2 is forms.commune.2.
func componentOf(file string) string { return strings.ReplaceAll(file, "/", ".") }

// schemaName keeps types of one name in two packages apart.
func schemaName(t reflect.Type, hint string) string {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	name := huma.DefaultSchemaNamer(t, hint)
	if strings.HasSuffix(t.PkgPath(), "/domain") {
		return "domain." + name
	}
	return name
}

// MarshalJSON writes all schemas as one object.
func (c *components) MarshalJSON() ([]byte, error) {
	all := make(map[string]any, len(c.files)+len(c.Map()))
	for name, s := range c.Map() {
		all[name] = s
	}
	for name, text := range c.files {
		if _, twice := all[name]; twice {
			return nil, fmt.Errorf("two schemas are named %s", name)
		}
		all[name] = text
	}
	return stdjson.Marshal(all)
}

// submissionSchema describes the body of a report: its figures are those of one of the forms, or, where the ledger sums,
// some of them.
func submissionSchema(forms []string, correction bool) stdjson.RawMessage {
	figures := []map[string]string{}
	for _, name := range forms {
		figures = append(figures, map[string]string{"$ref": componentPrefix + name})
	}
	figures = append(figures, map[string]string{"$ref": schemaBase + "defs/1#/$defs/figures"})
	def := func(name string) map[string]string {
		return map[string]string{"$ref": schemaBase + "defs/1#/$defs/" + name}
	}
	properties := map[string]any{
		"form_version": def("version"),
		"figures":      map[string]any{"description": "As the form of the path says; where the ledger sums, only the unit's own fields.", "anyOf": figures},
		"nil":          map[string]any{"type": "boolean", "description": "Explicitly nothing to report."},
		"note":         def("text"),
	}
	out := map[string]any{"type": "object", "properties": properties, "additionalProperties": false}
	if correction {
		properties["replaces"] = def("version")
		properties["correction"] = map[string]any{"enum": []string{string(domain.CorrectionContent), string(domain.CorrectionErratum)}}
		properties["reason"] = def("reason")
		out["required"] = []string{"correction", "reason"} // the version replaced may stand in If-Match instead
	}
	text, err := stdjson.Marshal(out)
	if err != nil { // maps of strings
		panic(err)
	}
	return text
}

func openAPIConfig(version string, c *components) huma.Config {
	if version == "" {
		version = "dev"
	}
	return huma.Config{OpenAPI: &huma.OpenAPI{
		OpenAPI:           "3.1.0",
		JSONSchemaDialect: "https://json-schema.org/draft/2020-12/schema",
		Info: &huma.Info{Title: "answerable", Version: version, Description: "The ledger of who reported what, when, and who answers for it.",
			License: &huma.License{Name: "Apache-2.0", Identifier: "Apache-2.0"}},
		Components: &huma.Components{Schemas: c, SecuritySchemes: map[string]*huma.SecurityScheme{
			"token": {Type: "http", Scheme: "bearer", Description: "An API token, bound to a person; made with: answerable token create."}}},
		Security: []map[string][]string{{"token": {}}},
	}}
}

var pathName = regexp.MustCompile(`\{([a-z]+)\}`)

// operation is what the document says of a route.
func (rt *route) operation(registry huma.Registry) *huma.Operation {
	op := &huma.Operation{OperationID: rt.id, Method: rt.method, Path: rt.path, Summary: rt.summary, Responses: map[string]*huma.Response{}}
	if rt.tag != "" {
		op.Tags = []string{rt.tag}
	}
	if rt.rule.public {
		op.Security = []map[string][]string{{}}
	} else {
		op.Description = rt.rule.describe()
	}
	for _, m := range pathName.FindAllStringSubmatch(rt.path, -1) {
		kind := paramID
		if m[1] == "date" {
			kind = paramDate
		}
		op.Parameters = append(op.Parameters, &huma.Param{Name: m[1], In: "path", Required: true, Schema: param{kind: kind}.schema()})
	}
	for _, p := range rt.params {
		op.Parameters = append(op.Parameters, &huma.Param{Name: p.name, In: "query", Required: p.needed, Description: p.doc, Schema: p.schema()})
	}
	if rt.keyed != keyless {
		op.Parameters = append(op.Parameters, &huma.Param{Name: keyHeader, In: "header", Required: rt.keyed == keyNeeded,
			Description: "1 to 200 printable ASCII characters, new for each attempt and the same in its repeats.", Schema: &huma.Schema{Type: huma.TypeString}})
	}
	if rt.ifMatch {
		op.Parameters = append(op.Parameters, &huma.Param{Name: "If-Match", In: "header", Description: "The ETag of the version looked at; or name the version in the body.", Schema: &huma.Schema{Type: huma.TypeString}})
	}
	if schema := schemaOf(registry, rt.body, rt.bodyRef); schema != nil || len(rt.bodyTypes) > 0 {
		op.RequestBody = &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{}}
		for _, t := range orJSON(rt.bodyTypes) {
			op.RequestBody.Content[t] = &huma.MediaType{Schema: schema}
		}
	}
	status := rt.status
	if status == 0 {
		status = 200
	}
	success := &huma.Response{Description: "Done."}
	if schema := schemaOf(registry, rt.answer, ""); schema != nil || len(rt.mediaTypes) > 0 {
		success.Content = map[string]*huma.MediaType{}
		for _, t := range orJSON(rt.mediaTypes) {
			success.Content[t] = &huma.MediaType{Schema: schema}
		}
	}
	op.Responses[strconv.Itoa(status)] = success
	op.Responses["default"] = &huma.Response{Description: "A problem (RFC 9457).", Content: map[string]*huma.MediaType{
		"application/problem+json": {Schema: registry.Schema(reflect.TypeFor[Problem](), true, "")}}}
	return op
}

func orJSON(types []string) []string {
	if len(types) == 0 {
		return []string{jsonType}
	}
	return types
}

func schemaOf(registry huma.Registry, sample any, ref string) *huma.Schema {
	switch {
	case ref != "":
		return &huma.Schema{Ref: componentPrefix + ref}
	case sample != nil:
		return registry.Schema(reflect.TypeOf(sample), true, "")
	}
	return nil
}

// describe says in words who may call a route.
func (r rule) describe() string {
	var who []string
	for _, a := range r.allow {
		switch a.reach {
		case office:
			who = append(who, "who holds or held the office, or a right to sign for it")
		case oneself:
			who = append(who, "the person themself")
		case all:
			who = append(who, string(a.role)+" (for every unit)")
		case own:
			who = append(who, string(a.role)+" (of the unit)")
		case subtree:
			who = append(who, string(a.role)+" (of the unit, or one it reports through)")
		case anywhere:
			who = append(who, string(a.role))
		}
	}
	return "Allowed: " + strings.Join(who, ", ") + "."
}

// document renders the OpenAPI document once, and checks that every reference in it leads somewhere.
func (h *Handler) document() ([]byte, error) {
	doc, err := stdjson.Marshal(h.api.OpenAPI())
	if err != nil {
		return nil, fmt.Errorf("openapi: %w", err)
	}
	text := jsontext.Value(doc)
	if err := text.Canonicalize(); err != nil {
		return nil, fmt.Errorf("openapi: %w", err)
	}
	registry := h.api.OpenAPI().Components.Schemas.(*components)
	known := maps.Clone(registry.Map())
	for _, m := range regexp.MustCompile(`"\$ref":"`+regexp.QuoteMeta(componentPrefix)+`([^"]+)"`).FindAllSubmatch(text, -1) {
		if _, ok := known[string(m[1])]; !ok && registry.files[string(m[1])] == nil {
			return nil, fmt.Errorf("openapi: nothing is named %s", m[1])
		}
	}
	return text, nil
}
