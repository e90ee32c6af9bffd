package esdb

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	client "github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"google.golang.org/grpc/codes"

	"github.com/answerable-ledger/answerable/eventlog"
)

// searchWindow is how many events the server looks at between two checkpoints of a filtered subscription: it bounds
// how far Scanned stays behind when nothing passes the filter, and the number of messages when little does.
const searchWindow = 256

// errBrokenOff ends a subscription whose consumer wants no more.
var errBrokenOff = errors.New("esdb: the consumer broke off")

// Follow implements eventlog.Log with a filtered subscription to $all, opened anew behind the last yielded event as
// often as it breaks. While the server is away it waits. Once it has caught up it yields an empty batch, again marked
// as caught up, whenever the server has looked at events that do not pass, so that Scanned moves.
//
// A follower that has been given nothing yet begins again from its own start after a reconnection, however far the
// server had searched: the position of a search is no place to resume from (KurrentDB issue 4970).
func (l *Log) Follow(ctx context.Context, after eventlog.Position, filter eventlog.Filter, o eventlog.FollowOptions) iter.Seq2[eventlog.Batch, error] {
	return func(yield func(eventlog.Batch, error) bool) {
		f := &follower{Log: l, filter: filter, last: after, scanned: after, size: o.BatchSize}
		if f.size <= 0 {
			f.size = eventlog.DefaultBatchSize
		}
		for pause := firstBackoff; ; {
			before := f.last
			err := f.subscription(ctx, yield)
			switch {
			case errors.Is(err, errBrokenOff):
				return
			case ctx.Err() != nil:
				yield(eventlog.Batch{}, ctx.Err())
				return
			case lasting(err):
				yield(eventlog.Batch{}, fmt.Errorf("esdb: follow after %s: %w", f.last, failed(err)))
				return
			}
			if f.last != before {
				pause = firstBackoff
			}
			l.options.Logf("esdb: subscription ended behind %s, opening it again: %v", f.last, err)
			if sleep(ctx, pause) == nil {
				pause = min(2*pause, lastBackoff)
			}
		}
	}
}

// lasting reports the errors of a subscription that a new one would meet again.
func lasting(err error) bool {
	for _, kind := range []error{eventlog.ErrGone, eventlog.ErrDamaged, eventlog.ErrUnavailable} {
		if errors.Is(err, kind) { // ErrUnavailable comes from the supervisor, and only when the log is closed
			return true
		}
	}
	if hopeless(err) {
		return true
	}
	switch statusOf(err) {
	case codes.PermissionDenied, codes.Unauthenticated, codes.Unimplemented:
		return true
	}
	return false
}

// follower is one call of Follow.
type follower struct {
	*Log
	filter  eventlog.Filter
	size    int
	last    eventlog.Position // of the last event put into a batch
	scanned eventlog.Position
	live    bool // the present subscription has caught up
}

// arrival is what a subscription brings: an event, or how far the server has looked, or that there is no more.
type arrival struct {
	event    eventlog.Recorded
	scanned  eventlog.Position // zero with an event
	caughtUp bool
}

// subscription opens one and yields what it brings until it ends. What has arrived when it ends is still yielded.
func (f *follower) subscription(ctx context.Context, yield func(eventlog.Batch, error) bool) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	f.live = false
	var (
		begun    = make(chan struct{})
		opened   = make(chan struct{})
		arrivals = make(chan arrival, f.size)
		ended    = make(chan error, 1)
		from     = f.from()
	)
	go func() {
		_, err := call(ctx, f.server, 0, patient, func(ctx context.Context, c *client.Client) (struct{}, error) {
			close(begun)
			return struct{}{}, f.pump(ctx, c, from, opened, arrivals)
		})
		ended <- err
	}()
	select {
	case <-begun:
	case err := <-ended:
		return err
	}
	timer := time.NewTimer(f.options.AttemptTimeout)
	defer timer.Stop()
	select {
	case <-opened:
	case err := <-ended:
		select {
		case <-opened: // and then ended
			ended <- err
		default:
			return err
		}
	case <-timer.C: // deadline exceeded: so that the supervisor suspects the client
		cancel(context.DeadlineExceeded)
		return fmt.Errorf("the subscription was not confirmed within %v", f.options.AttemptTimeout)
	}
	return f.deliver(ctx, arrivals, ended, yield)
}

// deliver makes batches of what arrives. A batch is closed when it is full, when the server says there is no more, or
// when nothing more has arrived yet: a consumer that is slower than the server gets full ones.
func (f *follower) deliver(ctx context.Context, arrivals <-chan arrival, ended <-chan error, yield func(eventlog.Batch, error) bool) error {
	var end error
	for over := false; ; {
		var batch eventlog.Batch
		if !over {
			select {
			case a := <-arrivals:
				f.add(&batch, a)
			case end = <-ended:
				over = true
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		left := true
		for left && !batch.CaughtUp && len(batch.Events) < f.size {
			select {
			case a := <-arrivals:
				f.add(&batch, a)
			default:
				left = false
			}
		}
		if len(batch.Events) == 0 && f.live && !batch.Scanned.IsZero() {
			batch.CaughtUp = true
		}
		if len(batch.Events) > 0 || batch.CaughtUp {
			batch.Scanned = f.scanned
			if !yield(batch, nil) {
				return errBrokenOff
			}
		}
		if over && !left {
			return end
		}
	}
}

// add puts an arrival into a batch, unless it lies at or before what was yielded already.
func (f *follower) add(b *eventlog.Batch, a arrival) {
	switch {
	case a.caughtUp:
		b.CaughtUp, f.live = true, true
	case !a.scanned.IsZero():
		if a.scanned.Compare(f.scanned) > 0 {
			f.scanned, b.Scanned = a.scanned, a.scanned
		}
	case a.event.Position.Compare(f.last) > 0:
		f.last = a.event.Position
		f.scanned = maxPosition(f.scanned, f.last)
		b.Events = append(b.Events, a.event)
	}
}

// from is where a subscription starts. The client's own default is the end of the log.
func (f *follower) from() client.AllPosition {
	if f.last.IsZero() {
		return client.Start{}
	}
	return client.Position{Commit: f.last.Commit, Prepare: f.last.Prepare}
}

// serverFilter is the filter in the server's terms: by the beginning of the stream's name, and never the streams of the
// server. A prefix '$…' is left out, for it would open a system stream or name one of its indexes.
func (f *follower) serverFilter() *client.SubscriptionFilter {
	prefixes := slices.DeleteFunc(slices.Clone(f.filter.Prefixes), func(p string) bool { return strings.HasPrefix(p, "$") })
	switch {
	case len(f.filter.Prefixes) == 0 || slices.Contains(prefixes, ""):
		return &client.SubscriptionFilter{Type: client.StreamFilterType, Regex: `^[^\$]`}
	case len(prefixes) == 0: // nothing passes; the subscription still tells how far it has looked
		return &client.SubscriptionFilter{Type: client.StreamFilterType, Regex: `^\$\$\$none$`}
	}
	return &client.SubscriptionFilter{Type: client.StreamFilterType, Prefixes: prefixes}
}

// pump opens a subscription and sends on what it brings, until it ends.
func (f *follower) pump(ctx context.Context, c *client.Client, from client.AllPosition, opened chan<- struct{}, arrivals chan<- arrival) error {
	subscription, err := c.SubscribeToAll(ctx, client.SubscribeToAllOptions{
		From: from, Filter: f.serverFilter(), MaxSearchWindow: searchWindow, CheckpointInterval: 1,
	})
	if err != nil {
		return invalidPosition(err)
	}
	defer func() { _ = subscription.Close() }()
	close(opened)
	for {
		var a arrival
		switch e := subscription.Recv(); {
		case e.EventAppeared != nil:
			event := e.EventAppeared.OriginalEvent()
			if event == nil || !f.filter.Match(event.StreamID) {
				continue
			}
			if event.EventType == deletedKind && eventlog.CheckStream(event.StreamID) == nil {
				return fmt.Errorf("%w: stream %s was deleted on the server (position %d); restore the log from a backup", eventlog.ErrGone, event.StreamID, event.Position.Commit)
			}
			if !listed(event) {
				continue
			}
			if a.event, _, err = record(event); err != nil {
				return err
			}
		case e.CheckPointReached != nil:
			a.scanned = eventlog.Position{Commit: e.CheckPointReached.Commit, Prepare: e.CheckPointReached.Prepare}
			if a.scanned.IsZero() {
				continue
			}
		case e.CaughtUp != nil:
			a.caughtUp = true
		case e.SubscriptionDropped != nil:
			return invalidPosition(fmt.Errorf("dropped: %w", e.SubscriptionDropped.Error))
		default:
			continue
		}
		select {
		case arrivals <- a:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// invalidPosition marks the refusal of a start at which no event begins: the log is not the one the position is from.
func invalidPosition(err error) error {
	if statusOf(err) == codes.InvalidArgument {
		return fmt.Errorf("%w: the server knows no such position; this is another log, or an older one: %w", eventlog.ErrGone, err)
	}
	return err
}
