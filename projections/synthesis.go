package projections

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/go-json-experiment/json"

	"github.com/answerable-ledger/answerable/domain"
)

// Totals are added up when they are asked for, from the reports' own rows: a stored total of an area would be written anew
// by every report in it, and once more for everything that was ever known of it.

// contribution is what one version of a report brings to the totals it belongs to: the few members of an entry that
// matter here.
type contribution struct {
	Known   instant        `json:"n"`
	Kind    string         `json:"k"`
	Version int            `json:"v"`
	Digest  string         `json:"h"`
	Figures domain.Figures `json:"g"`
}

// contributionAt is the newest version known at an instant.
func contributionAt(history string, known instant) (contribution, error) {
	var newest contribution
	var all []contribution
	if err := json.Unmarshal([]byte(history), &all); err != nil {
		return newest, err
	}
	for _, c := range all {
		if c.Known <= known && (entry{Kind: c.Kind}).isVersion() {
			newest = c
		}
	}
	return newest, nil
}

// consolidated looks, when a consolidated report has a new version, for children that changed before it was recorded.
func (w *set) consolidated(s *slot) error {
	day, err := w.dayNumbered(s.id.day())
	if err != nil {
		return err
	}
	consolidates := day.duties[s.duty].Consolidates
	if consolidates == "" {
		return nil
	}
	form, ok := w.forms[consolidates]
	v, filed := s.report.Newest()
	if !ok || !filed {
		return nil
	}
	newest := map[domain.UnitCode]int{}
	ids := make([]slotID, 0, len(v.Content.Children)+len(v.Missing))
	for _, code := range childrenOf(v) {
		unit, err := w.unit(code)
		if err != nil {
			return err
		}
		if unit != nil {
			ids = append(ids, newSlotID(day.n, form, unit.n))
		}
	}
	if err := w.load(ids); err != nil {
		return err
	}
	for _, id := range ids {
		if child := w.slots.get(id); child != nil {
			newest[child.unit.code] = child.version()
		}
	}
	s.outOfDate = domain.OutOfDate(v.Content.Children, v.Missing, newest)
	return nil
}

func childrenOf(v domain.Version) []domain.UnitCode {
	out := make([]domain.UnitCode, 0, len(v.Content.Children)+len(v.Missing))
	for _, p := range v.Content.Children {
		out = append(out, p.Unit)
	}
	return append(out, v.Missing...)
}

// childChanged marks the consolidated report that a report belongs to as out of date, until it is consolidated again
// (rule 9). Only the one child is judged: the marks of the others stand.
func (w *set) childChanged(s *slot) error {
	day, err := w.dayNumbered(s.id.day())
	if err != nil || s.above == nil {
		return err
	}
	for _, duty := range day.duties {
		if duty.Consolidates != s.key().Form {
			continue
		}
		parent, err := w.slot(newSlotID(day.n, w.forms[duty.Form], s.above.n))
		if err != nil {
			return err
		}
		if parent == nil {
			continue
		}
		v, filed := parent.report.Newest()
		if !filed {
			continue
		}
		marked := domain.OutOfDate(only(v.Content.Children, s.unit.code), onlyMissing(v.Missing, s.unit.code), map[domain.UnitCode]int{s.unit.code: s.version()})
		if len(marked) == 0 {
			continue
		}
		parent.outOfDate = withUnit(parent.outOfDate, s.unit.code)
		w.complianceChanged(parent)
	}
	return nil
}

func only(pins []domain.ChildPin, u domain.UnitCode) []domain.ChildPin {
	for i, p := range pins {
		if p.Unit == u {
			return pins[i : i+1]
		}
	}
	return nil
}

func onlyMissing(missing []domain.UnitCode, u domain.UnitCode) []domain.UnitCode {
	for i, m := range missing {
		if m == u {
			return missing[i : i+1]
		}
	}
	return nil
}

// withUnit is a sorted list with one more unit. The list may be shown by an earlier state, so it is not written to.
func withUnit(units []domain.UnitCode, u domain.UnitCode) []domain.UnitCode {
	i, found := slices.BinarySearch(units, u)
	if found {
		return units
	}
	return slices.Insert(slices.Clone(units), i, u)
}

// Synthesis adds up a day's reports, one total per form and area. Figures of different forms and scopes are never added
// together (rule 10); every total says what it was made of (rule 16).
func (v *Views) Synthesis(ctx context.Context, q SynthesisQuery) (Synthesis, error) {
	out := Synthesis{Regime: q.Regime, Date: q.Date}
	var err error
	out.At, err = v.ask(ctx, q.AsOf, q.KnownAt, func(r *reader) error {
		if _, err := r.knownUnit("/area", q.Area); err != nil {
			return err
		}
		if _, err := r.knownForm(q.Form); err != nil {
			return err
		}
		days, err := r.days(q.Regime, q.Date, q.Date)
		if err != nil || len(days) == 0 {
			return err
		}
		out.Opened = true
		if err := r.unitsWhere("1 = 1", nil); err != nil {
			return err
		}
		of := map[domain.FormID][]row{}
		err = r.each(rowsQuery{days: days, form: q.Form, parent: q.Area}, func(x row) (bool, error) {
			f := r.formByN[x.id.form()]
			of[f] = append(of[f], x)
			return true, nil
		})
		if err != nil {
			return err
		}
		for _, form := range slices.Sorted(maps.Keys(of)) {
			totals, err := r.totals(form, of[form], q.Area)
			if err != nil {
				return err
			}
			out.Totals = append(out.Totals, totals...)
		}
		return nil
	})
	return out, err
}

// totals adds up the reports of one form: for the province and each district, or for one area.
func (r *reader) totals(form domain.FormID, rows []row, area domain.UnitCode) ([]SynthesisTotal, error) {
	ids := make([]slotID, len(rows))
	for i, x := range rows {
		ids[i] = x.id
	}
	histories, err := r.histories(ids)
	if err != nil {
		return nil, err
	}
	groups := map[domain.UnitCode][]row{area: rows}
	if area == "" {
		for _, x := range rows {
			if u := r.unit(x.area); u.Level == domain.LevelDistrict {
				groups[u.code] = append(groups[u.code], x)
			}
		}
	}
	var out []SynthesisTotal
	for _, code := range slices.Sorted(maps.Keys(groups)) {
		t, err := r.total(form, code, groups[code], histories)
		if err != nil {
			return nil, err
		}
		out = append(out, t)
	}
	return out, nil
}

func (r *reader) total(id domain.FormID, area domain.UnitCode, rows []row, histories map[slotID]string) (SynthesisTotal, error) {
	day := rows[0].day
	form, ok := r.v.config.Registry.Form(id, day.duties[rows[0].duty].FormVersion)
	if current, found := r.v.config.Registry.CurrentForm(id); !ok && found {
		form = current
	}
	t := SynthesisTotal{Form: id, Title: form.Title, Scope: form.Scope, Area: area}
	if area != "" {
		name, err := r.nameOf(area, day.key.date)
		if err != nil {
			return t, err
		}
		t.AreaName = name
	}
	sums := map[string]*SummedField{}
	for _, f := range form.Fields {
		if f.RollUp != domain.RollUpNone && f.RollUp != domain.RollUpOwn {
			sums[f.Name] = &SummedField{Field: f.Name, Label: f.Label}
		}
	}
	for _, x := range rows {
		unit := r.unit(x.id.unit()).code
		if _, doubt := r.notDeterminable(day.key.regime, unit); doubt {
			t.NotDeterminable = append(t.NotDeterminable, unit)
			continue
		}
		if x.state.Status == domain.StatusExempt {
			continue
		}
		t.Expected++
		if x.state.Version == 0 {
			t.Missing = append(t.Missing, unit)
			continue
		}
		t.Received++
		if x.state.Status == domain.StatusOnTime {
			t.OnTime++
		}
		if len(x.state.OutOfDate) > 0 {
			t.OutOfDate = append(t.OutOfDate, unit)
		}
		c, err := contributionAt(histories[x.id], r.known)
		if err != nil {
			return t, fmt.Errorf("projections: history of %s: %w", unit, err)
		}
		t.MadeOf = append(t.MadeOf, domain.ChildPin{Unit: unit, Version: c.Version, Digest: c.Digest})
		for name, n := range c.Figures {
			s := sums[name]
			if s == nil {
				continue
			}
			if s.Value > math.MaxInt64-n {
				return t, fmt.Errorf("projections: the sum of %s of %s passes 64 bits", name, id)
			}
			s.Value, s.Units = s.Value+n, s.Units+1
		}
	}
	for _, f := range form.Fields {
		if s := sums[f.Name]; s != nil {
			t.Sums = append(t.Sums, *s)
		}
	}
	slices.Sort(t.Missing)
	slices.Sort(t.OutOfDate)
	slices.Sort(t.NotDeterminable)
	slices.SortFunc(t.MadeOf, func(a, b domain.ChildPin) int { return cmp.Compare(a.Unit, b.Unit) })
	return t, nil
}
