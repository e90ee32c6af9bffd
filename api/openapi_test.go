package api

import (
	"bytes"
	stdjson "encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v5"
)

// contract is the OpenAPI document as a program of somebody else's reads it.
type contract struct {
	doc      map[string]any
	compiler *jsonschema.Compiler
	mu       sync.Mutex
	compiled map[string]*jsonschema.Schema
}

const documentURL = "https://document.example/openapi.json"

// contracts are read once for each text: every world serves the same.
var contracts sync.Map

func contractOf(t testing.TB, text []byte) *contract {
	if known, ok := contracts.Load(string(text)); ok {
		return known.(*contract)
	}
	c := &contract{compiler: jsonschema.NewCompiler(), compiled: map[string]*jsonschema.Schema{}}
	c.compiler.Draft = jsonschema.Draft2020
	c.compiler.AssertFormat = true
	c.compiler.LoadURL = func(s string) (io.ReadCloser, error) { return nil, fmt.Errorf("%s lies outside the document", s) }
	if err := stdjson.Unmarshal(text, &c.doc); err != nil {
		t.Fatal(err)
	}
	if err := c.compiler.AddResource(documentURL, bytes.NewReader(text)); err != nil {
		t.Fatal(err)
	}
	contracts.Store(string(text), c)
	return c
}

// at follows a JSON pointer; nil when it leads nowhere.
func (c *contract) at(pointer string) any {
	var v any = c.doc
	for _, token := range strings.Split(strings.TrimPrefix(pointer, "#/"), "/") {
		token = strings.NewReplacer("~1", "/", "~0", "~").Replace(token)
		switch x := v.(type) {
		case map[string]any:
			v = x[token]
		case []any:
			i, err := strconv.Atoi(token)
			if err != nil || i >= len(x) {
				return nil
			}
			v = x[i]
		default:
			return nil
		}
	}
	return v
}

// resolved is an object of the document, or what it refers to, and its pointer.
func (c *contract) resolved(pointer string) (map[string]any, string) {
	v, _ := c.at(pointer).(map[string]any)
	if ref, ok := v["$ref"].(string); ok {
		return c.resolved(ref)
	}
	return v, pointer
}

func (c *contract) schema(pointer string) (*jsonschema.Schema, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.compiled[pointer]; s != nil {
		return s, nil
	}
	s, err := c.compiler.Compile(documentURL + pointer)
	if err == nil {
		c.compiled[pointer] = s
	}
	return s, err
}

func token(s string) string { return strings.NewReplacer("~", "~0", "/", "~1").Replace(s) }

// asDocumented holds an answer against the document: its status, its headers, its media type and its content.
func asDocumented(t testing.TB, h *Handler, r *http.Request, answer *httptest.ResponseRecorder) {
	t.Helper()
	_, pattern := h.mux.Handler(r)
	method, path, ok := strings.Cut(pattern, " ")
	c := contractOf(t, h.openapi)
	operation := "#/paths/" + token(path) + "/" + strings.ToLower(method)
	if !ok || c.at(operation) == nil {
		return // a page, or nothing
	}
	name := fmt.Sprintf("%s %s: %d", r.Method, r.URL, answer.Code)
	response, pointer := c.resolved(operation + "/responses/" + strconv.Itoa(answer.Code))
	if response == nil {
		t.Errorf("%s is not documented\n%s", name, answer.Body)
		return
	}
	documented, _ := response["headers"].(map[string]any)
	for header := range answer.Header() {
		said := slices.ContainsFunc([]string{"Content-Type", "Content-Length", "Vary", "Cache-Control", "X-Accel-Buffering"}, func(s string) bool { return s == header }) ||
			slices.ContainsFunc(h.headers, func(s securityHeader) bool { return s.name == header })
		for d := range documented {
			said = said || http.CanonicalHeaderKey(d) == header
		}
		if !said {
			t.Errorf("%s: the header %s is not documented", name, header)
		}
	}
	for _, must := range map[int][]string{401: {"WWW-Authenticate"}, 412: nil, 503: {"Retry-After"}}[answer.Code] {
		if answer.Header().Get(must) == "" || documented[must] == nil {
			t.Errorf("%s without %s", name, must)
		}
	}
	content, _ := response["content"].(map[string]any)
	mediaType, _, _ := strings.Cut(answer.Header().Get("Content-Type"), ";")
	if len(content) == 0 && answer.Body.Len() == 0 {
		return
	}
	if content[mediaType] == nil {
		t.Errorf("%s: %s is not documented", name, mediaType)
		return
	}
	if !strings.HasSuffix(mediaType, "json") || strings.HasSuffix(r.URL.Path, "/openapi.json") {
		return
	}
	s, err := c.schema(pointer + "/content/" + token(mediaType) + "/schema")
	if err != nil {
		t.Errorf("%s: %v", name, err)
		return
	}
	var v any
	d := stdjson.NewDecoder(bytes.NewReader(answer.Body.Bytes()))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		t.Errorf("%s: %v", name, err)
		return
	}
	if err := s.Validate(v); err != nil {
		t.Errorf("%s: %#v\n%s", name, err, answer.Body)
	}
}

// TestEveryReferenceResolves inside the document, every schema compiles, and no text of a file's own keywords is left.
func TestEveryReferenceResolves(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	c := contractOf(t, w.handler.openapi)
	refs := 0
	var walk func(place string, v any)
	walk = func(place string, v any) {
		switch x := v.(type) {
		case map[string]any:
			for name, value := range x {
				if ref, ok := value.(string); ok && name == "$ref" {
					if refs++; !strings.HasPrefix(ref, "#/components/") || strings.Count(ref, "/") != 3 || c.at(ref) == nil {
						t.Errorf("%s: %s leads nowhere", place, ref)
					}
				}
				if strings.HasPrefix(name, "answerable:") || name == "$id" || name == "$schema" || name == "$defs" {
					t.Errorf("%s holds %s", place, name)
				}
				walk(place+"/"+token(name), value)
			}
		case []any:
			for i, value := range x {
				walk(place+"/"+strconv.Itoa(i), value)
			}
		}
	}
	walk("#", c.doc)
	if refs < 500 {
		t.Errorf("%d references", refs)
	}
	all, _ := c.at("#/components/schemas").(map[string]any)
	for name := range all {
		if _, err := c.schema("#/components/schemas/" + token(name)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestTheDocumentJudgesAsTheLedger: a body that the ledger takes is valid under the document, and the other way round.
func TestTheDocumentJudgesAsTheLedger(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	s, err := contractOf(t, w.handler.openapi).schema("#/components/schemas/forms.commune.2")
	if err != nil {
		t.Fatal(err)
	}
	for figures, valid := range map[string]bool{
		`{"smartphone_users":8000,"installed":4000,"new_today":100}`:            true,
		`{"smartphone_users":8000,"installed":4000}`:                            false,
		`{"smartphone_users":8000,"installed":4000,"new_today":-1}`:             false,
		`{"smartphone_users":8000,"installed":4000,"new_today":"100"}`:          false,
		`{"smartphone_users":8000,"installed":4000,"new_today":1,"nosuch":1}`:   false,
		`{"smartphone_users":8000,"installed":4000,"new_today":1.5}`:            false,
		`{"smartphone_users":9007199254740993,"installed":4000,"new_today":10}`: false,
	} {
		var v any
		d := stdjson.NewDecoder(strings.NewReader(figures))
		d.UseNumber()
		if err := d.Decode(&v); err != nil {
			t.Fatal(err)
		}
		if got := s.Validate(v) == nil; got != valid {
			t.Errorf("%s: valid %t under the document", figures, got)
		}
		r := w.ask(ask{as: "filer", method: "PUT", path: reportURL, body: `{"figures":` + figures + `}`})
		if got := r.Code < 300; got != valid {
			t.Errorf("%s: %d %s", figures, r.Code, r.Body)
		}
	}
}
