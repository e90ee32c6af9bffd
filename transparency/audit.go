package transparency

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"slices"
	"time"

	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/tlog"
)

// DefaultSkew is how far the ledger's clock and the witnesses' may be apart, with the time a checkpoint is on its way.
const DefaultSkew = 10 * time.Second

// AuditOptions are what the auditor brings along.
type AuditOptions struct {
	Policy *Policy
	// Pinned are checkpoints of this log the auditor saw before, wherever; the log must still lead to each.
	Pinned []Note
	// Openings are checked against their leaves; one whose event is not in the log is a fault.
	Openings []Opening
	// Skew is by how much a recorded time may lie outside the witnessed bounds; zero means DefaultSkew.
	Skew time.Duration
	// Each is called with every leaf in order, its hash and its place in its stream checked, and with the openings of it
	// that were given, checked too. The leaf is its to read during the call, its strings for ever. Its error is a fault at
	// that leaf. May be nil.
	Each func(index int64, l *Leaf, opened []Opening) error
	// Checkpoint is told every checkpoint, its signatures checked, in order of size and before the first leaf. May be nil.
	Checkpoint func(j Judged, n Note)
	// Progress is told how many leaves are done. May be nil.
	Progress func(done, of int64)
}

// AuditReport is what an audit found when it found no fault.
type AuditReport struct {
	Latest      Judged
	LatestNote  Note
	Streams     int
	Checkpoints int   // checked, the latest one among them
	Witnessed   int   // of those, by a quorum
	Covered     int64 // leaves under a witnessed checkpoint
	Opened      int
	Unknown     int // signature lines by nobody the policy names: not a fault of the tree, and shown
	First, Last time.Time
}

// Fault is the first bad place of a log.
type Fault struct {
	Index int64  // the leaf, or -1
	Place string // in words: a leaf, a tile, a checkpoint
	Err   error
}

func (f *Fault) Error() string { return f.Place + ": " + f.Err.Error() }
func (f *Fault) Unwrap() error { return f.Err }

func faultAt(index int64, err error) error {
	return &Fault{index, fmt.Sprintf("entry %d", index), err}
}

func faultIn(place string, err error) error {
	// A file that is not there is as good as a bad one: leaving out is the easiest way to hide.
	if IsFault(err) || errors.Is(err, fs.ErrNotExist) {
		return &Fault{-1, place, err}
	}
	return fmt.Errorf("%s: %w", place, err)
}

// Fork is the evidence that a log told two histories: two notes it signed, and the proof that would have to lead from one
// to the other and does not. Anybody can check it.
type Fork struct {
	Older, Newer Note
	Proof        tlog.TreeProof
}

func (f *Fork) Error() string {
	b := []byte("two checkpoints signed by this log contradict each other\n\nfirst:\n")
	b = append(b, f.Older.Marshal()...)
	b = append(b, "\nsecond:\n"...)
	b = append(b, f.Newer.Marshal()...)
	b = append(b, "\nproof that does not lead from the first to the second:\n"...)
	for _, h := range f.Proof {
		b = b64.AppendEncode(b, h[:])
		b = append(b, '\n')
	}
	return string(b)
}

// Unwrap makes errors.Is(err, ErrFork) true.
func (f *Fork) Unwrap() error { return ErrFork }

// ErrOlder: the log shows fewer entries than it did before.
var ErrOlder = errors.New("older than what was seen before")

// Audit reads a whole log and derives everything again: each leaf's hash, each tile, the root of every kept checkpoint;
// it checks that no revision of a stream is missing or doubled, that recorded times lie inside what the witnesses' clocks
// allow, and the openings it was given. A *Fault names the first bad place; other errors mean that it could not look.
func Audit(ctx context.Context, f Fetcher, o AuditOptions) (AuditReport, error) {
	if o.Skew == 0 {
		o.Skew = DefaultSkew
	}
	a := &audit{f: f, o: o}
	if err := a.heads(ctx); err != nil {
		return AuditReport{}, err
	}
	if err := a.pinned(); err != nil {
		return AuditReport{}, err
	}
	a.bound()
	a.streams = NewStreams(a.r.Latest.Origin)
	a.openings = map[uuid.UUID][]Opening{}
	for _, op := range o.Openings {
		a.openings[op.EventID] = append(a.openings[op.EventID], op)
	}
	if err := a.entries(ctx); err != nil {
		return AuditReport{}, err
	}
	for _, op := range o.Openings {
		if _, left := a.openings[op.EventID]; left {
			return AuditReport{}, &Fault{-1, "opening of event " + op.EventID.String(), fmt.Errorf("the log holds no such event: %w", ErrCommitment)}
		}
	}
	a.r.Streams = a.streams.Len()
	return a.r, nil
}

type audit struct {
	f        Fetcher
	o        AuditOptions
	r        AuditReport
	signed   []head // in order of size
	next     int    // the first of them not reached yet
	before   int64  // the size of the one ahead of it
	frontier Frontier
	tiles    [][]tlog.Hash // by level, from 1: the hashes of the growing tile
	streams  *Streams
	openings map[uuid.UUID][]Opening
	pins     []head // in order of size; those reached are taken off

	lower time.Time
	upper []time.Time // by head: the earliest witnessed time among it and all larger ones; zero when there is none
}

type head struct {
	Judged
	note Note
}

// heads reads the newest checkpoint and the history.
func (a *audit) heads(ctx context.Context) error {
	b, err := a.f.Fetch(ctx, "checkpoint")
	if err != nil {
		return err
	}
	latest, err := ParseNote(b)
	if err != nil {
		return faultIn("the log's newest checkpoint", err)
	}
	if a.r.Latest, err = a.o.Policy.Judge(latest); err != nil {
		return faultIn("the log's newest checkpoint", err)
	}
	a.r.LatestNote = latest
	a.signed = append(a.signed, head{a.r.Latest, latest})
	history, err := fetchHistory(ctx, a.f)
	if err != nil {
		return faultIn("the history of checkpoints", err)
	}
	last := int64(-1)
	for i, n := range history {
		place := fmt.Sprintf("checkpoint %d of the history", i)
		j, err := a.o.Policy.Judge(n)
		if err != nil {
			return faultIn(place, err)
		}
		if j.Origin != a.r.Latest.Origin {
			return faultIn(place, fmt.Errorf("it is of log %s: %w", j.Origin, ErrOrigin))
		}
		if j.Size <= last {
			return faultIn(place, fmt.Errorf("its size %d does not follow %d: %w", j.Size, last, ErrSequence))
		}
		last = j.Size
		if j.Size > a.r.Latest.Size {
			// Over HTTP the log may have grown since the first request; what is beyond cannot be checked now.
			continue
		}
		if j.Size == a.r.Latest.Size {
			if n.Text != latest.Text {
				return &Fault{-1, place, &Fork{Older: n, Newer: latest}}
			}
			// The same one, perhaps with other cosignatures: all of them count.
			if j, err = a.o.Policy.Judge(n.With(latest.Signatures...)); err != nil {
				return faultIn(place, err)
			}
			a.r.Latest = j
			a.signed[0] = head{j, n}
			continue
		}
		a.signed = append(a.signed, head{j, n})
	}
	slices.SortStableFunc(a.signed, func(x, y head) int { return cmp.Compare(x.Size, y.Size) })
	for _, h := range a.signed {
		if a.o.Checkpoint != nil {
			a.o.Checkpoint(h.Judged, h.note)
		}
		a.r.Checkpoints++
		a.r.Unknown += h.Unknown
		if h.Witnessed {
			a.r.Witnessed++
			a.r.Covered = max(a.r.Covered, h.Size)
		}
	}
	return nil
}

// pinned reads the auditor's own memory.
func (a *audit) pinned() error {
	for _, n := range a.o.Pinned {
		j, err := a.o.Policy.Judge(n)
		if err != nil {
			return fmt.Errorf("a checkpoint seen before: %w", err)
		}
		if j.Origin != a.r.Latest.Origin {
			return fmt.Errorf("a checkpoint seen before is of log %s: %w", j.Origin, ErrOrigin)
		}
		if j.Size > a.r.Latest.Size {
			return &Fault{-1, "the log's newest checkpoint", fmt.Errorf("it covers %d entries, one seen before covers %d: this is an older copy, or entries were taken back:\n%s\n%s%w",
				a.r.Latest.Size, j.Size, n.Marshal(), a.r.LatestNote.Marshal(), ErrOlder)}
		}
		a.pins = append(a.pins, head{j, n})
	}
	slices.SortStableFunc(a.pins, func(x, y head) int { return cmp.Compare(x.Size, y.Size) })
	return nil
}

// bound prepares the time bounds. The heads are in order of size.
func (a *audit) bound() {
	a.upper = make([]time.Time, len(a.signed))
	var earliest time.Time
	for i := len(a.signed) - 1; i >= 0; i-- {
		if h := a.signed[i]; h.Witnessed && (earliest.IsZero() || h.By.Before(earliest)) {
			earliest = h.By
		}
		a.upper[i] = earliest
	}
}

// bundle is what a worker made of one bundle of entries. Its memory is used again for another one.
type bundle struct {
	id     TileID
	raw    []byte // the entries' bytes
	tile   []byte // the log's hashes of them
	hashes []tlog.Hash
	leaves []Leaf
	names  names
	root   tlog.Hash // of a full bundle
	err    error
}

// entries reads the bundles with as many workers as there are processors and takes them in order.
func (a *audit) entries(ctx context.Context) error {
	if err := a.reached(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ids := BundlesOf(a.r.Latest.Size)
	workers := runtime.GOMAXPROCS(0)
	// queue keeps the order; its capacity bounds how far the workers run ahead.
	queue := make(chan chan *bundle, 4*workers)
	free := make(chan *bundle, 5*workers+1) // all there are: in the queue, at the workers, and the one that is taken
	jobs := make(chan func())
	for range workers {
		go func() {
			for job := range jobs {
				job()
			}
		}()
	}
	go func() {
		defer close(jobs)
		defer close(queue)
		for _, id := range ids {
			out := make(chan *bundle, 1)
			select {
			case queue <- out:
			case <-ctx.Done():
				return
			}
			select {
			case jobs <- func() {
				b := &bundle{names: names{}}
				select {
				case b = <-free:
				default:
				}
				a.read(ctx, id, b)
				out <- b
			}:
			case <-ctx.Done():
				out <- &bundle{err: ctx.Err()}
				return
			}
		}
	}()
	for out := range queue {
		b := <-out
		if err := a.take(ctx, b); err != nil {
			return err
		}
		select {
		case free <- b:
		default:
		}
		if a.o.Progress != nil {
			a.o.Progress(a.frontier.Size(), a.r.Latest.Size)
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return a.lastTiles(ctx)
}

// read fetches a bundle and its tile into b, and checks one against the other. It stops at the first leaf that is bad; the
// ones ahead of it are still given.
func (a *audit) read(ctx context.Context, id TileID, b *bundle) {
	b.id, b.err, b.hashes, b.leaves = id, nil, slices.Grow(b.hashes[:0], id.Width), slices.Grow(b.leaves[:0], id.Width)
	if b.raw, b.err = fetchTileInto(ctx, a.f, id, b.raw); b.err != nil {
		b.err = faultIn(id.Path(), b.err)
		return
	}
	tileID := TileID{0, id.N, id.Width}
	if b.tile, b.err = fetchTileInto(ctx, a.f, tileID, b.tile); b.err != nil {
		b.err = faultIn(tileID.Path(), b.err)
		return
	}
	b.err = b.check()
}

// check hashes and reads the entries.
func (b *bundle) check() error {
	id, raw, tile := b.id, b.raw, b.tile
	entries, splitErr := SplitEntries(raw)
	at := 0
	for i, e := range entries[:min(len(entries), id.Width)] {
		at += 2 + len(e)
		index := id.N*TileWidth + int64(i)
		// The byte before an entry is the end of its length, which was read: with a zero there the leaf is hashed where it
		// lies (LeafHash copies it).
		raw[at-len(e)-1] = 0
		h := tlog.Hash(sha256.Sum256(raw[at-len(e)-1 : at]))
		if len(tile) < (i+1)*tlog.HashSize || tlog.Hash(tile[i*tlog.HashSize:]) != h {
			return faultAt(index, fmt.Errorf("its hash is not the one the tree holds: %w", ErrProof))
		}
		b.leaves = b.leaves[:i+1]
		if err := b.leaves[i].parse(e, b.names); err != nil {
			b.leaves = b.leaves[:i]
			return faultAt(index, err)
		}
		b.hashes = append(b.hashes, h)
	}
	switch {
	case splitErr != nil:
		return faultIn(id.Path(), splitErr)
	case len(entries) != id.Width:
		return faultIn(id.Path(), fmt.Errorf("%d entries, want %d: %w", len(entries), id.Width, ErrSequence))
	case len(tile) != id.Width*tlog.HashSize:
		return faultIn(TileID{0, id.N, id.Width}.Path(), fmt.Errorf("%d bytes, want %d: %w", len(tile), id.Width*tlog.HashSize, ErrMalformed))
	}
	if id.Width == TileWidth {
		b.root = TileRoot(b.hashes)
	}
	return nil
}

// take checks a bundle's leaves in order and adds them to the tree.
func (a *audit) take(ctx context.Context, b *bundle) error {
	start := b.id.N * TileWidth
	end := start + int64(len(b.hashes))
	// A full bundle without a checkpoint in its midst enters the tree in one piece.
	whole := b.err == nil && b.id.Width == TileWidth && (a.next == len(a.signed) || a.signed[a.next].Size >= end) && (len(a.pins) == 0 || a.pins[0].Size >= end)
	for i := range b.leaves {
		if err := a.leaf(start+int64(i), &b.leaves[i]); err != nil {
			return err
		}
		if whole {
			continue
		}
		a.frontier.Add(b.hashes[i])
		if err := a.reached(ctx); err != nil {
			return err
		}
	}
	if b.err != nil {
		return b.err
	}
	if whole {
		a.frontier.AddTile(b.root)
		if err := a.reached(ctx); err != nil {
			return err
		}
	}
	if b.id.Width == TileWidth {
		return a.upperTile(ctx, 1, b.id.N, b.root)
	}
	return nil
}

// leaf checks what a leaf says against the leaves before it and the witnesses' clocks.
func (a *audit) leaf(index int64, l *Leaf) error {
	if err := a.streams.Add(l); err != nil {
		return faultAt(index, err)
	}
	// a.lower is of the heads before the leaf; the next one is the first beyond it.
	if !a.lower.IsZero() && l.RecordedAt.Before(a.lower.Add(-a.o.Skew)) {
		return faultAt(index, fmt.Errorf("it says it was recorded at %s; at %s the witnesses saw a log that did not hold it: %w", l.RecordedAt.Format(leafTime), a.lower.Format(time.RFC3339), ErrTime))
	}
	if a.next < len(a.signed) {
		// A cosignature tells whole seconds, rounded down.
		if by := a.upper[a.next]; !by.IsZero() && l.RecordedAt.After(by.Add(time.Second+a.o.Skew)) {
			return faultAt(index, fmt.Errorf("it says it was recorded at %s; the witnesses had seen it by %s: %w", l.RecordedAt.Format(leafTime), by.Format(time.RFC3339), ErrTime))
		}
	}
	var opened []Opening
	if len(a.openings) > 0 {
		opened = a.openings[l.EventID]
		for _, op := range opened {
			if err := op.Check(*l); err != nil {
				return faultAt(index, err)
			}
			a.r.Opened++
		}
		delete(a.openings, l.EventID)
	}
	if a.r.First.IsZero() {
		a.r.First = l.RecordedAt
	}
	a.r.Last = l.RecordedAt
	if a.o.Each != nil {
		if err := a.o.Each(index, l, opened); err != nil {
			return faultAt(index, err)
		}
	}
	return nil
}

// reached compares the tree with every head of its present size.
func (a *audit) reached(ctx context.Context) error {
	size := a.frontier.Size()
	for ; len(a.pins) > 0 && a.pins[0].Size == size; a.pins = a.pins[1:] {
		if a.pins[0].Root != a.frontier.Root() {
			return a.fork(ctx, a.pins[0])
		}
	}
	for ; a.next < len(a.signed) && a.signed[a.next].Size == size; a.next++ {
		h := a.signed[a.next]
		if h.Root != a.frontier.Root() {
			return &Fault{-1, fmt.Sprintf("entries %d to %d", a.before, size-1), fmt.Errorf("they do not lead to the root the log signed for %d entries: %w", size, ErrProof)}
		}
		if h.Witnessed && h.Since.After(a.lower) {
			a.lower = h.Since
		}
		a.before = size
	}
	return nil
}

// fork makes the evidence: the pinned note, the log's newest, and the proof the log gives between them.
func (a *audit) fork(ctx context.Context, pin head) error {
	size := a.r.Latest.Size
	e := &Fork{Older: pin.note, Newer: a.r.LatestNote}
	fault := &Fault{-1, "the log's checkpoints", e}
	if pin.Size > 0 && pin.Size < size {
		var err error
		e.Proof, err = tlog.ProveTree(size, pin.Size, HashReader(size, func(t TileID) ([]byte, error) { return fetchTile(ctx, a.f, t) }))
		if err != nil {
			return errors.Join(fault, fmt.Errorf("the failing proof could not be made: %w", err))
		}
	}
	return fault
}

// upperTile puts a hash into the growing tile of a level and compares the tile with the log's when it is full.
func (a *audit) upperTile(ctx context.Context, level int, n int64, h tlog.Hash) error {
	for level > len(a.tiles) {
		a.tiles = append(a.tiles, nil)
	}
	t := &a.tiles[level-1]
	*t = append(*t, h)
	if len(*t) < TileWidth {
		return nil
	}
	if err := a.compareTile(ctx, TileID{level, n / TileWidth, TileWidth}, *t); err != nil {
		return err
	}
	up := TileRoot(*t)
	*t = (*t)[:0]
	return a.upperTile(ctx, level+1, n/TileWidth, up)
}

func (a *audit) lastTiles(ctx context.Context) error {
	for i, hashes := range a.tiles {
		if len(hashes) == 0 {
			continue
		}
		id := TileID{i + 1, a.r.Latest.Size >> ((i + 1) * TileHeight) / TileWidth, len(hashes)}
		if err := a.compareTile(ctx, id, hashes); err != nil {
			return err
		}
	}
	return nil
}

func (a *audit) compareTile(ctx context.Context, id TileID, want []tlog.Hash) error {
	got, err := fetchTile(ctx, a.f, id)
	if err != nil {
		return faultIn(id.Path(), err)
	}
	b := make([]byte, 0, len(want)*tlog.HashSize)
	for _, h := range want {
		b = append(b, h[:]...)
	}
	if !bytes.Equal(got, b) {
		return faultIn(id.Path(), fmt.Errorf("its hashes are not those of the entries: %w", ErrProof))
	}
	return nil
}
