package projections

import (
	"context"
	"database/sql"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/answerable-ledger/answerable/domain"
)

// GridQuery asks where the obligations of units stood over days, for a page that shows all of them at once.
type GridQuery struct {
	Regime   domain.RegimeID
	From, To domain.Date     // inclusive
	Parent   domain.UnitCode // units reporting through this one
	Form     domain.FormID
	KnownAt  *time.Time
	// AtDeadline asks of every obligation what was known at its own deadline.
	AtDeadline bool
}

// Grid is the answer, in the order of the units' places in the log.
type Grid struct {
	At
	Rows []GridRow
}

// GridRow is a unit's obligation over the days.
type GridRow struct {
	Unit     domain.UnitCode
	UnitName string
	Parent   domain.UnitCode
	Area     string // the parent's name
	Form     domain.FormID
	Cells    []GridCell
	// Determinable is false when an event of the unit could not be applied: then no cell may be trusted.
	Determinable bool
}

// GridCell is where the obligation of a day stood.
type GridCell struct {
	Date    domain.Date
	Status  domain.Status
	Version int
}

// Grid reads a whole grid from one snapshot.
func (v *Views) Grid(ctx context.Context, q GridQuery) (Grid, error) {
	var out Grid
	var err error
	out.At, err = v.ask(ctx, q.To, q.KnownAt, func(r *reader) error {
		days, err := r.days(q.Regime, q.From, q.To)
		if err != nil {
			return err
		}
		if err := r.loadForms(); err != nil {
			return err
		}
		parent, err := r.knownUnit("/parent", q.Parent)
		if err != nil {
			return err
		}
		form, err := r.knownForm(q.Form)
		if err != nil || q.Form != "" && form == 0 {
			return err
		}
		var through []int64 // units that may report through the parent; nil is every unit
		if parent != 0 {
			if through, err = r.everUnder(q.Parent); err != nil {
				return err
			}
		}
		g := grid{reader: r, q: q, parent: parent, at: map[int64]int{}}
		for _, day := range days {
			if err := g.day(day, form, through); err != nil {
				return err
			}
		}
		out.Rows, err = g.named()
		return err
	})
	return out, err
}

// grid is a grid that is being read.
type grid struct {
	*reader
	q      GridQuery
	parent int64
	at     map[int64]int // rows by form and unit
	keys   []int64
	above  []int64
	rows   []GridRow
}

// everUnder lists the units that a fact, of whatever time, put under a unit: the obligations themselves say which of them
// were. Without it a grid of a district would read the rows of the whole country.
func (r *reader) everUnder(parent domain.UnitCode) ([]int64, error) {
	out := []int64{}
	// A code holds nothing that JSON escapes, and a _ that stands for any letter finds too much, never too little.
	err := r.query(`SELECT n FROM {unit} WHERE doc LIKE ?`, []any{`%"parent":"` + string(parent) + `"%`}, func(rows *sql.Rows) error {
		var n int64
		err := rows.Scan(&n)
		out = append(out, n)
		return err
	})
	slices.Sort(out)
	return out, err
}

// day adds the obligations of a day.
func (g *grid) day(day *dayRow, form int64, through []int64) error {
	const columns = `SELECT id, parent, compliance FROM {obligation} WHERE `
	from, to := newSlotID(day.n, form, 0), newSlotID(day.n, form+1, 0)
	if form == 0 {
		to = newSlotID(day.n+1, 0, 0)
	}
	if through == nil {
		return g.read(day, columns+`id >= ? AND id < ? ORDER BY id`, int64(from), int64(to))
	}
	var ids []string
	for n := range g.formByN {
		if form == 0 || n == form {
			for _, u := range through {
				ids = append(ids, strconv.FormatInt(int64(newSlotID(day.n, n, u)), 10))
			}
		}
	}
	for part := range slices.Chunk(ids, 10*slotsPerQuery) { // numbers, not arguments
		if err := g.read(day, columns+`id IN (`+strings.Join(part, ",")+`)`); err != nil {
			return err
		}
	}
	return nil
}

func (g *grid) read(day *dayRow, query string, args ...any) error {
	return g.query(query, args, func(rows *sql.Rows) error {
		var id slotID
		var above int64
		var doc sql.RawBytes
		if err := rows.Scan(&id, &above, &doc); err != nil {
			return err
		}
		if g.parent != 0 && above != g.parent {
			return nil
		}
		all, err := readCompliance(string(doc))
		if err != nil {
			return err
		}
		known := g.known
		if g.q.AtDeadline && len(all) > 0 {
			known = min(known, all[len(all)-1].Due)
		}
		s, ok := stateAt(all, known, complianceState.known)
		if !ok {
			return nil
		}
		k := int64(id) & (1<<(unitBits+formBits) - 1)
		n, ok := g.at[k]
		if !ok {
			n = len(g.rows)
			g.at[k], g.keys, g.above, g.rows = n, append(g.keys, k), append(g.above, above), append(g.rows, GridRow{})
		}
		g.rows[n].Cells = append(g.rows[n].Cells, GridCell{day.key.date, s.Status, int(s.Version)})
		g.above[n] = above
		return nil
	})
}

// named puts names to the rows.
func (g *grid) named() ([]GridRow, error) {
	var ns []int64
	for i, k := range g.keys {
		ns = append(ns, slotID(k).unit(), g.above[i])
	}
	if err := g.loadUnits(ns...); err != nil {
		return nil, err
	}
	for i, k := range g.keys {
		row, u := &g.rows[i], g.unit(slotID(k).unit())
		row.Unit, row.UnitName, row.Parent, row.Form = u.code, g.name(u, g.q.To), g.unit(g.above[i]).code, g.formByN[slotID(k).form()]
		row.Area = g.name(g.unit(g.above[i]), g.q.To)
		_, doubt := g.notDeterminable(g.q.Regime, u.code)
		row.Determinable = !doubt
	}
	return g.rows, nil
}
