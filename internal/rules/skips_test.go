package rules

import (
	"go/ast"
	"os/exec"
	"path/filepath"
	"testing"
)

// skips lists every file that may skip a test, with what is skipped and when. `make test` prints it.
var skips = []struct {
	file, what, when string
	here             func() bool // whether it is skipped on this machine; nil when only the test itself can tell
}{
	{"internal/pgtest/pgtest.go", "the views on PostgreSQL", "no PostgreSQL server is installed (Debian and Ubuntu: postgresql)", func() bool {
		_, err := exec.LookPath("initdb")
		packaged, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
		return err != nil && len(packaged) == 0
	}},
	{"api/web/browser_test.go", "the pages in a browser; their HTML is judged without one", "no Chromium is installed (Debian: chromium)", func() bool {
		_, err := exec.LookPath("chromium")
		return err != nil
	}},
	{"eventlog/esdb/esdbtest/node_test.go", "the test server judged by the official Node client", "Node is not installed, or npm cannot fetch the client, or -short", func() bool {
		_, err := exec.LookPath("node")
		return err != nil
	}},
	{"internal/smalldisk/smalldisk.go", "full disks under PostgreSQL and under the state", "a small file system cannot be mounted", nil},
	{"eventlog/sqlite/commit_test.go", "a full disk, on a small file system; a limit of pages stands in for it", "a file system cannot be mounted", nil},
	{"schemas/fuzz_test.go", "inputs of the fuzzer that no fact can hold", "the input is one", nil},
}

// TestEverySkipSaysWhy: what a test run leaves out is known before it runs.
func TestEverySkipSaysWhy(t *testing.T) {
	t.Parallel()
	listed := map[string]bool{}
	for _, s := range skips {
		listed[s.file] = true
		if _, exists := theTree(t).files[s.file]; !exists {
			continue
		}
		now := "it may be here"
		if s.here != nil {
			now = map[bool]string{true: "SKIPPED HERE", false: "it runs here"}[s.here()]
		}
		t.Logf("skips: %s, when %s: %s", s.what, s.when, now)
	}
	for _, s := range theTree(t).sources {
		ast.Inspect(s.file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			if f, ok := call.Fun.(*ast.SelectorExpr); ok && (f.Sel.Name == "Skip" || f.Sel.Name == "Skipf" || f.Sel.Name == "SkipNow") && !listed[s.name] {
				t.Errorf("%s:%d skips a test: say what and when in the table of this test", s.name, s.line(call))
			}
			return true
		})
	}
}
