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
