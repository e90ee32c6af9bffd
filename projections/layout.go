package projections

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/answerable-ledger/answerable/schemas"
)

// version orders programs by what they make of a log. Released schemas are never taken back, so that their number orders
// programs with the same fold.
type version struct{ fold, schemas int }

func (v version) String() string { return fmt.Sprintf("%d.%d", v.fold, v.schemas) }

// newer reports whether a generation of version v was made by a newer program than one of version u.
func (v version) newer(u version) bool {
	return v.fold > u.fold || v.fold == u.fold && v.schemas > u.schemas
}

// fingerprint is the program's version and a digest of everything that decides what the rows of a generation look like.
func fingerprint(d dialect) (string, error) {
	h := sha256.New()
	fmt.Fprintf(h, "fold %d\n", foldVersion)
	for _, t := range tables {
		fmt.Fprintln(h, d.create(0, t))
	}
	lock, err := fs.ReadFile(schemas.Files(), "LOCK")
	if err != nil {
		return "", fmt.Errorf("projections: fingerprint: %w", err)
	}
	h.Write(lock)
	v := version{foldVersion, bytes.Count(lock, []byte("\n"))}
	return v.String() + "-" + hex.EncodeToString(h.Sum(nil)[:16]), nil
}

// versionOf reads the version in a fingerprint. Fold version 1 did not write it.
func versionOf(fingerprint string) version {
	v := version{fold: 1}
	if n, err := fmt.Sscanf(fingerprint, "%d.%d-", &v.fold, &v.schemas); n != 2 || err != nil {
		return version{fold: 1}
	}
	return v
}

// The ways in which rows do not fit the program that has them open.
var (
	// ErrBuilding: the rows are of a version that this program does not read, and its own are not there yet.
	ErrBuilding = errors.New("the views are of a former version and are being built anew; ask again when they are there")
	// ErrNewer: a newer program built the views. This one may answer from them, and must not write to them.
	ErrNewer = errors.New("a newer program built these views: start it in this one's place, or go back with: answerable rebuild --undo")
)

// opened opens the newest generation in a state and finds out which of this program's columns it has.
func (v *Views) opened(ctx context.Context, state string) (*generation, error) {
	g, err := v.store.open(ctx, state)
	if g == nil || err != nil {
		return nil, err
	}
	if err := g.learn(ctx, v.fingerprint); err != nil {
		return nil, errors.Join(err, g.close())
	}
	return g, nil
}

// learn finds out what a generation has, when it is not one of this program's.
func (g *generation) learn(ctx context.Context, own string) error {
	if g.fingerprint == own {
		return nil
	}
	if versionOf(g.fingerprint).fold < oldestReadable {
		g.unusable = ErrBuilding
		return nil
	}
	g.columns = map[string][]string{}
	for _, t := range tables {
		rows, err := g.read.QueryContext(ctx, "SELECT * FROM "+g.name(t)+" LIMIT 0")
		if g.dialect.missing(err) && t.Since > 0 {
			continue
		}
		if g.dialect.missing(err) {
			g.unusable = fmt.Errorf("%w: it has no table %s", ErrBuilding, t.Name)
			return nil
		}
		if err != nil {
			return fmt.Errorf("projections: columns of %s in generation %d: %w", t.Name, g.n, err)
		}
		names, err := rows.Columns()
		if err := errors.Join(err, rows.Close()); err != nil {
			return fmt.Errorf("projections: columns of %s in generation %d: %w", t.Name, g.n, err)
		}
		g.columns[t.Name] = names
		for _, c := range t.Columns {
			if c.Since == 0 && !slices.Contains(names, c.Name) {
				g.unusable = fmt.Errorf("%w: %s has no column %s", ErrBuilding, t.Name, c.Name)
				return nil
			}
		}
	}
	return nil
}

// mayApply tells whether this program may write rows of a generation.
func (v *Views) mayApply(g *generation) error {
	if versionOf(g.fingerprint).newer(versionOf(v.fingerprint)) {
		return ErrNewer
	}
	return g.unusable
}

// hasTable tells whether a generation has a table.
func (g *generation) hasTable(t table) bool { return g.columns == nil || g.columns[t.Name] != nil }

// has tells whether a generation has a column.
func (g *generation) has(table, column string) bool {
	return g.columns == nil || slices.Contains(g.columns[table], column)
}

// fitted is what of some rows a generation has columns for.
func (g *generation) fitted(r rows) rows {
	if g.columns == nil {
		return r
	}
	var keep []int
	t := r.table
	t.Columns = nil
	for i, c := range r.table.Columns {
		if g.has(r.table.Name, c.Name) {
			keep, t.Columns = append(keep, i), append(t.Columns, c)
		}
	}
	if len(keep) == len(r.table.Columns) {
		return r
	}
	width := len(r.table.Columns)
	return rows{table: t, n: r.n, fill: func(i int, args []any) error {
		whole := make([]any, width)
		err := r.fill(i, whole)
		for at, c := range keep {
			args[at] = whole[c]
		}
		return err
	}}
}

// settleIn writes the register's record of a generation that is written, and its state. register is what stands before the
// names of the register's tables.
func settleIn(ctx context.Context, db *sql.DB, g *generation, register, record string) error {
	tx, err := db.BeginTx(ctx, nil)
	if err == nil {
		defer func() { _ = tx.Rollback() }() // after a commit it does nothing
		_, err = tx.ExecContext(ctx, g.dialect.bind(`INSERT INTO `+register+`written VALUES (?, ?)`), g.n, record)
	}
	if err == nil {
		_, err = tx.ExecContext(ctx, g.dialect.bind(`UPDATE `+register+`generation SET state = ? WHERE n = ? AND state = ?`), stateWritten, g.n, stateBuilding)
	}
	if err == nil {
		err = tx.Commit()
	}
	if err != nil {
		return fmt.Errorf("projections: settle generation %d: %w", g.n, err)
	}
	g.state = stateWritten
	return nil
}

// recordIn reads what settleIn wrote; "" when there is nothing.
func recordIn(ctx context.Context, db *sql.DB, g *generation, register string) (record string, err error) {
	err = db.QueryRowContext(ctx, g.dialect.bind(`SELECT record FROM `+register+`written WHERE n = ?`), g.n).Scan(&record)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return "", fmt.Errorf("projections: record of generation %d: %w", g.n, err)
	}
	return record, nil
}

// switchTo changes the register, within a transaction: one live generation, and at most one previous.
func switchTo(ctx context.Context, tx *sql.Tx, g *generation, register, former string) error {
	change := func(query string, args ...any) (int64, error) {
		done, err := tx.ExecContext(ctx, g.dialect.bind("UPDATE "+register+"generation SET state = ? WHERE "+query), args...)
		if err != nil {
			return 0, fmt.Errorf("projections: publish generation %d: %w", g.n, err)
		}
		return done.RowsAffected()
	}
	if former == statePrevious {
		if _, err := change("state = ? AND n <> ?", stateRetired, statePrevious, g.n); err != nil {
			return err
		}
	}
	if _, err := change("state = ? AND n <> ?", former, stateLive, g.n); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, g.dialect.bind("DELETE FROM "+register+"written WHERE n = ?"), g.n); err != nil {
		return fmt.Errorf("projections: publish generation %d: %w", g.n, err)
	}
	n, err := change("n = ?", stateLive, g.n)
	if err == nil && n != 1 {
		err = fmt.Errorf("projections: publish generation %d: another process removed it", g.n)
	}
	return err
}

// Generation is one set of rows, as an operator sees it.
type Generation struct {
	Number   int    `json:"number"`
	State    string `json:"state"` // live, previous, written (by a rebuild that was interrupted: the next goes on with it)
	Version  string `json:"version"`
	Current  bool   `json:"current"`  // made by this program
	Readable bool   `json:"readable"` // answered from while another is made
	Place    string `json:"position"`
	Events   int64  `json:"events,omitempty"`
}

// Generations lists what there is: the rows that are read, those that one can go back to, and those that an interrupted
// rebuild has left for the next.
func (v *Views) Generations(ctx context.Context) ([]Generation, error) {
	var out []Generation
	for _, state := range []string{stateLive, statePrevious, stateWritten} {
		g, err := v.opened(ctx, state)
		if err != nil {
			return nil, err
		}
		if g == nil {
			continue
		}
		x := Generation{Number: g.n, State: state, Version: versionOf(g.fingerprint).String(), Current: g.fingerprint == v.fingerprint, Readable: g.unusable == nil}
		p, err := g.position(ctx, g.read)
		if err := errors.Join(err, g.close()); err != nil {
			return nil, err
		}
		x.Place, x.Events = p.at.String(), p.events
		out = append(out, x)
	}
	return out, nil
}
