package appstate

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/answerable-ledger/answerable/internal/pgtest"
)

// shared is the PostgreSQL server of all tests that do not stop it.
var shared pgtest.Shared

func TestMain(m *testing.M) {
	code := m.Run()
	if err := shared.Close(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// onEveryEngine runs a test on SQLite and on PostgreSQL, each with a new, empty place for the state.
func onEveryEngine(t *testing.T, test func(t *testing.T, place string)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { test(t, filepath.Join(t.TempDir(), "with blank", "state.db")) })
	t.Run("postgres", func(t *testing.T) {
		test(t, shared.Server(t).Database(t))
	})
}

// Given several processes that start at once on an empty database, then each finds the tables.
func TestSeveralOpenAtOnce(t *testing.T) {
	t.Parallel()
	onEveryEngine(t, func(t *testing.T, place string) {
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				s, err := Open(context.Background(), place, Options{})
				if err != nil {
					t.Error(err)
					return
				}
				if _, _, err := s.CreateToken(context.Background(), NewToken{Person: "p", Scope: ScopeRead}); err != nil {
					t.Error(err)
				}
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
	})
}
