package treestore

import (
	"context"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

// What was committed lies in the engine's write-ahead file until it is copied into the database. Copying is a third of the
// writer's work, so another connection does it meanwhile; the engine lets the two go on at once. It changes nothing about
// what is durable: a commit is, before it returns, and a file that was not copied is read with the database.
const (
	// backfillBytes of leaves wake the copying. Chosen: small enough that it keeps pace with a writer that never stops.
	backfillBytes = 4 << 20
	// backfillBound of leaves have the writer copy the rest itself, so that the file begins anew and stays bounded.
	backfillBound = 64 << 20
)

// backfill copies what is committed into the database until it is stopped.
type backfill struct {
	wake chan struct{}
	stop context.CancelFunc
	done chan struct{}
	// wrote counts the bytes of leaves since the write-ahead file began, woke those at the last waking. The writer's.
	wrote, woke int
}

// newBackfill opens the connection. The caller stops it before the writer's is closed.
func newBackfill(path string) (*backfill, error) {
	c, err := sqlite.OpenConn(path, sqlite.OpenReadWrite)
	if err != nil {
		return nil, err
	}
	for _, p := range []string{`PRAGMA synchronous = FULL`, `PRAGMA wal_autocheckpoint = 0`, `PRAGMA cell_size_check = ON`} {
		if err := sqlitex.ExecuteTransient(c, p, nil); err != nil {
			c.Close()
			return nil, err
		}
	}
	c.SetBusyTimeout(5 * time.Second)
	ctx, stop := context.WithCancel(context.Background())
	b := &backfill{wake: make(chan struct{}, 1), stop: stop, done: make(chan struct{})}
	go func() {
		defer close(b.done)
		defer c.Close()
		for {
			select {
			case <-ctx.Done():
				return
			case <-b.wake:
				copyBack(c) //nolint:errcheck // the writer does it again at the bound, and closing does; there it counts
			}
		}
	}()
	return b, nil
}

// copyBack copies what no reader holds back. A connection that copies already is let do so.
func copyBack(c *sqlite.Conn) error {
	return sqlitex.ExecuteTransient(c, `PRAGMA wal_checkpoint(PASSIVE)`, nil)
}

// committed is told of each commit by the writer.
func (b *backfill) committed(w *sqlite.Conn, bytes int) error {
	if b.wrote += bytes; b.wrote >= backfillBound {
		b.wrote, b.woke = 0, 0
		return copyBack(w)
	}
	if b.wrote-b.woke >= backfillBytes {
		b.woke = b.wrote
		select {
		case b.wake <- struct{}{}:
		default:
		}
	}
	return nil
}

// close waits until nothing is copied any more.
func (b *backfill) close() {
	b.stop()
	<-b.done
}
