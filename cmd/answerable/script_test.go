package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain makes this test binary answer to the program's name, so that scripts and tests run the real main in a process
// of its own.
func TestMain(m *testing.M) {
	testscript.Main(tidy{m}, map[string]func(){"answerable": main, loadCommand: workForEver})
}

// tidy removes what several tests share, and none of them can remove.
type tidy struct{ *testing.M }

func (m tidy) Run() int {
	defer func() {
		for _, path := range []string{demoOnce.dir, notaryOnce.path} {
			if path != "" {
				_ = os.RemoveAll(filepath.Dir(path))
			}
		}
	}()
	return m.M.Run()
}

// TestScripts tells what the program does as commands and what they print. Each script finds a replayed demonstration in
// $WORK/demo, and in $WORK/open a ledger whose day $DAY is open, copies of its own.
func TestScripts(t *testing.T) {
	demo := sharedDemo(t)
	open, day := openDay(t)
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(e *testscript.Env) error {
			e.Setenv("LC_ALL", "en_US.UTF-8")
			e.Setenv("XDG_CACHE_HOME", filepath.Join(e.WorkDir, "cache"))
			e.Setenv("DAY", string(day))
			return errors.Join(copyDir(demo, filepath.Join(e.WorkDir, "demo")), copyDir(open, filepath.Join(e.WorkDir, "open")))
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"field": fieldCommand,
			"adds":  addsCommand,
			"has":   hasCommand,

			"value":  valueCommand,
			"fits":   fitsCommand,
			"notary": notaryCommand,
		},
	})
}

var demoOnce struct {
	sync.Once
	dir string
	err string
}

// sharedDemo replays the demonstration once for the whole test binary.
func sharedDemo(t testing.TB) string {
	demoOnce.Do(func() {
		parent, err := os.MkdirTemp("", "answerable-test-") // outlives the test that made it; tidy removes it
		if err != nil {
			demoOnce.err = err.Error()
			return
		}
		demoOnce.dir = filepath.Join(parent, "demo")
		var out, errs strings.Builder
		if code := run(t.Context(), []string{"demo", "--once", "--data", demoOnce.dir}, nil, stdio{strings.NewReader(""), &out, &errs}); code != 0 {
			demoOnce.err = fmt.Sprintf("demo exited with %d: %s", code, errs.String())
		}
	})
	if demoOnce.err != "" {
		t.Fatal(demoOnce.err)
	}
	return demoOnce.dir
}

func copyDir(from, to string) error {
	if err := os.MkdirAll(to, 0o755); err != nil {
		return err
	}
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.IsDir() {
			if err := copyDir(filepath.Join(from, e.Name()), filepath.Join(to, e.Name())); err != nil {
				return err
			}
			continue
		}
		if err := copyOne(filepath.Join(from, e.Name()), filepath.Join(to, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

func copyOne(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil {
		return err
	}
	return out.Close()
}

// value finds a member of a JSON document by a path of names and indices joined by full stops.
func value(ts *testscript.TestScript, file, path string) any {
	var v any
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(file)), &v))
	for _, name := range strings.Split(path, ".") {
		switch x := v.(type) {
		case map[string]any:
			next, ok := x[name]
			if !ok {
				ts.Fatalf("%s has no %s", file, path)
			}
			v = next
		case []any:
			var i int
			if _, err := fmt.Sscan(name, &i); err != nil || i < 0 || i >= len(x) {
				ts.Fatalf("%s has no %s: the array has %d", file, path, len(x))
			}
			v = x[i]
		default:
			ts.Fatalf("%s has no %s", file, path)
		}
	}
	return v
}

// field FILE PATH VALUE: the member has the value.
func fieldCommand(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 3 {
		ts.Fatalf("usage: field FILE PATH VALUE")
	}
	got := fmt.Sprint(value(ts, args[0], args[1]))
	if (got == args[2]) == neg {
		ts.Fatalf("%s of %s is %s", args[1], args[0], got)
	}
}

// adds FILE A B … SUM: the members before the last add up to the last.
func addsCommand(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 3 {
		ts.Fatalf("usage: adds FILE A B … SUM")
	}
	var sum float64
	for _, name := range args[1 : len(args)-1] {
		sum += value(ts, args[0], name).(float64)
	}
	if want := value(ts, args[0], args[len(args)-1]).(float64); (sum == want) == neg {
		ts.Fatalf("%v add up to %v, %s is %v", args[1:len(args)-1], sum, args[len(args)-1], want)
	}
}

// has FILE TEXT: the file holds the text; unlike grep it does not print the file when not.
func hasCommand(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: has FILE TEXT")
	}
	if strings.Contains(ts.ReadFile(args[0]), args[1]) == neg {
		ts.Fatalf("%s: %q: found is %t", args[0], args[1], neg)
	}
}
