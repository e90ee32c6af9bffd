package projections

import (
	"context"
	"database/sql"
	"slices"
	"strings"

	"github.com/answerable-ledger/answerable/domain"
)

// regimeRow is a regime in the working set.
type regimeRow struct {
	id    domain.RegimeID
	state domain.Regime
	chronicle
	dirty bool
}

func (w *set) applyRegime(s *step) error {
	id := domain.RegimeID(strings.TrimPrefix(s.recorded.Stream, domain.CategoryRegime+"-"))
	r, err := w.regime(id)
	if err != nil {
		return err
	}
	if r == nil {
		r = &regimeRow{id: id}
	}
	switch s.fact.Event.(type) {
	case domain.RegimeIssued, domain.RegimeAmended, domain.RegimeClosed, domain.DeadlineExtended, domain.DayExempted:
	default:
		return errStrayKind
	}
	if err := r.add(s, w.known); err != nil {
		return err
	}
	w.changing = true
	w.regimes[id] = r
	r.state = r.state.Apply(s.fact)
	r.state.CommandLog = domain.CommandLog{}
	r.dirty, w.directoryDirty = true, true
	switch e := s.fact.Event.(type) {
	case domain.DeadlineExtended:
		return w.grantChanged(r, e.Date, []domain.DutyID{e.Duty}, e.Units)
	case domain.DayExempted:
		return w.grantChanged(r, e.Date, e.Duties, e.Units)
	}
	return nil
}

// grants reports whether somebody was granted more time, or freed, on a day.
func (r *regimeRow) grants(date domain.Date) bool {
	return slices.ContainsFunc(r.state.Extensions, func(x domain.DeadlineExtended) bool { return x.Date == date }) ||
		slices.ContainsFunc(r.state.Exemptions, func(x domain.DayExempted) bool { return x.Date == date })
}

// grantChanged looks again at the deadlines and exemptions of a day that is open. A day that is not takes them when it is
// opened.
func (w *set) grantChanged(r *regimeRow, date domain.Date, duties []domain.DutyID, units []domain.UnitCode) error {
	day, err := w.day(dayKey{r.id, date})
	if err != nil || day == nil {
		return err
	}
	slots, err := w.slotsOfDay(day)
	if err != nil {
		return err
	}
	for _, s := range slots {
		if len(duties) > 0 && !slices.Contains(duties, day.duties[s.duty].Duty) || len(units) > 0 && !slices.Contains(units, s.unit.code) {
			continue
		}
		o, err := day.obligation(r.state, s)
		if err != nil {
			return err
		}
		s.owes(o)
		w.complianceChanged(s)
		if err := w.answersChanged(s); err != nil {
			return err
		}
	}
	return nil
}

func (w *set) regime(id domain.RegimeID) (*regimeRow, error) {
	if r := w.regimes[id]; r != nil || w.from == nil {
		return r, nil
	}
	r, err := w.from.regime(id)
	if err != nil || r == nil {
		return nil, err
	}
	w.regimes[id] = r
	return r, nil
}

// Regimes lists the regimes with the rules in force.
func (v *Views) Regimes(ctx context.Context, q RegimeQuery) (RegimePage, error) {
	var page RegimePage
	var err error
	page.At, err = v.ask(ctx, q.AsOf, q.KnownAt, func(r *reader) error {
		err := r.query(`SELECT regime, doc FROM {regime} ORDER BY regime`, nil, func(rows *sql.Rows) error {
			var id domain.RegimeID
			var doc string
			if err := rows.Scan(&id, &doc); err != nil {
				return err
			}
			g, err := state(domain.Regime{}, doc, domain.RegimeStream(id), r.known)
			if err != nil || !g.Exists() {
				return err
			}
			n := len(g.Versions)
			if q.AsOf != "" {
				_, end := dayIn(q.AsOf, g.Zone)
				for n > 0 && !g.InForce[n-1].Before(end) {
					n--
				}
			}
			if n > 0 {
				page.Regimes = append(page.Regimes, RegimeRow{Regime: id, Version: n, InForce: g.InForce[n-1], Rules: g.Versions[n-1], Closed: g.Closed})
			}
			return nil
		})
		if err != nil {
			return err
		}
		for i := range page.Regimes {
			days, err := r.days(page.Regimes[i].Regime, "", "")
			if err != nil {
				return err
			}
			if len(days) > 0 {
				page.Regimes[i].FirstDay, page.Regimes[i].LastDay = days[0].key.date, days[len(days)-1].key.date
			}
		}
		return nil
	})
	return page, err
}
