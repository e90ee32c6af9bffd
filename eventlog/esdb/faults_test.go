package esdb_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/answerable-ledger/answerable/eventlog"
	"github.com/answerable-ledger/answerable/eventlog/esdb"
	"github.com/answerable-ledger/answerable/eventlog/esdb/esdbtest"
	"github.com/answerable-ledger/answerable/eventlog/eventlogtest"
)

// soon is a deadline that is meant to pass; long bounds a test that hangs and is never reached.
const (
	soon = 100 * time.Millisecond
	long = time.Minute
)

func within(t testing.TB, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func mustAppend(t testing.TB, log eventlog.Log, stream string, after uint64, names ...string) eventlog.Appended {
	t.Helper()
	done, err := log.Append(within(t, long), stream, eventlog.After(after), eventlogtest.Events(names...))
	if err != nil {
		t.Fatal(err)
	}
	return done
}

func names(events []eventlog.Recorded) []string {
	out := []string{}
	for _, e := range events {
		out = append(out, e.Stream+"@"+fmt.Sprint(e.Revision))
	}
	return out
}

func TestAppendStoredButNotAnswered(t *testing.T) {
	t.Parallel()
	server := startServer(t, esdbtest.Options{})
	log := openLog(t, esdb.Options{URL: server.URL()})
	server.CutAfterCommit(1)
	done := mustAppend(t, log, "unit-1", 0, "a", "b")
	if done.Repeat || !done.PositionKnown || done.Last != 1 {
		t.Errorf("got %+v; this call stored the events, though at its first attempt and answered at its second", done)
	}
	if events, err := eventlogtest.ReadAll(within(t, long), log, "unit-1", 0); err != nil || len(events) != 2 {
		t.Errorf("%d events, %v", len(events), err)
	}
}

func TestAppendNeverAnswered(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		given  string
		hold   string
		stored bool
	}{
		{"the call waits before it is stored", "Append", false},
		{"the call is stored and waits", "Commit", true},
	} {
		t.Run(c.given, func(t *testing.T) {
			t.Parallel()
			server := startServer(t, esdbtest.Options{})
			log := openLog(t, esdb.Options{URL: server.URL()})
			hold := server.Hold(c.hold)
			_, err := log.Append(within(t, soon), "unit-1", eventlog.NoStream, eventlogtest.Events("a"))
			if !errors.Is(err, eventlog.ErrOutcomeUnknown) || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v, want the outcome to be unknown", err)
			}
			<-hold.Entered()
			hold.Release()
			again := mustAppend(t, log, "unit-1", 0, "a")
			if c.stored && !again.Repeat { // the other may still have been stored when the hold ended
				t.Errorf("the repeat: %+v", again)
			}
			if events, err := eventlogtest.ReadAll(within(t, long), log, "unit-1", 0); err != nil || len(events) != 1 {
				t.Errorf("%d events, %v", len(events), err)
			}
		})
	}
}

func TestSlowAttemptIsRepeatedWithinTheDeadline(t *testing.T) {
	t.Parallel()
	server := startServer(t, esdbtest.Options{})
	log := openLog(t, esdb.Options{URL: server.URL(), AttemptTimeout: soon})
	hold := server.Hold("Commit")
	go func() { // the first is stored and waits; its repetition is a repeat and is answered
		<-hold.Entered()
	}()
	done := mustAppend(t, log, "unit-1", 0, "a")
	hold.Release()
	if done.Repeat {
		t.Errorf("got %+v", done)
	}
}

func TestServerAbsentAtTheStart(t *testing.T) {
	t.Parallel()
	server := startServer(t, esdbtest.Options{})
	server.Stop()
	log := openLog(t, esdb.Options{URL: server.URL(), Patience: time.Nanosecond})
	if _, err := log.Append(within(t, long), "unit-1", eventlog.NoStream, eventlogtest.Events("a")); !errors.Is(err, eventlog.ErrUnavailable) || errors.Is(err, eventlog.ErrOutcomeUnknown) {
		t.Errorf("append: %v", err)
	}
	if _, err := log.Head(within(t, long)); !errors.Is(err, eventlog.ErrUnavailable) {
		t.Errorf("head: %v", err)
	}
	if _, err := eventlogtest.ReadAll(within(t, long), log, "unit-1", 0); !errors.Is(err, eventlog.ErrUnavailable) {
		t.Errorf("read: %v", err)
	}
	if err := log.Ping(within(t, soon)); !errors.Is(err, eventlog.ErrUnavailable) {
		t.Errorf("ping: %v", err)
	}
	if err := server.Restart(); err != nil {
		t.Fatal(err)
	}
	if err := log.Ping(within(t, long)); err != nil {
		t.Fatal(err)
	}
	mustAppend(t, log, "unit-1", 0, "a")
}

// TestServerAwayForLongerThanTheClientsAttempts: the client's state machine ends for good meanwhile.
func TestServerAwayForLongerThanTheClientsAttempts(t *testing.T) {
	t.Parallel()
	server := startServer(t, esdbtest.Options{})
	var mu sync.Mutex
	failures := 0
	enough := make(chan struct{})
	log := openLog(t, esdb.Options{URL: server.URL() + "&discoveryInterval=1", Logf: func(format string, args ...any) {
		mu.Lock()
		defer mu.Unlock()
		if strings.Contains(format, "cannot be reached") {
			if failures++; failures == 1 {
				close(enough) // a discovery, the client's whole life, has failed
			}
		}
	}})
	mustAppend(t, log, "unit-1", 0, "a")
	followed := follow(t, log, eventlog.Position{})
	followed.want(t, "unit-1@0")

	server.Stop()
	if _, err := log.Append(within(t, soon), "unit-1", eventlog.Exact(0), eventlogtest.Events("b")); !errors.Is(err, eventlog.ErrUnavailable) && !errors.Is(err, eventlog.ErrOutcomeUnknown) {
		t.Errorf("append while it is away: %v", err)
	}
	<-enough
	if err := server.Restart(); err != nil {
		t.Fatal(err)
	}
	if err := log.Ping(within(t, long)); err != nil {
		t.Fatal(err)
	}
	mustAppend(t, log, "unit-1", 1, "b")
	followed.want(t, "unit-1@1")
}

// TestManyCallersWhileNothingAnswers: the port takes connections and says nothing, which is where the client leaves
// its callers hanging for ever.
func TestManyCallersWhileNothingAnswers(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { silent.Close() })
	go func() {
		for {
			conn, err := silent.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { conn.Close() })
		}
	}()
	log, err := esdb.Open(within(t, soon), esdb.Options{URL: "esdb://" + silent.Addr().String() + "?tls=false", AttemptTimeout: soon})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { log.Close() })
	var callers sync.WaitGroup
	for i := range 64 {
		callers.Go(func() {
			var err error
			switch i % 4 {
			case 0:
				_, err = log.Append(within(t, soon), "unit-1", eventlog.NoStream, eventlogtest.Events("a"))
			case 1:
				_, err = log.Head(within(t, soon))
			case 2:
				_, err = eventlogtest.ReadAll(within(t, soon), log, "unit-1", 0)
			case 3:
				_, err = eventlogtest.FollowAll(within(t, soon), log, eventlog.Position{}, eventlog.Filter{}, eventlog.FollowOptions{})
			}
			if !errors.Is(err, eventlog.ErrUnavailable) && !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("caller %d: %v", i, err)
			}
		})
	}
	callers.Wait()
}

// TestCallersWhileARunningServerFallsSilent: the connection stands and no call is answered any more.
func TestCallersWhileARunningServerFallsSilent(t *testing.T) {
	t.Parallel()
	server := startServer(t, esdbtest.Options{})
	log := openLog(t, esdb.Options{URL: server.URL(), AttemptTimeout: soon, Patience: time.Nanosecond})
	mustAppend(t, log, "unit-1", 0, "a")
	reads, appends := server.Hold("Read"), server.Hold("Append")
	var callers sync.WaitGroup
	for i := range 32 {
		callers.Go(func() {
			if i%2 == 0 {
				_, err := eventlogtest.ReadAll(within(t, 3*soon), log, "unit-1", 0)
				if !errors.Is(err, eventlog.ErrUnavailable) {
					t.Errorf("read: %v", err)
				}
				return
			}
			_, err := log.Append(within(t, 3*soon), "unit-1", eventlog.Exact(0), eventlogtest.Events("b"))
			if !errors.Is(err, eventlog.ErrUnavailable) && !errors.Is(err, eventlog.ErrOutcomeUnknown) {
				t.Errorf("append: %v", err)
			}
		})
	}
	callers.Wait()
	reads.Release()
	appends.Release()
	if err := log.Ping(within(t, long)); err != nil {
		t.Fatal(err)
	}
	mustAppend(t, log, "unit-1", 1, "b")
}

// following is a follower in a goroutine.
type following struct {
	events <-chan eventlog.Recorded
	ended  <-chan error
}

func follow(t testing.TB, log eventlog.Log, after eventlog.Position, prefixes ...string) following {
	events, ended := make(chan eventlog.Recorded), make(chan error, 1)
	ctx := within(t, long)
	go func() {
		var last error
		for batch, err := range log.Follow(ctx, after, eventlog.Filter{Prefixes: prefixes}, eventlog.FollowOptions{BatchSize: 3}) {
			last = err
			for _, e := range batch.Events {
				select {
				case events <- e:
				case <-ctx.Done():
				}
			}
		}
		ended <- last
	}()
	return following{events, ended}
}

func (f following) want(t testing.TB, want ...string) {
	t.Helper()
	var got []eventlog.Recorded
	for range want {
		select {
		case e := <-f.events:
			got = append(got, e)
		case err := <-f.ended:
			t.Fatalf("the follower ended after %q: %v", names(got), err)
		}
	}
	if diff := cmp.Diff(want, names(got)); diff != "" {
		t.Fatalf("followed (-want +got):\n%s", diff)
	}
}

func TestFollowThroughEveryBreak(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		given string
		fault func(*testing.T, *esdbtest.Server)
	}{
		{"connections cut", func(t *testing.T, s *esdbtest.Server) { s.CutConnections() }},
		{"GOAWAY", func(t *testing.T, s *esdbtest.Server) {
			if err := s.GoAway(); err != nil {
				t.Error(err)
			}
		}},
		{"too many pings", func(t *testing.T, s *esdbtest.Server) { s.TooManyPings() }},
		{"stop and restart", func(t *testing.T, s *esdbtest.Server) {
			s.Stop()
			if err := s.Restart(); err != nil {
				t.Error(err)
			}
		}},
		{"dropped in the middle of a batch", func(t *testing.T, s *esdbtest.Server) { s.DropAfterEvents(2); s.CutConnections() }},
		{"too busy", func(t *testing.T, s *esdbtest.Server) { s.Busy(3); s.CutConnections() }},
		{"checkpoint beyond the end", func(t *testing.T, s *esdbtest.Server) { s.CheckpointBeyondEnd(true); s.CutConnections() }},
		{"messages of a later server", func(t *testing.T, s *esdbtest.Server) { s.UnknownMessages(true); s.CutConnections() }},
	} {
		t.Run(c.given, func(t *testing.T) {
			t.Parallel()
			server := startServer(t, esdbtest.Options{})
			log := openLog(t, esdb.Options{URL: server.URL()})
			writer := openLog(t, esdb.Options{URL: server.URL()})
			all, some := follow(t, log, eventlog.Position{}), follow(t, log, eventlog.Position{}, "unit-")
			var want, wantSome []string
			for round := range uint64(3) {
				for i := range uint64(7) {
					mustAppend(t, writer, "unit-1", round*7+i, fmt.Sprint(round, i))
					mustAppend(t, writer, "other-1", round*7+i, fmt.Sprint(round, i))
					want = append(want, fmt.Sprint("unit-1@", round*7+i), fmt.Sprint("other-1@", round*7+i))
					wantSome = append(wantSome, fmt.Sprint("unit-1@", round*7+i))
				}
				all.want(t, want...)
				some.want(t, wantSome...)
				want, wantSome = nil, nil
				c.fault(t, server)
			}
		})
	}
}

func TestAppendThroughEveryBreak(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		given string
		fault func(*testing.T, *esdbtest.Server)
	}{
		{"connections cut", func(t *testing.T, s *esdbtest.Server) { s.CutConnections() }},
		{"GOAWAY", func(t *testing.T, s *esdbtest.Server) {
			if err := s.GoAway(); err != nil {
				t.Error(err)
			}
		}},
		{"too many pings", func(t *testing.T, s *esdbtest.Server) { s.TooManyPings() }},
		{"stop and restart", func(t *testing.T, s *esdbtest.Server) {
			s.Stop()
			if err := s.Restart(); err != nil {
				t.Error(err)
			}
		}},
		{"too busy", func(t *testing.T, s *esdbtest.Server) { s.Busy(2) }},
		{"ended before it was read", func(t *testing.T, s *esdbtest.Server) { s.RefuseEarly(2) }},
		{"not shown at once", func(t *testing.T, s *esdbtest.Server) { s.StaleReads(2) }},
		{"stored, not answered, twice", func(t *testing.T, s *esdbtest.Server) { s.CutAfterCommit(2) }},
	} {
		t.Run(c.given, func(t *testing.T) {
			t.Parallel()
			server := startServer(t, esdbtest.Options{})
			log := openLog(t, esdb.Options{URL: server.URL()})
			for round := range uint64(4) {
				mustAppend(t, log, "unit-1", 2*round, fmt.Sprint(round, "a"), fmt.Sprint(round, "b"))
				c.fault(t, server)
			}
			server.StaleReads(0)
			if events := eventlogtest.CheckLog(t, log, gapped); len(events) != 8 {
				t.Errorf("%d events, want 8", len(events))
			}
		})
	}
}

func TestRefusedForAReasonThatIsLost(t *testing.T) {
	t.Parallel()
	server := startServer(t, esdbtest.Options{})
	log := openLog(t, esdb.Options{URL: server.URL()})
	server.RefuseEarly(1000)
	_, err := log.Append(within(t, long), "unit-1", eventlog.NoStream, eventlogtest.Events("a"))
	if !errors.Is(err, eventlog.ErrOutcomeUnknown) {
		t.Errorf("got %v", err)
	}
}

func TestServerWithALowerLimit(t *testing.T) {
	t.Parallel()
	server := startServer(t, esdbtest.Options{MaxAppendSizeBytes: 10_000})
	log := openLog(t, esdb.Options{URL: server.URL()})
	big := eventlogtest.Event("big")
	big.Data = bytes.Repeat([]byte("x"), 20_000)
	_, err := log.Append(within(t, long), "unit-1", eventlog.NoStream, []eventlog.Proposed{big})
	// Whether the client still hears the reason depends on how far it has come with sending.
	if !errors.Is(err, eventlog.ErrTooLarge) && !errors.Is(err, eventlog.ErrOutcomeUnknown) {
		t.Errorf("got %v", err)
	}
	mustAppend(t, log, "unit-1", 0, "a")
}

func TestTooManySmallEvents(t *testing.T) {
	t.Parallel()
	log := openLog(t, esdb.Options{URL: startServer(t, esdbtest.Options{}).URL()})
	var many []string
	for i := range 12_000 { // 30 bytes each, and the envelopes weigh more than they
		many = append(many, fmt.Sprint(i))
	}
	_, err := log.Append(within(t, long), "unit-1", eventlog.NoStream, eventlogtest.Events(many...))
	if !errors.Is(err, eventlog.ErrTooLarge) {
		t.Errorf("got %v", err)
	}
	mustAppend(t, log, "unit-1", 0, many[:5000]...)
}

func TestFollowerSendsToItsLeader(t *testing.T) {
	t.Parallel()
	leader := startServer(t, esdbtest.Options{})
	follower, err := leader.StartFollower(esdbtest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(follower.Close)
	for name, url := range map[string]string{"direct": follower.URL(), "discover": follower.DiscoverURL(), "two": "esdb://" + follower.Address() + "," + leader.Address() + "?tls=false"} {
		log := openLog(t, esdb.Options{URL: url})
		followed := follow(t, log, eventlog.Position{}, name+"-")
		mustAppend(t, log, name+"-1", 0, "a")
		mustAppend(t, log, name+"-1", 1, "b")
		followed.want(t, name+"-1@0", name+"-1@1")
	}
}

func TestPrerelease(t *testing.T) {
	t.Parallel()
	server := startServer(t, esdbtest.Options{Version: "26.1.0-rc.1"})
	if _, err := esdb.Open(within(t, long), esdb.Options{URL: server.URL()}); err == nil || !strings.Contains(err.Error(), "pre-release") {
		t.Fatalf("open: %v", err)
	}
	server.SetVersion(esdbtest.DefaultVersion)
	log := openLog(t, esdb.Options{URL: server.URL(), Patience: time.Nanosecond})
	mustAppend(t, log, "unit-1", 0, "a")

	// Upgraded while we run: every call says why, and after the downgrade all is well.
	// (A connection nobody used meanwhile is mended without a look at the version, and works on.)
	server.Stop()
	if _, err := log.Head(within(t, long)); !errors.Is(err, eventlog.ErrUnavailable) {
		t.Fatalf("head while it is away: %v", err)
	}
	server.SetVersion("26.1.0-rc.1")
	if err := server.Restart(); err != nil {
		t.Fatal(err)
	}
	for {
		_, err := log.Head(within(t, long))
		if err != nil && strings.Contains(err.Error(), "pre-release") && errors.Is(err, eventlog.ErrUnavailable) {
			break
		}
		if err == nil {
			t.Fatal("the client reads pre-release versions: the special case can go")
		}
	}
	server.SetVersion(esdbtest.DefaultVersion)
	if err := log.Ping(within(t, long)); err != nil {
		t.Fatal(err)
	}
}

func TestCloseFreesEverybody(t *testing.T) {
	t.Parallel()
	server := startServer(t, esdbtest.Options{})
	log := openLog(t, esdb.Options{URL: server.URL()})
	hold := server.Hold("Append")
	appended := make(chan error, 1)
	go func() {
		_, err := log.Append(within(t, long), "unit-1", eventlog.NoStream, eventlogtest.Events("a"))
		appended <- err
	}()
	followed := follow(t, log, eventlog.Position{})
	<-hold.Entered()
	log.Close()
	if err := <-appended; !errors.Is(err, eventlog.ErrOutcomeUnknown) && !errors.Is(err, eventlog.ErrUnavailable) {
		t.Errorf("append: %v", err)
	}
	if err := <-followed.ended; !errors.Is(err, eventlog.ErrUnavailable) {
		t.Errorf("follow: %v", err)
	}
	hold.Release()
}
