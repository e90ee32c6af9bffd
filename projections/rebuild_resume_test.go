package projections

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/answerable-ledger/answerable/eventlog"
)

// interrupted ends a rebuild, from outside, once its rows are written.
func interrupted(t *testing.T, v *Views, o RebuildOptions) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	o.Progress = func(p Progress) {
		if p.Phase == "catch up" {
			cancel()
		}
	}
	_, err := v.RebuildWith(ctx, o)
	if s, _ := v.RebuildStatus(); !errors.Is(err, context.Canceled) || s.State != "cancelled" {
		t.Fatalf("%v, %+v", err, s)
	}
	if states := listed(t, v); !cmp.Equal(states, []string{stateLive, stateWritten}) {
		t.Fatalf("there are %q", states)
	}
}

// listed are the states of the generations that an operator is told of.
func listed(t failer, v *Views) []string {
	t.Helper()
	all, err := v.Generations(context.Background())
	must(t, err)
	var out []string
	for _, g := range all {
		out = append(out, g.State)
	}
	return out
}

// What an interrupted rebuild has written is gone on with when the next one would have made the same; otherwise it goes,
// and so it does when somebody cancels.
func TestWhatIsGoneOnWith(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	for _, x := range []struct {
		name    string
		change  func(t *testing.T, v *Views, log *recorder) // before the next rebuild
		next    RebuildOptions
		resumed bool
	}{
		{"the same", nil, RebuildOptions{}, true},
		{"other options", nil, RebuildOptions{Accept: true}, false},
		{"asked to begin anew", nil, RebuildOptions{Fresh: true}, false},
		{"another program", func(t *testing.T, v *Views, _ *recorder) {
			register(t, v, `UPDATE {}written SET record = replace(record, '"program":"', '"program":"x')`)
		}, RebuildOptions{}, false},
		{"other tables", func(t *testing.T, v *Views, _ *recorder) {
			register(t, v, `UPDATE {}generation SET fingerprint = 'x' WHERE state = 'written'`)
		}, RebuildOptions{}, false},
		{"a record that cannot be read", func(t *testing.T, v *Views, _ *recorder) { register(t, v, `UPDATE {}written SET record = '{'`) }, RebuildOptions{}, false},
		{"compared with other rows", func(t *testing.T, v *Views, _ *recorder) {
			register(t, v, `UPDATE {}written SET record = replace(record, '"live":', '"live":9')`)
		}, RebuildOptions{}, false},
	} {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			onEveryEngine(t, func(t *testing.T, place place) {
				log, dir := newRecorder(), place(t)
				log.record(t, busyDay().facts...)
				v := caughtUpViews(t, dir, log)
				interrupted(t, v, RebuildOptions{})
				if x.change != nil {
					x.change(t, v, log)
				}
				closeViews(t, v)
				v = openViews(t, dir, log)
				defer closeViews(t, v)
				before := v.current.n
				var former Former
				next := x.next
				next.Former = func(f Former) { former = f }
				found, err := v.RebuildWith(ctx, next)
				if former.Generation == 0 || former.TakenOver != x.resumed || (former.Why == "") != x.resumed || (former.Place == "") == x.resumed {
					t.Errorf("of the former attempt it is told %+v", former)
				}
				if err != nil || found.Resumed != x.resumed || v.current.n == before || found.Place == "" {
					t.Errorf("%+v, %v", found, err)
				}
				must(t, v.Verify(ctx))
				if states := listed(t, v); !cmp.Equal(states, []string{stateLive, statePrevious}) {
					t.Errorf("there are %q", states)
				}
			})
		})
	}
}

// register changes the register, as another program would have written it.
func register(t failer, v *Views, statement string) {
	t.Helper()
	var err error
	switch s := v.store.(type) {
	case *sqliteStore:
		_, err = s.registry.Exec(strings.ReplaceAll(statement, "{}", ""))
	case *postgresStore:
		_, err = s.registry.Exec(strings.ReplaceAll(statement, "{}", pgRegister))
	}
	must(t, err)
}

// A rebuild that goes on with rows which are ahead of a log that was restored meanwhile begins anew.
func TestWrittenRowsAheadOfTheLog(t *testing.T) {
	t.Parallel()
	onEveryEngine(t, func(t *testing.T, place place) {
		ctx := context.Background()
		facts, dir := busyDay().facts, place(t)
		whole, restored := newRecorder(), newRecorder()
		whole.record(t, facts...)
		restored.record(t, facts[:len(facts)-3]...)
		v := caughtUpViews(t, dir, whole)
		interrupted(t, v, RebuildOptions{})
		closeViews(t, v)
		v = openViews(t, dir, restored, func(c *Config) { c.Mend = true })
		defer closeViews(t, v)
		found, err := v.RebuildWith(ctx, RebuildOptions{})
		if err != nil || found.Resumed {
			t.Errorf("%+v, %v", found, err)
		}
		must(t, v.Verify(ctx))
	})
}

// What a rebuild tells of itself: how much of how much, at which rate since the phase began, and the time that is left of it.
func TestProgressOfARebuild(t *testing.T) {
	t.Parallel()
	now := time.Unix(0, 0)
	s := newStopwatch(func() time.Time { return now })
	for _, x := range []struct {
		after time.Duration
		give  Progress
		want  Progress
	}{
		{0, Progress{Phase: "read", Events: 100, Total: 1100}, Progress{Seconds: 0}},
		{2 * time.Second, Progress{Phase: "read", Events: 600, Total: 1100}, Progress{Seconds: 2, PerSecond: 250, Left: 2}},
		{2 * time.Second, Progress{Phase: "read", Events: 1100, Total: 1100}, Progress{Seconds: 4, PerSecond: 250}},
		{time.Second, Progress{Phase: "write", Events: 1100, Total: 1100, AllRows: 300}, Progress{Seconds: 5}},
		{time.Second, Progress{Phase: "write", Events: 1100, Total: 1100, Rows: 100, AllRows: 300}, Progress{Seconds: 6, PerSecond: 100, Left: 2}},
		{time.Second, Progress{Phase: "catch up", Events: 1000, Total: 3000}, Progress{Seconds: 7}}, // these had been applied before
		{time.Second, Progress{Phase: "catch up", Events: 1500, Total: 3000}, Progress{Seconds: 8, PerSecond: 500, Left: 3}},
		{time.Second, Progress{Phase: "catch up", Events: 2000, Total: -1}, Progress{Seconds: 9, PerSecond: 500}},
	} {
		now = now.Add(x.after)
		want := x.give
		want.Seconds, want.PerSecond, want.Left = x.want.Seconds, x.want.PerSecond, x.want.Left
		if d := cmp.Diff(want, s.finish(x.give)); d != "" {
			t.Error(d)
		}
	}
}

// leakyLog is a log that knows whether events were taken out of it.
type leakyLog struct {
	*recorder
	gone error
}

func (l *leakyLog) CheckWhole(context.Context) error { return l.gone }

// A log from which events were taken is not made views of, whatever was asked for, nor are rows put in place that were made
// before; where that cannot be found out a rebuild goes on.
func TestNoViewsOfALogWithAHole(t *testing.T) {
	t.Parallel()
	onEveryEngine(t, func(t *testing.T, place place) {
		ctx := context.Background()
		log := &leakyLog{recorder: newRecorder()}
		log.record(t, busyDay().facts...)
		v := caughtUpViews(t, place(t), log)
		defer closeViews(t, v)
		before := v.current.n
		for _, o := range []RebuildOptions{{}, {Accept: true}, {DryRun: true}} {
			log.gone = fmt.Errorf("unit-1: %w", eventlog.ErrGone)
			o.Differs = func(c Change) { t.Errorf("%+v is told of", c) }
			if _, err := v.RebuildWith(ctx, o); !errors.Is(err, eventlog.ErrGone) || !strings.Contains(err.Error(), "unit-1") {
				t.Errorf("%+v: %v", o, err)
			}
		}
		log.gone = nil
		interrupted(t, v, RebuildOptions{})
		log.gone = eventlog.ErrGone
		if _, err := v.RebuildWith(ctx, RebuildOptions{}); !errors.Is(err, eventlog.ErrGone) {
			t.Errorf("rows that were written: %v", err)
		}
		if states := listed(t, v); v.current.n != before || !cmp.Equal(states, []string{stateLive}) {
			t.Errorf("there are %q, live is %d and was %d", states, v.current.n, before)
		}
		log.gone = errors.New("not allowed to look")
		_, err := v.RebuildWith(ctx, RebuildOptions{})
		must(t, err)
		must(t, v.Verify(ctx))
	})
}

// What an attempt has half written is told of before it goes.
func TestAHalfWrittenAttemptIsToldOf(t *testing.T) {
	t.Parallel()
	onEveryEngine(t, func(t *testing.T, place place) {
		ctx := context.Background()
		log := newRecorder()
		log.record(t, busyDay().facts...)
		v := caughtUpViews(t, place(t), log)
		defer closeViews(t, v)
		g, err := v.store.begin(ctx, v.fingerprint)
		must(t, err)
		must(t, g.close())
		var told []Former
		_, err = v.RebuildWith(ctx, RebuildOptions{Former: func(f Former) { told = append(told, f) }})
		must(t, err)
		if want := []Former{{Generation: g.n, Why: "it ended before its rows were written"}}; !cmp.Equal(told, want) {
			t.Errorf("it is told %+v", told)
		}
		must(t, v.Verify(ctx))
	})
}

// Progress counts every event and every row, to the last, and never goes back within a phase.
func TestProgressIsExact(t *testing.T) {
	t.Parallel()
	onEveryEngine(t, func(t *testing.T, place place) {
		ctx := context.Background()
		log := newRecorder()
		log.record(t, busyDay().facts...)
		v := caughtUpViews(t, place(t), log, func(c *Config) { c.BatchSize = 5 })
		defer closeViews(t, v)
		last := map[string]Progress{}
		_, err := v.RebuildWith(ctx, RebuildOptions{Progress: func(p Progress) {
			if before := last[p.Phase]; p.Events < before.Events || p.Rows < before.Rows || p.Total > 0 && p.Events > p.Total || p.Rows > p.AllRows {
				t.Errorf("%+v after %+v", p, before)
			}
			last[p.Phase] = p
		}})
		must(t, err)
		head, err := log.Head(ctx)
		must(t, err)
		for _, phase := range []string{"read", "compare", "write", "index", "catch up"} {
			if p := last[phase]; dense(log) && (p.Events != int64(head.Commit) || p.Total != p.Events) || phase == "index" && (p.Rows != p.AllRows || p.Rows == 0) {
				t.Errorf("%s ended with %+v", phase, p)
			}
		}
	})
}

// A rebuild gives way to the reads of another process too.
func TestARebuildGivesWayToOthers(t *testing.T) {
	t.Parallel()
	onEveryEngine(t, func(t *testing.T, place place) {
		ctx := context.Background()
		log, dir := newRecorder(), place(t)
		log.record(t, busyDay().facts...)
		server := caughtUpViews(t, dir, log)
		defer closeViews(t, server)
		slowFromNowOn(server)
		v := openViews(t, dir, log)
		defer closeViews(t, v)
		var paused float64
		_, err := v.RebuildWith(ctx, RebuildOptions{Progress: func(p Progress) {
			for !v.job.build.way.Slow() { // until the other process has been heard
				wait(ctx, time.Millisecond)
			}
			paused = p.Paused
		}})
		if must(t, err); paused == 0 {
			t.Error("did not wait")
		}
		must(t, v.Verify(ctx))
	})
}
