package sqlite

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/google/uuid"
	engine "zombiezen.com/go/sqlite"

	"github.com/answerable-ledger/answerable/eventlog"
)

const (
	// batchBytes ends a batch before its count of events does when they are large.
	batchBytes = 8 << 20
	// scanRows is how many rows that do not pass a filter are skipped in one transaction: an open one keeps the
	// write-ahead log from being used again from its start.
	scanRows = 20000
	// walkRows is how many events of a stream are read while walking it backwards; a longer one is walked for its
	// positions first, 8 bytes each.
	walkRows = 64
)

const (
	selectEvent = "SELECT seq, stream, revision, recorded_at, id, kind, meta, data, prev FROM event WHERE seq = ?"
	selectAfter = "SELECT seq, stream, revision, recorded_at, id, kind, meta, data FROM event WHERE seq > ? ORDER BY seq"
	selectPrev  = "SELECT prev, revision FROM event WHERE seq = ?"
)

// Dense reports that positions count the log's events: 1, 2, 3, … without a gap.
func (l *Log) Dense() bool { return true }

// Head implements eventlog.Log.
func (l *Log) Head(ctx context.Context) (eventlog.Position, error) {
	head, err := l.currentHead(ctx)
	if err != nil {
		return eventlog.Position{}, fmt.Errorf("sqlite: head of %s: %w", l.path, err)
	}
	return eventlog.Position{Commit: head, Prepare: head}, nil
}

// currentHead is in memory where the writer is, and in the file elsewhere.
func (l *Log) currentHead(ctx context.Context) (uint64, error) {
	if l.isClosed() {
		return 0, errClosed
	}
	if l.writer != nil {
		return l.committed(), nil
	}
	var head uint64
	err := l.pool.with(ctx, func(conn *engine.Conn) (err error) {
		head, _, err = readHead(conn)
		return err
	})
	if err == nil {
		l.mu.Lock()
		l.head = max(l.head, head)
		l.mu.Unlock()
	}
	return head, err
}

// ReadStream implements eventlog.Log. When the stream has no event from revision from on it does not touch the file
// (in the writer's process), so that a cached fold is refreshed for the price of a map look-up. Reading it costs in
// proportion to the events from revision from to its end.
func (l *Log) ReadStream(ctx context.Context, stream string, from uint64) iter.Seq2[eventlog.Recorded, error] {
	return func(yield func(eventlog.Recorded, error) bool) {
		if err := l.readStream(ctx, stream, from, yield); err != nil {
			yield(eventlog.Recorded{}, fmt.Errorf("sqlite: read %s from revision %d: %w", stream, from, err))
		}
	}
}

// readStream returns the error that is still to be yielded, nil when the caller broke off.
func (l *Log) readStream(ctx context.Context, stream string, from uint64, yield func(eventlog.Recorded, error) bool) error {
	if l.isClosed() {
		return errClosed
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	key := keyOf(stream)
	if l.writer == nil {
		if err := l.pool.with(ctx, l.heads.catchUp); err != nil {
			return err
		}
	}
	end := l.heads.of(key)
	if end.count() <= from {
		return nil
	}
	// Newest first; filled from the end, so that what is read lies in order.
	var seqs []uint64
	if n := end.count() - from; n > walkRows {
		if err := l.pool.with(ctx, func(conn *engine.Conn) error {
			return inOneTransaction(conn, func() (err error) {
				seqs, err = walk(ctx, conn, end, from)
				return err
			})
		}); err != nil {
			return err
		}
	}
	for next := from; next < end.count(); {
		var chunk []eventlog.Recorded
		read := func(conn *engine.Conn) (err error) {
			if seqs == nil {
				chunk, err = readBack(conn, stream, end, from)
			} else {
				chunk, err = readThese(conn, stream, seqs[next-from:min(next-from+walkRows, uint64(len(seqs)))], next)
			}
			return err
		}
		err := l.pool.with(ctx, func(conn *engine.Conn) error {
			if end.count()-next == 1 {
				return read(conn)
			}
			return inOneTransaction(conn, func() error { return read(conn) })
		})
		if err != nil {
			return err
		}
		for _, e := range chunk {
			if !yield(e, nil) {
				return nil
			}
		}
		next += uint64(len(chunk))
		if ctx.Err() != nil && next < end.count() {
			return ctx.Err()
		}
	}
	return nil
}

// inOneTransaction spares every statement of f the locks of a transaction of its own, which cost more than a row.
func inOneTransaction(conn *engine.Conn, f func() error) error {
	if err := execute(conn, "BEGIN"); err != nil {
		return err
	}
	return errors.Join(f(), execute(conn, "COMMIT"))
}

// readBack reads the events from revision from to end, by following prev.
func readBack(conn *engine.Conn, stream string, end place, from uint64) ([]eventlog.Recorded, error) {
	events := make([]eventlog.Recorded, end.count()-from)
	r := newRowReader()
	seq := end.seq
	for i := len(events) - 1; i >= 0; i-- {
		prev, err := r.point(conn, seq, stream, from+uint64(i), &events[i])
		if err != nil {
			return nil, err
		}
		seq = prev
	}
	return events, nil
}

// walk gathers the positions of the events from revision from to end.
func walk(ctx context.Context, conn *engine.Conn, end place, from uint64) ([]uint64, error) {
	stmt, err := conn.Prepare(selectPrev)
	if err != nil {
		return nil, err
	}
	defer stmt.Reset()
	seqs := make([]uint64, end.count()-from)
	seq := end.seq
	for i := len(seqs) - 1; i >= 0; i-- {
		seqs[i] = seq
		stmt.BindInt64(1, int64(seq))
		row, err := stmt.Step()
		if err != nil {
			return nil, err
		}
		if !row || uint64(stmt.ColumnInt64(1)) != from+uint64(i) {
			return nil, damaged("event %d is not revision %d of its stream", seq, from+uint64(i))
		}
		seq = uint64(stmt.ColumnInt64(0))
		if err := stmt.Reset(); err != nil {
			return nil, err
		}
		if i%1024 == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
	return seqs, nil
}

// readThese reads events at known positions; the first has the given revision.
func readThese(conn *engine.Conn, stream string, seqs []uint64, revision uint64) ([]eventlog.Recorded, error) {
	events := make([]eventlog.Recorded, len(seqs))
	r := newRowReader()
	for i, seq := range seqs {
		if _, err := r.point(conn, seq, stream, revision+uint64(i), &events[i]); err != nil {
			return nil, err
		}
	}
	return events, nil
}

// Follow implements eventlog.Log. A position beyond the newest event is answered with ErrGone: the follower has seen
// more than this log holds, so it is not the one it followed.
func (l *Log) Follow(ctx context.Context, after eventlog.Position, filter eventlog.Filter, o eventlog.FollowOptions) iter.Seq2[eventlog.Batch, error] {
	return func(yield func(eventlog.Batch, error) bool) {
		if err := l.follow(ctx, after, filter, o, yield); err != nil {
			yield(eventlog.Batch{}, fmt.Errorf("sqlite: follow %s after %s: %w", l.path, after, err))
		}
	}
}

// follow returns the error that is still to be yielded, nil when the caller broke off.
func (l *Log) follow(ctx context.Context, after eventlog.Position, filter eventlog.Filter, o eventlog.FollowOptions, yield func(eventlog.Batch, error) bool) error {
	if after.Commit != after.Prepare {
		return fmt.Errorf("not a position of this log: %w", eventlog.ErrInvalid)
	}
	size := o.BatchSize
	if size <= 0 {
		size = eventlog.DefaultBatchSize
	}
	scanned := after.Commit
	for first := true; ; first = false {
		l.mu.Lock()
		wake := l.wake // taken before the head is looked up: a commit in between closes it
		l.mu.Unlock()
		head, err := l.currentHead(ctx)
		if err != nil {
			return err
		}
		if scanned > head {
			return fmt.Errorf("the newest event is %d: %w", head, eventlog.ErrGone)
		}
		for caughtUp := !first && scanned == head; !caughtUp; {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			var events []eventlog.Recorded
			if err := l.pool.with(ctx, func(conn *engine.Conn) (err error) {
				events, scanned, err = scan(ctx, conn, scanned, head, filter, size)
				return err
			}); err != nil {
				return err
			}
			caughtUp = scanned == head
			if len(events) == 0 && !caughtUp {
				continue
			}
			b := eventlog.Batch{Events: events, CaughtUp: caughtUp, Scanned: eventlog.Position{Commit: scanned, Prepare: scanned}}
			if !yield(b, nil) {
				return nil
			}
		}
		if err := l.wait(ctx, wake); err != nil {
			return err
		}
	}
}

// wait returns when there may be more.
func (l *Log) wait(ctx context.Context, wake <-chan struct{}) error {
	var poll <-chan time.Time
	if l.writer == nil {
		t := time.NewTimer(pollInterval)
		defer t.Stop()
		poll = t.C
	}
	select {
	case <-wake:
	case <-poll:
	case <-ctx.Done():
		return ctx.Err()
	case <-l.closing:
		return errClosed
	}
	return nil
}

// scan reads up to size events that pass filter and lie after after and not after head. It answers how far it looked.
func scan(ctx context.Context, conn *engine.Conn, after, head uint64, filter eventlog.Filter, size int) ([]eventlog.Recorded, uint64, error) {
	if after == head {
		return nil, head, nil
	}
	stmt, err := conn.Prepare(selectAfter)
	if err != nil {
		return nil, after, err
	}
	defer stmt.Reset()
	stmt.BindInt64(1, int64(after))
	events := make([]eventlog.Recorded, 0, min(uint64(size), head-after))
	r := newRowReader()
	scanned := after
	for rows := 0; scanned < head && len(events) < size && r.bytes < batchBytes && rows < scanRows; rows++ {
		row, err := stmt.Step()
		if err != nil {
			return nil, after, err
		}
		if !row {
			return nil, after, damaged("events end at %d, but the last was %d", scanned, head)
		}
		seq := uint64(stmt.ColumnInt64(0))
		if seq != scanned+1 {
			return nil, after, damaged("event %d is followed by event %d", scanned, seq)
		}
		scanned = seq
		stream := stmt.ColumnText(1)
		if !filter.Match(stream) {
			continue
		}
		events = events[:len(events)+1]
		if err := r.row(stmt, seq, stream, &events[len(events)-1]); err != nil {
			return nil, after, err
		}
	}
	return events, scanned, nil
}

// rowReader turns rows into events. It puts their bytes into few large blocks and names each kind once.
type rowReader struct {
	block []byte // free space
	next  int    // size of the next block
	bytes int    // data and meta read so far
	kinds map[string]string
	kind  []byte // scratch
}

const (
	firstBlock = 4 << 10
	maxBlock   = 256 << 10
)

func newRowReader() *rowReader {
	return &rowReader{next: firstBlock, kinds: make(map[string]string)}
}

// point reads one event by its position and checks that it is what the caller came for.
func (r *rowReader) point(conn *engine.Conn, seq uint64, stream string, revision uint64, e *eventlog.Recorded) (prev uint64, err error) {
	stmt, err := conn.Prepare(selectEvent)
	if err != nil {
		return 0, err
	}
	defer stmt.Reset()
	stmt.BindInt64(1, int64(seq))
	row, err := stmt.Step()
	if err != nil {
		return 0, err
	}
	if !row {
		return 0, damaged("event %d, revision %d of %s, is missing", seq, revision, stream)
	}
	if err := r.row(stmt, seq, stmt.ColumnText(1), e); err != nil {
		return 0, err
	}
	if e.Stream != stream || e.Revision != revision {
		return 0, damaged("event %d is revision %d of %s, not revision %d of %s", seq, e.Revision, e.Stream, revision, stream)
	}
	if prev = uint64(stmt.ColumnInt64(8)); revision == 0 && prev != 0 { // nobody follows it, and it is as false as any other
		return 0, damaged("event %d is the first of %s and names event %d before it", seq, stream, prev)
	}
	return prev, nil
}

func (r *rowReader) row(stmt *engine.Stmt, seq uint64, stream string, e *eventlog.Recorded) error {
	id, ok := idOf(stmt, 4)
	if !ok {
		return damaged("event %d has an id of %d bytes", seq, stmt.ColumnLen(4))
	}
	e.ID = id
	e.Stream = stream
	e.Revision = uint64(stmt.ColumnInt64(2))
	e.Position = eventlog.Position{Commit: seq, Prepare: seq}
	e.RecordedAt = time.UnixMicro(stmt.ColumnInt64(3)).UTC()
	e.Kind = r.kindOf(stmt, 5)
	e.Meta = r.blob(stmt, 6)
	e.Data = r.blob(stmt, 7)
	return nil
}

func (r *rowReader) blob(stmt *engine.Stmt, column int) []byte {
	n := stmt.ColumnLen(column)
	if n > len(r.block) {
		r.block = make([]byte, max(n, r.next))
		r.next = min(2*r.next, maxBlock)
	}
	b := r.block[:n:n]
	r.block = r.block[n:]
	stmt.ColumnBytes(column, b)
	r.bytes += n
	return b
}

func (r *rowReader) kindOf(stmt *engine.Stmt, column int) string {
	n := stmt.ColumnLen(column)
	if cap(r.kind) < n {
		r.kind = make([]byte, n)
	}
	r.kind = r.kind[:n]
	stmt.ColumnBytes(column, r.kind)
	if kind, ok := r.kinds[string(r.kind)]; ok {
		return kind
	}
	kind := string(r.kind)
	r.kinds[kind] = kind
	return kind
}

func idOf(stmt *engine.Stmt, column int) (id uuid.UUID, ok bool) {
	return id, stmt.ColumnLen(column) == len(id) && stmt.ColumnBytes(column, id[:]) == len(id)
}
