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

// findings are the numbers that stored rows know findings by. An obligation is listed under a finding from the fact on that
// brought it about and stays listed: the list holds whatever a search of any instant of knowledge finds, and more, which the
// obligation's own row tells apart.
type findings uint8

const (
	findsChanged findings = 1 << iota
	findsDeputy
	findsHeadChanged
	findsOutOfDate
)

var allFindings = [...]findings{findsChanged, findsDeputy, findsHeadChanged, findsOutOfDate}

func (f Finding) listed() findings {
	switch f {
	case FindChanged:
		return findsChanged
	case FindDeputy:
		return findsDeputy
	case FindHeadChanged:
		return findsHeadChanged
	case FindOutOfDate:
		return findsOutOfDate
	}
	return 0
}

// found lists a slot.
func (s *slot) found(f findings) {
	if f&^s.findings != 0 {
		s.findings |= f
		s.dirty |= dirtyFindings
	}
}

// foundNow lists a slot under what its newest states say.
func (s *slot) foundNow() {
	if len(s.answers) == 0 || len(s.compliance) == 0 {
		return
	}
	head, state := &s.answers[len(s.answers)-1], &s.compliance[len(s.compliance)-1]
	var f findings
	if FindChanged.mayBe(head, state) {
		f |= findsChanged
	}
	if FindHeadChanged.mayBe(head, state) {
		f |= findsHeadChanged
	}
	if FindOutOfDate.mayBe(head, state) {
		f |= findsOutOfDate
	}
	s.found(f)
}

func byDeputy(c domain.Capacity) bool {
	return c != domain.CapacityHead && c != domain.CapacityActing
}

// marks is what a row holds that may be found, as the functions that write rows spell it, for generations without the list:
// the database passes over the others, and what a row really says is judged by the record.
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
		deputy := func(s SignOffRow) bool { return byDeputy(s.Capacity) }
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

// mayBe spares the record of a row that its states rule out: whose two heads are one and the same.
func (f Finding) mayBe(s *answerState, c *complianceState) bool {
	switch f {
	case FindChanged:
		return s.Figures.At > c.Due
	case FindHeadChanged:
		other := func(h headRef) bool { return h.At != 0 && h.Tenure != s.Deadline.Tenure }
		return other(s.Figures) || other(s.SignOff)
	case FindOutOfDate:
		return len(c.OutOfDate) > 0
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
	if q.What.listed() == 0 {
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
				if rows, more, err = r.listed(day, from, unit, q.What, limit+1); err != nil {
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

// listed reads up to most rows of a day from an id on that may be found. One that is not to be looked into has no compliance.
func (r *reader) listed(day *dayRow, from slotID, unit int64, what Finding, most int) (rows []row, more bool, err error) {
	source, args := `{finding} f CROSS JOIN {obligation} o WHERE f.what = ? AND o.id = f.id`, []any{int64(what.listed())}
	if !r.g.hasTable(tableFinding) {
		column, marks := what.marks()
		source, args = `{obligation} f WHERE (`+strings.TrimPrefix(strings.Repeat(` OR `+column+` LIKE ?`, len(marks)), " OR ")+`)`, nil
		for _, m := range marks {
			args = append(args, "%"+m+"%")
		}
	}
	source, args = source+` AND f.id >= ? AND f.id < ?`, append(args, int64(from), int64(newSlotID(day.n+1, 0, 0)))
	if unit != 0 {
		theirs, ids := r.ofUnit(day, unit)
		source, args = source+` AND f.`+theirs, append(args, ids...)
	}
	err = r.query(`SELECT f.id, duty, parent, compliance, answerability FROM `+source+` ORDER BY f.id LIMIT `+strconv.Itoa(most), args, func(s *sql.Rows) error {
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
		if head, ok := stateAt(heads, r.known, answerState.known); known && ok && what.mayBe(&head, &state) {
			x.compliance, x.state, x.area = all, state, x.parent // a search takes no other day's tree
		}
		rows = append(rows, x)
		return nil
	})
	return rows, len(rows) == most, err
}
