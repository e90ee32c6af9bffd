package domaintest

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/answerable-ledger/answerable/domain"
)

// Source chooses a number from 0 to n-1. *rand.Rand is one; a property test gives one that shrinks.
type Source interface{ IntN(n int) int }

// Seeded is the source of a seed.
func Seeded(seed uint64) Source { return rand.New(rand.NewPCG(seed, 0x616e73776572)) }

// Size of a world. Zero fields get one of each.
type Size struct {
	Districts int
	Communes  int // per district
	Bodies    int
	Days      int
}

// World is what exists before the first day: rules, units, offices and people. Its fields may be changed before it is
// played: a test that has the real forms puts them into Forms.
type World struct {
	Regime  domain.RegimeID
	Rules   domain.Rules
	Forms   map[domain.FormID]domain.Form
	Units   []domain.UnitRegistered
	Offices []domain.OfficeTaken
	Persons []Person
	Days    []domain.Date
	Founded time.Time // when all of it was recorded
}

// Person is somebody with the roles they are given at the founding.
type Person struct {
	domain.PersonRegistered
	Roles []domain.Grant
}

// The people every world has.
const (
	Admin      domain.PersonID = "p_admin"
	Department domain.PersonID = "p_department"
	Inspector  domain.PersonID = "p_inspector"
)

// The duties of every world, each with a form of the same name.
const (
	Commune  = "commune"  // communes, cumulative counts in their territory, signed off by 17:00
	District = "district" // districts, summing their communes
	Staff    = "staff"    // bodies, counting their own staff
)

// Target is the id of the result every world demands of its communes on its last day.
const Target = "sixty_percent"

// Province is the code of the unit above all others.
const Province domain.UnitCode = "74"

// NewWorld makes up a world.
func NewWorld(s Source, size Size) World {
	for _, n := range []*int{&size.Districts, &size.Communes, &size.Bodies, &size.Days} {
		*n = max(*n, 1)
	}
	w := World{
		Regime: "trial", Forms: map[domain.FormID]domain.Form{}, Founded: time.Date(2021, 2, 1, 1, 0, 0, 0, time.UTC),
	}
	for i := range size.Days {
		w.Days = append(w.Days, domain.Date("2021-02-05").AddDays(i))
	}
	for _, f := range Forms() {
		w.Forms[f.ID] = f
	}
	w.Rules = domain.Rules{
		Title: "Chế độ báo cáo thử nghiệm", TitleEn: "A reporting regime for tests", Number: "00/CT", IssuedOn: "2021-02-01",
		IssuedBy: "Chủ tịch", Zone: "Asia/Ho_Chi_Minh", FirstDay: w.Days[0],
		Duties: []domain.Duty{
			{ID: Commune, Item: "2a", Name: both("Báo cáo của cấp xã", "Communes"), Form: Commune, FormVersion: w.Forms[Commune].Version,
				Holders: domain.Holders{Levels: []domain.Level{domain.LevelCommune}}, CutOff: "12:00", Due: "14:00", GraceMinutes: 5, SignOffDue: "17:00"},
			{ID: District, Item: "2b", Name: both("Báo cáo tổng hợp của cấp huyện", "Districts"), Form: District, FormVersion: w.Forms[District].Version,
				Holders: domain.Holders{Levels: []domain.Level{domain.LevelDistrict}}, Due: "15:00", GraceMinutes: 5, Consolidates: Commune},
			{ID: Staff, Item: "1", Name: both("Báo cáo của cơ quan", "Bodies"), Form: Staff, FormVersion: w.Forms[Staff].Version,
				Holders: domain.Holders{Levels: []domain.Level{domain.LevelBody}}, Due: "15:00", GraceMinutes: 5},
		},
		Targets: []domain.Target{{ID: Target, Name: both("Đạt từ 60 %", "60 % or more"), Duty: Commune, Numerator: "installed",
			Denominator: "smartphone_users", AtLeastPercent: 60, On: w.Days[size.Days-1]}},
		Assumptions: []domain.Wording{both("Giờ của cấp xã do chế độ đặt ra", "The communes' hour is set by the regime")},
	}
	w.Persons = []Person{
		w.person(s, Admin, domain.Grant{Role: domain.RoleAdmin}),
		w.person(s, Department, domain.Grant{Role: domain.RoleDepartment}),
		w.person(s, Inspector, domain.Grant{Role: domain.RoleInspector}),
	}
	w.unit(s, Province, domain.LevelProvince, "Tỉnh", "")
	for d := range size.Districts {
		district := domain.UnitCode(fmt.Sprintf("%d", 718+d))
		w.unit(s, district, domain.LevelDistrict, "Huyện", Province)
		for c := range size.Communes {
			w.unit(s, domain.UnitCode(fmt.Sprintf("%d", 25700+100*d+c)), domain.LevelCommune, []string{"Xã", "Phường", "Thị trấn"}[s.IntN(3)], district)
		}
	}
	for b := range size.Bodies {
		w.unit(s, domain.UnitCode(fmt.Sprintf("so_%d", b+1)), domain.LevelBody, "so", Province)
	}
	return w
}

// Filer, Head, Deputy and Successor are the people of a unit. At the founding the head is in office, and the deputy and
// the successor hold nothing.
func Filer(u domain.UnitCode) domain.PersonID     { return "p_" + domain.PersonID(u) + "_filer" }
func Head(u domain.UnitCode) domain.PersonID      { return "p_" + domain.PersonID(u) + "_head" }
func Deputy(u domain.UnitCode) domain.PersonID    { return "p_" + domain.PersonID(u) + "_deputy" }
func Successor(u domain.UnitCode) domain.PersonID { return "p_" + domain.PersonID(u) + "_next" }

func (w *World) unit(s Source, code domain.UnitCode, level domain.Level, typ string, parent domain.UnitCode) {
	places := []string{"Tân Bình", "Tân Định", "An Bình", "Dĩ An", "Hoà Phú", "Dầu Tiếng", "Thới Hòa"} // they repeat, as in life
	w.Units = append(w.Units, domain.UnitRegistered{Unit: code, Level: level, Type: typ, Name: places[s.IntN(len(places))],
		Parent: parent, EffectiveOn: "2000-01-01", Synthetic: true})
	w.Offices = append(w.Offices, domain.OfficeTaken{Unit: code, Person: Head(code), Capacity: domain.CapacityHead,
		Title: "CHỦ TỊCH", From: w.Founded.AddDate(-1, 0, 0), Decision: "QĐ 1"})
	filing := domain.RoleFiler
	if level == domain.LevelDistrict {
		filing = domain.RoleDistrict
	}
	w.Persons = append(w.Persons, w.person(s, Filer(code), domain.Grant{Role: filing, Unit: code}),
		w.person(s, Head(code), domain.Grant{Role: domain.RoleHead, Unit: code}), w.person(s, Deputy(code)), w.person(s, Successor(code)))
}

func (w *World) person(s Source, id domain.PersonID, roles ...domain.Grant) Person {
	family, given := []string{"Nguyễn", "Trần", "Lê", "Phạm", "Đỗ"}, []string{"Thị Hạnh", "Văn Đức", "Minh Quý", "Ngọc Ánh", "Hữu Phước"}
	return Person{domain.PersonRegistered{Person: id, Name: family[s.IntN(len(family))] + " " + given[s.IntN(len(given))], Synthetic: true}, roles}
}

func both(vi, en string) domain.Wording { return domain.Wording{Vi: vi, En: en} }

// Forms are the three forms of every world. They are the released commune/2, district/2 and staff/1, so that attempts made
// here also pass the released schemas.
func Forms() []domain.Form {
	persons := both("người", "persons")
	field := func(name string, r domain.RollUp, required bool) domain.Field {
		return domain.Field{Name: name, Label: both(name, name), Unit: persons, RollUp: r, Required: required}
	}
	denominator := func(f domain.Field) domain.Field { f.Denominator = true; return f }
	cumulative := func(f domain.Field, atMost string) domain.Field { f.Cumulative, f.AtMost = true, atMost; return f }
	atMost := func(f domain.Field, other string) domain.Field { f.AtMost = other; return f }
	territory := []domain.Field{
		denominator(field("smartphone_users", domain.RollUpSum, true)),
		cumulative(field("installed", domain.RollUpSum, true), "smartphone_users"),
		atMost(field("new_today", domain.RollUpSum, true), "installed"),
		field("households_visited", domain.RollUpSum, false),
	}
	return []domain.Form{
		{ID: Commune, Version: 2, Item: "2a", Scope: domain.ScopeTerritory, Title: both("Cấp xã", "Communes"), RuleNumber: 1, Fields: territory},
		{ID: District, Version: 2, Item: "2b", Scope: domain.ScopeTerritory, Title: both("Cấp huyện", "Districts"), RuleNumber: 1,
			Fields: append(territory[:len(territory):len(territory)],
				field("communes_reported", domain.RollUpReported, true),
				atMost(field("communes_late", domain.RollUpLate, true), "communes_reported"),
				field("communes_missing", domain.RollUpMissing, true),
				cumulative(field("agencies_reached", domain.RollUpOwn, false), ""))},
		{ID: Staff, Version: 1, Item: "1", Scope: domain.ScopeOwnStaff, Title: both("Cơ quan", "Bodies"), RuleNumber: 1, Fields: []domain.Field{
			denominator(field("staff", domain.RollUpSum, true)),
			denominator(atMost(field("staff_smartphone", domain.RollUpSum, true), "staff")),
			cumulative(field("staff_installed", domain.RollUpSum, true), "staff_smartphone"),
			cumulative(field("relatives_installed", domain.RollUpSum, true), ""),
		}},
	}
}

// Figures makes up figures that a form's own bounds allow: fields that may not exceed another stay below it.
func Figures(s Source, form domain.Form) domain.Figures {
	f := domain.Figures{}
	for _, x := range form.Fields {
		if x.RollUp != domain.RollUpSum && x.RollUp != domain.RollUpOwn && x.RollUp != domain.RollUpNone {
			continue
		}
		if !x.Required && s.IntN(2) == 0 {
			continue
		}
		most := int64(5000)
		if n, ok := f[x.AtMost]; ok {
			most = n
		}
		f[x.Name] = most - int64(s.IntN(int(most)/2+1))
	}
	return f
}
