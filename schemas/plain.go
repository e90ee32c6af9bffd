package schemas

import (
	stdjson "encoding/json"
	"regexp"
	"slices"
	"unicode/utf8"

	"github.com/santhosh-tekuri/jsonschema/v5"

	"github.com/answerable-ledger/answerable/domain"
)

// plainSchema is a schema that uses only the keywords below, in a form that judges a good value without allocating
// anything. It says yes or no. What it does not accept, the library judges, which also says what is wrong; so a value is
// taken by this one or by the library, and the tests hold them to the same answer.
//
// The library spends most of its time on what our schemas do not have: scopes, references, unevaluated members.
type plainSchema struct {
	kind          string // "" takes every type
	members       map[string]*plainSchema
	patterns      []plainPattern
	closed        bool // no members but these
	required      []string
	maxProperties int
	items         *plainSchema
	minItems      int
	maxItems      int
	minLength     int
	maxLength     int
	texts         []func(string) bool // patterns and formats
	enum          []string
	integer       jsonschema.ExtSchema
	limits        atMost
}

type plainPattern struct {
	name  func(string) bool
	value *plainSchema
}

// unlimited is the limit of a schema that sets none. Nothing that fits in memory is longer.
const unlimited = int(^uint(0) >> 1)

// newPlain makes a plain schema of one whose references are inlined; false when it uses any other keyword, or one in
// another way.
func newPlain(doc any) (*plainSchema, bool) {
	schema, ok := doc.(map[string]any)
	if !ok {
		return nil, false
	}
	s := &plainSchema{maxProperties: unlimited, maxItems: unlimited, maxLength: unlimited}
	for keyword, v := range schema {
		if !s.take(keyword, v, schema) {
			return nil, false
		}
	}
	return s, true
}

func (s *plainSchema) take(keyword string, v any, schema map[string]any) (ok bool) {
	switch keyword {
	case "$schema", "$id", "$comment", "title", "description", "answerable:form", "answerable:field":
		return true // notes
	case "type":
		s.kind, ok = v.(string)
		return ok && slices.Contains([]string{"object", "array", "string", "boolean"}, s.kind)
	case "properties":
		members, ok := v.(map[string]any)
		s.members = make(map[string]*plainSchema, len(members))
		for name, m := range members {
			if s.members[name], ok = newPlain(m); !ok {
				return false
			}
		}
		return ok || len(members) == 0
	case "patternProperties":
		members, ok := v.(map[string]any)
		for pattern, m := range members {
			value, plain := newPlain(m)
			matches, known := textPattern(pattern)
			if !plain || !known {
				return false
			}
			s.patterns = append(s.patterns, plainPattern{matches, value})
		}
		return ok
	case "additionalProperties":
		allowed, ok := v.(bool)
		s.closed = !allowed
		return ok
	case "required":
		s.required, ok = stringList(v)
		return ok
	case "enum":
		s.enum, ok = stringList(v)
		return ok && len(s.enum) > 0
	case "items":
		s.items, ok = newPlain(v)
		return ok
	case "maxProperties":
		return wholeNumber(v, &s.maxProperties)
	case "minItems":
		return wholeNumber(v, &s.minItems)
	case "maxItems":
		return wholeNumber(v, &s.maxItems)
	case "minLength":
		return wholeNumber(v, &s.minLength)
	case "maxLength":
		return wholeNumber(v, &s.maxLength)
	case "pattern":
		text, _ := v.(string)
		matches, ok := textPattern(text)
		s.texts = append(s.texts, matches)
		return ok
	case "format":
		name, _ := v.(string)
		format, ok := jsonschema.Formats[name]
		s.texts = append(s.texts, func(t string) bool { return format(t) })
		return ok
	case integerKeyword:
		var err error
		s.integer, err = integerCompiler{}.Compile(jsonschema.CompilerContext{}, schema)
		return err == nil && s.integer != nil
	case atMostKeyword:
		limits, err := atMostCompiler{}.Compile(jsonschema.CompilerContext{}, schema)
		s.limits, ok = limits.(atMost)
		return err == nil && ok
	}
	return false
}

func stringList(v any) ([]string, bool) {
	list, ok := v.([]any)
	out := make([]string, 0, len(list))
	for _, x := range list {
		text, isText := x.(string)
		if !isText {
			return nil, false
		}
		out = append(out, text)
	}
	return out, ok
}

func wholeNumber(v any, into *int) bool {
	n, _ := v.(stdjson.Number)
	i, err := n.Int64()
	*into = int(i)
	return err == nil && i >= 0 && i <= 1<<30
}

// textPattern is a pattern as a function. The two that stand in every event are written out: the regular expression of a
// digest alone costs as much as all else of a report.
func textPattern(pattern string) (func(string) bool, bool) {
	switch pattern {
	case "":
		return nil, false
	case "^[a-z0-9_]{1,40}$":
		return domain.ValidID, true
	case "^[0-9a-f]{64}$":
		return isDigest, true
	}
	re, err := regexp.Compile(pattern)
	if err != nil {
		return nil, false
	}
	return re.MatchString, true
}

func isDigest(s string) bool {
	if len(s) != 64 {
		return false
	}
	for _, c := range []byte(s) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// accepts tells whether a value that readValue gave is good under the schema.
func (s *plainSchema) accepts(v any) bool {
	if s.integer != nil {
		n, ok := v.(stdjson.Number)
		if bounds, _ := s.integer.(bounds); !ok || !bounds.hold(n) {
			return false
		}
	}
	switch v := v.(type) {
	case map[string]any:
		return (s.kind == "" || s.kind == "object") && s.enum == nil && s.acceptsObject(v)
	case []any:
		if s.kind != "" && s.kind != "array" || s.enum != nil || len(v) < s.minItems || len(v) > s.maxItems {
			return false
		}
		for _, item := range v {
			if s.items != nil && !s.items.accepts(item) {
				return false
			}
		}
		return true
	case string:
		return (s.kind == "" || s.kind == "string") && s.acceptsText(v)
	case bool:
		return (s.kind == "" || s.kind == "boolean") && s.enum == nil
	}
	return s.kind == "" && s.enum == nil // numbers, and null
}

func (s *plainSchema) acceptsText(v string) bool {
	if s.enum != nil && !slices.Contains(s.enum, v) {
		return false
	}
	if s.minLength > 0 || s.maxLength != unlimited {
		if n := utf8.RuneCountInString(v); n < s.minLength || n > s.maxLength {
			return false
		}
	}
	for _, holds := range s.texts {
		if !holds(v) {
			return false
		}
	}
	return true
}

func (s *plainSchema) acceptsObject(v map[string]any) bool {
	if len(v) > s.maxProperties {
		return false
	}
	for _, name := range s.required {
		if _, ok := v[name]; !ok {
			return false
		}
	}
	for name, value := range v {
		member, known := s.members[name]
		if known && !member.accepts(value) {
			return false
		}
		for _, p := range s.patterns {
			if p.name(name) {
				if known = true; !p.value.accepts(value) {
					return false
				}
			}
		}
		if !known && s.closed {
			return false
		}
	}
	return s.limits.hold(v)
}
