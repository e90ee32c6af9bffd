package sequencer

import (
	"context"
	"time"

	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/answerable-ledger/answerable/eventlog"
	"github.com/answerable-ledger/answerable/transparency"
	"github.com/answerable-ledger/answerable/transparency/treestore"
)

// Tree is what the sequencer asks of the store of the tree. Append is all or none and durable when it returns; leaves and
// the position they go up to move together. Every method is safe for concurrent use. The words are those of
// treestore.Store.
type Tree interface {
	// Origin is the log's name, Filter which streams it covers.
	Origin() string
	Filter() eventlog.Filter
	// Size is the number of leaves stored, signed or not, and Last the position of the newest one's event.
	Size() int64
	Last() eventlog.Position
	// Append adds leaves at the end when the tree has exactly size of them. The slices are not kept.
	Append(ctx context.Context, size int64, entries []treestore.Entry) error
	// Leaf and Entries give leaves as they were hashed, with their places in the event log; Index finds one by its place.
	Leaf(ctx context.Context, index int64) ([]byte, eventlog.Position, error)
	Entries(ctx context.Context, lo, hi int64) ([]treestore.Entry, error)
	Index(ctx context.Context, at eventlog.Position) (index int64, found bool, err error)
	// Root and Hashes are those of the tree's first size leaves.
	Root(ctx context.Context, size int64) (tlog.Hash, error)
	Hashes(ctx context.Context, size int64) tlog.HashReader
	// SaveCheckpoint keeps a signed checkpoint, or adds signatures to one that is kept; a second root for one size is
	// transparency.ErrFork. CheckpointsFrom gives those of at least a size, in order, and Latest the newest.
	SaveCheckpoint(ctx context.Context, n transparency.Note, at time.Time) error
	CheckpointsFrom(ctx context.Context, size, limit int64) ([]treestore.Signed, error)
	Latest(ctx context.Context) (latest treestore.Signed, ok bool, err error)
	// Receipt proves a leaf under the earliest checkpoint that the policy's quorum cosigned.
	Receipt(ctx context.Context, index int64, p *transparency.Policy) (transparency.Proof, error)
	// Erased reports whether the event's salts must not be derived any more.
	Erased(ctx context.Context, event uuid.UUID) (bool, error)
}

// Guard keeps the last signed checkpoint a second time, where neither the event log nor the tree lies.
type Guard interface {
	// Last is the last signed checkpoint, empty when nothing was ever signed.
	Last() []byte
	// Swap replaces the checkpoint old, and none but old, by next, which survives power loss when it returns without an
	// error. eventlog.ErrConflict: somebody else moved it.
	Swap(ctx context.Context, old, next []byte) error
}

var (
	_ Tree  = (*treestore.Store)(nil)
	_ Guard = (*treestore.Guard)(nil)
)
