package rules

import (
	"fmt"
	"go/ast"
	"go/token"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// exceptions to what the tests below forbid, by file, each with its reason.
type exceptions map[string]string

// clock: time is in the fact or comes as an argument. These read the machine's clock, for nothing that is recorded or judged.
var clock = exceptions{
	"api/auth.go":        "wiring: the clock that handlers are given, when the program gives none",
	"api/event.go":       "how long a client may take to read; the operating system wants it in its own time",
	"api/web/live.go":    "how long a page may take to read; the operating system wants it in its own time",
	"appstate/*.go":      "the access log's and the tokens' own time; neither is the record",
	"bench/*.go":         "measures",
	"cmd/*/*.go":         "the wiring: programs hand the clock to everything else",
	"eventlog/esdb/*.go": "how long the connection has been lost",
	"examples/binhduong-2021/replay/clock.go": "the demonstration's clock, once its week is told",
	"internal/pgtest/*.go":                    "how long to wait for a server to start",
	"projections/rebuild.go":                  "progress and rate, which are shown and never kept",
	"projections/sqlite.go":                   "the name under which a damaged file is set aside",
	"projections/views.go":                    "how old what is not applied is, where the program gave no clock",
	"projections/giveway/*.go":                "how long a read took, and how long a rebuild stood still for it",
	"projections/runner.go":                   "how long a batch took, and how long to wait before trying again",
	"transparency/sequencer/*.go":             "how often to make a checkpoint, how long to wait for a witness",
}

// waits: where the deciding is done, nothing waits for time to pass.
var waits = exceptions{
	"projections/giveway/rebuild.go": "how long a rebuild stands still",
	"projections/runner.go":          "how long to wait before trying again",
	"projections/postgres.go":        "looks up what other processes applied, besides being told",
	"projections/sqlite.go":          "writes a growing file to disk little by little",
}

// chance: what is random cannot be replayed.
var chance = exceptions{
	"bench/*.go":                         "seeded load",
	"domain/domaintest/world.go":         "seeded, so that a history can be had again",
	"eventlog/esdb/supervisor.go":        "spreads reconnections",
	"examples/binhduong-2021/figures.go": "seeded: two demonstrations with one seed are the same",
	"projections/runner.go":              "spreads repeats",
}

// programs: only tests start other programs.
var programs = exceptions{
	"internal/pgtest/pgtest.go":       "is for tests: starts the server they need",
	"internal/smalldisk/smalldisk.go": "is for tests: mounts the disk they fill",
}

// exits: a library returns errors; main turns them into an exit code.
var exits = exceptions{
	"cmd/*/main.go": "the program's one exit", "eventlog/esdb/esdbtest/cmd/main.go": "the program's one exit",
}

// matches is the pattern among the exceptions that names a file, or "".
func (e exceptions) matches(name string) string {
	for pattern := range e {
		if ok, _ := path.Match(pattern, name); ok {
			return pattern
		}
	}
	return ""
}

// deciding is where it is decided what happens and what it means.
var deciding = []string{"domain", "schemas", "intake", "commands", "documents"}

func TestForbiddenCalls(t *testing.T) {
	t.Parallel()
	forbidden := []struct {
		what, why string
		calls     []string // "pkg.Func" mentioned, "pkg.Func()" called, "pkg." imported
		where     []string // packages; none is everywhere
		allowed   exceptions
	}{
		// Handing time.Now on as a function is how a clock is injected; calling it is reading one.
		{"reads the clock", "time is in the fact or comes as an argument", []string{"time.Now()", "time.Since", "time.Until"}, nil, clock},
		{"takes the machine's clock", "whoever decides is given the time", []string{"time.Now"}, deciding, nil},
		{"waits", "whoever decides is given the time", []string{"time.After", "time.AfterFunc", "time.Tick", "time.NewTimer", "time.NewTicker", "time.Sleep"},
			append(deciding, "projections"), waits},
		{"depends on chance", "what is random cannot be replayed", []string{"math/rand.", "math/rand/v2."}, nil, chance},
		{"starts a program", "only tests do", []string{"os/exec."}, nil, programs},
		{"ends the process", "a library returns its error", []string{"os.Exit", "log.Fatal", "log.Fatalf", "log.Fatalln", "log.Panic", "log.Panicf"}, nil, exits},
		{"writes to the standard streams", "output goes where the caller says",
			[]string{"fmt.Print", "fmt.Printf", "fmt.Println", "log.Print", "log.Printf", "log.Println"}, nil, exits},
		{"changes the process", "ledgers run side by side", []string{"os.Chdir", "os.Setenv", "os.Unsetenv"}, nil, nil},
	}
	for _, s := range theTree(t).sources {
		for _, f := range forbidden {
			if s.test || f.where != nil && !slices.ContainsFunc(f.where, func(p string) bool { return under(s.pkg, p) }) || f.allowed.matches(s.name) != "" {
				continue
			}
			for _, hit := range mentions(s, f.calls) {
				t.Errorf("%s %s: %s; an exception needs a reason in this test's tables", hit, f.what, f.why)
			}
		}
	}
}

// mentions finds uses of functions of imported packages: "import/path.Name" anywhere, "import/path.Name()" when called,
// "import/path." for the import itself.
func mentions(s source, calls []string) []string {
	var out []string
	local := map[string]string{} // name in the file → import path
	for _, i := range s.file.Imports {
		p, _ := strconv.Unquote(i.Path.Value)
		if slices.Contains(calls, p+".") {
			out = append(out, fmt.Sprintf("%s:%d: import of %s", s.name, s.line(i), p))
		}
		name := p[strings.LastIndex(p, "/")+1:]
		if i.Name != nil {
			name = i.Name.Name
		}
		local[name] = p
	}
	ast.Inspect(s.file, func(n ast.Node) bool {
		suffix := ""
		if call, ok := n.(*ast.CallExpr); ok {
			n, suffix = call.Fun, "()"
		}
		x, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if id, ok := x.X.(*ast.Ident); ok && id.Obj == nil && local[id.Name] != "" && slices.Contains(calls, local[id.Name]+"."+x.Sel.Name+suffix) {
			out = append(out, fmt.Sprintf("%s:%d: %s.%s", s.name, s.line(x), id.Name, x.Sel.Name))
		}
		return true
	})
	return out
}

// TestTestsDoNotSleep: a test that waits for time to pass is slow here and wrong there. In testing/synctest time is virtual.
func TestTestsDoNotSleep(t *testing.T) {
	t.Parallel()
	reasons := exceptions{
		"cmd/answerable/kill_test.go":    "kills a process at an instant of chance; nothing is asserted about when",
		"cmd/answerable/servers_test.go": "asks other processes again until they answer, and keeps a server away for a while; nothing is asserted about when",
	}
	for _, s := range theTree(t).sources {
		virtual := slices.ContainsFunc(s.file.Imports, func(i *ast.ImportSpec) bool { return i.Path.Value == `"testing/synctest"` })
		if !s.test || virtual || reasons[s.name] != "" {
			continue
		}
		for _, hit := range mentions(s, []string{"time.Sleep"}) {
			t.Errorf("%s: wait for what the test waits for, not for time", hit)
		}
	}
}

// TestNoInit: what runs before main cannot be given anything and cannot fail.
func TestNoInit(t *testing.T) {
	t.Parallel()
	for _, s := range theTree(t).sources {
		for _, d := range s.file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "init" {
				t.Errorf("%s:%d: init", s.name, s.line(f))
			}
		}
	}
}

// TestPackageVariables: a variable of a package is an error, an embedded file, a compiled pattern, a check of an interface,
// or a table or value that nobody writes to.
func TestPackageVariables(t *testing.T) {
	t.Parallel()
	// Constructors of values that never change.
	makes := []string{"errors.New", "fmt.Errorf", "regexp.MustCompile", "uuid.MustParse", "time.FixedZone", "json.JoinOptions", "strings.NewReplacer",
		"crc32.MakeTable", "base64.StdEncoding.Strict", "tlog.Hash", "big.NewInt", "domain.Refuse", "language.MustParse", "netip.MustParsePrefix"}
	reasons := exceptions{
		"examples/binhduong-2021/cases.go": "instants of the directive's week, made by one function",
	}
	for _, s := range theTree(t).sources {
		if s.test {
			continue
		}
		for _, d := range s.file.Decls {
			g, ok := d.(*ast.GenDecl)
			if !ok || g.Tok != token.VAR {
				continue
			}
			for _, x := range g.Specs {
				v := x.(*ast.ValueSpec)
				if reasons[s.name] != "" || v.Names[0].Name == "_" || embedded(g.Doc) || embedded(v.Doc) {
					continue
				}
				for i, n := range v.Names {
					if i >= len(v.Values) || !constantValue(v.Values[i], makes) {
						t.Errorf("%s:%d: package variable %s is no error, embedded file, pattern or table", s.name, s.line(v), n.Name)
					}
				}
			}
		}
	}
	// And nobody writes to one.
	vars := map[string]map[string]bool{}
	for _, s := range theTree(t).sources {
		for _, d := range s.file.Decls {
			if g, ok := d.(*ast.GenDecl); ok && g.Tok == token.VAR && !s.test {
				for _, x := range g.Specs {
					for _, n := range x.(*ast.ValueSpec).Names {
						if vars[s.pkg] == nil {
							vars[s.pkg] = map[string]bool{}
						}
						vars[s.pkg][n.Name] = true
					}
				}
			}
		}
	}
	delete(vars, "_")
	for _, s := range theTree(t).sources {
		ast.Inspect(s.file, func(n ast.Node) bool {
			var written []ast.Expr
			switch n := n.(type) {
			case *ast.AssignStmt:
				if n.Tok != token.DEFINE {
					written = n.Lhs
				}
			case *ast.IncDecStmt:
				written = []ast.Expr{n.X}
			}
			for _, e := range written {
				id := rootOf(e)
				if id == nil || id.Name == "_" || !vars[s.pkg][id.Name] {
					continue
				}
				// The parser resolves what is declared in the same file; nil is another file's package variable.
				if decl, ok := id.Obj, id.Obj != nil; ok {
					if spec, isVar := decl.Decl.(*ast.ValueSpec); !isVar || s.file.Scope.Lookup(id.Name) == nil || s.file.Scope.Lookup(id.Name).Decl != spec {
						continue
					}
				}
				t.Errorf("%s:%d: writes to the package variable %s", s.name, s.line(e), id.Name)
			}
			return true
		})
	}
}

func embedded(doc *ast.CommentGroup) bool {
	return doc != nil && slices.ContainsFunc(doc.List, func(c *ast.Comment) bool { return strings.HasPrefix(c.Text, "//go:embed ") })
}

func constantValue(e ast.Expr, makes []string) bool {
	switch x := e.(type) {
	case *ast.CompositeLit, *ast.BasicLit, *ast.FuncLit:
		return true
	case *ast.UnaryExpr:
		return constantValue(x.X, makes)
	case *ast.CallExpr:
		return slices.Contains(makes, dotted(x.Fun))
	}
	return false
}

func dotted(e ast.Expr) string {
	switch x := e.(type) {
	case *ast.Ident:
		return x.Name
	case *ast.SelectorExpr:
		return dotted(x.X) + "." + x.Sel.Name
	}
	return ""
}

// rootOf is the variable that an expression on the left of an assignment changes.
func rootOf(e ast.Expr) *ast.Ident {
	for {
		switch x := e.(type) {
		case *ast.Ident:
			return x
		case *ast.SelectorExpr:
			e = x.X
		case *ast.IndexExpr:
			e = x.X
		case *ast.StarExpr:
			e = x.X
		case *ast.ParenExpr:
			e = x.X
		default:
			return nil
		}
	}
}
