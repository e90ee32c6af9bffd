package ui

import (
	"testing"

	"github.com/answerable-ledger/answerable/projections"
)

// operatePages is the pages of operators and developers, for the tests of every page.
func operatePages() []Page {
	running := projections.RebuildStatus{State: "running"}
	return []Page{Operations{}, Operations{Rebuild: Rebuild{RebuildStatus: running}}, Integrity{}, Configuration{}, Organisation{}, UnitOffice{}, Persons{}, Person{},
		Events{}, Event{}, Developers{}, APISchema{}, Tokens{}}
}

// operateAsked is the keys that the program asks for by a name it does not spell out in a template.
func operateAsked() []string {
	return []string{"organisation", "people", "office", "my_office", "person", "events_log", "developers", "tokens", "schema", "integrity", "configuration", "feed.live", "feed.tree", "feed.previous", "feed.written"}
}

// TestRebuildWords: every state and phase a rebuild tells of has words.
func TestRebuildWords(t *testing.T) {
	t.Parallel()
	for _, key := range []string{"rebuild.none", "rebuild.running", "rebuild.done", "rebuild.refused", "rebuild.cancelled", "rebuild.failed",
		"phase.read", "phase.compare", "phase.write", "phase.index", "phase.catch up", "phase.switch", "phase.done",
		"source.flag", "source.environment", "source.file", "source.default"} {
		if _, ok := operateTexts[key]; !ok {
			t.Errorf("no words for %s", key)
		}
	}
	for _, verdict := range []string{"good", "alone", "unsigned", "unwitnessed", "broken", "none"} {
		for _, key := range []string{"verdict." + verdict, "verdict_help." + verdict} {
			if _, ok := operateTexts[key]; !ok {
				t.Errorf("no words for %s", key)
			}
		}
	}
}

func TestRebuildProgress(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		p        *projections.Progress
		done, of int64
	}{
		{nil, 0, 0},
		{&projections.Progress{Events: 5, Total: 9}, 5, 9},
		{&projections.Progress{Events: 5, Total: -1}, 5, 0},
		{&projections.Progress{Events: 9, Total: 9, Rows: 2, AllRows: 4}, 2, 4},
	} {
		r := Rebuild{RebuildStatus: projections.RebuildStatus{Progress: c.p}}
		if r.Done() != c.done || r.Of() != c.of {
			t.Errorf("%+v: %d of %d", c.p, r.Done(), r.Of())
		}
	}
	if a := (Acts{Act: "grant", Typed: map[string][]string{"unit": {"1"}}}); a.Was("grant", "unit") != "1" || a.Was("leave", "unit") != "" {
		t.Error("what was typed into one form is shown in another")
	}
}
