package api

import (
	"context"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics of the transport. Their names are part of what operators rely on: see docs.
type metrics struct {
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	panics   prometheus.Counter
	repeats  prometheus.Counter
	feeds    prometheus.Gauge
}

func newMetrics(registry *prometheus.Registry, views Views) metrics {
	m := metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "answerable_http_requests_total", Help: "Requests answered, by route and status."}, []string{"route", "status"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "answerable_http_request_seconds", Help: "From the first byte read to the answer written.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}}, []string{"route"}),
		panics:  prometheus.NewCounter(prometheus.CounterOpts{Name: "answerable_http_panics_total", Help: "Handlers that panicked."}),
		repeats: prometheus.NewCounter(prometheus.CounterOpts{Name: "answerable_http_repeats_total", Help: "Requests that repeated one answered before."}),
		feeds:   prometheus.NewGauge(prometheus.GaugeOpts{Name: "answerable_http_feeds", Help: "Readers of the feed of events."}),
	}
	behind := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "answerable_http_views_lag_seconds", Help: "Age of the oldest event the views have not applied; -1 when it cannot be told."}, func() float64 {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		lag, err := views.Lag(ctx)
		if err != nil {
			return -1
		}
		return lag.Seconds
	})
	registry.MustRegister(m.requests, m.seconds, m.panics, m.repeats, m.feeds, behind)
	return m
}

// routeMetrics are one route's own counters, looked up once: the look-up by label costs more than the count.
type routeMetrics struct {
	seconds  prometheus.Observer
	requests func(status int) prometheus.Counter
}

func (m metrics) of(route string) routeMetrics {
	var known sync.Map // status to its counter
	return routeMetrics{seconds: m.seconds.WithLabelValues(route), requests: func(status int) prometheus.Counter {
		if c, ok := known.Load(status); ok {
			return c.(prometheus.Counter)
		}
		c := m.requests.WithLabelValues(route, strconv.Itoa(status))
		known.Store(status, c)
		return c
	}}
}

func (m routeMetrics) observe(status int, took time.Duration) {
	m.requests(status).Inc()
	m.seconds.Observe(took.Seconds())
}
