package projections

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"github.com/go-json-experiment/json"

	"github.com/answerable-ledger/answerable/domain"
)

// storedSlot is an obligation's rows as stored.
type storedSlot struct {
	id         slotID
	duty       int
	parent     int64
	compliance string
	answers    string
	history    string
	next       uint64
	synthesis  string
	breaches   []storedBreach
}

type storedBreach struct {
	kind domain.BreachKind
	doc  string
}

// restore makes a stored obligation one of the working set again.
func (w *set) restore(r storedSlot) (*slot, error) {
	day, err := w.dayNumbered(r.id.day())
	if err != nil {
		return nil, err
	}
	unit, err := w.unitNumbered(r.id.unit())
	if err != nil {
		return nil, err
	}
	if day == nil || unit == nil {
		return nil, fmt.Errorf("projections: row %d: its day or unit is missing", r.id)
	}
	s := &slot{id: r.id, unit: unit, duty: r.duty}
	key := domain.ReportKey{Regime: day.key.regime, Form: w.formByN[r.id.form()], Unit: unit.code, Date: day.key.date}
	if r.parent != 0 {
		if s.above, err = w.unitNumbered(r.parent); err != nil {
			return nil, err
		}
	}
	if s.compliance, err = readCompliance(r.compliance); err == nil {
		s.answers, err = readAnswers(r.answers)
	}
	if err != nil {
		return nil, fmt.Errorf("projections: row %d: %w", r.id, err)
	}
	for _, b := range r.breaches {
		states, err := readBreaches(b.doc)
		if err != nil {
			return nil, fmt.Errorf("projections: breach row %d: %w", r.id, err)
		}
		s.breaches = append(s.breaches, breachRow{b.kind, states})
	}
	entries, err := entriesUntil(r.history, forever)
	if err != nil {
		return nil, err
	}
	s.report, s.next = reportOf(key, entries), uint64(len(entries))
	s.history = reopened(r.history)
	c := s.compliance[len(s.compliance)-1]
	s.due, s.signOffDue, s.exempt, s.outOfDate = c.Due, c.SignOffDue, c.Exempt, c.OutOfDate
	s.waiting = waitsForSignature(c.SignOff)
	s.vacant = s.above != nil && s.answers[len(s.answers)-1].vacant()
	return s, nil
}

// stored is the source of a live fold: the rows of a generation inside the batch's own transaction.
type stored struct {
	ctx context.Context
	g   *generation
	tx  *sql.Tx
}

// slotsPerQuery bounds a list of ids in one query. Chosen: a statement of some kilobytes.
const slotsPerQuery = 200

func (q stored) slots(ids []slotID) ([]storedSlot, error) {
	var out []storedSlot
	for len(ids) > 0 {
		n := min(len(ids), slotsPerQuery)
		part, err := q.slotsIn(ids[:n])
		if err != nil {
			return nil, fmt.Errorf("projections: load obligations: %w", err)
		}
		out, ids = append(out, part...), ids[n:]
	}
	return out, nil
}

func (q stored) slotsIn(ids []slotID) ([]storedSlot, error) {
	args := make([]any, len(ids))
	for i, id := range ids {
		args[i] = int64(id)
	}
	in := questionMarks(len(ids), 1)
	rows, err := q.tx.QueryContext(q.ctx, q.g.sql(`SELECT id, duty, parent, compliance, answerability, history FROM {obligation} WHERE id IN `+in), args...)
	if err != nil {
		return nil, err
	}
	var out []storedSlot
	place := map[slotID]int{}
	for rows.Next() {
		var r storedSlot
		if err := rows.Scan(&r.id, &r.duty, &r.parent, &r.compliance, &r.answers, &r.history); err != nil {
			return nil, errors.Join(err, rows.Close())
		}
		place[r.id] = len(out)
		out = append(out, r)
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return nil, err
	}
	rows, err = q.tx.QueryContext(q.ctx, q.g.sql(`SELECT id, kind, doc FROM {breach} WHERE id IN `+in), args...)
	if err != nil {
		return nil, err
	}
	for rows.Next() {
		var id slotID
		var b storedBreach
		if err := rows.Scan(&id, &b.kind, &b.doc); err != nil {
			return nil, errors.Join(err, rows.Close())
		}
		if i, ok := place[id]; ok {
			out[i].breaches = append(out[i].breaches, b)
		}
	}
	return out, errors.Join(rows.Err(), rows.Close())
}

func (q stored) slotsOfDay(day int64) ([]slotID, error) {
	return q.ids(`SELECT id FROM {obligation} WHERE id >= ? AND id < ?`, int64(newSlotID(day, 0, 0)), int64(newSlotID(day+1, 0, 0)))
}

func (q stored) slotsOfUnit(unit int64) ([]slotID, error) {
	return q.ids(fmt.Sprintf(`SELECT o.id FROM {day} d CROSS JOIN {form} f CROSS JOIN {obligation} o WHERE o.id = d.n * %d + f.n * %d + ?`,
		1<<(unitBits+formBits), 1<<unitBits), unit)
}

func (q stored) slotsBelow(unit int64) ([]slotID, error) {
	return q.ids(`SELECT id FROM {vacancy} WHERE unit = ?`, unit)
}

func (q stored) ids(query string, args ...any) ([]slotID, error) {
	rows, err := q.tx.QueryContext(q.ctx, q.g.sql(query), args...)
	if err != nil {
		return nil, fmt.Errorf("projections: find obligations: %w", err)
	}
	var out []slotID
	for rows.Next() {
		var id slotID
		if err := rows.Scan(&id); err != nil {
			return nil, errors.Join(err, rows.Close())
		}
		out = append(out, id)
	}
	return out, errors.Join(rows.Err(), rows.Close())
}

// row reads at most one row; false when there is none.
func (q stored) row(query string, arg any, dest ...any) (bool, error) {
	err := q.tx.QueryRowContext(q.ctx, q.g.sql(query), arg).Scan(dest...)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("projections: load %v: %w", arg, err)
	}
	return true, nil
}

func (q stored) unit(code domain.UnitCode) (*unitRow, error) {
	return q.unitWhere("code", string(code))
}

func (q stored) unitNumbered(n int64) (*unitRow, error) { return q.unitWhere("n", n) }

func (q stored) unitWhere(column string, value any) (*unitRow, error) {
	u := &unitRow{}
	var next int64
	var doc string
	ok, err := q.row(`SELECT n, code, next, doc FROM {unit} WHERE `+column+` = ?`, value, &u.n, &u.code, &next, &doc)
	if !ok || err != nil {
		return nil, err
	}
	return u, u.restore(next, doc)
}

func (u *unitRow) restore(next int64, doc string) (err error) {
	u.chronicle = chronicle{reopened(doc), uint64(next)}
	u.state, err = state(domain.Unit{}, doc, domain.UnitStream(u.code), forever)
	return err
}

func (q stored) office(unit domain.UnitCode) (*officeRow, error) {
	o := &officeRow{unit: unit}
	var next int64
	var doc string
	ok, err := q.row(`SELECT next, doc FROM {office} WHERE unit = ?`, string(unit), &next, &doc)
	if !ok || err != nil {
		return nil, err
	}
	return o, o.restore(next, doc)
}

func (o *officeRow) restore(next int64, doc string) (err error) {
	o.chronicle = chronicle{reopened(doc), uint64(next)}
	o.state, err = state(domain.Office{}, doc, domain.OfficeStream(o.unit), forever)
	for _, t := range o.state.Tenures {
		o.held(t.Person)
	}
	return err
}

// units gives those of some units that are there.
func (q stored) units(codes []domain.UnitCode) (out []*unitRow, err error) {
	for part := range slices.Chunk(codes, slotsPerQuery) {
		some, err := q.unitsIn(` WHERE code IN `+questionMarks(len(part), 1), part)
		if err != nil {
			return nil, err
		}
		out = append(out, some...)
	}
	return out, nil
}

func (q stored) unitsIn(where string, codes []domain.UnitCode) (out []*unitRow, err error) {
	err = q.of(`SELECT n, code, next, doc FROM {unit}`+where, codes, func(rows *sql.Rows) error {
		u := &unitRow{}
		var next int64
		var doc string
		if err := rows.Scan(&u.n, &u.code, &next, &doc); err != nil {
			return err
		}
		out = append(out, u)
		return u.restore(next, doc)
	})
	return out, err
}

// offices gives those of some units' offices that are there.
func (q stored) offices(units []domain.UnitCode) (out []*officeRow, err error) {
	for part := range slices.Chunk(units, slotsPerQuery) {
		some, err := q.officesIn(` WHERE unit IN `+questionMarks(len(part), 1), part)
		if err != nil {
			return nil, err
		}
		out = append(out, some...)
	}
	return out, nil
}

func (q stored) officesIn(where string, units []domain.UnitCode) (out []*officeRow, err error) {
	err = q.of(`SELECT unit, next, doc FROM {office}`+where, units, func(rows *sql.Rows) error {
		o := &officeRow{}
		var next int64
		var doc string
		if err := rows.Scan(&o.unit, &next, &doc); err != nil {
			return err
		}
		out = append(out, o)
		return o.restore(next, doc)
	})
	return out, err
}

// of reads rows about units.
func (q stored) of(query string, codes []domain.UnitCode, scan func(*sql.Rows) error) error {
	args := make([]any, len(codes))
	for i, c := range codes {
		args[i] = string(c)
	}
	rows, err := q.tx.QueryContext(q.ctx, q.g.sql(query), args...)
	if err != nil {
		return fmt.Errorf("projections: load units: %w", err)
	}
	for err == nil && rows.Next() {
		err = scan(rows)
	}
	if err := errors.Join(err, rows.Err(), rows.Close()); err != nil {
		return fmt.Errorf("projections: load units: %w", err)
	}
	return nil
}

func (q stored) person(id domain.PersonID) (*personRow, error) {
	p := &personRow{id: id}
	var next int64
	var doc string
	ok, err := q.row(`SELECT next, doc FROM {person} WHERE person = ?`, string(id), &next, &doc)
	if !ok || err != nil {
		return nil, err
	}
	p.chronicle = chronicle{reopened(doc), uint64(next)}
	return p, nil
}

func (q stored) regime(id domain.RegimeID) (*regimeRow, error) {
	r := &regimeRow{id: id}
	var next int64
	var doc string
	ok, err := q.row(`SELECT next, doc FROM {regime} WHERE regime = ?`, string(id), &next, &doc)
	if !ok || err != nil {
		return nil, err
	}
	r.chronicle = chronicle{reopened(doc), uint64(next)}
	r.state, err = state(domain.Regime{}, doc, domain.RegimeStream(id), forever)
	return r, err
}

func (q stored) day(k dayKey) (*dayRow, error) {
	rows, err := daysOf(q.ctx, q.tx, q.g, `WHERE regime = ? AND date = ?`, string(k.regime), string(k.date))
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	return rows[0], nil
}

func (q stored) dayNumbered(n int64) (*dayRow, error) {
	rows, err := daysOf(q.ctx, q.tx, q.g, `WHERE n = ?`, n)
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	return rows[0], nil
}

func (q stored) dayFacts(n int64) ([]byte, error) {
	var doc string
	_, err := q.row(`SELECT doc FROM {day} WHERE n = ?`, n, &doc)
	return reopened(doc), err
}

// daysOf reads days without their chronicles.
func daysOf(ctx context.Context, q querier, g *generation, where string, args ...any) ([]*dayRow, error) {
	rows, err := q.QueryContext(ctx, g.sql(`SELECT n, regime, date, regime_version, duties, opened, closed, next FROM {day} `+where), args...)
	if err != nil {
		return nil, fmt.Errorf("projections: load days: %w", err)
	}
	var out []*dayRow
	for rows.Next() {
		d := &dayRow{}
		var duties string
		var next int64
		err := rows.Scan(&d.n, &d.key.regime, &d.key.date, &d.regimeVersion, &duties, &d.opened, &d.closed, &next)
		if err == nil {
			d.next = uint64(next)
			err = json.Unmarshal([]byte(duties), &d.duties)
		}
		if err != nil {
			return nil, errors.Join(fmt.Errorf("projections: load days: %w", err), rows.Close())
		}
		out = append(out, d)
	}
	return out, errors.Join(rows.Err(), rows.Close())
}

// resume fills a new set with what every batch needs: the numbers given so far, the forms and the parked streams.
func (w *set) resume(q stored, p position) error {
	w.known, w.place, w.events, w.numbered = p.known, p.at, p.events, p.numbers
	rows, err := q.tx.QueryContext(q.ctx, q.g.sql(`SELECT n, form FROM {form}`))
	if err != nil {
		return fmt.Errorf("projections: load forms: %w", err)
	}
	for rows.Next() {
		var n int64
		var f domain.FormID
		if err := rows.Scan(&n, &f); err != nil {
			return errors.Join(err, rows.Close())
		}
		w.forms[f], w.formByN[n] = n, f
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return fmt.Errorf("projections: load forms: %w", err)
	}
	parked, err := parkedRows(q.ctx, q.tx, q.g)
	for _, p := range parked {
		w.parked[p.stream] = p
	}
	return err
}

func parkedRows(ctx context.Context, q querier, g *generation) ([]*parkedRow, error) {
	rows, err := q.QueryContext(ctx, g.sql(`SELECT stream, unit, regime, revision, event_id, kind, error, waiting, recorded, known, place FROM {parked} ORDER BY known, stream`))
	if err != nil {
		return nil, fmt.Errorf("projections: load parked streams: %w", err)
	}
	var out []*parkedRow
	for rows.Next() {
		p := &parkedRow{}
		var revision int64
		if err := rows.Scan(&p.stream, &p.unit, &p.regime, &revision, &p.eventID, &p.kind, &p.err, &p.waiting, &p.recorded, &p.known, &p.place); err != nil {
			return nil, errors.Join(err, rows.Close())
		}
		p.revision = uint64(revision)
		out = append(out, p)
	}
	return out, errors.Join(rows.Err(), rows.Close())
}
