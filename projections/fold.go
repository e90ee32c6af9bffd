package projections

import (
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/eventlog"
	"github.com/answerable-ledger/answerable/schemas"
)

// step is one fact on its way from the log into the views: decoded, and with everything prepared that depends on the fact
// alone, since that is done in parallel while the fold itself goes in log order.
type step struct {
	recorded eventlog.Recorded
	fact     domain.Fact
	place    string
	key      domain.ReportKey // of a report's stream
	entry    []byte           // its entry in the history, without the instant it became known
	err      error            // why it could not be decoded
}

// preparer decodes events. It is one goroutine's own: the entries it writes lie side by side in its pages.
type preparer struct {
	page   []byte
	days   map[string]domain.Date // by the form that streams name them in
	fields fieldOrder
}

// pageBytes of entries are allocated at once: a rebuild holds them by the million, and the collector counts objects.
const pageBytes = 64 << 10

// prepare decodes the event of a step. It never fails: what cannot be read is a step with an error, which the fold parks.
func (p *preparer) prepare(s *step) {
	e := &s.recorded
	s.place = e.Position.String()
	s.fact, s.err = schemas.Decode(schemas.Source{Stream: e.Stream, Revision: e.Revision, RecordedAt: e.RecordedAt,
		Stored: schemas.Stored{ID: e.ID, Kind: e.Kind, Data: e.Data, Meta: e.Meta}})
	if s.err != nil {
		return
	}
	e.Data, e.Meta = nil, nil // a rebuild holds many steps at once
	if k, ok := p.key(e.Stream); ok {
		n, isReport := entryOf(&s.fact, s.place)
		if !isReport {
			s.err = fmt.Errorf("%s does not belong to the stream of a report", e.Kind)
			return
		}
		s.key = k
		if cap(p.page)-len(p.page) < 4<<10 {
			p.page = make([]byte, 0, pageBytes)
		}
		start := len(p.page)
		page, err := n.appendTail(p.page, &p.fields)
		if err != nil {
			s.err = err
			return
		}
		p.page = page
		s.entry = page[start:len(page):len(page)]
	}
}

// key is what domain.ParseReportStream says, which is asked only for the date, and once for each.
func (p *preparer) key(stream string) (domain.ReportKey, bool) {
	rest, ok := strings.CutPrefix(stream, domain.CategoryReport+"-")
	if !ok {
		return domain.ReportKey{}, false
	}
	regime, rest, ok1 := strings.Cut(rest, ".")
	form, rest, ok2 := strings.Cut(rest, ".")
	unit, day, ok3 := strings.Cut(rest, ".")
	date, known := p.days[day]
	if !ok1 || !ok2 || !ok3 || !known {
		k, ok := domain.ParseReportStream(stream)
		if ok {
			if p.days == nil {
				p.days = map[string]domain.Date{}
			}
			p.days[day] = k.Date
		}
		return k, ok
	}
	return domain.ReportKey{Regime: domain.RegimeID(regime), Form: domain.FormID(form), Unit: domain.UnitCode(unit), Date: date}, true
}

// set is the working set: the rows that the facts of a batch, or of a whole log, touch. Apply changes it and looks at
// nothing else: no clock, no chance, no database but the rows it would have folded itself.
type set struct {
	from source // nil in a bulk fold: what is not in the set does not exist

	known  instant // the newest recorded_at seen; what a fact changes is known from here
	place  eventlog.Position
	last   lastEvent
	events int64 // applied or parked, over all time

	slots    *slotTable
	units    map[domain.UnitCode]*unitRow
	unitByN  map[int64]*unitRow
	forms    map[domain.FormID]int64
	formByN  map[int64]domain.FormID
	days     map[dayKey]*dayRow
	dayByN   map[int64]*dayRow
	regimes  map[domain.RegimeID]*regimeRow
	offices  map[domain.UnitCode]*officeRow
	persons  map[domain.PersonID]*personRow
	targets  []targetRow
	parked   map[string]*parkedRow
	numbered numbers

	// parks says whether an event that cannot be applied is parked at once, by its id; nil: none is.
	parks func(eventID string) bool
	fresh []*parkedRow // parked since the set was written last
	// changing: what the present step needs was found to be in order, and from here on it changes rows. All that may refuse
	// a step goes before: then nothing of it has to be taken back.
	changing bool

	newForms []domain.FormID
	// directoryDirty: a unit, day, regime, office or person is dirty. In most batches none is, and the directory is as
	// large as the province.
	directoryDirty bool

	lastDay  *dayRow
	lastUnit *unitRow
	lastForm formNumber
	holders  []*unitRow // of the duties of the day opened last, in order; kept by a bulk fold only

	// below is kept by a bulk fold only: a live one asks its source.
	below map[int64]map[slotID]bool // obligations with a vacancy, under the unit that answers above
	// sealing is a bulk fold's whose rows go into a generation: what it has sealed is not in slots. nil: nothing is.
	sealing *sealing
}

// lastEvent is what a position keeps of the event at it.
type lastEvent struct {
	stream   string
	revision uint64
	id       uuid.UUID
	recorded instant
}

// formNumber is the number that a form has for good.
type formNumber struct {
	form domain.FormID
	n    int64
}

// numbers are the next ones to give.
type numbers struct{ day, form, unit int64 }

// source is where a live fold finds rows that its facts touch. What does not exist is nil, not an error.
type source interface {
	slots(ids []slotID) ([]storedSlot, error)
	slotsOfDay(day int64) ([]slotID, error)
	slotsOfUnit(unit int64) ([]slotID, error)
	slotsBelow(unit int64) ([]slotID, error)
	unit(code domain.UnitCode) (*unitRow, error)
	units(codes []domain.UnitCode) ([]*unitRow, error)
	unitNumbered(n int64) (*unitRow, error)
	day(k dayKey) (*dayRow, error)
	dayNumbered(n int64) (*dayRow, error)
	dayFacts(n int64) ([]byte, error)
	regime(id domain.RegimeID) (*regimeRow, error)
	office(unit domain.UnitCode) (*officeRow, error)
	offices(units []domain.UnitCode) ([]*officeRow, error)
	person(id domain.PersonID) (*personRow, error)
}

func newSet(from source) *set {
	return &set{from: from,
		slots: newSlotTable(), units: map[domain.UnitCode]*unitRow{}, unitByN: map[int64]*unitRow{},
		forms: map[domain.FormID]int64{}, formByN: map[int64]domain.FormID{}, days: map[dayKey]*dayRow{}, dayByN: map[int64]*dayRow{},
		regimes: map[domain.RegimeID]*regimeRow{}, offices: map[domain.UnitCode]*officeRow{}, persons: map[domain.PersonID]*personRow{},
		parked: map[string]*parkedRow{}, numbered: numbers{1, 1, 1},
		below: map[int64]map[slotID]bool{},
	}
}

// fold applies one step, or keeps it back when its stream is parked. An event that cannot be applied parks its stream, and
// the fold goes on; but for one that failed half-way, by a fault of this program: then everything begins again with
// poisoned, which names the events that park their streams before they touch anything. The set is of no use after an error.
func (w *set) fold(s *step, poisoned map[string]error) error {
	w.known = max(w.known, at(s.recorded.RecordedAt))
	w.place = s.recorded.Position
	w.last = lastEvent{s.recorded.Stream, s.recorded.Revision, s.recorded.ID, at(s.recorded.RecordedAt)}
	w.events++
	if len(w.parked) > 0 {
		if p := w.parked[s.recorded.Stream]; p != nil {
			p.waiting++
			p.dirty = true
			return nil
		}
	}
	if len(poisoned) > 0 {
		if cause := poisoned[s.recorded.ID.String()]; cause != nil {
			w.park(s, cause)
			return nil
		}
	}
	if err := w.Apply(s); err != nil {
		return w.poisoned(s, err)
	}
	return nil
}

// Apply folds one fact into the rows of every view. An *applyError says that it never will.
func (w *set) Apply(s *step) (err error) {
	w.changing = false
	defer func() {
		if p := recover(); p != nil {
			err = &applyError{*s, fmt.Errorf("panic: %v\n%s", p, debug.Stack()), w.changing}
		}
	}()
	if s.err != nil {
		return &applyError{*s, s.err, false}
	}
	switch category(s.recorded.Stream) {
	case domain.CategoryReport:
		err = w.applyReport(s)
	case domain.CategoryUnit:
		err = w.applyUnit(s)
	case domain.CategoryOffice:
		err = w.applyOffice(s)
	case domain.CategoryPerson:
		err = w.applyPerson(s)
	case domain.CategoryRegime:
		err = w.applyRegime(s)
	case domain.CategoryRegimeDay:
		err = w.applyDay(s)
	case domain.CategoryResult:
		err = w.applyTarget(s)
	case domain.CategoryLog:
		// The keys of the transparency log concern no unit; no view shows them.
	default:
		err = errStrayKind
	}
	if err == nil {
		return nil
	}
	for _, e := range []error{errGap, errNoObligation, errNotInOrder, errStrayKind} {
		if errors.Is(err, e) {
			return &applyError{*s, err, w.changing}
		}
	}
	return err
}

// category is what stands before the one '-' of a stream's name.
func category(stream string) string {
	for i := range len(stream) {
		if stream[i] == '-' {
			return stream[:i]
		}
	}
	return stream
}

// applyReport folds a fact of one obligation, and what it means for the report that consolidates it.
func (w *set) applyReport(s *step) error {
	slot, err := w.slotOf(s.key)
	if err != nil {
		return err
	}
	if slot == nil {
		return fmt.Errorf("%w: %s", errNoObligation, s.recorded.Stream)
	}
	if s.fact.Revision != slot.next {
		return fmt.Errorf("%w: revision %d, expected %d", errGap, s.fact.Revision, slot.next)
	}
	before := slot.version()
	switch e := s.fact.Event.(type) {
	case domain.ReportSubmitted:
		if before != 0 {
			return fmt.Errorf("%w: version 1 after version %d", errNotInOrder, before)
		}
	case domain.ReportCorrected:
		if e.Version != before+1 || before == 0 {
			return fmt.Errorf("%w: version %d after version %d", errNotInOrder, e.Version, before)
		}
	case domain.ReportSignedOff:
		if e.Version < 1 || e.Version > before {
			return fmt.Errorf("%w: version %d is signed, the newest is %d", errNotInOrder, e.Version, before)
		}
		if byDeputy(e.Capacity) {
			slot.found(findsDeputy)
		}
	}
	w.changing = true
	slot.report.Fold(&s.fact)
	slot.slim()
	slot.next++
	slot.entries = append(slot.entries, heldEntry{w.known, s.entry})
	slot.dirty |= dirtyRow
	if slot.version() != before {
		if err := w.consolidated(slot); err != nil {
			return err
		}
		if err := w.childChanged(slot); err != nil {
			return err
		}
	}
	w.breachesChanged(slot, s.fact.Event)
	w.complianceChanged(slot)
	switch s.fact.Event.(type) {
	case domain.ReportCorrected, domain.ReportSignedOff:
		return w.answersChanged(slot)
	}
	return nil // whoever answers for the rest was known when the day was opened
}

// slotOf finds an obligation by name, or nil when no opened day has it.
func (w *set) slotOf(k domain.ReportKey) (*slot, error) {
	if w.lastDay == nil || w.lastDay.key != (dayKey{k.Regime, k.Date}) { // facts of a day come together
		day, err := w.day(dayKey{k.Regime, k.Date})
		if err != nil || day == nil {
			return nil, err
		}
		w.lastDay = day
	}
	day := w.lastDay
	if w.lastUnit == nil || w.lastUnit.code != k.Unit { // and so do those of a report that is signed when it is filed
		unit, err := w.unit(k.Unit)
		if err != nil || unit == nil {
			return nil, err
		}
		w.lastUnit = unit
	}
	if w.lastForm.form != k.Form || w.lastForm.n == 0 {
		w.lastForm = formNumber{k.Form, w.forms[k.Form]}
	}
	unit, form := w.lastUnit, w.lastForm.n
	if form == 0 {
		return nil, nil
	}
	id := newSlotID(day.n, form, unit.n)
	if unit.recent != nil && unit.recent.id == id { // most facts are about a unit's newest obligation
		return unit.recent, nil
	}
	s, err := w.slot(id)
	unit.recent = s
	return s, err
}

func (w *set) slot(id slotID) (*slot, error) {
	if s := w.slots.get(id); s != nil || w.from == nil && !w.sealing.has(id) {
		return s, nil
	}
	if err := w.load([]slotID{id}); err != nil {
		return nil, err
	}
	return w.slots.get(id), nil
}

// load brings stored obligations into the set; those that are there stay as they are.
func (w *set) load(ids []slotID) error {
	if w.from == nil && !slices.ContainsFunc(ids, w.sealing.has) {
		return nil
	}
	ids = slices.DeleteFunc(slices.Clone(ids), func(id slotID) bool { return w.slots.get(id) != nil })
	if len(ids) == 0 {
		return nil
	}
	find := w.sealing.slots
	if w.from != nil {
		find = w.from.slots
	}
	rows, err := find(ids)
	if err != nil {
		return err
	}
	for _, r := range rows {
		s, err := w.restore(r)
		if err != nil {
			return err
		}
		w.slots.put(s)
	}
	return nil
}

// slotsOf gives the obligations that a source names, and those of the set, which the source may not know yet.
func (w *set) slotsOf(ask func(source) ([]slotID, error), in func(*slot) bool) ([]*slot, error) {
	if w.from != nil {
		stored, err := ask(w.from)
		if err != nil {
			return nil, err
		}
		if err := w.load(stored); err != nil {
			return nil, err
		}
	}
	var out []*slot
	for s := range w.slots.all() {
		if in(s) {
			out = append(out, s)
		}
	}
	return out, nil
}

func (w *set) slotsOfDay(day *dayRow) ([]*slot, error) {
	if w.from == nil {
		return w.gather(day.slots, 0)
	}
	return w.slotsOf(func(f source) ([]slotID, error) { return f.slotsOfDay(day.n) }, func(s *slot) bool { return s.id.day() == day.n })
}

// slotsOfUnit gives the obligations of a unit; it may leave out those that ask for no head at from or later.
func (w *set) slotsOfUnit(u *unitRow, from instant) ([]*slot, error) {
	if w.from == nil {
		return w.gather(u.slots, from)
	}
	return w.slotsOf(func(f source) ([]slotID, error) { return f.slotsOfUnit(u.n) }, func(s *slot) bool { return s.id.unit() == u.n })
}

// slotsBelow gives the obligations whose office is vacant, so that the head of u answers above it; it may leave out the
// same as slotsOfUnit.
func (w *set) slotsBelow(u *unitRow, from instant) ([]*slot, error) {
	if w.from == nil {
		ids := make([]slotID, 0, len(w.below[u.n]))
		for id := range w.below[u.n] {
			ids = append(ids, id)
		}
		slices.Sort(ids)
		return w.gather(ids, from)
	}
	return w.slotsOf(func(f source) ([]slotID, error) { return f.slotsBelow(u.n) }, func(s *slot) bool { return s.aboveN() == u.n && s.vacant })
}

// gather gives obligations of a bulk fold, but for those that are sealed and ask for no head at from or later.
func (w *set) gather(ids []slotID, from instant) ([]*slot, error) {
	out := make([]*slot, 0, len(ids))
	for _, id := range ids {
		if w.sealing.has(id) && w.sealing.asked[id.day()] < from && w.slots.get(id) == nil {
			continue
		}
		s, err := w.slot(id)
		if err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, nil
}

// created puts a new obligation into the set.
func (w *set) created(s *slot, day *dayRow) {
	w.slots.put(s)
	s.unit.recent = s
	s.dirty |= dirtyNew
	if w.from == nil {
		day.slots = append(day.slots, s.id)
		s.unit.slots = append(s.unit.slots, s.id)
	}
}

// states adds a state to those of a row, known from an instant on. Two changes at one instant are one: nobody can ask for
// what was known between them.
func states[S any](all []S, next S, known func(S) instant, same func(a, b S) bool) ([]S, bool) {
	n := len(all)
	if n > 0 && same(all[n-1], next) {
		return all, false
	}
	if n > 0 && known(all[n-1]) == known(next) {
		if n > 1 && same(all[n-2], next) {
			return all[:n-1], true
		}
		all[n-1] = next
		return all, true
	}
	return append(all, next), true
}

// stateAt is the state that was known at an instant.
func stateAt[S any](all []S, at instant, known func(S) instant) (S, bool) {
	for i := len(all) - 1; i >= 0; i-- {
		if known(all[i]) <= at {
			return all[i], true
		}
	}
	var none S
	return none, false
}
