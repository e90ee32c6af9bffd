package sqlite

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"sync"

	engine "zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

// streamKey stands for a stream's name in memory: 128 bits of its SHA-256, so that two names with one key cannot be
// found even by somebody who looks for them. (64 bits would need every hit compared with the name in the file.)
type streamKey [16]byte

func keyOf(stream string) streamKey {
	sum := sha256.Sum256([]byte(stream))
	return streamKey(sum[:16])
}

// place is where a stream ends: the position and the revision of its last event. The zero place is that of a stream
// without events, as positions begin at 1.
type place struct{ seq, revision uint64 }

// count is how many events the stream has.
func (p place) count() uint64 {
	if p.seq == 0 {
		return 0
	}
	return p.revision + 1
}

// heads knows where every stream ends. The writer alone changes it, after each commit; readers of the writer's process
// answer "nothing new" from it without a look at the file.
type heads struct {
	mu sync.RWMutex
	at map[streamKey]place
	// through is the last event at covers, for a read-only log that catches up when it is asked.
	through uint64
}

func newHeads() *heads { return &heads{at: make(map[streamKey]place)} }

func (h *heads) of(k streamKey) place {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.at[k]
}

func (h *heads) len() int {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return len(h.at)
}

// publish is called by the writer after COMMIT.
func (h *heads) publish(moved map[streamKey]place, through uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for k, p := range moved {
		h.at[k] = p
	}
	h.through = through
}

// A run is what the table heads keeps: 32 bytes for each stream that moved, then a CRC-32C of it all. SQLite does not
// check its pages, and a wrong head would let a stream fork.
const runEntryBytes = 16 + 8 + 8

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func encodeRun(moved map[streamKey]place) []byte {
	run := make([]byte, 0, len(moved)*runEntryBytes+4)
	for k, p := range moved {
		run = append(run, k[:]...)
		run = binary.BigEndian.AppendUint64(run, p.seq)
		run = binary.BigEndian.AppendUint64(run, p.revision)
	}
	return binary.BigEndian.AppendUint32(run, crc32.Checksum(run, castagnoli))
}

func decodeRun(run []byte, into map[streamKey]place) error {
	n := len(run) - 4
	if n < 0 || n%runEntryBytes != 0 || crc32.Checksum(run[:n], castagnoli) != binary.BigEndian.Uint32(run[n:]) {
		return fmt.Errorf("a run of stream heads of %d bytes does not match its checksum", len(run))
	}
	for e := run[:n]; len(e) > 0; e = e[runEntryBytes:] {
		into[streamKey(e)] = place{binary.BigEndian.Uint64(e[16:]), binary.BigEndian.Uint64(e[24:])}
	}
	return nil
}

// loadRuns reads the table heads into at and answers through which event they speak. Runs that are missing, overlap or
// fail their checksum make it forget everything and answer 0: the events themselves say it all, only slower.
func loadRuns(conn *engine.Conn, at map[streamKey]place) (through uint64, err error) {
	sound := true
	var buf []byte
	err = sqlitex.Execute(conn, "SELECT through, after, run FROM heads ORDER BY through", &sqlitex.ExecOptions{
		ResultFunc: func(stmt *engine.Stmt) error {
			if !sound {
				return nil
			}
			if uint64(stmt.ColumnInt64(1)) != through {
				sound = false
				return nil
			}
			through = uint64(stmt.ColumnInt64(0))
			n := stmt.ColumnLen(2)
			if cap(buf) < n {
				buf = make([]byte, n)
			}
			buf = buf[:n]
			stmt.ColumnBytes(2, buf)
			sound = decodeRun(buf, at) == nil
			return nil
		}})
	if !sound {
		clear(at)
		through = 0
	}
	return through, err
}

// loadTail reads the events after the given one into each of the maps, and answers with the last of them.
func loadTail(conn *engine.Conn, after uint64, each func(k streamKey, p place)) (through uint64, err error) {
	through = after
	err = sqlitex.Execute(conn, "SELECT seq, revision, stream FROM event WHERE seq > ? ORDER BY seq", &sqlitex.ExecOptions{
		Args: []any{int64(after)},
		ResultFunc: func(stmt *engine.Stmt) error {
			seq := uint64(stmt.ColumnInt64(0))
			if seq != through+1 {
				return damaged("event %d is followed by event %d", through, seq)
			}
			through = seq
			each(keyOf(stmt.ColumnText(2)), place{seq, uint64(stmt.ColumnInt64(1))})
			return nil
		}})
	return through, err
}

// catchUp brings the heads of a read-only log up to what the file holds.
func (h *heads) catchUp(conn *engine.Conn) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.through == 0 {
		through, err := loadRuns(conn, h.at)
		if err != nil {
			return err
		}
		h.through = through
	}
	through, err := loadTail(conn, h.through, func(k streamKey, p place) { h.at[k] = p })
	if err != nil {
		return err
	}
	h.through = through
	return nil
}
