package schemas

import (
	"bytes"
	stdjson "encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/answerable-ledger/answerable/domain"
)

// maxDepth bounds the nesting of what people send. Chosen: nothing of ours is nested deeper than eight.
const maxDepth = 32

// valueReader turns JSON into the plain values that the schema library judges. It is stricter than that library in two
// ways. A name that occurs twice is a fault with its place. A number must be written as an integer: 1.0 and 1e3 are
// refused like 1.5, because what a person typed with decimals may be meant as a rate, and because 1e999999999 is an
// integer too.
type valueReader struct {
	d      *jsontext.Decoder
	path   []byte // JSON Pointer of the value being read
	depth  int
	faults []domain.Fault
}

// readValue reads one whole JSON text; base is the pointer under which its faults are named. The value is usable when
// there are faults of duplicate names only; when the text is not JSON it is nil.
func readValue(text []byte, base string) (any, []domain.Fault) {
	r := valueReader{
		d:    jsontext.NewDecoder(bytes.NewReader(text), jsontext.AllowDuplicateNames(true)),
		path: append(make([]byte, 0, 128), base...),
	}
	v, err := r.value()
	if err == nil {
		if _, end := r.d.ReadToken(); end == nil {
			err = ErrMoreValues
		} else if end != io.EOF {
			err = end
		}
	}
	if err != nil {
		return nil, append(r.faults, SyntaxFault(err, string(r.path)))
	}
	return v, r.faults
}

// SyntaxFault says in one fault why a text is not JSON. Texts that are not UTF-8 are not JSON.
func SyntaxFault(err error, pointer string) domain.Fault {
	return domain.NewFault(domain.CodeJSON, pointer, "detail", syntaxDetail(err))
}

// ErrMoreValues: after the value that was wanted there is another.
var ErrMoreValues = errors.New("more than one value")

var (
	errTooDeep = fmt.Errorf("nested deeper than %d", maxDepth)
	unexpected = regexp.MustCompile(`invalid character ('(?:[^'\\]|\\.)+')`)
)

// syntaxDetail says what is wrong as one of domain's words, with the character and the place that belong to it.
func syntaxDetail(err error) string {
	var syntax *jsontext.SyntacticError
	text, place := err.Error(), ""
	if errors.As(err, &syntax) && syntax.Err != nil {
		text, place = syntax.Err.Error(), fmt.Sprintf(" (byte %d)", syntax.ByteOffset)
	}
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return "unexpected_end" + place
	case errors.Is(err, io.EOF):
		return "nothing"
	case errors.Is(err, ErrMoreValues):
		return "more_values"
	case errors.Is(err, errTooDeep):
		return "too_deep"
	case errors.Is(err, jsontext.ErrNonStringName):
		return "name_not_string" + place
	case strings.Contains(text, "UTF-8"):
		return "utf8" + place
	}
	if m := unexpected.FindStringSubmatch(text); m != nil {
		return "character " + m[1] + place
	}
	return "syntax" + place
}

func (r *valueReader) value() (any, error) {
	switch k := r.d.PeekKind(); k {
	case '{', '[':
		if r.depth++; r.depth > maxDepth {
			return nil, errTooDeep
		}
		defer func() { r.depth-- }()
		if k == '{' {
			return r.object()
		}
		return r.array()
	default:
		t, err := r.d.ReadToken()
		if err != nil {
			return nil, err
		}
		switch t.Kind() {
		case '"':
			return t.String(), nil
		case '0':
			return integer(t.String()), nil
		case 't', 'f':
			return t.Bool(), nil
		}
		return nil, nil
	}
}

func (r *valueReader) object() (any, error) {
	if _, err := r.d.ReadToken(); err != nil {
		return nil, err
	}
	out := make(map[string]any, 8)
	here := len(r.path)
	for r.d.PeekKind() == '"' {
		t, err := r.d.ReadToken()
		if err != nil {
			return nil, err
		}
		name := t.String()
		r.path = appendPointer(r.path[:here], name)
		_, twice := out[name]
		if twice {
			r.faults = append(r.faults, domain.NewFault(domain.CodeDuplicate, string(r.path), "name", name))
		}
		v, err := r.value()
		if err != nil {
			return nil, err
		}
		if !twice {
			out[name] = v
		}
		r.path = r.path[:here]
	}
	_, err := r.d.ReadToken()
	return out, err
}

func (r *valueReader) array() (any, error) {
	if _, err := r.d.ReadToken(); err != nil {
		return nil, err
	}
	out := []any{}
	here := len(r.path)
	for r.d.PeekKind() != ']' {
		r.path = strconv.AppendInt(append(r.path[:here], '/'), int64(len(out)), 10)
		v, err := r.value()
		if err != nil {
			return nil, err
		}
		out = append(out, v)
		r.path = r.path[:here]
	}
	_, err := r.d.ReadToken()
	return out, err
}

// integer is a number that is written as one, or null, which no schema of ours takes for a number. Longer ones than
// any bound are cut: they stay out of range and cost nothing to compare.
func integer(s string) any {
	digits := strings.TrimPrefix(s, "-")
	for _, c := range []byte(digits) {
		if c < '0' || c > '9' {
			return nil
		}
	}
	if s == "-0" {
		return nil
	}
	if len(digits) > 20 {
		s = s[:len(s)-len(digits)+20]
	}
	return stdjson.Number(s)
}

// appendPointer adds one name to a JSON Pointer (RFC 6901).
func appendPointer(b []byte, name string) []byte {
	b = append(b, '/')
	for _, c := range []byte(name) {
		switch c {
		case '~':
			b = append(b, '~', '0')
		case '/':
			b = append(b, '~', '1')
		default:
			b = append(b, c)
		}
	}
	return b
}
