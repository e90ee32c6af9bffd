package treestore_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/answerable-ledger/answerable/eventlog"
	"github.com/answerable-ledger/answerable/transparency"
	"github.com/answerable-ledger/answerable/transparency/treestore"
)

// What a process that was killed before its commit left in the file of the leaves is overwritten, whatever it is.
func TestLeavesWithoutACommitAreNothing(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "tree.db")
	s := open(t, path)
	if err := s.Append(t.Context(), 0, leaves(t, 0, 300)); err != nil {
		t.Fatal(err)
	}
	s.Close()
	b, err := os.ReadFile(path + treestore.LeavesSuffix)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path+treestore.LeavesSuffix, append(b, make([]byte, 100_000)...), 0o600); err != nil {
		t.Fatal(err)
	}
	s = open(t, path)
	if err := s.Append(t.Context(), 300, leaves(t, 300, 310)); err != nil {
		t.Fatal(err)
	}
	if err := s.Check(t.Context(), treestore.CheckOptions{}); err != nil {
		t.Error(err)
	}
	if e, _, err := s.Leaf(t.Context(), 305); err != nil || string(e) != string(leaf(t, 305).Leaf) {
		t.Errorf("leaf 305: %q, %v", e, err)
	}
}

// A file of the leaves that is too short cannot be built upon; the checkpoints are still there for rebuilding the tree.
func TestLeavesThatAreLost(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "tree.db")
	s := open(t, path)
	if err := s.Append(t.Context(), 0, leaves(t, 0, 40)); err != nil {
		t.Fatal(err)
	}
	if err := s.SaveCheckpoint(t.Context(), sign(t, s, 40), time.Unix(40, 0)); err != nil {
		t.Fatal(err)
	}
	s.Close()
	if err := os.Remove(path + treestore.LeavesSuffix); err != nil {
		t.Fatal(err)
	}
	for _, create := range []bool{false, true} {
		s, err := treestore.Open(t.Context(), treestore.Options{Path: path, Origin: origin, Create: create})
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := s.Leaf(t.Context(), 7); !errors.Is(err, eventlog.ErrDamaged) {
			t.Errorf("a leaf: %v", err)
		}
		if err := s.Append(t.Context(), 40, leaves(t, 40, 41)); !errors.Is(err, eventlog.ErrDamaged) {
			t.Errorf("append: %v", err)
		}
		if kept, err := s.Checkpoints(t.Context(), 0, 9); err != nil || len(kept) != 1 {
			t.Errorf("%d checkpoints, %v", len(kept), err)
		}
		s.Close()
	}
}

// Two processes that both believe the tree to be theirs do not overwrite each other.
func TestTheEndBelongsToOne(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "tree.db")
	a, b := open(t, path), open(t, path)
	if err := a.Append(t.Context(), 0, leaves(t, 0, 40)); err != nil {
		t.Fatal(err)
	}
	if err := b.Append(t.Context(), 0, leaves(t, 0, 41)); !errors.Is(err, eventlog.ErrConflict) {
		t.Errorf("the other one: %v", err)
	}
	if b.Size() != 40 {
		t.Errorf("it goes on from %d", b.Size())
	}
	if err := b.Append(t.Context(), 40, leaves(t, 40, 50)); err != nil {
		t.Error(err)
	}
	if err := b.Check(t.Context(), treestore.CheckOptions{}); err != nil {
		t.Error(err)
	}
}

// A file of version 1, which held the leaves itself, becomes one of version 2 on opening.
func TestLeavesMoveOut(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "tree.db")
	s := open(t, path)
	const size = 700
	if err := s.Append(t.Context(), 0, leaves(t, 0, size)); err != nil {
		t.Fatal(err)
	}
	if err := s.SaveCheckpoint(t.Context(), sign(t, s, size), time.Unix(size, 0)); err != nil {
		t.Fatal(err)
	}
	s.Close()
	old := `DROP TABLE run; CREATE TABLE run (n INTEGER PRIMARY KEY, commit_position INTEGER NOT NULL, prepare_position INTEGER NOT NULL,
		leaves BLOB NOT NULL, places BLOB NOT NULL, UNIQUE (commit_position, prepare_position)) STRICT; PRAGMA user_version = 1;`
	for n := 0; n*32 < size; n++ {
		var bundle, places []byte
		for i := n * 32; i < min((n+1)*32, size); i++ {
			e := leaf(t, i)
			bundle = transparency.AppendEntry(bundle, e.Leaf)
			places = binary.BigEndian.AppendUint64(places, e.Position.Commit)
			places = binary.BigEndian.AppendUint64(places, e.Position.Prepare)
		}
		first := leaf(t, n*32).Position
		old += fmt.Sprintf("INSERT INTO run VALUES (%d, %d, %d, x'%x', x'%x');", n, first.Commit, first.Prepare, bundle, places)
	}
	execute(t, path, old)
	if err := os.Remove(path + treestore.LeavesSuffix); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		s, err := treestore.Open(t.Context(), treestore.Options{Path: path, Origin: origin})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Check(t.Context(), treestore.CheckOptions{Policy: policy(t)}); err != nil {
			t.Error(err)
		}
		if b, at, err := s.Leaf(t.Context(), 699); err != nil || string(b) != string(leaf(t, 699).Leaf) || at != leaf(t, 699).Position {
			t.Errorf("leaf 699: %q at %s, %v", b, at, err)
		}
		s.Close()
	}
	s = open(t, path)
	if err := s.Append(t.Context(), size, leaves(t, size, size+100)); err != nil {
		t.Error(err)
	}
	if err := s.Check(t.Context(), treestore.CheckOptions{Policy: policy(t)}); err != nil {
		t.Error(err)
	}
}
