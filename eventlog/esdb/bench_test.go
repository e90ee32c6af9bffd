package esdb_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	client "github.com/EventStore/EventStore-Client-Go/v4/esdb"

	"github.com/answerable-ledger/answerable/eventlog"
	"github.com/answerable-ledger/answerable/eventlog/esdb"
	"github.com/answerable-ledger/answerable/eventlog/esdb/esdbtest"
	"github.com/answerable-ledger/answerable/eventlog/eventlogtest"
)

// BenchmarkCatchUp reads a log of 20,000 events of about 700 bytes through Follow, through a bare subscription of the
// client with the same filter, and through the client's bare ReadAll, in turn, and reports events per second of each
// and what Follow reaches of the two. Server and client share the machine.
func BenchmarkCatchUp(b *testing.B) {
	const events, streams = 20_000, 100
	server := startServer(b, esdbtest.Options{})
	log := openLog(b, esdb.Options{URL: server.URL()})
	for s := range streams {
		batch := make([]eventlog.Proposed, events/streams)
		for i := range batch {
			batch[i] = eventlogtest.Event(fmt.Sprint(s, " ", i))
			batch[i].Data = []byte(`{"figures":"` + string(bytes.Repeat([]byte("0123456789"), 40)) + `"}`)
		}
		if _, err := log.Append(b.Context(), fmt.Sprint("unit-", s), eventlog.NoStream, batch); err != nil {
			b.Fatal(err)
		}
	}
	config, err := client.ParseConnectionString(server.URL())
	if err != nil {
		b.Fatal(err)
	}
	config.Logger = client.NoopLogging()
	bare, err := client.NewClient(config)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { bare.Close() })

	var follow, subscribe, read time.Duration
	timed := func(sum *time.Duration, count func() int) {
		start := time.Now()
		if n := count(); n < events {
			b.Fatalf("%d events", n)
		}
		*sum += time.Since(start)
	}
	rounds := 0
	for b.Loop() {
		rounds++
		timed(&follow, func() (n int) {
			for batch, err := range log.Follow(b.Context(), eventlog.Position{}, eventlog.Filter{Prefixes: []string{"unit-"}}, eventlog.FollowOptions{}) {
				if err != nil {
					b.Fatal(err)
				}
				if n += len(batch.Events); batch.CaughtUp {
					break
				}
			}
			return n
		})
		timed(&subscribe, func() (n int) {
			s, err := bare.SubscribeToAll(b.Context(), client.SubscribeToAllOptions{
				From: client.Start{}, Filter: &client.SubscriptionFilter{Type: client.StreamFilterType, Prefixes: []string{"unit-"}},
				MaxSearchWindow: 256, CheckpointInterval: 1,
			})
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			for {
				switch e := s.Recv(); {
				case e.EventAppeared != nil:
					n++
				case e.CaughtUp != nil:
					return n
				case e.SubscriptionDropped != nil:
					b.Fatal(e.SubscriptionDropped.Error)
				}
			}
		})
		timed(&read, func() (n int) {
			s, err := bare.ReadAll(context.Background(), client.ReadAllOptions{From: client.Start{}}, 10*events)
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			for {
				_, err := s.Recv()
				if errors.Is(err, io.EOF) {
					return n
				}
				if err != nil {
					b.Fatal(err)
				}
				n++
			}
		})
	}
	rate := func(d time.Duration) float64 { return float64(rounds*events) / d.Seconds() }
	b.ReportMetric(rate(follow), "follow_events/s")
	b.ReportMetric(rate(subscribe), "client_subscription_events/s")
	b.ReportMetric(rate(read), "client_read_events/s")
	b.ReportMetric(100*subscribe.Seconds()/follow.Seconds(), "%_of_subscription")
	b.ReportMetric(100*read.Seconds()/follow.Seconds(), "%_of_read")
	// In the words of bench/results.md.
	fmt.Printf("catch-up from the log server, %d events: %.0f/s of the client's bare %.0f/s = %.0f %% (wanted 60 %%), a bare subscription %.0f/s\n",
		events, rate(follow), rate(read), 100*read.Seconds()/follow.Seconds(), rate(subscribe))
}
