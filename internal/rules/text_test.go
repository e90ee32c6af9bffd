package rules

import (
	"bytes"
	"go/format"
	"net/url"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// TestFormatted: every file of Go is as gofmt writes it.
func TestFormatted(t *testing.T) {
	t.Parallel()
	for name, b := range theTree(t).files {
		if !strings.HasSuffix(name, ".go") {
			continue
		}
		if want, err := format.Source(b); err != nil || !bytes.Equal(want, b) {
			t.Errorf("%s is not formatted: %v", name, err)
		}
	}
}

// TestTextIsNFC: the same Vietnamese word is the same bytes everywhere, so that it can be searched and compared. A test of
// the normalisation itself writes the other form as escapes.
func TestTextIsNFC(t *testing.T) {
	t.Parallel()
	for name, b := range theTree(t).files {
		if !slices.Contains([]string{".go", ".json", ".md", ".html", ".css", ".js", ".csv", ".sql", ".txtar", ".txt", ".yml", ".yaml"}, path.Ext(name)) || strings.Contains(name, "testdata/fuzz/") {
			continue
		}
		if !utf8.Valid(b) {
			t.Errorf("%s is not UTF-8", name)
		}
		for i, line := range bytes.Split(b, []byte("\n")) {
			if !norm.NFC.IsNormal(line) {
				t.Errorf("%s:%d is not in Unicode NFC", name, i+1)
			}
		}
	}
}

// TestNothingOfOneMachine: no path of somebody's machine and no private registry is in the tree.
func TestNothingOfOneMachine(t *testing.T) {
	t.Parallel()
	// Written in parts, so that this file does not hold them itself.
	private := []string{"/wo" + "rk/", "/ro" + "ot/", "/ho" + "me/", "/Us" + "ers/", `C:` + `\Users`, "GO" + "PROXY=", "GONO" + "SUMDB", "GO" + "FLAGS=-insecure"}
	if out, err := exec.Command("go", "env", "GO"+"PROXY").Output(); err == nil {
		for _, p := range strings.FieldsFunc(strings.TrimSpace(string(out)), func(r rune) bool { return r == ',' || r == '|' }) {
			if u, err := url.Parse(p); err == nil && u.Host != "" && u.Host != "proxy.golang.org" {
				private = append(private, u.Host)
			}
		}
	}
	reasons := map[string]string{}
	for name, b := range theTree(t).files {
		for _, p := range private {
			if i := bytes.Index(b, []byte(p)); i >= 0 && reasons[name] == "" {
				t.Errorf("%s:%d holds %q", name, 1+bytes.Count(b[:i], []byte("\n")), p)
			}
		}
	}
}
