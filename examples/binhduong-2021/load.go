package binhduong2021

import (
	"embed"
	"encoding/csv"
	"fmt"
	"slices"
	"strconv"

	"github.com/go-json-experiment/json"

	"github.com/answerable-ledger/answerable/domain"
)

//go:embed regime.json units.csv bodies.csv population.csv published.csv
var files embed.FS

// Directive is the text the regime was made from, with marks where the scan was repaired or lost.
//
//go:embed directive.md
var Directive string

// Regime is the id of the regime in the ledger.
const Regime domain.RegimeID = "bluezone"

// Province is the code of the province, which reports to nobody here and is not counted among the units.
const Province domain.UnitCode = "74"

// Department is the Department of Information and Communications, which runs the regime (items 9 and 10).
const Department domain.UnitCode = "so_tttt"

// Example is the embedded input, read and checked.
type Example struct {
	Rules domain.Rules
	// Units in the order they are registered: the province, the districts with their communes, the bodies.
	Units []domain.UnitRegistered
	// Reclassified is the one change of a unit in the weeks before: xã Tân Bình became a thị trấn on 1 February 2021.
	Reclassified domain.UnitReclassified
	// Population by code, of the districts and of Tân Bình; weights for synthetic figures.
	Population map[domain.UnitCode]int64
	// Published are the two published shares of the province's population that had the app.
	Published [2]Share

	headTitles map[domain.UnitCode]string
	byCode     map[domain.UnitCode]domain.UnitRegistered
}

// Share is a published share of the population.
type Share struct {
	On      domain.Date
	Percent float64
	Source  string
}

const (
	roster       = "Danh mục đơn vị hành chính của Tổng cục Thống kê, hiệu lực 01/02/2021"
	tanBinh      = domain.UnitCode("25900")
	tanBinhBasis = "Nghị quyết 1110/NQ-UBTVQH14 ngày 09/12/2020 (thành lập thị trấn Tân Bình)"
	// registeredOn is the day the roster's units are known from: the last snapshot of the register before the regime.
	registeredOn = domain.Date("2020-11-01")
)

// Load reads the embedded input.
func Load() (*Example, error) {
	x := &Example{Population: map[domain.UnitCode]int64{}, headTitles: map[domain.UnitCode]string{}, byCode: map[domain.UnitCode]domain.UnitRegistered{}}
	raw, err := files.ReadFile("regime.json")
	if err != nil {
		return nil, fmt.Errorf("binhduong2021: %w", err)
	}
	if err := json.Unmarshal(raw, &x.Rules, json.RejectUnknownMembers(true)); err != nil {
		return nil, fmt.Errorf("binhduong2021: regime.json: %w", err)
	}
	for _, read := range []func() error{x.readUnits, x.readBodies, x.readPopulation, x.readPublished} {
		if err := read(); err != nil {
			return nil, fmt.Errorf("binhduong2021: %w", err)
		}
	}
	for _, u := range x.Units {
		x.byCode[u.Unit] = u
	}
	return x, nil
}

func (x *Example) readUnits() error {
	x.Units = append(x.Units, domain.UnitRegistered{Unit: Province, Level: domain.LevelProvince, Type: "Tỉnh", Name: "Tỉnh Bình Dương",
		NameEn: "Bình Dương Province", EffectiveOn: registeredOn, Source: roster})
	return eachRow("units.csv", func(r map[string]string) error {
		u := domain.UnitRegistered{Unit: domain.UnitCode(r["code"]), Level: domain.Level(r["level"]), Type: r["type"], Name: r["name_vi"],
			Parent: domain.UnitCode(r["parent_code"]), EffectiveOn: registeredOn, Source: roster}
		if u.Unit == tanBinh { // the roster is of 5 February, when it was a thị trấn already
			x.Reclassified = domain.UnitReclassified{Unit: u.Unit, Type: u.Type, Name: u.Name, EffectiveOn: "2021-02-01", Basis: tanBinhBasis}
			u.Type, u.Name = "Xã", "Xã Tân Bình"
		}
		x.Units = append(x.Units, u)
		return nil
	})
}

func (x *Example) readBodies() error {
	return eachRow("bodies.csv", func(r map[string]string) error {
		id := domain.UnitCode(r["id"])
		x.Units = append(x.Units, domain.UnitRegistered{Unit: id, Level: domain.LevelBody, Type: r["kind"], Name: r["name_vi"],
			NameEn: r["name_en"], Parent: Province, EffectiveOn: registeredOn, Source: r["source"]})
		x.headTitles[id] = r["head_title"]
		return nil
	})
}

func (x *Example) readPopulation() error {
	return eachRow("population.csv", func(r map[string]string) error {
		n, err := strconv.ParseInt(r["population"], 10, 64)
		x.Population[domain.UnitCode(r["code"])] = n
		return err
	})
}

func (x *Example) readPublished() error {
	i := 0
	return eachRow("published.csv", func(r map[string]string) error {
		p, err := strconv.ParseFloat(r["share_of_population_pct"], 64)
		if err != nil || i >= len(x.Published) || len(r["as_of"]) < 10 {
			return fmt.Errorf("published.csv: want two shares: %w", err)
		}
		x.Published[i] = Share{On: domain.Date(r["as_of"][:10]), Percent: p, Source: r["source"]}
		i++
		return nil
	})
}

// eachRow calls f with every row of an embedded CSV file, by heading.
func eachRow(name string, f func(map[string]string) error) error {
	file, err := files.Open(name)
	if err != nil {
		return err
	}
	defer file.Close()
	rows, err := csv.NewReader(file).ReadAll()
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	for i, row := range rows[1:] {
		r := make(map[string]string, len(row))
		for j, cell := range row {
			r[rows[0][j]] = cell
		}
		if err := f(r); err != nil {
			return fmt.Errorf("%s row %d: %w", name, i+2, err)
		}
	}
	return nil
}

// Unit finds a unit by code.
func (x *Example) Unit(u domain.UnitCode) (domain.UnitRegistered, bool) {
	r, ok := x.byCode[u]
	return r, ok
}

// Count is the number of units of a level.
func (x *Example) Count(l domain.Level) int {
	n := 0
	for _, u := range x.Units {
		if u.Level == l {
			n++
		}
	}
	return n
}

// Holders lists who owes a duty, in the roster's order.
func (x *Example) Holders(d domain.Duty) []domain.UnitCode {
	var out []domain.UnitCode
	for _, u := range x.Units {
		typ := u.Type
		if u.Unit == x.Reclassified.Unit {
			typ = x.Reclassified.Type
		}
		if d.Holders.Hold(domain.Unit{Code: u.Unit, Level: u.Level, Type: typ}) {
			out = append(out, u.Unit)
		}
	}
	return out
}

// Days lists the reporting days of the regime.
func (x *Example) Days() []domain.Date {
	var out []domain.Date
	for d := x.Rules.FirstDay; d <= x.Rules.LastDay; d = d.AddDays(1) {
		if !slices.Contains(x.Rules.SkipDays, d) {
			out = append(out, d)
		}
	}
	return out
}
