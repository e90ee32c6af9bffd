//go:build unix

package sequencer_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/answerable-ledger/answerable/eventlog"
	"github.com/answerable-ledger/answerable/transparency"
	"github.com/answerable-ledger/answerable/transparency/sequencer"
	"github.com/answerable-ledger/answerable/transparency/treestore"
)

// fullTree is a tree whose disk is full at a size, and which remembers how large the transactions were.
type fullTree struct {
	*treestore.Store
	failAt  int64 // zero: never
	batches []int
}

func (s *fullTree) Append(ctx context.Context, size int64, entries []treestore.Entry) error {
	s.batches = append(s.batches, len(entries))
	if s.failAt > 0 && size+int64(len(entries)) > s.failAt {
		return eventlog.ErrFull
	}
	return s.Store.Append(ctx, size, entries)
}

// TestBatches catches up with many events: their leaves enter the tree in whole tiles, in order and each once, however many
// a transaction found made, and after one that failed the tree goes on where it was.
func TestBatches(t *testing.T) {
	t.Parallel()
	const n = 40_000
	log := feed{events: make([]eventlog.Recorded, n)}
	for i := range log.events {
		log.events[i] = benchEvent(i)
	}
	s := newSite(t)
	tree := &fullTree{failAt: n / 2}
	q := s.mustStart(t, log, func(o *sequencer.Options) {
		tree.Store = s.tree
		o.Tree = tree
		o.Header = func(eventlog.Recorded) (time.Time, string, error) { return time.Unix(1632470000, 0), "p-7", nil }
	})
	if err := q.CatchUp(t.Context()); !errors.Is(err, eventlog.ErrFull) {
		t.Fatalf("the disk was full: %v", err)
	}
	if size := tree.Size(); size%transparency.TileWidth != 0 || size > n/2 {
		t.Errorf("%d leaves after a full disk", size)
	}
	tree.failAt = 0
	if err := q.CatchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, leaves := range tree.batches[:len(tree.batches)-1] {
		if leaves%transparency.TileWidth != 0 || leaves > 64*transparency.TileWidth {
			t.Errorf("a transaction of %d leaves", leaves)
		}
	}
	var want transparency.Frontier
	for _, e := range log.events {
		leaf, err := q.BareLeaf(e)
		if err != nil {
			t.Fatal(err)
		}
		want.Add(tlog.RecordHash(leaf))
	}
	if root, err := tree.Root(t.Context(), n); err != nil || root != want.Root() || tree.Size() != n {
		t.Errorf("%d leaves with root %s, want %s (%v)", tree.Size(), root, want.Root(), err)
	}
}
