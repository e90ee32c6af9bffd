package domaintest

import (
	"slices"
	"time"

	"github.com/answerable-ledger/answerable/domain"
)

// Act is the sort of an attempt.
type Act string

// What people try, and what the ledger does by itself. Each is played by the one decision of its name.
const (
	Open     Act = "open" // a day
	Close    Act = "close"
	CloseDay Act = "close_day"
	Judge    Act = "judge"
	Submit   Act = "submit"
	Correct  Act = "correct"
	Erratum  Act = "erratum"
	Return   Act = "return"
	SignOff  Act = "sign_off"
	Explain  Act = "explain"
	Excuse   Act = "excuse"
	Uphold   Act = "uphold"
	Remind   Act = "remind"
	Extend   Act = "extend"
	Exempt   Act = "exempt"
	Amend    Act = "amend"
	Leave    Act = "leave" // office
	Take     Act = "take"
	Grant    Act = "grant" // authority to sign
	Revoke   Act = "revoke"
	Move     Act = "move" // a unit to another parent
	Issue    Act = "issue"
)

// Attempt is something tried at one time and recorded, if it is allowed, at that time or later.
type Attempt struct {
	Act      Act
	Received time.Time
	Recorded time.Time // by the ledger's clock; the attempts of a list are in its order
	By       domain.PersonID
	Key      domain.ReportKey // for acts on a day only Regime and Date, for acts on a unit only Unit
	Version  int              // the version looked at; 0 is whatever is the newest when it is tried
	Figures  domain.Figures
	Nil      bool
	Note     string
	Reason   string
	Breach   domain.BreachKind
	Person   domain.PersonID // who takes or leaves office, or gets authority
	Until    time.Time       // end of an authority; new deadline of an extension
	To       domain.UnitCode // new parent of a unit
}

// Attempts makes up n attempts of people over the world's days, some of them wrong, between the acts by which the ledger
// opens and closes these days. They cluster where rules are decided: around deadlines, before and after closings.
func (w World) Attempts(s Source, n int) []Attempt {
	var out []Attempt
	for _, d := range w.Days {
		midnight := w.at("00:00", d)
		add := func(act Act, at time.Time) {
			out = append(out, Attempt{Act: act, Received: at, Recorded: at, By: domain.System, Key: domain.ReportKey{Regime: w.Regime, Date: d}})
		}
		add(Open, midnight.Add(-6*time.Hour))
		for range 2 { // closing is asked more than once (rule 3)
			add(Close, w.at("14:05", d))
			add(Close, w.at("15:05", d))
			add(Close, w.at("17:05", d))
		}
		// After the longest extension, so that every day is closed.
		add(Close, midnight.Add(30*time.Hour))
		add(Judge, midnight.Add(30*time.Hour))
		add(CloseDay, midnight.Add(30*time.Hour))
	}
	for range n {
		out = append(out, w.attempt(s))
	}
	slices.SortStableFunc(out, func(a, b Attempt) int { return a.Recorded.Compare(b.Recorded) })
	return out
}

func (w World) attempt(s Source) Attempt {
	// Filing and signing are most of life.
	acts := []Act{Submit, Submit, Submit, Submit, Submit, Submit, Correct, Correct, Correct, Erratum, Return, SignOff, SignOff, SignOff, Explain,
		Excuse, Uphold, Remind, Extend, Exempt, Amend, Leave, Take, Grant, Revoke, Move, Issue}
	holders := w.holders()
	h := holders[s.IntN(len(holders))]
	a := Attempt{Act: acts[s.IntN(len(acts))], Key: domain.ReportKey{Regime: w.Regime, Form: h.form, Unit: h.unit, Date: w.Days[s.IntN(len(w.Days))]}}
	a.Received = w.when(s, h.duty, a.Key.Date)
	a.Recorded = a.Received.Add([]time.Duration{0, 0, 0, time.Millisecond, 40 * time.Second, 8 * time.Minute, 3 * time.Hour}[s.IntN(7)])
	a.By = w.by(s, a.Act, h.unit)
	a.Reason = []string{"", "bổ sung số liệu nhận muộn", "đối chiếu lại với danh sách của khu phố"}[min(s.IntN(9), 2)]
	a.Note = []string{"đã đối chiếu", "đã đối chiếu", "đã đối chiếu", ""}[s.IntN(4)]
	switch a.Act {
	case Submit, Correct:
		switch s.IntN(8) {
		case 0:
			a.Nil = true
		case 1: // empty, which is not nil (rule 11); for a district it is all that needs typing in
		default:
			a.Figures = ownFigures(s, w.Forms[h.form])
		}
	case SignOff, Return:
		a.Version = []int{0, 0, 0, 1, 2}[s.IntN(5)]
	case Explain, Excuse, Uphold:
		a.Breach = []domain.BreachKind{domain.BreachMissing, domain.BreachLate, domain.BreachUnsigned}[s.IntN(3)]
	case Extend:
		a.Until = w.at(h.due, a.Key.Date).Add(time.Duration(s.IntN(8)-1) * time.Hour)
	case Leave, Take, Grant, Revoke:
		a.Person = []domain.PersonID{Head(h.unit), Successor(h.unit), Deputy(h.unit)}[s.IntN(3)]
		a.Until = a.Received.Add(time.Duration(s.IntN(48)) * time.Hour)
	case Move:
		a.To = holders[s.IntN(len(holders))].parent
	}
	return a
}

// ownFigures leaves out what a consolidating unit does not fill in itself.
func ownFigures(s Source, form domain.Form) domain.Figures {
	f := Figures(s, form)
	if !slices.ContainsFunc(form.Fields, func(x domain.Field) bool { return x.RollUp == domain.RollUpReported }) {
		return f
	}
	for _, x := range form.Fields {
		if x.RollUp == domain.RollUpSum {
			delete(f, x.Name)
		}
	}
	return f
}

// when is mostly near a deadline: well before, just before, exactly at it, after it, after the closing, the day after.
func (w World) when(s Source, duty domain.Duty, d domain.Date) time.Time {
	due := w.at(duty.Due, d)
	at := []time.Duration{-8 * time.Hour, -3 * time.Hour, -time.Hour, -time.Minute, -time.Nanosecond, 0, time.Second,
		4 * time.Minute, 6 * time.Minute, 2 * time.Hour, 4 * time.Hour, 20 * time.Hour}
	return due.Add(at[s.IntN(len(at))])
}

// by is mostly who may.
func (w World) by(s Source, act Act, u domain.UnitCode) domain.PersonID {
	if s.IntN(10) == 0 {
		return w.Persons[s.IntN(len(w.Persons))].Person
	}
	switch act {
	case Submit, Correct, Erratum:
		return Filer(u)
	case SignOff, Return, Explain, Grant, Revoke:
		return []domain.PersonID{Head(u), Head(u), Head(u), Successor(u), Deputy(u)}[s.IntN(5)]
	}
	return Department
}

type holder struct {
	unit, parent domain.UnitCode
	form         domain.FormID
	duty         domain.Duty
	due          domain.ClockTime
}

func (w World) holders() []holder {
	var out []holder
	for _, duty := range w.Rules.Duties {
		for _, u := range w.Units {
			if duty.Holders.Hold(domain.Unit{Code: u.Unit, Level: u.Level, Type: u.Type}) {
				out = append(out, holder{u.Unit, u.Parent, duty.Form, duty, duty.Due})
			}
		}
	}
	return out
}

func (w World) at(c domain.ClockTime, d domain.Date) time.Time {
	t, err := c.On(d, domain.HoChiMinh)
	if err != nil {
		panic(err)
	}
	return t
}
