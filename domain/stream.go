package domain

import "strings"

// Categories: what stands before the one '-' of a stream name.
const (
	CategoryRegime    = "regime"
	CategoryRegimeDay = "regimeday"
	CategoryUnit      = "unit"
	CategoryOffice    = "office"
	CategoryPerson    = "person"
	CategoryReport    = "report"
	CategoryResult    = "result"
	CategoryLog       = "log" // the transparency log's own affairs
)

// Categories lists them all: the filter of every follower of the ledger. Its order is frozen with the leaf numbering; a new
// one is added at the end, before anything is recorded in it.
var Categories = []string{CategoryRegime, CategoryRegimeDay, CategoryUnit, CategoryOffice, CategoryPerson, CategoryReport, CategoryResult, CategoryLog}

// ReportKey names one obligation: who owes which form of which regime for which day.
type ReportKey struct {
	Regime RegimeID
	Form   FormID
	Unit   UnitCode
	Date   Date
}

// Stream is report-<regime>.<form>.<unit>.<yyyymmdd>.
func (k ReportKey) Stream() string {
	return CategoryReport + "-" + string(k.Regime) + "." + string(k.Form) + "." + string(k.Unit) + "." + k.Date.Compact()
}

// ParseReportStream reads what ReportKey.Stream wrote.
func ParseReportStream(stream string) (ReportKey, bool) {
	rest, ok := strings.CutPrefix(stream, CategoryReport+"-")
	p := strings.Split(rest, ".")
	if !ok || len(p) != 4 {
		return ReportKey{}, false
	}
	d, err := DateFromCompact(p[3])
	if err != nil {
		return ReportKey{}, false
	}
	return ReportKey{RegimeID(p[0]), FormID(p[1]), UnitCode(p[2]), d}, true
}

// RegimeStream, DayStream, UnitStream, OfficeStream, PersonStream and ResultStream name the other streams.
func RegimeStream(r RegimeID) string { return CategoryRegime + "-" + string(r) }
func DayStream(r RegimeID, d Date) string {
	return CategoryRegimeDay + "-" + string(r) + "." + d.Compact()
}
func UnitStream(u UnitCode) string   { return CategoryUnit + "-" + string(u) }
func OfficeStream(u UnitCode) string { return CategoryOffice + "-" + string(u) }
func PersonStream(p PersonID) string { return CategoryPerson + "-" + string(p) }
func ResultStream(r RegimeID, u UnitCode) string {
	return CategoryResult + "-" + string(r) + "." + string(u)
}

// StreamOf is the stream that an event's own members name, "" for an event that names none. An event on another stream
// than this one would say of one unit, person or day what is known of another.
func StreamOf(e Event) string {
	switch e := e.(type) {
	case RegimeIssued:
		return RegimeStream(e.Regime)
	case RegimeAmended:
		return RegimeStream(e.Regime)
	case DeadlineExtended:
		return RegimeStream(e.Regime)
	case DayExempted:
		return RegimeStream(e.Regime)
	case RegimeClosed:
		return RegimeStream(e.Regime)
	case DayOpened:
		return DayStream(e.Regime, e.Date)
	case DayClosed:
		return DayStream(e.Regime, e.Date)
	case ReportIssued:
		return DayStream(e.Regime, e.Date)
	case UnitRegistered:
		return UnitStream(e.Unit)
	case UnitRenamed:
		return UnitStream(e.Unit)
	case UnitReclassified:
		return UnitStream(e.Unit)
	case UnitMoved:
		return UnitStream(e.Unit)
	case UnitMerged:
		return UnitStream(e.Unit)
	case UnitDissolved:
		return UnitStream(e.Unit)
	case OfficeTaken:
		return OfficeStream(e.Unit)
	case OfficeLeft:
		return OfficeStream(e.Unit)
	case AuthorityGranted:
		return OfficeStream(e.Unit)
	case AuthorityRevoked:
		return OfficeStream(e.Unit)
	case PersonRegistered:
		return PersonStream(e.Person)
	case RoleGranted:
		return PersonStream(e.Person)
	case RoleRevoked:
		return PersonStream(e.Person)
	case CredentialEnrolled:
		return PersonStream(e.Person)
	case CredentialRevoked:
		return PersonStream(e.Person)
	case SignInMethodSet:
		return PersonStream(e.Person)
	case SignInMethodEnded:
		return PersonStream(e.Person)
	case ReportSubmitted:
		return ReportKey{e.Regime, e.Form, e.Unit, e.Date}.Stream()
	case ReportCorrected:
		return ReportKey{e.Regime, e.Form, e.Unit, e.Date}.Stream()
	case DeadlineBreached:
		return ReportKey{e.Regime, e.Form, e.Unit, e.Date}.Stream()
	case ReminderSent:
		return ReportKey{e.Regime, e.Form, e.Unit, e.Date}.Stream()
	case TargetJudged:
		return ResultStream(e.Regime, e.Unit)
	case LogKeyIntroduced, LogKeyRetired:
		return LogKeyStream
	}
	return ""
}

// LogKeyStream holds the keys of the transparency log. A ledger has one log.
const LogKeyStream = CategoryLog + "-keys"

// ValidID accepts the names a stream name can carry: 1 to 40 lower-case letters, digits and '_'. '-' and '.' are the
// separators of stream names, so none may hold one.
func ValidID(s string) bool {
	if s == "" || len(s) > 40 {
		return false
	}
	for _, c := range []byte(s) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' {
			return false
		}
	}
	return true
}
