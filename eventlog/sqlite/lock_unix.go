//go:build unix

package sqlite

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/answerable-ledger/answerable/eventlog"
)

// lockPath is the file beside the database whose lock says who writes. SQLite's own locks are held for a transaction
// only, and two processes that both kept stream heads in memory would fork streams.
func lockPath(path string) string { return strings.TrimSuffix(path, ".db") + ".lock" }

// lockFile takes the lock and writes our process id into the file, for the message another process shows. The kernel
// gives the lock back when the process ends, however it ends; the file stays.
func lockFile(path string) (_ *os.File, err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			f.Close()
		}
	}()
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		if errors.Is(err, unix.EWOULDBLOCK) {
			holder, _ := io.ReadAll(io.LimitReader(f, 32))
			return nil, fmt.Errorf("process %s holds %s: %w", strings.TrimSpace(string(holder)), path, eventlog.ErrInUse)
		}
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	if err := f.Truncate(0); err != nil {
		return nil, err
	}
	if _, err := fmt.Fprintf(f, "%d\n", os.Getpid()); err != nil {
		return nil, err
	}
	return f, nil
}

// unlockFile gives the lock back now. Closing the file alone would leave it with a program that is just being started, whose
// process has a copy of every open file until its program begins.
func unlockFile(f *os.File) error {
	return errors.Join(unix.Flock(int(f.Fd()), unix.LOCK_UN), f.Close())
}

// syncDir makes the names of new files last.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
