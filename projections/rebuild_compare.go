package projections

import (
	"bytes"
	"cmp"
	"context"
	"database/sql"
	_ "embed" // changes.json
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/answerable-ledger/answerable/domain"
)

// Change is one figure or field that the new rows have otherwise than the present ones.
type Change struct {
	View     string `json:"view"`
	Row      string `json:"row"` // its key
	Unit     string `json:"unit,omitempty"`
	Form     string `json:"form,omitempty"`
	Day      string `json:"day,omitempty"`
	Field    string `json:"field"`
	Old      string `json:"old"` // "" when it is not there
	New      string `json:"new"`
	Declared string `json:"declared,omitempty"` // why it is expected, "" when it is not
}

func (c Change) String() string {
	var where []string
	for _, part := range []struct{ name, value string }{{"unit", c.Unit}, {"form", c.Form}, {"day", c.Day}} {
		if part.value != "" {
			where = append(where, part.name+" "+part.value)
		}
	}
	if len(where) == 0 && c.Row != "" {
		where = append(where, c.Row)
	}
	return fmt.Sprintf("%s: %s: %s: %s -> %s", c.View, strings.Join(where, ", "), c.Field, short(c.Old), short(c.New))
}

// Comparison is what a rebuild found before it switched.
type Comparison struct {
	Place      string   `json:"place,omitempty"` // the position at which both were compared; "" when there was nothing to compare with
	Rows       int64    `json:"rows"`
	Declared   int64    `json:"declared"`
	Undeclared int64    `json:"undeclared"`
	First      []Change `json:"first,omitempty"` // the first that are not declared
	// Resumed: an interrupted rebuild had compared and written all this; what differs was told then.
	Resumed bool `json:"resumed,omitempty"`
}

// firstChanges is how many changes a comparison keeps. The others are told to Differs and counted.
const firstChanges = 20

//go:embed changes.json
var changesFile []byte

// declaration is what a fold version was meant to change in rows that were there before it.
type declaration struct {
	Fold   int            `json:"fold"`
	View   string         `json:"view"`            // a table
	Column string         `json:"column"`          // "": all of them, rows that come and go, and a table that comes
	Field  string         `json:"field,omitempty"` // within a document, without the places in lists: figures.installed; "": all of them
	What   domain.Wording `json:"what"`
}

// declarations reads what the versions after one, up to another, were meant to change.
func declarations(after, upTo version) ([]declaration, error) {
	var all []declaration
	if err := json.Unmarshal(changesFile, &all, json.RejectUnknownMembers(true)); err != nil {
		return nil, fmt.Errorf("projections: changes.json: %w", err)
	}
	return slices.DeleteFunc(all, func(d declaration) bool { return d.Fold <= after.fold || d.Fold > upTo.fold }), nil
}

func (d declaration) covers(view, column, field string) bool {
	return d.View == view && (d.Column == "" || d.Column == column) && (d.Field == "" || d.Field == field || strings.HasPrefix(field, d.Field+"."))
}

// fieldNames tells people what the short names of documents stand for.
var fieldNames = map[string]map[string]string{
	"compliance": {"f": "from", "s": "status", "z": "nil", "x": "excused", "b": "breaches", "o": "sign_off", "d": "due", "sd": "sign_off_due", "r": "received",
		"v": "version", "h": "digest", "u": "out_of_date", "m": "reminders", "e": "exempt"},
	"history": {"n": "known", "k": "kind", "g": "figures", "v": "version", "fv": "form_version", "z": "nil", "h": "digest", "d": "due", "tl": "timeliness", "ch": "children"},
}

// comparing is a comparison under way.
type comparing struct {
	*build
	w        *set
	declared []declaration
	doubt    []*parkedRow
	progress Progress
}

// compare goes through the rows of a fold and those of a generation at the same position.
func (b *build) compare(ctx context.Context, tx *sql.Tx, g *generation, w *set, doubt []*parkedRow) error {
	c := &comparing{build: b, w: w, doubt: doubt, progress: Progress{Phase: "compare", Events: w.events, Total: w.events}}
	var err error
	if c.declared, err = declarations(versionOf(g.fingerprint), versionOf(b.v.fingerprint)); err != nil {
		return err
	}
	b.found.Place = w.place.String()
	changes := slices.DeleteFunc(w.changes(true), func(r rows) bool { return r.table.Name == tableParked.Name })
	for _, r := range changes {
		c.progress.AllRows += int64(r.n)
	}
	b.report(c.progress)
	for _, r := range changes {
		if !g.hasTable(r.table) {
			c.tell(Change{View: r.table.Name, Field: "table", New: "a new table"}, "", "")
			continue
		}
		c.columns(g, r.table)
		if err := c.table(ctx, tx, g, g.fitted(r)); err != nil {
			return fmt.Errorf("compare %s: %w", r.table.Name, err)
		}
	}
	c.progress.Rows = b.found.Rows
	b.report(c.progress)
	return nil
}

// columns that come or go are changes too.
func (c *comparing) columns(g *generation, t table) {
	if g.columns == nil {
		return
	}
	for _, x := range t.columnNames() {
		if !g.has(t.Name, x) {
			c.tell(Change{View: t.Name, Field: x, New: "a new column"}, x, "")
		}
	}
	for _, x := range g.columns[t.Name] {
		if !slices.Contains(t.columnNames(), x) {
			c.tell(Change{View: t.Name, Field: x, Old: "a column"}, x, "")
		}
	}
}

// table walks through both in the order of the key.
func (c *comparing) table(ctx context.Context, tx *sql.Tx, g *generation, r rows) error {
	query := g.sql("SELECT " + strings.Join(r.table.columnNames(), ", ") + " FROM {" + r.table.Name + "} ORDER BY " + strings.Join(r.table.keyNames(), ", "))
	have, err := tx.QueryContext(ctx, query)
	if err != nil {
		return err
	}
	defer have.Close()
	cols := len(r.table.Columns)
	stored, dest, fresh := make([]sql.RawBytes, cols), make([]any, cols), make([]any, cols)
	for i := range stored {
		dest[i] = &stored[i]
	}
	more, i := have.Next(), 0
	for n := int64(0); more || i < r.n; n++ {
		if n%givingWay == 0 {
			p := c.progress
			p.Rows = c.found.Rows
			c.report(p)
			if err := c.way.Wait(ctx); err != nil {
				return err
			}
		}
		order := -1 // the stored row comes first
		if more {
			if err := have.Scan(dest...); err != nil {
				return err
			}
		}
		if i < r.n {
			if err := r.fillFor(g.dialect, i, fresh); err != nil {
				return err
			}
			order = 1
			if more {
				order = compareKeys(r.table, stored, fresh)
			}
		}
		c.found.Rows++
		switch {
		case order < 0:
			c.row(r.table, rawTexts(stored), Change{Field: "row", Old: strings.Join(rawTexts(stored), " ")})
		case order > 0:
			c.row(r.table, texts(fresh), Change{Field: "row", New: strings.Join(texts(fresh), " ")})
		default:
			c.values(r.table, stored, fresh)
		}
		if order <= 0 {
			more = have.Next()
		}
		if order >= 0 {
			i++
		}
	}
	return have.Err()
}

// compareKeys orders two rows as both databases do: numbers by value, texts by their bytes.
func compareKeys(t table, stored []sql.RawBytes, fresh []any) int {
	for i := range t.Columns[:t.Key] {
		var o int
		switch f := fresh[i].(type) {
		case int64:
			n, _ := strconv.ParseInt(string(stored[i]), 10, 64) // the column's type says that it is one
			o = cmp.Compare(n, f)
		case string:
			o = strings.Compare(string(stored[i]), f)
		default:
			o = strings.Compare(string(stored[i]), fmt.Sprint(f))
		}
		if o != 0 {
			return o
		}
	}
	return 0
}

// values compares two rows with one key.
func (c *comparing) values(t table, stored []sql.RawBytes, fresh []any) {
	var scratch [24]byte
	for i, col := range t.Columns {
		switch f := fresh[i].(type) {
		case string:
			if string(stored[i]) == f {
				continue
			}
		case int64:
			if bytes.Equal(stored[i], strconv.AppendInt(scratch[:0], f, 10)) {
				continue
			}
		case nil:
			if len(stored[i]) == 0 {
				continue
			}
		}
		was, is := string(stored[i]), texts(fresh[i : i+1])[0]
		if was == is {
			continue
		}
		key := texts(fresh)
		if !strings.HasPrefix(was, "[") && !strings.HasPrefix(was, "{") {
			c.row(t, key, Change{Field: col.Name, Old: was, New: is})
			continue
		}
		fields(jsontext.Value(was), jsontext.Value(is), "", fieldNames[col.Name], func(path, old, new string) {
			c.row(t, key, Change{Field: col.Name + path, Old: old, New: new})
		})
	}
}

// row tells a change of a row, of which the columns are given.
func (c *comparing) row(t table, columns []string, x Change) {
	x.View, x.Row = t.Name, strings.Join(columns[:t.Key], " ")
	regime := ""
	for i, col := range t.Columns {
		if i >= len(columns) {
			break
		}
		switch {
		case col.Name == "id" && t.Name != tablePosition.Name:
			n, _ := strconv.ParseInt(columns[i], 10, 64)
			k := c.key(slotID(n))
			regime, x.Unit, x.Form, x.Day = string(k.Regime), string(k.Unit), string(k.Form), string(k.Date)
		case col.Name == "code" || col.Name == "unit" && !col.Integer:
			x.Unit = columns[i]
		case col.Name == "form":
			x.Form = columns[i]
		case col.Name == "date":
			x.Day = columns[i]
		case col.Name == "regime":
			regime = columns[i]
		}
	}
	column, _, _ := strings.Cut(x.Field, ".")
	column, _, _ = strings.Cut(column, "[")
	if x.Field == "row" {
		column = ""
	}
	if slices.ContainsFunc(c.doubt, func(p *parkedRow) bool {
		return p.unit != "" && string(p.unit) == x.Unit || p.unit == "" && p.regime != "" && string(p.regime) == regime
	}) {
		x.Declared = "it was not determinable, since a stream was parked"
	}
	c.tell(x, column, withoutPlaces(x.Field, column))
}

// withoutPlaces is a field within a column's document, without the places in lists.
func withoutPlaces(field, column string) string {
	var b strings.Builder
	depth := 0
	for _, r := range strings.TrimPrefix(field, column) {
		switch {
		case r == '[':
			depth++
		case r == ']':
			depth--
		case depth == 0:
			b.WriteRune(r)
		}
	}
	return strings.TrimPrefix(b.String(), ".")
}

// key names an obligation by its number.
func (c *comparing) key(id slotID) domain.ReportKey {
	k := domain.ReportKey{Form: c.w.formByN[id.form()]}
	if d := c.w.dayByN[id.day()]; d != nil {
		k.Regime, k.Date = d.key.regime, d.key.date
	}
	if u := c.w.unitByN[id.unit()]; u != nil {
		k.Unit = u.code
	}
	return k
}

// tell counts a change and passes it on.
func (c *comparing) tell(x Change, column, field string) {
	if x.Declared == "" {
		for _, d := range c.declared {
			if d.covers(x.View, column, field) {
				x.Declared = d.What.En
			}
		}
	}
	if x.Declared != "" {
		c.found.Declared++
	} else {
		c.found.Undeclared++
		if len(c.found.First) < firstChanges {
			c.found.First = append(c.found.First, x)
		}
	}
	if c.Differs != nil {
		c.Differs(x)
	}
}

// fields finds what differs between two JSON documents: tell is called with the path and both values of every leaf.
func fields(was, is jsontext.Value, path string, names map[string]string, tell func(path, old, new string)) {
	if bytes.Equal(was, is) {
		return
	}
	switch {
	case was.Kind() == '{' && is.Kind() == '{':
		var a, b map[string]jsontext.Value
		if errors.Join(json.Unmarshal(was, &a), json.Unmarshal(is, &b)) == nil {
			for _, k := range keysOf(a, b) {
				name := cmp.Or(names[k], k)
				fields(a[k], b[k], path+"."+name, names, tell)
			}
			return
		}
	case was.Kind() == '[' && is.Kind() == '[':
		var a, b []jsontext.Value
		if errors.Join(json.Unmarshal(was, &a), json.Unmarshal(is, &b)) == nil {
			for i := range max(len(a), len(b)) {
				var x, y jsontext.Value
				if i < len(a) {
					x = a[i]
				}
				if i < len(b) {
					y = b[i]
				}
				fields(x, y, path+"["+strconv.Itoa(i)+"]", names, tell)
			}
			return
		}
	}
	tell(path, string(was), string(is))
}

func keysOf(a, b map[string]jsontext.Value) []string {
	var out []string
	for k := range a {
		out = append(out, k)
	}
	for k := range b {
		if _, both := a[k]; !both {
			out = append(out, k)
		}
	}
	slices.Sort(out)
	return out
}

func rawTexts(row []sql.RawBytes) []string {
	out := make([]string, len(row))
	for i, v := range row {
		out[i] = string(v)
	}
	return out
}
