package projections

import (
	"errors"
	"fmt"

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
