package esdb_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	client "github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/answerable-ledger/answerable/eventlog"
	"github.com/answerable-ledger/answerable/eventlog/esdb"
	"github.com/answerable-ledger/answerable/eventlog/esdb/esdbtest"
	"github.com/answerable-ledger/answerable/eventlog/eventlogtest"
)

// foreign is the client as another program would use it.
func foreign(t *testing.T, server *esdbtest.Server) *client.Client {
	t.Helper()
	config, err := client.ParseConnectionString(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	config.Logger = client.NoopLogging()
	c, err := client.NewClient(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func truncate(t *testing.T, c *client.Client, stream string, before uint64) {
	t.Helper()
	var m client.StreamMetadata
	m.SetTruncateBefore(before)
	if _, err := c.SetStreamMetadata(t.Context(), stream, client.AppendToStreamOptions{ExpectedRevision: client.Any{}}, m); err != nil {
		t.Fatal(err)
	}
}

func TestTruncatedStreamIsGone(t *testing.T) {
	t.Parallel()
	server := startServer(t, esdbtest.Options{})
	log := openLog(t, esdb.Options{URL: server.URL()})
	mustAppend(t, log, "unit-1", 0, "a", "b", "c")
	truncate(t, foreign(t, server), "unit-1", 2)
	if events, err := eventlogtest.ReadAll(within(t, long), log, "unit-1", 0); !errors.Is(err, eventlog.ErrGone) {
		t.Errorf("read %d events, %v", len(events), err)
	}
	if events, err := eventlogtest.ReadAll(within(t, long), log, "unit-1", 2); err != nil || len(events) != 1 {
		t.Errorf("read %d events from 2, %v", len(events), err)
	}
}

// A log from which something is hidden or gone is not whole, also while its server breaks off the search; metadata that take
// nothing away, and those of others' streams, are no fault.
func TestCheckWhole(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		given string
		do    func(t *testing.T, s *esdbtest.Server, c *client.Client)
		want  string // "": whole
	}{
		{"nothing", func(*testing.T, *esdbtest.Server, *client.Client) {}, ""},
		{"truncated", func(_ *testing.T, s *esdbtest.Server, _ *client.Client) { s.Truncate("unit-1", 2) }, "unit-1 is truncated before revision 2"},
		{"truncated and scavenged", func(_ *testing.T, s *esdbtest.Server, _ *client.Client) { s.Truncate("unit-1", 2); s.Scavenge() }, "unit-1 is truncated before revision 2"},
		{"truncated and taken back", func(_ *testing.T, s *esdbtest.Server, _ *client.Client) {
			s.Truncate("unit-1", 2)
			s.Truncate("unit-1", 0)
		}, ""},
		{"another's stream", func(_ *testing.T, s *esdbtest.Server, _ *client.Client) { s.Truncate("theirs", 2) }, ""},
		{"a limit of age", func(t *testing.T, s *esdbtest.Server, c *client.Client) {
			var m client.StreamMetadata
			m.SetMaxAge(time.Hour)
			if _, err := c.SetStreamMetadata(t.Context(), "unit-1", client.AppendToStreamOptions{ExpectedRevision: client.Any{}}, m); err != nil {
				t.Fatal(err)
			}
		}, "unit-1 keeps its newest events only"},
		{"deleted", func(t *testing.T, _ *esdbtest.Server, c *client.Client) {
			if _, err := c.DeleteStream(t.Context(), "unit-1", client.DeleteStreamOptions{ExpectedRevision: client.Any{}}); err != nil {
				t.Fatal(err)
			}
		}, "unit-1 is truncated"},
		{"deleted for ever", func(t *testing.T, _ *esdbtest.Server, c *client.Client) {
			if _, err := c.TombstoneStream(t.Context(), "unit-1", client.TombstoneStreamOptions{ExpectedRevision: client.Any{}}); err != nil {
				t.Fatal(err)
			}
		}, "unit-1 was deleted"},
		{"five", func(_ *testing.T, s *esdbtest.Server, _ *client.Client) {
			for i := range 5 {
				s.Truncate(fmt.Sprint("unit-", i), 1)
			}
		}, "unit-0 is truncated before revision 1, unit-1 is truncated before revision 1, unit-2 is truncated before revision 1, and 2 more"},
	} {
		t.Run(c.given, func(t *testing.T) {
			t.Parallel()
			server := startServer(t, esdbtest.Options{})
			log := openLog(t, esdb.Options{URL: server.URL()})
			mustAppend(t, log, "unit-1", 0, "a", "b", "c")
			c.do(t, server, foreign(t, server))
			mustAppend(t, log, "unit-9", 0, "a")
			server.DropAfterEvents(2)
			server.UnknownMessages(true)
			err := log.CheckWhole(within(t, long))
			if c.want == "" && err != nil || c.want != "" && (!errors.Is(err, eventlog.ErrGone) || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func TestDeletedStreamIsGone(t *testing.T) {
	t.Parallel()
	server := startServer(t, esdbtest.Options{})
	log := openLog(t, esdb.Options{URL: server.URL()})
	mustAppend(t, log, "unit-1", 0, "a", "b")
	mustAppend(t, log, "unit-2", 0, "c", "d")
	ctx := within(t, long)
	if _, err := foreign(t, server).TombstoneStream(ctx, "unit-1", client.TombstoneStreamOptions{ExpectedRevision: client.Any{}}); err != nil {
		t.Fatal(err)
	}
	if _, err := foreign(t, server).DeleteStream(ctx, "unit-2", client.DeleteStreamOptions{ExpectedRevision: client.Any{}}); err != nil {
		t.Fatal(err)
	}
	if _, err := eventlogtest.ReadAll(ctx, log, "unit-1", 0); !errors.Is(err, eventlog.ErrGone) {
		t.Errorf("read: %v", err)
	}
	if _, err := log.Append(ctx, "unit-1", eventlog.Exact(1), eventlogtest.Events("e")); !errors.Is(err, eventlog.ErrGone) {
		t.Errorf("append: %v", err)
	}
	if _, err := eventlogtest.FollowAll(ctx, log, eventlog.Position{}, eventlog.Filter{}, eventlog.FollowOptions{}); !errors.Is(err, eventlog.ErrGone) {
		t.Errorf("follow: %v", err)
	}
	// The server takes this as the new beginning of a stream whose numbers go on.
	if _, err := log.Append(ctx, "unit-2", eventlog.NoStream, eventlogtest.Events("f")); !errors.Is(err, eventlog.ErrGone) {
		t.Errorf("append to a stream that was deleted: %v", err)
	}
}

func TestForeignEvents(t *testing.T) {
	t.Parallel()
	created := time.Date(2021, 7, 9, 1, 2, 3, 456789_000, time.UTC)
	clock := func() time.Time { return created }
	server := startServer(t, esdbtest.Options{Clock: clock})
	log := openLog(t, esdb.Options{URL: server.URL(), Clock: clock})
	mustAppend(t, log, "unit-1", 0, "a")
	c, id := foreign(t, server), uuid.New()
	put := func(stream, kind string) {
		t.Helper()
		if _, err := c.AppendToStream(t.Context(), stream, client.AppendToStreamOptions{ExpectedRevision: client.Any{}},
			client.EventData{EventID: id, EventType: kind, Data: []byte("data"), Metadata: []byte(`{"x":1}`)}); err != nil {
			t.Fatal(err)
		}
	}
	put("unit-1", "Foreign")
	put("nodash", "Foreign") // not a name of ours
	put("unit-2", "$>")      // a link
	events := eventlogtest.CheckLog(t, log, gapped)
	if len(events) != 2 {
		t.Fatalf("followed %q", names(events))
	}
	want := eventlog.Recorded{
		Proposed: eventlog.Proposed{ID: id, Kind: "Foreign", Data: []byte("data"), Meta: []byte(`{"x":1}`)},
		Stream:   "unit-1", Revision: 1, Position: events[1].Position, RecordedAt: created,
	}
	if diff := cmp.Diff(want, events[1]); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if head, err := log.Head(within(t, long)); err != nil || head != events[1].Position {
		t.Errorf("head %s, %v; the newest event of the log lies at %s", head, err, events[1].Position)
	}
}

func TestWritersWithDifferentClocks(t *testing.T) {
	t.Parallel()
	server := startServer(t, esdbtest.Options{})
	noon := time.Date(2021, 7, 9, 12, 0, 0, 0, time.UTC)
	ahead := openLog(t, esdb.Options{URL: server.URL(), Clock: func() time.Time { return noon.Add(time.Hour) }})
	right := openLog(t, esdb.Options{URL: server.URL(), Clock: func() time.Time { return noon }})
	mustAppend(t, ahead, "unit-1", 0, "a")
	if got := mustAppend(t, right, "unit-1", 1, "b"); !got.RecordedAt.Equal(noon.Add(time.Hour)) {
		t.Errorf("recorded at %s, before the event before it", got.RecordedAt)
	}
	if got := mustAppend(t, right, "unit-2", 0, "a"); !got.RecordedAt.Equal(noon) {
		t.Errorf("recorded at %s: one wrong clock spread to another stream", got.RecordedAt)
	}
	eventlogtest.CheckLog(t, right, gapped)
}

func TestProtect(t *testing.T) {
	t.Parallel()
	server := startServer(t, esdbtest.Options{})
	c := foreign(t, server)
	before := `{"$userStreamAcl":{"$r":"$all","$w":"$all","$d":"$all","$mr":"$all","$mw":"$all"},"$systemStreamAcl":{"$r":"$admins"},"other":1}`
	if _, err := c.AppendToStream(t.Context(), "$settings", client.AppendToStreamOptions{ExpectedRevision: client.NoStream{}},
		client.EventData{EventID: uuid.New(), EventType: "$settings", ContentType: client.ContentTypeJson, Data: []byte(before)}); err != nil {
		t.Fatal(err)
	}
	log := openLog(t, esdb.Options{URL: server.URL()})
	for i, want := range []bool{true, false} {
		if changed, err := log.Protect(within(t, long), "ledger"); err != nil || changed != want {
			t.Errorf("run %d: changed %v, %v", i+1, changed, err)
		}
	}
	if _, err := log.Protect(within(t, long), ""); !errors.Is(err, eventlog.ErrInvalid) {
		t.Errorf("nobody: %v", err)
	}
	for stream, want := range map[string]string{
		"$settings": `{"$userStreamAcl":{"$r":["ledger"],"$w":["ledger"],"$d":[],"$mr":["ledger"],"$mw":[]},"$systemStreamAcl":{"$r":"$admins"},"other":1}`,
		"$$$all":    `{"$acl":{"$r":["ledger"]}}`,
	} {
		events, err := c.ReadStream(context.Background(), stream, client.ReadStreamOptions{Direction: client.Backwards, From: client.End{}}, 1)
		if err != nil {
			t.Fatal(err)
		}
		e, err := events.Recv()
		events.Close()
		if err != nil {
			t.Fatal(err)
		}
		var got, wanted any
		if json.Unmarshal(e.Event.Data, &got) != nil || json.Unmarshal([]byte(want), &wanted) != nil {
			t.Fatalf("%s: %s", stream, e.Event.Data)
		}
		if diff := cmp.Diff(wanted, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", stream, diff)
		}
	}
}
