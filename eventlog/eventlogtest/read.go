package eventlogtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/answerable-ledger/answerable/eventlog"
)

var readCases = []testCase{
	{"an empty log", func(r *rig) {
		head, err := r.log.Head(r.ctx)
		if err != nil || r.o.badHead(head, eventlog.Position{}) {
			r.Errorf("head of an empty log: %s, %v", head, err)
		}
		if events := r.all(); len(events) > 0 {
			r.Errorf("followed %d events", len(events))
		}
	}},
	{"a stream that does not exist", func(r *rig) {
		for _, from := range []uint64{0, 1, 1 << 40} {
			if events := r.streamFrom(stream, from); len(events) > 0 {
				r.Errorf("read %d events from %d", len(events), from)
			}
		}
		r.append("unit-1", eventlog.NoStream, Event("a"))
		if events := r.stream("unit-10"); len(events) > 0 {
			r.Errorf("read %d events of a stream whose name begins like another's", len(events))
		}
	}},
	{"a stream from every revision", func(r *rig) {
		const n = 150 // more than one chunk of any store
		for i := range uint64(n) {
			r.append(stream, eventlog.After(i), Event(fmt.Sprint(i)))
			if i%3 == 0 {
				r.append("unit-1", eventlog.After(i/3), Event(fmt.Sprint(i)))
			}
		}
		whole := r.stream(stream)
		if len(whole) != n {
			r.Fatalf("%d events, want %d", len(whole), n)
		}
		for from := range uint64(n + 2) {
			r.same(whole[min(from, n):], r.streamFrom(stream, from))
		}
	}},
	{"breaking off a read", func(r *rig) {
		r.append(stream, eventlog.NoStream, Events("a", "b", "c")...)
		for e, err := range r.log.ReadStream(r.ctx, stream, 0) {
			if err != nil || e.Revision != 0 {
				r.Fatalf("got revision %d, %v", e.Revision, err)
			}
			break
		}
		r.append(stream, eventlog.Exact(2), Event("d"))
	}},
	{"a read whose context has ended fails", func(r *rig) {
		r.append(stream, eventlog.NoStream, Event("a"))
		ctx, cancel := context.WithCancel(r.ctx)
		cancel()
		if events, err := ReadAll(ctx, r.log, stream, 0); !errors.Is(err, context.Canceled) && !errors.Is(err, eventlog.ErrUnavailable) {
			r.Errorf("got %d events, error %v", len(events), err)
		}
	}},
	{"a read while it is written to", func(r *rig) {
		r.append(stream, eventlog.NoStream, Events("a", "b")...)
		n := uint64(2)
		for e, err := range r.log.ReadStream(r.ctx, stream, 0) {
			if err != nil {
				r.Fatal(err)
			}
			if n < 10 {
				r.append(stream, eventlog.After(n), Event(fmt.Sprint(e.Revision)))
				n++
			}
		}
		if got := uint64(len(r.stream(stream))); got != n {
			r.Errorf("%d events, want %d", got, n)
		}
	}},
	{"what went in comes out", func(r *rig) {
		every := make([]byte, 256)
		for i := range every {
			every[i] = byte(i)
		}
		samples := [][]byte{
			nil, {}, {0}, []byte("null"), []byte("{}"), []byte(` { "a" : 1.0e+2 , "a":1 } `), every,
			[]byte("Thủ trưởng cơ quan chịu trách nhiệm về số liệu báo cáo"), []byte("Bình Dương"), // NFC and NFD are not the same bytes
			[]byte("\xef\xbb\xbf\r\n\u2028"), {0xff, 0xfe, 0xc3, 0x28}, []byte("'; DROP TABLE event; --"),
		}
		var want []eventlog.Recorded
		n := uint64(0)
		for i, data := range samples {
			for j, meta := range samples {
				e := Event(fmt.Sprint(i, ".", j))
				e.Kind, e.Data, e.Meta = fmt.Sprintf("Kind%d", i%3), data, meta
				got := r.append(stream, eventlog.After(n), e)
				want = append(want, eventlog.Recorded{
					Proposed: e, Stream: stream, Revision: n, Position: got.Position, RecordedAt: r.clock.Now().UTC().Truncate(time.Microsecond),
				})
				r.clock.Advance(1234567)
				n++
			}
		}
		r.same(want, r.stream(stream))
		r.same(want, r.all())
	}},
	{"every batch and event is the caller's own", func(r *rig) {
		r.append(stream, eventlog.NoStream, Events("a", "b", "c")...)
		want := r.all()
		spoilt := r.all()
		for i := range spoilt {
			_ = append(spoilt[i].Meta, "over the end"...)
			_ = append(spoilt[i].Data, "over the end"...)
		}
		r.same(want, spoilt)
		for i := range spoilt {
			copy(spoilt[i].Data, bytes.Repeat([]byte("x"), 100))
		}
		r.same(want, r.all())
	}},
	{"head lies at the newest event", func(r *rig) {
		for i := range uint64(5) {
			got := r.append(stream, eventlog.After(i), Event(fmt.Sprint(i)))
			if head, err := r.log.Head(r.ctx); err != nil || r.o.badHead(head, got.Position) {
				r.Errorf("head is %s (%v) after an append at %s", head, err, got.Position)
			}
		}
	}},
	{"positions keep their text form", func(r *rig) {
		for i := range uint64(3) {
			r.append(stream, eventlog.After(i), Event(fmt.Sprint(i)))
		}
		for _, e := range r.all() {
			if p, err := eventlog.ParsePosition(e.Position.String()); err != nil || p != e.Position {
				r.Errorf("%s read back as %s, %v", e.Position, p, err)
			}
		}
	}},
	{"a closed log is unavailable", func(r *rig) {
		r.append(stream, eventlog.NoStream, Event("a"))
		closed := r.other()
		if err := closed.Close(); err != nil {
			r.Fatal(err)
		}
		if _, err := closed.Append(r.ctx, "unit-1", eventlog.NoStream, Events("a")); !errors.Is(err, eventlog.ErrUnavailable) {
			r.Errorf("append: %v", err)
		}
		if _, err := ReadAll(r.ctx, closed, stream, 0); !errors.Is(err, eventlog.ErrUnavailable) {
			r.Errorf("read: %v", err)
		}
		if _, err := closed.Head(r.ctx); !errors.Is(err, eventlog.ErrUnavailable) {
			r.Errorf("head: %v", err)
		}
		if _, err := FollowAll(r.ctx, closed, eventlog.Position{}, eventlog.Filter{}, eventlog.FollowOptions{}); !errors.Is(err, eventlog.ErrUnavailable) {
			r.Errorf("follow: %v", err)
		}
		closed.Close()
	}},
}
