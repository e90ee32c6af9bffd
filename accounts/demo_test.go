package accounts

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func TestDemo(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *Options) { o.Demo = EnableDemo() })
	b := w.browser()
	b.opened(b.SignInAs(w.ctx, b.attempt(), "lan"))
	if s := b.session(); s.Person != "lan" || s.Method() != MethodDemo || s.Strong(w.clock.Now()) {
		t.Fatalf("%+v", s)
	}
	_, err := b.SignInAs(w.ctx, b.attempt(), "minh") // not synthetic
	w.is(err, ErrNoDemo)
	_, err = b.SignInAs(w.ctx, b.attempt(), "nobody")
	w.is(err, ErrRefused)
	if !w.HasDemo() {
		t.Error("the page would not offer it")
	}

	w.Accounts = w.accounts() // the same data, served in earnest
	b.signedOut()
	_, err = b.SignInAs(w.ctx, b.attempt(), "lan")
	w.is(err, ErrNoDemo)
	if w.HasDemo() {
		t.Error("the page would offer it")
	}
}

// What can be set from outside a program, by a flag, a file or the environment, is an exported field or a method that
// reads text.
func TestDemoCannotBeConfigured(t *testing.T) {
	t.Parallel()
	for _, text := range []string{`{"Demo":true}`, `{"Demo":{"granted":true}}`, `{"Demo":{"Granted":true}}`, `{"demo":{"granted":1}}`, `{"Demo":"true"}`} {
		var o Options
		_ = json.Unmarshal([]byte(text), &o)
		if o.Demo != (Demo{}) {
			t.Errorf("%s enables it", text)
		}
	}
	d := reflect.TypeFor[Demo]()
	for i := range d.NumField() {
		if d.Field(i).IsExported() || len(d.Field(i).Tag) > 0 {
			t.Errorf("field %s can be set from outside", d.Field(i).Name)
		}
	}
	if n := reflect.PointerTo(d).NumMethod(); n != 0 {
		t.Errorf("%d methods", n)
	}
}

// EnableDemo is in the demonstration's own source and nowhere else.
func TestOnlyTheDemonstrationEnablesDemo(t *testing.T) {
	t.Parallel()
	err := filepath.WalkDir("..", func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if e.IsDir() && strings.HasPrefix(e.Name(), ".") && e.Name() != ".." {
			return filepath.SkipDir
		}
		name := filepath.ToSlash(path)
		if e.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") || name == "../accounts/demo.go" || strings.HasPrefix(name, "../cmd/answerable/demo") {
			return nil
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if strings.Contains(string(b), "EnableDemo") {
			t.Errorf("%s enables it", name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
