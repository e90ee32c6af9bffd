package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"

	"github.com/google/uuid"

	"github.com/answerable-ledger/answerable/eventlog"
	"github.com/answerable-ledger/answerable/schemas"
)

type verifyCmd struct {
	dataFlag
	JSON bool `name:"json" help:"Print one JSON object."`
}

func (verifyCmd) Help() string {
	return `Reads every event back: each stream is contiguous, no id occurs twice in a stream, every event fits the schema of its own version; then folds the log anew and compares every row of every view with it; then makes every entry of the transparency log again and compares the tree, its checkpoints and the guard with them. Exits with 1 and names the first bad place when something is wrong. Works while the server runs.

Example:
  answerable verify --data ./ledger`
}

func (c verifyCmd) Run(a *app) error {
	return c.read(a, func(n *node) error { return c.verify(a, n) })
}

func (c verifyCmd) verify(a *app, n *node) error {
	head, err := n.log.Head(a.ctx)
	if err != nil {
		return err
	}
	p := a.progress(a.say("Kiểm tra", "Verifying"), a.total(head))
	v := newLogCheck(n.registry)
	err = v.check(a.ctx, n.log, p)
	p.done()
	if err == nil {
		err = a.verifyViews(n)
	}
	var entries int64
	if err == nil {
		entries, err = a.verifyEvidence(a.ctx, n.dir, n.log)
	}
	if a.ctx.Err() == nil {
		outcome := verified{At: a.now(), OK: err == nil, Events: v.events, Entries: entries}
		if err != nil {
			outcome.Fault = err.Error()
		}
		outcome.remember(a, n.dir)
	}
	if c.JSON && a.ctx.Err() == nil {
		out := map[string]any{"ok": err == nil, "events": v.events, "streams": len(v.next), "entries": entries}
		if err != nil {
			out["error"] = err.Error()
			err = errFailed
		}
		return errors.Join(a.printJSON(out), err)
	}
	if err != nil {
		return err
	}
	a.printf("Đúng: %d sự kiện trong %d luồng, mọi bảng tổng hợp khớp với sổ.\n", "Good: %d events in %d streams, every view agrees with the log.\n", v.events, len(v.next))
	if entries > 0 {
		a.printf("Bằng chứng: %d bản ghi trong cây khớp với sổ và với mọi chữ ký.\n", "Evidence: %d entries of the tree agree with the log and with every signature.\n", entries)
	}
	return nil
}

// logCheck goes through a log once and remembers where every stream stands.
type logCheck struct {
	registry *schemas.Registry
	next     map[string]uint64 // by stream: the revision that is due
	last     map[string]int64  // by stream: recorded_at in microseconds
	ids      map[idIn]struct{}
	at       eventlog.Position
	events   int64
}

type idIn struct {
	stream string
	id     uuid.UUID
}

func newLogCheck(r *schemas.Registry) *logCheck {
	return &logCheck{registry: r, next: map[string]uint64{}, last: map[string]int64{}, ids: map[idIn]struct{}{}}
}

// check stops at the first bad place.
func (v *logCheck) check(ctx context.Context, log eventlog.Log, p interface{ at(done int64) }) error {
	for b, err := range log.Follow(ctx, eventlog.Position{}, eventlog.Filter{}, eventlog.FollowOptions{}) {
		if err != nil {
			return err
		}
		if err := v.contents(b.Events); err != nil {
			return err
		}
		for _, e := range b.Events {
			if err := v.order(e); err != nil {
				return err
			}
		}
		p.at(v.events)
		if b.CaughtUp {
			return v.streams(ctx, log)
		}
	}
	return ctx.Err()
}

// order: positions rise, revisions are 0, 1, 2, …, recorded_at never decreases within a stream, no id occurs twice in it.
func (v *logCheck) order(e eventlog.Recorded) error {
	where := fmt.Sprintf("event %s at position %s, revision %d of %s", e.ID, e.Position, e.Revision, e.Stream)
	v.events++
	if e.Position.Compare(v.at) <= 0 {
		return fmt.Errorf("%s: the position does not lie after %s: %w", where, v.at, eventlog.ErrDamaged)
	}
	v.at = e.Position
	if due := v.next[e.Stream]; e.Revision != due {
		return fmt.Errorf("%s: revision %d was due: %w", where, due, eventlog.ErrDamaged)
	}
	v.next[e.Stream]++
	at := e.RecordedAt.UnixMicro()
	if at < v.last[e.Stream] {
		return fmt.Errorf("%s: recorded before the event in front of it: %w", where, eventlog.ErrDamaged)
	}
	v.last[e.Stream] = at
	if _, twice := v.ids[idIn{e.Stream, e.ID}]; twice {
		return fmt.Errorf("%s: the id occurs twice: %w", where, eventlog.ErrDamaged)
	}
	v.ids[idIn{e.Stream, e.ID}] = struct{}{}
	return nil
}

// contents checks every event against the schema of its own version and its digest, on all cores, and returns the first fault by place.
func (v *logCheck) contents(events []eventlog.Recorded) error {
	workers := runtime.GOMAXPROCS(0)
	faults := make([]error, len(events))
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := w; i < len(events); i += workers {
				faults[i] = v.registry.CheckRecorded(sourceOf(events[i]))
			}
		})
	}
	wg.Wait()
	for i, err := range faults {
		if err != nil {
			e := events[i]
			// In words: to whoever reads this the place matters, not that it would be a refusal on the way in.
			return fmt.Errorf("event %s at position %s, revision %d of %s: %v: %w", e.ID, e.Position, e.Revision, e.Stream, err, eventlog.ErrDamaged)
		}
	}
	return nil
}

// verifyViews compares every row of every view with a fresh fold of the log, as far as the views have come.
func (a *app) verifyViews(n *node) error {
	views, err := a.openVerifier(n)
	if err != nil {
		return err
	}
	return errors.Join(views.Verify(a.ctx), views.Close())
}
