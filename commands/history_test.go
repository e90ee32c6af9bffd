package commands_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/answerable-ledger/answerable/commands"
	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/domain/domaintest"
	"github.com/answerable-ledger/answerable/eventlog"
	"github.com/answerable-ledger/answerable/eventlog/eventlogtest"
	"github.com/answerable-ledger/answerable/eventlog/memlog"
	"github.com/answerable-ledger/answerable/schemas"
)

// TestRandomHistoriesKeepTheRules plays people's attempts, some of them wrong, through the commands, on a log whose
// answers get lost, with several closers, one of which is always just starting. Whatever comes of it keeps rules 1 to 14.
func TestRandomHistoriesKeepTheRules(t *testing.T) {
	t.Parallel()
	registry, err := schemas.Load()
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string]int{}
	for seed := range uint64(12) {
		s := domaintest.Seeded(seed)
		w := domaintest.NewWorld(s, domaintest.Size{Districts: 2, Communes: 3, Bodies: 1, Days: 3})
		p := newPlayer(t, w, registry)
		armed := 0
		for i, a := range w.Attempts(s, 300) {
			if n := p.log.Appends(); i%5 == 0 && n >= armed { // the fault before has struck
				armed = n + 1
				p.log.OnAppend([]eventlogtest.Fault{eventlogtest.StoreAndFail(), eventlogtest.LoseAndFail()}[s.IntN(2)])
			}
			p.play(a)
		}
		var facts []domain.Fact
		for _, r := range eventlogtest.CheckLog(t, p.log) {
			f := decoded(t, r)
			facts = append(facts, f)
			kinds[f.Event.Kind()]++
		}
		if err := domaintest.Check(facts); err != nil {
			t.Errorf("seed %d: %v", seed, err)
		}
	}
	for _, kind := range []string{"DayClosed", "ReportCorrected", "ReportReturned", "ReportSignedOff", "DeadlineBreached", "BreachWithdrawn",
		"BreachExplained", "BreachExcused", "ReminderSent", "DeadlineExtended", "DayExempted", "RegimeAmended", "OfficeLeft", "AuthorityGranted", "TargetJudged", "ReportIssued"} {
		if kinds[kind] == 0 {
			t.Errorf("no %s in any history: the generator tests nothing about it", kind)
		}
	}
}

func decoded(t *testing.T, r eventlog.Recorded) domain.Fact {
	t.Helper()
	f, err := schemas.Decode(schemas.Source{Stream: r.Stream, Revision: r.Revision, RecordedAt: r.RecordedAt, Stored: schemas.Stored{ID: r.ID, Kind: r.Kind, Data: r.Data, Meta: r.Meta}})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// player tries domaintest's attempts on a real ledger.
type player struct {
	t      *testing.T
	world  domaintest.World
	clock  *eventlogtest.Clock
	log    *eventlogtest.Faulty
	ledger *commands.Ledger
	n      int
}

func newPlayer(t *testing.T, w domaintest.World, registry *schemas.Registry) *player {
	t.Helper()
	p := &player{t: t, world: w, clock: eventlogtest.NewClock()}
	p.clock.Set(w.Founded)
	p.log = eventlogtest.NewFaulty(memlog.New(p.clock.Now))
	p.ledger = commands.New(p.log, registry, p.clock.Now, zap.NewNop())
	ctx := context.Background()
	must := func(_ commands.Result, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, u := range w.Units {
		must(p.ledger.RegisterUnit(ctx, p.command(domain.System, time.Time{}), u))
	}
	for _, x := range w.Persons {
		must(p.ledger.RegisterPerson(ctx, p.command(domain.System, time.Time{}), x.PersonRegistered))
		for _, g := range x.Roles {
			must(p.ledger.GrantRole(ctx, p.command(domain.System, time.Time{}), x.Person, g.Role, g.Unit, w.Founded, nil))
		}
	}
	for _, o := range w.Offices {
		must(p.ledger.TakeOffice(ctx, p.command(domain.System, time.Time{}), o))
	}
	must(p.ledger.IssueRegime(ctx, p.command(domain.System, time.Time{}), w.Regime, w.Rules))
	return p
}

func (p *player) command(by domain.PersonID, received time.Time) commands.Command {
	p.n++
	return commands.Command{ID: domain.NewCommandID("player", fmt.Sprint(p.n)), Actor: by, Channel: domain.ChannelAPI, ReceivedAt: received}
}

// play tries one attempt at its time; a refusal is an answer, anything else that fails is not.
func (p *player) play(a domaintest.Attempt) {
	p.t.Helper()
	p.clock.Set(a.Recorded)
	ctx := context.Background()
	if _, err := (&commands.Closer{Ledger: p.ledger, Parallel: 3}).CloseDue(ctx); err != nil {
		p.t.Fatalf("closing at %s: %v", a.Recorded, err)
	}
	err := p.attempt(ctx, a)
	var refusal *domain.Error
	if err != nil && !errors.As(err, &refusal) {
		p.t.Fatalf("%s of %+v: %v", a.Act, a.Key, err)
	}
}

func (p *player) attempt(ctx context.Context, a domaintest.Attempt) error {
	c, l, r, unit := p.command(a.By, a.Received), p.ledger, p.world.Regime, a.Key.Unit
	filing := commands.Filing{Key: a.Key, Figures: a.Figures, Nil: a.Nil, Note: a.Note}
	report, err := l.Report(ctx, a.Key)
	if err != nil {
		return err
	}
	newest, _ := report.Newest()
	version := a.Version
	if version == 0 {
		version = newest.Number
	}
	switch a.Act {
	case domaintest.Submit:
		_, err = l.SubmitReport(ctx, c, filing)
	case domaintest.Correct:
		_, err = l.CorrectReport(ctx, c, commands.Replacement{Filing: filing, Replaces: version, Correction: domain.CorrectionContent, Reason: a.Reason})
	case domaintest.Erratum:
		filing.Figures, filing.Nil = newest.Content.Figures, newest.Content.Nil
		_, err = l.CorrectReport(ctx, c, commands.Replacement{Filing: filing, Replaces: version, Correction: domain.CorrectionErratum, Reason: a.Reason})
	case domaintest.Return:
		_, err = l.ReturnReport(ctx, c, a.Key, version, a.Reason)
	case domaintest.SignOff:
		attempt := domain.SigningAttempt{Version: version}
		if version >= 1 && version <= len(report.Versions) {
			attempt.Digest = report.Versions[version-1].Digest
		}
		_, err = l.SignOff(ctx, c, a.Key, attempt)
	case domaintest.Explain:
		_, err = l.ExplainBreach(ctx, c, a.Key, a.Breach, a.Reason)
	case domaintest.Excuse:
		_, err = l.ExcuseBreach(ctx, c, a.Key, a.Breach, a.Reason)
	case domaintest.Uphold:
		_, err = l.UpholdBreach(ctx, c, a.Key, a.Breach, a.Reason)
	case domaintest.Remind:
		_, err = l.Remind(ctx, c, a.Key, "mail", a.Note)
	case domaintest.Extend:
		_, err = l.ExtendDeadline(ctx, c, r, domain.DutyID(a.Key.Form), a.Key.Date, []domain.UnitCode{unit}, a.Until, a.Reason)
	case domaintest.Exempt:
		_, err = l.ExemptDay(ctx, c, r, a.Key.Date, nil, []domain.UnitCode{unit}, a.Reason)
	case domaintest.Amend:
		_, err = l.AmendRegime(ctx, c, r, p.world.Rules, a.Reason)
	case domaintest.Leave:
		_, err = l.LeaveOffice(ctx, c, domain.OfficeLeft{Unit: unit, Person: a.Person, Until: a.Recorded, Reason: a.Reason})
	case domaintest.Take:
		_, err = l.TakeOffice(ctx, c, domain.OfficeTaken{Unit: unit, Person: a.Person, Capacity: domain.CapacityActing, Title: "Q. CHỦ TỊCH", From: a.Recorded, Decision: "QĐ 2"})
	case domaintest.Grant:
		_, err = l.GrantAuthority(ctx, c, domain.AuthorityGranted{Unit: unit, Authority: fmt.Sprint("uq_", p.n), Person: a.Person, Capacity: domain.CapacityKT,
			Title: "PHÓ CHỦ TỊCH", Forms: []domain.FormID{a.Key.Form}, From: a.Recorded, Until: a.Until, Decision: "QĐ 3"})
	case domaintest.Move:
		_, err = l.ChangeUnit(ctx, c, unit, domain.UnitMoved{Unit: unit, Parent: a.To, EffectiveOn: a.Key.Date, Basis: a.Reason})
	case domaintest.Issue:
		_, err = l.IssueReport(ctx, c, r, a.Key.Date, "Chủ tịch", a.Note)
	}
	return err
}
