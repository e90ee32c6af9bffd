package projections

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/answerable-ledger/answerable/internal/postgres"
)

// The connections of a bulk write. What a row costs it costs the server, which has a process per connection.
const (
	pgFewestCopies = 2 // the server may be another machine
	pgMostCopies   = 4 // Chosen: beyond that they wait for each other to make the table longer
)

// pgPieceBytes is about what is sent at once: just above what the driver gathers.
const pgPieceBytes = 64 << 10

// copyAll writes the rows of an empty table that nobody reads yet, by several connections in transactions of their own. Each
// takes the next rows, encodes them, and sends them while others encode. each is called by one of them at a time.
func (g *generation) copyAll(ctx context.Context, r rows, encoders int, each func(done int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var taken atomic.Int64
	var told sync.Mutex // owns done
	done := 0
	take := func() (from, n int, err error) {
		from = int(taken.Add(pieceRows)) - pieceRows
		n = max(0, min(pieceRows, r.n-from))
		told.Lock()
		defer told.Unlock()
		done += n
		return from, n, each(done)
	}
	var running sync.WaitGroup
	for range min(max(encoders, pgFewestCopies), pgMostCopies) {
		running.Go(func() {
			if err := g.copySome(ctx, r, take); err != nil {
				cancel(err)
			}
		})
	}
	running.Wait()
	if err := context.Cause(ctx); err != nil {
		return fmt.Errorf("projections: copy %s: %w", r.table.Name, err)
	}
	return nil
}

// copySome copies the rows it gets to take.
func (g *generation) copySome(ctx context.Context, r rows, take func() (from, n int, err error)) error {
	encode, row, size := r.encoder(), make([]value, len(r.table.Columns)), pgPieceBytes
	return g.copyWith(ctx, r.table, func() (string, error) {
		var piece strings.Builder
		piece.Grow(size)
		for piece.Len() < pgPieceBytes {
			from, n, err := take()
			if err != nil {
				return "", err
			}
			if n == 0 {
				break
			}
			for i := range n {
				if piece.Len() > 0 {
					piece.WriteByte('\n')
				}
				encode(from+i, row)
				appendCopied(&piece, r.table.Columns, row)
			}
		}
		size = max(size, piece.Len())
		return piece.String(), nil
	})
}

// copies is a bulk write that goes on while there are more rows to come: what is written is encoded at once, and sent by
// some connections. It gives no rows back: they are in transactions that have not ended.
type copies struct {
	ctx     context.Context
	cancel  context.CancelCauseFunc
	running sync.WaitGroup
	table   table
	pieces  chan string
	closed  bool
}

// piecesAhead of the connections are held. Chosen: half a megabyte, so that they do not wait for a day that is long.
const piecesAhead = 8

var errStopped = errors.New("projections: what was copied is given up")

// copyAhead begins to fill an empty table that nobody reads yet.
func (g *generation) copyAhead(ctx context.Context, t table, _ int) (bulkWriter, error) {
	c := &copies{table: t, pieces: make(chan string, piecesAhead)}
	c.ctx, c.cancel = context.WithCancelCause(ctx)
	for range pgFewestCopies {
		c.running.Go(func() {
			if err := g.copyWith(c.ctx, t, c.next); err != nil {
				c.cancel(fmt.Errorf("projections: copy %s: %w", t.Name, err))
			}
		})
	}
	return c, nil
}

// next is as for postgres.Copy.
func (c *copies) next() (string, error) {
	select {
	case piece := <-c.pieces: // "" when it is closed
		return piece, nil
	case <-c.ctx.Done():
		return "", context.Cause(c.ctx)
	}
}

// write has encoded all of the rows when it returns.
func (c *copies) write(r rows, each func(done int) error) error {
	encode, row := r.encoder(), make([]value, len(c.table.Columns))
	var piece strings.Builder
	for i := range r.n {
		if piece.Len() > 0 {
			piece.WriteByte('\n')
		} else {
			piece.Grow(pgPieceBytes + pgPieceBytes/8)
		}
		encode(i, row)
		appendCopied(&piece, c.table.Columns, row)
		if last := i+1 == r.n; last || piece.Len() >= pgPieceBytes {
			select {
			case c.pieces <- piece.String():
			case <-c.ctx.Done():
				return context.Cause(c.ctx)
			}
			piece = strings.Builder{}
		}
		if (i+1)%pieceRows == 0 || i+1 == r.n {
			if err := each(i + 1); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *copies) row(int64) ([]value, error) { return nil, nil }

func (c *copies) end() error {
	c.close()
	c.running.Wait()
	err := context.Cause(c.ctx)
	c.cancel(nil)
	return err
}

func (c *copies) stop() {
	c.cancel(errStopped)
	c.close()
	c.running.Wait()
}

func (c *copies) close() {
	if !c.closed {
		close(c.pieces)
		c.closed = true
	}
}

// copyWith copies rows in the text format of COPY, in a transaction of its own. next is as for postgres.Copy.
func (g *generation) copyWith(ctx context.Context, t table, next func() (string, error)) (err error) {
	conn, err := g.write.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := postgres.Copy(ctx, conn, "COPY "+g.name(t)+" ("+strings.Join(t.columnNames(), ", ")+") FROM STDIN", next); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}

// appendCopied appends a row in the text format of COPY.
func appendCopied(b *strings.Builder, columns []column, row []value) {
	var digits [20]byte
	for c, v := range row {
		if c > 0 {
			b.WriteByte('\t')
		}
		if columns[c].Integer {
			b.Write(strconv.AppendInt(digits[:0], v.number, 10))
		} else {
			postgres.AppendText(b, v.text)
		}
	}
}
