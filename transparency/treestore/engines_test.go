package treestore_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/answerable-ledger/answerable/eventlog"
	"github.com/answerable-ledger/answerable/internal/pgtest"
	"github.com/answerable-ledger/answerable/transparency"
	"github.com/answerable-ledger/answerable/transparency/treestore"
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

// tree is a store of a tree, whichever it is.
type tree interface {
	Origin() string
	Filter() eventlog.Filter
	Size() int64
	Last() eventlog.Position
	Append(ctx context.Context, size int64, entries []treestore.Entry) error
	Leaf(ctx context.Context, index int64) ([]byte, eventlog.Position, error)
	Entries(ctx context.Context, lo, hi int64) ([]treestore.Entry, error)
	Index(ctx context.Context, at eventlog.Position) (index int64, found bool, err error)
	Root(ctx context.Context, size int64) (tlog.Hash, error)
	Hashes(ctx context.Context, size int64) tlog.HashReader
	Tile(ctx context.Context, id transparency.TileID) ([]byte, error)
	SaveCheckpoint(ctx context.Context, n transparency.Note, at time.Time) error
	Checkpoints(ctx context.Context, skip, limit int64) ([]treestore.Signed, error)
	CheckpointsFrom(ctx context.Context, size, limit int64) ([]treestore.Signed, error)
	NewestCheckpoints(ctx context.Context, limit int64) ([]treestore.Signed, error)
	Latest(ctx context.Context) (latest treestore.Signed, ok bool, err error)
	Receipt(ctx context.Context, index int64, p *transparency.Policy) (transparency.Proof, error)
	Erase(ctx context.Context, event uuid.UUID, at time.Time, reason string) error
	Erased(ctx context.Context, event uuid.UUID) (bool, error)
	Erasures(ctx context.Context) ([]treestore.Erasure, error)
	Check(ctx context.Context, o treestore.CheckOptions) error
	Close() error
}

// openTree opens a place, which says by itself which store it is.
func openTree(ctx context.Context, o treestore.Options) (tree, error) {
	if strings.HasPrefix(o.Path, "postgres://") {
		s, err := treestore.OpenPostgres(ctx, o)
		if err != nil {
			return nil, err
		}
		return s, nil
	}
	s, err := treestore.Open(ctx, o)
	if err != nil {
		return nil, err
	}
	return s, nil
}

// onEveryEngine runs a test on each store; place gives a new place where there is no tree yet.
func onEveryEngine(t *testing.T, test func(t *testing.T, place func() string)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		test(t, func() string { return filepath.Join(t.TempDir(), "tree.db") })
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		test(t, func() string { return shared.Server(t).Database(t) })
	})
}

func open(t testing.TB, place string) tree {
	t.Helper()
	s, err := openTree(t.Context(), treestore.Options{Path: place, Origin: origin, Create: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}
