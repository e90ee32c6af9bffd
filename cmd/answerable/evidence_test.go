package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"go.uber.org/zap"

	"github.com/answerable-ledger/answerable/commands"
	"github.com/answerable-ledger/answerable/domain"
)

// value NAME FILE PATH: the environment variable NAME becomes the member's value.
func valueCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: value NAME FILE PATH")
	}
	ts.Setenv(args[0], fmt.Sprint(value(ts, args[1], args[2])))
}

// fits FILE BYTES: the file has no more bytes.
func fitsCommand(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: fits FILE BYTES")
	}
	limit, err := strconv.Atoi(args[1])
	ts.Check(err)
	if n := len(ts.ReadFile(args[0])); (n <= limit) == neg {
		ts.Fatalf("%s has %d bytes", args[0], n)
	}
}

var notaryOnce struct {
	sync.Once
	path string
	err  error
}

// notaryProgram builds the outsider's program once for the whole test binary: it shares no code with this one.
func notaryProgram() (string, error) {
	notaryOnce.Do(func() {
		dir, err := os.MkdirTemp("", "answerable-notary-")
		if err != nil {
			notaryOnce.err = err
			return
		}
		notaryOnce.path = filepath.Join(dir, "notary")
		if out, err := exec.Command("go", "build", "-o", notaryOnce.path, "../notary").CombinedOutput(); err != nil {
			notaryOnce.err = fmt.Errorf("build notary: %w\n%s", err, out)
		}
	})
	return notaryOnce.path, notaryOnce.err
}

// notary ARGS: runs the outsider's program.
func notaryCommand(ts *testscript.TestScript, neg bool, args []string) {
	path, err := notaryProgram()
	ts.Check(err)
	if err := ts.Exec(path, args...); (err == nil) == neg {
		ts.Fatalf("notary %q: %v", args, err)
	}
}

// newLedger makes a ledger with its evidence in a directory of its own.
func newLedger(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "ledger")
	mustRun(t, "init", "--data", dir, "--admin", "Nguyễn Văn A", "--origin", "ledger.example/test")
	return dir
}

// register records persons, as a server would, and signs for them.
func register(t *testing.T, dir string, persons ...domain.PersonID) {
	t.Helper()
	a := &app{ctx: t.Context(), logger: zap.NewNop(), now: time.Now}
	n, err := a.openExisting(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range persons {
		if _, err := n.ledger.RegisterPerson(t.Context(), commands.System("test", string(p)), domain.PersonRegistered{Person: p, Name: "Người " + string(p), Synthetic: true}); err != nil {
			t.Fatal(err)
		}
	}
	if err := n.close(); err != nil {
		t.Fatal(err)
	}
}

func signNow(t *testing.T, dir string) error {
	t.Helper()
	a := &app{ctx: t.Context(), logger: zap.NewNop(), now: time.Now}
	n, err := a.openExisting(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	return errors.Join(a.signOnce(t.Context(), n), n.close())
}

func TestInitMakesKeysAndAGuard(t *testing.T) {
	t.Parallel()
	dir := newLedger(t)
	for _, name := range []string{filepath.Join(dir, "keys", "log.key"), filepath.Join(dir, "keys", "salt.key"), filepath.Join(dir+"-guard", "checkpoint")} {
		st, err := os.Stat(name)
		if err != nil || st.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", name, st, err)
		}
	}
	if out := mustRun(t, "verify", "--data", dir); !strings.Contains(out, "Evidence: 3 entries") {
		t.Error(out)
	}
	// A key that others may read is no secret any more.
	if err := os.Chmod(filepath.Join(dir, "keys", "log.key"), 0o644); err != nil {
		t.Fatal(err)
	}
	if said := fails(t, exitFailed, "serve", "--data", dir, "--listen", "127.0.0.1:0"); !strings.Contains(said, "others may read it") {
		t.Error(said)
	}
}

// A ledger that was put back to an older state must not sign another history under the same name: it says why it does not
// go on, and what mends it, also when it was appended to.
func TestRestoredBackupIsRefused(t *testing.T) {
	t.Parallel()
	dir := newLedger(t)
	backup, again := filepath.Join(t.TempDir(), "backup"), filepath.Join(t.TempDir(), "again")
	mustRun(t, "backup", "--data", dir, backup)
	register(t, dir, "p_1", "p_2")
	if err := signNow(t, dir); err != nil {
		t.Fatal(err)
	}
	mustRun(t, "restore", backup, "--data", again)
	serve := []string{"serve", "--data", again, "--listen", "127.0.0.1:0"}
	if said := fails(t, exitFailed, serve...); !strings.Contains(said, "an older backup of the log was put back") || !strings.Contains(said, "answerable restore") || !strings.Contains(said, "ledger.example/test\n5\n") {
		t.Error(said)
	}
	if said := fails(t, exitFailed, "verify", "--data", again); !strings.Contains(said, "put back to an older state") {
		t.Error(said)
	}
	register(t, again, "p_3", "p_4", "p_5")
	if said := fails(t, exitFailed, serve...); !strings.Contains(said, "put back to an older state and appended to") {
		t.Error(said)
	}
	// The newest state is taken, from a copy as well.
	newest := filepath.Join(t.TempDir(), "newest")
	mustRun(t, "backup", "--data", dir, newest)
	third := filepath.Join(t.TempDir(), "third")
	mustRun(t, "restore", newest, "--data", third)
	if err := signNow(t, third); err != nil {
		t.Error(err)
	}
	mustRun(t, "verify", "--data", third)
}

// Two processes never sign for one log, also when they have different directories.
func TestACopyCannotSignBesideTheOriginal(t *testing.T) {
	t.Parallel()
	dir := newLedger(t)
	twin := filepath.Join(filepath.Dir(dir), "twin")
	if err := copyDir(dir, twin); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"log.key", "salt.key"} {
		if err := os.Chmod(filepath.Join(twin, "keys", key), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	server := startServer(t, dir)
	if said := fails(t, exitFailed, "serve", "--data", twin, "--listen", "127.0.0.1:0"); !strings.Contains(said, "another process signs for this log") {
		t.Error(said)
	}
	server.stop(t)
}

// What was changed behind the ledger's back is noticed, though the log's own checks could not.
func TestWhatTheStoreCannotNotice(t *testing.T) {
	t.Parallel()
	const report = "report-bluezone.commune.25900.20210208"
	free := []string{"DROP TRIGGER event_is_never_changed", "DROP TRIGGER event_is_never_deleted", "DROP TRIGGER event_is_only_appended"}
	for name, c := range map[string]struct {
		statements []string
		says       string
	}{
		"a payload redacted in place":      {[]string{"UPDATE event SET data = zeroblob(length(data)) WHERE stream = '" + report + "' AND revision = 0"}, report},
		"a backdated receipt":              {[]string{"UPDATE event SET meta = CAST(replace(CAST(meta AS TEXT), 'T06:20:00', 'T05:20:00') AS BLOB) WHERE stream = '" + report + "' AND revision = 0"}, "metadata"},
		"a backdated recording":            {[]string{"UPDATE event SET recorded_at = recorded_at - 1 WHERE stream = '" + report + "' AND revision = 0"}, "recorded at"},
		"the newest event deleted":         {[]string{"DELETE FROM event WHERE seq = (SELECT max(seq) FROM event)"}, ""},
		"an event dropped from the middle": {[]string{"DELETE FROM event WHERE stream = '" + report + "' AND revision = 0"}, ""},
		"two events swapped":               {[]string{"UPDATE event SET seq = -1 WHERE seq = 50", "UPDATE event SET seq = 50 WHERE seq = 51", "UPDATE event SET seq = 51 WHERE seq = -1"}, ""},
		"an event doubled": {[]string{"update event set seq = -seq where seq > 50", "update event set seq = 1 - seq where seq < 0",
			"INSERT INTO event SELECT 51, stream, revision, prev, recorded_at, id, kind, meta, data FROM event WHERE seq = 50"}, ""},
		"an event inserted": {[]string{"update event set seq = -seq where seq > 50", "update event set seq = 1 - seq where seq < 0",
			"INSERT INTO event SELECT 51, 'unit-99999', 0, 0, recorded_at, x'000102030405060708090a0b0c0d0e0f', kind, meta, data FROM event WHERE seq = 50"}, ""},
		"another event's id": {[]string{"UPDATE event SET id = x'000102030405060708090a0b0c0d0e0f' WHERE stream = '" + report + "' AND revision = 0"}, "the tree holds event"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "demo")
			if err := copyDir(sharedDemo(t), dir); err != nil {
				t.Fatal(err)
			}
			spoil(t, filepath.Join(dir, ledgerFile), append(free, c.statements...)...)
			a := &app{ctx: t.Context(), logger: zap.NewNop(), now: time.Now}
			log, err := a.openLog(dir)
			if err != nil {
				t.Fatal(err)
			}
			defer log.Close()
			if _, err := a.verifyEvidence(t.Context(), dir, log); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("the evidence says %v", err)
			}
		})
	}
}

// While the key changes both sign; afterwards what the old one signed is still good. Each step is an event of the ledger,
// which an audit compares with who signed.
func TestTheKeyChangesWithAnOverlap(t *testing.T) {
	t.Parallel()
	dir := newLedger(t)
	old, err := os.ReadFile(filepath.Join(dir, policyFile))
	if err != nil {
		t.Fatal(err)
	}
	oldPolicy, exported := filepath.Join(t.TempDir(), "old.txt"), filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(oldPolicy, old, 0o644); err != nil {
		t.Fatal(err)
	}
	openings := filepath.Join(t.TempDir(), "openings")
	audit := func(code int, policy string) string {
		t.Helper()
		mustRun(t, "export", "--data", dir, "--log", exported)
		mustRun(t, "export", "--data", dir, "--openings", openings)
		return runNotary(t, code, "audit", exported, "--policy", policy, "--opening", openings, "--forget", "--json")
	}
	keys := func() (rows []struct {
		Key          string  `json:"key"`
		IntroducedBy string  `json:"introduced_by"`
		RetiredBy    *string `json:"retired_by"`
		Signs        bool    `json:"signs"`
	}) {
		t.Helper()
		if err := json.Unmarshal([]byte(mustRun(t, "key", "list", "--data", dir, "--json")), &rows); err != nil {
			t.Fatal(err)
		}
		return rows
	}
	if rows := keys(); len(rows) != 1 || rows[0].IntroducedBy != "system" || !rows[0].Signs {
		t.Errorf("after init: %+v", rows)
	}
	newPolicy := filepath.Join(dir, policyFile)
	register(t, dir, "p_1")
	fails(t, exitFailed, "key", "begin", "--data", dir, "--by", "p_1") // no administrator: nothing changes
	mustRun(t, "key", "begin", "--data", dir, "--by", "admin")
	fails(t, exitUsage, "key", "begin", "--data", dir)
	fails(t, exitUsage, "key", "finish", "--data", dir) // before both have signed together
	if err := signNow(t, dir); err != nil {
		t.Fatal(err)
	}
	if said := audit(0, oldPolicy); !strings.Contains(said, `"in_use":2`) || strings.Contains(said, `"not_in_policy":null`) {
		t.Errorf("an old policy does not name the new key, and the audit says so: %s", said)
	}
	if said := audit(0, newPolicy); !strings.Contains(said, `"not_in_policy":null`) {
		t.Error(said)
	}
	mustRun(t, "key", "finish", "--data", dir, "--by", "admin")
	fails(t, exitUsage, "key", "finish", "--data", dir)
	register(t, dir, "p_2")
	if err := signNow(t, dir); err != nil {
		t.Fatal(err)
	}
	audit(1, oldPolicy)
	if said := audit(0, newPolicy); !strings.Contains(said, `"in_use":1`) {
		t.Error(said)
	}
	if rows := keys(); len(rows) != 2 || rows[0].RetiredBy == nil || *rows[0].RetiredBy != "admin" || rows[0].Signs || rows[1].IntroducedBy != "admin" || !rows[1].Signs {
		t.Errorf("after the change: %+v", rows)
	}
	mustRun(t, "verify", "--data", dir)
	// The server that ran meanwhile records what was done then at its next start.
	a := &app{ctx: t.Context(), logger: zap.NewNop(), now: time.Now}
	n, err := a.openExisting(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	mustRun(t, "key", "begin", "--data", dir)
	if got, err := n.ledger.LogKeys(t.Context()); err != nil || len(got.Keys) != 2 {
		t.Errorf("recorded by two writers at once: %+v, %v", got, err)
	}
	place, _, err := readEvidence(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := recordLogKeys(t.Context(), n.ledger, place, domain.System); err != nil {
		t.Fatal(err)
	}
	if got, err := n.ledger.LogKeys(t.Context()); err != nil || len(got.InUse()) != 2 {
		t.Errorf("after the next start: %+v, %v", got, err)
	}
	if err := n.close(); err != nil {
		t.Fatal(err)
	}
}
