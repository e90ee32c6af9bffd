package api

import (
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"golang.org/x/text/unicode/norm"

	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/schemas"
)

func isTooLarge(err error) bool {
	var tooLarge *http.MaxBytesError
	return errors.As(err, &tooLarge)
}

// bodyJSON is how bodies are read: no unknown members, no name twice, no invalid UTF-8, and every string in NFC, so that
// two spellings of one name are one.
var bodyJSON = json.JoinOptions(
	json.RejectUnknownMembers(true),
	json.WithUnmarshalers(json.UnmarshalFromFunc(func(d *jsontext.Decoder, s *string) error {
		if d.PeekKind() != '"' {
			return errors.ErrUnsupported // the usual decoder names the type that is wrong
		}
		token, err := d.ReadToken()
		if err == nil {
			*s = norm.NFC.String(token.String())
		}
		return err
	})),
)

// decodeBody reads a body of JSON into v, a struct of the route, and gives its bytes.
func decodeBody(c *call, v any) ([]byte, error) {
	raw, _, _, err := c.body(domain.MaxBodyBytes, jsonType)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(raw, v, bodyJSON); err != nil {
		return nil, bodyFault(err)
	}
	return raw, nil
}

// bodyFault says where a body is wrong and how.
func bodyFault(err error) error {
	var semantic *json.SemanticError
	var syntactic *jsontext.SyntacticError
	switch {
	case errors.As(err, &syntactic):
		pointer := string(syntactic.JSONPointer)
		switch {
		case errors.Is(err, jsontext.ErrDuplicateName):
			return domain.Refuse(domain.Invalid, domain.CodeDuplicate, pointer, "name", lastToken(syntactic.JSONPointer))
		}
		return &domain.Error{Kind: domain.Invalid, Faults: []domain.Fault{schemas.SyntaxFault(syntactic, pointer)}}
	case errors.As(err, &semantic):
		pointer := string(semantic.JSONPointer)
		if errors.Is(err, json.ErrUnknownName) {
			e := refuse(http.StatusUnprocessableEntity, codeMember, "name", lastToken(semantic.JSONPointer))
			e.pointer = pointer
			return e
		}
		want := "?"
		if semantic.GoType != nil {
			want = typeWanted(semantic.GoType)
		}
		return domain.Refuse(domain.Invalid, domain.CodeType, pointer, "want", want)
	}
	return &domain.Error{Kind: domain.Invalid, Faults: []domain.Fault{schemas.SyntaxFault(err, "")}}
}

// unreadable refuses a body that did not come whole, or whose parts cannot be told apart.
func unreadable(detail string, err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		detail = "cut_off"
	}
	return domain.Refuse(domain.Invalid, domain.CodeBody, "", "detail", detail)
}

func lastToken(p jsontext.Pointer) string {
	s := string(p)
	s = s[strings.LastIndexByte(s, '/')+1:]
	return strings.NewReplacer("~1", "/", "~0", "~").Replace(s)
}

// under moves the pointers of faults below the member the faulty value stands in; those of its siblings stay.
func under(base string, err error, siblings ...string) error {
	var refusal *domain.Error
	if !errors.As(err, &refusal) {
		return err
	}
	moved := &domain.Error{Kind: refusal.Kind, Faults: slices.Clone(refusal.Faults)}
	for i, f := range moved.Faults {
		if f.Pointer != "" && !slices.Contains(siblings, f.Pointer) {
			moved.Faults[i].Pointer = base + f.Pointer
		}
	}
	return moved
}
