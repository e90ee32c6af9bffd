package sequencer

import (
	"bytes"
	"context"
	"fmt"

	"github.com/answerable-ledger/answerable/eventlog"
	"github.com/answerable-ledger/answerable/transparency"
)

// Verify makes every leaf again from the event log and compares it with the tree, byte for byte and place by place. With
// treestore.Store.Check, which checks the tree against its signatures, it covers all that the two files say. The first
// contradiction is returned and names the event. Leaves that are not in the tree yet are no fault.
func (s *Sequencer) Verify(ctx context.Context, progress func(done, of int64)) error {
	return verify(ctx, s.o.Log, s.o.Tree, s.maker().leaf, progress)
}

func verify(ctx context.Context, log eventlog.Log, tree Tree, leafOf func(*eventlog.Recorded) ([]byte, error), progress func(done, of int64)) error {
	size := tree.Size()
	index := int64(0)
	for b, err := range log.Follow(ctx, eventlog.Position{}, tree.Filter(), eventlog.FollowOptions{}) {
		if err != nil {
			return fmt.Errorf("sequencer: verify: %w", err)
		}
		events := b.Events[:min(int64(len(b.Events)), size-index)]
		stored, err := tree.Entries(ctx, index, index+int64(len(events)))
		if err != nil {
			return fmt.Errorf("sequencer: verify: %w", err)
		}
		for i, e := range events {
			made, err := leafOf(&e)
			if err != nil {
				return fmt.Errorf("sequencer: verify: %w", err)
			}
			if !bytes.Equal(made, stored[i].Leaf) {
				return fmt.Errorf("sequencer: verify: leaf %d is not the leaf of event %s (%s@%d, %s) that stands in its place in the event log: %s: %w",
					index, e.ID, e.Stream, e.Revision, e.Kind, difference(made, stored[i].Leaf), transparency.ErrProof)
			}
			if stored[i].Position != e.Position {
				return fmt.Errorf("sequencer: verify: leaf %d is kept at position %s of the event log, its event %s lies at %s: %w",
					index, stored[i].Position, e.ID, e.Position, eventlog.ErrDamaged)
			}
			index++
		}
		if progress != nil {
			progress(index, size)
		}
		if index == size {
			return nil
		}
		if b.CaughtUp {
			break
		}
	}
	return fmt.Errorf("sequencer: verify: the event log ends after %d entries, the tree has %d: %w", index, size, eventlog.ErrGone)
}

// difference says which fields of two leaves differ.
func difference(want, got []byte) string {
	a, err1 := transparency.ParseLeaf(want)
	b, err2 := transparency.ParseLeaf(got)
	switch {
	case err1 != nil || err2 != nil:
		return "the stored bytes are no leaf"
	case a.EventID != b.EventID:
		return fmt.Sprintf("the tree holds event %s (%s@%d)", b.EventID, b.Stream, b.Revision)
	case a.Stream != b.Stream || a.Revision != b.Revision:
		return fmt.Sprintf("the tree says %s@%d", b.Stream, b.Revision)
	case a.Payload != b.Payload:
		return "the payload is not the one committed to"
	case a.Meta != b.Meta:
		return "the metadata is not what was committed to"
	case !a.RecordedAt.Equal(b.RecordedAt):
		return fmt.Sprintf("recorded at %s in the tree, %s in the log", b.RecordedAt, a.RecordedAt)
	}
	return "kind, actor or received_at differ"
}
