package projections

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/answerable-ledger/answerable/domain"
)

const (
	// DefaultLimit is the length of a page nobody gave one for. Chosen: a screen or two.
	DefaultLimit = 100
	// MaxLimit bounds a page: its rows stay within a megabyte.
	MaxLimit = 1000
)

func limited(n int) int {
	if n <= 0 {
		return DefaultLimit
	}
	return min(n, MaxLimit)
}

// reader answers one question from one snapshot of the rows.
type reader struct {
	ctx      context.Context
	tx       *sql.Tx
	g        *generation
	v        *Views
	position position
	known    instant // rows known later do not exist for it
	asOf     domain.Date
	parked   []*parkedRow

	forms   map[domain.FormID]int64
	formByN map[int64]domain.FormID
	units   map[int64]*readUnit
	codes   map[domain.UnitCode]int64
	offices map[domain.UnitCode]domain.Office
	persons map[domain.PersonID]PersonRef
	tree    bool // every unit was loaded, to tell how they stood on the day asOf
}

// readUnit is a unit as known at the reader's instant.
type readUnit struct {
	n    int64
	code domain.UnitCode
	domain.Unit
}

// ask runs a question in one transaction, so that position and rows belong together. A generation that another process
// has replaced and dropped meanwhile is no failure: the question is asked of the one that took its place.
func (v *Views) ask(ctx context.Context, asOf domain.Date, known *time.Time, question func(*reader) error) (At, error) {
	g, err := v.generation(ctx)
	if err != nil {
		return At{}, err
	}
	at, err := v.askOf(ctx, g, asOf, known, question)
	if err == nil || ctx.Err() != nil {
		return at, err
	}
	if n, e := v.store.liveNumber(ctx); e != nil || n == 0 || n == g.n {
		return at, err
	}
	v.look(ctx)
	if g, err = v.generation(ctx); err != nil {
		return At{}, err
	}
	return v.askOf(ctx, g, asOf, known, question)
}

func (v *Views) askOf(ctx context.Context, g *generation, asOf domain.Date, known *time.Time, question func(*reader) error) (at At, err error) {
	if g.unusable != nil {
		return At{}, g.unusable
	}
	defer v.reads.Took()()
	g.statements.prepare(ctx, g.read)
	tx, err := g.read.BeginTx(ctx, nil)
	if err != nil {
		return At{}, fmt.Errorf("projections: read: %w", err)
	}
	defer func() { _ = tx.Rollback() }() // it wrote nothing
	r := &reader{ctx: ctx, tx: tx, g: g, v: v, known: knownAt(known), asOf: asOf,
		units: map[int64]*readUnit{}, codes: map[domain.UnitCode]int64{}, offices: map[domain.UnitCode]domain.Office{}, persons: map[domain.PersonID]PersonRef{}}
	var parked int
	if r.position, parked, err = g.standing(ctx, r.prepared()); err != nil {
		return At{}, err
	}
	if parked > 0 {
		if r.parked, err = parkedRows(ctx, tx, g); err != nil {
			return At{}, err
		}
	}
	r.parked = slices.DeleteFunc(r.parked, func(p *parkedRow) bool { return p.known > r.known })
	if err := question(r); err != nil {
		return At{}, err
	}
	return At{AsOf: asOf, KnownAt: known, Position: r.position.at, Place: r.position.at.String()}, nil
}

func (r *reader) query(query string, args []any, scan func(*sql.Rows) error) error {
	rows, err := r.tx.QueryContext(r.ctx, r.g.sql(query), args...)
	return scanned(rows, err, scan)
}

// point is query for what every question asks in the same words, by keys: the database reads and plans it once for each
// connection.
func (r *reader) point(query string, args []any, scan func(*sql.Rows) error) error {
	rows, err := r.prepared().QueryContext(r.ctx, r.g.sql(query), args...)
	return scanned(rows, err, scan)
}

func (r *reader) prepared() prepared { return prepared{r.tx, &r.g.statements} }

func scanned(rows *sql.Rows, err error, scan func(*sql.Rows) error) error {
	if err != nil {
		return fmt.Errorf("projections: read: %w", err)
	}
	for rows.Next() {
		if err := scan(rows); err != nil {
			return errors.Join(fmt.Errorf("projections: read: %w", err), rows.Close())
		}
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return fmt.Errorf("projections: read: %w", err)
	}
	return nil
}

func (r *reader) loadForms() error {
	if r.forms != nil {
		return nil
	}
	var ok bool
	if r.forms, r.formByN, ok = r.g.fixed.formsBefore(r.position.numbers.form); ok {
		return nil
	}
	r.forms, r.formByN = map[domain.FormID]int64{}, map[int64]domain.FormID{}
	err := r.query(`SELECT n, form FROM {form}`, nil, func(rows *sql.Rows) error {
		var n int64
		var f domain.FormID
		err := rows.Scan(&n, &f)
		r.forms[f], r.formByN[n] = n, f
		return err
	})
	if err == nil {
		r.g.fixed.keepForms(r.position.numbers.form, r.forms, r.formByN)
	}
	return err
}

// loadUnits reads units by their numbers.
func (r *reader) loadUnits(ns ...int64) error {
	slices.Sort(ns)
	var args []any
	for _, n := range slices.Compact(ns) {
		if n != 0 && r.units[n] == nil {
			args = append(args, n)
		}
	}
	for len(args) > 0 {
		n := min(len(args), slotsPerQuery)
		if err := r.unitsWhere("n IN "+questionMarks(n, 1), args[:n]); err != nil {
			return err
		}
		args = args[n:]
	}
	return nil
}

// unitsWhere reads units. One that has not changed since somebody asked for it is not read again: names are asked for with
// every row.
func (r *reader) unitsWhere(where string, args []any) error {
	var changed []any
	ask := r.query
	if len(args) == 1 {
		ask = r.point
	}
	err := ask(`SELECT n, code, next FROM {unit} WHERE `+where, args, func(rows *sql.Rows) error {
		u := &readUnit{}
		var next int
		if err := rows.Scan(&u.n, &u.code, &next); err != nil {
			return err
		}
		if known, ok := r.g.units.get(u.n, next, r.known); ok {
			u.Unit = known
			r.units[u.n], r.codes[u.code] = u, u.n
		} else {
			changed = append(changed, u.n)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for part := range slices.Chunk(changed, slotsPerQuery) {
		err := r.query(`SELECT n, code, doc FROM {unit} WHERE n IN `+questionMarks(len(part), 1), part, func(rows *sql.Rows) error {
			u := &readUnit{}
			var doc string
			if err := rows.Scan(&u.n, &u.code, &doc); err != nil {
				return err
			}
			fs, err := chronicledFacts(doc, domain.UnitStream(u.code))
			if err != nil {
				return err
			}
			u.Unit = r.g.units.put(u.n, fs, r.known)
			r.units[u.n], r.codes[u.code] = u, u.n
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// unitNumber is the number of a unit, 0 for one that nothing named.
func (r *reader) unitNumber(code domain.UnitCode) (int64, error) {
	if code == "" {
		return 0, nil
	}
	if n := r.codes[code]; n != 0 {
		return n, nil
	}
	err := r.unitsWhere("code = ?", []any{string(code)})
	return r.codes[code], err
}

// unit is a loaded unit; one that is not there has neither code nor name.
func (r *reader) unit(n int64) *readUnit {
	if u := r.units[n]; u != nil {
		return u
	}
	return &readUnit{}
}

// name is what a unit was called on a day: the one asked for, or else the row's own. "" asks for the newest name.
func (r *reader) name(u *readUnit, day domain.Date) string {
	if r.asOf != "" {
		day = r.asOf
	}
	switch {
	case !u.Exists():
		return string(u.code)
	case day == "":
		return u.Name
	}
	return u.On(day).Name
}

// maxMerges bounds the way from a unit to the one it has become, so that a circle ends. Chosen: a unit is merged once or
// twice in a lifetime.
const maxMerges = 8

// area is the unit that a row's unit reports through: on the row's own day, or in the tree of the day asOf. There a unit
// that was merged stands where the one it went into stands, one that ended otherwise where it stood last, and one that was
// not there yet where it stood first: no row is lost because the tree has changed, and none is re-keyed (rule 15).
func (r *reader) area(unit, parent int64) int64 {
	u := r.unit(unit)
	if r.asOf == "" || !u.Exists() {
		return parent
	}
	for range maxMerges {
		into := r.units[r.codes[u.Into]]
		if u.Until == "" || r.asOf < u.Until || into == nil || !into.Exists() {
			break
		}
		u = into
	}
	return r.codes[u.ParentOn(r.asOf)]
}

// loadTree loads every unit when the tree of another day is asked for.
func (r *reader) loadTree() error {
	if r.asOf == "" || r.tree {
		return nil
	}
	r.tree = true
	return r.unitsWhere("1 = 1", nil)
}

// absent reports whether a unit does not exist in the tree that is asked about.
func (r *reader) absent(u *readUnit) bool { return r.asOf != "" && !u.ActiveOn(r.asOf) }

func (r *reader) nameOf(code domain.UnitCode, day domain.Date) (string, error) {
	n, err := r.unitNumber(code)
	if err != nil || n == 0 {
		return string(code), err
	}
	return r.name(r.units[n], day), nil
}

func (r *reader) office(unit domain.UnitCode) (domain.Office, error) {
	if o, ok := r.offices[unit]; ok {
		return o, nil
	}
	var o domain.Office
	err := r.point(`SELECT doc FROM {office} WHERE unit = ?`, []any{string(unit)}, func(rows *sql.Rows) error {
		var doc string
		err := rows.Scan(&doc)
		if err == nil {
			o, err = state(domain.Office{}, doc, domain.OfficeStream(unit), r.known)
		}
		return err
	})
	r.offices[unit] = o
	return o, err
}

// person names a person; one whose stream is not there is named by the id.
func (r *reader) person(id domain.PersonID) (PersonRef, error) {
	if p, ok := r.persons[id]; ok {
		return p, nil
	}
	ref := PersonRef{ID: id, Name: string(id)}
	err := r.point(`SELECT doc FROM {person} WHERE person = ?`, []any{string(id)}, func(rows *sql.Rows) error {
		var doc string
		if err := rows.Scan(&doc); err != nil {
			return err
		}
		p, err := state(domain.Person{}, doc, domain.PersonStream(id), r.known)
		if p.Exists() {
			ref.Name, ref.Synthetic = p.Name, p.Synthetic
		}
		return err
	})
	r.persons[id] = ref
	return ref, err
}

// days lists the days of a regime, or of all, in order. It refuses a regime that is not there and days in the wrong order:
// an empty answer would read as if nothing had happened.
func (r *reader) days(regime domain.RegimeID, from, to domain.Date) ([]*dayRow, error) {
	if from != "" && to != "" && from > to {
		return nil, domain.Refuse(domain.Invalid, domain.CodeDate, "/to", "value", string(to))
	}
	if err := r.knownRegime(regime); err != nil {
		return nil, err
	}
	where, args := `WHERE opened <= ?`, []any{int64(r.known)}
	for _, c := range []struct{ column, value string }{{"regime = ?", string(regime)}, {"date >= ?", string(from)}, {"date <= ?", string(to)}} {
		if c.value != "" {
			where, args = where+" AND "+c.column, append(args, c.value)
		}
	}
	return daysOf(r.ctx, r.prepared(), r.g, where+` ORDER BY date, n`, args...)
}

// notDeterminable is the instant from which a unit's rows are not to be trusted; false while they are.
func (r *reader) notDeterminable(regime domain.RegimeID, unit domain.UnitCode) (instant, bool) {
	for _, p := range r.parked {
		if p.unit == unit && (p.regime == "" || p.regime == regime) || p.unit == "" && p.regime == regime && regime != "" {
			return p.known, true
		}
	}
	return 0, false
}

// row is an obligation as read: its place and the documents that were asked for.
type row struct {
	id         slotID
	day        *dayRow
	duty       int
	parent     int64 // on its own day: whose head answers in a vacancy
	area       int64 // in the tree that is asked about: where it is shown and counted
	compliance []complianceState
	state      complianceState // the one known at the reader's instant
}

// rowsQuery selects obligations of the reader's days.
type rowsQuery struct {
	days         []*dayRow
	form         domain.FormID
	unit, parent domain.UnitCode
	status       []domain.Status
	after        cursor
}

// each walks through obligations by date and number until yield is false.
func (r *reader) each(q rowsQuery, yield func(row) (bool, error)) error {
	if err := r.loadForms(); err != nil {
		return err
	}
	unit, err := r.knownUnit("/unit", q.unit)
	if err != nil {
		return err
	}
	parent, err := r.knownUnit("/parent", q.parent)
	if err != nil {
		return err
	}
	form, err := r.knownForm(q.form)
	if err != nil || q.form != "" && form == 0 {
		return err
	}
	for _, day := range q.days {
		if day.key.date < q.after.date {
			continue
		}
		from, to := newSlotID(day.n, form, 0), newSlotID(day.n, form+1, 0)
		if form == 0 {
			to = newSlotID(day.n+1, 0, 0)
		}
		if day.key.date == q.after.date && from <= q.after.id {
			from = q.after.id + 1
		}
		more, err := r.within(day, from, to, unit, parent, q.status, yield)
		if err != nil || !more {
			return err
		}
	}
	return nil
}

// ofUnit is the condition that a row is one of a unit's on a day. Its forms are few: the key finds them one by one.
func (r *reader) ofUnit(day *dayRow, unit int64) (condition string, ids []any) {
	for n := range r.formByN {
		ids = append(ids, int64(newSlotID(day.n, n, unit)))
	}
	return `id IN ` + questionMarks(len(ids), 1), ids
}

// within walks through the obligations of a day within a range of ids. It reads some at a time, so that yield may ask for
// more while it looks at one: a transaction answers one query after the other.
func (r *reader) within(day *dayRow, from, to slotID, unit, parent int64, status []domain.Status, yield func(row) (bool, error)) (more bool, err error) {
	if err := r.loadTree(); err != nil {
		return false, err
	}
	where, args, ask := ` WHERE id >= ? AND id < ?`, []any{nil, int64(to)}, r.query
	if unit != 0 {
		theirs, ids := r.ofUnit(day, unit)
		where, args, ask = where+` AND `+theirs, append(args, ids...), r.point
	}
	if parent != 0 && r.asOf == "" {
		where, args = where+` AND parent = ?`, append(args, parent)
	}
	if len(status) > 0 && r.known == forever {
		where += ` AND status IN ` + questionMarks(len(status), 1)
		for _, s := range status {
			args = append(args, string(s))
		}
	}
	for {
		args[0] = int64(from)
		var rows []row
		err := ask(`SELECT id, duty, parent, compliance FROM {obligation}`+where+` ORDER BY id LIMIT `+strconv.Itoa(MaxLimit), args, func(s *sql.Rows) error {
			x := row{day: day}
			var doc string
			if err := s.Scan(&x.id, &x.duty, &x.parent, &doc); err != nil {
				return err
			}
			var err error
			x.compliance, err = readCompliance(doc)
			rows = append(rows, x)
			return err
		})
		if err != nil {
			return false, err
		}
		for _, x := range rows {
			var ok bool
			if x.state, ok = stateAt(x.compliance, r.known, complianceState.known); !ok || len(status) > 0 && !slices.Contains(status, x.state.Status) {
				continue
			}
			if x.area = r.area(x.id.unit(), x.parent); parent != 0 && x.area != parent {
				continue
			}
			if more, err := yield(x); err != nil || !more {
				return false, err
			}
		}
		if len(rows) < MaxLimit {
			return true, nil
		}
		from = rows[len(rows)-1].id + 1
	}
}

// key names an obligation whose unit has been loaded.
func (r *reader) key(x row) domain.ReportKey {
	return domain.ReportKey{Regime: x.day.key.regime, Form: r.formByN[x.id.form()], Unit: r.unit(x.id.unit()).code, Date: x.day.key.date}
}

func slotName(k domain.ReportKey) Slot {
	return Slot{Regime: k.Regime, Form: k.Form, Unit: k.Unit, Date: k.Date}
}

// histories reads the history of each obligation.
func (r *reader) histories(ids []slotID) (map[slotID]string, error) {
	out := make(map[slotID]string, len(ids))
	for len(ids) > 0 {
		n := min(len(ids), slotsPerQuery)
		args := make([]any, n)
		for i, id := range ids[:n] {
			args[i] = int64(id)
		}
		ask := r.query
		if n == 1 {
			ask = r.point
		}
		err := ask(`SELECT id, history FROM {obligation} WHERE id IN `+questionMarks(n, 1), args, func(rows *sql.Rows) error {
			var id slotID
			var history string
			err := rows.Scan(&id, &history)
			out[id] = history
			return err
		})
		if err != nil {
			return nil, err
		}
		ids = ids[n:]
	}
	return out, nil
}

// entries reads the history of an obligation as known at the reader's instant.
func (r *reader) entries(id slotID) ([]entry, error) {
	rows, err := r.histories([]slotID{id})
	if err != nil {
		return nil, err
	}
	return entriesUntil(rows[id], r.known)
}

// one finds an obligation by name; false when it did not exist at the reader's instant.
func (r *reader) one(k domain.ReportKey) (row, bool, error) {
	days, err := r.days(k.Regime, k.Date, k.Date)
	if err != nil {
		return row{}, false, err
	}
	var found row
	ok := false
	err = r.each(rowsQuery{days: days, form: k.Form, unit: k.Unit}, func(x row) (bool, error) {
		found, ok = x, true
		return false, nil
	})
	return found, ok, err
}

// cursor is the place after which a page begins: the day and the number of the last obligation of the page before.
type cursor struct {
	date domain.Date
	id   slotID
}

func (c cursor) String() string {
	return base64.RawURLEncoding.EncodeToString([]byte(string(c.date) + " " + strconv.FormatInt(int64(c.id), 36)))
}

// parseCursor reads what String wrote, and nothing else.
func parseCursor(s string) (cursor, error) {
	if s == "" {
		return cursor{}, nil
	}
	b, err := base64.RawURLEncoding.DecodeString(s)
	date, id, ok := strings.Cut(string(b), " ")
	n, err2 := strconv.ParseInt(id, 36, 64)
	_, err3 := domain.ParseDate(date)
	c := cursor{domain.Date(date), slotID(n)}
	if err != nil || err2 != nil || err3 != nil || !ok || n < 0 || n == math.MaxInt64 || c.String() != s {
		return cursor{}, fmt.Errorf("projections: %q: %w", s, ErrCursor)
	}
	return c, nil
}

func compareSlots(a, b Slot) int {
	return cmp.Or(cmp.Compare(a.Date, b.Date), cmp.Compare(a.Form, b.Form), cmp.Compare(a.Unit, b.Unit))
}
