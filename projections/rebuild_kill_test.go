package projections

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"testing"
)

// The phases of a rebuild, in order.
var rebuildPhases = []string{"read", "compare", "write", "index", "catch up", "switch", "done"}

const (
	childPlace = "ANSWERABLE_TEST_REBUILD_PLACE"
	childPhase = "ANSWERABLE_TEST_REBUILD_PHASE"
)

// TestRebuildChild is the process that TestARebuildIsKilled kills: it rebuilds, and stops for ever where it was told to.
func TestRebuildChild(t *testing.T) {
	place, phase := os.Getenv(childPlace), os.Getenv(childPhase)
	if place == "" {
		return // not started by that test
	}
	log := newRecorder()
	log.record(t, busyDay().facts...)
	v := openViews(t, place, log)
	_, err := v.RebuildWith(context.Background(), RebuildOptions{Progress: func(p Progress) {
		if p.Phase == phase {
			fmt.Println("\nstands in " + phase)
			select {}
		}
	}})
	t.Fatalf("never came to %s: %v", phase, err)
}

// A process that is killed in any phase of a rebuild leaves the rows that were there, or the new ones, and nothing in
// between: the next one follows on, what was half made is gone, and it can rebuild.
func TestARebuildIsKilled(t *testing.T) {
	t.Parallel()
	onEveryEngine(t, func(t *testing.T, place place) {
		ctx := context.Background()
		g, log, dir := busyDay(), newRecorder(), place(t)
		log.record(t, g.facts...)
		asFormerly(t, caughtUpViews(t, dir, log))
		for _, phase := range rebuildPhases {
			killIn(t, dir, phase)
			v := openViews(t, dir, log)
			// As a server does, which removes what others left behind.
			must(t, v.store.lead(ctx, func(context.Context) error { return nil }))
			must(t, v.store.tidy(ctx))
			done := v.current.fingerprint == v.fingerprint
			if done != (phase == "done") {
				t.Errorf("%s: the new rows are there: %t", phase, done)
			}
			must(t, v.Verify(ctx))
			if s := standing("25900")(t, v, nil); s != "on_time v2 superseded" {
				t.Errorf("%s: %q", phase, s)
			}
			if phase == "write" { // it can be done from what is left
				found, err := v.RebuildWith(ctx, RebuildOptions{DryRun: true})
				if err != nil || found.Undeclared != 0 {
					t.Errorf("%s: %+v, %v", phase, found, err)
				}
			}
			closeViews(t, v)
		}
		v := openViews(t, dir, log)
		defer closeViews(t, v)
		_, err := v.RebuildWith(ctx, RebuildOptions{})
		must(t, err)
		must(t, v.Verify(ctx))
		if left, err := v.store.open(ctx, stateBuilding); left != nil || err != nil {
			t.Errorf("left %+v, %v", left, err)
		}
	})
}

// killIn kills a process in a phase of a rebuild.
func killIn(t *testing.T, place, phase string) {
	t.Helper()
	child := exec.Command(os.Args[0], "-test.run=^TestRebuildChild$")
	child.Env = append(os.Environ(), childPlace+"="+place, childPhase+"="+phase)
	out, err := child.StdoutPipe()
	must(t, err)
	must(t, child.Start())
	lines := bufio.NewScanner(out)
	var said []string
	for lines.Scan() && lines.Text() != "stands in "+phase {
		said = append(said, lines.Text())
	}
	must(t, child.Process.Kill())
	if err := child.Wait(); err == nil || len(said) > 2 {
		t.Fatalf("%s: the process was to be killed: %v, it said %q", phase, err, said)
	}
}
