// Package receipts finds the entry of an event and hands out what proves it.
//
// Its promise: an event that was acknowledged has a receipt at once. It says no more than is true at that moment:
// recorded, logged or witnessed; asked again later it says more, never less. What shows an event's content is made from
// the stored event and handed to the caller, who decides who may have it.
//
// Its failure model: it keeps nothing but an index in memory, which it makes from the tree's own entries and checks against
// them at every use. A tree that is behind the event log is looked behind.
package receipts

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/answerable-ledger/answerable/eventlog"
	"github.com/answerable-ledger/answerable/transparency"
	"github.com/answerable-ledger/answerable/transparency/treestore"
)

// ErrUnknown: the ledger holds no such event.
var ErrUnknown = errors.New("no such event")

// MaxQRBytes is what fits the largest QR code (version 40, level L, bytes).
const MaxQRBytes = 2953

// Log is what is asked of the event log.
type Log interface {
	ReadStream(ctx context.Context, stream string, from uint64) iter.Seq2[eventlog.Recorded, error]
	Follow(ctx context.Context, after eventlog.Position, filter eventlog.Filter, o eventlog.FollowOptions) iter.Seq2[eventlog.Batch, error]
}

// Tree is what is asked of the store of the tree; the words are those of treestore.Store.
type Tree interface {
	Origin() string
	Filter() eventlog.Filter
	Size() int64
	Last() eventlog.Position
	Leaf(ctx context.Context, index int64) ([]byte, eventlog.Position, error)
	Entries(ctx context.Context, lo, hi int64) ([]treestore.Entry, error)
	Hashes(ctx context.Context, size int64) tlog.HashReader
	Tile(ctx context.Context, id transparency.TileID) ([]byte, error)
	Receipt(ctx context.Context, index int64, p *transparency.Policy) (transparency.Proof, error)
	Latest(ctx context.Context) (latest treestore.Signed, ok bool, err error)
	Checkpoints(ctx context.Context, skip, limit int64) ([]treestore.Signed, error)
	NewestCheckpoints(ctx context.Context, limit int64) ([]treestore.Signed, error)
}

// Maker makes the entry and the opening of an event: the sequencer, or its reader.
type Maker interface {
	BareLeaf(e eventlog.Recorded) ([]byte, error)
	Opening(ctx context.Context, e eventlog.Recorded) (transparency.Opening, error)
}

// Options are everything a desk needs.
type Options struct {
	Log    Log
	Tree   Tree
	Maker  Maker
	Policy *transparency.Policy
}

// Desk hands out receipts. It is safe for concurrent use.
type Desk struct {
	o Options

	mu    sync.Mutex       // owns what follows
	index map[uint64]int64 // by the last eight bytes of the event's id, which are as random as any
	upTo  int64            // entries below are in the index
}

// New makes a desk. The index grows with the first question.
func New(o Options) *Desk { return &Desk{o: o, index: map[uint64]int64{}} }

// Receipt is what proves an event now.
type Receipt struct {
	Event eventlog.Recorded
	Level transparency.Level
	Index int64  // of the entry; -1 while it is only recorded
	Size  int64  // of the checkpoint it stands under; 0 while it is only recorded
	Bytes []byte // a .tlog-proof, or the bare entry while it is only recorded
}

// Receipt gives the best receipt there is now. ErrUnknown: no such event.
func (d *Desk) Receipt(ctx context.Context, id uuid.UUID) (Receipt, error) {
	index, e, err := d.find(ctx, id)
	if err != nil {
		return Receipt{}, err
	}
	if index >= 0 {
		proof, err := d.o.Tree.Receipt(ctx, index, d.o.Policy)
		if err == nil {
			j, err := d.o.Policy.Judge(proof.Checkpoint)
			if err != nil {
				return Receipt{}, fmt.Errorf("receipts: the checkpoint of event %s: %w", id, err)
			}
			r := Receipt{Event: e, Level: transparency.Logged, Index: index, Size: j.Size, Bytes: proof.Marshal()}
			if j.Witnessed {
				r.Level = transparency.Witnessed
			}
			return r, nil
		}
		if !errors.Is(err, transparency.ErrNotYet) {
			return Receipt{}, fmt.Errorf("receipts: event %s: %w", id, err)
		}
	}
	leaf, err := d.o.Maker.BareLeaf(e)
	if err != nil {
		return Receipt{}, fmt.Errorf("receipts: %w", err)
	}
	return Receipt{Event: e, Level: transparency.Recorded, Index: -1, Bytes: append(leaf, '\n')}, nil
}

// Event finds an event by its id.
func (d *Desk) Event(ctx context.Context, id uuid.UUID) (eventlog.Recorded, error) {
	_, e, err := d.find(ctx, id)
	return e, err
}

// Opening gives what shows an event's content. transparency.ErrErased: it was destroyed on purpose.
func (d *Desk) Opening(ctx context.Context, e eventlog.Recorded) (transparency.Opening, error) {
	o, err := d.o.Maker.Opening(ctx, e)
	if err != nil {
		return o, fmt.Errorf("receipts: %w", err)
	}
	return o, nil
}

// Policy is whose word counts for this log.
func (d *Desk) Policy() *transparency.Policy { return d.o.Policy }

// Checkpoints gives every kept checkpoint, in order of size, with its cosignatures.
func (d *Desk) Checkpoints(ctx context.Context) (out []treestore.Signed, err error) {
	const page = 256
	for {
		some, err := d.o.Tree.Checkpoints(ctx, int64(len(out)), page)
		if err != nil {
			return nil, fmt.Errorf("receipts: %w", err)
		}
		if out = append(out, some...); len(some) < page {
			return out, nil
		}
	}
}

// Status says how far the evidence has come.
type Status struct {
	Origin string
	// Entries is the size of the tree, signed or not; Signed that of the newest checkpoint, Witnessed that of the newest
	// one that met the quorum, as far as the newest hundred tell.
	Entries, Signed, Witnessed int64
	WantsWitnesses             bool
	Checkpoint                 transparency.Note // the newest; zero before the first
	Cosigned                   []transparency.Cosigned
}

// Status reads how far the evidence has come.
func (d *Desk) Status(ctx context.Context) (Status, error) {
	s := Status{Origin: d.o.Tree.Origin(), Entries: d.o.Tree.Size(), WantsWitnesses: d.o.Policy.WantsWitnesses()}
	latest, ok, err := d.o.Tree.Latest(ctx)
	if err != nil || !ok {
		return s, err
	}
	s.Signed, s.Checkpoint = latest.Size, latest.Note
	j, err := d.o.Policy.Judge(latest.Note)
	if err != nil {
		return s, fmt.Errorf("receipts: the newest checkpoint: %w", err)
	}
	s.Cosigned = j.Cosigned
	if !s.WantsWitnesses {
		return s, nil
	}
	newest, err := d.o.Tree.NewestCheckpoints(ctx, 100)
	if err != nil {
		return s, fmt.Errorf("receipts: %w", err)
	}
	for _, c := range newest {
		if j, err := d.o.Policy.Judge(c.Note); err == nil && j.Witnessed {
			s.Witnessed = c.Size
			break
		}
	}
	return s, nil
}

// find gives the event and the index of its entry, -1 when it is not in the tree yet.
func (d *Desk) find(ctx context.Context, id uuid.UUID) (int64, eventlog.Recorded, error) {
	index, leaf, err := d.lookUp(ctx, id)
	if err != nil {
		return 0, eventlog.Recorded{}, fmt.Errorf("receipts: look for event %s: %w", id, err)
	}
	if index < 0 {
		e, err := d.behind(ctx, id)
		return -1, e, err
	}
	for e, err := range d.o.Log.ReadStream(ctx, leaf.Stream, leaf.Revision) {
		if err != nil {
			return 0, e, fmt.Errorf("receipts: read event %s: %w", id, err)
		}
		if e.ID == id {
			return index, e, nil
		}
		break
	}
	return 0, eventlog.Recorded{}, fmt.Errorf("receipts: event %s has entry %d, and the event log does not hold it at %s@%d: %w", id, index, leaf.Stream, leaf.Revision, eventlog.ErrGone)
}

// behind looks for an event among those that are not in the tree yet: the last second's.
func (d *Desk) behind(ctx context.Context, id uuid.UUID) (eventlog.Recorded, error) {
	for b, err := range d.o.Log.Follow(ctx, d.o.Tree.Last(), d.o.Tree.Filter(), eventlog.FollowOptions{}) {
		if err != nil {
			return eventlog.Recorded{}, fmt.Errorf("receipts: look for event %s: %w", id, err)
		}
		for _, e := range b.Events {
			if e.ID == id {
				return e, nil
			}
		}
		if b.CaughtUp {
			break
		}
	}
	return eventlog.Recorded{}, fmt.Errorf("receipts: event %s: %w", id, ErrUnknown)
}

// indexBatch is how many entries are read at once while the index grows.
const indexBatch = 4096

// lookUp finds an entry by its event's id.
func (d *Desk) lookUp(ctx context.Context, id uuid.UUID) (int64, transparency.Leaf, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for size := d.o.Tree.Size(); d.upTo < size; {
		entries, err := d.o.Tree.Entries(ctx, d.upTo, min(d.upTo+indexBatch, size))
		if err != nil {
			return 0, transparency.Leaf{}, err
		}
		for i, e := range entries {
			l, err := transparency.ParseLeaf(e.Leaf)
			if err != nil {
				return 0, l, fmt.Errorf("entry %d: %w: %w", d.upTo+int64(i), err, eventlog.ErrDamaged)
			}
			if k := key(l.EventID); d.index[k] == 0 {
				d.index[k] = d.upTo + int64(i) + 1
			}
		}
		d.upTo += int64(len(entries))
	}
	at := d.index[key(id)] - 1
	if at < 0 {
		return -1, transparency.Leaf{}, nil
	}
	b, _, err := d.o.Tree.Leaf(ctx, at)
	if err != nil {
		return 0, transparency.Leaf{}, err
	}
	l, err := transparency.ParseLeaf(b)
	if err != nil || l.EventID == id {
		return at, l, err
	}
	return d.scan(ctx, id) // two ids with the same half: one in some 2^60
}

func (d *Desk) scan(ctx context.Context, id uuid.UUID) (int64, transparency.Leaf, error) {
	for at := int64(0); at < d.upTo; at += indexBatch {
		entries, err := d.o.Tree.Entries(ctx, at, min(at+indexBatch, d.upTo))
		if err != nil {
			return 0, transparency.Leaf{}, err
		}
		for i, e := range entries {
			if l, err := transparency.ParseLeaf(e.Leaf); err == nil && l.EventID == id {
				return at + int64(i), l, nil
			}
		}
	}
	return -1, transparency.Leaf{}, nil
}

func key(id uuid.UUID) uint64 { return binary.BigEndian.Uint64(id[8:]) }

// Handler serves the log's public files below its prefix.
func (d *Desk) Handler(onError func(error)) http.Handler { return treestore.Handler(d.o.Tree, onError) }

// Consistency proves that the tree of size old is the beginning of the newest checkpoint's.
func (d *Desk) Consistency(ctx context.Context, old int64, newest transparency.Note) (transparency.Consistency, error) {
	c := transparency.Consistency{Old: old, Checkpoint: newest}
	to, err := transparency.ParseCheckpoint(newest.Text)
	if err == nil && old > 0 && old < to.Size {
		c.Proof, err = tlog.ProveTree(to.Size, old, d.o.Tree.Hashes(ctx, to.Size))
	}
	if err != nil {
		return c, fmt.Errorf("receipts: prove %d to %d: %w", old, to.Size, err)
	}
	return c, nil
}

// lately is how many of the newest checkpoints a signer may have seen: at one a second at most, those of a quarter of an hour
// and more. Chosen.
const lately = 1000

// SignedLately reports whether one of the newest checkpoints says a size and a root, as in "1234 <root>". What a signer says
// to have seen is asked here before it is recorded: an audit takes a checkpoint that was never signed for a fork.
func (d *Desk) SignedLately(ctx context.Context, seen string) (bool, error) {
	all, err := d.o.Tree.NewestCheckpoints(ctx, lately)
	if err != nil {
		return false, fmt.Errorf("receipts: look for the checkpoint %q: %w", seen, err)
	}
	return slices.ContainsFunc(all, func(c treestore.Signed) bool { return Names(c.Note) == seen }), nil
}

// Names is how a statement to sign names a checkpoint: "<size> <root>", as the checkpoint itself writes them; "" when it says
// neither.
func Names(checkpoint transparency.Note) string {
	lines := strings.SplitN(checkpoint.Text, "\n", 4)
	if len(lines) < 3 {
		return ""
	}
	return lines[1] + " " + lines[2]
}
