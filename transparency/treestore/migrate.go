package treestore

import (
	"fmt"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/answerable-ledger/answerable/eventlog"
	"github.com/answerable-ledger/answerable/transparency"
)

// runLength1 is how many leaves shared a row in version 1, which held them beside their places.
const runLength1 = 32

// migrate makes version 2 of a file of version 1: the leaves move into their own file. Killed in between it begins anew,
// for the database changes in one transaction, after the file of the leaves is durable.
func (s *Store) migrate(path string) (err error) {
	if s.leaves.f == nil {
		if s.leaves, err = openLeaves(path, true); err != nil {
			return err
		}
	}
	end, err := begin(s.w, "IMMEDIATE")
	if err != nil {
		return err
	}
	defer end(&err)
	if version, err := pragma(s.w, "user_version"); err != nil || version == schemaVersion {
		return err // another process was first
	}
	if err := sqlitex.ExecuteScript(s.w, `ALTER TABLE run RENAME TO run1;`+runTable, nil); err != nil {
		return err
	}
	var t tail
	var count int64
	err = sqlitex.Execute(s.w, `SELECT n, leaves, places FROM run1 ORDER BY n`, &sqlitex.ExecOptions{ResultFunc: func(st *sqlite.Stmt) error {
		leaves, err := transparency.SplitEntries(blob(st, 1))
		if err != nil {
			return fmt.Errorf("run %d: %w: %w", st.ColumnInt64(0), err, eventlog.ErrDamaged)
		}
		places := blob(st, 2)
		if len(places) != len(leaves)*placeBytes || st.ColumnInt64(0)*runLength1 != count {
			return fmt.Errorf("run %d holds %d leaves and %d bytes of places: %w", st.ColumnInt64(0), len(leaves), len(places), eventlog.ErrDamaged)
		}
		entries := make([]Entry, len(leaves))
		for i, l := range leaves {
			entries[i] = Entry{Leaf: l, Position: placeAt(places, i)}
		}
		count += int64(len(entries))
		if err := s.leaves.write(t.end, entries); err != nil {
			return err
		}
		return s.writeRuns(&t, entries)
	}})
	if err != nil {
		return err
	}
	return sqlitex.ExecuteScript(s.w, fmt.Sprintf(`DROP TABLE run1; PRAGMA user_version = %d`, schemaVersion), nil)
}
