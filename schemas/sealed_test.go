package schemas

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// The set of events is sealed by the method event() in package domain. This test reads it from the source, so that an
// event somebody adds there is missed here and not in a replay.
func TestEveryEventHasDecoderSchemaAndSample(t *testing.T) {
	t.Parallel()
	sealed := sealedSet(t)
	if len(sealed) < 36 {
		t.Fatalf("found only %d events in ../domain: %v", len(sealed), sealed)
	}
	for typeName, kind := range sealed {
		current, ok := CurrentVersion(kind)
		if !ok {
			t.Errorf("%s (%s) has no current version", kind, typeName)
			continue
		}
		if !slices.Contains(Kinds(), kind) {
			t.Errorf("%s is missing in Kinds", kind)
		}
		if e, err := decodeEvent(kind, []byte(`{}`)); err != nil {
			t.Errorf("%s has no decoder: %v", kind, err)
		} else if e.Kind() != kind || fmt.Sprintf("%T", e) != "domain."+typeName {
			t.Errorf("%s is decoded as %T", kind, e)
		}
		for v := 1; v <= current; v++ {
			if _, err := files.ReadFile(eventSchema(kind, v) + ".json"); err != nil {
				t.Errorf("%s version %d has no schema: %v", kind, v, err)
			}
			if _, err := os.Stat(goldenPath(kind, v)); err != nil {
				t.Errorf("%s version %d has no golden sample: %v", kind, v, err)
			}
		}
	}
	for _, kind := range Kinds() {
		if !slices.ContainsFunc(values(sealed), func(k string) bool { return k == kind }) {
			t.Errorf("%s is decoded but is no event", kind)
		}
	}
}

// sealedSet maps the type of every event to its kind.
func sealedSet(t *testing.T) map[string]string {
	t.Helper()
	paths, err := filepath.Glob("../domain/*.go")
	if err != nil {
		t.Fatal(err)
	}
	events, kinds := map[string]bool{}, map[string]string{}
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || f.Recv == nil || len(f.Recv.List) != 1 {
				continue
			}
			receiver, ok := f.Recv.List[0].Type.(*ast.Ident)
			if !ok {
				continue
			}
			switch f.Name.Name {
			case "event":
				events[receiver.Name] = true
			case "Kind":
				if len(f.Body.List) != 1 {
					continue
				}
				r, ok := f.Body.List[0].(*ast.ReturnStmt)
				if !ok || len(r.Results) != 1 {
					continue
				}
				if lit, ok := r.Results[0].(*ast.BasicLit); ok {
					kinds[receiver.Name], _ = strconv.Unquote(lit.Value)
				}
			}
		}
	}
	out := map[string]string{}
	for name := range events {
		if kinds[name] == "" {
			t.Errorf("%s: Kind is not one string literal", name)
		}
		out[name] = kinds[name]
	}
	return out
}

func values(m map[string]string) []string {
	var out []string
	for _, v := range m {
		out = append(out, v)
	}
	return out
}
