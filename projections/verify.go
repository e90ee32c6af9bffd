package projections

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
)

// Difference is the first place where a view is not what the log says.
type Difference struct {
	View   string
	Row    string // unit, form and day, or the row's key
	Column string
	Have   string // as stored; "" when the row is missing
	Want   string // as folded anew; "" when the row should not be there
}

func (d *Difference) Error() string {
	return fmt.Sprintf("projections: view %s, %s, column %s: is %s, a fresh fold of the log gives %s", d.View, d.Row, d.Column, short(d.Have), short(d.Want))
}

// short is a value as a message shows it.
func short(s string) string {
	if s == "" {
		return "nothing"
	}
	if len(s) > 300 {
		s = strings.ToValidUTF8(s[:300], "") + "…" // the cut may lie within a letter
	}
	return s
}

// Verify folds the log anew, in memory, up to where the views stand, and compares every row. The first difference is a
// *Difference.
func (v *Views) Verify(ctx context.Context) error {
	g, err := v.generation(ctx)
	if err != nil {
		return err
	}
	if g.unusable != nil {
		return g.unusable
	}
	if v.config.Log == nil {
		return ErrReadOnly
	}
	tx, err := g.read.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("projections: verify: %w", err)
	}
	defer func() { _ = tx.Rollback() }() // it changed nothing
	if err := g.dialect.patient(ctx, tx); err != nil {
		return err
	}
	p, err := g.position(ctx, tx)
	if err != nil {
		return err
	}
	if err := v.checkAhead(ctx, p); err != nil {
		return err
	}
	w := newSet(nil)
	if !p.at.IsZero() {
		if w, err = v.foldAll(ctx, p.at, always, nil); err != nil {
			return fmt.Errorf("projections: verify: %w", err)
		}
	}
	for _, r := range w.changes(true) {
		if !g.hasTable(r.table) {
			continue
		}
		if err := g.compare(ctx, tx, w, g.fitted(r)); err != nil {
			return err
		}
	}
	if want := w.position(); !p.at.IsZero() && p != want {
		return &Difference{View: tablePosition.Name, Row: "position", Column: "all", Have: fmt.Sprint(p), Want: fmt.Sprint(want)}
	}
	return nil
}

// compare walks through a table and its rows of a fold, both in the order of the key.
func (g *generation) compare(ctx context.Context, tx *sql.Tx, w *set, r rows) error {
	query := g.sql("SELECT " + strings.Join(r.table.columnNames(), ", ") + " FROM {" + r.table.Name + "} ORDER BY " + strings.Join(r.table.keyNames(), ", "))
	have, err := tx.QueryContext(ctx, query)
	if err != nil {
		return fmt.Errorf("projections: verify %s: %w", r.table.Name, err)
	}
	defer have.Close()
	cols := len(r.table.Columns)
	stored, dest := make([]sql.NullString, cols), make([]any, cols)
	for i := range stored {
		dest[i] = &stored[i]
	}
	want := make([]any, cols)
	for i := 0; ; i++ {
		more := have.Next()
		if more {
			if err := have.Scan(dest...); err != nil {
				return fmt.Errorf("projections: verify %s: %w", r.table.Name, err)
			}
		}
		if i == r.n && !more {
			return have.Err()
		}
		if i < r.n {
			if err := r.fillFor(g.dialect, i, want); err != nil {
				return fmt.Errorf("projections: verify %s: %w", r.table.Name, err)
			}
		}
		switch {
		case i >= r.n:
			return errors.Join(have.Err(), &Difference{View: r.table.Name, Row: w.rowName(r.table, values(stored)), Column: "all", Have: strings.Join(values(stored), " ")})
		case !more:
			return errors.Join(have.Err(), &Difference{View: r.table.Name, Row: w.rowName(r.table, texts(want)), Column: "all", Want: strings.Join(texts(want), " ")})
		}
		for c, is := range values(stored) {
			if should := texts(want)[c]; is != should {
				view, column := r.table.Name, r.table.Columns[c].Name
				if view == tableObligation.Name && !r.table.Columns[c].Integer { // a view of it has a column of its own
					view = column
				}
				return &Difference{View: view, Row: w.rowName(r.table, texts(want)), Column: column, Have: is, Want: should}
			}
		}
	}
}

func values(row []sql.NullString) []string {
	out := make([]string, len(row))
	for i, v := range row {
		out[i] = v.String
	}
	return out
}

func texts(row []any) []string {
	out := make([]string, len(row))
	for i, v := range row {
		if v != nil {
			out[i] = fmt.Sprint(v)
		}
	}
	return out
}

// rowName says which row it is: the obligation, or the key.
func (w *set) rowName(t table, columns []string) string {
	if t.Columns[0].Name != "id" {
		return strings.Join(columns[:t.Key], " ")
	}
	var id slotID
	if _, err := fmt.Sscan(columns[0], &id); err != nil {
		return columns[0]
	}
	s := w.slots.get(id)
	if s == nil {
		return "obligation " + columns[0]
	}
	k := s.key()
	return fmt.Sprintf("unit %s, form %s, day %s", k.Unit, k.Form, k.Date)
}
