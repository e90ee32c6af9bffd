package binhduong2021

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/answerable-ledger/answerable/domain"
)

func load(t testing.TB) *Example {
	t.Helper()
	x, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func TestTheRosterIsTheOneInForceOn5February2021(t *testing.T) {
	x := load(t)
	types := map[string]int{}
	for _, u := range x.Units {
		if !domain.ValidID(string(u.Unit)) {
			t.Errorf("unit %q: not a fitting id", u.Unit)
		}
		if u.Source == "" {
			t.Errorf("unit %s names no source", u.Unit)
		}
		if u.Synthetic {
			t.Errorf("unit %s is marked synthetic", u.Unit)
		}
		typ := u.Type
		if u.Unit == x.Reclassified.Unit {
			if typ != "Xã" || u.Name != "Xã Tân Bình" {
				t.Errorf("Tân Bình is registered as %q %q, want the xã it was", typ, u.Name)
			}
			typ = x.Reclassified.Type
		}
		types[typ]++
	}
	if got := [3]int{types["Phường"], types["Xã"], types["Thị trấn"]}; got != [3]int{45, 41, 5} {
		t.Errorf("phường, xã, thị trấn = %v", got)
	}
	if got := [3]int{x.Count(domain.LevelDistrict), x.Count(domain.LevelCommune), x.Count(domain.LevelBody)}; got != [3]int{9, 91, 35} {
		t.Errorf("districts, communes, bodies = %v", got)
	}
}

func TestEveryDutyHasHolders(t *testing.T) {
	x := load(t)
	want := map[domain.DutyID]int{"item1": 135, "item2a": 91, "item2b": 9, "item3": 1, "item4": 6, "item5": 8, "item6": 1, "item7": 1, "item8": 2}
	got := map[domain.DutyID]int{}
	for _, d := range x.Rules.Duties {
		got[d.ID] = len(x.Holders(d))
		for _, u := range d.Holders.Units {
			if _, ok := x.Unit(u); !ok {
				t.Errorf("%s names the unknown unit %s", d.ID, u)
			}
		}
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestTheDirectiveMarksWhatIsGuessed(t *testing.T) {
	for _, want := range []string{"Số: 03/CT-UBND", "trước 15h00 hằng ngày", "**[? opening lost", "từ 60% trở lên"} {
		if !strings.Contains(Directive, want) {
			t.Errorf("the directive lacks %q", want)
		}
	}
}

// The province's synthetic total lies strictly between what was published before and after, on every day.
func TestFiguresStayBetweenThePublishedShares(t *testing.T) {
	x := load(t)
	if x.Published[0].Percent != 16.20 || x.Published[1].Percent != 36.68 {
		t.Fatalf("published shares are %v", x.Published)
	}
	var population int64
	for _, u := range x.Units {
		if u.Level == domain.LevelDistrict {
			population += x.Population[u.Unit]
		}
	}
	for seed := range uint64(20) {
		f := NewFigures(x, seed)
		met := 0
		for _, d := range x.Days() {
			var installed int64
			for _, u := range x.Units {
				if u.Level != domain.LevelCommune {
					continue
				}
				n := f.Of("commune", u.Unit, d)
				installed += n["installed"]
				if n["installed"] > n["smartphone_users"] || n["new_today"] > n["installed"] || n["new_today"] < 0 {
					t.Fatalf("seed %d: %s on %s: %v", seed, u.Unit, d, n)
				}
				if d == x.Rules.LastDay && domain.AtLeast(n["installed"], n["smartphone_users"], 60) {
					met++
				}
			}
			if p := 100 * float64(installed) / float64(population); p <= 26 || p >= 30 {
				t.Errorf("seed %d: %s: %.2f %% of the population, want about 28, between 16.20 and 36.68", seed, d, p)
			}
		}
		if met != leaders {
			t.Errorf("seed %d: %d communes reach the target, want %d", seed, met, leaders)
		}
		edge := f.Of("commune", exactly60, x.Rules.LastDay)
		if edge["installed"]*5 != edge["smartphone_users"]*3 {
			t.Errorf("seed %d: %s is not at exactly 60 %%: %v", seed, exactly60, edge)
		}
		edge = f.Of("commune", justMissed, x.Rules.LastDay)
		if (edge["installed"]+1)*5 != edge["smartphone_users"]*3 {
			t.Errorf("seed %d: %s does not miss by one: %v", seed, justMissed, edge)
		}
	}
}

func TestTheStoryFollowsFromItsSeed(t *testing.T) {
	x := load(t)
	a, b, c := x.Story(1), x.Story(1), load(t).Story(2)
	if d := cmp.Diff(a, b); d != "" {
		t.Errorf("two tellings of seed 1 differ: %s", d)
	}
	if cmp.Equal(a, c) {
		t.Error("seeds 1 and 2 tell the same story")
	}
	for i := 1; i < len(a); i++ {
		if a[i].At.Before(a[i-1].At) {
			t.Fatalf("attempt %d goes back in time", i)
		}
	}
}

func TestOnlyTheChairmenAreReal(t *testing.T) {
	for _, a := range load(t).Story(1) {
		p, ok := a.Act.(RegisterPerson)
		if !ok {
			continue
		}
		if real := p.Person == Chairman || p.Person == FormerChairman; p.Synthetic == real {
			t.Errorf("%s (%s): synthetic is %v", p.Person, p.Name, p.Synthetic)
		}
		if !p.Synthetic {
			continue
		}
		for _, r := range []string{"Nguyễn Hoàng Thao", "Trần Thanh Liêm", "Lai Xuân Thành", "Nguyễn Lộc Hà"} {
			if p.Name == r {
				t.Errorf("%s bears the name of a real office-holder", p.Person)
			}
		}
	}
}

func TestEveryReportSaysThatItIsSynthetic(t *testing.T) {
	for _, a := range load(t).Story(1) {
		text := note
		switch s := a.Act.(type) {
		case Submit:
			text = s.Note
		case Correct:
			text = s.Note
		}
		if !strings.Contains(text, "giả lập") {
			t.Errorf("attempt %s does not say so: %q", a.Name, text)
		}
	}
}
