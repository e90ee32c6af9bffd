package projections

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/answerable-ledger/answerable/domain"
)

// officeRow is an office in the working set.
type officeRow struct {
	unit  domain.UnitCode
	state domain.Office
	chronicle
	dirty   bool
	holders []domain.PersonID // persons whose tenure began, for the index from person to offices
	// answered is who was head when it was asked last, which is the same from one instant to before another: a fold asks for
	// instants close to each other. Both are 0 when nobody asked since the state changed.
	answered    int32
	from, until instant
}

func (w *set) applyOffice(s *step) error {
	unit := domain.UnitCode(strings.TrimPrefix(s.recorded.Stream, domain.CategoryOffice+"-"))
	o, err := w.office(unit)
	if err != nil {
		return err
	}
	if o == nil {
		o = &officeRow{unit: unit}
	}
	var changes time.Time // from when on there may be another head
	var holder domain.PersonID
	switch e := s.fact.Event.(type) {
	case domain.OfficeTaken:
		changes, holder = e.From, e.Person
	case domain.OfficeLeft:
		changes = e.Until
	case domain.AuthorityGranted, domain.AuthorityRevoked:
	default:
		return errStrayKind
	}
	if err := o.add(s, w.known); err != nil {
		return err
	}
	w.changing = true
	w.offices[unit] = o
	if holder != "" {
		o.held(holder)
	}
	o.state = o.state.Apply(s.fact)
	o.from, o.until = 0, 0
	o.dirty, w.directoryDirty = true, true
	switch s.fact.Event.(type) {
	case domain.OfficeTaken, domain.OfficeLeft:
		return w.officeChanged(unit, knownAt(&changes))
	}
	return nil
}

func (o *officeRow) held(p domain.PersonID) {
	if !slices.Contains(o.holders, p) {
		o.holders = append(o.holders, p)
	}
}

// officeChanged resolves anew who answers, for the unit's own obligations and for those below it with a vacancy: a tenure
// may be recorded after it began. What was known before stays as it was. Before from the head is who it was.
func (w *set) officeChanged(unit domain.UnitCode, from instant) error {
	u, err := w.unit(unit)
	if err != nil || u == nil {
		return err // an office without a unit owes nothing
	}
	own, err := w.slotsOfUnit(u, from)
	if err != nil {
		return err
	}
	below, err := w.slotsBelow(u, from)
	if err != nil {
		return err
	}
	for _, s := range append(own, below...) {
		if err := w.answersChanged(s); err != nil {
			return err
		}
	}
	return nil
}

// office finds an office, or nil when nobody ever held it.
func (w *set) office(unit domain.UnitCode) (*officeRow, error) {
	if o := w.offices[unit]; o != nil || w.from == nil {
		return o, nil
	}
	o, err := w.from.office(unit)
	if err != nil || o == nil {
		return nil, err
	}
	w.offices[unit] = o
	return o, nil
}

// tenure is the place of the head at an instant among the office's tenures, counted from 1; 0 is a vacancy.
func (w *set) tenure(u *unitRow, when instant) (int32, error) {
	if u == nil {
		return 0, nil
	}
	if u.office == nil {
		o, err := w.office(u.code)
		if err != nil || o == nil {
			return 0, err
		}
		u.office = o
	}
	o := u.office
	if when < o.from || when >= o.until {
		o.ask(when)
	}
	return o.answered, nil
}

// ask finds out who was head at an instant. The newest tenure comes before all others for as long as it lasts.
func (o *officeRow) ask(when instant) {
	n := domain.HeadAmong(o.state.Tenures, when.time())
	o.answered, o.from, o.until = int32(n), when, when+1
	if n == 0 || n < len(o.state.Tenures) {
		return
	}
	t := &o.state.Tenures[n-1]
	o.from, o.until = knownAt(&t.From), forever
	if !t.Until.IsZero() {
		o.until = knownAt(&t.Until)
	}
}

func headAt(t time.Time) func(domain.Office) (domain.Tenure, bool) {
	return func(o domain.Office) (domain.Tenure, bool) { return o.HeadAt(t) }
}

// Offices tells who held a unit's office and who may sign for it, as known at an instant.
func (v *Views) Offices(ctx context.Context, q OfficeQuery) (OfficeRow, error) {
	unit := q.Unit
	out := OfficeRow{Unit: unit}
	begin, end := dayIn(q.AsOf, domain.HoChiMinh)
	within := func(from, until time.Time) bool {
		return q.AsOf == "" || from.Before(end) && (until.IsZero() || until.After(begin))
	}
	var err error
	out.At, err = v.ask(ctx, q.AsOf, q.KnownAt, func(r *reader) error {
		if _, err := r.knownUnit("/unit", unit); err != nil {
			return err
		}
		if out.UnitName, err = r.nameOf(unit, ""); err != nil {
			return err
		}
		o, err := r.office(unit)
		if err != nil {
			return err
		}
		for _, t := range o.Tenures {
			if !within(t.From, t.Until) {
				continue
			}
			p, err := r.person(t.Person)
			if err != nil {
				return err
			}
			out.Tenures = append(out.Tenures, TenureRow{Person: p, Capacity: t.Capacity, Title: t.Title, From: t.From,
				Until: at(t.Until).optional(), Decision: t.Decision, RecordedAt: t.RecordedAt})
		}
		for _, a := range o.Authorities {
			if !within(a.From, a.Until) || !within(a.From, a.RevokedAt) {
				continue
			}
			p, err := r.person(a.Person)
			if err != nil {
				return err
			}
			by, err := r.person(a.GrantedBy)
			if err != nil {
				return err
			}
			out.Authorities = append(out.Authorities, AuthorityRow{Authority: a.Authority, Person: p, Capacity: a.Capacity, Title: a.Title,
				Forms: a.Forms, From: a.From, Until: a.Until, RevokedAt: at(a.RevokedAt).optional(), GrantedBy: by, Decision: a.Decision})
		}
		return nil
	})
	return out, err
}

// dayIn is a day's first instant and the first after it.
func dayIn(d domain.Date, zone *time.Location) (begin, end time.Time) {
	t, err := time.ParseInLocation(time.DateOnly, string(d), zone)
	if err != nil { // no day was asked about
		return time.Time{}, time.Time{}
	}
	return t, t.AddDate(0, 0, 1)
}
