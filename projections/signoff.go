package projections

import (
	"cmp"
	"context"
	"database/sql"
	"slices"

	"github.com/answerable-ledger/answerable/domain"
)

// waitsForSignature says which states stand in a head's queue. A returned report stays in sight until it is corrected.
func waitsForSignature(s domain.SignOffState) bool {
	return s == domain.SignOffWaiting || s == domain.SignOffSuperseded || s == domain.SignOffReturned
}

// SignOffQueue lists the reports of some units that wait for a signature, by day.
func (v *Views) SignOffQueue(ctx context.Context, q SignOffQuery) (QueuePage, error) {
	var page QueuePage
	after, err := parseCursor(q.After)
	if err != nil {
		return page, err
	}
	page.At, err = v.ask(ctx, q.AsOf, q.KnownAt, func(r *reader) error {
		if err := r.loadForms(); err != nil {
			return err
		}
		for _, f := range q.Forms {
			if _, err := r.knownForm(f); err != nil {
				return err
			}
		}
		days, err := r.days(q.Regime, "", "")
		if err != nil {
			return err
		}
		ids, err := r.queued(q, days, after)
		if err != nil {
			return err
		}
		dates := map[int64]*dayRow{}
		for _, d := range days {
			dates[d.n] = d
		}
		ids = slices.DeleteFunc(ids, func(id slotID) bool {
			d := dates[id.day()]
			return d == nil || d.key.date < after.date || d.key.date == after.date && id <= after.id
		})
		slices.SortFunc(ids, func(a, b slotID) int {
			return cmp.Or(cmp.Compare(dates[a.day()].key.date, dates[b.day()].key.date), cmp.Compare(a, b))
		})
		ids = slices.Compact(ids)
		for i, id := range ids {
			if i == limited(q.Limit) {
				page.Next = cursor{dates[ids[i-1].day()].key.date, ids[i-1]}.String()
				break
			}
			w, ok, err := r.waiting(dates[id.day()], id)
			if err != nil {
				return err
			}
			if ok {
				page.Rows = append(page.Rows, w)
			}
		}
		return nil
	})
	return page, err
}

// queued finds the reports that waited: those that do now have a table of their own, for the past every obligation is
// looked at.
func (r *reader) queued(q SignOffQuery, days []*dayRow, after cursor) (ids []slotID, err error) {
	units := map[int64]bool{}
	for _, code := range q.Units {
		n, err := r.unitNumber(code) // one that was registered a moment ago has nothing waiting
		if err != nil {
			return nil, err
		}
		if n != 0 {
			units[n] = true
		}
	}
	wanted := func(id slotID) bool {
		return units[id.unit()] && (len(q.Forms) == 0 || slices.Contains(q.Forms, r.formByN[id.form()]))
	}
	if len(units) == 0 {
		return nil, nil
	}
	if r.known != forever {
		one := domain.UnitCode("")
		if len(q.Units) == 1 {
			one = q.Units[0]
		}
		return ids, r.each(rowsQuery{days: days, unit: one, after: after}, func(x row) (bool, error) {
			if wanted(x.id) && waitsForSignature(x.state.SignOff) {
				ids = append(ids, x.id)
			}
			return len(ids) <= limited(q.Limit), nil
		})
	}
	for n := range units {
		err := r.query(`SELECT id FROM {signoff} WHERE unit = ?`, []any{n}, func(rows *sql.Rows) error {
			var id slotID
			err := rows.Scan(&id)
			if wanted(id) {
				ids = append(ids, id)
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return ids, nil
}

// waiting shows one report of a queue.
func (r *reader) waiting(day *dayRow, id slotID) (QueueRow, bool, error) {
	var found []row
	_, err := r.within(day, id, id+1, 0, 0, nil, func(x row) (bool, error) {
		found = append(found, x)
		return true, nil
	})
	if err != nil || len(found) == 0 {
		return QueueRow{}, false, err
	}
	rows, err := r.complianceRows(found)
	if err != nil {
		return QueueRow{}, false, err
	}
	c := rows[0]
	entries, err := r.entries(id)
	if err != nil {
		return QueueRow{}, false, err
	}
	w := QueueRow{Slot: c.Slot, UnitName: c.UnitName, Version: c.Version, Digest: c.Digest, Nil: c.Nil, State: c.SignOff, SignOffDue: c.SignOffDue}
	for _, e := range entries {
		switch {
		case e.isVersion():
			w.Figures, w.ReceivedAt = e.Figures, e.Received.time()
			if w.Filer, err = r.person(e.Actor); err != nil {
				return w, false, err
			}
		case e.Kind == domain.ReportSignedOff{}.Kind():
			w.SignedBefore = e.Version
		}
	}
	return w, true, nil
}
