package projections

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
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
// between. What was half made is gone; what was written in full is gone on with, and nothing is read again; either way the
// next rebuild ends with what a fresh fold gives.
func TestARebuildIsKilled(t *testing.T) {
	t.Parallel()
	onEveryEngine(t, func(t *testing.T, place place) {
		for _, phase := range rebuildPhases {
			t.Run(phase, func(t *testing.T) {
				t.Parallel()
				killAndGoOn(t, place(t), phase)
			})
		}
	})
}

func killAndGoOn(t *testing.T, dir, phase string) {
	ctx := context.Background()
	g, log := busyDay(), newRecorder()
	log.record(t, g.facts...)
	asFormerly(t, caughtUpViews(t, dir, log))
	killIn(t, dir, phase)
	written := phase == "catch up" || phase == "switch"

	v := openViews(t, dir, log)
	defer closeViews(t, v)
	if done := v.current.fingerprint == v.fingerprint; done != (phase == "done") {
		t.Errorf("the new rows are there: %t", done)
	}
	must(t, v.Verify(ctx))
	if s := standing("25900")(t, v, nil); s != "on_time v2 superseded" {
		t.Errorf("%q", s)
	}
	// A server that leads removes what is of no use, as soon as the database has noticed that its owner is gone.
	for left, deadline := true, time.Now().Add(time.Minute); left; {
		must(t, v.store.tidy(ctx))
		must(t, v.store.lead(ctx, func(context.Context) error { return nil }))
		g, err := v.store.open(ctx, stateBuilding)
		must(t, err)
		if left = g != nil; left {
			must(t, g.close())
		}
		if time.Now().After(deadline) {
			t.Fatal("half a generation is left")
		}
	}
	if found, err := v.RebuildWith(ctx, RebuildOptions{DryRun: true}); err != nil || found.Undeclared != 0 || found.Resumed {
		t.Errorf("compared again: %+v, %v", found, err)
	}

	// The live rows have gone on when somebody rebuilds again.
	n := len(g.facts)
	g.at("19:00").sign("25900", 2, 90, "p_head_25900")
	log.record(t, g.facts[n:]...)
	must(t, v.followInBatches(ctx, func() int { return 100 }))
	n = len(g.facts)
	g.at("19:30").correct("25900", 3, 91) // and these have not got there
	log.record(t, g.facts[n:]...)
	var phases []string
	var former []Former
	found, err := v.RebuildWith(ctx, RebuildOptions{Former: func(f Former) { former = append(former, f) }, Progress: func(p Progress) {
		if !slices.Contains(phases, p.Phase) {
			phases = append(phases, p.Phase)
		}
	}})
	must(t, err)
	if written != (len(former) == 1 && former[0].TakenOver && former[0].Events > 0) || !written && len(former) > 0 {
		t.Errorf("of the former attempt it is told %+v", former)
	}
	want := rebuildPhases
	if written {
		want = []string{"catch up", "switch", "done"}
	}
	if d := cmp.Diff(want, phases); d != "" || found.Resumed != written || found.Undeclared != 0 || found.Place == "" {
		t.Errorf("%s: %+v", d, found)
	}
	must(t, v.CatchUp(ctx))
	must(t, v.Verify(ctx))
	if s := standing("25900")(t, v, nil); s != "on_time v3 superseded" {
		t.Errorf("in the end %q", s)
	}
	for _, state := range []string{stateBuilding, stateWritten} {
		if left, err := v.store.open(ctx, state); left != nil || err != nil {
			t.Errorf("left %s: %+v, %v", state, left, err)
		}
	}
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
