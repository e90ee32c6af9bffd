package binhduong2021

import (
	"time"

	"github.com/answerable-ledger/answerable/domain"
)

// The units of the cases below.
const (
	anSon       domain.UnitCode = "25981" // An Sơn, Thuận An: vacancy, then an acting head
	myPhuoc     domain.UnitCode = "25813" // Mỹ Phước, Bến Cát: an authority that expired
	benCat      domain.UnitCode = "721"   // a deputy signs KT.
	dauTieng    domain.UnitCode = "720"   // an extension
	bacTanUyen  domain.UnitCode = "726"   // a consolidation that becomes out of date
	diAn        domain.UnitCode = "724"   // received at 14:59:59.9
	thuanAn     domain.UnitCode = "725"   // received at 15:00:00.000
	hiepThanh   domain.UnitCode = "25741" // corrected before the signature
	laiThieu    domain.UnitCode = "25966" // an erratum of form
	phuAn       domain.UnitCode = "25855" // returned by its head
	tanDinh     domain.UnitCode = "25852" // a late report, explained and excused
	phuChanh    domain.UnitCode = "25924" // a missing report, explained and upheld
	chanhPhuHoa domain.UnitCode = "25837" // a denominator that moved
	phuLoi      domain.UnitCode = "25744" // a second submission, refused
)

// tetBreak is the day the universities are exempt.
const tetBreak domain.Date = "2021-02-10"

// The instants at which offices change hands.
var (
	tanBinhHandover = at("2021-02-09", 8, 0)
	anSonVacant     = at("2021-02-06", 17, 30)
	anSonActing     = at("2021-02-09", 8, 0)
)

func report(form domain.FormID, u domain.UnitCode, d domain.Date) domain.ReportKey {
	return domain.ReportKey{Regime: Regime, Form: form, Unit: u, Date: d}
}

// cases tells by hand what the ledger is made for.
func (w *week) cases() {
	w.settle()
	w.deadlines()
	w.corrections()
	w.offices()
	w.grants()
	w.breaches()
	w.refusals()
}

// settle takes the units of the cases out of chance: what the cases do not say goes well.
func (w *week) settle() {
	told := map[domain.UnitCode]bool{tanBinh: true, exactly60: true, justMissed: true, anSon: true, myPhuoc: true, benCat: true,
		dauTieng: true, bacTanUyen: true, diAn: true, thuanAn: true, hiepThanh: true, laiThieu: true, phuAn: true, tanDinh: true,
		phuChanh: true, chanhPhuHoa: true, phuLoi: true, "so_gtvt": true, "so_khdt": true}
	for _, key := range w.keys {
		p := w.plans[key]
		due, _ := p.duty.Due.On(key.Date, domain.HoChiMinh)
		p.told = told[key.Unit]
		if told[key.Unit] && (p.filed.IsZero() || !p.filed.Before(due) || p.signed.IsZero()) {
			p.filed = due.Add(-50 * time.Minute)
			if p.duty.ID == "item2b" {
				p.filed = due.Add(-25 * time.Minute)
			}
			w.sign(p, key, true)
		}
		if w.headAt(key.Unit, p.signed) == "" {
			p.signed = time.Time{}
		}
	}
}

func (w *week) filedAt(key domain.ReportKey, t time.Time) *plan {
	p := w.plans[key]
	p.filed = t
	w.sign(p, key, true)
	return p
}

// deadlines: rule 1 at both sides of the stroke, a report that waited in a mailbox, and nil reports.
func (w *week) deadlines() {
	w.filedAt(report("district", diAn, "2021-02-06"), at("2021-02-06", 15, 0).Add(-100*time.Millisecond))
	w.filedAt(report("district", thuanAn, "2021-02-06"), at("2021-02-06", 15, 0))

	// Received at 14:57:30, decided only at 15:09:12, after its breach was recorded: the breach is withdrawn.
	key := report("staff", "so_gtvt", "2021-02-09")
	p := w.plans[key]
	p.filed, p.signed = time.Time{}, at("2021-02-09", 15, 40)
	mailed := w.add(at("2021-02-09", 15, 9).Add(12*time.Second), p.filer, Submit{Key: key, Figures: p.figures, Note: note})
	mailed.Received, mailed.Channel = at("2021-02-09", 14, 57).Add(30*time.Second), domain.ChannelMail

	for _, key := range []domain.ReportKey{report("publicity", "so_tttt", "2021-02-07"), report("sector", "mttq", "2021-02-07"), report("sector", "hlhpn", "2021-02-10")} {
		p := w.filedAt(key, at(key.Date, 10, 20))
		p.empty, p.figures, p.note = true, nil, "Ngày nghỉ, không phát sinh. "+note
	}
}

// corrections: before the signature, after it, of form alone, after a return, after the day closed, by a successor; and
// the consolidated report that they make out of date.
func (w *week) corrections() {
	correct := func(t time.Time, key domain.ReportKey, replaces int, change func(domain.Figures), reason string) {
		f := domain.Figures{}
		for name, n := range w.figures.Of(key.Form, key.Unit, key.Date) {
			f[name] = n
		}
		change(f)
		w.add(t, w.plans[key].filer, Correct{Submit: Submit{Key: key, Figures: f, Note: note}, Replaces: replaces, Correction: domain.CorrectionContent, Reason: reason})
	}
	sign := func(t time.Time, key domain.ReportKey, version int) {
		w.add(t, w.headAt(key.Unit, t), Sign{Key: key, Version: version})
	}

	before := report("commune", hiepThanh, "2021-02-05")
	w.plans[before].filed, w.plans[before].signed = at("2021-02-05", 11, 20), time.Time{}
	correct(at("2021-02-05", 11, 50), before, 1, func(f domain.Figures) { f["households_visited"] += 90 }, "Bổ sung kết quả của khu phố 5 gửi chậm.")
	sign(at("2021-02-05", 13, 5), before, 2)

	// Tân Bình on 8 February: filed with two digits swapped and signed, corrected after the signature and signed again,
	// and corrected a second time on the 10th, when a new chairman was in office.
	d := domain.Date("2021-02-08")
	key := report("commune", tanBinh, d)
	p := w.plans[key]
	right := p.figures["households_visited"]
	p.figures["households_visited"] = right + 270
	p.filed, p.signed = at(d, 13, 20), at(d, 14, 10)
	correct(at(d, 15, 40), key, 1, func(f domain.Figures) {}, "Số hộ ghi nhầm (đảo chữ số) khi nhập từ sổ của các khu phố.")
	sign(at(d, 16, 20), key, 2)
	correct(at("2021-02-10", 9, 30), key, 2, func(f domain.Figures) { f["installed"] -= 35; f["new_today"] -= min(35, f["new_today"]) },
		"Rà soát khi bàn giao: 35 lượt cài được đếm hai lần.")
	sign(at("2021-02-10", 10, 5), key, 3)

	// Its district consolidated version 1, then again with version 2; version 3 makes that out of date for good.
	sum := report("district", bacTanUyen, d)
	w.plans[sum].filed, w.plans[sum].signed = at(d, 14, 40), at(d, 15, 10)
	correct(at(d, 16, 30), sum, 1, func(domain.Figures) {}, "Tổng hợp lại sau đính chính của thị trấn Tân Bình.")
	sign(at(d, 16, 50), sum, 2)

	erratum := report("commune", laiThieu, "2021-02-06")
	w.plans[erratum].filed, w.plans[erratum].signed = at("2021-02-06", 10, 2), at("2021-02-06", 11, 0)
	w.add(at("2021-02-06", 11, 30), Filer(laiThieu), Correct{Submit: Submit{Key: erratum, Figures: w.plans[erratum].figures,
		Note: "Sửa tên khu phố trong phần ghi chú. " + note}, Replaces: 1, Correction: domain.CorrectionErratum, Reason: "Sai tên khu phố trong ghi chú; số liệu không đổi."})
	sign(at("2021-02-06", 13, 40), erratum, 2)

	returned := report("commune", phuAn, "2021-02-06")
	w.plans[returned].filed, w.plans[returned].signed = at("2021-02-06", 12, 15), time.Time{}
	w.plans[returned].figures["households_visited"] = 0
	w.add(at("2021-02-06", 12, 50), Head(phuAn), Return{Key: returned, Version: 1, Reason: "Chưa có số hộ đã đến vận động; đề nghị bổ sung."})
	correct(at("2021-02-06", 13, 25), returned, 1, func(domain.Figures) {}, "Bổ sung số hộ theo yêu cầu của Chủ tịch.")
	sign(at("2021-02-06", 13, 50), returned, 2)

	// A denominator that moves by more than a tenth needs a word, which stays with the finding.
	moved := report("commune", chanhPhuHoa, "2021-02-08")
	p = w.plans[moved]
	p.figures["smartphone_users"] -= p.figures["smartphone_users"] * 12 / 100
	p.note = "Mẫu số giảm vì đã loại máy trùng giữa các khu phố. " + note

	// After the day closed there is still no deadline for the truth.
	late := report("staff", "so_khdt", "2021-02-07")
	w.filedAt(late, at("2021-02-07", 9, 40))
	correct(at("2021-02-08", 9, 15), late, 1, func(f domain.Figures) { f["relatives_installed"] += 12 }, "Bổ sung người thân của cán bộ phòng Đấu thầu.")
	sign(at("2021-02-08", 9, 50), late, 2)
}

// offices: a successor in mid-week, a vacancy with an acting head after it, a deputy for the head, an authority that
// has run out.
func (w *week) offices() {
	w.add(at("2021-02-08", 16, 55), Operator, LeaveOffice{domain.OfficeLeft{Unit: tanBinh, Person: Head(tanBinh), Until: tanBinhHandover, Reason: "Điều động công tác (giả lập)"}})
	w.add(at("2021-02-08", 16, 56), Operator, TakeOffice{domain.OfficeTaken{Unit: tanBinh, Person: Successor(tanBinh), Capacity: domain.CapacityHead,
		Title: w.x.HeadTitle(tanBinh), From: tanBinhHandover, Decision: "Nghị quyết bầu Chủ tịch UBND thị trấn (giả lập)"}})

	w.add(anSonVacant, Operator, LeaveOffice{domain.OfficeLeft{Unit: anSon, Person: Head(anSon), Until: anSonVacant, Reason: "Nghỉ việc vì lý do sức khỏe (giả lập)"}})
	w.add(anSonActing, Operator, TakeOffice{domain.OfficeTaken{Unit: anSon, Person: Successor(anSon), Capacity: domain.CapacityActing,
		Title: "Quyền " + w.x.HeadTitle(anSon), From: anSonActing, Decision: "Quyết định giao quyền Chủ tịch (giả lập)"}})

	w.add(at("2021-02-05", 8, 0), Head(benCat), GrantAuthority{domain.AuthorityGranted{Unit: benCat, Authority: "kt_721_1", Person: Deputy(benCat),
		Capacity: domain.CapacityKT, Title: w.x.DeputyTitle(benCat), Forms: []domain.FormID{"district"}, From: at("2021-02-05", 8, 0),
		Until: at("2021-02-13", 0, 0), Decision: "Phân công Phó Chủ tịch phụ trách (giả lập)"}})
	for _, d := range w.x.Days() {
		key := report("district", benCat, d)
		p := w.plans[key]
		w.add(p.signed, Deputy(benCat), Sign{Key: key, Version: 1})
		p.signed = time.Time{}
	}

	grant := func(t time.Time, id string, from, until time.Time) {
		w.add(t, Head(myPhuoc), GrantAuthority{domain.AuthorityGranted{Unit: myPhuoc, Authority: id, Person: Deputy(myPhuoc), Capacity: domain.CapacityTUQ,
			Title: w.x.DeputyTitle(myPhuoc), From: from, Until: until, Decision: "Giấy ủy quyền (giả lập)"}})
	}
	grant(at("2021-02-05", 8, 5), "tuq_25813_1", at("2021-02-05", 8, 0), at("2021-02-07", 17, 0))
	grant(at("2021-02-08", 15, 50), "tuq_25813_2", at("2021-02-08", 15, 50), at("2021-02-11", 0, 0))
	for _, d := range w.x.Days() {
		key := report("commune", myPhuoc, d)
		p := w.plans[key]
		t := p.signed
		if d == "2021-02-08" { // the first authority ended the day before: refused, and done again under the second
			w.add(p.signed, Deputy(myPhuoc), Sign{Key: key, Version: 1}).Refused = domain.CodeAuthorityExpired
			t = at(d, 16, 30)
		}
		w.add(t, Deputy(myPhuoc), Sign{Key: key, Version: 1})
		p.signed = time.Time{}
	}
}

// grants: an extension while the deadline is still ahead, and an exemption.
func (w *week) grants() {
	key := report("district", dauTieng, "2021-02-08")
	w.add(at(key.Date, 13, 40), Operator, Extend{Duty: "item2b", Date: key.Date, Units: []domain.UnitCode{dauTieng}, Due: at(key.Date, 15, 30),
		Reason: "Mất điện tại trung tâm hành chính huyện từ 12:50 (giả lập)."})
	w.filedAt(key, at(key.Date, 15, 22)) // after 15:00, and on time

	var universities []domain.UnitCode
	for _, u := range w.x.Units {
		if u.Type != "dai_hoc" {
			continue
		}
		universities = append(universities, u.Unit)
		for _, form := range []domain.FormID{"staff", "education"} {
			p := w.plans[report(form, u.Unit, tetBreak)]
			p.filed, p.signed = time.Time{}, time.Time{}
		}
	}
	w.add(at("2021-02-09", 9, 0), Operator, Exempt{Date: tetBreak, Units: universities, Reason: "Sinh viên đã nghỉ Tết, trường không làm việc (giả lập)."})
}

// breaches: explained and excused, explained and upheld, explained and left open; a report that stays unsigned.
func (w *week) breaches() {
	late := report("commune", tanDinh, "2021-02-06")
	w.filedAt(late, at("2021-02-06", 14, 3))
	w.add(at("2021-02-07", 9, 0), Head(tanDinh), Explain{Key: late, Breach: domain.BreachLate, Text: "Đường truyền tại UBND phường gián đoạn từ 13:30 đến 14:02; đã báo Thị xã bằng điện thoại."})
	w.add(at("2021-02-07", 10, 0), Operator, Excuse{Key: late, Breach: domain.BreachLate, Reason: "Viễn thông xác nhận sự cố đường truyền."})

	missing := report("commune", phuChanh, "2021-02-06")
	p := w.plans[missing]
	p.filed, p.signed = time.Time{}, time.Time{}
	w.add(at("2021-02-07", 10, 0), Head(phuChanh), Explain{Key: missing, Breach: domain.BreachMissing, Text: "Cán bộ phụ trách nghỉ cuối tuần, phường chưa phân công người thay."})
	w.add(at("2021-02-07", 14, 0), Operator2, Uphold{Key: missing, Breach: domain.BreachMissing, Reason: "Chỉ thị yêu cầu báo cáo hằng ngày; việc phân công thuộc trách nhiệm người đứng đầu."})

	stroke := report("district", thuanAn, "2021-02-06")
	w.add(at("2021-02-07", 8, 30), Head(thuanAn), Explain{Key: stroke, Breach: domain.BreachLate, Text: "Gửi lúc 14:59 nhưng hệ thống ghi nhận 15:00:00."})

	unsigned := report("staff", diAn, "2021-02-07")
	w.plans[unsigned].signed = time.Time{}
}

// refusals: attempts that record nothing.
func (w *week) refusals() {
	again := report("commune", phuLoi, "2021-02-07")
	w.filedAt(again, at("2021-02-07", 11, 0))
	w.add(at("2021-02-07", 11, 2), Filer(phuLoi), Submit{Key: again, Figures: w.plans[again].figures, Note: note}).Refused = domain.CodeAlreadySubmitted

	old := report("commune", tanBinh, "2021-02-08")
	w.add(at("2021-02-10", 9, 45), Filer(tanBinh), Correct{Submit: Submit{Key: old, Figures: w.plans[old].figures, Note: note},
		Replaces: 1, Correction: domain.CorrectionContent, Reason: "Gửi lại từ bản cũ."}).Refused = domain.CodeOldVersion

	vacant := report("commune", anSon, "2021-02-08")
	w.add(at("2021-02-08", 15, 0), Head(anSon), Sign{Key: vacant, Version: 1}).Refused = domain.CodeNotInOffice
}
