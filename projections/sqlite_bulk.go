package projections

import (
	"context"
	"fmt"
	"sync"

	"github.com/answerable-ledger/answerable/projections/sqlitepages"
)

// bulkWriter fills one table of a generation, before anything else is written to it: rows in the order of their ids, many
// at a time. Its methods are one goroutine's at a time.
type bulkWriter interface {
	// write takes the next rows; each is told how many of them are under way. What they are made of is not to be changed
	// until end has returned, but for what copies says.
	write(r rows, each func(done int) error) error
	// row gives back a row that was written, nil when there is none with that id; sealing says whether it is asked.
	row(id int64) ([]value, error)
	// end is done when all rows are in the file; stop gives up what is not there yet, and does nothing after end.
	end() error
	stop()
}

// pieceRows are encoded by one goroutine before another's. Chosen: a hundred kilobytes, well below a millisecond.
const pieceRows = 128

// piece is some rows of a bulk write as records, side by side.
type piece struct {
	rows     *rows
	first, n int
	ids      []int64
	ends     []int
	records  []byte
	done     chan struct{}
}

// pageWriter writes rows as pages of a generation's file, which no transaction has open meanwhile: some goroutines encode,
// one puts their pieces in order. What a crash leaves half written is a generation that is still being built, which the next
// start removes.
type pageWriter struct {
	ctx                 context.Context
	cancel              context.CancelFunc
	running             sync.WaitGroup
	columns             []column
	ordered, todo, used chan *piece
	closed              bool
	given               int // rows; the caller's own

	mu     sync.Mutex // guards what follows
	moved  sync.Cond  // there are more rows in pages, or there will be no more
	pages  *sqlitepages.Table
	taken  int // rows that are in pages
	failed error
}

// writePages begins to fill an empty table.
func (g *generation) writePages(ctx context.Context, t table, encoders int) (bulkWriter, error) {
	var root uint32
	if err := g.write.QueryRowContext(ctx, `SELECT rootpage FROM sqlite_master WHERE type = 'table' AND name = ?`, t.Name).Scan(&root); err != nil {
		return nil, fmt.Errorf("projections: write %s: %w", t.Name, err)
	}
	pages, err := sqlitepages.New(g.growing.file, root)
	if err != nil {
		return nil, err
	}
	p := &pageWriter{columns: t.Columns, pages: pages,
		ordered: make(chan *piece, 2*encoders), todo: make(chan *piece, 2*encoders), used: make(chan *piece, 4*encoders)}
	p.ctx, p.cancel = context.WithCancel(ctx)
	p.moved.L = &p.mu
	for range encoders {
		p.running.Go(p.encode)
	}
	p.running.Go(p.put)
	return p, nil
}

func (p *pageWriter) write(r rows, each func(done int) error) error {
	for i := 0; i < r.n; i += pieceRows {
		x := new(piece)
		select {
		case x = <-p.used:
		default:
		}
		x.rows, x.first, x.n, x.done = &r, i, min(pieceRows, r.n-i), make(chan struct{})
		p.given += x.n
		for _, to := range []chan *piece{p.ordered, p.todo} {
			select {
			case to <- x:
			case <-p.ctx.Done():
				return p.failure()
			}
		}
		if err := each(x.first + x.n); err != nil {
			return err
		}
	}
	return nil
}

// encode makes records of the rows of pieces, until there are no more.
func (p *pageWriter) encode() {
	var of *rows
	var encode func(i int, row []value)
	row := make([]value, len(p.columns))
	for x := range p.todo {
		if x.rows != of {
			of, encode = x.rows, x.rows.encoder()
		}
		x.ids, x.ends, x.records = x.ids[:0], x.ends[:0], x.records[:0]
		for i := range x.n {
			encode(x.first+i, row)
			x.records = appendRecord(x.records, p.columns, row)
			x.ids, x.ends = append(x.ids, row[0].number), append(x.ends, len(x.records))
		}
		x.rows = nil
		close(x.done)
	}
}

// put puts the records into pages in the order in which their rows came.
func (p *pageWriter) put() {
	for x := range p.ordered {
		select {
		case <-x.done:
		case <-p.ctx.Done():
		}
		if p.ctx.Err() != nil || !p.add(x) {
			_ = p.failure()
			return
		}
		select {
		case p.used <- x:
		default:
		}
	}
}

func (p *pageWriter) add(x *piece) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	begin := 0
	for i, end := range x.ends {
		if p.failed = p.pages.Add(x.ids[i], x.records[begin:end]); p.failed != nil {
			p.cancel()
			return false
		}
		begin = end
	}
	p.taken += x.n
	p.moved.Broadcast()
	return true
}

// failure is why no more rows are taken.
func (p *pageWriter) failure() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.failed == nil {
		p.failed = p.ctx.Err()
	}
	p.moved.Broadcast()
	return p.failed
}

func (p *pageWriter) row(id int64) ([]value, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.taken < p.given && p.failed == nil {
		p.moved.Wait()
	}
	if p.failed != nil {
		return nil, p.failed
	}
	record, err := p.pages.Find(id)
	if record == nil || err != nil {
		return nil, err
	}
	row, err := readRecord(record, p.columns)
	if err != nil {
		return nil, fmt.Errorf("projections: row %d: %w", id, err)
	}
	row[0].number = id
	return row, nil
}

func (p *pageWriter) end() error {
	p.close()
	p.running.Wait()
	defer p.cancel()
	if p.ctx.Err() != nil {
		return p.failure()
	}
	return p.pages.End()
}

func (p *pageWriter) stop() {
	p.cancel()
	p.close()
	p.running.Wait()
}

func (p *pageWriter) close() {
	if !p.closed {
		close(p.todo)
		close(p.ordered)
		p.closed = true
	}
}
