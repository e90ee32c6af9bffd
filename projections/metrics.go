package projections

import (
	"errors"
	"fmt"
	"math/bits"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// meters are the numbers an operator watches. The zero value measures nothing.
type meters struct {
	events, parked, lagEvents, lagSeconds, leading, refused prometheus.Gauge
}

func newMeters(r prometheus.Registerer) (*meters, error) {
	if r == nil {
		return &meters{}, nil
	}
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "answerable", Subsystem: "views", Name: name, Help: help})
	}
	m := &meters{
		events:     gauge("events_applied", "Events that the views hold or have parked."),
		parked:     gauge("parked_streams", "Streams with an event that could not be applied. Their units are not determinable."),
		lagEvents:  gauge("lag_events", "Events recorded and not applied; -1 where the log does not count them."),
		lagSeconds: gauge("lag_seconds", "Age of the oldest event not applied."),
		refused:    gauge("rebuild_refused", "1 while a rebuild waits for somebody to look: it would change what no change declares, or met an event that cannot be applied."),
		leading:    gauge("leading", "1 while this process applies events, 0 while another does."),
	}
	for _, c := range []*prometheus.Gauge{&m.events, &m.parked, &m.lagEvents, &m.lagSeconds, &m.leading, &m.refused} {
		if err := r.Register(*c); err != nil {
			var before prometheus.AlreadyRegisteredError
			if !errors.As(err, &before) {
				return nil, fmt.Errorf("projections: metrics: %w", err)
			}
			if g, ok := before.ExistingCollector.(prometheus.Gauge); ok {
				*c = g
			}
		}
	}
	return m, nil
}

func (m *meters) moved(p position) {
	if m.events != nil {
		m.events.Set(float64(p.events))
	}
}

func (m *meters) lag(l Lag) {
	if m.events != nil {
		m.lagEvents.Set(float64(l.Events))
		m.lagSeconds.Set(l.Seconds)
		m.parked.Set(float64(l.Parked))
	}
}

func (m *meters) lead(is bool) {
	switch {
	case m.leading == nil:
	case is:
		m.leading.Set(1)
	default:
		m.leading.Set(0)
	}
}

func (m *meters) parkedStreams(n int) {
	if m.parked != nil {
		m.parked.Set(float64(n))
	}
}

func (m *meters) rebuildRefused(is bool) {
	switch {
	case m.refused == nil:
	case is:
		m.refused.Set(1)
	default:
		m.refused.Set(0)
	}
}

// readTimes are how long the questions of the last second took, in quarters of it.
type readTimes struct {
	mu       sync.Mutex
	quarters [4]quarter
}

// quarter counts reads by the power of two of their microseconds.
type quarter struct {
	n     int64 // of quarters of a second since 1970
	count [32]int
}

const (
	quarterSecond = 250 * time.Millisecond
	// fewReads say nothing about a hundredth. Chosen.
	fewReads = 10
)

// took begins to measure a question; the function it gives is called at its end.
func (r *readTimes) took() func() {
	started := time.Now()
	return func() {
		now := time.Now()
		class := min(bits.Len64(uint64(now.Sub(started).Microseconds())), 31)
		r.mu.Lock()
		defer r.mu.Unlock()
		n := now.UnixNano() / int64(quarterSecond)
		q := &r.quarters[n%4]
		if q.n != n {
			*q = quarter{n: n}
		}
		q.count[class]++
	}
}

// slowest is below how long 99 of 100 questions of the last second took, within a factor of two; 0 while there were few.
func (r *readTimes) slowest() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := time.Now().UnixNano() / int64(quarterSecond)
	var count [32]int
	all := 0
	for _, q := range r.quarters {
		if n-q.n < 4 {
			for i, c := range q.count {
				count[i] += c
				all += c
			}
		}
	}
	if all < fewReads {
		return 0
	}
	above := 0
	for i := len(count) - 1; i > 0; i-- {
		if above += count[i]; above*100 > all {
			return time.Duration(1<<(i-1)) * time.Microsecond
		}
	}
	return 0
}
