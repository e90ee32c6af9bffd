package sqlite

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	engine "zombiezen.com/go/sqlite"

	"github.com/answerable-ledger/answerable/eventlog"
)

var errClosed = fmt.Errorf("the log is closed: %w", eventlog.ErrUnavailable)

func damaged(format string, args ...any) error {
	return fmt.Errorf("%s: %w", fmt.Sprintf(format, args...), eventlog.ErrDamaged)
}

// kinds are the errors of the contract. What already is one of them is not judged again.
var kinds = []error{
	eventlog.ErrConflict, eventlog.ErrRepeatMismatch, eventlog.ErrOutcomeUnknown, eventlog.ErrUnavailable, eventlog.ErrTooLarge,
	eventlog.ErrInvalid, eventlog.ErrGone, eventlog.ErrInUse, eventlog.ErrReadOnly, eventlog.ErrFull, eventlog.ErrDamaged,
}

// translate gives an error of SQLite or of the file system its kind in the contract. SQLite's own words stay.
func translate(err error) error {
	if err == nil {
		return nil
	}
	for _, kind := range kinds {
		if errors.Is(err, kind) {
			return err
		}
	}
	if kind := kindOf(err); kind != nil {
		return fmt.Errorf("%w (%w)", kind, err)
	}
	return err
}

func kindOf(err error) error {
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return eventlog.ErrFull
	case errors.Is(err, syscall.EROFS), errors.Is(err, fs.ErrPermission):
		return eventlog.ErrReadOnly
	case errors.Is(err, fs.ErrNotExist):
		return eventlog.ErrUnavailable
	}
	if engine.ErrCode(err) == engine.ResultIOErrSHMSize {
		return eventlog.ErrFull // the file beside the log could not grow: how a full disk shows when the log is opened
	}
	switch engine.ErrCode(err).ToPrimary() {
	case engine.ResultFull:
		return eventlog.ErrFull
	case engine.ResultReadOnly, engine.ResultPerm:
		return eventlog.ErrReadOnly
	case engine.ResultCorrupt, engine.ResultNotADB, engine.ResultFormat, engine.ResultConstraint:
		// A constraint fails when another program has appended to the file behind our back.
		return eventlog.ErrDamaged
	case engine.ResultIOErr, engine.ResultBusy, engine.ResultLocked, engine.ResultCantOpen, engine.ResultInterrupt,
		engine.ResultNoMem, engine.ResultProtocol:
		return eventlog.ErrUnavailable
	}
	return nil
}

func isSharedMemory(code engine.ResultCode) bool {
	switch code {
	case engine.ResultIOErrSHMOpen, engine.ResultIOErrSHMSize, engine.ResultIOErrSHMLock, engine.ResultIOErrSHMMap:
		return true
	}
	return false
}
