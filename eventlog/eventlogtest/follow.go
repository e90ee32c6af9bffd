package eventlogtest

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/answerable-ledger/answerable/eventlog"
)

// some appends n events in turn to seven streams of three categories, one at a time and in small batches.
func (r *rig) some(n int) []eventlog.Recorded {
	r.Helper()
	names := []string{"report-1", "report-2", "report-10", "unit-1", "unit-2", "office-1", "report-_"}
	counts := make(map[string]uint64)
	for i := 0; i < n; {
		name := names[i%len(names)]
		var events []eventlog.Proposed
		for range min(1+i%3, n-i) {
			events = append(events, Event(fmt.Sprint(i)))
			i++
		}
		r.append(name, eventlog.After(counts[name]), events...)
		counts[name] += uint64(len(events))
		r.clock.Advance(1e6)
	}
	return r.all()
}

// next reads from a running follower until it has n events.
func (r *rig) next(batches <-chan eventlog.Batch, n int) []eventlog.Recorded {
	r.Helper()
	var events []eventlog.Recorded
	for len(events) < n {
		select {
		case b, ok := <-batches:
			if !ok {
				r.Fatalf("the follower ended after %d of %d events", len(events), n)
			}
			events = append(events, b.Events...)
		case <-r.ctx.Done():
			r.Fatalf("%d events after %s, want %d", len(events), patience, n)
		}
	}
	return events
}

// caughtUp reads from a running follower until it says that it has caught up.
func (r *rig) caughtUp(batches <-chan eventlog.Batch) []eventlog.Recorded {
	r.Helper()
	var events []eventlog.Recorded
	for {
		select {
		case b, ok := <-batches:
			if !ok {
				r.Fatalf("the follower ended after %d events", len(events))
			}
			events = append(events, b.Events...)
			if b.CaughtUp {
				return events
			}
		case <-r.ctx.Done():
			r.Fatalf("not caught up after %s and %d events", patience, len(events))
		}
	}
}

// start runs a follower that hands over each batch and waits until it is taken. stop ends it and answers with the error
// it ended with.
func (r *rig) start(after eventlog.Position, filter eventlog.Filter, size int) (batches <-chan eventlog.Batch, stop func() error) {
	ctx, cancel := context.WithCancel(r.ctx)
	out := make(chan eventlog.Batch)
	var ended error
	var running sync.WaitGroup
	running.Add(1)
	go func() {
		defer running.Done()
		defer close(out)
		for b, err := range r.log.Follow(ctx, after, filter, eventlog.FollowOptions{BatchSize: size}) {
			if err != nil {
				ended = err
				continue // nothing may come after an error
			}
			if ended != nil {
				ended = fmt.Errorf("a batch of %d events after the error %w", len(b.Events), ended)
			}
			select {
			case out <- b:
			case <-ctx.Done():
			}
		}
	}()
	stop = func() error {
		cancel()
		running.Wait()
		return ended
	}
	r.Cleanup(func() { stop() })
	return out, stop
}

var followCases = []testCase{
	{"follow from the beginning in batches of every size", func(r *rig) {
		want := r.some(40)
		if len(want) != 40 {
			r.Fatalf("%d events, want 40", len(want))
		}
		for _, size := range []int{0, 1, 2, 3, 7, 39, 40, 41, 1000} {
			r.same(want, r.follow(eventlog.Position{}, eventlog.Filter{}, size))
		}
	}},
	{"the order is the order of the appends", func(r *rig) {
		for i, e := range r.some(60) {
			if e.ID != Event(fmt.Sprint(i)).ID {
				r.Errorf("event %d at %s is %s", i, e.Position, e.Data)
			}
		}
	}},
	{"resume from every position", func(r *rig) {
		all := r.some(40)
		for i, e := range all {
			r.same(all[i+1:], r.follow(e.Position, eventlog.Filter{}, 3))
		}
	}},
	{"break off and resume, batch by batch", func(r *rig) {
		want := r.some(40)
		var got []eventlog.Recorded
		var at eventlog.Position
		for len(got) < len(want) {
			for b, err := range r.log.Follow(r.ctx, at, eventlog.Filter{}, eventlog.FollowOptions{BatchSize: 3}) {
				if err != nil {
					r.Fatal(err)
				}
				got = append(got, b.Events...)
				if len(b.Events) > 0 {
					at = got[len(got)-1].Position
				}
				break
			}
		}
		r.same(want, got)
	}},
	{"filters", func(r *rig) {
		all := r.some(60)
		for _, prefixes := range [][]string{
			nil, {"report-"}, {"report-1"}, {"unit-", "office-"}, {"unit-1", "unit-"}, {"none-"}, {"report-_"}, {"report-%"}, {"REPORT-"}, {""},
		} {
			filter := eventlog.Filter{Prefixes: prefixes}
			var want []eventlog.Recorded
			for _, e := range all {
				if filter.Match(e.Stream) {
					want = append(want, e)
				}
			}
			for _, size := range []int{0, 1, 4} {
				r.same(want, r.follow(eventlog.Position{}, filter, size))
			}
			r.same(want[len(want)/2:], r.follow(positionBefore(want, len(want)/2), filter, 4))
		}
	}},
	{"caught up, then live", func(r *rig) {
		before := r.some(10)
		batches, stop := r.start(eventlog.Position{}, eventlog.Filter{}, 4)
		r.same(before, r.caughtUp(batches))
		for i := range uint64(5) {
			r.append("live-1", eventlog.After(i), Event(fmt.Sprint("live", i)))
			got := r.next(batches, 1)
			if len(got) != 1 || got[0].Stream != "live-1" || got[0].Revision != i {
				r.Fatalf("got %+v, want revision %d of live-1", got, i)
			}
		}
		if err := stop(); !errors.Is(err, context.Canceled) {
			r.Errorf("the follower ended with %v", err)
		}
	}},
	{"caught up on an empty log, then live", func(r *rig) {
		batches, _ := r.start(eventlog.Position{}, eventlog.Filter{}, 0)
		if got := r.caughtUp(batches); len(got) != 0 {
			r.Fatalf("got %d events of an empty log", len(got))
		}
		r.append(stream, eventlog.NoStream, Event("a"))
		r.next(batches, 1)
	}},
	{"caught up from the newest position, then live", func(r *rig) {
		all := r.some(10)
		batches, _ := r.start(all[9].Position, eventlog.Filter{}, 0)
		if got := r.caughtUp(batches); len(got) != 0 {
			r.Fatalf("got %d events after the newest", len(got))
		}
		r.append(stream, eventlog.NoStream, Event("a"))
		r.next(batches, 1)
	}},
	{"a filter that passes nothing for a long time catches up and goes on", func(r *rig) {
		r.some(30)
		batches, _ := r.start(eventlog.Position{}, eventlog.Filter{Prefixes: []string{"rare-"}}, 2)
		if got := r.caughtUp(batches); len(got) != 0 {
			r.Fatalf("got %d events", len(got))
		}
		r.append("other-1", eventlog.NoStream, Event("a"))
		r.append("rare-1", eventlog.NoStream, Event("b"))
		if got := r.next(batches, 1); got[0].Stream != "rare-1" {
			r.Errorf("got %+v", got)
		}
	}},
	{"a slow consumer loses nothing", func(r *rig) {
		batches, _ := r.start(eventlog.Position{}, eventlog.Filter{}, 5)
		r.caughtUp(batches)
		want := r.some(200) // the follower stands at its first batch meanwhile
		r.same(want, r.next(batches, 200))
	}},
	{"catching up while others write loses and doubles nothing", func(r *rig) {
		r.some(30)
		const writers, each = 4, 50
		batches, _ := r.start(eventlog.Position{}, eventlog.Filter{}, 7)
		go together(writers, func(w int) {
			for i := range uint64(each) {
				name := fmt.Sprintf("live-%d", w)
				if _, err := r.log.Append(r.ctx, name, eventlog.After(i), Events(fmt.Sprint(w, " ", i))); err != nil {
					r.Errorf("append %d to %s: %v", i, name, err)
				}
			}
		})
		got := r.next(batches, 30+writers*each)
		r.same(r.all(), got)
	}},
	{"several followers see the same", func(r *rig) {
		const followers = 5
		want := r.some(50)
		together(followers, func(i int) {
			got, err := FollowAll(r.ctx, r.log, eventlog.Position{}, eventlog.Filter{}, eventlog.FollowOptions{BatchSize: i + 1})
			if diff := diffEvents(want, got); err != nil || diff != "" {
				r.Errorf("follower %d: %v\n%s", i, err, diff)
			}
		})
	}},
	{"cancelled while it waits", func(r *rig) {
		r.some(3)
		batches, stop := r.start(eventlog.Position{}, eventlog.Filter{}, 0)
		r.caughtUp(batches)
		if err := stop(); !errors.Is(err, context.Canceled) {
			r.Errorf("the follower ended with %v", err)
		}
	}},
	{"cancelled before it begins", func(r *rig) {
		r.some(3)
		ctx, cancel := context.WithCancel(r.ctx)
		cancel()
		if _, err := FollowAll(ctx, r.log, eventlog.Position{}, eventlog.Filter{}, eventlog.FollowOptions{}); !errors.Is(err, context.Canceled) {
			r.Errorf("the follower ended with %v", err)
		}
	}},
	{"closing the log ends a follower", func(r *rig) {
		r.some(3)
		closing := r.other()
		waiting := make(chan struct{})
		ended := make(chan error, 1)
		go func() {
			var last error
			for b, err := range closing.Follow(r.ctx, eventlog.Position{}, eventlog.Filter{}, eventlog.FollowOptions{}) {
				last = err
				if b.CaughtUp {
					close(waiting)
				}
			}
			ended <- last
		}()
		<-waiting
		if err := closing.Close(); err != nil {
			r.Error(err)
		}
		if err := <-ended; !errors.Is(err, eventlog.ErrUnavailable) {
			r.Errorf("the follower ended with %v", err)
		}
	}},
}

func positionBefore(events []eventlog.Recorded, i int) eventlog.Position {
	if i == 0 {
		return eventlog.Position{}
	}
	return events[i-1].Position
}
