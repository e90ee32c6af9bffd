package eventlogtest

import (
	"errors"
	"fmt"
	"slices"

	"pgregory.net/rapid"

	"github.com/answerable-ledger/answerable/eventlog"
)

// allCases are for logs that append to several streams as one.
var allCases = []testCase{
	{"several streams are stored as one, in the order given", func(r *rig) {
		r.append("unit-2", eventlog.NoStream, Event("before"))
		parts := []eventlog.Part{part("unit-3", eventlog.NoStream, "a", "b"), part("unit-2", eventlog.Exact(0), "c"), part("unit-1", eventlog.NoStream, "d")}
		got := r.appendAll(parts...)
		events := r.all()[1:]
		for i, name := range []string{"a", "b", "c", "d"} {
			if events[i].ID != Event(name).ID || !events[i].RecordedAt.Equal(events[0].RecordedAt) {
				r.Errorf("event %d is %+v, want %s recorded at %s", i, events[i], name, events[0].RecordedAt)
			}
		}
		for i, at := range []int{1, 2, 3} {
			last := events[at]
			if got[i].Repeat || got[i].First != parts[i].Expected.Next() || got[i].Last != last.Revision || got[i].Position != last.Position || !got[i].RecordedAt.Equal(last.RecordedAt) {
				r.Errorf("part %d: answered %+v, its last event is %+v", i, got[i], last)
			}
		}
	}},
	{"a part that is refused refuses all", func(r *rig) {
		r.append("unit-1", eventlog.NoStream, Events("a", "b")...)
		good := func(i int) eventlog.Part { return part(fmt.Sprint("unit-good.", i), eventlog.NoStream, fmt.Sprint(i)) }
		for _, bad := range map[string]struct {
			eventlog.Part
			kind error
		}{
			"beyond":   {part("unit-1", eventlog.Exact(7), "x"), eventlog.ErrConflict},
			"before":   {part("unit-1", eventlog.Exact(0), "x"), eventlog.ErrConflict},
			"new":      {part("unit-1", eventlog.NoStream, "x"), eventlog.ErrConflict},
			"mismatch": {part("unit-1", eventlog.NoStream, "a", "x"), eventlog.ErrRepeatMismatch},
		} {
			for at := range 3 {
				parts := slices.Insert([]eventlog.Part{good(1), good(2)}, at, bad.Part)
				err := r.refuseAll(bad.kind, parts...)
				if bad.kind == eventlog.ErrConflict {
					r.conflict(err, "unit-1", bad.Expected, eventlog.Exact(1))
				}
			}
		}
	}},
	{"a repeat of all is recognised, and of some the others are stored", func(r *rig) {
		first := []eventlog.Part{part("unit-1", eventlog.NoStream, "a"), part("unit-2", eventlog.NoStream, "b", "c")}
		stored := r.appendAll(first...)
		before := r.all()
		again := r.appendAll(first...)
		r.same(before, r.all())
		third := part("unit-3", eventlog.NoStream, "d")
		some := r.appendAll(first[1], third, first[0])
		for i, got := range []eventlog.Appended{again[0], again[1], some[2], some[0]} {
			want := stored[i%2]
			if want.Repeat = true; got != want {
				r.Errorf("repeat %d: answered %+v, want %+v", i, got, want)
			}
		}
		if events := r.all(); some[1].Repeat || len(events) != 4 || events[3].Stream != third.Stream || events[3].Position != some[1].Position {
			r.Errorf("answered %+v, the log has %+v", some[1], events)
		}
	}},
	{"several streams: nothing without what an append needs", func(r *rig) {
		good := part("unit-1", eventlog.NoStream, "a")
		large := part("unit-2", eventlog.NoStream, "b")
		large.Events[0].Data = make([]byte, eventlog.MaxEventBytes+1)
		r.refuseAll(eventlog.ErrInvalid)
		r.refuseAll(eventlog.ErrInvalid, good, part("unit-1", eventlog.Exact(0), "b"))
		r.refuseAll(eventlog.ErrInvalid, good, part("unit-2", eventlog.NoStream))
		r.refuseAll(eventlog.ErrInvalid, good, part("nodash", eventlog.NoStream, "b"))
		r.refuseAll(eventlog.ErrTooLarge, good, large)
	}},
	{"of many writers with streams in common none is stored in part", func(r *rig) {
		const writers, streams = 40, 5
		won := make([]bool, writers)
		together(writers, func(w int) {
			var parts []eventlog.Part
			for i := range streams {
				parts = append(parts, part(fmt.Sprint("unit-", (w*3+i)%(writers/2)), eventlog.NoStream, fmt.Sprintf("%d.%d", w, i)))
			}
			_, err := r.log.(eventlog.MultiAppender).AppendAll(r.ctx, parts)
			if won[w] = err == nil; err != nil && !errors.Is(err, eventlog.ErrConflict) {
				r.Errorf("writer %d: %v", w, err)
			}
		})
		there := map[string]bool{}
		for _, e := range r.all() {
			there[string(e.Data)] = true
		}
		for w := range writers {
			for i := range streams {
				if name := fmt.Sprintf("%d.%d", w, i); there[string(Event(name).Data)] != won[w] {
					r.Errorf("writer %d: acknowledged is %t, event %s is there is %t", w, won[w], name, !won[w])
				}
			}
		}
	}},
	{"any history of appends to several streams is answered as the rules say", func(r *rig) { rapid.Check(r.T, r.randomAll) }},
}

func part(stream string, expected eventlog.Expected, names ...string) eventlog.Part {
	return eventlog.Part{Stream: stream, Expected: expected, Events: Events(names...)}
}

func (r *rig) appendAll(parts ...eventlog.Part) []eventlog.Appended {
	r.Helper()
	got, err := r.log.(eventlog.MultiAppender).AppendAll(r.ctx, parts)
	if err != nil || len(got) != len(parts) {
		r.Fatalf("append to %d streams: %+v, %v", len(parts), got, err)
	}
	return got
}

// refuseAll appends to several streams what must be refused with kind and leave no trace.
func (r *rig) refuseAll(kind error, parts ...eventlog.Part) error {
	r.Helper()
	before := r.all()
	got, err := r.log.(eventlog.MultiAppender).AppendAll(r.ctx, parts)
	if !isKind(err, kind) || got != nil {
		r.Fatalf("append to %d streams: got %+v, error %v, want kind %q", len(parts), got, err, kind)
	}
	r.same(before, r.all())
	return err
}

// randomAll compares every answer with what Append would say of each part alone, applied to plain lists of names.
func (r *rig) randomAll(t *rapid.T) {
	r.histories++
	there := map[string][]string{}
	for n := range rapid.IntRange(1, 12).Draw(t, "appends") {
		var parts []eventlog.Part
		refused := false
		repeat := make([]bool, rapid.IntRange(1, 4).Draw(t, "parts"))
		next := map[string][]string{}
		for i := range repeat {
			name := fmt.Sprintf("unit-%d.%d", r.histories, (n+i)%6)
			have := there[name]
			at := rapid.IntRange(max(0, len(have)-2), len(have)+rapid.IntRange(0, 1).Draw(t, "beyond")).Draw(t, "expected")
			id := fmt.Sprintf("%s new %d", name, n)
			if at < len(have) && rapid.Bool().Draw(t, "old") {
				id = have[at]
			}
			switch {
			case at == len(have):
				next[name] = append(slices.Clone(have), id)
			case at < len(have) && have[at] == id:
				repeat[i] = true
			default:
				refused = true
			}
			parts = append(parts, part(name, eventlog.After(uint64(at)), id))
		}
		got, err := r.log.(eventlog.MultiAppender).AppendAll(r.ctx, parts)
		if refused != errors.Is(err, eventlog.ErrConflict) || !refused && err != nil {
			t.Fatalf("append %+v on %v: %v", parts, there, err)
		}
		if refused {
			continue
		}
		for i, p := range parts {
			if got[i].Repeat != repeat[i] || got[i].First != p.Expected.Next() {
				t.Fatalf("part %+v on %v: %+v", p, there, got[i])
			}
			if names, ok := next[p.Stream]; ok {
				there[p.Stream] = names
			}
		}
	}
	for name, want := range there {
		events, err := ReadAll(r.ctx, r.log, name, 0)
		if err != nil || !slices.EqualFunc(events, want, func(e eventlog.Recorded, name string) bool { return e.ID == Event(name).ID }) {
			t.Fatalf("%s has %+v, want %q: %v", name, events, want, err)
		}
	}
}
