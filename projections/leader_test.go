package projections

import (
	"context"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/answerable-ledger/answerable/eventlog/eventlogtest"
)

// Given a log that is away when a process takes the lead, then the process goes on trying, and leads when it is back.
func TestTheLogIsAwayWhenTheLeadIsTaken(t *testing.T) {
	t.Parallel()
	onEveryEngine(t, func(t *testing.T, place place) {
		ctx := context.Background()
		g, log := busyDay(), newRecorder()
		log.record(t, g.facts...)
		faulty := eventlogtest.NewFaulty(log)
		core, logs := observer.New(zap.WarnLevel)
		v := caughtUpViews(t, place(t), faulty, func(c *Config) { c.Logger = zap.New(core) })
		defer closeViews(t, v)
		n := len(g.facts)
		log.record(t, g.at("19:00").sign("25900", 2, 90, "p_head_25900").facts[n:]...)
		head, err := log.Head(ctx)
		must(t, err)
		faulty.Down()
		stop := running(t, v)
		defer stop()
		for deadline := time.Now().Add(time.Minute); logs.FilterMessageSnippet("trying to be it again").Len() < 2; time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("it did not try again: %v", logs.All())
			}
		}
		faulty.Up()
		must(t, v.WaitFor(ctx, head))
		must(t, v.Verify(ctx))
	})
}
