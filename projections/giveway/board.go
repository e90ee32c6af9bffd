package giveway

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

// beatEvery is how often a rebuild counts, and how often the others look. Chosen: reads are remembered for as long.
const beatEvery = time.Second

// beatsOld is how many counts an answer is good for.
const beatsOld = 3

// rebuildBeat is the row in which a rebuild counts; the others are named by their processes.
const rebuildBeat = "rebuild"

// CreateTable is the board's statement in both databases; %s is what stands before the names of the register's tables.
const CreateTable = `CREATE TABLE IF NOT EXISTS %sreads (process TEXT PRIMARY KEY, beat BIGINT NOT NULL, slowest_us BIGINT NOT NULL)`

// Board is the table by which the processes on one register hear of each other. While a rebuild goes on it counts up there;
// whoever answers questions writes beside the newest count how long the slowest of them took, as a share of what is too long
// for it. No clock is compared, and nothing is written at other times.
type Board struct {
	DB     *sql.DB
	Before string                        // what stands before the names of the register's tables
	Bind   func(statement string) string // makes a statement with ? the database's own
}

func (b Board) write(ctx context.Context, process string, beat int64, slowest time.Duration) error {
	_, err := b.DB.ExecContext(ctx, b.Bind(`INSERT INTO `+b.Before+`reads VALUES (?, ?, ?) ON CONFLICT (process) DO UPDATE SET beat = excluded.beat, slowest_us = excluded.slowest_us`),
		process, beat, slowest.Microseconds())
	return err
}

// newest is the last count of a rebuild, 0 when there was none.
func (b Board) newest(ctx context.Context) (beat int64, err error) {
	err = b.DB.QueryRowContext(ctx, b.Bind(`SELECT beat FROM `+b.Before+`reads WHERE process = ?`), rebuildBeat).Scan(&beat)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return beat, err
}

// slowest is what the slowest process but the rebuild's own has said lately.
func (b Board) slowest(ctx context.Context, own string, beat int64) (time.Duration, error) {
	var us sql.NullInt64
	err := b.DB.QueryRowContext(ctx, b.Bind(`SELECT MAX(slowest_us) FROM `+b.Before+`reads WHERE process <> ? AND process <> ? AND beat > ?`), rebuildBeat, own, beat-beatsOld).Scan(&us)
	return time.Duration(us.Int64) * time.Microsecond, err
}

// forget removes what processes said to earlier rebuilds.
func (b Board) forget(ctx context.Context, beat int64) error {
	_, err := b.DB.ExecContext(ctx, b.Bind(`DELETE FROM `+b.Before+`reads WHERE beat <= ?`), beat-beatsOld)
	return err
}

// Tell tells rebuilds of other processes how long this one's reads take, and learns how long they usually do, until ctx ends.
// process names it among all on the board; short is as in NewRebuild. It is a courtesy: a failure is nobody's, and tried again.
func (r *Reads) Tell(ctx context.Context, b Board, process string, short time.Duration) {
	last, _ := b.newest(ctx)
	told := false // that somebody reads
	for still := 0; wait(ctx, beatEvery); still++ {
		slowest := r.Slowest()
		if slowest == 0 && !told {
			continue
		}
		beat, err := b.newest(ctx)
		if err != nil || beat != last {
			still = 0
		}
		if still >= 2 { // nobody counts: no rebuild goes on
			r.learn(slowest)
		}
		if err != nil || beat == last {
			continue
		}
		share := float64(slowest) / float64(tooSlow(short, r.usual()))
		if b.write(ctx, process, beat, time.Duration(share*float64(short))) == nil {
			last, told = beat, slowest > 0
		}
	}
}

// Hear keeps what the others say, until ctx ends. own names the process that rebuilds.
func (g *Rebuild) Hear(ctx context.Context, b Board, own string) {
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
