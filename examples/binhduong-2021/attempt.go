package binhduong2021

import (
	"time"

	"github.com/answerable-ledger/answerable/domain"
)

// Attempt is one thing somebody tries in the story.
type Attempt struct {
	// Name is unique in the story; the id of the command is made of the seed and it.
	Name string
	// At is the ledger's clock when the attempt is decided; Received is when it entered the system, At when zero.
	At       time.Time
	Received time.Time
	Actor    domain.PersonID
	Channel  domain.Channel
	// Refused is the refusal the story expects; "" for what is recorded.
	Refused domain.Code
	Act     Act
}

// Act is what is tried: one of the types below, one for each use case of the ledger.
type Act interface{ act() }

type (
	// IssueRegime and the acts below it are recorded before the first day, or beside the reporting.
	IssueRegime struct {
		Regime domain.RegimeID
		Rules  domain.Rules
	}
	RegisterPerson struct{ domain.PersonRegistered }
	GrantRole      struct {
		Person domain.PersonID
		Role   domain.Role
		Unit   domain.UnitCode
		From   time.Time
	}
	RegisterUnit   struct{ domain.UnitRegistered }
	ReclassifyUnit struct{ domain.UnitReclassified }
	TakeOffice     struct{ domain.OfficeTaken }
	LeaveOffice    struct{ domain.OfficeLeft }
	GrantAuthority struct{ domain.AuthorityGranted }

	// Submit files version 1. For a consolidated form the figures are only what the unit fills in itself.
	Submit struct {
		Key     domain.ReportKey
		Figures domain.Figures
		Nil     bool
		Note    string
	}
	Correct struct {
		Submit
		Replaces   int
		Correction domain.CorrectionKind
		Reason     string
	}
	Return struct {
		Key     domain.ReportKey
		Version int
		Reason  string
	}
	// Sign signs a version with the digest that stands in the ledger.
	Sign struct {
		Key     domain.ReportKey
		Version int
	}
	Extend struct {
		Duty   domain.DutyID
		Date   domain.Date
		Units  []domain.UnitCode
		Due    time.Time
		Reason string
	}
	Exempt struct {
		Date   domain.Date
		Duties []domain.DutyID
		Units  []domain.UnitCode
		Reason string
	}
	Remind struct {
		Key       domain.ReportKey
		Via, Text string
	}
	Explain struct {
		Key    domain.ReportKey
		Breach domain.BreachKind
		Text   string
	}
	Excuse struct {
		Key    domain.ReportKey
		Breach domain.BreachKind
		Reason string
	}
	Uphold struct {
		Key    domain.ReportKey
		Breach domain.BreachKind
		Reason string
	}
	Issue struct {
		Date     domain.Date
		To, Note string
	}
)

func (IssueRegime) act()    {}
func (RegisterPerson) act() {}
func (GrantRole) act()      {}
func (RegisterUnit) act()   {}
func (ReclassifyUnit) act() {}
func (TakeOffice) act()     {}
func (LeaveOffice) act()    {}
func (GrantAuthority) act() {}
func (Submit) act()         {}
func (Correct) act()        {}
func (Return) act()         {}
func (Sign) act()           {}
func (Extend) act()         {}
func (Exempt) act()         {}
func (Remind) act()         {}
func (Explain) act()        {}
func (Excuse) act()         {}
func (Uphold) act()         {}
func (Issue) act()          {}
