package projections

import (
	"context"
	"fmt"
	"sync"
)

// pieceRows are encoded by one goroutine before another's. Chosen: a hundred kilobytes, well below a millisecond.
const pieceRows = 128

// piece is some rows of a bulk write as records, side by side.
type piece struct {
	first, n int
	ids      []int64
	ends     []int
	records  []byte
	done     chan struct{}
}

// writePages writes the rows of an empty table as pages of the generation's file, before a transaction opens it: some
// goroutines encode, this one puts their pieces in order.
func (g *generation) writePages(ctx context.Context, r rows, encoders int, each func(done int) error) error {
	var root uint32
	if err := g.write.QueryRowContext(ctx, `SELECT rootpage FROM sqlite_master WHERE type = 'table' AND name = ?`, r.table.Name).Scan(&root); err != nil {
		return fmt.Errorf("projections: write %s: %w", r.table.Name, err)
	}
	pages, err := newTablePages(g.growing.file, root)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()

	ordered, todo, used := make(chan *piece, 2*encoders), make(chan *piece, 2*encoders), make(chan *piece, 4*encoders)
	running.Go(func() {
		defer close(ordered)
		defer close(todo)
		for i := 0; i < r.n; i += pieceRows {
			p := new(piece)
			select {
			case p = <-used:
			default:
			}
			p.first, p.n, p.done = i, min(pieceRows, r.n-i), make(chan struct{})
			for _, to := range []chan *piece{ordered, todo} {
				select {
				case to <- p:
				case <-ctx.Done():
					return
				}
			}
		}
	})
	for range encoders {
		running.Go(func() {
			encode, row := r.encoder(), make([]value, len(r.table.Columns))
			for p := range todo {
				p.ids, p.ends, p.records = p.ids[:0], p.ends[:0], p.records[:0]
				for i := range p.n {
					encode(p.first+i, row)
					p.records = appendRecord(p.records, r.table.Columns, row)
					p.ids, p.ends = append(p.ids, row[0].number), append(p.ends, len(p.records))
				}
				close(p.done)
			}
		})
	}
	for p := range ordered {
		select {
		case <-p.done:
		case <-ctx.Done():
			return ctx.Err()
		}
		begin := 0
		for i, end := range p.ends {
			if err := pages.add(p.ids[i], p.records[begin:end]); err != nil {
				return err
			}
			begin = end
		}
		if err := each(p.first + p.n); err != nil {
			return err
		}
		select {
		case used <- p:
		default:
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return pages.end()
}
