package binhduong2021

import (
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/answerable-ledger/answerable/domain"
)

// Story is the whole demonstration: how the organisation is set up, and what is attempted from 5 to 10 February 2021, in
// the order of the ledger's clock. The ledger closes the days by itself in between.
func (x *Example) Story(seed uint64) []Attempt {
	w := &week{x: x, seed: seed, figures: NewFigures(x, seed), plans: map[domain.ReportKey]*plan{}}
	w.organisation()
	w.plan()
	w.cases()
	w.file()
	slices.SortStableFunc(w.attempts, func(a, b Attempt) int { return a.At.Compare(b.At) })
	for i := range w.attempts {
		w.attempts[i].Name = strconv.Itoa(i)
	}
	return w.attempts
}

// week collects the story.
type week struct {
	x        *Example
	seed     uint64
	figures  *Figures
	attempts []Attempt
	plans    map[domain.ReportKey]*plan
	keys     []domain.ReportKey // of plans, in the order of days, duties and units
}

func (w *week) add(t time.Time, by domain.PersonID, a Act) *Attempt {
	w.attempts = append(w.attempts, Attempt{At: t, Actor: by, Channel: domain.ChannelWeb, Act: a})
	return &w.attempts[len(w.attempts)-1]
}

// organisation registers persons, units and offices on the morning of the first day, before the regime is issued.
func (w *week) organisation() {
	t := at(w.x.Rules.FirstDay, 6, 0)
	next := func() time.Time { t = t.Add(20 * time.Millisecond); return t }
	person := func(p domain.PersonID, name string, synthetic bool, by domain.PersonID) {
		w.add(next(), by, RegisterPerson{domain.PersonRegistered{Person: p, Name: name, Synthetic: synthetic}})
	}
	role := func(p domain.PersonID, r domain.Role, u domain.UnitCode, by domain.PersonID) {
		from := next()
		w.add(from, by, GrantRole{Person: p, Role: r, Unit: u, From: from})
	}
	synthetic := func(p domain.PersonID, r domain.Role, u domain.UnitCode) {
		person(p, name(w.seed, p), true, Admin)
		role(p, r, u, Admin)
	}
	// The first administrator comes from the ledger itself; everybody else from the administrator.
	person(Admin, name(w.seed, Admin), true, domain.System)
	role(Admin, domain.RoleAdmin, "", domain.System)
	synthetic(Operator, domain.RoleDepartment, "")
	synthetic(Operator2, domain.RoleDepartment, "")
	synthetic(Inspector, domain.RoleInspector, "")
	for _, u := range w.x.Units {
		w.add(next(), Operator, RegisterUnit{u})
	}
	w.add(next(), Operator, ReclassifyUnit{w.x.Reclassified})

	person(FormerChairman, "Trần Thanh Liêm", false, Admin)
	person(Chairman, "Nguyễn Hoàng Thao", false, Admin)
	elected := at("2020-10-02", 0, 0)
	w.add(next(), Operator, TakeOffice{domain.OfficeTaken{Unit: Province, Person: FormerChairman, Capacity: domain.CapacityHead,
		Title: w.x.HeadTitle(Province), From: at("2020-08-17", 0, 0), Decision: "Ký Chỉ thị 12/CT-UBND ngày 17/8/2020; ngày nhận chức không rõ"}})
	w.add(next(), Operator, LeaveOffice{domain.OfficeLeft{Unit: Province, Person: FormerChairman, Until: elected, Reason: "Thôi giữ chức Chủ tịch UBND tỉnh ngày 02/10/2020"}})
	w.add(next(), Operator, TakeOffice{domain.OfficeTaken{Unit: Province, Person: Chairman, Capacity: domain.CapacityHead,
		Title: w.x.HeadTitle(Province), From: elected, Decision: "HĐND tỉnh bầu ngày 02/10/2020"}})
	role(Chairman, domain.RoleHead, Province, Admin)

	for _, u := range w.x.Units {
		if u.Level == domain.LevelProvince {
			continue
		}
		synthetic(Filer(u.Unit), domain.RoleFiler, u.Unit)
		synthetic(Head(u.Unit), domain.RoleHead, u.Unit)
		if u.Level == domain.LevelDistrict {
			synthetic(Officer(u.Unit), domain.RoleDistrict, u.Unit)
		}
		w.add(next(), Operator, TakeOffice{domain.OfficeTaken{Unit: u.Unit, Person: Head(u.Unit), Capacity: domain.CapacityHead,
			Title: w.x.HeadTitle(u.Unit), From: at("2020-11-01", 0, 0), Decision: "Quyết định bổ nhiệm (giả lập)"}})
	}
	for _, u := range []domain.UnitCode{tanBinh, anSon} {
		synthetic(Successor(u), domain.RoleHead, u)
	}
	for _, u := range []domain.UnitCode{benCat, myPhuoc} {
		synthetic(Deputy(u), domain.RoleHead, u)
	}
	w.add(at(w.x.Rules.FirstDay, 7, 30), Operator, IssueRegime{Regime, w.x.Rules})
}

// plan is what becomes of one obligation; the zero times are things that do not happen.
type plan struct {
	duty    domain.Duty
	parent  domain.UnitCode
	filed   time.Time
	signed  time.Time
	filer   domain.PersonID
	channel domain.Channel
	figures domain.Figures
	empty   bool // a nil report
	told    bool // by hand: no chance correction
	note    string
}

// note stands on every report: nobody shall take the figures for real ones.
const note = "Số liệu giả lập để trình diễn."

// plan draws the ordinary course of every obligation: most on time and signed, some late, some missing.
func (w *week) plan() {
	for _, d := range w.x.Days() {
		for _, duty := range w.x.Rules.Duties {
			for _, u := range w.x.Holders(duty) {
				key := domain.ReportKey{Regime: Regime, Form: duty.Form, Unit: u, Date: d}
				w.keys = append(w.keys, key)
				w.plans[key] = w.draw(key, duty)
			}
		}
	}
}

func (w *week) draw(key domain.ReportKey, duty domain.Duty) *plan {
	r := rng(w.seed, "plan", key.Stream())
	p := &plan{duty: duty, parent: w.x.byCode[key.Unit].Parent, filer: Filer(key.Unit), channel: domain.ChannelWeb, note: note,
		figures: w.figures.Of(key.Form, key.Unit, key.Date)}
	if n := r.IntN(100); n < 8 {
		p.channel = domain.ChannelMail
	} else if n < 24 {
		p.channel = domain.ChannelSpreadsheet
	}
	minute := func(from, span int) time.Time {
		return at(key.Date, 0, from).Add(time.Duration(r.Int64N(int64(span)*60_000)) * time.Millisecond)
	}
	switch duty.ID {
	case "item2a":
		p.filed = minute(9*60, 255) // until 13:15
		if r.IntN(10) == 0 {
			p.filed = minute(13*60+15, 40)
		}
	case "item2b":
		p.filer, p.filed = Officer(key.Unit), minute(14*60+8, 40)
	default:
		p.filed = minute(8*60+30, 340) // until 14:10
		if r.IntN(12) == 0 {
			p.filed = minute(14*60+10, 45)
		}
	}
	due, _ := duty.Due.On(key.Date, domain.HoChiMinh)
	switch n := r.IntN(1000); {
	case n < 22: // late the same day
		p.filed = due.Add(time.Duration(r.Int64N(50*60_000)) * time.Millisecond)
	case n < 30: // missing, and filed the next morning
		p.filed = at(key.Date.AddDays(1), 8, r.IntN(50))
	case n < 46 && duty.ID != "item2b": // missing
		p.filed = time.Time{}
	}
	if key.Date == w.x.Rules.LastDay && p.filed.After(at(key.Date, 24, 0)) {
		p.filed = time.Time{} // the story ends
	}
	w.sign(p, key, r.IntN(100) >= 3)
	return p
}

// sign plans the signature within the day, or a little later when it was filed late in the day.
func (w *week) sign(p *plan, key domain.ReportKey, willing bool) {
	p.signed = time.Time{}
	if p.filed.IsZero() || !willing {
		return
	}
	r := rng(w.seed, "sign", key.Stream())
	p.signed = p.filed.Add(5*time.Minute + time.Duration(r.Int64N(80*60_000))*time.Millisecond)
	if closes := at(key.Date, 16, 58); p.signed.After(closes) && p.filed.Before(closes.Add(-10*time.Minute)) {
		p.signed = p.filed.Add(time.Duration(r.Int64N(int64(closes.Sub(p.filed)/time.Millisecond))) * time.Millisecond)
	}
}

// file turns the plans into attempts: filings, signatures, and the reminders to whoever has not filed in time.
func (w *week) file() {
	for _, key := range w.keys {
		p := w.plans[key]
		if !p.filed.IsZero() {
			a := w.add(p.filed, p.filer, Submit{Key: key, Figures: p.figures, Nil: p.empty, Note: p.note})
			a.Channel = p.channel
		}
		if !p.signed.IsZero() {
			w.add(p.signed, w.headAt(key.Unit, p.signed), Sign{Key: key, Version: 1})
		}
		w.remind(key, p)
		w.correct(key, p)
	}
	for _, d := range w.x.Days() {
		w.add(at(d, 17, 30), Operator, Issue{Date: d, To: "UBND tỉnh Bình Dương", Note: note})
	}
	w.add(at("2021-02-09", 17, 40), Operator, Issue{Date: "2021-02-08", To: "UBND tỉnh Bình Dương",
		Note: "Phát hành lại sau khi các xã đính chính. " + note})
}

// correct: one report in fifty is corrected by chance, before its signature or after it, and signed then.
func (w *week) correct(key domain.ReportKey, p *plan) {
	r := rng(w.seed, "correct", key.Stream())
	if r.IntN(50) != 0 || p.told || p.empty || p.filed.IsZero() || p.signed.IsZero() || p.duty.Consolidates != "" {
		return
	}
	f := maps.Clone(p.figures)
	f[f.Names()[0]]++
	t, version := p.filed.Add(2*time.Minute), 2
	if r.IntN(2) == 0 {
		t = p.signed.Add(12 * time.Minute)
	}
	w.add(t, p.filer, Correct{Submit: Submit{Key: key, Figures: f, Note: note}, Replaces: 1, Correction: domain.CorrectionContent,
		Reason: "Đối chiếu lại với danh sách của đơn vị."})
	if t.Before(p.signed) { // the head signs what is newest; the plan's own signature would be of version 1
		w.replaceSignature(key, p.signed, version)
		return
	}
	w.add(t.Add(20*time.Minute), w.headAt(key.Unit, t.Add(20*time.Minute)), Sign{Key: key, Version: version})
}

// replaceSignature makes a planned signature one of another version.
func (w *week) replaceSignature(key domain.ReportKey, t time.Time, version int) {
	for i, a := range w.attempts {
		if s, ok := a.Act.(Sign); ok && s.Key == key && a.At.Equal(t) {
			w.attempts[i].Act = Sign{Key: key, Version: version}
		}
	}
}

// remind: districts urge their communes at 13:30, the department urges everybody else at 14:30.
func (w *week) remind(key domain.ReportKey, p *plan) {
	t, by, text := at(key.Date, 14, 30), Operator, "Đề nghị gửi báo cáo trước 15:00."
	if p.duty.ID == "item2a" {
		t, by, text = at(key.Date, 13, 30), Officer(p.parent), "Đề nghị gửi báo cáo trước 14:00."
	}
	if p.duty.ID == "item2b" || !p.filed.IsZero() && !p.filed.After(t) || w.exempt(key) {
		return
	}
	w.add(t, by, Remind{Key: key, Via: "sms", Text: text})
}

func (w *week) exempt(key domain.ReportKey) bool {
	return key.Date == tetBreak && w.x.byCode[key.Unit].Type == "dai_hoc"
}

// headAt is who heads a unit at an instant of the story; "" in a vacancy.
func (w *week) headAt(u domain.UnitCode, t time.Time) domain.PersonID {
	switch {
	case u == tanBinh && !t.Before(tanBinhHandover):
		return Successor(u)
	case u == anSon && !t.Before(anSonActing):
		return Successor(u)
	case u == anSon && !t.Before(anSonVacant):
		return ""
	}
	return Head(u)
}
