package projections

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/answerable-ledger/answerable/internal/pgtest"
	"github.com/answerable-ledger/answerable/internal/postgres"
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

// viewsIn is the place of the views of a test: a file in a directory, or a database.
func viewsIn(place string) string {
	if postgres.Is(place) {
		return place
	}
	return filepath.Join(place, "views.db")
}

// onEveryEngine runs a test on SQLite and on PostgreSQL. place gives a new, empty place for views each time.
func onEveryEngine(t *testing.T, test func(t *testing.T, place place)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { test(t, func(t cleaner) string { return tempDir(t) }) })
	t.Run("postgres", func(t *testing.T) {
		s := shared.Server(t)
		test(t, func(cleaner) string { return s.Database(t) })
	})
}

// place gives a new, empty place for views: a directory, or a database.
type place func(t cleaner) string

// cleaner is a *testing.T or a *rapid.T.
type cleaner interface {
	failer
	Cleanup(func())
}

// propertyOnEveryEngine checks a property on both. A database server takes a hundred times as long to begin with nothing as
// a directory does, so it gets some of the examples only.
func propertyOnEveryEngine(t *testing.T, property func(t *rapid.T, place place)) {
	t.Helper()
	onEveryEngine(t, func(t *testing.T, place place) {
		if checks := flag.Lookup("rapid.checks"); strings.HasSuffix(t.Name(), "/postgres") {
			all := checks.Value.String()
			n, err := strconv.Atoi(all)
			must(t, err)
			must(t, checks.Value.Set(strconv.Itoa((n+19)/20)))
			defer func() { must(t, checks.Value.Set(all)) }()
		}
		rapid.Check(t, func(t *rapid.T) { property(t, place) })
	})
}
