package esdb_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"iter"
	"os"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/answerable-ledger/answerable/eventlog"
	"github.com/answerable-ledger/answerable/eventlog/esdb"
	"github.com/answerable-ledger/answerable/eventlog/esdb/esdbtest"
	"github.com/answerable-ledger/answerable/eventlog/eventlogtest"
)

// gapped says what this store does differently: its positions are byte offsets, and every writer has its own clock.
var gapped = eventlogtest.Options{GappedPositions: true, RecordedAtPerStream: true}

func startServer(t testing.TB, o esdbtest.Options) *esdbtest.Server {
	t.Helper()
	server, err := esdbtest.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	return server
}

func openLog(t testing.TB, o esdb.Options) *esdb.Log {
	t.Helper()
	log, err := esdb.Open(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { log.Close() })
	return log
}

func TestConformance(t *testing.T) {
	t.Parallel()
	eventlogtest.TestLog(t, func(t *testing.T, clock eventlog.Clock) eventlog.Log {
		return openLog(t, esdb.Options{URL: startServer(t, esdbtest.Options{}).URL(), Clock: clock})
	}, gapped)
}

// TestConformanceWithFaults runs the suite while every tenth append is stored and not answered, subscriptions break off
// after forty events, checkpoints lie, repeats come without a position and messages of later servers turn up.
func TestConformanceWithFaults(t *testing.T) {
	t.Parallel()
	eventlogtest.TestLog(t, func(t *testing.T, clock eventlog.Clock) eventlog.Log {
		server := startServer(t, esdbtest.Options{SystemEventEvery: 2})
		server.CutAfterEvery(10)
		server.DropAfterEvents(40)
		server.UnknownMessages(true)
		server.CheckpointBeyondEnd(true)
		server.NoPositionOnRepeat(true)
		return openLog(t, esdb.Options{URL: server.URL(), Clock: clock})
	}, gapped)
}

// TestConformanceOnASharedServer runs the suite on one server that holds other data too: the one of ESDB_URL when that
// is set, see the package comment, and otherwise one of our own.
func TestConformanceOnASharedServer(t *testing.T) {
	t.Parallel()
	url := os.Getenv("ESDB_URL")
	if url == "" {
		url = startServer(t, esdbtest.Options{}).URL()
	}
	eventlogtest.TestLog(t, func(t *testing.T, clock eventlog.Clock) eventlog.Log {
		log := openLog(t, esdb.Options{URL: url, Clock: clock, AllowInsecure: true})
		return &namespaced{Log: log, prefix: "t" + strings.ReplaceAll(uuid.NewString(), "-", "")[:12] + ".", short: map[string]string{}}
	}, gapped)
}

// namespaced gives a case a corner of a shared log: all of its streams begin with a prefix of their own.
type namespaced struct {
	eventlog.Log
	prefix string
	short  map[string]string // names too long to be prefixed, by what stands for them
}

func (n *namespaced) outer(stream string) string {
	if eventlog.CheckStream(stream) != nil {
		return stream // to be refused as it stands
	}
	if eventlog.CheckStream(n.prefix+stream) != nil {
		sum := sha256.Sum256([]byte(stream))
		short := stream[:100] + hex.EncodeToString(sum[:])
		n.short[short] = stream
		stream = short
	}
	return n.prefix + stream
}

func (n *namespaced) inner(stream string) string {
	stream = strings.TrimPrefix(stream, n.prefix)
	if long, ok := n.short[stream]; ok {
		return long
	}
	return stream
}

func (n *namespaced) Append(ctx context.Context, stream string, expected eventlog.Expected, events []eventlog.Proposed) (eventlog.Appended, error) {
	done, err := n.Log.Append(ctx, n.outer(stream), expected, events)
	var conflict *eventlog.ConflictError
	if errors.As(err, &conflict) {
		conflict.Stream = stream
	}
	return done, err
}

func (n *namespaced) ReadStream(ctx context.Context, stream string, from uint64) iter.Seq2[eventlog.Recorded, error] {
	return func(yield func(eventlog.Recorded, error) bool) {
		for e, err := range n.Log.ReadStream(ctx, n.outer(stream), from) {
			e.Stream = n.inner(e.Stream)
			if !yield(e, err) {
				return
			}
		}
	}
}

func (n *namespaced) Follow(ctx context.Context, after eventlog.Position, filter eventlog.Filter, o eventlog.FollowOptions) iter.Seq2[eventlog.Batch, error] {
	outer := eventlog.Filter{Prefixes: []string{n.prefix}}
	if len(filter.Prefixes) > 0 {
		outer.Prefixes = nil
	}
	for _, p := range filter.Prefixes {
		outer.Prefixes = append(outer.Prefixes, n.prefix+p)
	}
	return func(yield func(eventlog.Batch, error) bool) {
		for b, err := range n.Log.Follow(ctx, after, outer, o) {
			for i := range b.Events {
				b.Events[i].Stream = n.inner(b.Events[i].Stream)
			}
			if !yield(b, err) {
				return
			}
		}
	}
}
