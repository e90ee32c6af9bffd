package domaintest

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/answerable-ledger/answerable/domain"
)

// Ledger plays attempts through the decisions of package domain and keeps the facts: the simplest ledger there can be, in
// memory, for one caller. What the real one records for the same attempts is compared with it.
type Ledger struct {
	World   World
	Facts   []domain.Fact // in the order recorded
	Regime  domain.Regime
	Days    map[domain.Date]domain.Day
	Units   map[domain.UnitCode]domain.Unit
	Offices map[domain.UnitCode]domain.Office
	Persons map[domain.PersonID]domain.Person
	Reports map[domain.ReportKey]domain.Report
	Results map[domain.UnitCode]domain.Results

	revisions map[string]uint64
	tried     int
}

// NewLedger founds a world: its units, people, offices and rules are recorded.
func NewLedger(w World) *Ledger {
	l := &Ledger{World: w, Days: map[domain.Date]domain.Day{}, Units: map[domain.UnitCode]domain.Unit{},
		Offices: map[domain.UnitCode]domain.Office{}, Persons: map[domain.PersonID]domain.Person{},
		Reports: map[domain.ReportKey]domain.Report{}, Results: map[domain.UnitCode]domain.Results{}, revisions: map[string]uint64{}}
	root := domain.SystemActor()
	found := func(stream string, events []domain.Event, err error) {
		if err != nil {
			panic(fmt.Sprintf("domaintest: founding of %s: %v", stream, err))
		}
		l.record(Attempt{Act: "found", Received: w.Founded, Recorded: w.Founded, By: root.ID}, stream, events)
	}
	for _, p := range w.Persons {
		stream := domain.PersonStream(p.Person)
		events, err := domain.Person{}.Register(p.PersonRegistered, root)
		found(stream, events, err)
		for _, g := range p.Roles {
			events, err := l.Persons[p.Person].GrantRole(g.Role, g.Unit, w.Founded, nil, root)
			found(stream, events, err)
		}
	}
	for i, u := range w.Units {
		events, err := domain.Unit{}.Register(u, root)
		found(domain.UnitStream(u.Unit), events, err)
		events, err = domain.Office{Unit: w.Offices[i].Unit}.Take(w.Offices[i], w.Founded, root)
		found(domain.OfficeStream(u.Unit), events, err)
	}
	events, err := domain.Regime{}.Issue(w.Regime, w.Rules, root)
	found(domain.RegimeStream(w.Regime), events, err)
	return l
}

// Play tries all attempts and returns the refusals, by attempt.
func (l *Ledger) Play(attempts []Attempt) map[int]error {
	refused := map[int]error{}
	for i, a := range attempts {
		if _, err := l.Try(a); err != nil {
			refused[i] = err
		}
	}
	return refused
}

// Try lets the domain decide one attempt and records what it decided. Several facts come of one attempt where one
// command would append several, and where Close asks many streams.
func (l *Ledger) Try(a Attempt) ([]domain.Fact, error) {
	l.tried++
	before := len(l.Facts)
	err := l.try(a)
	return l.Facts[before:len(l.Facts):len(l.Facts)], err
}

func (l *Ledger) try(a Attempt) error {
	by := l.Persons[a.By].ActorAt(a.Recorded)
	if a.By == domain.System {
		by = domain.SystemActor()
	}
	day := l.Days[a.Key.Date]
	dayStream := domain.DayStream(l.World.Regime, a.Key.Date)
	regimeStream, officeStream := domain.RegimeStream(l.World.Regime), domain.OfficeStream(a.Key.Unit)
	office := l.Offices[a.Key.Unit]

	switch a.Act {
	case Open:
		units := make([]domain.Unit, 0, len(l.Units))
		for _, code := range slices.Sorted(maps.Keys(l.Units)) {
			units = append(units, l.Units[code])
		}
		return l.decide(a, dayStream)(day.Open(l.Regime, a.Key.Date, units, a.Recorded))
	case Close:
		for _, o := range day.Obligations(l.Regime) {
			l.record(a, o.Key.Stream(), l.Report(o.Key).Close(o, a.Recorded))
		}
		return nil
	case Judge:
		l.judge(a, day)
		return nil
	case CloseDay:
		return l.decide(a, dayStream)(day.Close(l.Regime, l.Counts(a.Key.Date), "", "", a.Recorded))
	case Issue:
		return l.decide(a, dayStream)(day.Issue("Chủ tịch", a.Note, l.totals(day), by))
	case Extend:
		return l.decide(a, regimeStream)(l.Regime.Extend(day, domain.DutyID(a.Key.Form), a.Key.Date, []domain.UnitCode{a.Key.Unit}, a.Until, a.Reason, a.Recorded, by))
	case Exempt:
		return l.decide(a, regimeStream)(l.Regime.Exemption(day, a.Key.Date, nil, []domain.UnitCode{a.Key.Unit}, a.Reason, a.Recorded, by))
	case Amend:
		rules := l.Regime.Rules()
		rules.Duties = slices.Clone(rules.Duties)
		rules.Duties[0].Due = []domain.ClockTime{"13:00", "14:00"}[l.Regime.Version()%2]
		return l.decide(a, regimeStream)(l.Regime.Amend(rules, a.Reason, by))
	case Leave:
		return l.decide(a, officeStream)(office.Leave(domain.OfficeLeft{Unit: a.Key.Unit, Person: a.Person, Until: a.Recorded, Reason: a.Reason}, by))
	case Take:
		return l.decide(a, officeStream)(office.Take(domain.OfficeTaken{Unit: a.Key.Unit, Person: a.Person, Capacity: domain.CapacityActing,
			Title: "Q. CHỦ TỊCH", From: a.Recorded, Decision: "QĐ 2"}, a.Recorded, by))
	case Grant:
		return l.decide(a, officeStream)(office.Grant(domain.AuthorityGranted{Unit: a.Key.Unit, Authority: "uq_" + strconv.Itoa(len(office.Authorities)),
			Person: a.Person, Capacity: domain.CapacityKT, Title: "PHÓ CHỦ TỊCH", Forms: []domain.FormID{a.Key.Form}, From: a.Recorded, Until: a.Until, Decision: "QĐ 3"}, a.Recorded, by))
	case Revoke:
		return l.decide(a, officeStream)(office.Revoke("uq_0", a.Reason, a.Recorded, by))
	case Move:
		return l.decide(a, domain.UnitStream(a.Key.Unit))(l.Units[a.Key.Unit].Change(domain.UnitMoved{Unit: a.Key.Unit, Parent: a.To, EffectiveOn: a.Key.Date, Basis: a.Reason}, by))
	}
	return l.tryReport(a, day, office, by)
}

func (l *Ledger) tryReport(a Attempt, day domain.Day, office domain.Office, by domain.Actor) error {
	o, err := day.Obligation(l.Regime, a.Key)
	if err != nil {
		return err
	}
	r, form := l.Report(a.Key), l.World.Forms[a.Key.Form]
	newest, _ := r.Newest()
	version := a.Version
	if version == 0 {
		version = newest.Number
	}
	content := domain.Content{FormVersion: form.Version, Figures: a.Figures, Nil: a.Nil}
	var missing []domain.UnitCode
	if o.Consolidates != "" && !a.Nil && (a.Act == Submit || a.Act == Correct) {
		if content.Figures, content.Children, missing, err = domain.Consolidate(form, a.Figures, l.children(day, o)); err != nil {
			return err
		}
	}
	var previous *domain.Content
	if v, ok := l.Report(domain.ReportKey{Regime: a.Key.Regime, Form: a.Key.Form, Unit: a.Key.Unit, Date: a.Key.Date.AddDays(-1)}).Newest(); ok {
		previous = &v.Content
	}
	decide := l.decide(a, a.Key.Stream())
	switch a.Act {
	case Submit:
		return decide(r.Submit(domain.Submission{Content: content, Missing: missing, Note: a.Note, ReceivedAt: a.Received}, o, form, previous, by))
	case Correct:
		return decide(r.Correct(domain.Correction{Content: content, Missing: missing, Note: a.Note, Replaces: version,
			Correction: domain.CorrectionContent, Reason: a.Reason, ReceivedAt: a.Received}, o, form, previous, by))
	case Erratum:
		return decide(r.Correct(domain.Correction{Content: newest.Content, Missing: newest.Missing, Note: a.Note, Replaces: version,
			Correction: domain.CorrectionErratum, Reason: a.Reason, ReceivedAt: a.Received}, o, form, previous, by))
	case Return:
		return decide(r.Return(o, version, a.Reason, office, a.Received, by))
	case SignOff:
		digest := ""
		if version >= 1 && version <= len(r.Versions) {
			digest = r.Versions[version-1].Digest
		}
		return decide(r.SignOff(domain.SigningAttempt{Version: version, Digest: digest, At: a.Received}, o, l.Regime.Rules(), office, by))
	case Explain:
		return decide(r.Explain(a.Breach, a.Reason, office, a.Recorded, by))
	case Excuse:
		return decide(r.Excuse(a.Breach, a.Reason, by))
	case Uphold:
		return decide(r.Uphold(a.Breach, a.Reason, by))
	case Remind:
		return decide(r.Remind(o, "mail", a.Note, by))
	}
	panic("domaintest: no decision for " + string(a.Act))
}

// Report is the report of an obligation, also one that nobody has filed.
func (l *Ledger) Report(k domain.ReportKey) domain.Report {
	if r, ok := l.Reports[k]; ok {
		return r
	}
	return domain.Report{Key: k}
}

// Counts of a day, from the states of its reports.
func (l *Ledger) Counts(d domain.Date) domain.Counts {
	var n domain.Counts
	for _, o := range l.Days[d].Obligations(l.Regime) {
		n.Obligations++
		r := l.Report(o.Key)
		switch r.Status(o.Exempt != nil) {
		case domain.StatusOnTime:
			n.OnTime++
		case domain.StatusLate:
			n.Late++
		case domain.StatusMissing:
			n.Missing++
		case domain.StatusExempt:
			n.Exempt++
		}
		if v, ok := r.Newest(); ok && v.Content.Nil {
			n.Nil++
		}
	}
	return n
}

func (l *Ledger) children(day domain.Day, o domain.Obligation) []domain.Child {
	var out []domain.Child
	for _, u := range day.Children(o.Consolidates, o.Key.Unit) {
		k := o.Key
		k.Form, k.Unit = o.Consolidates, u
		child, err := day.Obligation(l.Regime, k)
		out = append(out, domain.Child{Unit: u, Form: l.World.Forms[o.Consolidates], Report: l.Report(k), Exempt: err == nil && child.Exempt != nil})
	}
	return out
}

func (l *Ledger) judge(a Attempt, day domain.Day) {
	if day.Opened == nil {
		return
	}
	rules, _ := l.Regime.RulesVersion(day.Opened.RegimeVersion)
	for _, t := range rules.Targets {
		for _, o := range day.Obligations(l.Regime) {
			if o.Duty == t.Duty && t.On == a.Key.Date {
				l.record(a, domain.ResultStream(l.World.Regime, o.Key.Unit), l.Results[o.Key.Unit].Judge(t, o, l.Report(o.Key)))
			}
		}
	}
}

// totals sums a day's reports of each form, one scope at a time.
func (l *Ledger) totals(day domain.Day) []domain.IssuedTotal {
	if day.Opened == nil {
		return nil
	}
	var out []domain.IssuedTotal
	for _, duty := range day.Opened.Duties {
		form := l.World.Forms[duty.Form]
		var children []domain.Child
		for _, o := range day.Obligations(l.Regime) {
			if o.Duty == duty.Duty {
				children = append(children, domain.Child{Unit: o.Key.Unit, Form: form, Report: l.Report(o.Key), Exempt: o.Exempt != nil})
			}
		}
		sums, pins, missing, err := domain.Consolidate(form, nil, children)
		if err != nil {
			panic(err)
		}
		out = append(out, domain.NewIssuedTotal(form, sums, len(children), pins, missing))
	}
	return out
}

func (l *Ledger) decide(a Attempt, stream string) func([]domain.Event, error) error {
	return func(events []domain.Event, err error) error {
		if err != nil {
			var refused *domain.Error
			if !errors.As(err, &refused) {
				return fmt.Errorf("domaintest: %s of %s: not a refusal: %w", a.Act, stream, err)
			}
			return err
		}
		l.record(a, stream, events)
		return nil
	}
}

func (l *Ledger) record(a Attempt, stream string, events []domain.Event) {
	command := domain.NewCommandID("attempt", strconv.Itoa(l.tried), stream)
	for i, e := range events {
		revision, exists := l.revisions[stream]
		if exists {
			revision++
		}
		l.revisions[stream] = revision
		f := domain.Fact{Event: e, Meta: domain.Meta{EventID: domain.NewEventID(command, i), Stream: stream, Revision: revision,
			ReceivedAt: a.Received, RecordedAt: a.Recorded, Actor: a.By, Role: domain.RoleSystem, Channel: domain.ChannelAPI,
			CommandID: command, CorrelationID: command}}
		if a.Act == "found" {
			f.EventID = domain.NewEventID(domain.NewCommandID("found", stream, strconv.FormatUint(revision, 10)), i)
		}
		if roles := l.Persons[a.By].ActorAt(a.Recorded).Grants; len(roles) > 0 {
			f.Role = roles[0].Role
		}
		l.Facts = append(l.Facts, f)
		l.fold(f)
	}
}

func (l *Ledger) fold(f domain.Fact) {
	switch e := f.Event.(type) {
	case domain.RegimeIssued, domain.RegimeAmended, domain.DeadlineExtended, domain.DayExempted, domain.RegimeClosed:
		l.Regime = l.Regime.Apply(f)
	case domain.DayOpened:
		l.Days[e.Date] = l.Days[e.Date].Apply(f)
	case domain.DayClosed:
		l.Days[e.Date] = l.Days[e.Date].Apply(f)
	case domain.ReportIssued:
		l.Days[e.Date] = l.Days[e.Date].Apply(f)
	case domain.TargetJudged:
		l.Results[e.Unit] = l.Results[e.Unit].Apply(f)
	default:
		if k, ok := domain.ParseReportStream(f.Stream); ok {
			l.Reports[k] = l.Report(k).Apply(f)
		} else if id, ok := cut(f.Stream, domain.CategoryPerson); ok {
			l.Persons[domain.PersonID(id)] = l.Persons[domain.PersonID(id)].Apply(f)
		} else if code, ok := cut(f.Stream, domain.CategoryUnit); ok {
			l.Units[domain.UnitCode(code)] = l.Units[domain.UnitCode(code)].Apply(f)
		} else if code, ok := cut(f.Stream, domain.CategoryOffice); ok {
			l.Offices[domain.UnitCode(code)] = l.Offices[domain.UnitCode(code)].Apply(f)
		}
	}
}

// Hour is the regime's clock time of an instant, for messages of failing tests.
func Hour(t time.Time) string { return t.In(domain.HoChiMinh).Format("2006-01-02 15:04:05.999999999") }
