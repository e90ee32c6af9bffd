package eventlogtest

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/answerable-ledger/answerable/eventlog"
)

// isKind is errors.Is, with a nil kind standing for any error.
func isKind(err, kind error) bool { return err != nil && (kind == nil || errors.Is(err, kind)) }

// conflict checks that err is a conflict that knows where the stream stands, or says that it does not.
func (r *rig) conflict(err error, stream string, expected, actual eventlog.Expected) {
	r.Helper()
	var c *eventlog.ConflictError
	if !errors.As(err, &c) {
		r.Fatalf("got error %v, want a *ConflictError", err)
	}
	if c.Stream != stream || c.Expected != expected || c.ActualKnown && c.Actual != actual {
		r.Fatalf("got conflict %+v, want %s at %s, expected %s", c, stream, actual, expected)
	}
}

const stream = "report-binhduong-2021.smartphone.25900.20210208"

var appendCases = []testCase{
	{"append to a new stream, then to where it stands", func(r *rig) {
		first := r.append(stream, eventlog.NoStream, Event("a"))
		if first.First != 0 {
			r.Errorf("the first event has revision %d", first.First)
		}
		second := r.append(stream, eventlog.Exact(0), Event("b"))
		if !first.PositionKnown || !second.PositionKnown || second.Position.Compare(first.Position) <= 0 || first.Position.IsZero() {
			r.Errorf("positions %+v, then %+v", first, second)
		}
		events := r.stream(stream)
		if len(events) != 2 || events[0].Position != first.Position || events[1].Position != second.Position {
			r.Errorf("read %+v, appended at %s and %s", events, first.Position, second.Position)
		}
		if !events[1].RecordedAt.Equal(second.RecordedAt) {
			r.Errorf("recorded at %s, answered %s", events[1].RecordedAt, second.RecordedAt)
		}
	}},
	{"no stream expected twice is a conflict", func(r *rig) {
		r.append(stream, eventlog.NoStream, Event("a"))
		err := r.refuse(eventlog.ErrConflict, stream, eventlog.NoStream, Event("b"))
		r.conflict(err, stream, eventlog.NoStream, eventlog.Exact(0))
	}},
	{"an old revision expected is a conflict", func(r *rig) {
		r.append(stream, eventlog.NoStream, Events("a", "b", "c")...)
		err := r.refuse(eventlog.ErrConflict, stream, eventlog.Exact(0), Event("d"))
		r.conflict(err, stream, eventlog.Exact(0), eventlog.Exact(2))
	}},
	{"a future revision expected is a conflict", func(r *rig) {
		err := r.refuse(eventlog.ErrConflict, stream, eventlog.Exact(0), Event("a"))
		r.conflict(err, stream, eventlog.Exact(0), eventlog.NoStream)
		r.append(stream, eventlog.NoStream, Event("a"))
		err = r.refuse(eventlog.ErrConflict, stream, eventlog.Exact(1), Event("b"))
		r.conflict(err, stream, eventlog.Exact(1), eventlog.Exact(0))
	}},
	{"a future revision expected is a conflict also with known ids", func(r *rig) {
		r.append(stream, eventlog.NoStream, Event("a"))
		r.refuse(eventlog.ErrConflict, stream, eventlog.Exact(5), Event("a"))
	}},
	{"a repeat of a whole append is recognised", func(r *rig) {
		r.append(stream, eventlog.NoStream, Events("a", "b")...)
		r.repeat(stream, eventlog.NoStream, Events("a", "b")...)
		r.append(stream, eventlog.Exact(1), Events("c", "d")...)
		r.repeat(stream, eventlog.Exact(1), Events("c", "d")...)
	}},
	{"a repeat of the first events of an append is recognised", func(r *rig) {
		r.append(stream, eventlog.NoStream, Events("a", "b", "c")...)
		r.repeat(stream, eventlog.NoStream, Events("a", "b")...)
		r.repeat(stream, eventlog.Exact(0), Events("b")...)
	}},
	{"a repeat is recognised after later writes", func(r *rig) {
		r.append(stream, eventlog.NoStream, Events("a", "b")...)
		r.append(stream, eventlog.Exact(1), Event("c"))
		r.append("unit-25900", eventlog.NoStream, Event("d"))
		r.repeat(stream, eventlog.NoStream, Events("a", "b")...)
		r.repeat(stream, eventlog.NoStream, Events("a", "b", "c")...)
	}},
	{"a repeat that runs past the end does not match", func(r *rig) {
		r.append(stream, eventlog.NoStream, Events("a", "b")...)
		r.refuse(eventlog.ErrRepeatMismatch, stream, eventlog.NoStream, Events("a", "b", "c")...)
	}},
	{"a repeat that differs further on does not match", func(r *rig) {
		r.append(stream, eventlog.NoStream, Events("a", "b", "c")...)
		r.refuse(eventlog.ErrRepeatMismatch, stream, eventlog.NoStream, Events("a", "x", "c")...)
	}},
	{"a repeat whose first id differs is a conflict", func(r *rig) {
		r.append(stream, eventlog.NoStream, Events("a", "b")...)
		r.refuse(eventlog.ErrConflict, stream, eventlog.NoStream, Events("x", "b")...)
		r.refuse(eventlog.ErrConflict, stream, eventlog.NoStream, Events("b", "a")...)
	}},
	{"a repeat with other bytes keeps the original", func(r *rig) {
		r.append(stream, eventlog.NoStream, Event("a"))
		other := eventlog.Proposed{ID: Event("a").ID, Kind: "Other", Data: []byte("other"), Meta: nil}
		r.repeat(stream, eventlog.NoStream, other)
		if got := r.stream(stream)[0]; got.Kind != "Tested" || !bytes.Equal(got.Data, Event("a").Data) {
			r.Errorf("the original became %+v", got)
		}
	}},
	{"the same id may stand in two streams, and twice in one", func(r *rig) {
		r.append("unit-1", eventlog.NoStream, Event("a"))
		r.append("unit-2", eventlog.NoStream, Event("a"))
		r.append("unit-1", eventlog.Exact(0), Event("a"))
		r.repeat("unit-1", eventlog.Exact(0), Event("a"))
	}},
	{"a batch keeps its order and is stored whole", func(r *rig) {
		names := strings.Split("k c a j b i d h e g f", " ")
		got := r.append(stream, eventlog.NoStream, Events(names...)...)
		events := r.stream(stream)
		if len(events) != len(names) {
			r.Fatalf("%d events, want %d", len(events), len(names))
		}
		for i, e := range events {
			if e.ID != Event(names[i]).ID || e.Revision != uint64(i) {
				r.Errorf("event %d is %s at revision %d, want %s", i, e.Data, e.Revision, names[i])
			}
		}
		if last := events[len(events)-1]; last.Position != got.Position {
			r.Errorf("answered position %s, the last event lies at %s", got.Position, last.Position)
		}
	}},
	{"nothing can be stored without what an event needs", func(r *rig) {
		for name, events := range map[string][]eventlog.Proposed{
			"no events":   {},
			"no id":       {Event("a"), {Kind: "Tested"}},
			"no kind":     {Event("a"), {ID: Event("b").ID}},
			"an id twice": {Event("a"), Event("b"), Event("a")},
		} {
			r.Run(name, func(t *testing.T) {
				sub := *r
				sub.T = t
				sub.refuse(eventlog.ErrInvalid, stream, eventlog.NoStream, events...)
			})
		}
	}},
	{"stream names", func(r *rig) {
		for _, name := range []string{
			"", "$all-x", "$ce-report", "$$unit-1", "nodash", "-rest", "unit 1-x", "unit-\n", "unit-é", "unit-\x00", "unit-đ",
			"unit-" + strings.Repeat("x", eventlog.MaxStreamName),
		} {
			r.refuse(eventlog.ErrInvalid, name, eventlog.NoStream, Event("a"))
		}
		names := []string{
			"u-", "u-1", "unit-1-2", "unit--", "UNIT-1", "unit-%", "unit-_", "unit-'", `unit-"`, `unit-\`, "unit-?", "unit-*", "unit-[a]", "unit-$all",
			"unit-" + strings.Repeat("x", eventlog.MaxStreamName-5),
		}
		for i, name := range names {
			r.append(name, eventlog.NoStream, Event(fmt.Sprint(i)))
		}
		for i, name := range names {
			if events := r.stream(name); len(events) != 1 || events[0].ID != Event(fmt.Sprint(i)).ID || events[0].Stream != name {
				r.Errorf("stream %q: read %+v", name, events)
			}
		}
	}},
	{"sizes", func(r *rig) {
		full := Event("full")
		full.Meta = bytes.Repeat([]byte("m"), 1000)
		full.Data = bytes.Repeat([]byte("d"), eventlog.MaxEventBytes-1000)
		r.append(stream, eventlog.NoStream, full)
		if got := r.stream(stream)[0]; !bytes.Equal(got.Data, full.Data) || !bytes.Equal(got.Meta, full.Meta) {
			r.Errorf("an event of %d bytes came back with %d", eventlog.MaxEventBytes, len(got.Data)+len(got.Meta))
		}
		over := Event("over")
		over.Data = make([]byte, eventlog.MaxEventBytes+1)
		over.Meta = nil
		r.refuse(eventlog.ErrTooLarge, "unit-1", eventlog.NoStream, over)
		half := Events("half", "other half", "one more")
		for i := range half {
			half[i].Data = make([]byte, eventlog.MaxAppendBytes/2)
			half[i].Meta = nil
		}
		r.append("unit-2", eventlog.NoStream, half[:2]...)
		r.refuse(eventlog.ErrTooLarge, "unit-3", eventlog.NoStream, half...)
	}},
	{"the caller's bytes are its own again when the append returns", func(r *rig) {
		e := Event("a")
		e.Data, e.Meta = []byte("data"), []byte("meta")
		r.append(stream, eventlog.NoStream, e)
		copy(e.Data, "xxxx")
		copy(e.Meta, "xxxx")
		got := r.stream(stream)[0]
		if string(got.Data) != "data" || string(got.Meta) != "meta" {
			r.Fatalf("stored %q, %q", got.Data, got.Meta)
		}
		copy(got.Data, "yyyy")
		if again := r.stream(stream)[0]; string(again.Data) != "data" {
			r.Errorf("a reader changed what is stored to %q", again.Data)
		}
	}},
	{"any history of appends is answered as the rules say", func(r *rig) { rapid.Check(r.T, r.randomHistory) }},
}

// randomHistory appends with expectations before, at and after the truth, with new ids and old ones, and compares every
// answer with the rules applied to a plain list of ids.
func (r *rig) randomHistory(t *rapid.T) {
	name := fmt.Sprintf("history-%s", uuid.New())
	var there []uuid.UUID
	for range rapid.IntRange(1, 12).Draw(t, "appends") {
		next := rapid.IntRange(max(0, len(there)-3), len(there)+1).Draw(t, "expected")
		events := make([]eventlog.Proposed, rapid.IntRange(1, 3).Draw(t, "events"))
		for i := range events {
			events[i] = eventlog.Proposed{ID: uuid.New(), Kind: "Tested"}
			if at := next + i; at < len(there) && rapid.IntRange(0, 4).Draw(t, "old id") > 0 {
				if id := there[at]; i == 0 || id != events[i-1].ID {
					events[i].ID = id
				}
			}
		}
		matched := 0
		for matched < len(events) && next+matched < len(there) && events[matched].ID == there[next+matched] {
			matched++
		}
		got, err := r.log.Append(r.ctx, name, eventlog.After(uint64(next)), events)
		where := fmt.Sprintf("append %d events after %d of %d, %d known: got %+v, %v", len(events), next, len(there), matched, got, err)
		switch {
		case next == len(there):
			if err != nil || got.Repeat || got.First != uint64(next) || got.Last != uint64(next+len(events)-1) {
				t.Fatalf("%s: want it stored", where)
			}
			for _, e := range events {
				there = append(there, e.ID)
			}
		case next > len(there), matched == 0:
			if !errors.Is(err, eventlog.ErrConflict) {
				t.Fatalf("%s: want a conflict", where)
			}
		case matched < len(events):
			if !errors.Is(err, eventlog.ErrRepeatMismatch) {
				t.Fatalf("%s: want a mismatch", where)
			}
		default:
			if err != nil || !got.Repeat || got.First != uint64(next) || got.Last != uint64(next+len(events)-1) {
				t.Fatalf("%s: want a repeat", where)
			}
		}
	}
	events, err := ReadAll(r.ctx, r.log, name, 0)
	if err != nil || len(events) != len(there) {
		t.Fatalf("read %d events of %d: %v", len(events), len(there), err)
	}
	for i, e := range events {
		if e.ID != there[i] {
			t.Fatalf("revision %d has id %s, want %s", i, e.ID, there[i])
		}
	}
}
