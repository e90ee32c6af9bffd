package projections

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/answerable-ledger/answerable/eventlog"
	"github.com/answerable-ledger/answerable/internal/pgtest"
	"github.com/answerable-ledger/answerable/schemas"
)

// The rates to compare on PostgreSQL: what scanning and decoding alone reaches on all cores; what COPY of the same rows,
// encoded beforehand, reaches, into tables that have no keys (copy) and with the keys and indexes that a table of the views
// has in the end (copy_keys); what the rebuild reaches, which does all of it; and what the runner reaches batch by batch.
func BenchmarkPostgresReplay(b *testing.B) {
	ctx := context.Background()
	server := pgtest.Start(b)
	log, n := benchLog(b)
	perSecond := func(b *testing.B, n int, before, servers time.Duration) {
		perSecond(b, n, before)
		b.ReportMetric(float64((server.CPU()-servers).Nanoseconds())/1000/float64(n)/float64(b.N), "server_us/event")
	}
	b.Run("decode", func(b *testing.B) {
		v := openViews(b, server.Database(b), log)
		defer closeViews(b, v)
		before, servers := cpu(), server.CPU()
		for b.Loop() {
			alone := func(s *step) {
				e := &s.recorded
				s.fact, s.err = schemas.Decode(schemas.Source{Stream: e.Stream, Revision: e.Revision, RecordedAt: e.RecordedAt, Stored: schemas.Stored{ID: e.ID, Kind: e.Kind, Data: e.Data, Meta: e.Meta}})
			}
			must(b, followWith(ctx, func() func(*step) { return alone }, log, eventlog.Position{}, v.config.BatchSize, v.config.Decoders, func(x batch) bool { return !x.caughtUp }))
		}
		perSecond(b, n, before, servers)
	})
	copies := func(b *testing.B, keys bool) {
		v := openViews(b, server.Database(b), log)
		defer closeViews(b, v)
		var ready []rows
		var large []string // the rows of the large table, as they are sent
		total := 0
		w, err := v.foldAll(ctx, eventlog.Position{}, func(string) bool { return true }, nil)
		must(b, err)
		for _, r := range w.changes(true) {
			total += r.n
			cols := len(r.table.Columns)
			if r.encoder != nil {
				encode, row := r.encoder(), make([]value, cols)
				var piece strings.Builder
				for i := range r.n {
					encode(i, row)
					appendCopied(&piece, r.table.Columns, row)
					if piece.Len() > pgPieceBytes || i+1 == r.n {
						large = append(large, piece.String())
						piece = strings.Builder{}
						continue
					}
					piece.WriteByte('\n')
				}
				continue
			}
			args := make([]any, r.n*cols)
			must(b, r.encode(0, r.n, args))
			ready = append(ready, rows{table: r.table, n: r.n, fill: func(i int, a []any) error { copy(a, args[i*cols:]); return nil }})
		}
		w = nil
		before, servers := cpu(), server.CPU()
		for b.Loop() {
			g, err := v.store.begin(ctx, "copy")
			must(b, err)
			var sent atomic.Int64
			var sending sync.WaitGroup
			for range pgFewestCopies {
				sending.Go(func() {
					err := g.copyWith(ctx, tableObligation, func() (string, error) {
						if i := int(sent.Add(1)) - 1; i < len(large) {
							return large[i], nil
						}
						return "", nil
					})
					if err != nil {
						b.Error(err)
					}
				})
			}
			sending.Wait()
			tx, err := g.write.BeginTx(ctx, nil)
			must(b, err)
			for _, r := range ready {
				if r.n > 0 {
					must(b, g.dialect.insert(ctx, tx, g.n, r, ""))
				}
			}
			must(b, tx.Commit())
			if keys {
				must(b, v.index(ctx, g.write, g))
			}
			must(b, g.close())
		}
		perSecond(b, n, before, servers)
		b.ReportMetric(float64(total)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
	}
	b.Run("copy", func(b *testing.B) { copies(b, false) })
	b.Run("copy_keys", func(b *testing.B) { copies(b, true) })
	b.Run("rebuild", func(b *testing.B) {
		before, servers := cpu(), server.CPU()
		for b.Loop() {
			b.StopTimer()
			v := openViews(b, server.Database(b), log)
			b.StartTimer()
			started, phase := time.Now(), ""
			must(b, v.Rebuild(ctx, func(p Progress) {
				if testing.Verbose() && p.Phase != phase {
					phase = p.Phase
					fmt.Fprintf(os.Stderr, "%8s %s %d rows, processor %s and the server's %s\n", time.Since(started).Round(time.Millisecond), p.Phase, p.Rows,
						(cpu() - before).Round(time.Millisecond), server.CPU()-servers)
				}
			}))
			b.StopTimer()
			closeViews(b, v)
			b.StartTimer()
		}
		perSecond(b, n, before, servers)
	})
	for name, size := range map[string]int{"batches_of_500": 500, "batches_of_5000": 5000} {
		b.Run(name, func(b *testing.B) {
			n := min(n, 50_000)
			before, servers := cpu(), server.CPU()
			for b.Loop() {
				b.StopTimer()
				v := openViews(b, server.Database(b), log)
				steps := []step{}
				must(b, follow(ctx, log, eventlog.Position{}, 1000, v.config.Decoders, func(x batch) bool {
					steps = append(steps, x.steps...)
					return len(steps) < n
				}))
				b.StartTimer()
				for i := 0; i < n; i += size {
					must(b, v.applyBatch(ctx, batch{steps: steps[i:min(i+size, n)]}))
				}
				b.StopTimer()
				closeViews(b, v)
				b.StartTimer()
			}
			perSecond(b, n, before, servers)
		})
	}
}
