//go:build linux

package sqlite

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/answerable-ledger/answerable/eventlog"
)

// benchEvents makes events of about 990 bytes in all, as a report is: 760 of figures, 110 of circumstances, an id, a kind,
// and a stream name of 47. Each opens a stream of its own.
func benchEvents(n int) []benchEvent {
	r := rand.New(rand.NewPCG(1, 2))
	events := make([]benchEvent, n)
	data, meta := make([]byte, 760), make([]byte, 110)
	for i := range events {
		for j := range data {
			data[j] = ' ' + byte(r.IntN(94))
		}
		copy(meta, data[100:])
		events[i] = benchEvent{
			stream: fmt.Sprintf("report-binhduong-2021.smartphone.%06d.20210208", i),
			event: eventlog.Proposed{
				ID: uuid.NewSHA1(uuid.NameSpaceURL, []byte(fmt.Sprint(i))), Kind: "ReportSubmitted", Data: slices.Clone(data), Meta: slices.Clone(meta),
			},
		}
	}
	return events
}

type benchEvent struct {
	stream string
	event  eventlog.Proposed
}

func (e benchEvent) bytes() int {
	return len(e.stream) + len(e.event.Kind) + 16 + 3*8 + len(e.event.Data) + len(e.event.Meta)
}

// callers runs calls from several goroutines for the given time and answers with each call's latency.
func callers(n int, during time.Duration, call func(i int) error) (latencies []time.Duration, elapsed time.Duration, err error) {
	var next atomic.Int64
	var mu sync.Mutex
	var end sync.WaitGroup
	start := time.Now()
	for range n {
		end.Add(1)
		go func() {
			defer end.Done()
			var mine []time.Duration
			for time.Since(start) < during {
				began := time.Now()
				if e := call(int(next.Add(1) - 1)); e != nil {
					mu.Lock()
					err = e
					mu.Unlock()
					break
				}
				mine = append(mine, time.Since(began))
			}
			mu.Lock()
			latencies = append(latencies, mine...)
			mu.Unlock()
		}()
	}
	end.Wait()
	return latencies, time.Since(start), err
}

// bareLog is the limit: one goroutine that writes what has gathered with one write and one fdatasync.
type bareLog struct {
	f     *os.File
	queue chan bareCall
}

type bareCall struct {
	bytes []byte
	done  chan error
}

func newBareLog(path string) (*bareLog, error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	b := &bareLog{f, make(chan bareCall, maxGroupAppends)}
	go b.run()
	return b, nil
}

func (b *bareLog) run() {
	defer b.f.Close()
	var buf []byte
	var group []bareCall
	for c := range b.queue {
		buf, group = buf[:0], group[:0]
	gather:
		for {
			buf = append(buf, c.bytes...)
			group = append(group, c)
			select {
			case more, ok := <-b.queue:
				if !ok {
					break gather
				}
				c = more
			default:
				break gather
			}
		}
		_, err := b.f.Write(buf)
		if err == nil {
			err = syscall.Fdatasync(int(b.f.Fd()))
		}
		for _, c := range group {
			c.done <- err
		}
	}
}

func (b *bareLog) append(bytes []byte) error {
	c := bareCall{bytes, make(chan error, 1)}
	b.queue <- c
	return <-c.done
}

// BenchmarkAppend measures durable appends against a bare loop of the same bytes, in turns within the same run, as the
// machine's speed changes from second to second.
func BenchmarkAppend(b *testing.B) {
	events := benchEvents(20000)
	bytes := 0
	for _, e := range events {
		bytes += e.bytes()
	}
	record := make([]byte, bytes/len(events))
	for _, c := range []struct{ callers, followers int }{{1, 0}, {16, 0}, {256, 0}, {256, 2}} {
		n := c.callers
		b.Run(fmt.Sprintf("callers=%d/followers=%d", n, c.followers), func(b *testing.B) {
			dir := b.TempDir()
			l := openTest(b, filepath.Join(dir, "ledger.db"), Options{})
			bare, err := newBareLog(filepath.Join(dir, "bare"))
			if err != nil {
				b.Fatal(err)
			}
			defer close(bare.queue)
			for range c.followers {
				go func() {
					for range l.Follow(b.Context(), eventlog.Position{}, eventlog.Filter{}, eventlog.FollowOptions{}) {
					}
				}()
			}
			var rates, bareRates []float64
			var latencies, bareLatencies []time.Duration
			round := 0
			for b.Loop() {
				for range 4 {
					const during = 400 * time.Millisecond
					round++
					took, elapsed, err := callers(n, during, func(i int) error {
						e := events[i%len(events)]
						stream := fmt.Sprintf("%s.%d.%d", e.stream[:len(e.stream)-3], round, i/len(events))
						_, err := l.Append(context.Background(), stream, eventlog.NoStream, []eventlog.Proposed{e.event})
						return err
					})
					if err != nil {
						b.Fatal(err)
					}
					rates = append(rates, float64(len(took))/elapsed.Seconds())
					latencies = append(latencies, took...)
					took, elapsed, err = callers(n, during, func(int) error { return bare.append(record) })
					if err != nil {
						b.Fatal(err)
					}
					bareRates = append(bareRates, float64(len(took))/elapsed.Seconds())
					bareLatencies = append(bareLatencies, took...)
				}
			}
			rate, bareRate := median(rates), median(bareRates)
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(rate, "appends/s")
			b.ReportMetric(bareRate, "bare/s")
			b.ReportMetric(100*rate/bareRate, "%ofbare")
			b.ReportMetric(p99(latencies), "p99-ms")
			b.ReportMetric(p99(bareLatencies), "bare-p99-ms")
			if wal, err := os.Stat(filepath.Join(dir, "ledger.db-wal")); err == nil {
				b.ReportMetric(float64(wal.Size())/1e6, "wal-MB")
			}
			if s := l.Stats(); s.Groups > 0 {
				b.ReportMetric(float64(s.Appends)/float64(s.Groups), "appends/group")
			}
		})
	}
}

func median(x []float64) float64 {
	slices.Sort(x)
	return x[len(x)/2]
}

func p99(d []time.Duration) float64 {
	slices.Sort(d)
	return float64(d[len(d)*99/100]) / 1e6
}

// BenchmarkFollow measures reading a log in order against reading a file of as many bytes in 1 MB pieces.
// Set ANSWERABLE_BENCH_EVENTS for a longer log.
func BenchmarkFollow(b *testing.B) {
	n := 200000
	if s := os.Getenv("ANSWERABLE_BENCH_EVENTS"); s != "" {
		fmt.Sscan(s, &n)
	}
	dir := b.TempDir()
	path := filepath.Join(dir, "ledger.db")
	l := openTest(b, path, Options{})
	fill(b, l, n)
	began := time.Now()
	if err := l.Close(); err != nil {
		b.Fatal(err)
	}
	closed := time.Since(began)
	began = time.Now()
	l = openTest(b, path, Options{})
	opened := time.Since(began)
	info, err := os.Stat(path)
	if err != nil {
		b.Fatal(err)
	}
	var rates, bareRates []float64
	for b.Loop() {
		began := time.Now()
		count := 0
		for batch, err := range l.Follow(context.Background(), eventlog.Position{}, eventlog.Filter{}, eventlog.FollowOptions{}) {
			if err != nil {
				b.Fatal(err)
			}
			if count += len(batch.Events); batch.CaughtUp {
				break
			}
		}
		if count != n {
			b.Fatalf("%d events, want %d", count, n)
		}
		rates = append(rates, float64(n)/time.Since(began).Seconds())
		began = time.Now()
		if err := readBare(path); err != nil {
			b.Fatal(err)
		}
		bareRates = append(bareRates, float64(n)/time.Since(began).Seconds())
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(median(rates), "events/s")
	b.ReportMetric(median(bareRates), "bare/s")
	b.ReportMetric(float64(info.Size())/float64(n), "B/event")
	b.ReportMetric(float64(opened)/1e6, "open-ms")
	b.ReportMetric(float64(closed)/1e6, "close-ms")
}

// fill appends n events from many callers.
func fill(b *testing.B, l *Log, n int) {
	events := benchEvents(1000)
	const workers = 8
	var end sync.WaitGroup
	for w := range workers {
		end.Add(1)
		go func() {
			defer end.Done()
			for i := w; i < n; i += workers * 10 {
				var batch []eventlog.Proposed
				for j := i; j < n && j < i+workers*10; j += workers {
					e := events[j%len(events)].event
					e.ID = uuid.NewSHA1(uuid.NameSpaceURL, fmt.Append(nil, j))
					batch = append(batch, e)
				}
				// Ten of one caller share a stream, to have the log filled before the reader loses patience.
				stream := fmt.Sprintf("report-binhduong-2021.smartphone.%09d.20210208", i)
				if _, err := l.Append(context.Background(), stream, eventlog.NoStream, batch); err != nil {
					b.Error(err)
					return
				}
			}
		}()
	}
	end.Wait()
}

func readBare(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	buf := make([]byte, 1<<20)
	for {
		if _, err := f.Read(buf); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// BenchmarkReadStream measures what a command pays before it decides: to find nothing new, and to read a stream of six.
func BenchmarkReadStream(b *testing.B) {
	l := openTest(b, filepath.Join(b.TempDir(), "ledger.db"), Options{})
	const streams, each = 5000, 6
	events := benchEvents(streams * each)
	for i := range streams {
		var six []eventlog.Proposed
		for _, e := range events[i*each:][:each] {
			six = append(six, e.event)
		}
		if _, err := l.Append(context.Background(), events[i].stream, eventlog.NoStream, six); err != nil {
			b.Fatal(err)
		}
	}
	for from, name := range map[uint64]string{each: "nothing new", each - 1: "one new", 0: "six"} {
		b.Run(name, func(b *testing.B) {
			i := 0
			for b.Loop() {
				i++
				for _, err := range l.ReadStream(context.Background(), events[i%streams].stream, from) {
					if err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}
