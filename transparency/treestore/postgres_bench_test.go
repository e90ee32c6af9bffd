package treestore_test

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/answerable-ledger/answerable/transparency"
	"github.com/answerable-ledger/answerable/transparency/treestore"
)

// BenchmarkPostgresAppend adds batches as large as those of a sequencer that catches up, beside bare hashing of the same
// leaves on one processor.
func BenchmarkPostgresAppend(b *testing.B) {
	const batch = 10_000
	entries := leaves(b, 0, 20*batch)
	s := openPostgres(b, shared.Server(b).Database(b))
	b.ResetTimer()
	var bare time.Duration
	size := 0
	for b.Loop() {
		if size == len(entries) {
			b.Fatal("the leaves are used up: run it with -benchtime 20x")
		}
		if err := s.Append(b.Context(), int64(size), entries[size:size+batch]); err != nil {
			b.Fatal(err)
		}
		began := time.Now()
		var f transparency.Frontier
		for _, e := range entries[size : size+batch] {
			f.Add(transparency.LeafHash(e.Leaf))
		}
		bare += time.Since(began)
		size += batch
	}
	b.ReportMetric(float64(size)/(b.Elapsed()-bare).Seconds(), "leaves/s")
	b.ReportMetric(float64(size)/bare.Seconds(), "hashed/s")
}

// BenchmarkPostgresReceipt asks for receipts of random leaves of 200,000.
func BenchmarkPostgresReceipt(b *testing.B) {
	const size = 200_000
	s := openPostgres(b, shared.Server(b).Database(b))
	for at := 0; at < size; at += 10_000 {
		if err := s.Append(b.Context(), int64(at), leaves(b, at, at+10_000)); err != nil {
			b.Fatal(err)
		}
	}
	if err := s.SaveCheckpoint(b.Context(), sign(b, s, size), time.Unix(1, 0)); err != nil {
		b.Fatal(err)
	}
	var took []time.Duration
	for b.Loop() {
		began := time.Now()
		if _, err := s.Receipt(b.Context(), rand.Int64N(size), nil); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
	if err := s.Check(b.Context(), treestore.CheckOptions{}); err != nil {
		b.Fatal(err)
	}
}
