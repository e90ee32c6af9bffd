package api

import (
	"bytes"
	stdjson "encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/answerable-ledger/answerable/api/access"
	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/schemas"
)

// The document is made of the table of routes and of the schema files that judge what is sent: the components named
// forms.…, events.… and defs.… are the files themselves. Standard tools resolve references within the document alone, so
// the files' own ids go, their shared definitions become components, and references to either are rewritten; what our
// keywords say stands under the x- names that OpenAPI leaves to everybody.

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
		if strings.HasPrefix(name, "meta/") { // how events are kept; an answer never shows it
			return nil
		}
		text, err := fs.ReadFile(schemas.Files(), name)
		if err != nil {
			return err
		}
		return c.publish(strings.TrimSuffix(name, ".json"), text)
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
	c.describeEvents()
	return c, nil
}

// describeEvents says what may stand in an event: the payload of one of the kinds.
func (c *components) describeEvents() {
	c.Schema(reflect.TypeFor[CloudEvent](), true, "")
	data := &huma.Schema{Description: "The recorded payload, under the schema that dataschema names."}
	for _, name := range slices.Sorted(maps.Keys(c.files)) {
		if strings.HasPrefix(name, "events.") {
			data.AnyOf = append(data.AnyOf, &huma.Schema{Ref: componentPrefix + name})
		}
	}
	c.Map()["CloudEvent"].Properties["data"] = data
}

// publish takes a schema file into the components, in the form the head of this file describes.
func (c *components) publish(file string, text []byte) error {
	var doc map[string]any
	d := stdjson.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&doc); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	defs, _ := doc["$defs"].(map[string]any)
	delete(doc, "$defs")
	delete(doc, "$id")
	delete(doc, "$schema")
	for name, def := range defs {
		if err := c.add(definitionOf(file, name), publishedSchema(file, def)); err != nil {
			return err
		}
	}
	if len(defs) > 0 && len(doc) == 1 { // a title over definitions
		return nil
	}
	return c.add(componentOf(file), publishedSchema(file, doc))
}

func (c *components) add(name string, schema any) error {
	text, err := stdjson.Marshal(schema)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	c.files[name] = text
	return nil
}

// keywordPrefix stands before the keywords that are ours, publishedPrefix in its place.
const (
	keywordPrefix   = "answerable:"
	publishedPrefix = "x-answerable-"
)

func publishedSchema(file string, v any) any {
	switch x := v.(type) {
	case []any:
		for i := range x {
			x[i] = publishedSchema(file, x[i])
		}
	case map[string]any:
		out := make(map[string]any, len(x))
		for name, value := range x {
			if ref, ok := value.(string); ok && name == "$ref" {
				out[name] = publishedRef(file, ref)
				continue
			}
			if own, ok := strings.CutPrefix(name, keywordPrefix); ok {
				name = publishedPrefix + own
			}
			out[name] = publishedSchema(file, value)
		}
		return out
	}
	return v
}

// publishedRef is where a file's reference leads within the document.
func publishedRef(file, ref string) string {
	target, def, shared := strings.Cut(ref, "#/$defs/")
	if target = strings.TrimPrefix(target, schemaBase); target == "" {
		target = file
	}
	if shared {
		return componentPrefix + definitionOf(target, def)
	}
	return componentPrefix + componentOf(target)
}

// definitionOf names a file's shared definition: date of defs/1 is defs.1.date.
func definitionOf(file, def string) string { return componentOf(file) + "." + def }

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
	def := func(name string) map[string]string {
		return map[string]string{"$ref": componentPrefix + definitionOf("defs/1", name)}
	}
	figures = append(figures, def("figures"))
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
		Servers: []*huma.Server{{URL: "/"}},
		Components: &huma.Components{Schemas: c, Responses: problemResponses(c), Headers: answerHeaders(), SecuritySchemes: map[string]*huma.SecurityScheme{
			"token": {Type: "http", Scheme: "bearer", Description: "An API token, bound to a person; made with: answerable token create."}}},
		Security: []map[string][]string{{"token": {}}},
	}}
}

var pathName = regexp.MustCompile(`\{([a-z_]+)\}`)

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
		schema := param{kind: paramID}.schema()
		switch m[1] {
		case "date":
			schema = param{kind: paramDate}.schema()
		case "event_id":
			schema = &huma.Schema{Type: huma.TypeString, Format: "uuid"}
		}
		op.Parameters = append(op.Parameters, &huma.Param{Name: m[1], In: "path", Required: true, Schema: schema})
	}
	for _, p := range rt.params {
		shown := &huma.Param{Name: p.name, In: "query", Required: p.needed, Description: p.doc, Schema: p.schema()}
		if p.kind == paramChoices { // joined by commas, not given several times
			shown.Style, shown.Explode = "form", new(bool)
		}
		op.Parameters = append(op.Parameters, shown)
	}
	op.Parameters = append(op.Parameters, rt.requestHeaders()...)
	if schema := schemaOf(registry, rt.body, rt.bodyRef); schema != nil || len(rt.bodyTypes) > 0 {
		op.RequestBody = &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{}}
		for _, t := range orJSON(rt.bodyTypes) {
			op.RequestBody.Content[t] = &huma.MediaType{Schema: schema}
		}
	}
	rt.describeAnswers(op, registry)
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
		switch a.Reach {
		case access.Office:
			who = append(who, "who holds or held the office, or a right to sign for it")
		case access.Oneself:
			who = append(who, "the person themself")
		case access.All:
			who = append(who, string(a.Role)+" (for every unit)")
		case access.Own:
			who = append(who, string(a.Role)+" (of the unit)")
		case access.Subtree:
			who = append(who, string(a.Role)+" (of the unit, or one it reports through)")
		case access.Anywhere:
			who = append(who, string(a.Role))
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
