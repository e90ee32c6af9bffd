package projections

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"

	"github.com/answerable-ledger/answerable/domain"
)

// rows is what a set has to write into one table: n rows in the order of their key, each filled in on demand, by one
// goroutine at a time.
type rows struct {
	table table
	n     int
	fill  func(i int, args []any) error
	// encoder gives, for the one large table, what several goroutines may do at once, each with its own: the same as fill.
	// The texts of a row are good until its next call.
	encoder func() func(i int, row []value)
	// replace: they take the place of rows with their key.
	replace bool
}

// value is what a row has in one column: a text, or a number where the column is one of integers.
type value struct {
	number int64
	text   []byte
}

// changes lists what is to be written, table by table. all takes every row: a bulk fold writes each exactly once.
func (w *set) changes(all bool) []rows {
	return slices.Concat(w.directoryRows(all), w.slotRows(all), w.parkedChanges(all))
}

func (w *set) directoryRows(all bool) []rows {
	if !all && !w.directoryDirty && len(w.newForms) == 0 && len(w.targets) == 0 {
		return nil
	}
	units := sorted(w.units, func(u *unitRow) bool { return all || u.dirty }, func(u *unitRow) int64 { return u.n })
	days := sorted(w.days, func(d *dayRow) bool { return all || d.dirty }, func(d *dayRow) int64 { return d.n })
	regimes := sorted(w.regimes, func(r *regimeRow) bool { return all || r.dirty }, func(r *regimeRow) domain.RegimeID { return r.id })
	offices := sorted(w.offices, func(o *officeRow) bool { return all || o.dirty }, func(o *officeRow) domain.UnitCode { return o.unit })
	persons := sorted(w.persons, func(p *personRow) bool { return all || p.dirty }, func(p *personRow) domain.PersonID { return p.id })
	slices.SortFunc(w.targets, func(a, b targetRow) int { return strings.Compare(a.key(), b.key()) })
	forms := w.newForms
	type holder struct {
		person domain.PersonID
		unit   domain.UnitCode
	}
	var holders []holder
	for _, o := range offices {
		for _, p := range o.holders {
			holders = append(holders, holder{p, o.unit})
		}
	}
	slices.SortFunc(holders, func(a, b holder) int {
		return strings.Compare(string(a.person)+"\x00"+string(a.unit), string(b.person)+"\x00"+string(b.unit))
	})
	return []rows{
		{table: tableUnit, n: len(units), fill: func(i int, a []any) error {
			u := units[i]
			a[0], a[1], a[2], a[3], a[4], a[5] = u.n, string(u.code), string(u.state.Level), u.search(), int64(u.next), closed(u.doc)
			return nil
		}},
		{table: tableForm, n: len(forms), fill: func(i int, a []any) error {
			a[0], a[1] = w.forms[forms[i]], string(forms[i])
			return nil
		}},
		{table: tableDay, n: len(days), fill: func(i int, a []any) error {
			d := days[i]
			duties, err := json.Marshal(d.duties)
			a[0], a[1], a[2], a[3], a[4] = d.n, string(d.key.regime), string(d.key.date), int64(d.regimeVersion), string(duties)
			a[5], a[6], a[7], a[8] = int64(d.opened), int64(d.closed), int64(d.next), closed(d.doc)
			return err
		}},
		{table: tableRegime, n: len(regimes), fill: func(i int, a []any) error {
			a[0], a[1], a[2] = string(regimes[i].id), int64(regimes[i].next), closed(regimes[i].doc)
			return nil
		}},
		{table: tableOffice, n: len(offices), fill: func(i int, a []any) error {
			a[0], a[1], a[2] = string(offices[i].unit), int64(offices[i].next), closed(offices[i].doc)
			return nil
		}},
		{table: tableHolder, n: len(holders), fill: func(i int, a []any) error {
			a[0], a[1] = string(holders[i].person), string(holders[i].unit)
			return nil
		}},
		{table: tablePerson, n: len(persons), fill: func(i int, a []any) error {
			a[0], a[1], a[2] = string(persons[i].id), int64(persons[i].next), closed(persons[i].doc)
			return nil
		}},
		{table: tableTarget, n: len(w.targets), fill: func(i int, a []any) error {
			t := w.targets[i]
			doc, err := json.Marshal(t.judged)
			a[0], a[1], a[2], a[3] = string(t.judged.Regime), t.judged.Target, string(t.judged.Date), string(t.judged.Unit)
			a[4], a[5], a[6] = int64(t.known), int64(t.recorded), string(doc)
			return err
		}},
	}
}

func (t targetRow) key() string {
	return string(t.judged.Regime) + "\x00" + t.judged.Target + "\x00" + string(t.judged.Date) + "\x00" + string(t.judged.Unit)
}

func (w *set) slotRows(all bool) []rows {
	var obligations, replaced []*slot
	var lists lists
	if all {
		obligations = make([]*slot, 0, w.slots.n)
	}
	for s := range w.slots.all() { // once: a rebuild has obligations by the million
		switch sealed := w.sealing.has(s.id); {
		case sealed && s.dirty&dirtyRow != 0:
			replaced = append(replaced, s)
		case !sealed && (all || s.dirty&dirtyRow != 0 && s.dirty&dirtyNew == 0):
			obligations = append(obligations, s)
		}
		lists.add(s, all)
	}
	if w.sealing != nil {
		lists.addSealed(&w.sealing.lists, func(id slotID) bool { return w.slots.get(id) != nil })
	}
	out := append([]rows{obligationRows(obligations)}, lists.rows()...)
	if len(replaced) > 0 {
		again := obligationRows(replaced)
		again.encoder, again.replace = nil, true
		out = append(out, again)
	}
	return out
}

// lists are the rows of obligations beside their own.
type lists struct {
	breaches         []listedBreach
	queue, vacancies []listedUnder // by unit
	found            []listedUnder // by finding
}

// listedUnder is an obligation in a list under a number.
type listedUnder struct {
	under int64
	id    slotID
}

type listedBreach struct {
	id slotID
	breachRow
}

// add takes a slot's rows, or only those that changed.
func (l *lists) add(s *slot, all bool) {
	if s.waiting && (all || s.dirty&dirtyQueue != 0) {
		l.queue = append(l.queue, listedUnder{s.id.unit(), s.id})
	}
	if s.vacant && (all || s.dirty&dirtyVacancy != 0) {
		l.vacancies = append(l.vacancies, listedUnder{s.above.n, s.id})
	}
	if len(s.breaches) > 0 && (all || s.dirty&dirtyBreaches != 0) {
		own := slices.Clone(s.breaches)
		slices.SortFunc(own, func(a, b breachRow) int { return strings.Compare(string(a.kind), string(b.kind)) })
		for _, b := range own {
			l.breaches = append(l.breaches, listedBreach{s.id, b})
		}
	}
	if s.findings != 0 && (all || s.dirty&dirtyFindings != 0) {
		for _, what := range allFindings {
			if s.findings&what != 0 {
				l.found = append(l.found, listedUnder{int64(what), s.id})
			}
		}
	}
}

// addSealed takes the rows of sealed obligations, but for what those that came back say themselves. What was found stays
// found.
func (l *lists) addSealed(sealed *lists, back func(slotID) bool) {
	isBack := func(x listedUnder) bool { return back(x.id) }
	l.queue = append(l.queue, slices.DeleteFunc(slices.Clone(sealed.queue), isBack)...)
	l.vacancies = append(l.vacancies, slices.DeleteFunc(slices.Clone(sealed.vacancies), isBack)...)
	l.breaches = append(l.breaches, slices.DeleteFunc(slices.Clone(sealed.breaches), func(x listedBreach) bool { return back(x.id) })...)
	l.found = append(l.found, sealed.found...)
}

// rows gives the rows in the order of their keys.
func (l *lists) rows() []rows {
	slices.SortStableFunc(l.breaches, func(a, b listedBreach) int { return cmp.Compare(a.id, b.id) })
	list := func(t table, all []listedUnder) rows {
		slices.SortFunc(all, func(a, b listedUnder) int { return cmp.Or(cmp.Compare(a.under, b.under), cmp.Compare(a.id, b.id)) })
		all = slices.Compact(all)
		return rows{table: t, n: len(all), fill: func(i int, a []any) error {
			a[0], a[1] = all[i].under, int64(all[i].id)
			return nil
		}}
	}
	return []rows{
		{table: tableBreach, n: len(l.breaches), fill: func(i int, a []any) error {
			b := l.breaches[i]
			a[0], a[1], a[2] = int64(b.id), string(b.kind), string(appendBreaches(nil, b.states))
			return nil
		}},
		list(tableVacancy, l.vacancies), list(tableSignOff, l.queue), list(tableFinding, l.found),
	}
}

// newObligations are the rows that no transaction has written yet.
func (w *set) newObligations() rows {
	var slots []*slot
	for s := range w.slots.all() {
		if s.dirty&dirtyNew != 0 {
			slots = append(slots, s)
		}
	}
	return obligationRows(slots)
}

func obligationRows(obligations []*slot) rows {
	encoder := func() func(i int, row []value) {
		var texts [4][]byte
		return func(i int, row []value) {
			s := obligations[i]
			texts[0] = append(texts[0][:0], s.compliance[len(s.compliance)-1].Status...)
			texts[1] = appendCompliance(texts[1][:0], s.compliance)
			texts[2] = appendAnswers(texts[2][:0], s.answers)
			texts[3] = s.appendHistory(texts[3][:0])
			row[0].number, row[1].number, row[2].number, row[7].number = int64(s.id), int64(s.duty), s.aboveN(), s.formVersion()
			row[3].text, row[4].text, row[5].text, row[6].text = texts[0], texts[1], texts[2], texts[3]
		}
	}
	return rows{table: tableObligation, n: len(obligations), fill: filled(tableObligation, encoder()), encoder: encoder}
}

// obligationIn is what an encoder wrote into a row, as a database gives it back.
func obligationIn(row []value) storedSlot {
	return storedSlot{id: slotID(row[0].number), duty: int(row[1].number), parent: row[2].number,
		compliance: string(row[4].text), answers: string(row[5].text), history: string(row[6].text)}
}

// filled is an encoder's row as a database's arguments.
func filled(t table, encode func(i int, row []value)) func(i int, args []any) error {
	row := make([]value, len(t.Columns))
	var page textPage
	return func(i int, args []any) error {
		encode(i, row)
		for c, v := range row {
			if args[c] = v.number; !t.Columns[c].Integer {
				args[c] = page.keep(v.text)
			}
		}
		return nil
	}
}

// textPage keeps texts side by side: one allocation for many.
type textPage struct{ page strings.Builder }

// textPageBytes is the largest block that the allocator keeps at hand for each core.
const textPageBytes = 32 << 10

func (t *textPage) keep(b []byte) string {
	if t.page.Cap()-t.page.Len() < len(b) {
		t.page = strings.Builder{}
		t.page.Grow(max(textPageBytes, len(b)))
	}
	start := t.page.Len()
	t.page.Write(b)
	return t.page.String()[start:]
}

func (w *set) parkedChanges(all bool) []rows {
	parked := sorted(w.parked, func(p *parkedRow) bool { return all || p.dirty }, func(p *parkedRow) string { return p.stream })
	return []rows{{table: tableParked, n: len(parked), fill: func(i int, a []any) error {
		p := parked[i]
		a[0], a[1], a[2], a[3], a[4], a[5] = p.stream, string(p.unit), string(p.regime), int64(p.revision), p.eventID, p.kind
		a[6], a[7], a[8], a[9], a[10] = p.err, int64(p.waiting), int64(p.recorded), int64(p.known), p.place
		return nil
	}}}
}

func sorted[K comparable, V any, O interface{ ~int64 | ~string }](m map[K]V, take func(V) bool, by func(V) O) []V {
	var out []V
	for _, v := range m {
		if take(v) {
			out = append(out, v)
		}
	}
	slices.SortFunc(out, func(a, b V) int {
		if x, y := by(a), by(b); x < y {
			return -1
		} else if x > y {
			return 1
		}
		return 0
	})
	return out
}

// position is the row that says what the rows hold.
func (w *set) position() position {
	return position{at: w.place, stream: w.last.stream, revision: w.last.revision, eventID: w.last.id.String(),
		recorded: w.last.recorded, known: w.known, events: w.events, numbers: w.numbered}
}

func (p position) args() []any {
	return []any{int64(1), int64(p.at.Commit), int64(p.at.Prepare), p.stream, int64(p.revision), p.eventID, int64(p.recorded), int64(p.known),
		p.events, p.numbers.day, p.numbers.form, p.numbers.unit}
}

// upsert writes the changed rows of a live batch, once the position that goes with them is this runner's.
func (g *generation) upsert(ctx context.Context, tx *sql.Tx, w *set) error {
	if r := w.newObligations(); r.n > 0 {
		if err := g.dialect.insert(ctx, tx, g.n, g.fitted(r), ""); err != nil {
			return err
		}
	}
	for _, r := range w.changes(false) {
		if r.n == 0 || !g.hasTable(r.table) {
			continue
		}
		if err := g.dialect.insert(ctx, tx, g.n, g.fitted(r), g.replacing(r.table)); err != nil {
			return err
		}
	}
	return g.leaveLists(ctx, tx, w)
}

// replacing is the clause by which rows take the place of those with their key.
func (g *generation) replacing(t table) string {
	var set []string
	for _, c := range t.Columns[t.Key:] {
		if g.has(t.Name, c.Name) {
			set = append(set, c.Name+" = excluded."+c.Name)
		}
	}
	action := " DO NOTHING"
	if len(set) > 0 {
		action = " DO UPDATE SET " + strings.Join(set, ", ")
	}
	return " ON CONFLICT (" + strings.Join(t.keyNames(), ", ") + ")" + action
}

// leaveLists takes out of the sign-off queue what no longer waits, and out of the vacancies what is filled.
func (g *generation) leaveLists(ctx context.Context, tx *sql.Tx, w *set) error {
	var filled, signed []any // unit, id, unit, id, …
	for s := range w.slots.all() {
		if s.dirty&dirtyVacancy != 0 && !s.vacant {
			filled = append(filled, s.above.n, int64(s.id))
		}
		if s.dirty&dirtyQueue != 0 && !s.waiting {
			signed = append(signed, s.id.unit(), int64(s.id))
		}
	}
	for t, keys := range map[string][]any{tableVacancy.Name: filled, tableSignOff.Name: signed} {
		for some := range slices.Chunk(keys, 2*slotsPerQuery) {
			query := g.sql(`DELETE FROM {` + t + `} WHERE ` + strings.TrimSuffix(strings.Repeat("unit = ? AND id = ? OR ", len(some)/2), " OR "))
			if _, err := tx.ExecContext(ctx, query, some...); err != nil {
				return fmt.Errorf("projections: write %s: %w", t, err)
			}
		}
	}
	return nil
}

// chunk is some rows of a bulk write, encoded.
type chunk struct {
	args []any
	n    int
	err  error
}

// insertRows writes rows into the table that has a name, per of them to a statement. They are encoded in a goroutine of
// their own while the database takes the ones before them.
func insertRows(ctx context.Context, tx *sql.Tx, d dialect, name string, r rows, conflict string, per int) error {
	cols := len(r.table.Columns)
	query := func(n int) string {
		return d.bind("INSERT INTO " + name + " (" + strings.Join(r.table.columnNames(), ", ") + ") VALUES " + questionMarks(cols, n) + conflict)
	}
	if r.n < 4*per { // not worth a goroutine
		args := make([]any, cols*per)
		for i := 0; i < r.n; i += per {
			n := min(per, r.n-i)
			if err := r.encode(i, n, args); err != nil {
				return fmt.Errorf("projections: encode %s: %w", r.table.Name, err)
			}
			if _, err := tx.ExecContext(ctx, query(n), args[:n*cols]...); err != nil {
				return fmt.Errorf("projections: write %s: %w", r.table.Name, err)
			}
		}
		return nil
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	chunks := encodeAhead(ctx, r, per)
	full, err := tx.PrepareContext(ctx, query(per))
	if err != nil {
		return fmt.Errorf("projections: write %s: %w", r.table.Name, err)
	}
	defer full.Close()
	for c := range chunks {
		err := c.err
		switch {
		case err != nil:
		case c.n == per:
			_, err = full.ExecContext(ctx, c.args...)
		default:
			_, err = tx.ExecContext(ctx, query(c.n), c.args[:c.n*cols]...)
		}
		if err != nil {
			return fmt.Errorf("projections: write %s: %w", r.table.Name, err)
		}
	}
	return ctx.Err()
}

// encodeAhead encodes rows, per of them to a chunk, in a goroutine that ends with the rows or with ctx.
func encodeAhead(ctx context.Context, r rows, per int) <-chan chunk {
	chunks := make(chan chunk, 64)
	go func() {
		defer close(chunks)
		for i := 0; i < r.n; i += per {
			c := chunk{make([]any, len(r.table.Columns)*per), min(per, r.n-i), nil}
			c.err = r.encode(i, c.n, c.args)
			select {
			case chunks <- c:
			case <-ctx.Done():
				return
			}
		}
	}()
	return chunks
}

func (r rows) encode(from, n int, args []any) error {
	cols := len(r.table.Columns)
	for i := range n {
		if err := r.fill(from+i, args[i*cols:(i+1)*cols]); err != nil {
			return err
		}
	}
	return nil
}

// fillFor is fill with texts as a database gives them back.
func (r rows) fillFor(d dialect, i int, args []any) error {
	if err := r.fill(i, args); err != nil {
		return err
	}
	for c, v := range args {
		if s, ok := v.(string); ok {
			args[c] = d.clean(s)
		}
	}
	return nil
}

func (t table) columnNames() []string {
	var out []string
	for _, c := range t.Columns {
		out = append(out, c.Name)
	}
	return out
}

// settle makes a set that was written ready for the next batch. The directory stays: it is small, and this runner is the
// only one that changes it, or the fence stops it.
func (w *set) settle() {
	for s := range w.slots.all() {
		s.unit.recent = nil // which is one of them
	}
	w.lastDay, w.lastUnit = nil, nil
	for _, d := range w.days {
		d.dirty, d.whole, d.doc = false, false, nil
	}
	if w.directoryDirty {
		for _, u := range w.units {
			u.dirty = false
		}
		for _, r := range w.regimes {
			r.dirty = false
		}
		for _, o := range w.offices {
			o.dirty = false
		}
		w.directoryDirty = false
	}
	for _, p := range w.parked {
		p.dirty = false
	}
	w.slots, w.persons, w.targets, w.newForms, w.fresh = newSlotTable(), map[domain.PersonID]*personRow{}, nil, nil, nil
}
