package sqlite

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/answerable-ledger/answerable/eventlog"
	"github.com/answerable-ledger/answerable/eventlog/eventlogtest"
)

// asStranger runs f as a user who may read dir and write nothing. Root may write everywhere, so its thread becomes
// nobody for the time being; the connections f opens must be opened in f itself.
func asStranger(t *testing.T, dir string, f func()) {
	t.Helper()
	for d := dir; d != filepath.Dir(os.TempDir()) && d != "/"; d = filepath.Dir(d) {
		if info, err := os.Stat(d); err == nil && info.Mode().Perm()&0o005 != 0o005 {
			os.Chmod(d, 0o755)
		}
	}
	if os.Geteuid() != 0 {
		if err := os.Chmod(dir, 0o555); err != nil {
			t.Fatal(err)
		}
		defer os.Chmod(dir, 0o755)
		files, err := filepath.Glob(filepath.Join(dir, "*"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			os.Chmod(file, 0o444)
			defer os.Chmod(file, 0o644)
		}
		f()
		return
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	const nobody = 65534
	if err := unix.Setfsuid(nobody); err != nil {
		t.Fatal(err)
	}
	defer unix.Setfsuid(0)
	f()
}

// Where nothing can be written the log says so, can be read, and is as it was.
func TestReadOnlyDirectory(t *testing.T) {
	path := newPath(t)
	l := openTest(t, path, Options{})
	appendN(t, l, "a", 10)
	want := len(eventlogtest.CheckLog(t, l))
	l.Close()
	dir := filepath.Dir(path)

	asStranger(t, dir, func() {
		if l, err := Open(path, Options{}); !errors.Is(err, eventlog.ErrReadOnly) {
			t.Errorf("open of a log that cannot be written: %v, %v", l, err)
		}
		if l, err := Open(filepath.Join(dir, "new.db"), Options{}); !errors.Is(err, eventlog.ErrReadOnly) {
			t.Errorf("open of a new log: %v, %v", l, err)
		}
		ro, err := Open(path, Options{ReadOnly: true})
		if err != nil {
			t.Fatal(err)
		}
		defer ro.Close()
		if n := len(eventlogtest.CheckLog(t, ro)); n != want {
			t.Errorf("%d events, want %d", n, want)
		}
	})
	appendN(t, openTest(t, path, Options{}), "b", 1)
}
