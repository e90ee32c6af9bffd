package esdb

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"strings"
	"sync"
	"time"

	client "github.com/EventStore/EventStore-Client-Go/v4/esdb"

	"github.com/answerable-ledger/answerable/eventlog"
)

const (
	// pageEvents and pageBytes bound what ReadStream holds at once. A read is one call per page, so that a slow
	// consumer keeps nothing open and a broken connection costs one page.
	pageEvents = 500
	pageBytes  = 4 << 20
	// headPage is how many events Head looks at first when it steps over the server's own.
	headPage = 16
)

// page is a run of a stream.
type page struct {
	events []eventlog.Recorded
	marks  []string // of the calls that wrote them; empty for foreign events
	full   bool     // there may be more
}

// receive is Recv without its panic at messages of later servers.
func receive(events *client.ReadStream) (*client.ResolvedEvent, error) {
	for {
		var e *client.ResolvedEvent
		err := guarded(func() (err error) { e, err = events.Recv(); return err })
		if !unknownMessage(err) {
			return e, err
		}
	}
}

// record turns an event of the server into ours. Its bytes share memory with e.
func record(e *client.RecordedEvent) (eventlog.Recorded, string, error) {
	if e.Position.Commit == math.MaxUint64 {
		return eventlog.Recorded{}, "", fmt.Errorf("%w: the server gives no position for event %d of %s, written in an explicit transaction", eventlog.ErrDamaged, e.EventNumber, e.StreamID)
	}
	at, mark, meta, ours := open(e.UserMetadata)
	if !ours {
		at, meta = e.CreatedDate.UTC().Truncate(time.Microsecond), e.UserMetadata
	}
	return eventlog.Recorded{
		Proposed:   eventlog.Proposed{ID: e.EventID, Kind: e.EventType, Data: e.Data, Meta: meta},
		Stream:     e.StreamID,
		Revision:   e.EventNumber,
		Position:   eventlog.Position{Commit: e.Position.Commit, Prepare: e.Position.Prepare},
		RecordedAt: at,
	}, mark, nil
}

// repeat runs a reading op until it succeeds, fails for good, or ctx ends.
func repeat[T any](ctx context.Context, l *Log, m manner, op func(context.Context, *client.Client) (T, error)) (T, error) {
	for pause := firstBackoff; ; pause = min(2*pause, lastBackoff) {
		value, err := call(ctx, l.server, l.options.AttemptTimeout, m, op)
		if err == nil || ctx.Err() != nil || !transient(err) || sleep(ctx, pause) != nil {
			return value, err
		}
	}
}

// page reads up to count events of a stream from revision on. A stream that does not exist has none.
func (l *Log) page(ctx context.Context, stream string, from, count uint64, m manner) (page, error) {
	p, err := repeat(ctx, l, m, func(ctx context.Context, c *client.Client) (page, error) {
		events, err := c.ReadStream(ctx, stream, client.ReadStreamOptions{Direction: client.Forwards, From: client.Revision(from)}, count)
		if err != nil {
			return page{}, err
		}
		defer events.Close()
		var p page
		for size := 0; ; {
			e, err := receive(events)
			switch {
			case errors.Is(err, io.EOF) || codeOf(err) == client.ErrorCodeResourceNotFound:
				p.full = uint64(len(p.events)) == count
				return p, nil
			case err != nil:
				return page{}, err
			}
			r, mark, err := record(e.OriginalEvent())
			if err != nil {
				return page{}, err
			}
			p.events, p.marks = append(p.events, r), append(p.marks, mark)
			if size += len(r.Data) + len(r.Meta); size >= pageBytes {
				p.full = true
				return p, nil
			}
		}
	})
	if err != nil {
		return page{}, gone(err)
	}
	for i, r := range p.events {
		if want := from + uint64(i); r.Revision != want {
			return page{}, fmt.Errorf("%w: stream %s lacks its events %d to %d: somebody truncated it on the server; restore the log from a backup", eventlog.ErrGone, stream, want, r.Revision-1)
		}
	}
	if n := len(p.events); n > 0 {
		l.stamps.know(stream, p.events[n-1].Revision, p.events[n-1].RecordedAt)
	}
	return p, nil
}

// gone marks the errors by which a server says that something was deleted.
func gone(err error) error {
	if codeOf(err) == client.ErrorCodeStreamDeleted {
		return fmt.Errorf("%w: the stream was deleted on the server; restore the log from a backup: %w", eventlog.ErrGone, err)
	}
	return err
}

// ReadStream implements eventlog.Log.
func (l *Log) ReadStream(ctx context.Context, stream string, from uint64) iter.Seq2[eventlog.Recorded, error] {
	return func(yield func(eventlog.Recorded, error) bool) {
		if err := eventlog.CheckStream(stream); err != nil {
			yield(eventlog.Recorded{}, err)
			return
		}
		for {
			bounded, cancel := l.bounded(ctx)
			p, err := l.page(bounded, stream, from, pageEvents, hurried)
			cancel()
			if err != nil {
				yield(eventlog.Recorded{}, fmt.Errorf("esdb: read %s from %d: %w", stream, from, failed(err)))
				return
			}
			for _, r := range p.events {
				if !yield(r, nil) {
					return
				}
			}
			if !p.full {
				return
			}
			from += uint64(len(p.events))
		}
	}
}

// standing is what an append to the stream would have to expect.
func (l *Log) standing(ctx context.Context, stream string) (eventlog.Expected, error) {
	return repeat(ctx, l, hurried, func(ctx context.Context, c *client.Client) (eventlog.Expected, error) {
		events, err := c.ReadStream(ctx, stream, client.ReadStreamOptions{Direction: client.Backwards, From: client.End{}}, 1)
		if err != nil {
			return eventlog.NoStream, err
		}
		defer events.Close()
		e, err := receive(events)
		switch {
		case codeOf(err) == client.ErrorCodeResourceNotFound || errors.Is(err, io.EOF):
			return eventlog.NoStream, nil
		case err != nil:
			return eventlog.NoStream, err
		}
		return eventlog.Exact(e.OriginalEvent().EventNumber), nil
	})
}

// headCache is the newest event known to have been ours, where the search for the head may stop.
type headCache struct {
	mu sync.Mutex
	at eventlog.Position
}

func (h *headCache) get() eventlog.Position {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.at
}

func (h *headCache) know(p eventlog.Position) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if p.Compare(h.at) > 0 {
		h.at = p
	}
}

// Head implements eventlog.Log. The server's own events are stepped over: no follower is given them, so a lag measured
// against them would never vanish. On a follower node the answer may be old; connect to the leader.
func (l *Log) Head(ctx context.Context) (eventlog.Position, error) {
	ctx, cancel := l.bounded(ctx)
	defer cancel()
	known := l.head.get()
	var from client.AllPosition = client.End{}
	for count := uint64(headPage); ; count = min(4*count, 4096) {
		type looked struct {
			head eventlog.Position
			next client.Position
			end  bool
		}
		seen, err := repeat(ctx, l, hurried, func(ctx context.Context, c *client.Client) (looked, error) {
			events, err := c.ReadAll(ctx, client.ReadAllOptions{Direction: client.Backwards, From: from}, count)
			if err != nil {
				return looked{}, err
			}
			defer events.Close()
			var seen looked
			for n := uint64(0); ; n++ {
				resolved, err := receive(events)
				if errors.Is(err, io.EOF) {
					seen.end = n < count
					return seen, nil
				}
				if err != nil {
					return looked{}, err
				}
				e := resolved.OriginalEvent()
				at := eventlog.Position{Commit: e.Position.Commit, Prepare: e.Position.Prepare}
				if at.Compare(known) <= 0 || listed(e) {
					seen.head, seen.end = maxPosition(at, known), true
					return seen, nil
				}
				seen.next = e.Position
			}
		})
		if err != nil {
			return eventlog.Position{}, fmt.Errorf("esdb: head: %w", failed(err))
		}
		if seen.end {
			l.head.know(seen.head)
			return seen.head, nil
		}
		from = seen.next
	}
}

func maxPosition(a, b eventlog.Position) eventlog.Position {
	if a.Compare(b) > 0 {
		return a
	}
	return b
}

// listed reports that an event belongs to the log and not to the server or to the machinery of its streams.
func listed(e *client.RecordedEvent) bool {
	return !strings.HasPrefix(e.EventType, "$") && eventlog.CheckStream(e.StreamID) == nil
}
