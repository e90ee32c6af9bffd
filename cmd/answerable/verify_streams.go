package main

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/answerable-ledger/answerable/eventlog"
)

// streams reads every stream by itself, which goes by the store's own index of streams, and compares it with what stood in
// log order: the ledger decides on streams, so an index that leads elsewhere is as bad as a changed event.
func (v *logCheck) streams(ctx context.Context, log eventlog.Log) error {
	for _, stream := range slices.Sorted(maps.Keys(v.next)) {
		due, count := uint64(0), v.next[stream]
		for e, err := range log.ReadStream(ctx, stream, 0) {
			if err != nil {
				return fmt.Errorf("stream %s, revision %d: %w", stream, due, err)
			}
			if due == count { // recorded meanwhile
				break
			}
			if _, known := v.ids[idIn{stream, e.ID}]; e.Revision != due || e.Stream != stream || !known {
				return fmt.Errorf("stream %s: read by itself it has event %s (revision %d of %s) where revision %d is due: %w", stream, e.ID, e.Revision, e.Stream, due, eventlog.ErrDamaged)
			}
			due++
		}
		if due < count {
			return fmt.Errorf("stream %s: read by itself it ends after %d events, in log order it has %d: %w", stream, due, count, eventlog.ErrDamaged)
		}
	}
	return ctx.Err()
}
