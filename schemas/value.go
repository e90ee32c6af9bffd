package schemas

import (
	"bytes"
	stdjson "encoding/json"
	"errors"
	"fmt"
	"io"
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
			err = errors.New("more than one value")
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
	var syntax *jsontext.SyntacticError
	detail := err.Error()
	if errors.As(err, &syntax) && syntax.Err != nil {
		detail = fmt.Sprintf("%v (byte %d)", syntax.Err, syntax.ByteOffset)
	}
	if errors.Is(err, io.EOF) {
		detail = "nothing there"
	}
	return domain.NewFault(domain.CodeJSON, pointer, "detail", strings.TrimPrefix(detail, "jsontext: "))
}

func (r *valueReader) value() (any, error) {
	switch k := r.d.PeekKind(); k {
	case '{', '[':
		if r.depth++; r.depth > maxDepth {
			return nil, fmt.Errorf("nested deeper than %d", maxDepth)
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
