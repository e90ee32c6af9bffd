package commands

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/eventlog"
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
// refusals[i] is why row i is refused; when any is, nothing was recorded. results[i] is empty where row i was not recorded.
// After an error the same rows may be submitted again under the same ids: what is recorded is not recorded twice.
//
// A log that cannot append to several streams as one takes the rows one by one. There, and only there, another writer that
// is faster with a row between the deciding and the recording leaves the other rows recorded: refusals and results say
// which, and the rows that are left may be submitted again.
func (l *Ledger) SubmitFile(ctx context.Context, rows []FileRow) (results []Result, refusals []*domain.Error, err error) {
	log, whole := l.log.(eventlog.MultiAppender)
	for attempt := 1; ; attempt++ {
		results = make([]Result, len(rows))
		var file *ahead
		file, refusals, err = l.decideFile(ctx, rows)
		if err != nil || slices.ContainsFunc(refusals, refused) {
			return results, refusals, err
		}
		if !whole {
			err = eachRow(ctx, file.stages, refusals, func(i int) (err error) {
				results[i], err = l.SubmitReport(ctx, rows[i].Command, rows[i].Filing)
				return err
			})
			return results, refusals, err
		}
		results, err = l.record(ctx, log, file)
		if !errors.Is(err, eventlog.ErrConflict) || attempt == maxAttempts {
			return results, refusals, err
		}
	}
}

func refused(e *domain.Error) bool { return e != nil }

// CheckFile decides the rows as SubmitFile would now, and records nothing.
func (l *Ledger) CheckFile(ctx context.Context, rows []FileRow) (refusals []*domain.Error, err error) {
	_, refusals, err = l.decideFile(ctx, rows)
	return refusals, err
}

func (l *Ledger) decideFile(ctx context.Context, rows []FileRow) (*ahead, []*domain.Error, error) {
	refusals := make([]*domain.Error, len(rows))
	stages, err := l.stages(ctx, rows)
	if err != nil {
		return nil, refusals, err
	}
	file := &ahead{ledger: l, stages: stages, rows: make([]decided, len(rows)), reports: make(map[domain.ReportKey]domain.Report, len(rows))}
	err = eachRow(ctx, stages, refusals, func(i int) (err error) {
		file.rows[i], err = file.decide(ctx, rows[i])
		return err
	})
	return file, refusals, err
}

// record appends what was decided, as one. The results of rows that were recorded before are those of then.
func (l *Ledger) record(ctx context.Context, log eventlog.MultiAppender, file *ahead) ([]Result, error) {
	results := make([]Result, len(file.rows))
	var parts []eventlog.Part
	var of []int // the row of each part
	for _, stage := range file.stages {
		for _, i := range stage {
			d := file.rows[i]
			if d.seen {
				var err error
				if results[i], err = l.repeated(ctx, d.stream, d.next, d.command); err != nil {
					return results, err
				}
				continue
			}
			proposed, err := l.propose(d.command, d.stream, d.events)
			if err != nil {
				return results, err
			}
			parts = append(parts, eventlog.Part{Stream: d.stream, Expected: eventlog.After(d.next), Events: proposed})
			of = append(of, i)
		}
	}
	if len(parts) == 0 {
		return results, nil
	}
	return results, insist(ctx, func(first bool) error {
		done, err := log.AppendAll(ctx, parts)
		if err != nil {
			return fmt.Errorf("commands: append %d reports: %w", len(parts), err)
		}
		for j, i := range of {
			d := file.rows[i]
			results[i] = recorded(d.command, d.stream, d.events, parts[j].Events, done[j])
			results[i].Repeat = done[j].Repeat && first
		}
		return nil
	})
}

// ahead is the ledger as it will be once the rows decided so far are recorded.
type ahead struct {
	ledger *Ledger
	stages [][]int
	rows   []decided // by the row's index

	mu      sync.Mutex // guards reports
	reports map[domain.ReportKey]domain.Report
}

// decided is what a row comes to.
type decided struct {
	command Command
	stream  string
	next    uint64 // events of the stream before it; the command's last revision when it was seen
	events  []domain.Event
	seen    bool // recorded by an attempt before
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

func (a *ahead) decide(ctx context.Context, row FileRow) (decided, error) {
	c, decide, err := a.ledger.submission(ctx, row.Command, row.Filing, a.report)
	if err != nil {
		return decided{}, err
	}
	d := decided{command: c, stream: row.Filing.Key.Stream()}
	var r domain.Report
	if r, d.next, err = a.ledger.loadReport(row.Filing.Key)(ctx, d.stream); err != nil {
		return d, fmt.Errorf("commands: load %s: %w", d.stream, err)
	}
	if revision, ok := r.Seen(c.ID); ok {
		d.next, d.seen = revision, true
		return d, nil
	}
	if d.events, err = decide(r); err != nil {
		return d, err
	}
	for _, e := range d.events {
		r = r.Apply(domain.Fact{Event: e, Meta: domain.Meta{Actor: c.Actor, Channel: c.Channel, CommandID: c.ID, ReceivedAt: c.ReceivedAt, RecordedAt: c.ReceivedAt}})
	}
	a.mu.Lock()
	a.reports[row.Filing.Key] = r
	a.mu.Unlock()
	return d, nil
}

// eachRow calls f with the index of every row: rows that others build on first, rows that do not touch each other at
// once. Refusals are kept by row; anything else ends it.
func eachRow(ctx context.Context, stages [][]int, refusals []*domain.Error, f func(i int) error) error {
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
