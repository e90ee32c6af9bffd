package projections

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"time"

	"github.com/answerable-ledger/answerable/domain"
)

type dayKey struct {
	regime domain.RegimeID
	date   domain.Date
}

// dayRow is a day of a regime in the working set. Its duties are kept without the units that hold them, which the
// obligations know: a day of 11,000 units is opened once and asked for often.
type dayRow struct {
	n              int64
	key            dayKey
	regimeVersion  int
	duties         []domain.DayDuty
	opened, closed instant // known from
	chronicle
	slots []slotID // bulk fold only
	whole bool     // the chronicle is in memory: it holds the list of who owes what, which few facts need
	dirty bool
}

func (w *set) applyDay(s *step) error {
	switch e := s.fact.Event.(type) {
	case domain.DayOpened:
		return w.open(s, e)
	case domain.DayClosed:
		return w.dayFact(s, dayKey{e.Regime, e.Date}, func(d *dayRow) { d.closed = w.known })
	case domain.ReportIssued:
		return w.dayFact(s, dayKey{e.Regime, e.Date}, func(*dayRow) {})
	}
	return errStrayKind
}

func (w *set) dayFact(s *step, k dayKey, change func(*dayRow)) error {
	d, err := w.day(k)
	if err != nil {
		return err
	}
	if d == nil || domain.DayStream(k.regime, k.date) != s.recorded.Stream {
		return fmt.Errorf("%w: %s of %s is not open", errNoObligation, k.date, k.regime)
	}
	if w.from != nil && !d.whole {
		if d.doc, err = w.from.dayFacts(d.n); err != nil {
			return err
		}
		d.whole = true
	}
	if err := d.add(s, w.known); err != nil {
		return err
	}
	w.changing = true
	change(d)
	d.dirty, w.directoryDirty = true, true
	return nil
}

// open makes the rows of a day's obligations: from here on each has exactly one status.
func (w *set) open(s *step, e domain.DayOpened) error {
	k := dayKey{e.Regime, e.Date}
	d, err := w.day(k)
	if err != nil {
		return err
	}
	r, err := w.regime(e.Regime)
	if err != nil {
		return err
	}
	if d != nil || r == nil || domain.DayStream(k.regime, k.date) != s.recorded.Stream {
		return fmt.Errorf("%w: %s of %s is open, or its regime was never issued", errNotInOrder, e.Date, e.Regime)
	}
	d = &dayRow{n: w.numbered.day, key: k, regimeVersion: e.RegimeVersion, opened: w.known, whole: true, dirty: true}
	if err := d.add(s, w.known); err != nil {
		return err
	}
	w.changing = true
	w.numbered.day++
	w.days[k], w.dayByN[d.n], w.directoryDirty = d, d, true
	granted := r.grants(e.Date)
	holders := 0
	for i, duty := range e.Duties {
		groups := duty.Groups
		duty.Groups = nil
		d.duties = append(d.duties, duty)
		form := w.numberedForm(duty.Form)
		var owed *domain.Obligation // what every holder owes alike while nobody is granted anything
		var fresh complianceState   // and where every one of them stands
		for _, g := range groups {
			var above *unitRow
			if g.Parent != "" {
				if above, err = w.numberedUnit(g.Parent); err != nil {
					return err
				}
			}
			// In one piece each: a rebuild makes obligations by the million.
			slots, standings := make([]slot, len(g.Units)), make([]complianceState, 3*len(g.Units))
			answers, entries := make([]answerState, 2*len(g.Units)), make([]heldEntry, 2*len(g.Units))
			var versions []domain.Version
			var signOffs []domain.SignOff
			if w.from == nil { // one each will do for most
				versions, signOffs = make([]domain.Version, len(g.Units)), make([]domain.SignOff, len(g.Units))
				d.slots = slices.Grow(d.slots, len(g.Units))
			}
			for j, code := range g.Units {
				unit, err := w.openedFor(code, holders)
				if err != nil {
					return err
				}
				holders++
				key := domain.ReportKey{Regime: e.Regime, Form: duty.Form, Unit: unit.code, Date: e.Date}
				n := &slots[j]
				n.id, n.unit, n.above, n.duty, n.report.Key = newSlotID(d.n, form, unit.n), unit, above, i, key
				n.compliance, n.answers, n.entries = standings[3*j:3*j:3*j+3], answers[2*j:2*j:2*j+2], entries[2*j:2*j:2*j+2]
				if w.from == nil {
					n.report.Versions, n.report.SignOffs = versions[j:j:j+1], signOffs[j:j:j+1]
				}
				if w.slots.get(n.id) != nil {
					continue // a unit owes a form once a day, under the first duty that it holds
				}
				w.created(n, d)
				if owed == nil || granted {
					o, err := d.obligation(r.state, n)
					if err != nil {
						return fmt.Errorf("%w: %w", errNoObligation, err)
					}
					owed = &o
					n.owes(o)
					fresh = w.standing(n)
				}
				n.owes(*owed)
				n.stands(fresh)
				if err := w.answersChanged(n); err != nil {
					return err
				}
			}
		}
	}
	return w.seal()
}

// openedFor is numberedUnit of a day's n-th holder, who in a bulk fold mostly was the n-th of the day before.
func (w *set) openedFor(code domain.UnitCode, n int) (*unitRow, error) {
	if w.from != nil {
		return w.numberedUnit(code)
	}
	if n < len(w.holders) && w.holders[n].code == code {
		return w.holders[n], nil
	}
	u, err := w.numberedUnit(code)
	if err != nil {
		return nil, err
	}
	w.holders = append(w.holders[:min(n, len(w.holders))], u)
	return u, nil
}

func (w *set) numberedForm(f domain.FormID) int64 {
	n := w.forms[f]
	if n == 0 {
		n = w.numbered.form
		w.numbered.form++
		w.forms[f], w.formByN[n] = n, f
		w.newForms = append(w.newForms, f)
	}
	return n
}

func (w *set) day(k dayKey) (*dayRow, error) {
	if d := w.days[k]; d != nil || w.from == nil {
		return d, nil
	}
	d, err := w.from.day(k)
	if err != nil || d == nil {
		return nil, err
	}
	w.days[k], w.dayByN[d.n] = d, d
	return d, nil
}

func (w *set) dayNumbered(n int64) (*dayRow, error) {
	if w.lastDay != nil && w.lastDay.n == n {
		return w.lastDay, nil
	}
	if d := w.dayByN[n]; d != nil || w.from == nil {
		return d, nil
	}
	d, err := w.from.dayNumbered(n)
	if err != nil || d == nil {
		return nil, err
	}
	w.days[d.key], w.dayByN[n] = d, d
	return d, nil
}

// obligation says with domain's own rule what a unit owes on the day, as the grants stand.
func (d *dayRow) obligation(r domain.Regime, s *slot) (domain.Obligation, error) {
	duty := d.duties[s.duty]
	duty.Groups = []domain.DutyGroup{{Parent: s.parent(), Units: []domain.UnitCode{s.unit.code}}}
	day := domain.Day{}.Apply(domain.Fact{Event: domain.DayOpened{Regime: d.key.regime, Date: d.key.date, RegimeVersion: d.regimeVersion, Duties: []domain.DayDuty{duty}}})
	return day.Obligation(r, s.key())
}

// owes takes over what bears on a slot from its regime.
func (s *slot) owes(o domain.Obligation) {
	s.due, s.signOffDue, s.exempt = at(o.Due), atOptional(o.SignOffDue), o.Exempt != nil
}

// Days lists the days of a regime that were opened, in order.
func (v *Views) Days(ctx context.Context, regime domain.RegimeID, from, to domain.Date, known *time.Time) (DayPage, error) {
	var page DayPage
	var err error
	page.At, err = v.ask(ctx, "", known, func(r *reader) error {
		days, err := r.days(regime, from, to)
		if err != nil {
			return err
		}
		for _, d := range days {
			shown, err := r.shownDay(d)
			if err != nil {
				return err
			}
			page.Days = append(page.Days, shown)
		}
		return nil
	})
	return page, err
}

func (r *reader) shownDay(d *dayRow) (DayRow, error) {
	out := DayRow{Regime: d.key.regime, Date: d.key.date, RegimeVersion: d.regimeVersion, OpenedAt: d.opened.time(), Duties: d.duties}
	if d.next == 1 {
		return out, nil // nothing after its opening, whose list is long
	}
	err := r.query(`SELECT doc FROM {day} WHERE n = ?`, []any{d.n}, func(rows *sql.Rows) error {
		var doc string
		if err := rows.Scan(&doc); err != nil {
			return err
		}
		day, err := state(domain.Day{}, doc, domain.DayStream(d.key.regime, d.key.date), r.known)
		out.Closed, out.Issued = day.Closed, day.Issued
		return err
	})
	return out, err
}
