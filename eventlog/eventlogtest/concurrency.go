package eventlogtest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/answerable-ledger/answerable/eventlog"
)

var clockCases = []testCase{
	{"recorded at is the clock's time in whole microseconds", func(r *rig) {
		got := r.append(stream, eventlog.NoStream, Event("a"))
		if want := r.clock.Now().UTC().Truncate(time.Microsecond); !got.RecordedAt.Equal(want) || !r.stream(stream)[0].RecordedAt.Equal(want) {
			r.Errorf("answered %s, recorded %s, the clock says %s", got.RecordedAt, r.stream(stream)[0].RecordedAt, want)
		}
	}},
	{"recorded at never decreases when the clock goes backwards", func(r *rig) {
		newest := r.append(stream, eventlog.NoStream, Event("a")).RecordedAt
		r.clock.Advance(-time.Hour)
		got := r.append(stream, eventlog.Exact(0), Event("b"))
		if got.RecordedAt.Before(newest) {
			r.Errorf("recorded at %s, after an event at %s", got.RecordedAt, newest)
		}
		r.append("unit-1", eventlog.NoStream, Event("c"))
		later := r.clock.Advance(2 * time.Hour).UTC().Truncate(time.Microsecond)
		if got := r.append(stream, eventlog.Exact(1), Event("d")); !got.RecordedAt.Equal(later) {
			r.Errorf("recorded at %s, the clock is right again and says %s", got.RecordedAt, later)
		}
	}},
}

var concurrencyCases = []testCase{
	{"of many writers at one revision exactly one wins", func(r *rig) {
		const writers = 100
		for revision := range uint64(5) {
			var won atomic.Int32
			together(writers, func(w int) {
				expected := eventlog.After(revision)
				_, err := r.log.Append(r.ctx, stream, expected, Events(fmt.Sprint(revision, " by ", w)))
				var conflict *eventlog.ConflictError
				switch {
				case err == nil:
					won.Add(1)
				case !errors.As(err, &conflict):
					r.Errorf("writer %d: %v", w, err)
				case conflict.ActualKnown && conflict.Actual != eventlog.Exact(revision):
					r.Errorf("writer %d: the conflict says the stream is at %s, it is at revision %d", w, conflict.Actual, revision)
				}
			})
			if won.Load() != 1 {
				r.Errorf("revision %d: %d writers won", revision, won.Load())
			}
		}
		if n := len(r.stream(stream)); n != 5 {
			r.Errorf("%d events, want 5", n)
		}
	}},
	{"many writers to many streams lose nothing", func(r *rig) {
		const writers, streams, each = 16, 5, 8
		var mu sync.Mutex
		stored := make(map[string]bool)
		together(writers, func(w int) {
			for i := range each {
				name := fmt.Sprintf("unit-%d", (w+i)%streams)
				what := fmt.Sprint(w, ".", i)
				for {
					events, err := ReadAll(r.ctx, r.log, name, 0)
					if err != nil {
						r.Errorf("read %s: %v", name, err)
						return
					}
					got, err := r.log.Append(r.ctx, name, eventlog.After(uint64(len(events))), Events(what))
					if errors.Is(err, eventlog.ErrConflict) {
						continue
					}
					if err != nil {
						r.Errorf("append to %s: %v", name, err)
						return
					}
					if head, err := r.log.Head(r.ctx); err != nil || got.PositionKnown && head.Compare(got.Position) < 0 {
						r.Errorf("head is %s (%v) after an append at %s was acknowledged", head, err, got.Position)
					}
					break
				}
				mu.Lock()
				stored[Event(what).ID.String()] = true
				mu.Unlock()
			}
		})
		events := r.all()
		for _, e := range events {
			delete(stored, e.ID.String())
		}
		if len(events) != writers*each || len(stored) > 0 {
			r.Errorf("%d events, want %d; %d acknowledged ones are missing", len(events), writers*each, len(stored))
		}
	}},
	{"an acknowledged append can be read at once", func(r *rig) {
		together(8, func(w int) {
			name := fmt.Sprintf("unit-%d", w)
			for i := range uint64(20) {
				if _, err := r.log.Append(r.ctx, name, eventlog.After(i), Events(fmt.Sprint(w, ".", i))); err != nil {
					r.Errorf("append: %v", err)
					return
				}
				if events, err := ReadAll(r.ctx, r.log, name, i); err != nil || len(events) != 1 {
					r.Errorf("%d events from revision %d of %s, %v", len(events), i, name, err)
				}
			}
		})
	}},
	{"one append sent by many at once is stored once", func(r *rig) {
		var news atomic.Int32
		together(20, func(int) {
			got, err := r.log.Append(r.ctx, stream, eventlog.NoStream, Events("a", "b"))
			if err != nil {
				r.Errorf("append: %v", err)
			} else if !got.Repeat {
				news.Add(1)
			}
		})
		if n := len(r.stream(stream)); n != 2 || news.Load() != 1 {
			r.Errorf("%d events, %d answered as new", n, news.Load())
		}
	}},
	{"an append cancelled on its way can be repeated and is stored once", func(r *rig) {
		together(16, func(w int) {
			for i := range 10 {
				name := fmt.Sprintf("unit-%d.%d", w, i)
				ctx, cancel := context.WithCancel(r.ctx)
				if i%5 == 0 {
					cancel()
				} else {
					go cancel()
				}
				_, err := r.log.Append(ctx, name, eventlog.NoStream, Events(name))
				cancel()
				if err != nil && !errors.Is(err, eventlog.ErrOutcomeUnknown) && !errors.Is(err, eventlog.ErrUnavailable) && !errors.Is(err, context.Canceled) {
					r.Errorf("cancelled append: %v", err)
				}
				if _, err := r.log.Append(r.ctx, name, eventlog.NoStream, Events(name)); err != nil {
					r.Errorf("repeat after %v: %v", err, err)
				}
				if events, err := ReadAll(r.ctx, r.log, name, 0); err != nil || len(events) != 1 {
					r.Errorf("%s has %d events (%v), want 1", name, len(events), err)
				}
			}
		})
	}},
}
