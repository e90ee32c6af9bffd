package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	_ "time/tzdata" // the regime's zone must be known on a bare machine

	"github.com/go-json-experiment/json"
	"go.uber.org/zap"

	"github.com/answerable-ledger/answerable/appstate"
	"github.com/answerable-ledger/answerable/bench/province"
	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/eventlog"
)

// killRounds is how often the server is killed; the SQLite store's own test kills its writer many more times.
const killRounds = 12

// TestKilledServerKeepsWhatItAcknowledged: a server under load is killed with SIGKILL again and again at random instants.
// Every report it acknowledged is in the ledger, none twice, and after the last round the views agree with a fresh fold.
func TestKilledServerKeepsWhatItAcknowledged(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p, secret := killProvince(t, dir)
	acknowledged := map[string]int{} // event id to unit
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	next := 0
	for round := range killRounds {
		server := startServer(t, dir)
		pause := time.Duration(20+r.IntN(180)) * time.Millisecond
		got, used := server.load(t, p, secret, next, pause)
		next += used
		for id, unit := range got {
			acknowledged[id] = unit
		}
		if round%4 == 3 {
			mustRun(t, "verify", "--data", dir)
		}
	}
	if len(acknowledged) < killRounds {
		t.Fatalf("only %d reports were acknowledged in %d rounds", len(acknowledged), killRounds)
	}
	// A last life in which the closer and the views catch up, ended politely.
	server := startServer(t, dir)
	server.stop(t)
	mustRun(t, "verify", "--data", dir)

	seen := map[string]int{}
	log, err := (&app{}).openLog(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	err = eachEvent(t.Context(), log, func(e eventlog.Recorded) error { seen[e.ID.String()]++; return nil })
	if err != nil {
		t.Fatal(err)
	}
	for id, unit := range acknowledged {
		if seen[id] != 1 {
			t.Errorf("event %s of unit %d was acknowledged and is there %d times", id, unit, seen[id])
		}
	}
	t.Logf("%d reports acknowledged over %d kills", len(acknowledged), killRounds)
}

// killProvince makes a ledger whose day is open now, wherever the test runs: the zone is one in which it is morning.
func killProvince(t *testing.T, dir string) (province.Province, string) {
	p := morning(t, province.Province{Regime: "bench", Units: 2000})
	place := evidencePlace{dir: dir, evidenceConfig: evidenceConfig{Origin: demoOrigin, Guard: filepath.Join("guard", guardFile), Policy: policyFile, Demo: true}}
	if err := place.create(); err != nil {
		t.Fatal(err)
	}
	a := &app{ctx: t.Context(), logger: zap.NewNop(), now: time.Now}
	n, err := a.openNode(t.Context(), dir, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.SetUp(t.Context(), n.ledger, time.Now); err != nil {
		t.Fatal(err)
	}
	if err := p.Open(t.Context(), n.ledger, p.Day); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(a.signOnce(t.Context(), n), n.close()); err != nil {
		t.Fatal(err)
	}
	state, err := appstate.Open(t.Context(), filepath.Join(dir, stateFile), appstate.Options{})
	if err != nil {
		t.Fatal(err)
	}
	secret, _, err := state.CreateToken(t.Context(), appstate.NewToken{Person: province.Filer, Scope: appstate.ScopeWrite})
	if err != nil {
		t.Fatal(err)
	}
	if err := state.Close(); err != nil {
		t.Fatal(err)
	}
	return p, secret
}

// morning gives a province a zone in which the day is young, wherever and whenever the test runs.
func morning(t *testing.T, p province.Province) province.Province {
	t.Helper()
	now := time.Now().UTC()
	offset := 8 - now.Hour() // Etc/GMT-8 is eight hours ahead of UTC
	if offset < -12 {
		offset += 24
	}
	p.Zone = fmt.Sprintf("Etc/GMT%+d", -offset)
	if offset == 0 {
		p.Zone = "Etc/GMT"
	}
	location, err := time.LoadLocation(p.Zone)
	if err != nil {
		t.Fatal(err)
	}
	p.Day = domain.DateAt(now, location)
	p.Last = p.Day
	return p
}

// serverProcess is a running `answerable serve`.
type serverProcess struct {
	cmd     *exec.Cmd
	address string
	out     io.Reader
	errs    *said
}

// startServer starts one and waits until it serves; env is set for it besides what this process has.
func startServer(t *testing.T, dir string, env ...string) *serverProcess {
	t.Helper()
	s := newServer(t, dir, env...)
	s.start(t)
	s.listens(t)
	return s
}

// newServer is startServer in steps: start runs it, listens waits until it does. Settings in the environment of the tests are
// not the server's: it would serve another directory, or refuse to.
func newServer(t *testing.T, dir string, env ...string) *serverProcess {
	s := &serverProcess{cmd: exec.Command("answerable", "--lang", "en", "serve", "--data", dir, "--listen", "127.0.0.1:0"), errs: &said{}}
	ours := slices.DeleteFunc(os.Environ(), func(kv string) bool { return strings.HasPrefix(kv, "ANSWERABLE_") })
	s.cmd.Env = append(ours, env...)
	s.cmd.Stderr = s.errs
	return s
}

func (s *serverProcess) start(t *testing.T) {
	t.Helper()
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = s.cmd.Process.Kill() // it has ended in most tests
		if t.Failed() {
			t.Logf("the server on %s said:\n%s", s.address, s.errs)
		}
	})
	s.out = out
}

func (s *serverProcess) listens(t *testing.T) {
	t.Helper()
	lines := bufio.NewScanner(s.out)
	if !lines.Scan() {
		t.Fatalf("the server said nothing: %v\n%s", s.cmd.Wait(), s.errs)
	}
	_, rest, ok := strings.Cut(lines.Text(), "http://")
	if !ok {
		t.Fatalf("the server said %q", lines.Text())
	}
	s.address, _, _ = strings.Cut(rest, " ")
	go io.Copy(io.Discard, s.out) //nolint:errcheck // until it ends
}

// said is what a process said so far.
type said struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *said) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(b)
}

func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// load files reports of units from first on until the server is killed, and returns the ids of the events it acknowledged
// and how many units were used. A unit whose answer was lost is not tried again: it may or may not be there.
func (s *serverProcess) load(t *testing.T, p province.Province, secret string, first int, pause time.Duration) (map[string]int, int) {
	t.Helper()
	var mu sync.Mutex
	got := map[string]int{}
	used := 0
	begun := make(chan struct{})
	var once sync.Once
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 8}}
	defer client.CloseIdleConnections()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for ctx.Err() == nil {
				mu.Lock()
				unit := first + used
				used++
				mu.Unlock()
				if unit >= p.Units {
					once.Do(func() { close(begun) })
					return
				}
				ids, err := s.file(ctx, client, p, secret, unit)
				if err != nil {
					return // killed in the middle
				}
				mu.Lock()
				for _, id := range ids {
					got[id] = unit
				}
				mu.Unlock()
				once.Do(func() { close(begun) })
			}
		})
	}
	select {
	case <-begun:
	case <-time.After(time.Minute):
		t.Errorf("no report was acknowledged within a minute: %s", s.errs)
	}
	time.Sleep(pause) // the instant of the kill: chosen at random, nothing waits for it
	if err := s.cmd.Process.Kill(); err != nil {
		t.Error(err)
	}
	s.cmd.Wait() //nolint:errcheck // it was killed
	cancel()
	wg.Wait()
	return got, used
}

func (s *serverProcess) file(ctx context.Context, client *http.Client, p province.Province, secret string, unit int) ([]string, error) {
	url := fmt.Sprintf("http://%s/v1/regimes/%s/reports/commune/%s/%s", s.address, p.Regime, p.Unit(unit), p.Day)
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(p.Body(unit, 0)))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+secret)
	r.Header.Set("Idempotency-Key", fmt.Sprint(unit))
	answer, err := client.Do(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil, err
	}
	if answer.StatusCode != http.StatusCreated {
		return nil, fmt.Errorf("%s: %s", answer.Status, body)
	}
	var x struct {
		EventIDs []string `json:"event_ids"`
	}
	if err := json.Unmarshal(body, &x); err != nil {
		return nil, err
	}
	return x.EventIDs, nil
}

// stop ends the server as a service manager does, and wants it to end well.
func (s *serverProcess) stop(t *testing.T) {
	t.Helper()
	if err := s.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Wait(); err != nil {
		t.Fatalf("the server did not end well: %v\n%s", err, s.errs)
	}
}

// mustRun runs the program in this process and wants it to succeed.
func mustRun(t *testing.T, args ...string) string {
	t.Helper()
	var out, errs strings.Builder
	if code := run(t.Context(), args, []string{"LANG=en_US.UTF-8"}, stdio{strings.NewReader(""), &out, &errs}); code != 0 {
		t.Fatalf("answerable %s exited with %d: %s", strings.Join(args, " "), code, errs.String())
	}
	return out.String()
}
