package replay

import (
	"bytes"
	"context"
	"fmt"
	"testing"

	"go.uber.org/zap"

	"github.com/answerable-ledger/answerable/commands"
	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/eventlog"
	"github.com/answerable-ledger/answerable/eventlog/memlog"
	binhduong "github.com/answerable-ledger/answerable/examples/binhduong-2021"
	"github.com/answerable-ledger/answerable/schemas"
)

// replayInMemory tells the story of a seed to a log in memory.
func replayInMemory(t testing.TB, seed uint64) eventlog.Log {
	t.Helper()
	registry, err := schemas.Load()
	if err != nil {
		t.Fatal(err)
	}
	x, err := binhduong.Load()
	if err != nil {
		t.Fatal(err)
	}
	clock := &Clock{}
	log := memlog.New(clock.Now)
	ledger := commands.New(log, registry, clock.Now, zap.NewNop())
	r := &Replay{Ledger: ledger, Closer: &commands.Closer{Ledger: ledger, Parallel: 1}, Clock: clock, Seed: seed}
	if err := r.Run(t.Context(), x.Story(seed), func(int) {}); err != nil {
		t.Fatal(err)
	}
	if r.Refused != 4 {
		t.Errorf("%d attempts were refused, the story tells of 4", r.Refused)
	}
	return log
}

func eachEvent(ctx context.Context, log eventlog.Log, f func(eventlog.Recorded) error) error {
	for b, err := range log.Follow(ctx, eventlog.Position{}, eventlog.Filter{}, eventlog.FollowOptions{}) {
		if err != nil {
			return err
		}
		for _, e := range b.Events {
			if err := f(e); err != nil {
				return err
			}
		}
		if b.CaughtUp {
			return nil
		}
	}
	return ctx.Err()
}

func bytesOf(t testing.TB, log eventlog.Log) []byte {
	t.Helper()
	var b bytes.Buffer
	err := eachEvent(context.Background(), log, func(e eventlog.Recorded) error {
		fmt.Fprintf(&b, "%s %s %d %d %s %s %s %s\n", e.Position, e.Stream, e.Revision, e.RecordedAt.UnixMicro(), e.ID, e.Kind, e.Meta, e.Data)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestEverySeedIsAStoryTheLedgerTakes(t *testing.T) {
	t.Parallel()
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			log := replayInMemory(t, seed)
			kinds := map[string]int{}
			closed := 0
			err := eachEvent(t.Context(), log, func(e eventlog.Recorded) error {
				kinds[e.Kind]++
				f, err := schemas.Decode(schemas.Source{Stream: e.Stream, Revision: e.Revision, RecordedAt: e.RecordedAt,
					Stored: schemas.Stored{ID: e.ID, Kind: e.Kind, Data: e.Data, Meta: e.Meta}})
				if err != nil {
					return err
				}
				if d, ok := f.Event.(domain.DayClosed); ok {
					closed++
					if c := d.Counts; c.OnTime+c.Late+c.Missing+c.Exempt != c.Obligations {
						t.Errorf("%s: %+v does not add up", d.Date, c)
					}
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			if closed != 6 {
				t.Errorf("%d days were closed", closed)
			}
			for _, kind := range []string{"AuthorityGranted", "BreachExcused", "BreachExplained", "BreachUpheld", "BreachWithdrawn", "DayExempted", "DeadlineBreached",
				"DeadlineExtended", "OfficeLeft", "ReminderSent", "ReportCorrected", "ReportIssued", "ReportReturned", "ReportSignedOff", "TargetJudged", "UnitReclassified"} {
				if kinds[kind] == 0 {
					t.Errorf("the week has no %s", kind)
				}
			}
		})
	}
}

func TestOneSeedGivesTheSameBytes(t *testing.T) {
	t.Parallel()
	if !bytes.Equal(bytesOf(t, replayInMemory(t, 11)), bytesOf(t, replayInMemory(t, 11))) {
		t.Error("two replays of seed 11 differ")
	}
}
