package main

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/answerable-ledger/answerable/bench/province"
	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/eventlog"
)

// TestServeClosesTheDay: a day whose deadlines have passed is closed by the server, whoever asks or does not; a server
// started after it closes nothing again.
func TestServeClosesTheDay(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	opened := time.Now().UTC().Add(-48 * time.Hour).Truncate(24 * time.Hour)
	p := province.Province{Regime: "bench", Units: 3, Zone: "Etc/GMT", Day: domain.DateAt(opened, time.UTC)}
	p.Last = p.Day
	clock := func() time.Time { return opened.Add(8 * time.Hour) }
	place := evidencePlace{dir: dir, evidenceConfig: evidenceConfig{Origin: demoOrigin, Guard: filepath.Join("guard", guardFile), Policy: policyFile, Demo: true}}
	if err := place.create(); err != nil {
		t.Fatal(err)
	}
	a := &app{ctx: t.Context(), logger: zap.NewNop(), now: clock}
	n, err := a.openNode(t.Context(), dir, clock)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(p.SetUp(t.Context(), n.ledger, clock), p.Open(t.Context(), n.ledger, p.Day), a.signOnce(t.Context(), n), n.close()); err != nil {
		t.Fatal(err)
	}

	for range 2 {
		server := startServer(t, dir)
		log, err := a.openLog(dir)
		if err != nil {
			t.Fatal(err)
		}
		untilClosed(t, log)
		if err := log.Close(); err != nil {
			t.Fatal(err)
		}
		server.stop(t)
	}
	mustRun(t, "verify", "--data", dir)
	log, err := a.openLog(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	kinds := map[string]int{}
	if err := eachEvent(t.Context(), log, func(e eventlog.Recorded) error { kinds[e.Kind]++; return nil }); err != nil {
		t.Fatal(err)
	}
	if breaches, closings := kinds[domain.DeadlineBreached{}.Kind()], kinds[domain.DayClosed{}.Kind()]; breaches != p.Units || closings != 1 {
		t.Errorf("%d breaches and %d closings were recorded for %d units and one day", breaches, closings, p.Units)
	}
}

// untilClosed follows a log until it holds the closing of a day.
func untilClosed(t *testing.T, log eventlog.Log) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for b, err := range log.Follow(ctx, eventlog.Position{}, eventlog.Filter{}, eventlog.FollowOptions{}) {
		if err != nil {
			t.Fatalf("the day was not closed: %v", err)
		}
		for _, e := range b.Events {
			if e.Kind == (domain.DayClosed{}).Kind() {
				return
			}
		}
	}
	t.Fatal("the day was not closed")
}
