package release

import (
	"errors"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/answerable-ledger/answerable/schemas"
)

// What the program carries was released as it is.
func TestWhatIsBuiltIn(t *testing.T) {
	t.Parallel()
	if _, err := Lock(schemas.Files()); err != nil {
		t.Error(err)
	}
	if n, err := Chains(schemas.Files()); err != nil || n < len(schemas.Kinds()) {
		t.Errorf("%d kinds and forms: %v", n, err)
	}
}

// Given a folder with one form, then the lock's first disagreement with it is named.
func TestLock(t *testing.T) {
	t.Parallel()
	const form, sum = "forms/x/1.json", "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a" // of {}
	for _, x := range []struct{ name, lock, text, want string }{
		{"released", sum + "  " + form + "\n", "{}", ""},
		{"changed", sum + "  " + form + "\n", "{ }", form + " was released and has changed"},
		{"not released", "", "{}", sum + "  " + form},
		{"another is gone", sum + "  " + form + "\n" + sum + "  forms/y/1.json\n", "{}", "forms/y/1.json was released and is gone"},
		{"no lock's line", "x\n", "{}", "no hash, two spaces and path"},
	} {
		source := fstest.MapFS{LockName: {Data: []byte(x.lock)}, form: {Data: []byte(x.text)}}
		for _, folder := range []string{"defs", "events", "meta"} {
			source[folder] = &fstest.MapFile{Mode: fs.ModeDir}
		}
		_, err := Lock(source)
		if (err == nil) != (x.want == "") || err != nil && !strings.Contains(err.Error(), x.want) {
			t.Errorf("%s: %v", x.name, err)
		}
	}
	if _, err := Lock(fstest.MapFS{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no schemas: %v", err)
	}
}

// The next version is a copy that names itself, of a folder that holds all versions.
func TestNext(t *testing.T) {
	t.Parallel()
	source := fstest.MapFS{"forms/x/1.json": {Data: []byte("{}")}, "forms/x/2.json": {Data: []byte(`{"$id": "/schemas/forms/x/2", "version": 2, "title": "2"}`)},
		"forms/y/2.json": {Data: []byte("{}")}}
	if n, err := Newest(source, "forms/x"); n != 2 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if _, err := Newest(source, "forms/y"); err == nil {
		t.Error("a version that is missing was not missed")
	}
	if text, err := Next(source, "forms/x", 2); err != nil || string(text) != `{"$id": "/schemas/forms/x/3", "version": 3, "title": "2"}` {
		t.Errorf("%s, %v", text, err)
	}
}
