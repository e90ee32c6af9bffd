package projections

import (
	"context"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest"

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
		failed := make(chan struct{}, 100)
		logger := zaptest.NewLogger(t, zaptest.WrapOptions(zap.Hooks(func(e zapcore.Entry) error {
			if strings.Contains(e.Message, "trying to be it again") {
				failed <- struct{}{}
			}
			return nil
		})))
		v := caughtUpViews(t, place(t), faulty, func(c *Config) { c.Logger = logger })
		defer closeViews(t, v)
		n := len(g.facts)
		log.record(t, g.at("19:00").sign("25900", 2, 90, "p_head_25900").facts[n:]...)
		head, err := log.Head(ctx)
		must(t, err)
		faulty.Down()
		stop := running(t, v)
		defer stop()
		<-failed
		<-failed
		faulty.Up()
		must(t, v.WaitFor(ctx, head))
		must(t, v.Verify(ctx))
	})
}
