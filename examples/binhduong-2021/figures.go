package binhduong2021

import (
	"hash/fnv"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/answerable-ledger/answerable/domain"
)

// Figures makes the synthetic figures of the week: the same for the same seed, growing from day to day where the form
// counts everything so far, and in sum between the published shares.
type Figures struct {
	seed     uint64
	example  *Example
	communes map[domain.UnitCode]area
}

// area is what a commune's figures are drawn from.
type area struct {
	smartphones int64
	installed   int64 // at the end of the last day
	households  int64
}

const (
	// smartphonesPerPerson is the assumed share of the population that uses a smartphone. Nobody published one for the
	// province; the national talk of the time was of about six in ten.
	smartphonesPerPerson = 0.64
	// startPermille is the part of the last day's installed count that was there before the first day.
	startPermille = 955
	// leaders is how many communes reach the target by the last day.
	leaders = 9
)

// The communes at the edge of the target: one reaches exactly 60 %, the other misses it by one person.
const (
	exactly60  domain.UnitCode = "25897" // Bình Mỹ
	justMissed domain.UnitCode = "25903" // Tân Lập
)

// NewFigures prepares the week's figures.
func NewFigures(x *Example, seed uint64) *Figures {
	f := &Figures{seed: seed, example: x, communes: map[domain.UnitCode]area{}}
	population := f.populations()
	var total int64
	for _, n := range population {
		total += n
	}
	codes := make([]domain.UnitCode, 0, len(population))
	for _, u := range x.Units { // the roster's order: a map's is another each time
		if u.Level == domain.LevelCommune {
			codes = append(codes, u.Unit)
		}
	}
	ahead := f.ahead(codes, population)
	// What the leaders have is set; the others share the rest of what the interpolated provincial count leaves.
	want := float64(total) * x.shareOn(x.Rules.LastDay) / 100
	rate := map[domain.UnitCode]float64{}
	var rest, drawn float64
	rest = want
	for _, u := range codes {
		r := f.rng("rate", string(u))
		phones := float64(population[u]) * smartphonesPerPerson
		if slices.Contains(ahead, u) {
			rate[u] = 0.603 + 0.05*r.Float64()
			rest -= phones * rate[u]
			continue
		}
		rate[u] = 0.36 + 0.14*r.Float64()
		drawn += phones * rate[u]
	}
	for _, u := range codes {
		if !slices.Contains(ahead, u) {
			rate[u] = math.Min(rate[u]*rest/drawn, 0.585)
		}
		phones := int64(float64(population[u]) * smartphonesPerPerson)
		a := area{smartphones: phones, installed: int64(float64(phones) * rate[u]), households: population[u] * 10 / 36}
		switch u {
		case exactly60:
			a.smartphones = phones / 5 * 5
			a.installed = a.smartphones / 5 * 3
		case justMissed:
			a.smartphones = phones / 5 * 5
			a.installed = a.smartphones/5*3 - 1
		}
		f.communes[u] = a
	}
	return f
}

// populations spreads each district's population over its communes: a phường weighs twice a xã. Tân Bình's is known.
func (f *Figures) populations() map[domain.UnitCode]int64 {
	out := map[domain.UnitCode]int64{}
	for _, d := range f.example.Units {
		if d.Level != domain.LevelDistrict {
			continue
		}
		left := f.example.Population[d.Unit]
		weights := map[domain.UnitCode]float64{}
		var sum float64
		for _, u := range f.example.Units {
			if u.Level != domain.LevelCommune || u.Parent != d.Unit {
				continue
			}
			if n, known := f.example.Population[u.Unit]; known {
				out[u.Unit] = n
				left -= n
				continue
			}
			w := 1.0
			if u.Type == "Phường" {
				w = 2
			}
			weights[u.Unit] = w * (0.6 + 0.8*f.rng("weight", string(u.Unit)).Float64())
			sum += weights[u.Unit]
		}
		for u, w := range weights {
			out[u] = int64(float64(left) * w / sum)
		}
	}
	return out
}

// ahead picks the leaders: small communes, where going from door to door reaches everybody.
func (f *Figures) ahead(codes []domain.UnitCode, population map[domain.UnitCode]int64) []domain.UnitCode {
	small := slices.Clone(codes)
	small = slices.DeleteFunc(small, func(u domain.UnitCode) bool { return u == exactly60 || u == justMissed || u == tanBinh })
	slices.SortStableFunc(small, func(a, b domain.UnitCode) int { return int(population[a] - population[b]) })
	small = small[:3*leaders]
	f.rng("ahead").Shuffle(len(small), func(i, j int) { small[i], small[j] = small[j], small[i] })
	return append([]domain.UnitCode{exactly60, justMissed}, small[:leaders-1]...)
}

// shareOn is the percentage of the population with the app on a day, on the straight line between the published two.
func (x *Example) shareOn(d domain.Date) float64 {
	a, b := x.Published[0], x.Published[1]
	return a.Percent + (b.Percent-a.Percent)*days(a.On, d)/days(a.On, b.On)
}

func days(from, to domain.Date) float64 {
	a, _ := time.Parse(time.DateOnly, string(from))
	b, _ := time.Parse(time.DateOnly, string(to))
	return b.Sub(a).Hours() / 24
}

// Of gives the figures that a unit files in a form on a day; for the districts' consolidation only what the district
// fills in itself. They are nil for a form the example does not know.
func (f *Figures) Of(form domain.FormID, u domain.UnitCode, d domain.Date) domain.Figures {
	r := f.rng(string(form), string(u)) // the same on every day: sizes do not change
	day := f.rng(string(form), string(u), string(d))
	switch form {
	case "commune":
		a := f.communes[u]
		installed, before := f.reached(a.installed, d), f.reached(a.installed, d.AddDays(-1))
		return domain.Figures{"smartphone_users": a.smartphones, "installed": installed, "new_today": installed - before,
			"households_visited": a.households/12 + day.Int64N(a.households/12+1)}
	case "district":
		return domain.Figures{"agencies_reached": grow(40+r.Int64N(60), 8, d)}
	case "staff":
		staff := f.staff(u, r)
		phones := staff - staff*r.Int64N(9)/100
		return domain.Figures{"staff": staff, "staff_smartphone": phones, "staff_installed": min(phones, grow(phones*7/10, phones/16, d)),
			"relatives_installed": grow(staff*8/10, 1+staff/9, d)}
	case "health":
		seen := 5200 + day.Int64N(1500)
		phones := seen * (62 + day.Int64N(8)) / 100
		staff := 6900 + r.Int64N(400)
		return domain.Figures{"staff_smartphone": staff, "staff_installed": min(staff, grow(staff*8/10, staff/40, d)),
			"patients_seen": seen, "patients_smartphone": phones, "patients_installed": phones * (45 + day.Int64N(15)) / 100}
	case "education":
		learners := 4000 + r.Int64N(9000)
		switch u {
		case "so_gddt":
			learners = 96000 + r.Int64N(9000)
		case "so_ldtbxh":
			learners = 14000 + r.Int64N(4000)
		}
		return domain.Figures{"learners_smartphone": learners, "learners_installed": grow(learners*4/10, learners/40, d),
			"relatives_installed": grow(learners*3/10, learners/50, d)}
	case "sector":
		users := 2500 + r.Int64N(8000)
		return domain.Figures{"organisations_reached": grow(30+r.Int64N(40), 6, d), "smartphone_users": users,
			"installed": grow(users*5/10, users/30, d)}
	case "quarantine":
		central, home, test := 380+day.Int64N(160), 900+day.Int64N(400), 700+day.Int64N(600)
		persons := central + home + test
		phones := persons * (70 + day.Int64N(8)) / 100
		return domain.Figures{"persons": persons, "central_quarantine": central, "home_quarantine": home, "to_test": test,
			"smartphone_users": phones, "installed": phones * (80 + day.Int64N(12)) / 100}
	case "publicity":
		return domain.Figures{"messages_sent": 180_000 + day.Int64N(220_000), "reach": 900_000 + day.Int64N(600_000), "articles": 14 + day.Int64N(22)}
	case "enterprise":
		workers := 210_000 + r.Int64N(60_000)
		phones := workers * (80 + r.Int64N(8)) / 100
		return domain.Figures{"enterprises_reached": grow(900+r.Int64N(300), 80, d), "workers": workers, "workers_smartphone": phones,
			"workers_installed": grow(phones*4/10, phones/30, d)}
	}
	return nil
}

// staff is how many people a unit employs, by its kind.
func (f *Figures) staff(u domain.UnitCode, r *rand.Rand) int64 {
	unit, _ := f.example.Unit(u)
	switch unit.Level {
	case domain.LevelDistrict:
		return 320 + r.Int64N(240)
	case domain.LevelCommune:
		return 32 + r.Int64N(30)
	}
	switch unit.Type {
	case "nganh", "dai_hoc":
		return 400 + r.Int64N(500)
	case "su_nghiep":
		return 90 + r.Int64N(160)
	}
	return 45 + r.Int64N(90)
}

// reached is how much of the last day's count is there at the end of a day: startPermille of it before the first day,
// then in even steps up to all of it. Whole numbers, so that the last day has exactly all.
func (f *Figures) reached(all int64, d domain.Date) int64 {
	first, last := f.example.Rules.FirstDay, f.example.Rules.LastDay
	n := int64(days(first, last)) + 1
	done := max(0, min(n, int64(days(first, d))+1))
	return all * (startPermille*n + (1000-startPermille)*done) / (1000 * n)
}

// grow is a count of everything so far: base before the week, then step more each day.
func grow(base, step int64, d domain.Date) int64 {
	const first = "2021-02-05"
	return base + max(1, step)*int64(days(first, d)+1)
}

// rng is a source of numbers that belongs to its name alone, so that a new draw somewhere moves no other.
func (f *Figures) rng(name ...string) *rand.Rand { return rng(f.seed, name...) }

func rng(seed uint64, name ...string) *rand.Rand {
	h := fnv.New64a()
	for _, n := range name {
		h.Write([]byte(n))
		h.Write([]byte{0})
	}
	return rand.New(rand.NewPCG(seed, h.Sum64()))
}
