package sqlite

import (
	"errors"
	"fmt"
	"time"

	engine "zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/answerable-ledger/answerable/eventlog"
)

const (
	// maxGroupAppends and maxGroupBytes bound one transaction, and with it how long an append that came too late for
	// it waits: about 1,000 rows or 4 MB take some 10 ms.
	maxGroupAppends = 1024
	maxGroupBytes   = 4 << 20
	// runEvents is how many events are appended before a run of stream heads is saved, half a megabyte in one of the
	// groups. It is what Open reads one by one after a crash, in some 20 ms.
	runEvents = 1 << 14
	// checkpointBytes is about how large the write-ahead log grows before the writer moves it into the database. Appends
	// that arrive meanwhile wait, so this is the 99th percentile of a rush: 13 ms at 2 MB, 20 ms at 4 MB and 37 ms at
	// 8 MB with 256 callers, while the rate stayed the same from 1 MB on.
	checkpointBytes = 2 << 20
)

// writer is the one goroutine that writes. Its fields are its own.
type writer struct {
	log    *Log
	conn   *engine.Conn
	commit func(*engine.Conn) error // COMMIT; a test puts a failing one in its place

	runEvents       uint64
	checkpointBytes int

	head     uint64 // the newest committed event
	recorded int64  // its time, in microseconds

	moved    map[streamKey]place // streams that moved since the last run was saved
	runEnd   uint64              // the event that run goes through
	walBytes int                 // about how much was written since the last checkpoint

	// stopped is set when fsync has failed: what was written may be lost or may come back, so nothing may be built on it.
	stopped error
}

func newWriter(l *Log, conn *engine.Conn, tune tuning) *writer {
	w := &writer{log: l, conn: conn, commit: commit, runEvents: runEvents, checkpointBytes: checkpointBytes, moved: make(map[streamKey]place)}
	if tune.runEvents > 0 {
		w.runEvents = tune.runEvents
	}
	if tune.checkpointBytes > 0 {
		w.checkpointBytes = tune.checkpointBytes
	}
	return w
}

// limitPages makes the database full at n pages.
func (w *writer) limitPages(n int) error {
	return sqlitex.ExecuteTransient(w.conn, fmt.Sprintf("PRAGMA max_page_count = %d", n), nil)
}

// load reads head and stream heads from the file.
func (w *writer) load() (err error) {
	if w.head, w.recorded, err = readHead(w.conn); err != nil {
		return err
	}
	at := w.log.heads.at
	if w.runEnd, err = loadRuns(w.conn, at); err != nil {
		return err
	}
	if w.runEnd > w.head {
		return damaged("the heads of streams speak of event %d, but the last event is %d", w.runEnd, w.head)
	}
	through, err := loadTail(w.conn, w.runEnd, func(k streamKey, p place) {
		at[k] = p
		w.moved[k] = p
	})
	if err != nil {
		return err
	}
	if through != w.head {
		return damaged("events end at %d, but the last is %d", through, w.head)
	}
	w.log.heads.through = w.head
	return nil
}

// readHead reads the newest event's position and time; zeros from an empty log.
func readHead(conn *engine.Conn) (seq uint64, recorded int64, err error) {
	stmt, err := conn.Prepare("SELECT seq, recorded_at FROM event ORDER BY seq DESC LIMIT 1")
	if err != nil {
		return 0, 0, err
	}
	defer stmt.Reset()
	row, err := stmt.Step()
	if err != nil || !row {
		return 0, 0, err
	}
	return uint64(stmt.ColumnInt64(0)), stmt.ColumnInt64(1), nil
}

// run takes groups from the queue until the log is closed.
func (w *writer) run() {
	defer close(w.log.done)
	var group []*appendCall
	for {
		group = group[:0]
		select {
		case c := <-w.log.queue:
			group = w.gather(group, c)
		case <-w.log.closing:
			return
		}
		w.append(group)
		clear(group)
		if w.walBytes >= w.checkpointBytes {
			w.checkpoint("PASSIVE")
		}
	}
}

// gather takes what else is in the queue by now. It does not wait: while one group is being written the next one
// gathers by itself, and a lone caller is served at once.
func (w *writer) gather(group []*appendCall, c *appendCall) []*appendCall {
	bytes := 0
	for {
		if c.state.CompareAndSwap(waiting, taken) {
			group = append(group, c)
			bytes += c.bytes
		}
		if len(group) == maxGroupAppends || bytes >= maxGroupBytes {
			return group
		}
		select {
		case c = <-w.log.queue:
		default:
			return group
		}
	}
}

// append writes a group in one transaction and then answers its calls.
func (w *writer) append(group []*appendCall) {
	err := w.stopped
	if err == nil {
		err = w.transact(group)
	}
	for _, c := range group {
		// A conflict was judged against the neighbours, so it falls with them.
		if err != nil {
			c.err = err
		}
		close(c.done)
	}
}

// transact decides every call, writes those that stand, commits, and makes the result visible.
func (w *writer) transact(group []*appendCall) error {
	l := w.log
	if err := execute(w.conn, "BEGIN IMMEDIATE"); err != nil {
		return translate(err)
	}
	head, recorded := w.head, w.recorded
	pending := make(map[streamKey]place, len(group))
	bytes := 0
	stored := 0
	for _, c := range group {
		at, ok := pending[c.key]
		if !ok {
			at = l.heads.at[c.key] // without the lock: nobody but this goroutine writes
		}
		switch count := at.count(); {
		case c.expected.Next() > count:
			c.err = &eventlog.ConflictError{Stream: c.stream, Expected: c.expected, Actual: eventlog.After(count), ActualKnown: true}
			continue
		case c.expected.Next() < count:
			c.behind, c.actual = true, count
			continue
		}
		recorded = max(recorded, l.clock().UnixMicro())
		first := c.expected.Next()
		for i := range c.events {
			revision := first + uint64(i)
			if err := w.insert(head+1, at.seq, revision, recorded, c.stream, &c.events[i]); err != nil {
				return w.rollback(err)
			}
			head++
			at = place{head, revision}
		}
		pending[c.key] = at
		c.result = eventlog.Appended{
			First: first, Last: at.revision, Position: eventlog.Position{Commit: head, Prepare: head}, PositionKnown: true,
			RecordedAt: time.UnixMicro(recorded).UTC(),
		}
		bytes += c.bytes
		stored++
	}
	if head == w.head {
		return execute(w.conn, "COMMIT") // nothing to write, so nothing that could be lost
	}
	for k, p := range pending {
		w.moved[k] = p // before COMMIT: should it fail, the streams' places are put right below
	}
	saved := false
	if head-w.runEnd >= w.runEvents {
		if err := w.saveRun(head); err != nil {
			w.unmove(pending)
			return w.rollback(err)
		}
		saved = true
	}
	if err := w.commit(w.conn); err != nil {
		if err := w.judgeCommit(err, head); err != nil {
			w.unmove(pending)
			return err
		}
	}
	if saved {
		clear(w.moved)
		w.runEnd = head
	}
	l.events.Add(head - w.head)
	l.appends.Add(uint64(stored))
	l.bytes.Add(uint64(bytes))
	l.groups.Add(1)
	w.walBytes += bytes + bytes/8 + 3*pageSizeBytes
	w.head, w.recorded = head, recorded
	l.heads.publish(pending, head)
	l.mu.Lock()
	l.head = head
	close(l.wake)
	l.wake = make(chan struct{})
	l.mu.Unlock()
	return nil
}

// unmove takes back what a failed transaction said of its streams. One that had moved before keeps its entry, as a run
// may name a stream that has not moved.
func (w *writer) unmove(pending map[streamKey]place) {
	for k := range pending {
		if at, ok := w.log.heads.at[k]; ok {
			w.moved[k] = at
		} else {
			delete(w.moved, k)
		}
	}
}

func (w *writer) insert(seq, prev, revision uint64, recorded int64, stream string, e *eventlog.Proposed) error {
	stmt, err := w.conn.Prepare("INSERT INTO event (seq, stream, revision, prev, recorded_at, id, kind, meta, data) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)")
	if err != nil {
		return err
	}
	stmt.BindInt64(1, int64(seq))
	stmt.BindText(2, stream)
	stmt.BindInt64(3, int64(revision))
	stmt.BindInt64(4, int64(prev))
	stmt.BindInt64(5, recorded)
	stmt.BindBytes(6, e.ID[:])
	stmt.BindText(7, e.Kind)
	stmt.BindBytes(8, e.Meta)
	stmt.BindBytes(9, e.Data)
	_, err = stmt.Step()
	return errors.Join(err, stmt.Reset())
}

func (w *writer) saveRun(through uint64) error {
	stmt, err := w.conn.Prepare("INSERT INTO heads (through, after, run) VALUES (?, ?, ?)")
	if err != nil {
		return err
	}
	run := encodeRun(w.moved)
	if w.runEnd == 0 {
		// Runs that failed their checksum at Open are still there.
		if err := execute(w.conn, "DELETE FROM heads"); err != nil {
			return err
		}
	}
	w.walBytes += len(run)
	stmt.BindInt64(1, int64(through))
	stmt.BindInt64(2, int64(w.runEnd))
	stmt.BindBytes(3, run)
	_, err = stmt.Step()
	return errors.Join(err, stmt.Reset())
}

// rollback undoes a transaction that failed before COMMIT: nothing of it is stored.
func (w *writer) rollback(cause error) error {
	err := translate(cause)
	if !w.conn.AutocommitEnabled() {
		if back := execute(w.conn, "ROLLBACK"); back != nil {
			w.stopped = fmt.Errorf("the writer cannot roll back, open the log anew: %w (%w)", eventlog.ErrUnavailable, back)
		}
	}
	if errors.Is(err, eventlog.ErrFull) {
		w.checkpoint("PASSIVE") // the next group may write over what is in the database by then
	}
	return err
}

// judgeCommit decides what became of a transaction whose COMMIT failed. Nil means that it is stored.
func (w *writer) judgeCommit(cause error, newHead uint64) error {
	code := engine.ErrCode(cause)
	err := w.rollback(cause)
	if code.ToPrimary() == engine.ResultIOErr && !isSharedMemory(code) {
		w.stopped = fmt.Errorf("writing failed, open the log anew: %w (%w)", eventlog.ErrUnavailable, cause)
		return fmt.Errorf("%w (%w)", eventlog.ErrOutcomeUnknown, cause)
	}
	head, _, readErr := readHead(w.conn)
	switch {
	case readErr != nil, head != w.head && head != newHead, isSharedMemory(code):
		// When the index of the write-ahead log could not grow its frames are already synced: a crash before the next
		// append would bring them back.
		return fmt.Errorf("%w (%w)", eventlog.ErrOutcomeUnknown, cause)
	case head == newHead:
		return nil
	}
	return err
}

// checkpoint moves the write-ahead log into the database as far as readers allow. Its failure loses nothing, and the
// next one tries again.
func (w *writer) checkpoint(mode string) {
	w.walBytes = 0
	if stmt, err := w.conn.Prepare("PRAGMA wal_checkpoint(" + mode + ")"); err == nil {
		stmt.Step()
		stmt.Reset()
		w.log.checkpoints.Add(1)
	}
}

// close is called when the goroutine has ended. It saves a run when that spares the next Open more than it costs.
func (w *writer) close() error {
	if w.stopped == nil && w.head-w.runEnd >= w.runEvents/16 {
		if execute(w.conn, "BEGIN IMMEDIATE") == nil {
			if err := w.saveRun(w.head); err != nil {
				w.rollback(err)
			} else if err := commit(w.conn); err != nil {
				w.rollback(err)
			}
		}
	}
	if w.stopped == nil {
		w.checkpoint("TRUNCATE")
	}
	return w.conn.Close()
}

func commit(conn *engine.Conn) error { return execute(conn, "COMMIT") }

// execute runs a statement without parameters and results, prepared once.
func execute(conn *engine.Conn, query string) error {
	stmt, err := conn.Prepare(query)
	if err != nil {
		return err
	}
	_, err = stmt.Step()
	return errors.Join(err, stmt.Reset())
}
