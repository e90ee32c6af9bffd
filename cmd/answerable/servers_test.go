package main

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"go.uber.org/zap"

	"github.com/answerable-ledger/answerable/appstate"
	"github.com/answerable-ledger/answerable/bench/province"
	"github.com/answerable-ledger/answerable/commands"
	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/eventlog"
	"github.com/answerable-ledger/answerable/eventlog/esdb/esdbtest"
	"github.com/answerable-ledger/answerable/internal/pgtest"
	"github.com/answerable-ledger/answerable/transparency"
	"github.com/answerable-ledger/answerable/transparency/treestore"
)

// farm is a ledger on servers, and the processes that serve it.
type farm struct {
	log      *esdbtest.Server
	database *pgtest.Server
	guard    *pgtest.Server // of the second copy of the last signed checkpoint
	env      []string
	data     string // the directory with the keys
	app      *app
	province province.Province
	secret   string // of a filer's token
	admin    string // of the administrator's
}

// newFarm makes a ledger with a day that is open now, on servers of its own.
func newFarm(t *testing.T) *farm {
	t.Helper()
	return newFarmOn(t, pgtest.Start(t))
}

func newFarmOn(t *testing.T, database *pgtest.Server) *farm {
	t.Helper()
	log, err := esdbtest.Start(esdbtest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(log.Close)
	f := &farm{log: log, database: database, guard: pgtest.Start(t), data: t.TempDir()}
	logURL, databaseURL, guardURL := log.URL(), asUser(t, f.database.Database(t)), asUser(t, f.guard.Database(t))
	f.env = []string{"LANG=en_US.UTF-8", "ANSWERABLE_LOG_URL=" + logURL, "ANSWERABLE_POSTGRES_URL=" + databaseURL, "ANSWERABLE_GUARD_URL=" + guardURL}
	f.app = &app{ctx: t.Context(), logger: zap.NewNop(), now: time.Now, settings: &settings{values: map[string]string{logURLKey: logURL, postgresURLKey: databaseURL, guardURLKey: guardURL}}}
	var made struct {
		Token string `json:"token"`
	}
	if err := json.Unmarshal([]byte(f.run(t, "init", "--data", f.data, "--admin", "Nguyễn Văn A", "--json")), &made); err != nil {
		t.Fatal(err)
	}
	f.admin = made.Token

	f.province = morning(t, province.Province{Regime: "bench", Units: 40})
	f.as(t, time.Now, func(ctx context.Context, n *node) error {
		return errors.Join(f.province.SetUp(ctx, n.ledger, time.Now), f.province.Open(ctx, n.ledger, f.province.Day))
	})
	state, err := f.app.openState(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	f.secret, _, err = state.CreateToken(t.Context(), appstate.NewToken{Person: province.Filer, Scope: appstate.ScopeWrite})
	if err = errors.Join(err, state.Close()); err != nil {
		t.Fatal(err)
	}
	return f
}

// asUser makes the user that docker/postgres-role.sql makes, on a server that has none yet, and gives the string of a
// database for them: nothing of the program needs an administrator of PostgreSQL or the owner of a database.
func asUser(t *testing.T, place string) string {
	t.Helper()
	const user = "ledger" // the server of the tests has an administrator of the program's name
	u, err := url.Parse(place)
	if err != nil {
		t.Fatal(err)
	}
	script, err := os.ReadFile("../../docker/postgres-role.sql")
	if err != nil {
		t.Fatal(err)
	}
	statements := regexp.MustCompile(`(?m)^\\.*$`).ReplaceAllString(string(script), "") // those are for psql
	statements = strings.NewReplacer(`:"user"`, `"`+user+`"`, `:'password'`, `'secret'`, `:"DBNAME"`, `"`+strings.TrimPrefix(u.Path, "/")+`"`).Replace(statements)
	db, err := sql.Open("postgres", place)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), statements); err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword(user, "secret")
	return u.String()
}

// as does something to the ledger in this process, at another time if need be.
func (f *farm) as(t *testing.T, now func() time.Time, do func(context.Context, *node) error) {
	t.Helper()
	n, err := f.app.openNode(t.Context(), "", now)
	if err == nil {
		err = errors.Join(do(t.Context(), n), n.close())
	}
	if err != nil {
		t.Fatal(err)
	}
}

// run runs the program in this process.
func (f *farm) run(t *testing.T, args ...string) string {
	t.Helper()
	var out, errs strings.Builder
	if code := run(t.Context(), args, f.env, stdio{strings.NewReader(""), &out, &errs}); code != 0 {
		t.Fatalf("answerable %s exited with %d: %s", strings.Join(args, " "), code, errs.String())
	}
	return out.String()
}

// serve starts a process with a data directory of its own, in which it keeps nothing.
func (f *farm) serve(t *testing.T) *serverProcess { return startServer(t, t.TempDir(), f.env...) }

// keys is a data directory with what another server is given: the keys, the policy and what names them.
func (f *farm) keys(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(filepath.Join(dir, keysDir), os.DirFS(filepath.Join(f.data, keysDir))); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{evidenceFile, policyFile} {
		if err := copyFile(filepath.Join(f.data, name), filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	keys, err := os.ReadDir(filepath.Join(dir, keysDir))
	for _, k := range keys {
		err = errors.Join(err, os.Chmod(filepath.Join(dir, keysDir, k.Name()), 0o600))
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// yesterday issues a regime whose only day was opened in time and has not been closed since.
func (f *farm) yesterday(t *testing.T, id domain.RegimeID) (domain.RegimeID, domain.Date) {
	t.Helper()
	p := f.province
	p.Regime, p.Zone, p.Day = id, "Etc/UTC", domain.DateAt(time.Now().Add(-24*time.Hour), time.UTC)
	p.Last = p.Day
	midnight, err := time.Parse(time.DateOnly, string(p.Day))
	if err != nil {
		t.Fatal(err)
	}
	then := func() time.Time { return midnight.Add(time.Hour) }
	f.as(t, then, func(ctx context.Context, n *node) error {
		if _, err := n.ledger.IssueRegime(ctx, commands.System("issue", string(id)), id, p.Rules()); err != nil {
			return err
		}
		_, err := n.ledger.OpenDay(ctx, commands.System("open", string(id)), id, p.Day)
		return err
	})
	return p.Regime, p.Day
}

// patience is how long anything is waited for: the machine may be busy with much else.
const patience = 3 * time.Minute

// until asks again and again: what is waited for happens in another process.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !is() {
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s", patience, what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// get asks a process; status 0 is no answer.
func (f *farm) get(t *testing.T, s *serverProcess, path string) (status int, said string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.address+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+f.admin)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, err.Error()
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return 0, err.Error()
	}
	return answer.StatusCode, string(body)
}

func (f *farm) leads(t *testing.T, s *serverProcess) func() bool {
	return f.measures(t, s, "answerable_views_leading 1")
}

// signs: a process is the one that signs for the transparency log.
func (f *farm) signs(t *testing.T, s *serverProcess) func() bool {
	return f.measures(t, s, "answerable_evidence_signing 1")
}

func (f *farm) measures(t *testing.T, s *serverProcess, line string) func() bool {
	return func() bool {
		_, metrics := f.get(t, s, "/metrics")
		return strings.Contains(metrics, "\n"+line)
	}
}

// evidence is how far a process says that the evidence has come.
func (f *farm) evidence(t *testing.T, s *serverProcess) (status struct {
	Entries int64  `json:"entries"`
	Signed  int64  `json:"signed"`
	Problem string `json:"problem"`
}) {
	t.Helper()
	if code, said := f.get(t, s, "/v1/evidence"); code == http.StatusOK {
		if err := json.Unmarshal([]byte(said), &status); err != nil {
			t.Fatalf("%s: %v", said, err)
		}
	}
	return status
}

func (f *farm) ready(t *testing.T, s *serverProcess) func() bool {
	return func() bool {
		status, _ := f.get(t, s, "/readyz")
		return status == http.StatusOK
	}
}

// closed reports whether a day was closed, by the log itself.
func (f *farm) closed(t *testing.T, regime domain.RegimeID, date domain.Date) bool {
	t.Helper()
	var closed bool
	f.as(t, time.Now, func(ctx context.Context, n *node) error {
		day, err := n.ledger.Day(ctx, regime, date)
		closed = day.Closed != nil
		return err
	})
	return closed
}

// fileAll files the reports of units from..to through any of the processes, each again until it is acknowledged.
func (f *farm) fileAll(t *testing.T, from, to int, processes ...*serverProcess) {
	t.Helper()
	deadline := time.Now().Add(patience)
	var wg sync.WaitGroup
	for unit := from; unit < to; unit++ {
		wg.Go(func() {
			for i := unit; ; i++ {
				_, err := processes[i%len(processes)].file(t.Context(), http.DefaultClient, f.province, f.secret, unit)
				if err == nil {
					return
				}
				if time.Now().After(deadline) || strings.HasPrefix(err.Error(), "500 ") {
					t.Errorf("unit %d: %v", unit, err)
					return
				}
				time.Sleep(50 * time.Millisecond) // as a client does that was told to come back
			}
		})
	}
	wg.Wait()
}

// sound wants the log whole, every view like a fresh fold, and each of the first units' reports there once.
func (f *farm) sound(t *testing.T, units int) {
	t.Helper()
	f.run(t, "verify", "--data", t.TempDir())
	submitted := map[string]int{}
	f.as(t, time.Now, func(ctx context.Context, n *node) error {
		return eachEvent(ctx, n.log, func(e eventlog.Recorded) error {
			if e.Kind == (domain.ReportSubmitted{}).Kind() {
				submitted[e.Stream]++
			}
			return nil
		})
	})
	for i := range units {
		if stream := f.province.Key(i, f.province.Day).Stream(); submitted[stream] != 1 {
			t.Errorf("unit %d's report is there %d times", i, submitted[stream])
		}
	}
}

// Given two processes that serve one ledger, when the one that leads is killed under load, then the other closes the days and
// keeps the views within seconds, and its readers are answered all the while; nothing is recorded twice, a third finds all of
// it, and none has left anything on a disk of its own.
func TestAnotherServerTakesOver(t *testing.T) {
	t.Parallel()
	f := newFarm(t)
	first := f.serve(t)
	until(t, "the first process leads", f.leads(t, first))
	second := f.serve(t)
	until(t, "the second is ready", f.ready(t, second))
	if f.leads(t, second)() {
		t.Error("both lead")
	}
	f.fileAll(t, 0, 20, first, second)

	// The one that leads has looked for days to close by now, and looks again in a minute.
	regime, date := f.yesterday(t, "late")
	reader := f.signIn(t, second)
	filed := make(chan struct{})
	go func() { f.fileAll(t, 20, 40, first, second); close(filed) }()
	read := reader.reads(t, filed)
	if err := first.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	killed := time.Now()
	until(t, "the second process leads", f.leads(t, second))
	until(t, "the day is closed", func() bool { return f.closed(t, regime, date) })
	t.Logf("taken over, and the day closed, %s after the kill", time.Since(killed).Round(time.Millisecond))
	<-filed
	<-read

	third := f.serve(t)
	f.fileAll(t, 0, 40, third) // repeats of requests that the other processes answered
	second.stop(t)
	until(t, "the third process leads", f.leads(t, third))
	third.stop(t)
	for _, s := range []*serverProcess{first, second, third} {
		if left, err := os.ReadDir(s.data()); err != nil || len(left) > 0 {
			t.Errorf("a process left %v in its directory, %v", left, err)
		}
		if said := s.errs.String(); strings.Contains(said, "answerable_reader") {
			t.Errorf("a process has the role of readers and does not use it:\n%s", said)
		}
	}
	f.sound(t, 40)
}

// data is the process's data directory, as its command line says.
func (s *serverProcess) data() string { return s.cmd.Args[slices.Index(s.cmd.Args, "--data")+1] }

// Given two processes that share no disk and have the keys of one log, then one of them signs and the other hands out what it
// made; when the first is killed the second signs, and signs again after PostgreSQL took the lock from it and after the
// guard's server was away. A third, without keys, only records. No part of the evidence but the keys is left on a disk.
func TestOneProcessSigns(t *testing.T) {
	t.Parallel()
	f := newFarm(t)
	first := startServer(t, f.keys(t), f.env...)
	until(t, "the first process signs", f.signs(t, first))
	others := f.keys(t)
	second := startServer(t, others, f.env...)
	until(t, "the second is ready", f.ready(t, second))
	if f.signs(t, second)() {
		t.Error("both sign")
	}
	f.documented(t, first)
	if e := f.evidence(t, second); e.Signed == 0 || e.Problem != "" {
		t.Errorf("the one that does not sign says %+v", e)
	}
	without := f.serve(t) // a directory without keys
	f.fileAll(t, 0, 10, first, second, without)
	if code, _ := f.get(t, without, "/v1/evidence"); code != http.StatusNotFound {
		t.Errorf("a process without keys answers %d", code)
	}

	if err := first.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	killed := time.Now()
	until(t, "the second process signs", f.signs(t, second))
	t.Logf("another server signs %s after the kill", time.Since(killed).Round(time.Millisecond))
	f.fileAll(t, 10, 20, second, without)
	until(t, "everything is signed", func() bool {
		e := f.evidence(t, second)
		return e.Entries > 0 && e.Signed == e.Entries && e.Problem == ""
	})

	f.database.Kill()
	f.database.Run(t)
	f.fileAll(t, 20, 40, second, without)
	until(t, "the second process signs again", f.signs(t, second))
	until(t, "everything is signed again", func() bool {
		e := f.evidence(t, second)
		return e.Entries > 0 && e.Signed == e.Entries && e.Problem == ""
	})

	f.guard.Stop()
	before := f.evidence(t, second).Signed
	code, said := f.get(t, second, "/v1/evidence")
	if code != http.StatusOK {
		t.Errorf("while the guard's server is away the evidence says %d: %s", code, said)
	}
	f.yesterday(t, "late") // recorded meanwhile
	f.guard.Run(t)
	until(t, "what was recorded meanwhile is signed", func() bool {
		e := f.evidence(t, second)
		return e.Signed > before && e.Signed == e.Entries && e.Problem == ""
	})
	// Somebody opened the tree for writing, under no lock: who signs notices, and takes it back.
	place, _, err := readEvidence(others)
	if err != nil {
		t.Fatal(err)
	}
	taken, err := f.app.openTree(t.Context(), place, true)
	if err = errors.Join(err, taken.Close()); err != nil {
		t.Fatal(err)
	}
	before = f.evidence(t, second).Signed
	f.yesterday(t, "later")
	until(t, "what was recorded since is signed", func() bool {
		e := f.evidence(t, second)
		return e.Signed > before && e.Signed == e.Entries && e.Problem == ""
	})
	second.stop(t)
	without.stop(t)
	f.run(t, "verify", "--data", f.keys(t))
	f.sound(t, 40)
	left, err := filepath.Glob(filepath.Join(others, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range left {
		if !slices.Contains([]string{evidenceFile, policyFile, keysDir, verifiedFile}, filepath.Base(name)) {
			t.Errorf("%s is left on the disk", name)
		}
	}
}

// Given a ledger whose tree and guard are files, when it is moved to servers, then the same tree is made there from the log,
// checkpoints and cosignatures come along, the files are set aside, and nothing signs with them any more.
func TestTheEvidenceMovesToServers(t *testing.T) {
	t.Parallel()
	log, err := esdbtest.Start(esdbtest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(log.Close)
	f := &farm{log: log, data: filepath.Join(t.TempDir(), "ledger"), env: []string{"LANG=en_US.UTF-8", "ANSWERABLE_LOG_URL=" + log.URL()}}
	f.run(t, "init", "--data", f.data, "--admin", "Nguyễn Văn A")
	place, _, err := readEvidence(f.data)
	if err != nil {
		t.Fatal(err)
	}
	cosigned := cosign(t, place)
	databaseURL, guardURL := pgtest.Start(t).Database(t), pgtest.Start(t).Database(t)
	files, database := f.env, append(slices.Clone(f.env), "ANSWERABLE_POSTGRES_URL="+databaseURL)
	sound := func(when string) {
		t.Helper()
		f.run(t, "verify", "--data", f.data)
		out := filepath.Join(t.TempDir(), "log")
		f.run(t, "export", "--data", f.data, "--log", out)
		if history, err := os.ReadFile(filepath.Join(out, "history", "000")); err != nil || !strings.Contains(string(history), string(cosigned)) {
			t.Errorf("%s the cosigned checkpoint is not in the history: %v\n%s", when, err, history)
		}
		f.notary(t, "audit", out, "--policy", place.path(place.Policy), "--state", t.TempDir())
	}
	gone := func(when string, names ...string) {
		t.Helper()
		for _, name := range names {
			if _, err := os.Stat(name); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("%s %s is still there: %v", when, name, err)
			}
		}
	}
	refused := func(env []string, want string) {
		t.Helper()
		var errs strings.Builder
		if code := run(t.Context(), []string{"rebuild", "--data", f.data, "--tree"}, env, stdio{strings.NewReader(""), io.Discard, &errs}); code == 0 || !strings.Contains(errs.String(), want) {
			t.Errorf("want a refusal that says %q: %d %s", want, code, errs.String())
		}
	}

	f.env = database // the guard stays in its file
	f.run(t, "rebuild", "--data", f.data, "--accept")
	p := startServer(t, f.data, f.env...)
	until(t, "the tree is moved", func() bool { _, err := os.Stat(filepath.Join(f.data, treeFile+".moved")); return err == nil })
	refused(f.env, "another process signs") // a command gives way to the server
	p.stop(t)
	sound("moved")
	gone("moved", filepath.Join(f.data, treeFile), filepath.Join(f.data, leavesFile))

	refused(append(slices.Clone(database), "ANSWERABLE_GUARD_URL="+databaseURL), "name one server")
	f.env = append(slices.Clone(database), "ANSWERABLE_GUARD_URL="+guardURL)
	f.run(t, "rebuild", "--data", f.data, "--tree") // carries over what only the tree in the database holds
	sound("made again")
	gone("made again", place.path(place.Guard))
	refused(files, "missing") // with the former settings nothing signs

	f.run(t, "key", "begin", "--data", f.data)
	p = startServer(t, f.data, f.env...)
	until(t, "both keys have signed", func() bool {
		return run(t.Context(), []string{"key", "finish", "--data", f.data}, f.env, stdio{strings.NewReader(""), io.Discard, io.Discard}) == 0
	})
	p.stop(t)
	f.run(t, "rebuild", "--data", f.data, "--verify")
	var first struct {
		ID string `json:"id"`
	}
	line, _, _ := strings.Cut(f.run(t, "export", "--data", f.data), "\n")
	if err := json.Unmarshal([]byte(line), &first); err != nil {
		t.Fatal(err)
	}
	receipt := filepath.Join(t.TempDir(), "receipt.tlog-proof")
	f.run(t, "receipt", "--data", f.data, "--event", first.ID, "-o", receipt)
	f.notary(t, "verify", receipt, "--policy", place.path(place.Policy), "--forget")
	sound("with another key")
}

// Given a ledger whose log is a file and whose tree is in a database, then its backup holds no tree, and what is restored
// makes it again, for its own log and no other.
func TestBackupOfALedgerWithATreeInADatabase(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	data, backup, restored := filepath.Join(dir, "ledger"), filepath.Join(dir, "backup"), filepath.Join(dir, "restored")
	local := []string{"LANG=en_US.UTF-8"}
	f := &farm{env: append(slices.Clone(local), "ANSWERABLE_POSTGRES_URL="+pgtest.Start(t).Database(t))}
	f.run(t, "init", "--data", data, "--admin", "Nguyễn Văn A")
	f.run(t, "verify", "--data", data)
	f.run(t, "backup", "--data", data, backup)
	f.env = local
	f.run(t, "restore", backup, "--data", restored)
	f.run(t, "rebuild", "--data", restored, "--tree")
	f.run(t, "verify", "--data", restored)
	for _, d := range []string{data, backup} {
		if _, err := os.Stat(filepath.Join(d, treeFile)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("a tree in %s: %v", d, err)
		}
	}
}

// notary runs the outsider's program.
func (f *farm) notary(t *testing.T, args ...string) {
	t.Helper()
	path, err := notaryProgram()
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(path, args...).CombinedOutput(); err != nil {
		t.Errorf("notary %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// cosign has a witness sign the newest checkpoint of a directory's tree, and names it in the policy; it gives the signature's line.
func cosign(t *testing.T, place evidencePlace) []byte {
	t.Helper()
	key, err := transparency.NewSigningKey("witness.example/w", transparency.AlgCosignatureV1, newDemoBytes("witness"))
	if err != nil {
		t.Fatal(err)
	}
	policy, err := os.ReadFile(place.path(place.Policy))
	if err == nil {
		err = os.WriteFile(place.path(place.Policy), append(policy, "witness w "+key.VerifierKey.String()+"\n"...), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	tree, err := treestore.Open(t.Context(), place.treeOptions(false))
	if err != nil {
		t.Fatal(err)
	}
	latest, _, err := tree.Latest(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s, err := key.Cosign(latest.Note.Text, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	n := transparency.Note{Text: latest.Note.Text, Signatures: []transparency.Signature{s}}
	if err := errors.Join(tree.SaveCheckpoint(t.Context(), n, time.Now()), tree.Close()); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(n.Marshal())), "\n")
	return []byte(lines[len(lines)-1])
}

// Given a server under load, when PostgreSQL is restarted, crashes, and the log's server is away for longer than its client
// tries, then the process goes on by itself, who is signed in stays so, no request is answered with a fault of ours, and
// everything that was acknowledged is there once.
func TestServersComeAndGo(t *testing.T) {
	t.Parallel()
	f := newFarm(t)
	f.log.Stop()
	p := newServer(t, t.TempDir(), f.env...)
	p.start(t)
	until(t, "the process waits for the log", func() bool { return strings.Contains(p.errs.String(), "a server cannot be reached, trying again") })
	f.back(t)
	p.listens(t)
	until(t, "the process leads", f.leads(t, p))
	reader := f.signIn(t, p)
	faults := []struct {
		name      string
		out, back func()
	}{
		{"PostgreSQL is restarted", f.database.Stop, func() { f.database.Run(t) }},
		{"PostgreSQL crashes", f.database.Kill, func() { f.database.Run(t) }},
		{"the log's server is away", func() {
			f.log.Stop()
			until(t, "the client gives up, and reports are refused", func() bool {
				_, err := p.file(t.Context(), http.DefaultClient, f.province, f.secret, 20)
				return err != nil && strings.HasPrefix(err.Error(), "503 ")
			})
			until(t, "the process says that it is not ready", func() bool { status, _ := f.get(t, p, "/readyz"); return status == http.StatusServiceUnavailable })
		}, func() { f.back(t) }},
		{"connections are cut", f.log.CutConnections, func() {}},
	}
	for i, fault := range faults {
		filed := make(chan struct{})
		go func() { f.fileAll(t, 10*i, 10*i+10, p); close(filed) }()
		read := reader.reads(t, filed)
		fault.out()
		fault.back()
		<-filed
		<-read
		until(t, fmt.Sprintf("after %s the process is ready and leads", fault.name), func() bool { return f.ready(t, p)() && f.leads(t, p)() })
	}
	p.stop(t)
	f.sound(t, 40)
}

// back has the log's server come back.
func (f *farm) back(t *testing.T) {
	t.Helper()
	if err := f.log.Restart(); err != nil {
		t.Fatal(err)
	}
}

// BenchmarkEngines is answerable bench --only engines with a PostgreSQL of its own, of ANSWERABLE_BENCH_EVENTS events
// (100,000), kept in the directory ANSWERABLE_BENCH_OUT where that is set.
func BenchmarkEngines(b *testing.B) {
	server := pgtest.Start(b)
	for b.Loop() {
		place := server.Database(b)
		args := []string{"bench", "--only", "engines", "--events", cmp.Or(os.Getenv("ANSWERABLE_BENCH_EVENTS"), "100000")}
		if out := os.Getenv("ANSWERABLE_BENCH_OUT"); out != "" {
			args = append(args, "--out", out)
		}
		if code := run(b.Context(), args, []string{"LANG=en_US.UTF-8", "ANSWERABLE_POSTGRES_URL=" + place}, stdio{strings.NewReader(""), os.Stdout, os.Stderr}); code != 0 {
			b.Fatalf("answerable %s exited with %d", strings.Join(args, " "), code)
		}
	}
}
