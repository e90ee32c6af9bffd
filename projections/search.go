package projections

import (
	"context"
	"database/sql"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/answerable-ledger/answerable/domain"
)

// Finding is what a search finds reports by.
type Finding string

// What an inspector looks for.
const (
	FindChanged     Finding = "changed"      // figures were corrected after the deadline
	FindDeputy      Finding = "deputy"       // somebody signed who was not the head
	FindHeadChanged Finding = "head_changed" // the head at the sign-off or at a correction is not the one at the deadline
	FindOutOfDate   Finding = "out_of_date"  // it is made of versions that are no longer the newest
)

// SearchQuery asks for reports by what came of them.
type SearchQuery struct {
	Regime   domain.RegimeID
	Unit     domain.UnitCode
	From, To domain.Date // inclusive
	What     Finding
	KnownAt  *time.Time
	After    string
	Limit    int
}

// marks is what a row holds that may be found, as the functions that write rows spell it: the database passes over the
// others, and what a row really says is judged by the record.
func (f Finding) marks() (column string, texts []string) {
	switch f {
	case FindChanged:
		return "answerability", []string{`"g":[`}
	case FindDeputy:
		return "history", []string{`"ca":"` + string(domain.CapacityKT) + `"`, `"ca":"` + string(domain.CapacityTL) + `"`, `"ca":"` + string(domain.CapacityTUQ) + `"`}
	case FindHeadChanged:
		return "answerability", []string{`"g":[`, `"s":[`}
	case FindOutOfDate:
		return "compliance", []string{`"u":[`}
	}
	return "", nil
}

// found judges a record.
func (f Finding) found(a AnswerRecord) bool {
	switch f {
	case FindChanged:
		return a.HeadCorrect != nil && a.HeadCorrect.At.After(a.Due)
	case FindDeputy:
		deputy := func(s SignOffRow) bool {
			return s.Capacity != domain.CapacityHead && s.Capacity != domain.CapacityActing
		}
		return a.SignOff != nil && deputy(*a.SignOff) || slices.ContainsFunc(a.Superseded, deputy)
	case FindHeadChanged:
		other := func(h *HeadRef) bool {
			return h != nil && h.Person != nil && a.HeadDeadline.Person != nil && h.Person.ID != a.HeadDeadline.Person.ID
		}
		return other(a.HeadSignOff) || other(a.HeadCorrect)
	case FindOutOfDate:
		return len(a.OutOfDate) > 0
	}
	return false
}

// mayBe spares the record of a row whose two heads are one and the same.
func (f Finding) mayBe(s answerState, due instant) bool {
	switch f {
	case FindChanged:
		return s.Figures.At > due
	case FindHeadChanged:
		return s.Figures.At != 0 && s.Figures.Tenure != s.Deadline.Tenure || s.SignOff.At != 0 && s.SignOff.Tenure != s.Deadline.Tenure
	}
	return true
}

// Search finds reports by what came of them, in the order of days.
func (v *Views) Search(ctx context.Context, q SearchQuery) (AnswerPage, error) {
	var page AnswerPage
	after, err := parseCursor(q.After)
	if err != nil {
		return page, err
	}
	column, marks := q.What.marks()
	if column == "" {
		return page, domain.Refuse(domain.Invalid, domain.CodeFieldUnknown, "/what", "field", string(q.What))
	}
	limit := limited(q.Limit)
	page.At, err = v.ask(ctx, "", q.KnownAt, func(r *reader) error {
		days, err := r.days(q.Regime, q.From, q.To)
		if err != nil {
			return err
		}
		if err := r.loadForms(); err != nil {
			return err
		}
		unit, err := r.knownUnit("/unit", q.Unit)
		if err != nil {
			return err
		}
		where := ` AND (` + strings.TrimPrefix(strings.Repeat(` OR `+column+` LIKE ?`, len(marks)), " OR ") + `)`
		var last row
		for _, day := range days {
			if day.key.date < after.date {
				continue
			}
			from := newSlotID(day.n, 0, 0)
			if day.key.date == after.date && from <= after.id {
				from = after.id + 1
			}
			for more := true; more; {
				var rows []row
				if rows, more, err = r.marked(day, from, unit, q.What, where, marks); err != nil {
					return err
				}
				for _, x := range rows {
					from = x.id + 1
					if x.compliance == nil { // it was passed over
						continue
					}
					a, err := r.answer(x)
					if err != nil {
						return err
					}
					if !q.What.found(a) {
						continue
					}
					if len(page.Records) == limit {
						page.Next = cursor{last.day.key.date, last.id}.String()
						return nil
					}
					page.Records, last = append(page.Records, a), x
				}
			}
		}
		return nil
	})
	return page, err
}

// marked reads the rows of a day from an id on that may be found. One that is not to be looked into has no compliance.
func (r *reader) marked(day *dayRow, from slotID, unit int64, what Finding, where string, marks []string) (rows []row, more bool, err error) {
	args := []any{int64(from), int64(newSlotID(day.n+1, 0, 0))}
	for _, m := range marks {
		args = append(args, "%"+m+"%")
	}
	if unit != 0 {
		where += ` AND ` + r.idsOf(day, unit)
	}
	err = r.query(`SELECT id, duty, parent, compliance, answerability FROM {obligation} WHERE id >= ? AND id < ?`+where+` ORDER BY id LIMIT `+strconv.Itoa(MaxLimit), args, func(s *sql.Rows) error {
		x := row{day: day}
		var doc, answers string
		if err := s.Scan(&x.id, &x.duty, &x.parent, &doc, &answers); err != nil {
			return err
		}
		all, err := readCompliance(doc)
		if err != nil {
			return err
		}
		heads, err := readAnswers(answers)
		if err != nil {
			return err
		}
		state, known := stateAt(all, r.known, complianceState.known)
		if head, ok := stateAt(heads, r.known, answerState.known); known && ok && what.mayBe(head, state.Due) {
			x.compliance, x.state, x.area = all, state, x.parent // a search takes no other day's tree
		}
		rows = append(rows, x)
		return nil
	})
	return rows, len(rows) == MaxLimit, err
}
