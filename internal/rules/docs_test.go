package rules

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	quoted     = regexp.MustCompile("`([^`\n]+)`")
	identifier = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9]*$`)
	inFile     = regexp.MustCompile("`([A-Za-z][A-Za-z0-9]*)`,? (?:in|of) `([a-z0-9_/.-]+\\.go)`")
)

// TestArchitectureNamesExist: the story of ARCHITECTURE.md is told by functions and files, and all of them exist.
func TestArchitectureNamesExist(t *testing.T) {
	t.Parallel()
	tree := theTree(t)
	b, ok := tree.files["ARCHITECTURE.md"]
	if !ok {
		t.Fatal("there is no ARCHITECTURE.md")
	}
	anywhere := map[string]bool{}
	declared := tree.declared()
	for _, names := range declared {
		for n := range names {
			anywhere[n] = true
		}
	}
	_, story, found := strings.Cut(string(b), "\n## One report")
	if !found {
		t.Fatal("ARCHITECTURE.md does not tell the story of one report")
	}
	story, _, _ = strings.Cut(story, "\n## ")
	story = strings.Join(strings.Fields(story), " ")
	names := quoted.FindAllStringSubmatch(story, -1)
	if len(names) < 10 {
		t.Errorf("the story quotes only %d names", len(names))
	}
	for _, m := range names {
		switch name := m[1]; {
		case strings.Contains(name, "/") || strings.Contains(name, ".go"):
			if _, ok := tree.files[name]; !ok {
				t.Errorf("ARCHITECTURE.md names the file %s, which is not there", name)
			}
		case identifier.MatchString(name) && !anywhere[name]:
			t.Errorf("ARCHITECTURE.md names the function %s, which is not there", name)
		}
	}
	for _, m := range inFile.FindAllStringSubmatch(story, -1) {
		if !slices.Contains(declared[path.Dir(m[2])][m[1]], m[2]) {
			t.Errorf("ARCHITECTURE.md says that %s is in %s", m[1], m[2])
		}
	}
}

// TestRulesAreEnforcedAndTested: docs/rules.md names for each of the sixteen rules the functions that enforce it and the
// tests that hold it, and all of them exist.
func TestRulesAreEnforcedAndTested(t *testing.T) {
	t.Parallel()
	tree := theTree(t)
	declared := tree.declared()
	doc := string(tree.files["docs/rules.md"])
	for n := 1; n <= 16; n++ {
		_, rule, ok := strings.Cut(doc, fmt.Sprintf("\n## %d. ", n))
		if !ok {
			t.Errorf("docs/rules.md has no rule %d", n)
			continue
		}
		rule, _, _ = strings.Cut(rule, "\n## ")
		for _, part := range []struct {
			begin string
			test  bool
		}{{"\nEnforced by ", false}, {"\nHeld by ", true}} {
			_, list, ok := strings.Cut(rule, part.begin)
			list, _, _ = strings.Cut(list, "\n\n")
			refs := quoted.FindAllStringSubmatch(list, -1)
			if !ok || len(refs) == 0 {
				t.Errorf("docs/rules.md, rule %d: no line that begins with %q", n, strings.TrimSpace(part.begin))
			}
			for _, m := range refs {
				pkg, name, ok := strings.Cut(m[1], ".")
				files := declared[pkg][name]
				if !ok || !slices.ContainsFunc(files, func(f string) bool { return strings.HasSuffix(f, "_test.go") == part.test }) {
					t.Errorf("docs/rules.md, rule %d: %s is not there", n, m[1])
				}
			}
		}
	}
	// And a test names each rule that it holds.
	for n := 1; n <= 16; n++ {
		named := regexp.MustCompile(fmt.Sprintf(`(?i)\brule %d\b`, n))
		if !slices.ContainsFunc(tree.sources, func(s source) bool { return s.test && named.Match(tree.files[s.name]) }) {
			t.Errorf("no test names rule %d", n)
		}
	}
}

// readme lists the commands of README.md that readmeScript does not run, and the file that does.
var readme = map[string]string{
	"go run ./cmd/answerable demo":     "cmd/answerable/testdata/script/demo.txtar",
	"make test":                        ".ci/run",
	"answerable serve --data ./ledger": "cmd/answerable/serve_test.go",
}

const readmeScript = "cmd/answerable/testdata/script/readme.txtar"

// TestReadmeCommandsAreRun: each command of README.md is a line of its script, to the letter, or in the table above.
func TestReadmeCommandsAreRun(t *testing.T) {
	t.Parallel()
	tree := theTree(t)
	script := strings.Split(strings.ReplaceAll(string(tree.files[readmeScript]), "'", `"`), "\n")
	commands := 0
	for _, line := range strings.Split(string(tree.files["README.md"]), "\n") {
		command, ok := strings.CutPrefix(strings.TrimSpace(line), "$ ")
		if !ok {
			continue
		}
		commands++
		if file, ok := readme[command]; ok {
			if _, there := tree.files[file]; !there {
				t.Errorf("README.md says %q, which %s should run, and there is no such file", command, file)
			}
		} else if !slices.Contains(script, command) {
			t.Errorf("README.md says %q, and %s does not run it", command, readmeScript)
		}
	}
	if commands == 0 {
		t.Error("README.md gives no command")
	}
}

// TestLinksOfDocumentsExist: a document links to files that are there.
func TestLinksOfDocumentsExist(t *testing.T) {
	t.Parallel()
	tree := theTree(t)
	link := regexp.MustCompile(`\]\(([^)#:\s]+)(?:#[^)]*)?\)`)
	dirs := map[string]bool{}
	for name := range tree.files {
		for d := path.Dir(name); d != "."; d = path.Dir(d) {
			dirs[d] = true
		}
	}
	for name, b := range tree.files {
		if !strings.HasSuffix(name, ".md") || strings.Contains(name, "testdata/") {
			continue
		}
		for _, m := range link.FindAllStringSubmatch(string(b), -1) {
			to := path.Join(path.Dir(name), m[1])
			if _, ok := tree.files[to]; !ok && !dirs[to] {
				t.Errorf("%s links to %s, which is not there", name, m[1])
			}
		}
	}
}
