package postgres_test

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/lib/pq"

	"github.com/answerable-ledger/answerable/internal/pgtest"
	"github.com/answerable-ledger/answerable/internal/postgres"
)

func TestCheckDemandsWhatMustBeSaid(t *testing.T) {
	t.Parallel()
	for place, want := range map[string]string{
		"postgres://u:secret@h/db?sslmode=verify-full&connect_timeout=5": "",
		"postgresql://u@h:5433/db?sslmode=disable&connect_timeout=1":     "",
		"postgres://u:secret@h/db?connect_timeout=5":                     "sslmode=verify-full",
		"postgres://u:secret@h/db?sslmode=require":                       "connect_timeout=5",
		"postgres://u:secret@h/db?sslmode=require&connect_timeout=0":     "connect_timeout=5",
		"postgres://u:secret@h?sslmode=require&connect_timeout=5":        "expected postgres://",
		"mysql://u:secret@h/db":                                          "expected postgres://",
		"postgres://u:secret@h:x/db":                                     "expected postgres://",
	} {
		shown, err := postgres.Check(place)
		switch {
		case want == "" && (err != nil || strings.Contains(shown, "secret")):
			t.Errorf("%s: %q, %v", place, shown, err)
		case want != "" && (!errors.Is(err, postgres.ErrURL) || strings.Contains(err.Error(), "secret") || !strings.Contains(err.Error(), want)):
			t.Errorf("%s: %v", place, err)
		}
	}
}

func TestTransient(t *testing.T) {
	t.Parallel()
	code := func(c string) error { return fmt.Errorf("projections: write: %w", &pq.Error{Code: pq.ErrorCode(c)}) }
	for _, c := range []string{"40001", "40P01", "55P03", "57P01", "57P02", "57P03", "08006", "08001", "53300", "53100", "57014", "25P03"} {
		if !postgres.Transient(code(c)) {
			t.Errorf("%s passes", c)
		}
	}
	for _, c := range []string{"42P01", "23505", "42501", "22021", "28P01", "3D000"} {
		if postgres.Transient(code(c)) {
			t.Errorf("%s does not pass by itself", c)
		}
	}
	for _, err := range []error{driver.ErrBadConn, io.ErrUnexpectedEOF, &net.OpError{Op: "dial", Err: errors.New("refused")}} {
		if !postgres.Transient(fmt.Errorf("x: %w", err)) {
			t.Errorf("%v passes", err)
		}
	}
	for _, err := range []error{nil, context.Canceled, context.DeadlineExceeded, errors.New("x")} {
		if postgres.Transient(err) {
			t.Errorf("%v does not pass by itself", err)
		}
	}
}

func TestClean(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{"Phường Phú Lợi": "Phường Phú Lợi", "a\x00b": "a␀b", "a\xffb": "a\uFFFDb", "": ""} {
		if got := postgres.Clean(in); got != want {
			t.Errorf("%q: %q", in, got)
		}
	}
}

// Given limits that the program sets and one that the operator sets, then each connection has them.
func TestConnectionsHaveLimits(t *testing.T) {
	t.Parallel()
	place := pgtest.Start(t).Database(t) + "&lock_timeout=7s"
	db, err := postgres.Open(place, postgres.Pool{Name: "test", Conns: 2, Settings: map[string]string{"statement_timeout": "90s", "default_transaction_read_only": "on"}})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for name, want := range map[string]string{"statement_timeout": "90s", "lock_timeout": "7s", "idle_in_transaction_session_timeout": "1min",
		"default_transaction_read_only": "on", "application_name": "answerable test"} {
		var got string
		if err := db.QueryRow("SHOW " + name).Scan(&got); err != nil || got != want {
			t.Errorf("%s is %q, %v", name, got, err)
		}
	}
	var kept string
	if err := db.QueryRow("SELECT $1::text", "a\x00\xff").Scan(&kept); err != nil || kept != "a␀\uFFFD" {
		t.Errorf("a text that cannot be kept comes back as %q, %v", kept, err)
	}
}

// Given several who want a lock, then one has it at a time; and when its connection is cut its work is told to stop and
// another gets it.
func TestAlone(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t)
	place := server.Database(t)
	var mu sync.Mutex
	inside, most := 0, 0
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			err := postgres.Alone(t.Context(), place, postgres.LockLeader, "test", func(context.Context) error {
				mu.Lock()
				inside++
				most = max(most, inside)
				mu.Unlock()
				defer func() { mu.Lock(); inside--; mu.Unlock() }()
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if most != 1 {
		t.Errorf("%d at once", most)
	}
	err := postgres.Alone(t.Context(), place, postgres.LockRebuild, "test", func(ctx context.Context) error {
		ran, err := postgres.IfAlone(ctx, place, postgres.LockRebuild, "test", func(context.Context) error { return errors.New("two at once") })
		if ran || err != nil {
			t.Errorf("beside the holder: %t, %v", ran, err)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	ran, err := postgres.IfAlone(t.Context(), place, postgres.LockRebuild, "test", func(context.Context) error { return nil })
	if !ran || err != nil {
		t.Errorf("alone: %t, %v", ran, err)
	}
	err = postgres.Alone(t.Context(), place, postgres.LockLeader, "test", func(ctx context.Context) error {
		server.Kill()
		<-ctx.Done()
		return ctx.Err()
	})
	if !errors.Is(err, postgres.ErrLockLost) {
		t.Errorf("the holder was told %v", err)
	}
	server.Run(t)
	if err := postgres.Alone(t.Context(), place, postgres.LockLeader, "test", func(context.Context) error { return nil }); err != nil {
		t.Error(err)
	}
}
