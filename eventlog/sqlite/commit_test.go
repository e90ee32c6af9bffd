package sqlite

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	engine "zombiezen.com/go/sqlite"

	"github.com/answerable-ledger/answerable/eventlog"
	"github.com/answerable-ledger/answerable/eventlog/eventlogtest"
)

// What an append answers when COMMIT fails, and that its repeat gives one event.
func TestFailingCommit(t *testing.T) {
	t.Parallel()
	afterwards := func(err error) func(*engine.Conn) error {
		return func(conn *engine.Conn) error { return errors.Join(commit(conn), err) }
	}
	instead := func(err error) func(*engine.Conn) error {
		return func(*engine.Conn) error { return err }
	}
	for _, c := range []struct {
		name   string
		commit func(*engine.Conn) error
		err    error
		stops  bool // the log must be opened anew
		repeat bool
	}{
		{"stored but reported failed", afterwards(engine.ResultBusy.ToError()), nil, false, true},
		{"full and not stored", instead(engine.ResultFull.ToError()), eventlog.ErrFull, false, false},
		{"busy and not stored", instead(engine.ResultBusy.ToError()), eventlog.ErrUnavailable, false, false},
		{"the index of the write-ahead log cannot grow", instead(engine.ResultIOErrSHMSize.ToError()), eventlog.ErrOutcomeUnknown, false, false},
		{"fsync failed, stored", afterwards(engine.ResultIOErrFsync.ToError()), eventlog.ErrOutcomeUnknown, true, true},
		{"fsync failed, not stored", instead(engine.ResultIOErrFsync.ToError()), eventlog.ErrOutcomeUnknown, true, false},
		{"a write failed", instead(engine.ResultIOErrWrite.ToError()), eventlog.ErrOutcomeUnknown, true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			path := newPath(t)
			l := openTest(t, path, Options{tune: tuning{runEvents: 4}})
			appendN(t, l, "a", 1)
			// The writer waits for its next call, and the queue orders this write before it.
			l.writer.commit = func(conn *engine.Conn) error {
				l.writer.commit = commit
				return c.commit(conn)
			}
			events := eventlogtest.Events("b", "c")
			_, err := l.Append(t.Context(), "unit-1", eventlog.NoStream, events)
			if !errors.Is(err, c.err) || (err == nil) != (c.err == nil) {
				t.Errorf("got error %v, want %v", err, c.err)
			}
			if c.stops {
				if _, err := l.Append(t.Context(), "unit-2", eventlog.NoStream, events); !errors.Is(err, eventlog.ErrUnavailable) {
					t.Errorf("the next append: %v", err)
				}
				if n := len(eventlogtest.CheckLog(t, l)); n != 2 {
					t.Errorf("%d events can be read, want those acknowledged", n)
				}
				l.Close()
				l = openTest(t, path, Options{})
			}
			got, err := l.Append(t.Context(), "unit-1", eventlog.NoStream, events)
			if err != nil || got.Repeat != c.repeat {
				t.Errorf("repeat: %+v, %v, want Repeat %v", got, err, c.repeat)
			}
			appendN(t, l, "d", 3)
			if n := len(eventlogtest.CheckLog(t, l)); n != 10 {
				t.Errorf("%d events, want 10", n)
			}
			l.Close()
			eventlogtest.CheckLog(t, openTest(t, path, Options{}))
		})
	}
}

// fillUp appends until the log is full and answers how many events are acknowledged.
func fillUp(t *testing.T, l *Log, name string) int {
	t.Helper()
	e := eventlogtest.Event("large")
	e.Data = make([]byte, 5000)
	for i := uint64(0); ; i++ {
		_, err := l.Append(t.Context(), name, eventlog.After(i), []eventlog.Proposed{e})
		if errors.Is(err, eventlog.ErrFull) {
			return int(i)
		}
		if err != nil {
			t.Fatalf("append %d: got %v, want it stored or %v", i, err, eventlog.ErrFull)
		}
		if i == 10000 {
			t.Fatal("the log is never full")
		}
	}
}

// A full log refuses, keeps what it acknowledged, can be read, and goes on when there is room.
func TestFull(t *testing.T) {
	t.Parallel()
	t.Run("at its limit of pages", func(t *testing.T) {
		t.Parallel()
		path := newPath(t)
		l := openTest(t, path, Options{tune: tuning{maxPages: 100, checkpointBytes: 100000}})
		stored := fillUp(t, l, "unit-1")
		if n := len(eventlogtest.CheckLog(t, l)); n != stored {
			t.Errorf("%d events, %d were acknowledged", n, stored)
		}
		// The writer waits for its next call, and the queue orders this before it.
		if err := l.writer.limitPages(200); err != nil {
			t.Fatal(err)
		}
		stored += fillUp(t, l, "unit-2")
		l.Close()
		l = openTest(t, path, Options{})
		appendN(t, l, "a", 3)
		if n := len(eventlogtest.CheckLog(t, l)); n != stored+6 {
			t.Errorf("%d events, want %d", n, stored+6)
		}
	})
	t.Run("on a full disk", func(t *testing.T) {
		dir := t.TempDir()
		if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", dir).CombinedOutput(); err != nil {
			t.Skipf("a small file system cannot be mounted here, the limit of pages stands in for it: %v %s", err, out)
		}
		t.Cleanup(func() {
			if out, err := exec.Command("umount", dir).CombinedOutput(); err != nil {
				t.Errorf("umount: %v %s", err, out)
			}
		})
		room := filepath.Join(dir, "room")
		if err := os.WriteFile(room, make([]byte, 600<<10), 0o644); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, "ledger.db")
		l := openTest(t, path, Options{})
		stored := fillUp(t, l, "unit-1")
		if n := len(eventlogtest.CheckLog(t, l)); n != stored {
			t.Errorf("%d events, %d were acknowledged", n, stored)
		}
		if err := os.Remove(room); err != nil {
			t.Fatal(err)
		}
		more := fillUp(t, l, "unit-2")
		if more == 0 {
			t.Error("nothing can be appended although there is room")
		}
		stored += more
		if n := len(eventlogtest.CheckLog(t, l)); n != stored {
			t.Errorf("%d events, %d were acknowledged", n, stored)
		}
		l.Close()
		l = openTest(t, path, Options{})
		if n := len(eventlogtest.CheckLog(t, l)); n != stored {
			t.Errorf("%d events after opening again, %d were acknowledged", n, stored)
		}
		l.Close()
	})
}

// What the engine is told about the disk. A process that is killed cannot tell FULL from NORMAL; a machine that loses
// power can.
func TestAcknowledgedIsOnTheDisk(t *testing.T) {
	t.Parallel()
	l := openTest(t, newPath(t), Options{})
	for pragma, want := range map[string]int64{"synchronous": 2, "journal_mode = 'wal'": 1} {
		table, _, _ := strings.Cut(pragma, " ")
		if got, err := queryInt(l.writer.conn, "SELECT "+pragma+" FROM pragma_"+table); err != nil || got != want {
			t.Errorf("%s is %d, want %d (error %v)", pragma, got, want, err)
		}
	}
}
