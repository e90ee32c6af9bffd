package commands

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/answerable-ledger/answerable/domain"
)

// FileRow is one row of a file of reports: an attempt of its own.
type FileRow struct {
	Command Command
	Filing  Filing
}

// rowsAtOnce is how many rows are decided or recorded at once: it fills the log's groups, and is far below what one file
// may take of the machine. Chosen.
const rowsAtOnce = 64

// SubmitFile records the reports of a file, or none of them: every row is decided before any is recorded, each on what
// those before it leave. Earlier days come first, and on one day the reports that sum others (rule 9) after those, so that
// they sum what the file says, in whatever order it says it.
//
// refusals[i] is why row i is refused; when any is, nothing was recorded, unless another writer was faster than this one
// between the deciding and the recording. results[i] is empty where row i was not recorded. After an error, or after such a
// race, the same rows may be submitted again under the same ids: what is recorded is not recorded twice.
func (l *Ledger) SubmitFile(ctx context.Context, rows []FileRow) (results []Result, refusals []*domain.Error, err error) {
	results = make([]Result, len(rows))
	refusals, err = l.CheckFile(ctx, rows)
	if err != nil || slices.ContainsFunc(refusals, refused) {
		return results, refusals, err
	}
	err = l.eachRow(ctx, rows, refusals, func(i int) (err error) {
		results[i], err = l.SubmitReport(ctx, rows[i].Command, rows[i].Filing)
		return err
	})
	return results, refusals, err
}

func refused(e *domain.Error) bool { return e != nil }

// CheckFile decides the rows as SubmitFile would now, and records nothing.
func (l *Ledger) CheckFile(ctx context.Context, rows []FileRow) (refusals []*domain.Error, err error) {
	ahead := ahead{ledger: l, reports: make(map[domain.ReportKey]domain.Report, len(rows))}
	refusals = make([]*domain.Error, len(rows))
	err = l.eachRow(ctx, rows, refusals, func(i int) error { return ahead.check(ctx, rows[i]) })
	return refusals, err
}

// ahead is the ledger as it will be once the rows checked so far are recorded.
type ahead struct {
	ledger  *Ledger
	mu      sync.Mutex // guards reports
	reports map[domain.ReportKey]domain.Report
}

func (a *ahead) report(ctx context.Context, key domain.ReportKey) (domain.Report, error) {
	a.mu.Lock()
	r, ok := a.reports[key]
	a.mu.Unlock()
	if ok {
		return r, nil
	}
	return a.ledger.Report(ctx, key)
}

func (a *ahead) check(ctx context.Context, row FileRow) error {
	c, decide, err := a.ledger.submission(ctx, row.Command, row.Filing, a.report)
	if err != nil {
		return err
	}
	r, err := a.report(ctx, row.Filing.Key)
	if err != nil {
		return err
	}
	if _, ok := r.Seen(c.ID); ok { // recorded by an attempt before
		return nil
	}
	events, err := decide(r)
	if err != nil {
		return err
	}
	for _, e := range events {
		r = r.Apply(domain.Fact{Event: e, Meta: domain.Meta{Actor: c.Actor, Channel: c.Channel, CommandID: c.ID, ReceivedAt: c.ReceivedAt, RecordedAt: c.ReceivedAt}})
	}
	a.mu.Lock()
	a.reports[row.Filing.Key] = r
	a.mu.Unlock()
	return nil
}

// eachRow calls f with the index of every row: rows that others build on first, rows that do not touch each other at
// once. Refusals are kept by row; anything else ends it.
func (l *Ledger) eachRow(ctx context.Context, rows []FileRow, refusals []*domain.Error, f func(i int) error) error {
	stages, err := l.stages(ctx, rows)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	for _, stage := range stages {
		work := make(chan int)
		var wg sync.WaitGroup
		for range min(rowsAtOnce, len(stage)) {
			wg.Go(func() {
				for i := range work {
					err := f(i)
					if err != nil && !errors.As(err, &refusals[i]) {
						cancel(err)
					}
				}
			})
		}
		for _, i := range stage {
			if ctx.Err() != nil {
				break
			}
			work <- i
		}
		close(work)
		wg.Wait()
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	return nil
}

// stages orders the rows' indices by day and by how far above the first-hand reports they stand.
func (l *Ledger) stages(ctx context.Context, rows []FileRow) ([][]int, error) {
	type stage struct {
		date  domain.Date
		above int
	}
	of := map[stage][]int{}
	for i, row := range rows {
		key := row.Filing.Key
		s := stage{date: key.Date}
		if _, err := domain.ParseDate(string(key.Date)); err == nil {
			day, err := l.Day(ctx, key.Regime, key.Date)
			if err != nil {
				return nil, err
			}
			s.above = day.Above(key.Form, key.Unit)
		}
		of[s] = append(of[s], i)
	}
	order := make([]stage, 0, len(of))
	for s := range of {
		order = append(order, s)
	}
	slices.SortFunc(order, func(a, b stage) int {
		return cmp.Or(cmp.Compare(a.date, b.date), cmp.Compare(a.above, b.above))
	})
	out := make([][]int, len(order))
	for i, s := range order {
		out[i] = of[s]
	}
	return out, nil
}

// DutyOf answers under which duty of the regime a unit owes a form on a day, from each day as it stands at the first
// question about it. The zero duty is answered where nothing is owed, and where the day cannot be read: a command about it
// will say why.
func (l *Ledger) DutyOf(ctx context.Context, id domain.RegimeID) func(domain.FormID, domain.UnitCode, domain.Date) domain.DayDuty {
	days := map[domain.Date]domain.Day{}
	return func(form domain.FormID, unit domain.UnitCode, date domain.Date) domain.DayDuty {
		day, ok := days[date]
		if !ok {
			day, _ = l.Day(ctx, id, date)
			days[date] = day
		}
		duty, _ := day.DutyOf(form, unit)
		return duty
	}
}
