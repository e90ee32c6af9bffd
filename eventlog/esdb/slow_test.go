package esdb_test

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/answerable-ledger/answerable/eventlog"
	"github.com/answerable-ledger/answerable/eventlog/esdb"
	"github.com/answerable-ledger/answerable/eventlog/esdb/esdbtest"
	"github.com/answerable-ledger/answerable/eventlog/eventlogtest"
)

// A consumer that stands still while far more is recorded than a connection holds, and while that connection is cut, holds
// nobody else back, and then gets everything once, in order.
func TestASlowConsumer(t *testing.T) {
	t.Parallel()
	const batches, each = 40, 50
	server := startServer(t, esdbtest.Options{})
	slow, writer := openLog(t, esdb.Options{URL: server.URL()}), openLog(t, esdb.Options{URL: server.URL()})
	mustAppend(t, writer, "unit-0", 0, "first")
	quick := follow(t, writer, eventlog.Position{})
	quick.want(t, "unit-0@0")

	want, got := []string{"unit-0@0"}, []string{}
	for batch, err := range slow.Follow(within(t, long), eventlog.Position{}, eventlog.Filter{}, eventlog.FollowOptions{}) {
		if err != nil {
			t.Fatal(err)
		}
		first := len(got) == 0 && len(batch.Events) > 0
		if got = append(got, names(batch.Events)...); len(got) >= 1+batches*each {
			break
		}
		if !first {
			continue
		}
		for b := range batches {
			stream := fmt.Sprint("unit-", b+1)
			events := make([]eventlog.Proposed, each)
			for i := range events {
				events[i] = eventlogtest.Event(fmt.Sprint(b, " ", i))
				events[i].Data = []byte(`{"text":"` + string(bytes.Repeat([]byte("0123456789"), 400)) + `"}`)
				want = append(want, fmt.Sprintf("%s@%d", stream, i))
			}
			if _, err := writer.Append(within(t, long), stream, eventlog.NoStream, events); err != nil {
				t.Fatal(err)
			}
			if b == batches/2 {
				server.CutConnections()
			}
		}
		quick.want(t, want[1:]...)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("followed (-want +got):\n%s", d)
	}
}
