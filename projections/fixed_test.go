package projections

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/answerable-ledger/answerable/domain"
)

// Given more questions at once than a generation has connections, whose statements are not prepared yet, then all are
// answered.
func TestManyQuestionsAtOnce(t *testing.T) {
	t.Parallel()
	onEveryEngine(t, func(t *testing.T, place place) {
		ctx := context.Background()
		log := newRecorder()
		log.record(t, busyDay().facts...)
		v := caughtUpViews(t, place(t), log)
		defer closeViews(t, v)
		var all sync.WaitGroup
		errs := make(chan error, 40)
		for range cap(errs) {
			all.Go(func() {
				var failed error
				for range 5 {
					_, err := v.Answer(ctx, AnswerQuery{Regime: "bluezone", Unit: "25900"})
					_, err2 := v.History(ctx, HistoryQuery{Regime: "bluezone", Unit: "25900", Date: today})
					failed = errors.Join(failed, err, err2)
				}
				errs <- failed
			})
		}
		all.Wait()
		close(errs)
		for err := range errs {
			must(t, err)
		}
		if n := len(v.current.statements.ready); n == 0 || n > mostStatements {
			t.Errorf("%d statements are prepared", n)
		}
	})
}

// What a question was not told of a regime or a form is there for the next one, once it is recorded.
func TestWhatComesLaterIsAnswered(t *testing.T) {
	t.Parallel()
	onEveryEngine(t, func(t *testing.T, place place) {
		ctx := context.Background()
		g, log := busyDay(), newRecorder()
		v := openViews(t, place(t), log)
		defer closeViews(t, v)
		forms := map[domain.FormID]bool{}
		for _, f := range g.facts {
			log.record(t, f)
			must(t, v.followInBatches(ctx, func() int { return 1 }))
			page, err := v.Compliance(ctx, ComplianceQuery{Regime: "bluezone"})
			if issued := v.current.fixed.isRegime("bluezone"); issued != (err == nil) {
				t.Fatalf("the regime is kept: %t; asked for: %v", issued, err)
			}
			for _, x := range page.Rows {
				if x.Form == "" {
					t.Fatalf("a row without a form: %+v", x)
				}
				forms[x.Form] = true
			}
		}
		if !forms["commune"] || !forms["district"] {
			t.Errorf("forms %v", forms)
		}
	})
}
