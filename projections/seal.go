package projections

import (
	"cmp"
	"slices"
)

// sealing lets a bulk fold hold only the newest days of a long log. The obligations of a day that is long past are sealed:
// their rows are written, and they leave the set while the log is still read. A fact that touches one all the same brings
// it back, as a live fold loads what is stored; it stays then, and its row is replaced at the end. Numbers are given to days
// as they are opened, so that rows are sealed in the order of their ids.
type sealing struct {
	keep   int                        // how many obligations are held before a day is sealed; the newest day never is
	begin  func() (bulkWriter, error) // asked once, for the first day; nil when there is none to be had
	writer bulkWriter                 // nil while nothing is sealed
	// stays: rows that are written are not to be had back yet, so that their obligations stay in the set, as if all had come
	// back at once. Nothing is spared but time: rows are written while the log is still read.
	stays bool

	day  int64 // the number of the last day that is sealed
	back int   // how many came back
	// asked is the last instant, by a sealed day's number, at which one of its obligations asks who was head.
	asked map[int64]instant
	lists lists // what else there is to write of those that are sealed
}

// heldObligations are held before a day is sealed. Chosen: two years of a hundred units, some days of eleven thousand, in
// about 200 megabytes. A correction that comes later costs a row that is read back and written again.
const heldObligations = 1 << 16

// has reports whether an obligation belongs to a sealed day.
func (s *sealing) has(id slotID) bool { return s != nil && id.day() <= s.day }

// seal seals the oldest days of a set that holds too many obligations.
func (w *set) seal() error {
	s := w.sealing
	if s == nil {
		return nil
	}
	for s.day+2 < w.numbered.day && w.slots.n-s.back > s.keep {
		if s.writer == nil {
			var err error
			if s.writer, err = s.begin(); err != nil {
				return err
			}
			if s.writer == nil { // everything is held
				w.sealing = nil
				return nil
			}
		}
		s.day++
		if s.stays {
			if err := w.sealStaying(); err != nil {
				return err
			}
			continue
		}
		slots := w.slots.take(s.day)
		for _, x := range slots {
			if x.unit.recent == x {
				x.unit.recent = nil
			}
			s.lists.add(x, true)
			last := &x.answers[len(x.answers)-1]
			s.asked[s.day] = max(s.asked[s.day], last.Deadline.At, last.SignOff.At, last.Figures.At)
		}
		if err := s.writer.write(obligationRows(slots), func(int) error { return nil }); err != nil {
			return err
		}
	}
	return nil
}

// sealStaying writes the rows of the day that is sealed. What changes one of them afterwards makes it dirty again.
func (w *set) sealStaying() error {
	slots := w.slots.of(w.sealing.day)
	w.sealing.back += len(slots)
	if err := w.sealing.writer.write(obligationRows(slots), func(int) error { return nil }); err != nil {
		return err
	}
	for _, x := range slots {
		x.dirty = 0
	}
	return nil
}

// slots reads sealed obligations back.
func (s *sealing) slots(ids []slotID) ([]storedSlot, error) {
	var out []storedSlot
	for _, id := range ids {
		if !s.has(id) {
			continue
		}
		row, err := s.writer.row(int64(id))
		if err != nil {
			return nil, err
		}
		if row == nil {
			continue
		}
		r := obligationIn(row)
		i, _ := slices.BinarySearchFunc(s.lists.breaches, id, func(b listedBreach, id slotID) int { return cmp.Compare(b.id, id) })
		for ; i < len(s.lists.breaches) && s.lists.breaches[i].id == id; i++ {
			b := s.lists.breaches[i]
			r.breaches = append(r.breaches, storedBreach{b.kind, string(appendBreaches(nil, b.states))})
		}
		out = append(out, r)
	}
	s.back += len(out)
	return out, nil
}
