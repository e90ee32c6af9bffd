package treestore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/answerable-ledger/answerable/eventlog"
)

// Guard is a second copy of the last signed checkpoint, in a file of its own, best on another disk and never part of a
// backup of the tree. It is swapped, synced to disk, before a checkpoint is shown to anybody. So a tree or a log that was
// put back to an older state is found out before it signs another history under the same name.
//
// Holding a Guard also holds its lock: two sequencers cannot sign for one log, on one machine, at the same time.
type Guard struct {
	path string
	lock *os.File

	mu   sync.Mutex // owns last
	last []byte
}

// CreateGuard makes the file for a log that has never signed anything.
func CreateGuard(path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("guard: create: %w", err)
	}
	err = f.Sync()
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = syncDir(filepath.Dir(path))
	}
	if err != nil {
		return fmt.Errorf("guard: create %s: %w", path, err)
	}
	return nil
}

// OpenGuard takes the lock and reads the last signed checkpoint.
//
// A missing file is an error and never taken for a log without checkpoints: it would let a restored backup fork the log.
// Whoever lost it puts into it the newest checkpoint that anybody holds (a witness serves it; any receipt ends with one).
func OpenGuard(path string) (*Guard, error) {
	lock, err := os.OpenFile(path+".lock", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("guard: %w", err)
	}
	if err := flock(lock); err != nil {
		lock.Close()
		return nil, fmt.Errorf("guard %s: another process signs for this log: %w", path, eventlog.ErrInUse)
	}
	last, err := os.ReadFile(path)
	if err != nil {
		lock.Close()
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("guard: %s, the second copy of the last signed checkpoint, is missing. If it is lost for good, put into it the newest checkpoint of this log that anybody holds (a witness serves it, every receipt ends with one): %w", path, err)
		}
		return nil, fmt.Errorf("guard: %w", err)
	}
	return &Guard{path: path, lock: lock, last: last}, nil
}

// Last is the last signed checkpoint, empty when nothing was ever signed.
func (g *Guard) Last() []byte {
	g.mu.Lock()
	defer g.mu.Unlock()
	return bytes.Clone(g.last)
}

// Swap replaces the checkpoint old, and none but old, by next. When it returns without an error next survives power loss.
func (g *Guard) Swap(ctx context.Context, old, next []byte) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("guard: swap: %w", err)
	}
	// Read again: somebody may have put another file there while this process ran.
	now, err := os.ReadFile(g.path)
	if err != nil {
		return fmt.Errorf("guard: swap: %w", err)
	}
	if !bytes.Equal(now, old) || !bytes.Equal(g.last, old) {
		return fmt.Errorf("guard %s: it changed under this process; nothing was signed: %w", g.path, eventlog.ErrConflict)
	}
	if err := WriteFileSync(g.path, next, 0o600); err != nil {
		return fmt.Errorf("guard: swap: %w", err)
	}
	g.last = bytes.Clone(next)
	return nil
}

// Close gives the lock back.
func (g *Guard) Close() error { return g.lock.Close() }

// WriteFileSync replaces a file so that after a power loss either the old or the new content is there, never a mixture.
func WriteFileSync(path string, content []byte, mode fs.FileMode) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name()) // gone already when the rename succeeded
	_, err = tmp.Write(content)
	if err == nil {
		err = tmp.Chmod(mode)
	}
	if err == nil {
		err = tmp.Sync()
	}
	if cerr := tmp.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err == nil {
		err = syncDir(filepath.Dir(path))
	}
	return err
}
