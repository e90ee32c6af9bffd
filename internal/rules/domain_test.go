package rules

import (
	"go/ast"
	"go/token"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// texts reads the placeholders of each code's words from domain/messages.go, by the constant's name.
func texts(t *testing.T, tree *tree) map[string][]string {
	t.Helper()
	placeholder := regexp.MustCompile(`\{([a-z_]+)\}`)
	out := map[string][]string{}
	for _, s := range tree.sources {
		if s.name != "domain/messages.go" {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			kv, ok := n.(*ast.KeyValueExpr)
			if !ok {
				return true
			}
			id, ok := kv.Key.(*ast.Ident)
			words, isLit := kv.Value.(*ast.CompositeLit)
			if !ok || !isLit {
				return true
			}
			en, _ := strconv.Unquote(words.Elts[1].(*ast.BasicLit).Value)
			out[id.Name] = []string{}
			for _, m := range placeholder.FindAllStringSubmatch(en, -1) {
				out[id.Name] = append(out[id.Name], m[1])
			}
			return true
		})
	}
	if len(out) < 60 {
		t.Fatalf("read the words of only %d codes", len(out))
	}
	return out
}

// TestRefusalsFillTheirWords: a refusal made with a code gives every argument that the code's words name. A person never
// reads a {name}.
func TestRefusalsFillTheirWords(t *testing.T) {
	t.Parallel()
	tree := theTree(t)
	words := texts(t, tree)
	used := map[string]bool{}
	for _, s := range tree.sources {
		if s.test {
			continue
		}
		qualifier := "domain."
		if s.pkg == "domain" {
			qualifier = ""
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			at := -1
			for i, a := range call.Args {
				if name, ok := strings.CutPrefix(dotted(a), qualifier); ok && words[name] != nil {
					at = i
					used[name] = true
					break
				}
			}
			// The pointer follows the code, then pairs of name and value. Names that are not literal are not looked into.
			if at < 0 || call.Ellipsis != token.NoPos || at+1 >= len(call.Args) || strings.HasSuffix(dotted(call.Fun), "errors.Is") {
				return true
			}
			given := []string{}
			for i := at + 2; i < len(call.Args); i += 2 {
				lit, ok := call.Args[i].(*ast.BasicLit)
				if !ok {
					return true
				}
				name, _ := strconv.Unquote(lit.Value)
				given = append(given, name)
			}
			name := strings.TrimPrefix(dotted(call.Args[at]), "domain.")
			for _, want := range words[name] {
				if !slices.Contains(given, want) && !comparison(tree, s, call) {
					t.Errorf("%s:%d: %s is refused with, without its {%s}", s.name, s.line(call), name, want)
				}
			}
			return true
		})
	}
	for name := range words { // a promise of the API that nothing keeps
		if !used[name] && !mentioned(tree, name) {
			t.Errorf("domain.%s is refused with nowhere", name)
		}
	}
}

// mentioned reports whether a code stands anywhere but in a call: in a table, or returned.
func mentioned(tree *tree, name string) bool {
	word := regexp.MustCompile(`\b` + name + `\b`)
	return slices.ContainsFunc(tree.sources, func(s source) bool {
		return !s.test && s.name != "domain/messages.go" && word.Match(tree.files[s.name])
	})
}

// comparison reports whether a refusal is only made to compare an error with it, which needs no words.
func comparison(tree *tree, s source, call *ast.CallExpr) bool {
	found := false
	ast.Inspect(s.file, func(n ast.Node) bool {
		if outer, ok := n.(*ast.CallExpr); ok && dotted(outer.Fun) == "errors.Is" && len(outer.Args) == 2 && outer.Args[1] == call {
			found = true
		}
		return !found
	})
	return found
}

// TestEveryBoundIsAsked: a limit that nobody asks is no limit.
func TestEveryBoundIsAsked(t *testing.T) {
	t.Parallel()
	tree := theTree(t)
	var bounds []string
	for _, s := range tree.sources {
		if s.name != "domain/limits.go" {
			continue
		}
		for n, o := range s.file.Scope.Objects {
			if o.Kind == ast.Con {
				bounds = append(bounds, n)
			}
		}
	}
	if len(bounds) < 10 {
		t.Fatalf("read only %d bounds", len(bounds))
	}
	asked := map[string]bool{}
	for _, s := range tree.sources {
		if s.test || s.name == "domain/limits.go" {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			if id, ok := n.(*ast.Ident); ok {
				asked[id.Name] = true
			}
			return true
		})
	}
	for _, b := range bounds {
		if !asked[b] {
			t.Errorf("nothing asks domain.%s", b)
		}
	}
}

// TestEveryEventIsFolded: a fact that no state takes up is one that no decision can depend on.
func TestEveryEventIsFolded(t *testing.T) {
	t.Parallel()
	tree := theTree(t)
	sealed, folded := map[string]string{}, map[string]bool{}
	for _, s := range tree.sources {
		if s.pkg != "domain" || s.test {
			continue
		}
		for _, d := range s.file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || f.Recv == nil {
				continue
			}
			switch f.Name.Name {
			case "event":
				sealed[receiver(f)] = s.name
			case "Apply", "Fold": // Fold is Apply in place
				ast.Inspect(f, func(n ast.Node) bool {
					switch n := n.(type) {
					case *ast.CaseClause:
						for _, e := range n.List {
							folded[dotted(e)] = true
						}
					case *ast.TypeAssertExpr:
						if n.Type != nil {
							folded[dotted(n.Type)] = true
						}
					}
					return true
				})
			}
		}
	}
	if len(sealed) < 30 {
		t.Fatalf("read only %d events", len(sealed))
	}
	for e, file := range sealed {
		if !folded[e] {
			t.Errorf("%s: no Apply takes up %s", file, e)
		}
		if files := tree.declared()["domain"][e+".Kind"]; !slices.Contains(files, file) {
			t.Errorf("%s: %s has its Kind elsewhere: %v", file, e, files)
		}
	}
}
