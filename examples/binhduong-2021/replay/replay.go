package replay

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/answerable-ledger/answerable/commands"
	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/eventlog"
	binhduong "github.com/answerable-ledger/answerable/examples/binhduong-2021"
)

// Replay tells a story to a ledger, once.
type Replay struct {
	Ledger     *commands.Ledger
	Closer     *commands.Closer            // does what the ledger does by itself in between
	Clock      *Clock                      // the ledger's own
	Seed       uint64                      // of the story: the commands' ids derive from it
	Checkpoint func(context.Context) error // signs for what is in the log; nil signs nothing
	Refused    int                         // attempts that were refused so far, as the story expects
}

// Run does every attempt at its time, and everything the ledger does by itself in between.
func (r *Replay) Run(ctx context.Context, story []binhduong.Attempt, done func(attempts int)) error {
	var next time.Time // of the ledger's own steps; zero when none is known
	var due time.Time  // of the next checkpoint; zero when none is known
	var err error
	advance := func(until time.Time) error {
		for {
			atDue := !due.IsZero() && !due.After(until) && (next.IsZero() || due.Before(next))
			switch {
			case atDue: // before what the ledger does at that instant
				r.Clock.Set(due)
			case !next.IsZero() && !next.After(until):
				r.Clock.Set(next)
				if next, err = r.Closer.CloseDue(ctx); err != nil {
					return err
				}
			default:
				return nil
			}
			if r.Checkpoint == nil {
				continue
			}
			if err := r.Checkpoint(ctx); err != nil {
				return err
			}
			if due, err = r.Ledger.NextDeadline(ctx, r.Clock.Now()); err != nil {
				return err
			}
		}
	}
	for i, a := range story {
		if err := advance(a.At); err != nil {
			return err
		}
		r.Clock.Set(a.At)
		if err := r.attempt(ctx, a); err != nil {
			return fmt.Errorf("replay of attempt %s by %s at %s: %w", a.Name, a.Actor, a.At.Format(time.RFC3339), err)
		}
		if _, ok := a.Act.(binhduong.IssueRegime); ok { // now there is something to close
			if next, err = r.Closer.CloseDue(ctx); err != nil {
				return err
			}
		}
		done(i + 1)
	}
	return advance(story[len(story)-1].At.Add(48 * time.Hour))
}

// attempt does one attempt, and checks that a refusal is the one the story tells of.
func (r *Replay) attempt(ctx context.Context, a binhduong.Attempt) error {
	_, err := r.do(ctx, commands.Command{ID: domain.NewCommandID("demo", strconv.FormatUint(r.Seed, 10), a.Name),
		Actor: a.Actor, Channel: a.Channel, ReceivedAt: a.Received}, a.Act)
	var refusal *domain.Error
	switch {
	case a.Refused == "":
		return err
	case errors.As(err, &refusal) && refusal.Code() == a.Refused:
		r.Refused++
		return nil
	}
	return fmt.Errorf("the story tells of the refusal %q, the ledger said: %w", a.Refused, err)
}

func (r *Replay) do(ctx context.Context, c commands.Command, act binhduong.Act) (commands.Result, error) {
	l := r.Ledger
	switch a := act.(type) {
	case binhduong.IssueRegime:
		return l.IssueRegime(ctx, c, a.Regime, a.Rules)
	case binhduong.RegisterPerson:
		return l.RegisterPerson(ctx, c, a.PersonRegistered)
	case binhduong.GrantRole:
		return l.GrantRole(ctx, c, a.Person, a.Role, a.Unit, a.From, nil)
	case binhduong.RegisterUnit:
		return l.RegisterUnit(ctx, c, a.UnitRegistered)
	case binhduong.ReclassifyUnit:
		return l.ChangeUnit(ctx, c, a.Unit, a.UnitReclassified)
	case binhduong.TakeOffice:
		return l.TakeOffice(ctx, c, a.OfficeTaken)
	case binhduong.LeaveOffice:
		return l.LeaveOffice(ctx, c, a.OfficeLeft)
	case binhduong.GrantAuthority:
		return l.GrantAuthority(ctx, c, a.AuthorityGranted)
	case binhduong.Submit:
		return l.SubmitReport(ctx, c, filing(a))
	case binhduong.Correct:
		return l.CorrectReport(ctx, c, commands.Replacement{Filing: filing(a.Submit), Replaces: a.Replaces, Correction: a.Correction, Reason: a.Reason})
	case binhduong.Return:
		return l.ReturnReport(ctx, c, a.Key, a.Version, a.Reason)
	case binhduong.Sign:
		return r.sign(ctx, c, a)
	case binhduong.Extend:
		return l.ExtendDeadline(ctx, c, binhduong.Regime, a.Duty, a.Date, a.Units, a.Due, a.Reason)
	case binhduong.Exempt:
		return l.ExemptDay(ctx, c, binhduong.Regime, a.Date, a.Duties, a.Units, a.Reason)
	case binhduong.Remind:
		return l.Remind(ctx, c, a.Key, a.Via, a.Text)
	case binhduong.Explain:
		return l.ExplainBreach(ctx, c, a.Key, a.Breach, a.Text)
	case binhduong.Excuse:
		return l.ExcuseBreach(ctx, c, a.Key, a.Breach, a.Reason)
	case binhduong.Uphold:
		return l.UpholdBreach(ctx, c, a.Key, a.Breach, a.Reason)
	case binhduong.Issue:
		return l.IssueReport(ctx, c, binhduong.Regime, a.Date, a.To, a.Note)
	}
	return commands.Result{}, fmt.Errorf("the replay does not know the act %T: %w", act, eventlog.ErrInvalid)
}

func filing(a binhduong.Submit) commands.Filing {
	return commands.Filing{Key: a.Key, Figures: a.Figures, Nil: a.Nil, Note: a.Note}
}

// sign signs the digest that stands in the ledger, as a person does who looks and then signs.
func (r *Replay) sign(ctx context.Context, c commands.Command, a binhduong.Sign) (commands.Result, error) {
	report, err := r.Ledger.Report(ctx, a.Key)
	if err != nil {
		return commands.Result{}, err
	}
	attempt := domain.SigningAttempt{Version: a.Version}
	if a.Version > 0 && a.Version <= len(report.Versions) {
		attempt.Digest = report.Versions[a.Version-1].Digest
	}
	return r.Ledger.SignOff(ctx, c, a.Key, attempt)
}
