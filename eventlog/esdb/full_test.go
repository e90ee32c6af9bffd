package esdb_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/answerable-ledger/answerable/eventlog"
	"github.com/answerable-ledger/answerable/eventlog/esdb"
	"github.com/answerable-ledger/answerable/eventlog/esdb/esdbtest"
	"github.com/answerable-ledger/answerable/eventlog/eventlogtest"
)

// TestServersDiskIsFull: the server ends, and ends again when it is started, until there is room. Given writers under way,
// then each append is acknowledged or told to be unknown with the cause and the remedy; nothing acknowledged is lost, and
// what was unknown is stored once when it is sent again.
func TestServersDiskIsFull(t *testing.T) {
	t.Parallel()
	const writers, before = 8, 3
	server := startServer(t, esdbtest.Options{})
	var once sync.Once
	noticed := make(chan struct{})
	log := openLog(t, esdb.Options{URL: server.URL(), Logf: func(format string, _ ...any) {
		if strings.Contains(format, "cannot be reached") {
			once.Do(func() { close(noticed) })
		}
	}})
	followed := follow(t, log, eventlog.Position{}, "unit-")

	type written struct {
		acknowledged uint64 // events of its stream
		err          error  // of the next
	}
	var all [writers]written
	var some, running sync.WaitGroup
	some.Add(writers)
	ctx, giveUp := context.WithCancel(within(t, long))
	for i := range all {
		running.Go(func() {
			w := &all[i]
			for n := uint64(0); ; n++ {
				if _, w.err = log.Append(ctx, fmt.Sprintf("unit-%d", i), eventlog.After(n), eventlogtest.Events(fmt.Sprint(i, n))); w.err != nil {
					return
				}
				if w.acknowledged = n + 1; w.acknowledged == before {
					some.Done()
				}
			}
		})
	}
	seen := map[string]uint64{}
	see := func(n uint64) {
		t.Helper()
		for sum := uint64(0); sum < n; sum++ {
			var e eventlog.Recorded
			select {
			case e = <-followed.events:
			case err := <-followed.ended:
				t.Fatalf("the follower ended after %d of %d: %v", sum, n, err)
			}
			if e.Revision != seen[e.Stream] {
				t.Fatalf("%s@%d came when %d was next", e.Stream, e.Revision, seen[e.Stream])
			}
			seen[e.Stream]++
		}
	}
	see(writers * before)
	some.Wait()
	server.DiskFull(true)
	<-noticed
	if err := server.Restart(); err == nil || !strings.Contains(err.Error(), "No space left on device") {
		t.Fatalf("it is full and was started: %v", err)
	}
	giveUp()
	running.Wait()

	missing := uint64(0)
	for i, w := range all {
		for _, named := range []string{"full disk", "make room"} {
			if !errors.Is(w.err, eventlog.ErrOutcomeUnknown) && !errors.Is(w.err, eventlog.ErrUnavailable) || !strings.Contains(w.err.Error(), named) {
				t.Errorf("writer %d: %v", i, w.err)
			}
		}
		missing += w.acknowledged
	}
	server.DiskFull(false)
	if err := server.Restart(); err != nil {
		t.Fatal(err)
	}
	if err := log.Ping(within(t, long)); err != nil {
		t.Fatal(err)
	}
	for i, w := range all {
		stream := fmt.Sprintf("unit-%d", i)
		mustAppend(t, log, stream, w.acknowledged, fmt.Sprint(i, w.acknowledged))
		events, err := eventlogtest.ReadAll(within(t, long), log, stream, 0)
		if err != nil || uint64(len(events)) != w.acknowledged+1 {
			t.Errorf("%s: %d events, %d were acknowledged and one sent again: %v", stream, len(events), w.acknowledged, err)
		}
	}
	see(missing + writers - writers*before)
}
