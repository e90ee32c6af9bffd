package main

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/projections"
)

// What a rebuild tells its operator: a bar that is redrawn on a terminal, plain lines elsewhere, and lines of JSON for
// programs; each with how much of how much, the rate, and the time that is left.
func TestARebuildIsShown(t *testing.T) {
	t.Parallel()
	steps := []struct {
		after time.Duration
		p     projections.Progress
	}{
		{0, projections.Progress{Phase: "read", Events: 1000, Total: 9000}},
		{3 * time.Second, projections.Progress{Phase: "read", Events: 3000, Total: 9000, PerSecond: 500, Left: 12}},
		{time.Millisecond, projections.Progress{Phase: "read", Events: 3001, Total: 9000, PerSecond: 500, Left: 12}}, // nobody reads that fast
		{3 * time.Second, projections.Progress{Phase: "write", Rows: 0, AllRows: 60}},
		{3 * time.Second, projections.Progress{Phase: "write", Rows: 30, AllRows: 60, PerSecond: 10, Left: 3}},
	}
	for _, x := range []struct {
		name           string
		terminal, json bool
		want           []string
	}{
		{"elsewhere", false, false, []string{"Reading the log: 3000 of 9000, 500/s, 12s left", "Writing: 30 of 60, 10/s, 3s left"}},
		{"terminal", true, false, []string{"Reading the log [██████████░░░░░░░░░░░░░░░░░░░░] 3000/9000 500/s, 12s left ", "Writing [███████████████░░░░░░░░░░░░░░░] 30/60 10/s, 3s left "}},
		{"json", false, true, []string{
			`{"progress":{"phase":"read","events":1000,"total":9000,"rows":0,"all_rows":0,"seconds":0,"per_second":0,"seconds_left":0,"paused_seconds":0}}`,
			`{"progress":{"phase":"read","events":3000,"total":9000,"rows":0,"all_rows":0,"seconds":0,"per_second":500,"seconds_left":12,"paused_seconds":0}}`,
			`{"progress":{"phase":"write","events":0,"total":0,"rows":0,"all_rows":60,"seconds":0,"per_second":0,"seconds_left":0,"paused_seconds":0}}`,
			`{"progress":{"phase":"write","events":0,"total":0,"rows":30,"all_rows":60,"seconds":0,"per_second":10,"seconds_left":3,"paused_seconds":0}}`,
		}},
	} {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			now := time.Unix(0, 0)
			var out strings.Builder
			a := &app{stdio: stdio{out: &out, err: &out}, lang: domain.English, now: func() time.Time { return now }}
			s := &rebuildShown{a: a, json: x.json}
			for _, step := range steps {
				now = now.Add(step.after)
				begins := step.p.Phase != s.phase
				s.at(step.p)
				if begins && x.terminal {
					s.bar.terminal = true
				}
			}
			said := strings.Split(strings.TrimRight(strings.ReplaceAll(out.String(), "\r", "\n"), "\n"), "\n")
			said = slices.DeleteFunc(said, func(line string) bool { return strings.TrimSpace(line) == "" }) // a bar's end
			if d := cmp.Diff(x.want, said); d != "" {
				t.Error(d)
			}
		})
	}
}
