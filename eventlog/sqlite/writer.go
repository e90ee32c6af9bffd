package sqlite

import (
	"errors"
	"fmt"
	"maps"
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
	// manyCheckpoints: at that many times checkpointBytes the write-ahead log is begun anew even if readers have to be
	// waited for.
	manyCheckpoints = 16
	// patientReaders is how long they are waited for.
	patientReaders = 20 * time.Millisecond
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

	restartFrames int // how long the write-ahead log may be before readers are waited for

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
	w.restartFrames = manyCheckpoints * w.checkpointBytes / pageSizeBytes
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
	var calls []*appendCall
	for {
		select {
		case c := <-w.log.queue:
			calls = w.gather(calls[:0], c)
		case <-w.log.closing:
			return
		}
		w.append(calls)
		clear(calls)
		if w.walBytes >= w.checkpointBytes {
			w.checkpoint()
		}
	}
}

// gather takes c and what else is in the queue by now. It does not wait: while one group is being written the next one
// gathers by itself, and a lone caller is served at once.
func (w *writer) gather(calls []*appendCall, c *appendCall) []*appendCall {
	bytes := 0
	for {
		if c.state.CompareAndSwap(waiting, taken) {
			calls = append(calls, c)
			bytes += c.bytes
		}
		if len(calls) == maxGroupAppends || bytes >= maxGroupBytes {
			return calls
		}
		select {
		case c = <-w.log.queue:
		default:
			return calls
		}
	}
}

// append writes calls in one transaction and then answers them.
func (w *writer) append(calls []*appendCall) {
	err := w.stopped
	if err == nil {
		err = w.transact(calls)
	}
	for _, c := range calls {
		// A conflict was judged against the neighbours, so it falls with them.
		if err != nil {
			c.err = err
		}
		close(c.done)
	}
}

// group is what a transaction is about to change, until COMMIT makes it true.
type group struct {
	head     uint64
	recorded int64
	moved    map[streamKey]place
	appends  int
	bytes    int
}

// transact decides every call, writes those that stand, commits, and makes the result visible.
func (w *writer) transact(calls []*appendCall) error {
	if err := execute(w.conn, "BEGIN IMMEDIATE"); err != nil {
		return translate(err)
	}
	g := group{head: w.head, recorded: w.recorded, moved: make(map[streamKey]place, len(calls))}
	for _, c := range calls {
		if !w.decide(c, &g) {
			continue
		}
		if err := w.store(c, &g); err != nil {
			return w.rollback(err)
		}
	}
	if g.appends == 0 {
		if err := execute(w.conn, "COMMIT"); err != nil { // of nothing, so nothing can be lost
			return w.rollback(err)
		}
		return nil
	}
	if err := w.finish(&g); err != nil {
		return err
	}
	w.publish(&g)
	return nil
}

// decide reports whether every part of the call stands where its stream does, counting what the group has added to it.
func (w *writer) decide(c *appendCall, g *group) bool {
	for i := range c.parts {
		p := &c.parts[i]
		count := w.place(p.key, g).count()
		switch {
		case p.Expected.Next() > count:
			c.err = &eventlog.ConflictError{Stream: p.Stream, Expected: p.Expected, Actual: eventlog.After(count), ActualKnown: true}
			return false
		case p.Expected.Next() < count:
			p.behind, p.actual, c.behind = true, count, true
		}
	}
	return !c.behind
}

func (w *writer) place(k streamKey, g *group) place {
	if at, ok := g.moved[k]; ok {
		return at
	}
	return w.log.heads.at[k] // without the lock: nobody but this goroutine writes
}

// store inserts a call's events.
func (w *writer) store(c *appendCall, g *group) error {
	g.recorded = max(g.recorded, w.log.clock().UnixMicro())
	for i := range c.parts {
		if err := w.storePart(&c.parts[i], g); err != nil {
			return err
		}
	}
	g.appends++
	g.bytes += c.bytes
	return nil
}

func (w *writer) storePart(p *part, g *group) error {
	at := w.place(p.key, g)
	first := p.Expected.Next()
	for i := range p.Events {
		revision := first + uint64(i)
		if err := w.insert(g.head+1, at.seq, revision, g.recorded, p.Stream, &p.Events[i]); err != nil {
			return err
		}
		g.head++
		at = place{g.head, revision}
	}
	g.moved[p.key] = at
	p.result = eventlog.Appended{
		First: first, Last: at.revision, Position: eventlog.Position{Commit: g.head, Prepare: g.head}, PositionKnown: true,
		RecordedAt: time.UnixMicro(g.recorded).UTC(),
	}
	return nil
}

// finish saves a run of stream heads when it is time, and commits.
func (w *writer) finish(g *group) error {
	maps.Copy(w.moved, g.moved)
	saved := g.head-w.runEnd >= w.runEvents
	if saved {
		if err := w.saveRun(g.head); err != nil {
			w.unmove(g.moved)
			return w.rollback(err)
		}
	}
	if err := w.commit(w.conn); err != nil {
		if err := w.judgeCommit(err, g.head); err != nil {
			w.unmove(g.moved)
			return err
		}
	}
	if saved {
		clear(w.moved)
		w.runEnd = g.head
	}
	return nil
}

// publish makes a committed group visible, before any of its calls is answered.
func (w *writer) publish(g *group) {
	l := w.log
	l.events.Add(g.head - w.head)
	l.appends.Add(uint64(g.appends))
	l.bytes.Add(uint64(g.bytes))
	l.groups.Add(1)
	w.walBytes += g.bytes + g.bytes/8 + 3*pageSizeBytes
	w.head, w.recorded = g.head, g.recorded
	l.heads.publish(g.moved, g.head)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.head = g.head
	close(l.wake)
	l.wake = make(chan struct{})
}

// unmove takes back what a failed transaction said of its streams. One that had moved before keeps its entry, as a run
// may name a stream that has not moved.
func (w *writer) unmove(moved map[streamKey]place) {
	for k := range moved {
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
		w.checkpoint() // the next group may write over what is in the database by then
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

// checkpoint moves the write-ahead log into the database as far as readers allow, so that the next group may write it
// from its start again. Its failure loses nothing, and the next one tries again.
func (w *writer) checkpoint() {
	w.walBytes = 0
	w.log.checkpoints.Add(1)
	_, frames, err := w.tryCheckpoint("PASSIVE")
	if err != nil || frames < w.restartFrames {
		return
	}
	// There always was a reader in it. Ours take milliseconds and are waited for; a backup takes longer, and is asked
	// again when the log has doubled.
	w.conn.SetBusyTimeout(patientReaders)
	busy, frames, err := w.tryCheckpoint("RESTART")
	w.conn.SetBusyTimeout(busyTimeout)
	w.restartFrames = manyCheckpoints * w.checkpointBytes / pageSizeBytes
	if busy || err != nil {
		w.restartFrames = max(w.restartFrames, 2*frames)
	}
}

// tryCheckpoint answers whether readers were in the way, and how many frames the write-ahead log has.
func (w *writer) tryCheckpoint(mode string) (busy bool, frames int, err error) {
	stmt, err := w.conn.Prepare("PRAGMA wal_checkpoint(" + mode + ")")
	if err != nil {
		return false, 0, err
	}
	if row, err := stmt.Step(); err != nil || !row {
		return false, 0, errors.Join(err, stmt.Reset())
	}
	busy, frames = stmt.ColumnInt(0) != 0, stmt.ColumnInt(1)
	return busy, frames, stmt.Reset()
}

// close is called when the goroutine has ended. It saves a run when that spares the next Open more than it costs.
func (w *writer) close() error {
	if w.stopped != nil {
		return w.conn.Close()
	}
	if w.head-w.runEnd > w.runEvents/16 && execute(w.conn, "BEGIN IMMEDIATE") == nil {
		// Should it fail, the next Open reads the events instead.
		if w.saveRun(w.head) == nil {
			commit(w.conn)
		}
	}
	if w.conn.AutocommitEnabled() {
		w.tryCheckpoint("TRUNCATE")
	}
	return w.conn.Close() // rolls back what is still open
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
