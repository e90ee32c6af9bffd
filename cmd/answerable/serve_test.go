package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/answerable-ledger/answerable/appstate"
	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/eventlog"
	"github.com/answerable-ledger/answerable/projections"
)

// fails runs the program in this process, wants it to exit with a code, and returns what it said.
func fails(t *testing.T, code int, args ...string) string {
	t.Helper()
	var out, errs strings.Builder
	if got := run(t.Context(), args, []string{"LANG=en_US.UTF-8"}, stdio{strings.NewReader(""), &out, &errs}); got != code {
		t.Fatalf("answerable %s exited with %d, want %d: %s", strings.Join(args, " "), got, code, errs.String())
	}
	return errs.String()
}

// While the server has a directory, whoever only reads is answered, and whoever would write is told why not.
func TestAServerLeavesTheReadersAlone(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "demo")
	if err := copyDir(sharedDemo(t), dir); err != nil {
		t.Fatal(err)
	}
	server := startServer(t, dir)
	if out := mustRun(t, "health", "--url", "http://"+server.address+"/readyz"); out != "ready\n" {
		t.Errorf("health says %q", out)
	}
	if out := mustRun(t, "history", "--data", dir, "--unit", "25900", "--date", "2021-02-08"); !strings.Contains(out, "version 3") {
		t.Errorf("history says %s", out)
	}
	mustRun(t, "verify", "--data", dir)
	mustRun(t, "token", "create", "--data", dir, "--person", "filer_25900")
	if n := strings.Count(mustRun(t, "export", "--data", dir), "\n"); n < 4000 {
		t.Errorf("export gives %d events", n)
	}
	for _, args := range [][]string{{"serve", "--data", dir, "--listen", "127.0.0.1:0"}, {"rebuild", "--tree", "--data", dir}, {"demo", "--once", "--data", dir}} {
		if said := fails(t, exitFailed, args...); !strings.Contains(said, "in use by another process") {
			t.Errorf("%s says %s", args[0], said)
		}
	}
	if said := fails(t, exitFailed, "demo", "--data", filepath.Join(t.TempDir(), "other"), "--listen", server.address); !strings.Contains(said, "choose another with --listen") {
		t.Errorf("a taken address: %s", said)
	}
	server.stop(t)
	mustRun(t, "rebuild", "--data", dir)
}

// Directories that cannot be written are named as such, also to who only reads: SQLite cannot without a file of its own there.
func TestAReadOnlyDirectory(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "demo")
	if err := copyDir(sharedDemo(t), dir); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{dir, filepath.Join(dir, ledgerFile)} {
		mode := os.FileMode(0o444)
		if name == dir {
			mode = 0o555
		}
		if err := os.Chmod(name, mode); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { os.Chmod(dir, 0o755) }) //nolint:errcheck // so that it can be removed
	if f, err := os.Create(filepath.Join(dir, "probe")); err == nil {
		f.Close()
		os.Remove(filepath.Join(dir, "probe"))
		t.Log("this user writes in spite of the permissions; only the messages are checked")
		return
	}
	for _, args := range [][]string{{"rebuild"}, {"verify"}, {"history", "--unit", "25900", "--date", "2021-02-08"}} {
		if said := fails(t, exitFailed, append(args, "--data", dir)...); !strings.Contains(said, "cannot be written") {
			t.Errorf("%s says %s", args[0], said)
		}
	}
}

// Each kind of failure has its words, in both languages, and keeps the cause.
func TestFailuresAreExplained(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err    error
		vi, en string
	}{
		{fmt.Errorf("sqlite: %w", eventlog.ErrInUse), "đang được một tiến trình khác", "in use by another process"},
		{fmt.Errorf("sqlite: %w", eventlog.ErrFull), "hết dung lượng", "no space left"},
		{fmt.Errorf("appstate: %w", appstate.ErrFull), "hết dung lượng", "no space left"},
		{fmt.Errorf("sqlite: %w", eventlog.ErrReadOnly), "không ghi được", "cannot be written"},
		{os.ErrPermission, "không ghi được", "cannot be written"},
		{inDir("DIR", fmt.Errorf("sqlite: %w", os.ErrNotExist)), "không tìm thấy sổ nào ở đó", "there is no data there"},
		{inDir("DIR", fmt.Errorf("sqlite: %w", os.ErrNotExist)), "(DIR)", "(DIR)"},
		{&os.PathError{Op: "open", Path: "FILE", Err: os.ErrNotExist}, "không có tệp hoặc thư mục này (FILE)", "there is no such file or directory (FILE)"},
		{fmt.Errorf("version 1 has no sample: %w", &os.PathError{Op: "open", Path: "FILE", Err: os.ErrNotExist}), "version 1 has no sample", "version 1 has no sample"},
		{&os.PathError{Op: "open", Path: "FILE", Err: os.ErrPermission}, "không được phép", "may not be read or written (FILE)"},
		{fmt.Errorf("projections: %w", projections.ErrNoPrevious), "không còn giữ", "no previous generation"},
		{fmt.Errorf("appstate: %w", appstate.ErrNoToken), "answerable token list", "no such token"},
		{fmt.Errorf("revision 3: %w", eventlog.ErrDamaged), "không còn nguyên vẹn", "revision 3"},
		{syscall.EADDRINUSE, "--listen", "--listen"},
		{domain.Refuse(domain.NotFound, domain.CodeUnitUnknown, ""), "Không có đơn vị này", "There is no such unit"},
		{errors.New("cause"), "cause", "cause"},
	} {
		if got := explain(c.err, domain.Vietnamese); !strings.Contains(got, c.vi) {
			t.Errorf("%v in Vietnamese: %s", c.err, got)
		}
		if got := explain(c.err, domain.English); !strings.Contains(got, c.en) {
			t.Errorf("%v in English: %s", c.err, got)
		}
	}
}

func TestTheTerminalsLanguage(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		asked string
		env   map[string]string
		want  domain.Language
	}{
		{"auto", nil, domain.English},
		{"auto", map[string]string{"LANG": "vi_VN.UTF-8"}, domain.Vietnamese},
		{"auto", map[string]string{"LANG": "vi_VN.UTF-8", "LC_ALL": "C"}, domain.English},
		{"auto", map[string]string{"LANG": "en_US.UTF-8", "LC_MESSAGES": "vi"}, domain.Vietnamese},
		{"vi", map[string]string{"LANG": "en_US.UTF-8"}, domain.Vietnamese},
		{"en", map[string]string{"LANG": "vi_VN.UTF-8"}, domain.English},
	} {
		if got := detectLanguage(c.asked, c.env); got != c.want {
			t.Errorf("%s with %v: %s", c.asked, c.env, got)
		}
	}
}
