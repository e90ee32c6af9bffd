package sequencer

import (
	"context"
	"crypto/sha256"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/answerable-ledger/answerable/eventlog"
	"github.com/answerable-ledger/answerable/transparency"
	"github.com/answerable-ledger/answerable/transparency/treestore"
)

const (
	// batchSize is the most leaves that enter the tree in one transaction. Whole tiles, so that none is written twice while
	// much waits.
	batchSize = 64 * transparency.TileWidth
	// leastBatch is how many leaves a transaction waits for while they are made: what making it durable costs vanishes among
	// them. What is made meanwhile goes in too. So a slow disk is asked less often, and no processor waits for it; who
	// always waited for as many would have the disk stand still at the beginning and the processors at the end.
	leastBatch = 16 * transparency.TileWidth
	// turn is how many leaves are made before others come to the processor. Who writes to the disk waits for it several
	// times in a transaction, and the disk for who writes.
	turn = 64
	// chunkSize is how many events one processor makes leaves of at a time.
	chunkSize = 4 * transparency.TileWidth
	// leafBytes is more than most leaves have.
	leafBytes = 512
)

// maker makes leaves. Not for concurrent use.
type maker struct {
	header    Header
	origin    string
	committer *transparency.Committer
}

func (s *Sequencer) maker() *maker {
	return &maker{s.o.Header, s.o.Tree.Origin(), s.o.Salts.Committer()}
}

// leaf makes the leaf of an event.
func (m *maker) leaf(e *eventlog.Recorded) ([]byte, error) {
	return m.appendLeaf(make([]byte, 0, leafBytes), e)
}

// appendLeaf is leaf, written at the end of b.
func (m *maker) appendLeaf(b []byte, e *eventlog.Recorded) ([]byte, error) {
	receivedAt, actor, err := m.header(*e)
	if err != nil {
		return nil, fmt.Errorf("leaf of %s@%d (event %s): %w", e.Stream, e.Revision, e.ID, err)
	}
	payload, meta := m.committer.Commit(e.ID, e.Data, e.Meta)
	return transparency.Leaf{
		Origin:     m.origin,
		EventID:    e.ID,
		Stream:     e.Stream,
		Revision:   e.Revision,
		Kind:       e.Kind,
		ReceivedAt: receivedAt.Truncate(time.Microsecond),
		RecordedAt: e.RecordedAt,
		Actor:      actor,
		Payload:    payload,
		Meta:       meta,
	}.Append(b)
}

// chunk is some events on their way into the tree. Its memory is used again: leaves of their own would cost more than
// they take to write.
type chunk struct {
	events  []eventlog.Recorded
	entries []treestore.Entry
	room    []byte // the leaves lie in it, or in what it was before it had to grow
	err     error
	done    chan struct{} // holds one while entries and err are the worker's no more
}

func newChunk() *chunk { return &chunk{done: make(chan struct{}, 1)} }

// fill makes the leaves of the chunk's events.
func (c *chunk) fill(m *maker) error {
	c.entries, c.room = slices.Grow(c.entries[:0], len(c.events)), c.room[:0]
	if room := leafBytes * len(c.events); cap(c.room) < room {
		c.room = make([]byte, 0, room) // slices.Grow would clear it
	}
	for i := range c.events {
		if i%turn == turn-1 {
			runtime.Gosched()
		}
		// The leaf is hashed where it lies, in the processor's cache: before it stands the byte that RFC 6962 hashes first.
		from := len(c.room) + len(transparency.LeafPrefix)
		b, err := m.appendLeaf(append(c.room, transparency.LeafPrefix...), &c.events[i])
		if err != nil {
			return err
		}
		c.room = b
		c.entries = append(c.entries, treestore.Entry{
			Leaf:     b[from:len(b):len(b)],
			Position: c.events[i].Position,
			Hash:     sha256.Sum256(b[from-len(transparency.LeafPrefix):]),
		})
	}
	return nil
}

// line is how catching up is spread over the processors: one reads events, several make leaves of them, and the caller
// takes the chunks in their order and writes.
type line struct {
	ordered chan *chunk // as they were read, not all of them done
	free    chan *chunk // to be used again
	first   *chunk      // taken out of ordered and not done when it was
	wg      sync.WaitGroup
}

// chunks makes the leaves of all events after a position that are in the log by now. It ends with ctx, and after an error.
func (s *Sequencer) chunks(ctx context.Context, after eventlog.Position) *line {
	// A batch ahead: it is made while the one before is written. Both take some twenty megabytes, on a slow disk.
	const ahead = batchSize / chunkSize
	l := &line{ordered: make(chan *chunk, ahead), free: make(chan *chunk, 2*ahead)}
	work := make(chan *chunk, ahead)
	for range runtime.GOMAXPROCS(0) {
		l.wg.Go(func() {
			m := s.maker()
			for c := range work {
				c.err = c.fill(m)
				c.done <- struct{}{}
			}
		})
	}
	l.wg.Go(func() {
		defer close(l.ordered)
		defer close(work)
		for b, err := range s.o.Log.Follow(ctx, after, s.o.Tree.Filter(), eventlog.FollowOptions{BatchSize: chunkSize}) {
			var c *chunk
			select {
			case c = <-l.free:
			default:
				c = newChunk()
			}
			to := work
			if c.events = b.Events; err != nil {
				c.err = fmt.Errorf("follow the log: %w", err)
				c.done <- struct{}{}
				to = nil
			}
			select {
			case l.ordered <- c:
			case <-ctx.Done():
				return
			}
			if to == nil {
				return
			}
			to <- c // as much room as in ordered, whose chunks are all there is to do
			if b.CaughtUp {
				return
			}
		}
	})
	return l
}

// next takes the chunks that are done, up to a batch, into c; it waits for the least batch of them, and takes fewer only
// at the end of the events. It is done when it gives none.
func (l *line) next(c []*chunk) ([]*chunk, error) {
	c = c[:0]
	for leaves := 0; leaves+chunkSize <= batchSize; {
		made := l.first
		if made == nil {
			if made = l.ahead(leaves < leastBatch); made == nil {
				break
			}
		}
		l.first = nil
		if leaves < leastBatch {
			<-made.done
		} else {
			select {
			case <-made.done:
			default:
				l.first = made
				return c, nil
			}
		}
		if made.err != nil {
			return c, made.err
		}
		c = append(c, made)
		leaves += len(made.entries)
	}
	return c, nil
}

// ahead gives the next chunk that was read, nil when there is none (yet).
func (l *line) ahead(wait bool) *chunk {
	if wait {
		return <-l.ordered
	}
	select {
	case c := <-l.ordered:
		return c
	default:
		return nil
	}
}

// give hands chunks back whose leaves are written.
func (l *line) give(c []*chunk) {
	for _, c := range c {
		c.events = nil
		select {
		case l.free <- c:
		default:
		}
	}
}
