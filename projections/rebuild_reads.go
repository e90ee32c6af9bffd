package projections

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"time"
)

// A rebuild gives way to the reads of every process that answers from the same views, not only of its own: an operator's
// command rebuilds beside the servers. While one goes on it counts up, in the register; whoever answers questions writes
// beside the newest count how long the slowest of them took, as a share of what is too long for it. No clock is compared,
// and nothing is written at other times.

// beatEvery is how often a rebuild counts, and how often the others look. Chosen: reads are remembered for as long.
const beatEvery = time.Second

// beatsOld is how many counts an answer is good for.
const beatsOld = 3

// rebuildBeat is the row in which a rebuild counts; the others are named by their processes.
const rebuildBeat = "rebuild"

// createReads is the table's statement in both databases; %s is what stands before the names of the register's tables.
const createReads = `CREATE TABLE IF NOT EXISTS %sreads (process TEXT PRIMARY KEY, beat BIGINT NOT NULL, slowest_us BIGINT NOT NULL)`

// beats is the table of a register.
type beats struct {
	db      *sql.DB
	before  string // what stands before the names of the register's tables
	dialect dialect
}

func (b beats) write(ctx context.Context, process string, beat int64, slowest time.Duration) error {
	_, err := b.db.ExecContext(ctx, b.dialect.bind(`INSERT INTO `+b.before+`reads VALUES (?, ?, ?) ON CONFLICT (process) DO UPDATE SET beat = excluded.beat, slowest_us = excluded.slowest_us`),
		process, beat, slowest.Microseconds())
	return err
}

// newest is the last count of a rebuild, 0 when there was none.
func (b beats) newest(ctx context.Context) (beat int64, err error) {
	err = b.db.QueryRowContext(ctx, b.dialect.bind(`SELECT beat FROM `+b.before+`reads WHERE process = ?`), rebuildBeat).Scan(&beat)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return beat, err
}

// slowest is what the slowest process but the rebuild's own has said lately.
func (b beats) slowest(ctx context.Context, own string, beat int64) (time.Duration, error) {
	var us sql.NullInt64
	err := b.db.QueryRowContext(ctx, b.dialect.bind(`SELECT MAX(slowest_us) FROM `+b.before+`reads WHERE process <> ? AND process <> ? AND beat > ?`), rebuildBeat, own, beat-beatsOld).Scan(&us)
	return time.Duration(us.Int64) * time.Microsecond, err
}

// forget removes what processes said to earlier rebuilds.
func (b beats) forget(ctx context.Context, beat int64) error {
	_, err := b.db.ExecContext(ctx, b.dialect.bind(`DELETE FROM `+b.before+`reads WHERE beat <= ?`), beat-beatsOld)
	return err
}

// tellReads tells rebuilds of other processes how long this one's reads take, and learns how long they usually do, until ctx
// ends. It is a courtesy: a failure is nobody's, and tried again.
func (v *Views) tellReads(ctx context.Context) {
	b, process := v.store.beats(), v.process()
	last, _ := b.newest(ctx)
	told := false // that somebody reads
	for still := 0; wait(ctx, beatEvery); still++ {
		slowest := v.reads.slowest()
		if slowest == 0 && !told {
			continue
		}
		beat, err := b.newest(ctx)
		if err != nil || beat != last {
			still = 0
		}
		if still >= 2 { // nobody counts: no rebuild goes on
			v.reads.learn(slowest)
		}
		if err != nil || beat == last {
			continue
		}
		share := float64(slowest) / float64(tooSlow(v.slowRead(), v.reads.usual()))
		if b.write(ctx, process, beat, time.Duration(share*float64(v.slowRead()))) == nil {
			last, told = beat, slowest > 0
		}
	}
}

// process names this process, and these views in it.
func (v *Views) process() string {
	host, _ := os.Hostname() // a part of a name
	return fmt.Sprintf("%s %d %p", host, os.Getpid(), v)
}

// hearReads keeps what the others say, until ctx ends.
func (g *giveWay) hearReads(ctx context.Context, b beats, own string) {
	beat, err := b.newest(ctx)
	if err == nil {
		err = b.forget(ctx, beat)
	}
	for ok := err == nil; ok; ok = wait(ctx, beatEvery) {
		beat++
		if b.write(ctx, rebuildBeat, beat, 0) != nil {
			continue
		}
		if slowest, err := b.slowest(ctx, own, beat); err == nil {
			g.elsewhere.Store(int64(slowest))
		}
	}
}
