package treestore

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/tlog"
	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/answerable-ledger/answerable/eventlog"
	"github.com/answerable-ledger/answerable/transparency"
)

// Signed is a checkpoint as kept: the note with every cosignature it ever got (of one witness the first and the newest).
type Signed struct {
	Size     int64
	Note     transparency.Note
	SignedAt time.Time // the ledger's clock
	// FreshAt is when it was last known to cover all that was recorded; zero when it was read from the file.
	FreshAt time.Time
}

// SaveCheckpoint keeps a signed checkpoint, or adds signatures to one that is kept. A second root for one size is refused.
func (s *Store) SaveCheckpoint(ctx context.Context, n transparency.Note, at time.Time) error {
	c, err := transparency.ParseCheckpoint(n.Text)
	if err != nil {
		return wrap(err, "save checkpoint")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return wrap(s.saveCheckpoint(c, n, at), "save checkpoint of size %d", c.Size)
}

func (s *Store) saveCheckpoint(c transparency.Checkpoint, n transparency.Note, at time.Time) (err error) {
	if c.Origin != s.origin {
		return fmt.Errorf("it is of log %s: %w", c.Origin, transparency.ErrOrigin)
	}
	if c.Size > s.tail.size {
		return fmt.Errorf("the tree has %d leaves: %w", s.tail.size, eventlog.ErrInvalid)
	}
	end, err := begin(s.w, "IMMEDIATE")
	if err != nil {
		return err
	}
	defer end(&err)
	kept, err := selectCheckpoints(s.w, `WHERE size = ?`, c.Size)
	if err != nil {
		return err
	}
	if len(kept) > 0 {
		if kept[0].Note.Text != n.Text {
			return fmt.Errorf("another one is kept:\n%s\n%s%w", kept[0].Note.Text, n.Text, transparency.ErrFork)
		}
		n, at = kept[0].Note.With(n.Signatures...), kept[0].SignedAt
	}
	return sqlitex.Execute(s.w, `INSERT INTO checkpoint VALUES (?, ?, ?) ON CONFLICT (size) DO UPDATE SET note = excluded.note`,
		&sqlitex.ExecOptions{Args: []any{c.Size, n.Marshal(), at.UnixMicro()}})
}

func selectCheckpoints(c *sqlite.Conn, where string, args ...any) (out []Signed, err error) {
	err = sqlitex.Execute(c, `SELECT size, note, signed_at_us FROM checkpoint `+where, &sqlitex.ExecOptions{
		Args: args,
		ResultFunc: func(st *sqlite.Stmt) error {
			n, err := transparency.ParseNote(blob(st, 1))
			if err != nil {
				return fmt.Errorf("checkpoint of size %d: %w: %w", st.ColumnInt64(0), err, eventlog.ErrDamaged)
			}
			out = append(out, Signed{Size: st.ColumnInt64(0), Note: n, SignedAt: time.UnixMicro(st.ColumnInt64(2)).UTC()})
			return nil
		},
	})
	return out, err
}

func (s *Store) checkpoints(ctx context.Context, where string, args ...any) (out []Signed, err error) {
	err = s.read(ctx, func(c *sqlite.Conn) (err error) {
		out, err = selectCheckpoints(c, where, args...)
		return err
	})
	return out, wrap(err, "read checkpoints")
}

// Checkpoints gives up to limit checkpoints in order of size, leaving out the first skip of them.
func (s *Store) Checkpoints(ctx context.Context, skip, limit int64) ([]Signed, error) {
	return s.checkpoints(ctx, `ORDER BY size LIMIT ? OFFSET ?`, limit, skip)
}

// CheckpointsFrom gives up to limit checkpoints of at least the given size, in order of size.
func (s *Store) CheckpointsFrom(ctx context.Context, size, limit int64) ([]Signed, error) {
	return s.checkpoints(ctx, `WHERE size >= ? ORDER BY size LIMIT ?`, size, limit)
}

// Latest is the newest signed checkpoint. Nothing beyond it may be shown to anybody. ok is false before the first.
func (s *Store) Latest(ctx context.Context) (latest Signed, ok bool, err error) {
	all, err := s.checkpoints(ctx, `ORDER BY size DESC LIMIT 1`)
	if err != nil || len(all) == 0 {
		return Signed{}, false, err
	}
	return all[0], true, nil
}

// maxTried bounds how many checkpoints are looked at for one that a quorum cosigned: an hour of one a second.
const maxTried = 3600

// Receipt proves the leaf under the smallest checkpoint that a quorum of the policy's witnesses cosigned, which is the one
// that proves the earliest time; while there is none, under the newest signed one. ErrNotYet: none covers the leaf.
func (s *Store) Receipt(ctx context.Context, index int64, p *transparency.Policy) (transparency.Proof, error) {
	return receipt(ctx, s, &s.met, index, p)
}

// proving is what a receipt is made of.
type proving interface {
	Latest(ctx context.Context) (latest Signed, ok bool, err error)
	CheckpointsFrom(ctx context.Context, size, limit int64) ([]Signed, error)
	Leaf(ctx context.Context, index int64) ([]byte, eventlog.Position, error)
	Hashes(ctx context.Context, size int64) tlog.HashReader
}

func receipt(ctx context.Context, s proving, met *metQuorum, index int64, p *transparency.Policy) (transparency.Proof, error) {
	latest, ok, err := s.Latest(ctx)
	if err != nil {
		return transparency.Proof{}, err
	}
	if !ok || index >= latest.Size {
		return transparency.Proof{}, fmt.Errorf("treestore: receipt for leaf %d: %w", index, transparency.ErrNotYet)
	}
	under := latest
	if p != nil && p.WantsWitnesses() {
		if under, err = met.witnessed(ctx, s, index+1, latest, p); err != nil {
			return transparency.Proof{}, err
		}
	}
	return receiptUnder(ctx, s, index, under.Note)
}

// witnessed finds the smallest checkpoint of at least the given size that meets the quorum, or gives the latest one.
func (m *metQuorum) witnessed(ctx context.Context, s proving, from int64, latest Signed, p *transparency.Policy) (Signed, error) {
	const page = 16
	for tried := 0; tried < maxTried; tried += page {
		some, err := s.CheckpointsFrom(ctx, from, page)
		if err != nil {
			return Signed{}, err
		}
		for _, c := range some {
			if m.knows(p, c) {
				return c, nil
			}
			if j, err := p.Judge(c.Note); err == nil && j.Witnessed {
				m.learn(p, c)
				return c, nil
			}
			from = c.Size + 1
		}
		if len(some) < page {
			break
		}
	}
	return latest, nil
}

// metQuorum remembers which checkpoints were found to meet a policy: verifying their signatures costs more than all the
// rest of a receipt. A quorum once met is met for ever; what is not met yet is not remembered.
type metQuorum struct {
	mu     sync.Mutex
	policy *transparency.Policy
	texts  map[int64]string // by size
}

// maxMet bounds the memory to about a megabyte; when it is full it begins anew.
const maxMet = 10_000

func (m *metQuorum) knows(p *transparency.Policy, c Signed) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.policy == p && m.texts[c.Size] == c.Note.Text
}

func (m *metQuorum) learn(p *transparency.Policy, c Signed) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.policy != p || len(m.texts) >= maxMet {
		m.policy, m.texts = p, map[int64]string{}
	}
	m.texts[c.Size] = c.Note.Text
}

// receiptUnder proves the leaf under a given checkpoint.
func receiptUnder(ctx context.Context, s proving, index int64, n transparency.Note) (transparency.Proof, error) {
	c, err := transparency.ParseCheckpoint(n.Text)
	if err != nil {
		return transparency.Proof{}, wrap(err, "receipt for leaf %d", index)
	}
	leaf, _, err := s.Leaf(ctx, index)
	if err != nil {
		return transparency.Proof{}, err
	}
	hashes, err := tlog.ProveRecord(c.Size, index, s.Hashes(ctx, c.Size))
	if err != nil {
		return transparency.Proof{}, wrap(err, "receipt for leaf %d under size %d", index, c.Size)
	}
	p := transparency.Proof{Extra: leaf, Index: index, Hashes: hashes, Checkpoint: n}
	// Checked before it is handed out: damage in the file must show here and not at the unit's desk.
	if err := p.Check(leaf, c); err != nil {
		return transparency.Proof{}, wrap(fmt.Errorf("%w: %w", err, eventlog.ErrDamaged), "receipt for leaf %d under size %d", index, c.Size)
	}
	return p, nil
}

// Erase notes that the salts of an event must not be derived any more. The leaf, the tree and every receipt stay valid;
// Erased tells openings to refuse. The note binds this program: whoever holds the salt key itself can still derive the
// salt, so the plain text must be destroyed as well.
func (s *Store) Erase(ctx context.Context, event uuid.UUID, at time.Time, reason string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := sqlitex.Execute(s.w, `INSERT INTO erased VALUES (?, ?, ?) ON CONFLICT DO NOTHING`, &sqlitex.ExecOptions{Args: []any{event[:], at.UnixMicro(), reason}})
	return wrap(err, "erase salts of event %s", event)
}

// Erased reports whether the event's salts were erased.
func (s *Store) Erased(ctx context.Context, event uuid.UUID) (erased bool, err error) {
	err = s.read(ctx, func(c *sqlite.Conn) error {
		return sqlitex.Execute(c, `SELECT 1 FROM erased WHERE event_id = ?`, &sqlitex.ExecOptions{Args: []any{event[:]}, ResultFunc: func(*sqlite.Stmt) error {
			erased = true
			return nil
		}})
	})
	return erased, wrap(err, "look for event %s among the erased", event)
}

// NewestCheckpoints gives up to limit checkpoints, the largest first.
func (s *Store) NewestCheckpoints(ctx context.Context, limit int64) ([]Signed, error) {
	return s.checkpoints(ctx, `ORDER BY size DESC LIMIT ?`, limit)
}

// Erasure is a note that an event's salts must not be derived any more.
type Erasure struct {
	Event  uuid.UUID
	At     time.Time
	Reason string
}

// Erasures lists the notes.
func (s *Store) Erasures(ctx context.Context) (out []Erasure, err error) {
	err = s.read(ctx, func(c *sqlite.Conn) error {
		return sqlitex.Execute(c, `SELECT event_id, erased_at_us, reason FROM erased`, &sqlitex.ExecOptions{ResultFunc: func(st *sqlite.Stmt) error {
			id, err := uuid.FromBytes(blob(st, 0))
			out = append(out, Erasure{id, time.UnixMicro(st.ColumnInt64(1)).UTC(), st.ColumnText(2)})
			return err
		}})
	})
	return out, wrap(err, "read erasures")
}
