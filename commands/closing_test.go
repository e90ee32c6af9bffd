package commands_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/answerable-ledger/answerable/commands"
	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/eventlog"
	"github.com/answerable-ledger/answerable/eventlog/eventlogtest"
)

// The sign-offs of a day fall due after the day is closed: a closer that starts in between still judges them. The second
// day of the regime, because a closer begins at the first one anyway when nothing later is closed.
func TestCloserJudgesTheSignOffsOfTheLastClosedDay(t *testing.T) {
	w := newWorld(t)
	w.closeDue(w.closer())
	w.clock.Set(at("10:00:00.000000").AddDate(0, 0, 1))
	w.closeDue(w.closer())
	second := key("commune", "c1")
	second.Date = day.AddDays(1)
	w.ok(w.ledger.SubmitReport(w.ctx, w.as("filer_c1"), commands.Filing{Key: second, Figures: filing("c1", 50).Figures}))
	w.clock.Set(at("16:00:00.000000").AddDate(0, 0, 1))
	w.closeDue(w.closer())
	if d, err := w.ledger.Day(w.ctx, regime, second.Date); err != nil || d.Closed == nil {
		t.Fatalf("the day is not closed: %v", err)
	}
	w.clock.Set(at("17:30:00.000000").AddDate(0, 0, 1))
	w.closeDue(w.closer())
	breaches := w.report(second).Breaches
	if len(breaches) != 1 || breaches[0].Breach != domain.BreachUnsigned {
		t.Errorf("the breaches are %v, want one: unsigned", breaches)
	}
}

// A deadline extended beyond the next day's closing: the day that stays open is closed too, by the closer that closed the
// next one before it and by one that starts in between.
func TestCloserDoesNotPassOverAnExtendedDay(t *testing.T) {
	for name, restarts := range map[string]bool{"the same closer": false, "after a restart": true} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			c := w.closer()
			closeDue := func() {
				if restarts {
					c = w.closer()
				}
				w.closeDue(c)
			}
			closeDue()
			next := at("10:00:00.000000").AddDate(0, 0, 1)
			w.ok(w.ledger.ExtendDeadline(w.ctx, w.as("dept"), regime, "area", day, []domain.UnitCode{"c1"}, next.Add(10*time.Hour), "bão"))
			w.clock.Set(next)
			closeDue()
			w.clock.Set(next.Add(8 * time.Hour))
			closeDue()
			if d, err := w.ledger.Day(w.ctx, regime, day.AddDays(1)); err != nil || d.Closed == nil {
				t.Fatalf("the next day is not closed: %v", err)
			}
			if d, err := w.ledger.Day(w.ctx, regime, day); err != nil || d.Closed != nil {
				t.Fatalf("the extended day is closed before its deadline: %v", err)
			}
			w.clock.Set(next.Add(12 * time.Hour))
			closeDue()
			if d, err := w.ledger.Day(w.ctx, regime, day); err != nil || d.Closed == nil {
				t.Fatalf("the extended day was passed over: %v", err)
			}
			if b := w.report(key("commune", "c1")).Breaches; len(b) != 1 || b[0].Breach != domain.BreachMissing {
				t.Errorf("the breaches are %v, want one: missing", b)
			}
		})
	}
}

// A regime that is issued while the closer waits for another one's deadline is not found only then.
func TestCloserLooksAgainEveryMinute(t *testing.T) {
	w := newWorld(t)
	enough := errors.New("enough")
	var until time.Time
	err := w.closer().Run(w.ctx, func(_ context.Context, at time.Time) error { until = at; return enough })
	if !errors.Is(err, enough) {
		t.Fatal(err)
	}
	if want := w.clock.Now().Add(time.Minute); until.IsZero() || until.After(want) {
		t.Errorf("it waits until %s, want %s at the latest", until, want)
	}
}

// A step that cannot be done holds up its own regime, not the others.
func TestRegimesAreClosedApart(t *testing.T) {
	w := newWorld(t)
	w.ok(w.ledger.IssueRegime(w.ctx, w.as("dept"), "other", rules()))
	w.log.OnAppend(eventlogtest.Refuse(eventlog.ErrDamaged))
	if _, err := w.closer().CloseDue(w.ctx); !errors.Is(err, eventlog.ErrDamaged) {
		t.Fatalf("the failure is not told: %v", err)
	}
	open := 0
	for _, id := range []domain.RegimeID{regime, "other"} {
		d, err := w.ledger.Day(w.ctx, id, day)
		if err != nil {
			t.Fatal(err)
		}
		if d.Opened != nil {
			open++
		}
	}
	if open != 1 {
		t.Errorf("%d days were opened, want the one whose append was not refused", open)
	}
}
