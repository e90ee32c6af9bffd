package projections

import (
	"cmp"
	"context"
	"database/sql"
	"slices"

	"github.com/go-json-experiment/json"

	"github.com/answerable-ledger/answerable/domain"
)

// Outcomes of a breach, as BreachRow.Outcome.
const (
	OutcomeStanding  = "standing"
	OutcomeWithdrawn = "withdrawn"
	OutcomeExplained = "explained"
	OutcomeExcused   = "excused"
	OutcomeUpheld    = "upheld"
)

// breachRow is one breach of an obligation in the working set. Its words are in the history row.
type breachRow struct {
	kind   domain.BreachKind
	states []breachState
}

// breachState is what had come of a breach, from an instant of knowledge on.
type breachState struct {
	From    instant `json:"f"`
	Outcome string  `json:"o"`
}

func (b breachState) known() instant { return b.From }

func (b breachState) same(c breachState) bool { return b.Outcome == c.Outcome }

// outcome says what came of a breach. A withdrawal ends it; a judgement stands above the explanation it judges.
func outcome(b domain.Breach) string {
	switch {
	case b.Withdrawn != nil:
		return OutcomeWithdrawn
	case b.Excused != nil:
		return OutcomeExcused
	case b.Upheld != nil:
		return OutcomeUpheld
	case len(b.Explanations) > 0:
		return OutcomeExplained
	}
	return OutcomeStanding
}

func (w *set) breachesChanged(s *slot, e domain.Event) {
	switch e.(type) {
	case domain.DeadlineBreached, domain.BreachWithdrawn, domain.BreachExplained, domain.BreachExcused, domain.BreachUpheld:
	default:
		return
	}
	for _, b := range s.report.Breaches {
		row := -1
		for i := range s.breaches {
			if s.breaches[i].kind == b.Breach {
				row = i
			}
		}
		if row < 0 {
			row = len(s.breaches)
			s.breaches = append(s.breaches, breachRow{kind: b.Breach})
		}
		var changed bool
		s.breaches[row].states, changed = states(s.breaches[row].states, breachState{w.known, outcome(b)}, breachState.known, breachState.same)
		if changed {
			s.dirty |= dirtyBreaches
		}
	}
}

func readBreaches(doc string) (all []breachState, err error) {
	return all, json.Unmarshal([]byte(doc), &all)
}

func appendBreaches(b []byte, all []breachState) []byte {
	for i, s := range all {
		if i == 0 {
			b = append(b, '[')
		} else {
			b = append(b, ',')
		}
		o := object(append(b, '{'))
		o.number("f", int64(s.From))
		o.text("o", s.Outcome)
		o.end()
		b = o
	}
	return append(b, ']')
}

// Breaches lists breaches and what came of them.
func (v *Views) Breaches(ctx context.Context, q BreachQuery) (BreachPage, error) {
	var page BreachPage
	after, err := parseCursor(q.After)
	if err != nil {
		return page, err
	}
	limit := limited(q.Limit)
	page.At, err = v.ask(ctx, q.AsOf, q.KnownAt, func(r *reader) error {
		if err := r.loadForms(); err != nil {
			return err
		}
		days, err := r.days(q.Regime, q.From, q.To)
		if err != nil {
			return err
		}
		unit, err := r.knownUnit("/unit", q.Unit)
		if err != nil {
			return err
		}
		parent, err := r.knownUnit("/parent", q.Parent)
		if err != nil {
			return err
		}
		for _, day := range days {
			if day.key.date < after.date {
				continue
			}
			from := newSlotID(day.n, 0, 0)
			if day.key.date == after.date {
				from = max(from, after.id+1)
			}
			ids, err := r.breached(day, from, unit, q)
			if err != nil {
				return err
			}
			for _, id := range ids {
				rows, err := r.breachesOf(day, id, parent, q)
				if err != nil {
					return err
				}
				// A page ends with an obligation: all breaches of one stand on one page.
				if len(rows) > 0 && len(page.Rows) > 0 && len(page.Rows)+len(rows) > limit {
					last := page.Rows[len(page.Rows)-1]
					n, err := r.unitNumber(last.Unit)
					page.Next = cursor{last.Date, newSlotID(r.dayN(days, last.Slot), r.forms[last.Form], n)}.String()
					return err
				}
				page.Rows = append(page.Rows, rows...)
			}
		}
		return nil
	})
	return page, err
}

func (r *reader) dayN(days []*dayRow, s Slot) int64 {
	for _, d := range days {
		if d.key == (dayKey{s.Regime, s.Date}) {
			return d.n
		}
	}
	return 0
}

// breached finds the obligations of a day with a breach of the kind and outcome asked for.
func (r *reader) breached(day *dayRow, from slotID, unit int64, q BreachQuery) ([]slotID, error) {
	var ids []slotID
	err := r.query(`SELECT id, kind, doc FROM {breach} WHERE id >= ? AND id < ? ORDER BY id, kind`, []any{int64(from), int64(newSlotID(day.n+1, 0, 0))}, func(rows *sql.Rows) error {
		var id slotID
		var kind domain.BreachKind
		var doc string
		if err := rows.Scan(&id, &kind, &doc); err != nil {
			return err
		}
		all, err := readBreaches(doc)
		if err != nil {
			return err
		}
		s, ok := stateAt(all, r.known, breachState.known)
		if ok && q.wants(kind, s.Outcome) && (unit == 0 || id.unit() == unit) && (len(ids) == 0 || ids[len(ids)-1] != id) {
			ids = append(ids, id)
		}
		return nil
	})
	return ids, err
}

func (q BreachQuery) wants(kind domain.BreachKind, outcome string) bool {
	return (q.Kind == "" || q.Kind == kind) && (q.Outcome == "" || q.Outcome == outcome)
}

// breachesOf shows the breaches of one obligation that a query wants.
func (r *reader) breachesOf(day *dayRow, id slotID, parent int64, q BreachQuery) ([]BreachRow, error) {
	var found []row
	_, err := r.within(day, id, id+1, 0, parent, nil, func(x row) (bool, error) {
		found = append(found, x)
		return true, nil
	})
	if err != nil || len(found) == 0 {
		return nil, err
	}
	if err := r.loadUnits(id.unit(), found[0].parent); err != nil {
		return nil, err
	}
	entries, err := r.entries(id)
	if err != nil {
		return nil, err
	}
	rows, err := r.breachRows(found[0], entries)
	return slices.DeleteFunc(rows, func(b BreachRow) bool { return !q.wants(b.Breach, b.Outcome) }), err
}

// breachRows shows every breach among the entries of an obligation.
func (r *reader) breachRows(x row, entries []entry) ([]BreachRow, error) {
	k := r.key(x)
	var out []BreachRow
	of := map[domain.BreachKind]int{}
	var reported *instant
	for _, e := range entries {
		i, known := of[e.Breach]
		words := TextBy{Text: e.Text, At: e.Received.time()}
		var err error
		if words.By, err = r.person(cmp.Or(e.By, e.Actor)); err != nil {
			return nil, err
		}
		switch e.Kind {
		case domain.ReportSubmitted{}.Kind():
			reported = &e.Received
		case domain.DeadlineBreached{}.Kind():
			head, err := r.headAt(k.Unit, r.unit(x.parent).code, e.Due, headAt(e.Due.time()))
			if err != nil {
				return nil, err
			}
			of[e.Breach] = len(out)
			out = append(out, BreachRow{Slot: slotName(k), UnitName: r.name(r.unit(x.id.unit()), k.Date), Duty: e.Duty, Breach: e.Breach, Due: e.Due.time(),
				RecordedAt: e.Recorded.time(), RegimeVer: e.RegimeVersion, Head: head, EventID: e.EventID.String()})
		case domain.BreachExplained{}.Kind():
			if known {
				out[i].Explanations = append(out[i].Explanations, words)
			}
		case domain.BreachExcused{}.Kind(), domain.BreachUpheld{}.Kind():
			if known {
				out[i].Judgement = &words
			}
		}
	}
	for _, b := range reportOf(k, entries).Breaches {
		out[of[b.Breach]].Outcome = outcome(b)
	}
	for i := range out {
		if reported != nil && out[i].Breach == domain.BreachMissing {
			out[i].ReportedAt = reported.optional()
		}
	}
	return out, nil
}
