package sqlite

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/windows"

	"github.com/answerable-ledger/answerable/eventlog"
)

// lockPath is the file beside the database whose lock says who writes.
func lockPath(path string) string { return strings.TrimSuffix(path, ".db") + ".lock" }

// lockFile takes the lock. A locked file cannot be read here, so the message does not name the process that holds it.
func lockFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	err = windows.LockFileEx(windows.Handle(f.Fd()), windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, new(windows.Overlapped))
	if err == nil {
		return f, nil
	}
	f.Close()
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) {
		return nil, fmt.Errorf("another process holds %s: %w", path, eventlog.ErrInUse)
	}
	return nil, fmt.Errorf("lock %s: %w", path, err)
}

// unlockFile gives the lock back.
func unlockFile(f *os.File) error { return f.Close() }

// syncDir does nothing: the file system keeps names by itself.
func syncDir(string) error { return nil }
