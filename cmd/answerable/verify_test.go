package main

import (
	"database/sql"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// spoil changes a database behind the program's back.
func spoil(t *testing.T, path string, statements ...string) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, s := range statements {
		r, err := db.Exec(s)
		if err != nil {
			t.Fatalf("%s: %v", s, err)
		}
		if n, err := r.RowsAffected(); err == nil && strings.HasPrefix(s, "UPDATE") && n != 1 {
			t.Fatalf("%s: %d rows", s, n)
		}
	}
}

// liveViews is the file of the generation that readers see.
func liveViews(t *testing.T, dir string) string {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, viewsFile))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var n int
	if err := db.QueryRow(`SELECT n FROM generation WHERE state = 'live'`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("views-%d.db", n)
}

// verify finds every kind of damage, exits with 1 and names the first bad place.
func TestVerifyNamesTheFirstBadPlace(t *testing.T) {
	t.Parallel()
	const report = "report-bluezone.commune.25900.20210208"
	event := func(set string) []string {
		return []string{"DROP TRIGGER event_is_never_changed", "UPDATE event SET " + set + " WHERE stream = '" + report + "' AND revision = 1"}
	}
	for name, c := range map[string]struct {
		file       string
		statements []string
		says       string
	}{
		"a gap in a stream":          {ledgerFile, event("revision = 7"), report},
		"a figure that was changed":  {ledgerFile, []string{"DROP TRIGGER event_is_never_changed", "UPDATE event SET data = CAST(replace(CAST(data AS TEXT), '\"households_visited\":', '\"households_visited\":1') AS BLOB) WHERE stream = '" + report + "' AND revision = 0"}, "revision 0 of " + report + ": schemas: check ReportSubmitted"},
		"bytes that are no fact":     {ledgerFile, event("data = x'7b7d'"), "revision 1 of " + report},
		"a kind nobody knows":        {ledgerFile, event("kind = 'Nonsense'"), "revision 1 of " + report},
		"a time that went backwards": {ledgerFile, event("recorded_at = 1"), "recorded before"},
		"a row that was changed":     {"", []string{"UPDATE person SET doc = 'x' WHERE person = 'filer_25900'"}, "view"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "demo")
			if err := copyDir(sharedDemo(t), dir); err != nil {
				t.Fatal(err)
			}
			if c.file == "" {
				c.file = liveViews(t, dir)
			}
			spoil(t, filepath.Join(dir, c.file), c.statements...)
			if said := fails(t, exitFailed, "verify", "--data", dir); !strings.Contains(said, c.says) {
				t.Errorf("verify says %s", said)
			}
		})
	}
}
