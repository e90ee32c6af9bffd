package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strings"
	"testing"

	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/eventlog"
	"github.com/answerable-ledger/answerable/projections"
)

var errBroken = errors.New("the views are broken <script>")

// brokenViews fail in one method, which they are called by, and count how often they did.
type brokenViews struct {
	Views
	method string
	failed *int
}

func (b brokenViews) fault(method string) error {
	if b.method != method {
		return nil
	}
	*b.failed++
	return fmt.Errorf("%s: %w", method, errBroken)
}

// faulty asks the views, or fails before.
func faulty[Q, A any](ctx context.Context, b brokenViews, method string, q Q, ask func(context.Context, Q) (A, error)) (A, error) {
	if err := b.fault(method); err != nil {
		var none A
		return none, err
	}
	return ask(ctx, q)
}

func (b brokenViews) Compliance(ctx context.Context, q projections.ComplianceQuery) (projections.CompliancePage, error) {
	return faulty(ctx, b, "Compliance", q, b.Views.Compliance)
}

func (b brokenViews) Grid(ctx context.Context, q projections.GridQuery) (projections.Grid, error) {
	return faulty(ctx, b, "Grid", q, b.Views.Grid)
}

func (b brokenViews) History(ctx context.Context, q projections.HistoryQuery) (projections.History, error) {
	return faulty(ctx, b, "History", q, b.Views.History)
}

func (b brokenViews) Answer(ctx context.Context, q projections.AnswerQuery) (projections.AnswerPage, error) {
	return faulty(ctx, b, "Answer", q, b.Views.Answer)
}

func (b brokenViews) Search(ctx context.Context, q projections.SearchQuery) (projections.AnswerPage, error) {
	return faulty(ctx, b, "Search", q, b.Views.Search)
}

func (b brokenViews) Breaches(ctx context.Context, q projections.BreachQuery) (projections.BreachPage, error) {
	return faulty(ctx, b, "Breaches", q, b.Views.Breaches)
}

func (b brokenViews) Synthesis(ctx context.Context, q projections.SynthesisQuery) (projections.Synthesis, error) {
	return faulty(ctx, b, "Synthesis", q, b.Views.Synthesis)
}

func (b brokenViews) SignOffQueue(ctx context.Context, q projections.SignOffQuery) (projections.QueuePage, error) {
	return faulty(ctx, b, "SignOffQueue", q, b.Views.SignOffQueue)
}

func (b brokenViews) Targets(ctx context.Context, q projections.TargetQuery) (projections.TargetPage, error) {
	return faulty(ctx, b, "Targets", q, b.Views.Targets)
}

func (b brokenViews) Units(ctx context.Context, q projections.UnitQuery) (projections.UnitPage, error) {
	return faulty(ctx, b, "Units", q, b.Views.Units)
}

func (b brokenViews) Parked(ctx context.Context) ([]projections.ParkedStream, error) {
	if err := b.fault("Parked"); err != nil {
		return nil, err
	}
	return b.Views.Parked(ctx)
}

func (b brokenViews) RetryParked(ctx context.Context) (int, error) {
	if err := b.fault("RetryParked"); err != nil {
		return 0, err
	}
	return b.Views.RetryParked(ctx)
}

func (b brokenViews) Lag(ctx context.Context) (projections.Lag, error) {
	if err := b.fault("Lag"); err != nil {
		return projections.Lag{}, err
	}
	return b.Views.Lag(ctx)
}

func (b brokenViews) WaitFor(ctx context.Context, p eventlog.Position) error {
	if err := b.fault("WaitFor"); err != nil {
		return err
	}
	return b.Views.WaitFor(ctx, p)
}

// TestNoHalfPage: whichever question to the views fails while a page is made, the answer is one whole page that says so, and
// not why, with the status of a failure; and every page that asks that question is such an answer.
func TestNoHalfPage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	head, err := w.log.Head(w.ctx)
	w.ok(err)
	visits := append(w.visits(), visit{name: "waits", route: "today", who: "filer", path: "/today?at=" + url.QueryEscape(head.String())})
	who := map[domain.PersonID]*browser{"admin": w.as("admin")}
	for _, v := range visits {
		if who[v.who] == nil {
			who[v.who] = w.seated(v.who)
		}
	}
	whole := func(what string, r *httptest.ResponseRecorder) {
		t.Helper()
		page := r.Body.String()
		if strings.Count(page, "<html") != 1 || strings.Count(page, "</html>") != 1 || strings.Contains(page, "broken") || !strings.HasPrefix(r.Header().Get("Content-Type"), "text/html") {
			t.Errorf("%s: %s", what, page)
		}
		if r.Code != http.StatusInternalServerError {
			t.Errorf("%s: %d", what, r.Code)
		}
	}
	working := w.handler.Config
	methods := reflect.TypeFor[Views]()
	for i := range methods.NumMethod() {
		failed, name := 0, methods.Method(i).Name
		config := working
		config.Views = brokenViews{working.Views, name, &failed}
		w.handler, err = New(config)
		w.ok(err)
		for _, v := range visits {
			was := failed
			r := who[v.who].ask(http.MethodGet, v.path, nil)
			if failed > was {
				whole(name+" on "+v.name, r)
			} else if r.Code >= 500 {
				t.Errorf("%s on %s: %d without a fault", name, v.name, r.Code)
			}
		}
		if name == "RetryParked" {
			whole(name, who["admin"].ask(http.MethodPost, "/operations/retry", url.Values{"key": {newKey()}}))
		}
		if failed == 0 {
			t.Errorf("nothing asks for %s", name)
		}
	}
}
