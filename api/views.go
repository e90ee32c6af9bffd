package api

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/eventlog"
	"github.com/answerable-ledger/answerable/projections"
)

// Views is what the queries and the pages ask of the read side.
type Views interface {
	Compliance(ctx context.Context, q projections.ComplianceQuery) (projections.CompliancePage, error)
	Board(ctx context.Context, q projections.BoardQuery) (projections.DayBoard, error)
	UnitRecords(ctx context.Context, q projections.ComplianceQuery) (projections.UnitRecordPage, error)
	History(ctx context.Context, q projections.HistoryQuery) (projections.History, error)
	Answer(ctx context.Context, q projections.AnswerQuery) (projections.AnswerPage, error)
	Breaches(ctx context.Context, q projections.BreachQuery) (projections.BreachPage, error)
	Synthesis(ctx context.Context, q projections.SynthesisQuery) (projections.Synthesis, error)
	SignOffQueue(ctx context.Context, q projections.SignOffQuery) (projections.QueuePage, error)
	Targets(ctx context.Context, q projections.TargetQuery) (projections.TargetPage, error)
	Units(ctx context.Context, q projections.UnitQuery) (projections.UnitPage, error)
	Offices(ctx context.Context, q projections.OfficeQuery) (projections.OfficeRow, error)
	Days(ctx context.Context, regime domain.RegimeID, from, to domain.Date, known *time.Time) (projections.DayPage, error)
	Regimes(ctx context.Context, q projections.RegimeQuery) (projections.RegimePage, error)
	Parked(ctx context.Context) ([]projections.ParkedStream, error)
	RetryParked(ctx context.Context) (int, error)
	Lag(ctx context.Context) (projections.Lag, error)
	Leader(ctx context.Context) (string, error)
	WaitFor(ctx context.Context, p eventlog.Position) error
}

// readyQuery waits for the position a query asks for, and gives the place its page begins after.
func (c *call) readyQuery() (after string, err error) {
	if err := c.waitForViews(); err != nil {
		return "", err
	}
	return c.cursor()
}

// page answers with one page of a list; next is also a link, for programs that do not read bodies to page.
func (c *call) page(v any, next string) error {
	if next != "" {
		u := *c.r.URL
		q := u.Query()
		q.Set(paramCursor.name, next)
		u.RawQuery = q.Encode()
		c.x.Header().Set("Link", fmt.Sprintf("<%s>; rel=\"next\"", u.RequestURI()))
	}
	return c.answer(http.StatusOK, v)
}
