package main

import (
	"context"
	"crypto/tls"
	"database/sql"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/answerable-ledger/answerable/bench/province"
	"github.com/answerable-ledger/answerable/eventlog"
	"github.com/answerable-ledger/answerable/eventlog/esdb"
	"github.com/answerable-ledger/answerable/eventlog/esdb/esdbtest"
	"github.com/answerable-ledger/answerable/internal/pgtest"
	"github.com/answerable-ledger/answerable/internal/smalldisk"
)

// reader is somebody who reads pages of a process in a browser, and its routes with a token.
type reader struct {
	*farm
	process *serverProcess
	browser *http.Client
}

// signIn makes somebody who is signed in by a password.
func (f *farm) signIn(t *testing.T, s *serverProcess) *reader {
	t.Helper()
	r := &reader{farm: f, process: s}
	state, err := f.app.openState(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	f.as(t, time.Now, func(_ context.Context, n *node) (err error) {
		r.browser, err = province.SignIn(t.Context(), n.ledger, state, n.now, "http://"+s.address)
		return err
	})
	if err := state.Close(); err != nil {
		t.Fatal(err)
	}
	if code := r.page(t); code != http.StatusOK {
		t.Fatalf("the page of who has signed in: %d", code)
	}
	return r
}

// page asks for a page that only who is signed in can see.
func (r *reader) page(t *testing.T) (status int) {
	answer, err := r.browser.Get("http://" + r.process.address + "/account")
	if err != nil {
		t.Errorf("a page was not answered: %v", err)
		return 0
	}
	answer.Body.Close()
	if answer.Request.URL.Path != "/account" {
		t.Errorf("who is signed in was sent to %s", answer.Request.URL)
	}
	return answer.StatusCode
}

// reads reads without end until stop, and then until it is answered: each request with what was asked for, or told to come
// back.
func (r *reader) reads(t *testing.T, stop <-chan struct{}) (ended chan struct{}) {
	ended = make(chan struct{})
	go func() {
		defer close(ended)
		deadline := time.Now().Add(patience)
		for over := false; ; {
			page := r.page(t)
			route, said := r.get(t, r.process, "/v1/regimes/"+string(r.province.Regime))
			for _, status := range []int{page, route} {
				if status != http.StatusOK && status != http.StatusServiceUnavailable {
					t.Errorf("a reader was answered %d: %s", status, said)
				}
			}
			switch {
			case over && page == http.StatusOK && route == http.StatusOK:
				return
			case time.Now().After(deadline):
				t.Errorf("a reader is not answered any more: %d, %d %s", page, route, said)
				return
			}
			select {
			case <-stop:
				over = true
			default:
			}
		}
	}()
	return ended
}

// refuses wants a process to refuse the reports of units from..to, each asked once, as something that passes.
func (f *farm) refuses(t *testing.T, p *serverProcess, from, to int, codes ...string) {
	t.Helper()
	var wg sync.WaitGroup
	for unit := from; unit < to; unit++ {
		wg.Go(func() {
			_, err := p.file(t.Context(), http.DefaultClient, f.province, f.secret, unit)
			for _, code := range codes {
				if err != nil && strings.HasPrefix(err.Error(), "503 ") && strings.Contains(err.Error(), code) {
					return
				}
			}
			t.Errorf("unit %d: %v, want 503 and one of %q", unit, err, codes)
		})
	}
	wg.Wait()
}

// Given a log that takes every call and answers none, or is not there, for longer than anything waits for it, then each
// request is answered all the same, as unknown or unavailable; a process that starts meanwhile waits; and when the log
// answers again both go on, and each report that is sent again is there once.
func TestTheLogIsAwayForLongerThanEveryDeadline(t *testing.T) {
	t.Parallel()
	f := newFarm(t)
	p := f.serve(t)
	until(t, "the process leads", f.leads(t, p))
	f.fileAll(t, 0, 8, p)

	appends := f.log.Hold("Append")
	refused := make(chan struct{})
	go func() { // each is answered when the program has waited as long as it ever does
		defer close(refused)
		f.refuses(t, p, 8, 12, "outcome_unknown")
	}()
	for range 4 {
		<-appends.Entered()
	}
	reads := f.log.Hold("Read")
	late := newServer(t, t.TempDir(), f.env...)
	late.start(t)
	f.refuses(t, p, 12, 16, "unavailable", "outcome_unknown")
	<-refused
	until(t, "the process says that it is not ready", func() bool { status, _ := f.get(t, p, "/readyz"); return status == http.StatusServiceUnavailable })
	until(t, "the one that starts waits", func() bool { return strings.Contains(late.errs.String(), "a server cannot be reached, trying again") })
	appends.Release()
	reads.Release()
	late.listens(t)
	f.fileAll(t, 8, 24, p, late)

	f.log.Stop()
	f.refuses(t, p, 24, 28, "unavailable", "outcome_unknown")
	f.refuses(t, late, 24, 28, "unavailable", "outcome_unknown")
	f.back(t)
	f.fileAll(t, 24, 40, p, late)
	for _, s := range []*serverProcess{p, late} {
		until(t, "a process is ready", f.ready(t, s))
		s.stop(t)
	}
	f.sound(t, 40)
}

// Given a PostgreSQL that ends itself, because the disk of what it writes ahead is full, then who reports is told to come
// back; and when there is room and it runs again, all that was acknowledged is there: reports once, tokens, and who was
// signed in.
func TestPostgreSQLHasNoRoomToWriteAhead(t *testing.T) {
	t.Parallel()
	disk := smalldisk.Mount(t, "", 32)
	f := newFarmOn(t, pgtest.StartSmall(t, disk))
	p := f.serve(t)
	until(t, "the process leads", f.leads(t, p))
	reader := f.signIn(t, p)
	f.fileAll(t, 0, 10, p)

	disk.Fill(t)
	filed := make(chan struct{})
	go func() { f.fileAll(t, 10, 20, p); close(filed) }()
	read := reader.reads(t, filed)
	f.writesAhead(t)
	until(t, "the process says that it is not ready", func() bool { status, _ := f.get(t, p, "/readyz"); return status == http.StatusServiceUnavailable })
	disk.Free(t)
	f.database.Kill() // what is left of it
	f.database.Run(t)
	<-filed
	<-read
	until(t, "the process is ready and leads", func() bool { return f.ready(t, p)() && f.leads(t, p)() })
	f.fileAll(t, 20, 40, p)
	p.stop(t)
	f.sound(t, 40)
}

// writesAhead has PostgreSQL write until it cannot any more.
func (f *farm) writesAhead(t *testing.T) {
	t.Helper()
	db, err := sql.Open("postgres", f.database.URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	_, err = db.ExecContext(ctx, `CREATE TABLE IF NOT EXISTS written (x TEXT)`)
	for n := 0; err == nil; n++ {
		_, err = db.ExecContext(ctx, `INSERT INTO written SELECT repeat(md5(random()::text), 30) FROM generate_series(1, 1000)`)
	}
	if ctx.Err() != nil {
		t.Fatal(errors.Join(fmt.Errorf("PostgreSQL writes on and on"), err))
	}
}

// Given a log from which an administrator had events removed, where the views stand or long before, then a process that is
// started ends, and says what is gone and what to do; and so does a rebuild.
func TestAScavengedLogIsRefused(t *testing.T) {
	t.Parallel()
	f := newFarm(t)
	p := f.serve(t)
	until(t, "the process leads", f.leads(t, p))
	f.fileAll(t, 0, 4, p)
	var newest string
	f.as(t, time.Now, func(ctx context.Context, n *node) error {
		err := eachEvent(ctx, n.log, func(e eventlog.Recorded) error { newest = e.Stream; return nil })
		return errors.Join(err, n.catchUp(ctx))
	})
	p.stop(t)
	var filed string // a stream with a report that is not the newest
	for i := range 2 {
		if s := f.province.Key(i, f.province.Day).Stream(); s != newest {
			filed = s
		}
	}
	for _, x := range []struct {
		stream string
		says   []string
	}{
		{filed, []string{"events are missing from the log", filed, "restore the log"}},
		{newest, []string{newest + " is not there", "answerable rebuild"}}, // the position of the views is looked up first
	} {
		f.log.Truncate(x.stream, 1000)
		f.log.Scavenge()
		s := newServer(t, t.TempDir(), f.env...)
		s.start(t)
		go io.Copy(io.Discard, s.out) //nolint:errcheck // until it ends
		served := time.AfterFunc(patience, func() { _ = s.cmd.Process.Kill() })
		if err := s.cmd.Wait(); err == nil || s.cmd.ProcessState.ExitCode() != exitFailed {
			t.Errorf("a process on a log without %s ended with %v", x.stream, err)
		}
		served.Stop()
		for _, want := range x.says {
			if said := s.errs.String(); !strings.Contains(said, want) {
				t.Errorf("a process on a log without %s does not say %q:\n%s", x.stream, want, said)
			}
		}
		// Views made of such a log would agree with it.
		var errs strings.Builder
		code := run(t.Context(), []string{"rebuild", "--accept"}, f.env, stdio{strings.NewReader(""), io.Discard, &errs})
		for _, want := range []string{"events are missing from the log", x.stream, "restore the log"} {
			if code == 0 || !strings.Contains(errs.String(), want) {
				t.Errorf("a rebuild from a log without %s ends with %d and does not say %q:\n%s", x.stream, code, want, errs.String())
			}
		}
	}
}

// Given a log's server with users, when an administrator of it has run init for another user, then a process that serves as
// that user reads, writes and follows the log, and the server is left refusing them what would take events from the ledger.
func TestInitProtectsTheLog(t *testing.T) {
	t.Parallel()
	web := httptest.NewTLSServer(http.NotFoundHandler()) // for its certificate
	t.Cleanup(web.Close)
	authority := filepath.Join(t.TempDir(), "ca.crt")
	if err := os.WriteFile(authority, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: web.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	server, err := esdbtest.Start(esdbtest.Options{
		TLS: &tls.Config{Certificates: web.TLS.Certificates}, Users: map[string]string{"admin": "top", "ledger": "low"},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	as := func(user, password string) string {
		return "esdb://" + user + ":" + password + "@" + server.Address() + "?tlsCaFile=" + url.QueryEscape(authority)
	}
	dir := filepath.Join(t.TempDir(), "ledger")
	f := &farm{env: []string{"LANG=en_US.UTF-8", "ANSWERABLE_LOG_URL=" + as("admin", "top")}}
	var made struct {
		Token string `json:"token"`
	}
	if err := json.Unmarshal([]byte(f.run(t, "init", "--data", dir, "--admin", "Nguyễn Văn A", "--log-user", "ledger", "--json")), &made); err != nil {
		t.Fatal(err)
	}
	f.admin = made.Token
	log, err := esdb.Open(t.Context(), esdb.Options{URL: as("admin", "top")})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	if changed, err := log.Protect(t.Context(), "ledger"); changed || err != nil {
		t.Errorf("after init there was something left to protect: %t, %v", changed, err)
	}

	f.env = []string{"LANG=en_US.UTF-8", "ANSWERABLE_LOG_URL=" + as("ledger", "low")}
	p := startServer(t, dir, f.env...)
	until(t, "the process is ready", f.ready(t, p))
	const person = "/v1/persons/p_binh"
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+p.address+person, strings.NewReader(`{"name":"Trần Thị Bình"}`))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+f.admin)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Idempotency-Key", "p_binh")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if said, err := io.ReadAll(answer.Body); err != nil || answer.StatusCode/100 != 2 {
		t.Fatalf("a command was answered %s: %s %v", answer.Status, said, err)
	}
	until(t, "the views follow", func() bool { _, said := f.get(t, p, person); return strings.Contains(said, "Bình") })
	p.stop(t)
	f.run(t, "verify", "--data", dir)
}
