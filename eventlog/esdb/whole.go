package esdb

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	client "github.com/EventStore/EventStore-Client-Go/v4/esdb"

	"github.com/answerable-ledger/answerable/eventlog"
)

// deletedKind is the kind of the server's own event in a stream that was deleted for ever.
const deletedKind = "$streamDeleted"

// CheckWhole makes sure that nothing hides or removes events of the log up to now, as an administrator can in spite of
// Protect: no stream of ours was deleted, and no metadata truncate one ($tb, $maxCount, $maxAge), which a scavenge makes
// final. It is ErrGone otherwise, naming the streams.
//
// The server looks through the whole log for it, and sends what concerns us alone: it takes seconds for millions of events,
// and as long as ctx allows while the server is away. Metadata that were taken back before the check do not count; what was
// removed meanwhile is found by reading, as `answerable verify` does.
func (l *Log) CheckWhole(ctx context.Context) error {
	w := &wholeness{faults: map[string]string{}}
	for pause := firstBackoff; ; pause = min(2*pause, lastBackoff) {
		_, err := call(ctx, l.server, 0, patient, func(ctx context.Context, c *client.Client) (struct{}, error) { return struct{}{}, w.look(ctx, c) })
		switch {
		case err == nil:
			return w.verdict()
		case ctx.Err() != nil:
			return fmt.Errorf("esdb: look for missing events: %w", context.Cause(ctx))
		case lasting(err):
			return fmt.Errorf("esdb: look for missing events: %w", failed(err))
		}
		l.options.Logf("esdb: the search for missing events ended behind %d, going on: %v", w.at.Commit, err)
		_ = sleep(ctx, pause) // its end is seen by the call
	}
}

// wholeness is what a search has found so far.
type wholeness struct {
	at     client.Position
	faults map[string]string // by stream
}

// look goes through the log from where the last look ended.
func (w *wholeness) look(ctx context.Context, c *client.Client) error {
	var from client.AllPosition = client.Start{}
	if w.at.Commit > 0 {
		from = w.at
	}
	s, err := c.SubscribeToAll(ctx, client.SubscribeToAllOptions{
		From: from, MaxSearchWindow: searchWindow, CheckpointInterval: 1,
		Filter: &client.SubscriptionFilter{Type: client.EventFilterType, Prefixes: []string{metaKind, deletedKind}},
	})
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	for {
		switch e := s.Recv(); {
		case e.EventAppeared != nil && e.EventAppeared.OriginalEvent() != nil:
			w.event(e.EventAppeared.OriginalEvent())
		case e.CaughtUp != nil:
			return nil
		case e.SubscriptionDropped != nil:
			return fmt.Errorf("dropped: %w", e.SubscriptionDropped.Error)
		}
	}
}

// event judges one of the server's own events. Of several with metadata of a stream the last counts.
func (w *wholeness) event(e *client.RecordedEvent) {
	w.at = e.Position
	name, about := strings.CutPrefix(e.StreamID, "$$")
	if eventlog.CheckStream(name) != nil {
		return
	}
	switch {
	case e.EventType == deletedKind:
		w.faults[name] = "was deleted"
	case e.EventType == metaKind && about:
		var m struct {
			TruncateBefore uint64          `json:"$tb"`
			MaxCount       json.RawMessage `json:"$maxCount"`
			MaxAge         json.RawMessage `json:"$maxAge"`
		}
		delete(w.faults, name)
		if err := json.Unmarshal(e.Data, &m); err != nil {
			w.faults[name] = "has metadata that cannot be read"
		} else if m.TruncateBefore > 0 {
			w.faults[name] = fmt.Sprintf("is truncated before revision %d", m.TruncateBefore)
		} else if m.MaxCount != nil || m.MaxAge != nil {
			w.faults[name] = "keeps its newest events only"
		}
	}
}

func (w *wholeness) verdict() error {
	if len(w.faults) == 0 {
		return nil
	}
	const shown = 3
	var what []string
	for _, name := range slices.Sorted(maps.Keys(w.faults)) {
		if len(what) == shown {
			what = append(what, fmt.Sprintf("and %d more", len(w.faults)-shown))
			break
		}
		what = append(what, name+" "+w.faults[name])
	}
	return fmt.Errorf("esdb: %w: on the server %s; before a scavenge an administrator can take metadata back, after it restore the log from its newest backup", eventlog.ErrGone, strings.Join(what, ", "))
}
