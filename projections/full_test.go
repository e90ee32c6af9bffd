package projections

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/internal/pgtest"
)

// Given a database whose disk is full, then events wait in the log and a rebuild ends, saying so, and leaves nothing; the
// present rows answer; and when there is room both are done.
func TestADatabaseThatIsFull(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	place, dir := pgtest.Start(t).SmallDatabase(t, 48)
	log := newRecorder()
	var facts []domain.Fact
	l := &load{clock: time.Date(2020, 12, 1, 0, 0, 0, 0, time.UTC), next: map[string]uint64{}, max: 6000, facts: func(f domain.Fact) { facts = append(facts, f) }}
	l.write()
	log.record(t, facts[:len(facts)/2]...)
	v := caughtUpViews(t, place, log)
	defer closeViews(t, v)
	before := v.Position()
	full := func(err error) bool { return err != nil && v.store.dialect().full(err) }

	room := takeRoom(t, dir)
	log.record(t, facts[len(facts)/2:]...)
	if err := v.followInBatches(ctx, func() int { return 1000 }); !full(err) {
		t.Errorf("there is room for events: %v", err)
	}
	if _, err := v.RebuildWith(ctx, RebuildOptions{}); !errors.Is(err, ErrFull) {
		t.Errorf("there is room for a rebuild: %v", err)
	}
	for _, state := range []string{stateBuilding, stateWritten} {
		if left, err := v.store.open(ctx, state); left != nil || err != nil {
			t.Errorf("left %s: %+v, %v", state, left, err)
		}
	}
	if v.Position().Compare(before) < 0 {
		t.Errorf("went back to %s", v.Position())
	}
	if _, err := v.Compliance(ctx, ComplianceQuery{}); err != nil {
		t.Errorf("the present rows do not answer: %v", err)
	}

	must(t, os.Remove(room))
	must(t, v.CatchUp(ctx))
	must(t, v.Verify(ctx))
	_, err := v.RebuildWith(ctx, RebuildOptions{})
	must(t, err)
	must(t, v.Verify(ctx))
}

// takeRoom fills a file system to its end with one file.
func takeRoom(t *testing.T, dir string) (file string) {
	t.Helper()
	file = filepath.Join(dir, "room")
	f, err := os.Create(file)
	must(t, err)
	defer f.Close()
	block := make([]byte, 4096)
	for err == nil {
		_, err = f.Write(block)
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	return file
}
