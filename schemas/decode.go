package schemas

import (
	"errors"
	"fmt"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/answerable-ledger/answerable/domain"
)

// The three ways in which stored bytes can be unreadable.
var (
	ErrMalformed   = errors.New("not the bytes of a fact")
	ErrUnknownKind = errors.New("kind of event not known to this program")
	ErrNewer       = errors.New("schema version newer than this program")
)

// Source is a stored fact with the place the log gave it.
type Source struct {
	Stream     string
	Revision   uint64
	RecordedAt time.Time
	Stored
}

// Decode reads a fact of any released version. It does not check what only the schema says (ranges, required members):
// that was done before the fact was written, and CheckRecorded does it again.
func Decode(s Source) (domain.Fact, error) {
	f, err := decode(s)
	if err != nil {
		return domain.Fact{}, fmt.Errorf("schemas: decode %s at %d of %s: %w", s.Kind, s.Revision, s.Stream, err)
	}
	return f, nil
}

func decode(s Source) (domain.Fact, error) {
	current, ok := CurrentVersion(s.Kind)
	if !ok {
		return domain.Fact{}, ErrUnknownKind
	}
	meta, version, err := decodeMeta(s.Meta)
	if err != nil {
		return domain.Fact{}, malformed(err)
	}
	if version > current {
		return domain.Fact{}, fmt.Errorf("version %d, this program knows %d: %w", version, current, ErrNewer)
	}
	data := s.Data
	if version < current {
		if data, err = upcast(s.Kind, version, data); err != nil {
			return domain.Fact{}, malformed(err)
		}
	}
	event, err := decodeEvent(s.Kind, data)
	if err != nil {
		return domain.Fact{}, malformed(err)
	}
	meta.EventID, meta.Stream, meta.Revision, meta.RecordedAt = s.ID, s.Stream, s.Revision, s.RecordedAt
	return domain.Fact{Meta: meta, Event: event}, nil
}

func malformed(err error) error { return fmt.Errorf("%w: %w", ErrMalformed, err) }

// Kinds lists every kind of event by name, in the order of the streams that hold them.
func Kinds() []string {
	return []string{
		"RegimeIssued", "RegimeAmended", "DeadlineExtended", "DayExempted", "RegimeClosed",
		"DayOpened", "DayClosed", "ReportIssued",
		"UnitRegistered", "UnitRenamed", "UnitReclassified", "UnitMoved", "UnitMerged", "UnitDissolved",
		"OfficeTaken", "OfficeLeft", "AuthorityGranted", "AuthorityRevoked",
		"PersonRegistered", "RoleGranted", "RoleRevoked", "CredentialEnrolled", "CredentialRevoked", "SignInMethodSet", "SignInMethodEnded",
		"ReportSubmitted", "ReportCorrected", "ReportReturned", "ReportSignedOff",
		"DeadlineBreached", "BreachWithdrawn", "BreachExplained", "BreachExcused", "BreachUpheld", "ReminderSent",
		"TargetJudged",
		"LogKeyIntroduced", "LogKeyRetired",
	}
}

// CurrentVersion is the schema version that Encode writes of a kind; false for a kind that does not exist.
func CurrentVersion(kind string) (int, bool) {
	switch kind {
	case "ReportSubmitted":
		return 3, true
	case "ReportCorrected", "ReportIssued":
		return 2, true
	case "RegimeIssued", "RegimeAmended", "DeadlineExtended", "DayExempted", "RegimeClosed",
		"DayOpened", "DayClosed",
		"UnitRegistered", "UnitRenamed", "UnitReclassified", "UnitMoved", "UnitMerged", "UnitDissolved",
		"OfficeTaken", "OfficeLeft", "AuthorityGranted", "AuthorityRevoked",
		"PersonRegistered", "RoleGranted", "RoleRevoked", "CredentialEnrolled", "CredentialRevoked", "SignInMethodSet", "SignInMethodEnded",
		"ReportReturned", "ReportSignedOff",
		"DeadlineBreached", "BreachWithdrawn", "BreachExplained", "BreachExcused", "BreachUpheld", "ReminderSent",
		"TargetJudged",
		"LogKeyIntroduced", "LogKeyRetired":
		return 1, true
	}
	return 0, false
}

// decodeEvent reads data of the current version.
func decodeEvent(kind string, data []byte) (domain.Event, error) {
	switch kind {
	case "RegimeIssued":
		return into[domain.RegimeIssued](data)
	case "RegimeAmended":
		return into[domain.RegimeAmended](data)
	case "DeadlineExtended":
		return into[domain.DeadlineExtended](data)
	case "DayExempted":
		return into[domain.DayExempted](data)
	case "RegimeClosed":
		return into[domain.RegimeClosed](data)
	case "DayOpened":
		return into[domain.DayOpened](data)
	case "DayClosed":
		return into[domain.DayClosed](data)
	case "ReportIssued":
		return into[domain.ReportIssued](data)
	case "UnitRegistered":
		return into[domain.UnitRegistered](data)
	case "UnitRenamed":
		return into[domain.UnitRenamed](data)
	case "UnitReclassified":
		return into[domain.UnitReclassified](data)
	case "UnitMoved":
		return into[domain.UnitMoved](data)
	case "UnitMerged":
		return into[domain.UnitMerged](data)
	case "UnitDissolved":
		return into[domain.UnitDissolved](data)
	case "OfficeTaken":
		return into[domain.OfficeTaken](data)
	case "OfficeLeft":
		return into[domain.OfficeLeft](data)
	case "AuthorityGranted":
		return into[domain.AuthorityGranted](data)
	case "AuthorityRevoked":
		return into[domain.AuthorityRevoked](data)
	case "PersonRegistered":
		return into[domain.PersonRegistered](data)
	case "RoleGranted":
		return into[domain.RoleGranted](data)
	case "RoleRevoked":
		return into[domain.RoleRevoked](data)
	case "CredentialEnrolled":
		return into[domain.CredentialEnrolled](data)
	case "CredentialRevoked":
		return into[domain.CredentialRevoked](data)
	case "SignInMethodSet":
		return into[domain.SignInMethodSet](data)
	case "SignInMethodEnded":
		return into[domain.SignInMethodEnded](data)
	case "ReportSubmitted":
		return into[domain.ReportSubmitted](data)
	case "ReportCorrected":
		return into[domain.ReportCorrected](data)
	case "ReportReturned":
		return into[domain.ReportReturned](data)
	case "ReportSignedOff":
		return into[domain.ReportSignedOff](data)
	case "DeadlineBreached":
		return into[domain.DeadlineBreached](data)
	case "BreachWithdrawn":
		return into[domain.BreachWithdrawn](data)
	case "BreachExplained":
		return into[domain.BreachExplained](data)
	case "BreachExcused":
		return into[domain.BreachExcused](data)
	case "BreachUpheld":
		return into[domain.BreachUpheld](data)
	case "ReminderSent":
		return into[domain.ReminderSent](data)
	case "TargetJudged":
		return into[domain.TargetJudged](data)
	case "LogKeyIntroduced":
		return into[domain.LogKeyIntroduced](data)
	case "LogKeyRetired":
		return into[domain.LogKeyRetired](data)
	}
	return nil, ErrUnknownKind
}

func into[E domain.Event](data []byte) (domain.Event, error) {
	var e E
	if err := json.Unmarshal(data, &e, reading); err != nil {
		return nil, err
	}
	return e, nil
}
