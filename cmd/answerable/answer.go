package main

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/projections"
	"github.com/answerable-ledger/answerable/schemas"
)

type answerCmd struct {
	queryFlags
	Unit string `help:"Unit, by its code." required:"" placeholder:"CODE"`
	Date string `help:"Day reported for." required:"" placeholder:"YYYY-MM-DD"`
	Form string `help:"Only this form." placeholder:"ID"`
}

func (answerCmd) Help() string {
	return `The item 10 record: each figure with its version, who filed and who signed it and in what capacity, the head in office at the deadline, at the signature and at the correction, the breaches, and what a consolidated figure is made of.

Example:
  answerable answer --unit 25900 --date 2021-02-08`
}

func (c answerCmd) Run(a *app) error {
	day, err := date("date", c.Date)
	if err != nil {
		return err
	}
	return c.ask(a, func(v *projections.Views, known *time.Time) error {
		page, err := v.Answer(a.ctx, projections.AnswerQuery{Regime: domain.RegimeID(c.Regime), Unit: domain.UnitCode(c.Unit),
			Form: domain.FormID(c.Form), From: day, To: day, AsOf: domain.Date(c.AsOf), KnownAt: known})
		if err != nil {
			return err
		}
		if len(page.Records) == 0 {
			return domain.Refuse(domain.NotFound, domain.CodeNoObligation, "", "unit", c.Unit, "form", cmp.Or(c.Form, a.say("bất kỳ", "any")), "date", c.Date)
		}
		if c.JSON {
			return a.printJSON(page)
		}
		a.header(fmt.Sprintf("%s %s · %s", c.Unit, page.Records[0].UnitName, day), page.At)
		registry, err := schemas.Load()
		for _, r := range page.Records {
			a.answer(registry, r)
		}
		return err
	})
}

func (a *app) answer(forms *schemas.Registry, r projections.AnswerRecord) {
	a.printf("\n%s: %s, bản %d\n", "\n%s: %s, version %d\n", a.formTitle(forms, r.Form, r.Duty), a.status(r.Status), r.Version)
	a.printf("  chịu trách nhiệm   %s\n", "  answerable          %s\n", a.head(r.Answerable))
	a.printf("  khi đến hạn        %s\n", "  head at deadline    %s\n", a.head(r.HeadDeadline))
	if r.HeadCorrect != nil {
		a.printf("  khi đính chính     %s\n", "  head at correction  %s\n", a.head(*r.HeadCorrect))
	}
	if r.Filer != nil {
		a.printf("  người lập          %s\n", "  filed by            %s\n", a.person(*r.Filer))
	}
	if r.SignOff != nil {
		a.printf("  ký duyệt           %s, %s\n", "  signed              %s, %s\n", a.capacity(*r.SignOff), localMinute(r.SignOff.At))
	} else if r.Version > 0 {
		a.printf("  ký duyệt           CHƯA KÝ bản này\n", "  signed              NOT in this version\n")
	}
	for _, s := range r.Superseded {
		a.printf("  chữ ký bản cũ      %s, %s\n", "  signed before       %s, %s\n", a.capacity(s), localMinute(s.At))
	}
	g := a.table()
	for _, f := range r.Figures {
		var more []string
		if f.ChangedIn > 1 {
			more = append(more, fmt.Sprintf(a.say("sửa ở bản %d", "changed in version %d"), f.ChangedIn))
		}
		if who := a.head(f.Answerable); who != a.head(r.Answerable) {
			more = append(more, a.say("người chịu trách nhiệm: ", "answerable: ")+who)
		}
		g.row("    "+a.say(f.Label.Vi, f.Label.En), f.Value, strings.Join(more, "; "))
	}
	g.flush()
	for _, b := range r.Breaches {
		a.printf("  vi phạm: %s, %s\n", "  breach: %s, %s\n", a.breach(b.Breach), a.outcome(b.Outcome))
	}
	for _, c := range r.Children {
		newer := ""
		if c.Newest > c.Version {
			newer = fmt.Sprintf(a.say(" (nay đã có bản %d)", " (version %d by now)"), c.Newest)
		}
		a.printf("  gồm %s %s bản %d%s: %s\n", "  made of %s %s version %d%s: %s\n", c.Unit, c.UnitName, c.Version, newer, a.head(c.Answerable))
	}
	if len(r.Missing) > 0 {
		a.printf("  thiếu: %s\n", "  without: %s\n", unitsText(r.Missing))
	}
	if len(r.OutOfDate) > 0 {
		a.printf("  đã cũ vì: %s\n", "  out of date because of: %s\n", unitsText(r.OutOfDate))
	}
}
