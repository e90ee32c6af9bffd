package domain_test

import (
	"errors"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/domain/domaintest"
)

// spec is one test of a decision: given the facts of a stream, when something is attempted, then these events come of it,
// or this refusal. A name begins with the rule that the test holds.
type spec[S any] struct {
	name    string
	given   []domain.Fact
	when    func(S) ([]domain.Event, error)
	then    []domain.Event
	wantErr *domain.Error
}

type folds[S any] interface{ Apply(domain.Fact) S }

// check runs specs. zero is the state before any fact.
func check[S folds[S]](t *testing.T, zero S, specs []spec[S]) {
	t.Helper()
	for _, s := range specs {
		t.Run(s.name, func(t *testing.T) {
			state := zero
			for _, f := range s.given {
				state = state.Apply(f)
			}
			events, err := s.when(state)
			checkRefusal(t, err, s.wantErr)
			if d := cmp.Diff(s.then, events, cmpopts.EquateEmpty()); d != "" {
				t.Errorf("events (-want +got):\n%s", d)
			}
		})
	}
}

// shownInUTC is a time as facts keep it, which is not how people are shown it (rule 1).
var shownInUTC = regexp.MustCompile(`T[0-9:.]+Z`)

func checkRefusal(t *testing.T, err error, want *domain.Error) {
	t.Helper()
	if want == nil {
		if err != nil {
			t.Fatalf("refused: %v", err)
		}
		return
	}
	var got *domain.Error
	if !errors.As(err, &got) {
		t.Fatalf("got error %v, want %s %s", err, want.Kind, want.Code())
	}
	if got.Kind != want.Kind || got.Code() != want.Code() || got.Faults[0].Pointer != want.Faults[0].Pointer {
		t.Errorf("refused with %s %s at %q, want %s %s at %q", got.Kind, got.Code(), got.Faults[0].Pointer, want.Kind, want.Code(), want.Faults[0].Pointer)
	}
	for _, f := range got.Faults {
		for _, l := range []domain.Language{domain.Vietnamese, domain.English} {
			if text := f.Text(l); strings.ContainsAny(text, "{}") || text == string(f.Code) {
				t.Errorf("%s in %s is not filled in: %s", f.Code, l, text)
			} else if shownInUTC.MatchString(text) {
				t.Errorf("rule 1: %s in %s does not show its time with +07:00: %s", f.Code, l, text)
			}
		}
	}
}

// no is the refusal a spec wants.
func no(k domain.Kind, c domain.Code, pointer string) *domain.Error {
	return domain.Refuse(k, c, pointer)
}

// at is an instant of 8 February 2021 in the regime's zone, as "15:00:00.000"; "9 15:00:00" is one of the 9th.
func at(clock string) time.Time {
	day, rest, ok := strings.Cut(clock, " ")
	if !ok {
		day, rest = "8", clock
	}
	t, err := time.ParseInLocation("2006-1-2 15:04:05", "2021-2-"+day+" "+rest, domain.HoChiMinh)
	if err != nil {
		panic(err)
	}
	return t.UTC()
}

// fact is an event received and recorded at one instant.
func fact(clock string, by domain.PersonID, e domain.Event) domain.Fact {
	return domain.Fact{Meta: domain.Meta{ReceivedAt: at(clock), RecordedAt: at(clock), Actor: by}, Event: e}
}

func facts(fs ...domain.Fact) []domain.Fact { return fs }

// The people, the unit and the day that the tables speak of.
const (
	unit     domain.UnitCode = "25900"
	district domain.UnitCode = "719"
	day      domain.Date     = "2021-02-08"
	filer    domain.PersonID = "p_filer"
	head     domain.PersonID = "p_head"
	deputy   domain.PersonID = "p_deputy"
	next     domain.PersonID = "p_next"
)

var key = domain.ReportKey{Regime: "bluezone", Form: "commune", Unit: unit, Date: day}

func actor(id domain.PersonID, grants ...domain.Grant) domain.Actor {
	return domain.Actor{ID: id, Grants: grants}
}

func theFiler() domain.Actor { return actor(filer, domain.Grant{Role: domain.RoleFiler, Unit: unit}) }
func theHead() domain.Actor  { return actor(head, domain.Grant{Role: domain.RoleHead, Unit: unit}) }
func department() domain.Actor {
	return actor("p_department", domain.Grant{Role: domain.RoleDepartment})
}
func admin() domain.Actor     { return actor("p_admin", domain.Grant{Role: domain.RoleAdmin}) }
func inspector() domain.Actor { return actor("p_inspector", domain.Grant{Role: domain.RoleInspector}) }

// owed is the obligation of the tables: before 15:00, ten minutes of grace, signed before 17:00.
func owed() domain.Obligation {
	signOff, signOffCloses := at("17:00:00"), at("17:10:00")
	return domain.Obligation{Key: key, Duty: "commune", FormVersion: 2, Parent: district, RegimeVersion: 3, Due: at("15:00:00"),
		Closes: at("15:10:00"), SignOffDue: &signOff, SignOffCloses: &signOffCloses}
}

func exempted() domain.Obligation {
	o := owed()
	o.Exempt = &domain.DayExempted{Regime: key.Regime, Date: day, Reason: "lũ", GrantedBy: "p_department"}
	return o
}

func communeForm() domain.Form { return domaintest.Forms()[0] }

func figures(users, installed int64) domain.Figures {
	return domain.Figures{"smartphone_users": users, "installed": installed, "new_today": 0}
}

func content(f domain.Figures) domain.Content { return domain.Content{FormVersion: 2, Figures: f} }

func digest(f domain.Figures) string { return content(f).Digest(key) }

// submitted is the event of a submission of the tables.
func submitted(f domain.Figures, judged domain.Timeliness) domain.ReportSubmitted {
	return domain.ReportSubmitted{Regime: key.Regime, Form: key.Form, FormVersion: 2, Unit: unit, Date: day, Figures: f,
		Digest: digest(f), Due: at("15:00:00"), RegimeVersion: 3, Timeliness: judged}
}

// corrected is the event of a correction of the tables.
func corrected(version int, was, is domain.Figures) domain.ReportCorrected {
	return domain.ReportCorrected{Regime: key.Regime, Form: key.Form, FormVersion: 2, Unit: unit, Date: day, Version: version,
		Replaces: version - 1, ReplacesDigest: digest(was), Correction: domain.CorrectionContent, Reason: "đếm sót một khu phố", Figures: is, Digest: digest(is)}
}

func breached(k domain.BreachKind, due string, version int) domain.DeadlineBreached {
	return domain.DeadlineBreached{Regime: key.Regime, Form: key.Form, Unit: unit, Date: day, Duty: "commune", Breach: k,
		Due: at(due), RegimeVersion: 3, Version: version}
}

// office is the unit's office: the head since January, until the successor takes over on the 9th at 08:00.
func office(more ...domain.Fact) domain.Office {
	o := domain.Office{}.Apply(fact("1 08:00:00", "p_department", domain.OfficeTaken{Unit: unit, Person: head, Capacity: domain.CapacityHead, Title: "CHỦ TỊCH", From: at("1 00:00:00")}))
	for _, f := range more {
		o = o.Apply(f)
	}
	return o
}

func succession() []domain.Fact {
	return facts(
		fact("9 07:00:00", "p_department", domain.OfficeLeft{Unit: unit, Person: head, Until: at("9 08:00:00"), Reason: "nghỉ hưu"}),
		fact("9 07:00:00", "p_department", domain.OfficeTaken{Unit: unit, Person: next, Capacity: domain.CapacityActing, Title: "Q. CHỦ TỊCH", From: at("9 08:00:00")}))
}
