// Package pgtest gives tests a PostgreSQL server of their own: a new cluster in a temporary directory, reached through a
// port of 127.0.0.1, stopped and removed when the test ends.
//
// Its promise: the server is real, nobody else's, and gone afterwards, also when the test is killed (on Linux). Its
// failure model: where the server's programs are not installed the test is skipped, saying which package holds them;
// anything else that goes wrong fails the test.
package pgtest

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/lib/pq" // the driver, and quoting of names

	"github.com/answerable-ledger/answerable/internal/smalldisk"
)

// Server is a running PostgreSQL.
type Server struct {
	dir  string // holds data/ and the socket
	bin  string
	port int
	cred *syscall.Credential // who runs it; nil is this process's user

	mu  sync.Mutex // guards cmd
	cmd *exec.Cmd
	log bytes.Buffer
}

// Start runs a new server for the test.
func Start(t testing.TB) *Server {
	t.Helper()
	return started(t, "")
}

// StartSmall runs a new server that writes ahead onto a disk, in small files, so that little fills it: its tables lie
// elsewhere, and have room.
func StartSmall(t testing.TB, ahead *smalldisk.Disk) *Server {
	t.Helper()
	return started(t, ahead.Dir)
}

func started(t testing.TB, ahead string) *Server {
	t.Helper()
	s := must(t)(start(ahead))
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// Shared is one server for all tests of a package that do not stop it. The package's TestMain closes it.
type Shared struct {
	once   sync.Once
	server *Server
	err    error
}

// Server is the shared server; the first test that asks starts it.
func (s *Shared) Server(t testing.TB) *Server {
	t.Helper()
	s.once.Do(func() { s.server, s.err = start("") })
	return must(t)(s.server, s.err)
}

// Close ends the server when there is one.
func (s *Shared) Close() error {
	if s.server == nil {
		return nil
	}
	return s.server.Close()
}

// errMissing: the server's programs are not installed.
var errMissing = errors.New("no PostgreSQL here: initdb and postgres are not installed (on Debian: apt-get install postgresql)")

func must(t testing.TB) func(*Server, error) *Server {
	t.Helper()
	return func(s *Server, err error) *Server {
		t.Helper()
		if errors.Is(err, errMissing) {
			t.Skip(err)
		}
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
}

// start makes a server that writes ahead into a directory, "" for its own.
func start(ahead string) (_ *Server, err error) {
	bin, err := programs()
	if err != nil {
		return nil, err
	}
	s := &Server{bin: bin}
	if s.dir, err = os.MkdirTemp("", "answerable-pg-"); err != nil {
		return nil, fmt.Errorf("pgtest: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	if s.port, err = freePort(); err != nil {
		return nil, err
	}
	if os.Geteuid() == 0 { // the server refuses to run as root
		if s.cred, err = unprivileged(); err != nil {
			return nil, err
		}
		if err := os.Chown(s.dir, int(s.cred.Uid), int(s.cred.Gid)); err != nil {
			return nil, fmt.Errorf("pgtest: %w", err)
		}
	}
	if err := os.Chmod(s.dir, 0o755); err != nil {
		return nil, fmt.Errorf("pgtest: %w", err)
	}
	args := []string{"--pgdata", s.data(), "--username", "answerable", "--auth", "trust", "--encoding", "UTF8", "--locale", "C", "--no-sync"}
	if ahead != "" {
		ahead = filepath.Join(ahead, "wal")
		if err := s.mkdir(ahead); err != nil {
			return nil, fmt.Errorf("pgtest: %w", err)
		}
		args = append(args, "--waldir", ahead, "--wal-segsize", "1")
	}
	if out, err := s.command("initdb", args...).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("pgtest: initdb: %w\n%s", err, out)
	}
	return s, s.run()
}

// Close ends the server and removes what it wrote.
func (s *Server) Close() error {
	s.Kill()
	if err := os.RemoveAll(s.dir); err != nil {
		return fmt.Errorf("pgtest: remove %s: %w", s.dir, err)
	}
	return nil
}

// Run starts the server after Stop or Kill, and waits until it answers.
func (s *Server) Run(t testing.TB) {
	t.Helper()
	if err := s.run(); err != nil {
		t.Fatal(err)
	}
}

func (s *Server) run() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cmd = s.command("postgres", "-D", s.data(), "-h", "127.0.0.1", "-p", strconv.Itoa(s.port), "-k", s.dir,
		"-c", "fsync=off", "-c", "full_page_writes=off", "-c", "max_connections=200", "-c", "shared_buffers=64MB")
	s.cmd.Stdout, s.cmd.Stderr = &s.log, &s.log
	if err := s.cmd.Start(); err != nil {
		return fmt.Errorf("pgtest: start: %w", err)
	}
	deadline := time.Now().Add(60 * time.Second)
	for {
		err := s.ping()
		if err == nil {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("pgtest: the server does not answer: %w\n%s", err, s.log.String())
		}
		time.Sleep(20 * time.Millisecond) // there is nothing to be told by: the server is another program
	}
}

func (s *Server) ping() error {
	db, err := sql.Open("postgres", s.URL("postgres"))
	if err != nil {
		return err
	}
	defer db.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	return db.PingContext(ctx)
}

// Stop ends the server as an operator would: what was committed is on the disk, connections are cut.
func (s *Server) Stop() { s.signal(syscall.SIGINT) }

// Kill ends it as a crash would.
func (s *Server) Kill() { s.signal(syscall.SIGQUIT) }

func (s *Server) signal(sig syscall.Signal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cmd == nil || s.cmd.Process == nil {
		return
	}
	_ = s.cmd.Process.Signal(sig) // it may have ended by itself
	_ = s.cmd.Wait()
	s.cmd = nil
}

// Database makes a new, empty database and returns its connection string.
func (s *Server) Database(t testing.TB) string {
	t.Helper()
	return newDatabase(t, s.URL("postgres"), s.URL)
}

// SmallDatabase makes a new database on a file system of its own, of some MiB, and returns its connection string and the
// file system's directory, in which a test may take the room away. What the server writes ahead lies elsewhere, as where an
// operator gives it a disk of its own. Where no file system can be mounted the test is skipped.
func (s *Server) SmallDatabase(t testing.TB, sizeMiB int) (place, dir string) {
	t.Helper()
	dir = smalldisk.Mount(t, s.dir, sizeMiB).Dir
	space := filepath.Join(dir, "tables")
	if err := s.mkdir(space); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("postgres", s.URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	name := pq.QuoteIdentifier(filepath.Base(dir))
	for _, statement := range []string{`CREATE TABLESPACE ` + name + ` LOCATION ` + pq.QuoteLiteral(space), `CREATE DATABASE ` + name + ` TABLESPACE ` + name} {
		if _, err := db.Exec(statement); err != nil {
			t.Fatalf("pgtest: %s: %v", statement, err)
		}
	}
	return s.URL(filepath.Base(dir)), dir
}

// URL is the connection string of a database.
func (s *Server) URL(database string) string {
	return fmt.Sprintf("postgres://answerable@127.0.0.1:%d/%s?sslmode=disable&connect_timeout=5", s.port, database)
}

// CPU is the processor time that the server's processes have used, those included that have ended; 0 where it cannot be told.
func (s *Server) CPU() (total time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cmd == nil || s.cmd.Process == nil {
		return 0
	}
	const tick = 10 * time.Millisecond // Linux tells it in hundredths of a second, whatever the machine
	server := strconv.Itoa(s.cmd.Process.Pid)
	all, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, name := range all {
		stat, err := os.ReadFile(name)
		if err != nil { // it has ended
			continue
		}
		f := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:])) // from the third field on: state, parent, …
		own := filepath.Base(filepath.Dir(name)) == server
		if len(f) < 15 || !own && f[1] != server {
			continue
		}
		for i, ticks := range f[11:15] { // its own time as user and in the kernel, then that of its children that ended
			if n, err := strconv.Atoi(ticks); err == nil && (own || i < 2) {
				total += time.Duration(n) * tick
			}
		}
	}
	return total
}

func newDatabase(t testing.TB, admin string, url func(string) string) string {
	t.Helper()
	db, err := sql.Open("postgres", admin)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	name := fmt.Sprintf("t%d_%d", os.Getpid(), time.Now().UnixNano())
	if _, err := db.Exec("CREATE DATABASE " + pq.QuoteIdentifier(name)); err != nil {
		t.Fatalf("pgtest: create database: %v", err)
	}
	return url(name)
}

// mkdir makes a directory that the server may write.
func (s *Server) mkdir(dir string) error {
	if err := os.Mkdir(dir, 0o700); err != nil || s.cred == nil {
		return err
	}
	return os.Chown(dir, int(s.cred.Uid), int(s.cred.Gid))
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

func (s *Server) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(s.bin, name), args...)
	cmd.Dir = s.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.cred}
	dieWithParent(cmd.SysProcAttr)
	return cmd
}

// programs finds the directory of initdb and postgres.
func programs() (string, error) {
	candidates, _ := filepath.Glob("/usr/lib/postgresql/*/bin")
	slices.SortFunc(candidates, func(a, b string) int { return major(b) - major(a) })
	if p, err := exec.LookPath("initdb"); err == nil {
		candidates = append(candidates, filepath.Dir(p))
	}
	for _, dir := range candidates {
		if executable(filepath.Join(dir, "initdb")) && executable(filepath.Join(dir, "postgres")) {
			return dir, nil
		}
	}
	return "", errMissing
}

func major(dir string) int {
	n, _ := strconv.Atoi(filepath.Base(filepath.Dir(dir)))
	return n
}

func executable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode()&0o111 != 0
}

func unprivileged() (*syscall.Credential, error) {
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
		gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
		if err1 == nil && err2 == nil {
			return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
		}
	}
	return nil, errors.New("pgtest: root may not run PostgreSQL, and there is no user postgres or nobody")
}

// freePort finds a port that nobody listens on, below those that systems give to outgoing connections: while the server is
// stopped one of these, to anywhere on this machine, could otherwise take it. Where it looks first the system chooses.
func freePort() (int, error) {
	const first, last = 15000, 32000
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("pgtest: %w", err)
	}
	start := l.Addr().(*net.TCPAddr).Port
	l.Close()
	for i := range last - first {
		port := first + (start+i)%(last-first)
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err == nil {
			return port, l.Close()
		}
	}
	return 0, fmt.Errorf("pgtest: no free port from %d to %d", first, last)
}
