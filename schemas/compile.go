package schemas

import (
	"bytes"
	stdjson "encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v5"

	"github.com/answerable-ledger/answerable/domain"
)

// This file is the only one that knows the schema library. What leaves it are faults in a stable order: the library
// walks maps, so its own order differs from run to run.

// baseURL is the name space of our schemas. Nothing is ever fetched from it.
const baseURL = "https://answerable.example/schemas/"

// atMostKeyword names, on an object, figures that may not exceed another one: {"installed": "smartphone_users"}.
const atMostKeyword = "answerable:atMost"

// integerKeyword stands, after expand, for the three keywords of a bounded integer. No file has it.
const integerKeyword = "answerable:integer"

// compiled is a set of schemas that refer to one another.
type compiled struct {
	roots map[string]*jsonschema.Schema // by path below baseURL, without .json
	nodes map[string]*jsonschema.Schema // by location, for reading limits when something fails
	plain map[string]*plainSchema       // the roots that are plain enough
}

// compile takes every schema file by its path below baseURL, without .json.
func compile(files map[string][]byte) (*compiled, error) {
	c := jsonschema.NewCompiler()
	c.Draft = jsonschema.Draft2020
	c.AssertFormat = true
	c.LoadURL = func(s string) (io.ReadCloser, error) { // the default reads file:// references from the disk
		return nil, fmt.Errorf("schemas refer to released schemas only, not to %s", s)
	}
	meta, err := jsonschema.CompileString(baseURL+"keyword/atMost", `{"properties": {"`+atMostKeyword+`": {"type": "object", "additionalProperties": {"type": "string"}}}}`)
	if err != nil {
		return nil, err
	}
	c.RegisterExtension(atMostKeyword, meta, atMostCompiler{})
	c.RegisterExtension(integerKeyword, meta, integerCompiler{})
	c.ExtractAnnotations = true
	defs, err := definitions(files)
	if err != nil {
		return nil, err
	}
	out := &compiled{roots: map[string]*jsonschema.Schema{}, nodes: map[string]*jsonschema.Schema{}, plain: map[string]*plainSchema{}}
	for name, text := range files {
		var doc any
		if text, err = defs.inline(text); err == nil {
			doc, err = plain(text)
		}
		if err == nil {
			err = c.AddResource(baseURL+name, bytes.NewReader(text))
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if s, ok := newPlain(doc); ok {
			out.plain[name] = s
		}
	}
	for name := range files {
		s, err := c.Compile(baseURL + name)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		out.roots[name] = s
		out.index(s)
	}
	return out, nil
}

// index remembers a schema and all it is made of by location.
func (c *compiled) index(s *jsonschema.Schema) {
	if s == nil || c.nodes[s.Location] != nil {
		return
	}
	c.nodes[s.Location] = s
	parts := []*jsonschema.Schema{s.Ref, s.PropertyNames, s.Items2020, s.Not, s.If, s.Then, s.Else}
	if a, ok := s.AdditionalProperties.(*jsonschema.Schema); ok {
		parts = append(parts, a)
	}
	for _, p := range s.Properties {
		parts = append(parts, p)
	}
	for _, p := range s.PatternProperties {
		parts = append(parts, p)
	}
	for _, p := range slices.Concat(parts, s.AllOf, s.AnyOf, s.OneOf, s.PrefixItems) {
		c.index(p)
	}
}

// sharedDefs is what "$ref" may name, by the whole reference.
type sharedDefs map[string]any

func definitions(files map[string][]byte) (sharedDefs, error) {
	out := sharedDefs{}
	for name, text := range files {
		if !strings.HasPrefix(name, "defs/") {
			continue
		}
		doc, err := plain(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		defs, _ := memberOf(doc, "$defs")
		object, _ := defs.(map[string]any)
		for def, s := range object {
			out[baseURL+name+"#/$defs/"+def] = s
			out["#/$defs/"+def] = s // as written inside the file
		}
	}
	return out, nil
}

// inline puts the definitions in the place of the references to them, with their name as "$comment". The meaning is the
// same and judging is twice as fast: the library enters a schema for each reference.
func (d sharedDefs) inline(text []byte) ([]byte, error) {
	doc, err := plain(text)
	if err != nil {
		return nil, err
	}
	if doc, err = d.expand(doc, 0); err != nil {
		return nil, err
	}
	return stdjson.Marshal(doc)
}

func (d sharedDefs) expand(v any, depth int) (any, error) {
	if depth > 4*maxDepth {
		return nil, errors.New("the definitions refer to one another in a circle")
	}
	switch x := v.(type) {
	case []any:
		out := make([]any, len(x))
		for i := range x {
			var err error
			if out[i], err = d.expand(x[i], depth+1); err != nil {
				return nil, err
			}
		}
		return out, nil
	case map[string]any:
		if ref, ok := x["$ref"].(string); ok && len(x) == 1 && d[ref] != nil {
			def, err := d.expand(d[ref], depth+1)
			if object, ok := def.(map[string]any); ok {
				object["$comment"] = path.Base(ref)
			}
			return def, err
		}
		if bounds, ok := boundedInteger(x); ok {
			return bounds, nil
		}
		out := make(map[string]any, len(x)+1)
		for name := range x {
			var err error
			if out[name], err = d.expand(x[name], depth+1); err != nil {
				return nil, err
			}
		}
		return out, nil
	}
	return v, nil
}

func plain(text []byte) (any, error) {
	var doc any
	d := stdjson.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	err := d.Decode(&doc)
	return doc, err
}

// check judges a value that readValue gave under the named schema. base is put before every pointer.
func (c *compiled) check(name string, v any, base string) []domain.Fault {
	s, ok := c.roots[name]
	if !ok {
		return []domain.Fault{domain.NewFault(domain.CodeSchema, base, "detail", "no schema "+name)}
	}
	if quick := c.plain[name]; quick != nil && quick.accepts(v) {
		return nil
	}
	err := s.Validate(v)
	if err == nil {
		return nil
	}
	var failure *jsonschema.ValidationError
	if !errors.As(err, &failure) {
		return []domain.Fault{domain.NewFault(domain.CodeSchema, base, "detail", err.Error())}
	}
	var out []domain.Fault
	for _, leaf := range leaves(failure, nil) {
		out = append(out, c.faults(leaf, v, base)...)
	}
	return out
}

// leaves drops the wrappers, whose causes say it better.
func leaves(e *jsonschema.ValidationError, out []*jsonschema.ValidationError) []*jsonschema.ValidationError {
	if len(e.Causes) == 0 {
		return append(out, e)
	}
	for _, c := range e.Causes {
		out = leaves(c, out)
	}
	return out
}

// faults says one failure in our codes. The library's messages are English and have no parts, so limits are read from
// the schema and values from the instance again.
func (c *compiled) faults(e *jsonschema.ValidationError, root any, base string) []domain.Fault {
	pointer, value := find(root, e.InstanceLocation)
	at := base + pointer
	one := func(code domain.Code, args ...string) []domain.Fault {
		return []domain.Fault{domain.NewFault(code, at, args...)}
	}
	location, keyword, _ := cutLast(e.AbsoluteKeywordLocation)
	if l, name, ok := cutLast(location); ok && name == atMostKeyword { // …/answerable:atMost/installed
		if s := c.nodes[l]; s != nil {
			if limits, ok := s.Extensions[atMostKeyword].(atMost); ok {
				return []domain.Fault{limits.fault(keyword, value, at)}
			}
		}
	}
	s := c.nodes[location]
	if s == nil {
		return one(domain.CodeSchema, "detail", keyword)
	}
	switch keyword {
	case "type":
		return one(domain.CodeType, "want", strings.Join(s.Types, ", "))
	case "required":
		return c.names(s.Required, at, domain.CodeRequired, "name", func(n string) bool { _, ok := memberOf(value, n); return !ok })
	case "additionalProperties":
		object, _ := value.(map[string]any)
		unknown := make([]string, 0, 1)
		for n := range object {
			if s.Properties[n] == nil && !matchesAny(s.PatternProperties, n) {
				unknown = append(unknown, n)
			}
		}
		return c.names(unknown, at, domain.CodeFieldUnknown, "field", func(string) bool { return true })
	case integerKeyword:
		bounds, _ := s.Extensions[integerKeyword].(bounds)
		if _, ok := value.(stdjson.Number); !ok {
			return one(domain.CodeNotInteger)
		}
		return one(domain.CodeRange, "min", strconv.FormatInt(bounds.min, 10), "max", strconv.FormatInt(bounds.max, 10))
	case "maxLength":
		return one(domain.CodeTextTooLong, "max", strconv.Itoa(s.MaxLength))
	case "minLength":
		return one(domain.CodeTextMissing)
	case "enum":
		return one(domain.CodeChoice, "value", fmt.Sprint(value))
	case "format", "pattern":
		switch s.Comment {
		case "id":
			return one(domain.CodeID, "value", fmt.Sprint(value))
		case "date":
			return one(domain.CodeDate, "value", fmt.Sprint(value))
		case "clock_time":
			return one(domain.CodeClockTime, "value", fmt.Sprint(value))
		}
	}
	return one(domain.CodeSchema, "detail", keyword)
}

func (c *compiled) names(names []string, at string, code domain.Code, arg string, wanted func(string) bool) []domain.Fault {
	var out []domain.Fault
	for _, n := range names {
		if wanted(n) {
			out = append(out, domain.NewFault(code, string(appendPointer([]byte(at), n)), arg, n))
		}
	}
	return out
}

func matchesAny(patterns map[*regexp.Regexp]*jsonschema.Schema, name string) bool {
	for p := range patterns {
		if p.MatchString(name) {
			return true
		}
	}
	return false
}

func memberOf(v any, name string) (any, bool) {
	object, _ := v.(map[string]any)
	m, ok := object[name]
	return m, ok
}

// cutLast splits a location before its last name; a location like x#/type becomes x# and type.
func cutLast(location string) (before, last string, ok bool) {
	i := strings.LastIndexByte(location, '/')
	if i < 0 {
		return location, "", false
	}
	last, err := url.PathUnescape(location[i+1:])
	if err != nil {
		last = location[i+1:]
	}
	return location[:i], last, true
}

// find follows the library's instance location, a pointer whose names are percent-encoded as well, and gives it as a
// JSON Pointer with the value it leads to.
func find(root any, location string) (string, any) {
	var pointer []byte
	v := root
	for _, part := range strings.Split(location, "/")[1:] {
		if unescaped, err := url.PathUnescape(part); err == nil {
			part = unescaped
		}
		part = strings.ReplaceAll(strings.ReplaceAll(part, "~1", "/"), "~0", "~")
		pointer = appendPointer(pointer, part)
		switch x := v.(type) {
		case map[string]any:
			v = x[part]
		case []any:
			i, err := strconv.Atoi(part)
			if err != nil || i < 0 || i >= len(x) {
				return string(pointer), nil
			}
			v = x[i]
		default:
			v = nil
		}
	}
	return string(pointer), v
}

// boundedInteger rewrites a schema of the form {"type": "integer", "minimum": …, "maximum": …}, which all our numbers
// have, to one keyword of ours. It means the same of what readValue gives; the library would make a fraction of
// big integers of every number, three times.
func boundedInteger(schema map[string]any) (map[string]any, bool) {
	lo, ok1 := schema["minimum"].(stdjson.Number)
	hi, ok2 := schema["maximum"].(stdjson.Number)
	if schema["type"] != "integer" || !ok1 || !ok2 {
		return nil, false
	}
	out := map[string]any{integerKeyword: []any{lo, hi}}
	for name, v := range schema {
		if name != "type" && name != "minimum" && name != "maximum" {
			out[name] = v
		}
	}
	return out, true
}

// bounds is the compiled keyword of a bounded integer.
type bounds struct{ min, max int64 }

type integerCompiler struct{}

// Compile reads the two bounds.
func (integerCompiler) Compile(_ jsonschema.CompilerContext, m map[string]any) (jsonschema.ExtSchema, error) {
	pair, ok := m[integerKeyword].([]any)
	if !ok {
		return nil, nil
	}
	var b bounds
	for i, p := range []*int64{&b.min, &b.max} {
		n, _ := pair[i].(stdjson.Number)
		var err error
		if *p, err = n.Int64(); err != nil {
			return nil, fmt.Errorf("bound %q: %w", n, err)
		}
	}
	return b, nil
}

// Validate accepts integers between the bounds and nothing else.
func (b bounds) Validate(ctx jsonschema.ValidationContext, v any) error {
	if n, ok := v.(stdjson.Number); !ok || !b.hold(n) {
		return ctx.Error(integerKeyword, "not an integer between %d and %d", b.min, b.max)
	}
	return nil
}

func (b bounds) hold(n stdjson.Number) bool {
	i, err := n.Int64()
	return err == nil && b.min <= i && i <= b.max
}

// atMost is the compiled keyword: pairs of a member and the member it may not exceed, sorted.
type atMost []limit

type limit struct{ name, limit string }

type atMostCompiler struct{}

// Compile reads the keyword; both names of a pair must be properties of the same object, or a misspelt one would never
// be compared.
func (atMostCompiler) Compile(_ jsonschema.CompilerContext, m map[string]any) (jsonschema.ExtSchema, error) {
	pairs, ok := m[atMostKeyword].(map[string]any)
	if !ok {
		return nil, nil
	}
	properties, _ := m["properties"].(map[string]any)
	var out atMost
	for name, l := range pairs {
		bound, _ := l.(string)
		if properties[name] == nil || properties[bound] == nil {
			return nil, fmt.Errorf("%s: %q or %q is not a property", atMostKeyword, name, bound)
		}
		out = append(out, limit{name, bound})
	}
	slices.SortFunc(out, func(a, b limit) int { return strings.Compare(a.name, b.name) })
	return out, nil
}

// Validate compares the pairs whose both members are integers; what is missing or no number is another keyword's.
func (a atMost) Validate(ctx jsonschema.ValidationContext, v any) error {
	var failed []error
	for _, l := range a {
		if x, y, exceeds := l.exceeded(v); exceeds {
			failed = append(failed, ctx.Error(atMostKeyword+"/"+l.name, "%d exceeds %d", x, y))
		}
	}
	switch len(failed) {
	case 0:
		return nil
	case 1:
		return failed[0]
	}
	return jsonschema.ValidationError{}.Group(ctx.Error(atMostKeyword, "figures exceed others"), failed...)
}

// exceeded compares the pair in an object.
func (l limit) exceeded(v any) (x, y int64, exceeds bool) {
	x, ok1 := integerMember(v, l.name)
	y, ok2 := integerMember(v, l.limit)
	return x, y, ok1 && ok2 && x > y
}

func (a atMost) hold(object map[string]any) bool {
	for _, l := range a {
		if _, _, exceeds := l.exceeded(object); exceeds {
			return false
		}
	}
	return true
}

func (a atMost) fault(name string, object any, at string) domain.Fault {
	bound := ""
	for _, l := range a {
		if l.name == name {
			bound = l.limit
		}
	}
	x, _ := integerMember(object, name)
	y, _ := integerMember(object, bound)
	return domain.NewFault(domain.CodeAtMost, string(appendPointer([]byte(at), name)), "field", name,
		"value", strconv.FormatInt(x, 10), "limit_field", bound, "limit", strconv.FormatInt(y, 10))
}

func integerMember(v any, name string) (int64, bool) {
	m, _ := memberOf(v, name)
	n, ok := m.(stdjson.Number)
	if !ok {
		return 0, false
	}
	i, err := n.Int64()
	return i, err == nil
}
