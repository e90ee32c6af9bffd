package sqlite

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	engine "zombiezen.com/go/sqlite"

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
	// checkpointBytes is how large the write-ahead log grows before the writer moves it into the database: the longer
	// it is the fewer pages are written twice, and the longer the appends wait that arrive meanwhile.
	checkpointBytes = 8 << 20
)

// appendCall is one call of Append on its way through the writer.
type appendCall struct {
	stream   string
	key      streamKey
	expected eventlog.Expected
	events   []eventlog.Proposed // a copy: a caller that gave up may use its own buffers again
	bytes    int

	// state says who decides what becomes of the call: the writer by taking it, or a caller whose context ended before.
	state atomic.Int32
	done  chan struct{} // closed by the writer when the fields below are final

	result eventlog.Appended
	behind bool // expected lies before the stream's end: it is a repeat or a conflict, which the events tell
	actual uint64
	err    error
}

const (
	waiting int32 = iota
	taken
	withdrawn
)

// Append implements eventlog.Log.
func (l *Log) Append(ctx context.Context, stream string, expected eventlog.Expected, events []eventlog.Proposed) (eventlog.Appended, error) {
	if err := eventlog.CheckAppend(stream, events); err != nil {
		return eventlog.Appended{}, err
	}
	done, err := l.append(ctx, stream, expected, events)
	if err == nil {
		return done, nil
	}
	if errors.Is(err, eventlog.ErrConflict) || errors.Is(err, eventlog.ErrRepeatMismatch) {
		l.refused.Add(1)
	} else {
		l.failed.Add(1)
	}
	return eventlog.Appended{}, fmt.Errorf("sqlite: append %d events to %s at %s: %w", len(events), stream, expected, err)
}

func (l *Log) append(ctx context.Context, stream string, expected eventlog.Expected, events []eventlog.Proposed) (eventlog.Appended, error) {
	if l.queue == nil {
		return eventlog.Appended{}, eventlog.ErrReadOnly
	}
	if ctx.Err() != nil {
		return eventlog.Appended{}, context.Cause(ctx)
	}
	c := newAppendCall(stream, expected, events)
	select {
	case l.queue <- c:
	case <-l.closing:
		return eventlog.Appended{}, errClosed
	case <-ctx.Done():
		return eventlog.Appended{}, context.Cause(ctx)
	}
	select {
	case <-c.done:
	case <-ctx.Done():
		if c.state.CompareAndSwap(waiting, withdrawn) {
			return eventlog.Appended{}, context.Cause(ctx)
		}
		return eventlog.Appended{}, fmt.Errorf("%w (%w)", eventlog.ErrOutcomeUnknown, context.Cause(ctx))
	case <-l.done:
		select {
		case <-c.done:
		default:
			return eventlog.Appended{}, errClosed // the writer ended without taking it
		}
	}
	if c.err == nil && c.behind {
		return l.repeat(ctx, c)
	}
	return c.result, c.err
}

func newAppendCall(stream string, expected eventlog.Expected, events []eventlog.Proposed) *appendCall {
	c := &appendCall{stream: stream, key: keyOf(stream), expected: expected, done: make(chan struct{})}
	for _, e := range events {
		c.bytes += len(e.Data) + len(e.Meta)
	}
	buf := make([]byte, 0, c.bytes)
	keep := func(b []byte) []byte {
		buf = append(buf, b...)
		return buf[len(buf)-len(b):]
	}
	c.events = make([]eventlog.Proposed, len(events))
	for i, e := range events {
		c.events[i] = eventlog.Proposed{ID: e.ID, Kind: e.Kind, Data: keep(e.Data), Meta: keep(e.Meta)}
	}
	return c
}

// repeat tells a repeat from a conflict. It runs in the caller's goroutine, after the group's COMMIT: the events it
// compares with never change, and the writer has better things to do than to read.
func (l *Log) repeat(ctx context.Context, c *appendCall) (eventlog.Appended, error) {
	conflict := &eventlog.ConflictError{Stream: c.stream, Expected: c.expected, Actual: eventlog.After(c.actual), ActualKnown: true}
	first := c.expected.Next()
	matched := 0
	var last eventlog.Recorded
	for e, err := range l.ReadStream(ctx, c.stream, first) {
		if err != nil {
			if ctx.Err() != nil {
				err = fmt.Errorf("%w (%w)", eventlog.ErrOutcomeUnknown, err)
			}
			return eventlog.Appended{}, err
		}
		if e.ID != c.events[matched].ID {
			break
		}
		last = e
		if matched++; matched == len(c.events) {
			break
		}
	}
	switch matched {
	case len(c.events):
		l.repeats.Add(1)
		return eventlog.Appended{
			First: first, Last: last.Revision, Position: last.Position, PositionKnown: true, RecordedAt: last.RecordedAt, Repeat: true,
		}, nil
	case 0:
		return eventlog.Appended{}, conflict
	}
	return eventlog.Appended{}, fmt.Errorf("%d of %d ids stand there: %w", matched, len(c.events), eventlog.ErrRepeatMismatch)
}

// writer is the one goroutine that writes. Its fields are its own.
type writer struct {
	log    *Log
	conn   *engine.Conn
	commit func(*engine.Conn) error // COMMIT; a test puts a failing one in its place

	head     uint64 // the newest committed event
	recorded int64  // its time, in microseconds

	moved    map[streamKey]place // streams that moved since the last run was saved
	runEnd   uint64              // the event that run goes through
	walBytes int                 // about how much was written since the last checkpoint

	// stopped is set when fsync has failed: what was written may be lost or may come back, so nothing may be built on it.
	stopped error
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
	w.moved = make(map[streamKey]place)
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
		if w.walBytes >= checkpointBytes {
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
	if err := exec(w.conn, "BEGIN IMMEDIATE"); err != nil {
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
		return exec(w.conn, "COMMIT") // nothing to write, so nothing that could be lost
	}
	for k, p := range pending {
		w.moved[k] = p // before COMMIT: should it fail, the streams' places are put right below
	}
	saved := false
	if head-w.runEnd >= runEvents {
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
		if err := exec(w.conn, "DELETE FROM heads"); err != nil {
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
		if back := exec(w.conn, "ROLLBACK"); back != nil {
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
	if w.stopped == nil && w.head-w.runEnd >= runEvents/16 {
		if exec(w.conn, "BEGIN IMMEDIATE") == nil {
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

func commit(conn *engine.Conn) error { return exec(conn, "COMMIT") }

// exec runs a statement without parameters and results, prepared once.
func exec(conn *engine.Conn, query string) error {
	stmt, err := conn.Prepare(query)
	if err != nil {
		return err
	}
	_, err = stmt.Step()
	return errors.Join(err, stmt.Reset())
}

func idOf(stmt *engine.Stmt, column int) (id uuid.UUID, ok bool) {
	return id, stmt.ColumnLen(column) == len(id) && stmt.ColumnBytes(column, id[:]) == len(id)
}
