package binhduong2021

import (
	"strings"
	"time"

	"github.com/answerable-ledger/answerable/domain"
)

// The persons of the story who are not named after a unit.
const (
	Admin     domain.PersonID = "admin_1"
	Operator  domain.PersonID = "operator_1"
	Operator2 domain.PersonID = "operator_2"
	Inspector domain.PersonID = "inspector_1"
	// Chairman and FormerChairman are the only real persons: Nguyễn Hoàng Thao, elected on 2 October 2020 after Trần
	// Thanh Liêm, who had signed Directive 12/CT-UBND of 17 August 2020 to the same effect.
	Chairman       domain.PersonID = "chairman_74"
	FormerChairman domain.PersonID = "chairman_74_before"
)

// Filer, Head, Deputy and Officer name the persons of a unit.
func Filer(u domain.UnitCode) domain.PersonID   { return domain.PersonID("filer_" + u) }
func Head(u domain.UnitCode) domain.PersonID    { return domain.PersonID("head_" + u) }
func Deputy(u domain.UnitCode) domain.PersonID  { return domain.PersonID("deputy_" + u) }
func Officer(u domain.UnitCode) domain.PersonID { return domain.PersonID("officer_" + u) }

// Successor is who follows a unit's head during the week.
func Successor(u domain.UnitCode) domain.PersonID { return domain.PersonID("head_" + u + "_2") }

// name makes up a Vietnamese name for a synthetic person.
func name(seed uint64, p domain.PersonID) string {
	surnames := []string{"Nguyễn", "Trần", "Lê", "Phạm", "Huỳnh", "Võ", "Phan", "Trương", "Bùi", "Đặng", "Đỗ", "Ngô", "Hồ", "Dương", "Lý", "Đoàn", "Mai", "Lâm"}
	women := [2][]string{{"Thị", "Ngọc", "Thị Kim", "Thị Thanh", "Mỹ", "Bích", "Thị Hồng"},
		{"Lan", "Hương", "Hạnh", "Thủy", "Phượng", "Loan", "Trang", "Yến", "Nga", "Tuyết", "Diễm", "Oanh", "Châu", "Xuân"}}
	men := [2][]string{{"Văn", "Minh", "Hữu", "Quốc", "Đức", "Thành", "Công", "Tấn", "Ngọc", "Phước"},
		{"Hùng", "Dũng", "Tuấn", "Phong", "Tâm", "Khánh", "Bình", "Lợi", "Nghĩa", "Sơn", "Trung", "Đạt", "Quang", "Vinh", "Hải"}}
	r := rng(seed, "name", string(p))
	given := men
	if r.IntN(5) < 2 {
		given = women
	}
	return surnames[r.IntN(len(surnames))] + " " + given[0][r.IntN(len(given[0]))] + " " + given[1][r.IntN(len(given[1]))]
}

// HeadTitle is the title of a unit's head.
func (x *Example) HeadTitle(u domain.UnitCode) string {
	if t := x.headTitles[u]; t != "" {
		return t
	}
	name := x.byCode[u].Name
	if u == x.Reclassified.Unit {
		name = x.Reclassified.Name
	}
	first, rest, _ := strings.Cut(name, " ")
	return "Chủ tịch UBND " + strings.ToLower(first) + " " + rest
}

// DeputyTitle is the title of a unit's deputy head.
func (x *Example) DeputyTitle(u domain.UnitCode) string {
	if t, ok := strings.CutPrefix(x.HeadTitle(u), "Chủ tịch"); ok {
		return "Phó Chủ tịch" + t
	}
	if t, ok := strings.CutPrefix(x.HeadTitle(u), "Giám đốc"); ok {
		return "Phó Giám đốc" + t
	}
	return "Cấp phó của người đứng đầu " + x.byCode[u].Name
}

// at is an instant of the story, in the regime's zone.
func at(d domain.Date, hour, minute int) time.Time {
	day, _ := time.ParseInLocation(time.DateOnly, string(d), domain.HoChiMinh) // a date of the regime, checked when issued
	return day.Add(time.Duration(hour)*time.Hour + time.Duration(minute)*time.Minute).UTC()
}
