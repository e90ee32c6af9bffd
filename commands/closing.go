package commands

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/eventlog"
)

// ViewsDigest is the digest of a day's rows in the views, once these have applied everything up to after. nil where no
// views run.
type ViewsDigest func(ctx context.Context, id domain.RegimeID, date domain.Date, after eventlog.Position) (digest, position string, err error)

// Closer opens the days, closes them at deadline plus grace, and judges the targets, by itself.
//
// Every act has an id made of what it is about, so a restart at any point, or a second closer, repeats acts instead of
// doubling them (rule 3). Acts are done in the order of their times: DayClosed of a day says that everything due before
// it, also the sign-offs of the day before, has been judged. So after a restart only what is due since the last closed
// day is gone through again.
type Closer struct {
	Ledger *Ledger
	Digest ViewsDigest
	// Stepped is called after each step that recorded something; nil is allowed. The transparency log forces a
	// checkpoint there.
	Stepped func(ctx context.Context, s Step)
	// Parallel is how many obligations are closed at once; 0 is 64, which fills the log's groups.
	Parallel int

	done done
}

// OpenAhead is how long before its midnight a day is opened: long enough that a machine that is down over night still
// finds the day open, short enough that the tree of units is the day's.
const OpenAhead = 6 * time.Hour

// Step is one thing to be done at an instant.
type Step struct {
	At     time.Time
	Regime domain.RegimeID
	Date   domain.Date
	Act    Act
}

// Act is what a step does. At one instant the acts run in this order.
type Act int

const (
	ActOpen     Act = iota // record the day's obligations
	ActBreach              // record missing and late reports
	ActUnsigned            // record unsigned reports
	ActJudge               // judge the targets of the day
	ActClose               // record the day's closing
)

func (a Act) String() string {
	return [...]string{"open", "breach", "unsigned", "judge", "close"}[a]
}

// Run does every step when it is due, until ctx ends. wait blocks until the given instant of the ledger's clock, or
// less: tests and the demonstration give their own. A failed step is tried again: nothing is passed over.
func (c *Closer) Run(ctx context.Context, wait func(ctx context.Context, until time.Time) error) error {
	for ctx.Err() == nil {
		next, err := c.CloseDue(ctx)
		if err != nil {
			c.Ledger.logger.Error("closing failed and will be tried again", zap.Error(err))
			next = c.Ledger.now().Add(5 * time.Second)
		}
		// A regime issued, amended or extended meanwhile changes what is due: look again every minute.
		if soon := c.Ledger.now().Add(time.Minute); next.IsZero() || soon.Before(next) {
			next = soon
		}
		if err := wait(ctx, next); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// CloseDue does everything that is due now, and returns the instant of the next step, or zero when none is known. A step
// that fails holds up its own regime alone.
func (c *Closer) CloseDue(ctx context.Context) (time.Time, error) {
	ids, err := c.Ledger.Regimes(ctx)
	if err != nil {
		return time.Time{}, err
	}
	var next time.Time
	var failed error
	for _, id := range ids {
		at, err := c.closeRegime(ctx, id)
		failed = errors.Join(failed, err)
		if next.IsZero() || !at.IsZero() && at.Before(next) {
			next = at
		}
	}
	return next, failed
}

// closeRegime is CloseDue for one regime.
func (c *Closer) closeRegime(ctx context.Context, id domain.RegimeID) (next time.Time, err error) {
	for {
		s, ok, err := c.nextStep(ctx, id)
		if err != nil || !ok {
			return time.Time{}, err
		}
		if s.At.After(c.Ledger.now()) {
			return s.At, nil
		}
		if err := c.do(ctx, s); err != nil {
			return time.Time{}, fmt.Errorf("commands: %s %s of %s: %w", s.Act, s.Date, s.Regime, err)
		}
		if c.Stepped != nil {
			c.Stepped(ctx, s)
		}
	}
}

// done remembers the steps this process has finished, so that a step that records nothing is not repeated for ever. It
// is not needed for correctness.
type done struct {
	mu    sync.Mutex
	steps map[Step]bool
	from  map[domain.RegimeID]domain.Date
}

var errNothing = errors.New("nothing to do")

// nextStep is the earliest step of a regime that this process has not done.
func (c *Closer) nextStep(ctx context.Context, id domain.RegimeID) (Step, bool, error) {
	r, err := c.Ledger.Regime(ctx, id)
	if err != nil {
		return Step{}, false, err
	}
	done := &c.done
	done.mu.Lock()
	defer done.mu.Unlock()
	if done.from == nil {
		done.from, done.steps = map[domain.RegimeID]domain.Date{}, map[Step]bool{}
	}
	if _, ok := done.from[id]; !ok {
		if done.from[id], err = c.firstOpenDay(ctx, r); err != nil {
			delete(done.from, id)
			return Step{}, false, err
		}
	}
	now := c.Ledger.now()
	var steps []Step
	for d := done.from[id]; ; d = d.AddDays(1) {
		opens, err := domain.ClockTime("00:00").On(d, r.Zone)
		if err != nil {
			return Step{}, false, err
		}
		if opens = opens.Add(-OpenAhead); opens.After(now.Add(24 * time.Hour)) {
			break
		}
		if !r.ReportsOn(d) {
			continue
		}
		day, err := c.Ledger.Day(ctx, id, d)
		if err != nil {
			return Step{}, false, err
		}
		steps = append(steps, c.stepsOf(r, day, d, opens)...)
	}
	steps = slices.DeleteFunc(steps, func(s Step) bool { return done.steps[s] })
	slices.SortFunc(steps, func(a, b Step) int {
		if n := a.At.Compare(b.At); n != 0 {
			return n
		}
		if a.Date != b.Date {
			if a.Date < b.Date {
				return -1
			}
			return 1
		}
		return int(a.Act) - int(b.Act)
	})
	if len(steps) == 0 {
		return Step{}, false, nil
	}
	return steps[0], true, nil
}

// firstOpenDay is the first day on which something may be left to do: the last closed day, whose sign-offs may not be judged
// yet, or one before it that an extension keeps open; or the first day.
func (c *Closer) firstOpenDay(ctx context.Context, r domain.Regime) (domain.Date, error) {
	first := r.Versions[0].FirstDay
	today := domain.DateAt(c.Ledger.now(), r.Zone)
	for d := today; d > first; d = d.AddDays(-1) {
		day, err := c.Ledger.Day(ctx, r.ID, d)
		if err != nil {
			return "", err
		}
		if day.Closed != nil {
			return c.unfinished(ctx, r, first, d, day.Closed.ClosedAt)
		}
	}
	return first, nil
}

// unfinished is the first day between two, the later one left out, that is open, or has sign-offs that close after an
// instant; when there is none, the later one. Days close out of their order when a deadline was extended beyond the next
// day's (rule 13): passing over such a day would lose its breaches (rule 3).
func (c *Closer) unfinished(ctx context.Context, r domain.Regime, from, to domain.Date, at time.Time) (domain.Date, error) {
	for d := from; d < to; d = d.AddDays(1) {
		if !r.ReportsOn(d) {
			continue
		}
		day, err := c.Ledger.Day(ctx, r.ID, d)
		if err != nil {
			return "", err
		}
		if day.Opened != nil && (day.Closed == nil || slices.ContainsFunc(day.Obligations(r), func(o domain.Obligation) bool { return o.SignOffCloses != nil && o.SignOffCloses.After(at) })) {
			return d, nil
		}
	}
	return to, nil
}

func (c *Closer) stepsOf(r domain.Regime, day domain.Day, d domain.Date, opens time.Time) []Step {
	if day.Opened == nil {
		return []Step{{opens, r.ID, d, ActOpen}}
	}
	var steps []Step
	seen := map[Step]bool{}
	add := func(at time.Time, a Act) {
		if s := (Step{at, r.ID, d, a}); !seen[s] {
			seen[s] = true
			steps = append(steps, s)
		}
	}
	for _, o := range day.Obligations(r) {
		if day.Closed == nil {
			add(o.Closes, ActBreach)
		}
		if o.SignOffCloses != nil {
			add(*o.SignOffCloses, ActUnsigned)
		}
	}
	if day.Closed == nil {
		last := day.LastClose(r)
		add(last, ActJudge)
		add(last, ActClose)
	}
	return steps
}

func (c *Closer) do(ctx context.Context, s Step) error {
	var err error
	switch s.Act {
	case ActOpen:
		err = c.open(ctx, s)
	case ActBreach:
		err = c.breach(ctx, s, domain.BreachMissing, domain.BreachLate)
	case ActUnsigned:
		err = c.breach(ctx, s, domain.BreachUnsigned)
	case ActJudge:
		err = c.judge(ctx, s)
	case ActClose:
		err = c.close(ctx, s)
	}
	if err != nil && !errors.Is(err, errNothing) {
		return err
	}
	return c.did(ctx, s)
}

// did remembers a step, and forgets the days before the first on which something is left.
func (c *Closer) did(ctx context.Context, s Step) error {
	done := &c.done
	done.mu.Lock()
	defer done.mu.Unlock()
	done.steps[s] = true
	if s.Act != ActClose {
		return nil
	}
	r, err := c.Ledger.Regime(ctx, s.Regime)
	if err != nil {
		return err
	}
	from, err := c.unfinished(ctx, r, done.from[s.Regime], max(s.Date, done.from[s.Regime]), s.At)
	if err != nil {
		return err
	}
	done.from[s.Regime] = from
	for old := range done.steps {
		if old.Regime == s.Regime && old.Date < from {
			delete(done.steps, old)
		}
	}
	return nil
}

func (c *Closer) open(ctx context.Context, s Step) error {
	_, err := c.Ledger.OpenDay(ctx, System("open", string(s.Regime), string(s.Date)), s.Regime, s.Date)
	switch {
	case errors.Is(err, domain.Refuse(domain.Conflict, domain.CodeDeadlinePassed, "")):
		// Nobody was running when the day should have been opened. Its obligations cannot be made up afterwards.
		c.Ledger.logger.Error("a day was not opened before its first deadline; nobody can be held to it", zap.String("regime", string(s.Regime)), zap.String("date", string(s.Date)))
		return errNothing
	case errors.Is(err, domain.Refuse(domain.Conflict, domain.CodeDayOpen, "")):
		return errNothing
	}
	return err
}

// breach records the breaches of the given kinds on every obligation that has closed by the step's time.
func (c *Closer) breach(ctx context.Context, s Step, kinds ...domain.BreachKind) error {
	return c.eachObligation(ctx, s, func(ctx context.Context, o domain.Obligation) error {
		stream := o.Key.Stream()
		cmd := System("breach", stream, string(kinds[0]))
		_, err := change(ctx, c.Ledger, cmd, stream, c.Ledger.loadReport(o.Key), func(r domain.Report) ([]domain.Event, error) {
			return slices.DeleteFunc(r.Close(o, s.At), func(e domain.Event) bool {
				return !slices.Contains(kinds, e.(domain.DeadlineBreached).Breach)
			}), nil
		})
		return err
	})
}

// judge judges the targets that are measured on the day.
func (c *Closer) judge(ctx context.Context, s Step) error {
	r, day, err := c.regimeDay(ctx, s)
	if err != nil {
		return err
	}
	rules, _ := r.RulesVersion(day.Opened.RegimeVersion)
	for _, t := range rules.Targets {
		if t.On != s.Date {
			continue
		}
		err := c.eachObligation(ctx, s, func(ctx context.Context, o domain.Obligation) error {
			if o.Duty != t.Duty || o.Exempt != nil {
				return nil
			}
			report, err := c.Ledger.Report(ctx, o.Key)
			if err != nil {
				return err
			}
			stream := domain.ResultStream(s.Regime, o.Key.Unit)
			_, err = change(ctx, c.Ledger, System("judge", stream, t.ID, string(s.Date)), stream, c.Ledger.loadResults, func(res domain.Results) ([]domain.Event, error) {
				return res.Judge(t, o, report), nil
			})
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// close records the day's closing with the counts of the reports' own streams.
func (c *Closer) close(ctx context.Context, s Step) error {
	r, day, err := c.regimeDay(ctx, s)
	if err != nil {
		return err
	}
	var mu sync.Mutex
	var counts domain.Counts
	err = c.eachObligation(ctx, s, func(ctx context.Context, o domain.Obligation) error {
		report, err := c.Ledger.Report(ctx, o.Key)
		if err != nil {
			return err
		}
		status := report.Status(o.Exempt != nil)
		v, filed := report.Newest()
		mu.Lock()
		defer mu.Unlock()
		counts.Obligations++
		switch status {
		case domain.StatusOnTime:
			counts.OnTime++
		case domain.StatusLate:
			counts.Late++
		case domain.StatusExempt:
			counts.Exempt++
		case domain.StatusMissing:
			counts.Missing++
		case domain.StatusDue:
			return fmt.Errorf("%s has no report and no breach at the closing", o.Key.Stream())
		}
		if filed && v.Content.Nil {
			counts.Nil++
		}
		return nil
	})
	if err != nil {
		return err
	}
	var digest, position string
	if c.Digest != nil {
		head, err := c.Ledger.log.Head(ctx)
		if err != nil {
			return err
		}
		if digest, position, err = c.Digest(ctx, s.Regime, s.Date, head); err != nil {
			return err
		}
	}
	_, err = change(ctx, c.Ledger, System("close", string(s.Regime), string(s.Date)), domain.DayStream(s.Regime, s.Date), c.Ledger.loadDay, func(d domain.Day) ([]domain.Event, error) {
		return d.Close(r, counts, digest, position, c.Ledger.now())
	})
	if errors.Is(err, domain.Refuse(domain.Conflict, domain.CodeDayClosed, "")) { // another process was first
		return errNothing
	}
	if err == nil {
		c.Ledger.logger.Info("day closed", zap.String("regime", string(s.Regime)), zap.String("date", string(s.Date)),
			zap.Int("obligations", counts.Obligations), zap.Int("on_time", counts.OnTime), zap.Int("late", counts.Late),
			zap.Int("missing", counts.Missing), zap.Int("exempt", counts.Exempt), zap.String("version", strconv.Itoa(day.Opened.RegimeVersion)))
	}
	return err
}

func (c *Closer) regimeDay(ctx context.Context, s Step) (domain.Regime, domain.Day, error) {
	r, err := c.Ledger.Regime(ctx, s.Regime)
	if err != nil {
		return r, domain.Day{}, err
	}
	day, err := c.Ledger.Day(ctx, s.Regime, s.Date)
	return r, day, err
}

// eachObligation calls f for every obligation of the step's day, some at once, and returns the first error after all
// have ended. At Parallel 1 the order is the day's, which the demonstration needs to be the same twice.
func (c *Closer) eachObligation(ctx context.Context, s Step, f func(context.Context, domain.Obligation) error) error {
	r, day, err := c.regimeDay(ctx, s)
	if err != nil {
		return err
	}
	n := c.Parallel
	if n == 0 {
		n = 64
	}
	if n == 1 {
		for _, o := range day.Obligations(r) {
			if err := f(ctx, o); err != nil {
				return err
			}
		}
		return nil
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	work := make(chan domain.Obligation)
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			for o := range work {
				if err := f(ctx, o); err != nil {
					cancel(err)
				}
			}
		})
	}
	for _, o := range day.Obligations(r) {
		if ctx.Err() != nil {
			break
		}
		work <- o
	}
	close(work)
	wg.Wait()
	return context.Cause(ctx)
}
