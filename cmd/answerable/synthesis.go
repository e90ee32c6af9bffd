package main

import (
	"fmt"
	"time"

	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/projections"
)

type synthesisCmd struct {
	queryFlags
	Date string `help:"Day." required:"" placeholder:"YYYY-MM-DD"`
	Form string `help:"Only this form." placeholder:"ID"`
	Area string `help:"Only this unit's area; without it the province and every district." placeholder:"CODE"`
}

func (synthesisCmd) Help() string {
	return `One total per form and area, with its coverage: figures of different scopes are never added together.

Examples:
  answerable synthesis --date 2021-02-10
  answerable synthesis --date 2021-02-10 --form commune --area 726 --json`
}

func (c synthesisCmd) Run(a *app) error {
	day, err := date("date", c.Date)
	if err != nil {
		return err
	}
	return c.ask(a, func(v *projections.Views, known *time.Time) error {
		s, err := v.Synthesis(a.ctx, projections.SynthesisQuery{Regime: domain.RegimeID(c.Regime), Date: day, Form: domain.FormID(c.Form), Area: domain.UnitCode(c.Area), AsOf: domain.Date(c.AsOf), KnownAt: known})
		if err != nil {
			return err
		}
		if !s.Opened {
			return domain.Refuse(domain.NotFound, domain.CodeDayNotOpen, "/date", "date", c.Date)
		}
		if c.JSON {
			return a.printJSON(s)
		}
		a.header(fmt.Sprintf(a.say("Tổng hợp ngày %s", "Synthesis of %s"), s.Date), s.At)
		for _, t := range s.Totals {
			area := t.AreaName
			if t.Area == "" && area == "" {
				area = a.say("toàn tỉnh", "province")
			}
			a.printf("\n%s · %s (%s): %d/%d đơn vị, %d đúng hạn\n", "\n%s · %s (%s): %d of %d units, %d on time\n", area, a.say(t.Title.Vi, t.Title.En), domain.Word("scope", string(t.Scope), a.lang), t.Received, t.Expected, t.OnTime)
			g := a.table()
			for _, f := range t.Sums {
				g.row("    "+a.say(f.Label.Vi, f.Label.En), f.Value)
			}
			g.flush()
			if len(t.Missing) > 0 {
				a.printf("  thiếu: %s\n", "  without: %s\n", unitsText(t.Missing))
			}
			if len(t.OutOfDate) > 0 {
				a.printf("  đã cũ: %s\n", "  out of date: %s\n", unitsText(t.OutOfDate))
			}
		}
		return nil
	})
}
