package projections

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// Given a history, when it is applied to views in both databases, then they keep the same rows.
func TestEnginesKeepTheSameRows(t *testing.T) {
	s := shared.Server(t)
	ctx := context.Background()
	for i := range 3 {
		log := newRecorder()
		log.record(t, rapid.Custom(history).Example(i).Facts...)
		one, other := openViews(t, t.TempDir(), log), openViews(t, s.Database(t), log)
		must(t, one.followInBatches(ctx, func() int { return 20 }))
		must(t, other.CatchUp(ctx))
		if d := cmp.Diff(dump(t, one), dump(t, other)); d != "" {
			t.Errorf("history %d (-sqlite +postgres):\n%s", i, d)
		}
		closeViews(t, one)
		closeViews(t, other)
	}
}
