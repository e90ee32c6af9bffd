package treestore

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"

	"github.com/answerable-ledger/answerable/eventlog"
	"github.com/answerable-ledger/answerable/transparency"
)

// LeavesSuffix is added to the database's path for the file of the leaves, which belongs to it as its write-ahead file
// does: who copies, renames or removes the one does so with the other.
const LeavesSuffix = "-leaves"

// leafFile holds the leaves, each after its length, as the public bundles have them one behind the other. It only grows,
// and what lies beyond the last run's end is nothing: a process killed before its commit left it, or one that was put back
// with an older database. The database would write each leaf twice, into its write-ahead file and then into place, and
// copies it byte by byte on the way; that costs more than all hashing.
type leafFile struct {
	path string
	f    *os.File // nil: it is not there
	buf  []byte   // the writer's
	// rooms are lent to readers of single leaves: a run's are a hundred kilobytes, of which they keep one.
	rooms sync.Pool
}

// writeBytes is how much is handed to the system at once.
const writeBytes = 256 << 10

func openLeaves(database string, create bool) (*leafFile, error) {
	l := &leafFile{path: database + LeavesSuffix}
	flag := os.O_RDWR
	if create {
		flag |= os.O_CREATE
	}
	var err error
	if l.f, err = os.OpenFile(l.path, flag, 0o600); errors.Is(err, fs.ErrNotExist) {
		// The checkpoints can still be read, and rebuilding the tree wants them.
		return l, nil
	}
	if err == nil && create {
		if err = syncDir(filepath.Dir(l.path)); err != nil {
			l.f.Close()
		}
	}
	if err != nil {
		return nil, fmt.Errorf("the file of the leaves: %w: %w", err, eventlog.ErrUnavailable)
	}
	return l, nil
}

func (l *leafFile) close() error {
	if l.f == nil {
		return nil
	}
	return l.f.Close()
}

// lost says what is wrong with a file that does not reach as far as the database says.
func (l *leafFile) lost(end int64) error {
	return fmt.Errorf("the file of the leaves, %s, is missing or ends before byte %d: put it back with the database, or make the tree again (answerable rebuild --tree): %w", l.path, end, eventlog.ErrDamaged)
}

// holds checks that the file reaches as far as the database says: what is written behind a hole is lost.
func (l *leafFile) holds(end int64) error {
	if l.f == nil {
		return l.lost(end)
	}
	st, err := l.f.Stat()
	if err != nil {
		return fmt.Errorf("the file of the leaves: %w: %w", err, eventlog.ErrUnavailable)
	}
	if st.Size() < end {
		return l.lost(end)
	}
	return nil
}

// write puts leaves at an offset. When it returns without an error they survive power loss.
func (l *leafFile) write(at int64, entries []Entry) error {
	if err := l.holds(at); err != nil {
		return err
	}
	flush := func() error {
		if _, err := l.f.WriteAt(l.buf, at); err != nil {
			return writeError(err)
		}
		at += int64(len(l.buf))
		l.buf = l.buf[:0]
		return nil
	}
	total := 0
	for _, e := range entries {
		total += 2 + len(e.Leaf)
	}
	l.buf = slices.Grow(l.buf[:0], min(total, writeBytes))
	for _, e := range entries {
		if len(l.buf)+2+len(e.Leaf) > writeBytes {
			if err := flush(); err != nil {
				return err
			}
		}
		l.buf = transparency.AppendEntry(l.buf, e.Leaf)
	}
	if err := flush(); err != nil {
		return err
	}
	if err := l.f.Sync(); err != nil {
		return writeError(err)
	}
	return nil
}

// one reads a single leaf of a run.
func (l *leafFile) one(r run, n int64, i int) ([]byte, error) {
	room, _ := l.rooms.Get().(*[]byte)
	if room == nil {
		room = new([]byte)
	}
	defer l.rooms.Put(room)
	r.leaves = *room
	err := l.fill(&r, n)
	if *room = r.leaves; err != nil {
		return nil, err
	}
	for rest := r.leaves; len(rest) >= 2; i-- {
		length := int(binary.BigEndian.Uint16(rest))
		if rest = rest[2:]; length > len(rest) {
			break
		}
		if i == 0 {
			return bytes.Clone(rest[:length]), nil
		}
		rest = rest[length:]
	}
	return nil, fmt.Errorf("run %d: its leaf %d is not in its bytes: %w", n, i, eventlog.ErrDamaged)
}

// fill reads the leaves of a run, with their lengths between them, into the room it has or a new one.
func (l *leafFile) fill(r *run, n int64) error {
	end := r.start + r.bytes
	if r.start < 0 || r.bytes < 0 || r.bytes > runLength*(2+transparency.MaxLeafBytes) {
		return fmt.Errorf("run %d has %d bytes at byte %d: %w", n, r.bytes, r.start, eventlog.ErrDamaged)
	}
	if l.f == nil {
		return fmt.Errorf("run %d: %w", n, l.lost(end))
	}
	r.leaves = slices.Grow(r.leaves[:0], int(r.bytes))[:r.bytes]
	read, err := l.f.ReadAt(r.leaves, r.start)
	switch {
	case int64(read) == r.bytes:
		return nil
	case errors.Is(err, io.EOF):
		return fmt.Errorf("run %d: %w", n, l.lost(end))
	}
	return fmt.Errorf("run %d: the file of the leaves: %w: %w", n, err, eventlog.ErrUnavailable)
}

func writeError(err error) error {
	kind := eventlog.ErrUnavailable
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		kind = eventlog.ErrFull
	}
	return fmt.Errorf("the file of the leaves: %w: %w", err, kind)
}
