package eventlogtest_test

import (
	"context"
	"errors"
	"runtime"
	"testing"

	"github.com/answerable-ledger/answerable/eventlog"
	"github.com/answerable-ledger/answerable/eventlog/eventlogtest"
	"github.com/answerable-ledger/answerable/eventlog/memlog"
)

// A fault wrapper without orders is a log like any other.
func TestFaultyKeepsTheContract(t *testing.T) {
	t.Parallel()
	eventlogtest.TestLog(t, func(t *testing.T, clock eventlog.Clock) eventlog.Log {
		return eventlogtest.NewFaulty(memlog.New(clock))
	})
}

func TestFaultyAppend(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		fault eventlogtest.Fault
		err   error
		// after a repeat of the failed append:
		repeat bool
	}{
		{"pass", eventlogtest.Pass(), nil, true},
		{"refused", eventlogtest.Refuse(nil), eventlog.ErrUnavailable, false},
		{"refused as full", eventlogtest.Refuse(eventlog.ErrFull), eventlog.ErrFull, false},
		{"stored but reported failed", eventlogtest.StoreAndFail(), eventlog.ErrOutcomeUnknown, true},
		{"lost and reported failed", eventlogtest.LoseAndFail(), eventlog.ErrOutcomeUnknown, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			ctx := t.Context()
			log := eventlogtest.NewFaulty(memlog.New(nil))
			log.OnAppend(c.fault)
			_, err := log.Append(ctx, "unit-1", eventlog.NoStream, eventlogtest.Events("a"))
			if !errors.Is(err, c.err) {
				t.Errorf("got error %v, want %v", err, c.err)
			}
			again, err := log.Append(ctx, "unit-1", eventlog.NoStream, eventlogtest.Events("a"))
			if err != nil || again.Repeat != c.repeat {
				t.Errorf("repeat: %+v, %v, want Repeat %v", again, err, c.repeat)
			}
			if n := len(eventlogtest.CheckLog(t, log)); n != 1 || log.Appends() != 2 {
				t.Errorf("%d events after %d appends", n, log.Appends())
			}
		})
	}
}

// A held append waits until it is let go; one whose caller gave up is not stored.
func TestFaultyHold(t *testing.T) {
	t.Parallel()
	log := eventlogtest.NewFaulty(memlog.New(nil))
	go1 := make(chan struct{})
	log.OnAppend(eventlogtest.Hold(go1, eventlogtest.Pass()), eventlogtest.Pass(), eventlogtest.Hold(make(chan struct{}), eventlogtest.Pass()))
	held := make(chan error)
	go func() {
		_, err := log.Append(t.Context(), "unit-1", eventlog.NoStream, eventlogtest.Events("a"))
		held <- err
	}()
	for log.Appends() == 0 {
		runtime.Gosched()
	}
	if _, err := log.Append(t.Context(), "unit-2", eventlog.NoStream, eventlogtest.Events("b")); err != nil {
		t.Fatal(err)
	}
	if events, _ := eventlogtest.ReadAll(t.Context(), log, "unit-1", 0); len(events) > 0 {
		t.Error("stored while it was held")
	}
	close(go1)
	if err := <-held; err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := log.Append(ctx, "unit-3", eventlog.NoStream, eventlogtest.Events("c")); !errors.Is(err, eventlog.ErrOutcomeUnknown) {
		t.Errorf("got %v", err)
	}
	if n := len(eventlogtest.CheckLog(t, log)); n != 2 {
		t.Errorf("%d events, want 2", n)
	}
}

// Wherever a follower is cut off, resuming from the last event it yielded loses and doubles nothing.
func TestFaultyCutFollow(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	log := eventlogtest.NewFaulty(memlog.New(nil))
	for i := range uint64(20) {
		if _, err := log.Append(ctx, "unit-1", eventlog.After(i), eventlogtest.Events(string(rune('a'+i)))); err != nil {
			t.Fatal(err)
		}
	}
	want := eventlogtest.CheckLog(t, log)
	for after := range 21 {
		log.CutFollow(after, nil)
		got, err := eventlogtest.FollowAll(ctx, log, eventlog.Position{}, eventlog.Filter{}, eventlog.FollowOptions{BatchSize: 6})
		if !errors.Is(err, eventlog.ErrUnavailable) || len(got) != after {
			t.Fatalf("%d events, error %v, want a cut after %d", len(got), err, after)
		}
		var at eventlog.Position
		if after > 0 {
			at = got[after-1].Position
		}
		rest, err := eventlogtest.FollowAll(ctx, log, at, eventlog.Filter{}, eventlog.FollowOptions{BatchSize: 6})
		if err != nil || len(rest) != len(want)-after || len(rest) > 0 && rest[0].Position != want[after].Position {
			t.Fatalf("resumed after %s: %d events, %v", at, len(rest), err)
		}
	}
}

func TestFaultyDown(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	log := eventlogtest.NewFaulty(memlog.New(nil))
	if _, err := log.Append(ctx, "unit-1", eventlog.NoStream, eventlogtest.Events("a")); err != nil {
		t.Fatal(err)
	}
	waiting, ended := make(chan struct{}), make(chan error)
	go func() {
		var last error
		for b, err := range log.Follow(ctx, eventlog.Position{}, eventlog.Filter{}, eventlog.FollowOptions{}) {
			last = err
			if b.CaughtUp {
				close(waiting)
			}
		}
		ended <- last
	}()
	<-waiting
	log.Down()
	if err := <-ended; !errors.Is(err, eventlog.ErrUnavailable) {
		t.Errorf("the follower ended with %v", err)
	}
	_, appendErr := log.Append(ctx, "unit-1", eventlog.Exact(0), eventlogtest.Events("b"))
	_, readErr := eventlogtest.ReadAll(ctx, log, "unit-1", 0)
	_, headErr := log.Head(ctx)
	_, followErr := eventlogtest.FollowAll(ctx, log, eventlog.Position{}, eventlog.Filter{}, eventlog.FollowOptions{})
	for call, err := range map[string]error{"append": appendErr, "read": readErr, "head": headErr, "follow": followErr} {
		if !errors.Is(err, eventlog.ErrUnavailable) {
			t.Errorf("%s while down: %v", call, err)
		}
	}
	log.Up()
	if n := len(eventlogtest.CheckLog(t, log)); n != 1 {
		t.Errorf("%d events, want 1", n)
	}
}
