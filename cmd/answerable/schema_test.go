package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What was released and has changed, or is gone, or cannot be read, is the first thing that a check names.
func TestSchemaCheckNamesTheFirstProblem(t *testing.T) {
	t.Parallel()
	for _, x := range []struct {
		name   string
		change func(dir string) error
		want   string
	}{
		{"as it is", func(string) error { return nil }, "Good: "},
		{"released and changed", func(dir string) error { return appendTo(filepath.Join(dir, "forms/commune/1.json"), " ") }, "forms/commune/1.json was released and has changed"},
		{"released and gone", func(dir string) error { return os.Remove(filepath.Join(dir, "events/DayOpened/1.json")) }, "events/DayOpened/1.json was released and is gone"},
		{"new and not released", func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "forms/commune/3.json"), []byte("{}"), 0o600)
		}, "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a  forms/commune/3.json"},
		{"a sample is gone", func(dir string) error { return os.Remove(filepath.Join(dir, "testdata/golden/ReportSubmitted-1.json")) }, "version 1 of ReportSubmitted has no sample"},
		{"a sample cannot be read", func(dir string) error {
			return replaceIn(filepath.Join(dir, "testdata/golden/ReportSubmitted-1.json"), `"late":true,`, "")
		}, "ReportSubmitted-1.json: schemas: decode ReportSubmitted"},
		{"a sample does not fit", func(dir string) error {
			return replaceIn(filepath.Join(dir, "testdata/golden/DayOpened-1.json"), `"regime_version":1`, `"regime_version":0`)
		}, "does not fit its schema"},
	} {
		dir := t.TempDir()
		if err := os.CopyFS(dir, os.DirFS("../../schemas")); err != nil {
			t.Fatal(err)
		}
		if err := x.change(dir); err != nil {
			t.Fatal(err)
		}
		var out, errs strings.Builder
		code := run(t.Context(), []string{"schema", "check", "--source", dir}, []string{"LANG=en_US.UTF-8"}, stdio{strings.NewReader(""), &out, &errs})
		if said := out.String() + errs.String(); !strings.Contains(said, x.want) || (code == 0) != strings.HasPrefix(x.want, "Good") {
			t.Errorf("%s: exit %d, %s", x.name, code, said)
		}
	}
}

// Where the program's source is not, a check is of what the program carries; a folder that was named is meant.
func TestSchemaCheckWithoutSource(t *testing.T) {
	t.Parallel()
	check := func(args ...string) (int, string) { // the tests run in a folder without schemas
		var out, errs strings.Builder
		code := run(t.Context(), append([]string{"schema", "check"}, args...), []string{"LANG=en_US.UTF-8"}, stdio{strings.NewReader(""), &out, &errs})
		return code, out.String() + errs.String()
	}
	if code, said := check(); code != 0 || !strings.Contains(said, "this program reads every version of") {
		t.Errorf("exit %d, %s", code, said)
	}
	if code, said := check("--source", t.TempDir()); code != exitUsage || !strings.Contains(said, "holds no schemas") {
		t.Errorf("exit %d, %s", code, said)
	}
}

// The next version of a schema is a copy under its own name, and nothing is overwritten.
func TestSchemaNewBeginsAVersion(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("../../schemas")); err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct{ name, file, has, next string }{
		{"commune", "forms/commune/3.json", `"version": 3,`, "raise foldVersion"},
		{"ReportSubmitted", "events/ReportSubmitted/4.json", `/schemas/events/ReportSubmitted/4"`, "the hop from version 3"},
	} {
		out := mustRun(t, "schema", "new", x.name, "--source", dir)
		text, err := os.ReadFile(filepath.Join(dir, x.file))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(text), x.has) || !strings.Contains(out, x.next) {
			t.Errorf("%s: %s\n%s", x.name, out, text)
		}
	}
}

func appendTo(file, text string) error {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.WriteString(text)
	return err
}

func replaceIn(file, old, new string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	return os.WriteFile(file, []byte(strings.Replace(string(text), old, new, 1)), 0o600)
}
