package main

import (
	"time"

	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/projections"
)

type breachesCmd struct {
	queryFlags
	Unit    string `help:"Only this unit." placeholder:"CODE"`
	Parent  string `help:"Only units that report through this one." placeholder:"CODE"`
	Date    string `help:"Only this day." placeholder:"YYYY-MM-DD"`
	From    string `help:"First day." placeholder:"YYYY-MM-DD"`
	To      string `help:"Last day." placeholder:"YYYY-MM-DD"`
	Kind    string `help:"Only missing, late or unsigned." enum:",missing,late,unsigned" default:""`
	Outcome string `help:"Only standing, withdrawn, explained, excused or upheld." enum:",standing,withdrawn,explained,excused,upheld" default:""`
}

func (breachesCmd) Help() string {
	return `Each breach with its deadline, the head in office then, what was explained, and whether it was excused or upheld.

Examples:
  answerable breaches --date 2021-02-08
  answerable breaches --parent 726 --kind unsigned --json`
}

func (c breachesCmd) Run(a *app) error {
	if _, err := date("date", c.Date); err != nil {
		return err
	}
	if c.Date != "" {
		c.From, c.To = c.Date, c.Date
	}
	from, err := date("from", c.From)
	if err != nil {
		return err
	}
	to, err := date("to", c.To)
	if err != nil {
		return err
	}
	return c.ask(a, func(v *projections.Views, known *time.Time) error {
		q := projections.BreachQuery{Regime: domain.RegimeID(c.Regime), From: from, To: to, Unit: domain.UnitCode(c.Unit),
			Parent: domain.UnitCode(c.Parent), Kind: domain.BreachKind(c.Kind), Outcome: c.Outcome, AsOf: domain.Date(c.AsOf), KnownAt: known}
		all, err := v.Breaches(a.ctx, q)
		if err != nil {
			return err
		}
		for next := all.Next; next != ""; {
			q.After = next
			page, err := v.Breaches(a.ctx, q)
			if err != nil {
				return err
			}
			all.Rows, next = append(all.Rows, page.Rows...), page.Next
		}
		all.Next = ""
		if c.JSON {
			if all.Rows == nil {
				all.Rows = []projections.BreachRow{}
			}
			return a.printJSON(all)
		}
		a.header(a.say("Vi phạm", "Breaches"), all.At)
		g := a.table()
		g.row(a.say("NGÀY\tĐƠN VỊ\tTÊN\tBIỂU\tVI PHẠM\tKẾT QUẢ\tNGƯỜI ĐỨNG ĐẦU KHI ĐẾN HẠN", "DAY\tUNIT\tNAME\tFORM\tBREACH\tOUTCOME\tHEAD AT THE DEADLINE"))
		for _, b := range all.Rows {
			g.row(b.Date, b.Unit, b.UnitName, b.Form, a.breach(b.Breach), a.outcome(b.Outcome), a.head(b.Head))
		}
		g.row(a.say("tổng", "in all"), len(all.Rows))
		return g.flush()
	})
}
