package domain_test

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/text/unicode/norm"

	"github.com/answerable-ledger/answerable/domain"
)

var placeholder = regexp.MustCompile(`\{[^}]*\}`)

// constants reads the constants of a type from this package's source, by name.
func constants(t *testing.T, typ string) map[string]string {
	t.Helper()
	found := map[string]string{}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			if g, ok := d.(*ast.GenDecl); ok && g.Tok == token.CONST {
				for _, s := range g.Specs {
					v := s.(*ast.ValueSpec)
					if id, ok := v.Type.(*ast.Ident); !ok || id.Name != typ {
						continue
					}
					s, err := strconv.Unquote(v.Values[0].(*ast.BasicLit).Value)
					if err != nil {
						t.Fatal(err)
					}
					found[v.Names[0].Name] = s
				}
			}
		}
	}
	return found
}

// TestEveryCodeHasItsWords in both languages, with the same gaps to fill, in Unicode NFC.
func TestEveryCodeHasItsWords(t *testing.T) {
	t.Parallel()
	codes := slices.Collect(maps.Values(constants(t, "Code")))
	if len(codes) < 60 {
		t.Fatalf("read only %d codes from the source", len(codes))
	}
	for _, rule := range constants(t, "FindingRule") {
		codes = append(codes, "finding_"+rule)
	}
	said := map[string]domain.Code{}
	for _, c := range codes {
		c := domain.Code(c)
		if !c.Explained() {
			t.Errorf("%s has no words", c)
			continue
		}
		vi, en := domain.NewFault(c, "").Text(domain.Vietnamese), domain.NewFault(c, "").Text(domain.English)
		if strings.TrimSpace(vi) == "" || strings.TrimSpace(en) == "" || vi == en {
			t.Errorf("%s: %q and %q", c, vi, en)
		}
		if !norm.NFC.IsNormalString(vi) || !norm.NFC.IsNormalString(en) {
			t.Errorf("%s is not in NFC", c)
		}
		a, b := placeholder.FindAllString(vi, -1), placeholder.FindAllString(en, -1)
		slices.Sort(a)
		slices.Sort(b)
		if !slices.Equal(slices.Compact(a), slices.Compact(b)) {
			t.Errorf("%s: %v in Vietnamese, %v in English", c, a, b)
		}
		if other, ok := said[vi]; ok {
			t.Errorf("%s and %s say the same", c, other)
		}
		said[vi] = c
	}
	if n := strings.Count(read(t, "messages.go"), "\n\tCode") + strings.Count(read(t, "messages.go"), "\n\t\"finding_"); n != 2*len(constants(t, "Code"))+len(constants(t, "FindingRule")) {
		t.Errorf("%d lines of codes and words: some words belong to no code", n)
	}
}

// TestEveryCodeOfTheDomainIsTested: a code that a decision refuses with is wanted by a test of this package.
func TestEveryCodeOfTheDomainIsTested(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	var source, tests string
	for _, f := range files {
		switch {
		case f == "messages.go" || f == "messages_test.go":
		case strings.HasSuffix(f, "_test.go"):
			tests += read(t, f)
		default:
			source += read(t, f)
		}
	}
	for name := range constants(t, "Code") {
		word := regexp.MustCompile(`\b` + name + `\b`)
		if word.MatchString(source) && !word.MatchString(tests) {
			t.Errorf("%s is refused with, and no test wants it", name)
		}
	}
}

func TestFaultText(t *testing.T) {
	t.Parallel()
	// A value that looks like a gap is not filled in turn, and a missing one stays visible.
	f := domain.NewFault(domain.CodeAuthorityScope, "", "authority", "{form}", "form", "{authority}", "left over")
	if got := f.Text(domain.English); got != "Authority {form} does not cover form {authority}." {
		t.Error(got)
	}
	if got := domain.NewFault(domain.CodeRange, "", "min", "0").Text(domain.English); got != "It must lie between 0 and {max}." {
		t.Error(got)
	}
	if got := domain.NewFault("no_such_code", "").Text(domain.Vietnamese); got != "no_such_code" || domain.Code("no_such_code").Explained() {
		t.Error(got)
	}
}

func TestError(t *testing.T) {
	t.Parallel()
	err := fmt.Errorf("commands: submit: %w", domain.Refuse(domain.Conflict, domain.CodeExempt, "", "unit", "25900", "date", "2021-02-08"))
	for want, target := range map[bool][]*domain.Error{
		true:  {{Kind: domain.Conflict}, domain.Refuse(domain.Conflict, domain.CodeExempt, "/elsewhere")},
		false: {{Kind: domain.Invalid}, domain.Refuse(domain.Conflict, domain.CodeSigned, ""), domain.Refuse(domain.Invalid, domain.CodeExempt, "")},
	} {
		for _, x := range target {
			if errors.Is(err, x) != want {
				t.Errorf("is %v: %v", x, !want)
			}
		}
	}
	if (&domain.Error{Kind: domain.Invalid}).Code() != "" {
		t.Error("the code of nothing")
	}
	for k, want := range map[domain.Kind]string{domain.Invalid: "invalid", domain.NotFound: "not-found", domain.Conflict: "conflict", domain.Precondition: "precondition", domain.Forbidden: "forbidden", 0: "unknown"} {
		if k.String() != want {
			t.Errorf("%d is %s", k, k)
		}
	}
	faults := []domain.Fault{{Row: 2, Pointer: "/a"}, {Row: 1, Pointer: "/b"}, {Row: 1, Pointer: "/a", Code: "y"}, {Row: 1, Pointer: "/a", Code: "x"}}
	domain.SortFaults(faults)
	var got []string
	for _, f := range faults {
		got = append(got, fmt.Sprint(f.Row, f.Pointer, f.Code))
	}
	if want := []string{"1/ax", "1/ay", "1/b", "2/a"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestRoleMissingInWords: a Vietnamese text names a role in domain.Vietnamese, and no unit where none was asked about.
func TestRoleMissingInWords(t *testing.T) {
	t.Parallel()
	for _, x := range []struct {
		unit   string
		vi, en string
	}{
		{"25900", "Cần vai trò “thanh tra” đối với đơn vị “25900”.", "This needs the role “inspector” for unit “25900”."},
		{"", "Cần vai trò “thanh tra” không giới hạn theo đơn vị.", "This needs the role “inspector”, for all units."},
	} {
		f := domain.NewFault(domain.CodeRoleMissing, "", "role", string(domain.RoleInspector), "unit", x.unit)
		if vi, en := f.Text(domain.Vietnamese), f.Text(domain.English); vi != x.vi || en != x.en {
			t.Errorf("%q, %q", vi, en)
		}
	}
}
