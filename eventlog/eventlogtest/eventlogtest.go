// Package eventlogtest says in tests what package eventlog says in words.
//
// Its promise: a store that passes TestLog keeps the contract, and two stores that pass it can be exchanged. It fails
// loudly: every check names the stream, revision or position that is wrong. Faulty is the other half: a store that fails
// on command, in the ways real ones do, for tests of the code above the log.
package eventlogtest

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/answerable-ledger/answerable/eventlog"
)

// Options say what a store is allowed to do differently. The zero Options are the strictest.
type Options struct {
	// GappedPositions: positions increase but are not 1, 2, 3, …, and Head may lie beyond the newest event, as the
	// server keeps events of its own between ours.
	GappedPositions bool
	// RecordedAtPerStream: RecordedAt may decrease from one stream to another, as it does when several writers with
	// clocks of their own share a server.
	RecordedAtPerStream bool
}

// badHead reports whether head cannot be the head of a log whose newest event lies at last.
func (o Options) badHead(head, last eventlog.Position) bool {
	return head.Compare(last) < 0 || head != last && !o.GappedPositions
}

// Open gives a test an empty log of its own and closes it when the test ends.
type Open func(t *testing.T, clock eventlog.Clock) eventlog.Log

// TestLog runs the whole suite, each case on a log of its own.
func TestLog(t *testing.T, open func(t *testing.T, clock eventlog.Clock) eventlog.Log, options ...Options) {
	o := only(options)
	groups := [][]testCase{appendCases, readCases, followCases, clockCases, concurrencyCases}
	if _, ok := newRig(t, open, o).log.(eventlog.MultiAppender); ok {
		groups = append(groups, allCases)
	}
	for _, group := range groups {
		for _, c := range group {
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				r := newRig(t, open, o)
				c.run(r)
				CheckLog(t, r.log, o)
			})
		}
	}
}

func only(options []Options) Options {
	if len(options) > 0 {
		return options[0]
	}
	return Options{}
}

type testCase struct {
	name string
	run  func(*rig)
}

// rig is one log under test and the short words the cases are written in.
type rig struct {
	*testing.T
	log   eventlog.Log
	ctx   context.Context
	clock *Clock
	o     Options
	open  Open

	histories int // random ones so far
}

// other opens a second log with a few events, for a case that closes it: what runs after the case still needs r.log.
func (r *rig) other() eventlog.Log {
	r.Helper()
	log := r.open(r.T, r.clock.Now)
	if _, err := log.Append(r.ctx, stream, eventlog.NoStream, Events("a", "b")); err != nil {
		r.Fatal(err)
	}
	return log
}

// patience bounds a case that hangs. No case depends on it.
const patience = time.Minute

func newRig(t *testing.T, open Open, o Options) *rig {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	clock := NewClock()
	log := open(t, clock.Now)
	t.Cleanup(func() { log.Close() })
	return &rig{T: t, log: log, ctx: ctx, clock: clock, o: o, open: open}
}

// Clock is a clock that stands still until it is told otherwise.
type Clock struct{ nanos atomic.Int64 }

// NewClock stands at 8 February 2021, 07:59:59.123456789 UTC: a time with more digits than a store keeps.
func NewClock() *Clock {
	c := new(Clock)
	c.Set(time.Date(2021, 2, 8, 7, 59, 59, 123456789, time.UTC))
	return c
}

// Now is an eventlog.Clock.
func (c *Clock) Now() time.Time { return time.Unix(0, c.nanos.Load()) }

// Set puts the clock to t, also backwards.
func (c *Clock) Set(t time.Time) { c.nanos.Store(t.UnixNano()) }

// Advance moves the clock by d and returns the new time.
func (c *Clock) Advance(d time.Duration) time.Time { return time.Unix(0, c.nanos.Add(int64(d))) }

// Event makes an event whose id, kind and bytes all follow from name, so that two calls give equal events.
func Event(name string) eventlog.Proposed {
	return eventlog.Proposed{
		ID:   uuid.NewSHA1(uuid.NameSpaceURL, []byte(name)),
		Kind: "Tested",
		Data: []byte(`{"name":"` + name + `"}`),
		Meta: []byte(`{"by":"eventlogtest"}`),
	}
}

// Events makes one event for each name.
func Events(names ...string) []eventlog.Proposed {
	events := make([]eventlog.Proposed, len(names))
	for i, name := range names {
		events[i] = Event(name)
	}
	return events
}

// append appends events that must be stored as new.
func (r *rig) append(stream string, expected eventlog.Expected, events ...eventlog.Proposed) eventlog.Appended {
	r.Helper()
	got, err := r.log.Append(r.ctx, stream, expected, events)
	if err != nil {
		r.Fatalf("append %d events to %s at %s: %v", len(events), stream, expected, err)
	}
	if got.Repeat {
		r.Fatalf("append to %s at %s: answered as a repeat", stream, expected)
	}
	if got.First != expected.Next() || got.Last != expected.Next()+uint64(len(events))-1 {
		r.Fatalf("append of %d events to %s at %s: got revisions %d to %d", len(events), stream, expected, got.First, got.Last)
	}
	return got
}

// repeat appends events that must be recognised.
func (r *rig) repeat(stream string, expected eventlog.Expected, events ...eventlog.Proposed) eventlog.Appended {
	r.Helper()
	before := r.stream(stream)
	got, err := r.log.Append(r.ctx, stream, expected, events)
	if err != nil {
		r.Fatalf("repeat of %d events to %s at %s: %v", len(events), stream, expected, err)
	}
	if !got.Repeat {
		r.Fatalf("append to %s at %s: answered as new, want a repeat", stream, expected)
	}
	if got.First != expected.Next() || got.Last != expected.Next()+uint64(len(events))-1 {
		r.Fatalf("repeat of %d events to %s at %s: got revisions %d to %d", len(events), stream, expected, got.First, got.Last)
	}
	if last := before[got.Last]; got.PositionKnown && (got.Position != last.Position || !got.RecordedAt.Equal(last.RecordedAt)) {
		r.Fatalf("repeat to %s: got position %s at %s, the event lies at %s, %s", stream, got.Position, got.RecordedAt, last.Position, last.RecordedAt)
	}
	r.same(before, r.stream(stream))
	return got
}

// refuse appends events that must be refused with kind and leave no trace.
func (r *rig) refuse(kind error, stream string, expected eventlog.Expected, events ...eventlog.Proposed) error {
	r.Helper()
	before := r.all()
	got, err := r.log.Append(r.ctx, stream, expected, events)
	if err == nil {
		r.Fatalf("append to %q at %s: stored as %+v, want error %q", stream, expected, got, kind)
	}
	if !isKind(err, kind) {
		r.Fatalf("append to %q at %s: got error %q, want kind %q", stream, expected, err, kind)
	}
	r.same(before, r.all())
	return err
}

// stream reads a stream from its beginning.
func (r *rig) stream(stream string) []eventlog.Recorded { r.Helper(); return r.streamFrom(stream, 0) }

func (r *rig) streamFrom(stream string, from uint64) []eventlog.Recorded {
	r.Helper()
	events, err := ReadAll(r.ctx, r.log, stream, from)
	if err != nil {
		r.Fatalf("read %s from %d: %v", stream, from, err)
	}
	return events
}

// ReadAll gathers what ReadStream yields.
func ReadAll(ctx context.Context, log eventlog.Log, stream string, from uint64) ([]eventlog.Recorded, error) {
	var events []eventlog.Recorded
	for e, err := range log.ReadStream(ctx, stream, from) {
		if err != nil {
			return events, err
		}
		events = append(events, e)
	}
	return events, nil
}

// all follows the log from its beginning until it has caught up.
func (r *rig) all() []eventlog.Recorded {
	r.Helper()
	return r.follow(eventlog.Position{}, eventlog.Filter{}, 0)
}

func (r *rig) follow(after eventlog.Position, filter eventlog.Filter, batchSize int) []eventlog.Recorded {
	r.Helper()
	events, err := FollowAll(r.ctx, r.log, after, filter, eventlog.FollowOptions{BatchSize: batchSize})
	if err != nil {
		r.Fatalf("follow after %s: %v", after, err)
	}
	return events
}

// FollowAll gathers what Follow yields until it has caught up, and fails when it breaks its word about batches.
func FollowAll(ctx context.Context, log eventlog.Log, after eventlog.Position, filter eventlog.Filter, o eventlog.FollowOptions) ([]eventlog.Recorded, error) {
	var events []eventlog.Recorded
	last, scanned := after, after
	size := o.BatchSize
	if size == 0 {
		size = eventlog.DefaultBatchSize
	}
	for b, err := range log.Follow(ctx, after, filter, o) {
		switch {
		case err != nil:
			return events, err
		case len(b.Events) > size:
			return events, fmt.Errorf("a batch of %d events, want at most %d", len(b.Events), size)
		case len(b.Events) == 0 && !b.CaughtUp:
			return events, fmt.Errorf("an empty batch after %s that is not caught up", last)
		case b.Scanned.Compare(scanned) < 0:
			return events, fmt.Errorf("scanned up to %s after up to %s", b.Scanned, scanned)
		}
		scanned = b.Scanned
		for _, e := range b.Events {
			if e.Position.Compare(last) <= 0 {
				return events, fmt.Errorf("%s revision %d at %s after %s", e.Stream, e.Revision, e.Position, last)
			}
			if !filter.Match(e.Stream) {
				return events, fmt.Errorf("%s does not pass the filter %q", e.Stream, filter.Prefixes)
			}
			last = e.Position
		}
		events = append(events, b.Events...)
		if b.CaughtUp {
			return events, nil
		}
	}
	return events, fmt.Errorf("the follower ended without an error after %s", last)
}

// same compares events as wholes, bytes by bytes; nil and empty bytes are the same.
func (r *rig) same(want, got []eventlog.Recorded) {
	r.Helper()
	if diff := diffEvents(want, got); diff != "" {
		r.Fatalf("events differ (-want +got):\n%s", diff)
	}
}

func diffEvents(want, got []eventlog.Recorded) string {
	if slices.EqualFunc(want, got, sameEvent) {
		return "" // cmp takes a hundred times as long, and a log has many events
	}
	return cmp.Diff(want, got, cmp.Comparer(bytes.Equal), cmp.Transformer("", func(s []eventlog.Recorded) []eventlog.Recorded {
		if len(s) == 0 {
			return nil
		}
		return s
	}))
}

func sameEvent(a, b eventlog.Recorded) bool {
	return a.ID == b.ID && a.Kind == b.Kind && bytes.Equal(a.Data, b.Data) && bytes.Equal(a.Meta, b.Meta) &&
		a.Stream == b.Stream && a.Revision == b.Revision && a.Position == b.Position && a.RecordedAt.Equal(b.RecordedAt)
}

// CheckLog derives every invariant of the contract anew from what the log gives, and returns its events. Nobody may be
// writing meanwhile.
func CheckLog(t testing.TB, log eventlog.Log, options ...Options) []eventlog.Recorded {
	t.Helper()
	o := only(options)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	events, err := FollowAll(ctx, log, eventlog.Position{}, eventlog.Filter{}, eventlog.FollowOptions{})
	if err != nil {
		t.Fatalf("check log: follow: %v", err)
	}
	head, err := log.Head(ctx)
	if err != nil {
		t.Fatalf("check log: head: %v", err)
	}
	var last eventlog.Recorded
	streams := make(map[string][]eventlog.Recorded)
	for i, e := range events {
		where := fmt.Sprintf("check log: %s revision %d at %s", e.Stream, e.Revision, e.Position)
		before := streams[e.Stream]
		switch {
		case !o.GappedPositions && e.Position != eventlog.Position{Commit: uint64(i + 1), Prepare: uint64(i + 1)}:
			t.Errorf("%s: it is event %d of the log", where, i+1)
		case e.Revision != uint64(len(before)):
			t.Errorf("%s: want revision %d", where, len(before))
		case e.ID == uuid.Nil || e.Kind == "":
			t.Errorf("%s: id %s, kind %q", where, e.ID, e.Kind)
		case e.RecordedAt.Location() != time.UTC || e.RecordedAt.Nanosecond()%1000 != 0:
			t.Errorf("%s: recorded at %s, want whole microseconds in UTC", where, e.RecordedAt)
		case len(before) > 0 && e.RecordedAt.Before(before[len(before)-1].RecordedAt):
			t.Errorf("%s: recorded at %s, before the revision before it", where, e.RecordedAt)
		case !o.RecordedAtPerStream && e.RecordedAt.Before(last.RecordedAt):
			t.Errorf("%s: recorded at %s, before the event before it (%s)", where, e.RecordedAt, last.RecordedAt)
		}
		if err := eventlog.CheckStream(e.Stream); err != nil {
			t.Errorf("%s: %v", where, err)
		}
		streams[e.Stream] = append(before, e)
		last = e
	}
	if o.badHead(head, last.Position) {
		t.Errorf("check log: head is %s, the last event lies at %s", head, last.Position)
	}
	categories := make(map[string][]eventlog.Recorded)
	for stream, want := range streams {
		got, err := ReadAll(ctx, log, stream, 0)
		if err != nil {
			t.Errorf("check log: read %s: %v", stream, err)
		} else if diff := diffEvents(want, got); diff != "" {
			t.Errorf("check log: reading %s differs from following it (-follow +read):\n%s", stream, diff)
		}
		category, _, _ := strings.Cut(stream, "-")
		categories[category+"-"] = nil
	}
	for _, e := range events {
		category, _, _ := strings.Cut(e.Stream, "-")
		categories[category+"-"] = append(categories[category+"-"], e)
	}
	for prefix, want := range categories {
		got, err := FollowAll(ctx, log, eventlog.Position{}, eventlog.Filter{Prefixes: []string{prefix}}, eventlog.FollowOptions{})
		if err != nil {
			t.Errorf("check log: follow %s: %v", prefix, err)
		} else if diff := diffEvents(want, got); diff != "" {
			t.Errorf("check log: following %s differs from following all (-all +filtered):\n%s", prefix, diff)
		}
	}
	return events
}

// together runs n functions at once and waits for them.
func together(n int, f func(i int)) {
	var start, end sync.WaitGroup
	start.Add(1)
	for i := range n {
		end.Add(1)
		go func() {
			defer end.Done()
			start.Wait()
			f(i)
		}()
	}
	start.Done()
	end.Wait()
}
