// Package sequencer gives every event of the ledger its leaf in the transparency log, in the order of the event log, and
// signs checkpoints over them.
//
// Its promise: leaf n is the n-th event of the streams the log covers, and its bytes are a function of that event, the
// log's name and the salt key, so the same events give the same tree, byte for byte, whichever store they lie in and
// however often the process is killed. Nothing is signed that is not durable in both, the event log and the tree, and
// nothing that contradicts what was signed before.
//
// Its failure model: it may be killed between any two steps and goes on from there. When the event log, the tree or the
// guard were put back to an older state it refuses to sign, says which of them and what mends it, and the ledger goes on
// recording without evidence until somebody does. An event it cannot make a leaf of stops it: leaving one out would be
// what it exists to prevent.
package sequencer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/answerable-ledger/answerable/eventlog"
	"github.com/answerable-ledger/answerable/transparency"
	"github.com/answerable-ledger/answerable/transparency/treestore"
)

// Header finds the two public facts that lie inside an event's metadata, whose form this package does not know. It must be
// a function of the event alone, for ever; what it cannot find it gives as zero. An error stops the sequencer.
type Header func(eventlog.Recorded) (receivedAt time.Time, actor string, err error)

const (
	// DefaultInterval is the least time between two checkpoints: the resolution of a cosignature.
	DefaultInterval = time.Second
	// DefaultHeartbeat is how long the log stays silent when nothing happens, so that "nothing happened" is witnessed too.
	DefaultHeartbeat = 10 * time.Minute
)

// Options are everything a sequencer needs. Zero durations mean the defaults.
type Options struct {
	Log    eventlog.Log
	Tree   Tree
	Guard  Guard
	Header Header
	Salts  transparency.SaltKey
	// Keys sign; while the key changes there are two, so that old and new policies both accept.
	Keys []transparency.SigningKey
	// Retired are keys that no longer sign but may have signed what the guard holds.
	Retired   []transparency.VerifierKey
	Clock     eventlog.Clock
	Interval  time.Duration
	Heartbeat time.Duration
	// Published is told of every checkpoint after it was kept, and at each heartbeat of the newest one again. It must not
	// block. May be nil.
	Published func(treestore.Signed)
}

// Sequencer fills the tree and signs for it. Every method is safe for concurrent use.
type Sequencer struct {
	o     Options
	trust []transparency.VerifierKey

	mu     sync.Mutex              // held while the tree grows and while it is signed
	guard  transparency.Checkpoint // the last signed one, as the guard holds it
	signed bool                    // guard holds one
	broken error                   // a fork was found: nothing is signed any more
}

// New checks that the event log, the tree and the guard belong together. It signs nothing; what it finds missing in the
// tree CatchUp adds.
func New(ctx context.Context, o Options) (*Sequencer, error) {
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Interval == 0 {
		o.Interval = DefaultInterval
	}
	if o.Heartbeat == 0 {
		o.Heartbeat = DefaultHeartbeat
	}
	s := &Sequencer{o: o, trust: o.Retired}
	if len(o.Keys) == 0 {
		return nil, fmt.Errorf("sequencer: no signing key: %w", transparency.ErrSignature)
	}
	for _, k := range o.Keys {
		if k.Name != o.Tree.Origin() {
			return nil, fmt.Errorf("sequencer: the key is named %s, the log %s: %w", k.Name, o.Tree.Origin(), transparency.ErrOrigin)
		}
		s.trust = append(s.trust, k.VerifierKey)
	}
	if err := s.readGuard(ctx); err != nil {
		return nil, fmt.Errorf("sequencer: %w", err)
	}
	if err := s.matchLog(ctx); err != nil {
		return nil, fmt.Errorf("sequencer: %w", err)
	}
	if err := s.matchGuard(ctx); err != nil {
		return nil, fmt.Errorf("sequencer: %w", err)
	}
	return s, nil
}

// readGuard reads what was signed last. A process killed after the guard moved and before the tree kept the checkpoint
// leads to a guard ahead of the tree's checkpoints; a guard that was put back leads to one behind them.
func (s *Sequencer) readGuard(ctx context.Context) error {
	latest, kept, err := s.o.Tree.Latest(ctx)
	if err != nil {
		return err
	}
	held := s.o.Guard.Last()
	if len(held) > 0 {
		n, err := transparency.ParseNote(held)
		if err == nil {
			s.guard, err = transparency.VerifyLog(n, s.trust)
		}
		if err != nil {
			return fmt.Errorf("the guard's checkpoint: %w", err)
		}
		s.signed = true
	}
	if !kept || s.signed && latest.Size <= s.guard.Size {
		return nil
	}
	c, err := transparency.VerifyLog(latest.Note, s.trust)
	if err != nil {
		return fmt.Errorf("the tree's newest checkpoint: %w", err)
	}
	if err := s.o.Guard.Swap(ctx, held, latest.Note.Marshal()); err != nil {
		return err
	}
	s.guard, s.signed = c, true
	return nil
}

// matchLog compares the newest leaf with the event it was made of.
func (s *Sequencer) matchLog(ctx context.Context) error {
	size := s.o.Tree.Size()
	if size == 0 {
		return nil
	}
	stored, at, err := s.o.Tree.Leaf(ctx, size-1)
	if err != nil {
		return err
	}
	leaf, err := transparency.ParseLeaf(stored)
	if err != nil {
		return fmt.Errorf("leaf %d: %w: %w", size-1, err, eventlog.ErrDamaged)
	}
	for e, err := range s.o.Log.ReadStream(ctx, leaf.Stream, leaf.Revision) {
		if err != nil {
			return fmt.Errorf("read %s@%d: %w", leaf.Stream, leaf.Revision, err)
		}
		made, err := s.maker().leaf(&e)
		if err != nil {
			return err
		}
		if e.Position == at && bytes.Equal(made, stored) {
			return nil
		}
		break
	}
	return fmt.Errorf("the newest leaf of the tree, %d, was made of event %s (%s@%d), and the event log does not hold that event at position %s. "+
		"One of the two was replaced or put back from a backup, or the salt key is another one. Put back the newest backup of the event log (answerable restore); "+
		"if the event log is the right one, make the tree again from it (answerable rebuild --tree), which loses nothing: %w",
		size-1, leaf.EventID, leaf.Stream, leaf.Revision, at, transparency.ErrFork)
}

// matchGuard compares the tree with the last signed checkpoint when it is large enough, and keeps that checkpoint.
func (s *Sequencer) matchGuard(ctx context.Context) error {
	if !s.signed || s.o.Tree.Size() < s.guard.Size {
		return nil
	}
	root, err := s.o.Tree.Root(ctx, s.guard.Size)
	if err != nil {
		return err
	}
	if root != s.guard.Root {
		s.broken = fmt.Errorf("a checkpoint over %d entries was signed that the event log does not lead to: "+
			"it was put back to an older state and appended to, or the tree is damaged. Nothing will be signed. "+
			"Check the tree (answerable verify) and make it again (answerable rebuild --tree); if that does not mend it, put back the newest backup of the event log (answerable restore). "+
			"If the signed entries are lost for ever, this log's name is used up: begin a new one whose first entry quotes the last checkpoint:\n%s%w",
			s.guard.Size, s.o.Guard.Last(), transparency.ErrFork)
		return s.broken
	}
	n, err := transparency.ParseNote(s.o.Guard.Last())
	if err != nil {
		return err
	}
	if kept, err := s.o.Tree.CheckpointsFrom(ctx, s.guard.Size, 1); err != nil || len(kept) == 1 && kept[0].Size == s.guard.Size {
		return err
	}
	return s.o.Tree.SaveCheckpoint(ctx, n, s.o.Clock())
}

// take adds a batch of events to the tree, leaving out what is in it already: a forced checkpoint may have run ahead of
// the follower. s.mu is held.
func (s *Sequencer) take(ctx context.Context, events []eventlog.Recorded) error {
	last := s.o.Tree.Last()
	for len(events) > 0 && events[0].Position.Compare(last) <= 0 {
		events = events[1:]
	}
	c := chunk{events: events}
	if err := c.fill(s.maker()); err != nil {
		return err
	}
	return s.add(ctx, c.entries)
}

// add puts leaves at the end of the tree. s.mu is held.
func (s *Sequencer) add(ctx context.Context, entries []treestore.Entry) error {
	size := s.o.Tree.Size()
	if s.signed && size < s.guard.Size && size+int64(len(entries)) >= s.guard.Size {
		// The tree was lost or is an older copy; here it reaches what was signed, and must be the same.
		upTo := s.guard.Size - size
		if err := s.o.Tree.Append(ctx, size, entries[:upTo]); err != nil {
			return err
		}
		if err := s.matchGuard(ctx); err != nil {
			return err
		}
		size, entries = s.guard.Size, entries[upTo:]
	}
	return s.o.Tree.Append(ctx, size, entries)
}

// CatchUp adds every event that is in the log by now. An error that is transparency.ErrFork says that events which were
// signed for are not there; the caller must not go on recording in such a log without somebody knowing.
func (s *Sequencer) CatchUp(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.catchUp(ctx)
}

func (s *Sequencer) catchUp(ctx context.Context) error {
	if s.broken != nil {
		return s.broken
	}
	ctx, cancel := context.WithCancel(ctx)
	line := s.chunks(ctx, s.o.Tree.Last())
	defer line.wg.Wait()
	defer cancel()
	var batch []*chunk
	var entries []treestore.Entry
	for {
		var err error
		if batch, err = line.next(batch); err != nil {
			return fmt.Errorf("sequencer: %w", err)
		}
		if len(batch) == 0 {
			break
		}
		entries = entries[:0]
		for _, c := range batch {
			entries = append(entries, c.entries...)
		}
		if err := s.add(ctx, entries); err != nil {
			return fmt.Errorf("sequencer: %w", err)
		}
		line.give(batch)
	}
	if err := context.Cause(ctx); err != nil {
		return fmt.Errorf("sequencer: %w", err)
	}
	if size := s.o.Tree.Size(); s.signed && size < s.guard.Size {
		return fmt.Errorf("sequencer: the event log ends after %d entries, and a checkpoint over %d was signed and may be known to others: "+
			"events were lost, or an older backup of the log was put back. Nothing will be signed until they are there again. "+
			"Put back the newest backup of the event log (answerable restore). If they are lost for ever, this log's name is used up: "+
			"begin a new one whose first entry quotes the last checkpoint:\n%s%w", size, s.guard.Size, s.o.Guard.Last(), transparency.ErrFork)
	}
	return nil
}

// Force adds every event acknowledged before the call and signs the tree. A deadline is closed with it, so that "in time"
// is a statement about the size of the tree. When nothing was added since, it gives the newest checkpoint again.
func (s *Sequencer) Force(ctx context.Context) (treestore.Signed, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.o.Clock().UTC()
	if err := s.catchUp(ctx); err != nil {
		return treestore.Signed{}, err
	}
	signed, err := s.sign(ctx)
	if err != nil {
		return treestore.Signed{}, err
	}
	signed.FreshAt = now
	if s.o.Published != nil {
		s.o.Published(signed)
	}
	return signed, nil
}

// sign signs the tree as it stands. The order is what makes a kill harmless: the leaves are durable; then the guard
// moves; then the checkpoint is kept and may be seen. s.mu is held.
func (s *Sequencer) sign(ctx context.Context) (treestore.Signed, error) {
	fail := func(err error) (treestore.Signed, error) {
		return treestore.Signed{}, fmt.Errorf("sequencer: sign: %w", err)
	}
	if s.broken != nil {
		return fail(s.broken)
	}
	size := s.o.Tree.Size()
	if s.signed {
		// Also finds a tree that was damaged since: its root at the size signed before would be another.
		if err := s.matchGuard(ctx); err != nil {
			return fail(err)
		}
		if size < s.guard.Size {
			return fail(fmt.Errorf("the tree has %d entries and %d were signed for: %w", size, s.guard.Size, transparency.ErrFork))
		}
	}
	root, err := s.o.Tree.Root(ctx, size)
	if err != nil {
		return fail(err)
	}
	c := transparency.Checkpoint{Origin: s.o.Tree.Origin(), Size: size, Root: root}
	note, err := c.Sign(s.o.Keys...)
	if err != nil {
		return fail(err)
	}
	at := s.o.Clock().UTC()
	held, next := s.o.Guard.Last(), note.Marshal()
	if !bytes.Equal(held, next) {
		if err := s.o.Guard.Swap(ctx, held, next); err != nil {
			return fail(err)
		}
		s.guard, s.signed = c, true
	}
	if err := s.o.Tree.SaveCheckpoint(ctx, note, at); err != nil {
		return fail(err)
	}
	kept, err := s.o.Tree.CheckpointsFrom(ctx, size, 1)
	if err != nil || len(kept) == 0 {
		return fail(fmt.Errorf("the checkpoint just kept is not there: %w", errors.Join(err, eventlog.ErrDamaged)))
	}
	return kept[0], nil
}

// Opening gives what shows the content of an event to somebody entitled to see it, unless its salts were erased.
func (s *Sequencer) Opening(ctx context.Context, e eventlog.Recorded) (transparency.Opening, error) {
	erased, err := s.o.Tree.Erased(ctx, e.ID)
	if err != nil {
		return transparency.Opening{}, fmt.Errorf("sequencer: opening of event %s: %w", e.ID, err)
	}
	if erased {
		return transparency.Opening{}, fmt.Errorf("sequencer: opening of event %s: %w", e.ID, transparency.ErrErased)
	}
	payload, meta := s.o.Salts.Salts(e.ID)
	return transparency.Opening{EventID: e.ID, HasPayload: true, Payload: e.Data, PayloadSalt: payload, HasMeta: true, Meta: e.Meta, MetaSalt: meta}, nil
}

// BareLeaf gives the leaf an event has or will have: what can be handed out before the first checkpoint covers it.
func (s *Sequencer) BareLeaf(e eventlog.Recorded) ([]byte, error) { return s.maker().leaf(&e) }

// Receipt proves an event, as Tree.Receipt does.
func (s *Sequencer) Receipt(ctx context.Context, at eventlog.Position, p *transparency.Policy) (transparency.Proof, error) {
	index, found, err := s.o.Tree.Index(ctx, at)
	if err != nil {
		return transparency.Proof{}, err
	}
	if !found {
		return transparency.Proof{}, fmt.Errorf("sequencer: receipt for the event at position %s: %w", at, transparency.ErrNotYet)
	}
	return s.o.Tree.Receipt(ctx, index, p)
}

// Consistency proves that the tree of size size begins with the tree of size old.
func Consistency(ctx context.Context, tree Tree, old, size int64) (tlog.TreeProof, error) {
	if old == 0 || old == size {
		return nil, nil
	}
	p, err := tlog.ProveTree(size, old, tree.Hashes(ctx, size))
	if err != nil {
		return nil, fmt.Errorf("sequencer: prove %d to %d: %w", old, size, err)
	}
	return p, nil
}
