package esdbtest_test

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

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

// TestPingsOfAnIdleClient proves that the server bears what clients do: they ping every ten seconds, also without a call
// under way. A server of grpc-go with its own settings sends such a client away at the third ping that it counts as one
// too many, within half a minute; here two are spent at once, and the next comes after the client's own interval.
func TestPingsOfAnIdleClient(t *testing.T) {
	t.Parallel()
	server, err := esdbtest.Start(esdbtest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	conn, err := net.Dial("tcp", server.Address())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	deadline := func(d time.Duration) {
		t.Helper()
		if err := conn.SetReadDeadline(time.Now().Add(d)); err != nil {
			t.Fatal(err)
		}
	}
	deadline(time.Minute)
	const settings, ping, goAway, ack = 4, 6, 7, 1 // RFC 9113, 6.5, 6.7 and 6.8
	write := func(frame ...byte) {
		t.Helper()
		if _, err := conn.Write(frame); err != nil {
			t.Fatal(err)
		}
	}
	write(append([]byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), 0, 0, 0, settings, 0, 0, 0, 0, 0)...)
	for n := range byte(4) {
		if n == 3 { // nothing comes for as long as clients wait from ping to ping
			deadline(10 * time.Second)
			if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Fatalf("between two pings: %v", err)
			}
			deadline(time.Minute)
		}
		write(0, 0, 8, ping, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, n)
		for {
			head := make([]byte, 9)
			if _, err := io.ReadFull(conn, head); err != nil {
				t.Fatalf("ping %d: %v", n+1, err)
			}
			body := make([]byte, binary.BigEndian.Uint32(head)>>8)
			if _, err := io.ReadFull(conn, body); err != nil {
				t.Fatalf("ping %d: %v", n+1, err)
			}
			if head[3] == goAway {
				t.Fatalf("ping %d: sent away: %q", n+1, body)
			}
			if head[3] == ping && head[4] == ack && body[7] == n {
				break
			}
		}
	}
}
