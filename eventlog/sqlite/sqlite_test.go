package sqlite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	engine "zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/answerable-ledger/answerable/eventlog"
	"github.com/answerable-ledger/answerable/eventlog/eventlogtest"
)

func openTest(t testing.TB, path string, o Options) *Log {
	t.Helper()
	l, err := Open(path, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func newPath(t testing.TB) string { return filepath.Join(t.TempDir(), "ledger.db") }

func TestLog(t *testing.T) {
	t.Parallel()
	eventlogtest.TestLog(t, func(t *testing.T, clock eventlog.Clock) eventlog.Log {
		return openTest(t, newPath(t), Options{Clock: clock})
	})
}

// Runs and checkpoints are met all the time when they are this small.
func TestLogWithSmallRuns(t *testing.T) {
	t.Parallel()
	eventlogtest.TestLog(t, func(t *testing.T, clock eventlog.Clock) eventlog.Log {
		return openTest(t, newPath(t), Options{Clock: clock, tune: tuning{runEvents: 3, checkpointBytes: 1}})
	})
}

// appendN appends n events to streams of their own and one to a stream they share.
func appendN(t testing.TB, l *Log, name string, n int) {
	t.Helper()
	shared, err := eventlogtest.ReadAll(t.Context(), l, "shared-1", 0)
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		stream := fmt.Sprintf("unit-%s.%d", name, i)
		if _, err := l.Append(t.Context(), stream, eventlog.NoStream, eventlogtest.Events(stream)); err != nil {
			t.Fatal(err)
		}
		if _, err := l.Append(t.Context(), "shared-1", eventlog.After(uint64(len(shared)+i)), eventlogtest.Events(stream)); err != nil {
			t.Fatal(err)
		}
	}
}

// A log is the same after it was closed, or left behind, and opened again, wherever its last run of stream heads ends.
func TestReopen(t *testing.T) {
	t.Parallel()
	for _, runEvents := range []uint64{1, 7, 20, 1000} {
		t.Run(fmt.Sprint(runEvents), func(t *testing.T) {
			t.Parallel()
			path := newPath(t)
			want := 0
			for round := range 4 {
				l := openTest(t, path, Options{tune: tuning{runEvents: runEvents}})
				if n := len(eventlogtest.CheckLog(t, l)); n != want {
					t.Fatalf("%d events, want %d", n, want)
				}
				appendN(t, l, fmt.Sprint(round), 5+round)
				want += 2 * (5 + round)
				if err := l.Close(); err != nil {
					t.Fatal(err)
				}
			}
			l := openTest(t, path, Options{})
			if n := len(eventlogtest.CheckLog(t, l)); n != want {
				t.Errorf("%d events, want %d", n, want)
			}
			if s := l.Stats(); s.Head != uint64(want) || s.Streams != want/2+1 {
				t.Errorf("stats: %+v, want %d events of %d streams", s, want, want/2+1)
			}
		})
	}
}

// Stream heads are derived: lost, holed or falsified runs are noticed, and the events are read instead.
func TestDamagedHeadsAreReadFromEvents(t *testing.T) {
	t.Parallel()
	for _, sql := range []string{
		"DELETE FROM heads",
		"DELETE FROM heads WHERE through = (SELECT min(through) FROM heads)",
		"DELETE FROM heads WHERE through = (SELECT max(through) FROM heads)",
		"UPDATE heads SET run = zeroblob(length(run)) WHERE through = (SELECT min(through) FROM heads)",
		"UPDATE heads SET run = substr(run, 1, 40)",
		"UPDATE heads SET run = x''",
	} {
		t.Run(sql, func(t *testing.T) {
			t.Parallel()
			path := newPath(t)
			l := openTest(t, path, Options{tune: tuning{runEvents: 10}})
			appendN(t, l, "a", 30)
			l.Close()
			raw(t, path, sql)
			for range 2 {
				l = openTest(t, path, Options{tune: tuning{runEvents: 10}})
				appendN(t, l, fmt.Sprint(l.Stats().Head), 6)
				eventlogtest.CheckLog(t, l)
				l.Close()
			}
		})
	}
}

// A stream is read backwards from event to event: a false step is noticed, also the one before its first event that nobody takes.
func TestFalsePredecessors(t *testing.T) {
	t.Parallel()
	for _, prev := range []string{"WHEN revision = 0 THEN 1", "WHEN revision = 0 THEN 1 << 60", "WHEN revision = 1 THEN seq", "WHEN revision = 1 THEN 0"} {
		path := newPath(t)
		l := openTest(t, path, Options{})
		appendN(t, l, "a", 4)
		l.Close()
		raw(t, path, "DROP TRIGGER event_is_never_changed")
		raw(t, path, "UPDATE event SET prev = CASE "+prev+" ELSE prev END")
		l = openTest(t, path, Options{})
		var found error
		for b, err := range l.Follow(t.Context(), eventlog.Position{}, eventlog.Filter{}, eventlog.FollowOptions{}) {
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range b.Events {
				for _, err := range l.ReadStream(t.Context(), e.Stream, 0) {
					found = errors.Join(found, err)
				}
			}
			if b.CaughtUp {
				break
			}
		}
		if !errors.Is(found, eventlog.ErrDamaged) {
			t.Errorf("%s: %v", prev, found)
		}
		l.Close()
	}
}

// raw runs one statement on the file as any other program might.
func raw(t testing.TB, path, sql string) {
	t.Helper()
	if err := tryRaw(t, path, sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

func tryRaw(t testing.TB, path, sql string) error {
	t.Helper()
	conn, err := engine.OpenConn(path, engine.OpenReadWrite)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	return sqlitex.ExecuteTransient(conn, sql, nil)
}

// The file itself refuses to let events be changed, removed, replaced or squeezed in.
func TestEventsCannotBeChanged(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	l := openTest(t, path, Options{})
	appendN(t, l, "a", 3)
	before := eventlogtest.CheckLog(t, l)
	const values = "'unit-1', 0, 0, 0, x'00112233445566778899aabbccddeeff', 'Tested', x'', x'')"
	for sql, want := range map[string]string{
		"UPDATE event SET data = x'00'":                                "never changed",
		"UPDATE event SET seq = seq + 100":                             "never changed",
		"DELETE FROM event":                                            "never deleted",
		"DELETE FROM event WHERE seq = 6":                              "never deleted",
		"INSERT OR REPLACE INTO event VALUES (3, " + values:            "only appended",
		"INSERT OR REPLACE INTO event VALUES (6, " + values:            "only appended",
		"REPLACE INTO event VALUES (1, " + values:                      "only appended",
		"INSERT INTO event VALUES (9, " + values:                       "only appended",
		"INSERT INTO event VALUES (0, " + values:                       "only appended",
		"INSERT INTO event VALUES (-1, " + values:                      "only appended",
		"INSERT INTO event VALUES (7, NULL" + values[len("'unit-1'"):]: "NOT NULL",
	} {
		if err := tryRaw(t, path, sql); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", sql, err, want)
		}
	}
	if after := eventlogtest.CheckLog(t, l); len(after) != len(before) {
		t.Errorf("%d events, want %d", len(after), len(before))
	}
}

// A program that appends behind our back is found out, and nothing is built on what it wrote.
func TestAppendBehindOurBack(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	l := openTest(t, path, Options{})
	appendN(t, l, "a", 1)
	raw(t, path, "INSERT INTO event VALUES (3, 'unit-x', 0, 0, 0, x'00112233445566778899aabbccddeeff', 'Tested', x'', x'')")
	if _, err := l.Append(t.Context(), "unit-1", eventlog.NoStream, eventlogtest.Events("b")); !errors.Is(err, eventlog.ErrDamaged) {
		t.Errorf("got %v, want %v", err, eventlog.ErrDamaged)
	}
}

func TestSecondWriterIsRefused(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	l := openTest(t, path, Options{})
	_, err := Open(path, Options{})
	if !errors.Is(err, eventlog.ErrInUse) || !strings.Contains(err.Error(), fmt.Sprintf("process %d ", os.Getpid())) {
		t.Errorf("got %v, want %v with the process", err, eventlog.ErrInUse)
	}
	l.Close()
	openTest(t, path, Options{})
}

func TestOpenRefusesWhatIsNotALog(t *testing.T) {
	t.Parallel()
	whole := func(t *testing.T, path string) {
		l := openTest(t, path, Options{})
		appendN(t, l, "a", 50)
		l.Close()
	}
	for _, c := range []struct {
		name string
		make func(t *testing.T, path string)
		want error
	}{
		{"another kind of file", func(t *testing.T, path string) {
			if err := os.WriteFile(path, []byte(strings.Repeat("not a database\n", 100)), 0o644); err != nil {
				t.Fatal(err)
			}
		}, eventlog.ErrDamaged},
		{"another program's database", func(t *testing.T, path string) {
			conn, err := engine.OpenConn(path, engine.OpenReadWrite, engine.OpenCreate)
			if err != nil {
				t.Fatal(err)
			}
			conn.Close()
			raw(t, path, "CREATE TABLE event (seq INTEGER PRIMARY KEY)")
		}, eventlog.ErrDamaged},
		{"newer software's log", func(t *testing.T, path string) {
			whole(t, path)
			raw(t, path, "PRAGMA user_version = 2")
		}, eventlog.ErrInvalid},
		{"a log without its end", func(t *testing.T, path string) {
			whole(t, path)
			if err := os.Truncate(path, 4*pageSizeBytes); err != nil {
				t.Fatal(err)
			}
		}, eventlog.ErrDamaged},
		{"a log whose pages were overwritten", func(t *testing.T, path string) {
			whole(t, path)
			f, err := os.OpenFile(path, os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if _, err := f.WriteAt(make([]byte, 100*pageSizeBytes), pageSizeBytes); err != nil {
				t.Fatal(err)
			}
		}, eventlog.ErrDamaged},
		{"a log that lost events its heads speak of", func(t *testing.T, path string) {
			whole(t, path)
			raw(t, path, "INSERT INTO heads VALUES (1000, 0, x'00000000')")
		}, eventlog.ErrDamaged},
		{"a directory that does not exist", func(t *testing.T, path string) { os.Remove(filepath.Dir(path)) }, os.ErrNotExist},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "data", "ledger.db")
			os.Mkdir(filepath.Dir(path), 0o755)
			c.make(t, path)
			if l, err := Open(path, Options{}); !errors.Is(err, c.want) {
				t.Errorf("open: got %v, %v, want %v", l, err, c.want)
			}
		})
	}
}

// A process killed between making the file and making the tables leaves an empty file.
func TestOpenTakesAnEmptyFileForANewOne(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	l := openTest(t, path, Options{})
	appendN(t, l, "a", 1)
}

// A path means itself, also where a URI would mean something else by it.
func TestPathsWithCharactersOfURIs(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "Sổ cái 100%25?mode=memory#1", "ledger.db")
	if err := os.Mkdir(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	l := openTest(t, path, Options{})
	appendN(t, l, "a", 2)
	eventlogtest.CheckLog(t, l)
	if _, err := os.Stat(path); err != nil {
		t.Error(err)
	}
}

// "Nothing new" is answered without the file: here no connection is left to read it with.
func TestReadOfNothingNewNeedsNoConnection(t *testing.T) {
	t.Parallel()
	l := openTest(t, newPath(t), Options{})
	appendN(t, l, "a", 3)
	for range readers {
		conn := <-l.pool.free
		defer func() { l.pool.free <- conn }()
	}
	for stream, from := range map[string]uint64{"shared-1": 3, "unit-a.0": 1, "unit-none": 0} {
		if events, err := eventlogtest.ReadAll(t.Context(), l, stream, from); err != nil || len(events) > 0 {
			t.Errorf("%s from %d: %d events, %v", stream, from, len(events), err)
		}
	}
}

// A reader in another process sees what is committed, follows, and cannot write.
func TestReadOnly(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	if _, err := Open(path, Options{ReadOnly: true}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("open of a log that is not there: %v", err)
	}
	l := openTest(t, path, Options{tune: tuning{runEvents: 10}})
	appendN(t, l, "a", 20)
	ro := openTest(t, path, Options{ReadOnly: true})
	want := eventlogtest.CheckLog(t, l)
	if got := eventlogtest.CheckLog(t, ro); len(got) != len(want) {
		t.Errorf("%d events, want %d", len(got), len(want))
	}
	if _, err := ro.Append(t.Context(), "unit-1", eventlog.NoStream, eventlogtest.Events("a")); !errors.Is(err, eventlog.ErrReadOnly) {
		t.Errorf("append: %v", err)
	}
	batches := make(chan eventlog.Batch)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		defer close(batches)
		for b, err := range ro.Follow(ctx, want[len(want)-1].Position, eventlog.Filter{}, eventlog.FollowOptions{}) {
			if err != nil {
				return
			}
			batches <- b
		}
	}()
	if b := <-batches; !b.CaughtUp || len(b.Events) > 0 {
		t.Errorf("first batch %+v", b)
	}
	appendN(t, l, "b", 1)
	for got := 0; got < 2; {
		got += len((<-batches).Events)
	}
	cancel()
	for range batches {
	}
	if events, err := eventlogtest.ReadAll(t.Context(), ro, "shared-1", 20); err != nil || len(events) != 1 {
		t.Errorf("%d new events of a stream, %v", len(events), err)
	}
	// The reader does not depend on the writer.
	l.Close()
	eventlogtest.CheckLog(t, ro)
}

// A follower that has seen more than the log holds followed another log.
func TestFollowBeyondTheEnd(t *testing.T) {
	t.Parallel()
	l := openTest(t, newPath(t), Options{})
	appendN(t, l, "a", 1)
	for after, want := range map[eventlog.Position]error{
		{Commit: 3, Prepare: 3}: eventlog.ErrGone,
		{Commit: 2, Prepare: 1}: eventlog.ErrInvalid,
	} {
		if _, err := eventlogtest.FollowAll(t.Context(), l, after, eventlog.Filter{}, eventlog.FollowOptions{}); !errors.Is(err, want) {
			t.Errorf("after %s: %v, want %v", after, err, want)
		}
	}
}

// A reader that never ends keeps the write-ahead log from beginning anew; appends go on, and it does when the reader ends.
func TestEndlessReader(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	l := openTest(t, path, Options{tune: tuning{checkpointBytes: pageSizeBytes}})
	appendN(t, l, "a", 1)
	reader, err := engine.OpenConn(path, engine.OpenReadWrite)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	for _, sql := range []string{"BEGIN", "SELECT count(*) FROM event"} {
		if err := sqlitex.ExecuteTransient(reader, sql, nil); err != nil {
			t.Fatal(err)
		}
	}
	appendN(t, l, "b", 100)
	wal := func() int64 {
		info, err := os.Stat(path + "-wal")
		if err != nil {
			t.Fatal(err)
		}
		return info.Size()
	}
	if err := sqlitex.ExecuteTransient(reader, "COMMIT", nil); err != nil {
		t.Fatal(err)
	}
	before := wal()
	appendN(t, l, "c", 100)
	if after := wal(); after > before+100*pageSizeBytes {
		t.Errorf("the write-ahead log grew from %d to %d bytes with nobody reading it", before, after)
	}
	eventlogtest.CheckLog(t, l)
}

func TestBackup(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	l := openTest(t, path, Options{tune: tuning{runEvents: 10}})
	appendN(t, l, "a", 20)
	before := l.Stats().Head
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
				appendN(t, l, fmt.Sprint("more", i), 1)
			}
		}
	}()
	dst := filepath.Join(t.TempDir(), "backup.db")
	if err := l.Backup(t.Context(), dst); err != nil {
		t.Fatal(err)
	}
	close(stop)
	<-stopped
	copied := openTest(t, dst, Options{})
	got := eventlogtest.CheckLog(t, copied)
	all := eventlogtest.CheckLog(t, l)
	if n := uint64(len(got)); n < before || n > uint64(len(all)) {
		t.Fatalf("the copy has %d events, the log had %d before and has %d", n, before, len(all))
	}
	for i, e := range got {
		if all[i].ID != e.ID || all[i].Stream != e.Stream || string(all[i].Data) != string(e.Data) || !all[i].RecordedAt.Equal(e.RecordedAt) {
			t.Fatalf("event %d differs", i+1)
		}
	}
	appendN(t, copied, "restored", 2)
	if err := tryRaw(t, dst, "DELETE FROM event"); err == nil {
		t.Error("events of a copy can be deleted")
	}

	if err := l.Backup(t.Context(), dst); !errors.Is(err, eventlog.ErrInvalid) {
		t.Errorf("over another file: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := l.Backup(ctx, dst+"2"); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if names, _ := filepath.Glob(dst + "2*"); len(names) > 0 {
		t.Errorf("a cancelled backup left %q", names)
	}
}
