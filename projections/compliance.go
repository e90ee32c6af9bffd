package projections

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/eventlog"
)

// complianceState is where an obligation stood from an instant of knowledge on.
type complianceState struct {
	From       instant             `json:"f"`
	Status     domain.Status       `json:"s"`
	SignOff    domain.SignOffState `json:"o"`
	Due        instant             `json:"d"`
	SignOffDue instant             `json:"sd"`
	Received   instant             `json:"r"`
	Digest     string              `json:"h"`
	Breaches   []domain.BreachKind `json:"b"`
	OutOfDate  []domain.UnitCode   `json:"u"`
	Version    int32               `json:"v"`
	Reminders  int32               `json:"m"`
	Nil        bool                `json:"z"`
	Excused    bool                `json:"x"`
	Exempt     bool                `json:"e"` // also of what was filed all the same, which keeps its judgement
}

func (c complianceState) same(d complianceState) bool {
	return c.Status == d.Status && c.Nil == d.Nil && c.Excused == d.Excused && slices.Equal(c.Breaches, d.Breaches) &&
		c.SignOff == d.SignOff && c.Due == d.Due && c.SignOffDue == d.SignOffDue && c.Received == d.Received &&
		c.Version == d.Version && c.Digest == d.Digest && slices.Equal(c.OutOfDate, d.OutOfDate) && c.Reminders == d.Reminders && c.Exempt == d.Exempt
}

func (c complianceState) known() instant { return c.From }

// complianceChanged says with domain's rules where the obligation stands now.
func (w *set) complianceChanged(s *slot) { s.stands(w.standing(s)) }

func (w *set) standing(s *slot) complianceState {
	c := complianceState{From: w.known, Status: s.report.Status(s.exempt), SignOff: s.report.SignOffState(),
		Due: s.due, SignOffDue: s.signOffDue, OutOfDate: s.outOfDate, Reminders: int32(s.report.Reminders), Exempt: s.exempt}
	if n := len(s.report.Versions); n > 0 {
		v := &s.report.Versions[n-1]
		c.Nil, c.Received, c.Version, c.Digest = v.Content.Nil, at(s.report.Versions[0].ReceivedAt), int32(v.Number), v.Digest
	}
	for _, b := range s.report.Breaches {
		if b.Withdrawn == nil {
			c.Breaches = append(c.Breaches, b.Breach)
			c.Excused = c.Excused || b.Excused != nil
		}
	}
	return c
}

func (s *slot) stands(c complianceState) {
	var changed bool
	if s.compliance, changed = states(s.compliance, c, complianceState.known, complianceState.same); !changed {
		return
	}
	s.dirty |= dirtyRow
	s.foundNow()
	if waits := waitsForSignature(c.SignOff); waits != s.waiting {
		s.waiting = waits
		s.dirty |= dirtyQueue
	}
}

// appendCompliance writes each state as what differs from the one before it, so that a deadline or a digest stands once.
func appendCompliance(b []byte, all []complianceState) []byte {
	var was complianceState
	for i, c := range all {
		if i == 0 {
			b = append(b, '[')
		} else {
			b = append(b, ',')
		}
		o := object(append(b, '{'))
		o.number("f", int64(c.From))
		if c.Status != was.Status {
			o.name("s")
			o = appendText(o, string(c.Status))
		}
		if c.SignOff != was.SignOff {
			o.name("o")
			o = appendText(o, string(c.SignOff))
		}
		o.changedFlag("z", was.Nil, c.Nil)
		o.changedFlag("x", was.Excused, c.Excused)
		o.changedFlag("e", was.Exempt, c.Exempt)
		o.changed("d", int64(was.Due), int64(c.Due))
		o.changed("sd", int64(was.SignOffDue), int64(c.SignOffDue))
		o.changed("r", int64(was.Received), int64(c.Received))
		o.changed("v", int64(was.Version), int64(c.Version))
		o.changed("m", int64(was.Reminders), int64(c.Reminders))
		if c.Digest != was.Digest {
			o.name("h")
			o = appendText(o, c.Digest)
		}
		if !slices.Equal(c.Breaches, was.Breaches) {
			o.name("b")
			o = appendTexts(o, c.Breaches)
		}
		if !slices.Equal(c.OutOfDate, was.OutOfDate) {
			o.name("u")
			o = appendTexts(o, c.OutOfDate)
		}
		o.end()
		b, was = o, c
	}
	return append(b, ']')
}

func readCompliance(doc string) ([]complianceState, error) {
	if all, ok := scanCompliance(doc); ok {
		return all, nil
	}
	return decodeCompliance(doc)
}

func decodeCompliance(doc string) ([]complianceState, error) {
	d := jsontext.NewDecoder(strings.NewReader(doc))
	if _, err := d.ReadToken(); err != nil {
		return nil, err
	}
	var all []complianceState
	var c complianceState
	for d.PeekKind() == '{' {
		c.Breaches, c.OutOfDate = slices.Clone(c.Breaches), slices.Clone(c.OutOfDate) // a decoder writes into what is there
		if err := json.UnmarshalDecode(d, &c); err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	_, err := d.ReadToken()
	return all, err
}

// Compliance lists obligations and where they stand.
func (v *Views) Compliance(ctx context.Context, q ComplianceQuery) (CompliancePage, error) {
	var page CompliancePage
	after, err := parseCursor(q.After)
	if err != nil {
		return page, err
	}
	limit := limited(q.Limit)
	page.At, err = v.ask(ctx, q.AsOf, q.KnownAt, func(r *reader) error {
		days, err := r.days(q.Regime, q.From, q.To)
		if err != nil {
			return err
		}
		var rows []row
		err = r.each(rowsQuery{days: days, form: q.Form, unit: q.Unit, parent: q.Parent, status: q.Status, after: after}, func(x row) (bool, error) {
			if len(rows) == limit {
				last := rows[limit-1]
				page.Next = cursor{last.day.key.date, last.id}.String()
				return false, nil
			}
			rows = append(rows, x)
			return true, nil
		})
		if err != nil {
			return err
		}
		page.Rows, err = r.complianceRows(rows)
		return err
	})
	return page, err
}

func (r *reader) complianceRows(rows []row) ([]ComplianceRow, error) {
	ns := make([]int64, 0, 2*len(rows))
	for _, x := range rows {
		ns = append(ns, x.id.unit(), x.parent, x.area)
	}
	if err := r.loadUnits(ns...); err != nil {
		return nil, err
	}
	out := make([]ComplianceRow, 0, len(rows))
	for _, x := range rows {
		out = append(out, r.complianceRow(x))
	}
	return out, nil
}

// complianceRow shows a row whose units have been loaded.
func (r *reader) complianceRow(x row) ComplianceRow {
	c, u := x.state, r.unit(x.id.unit())
	out := ComplianceRow{Slot: slotName(r.key(x)), Duty: x.day.duties[x.duty].Duty, UnitName: r.name(u, x.day.key.date), Parent: r.unit(x.area).code, Absent: r.absent(u),
		Level: u.Level, Status: c.Status, Nil: c.Nil, Excused: c.Excused, Breaches: c.Breaches, SignOff: c.SignOff, Due: c.Due.time(),
		SignOffDue: c.SignOffDue.optional(), ReceivedAt: c.Received.optional(), Version: int(c.Version), Digest: c.Digest,
		OutOfDate: c.OutOfDate, Reminders: int(c.Reminders), Determinable: true, KnownFrom: c.From.time()}
	if c.Status == domain.StatusLate {
		late := c.Received.time().Sub(c.Due.time())
		out.Late = &late
	}
	if from, doubt := r.notDeterminable(x.day.key.regime, u.code); doubt {
		out.Determinable, out.KnownFrom = false, max(c.From, from).time()
	}
	return out
}

// BoardQuery asks for a day's counts. Area "" is every area and the total of all.
type BoardQuery struct {
	Regime  domain.RegimeID
	Date    domain.Date
	Area    domain.UnitCode
	AsOf    domain.Date
	KnownAt *time.Time
}

// Board counts a day's obligations, in all and per area. Of one area alone it tells nothing of the others: the total is
// then that area's.
func (v *Views) Board(ctx context.Context, q BoardQuery) (DayBoard, error) {
	regime, date := q.Regime, q.Date
	board := DayBoard{Regime: regime, Date: date}
	var err error
	board.At, err = v.ask(ctx, q.AsOf, q.KnownAt, func(r *reader) error {
		if _, err := r.knownUnit("/area", q.Area); err != nil {
			return err
		}
		days, err := r.days(regime, date, date)
		if err != nil || len(days) == 0 {
			return err
		}
		board.Opened, board.Closed = true, days[0].closed != 0 && days[0].closed <= r.known
		areas := map[int64]*BoardCounts{}
		if len(r.parked) > 0 { // then rows are told apart by unit
			if err := r.unitsWhere("1 = 1", nil); err != nil {
				return err
			}
		}
		err = r.each(rowsQuery{days: days, parent: q.Area}, func(x row) (bool, error) {
			if areas[x.area] == nil {
				areas[x.area] = &BoardCounts{}
			}
			_, doubt := r.notDeterminable(regime, r.unit(x.id.unit()).code)
			areas[x.area].count(x.state, doubt)
			board.Total.count(x.state, doubt)
			return true, nil
		})
		if err != nil {
			return err
		}
		ns := slices.Sorted(maps.Keys(areas))
		if err := r.loadUnits(slices.Clone(ns)...); err != nil {
			return err
		}
		for _, n := range ns {
			a := areas[n]
			if n != 0 {
				a.Area, a.AreaName = r.unit(n).code, r.name(r.unit(n), date)
			}
			board.Areas = append(board.Areas, *a)
		}
		slices.SortFunc(board.Areas, func(a, b BoardCounts) int { return cmp.Compare(a.Area, b.Area) })
		return nil
	})
	return board, err
}

// count adds one obligation. One whose unit is not determinable counts as that alone: its last known status may be wrong.
func (b *BoardCounts) count(c complianceState, doubt bool) {
	b.Obligations++
	if doubt {
		b.NotDeterminable++
		return
	}
	switch c.Status {
	case domain.StatusOnTime:
		b.OnTime++
	case domain.StatusLate:
		b.Late++
	case domain.StatusMissing:
		b.Missing++
	case domain.StatusExempt:
		b.Exempt++
	case domain.StatusDue:
		b.Due++
	}
	if c.Nil {
		b.Nil++
	}
	if c.Excused {
		b.Excused++
	}
	if c.Version > 0 && c.SignOff != domain.SignOffSigned {
		b.Unsigned++
	}
}

// UnitRecords tells how units kept their duties over the days: one record per unit and form.
func (v *Views) UnitRecords(ctx context.Context, q ComplianceQuery) (UnitRecordPage, error) {
	var page UnitRecordPage
	var err error
	page.At, err = v.ask(ctx, q.AsOf, q.KnownAt, func(r *reader) error {
		days, err := r.days(q.Regime, q.From, q.To)
		if err != nil {
			return err
		}
		type duty struct{ form, unit int64 }
		records := map[duty]*UnitRecord{}
		err = r.each(rowsQuery{days: days, form: q.Form, unit: q.Unit, parent: q.Parent}, func(x row) (bool, error) {
			k := duty{x.id.form(), x.id.unit()}
			if records[k] == nil {
				records[k] = &UnitRecord{Form: r.formByN[k.form], Determinable: true}
			}
			records[k].judge(x.state.Status)
			return true, nil
		})
		if err != nil {
			return err
		}
		var ns []int64
		for k := range records {
			ns = append(ns, k.unit)
		}
		if err := r.loadUnits(ns...); err != nil {
			return err
		}
		for k, u := range records {
			unit := r.unit(k.unit)
			u.Unit, u.UnitName = unit.code, r.name(unit, "")
			if _, doubt := r.notDeterminable(q.Regime, unit.code); doubt {
				u.Determinable = false
			}
			if u.Days > 0 {
				u.OnTimePercent = 100 * float64(u.OnTime) / float64(u.Days)
				u.ReceivedPercent = 100 * float64(u.OnTime+u.Late) / float64(u.Days)
			}
			page.Records = append(page.Records, *u)
		}
		slices.SortFunc(page.Records, func(a, b UnitRecord) int { return cmp.Or(cmp.Compare(a.Unit, b.Unit), cmp.Compare(a.Form, b.Form)) })
		return nil
	})
	return page, err
}

// judge adds a day, in order of days. A day on which nothing was owed, or nothing is judged yet, breaks no streak.
func (u *UnitRecord) judge(s domain.Status) {
	switch s {
	case domain.StatusOnTime:
		u.OnTime++
		u.Streak++
		u.LongestStreak = max(u.LongestStreak, u.Streak)
	case domain.StatusLate:
		u.Late++
		u.Streak = 0
	case domain.StatusMissing:
		u.Missing++
		u.Streak = 0
	case domain.StatusExempt:
		u.Exempt++
		return
	default:
		return
	}
	u.Days++
}

// Digest is the SHA-256, in hex, of where every obligation of a day stands, and the position it was taken at: DayClosed
// carries both, so that what was shown when the day was closed can be checked by replay. A line per obligation, sorted by
// form and unit, in the JSON of a compliance state without the instant it became known.
func (v *Views) Digest(ctx context.Context, regime domain.RegimeID, date domain.Date) (string, eventlog.Position, error) {
	var lines []string
	a, err := v.ask(ctx, "", nil, func(r *reader) error {
		days, err := r.days(regime, date, date)
		if err != nil {
			return err
		}
		if err := r.unitsWhere("1 = 1", nil); err != nil {
			return err
		}
		return r.each(rowsQuery{days: days}, func(x row) (bool, error) {
			k := r.key(x)
			x.state.From = 0
			line := string(k.Form) + " " + string(k.Unit) + " " + string(appendCompliance(nil, []complianceState{x.state}))
			if _, doubt := r.notDeterminable(regime, k.Unit); doubt {
				line += " not determinable"
			}
			lines = append(lines, line+"\n")
			return true, nil
		})
	})
	if err != nil {
		return "", eventlog.Position{}, err
	}
	slices.Sort(lines)
	h := sha256.New()
	for _, l := range lines {
		h.Write([]byte(l))
	}
	return hex.EncodeToString(h.Sum(nil)), a.Position, nil
}
