package projections

import (
	"context"
	"slices"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest"

	"github.com/answerable-ledger/answerable/domain"
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

// Who begins to lead knows every unit and office, so that a day that opens waits for none of them; and goes on from there as
// from a batch of its own.
func TestWhoLeadsKnowsTheUnits(t *testing.T) {
	t.Parallel()
	onEveryEngine(t, func(t *testing.T, place place) {
		ctx := context.Background()
		g, log, dir := busyDay(), newRecorder(), place(t)
		opened := slices.IndexFunc(g.facts, func(f domain.Fact) bool { _, ok := f.Event.(domain.DayOpened); return ok })
		log.record(t, g.facts[:opened]...)
		closeViews(t, caughtUpViews(t, dir, log))

		v := openViews(t, dir, log)
		defer closeViews(t, v)
		must(t, v.take(ctx))
		page, err := v.Units(ctx, UnitQuery{})
		must(t, err)
		if v.live == nil || len(v.live.units) != len(page.Rows) || len(page.Rows) == 0 || len(v.live.offices) == 0 {
			t.Fatalf("knows %+v of %d units", v.live, len(page.Rows))
		}
		log.record(t, g.facts[opened:]...)
		must(t, v.followInBatches(ctx, func() int { return 3 }))
		must(t, v.Verify(ctx))
	})
}
