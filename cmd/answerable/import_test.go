package main

import (
	"errors"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/answerable-ledger/answerable/bench/province"
	"github.com/answerable-ledger/answerable/commands"
	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/intake"
)

// The same file for another day is another import: every event has an id of its own.
func TestImportOfAnotherDay(t *testing.T) {
	t.Parallel()
	c := importCmd{Regime: "bluezone"}
	row := intake.Row{Number: 2, Form: "commune", Unit: "25900", Date: "2021-02-08"}
	next := row
	next.Date = "2021-02-09"
	other := importCmd{Regime: "bluezone", As: "filer_25900"}
	if c.commandID([32]byte{}, row) != c.commandID([32]byte{}, row) || c.commandID([32]byte{}, row) == c.commandID([32]byte{}, next) || c.commandID([32]byte{}, row) == other.commandID([32]byte{}, row) {
		t.Error("ids of commands do not follow from the file, who sends it and what the row is about")
	}
}

// openDay makes a ledger whose one day is open now, wherever and whenever the test runs: two districts d1 and d2, each with
// the communes c<district>1 to c<district>3 that it sums, and the body b1.
func openDay(t *testing.T) (dir string, day domain.Date) {
	dir = filepath.Join(t.TempDir(), "open")
	p := morning(t, province.Province{Regime: "bluezone"})
	place := evidencePlace{dir: dir, evidenceConfig: evidenceConfig{Origin: demoOrigin, Guard: filepath.Join("guard", guardFile), Policy: policyFile, Demo: true}}
	if err := place.create(); err != nil {
		t.Fatal(err)
	}
	a := &app{ctx: t.Context(), logger: zap.NewNop(), now: time.Now}
	n, err := a.openNode(t.Context(), dir, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	must := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	l := n.ledger
	must(l.RegisterPerson(t.Context(), commands.System("filer"), domain.PersonRegistered{Person: province.Filer, Name: "Người lập báo cáo", Synthetic: true}))
	must(l.GrantRole(t.Context(), commands.System("role"), province.Filer, domain.RoleFiler, "", time.Now().Add(-time.Minute), nil))
	unit := func(code, parent domain.UnitCode, level domain.Level) {
		must(l.RegisterUnit(t.Context(), commands.System("unit", string(code)), domain.UnitRegistered{Unit: code, Level: level, Type: string(level), Name: "Đơn vị " + string(code),
			Parent: parent, EffectiveOn: "2020-01-01", Synthetic: true}))
	}
	for _, district := range []domain.UnitCode{"d1", "d2"} {
		unit(district, "", domain.LevelDistrict)
		for _, i := range []domain.UnitCode{"1", "2", "3"} {
			unit("c"+district[1:]+i, district, domain.LevelCommune)
		}
	}
	unit("b1", "", domain.LevelBody)
	duty := func(id domain.DutyID, form domain.FormID, version int, level domain.Level, sums domain.DutyID) domain.Duty {
		return domain.Duty{ID: id, Item: string(id), Name: domain.Wording{Vi: string(id), En: string(id)}, Form: form, FormVersion: version, Consolidates: sums,
			Holders: domain.Holders{Levels: []domain.Level{level}}, Due: "23:00", GraceMinutes: 5}
	}
	must(l.IssueRegime(t.Context(), commands.System("regime"), p.Regime, domain.Rules{Title: "Thử nhập tệp", TitleEn: "Import test", Number: "0", IssuedOn: p.Day, IssuedBy: "test",
		Zone: p.Zone, FirstDay: p.Day, LastDay: p.Day, Duties: []domain.Duty{duty("districts", "district", 2, domain.LevelDistrict, "communes"),
			duty("communes", "commune", 1, domain.LevelCommune, ""), duty("bodies", "staff", 1, domain.LevelBody, "")}}))
	must(nil, p.Open(t.Context(), l, p.Day))
	must(nil, n.views.CatchUp(t.Context()))
	must(nil, errors.Join(a.signOnce(t.Context(), n), n.close()))
	return dir, p.Day
}
