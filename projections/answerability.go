package projections

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strconv"

	"github.com/go-json-experiment/json"

	"github.com/answerable-ledger/answerable/domain"
)

// headRef points at who held an office at an instant: the place of the tenure in the office's own row, counted from 1, so
// that a name or title is never copied. Tenure 0 is a vacancy; Above is then the tenure in the office of the unit above.
type headRef struct {
	At     instant
	Tenure int32
	Above  int32
}

// UnmarshalJSON reads the array that appendHead writes.
func (h *headRef) UnmarshalJSON(b []byte) error {
	var x [3]int64
	if err := json.Unmarshal(b, &x); err != nil {
		return err
	}
	*h = headRef{instant(x[0]), int32(x[1]), int32(x[2])}
	return nil
}

// answerState is who answered for an obligation, from an instant of knowledge on (rule 8).
type answerState struct {
	From     instant `json:"f"`
	Deadline headRef `json:"d"` // the head at the deadline answers for keeping the regime, and for figures as first filed
	SignOff  headRef `json:"s"` // the head when the newest version was signed; zero At while it is not
	Figures  headRef `json:"g"` // who answers for corrected figures; zero At while they are as first filed
}

func (a answerState) known() instant { return a.From }

func (a answerState) same(b answerState) bool {
	return a.Deadline == b.Deadline && a.SignOff == b.SignOff && a.Figures == b.Figures
}

// vacant reports whether somebody above answers because the office was empty.
func (a answerState) vacant() bool {
	return a.Deadline.Tenure == 0 || a.SignOff.At != 0 && a.SignOff.Tenure == 0 || a.Figures.At != 0 && a.Figures.Tenure == 0
}

// answersChanged resolves who answers from the offices as they are known now. An office's fact that begins in the past
// makes a new state; the former stays for questions about what was known then. Succession rewrites nothing: the instants
// that are asked for stay those of the deadline, the signature and the correction.
func (w *set) answersChanged(s *slot) error {
	a := answerState{From: w.known}
	var err error
	if a.Deadline, err = w.head(s, s.due); err != nil {
		return err
	}
	if v, ok := s.report.Newest(); ok {
		if v.FiguresOf > 1 {
			if a.Figures, err = w.head(s, at(domain.AnsweredAt(v, s.due.time()))); err != nil {
				return err
			}
		}
		if s.report.Signed() {
			signed := s.report.SignOffs[len(s.report.SignOffs)-1].At
			if a.SignOff, err = w.head(s, at(signed)); err != nil {
				return err
			}
		}
	}
	var changed bool
	if s.answers, changed = states(s.answers, a, answerState.known, answerState.same); changed {
		s.dirty |= dirtyRow
		s.foundNow()
	}
	if vacant := a.vacant() && s.above != nil; vacant != s.vacant {
		s.vacant = vacant
		s.dirty |= dirtyVacancy
		if w.from == nil {
			w.vacancyChanged(s)
		}
	}
	return nil
}

// vacancyChanged keeps a bulk fold's own list of vacancies.
func (w *set) vacancyChanged(s *slot) {
	if !s.vacant {
		delete(w.below[s.above.n], s.id)
		return
	}
	if w.below[s.above.n] == nil {
		w.below[s.above.n] = map[slotID]bool{}
	}
	w.below[s.above.n][s.id] = true
}

// head resolves one head, and the one above when the office is vacant.
func (w *set) head(s *slot, when instant) (headRef, error) {
	h := headRef{At: when}
	var err error
	if h.Tenure, err = w.tenure(s.unit, when); err != nil || h.Tenure > 0 {
		return h, err
	}
	h.Above, err = w.tenure(s.above, when)
	return h, err
}

func appendAnswers(b []byte, all []answerState) []byte {
	for i, a := range all {
		if i == 0 {
			b = append(b, '[')
		} else {
			b = append(b, ',')
		}
		o := object(append(b, '{'))
		o.number("f", int64(a.From))
		o.name("d")
		o = appendHead(o, a.Deadline)
		if a.SignOff.At != 0 {
			o.name("s")
			o = appendHead(o, a.SignOff)
		}
		if a.Figures.At != 0 {
			o.name("g")
			o = appendHead(o, a.Figures)
		}
		o.end()
		b = o
	}
	return append(b, ']')
}

func appendHead(b []byte, h headRef) []byte {
	b = append(b, '[')
	b = strconv.AppendInt(b, int64(h.At), 10)
	b = append(b, ',')
	b = strconv.AppendInt(b, int64(h.Tenure), 10)
	b = append(b, ',')
	b = strconv.AppendInt(b, int64(h.Above), 10)
	return append(b, ']')
}

func readAnswers(doc string) (all []answerState, err error) {
	return all, json.Unmarshal([]byte(doc), &all)
}

// Answer gives the item 10 records asked for: which figures, and who answers for them.
func (v *Views) Answer(ctx context.Context, q AnswerQuery) (AnswerPage, error) {
	var page AnswerPage
	after, err := parseCursor(q.After)
	if err != nil {
		return page, err
	}
	limit := limited(q.Limit)
	page.At, err = v.ask(ctx, q.AsOf, q.KnownAt, func(r *reader) error {
		if err := r.knownPerson(q.Person); err != nil {
			return err
		}
		days, err := r.days(q.Regime, q.From, q.To)
		if err != nil {
			return err
		}
		theirs, err := r.officesOf(q.Person)
		if err != nil {
			return err
		}
		var last row
		return r.each(rowsQuery{days: days, form: q.Form, unit: q.Unit, after: after}, func(x row) (bool, error) {
			if theirs != nil && !theirs[x.id.unit()] && !theirs[x.parent] {
				return true, nil
			}
			a, err := r.answer(x)
			if err != nil {
				return false, err
			}
			if q.Person != "" && !a.answers(q.Person) {
				return true, nil
			}
			if len(page.Records) == limit {
				page.Next = cursor{last.day.key.date, last.id}.String()
				return false, nil
			}
			page.Records, last = append(page.Records, a), x
			return true, nil
		})
	})
	return page, err
}

// officesOf gives the units whose office a person ever held; nil when no person is asked for.
func (r *reader) officesOf(p domain.PersonID) (map[int64]bool, error) {
	if p == "" {
		return nil, nil
	}
	theirs := map[int64]bool{}
	return theirs, r.query(`SELECT u.n FROM {holder} h JOIN {unit} u ON u.code = h.unit WHERE h.person = ?`, []any{string(p)}, func(rows *sql.Rows) error {
		var n int64
		err := rows.Scan(&n)
		theirs[n] = true
		return err
	})
}

// answerable is who answers for what a version changed (rule 8).
func (r *reader) answerable(a AnswerRecord, parent domain.UnitCode, changedIn VersionRow) (HeadRef, error) {
	if changedIn.Version == 1 {
		return a.HeadDeadline, nil
	}
	return r.headAt(a.Unit, parent, at(changedIn.RecordedAt), headAt(changedIn.RecordedAt))
}

// answers reports whether a person answers for the record or one of its figures, as head or because the office below was
// vacant.
func (a AnswerRecord) answers(p domain.PersonID) bool {
	return a.Answerable.is(p) || slices.ContainsFunc(a.Figures, func(f AnsweredFigure) bool { return f.Answerable.is(p) })
}

func (h HeadRef) is(p domain.PersonID) bool {
	for h.Vacant && h.Above != nil {
		h = *h.Above
	}
	return h.Person != nil && h.Person.ID == p
}

// answer makes the record of one obligation as known at the reader's instant.
func (r *reader) answer(x row) (AnswerRecord, error) {
	shown, err := r.complianceRows([]row{x})
	if err != nil {
		return AnswerRecord{}, err
	}
	c := shown[0]
	var answers string
	var entries []entry
	err = r.point(`SELECT answerability, history FROM {obligation} WHERE id = ?`, []any{int64(x.id)}, func(rows *sql.Rows) error {
		var history string
		if err := rows.Scan(&answers, &history); err != nil {
			return err
		}
		entries, err = entriesUntil(history, r.known)
		return err
	})
	if err != nil {
		return AnswerRecord{}, err
	}
	all, err := readAnswers(answers)
	if err != nil {
		return AnswerRecord{}, err
	}
	s, _ := stateAt(all, r.known, answerState.known)
	k, parent := r.key(x), r.unit(x.parent).code
	a := AnswerRecord{Slot: c.Slot, Duty: c.Duty, UnitName: c.UnitName, Absent: c.Absent, Parent: c.Parent, Status: c.Status, Due: c.Due, Version: c.Version,
		Digest: c.Digest, Nil: c.Nil, OutOfDate: c.OutOfDate, Determinable: c.Determinable, KnownFrom: c.KnownFrom}
	if from := s.From.time(); from.After(a.KnownFrom) {
		a.KnownFrom = from
	}
	if a.HeadDeadline, err = r.headRef(s.Deadline, k.Unit, parent); err != nil {
		return a, err
	}
	a.Answerable = a.HeadDeadline
	if s.SignOff.At != 0 {
		h, err := r.headRef(s.SignOff, k.Unit, parent)
		if err != nil {
			return a, err
		}
		a.HeadSignOff = &h
	}
	if s.Figures.At != 0 {
		h, err := r.headRef(s.Figures, k.Unit, parent)
		if err != nil {
			return a, err
		}
		a.HeadCorrect, a.Answerable = &h, h
	}
	versions, err := r.versions(k, entries)
	if err != nil {
		return a, err
	}
	for i, v := range versions {
		for _, sign := range v.SignOffs {
			if i < len(versions)-1 {
				a.Superseded = append(a.Superseded, sign)
			} else {
				a.SignOff = &sign
			}
		}
	}
	if len(versions) > 0 {
		newest := versions[len(versions)-1]
		a.Filer, a.EventID, a.Missing = &newest.Filer, newest.EventID, newest.Missing
		a.Figures = r.figures(k.Form, versions)
		for i, f := range a.Figures {
			if a.Figures[i].Answerable, err = r.answerable(a, parent, versions[f.ChangedIn-1]); err != nil {
				return a, err
			}
		}
		if a.Children, err = r.children(x, newest); err != nil {
			return a, err
		}
	}
	a.Breaches, err = r.breachRows(x, entries)
	return a, err
}

// figures lists the newest version's figures in the order of the form, each with the version that last changed it.
func (r *reader) figures(form domain.FormID, versions []VersionRow) []AnsweredFigure {
	newest := versions[len(versions)-1]
	f, _ := r.v.config.Registry.Form(form, newest.FormVersion)
	changed := func(name string) int {
		in := 1
		for i := 1; i < len(versions); i++ {
			was, had := versions[i-1].Figures[name]
			if is, has := versions[i].Figures[name]; is != was || has != had {
				in = i + 1
			}
		}
		return in
	}
	var out []AnsweredFigure
	seen := map[string]bool{}
	add := func(field domain.Field) {
		if value, ok := newest.Figures[field.Name]; ok && !seen[field.Name] {
			seen[field.Name] = true
			out = append(out, AnsweredFigure{Field: field.Name, Label: field.Label, Value: value, Scope: f.Scope, ChangedIn: changed(field.Name)})
		}
	}
	for _, field := range f.Fields {
		add(field)
	}
	for _, name := range newest.Figures.Names() { // of a form this program does not know
		add(domain.Field{Name: name, Label: domain.Wording{Vi: name, En: name}})
	}
	return out
}

// headRef shows a head of a unit's office, and the head above in a vacancy.
func (r *reader) headRef(h headRef, unit, parent domain.UnitCode) (HeadRef, error) {
	out, err := r.tenure(h.Tenure, h.At, unit)
	if err != nil || h.Tenure > 0 || parent == "" {
		return out, err
	}
	above, err := r.tenure(h.Above, h.At, parent)
	out.Above = &above
	return out, err
}

// tenure shows a tenure by its place in the office's row.
func (r *reader) tenure(n int32, at instant, unit domain.UnitCode) (HeadRef, error) {
	out := HeadRef{Unit: unit, At: at.time(), Vacant: n == 0}
	o, err := r.office(unit)
	if err != nil || n == 0 {
		return out, err
	}
	if int(n) > len(o.Tenures) {
		return out, fmt.Errorf("projections: office of %s has %d tenures, a row names the %dth", unit, len(o.Tenures), n)
	}
	return r.held(o.Tenures[n-1], at, unit)
}

func (r *reader) held(t domain.Tenure, at instant, unit domain.UnitCode) (HeadRef, error) {
	p, err := r.person(t.Person)
	since := t.From
	return HeadRef{Person: &p, Unit: unit, Capacity: t.Capacity, Title: t.Title, Since: &since, At: at.time()}, err
}

// headAt resolves a head from the offices as known at the reader's instant, where no row keeps it.
func (r *reader) headAt(unit, parent domain.UnitCode, at instant, find func(domain.Office) (domain.Tenure, bool)) (HeadRef, error) {
	o, err := r.office(unit)
	if err != nil {
		return HeadRef{}, err
	}
	if t, ok := find(o); ok {
		return r.held(t, at, unit)
	}
	out := HeadRef{Unit: unit, At: at.time(), Vacant: true}
	if parent != "" {
		above, err := r.headAt(parent, "", at, headAt(at.time()))
		if err != nil {
			return out, err
		}
		out.Above = &above
	}
	return out, nil
}

// children tells who answers for each number that a consolidated report is made of (rule 9).
func (r *reader) children(x row, newest VersionRow) ([]ChildAnswer, error) {
	form, ok := r.forms[x.day.duties[x.duty].Consolidates]
	if !ok {
		return nil, nil
	}
	var out []ChildAnswer
	for _, pin := range newest.Children {
		n, err := r.unitNumber(pin.Unit)
		if err != nil {
			return nil, err
		}
		c := ChildAnswer{Unit: pin.Unit, UnitName: r.name(r.unit(n), x.day.key.date), Version: pin.Version, Digest: pin.Digest}
		k := domain.ReportKey{Regime: x.day.key.regime, Form: r.formByN[form], Unit: pin.Unit, Date: x.day.key.date}
		child, ok, err := r.one(k)
		if err != nil {
			return nil, err
		}
		if ok {
			entries, err := r.entries(child.id)
			if err != nil {
				return nil, err
			}
			report := reportOf(k, entries)
			c.Newest = len(report.Versions)
			if pin.Version >= 1 && pin.Version <= len(report.Versions) {
				v := report.Versions[pin.Version-1]
				when := child.state.Due
				if v.FiguresOf > 1 {
					when = at(v.FiguresAt)
				}
				find := func(o domain.Office) (domain.Tenure, bool) { return domain.Answerable(o, v, child.state.Due.time()) }
				if c.Answerable, err = r.headAt(pin.Unit, r.unit(child.parent).code, when, find); err != nil {
					return nil, err
				}
			}
		}
		out = append(out, c)
	}
	return out, nil
}
