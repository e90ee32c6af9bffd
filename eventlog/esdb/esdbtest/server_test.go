package esdbtest_test

import (
	"testing"

	client "github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"

	"github.com/answerable-ledger/answerable/eventlog/esdb/esdbtest"
)

// TestCheckpointBeyondEndLosesAnEvent proves that the fault is the one of KurrentDB issue 4970: whoever resumes from
// the checkpoint never sees the next event.
func TestCheckpointBeyondEndLosesAnEvent(t *testing.T) {
	t.Parallel()
	for _, faulty := range []bool{false, true} {
		server, err := esdbtest.Start(esdbtest.Options{SystemEventEvery: -1})
		if err != nil {
			t.Fatal(err)
		}
		defer server.Close()
		server.CheckpointBeyondEnd(faulty)
		config, err := client.ParseConnectionString(server.URL())
		if err != nil {
			t.Fatal(err)
		}
		config.Logger = client.NoopLogging()
		c, err := client.NewClient(config)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		put := func() {
			t.Helper()
			if _, err := c.AppendToStream(t.Context(), "unit-1", client.AppendToStreamOptions{ExpectedRevision: client.Any{}}, client.EventData{EventID: uuid.New(), EventType: "Tested"}); err != nil {
				t.Fatal(err)
			}
		}
		// until follows from a position to the end and returns the last checkpoint and the number of events.
		until := func(from client.AllPosition) (checkpoint client.Position, events int) {
			t.Helper()
			s, err := c.SubscribeToAll(t.Context(), client.SubscribeToAllOptions{From: from, Filter: &client.SubscriptionFilter{Type: client.StreamFilterType, Prefixes: []string{"unit-"}}})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			for {
				switch e := s.Recv(); {
				case e.CheckPointReached != nil:
					checkpoint = *e.CheckPointReached
				case e.EventAppeared != nil:
					events++
				case e.CaughtUp != nil:
					return checkpoint, events
				case e.SubscriptionDropped != nil:
					t.Fatal(e.SubscriptionDropped.Error)
				}
			}
		}
		put()
		checkpoint, before := until(client.Start{})
		put()
		_, after := until(checkpoint)
		if want := map[bool]int{false: 1, true: 0}[faulty]; before != 1 || after != want {
			t.Errorf("fault %v: %d events before the checkpoint, %d after it, want 1 and %d", faulty, before, after, want)
		}
	}
}
