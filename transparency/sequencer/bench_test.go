//go:build unix

package sequencer_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"iter"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/answerable-ledger/answerable/eventlog"
	"github.com/answerable-ledger/answerable/transparency"
	"github.com/answerable-ledger/answerable/transparency/sequencer"
	"github.com/answerable-ledger/answerable/transparency/treestore"
)

// million is the size the notes ask for: about a year of a province.
const million = 1_000_000

// stopwatch measures by the wall and by the processor: on a machine others use too, only the second repeats.
type stopwatch struct {
	wall time.Time
	cpu  time.Duration
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func startWatch() stopwatch { return stopwatch{time.Now(), cpuTime()} }

// lap tells the time since the start, and gives the processor's time for each of n things in microseconds.
func (s stopwatch) lap(n int) (wall time.Duration, cpuMicros float64) {
	return time.Since(s.wall), float64((cpuTime() - s.cpu).Nanoseconds()) / float64(n) / 1000
}

// benchEvent is the n-th of many: 200 streams, a payload of a few hundred bytes.
func benchEvent(n int) eventlog.Recorded {
	at := time.Unix(1632470000, 0).Add(time.Duration(n) * time.Millisecond).UTC()
	var id uuid.UUID
	id[0], id[1], id[2], id[3], id[4] = 1, byte(n>>24), byte(n>>16), byte(n>>8), byte(n)
	return eventlog.Recorded{
		Proposed: eventlog.Proposed{ID: id, Kind: "ReportSubmitted",
			Data: fmt.Appendf(nil, `{"report":"bd2021.f1","figures":{"installed":"%d","phones":"%d","population":"%d"},"note":"%0100d"}`, n, n+1, n+2, n),
			Meta: fmt.Appendf(nil, `{"received_at":"2021-09-24T07:00:00Z","actor":"p-%d","role":"filer","channel":"web"}`, n%500)},
		Stream: fmt.Sprintf("report-bd2021.f1.xa-%03d.20210924", n%200), Revision: uint64(n / 200),
		Position: eventlog.Position{Commit: uint64(n + 1), Prepare: uint64(n + 1)}, RecordedAt: at,
	}
}

func benchLeaf(n int) []byte {
	e := benchEvent(n)
	var salt transparency.Salt
	b, err := transparency.Leaf{Origin: origin, EventID: e.ID, Stream: e.Stream, Revision: e.Revision, Kind: e.Kind, ReceivedAt: e.RecordedAt, RecordedAt: e.RecordedAt, Actor: "p-7",
		Payload: transparency.CommitPayload(salt, e.Data), Meta: transparency.CommitMeta(salt, e.Meta)}.Append(nil)
	if err != nil {
		panic(err)
	}
	return b
}

// bareTlog is the limit for sequencing: the hashing alone, by the library, in memory.
func bareTlog(leaves [][]byte) (time.Duration, float64) {
	var hashes []tlog.Hash
	read := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		out := make([]tlog.Hash, len(indexes))
		for i, x := range indexes {
			out[i] = hashes[x]
		}
		return out, nil
	})
	watch := startWatch()
	for i, l := range leaves {
		hs, err := tlog.StoredHashes(int64(i), l, read)
		if err != nil {
			panic(err)
		}
		hashes = append(hashes, hs...)
	}
	return watch.lap(len(leaves))
}

// feed hands out events that lie in memory; what a store's reading costs is measured with the stores.
type feed struct {
	eventlog.Log
	events []eventlog.Recorded
}

func (f feed) Follow(_ context.Context, after eventlog.Position, _ eventlog.Filter, o eventlog.FollowOptions) iter.Seq2[eventlog.Batch, error] {
	return func(yield func(eventlog.Batch, error) bool) {
		for rest := f.events[after.Commit:]; ; {
			n := min(o.BatchSize, len(rest))
			b := eventlog.Batch{Events: rest[:n], CaughtUp: n == len(rest)}
			if rest = rest[n:]; !yield(b, nil) {
				return
			}
		}
	}
}

// BenchmarkSequencing measures, of the same 100,000 leaves: bare hashing, on one processor because the library does it so;
// adding finished leaves to the tree, durable, in batches of 10,000; and everything from recorded events in memory on
// (salts, commitments, leaves, tree), durable. The last two use all processors; what they take of them together is told too.
func BenchmarkSequencing(b *testing.B) {
	const n, batch = 100_000, 10_000
	log := feed{events: make([]eventlog.Recorded, n)}
	for i := range log.events {
		log.events[i] = benchEvent(i)
	}
	// Means of all rounds.
	var bare, stored, whole time.Duration
	var bareCPU, storedCPU, wholeCPU float64
	add := func(wall *time.Duration, cpu *float64, w time.Duration, c float64) { *wall, *cpu = *wall+w, *cpu+c }
	rounds := 0
	for b.Loop() {
		rounds++
		s := newSite(b)
		q := s.mustStart(b, log, func(o *sequencer.Options) {
			o.Header = func(eventlog.Recorded) (time.Time, string, error) { return time.Unix(1632470000, 0), "p-7", nil }
		})
		watch := startWatch()
		if err := q.CatchUp(b.Context()); err != nil {
			b.Fatal(err)
		}
		w, c := watch.lap(n)
		add(&whole, &wholeCPU, w, c)
		entries, err := s.tree.Entries(b.Context(), 0, n)
		if err != nil {
			b.Fatal(err)
		}
		leaves := make([][]byte, n)
		for i, e := range entries {
			leaves[i] = e.Leaf
		}
		w, c = bareTlog(leaves)
		add(&bare, &bareCPU, w, c)
		other := newSite(b)
		tree, err := treestore.Open(b.Context(), treestore.Options{Path: other.treePath(), Origin: origin, Create: true})
		if err != nil {
			b.Fatal(err)
		}
		watch = startWatch()
		for i := 0; i < n; i += batch {
			if err := tree.Append(b.Context(), int64(i), entries[i:i+batch]); err != nil {
				b.Fatal(err)
			}
		}
		w, c = watch.lap(n)
		add(&stored, &storedCPU, w, c)
		tree.Close()
		s.close()
	}
	rate := func(d time.Duration) float64 { return n * float64(rounds) / d.Seconds() }
	b.ReportMetric(rate(bare), "bare-tlog/s")
	b.ReportMetric(rate(stored), "leaves-stored/s")
	b.ReportMetric(100*rate(stored)/rate(bare), "stored-%-of-bare")
	b.ReportMetric(rate(whole), "events-sequenced/s")
	b.ReportMetric(100*rate(whole)/rate(bare), "sequenced-%-of-bare")
	b.ReportMetric(bareCPU/float64(rounds), "bare-cpu-µs/leaf")
	b.ReportMetric(storedCPU/float64(rounds), "stored-cpu-µs/leaf")
	b.ReportMetric(wholeCPU/float64(rounds), "sequenced-cpu-µs/event")
	b.ReportMetric(float64(runtime.GOMAXPROCS(0)), "cores")
}

// millionTree is made once and kept for the benchmarks that need it.
func millionTree(b *testing.B) *treestore.Store {
	b.Helper()
	dir := b.TempDir()
	tree, err := treestore.Open(b.Context(), treestore.Options{Path: filepath.Join(dir, "tree.db"), Origin: origin, Create: true})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { tree.Close() })
	const batch = 10_000
	for at := 0; at < million; at += batch {
		entries := make([]treestore.Entry, batch)
		for i := range entries {
			n := at + i
			entries[i] = treestore.Entry{Leaf: benchLeaf(n), Position: eventlog.Position{Commit: uint64(n + 1), Prepare: uint64(n + 1)}}
		}
		if err := tree.Append(b.Context(), int64(at), entries); err != nil {
			b.Fatal(err)
		}
	}
	root, err := tree.Root(b.Context(), million)
	if err != nil {
		b.Fatal(err)
	}
	n, err := transparency.Checkpoint{Origin: origin, Size: million, Root: root}.Sign(key(b, 1))
	if err != nil {
		b.Fatal(err)
	}
	sig, err := witnessKey(b).Cosign(n.Text, time.Unix(1632480000, 0))
	if err != nil {
		b.Fatal(err)
	}
	if err := tree.SaveCheckpoint(b.Context(), n.With(sig), time.Unix(1632480000, 0)); err != nil {
		b.Fatal(err)
	}
	return tree
}

// BenchmarkReceipt measures a receipt for a random leaf of a million, found by its event's position, read from the file,
// proved, checked and written out.
func BenchmarkReceipt(b *testing.B) {
	tree := millionTree(b)
	p := witnessedPolicy(b, "")
	rng := rand.New(rand.NewPCG(1, 1))
	var took, spent []time.Duration
	size := 0
	for b.Loop() {
		n := uint64(rng.IntN(million) + 1)
		start, cpu := time.Now(), cpuTime()
		index, found, err := tree.Index(b.Context(), eventlog.Position{Commit: n, Prepare: n})
		if err != nil || !found {
			b.Fatal(err)
		}
		r, err := tree.Receipt(b.Context(), index, p)
		if err != nil {
			b.Fatal(err)
		}
		size = len(r.Marshal())
		took, spent = append(took, time.Since(start)), append(spent, cpuTime()-cpu)
	}
	slices.Sort(took)
	slices.Sort(spent)
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
	// On a machine others use too, the wall's tail is theirs.
	b.ReportMetric(float64(spent[len(spent)*99/100].Microseconds()), "p99-cpu-µs")
	b.ReportMetric(float64(size), "receipt-bytes")
}

// BenchmarkAudit measures the audit of an export of a million leaves beside hashing the same leaves and nothing else, once
// on one processor and once on all.
func BenchmarkAudit(b *testing.B) {
	tree := millionTree(b)
	dir := b.TempDir()
	if err := treestore.Export(b.Context(), tree, dir, nil); err != nil {
		b.Fatal(err)
	}
	var leaves [][]byte
	for _, id := range transparency.BundlesOf(million) {
		raw, err := os.ReadFile(filepath.Join(dir, id.Path()))
		if err != nil {
			b.Fatal(err)
		}
		entries, err := transparency.SplitEntries(raw)
		if err != nil {
			b.Fatal(err)
		}
		leaves = append(leaves, entries...)
	}
	bytes := 0
	for _, l := range leaves {
		bytes += len(l)
	}
	p := witnessedPolicy(b, "")
	for b.Loop() {
		watch := startWatch()
		for _, l := range leaves {
			sha256.Sum256(l)
		}
		bare, bareCPU := watch.lap(million)
		watch = startWatch()
		if _, err := audit(dir, transparency.AuditOptions{Policy: p}); err != nil {
			b.Fatal(err)
		}
		took, tookCPU := watch.lap(million)
		rate := func(d time.Duration) float64 { return million / d.Seconds() }
		b.ReportMetric(float64(bytes)/bare.Seconds()/1e6, "bare-MB/s")
		b.ReportMetric(rate(bare), "bare-leaves/s")
		b.ReportMetric(rate(took), "audited-leaves/s")
		b.ReportMetric(100*rate(took)/rate(bare), "audit-%-of-bare")
		b.ReportMetric(bareCPU, "bare-cpu-µs/leaf")
		b.ReportMetric(tookCPU, "audit-cpu-µs/leaf")
	}
}
