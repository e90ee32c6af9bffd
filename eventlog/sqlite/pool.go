package sqlite

import (
	"context"
	"sync"

	engine "zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

// pool lends connections that can only read. They are opened when first needed.
type pool struct {
	uri  string
	free chan *engine.Conn // nil entries stand for connections not opened yet

	// use counts connections that are lent out; close waits for them.
	mu     sync.Mutex
	use    sync.WaitGroup
	closed bool
}

func newPool(uri string, size int) *pool {
	p := &pool{uri: uri, free: make(chan *engine.Conn, size)}
	for range size {
		p.free <- nil
	}
	return p
}

// with lends a connection to f. Every statement f leaves open is its own fault: it would keep the write-ahead log from
// being used again.
func (p *pool) with(ctx context.Context, f func(*engine.Conn) error) error {
	if !p.enter() {
		return errClosed
	}
	defer p.use.Done()
	var conn *engine.Conn
	select {
	case conn = <-p.free:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { p.free <- conn }()
	if conn == nil {
		opened, err := openReader(p.uri)
		if err != nil {
			return translate(err)
		}
		conn = opened
	}
	return translate(f(conn))
}

func (p *pool) enter() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	p.use.Add(1)
	return true
}

func (p *pool) close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.use.Wait()
	for range cap(p.free) {
		if conn := <-p.free; conn != nil {
			conn.Close()
		}
	}
}

func openReader(uri string) (*engine.Conn, error) {
	// Not read-only, so that the first reader after a crash can recover the write-ahead log; query_only does the rest.
	conn, err := engine.OpenConn(uri, engine.OpenReadWrite, engine.OpenURI)
	if err != nil {
		return nil, err
	}
	conn.SetBusyTimeout(busyTimeout)
	if err := sqlitex.ExecuteTransient(conn, "PRAGMA query_only = ON", nil); err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}
