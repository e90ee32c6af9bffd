package esdb_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/answerable-ledger/answerable/eventlog"
	"github.com/answerable-ledger/answerable/eventlog/esdb"
	"github.com/answerable-ledger/answerable/eventlog/esdb/esdbtest"
	"github.com/answerable-ledger/answerable/eventlog/eventlogtest"
)

func TestMain(m *testing.M) {
	esdb.SurviveClient()
	os.Exit(m.Run())
}

// Given events whose time of creation is missing or no number, at which the client would end the process, then every
// call is answered with an error that names it, followers wait, and all goes on when events have their times again.
func TestEventWithoutATime(t *testing.T) {
	t.Parallel()
	for _, created := range []string{"", "yesterday"} {
		server := startServer(t, esdbtest.Options{})
		log := openLog(t, esdb.Options{URL: server.URL()})
		mustAppend(t, log, "unit-1", 0, "a")
		followed := follow(t, log, eventlog.Position{})
		followed.want(t, "unit-1@0")

		server.Created(created)
		server.CutConnections() // who follows subscribes anew, and meets the event again
		for _, log := range []*esdb.Log{log, openLog(t, esdb.Options{URL: server.URL()})} {
			for what, call := range map[string]func(context.Context) error{
				"read": func(ctx context.Context) error { _, err := eventlogtest.ReadAll(ctx, log, "unit-1", 0); return err },
				"head": func(ctx context.Context) error { _, err := log.Head(ctx); return err },
			} {
				err := call(within(t, soon)) // until it has met the event; before that it names the lost connection
				for given := within(t, long); err != nil && !strings.Contains(err.Error(), "time of creation") && given.Err() == nil; {
					err = call(within(t, soon))
				}
				if !errors.Is(err, eventlog.ErrUnavailable) || !strings.Contains(err.Error(), "time of creation") {
					t.Errorf("%q: %s: %v", created, what, err)
				}
			}
		}
		server.GoodCreated()
		if err := log.Ping(within(t, long)); err != nil {
			t.Fatal(err)
		}
		mustAppend(t, log, "unit-1", 1, "b")
		followed.want(t, "unit-1@1")
	}
}
