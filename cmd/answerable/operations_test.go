package main

import (
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// cells are the first cells of the tables under a heading of a document, without the tables' heads.
func cells(t *testing.T, file, heading string) []string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	_, part, ok := strings.Cut(string(text), "\n"+heading+"\n")
	if !ok {
		t.Fatalf("%s has no %q", file, heading)
	}
	part, _, _ = strings.Cut(part, "\n## ")
	var out []string
	lines := strings.Split(part, "\n")
	for i, line := range lines {
		head := i+1 < len(lines) && strings.HasPrefix(lines[i+1], "|---")
		if cell, ok := strings.CutPrefix(line, "| "); ok && !head {
			cell, _, _ = strings.Cut(cell, " |")
			out = append(out, cell)
		}
	}
	return out
}

const operations = "../../docs/operations.md"

// varies is what stands between the parts of a message that are the same in every case: a number, a name of a setting, what is
// left out; and between two messages.
var varies = regexp.MustCompile(` N |…|\w+_\w+|; `)

var metricName = regexp.MustCompile("`(answerable_[a-z_]+)")

// documented wants the metrics of a process that signs to be those of the document on operations, no more and no fewer.
func (f *farm) documented(t *testing.T, s *serverProcess) {
	t.Helper()
	var named, given []string
	for _, cell := range cells(t, operations, "## Watch") {
		for _, m := range metricName.FindAllStringSubmatch(cell, -1) {
			named = append(named, m[1])
		}
	}
	code, metrics := f.get(t, s, "/metrics")
	if code != http.StatusOK {
		t.Fatalf("/metrics: %d %s", code, metrics)
	}
	for line := range strings.Lines(metrics) {
		if words := strings.Fields(line); len(words) > 2 && words[1] == "TYPE" && strings.HasPrefix(words[2], "answerable_") {
			given = append(given, words[2])
		}
	}
	slices.Sort(named)
	slices.Sort(given)
	if d := cmp.Diff(named, given); d != "" || len(named) == 0 {
		t.Errorf("the metrics of the document and those of the process (-document +process):\n%s", d)
	}
}

// What the document on operations says that the program says, the program says.
func TestTheProgramSaysWhatTheDocumentExplains(t *testing.T) {
	t.Parallel()
	var source strings.Builder
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		source.Write(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	said := 0
	for _, cell := range cells(t, operations, "## Watch") {
		if metricName.MatchString(cell) {
			continue
		}
		said++
		for _, part := range varies.Split(cell, -1) {
			if !strings.Contains(source.String(), strings.TrimSpace(part)) {
				t.Errorf("nothing says %q", part)
			}
		}
	}
	if said < 5 {
		t.Errorf("the document explains %d messages", said)
	}
}
