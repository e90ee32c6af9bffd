package bench

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/answerable-ledger/answerable/eventlog"
	"github.com/answerable-ledger/answerable/eventlog/sqlite"
)

// Append compares the log with a loop that does nothing but write and sync the same bytes, groups like the log's
// included.
type Append struct {
	Callers       int     `json:"callers"`
	PerSecond     float64 `json:"per_second"`
	BarePerSecond float64 `json:"bare_per_second"`
	Share         float64 `json:"share"`
	WantedPercent int     `json:"wanted_percent"`
	P99ms         float64 `json:"p99_ms"`
	BareP99ms     float64 `json:"bare_p99_ms"`
}

func (r *run) appends(dir string) ([]Append, error) {
	var out []Append
	data, meta := reportBytes()
	for _, callers := range []struct{ n, wanted int }{{1, 70}, {16, 40}, {256, 15}} {
		var rates, bares, shares []float64
		var slow, bareSlow []time.Duration
		for round := range r.Rounds {
			path := filepath.Join(dir, fmt.Sprintf("append-%d-%d", callers.n, round))
			bare, took, err := r.bareAppends(path+".bare", callers.n, len(data)+len(meta)+120)
			if err != nil {
				return nil, err
			}
			bareSlow = append(bareSlow, quantile(took, 0.99))
			log, err := sqlite.Open(path+".db", sqlite.Options{})
			if err != nil {
				return nil, err
			}
			rate, took, err := callFor(callers.n, r.During, func(i int64) error {
				id := uuid.NewSHA1(uuid.NameSpaceURL, fmt.Append(nil, i))
				_, err := log.Append(r.ctx, fmt.Sprintf("report-bluezone.commune.%07d.20210208", i), eventlog.NoStream,
					[]eventlog.Proposed{{ID: id, Kind: "ReportSubmitted", Data: data, Meta: meta}})
				return err
			})
			if cerr := log.Close(); err == nil {
				err = cerr
			}
			if err != nil {
				return nil, err
			}
			slow = append(slow, quantile(took, 0.99))
			rates, bares, shares = append(rates, rate), append(bares, bare), append(shares, rate/bare)
			for _, suffix := range []string{".bare", ".db", ".db-wal", ".db-shm"} {
				os.Remove(path + suffix)
			}
		}
		out = append(out, Append{Callers: callers.n, PerSecond: median(rates), BarePerSecond: median(bares), Share: median(shares),
			WantedPercent: callers.wanted, P99ms: ms(quantile(slow, 0.5)), BareP99ms: ms(quantile(bareSlow, 0.5))})
	}
	return out, nil
}

// reportBytes are as many bytes as a report has: some 760 of figures and note, 110 of circumstances beyond the ids.
func reportBytes() (data, meta []byte) {
	r := rand.New(rand.NewPCG(1, 2))
	data, meta = make([]byte, 760), make([]byte, 110)
	for i := range data {
		data[i] = ' ' + byte(r.IntN(94))
	}
	copy(meta, data[100:])
	return data, meta
}

// callFor calls f from n goroutines for a time; f gets a number that is used once.
func callFor(n int, during time.Duration, f func(i int64) error) (perSecond float64, took []time.Duration, err error) {
	var next atomic.Int64
	var mu sync.Mutex
	var wg sync.WaitGroup
	began := time.Now()
	for range n {
		wg.Go(func() {
			var mine []time.Duration
			for time.Since(began) < during {
				t := time.Now()
				if e := f(next.Add(1)); e != nil {
					mu.Lock()
					err = e
					mu.Unlock()
					return
				}
				mine = append(mine, time.Since(t))
			}
			mu.Lock()
			took = append(took, mine...)
			mu.Unlock()
		})
	}
	wg.Wait()
	return float64(len(took)) / time.Since(began).Seconds(), took, err
}

// bareAppends is the limit: one goroutine writes what has gathered with one write and one fdatasync, then answers.
func (r *run) bareAppends(path string, callers, size int) (perSecond float64, took []time.Duration, err error) {
	f, err := os.Create(path)
	if err != nil {
		return 0, nil, err
	}
	defer f.Close()
	queue := make(chan chan error, callers)
	bytes := make([]byte, size)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		var buf []byte
		var group []chan error
		for done := range queue {
			buf, group = append(buf[:0], bytes...), append(group[:0], done)
			for len(queue) > 0 {
				buf, group = append(buf, bytes...), append(group, <-queue)
			}
			_, err := f.Write(buf)
			if err == nil {
				err = datasync(f)
			}
			for _, done := range group {
				done <- err
			}
		}
	}()
	pool := sync.Pool{New: func() any { return make(chan error, 1) }}
	perSecond, took, err = callFor(callers, r.During, func(int64) error {
		done := pool.Get().(chan error)
		defer pool.Put(done)
		queue <- done
		return <-done
	})
	close(queue)
	<-ended
	return perSecond, slices.Clip(took), err
}
