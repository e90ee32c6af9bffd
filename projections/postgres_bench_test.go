package projections

import (
	"context"
	"testing"

	"github.com/answerable-ledger/answerable/eventlog"
	"github.com/answerable-ledger/answerable/internal/pgtest"
	"github.com/answerable-ledger/answerable/schemas"
)

// The rates to compare on PostgreSQL: what scanning and decoding alone reaches on all cores; what COPY of the same rows,
// encoded beforehand, reaches; what the rebuild reaches, which does both; and what the runner reaches batch by batch.
func BenchmarkPostgresReplay(b *testing.B) {
	ctx := context.Background()
	server := pgtest.Start(b)
	log, n := benchLog(b)
	b.Run("decode", func(b *testing.B) {
		v := openViews(b, server.Database(b), log)
		defer closeViews(b, v)
		before := cpu()
		for b.Loop() {
			alone := func(s *step) {
				e := &s.recorded
				s.fact, s.err = schemas.Decode(schemas.Source{Stream: e.Stream, Revision: e.Revision, RecordedAt: e.RecordedAt, Stored: schemas.Stored{ID: e.ID, Kind: e.Kind, Data: e.Data, Meta: e.Meta}})
			}
			must(b, followWith(ctx, func() func(*step) { return alone }, log, eventlog.Position{}, v.config.BatchSize, v.config.Decoders, func(x batch) bool { return !x.caughtUp }))
		}
		perSecond(b, n, before)
	})
	b.Run("copy", func(b *testing.B) {
		v := openViews(b, server.Database(b), log)
		defer closeViews(b, v)
		var ready []rows
		total := 0
		w, err := v.foldAll(ctx, eventlog.Position{}, func(string) bool { return true }, nil)
		must(b, err)
		for _, r := range w.changes(true) {
			cols := len(r.table.Columns)
			args := make([]any, r.n*cols)
			must(b, r.encode(0, r.n, args))
			ready = append(ready, rows{table: r.table, n: r.n, fill: func(i int, a []any) error { copy(a, args[i*cols:]); return nil }})
			total += r.n
		}
		before := cpu()
		for b.Loop() {
			g, err := v.store.begin(ctx, "copy")
			must(b, err)
			tx, err := g.write.BeginTx(ctx, nil)
			must(b, err)
			for _, r := range ready {
				if r.n > 0 {
					must(b, g.dialect.insert(ctx, tx, g.n, r, ""))
				}
			}
			must(b, tx.Commit())
			must(b, g.close())
		}
		perSecond(b, n, before)
		b.ReportMetric(float64(total)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
	})
	b.Run("rebuild", func(b *testing.B) {
		before := cpu()
		for b.Loop() {
			b.StopTimer()
			v := openViews(b, server.Database(b), log)
			b.StartTimer()
			must(b, v.Rebuild(ctx, nil))
			b.StopTimer()
			closeViews(b, v)
			b.StartTimer()
		}
		perSecond(b, n, before)
	})
	for name, size := range map[string]int{"batches_of_500": 500, "batches_of_5000": 5000} {
		b.Run(name, func(b *testing.B) {
			n := min(n, 50_000)
			before := cpu()
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
			perSecond(b, n, before)
		})
	}
}
