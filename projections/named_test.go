package projections

import (
	"context"
	"errors"
	"testing"

	"github.com/answerable-ledger/answerable/domain"
)

// TestWhatIsNotThereIsRefused: an answer about a code that nobody has would read as one about somebody without fault.
func TestWhatIsNotThereIsRefused(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	log := newRecorder()
	log.record(t, busyDay().facts...)
	v := openViews(t, tempDir(t), log)
	defer closeViews(t, v)
	must(t, v.followInBatches(ctx, func() int { return 1000 }))
	compliance := func(q ComplianceQuery) error { _, err := v.Compliance(ctx, q); return err }
	breaches := func(q BreachQuery) error { _, err := v.Breaches(ctx, q); return err }
	answers := func(q AnswerQuery) error { _, err := v.Answer(ctx, q); return err }
	synthesis := func(q SynthesisQuery) error { _, err := v.Synthesis(ctx, q); return err }
	board := func(q BoardQuery) error { _, err := v.Board(ctx, q); return err }
	targets := func(q TargetQuery) error { _, err := v.Targets(ctx, q); return err }
	records := func(q ComplianceQuery) error { _, err := v.UnitRecords(ctx, q); return err }
	queue := func(q SignOffQuery) error { _, err := v.SignOffQueue(ctx, q); return err }
	days := func(r domain.RegimeID, from, to domain.Date) error {
		_, err := v.Days(ctx, r, from, to, nil)
		return err
	}
	regime, unit, form := domain.CodeRegimeUnknown, domain.CodeUnitUnknown, domain.CodeFormUnknown
	for _, x := range []struct {
		name    string
		err     error
		code    domain.Code
		pointer string
	}{
		{"compliance of no regime", compliance(ComplianceQuery{Regime: "bluzone"}), regime, "/regime"},
		{"compliance of no unit", compliance(ComplianceQuery{Unit: "99999"}), unit, "/unit"},
		{"compliance of no area", compliance(ComplianceQuery{Parent: "99999"}), unit, "/parent"},
		{"compliance of no form", compliance(ComplianceQuery{Form: "nosuch"}), form, "/form"},
		{"compliance backwards", compliance(ComplianceQuery{From: "2021-02-09", To: "2021-02-08"}), domain.CodeDate, "/to"},
		{"records of no unit", records(ComplianceQuery{Unit: "99999"}), unit, "/unit"},
		{"breaches of no regime", breaches(BreachQuery{Regime: "bluzone"}), regime, "/regime"},
		{"breaches of no unit", breaches(BreachQuery{Unit: "99999"}), unit, "/unit"},
		{"breaches of no area", breaches(BreachQuery{Parent: "99999"}), unit, "/parent"},
		{"breaches backwards", breaches(BreachQuery{From: "2021-02-09", To: "2021-02-08"}), domain.CodeDate, "/to"},
		{"answers of no unit", answers(AnswerQuery{Unit: "99999"}), unit, "/unit"},
		{"answers of no form", answers(AnswerQuery{Form: "nosuch"}), form, "/form"},
		{"answers of nobody", answers(AnswerQuery{Person: "nobody"}), domain.CodePersonUnknown, "/person"},
		{"synthesis of no regime", synthesis(SynthesisQuery{Regime: "bluzone", Date: today}), regime, "/regime"},
		{"synthesis of no area", synthesis(SynthesisQuery{Regime: "bluezone", Date: today, Area: "99999"}), unit, "/area"},
		{"synthesis of no form", synthesis(SynthesisQuery{Regime: "bluezone", Date: today, Form: "nosuch"}), form, "/form"},
		{"board of no regime", board(BoardQuery{Regime: "bluzone", Date: today}), regime, "/regime"},
		{"board of no area", board(BoardQuery{Regime: "bluezone", Date: today, Area: "99999"}), unit, "/area"},
		{"targets of no regime", targets(TargetQuery{Regime: "bluzone"}), regime, "/regime"},
		{"targets of no unit", targets(TargetQuery{Unit: "99999"}), unit, "/unit"},
		{"queue of no regime", queue(SignOffQuery{Regime: "bluzone"}), regime, "/regime"},
		{"queue of no form", queue(SignOffQuery{Forms: []domain.FormID{"nosuch"}}), form, "/form"},
		{"days of no regime", days("bluzone", "", ""), regime, "/regime"},
		{"days backwards", days("bluezone", "2021-02-09", "2021-02-08"), domain.CodeDate, "/to"},
	} {
		var refusal *domain.Error
		if !errors.As(x.err, &refusal) || refusal.Code() != x.code || refusal.Faults[0].Pointer != x.pointer {
			t.Errorf("%s: %v", x.name, x.err)
		}
	}
	early := clock("00:00")
	for name, err := range map[string]error{
		"a form that is never owed":    compliance(ComplianceQuery{Form: "health"}),
		"a day on which nothing is":    compliance(ComplianceQuery{From: "2020-01-01", To: "2020-01-01"}),
		"what was not known that day":  breaches(BreachQuery{Regime: "bluezone", Unit: "25900", KnownAt: &early}),
		"the names of another day":     answers(AnswerQuery{Unit: "25900", AsOf: "2021-02-10"}),
		"the synthesis of another day": synthesis(SynthesisQuery{Regime: "bluezone", Date: "2020-01-01"}),
	} {
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	page, err := v.Breaches(ctx, BreachQuery{AsOf: "2021-02-10"})
	must(t, err)
	if page.AsOf != "2021-02-10" {
		t.Errorf("the answer must say the day its names are of: %+v", page.At)
	}
}
