package rules

import (
	"cmp"
	"go/ast"
	"go/token"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestEveryPackageStatesItsPromise: one comment per package, long enough to promise something; programs say what they are.
func TestEveryPackageStatesItsPromise(t *testing.T) {
	t.Parallel()
	comments, files := map[string][]string{}, map[string]int{}
	name := map[string]string{}
	for _, s := range theTree(t).sources {
		if s.test {
			continue
		}
		files[s.pkg]++
		name[s.pkg] = s.file.Name.Name
		if s.file.Doc != nil {
			comments[s.pkg] = append(comments[s.pkg], s.file.Doc.Text())
		}
	}
	for p := range files {
		if len(comments[p]) != 1 {
			t.Errorf("%s has %d package comments, want one", p, len(comments[p]))
			continue
		}
		c := strings.ToLower(comments[p][0])
		if begin := map[bool]string{true: "command ", false: "package " + name[p] + " "}[name[p] == "main"]; !strings.HasPrefix(c, begin) {
			t.Errorf("%s: the package comment does not begin with %q", p, begin)
		}
		if name[p] != "main" && p != "api/ui" && (!strings.Contains(c, "promise") || !strings.Contains(c, "failure") && !strings.Contains(c, "fails")) {
			t.Errorf("%s: the package comment does not state its promise and how it fails", p)
		}
	}
}

// TestNames: packages are named by what they promise, files by their concept, the same in every folder.
func TestNames(t *testing.T) {
	t.Parallel()
	nothing := []string{"util", "utils", "common", "helper", "helpers", "misc", "shared", "base", "lib", "types", "models", "interfaces", "core", "pkg"}
	// One concept has one file name, so that ls */report.go is a feature.
	other := map[string]string{
		"reports": "report", "submission": "report", "submissions": "report", "sign_off": "signoff", "signoffs": "signoff", "sign_offs": "signoff",
		"breaches": "breach", "corrections": "correction", "units": "unit", "offices": "office", "people": "person", "persons": "person",
		"regimes": "regime", "days": "day", "targets": "target", "consolidate": "consolidation", "limit": "limits", "constants": "limits",
	}
	layers := []string{"domain", "schemas", "intake", "commands", "projections", "documents", "api", "api/ui"}
	fileName := regexp.MustCompile(`^[a-z][a-z0-9_]*\.go$`)
	for _, s := range theTree(t).sources {
		base := path.Base(s.name)
		if !fileName.MatchString(base) {
			t.Errorf("%s: file names are lower case, with _ between words", s.name)
		}
		if want, ok := other[strings.TrimSuffix(strings.TrimSuffix(base, ".go"), "_test")]; ok && slices.Contains(layers, s.pkg) {
			t.Errorf("%s: this concept's file is called %s.go in every folder", s.name, want)
		}
		for _, part := range append(strings.Split(s.pkg, "/"), s.file.Name.Name, strings.TrimSuffix(strings.TrimSuffix(base, ".go"), "_test")) {
			if slices.Contains(nothing, part) {
				t.Errorf("%s: %q names nothing", s.name, part)
			}
		}
	}
}

// TestExportedNamesAreDocumented, by a comment of their own or by one that names them beside their neighbours.
func TestExportedNamesAreDocumented(t *testing.T) {
	t.Parallel()
	// Methods whose meaning is that of an interface everybody knows.
	known := []string{"Error", "Is", "As", "Unwrap", "String", "Kind", "Read", "Write", "Close", "Len", "Less", "Swap", "ServeHTTP", "Run", "Help",
		"MarshalJSON", "UnmarshalJSON", "MarshalText", "UnmarshalText", "Describe", "Collect", "Transform", "Schema", "Resolve"}
	for _, s := range theTree(t).sources {
		if s.test || s.file.Name.Name == "main" {
			continue
		}
		var said string
		for _, g := range s.file.Comments {
			said += g.Text()
		}
		named := func(n string) bool { return regexp.MustCompile(`\b` + regexp.QuoteMeta(n) + `\b`).MatchString(said) }
		undocumented := func(n ast.Node, name string, docs ...*ast.CommentGroup) {
			if ast.IsExported(name) && !slices.ContainsFunc(docs, func(d *ast.CommentGroup) bool { return d != nil }) && !named(name) {
				t.Errorf("%s:%d: %s has no comment", s.name, s.line(n), name)
			}
		}
		for _, d := range s.file.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Recv == nil || ast.IsExported(receiver(d)) && !slices.Contains(known, d.Name.Name) {
					undocumented(d, d.Name.Name, d.Doc)
				}
			case *ast.GenDecl:
				typed := false             // constants of a named type are documented by the type
				var head *ast.CommentGroup // a comment in a group is the heading of what follows it
				for _, x := range d.Specs {
					switch x := x.(type) {
					case *ast.TypeSpec:
						head = cmp.Or(x.Doc, head)
						undocumented(x, x.Name.Name, d.Doc, head, x.Comment)
					case *ast.ValueSpec:
						head = cmp.Or(x.Doc, head)
						typed = typed || x.Type != nil && d.Tok == token.CONST
						for _, n := range x.Names {
							if !typed {
								undocumented(x, n.Name, d.Doc, head, x.Comment)
							}
						}
					}
				}
			}
		}
	}
}

// TestFilesAreReadableWhole: a longer file than this needs a reason.
func TestFilesAreReadableWhole(t *testing.T) {
	t.Parallel()
	const most = 600
	reasons := map[string]string{}
	for name, b := range theTree(t).files {
		if n := strings.Count(string(b), "\n"); strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, "_test.go") && n > most && reasons[name] == "" {
			t.Errorf("%s has %d lines; split it, or say here why not", name, n)
		}
	}
}

// TestPackagesAreOfOnePromise: what is larger than most packages says why it is still one, and up to where it may grow. What can
// be told without the rest goes into a package of its own, below it, that imports nothing of it.
func TestPackagesAreOfOnePromise(t *testing.T) {
	t.Parallel()
	const most = 3500 // lines, without tests
	larger := map[string]struct {
		lines int
		why   string
	}{
		"projections":    {12600, "the fold, what writes and reads its rows on both engines, and the questions share the types of the rows"},
		"cmd/answerable": {6900, "a command is a file; all share the program's wiring"},
		"api":            {6000, "a resource is a file; all share one table of routes, from which the OpenAPI document is made"},
		"api/web":        {6600, "a page is a file; all share one table of routes and one frame"},
		"domain":         {4500, "a stream is a file; the set of events is sealed, which takes one package"},
	}
	lines := map[string]int{}
	for _, s := range theTree(t).sources {
		if !s.test {
			lines[s.pkg] += strings.Count(string(theTree(t).files[s.name]), "\n")
		}
	}
	for p, n := range lines {
		if limit := max(most, larger[p].lines); n > limit {
			t.Errorf("%s has %d lines, of %d at most: cut out what needs nothing of the rest, or say here why not", p, n, limit)
		}
	}
	for p, l := range larger {
		if lines[p] <= most || l.why == "" {
			t.Errorf("%s is no longer large, or large without a reason", p)
		}
	}
}
