package main

import (
	"fmt"
	"time"

	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/projections"
	"github.com/answerable-ledger/answerable/schemas"
)

type historyCmd struct {
	queryFlags
	Unit string `help:"Unit, by its code." required:"" placeholder:"CODE"`
	Date string `help:"Day reported for." required:"" placeholder:"YYYY-MM-DD"`
	Form string `help:"Only this form." placeholder:"ID"`
}

func (historyCmd) Help() string {
	return `Every version with the time it was received and the time it was recorded, who filed, signed, returned or corrected it, and the breaches: as known now, or as known at an earlier instant.

Examples:
  answerable history --unit 25900 --date 2021-02-08
  answerable history --unit 25900 --date 2021-02-08 --known-at 2021-02-09T17:00:00+07:00 --json`
}

func (c historyCmd) Run(a *app) error {
	day, err := date("date", c.Date)
	if err != nil {
		return err
	}
	return c.ask(a, func(v *projections.Views, known *time.Time) error {
		h, err := v.History(a.ctx, projections.HistoryQuery{Regime: domain.RegimeID(c.Regime), Unit: domain.UnitCode(c.Unit),
			Form: domain.FormID(c.Form), Date: day, AsOf: domain.Date(c.AsOf), KnownAt: known})
		if err != nil {
			return err
		}
		if c.JSON {
			return a.printJSON(h)
		}
		registry, err := schemas.Load()
		if err != nil {
			return err
		}
		a.history(registry, h)
		return nil
	})
}

func (a *app) history(forms *schemas.Registry, h projections.History) {
	a.header(fmt.Sprintf("%s %s · %s", h.Unit, h.UnitName, h.Date), h.At)
	if !h.Determinable {
		a.printf("KHÔNG XÁC ĐỊNH ĐƯỢC: có sự kiện của đơn vị không áp dụng được.\n", "NOT DETERMINABLE: an event of the unit could not be applied.\n")
	}
	for _, r := range h.Reports {
		s := r.Compliance
		a.printf("\n%s: %s, %s; hạn %s\n", "\n%s: %s, %s; due %s\n", a.formTitle(forms, s.Form, s.Duty), a.status(s.Status), a.signOff(s.SignOff), localMinute(s.Due))
		for _, v := range r.Versions {
			a.version(forms, s.Form, v)
		}
		if len(s.OutOfDate) > 0 {
			a.printf("  đã cũ: cấp dưới thay đổi sau khi tổng hợp: %s\n", "  out of date: changed below since it was summed: %s\n", unitsText(s.OutOfDate))
		}
		g := a.table()
		for _, e := range r.Timeline {
			g.row("  "+localMinute(e.At), domain.Word("kind", e.Kind, a.lang), a.detail(e.Detail), a.person(e.Actor), domain.Word("channel", string(e.Channel), a.lang), e.Reason)
		}
		g.flush()
	}
}

// detail is the one word that says more of an event.
func (a *app) detail(d string) string {
	for _, of := range []string{"breach", "timeliness", "correction"} {
		if w := domain.Word(of, d, a.lang); w != d {
			return w
		}
	}
	return d
}

func (a *app) version(forms *schemas.Registry, id domain.FormID, v projections.VersionRow) {
	what := ""
	switch v.Correction {
	case domain.CorrectionContent:
		what = a.say(" thay thế nội dung", " correction of content")
	case domain.CorrectionErratum:
		what = a.say(" đính chính hình thức", " erratum of form")
	}
	a.printf("  bản %d%s: nhận %s, ghi %s, %s\n", "  version %d%s: received %s, recorded %s, by %s\n", v.Version, what, localMinute(v.ReceivedAt), localMinute(v.RecordedAt), a.person(v.Filer))
	if v.Reason != "" {
		a.printf("    lý do: %s\n", "    reason: %s\n", v.Reason)
	}
	if v.Nil {
		a.printf("    không phát sinh\n", "    nil report\n")
	} else {
		form, _ := forms.Form(id, v.FormVersion)
		g := a.table()
		for _, f := range form.Fields {
			if value, ok := v.Figures[f.Name]; ok {
				g.row("    "+a.say(f.Label.Vi, f.Label.En), value)
			}
		}
		g.flush()
	}
	for _, s := range v.SignOffs {
		superseded := ""
		if s.Superseded {
			superseded = a.say(" (đã có bản mới hơn)", " (superseded)")
		}
		a.printf("    ký %s: %s%s\n", "    signed %s: %s%s\n", localMinute(s.At), a.capacity(s), superseded)
	}
}
