package domain

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// Timeliness of a report, judged once, at its first version, by received_at (rule 2). It never moves.
type Timeliness string

const (
	OnTime Timeliness = "on_time"
	Late   Timeliness = "late"
)

// ReportSubmitted is the first version of a report.
type ReportSubmitted struct {
	Regime        RegimeID   `json:"regime"`
	Form          FormID     `json:"form"`
	FormVersion   int        `json:"form_version"`
	Unit          UnitCode   `json:"unit"`
	Date          Date       `json:"date"`
	Figures       Figures    `json:"figures"`
	Nil           bool       `json:"nil,omitempty"` // explicitly nothing to report (rule 11)
	Note          string     `json:"note,omitempty"`
	Digest        string     `json:"digest"`
	Due           time.Time  `json:"due"` // with the extension that applied
	RegimeVersion int        `json:"regime_version"`
	Timeliness    Timeliness `json:"timeliness"`
	Findings      []Finding  `json:"findings,omitempty"`
	Children      []ChildPin `json:"children,omitempty"`
	Missing       []UnitCode `json:"missing,omitempty"` // children without a report when it was consolidated
	// Statement is what the filer's machine signed, verbatim (FilingStatement), Signature what proves it; both or neither.
	Statement string     `json:"statement,omitempty"`
	Signature *Signature `json:"signature,omitempty"`
}

// ReportReturned sends a version back to its filer before it is signed.
type ReportReturned struct {
	Version    int      `json:"version"`
	Digest     string   `json:"digest"`
	Reason     string   `json:"reason"`
	ReturnedBy PersonID `json:"returned_by"`
}

func (ReportSubmitted) Kind() string { return "ReportSubmitted" }
func (ReportReturned) Kind() string  { return "ReportReturned" }
func (ReportSubmitted) event()       {}
func (ReportReturned) event()        {}

// Version is one version of a report as recorded.
type Version struct {
	Number     int
	Content    Content
	Note       string
	Digest     string
	Correction CorrectionKind // "" for the first
	Reason     string
	Findings   []Finding
	Missing    []UnitCode
	Filer      PersonID
	Channel    Channel
	ReceivedAt time.Time
	RecordedAt time.Time
	EventID    string
	// FiguresOf is the version whose figures these are, FiguresAt when it was recorded: an erratum of form keeps those
	// of its predecessor, and so does who answers for them (rule 8).
	FiguresOf int
	FiguresAt time.Time
}

// Report is what a report's stream folds to.
type Report struct {
	Key        ReportKey
	Versions   []Version
	Timeliness Timeliness // "" while nothing was submitted
	SignOffs   []SignOff  // all, in order; the last counts when it is of the newest version
	Returned   *ReportReturned
	Breaches   []Breach
	Reminders  int
	CommandLog
}

// Apply folds one fact. The zero Report with its Key set is a report nobody has filed.
func (r Report) Apply(f Fact) Report {
	r.CommandLog = r.CommandLog.add(f.Meta)
	r.Versions, r.SignOffs, r.Breaches = slices.Clip(r.Versions), slices.Clip(r.SignOffs), slices.Clip(r.Breaches)
	r.Fold(&f)
	return r
}

// Fold is Apply in place, for whoever holds the report alone and decides nothing with it: it remembers no commands.
func (r *Report) Fold(f *Fact) {
	switch e := f.Event.(type) {
	case ReportSubmitted:
		r.Timeliness = e.Timeliness
		r.Versions = append(r.Versions, Version{
			Number: 1, Content: Content{e.FormVersion, e.Figures, e.Nil, e.Children}, Note: e.Note, Digest: e.Digest,
			Findings: e.Findings, Missing: e.Missing, Filer: f.Actor, Channel: f.Channel,
			ReceivedAt: f.ReceivedAt, RecordedAt: f.RecordedAt, EventID: f.EventID.String(), FiguresOf: 1, FiguresAt: f.RecordedAt,
		})
	case ReportCorrected:
		r.Returned = nil
		of, at := e.Version, f.RecordedAt
		if v, ok := r.Newest(); ok && e.Correction == CorrectionErratum {
			of, at = v.FiguresOf, v.FiguresAt
		}
		r.Versions = append(r.Versions, Version{
			Number: e.Version, Content: Content{e.FormVersion, e.Figures, e.Nil, e.Children}, Note: e.Note, Digest: e.Digest,
			Correction: e.Correction, Reason: e.Reason, Findings: e.Findings, Missing: e.Missing, Filer: f.Actor,
			Channel: f.Channel, ReceivedAt: f.ReceivedAt, RecordedAt: f.RecordedAt, EventID: f.EventID.String(),
			FiguresOf: of, FiguresAt: at,
		})
	case ReportReturned:
		r.Returned = &e
	case ReportSignedOff:
		r.Returned = nil
		r.SignOffs = append(r.SignOffs, SignOff{ReportSignedOff: e, At: f.ReceivedAt, RecordedAt: f.RecordedAt})
	case DeadlineBreached:
		r.Breaches = append(r.Breaches, Breach{DeadlineBreached: e, RecordedAt: f.RecordedAt})
	case BreachWithdrawn:
		r.breach(e.Breach, func(b *Breach) { b.Withdrawn = &e })
	case BreachExplained:
		r.breach(e.Breach, func(b *Breach) { b.Explanations = append(slices.Clip(b.Explanations), e) })
	case BreachExcused:
		r.breach(e.Breach, func(b *Breach) { b.Excused, b.Upheld = &e, nil })
	case BreachUpheld:
		r.breach(e.Breach, func(b *Breach) { b.Upheld, b.Excused = &e, nil })
	case ReminderSent:
		r.Reminders++
	}
}

// Newest is the last version; false when nothing was filed.
func (r Report) Newest() (Version, bool) {
	if len(r.Versions) == 0 {
		return Version{}, false
	}
	return r.Versions[len(r.Versions)-1], true
}

// Status of an obligation, exactly one at any time.
type Status string

const (
	StatusDue     Status = "due" // open, not filed
	StatusOnTime  Status = "on_time"
	StatusLate    Status = "late"
	StatusMissing Status = "missing" // the deadline has passed and was judged, nothing was filed
	StatusExempt  Status = "exempt"
)

// Status of the obligation from what its stream says. An exemption frees what was never filed; what was filed keeps
// its own judgement.
func (r Report) Status(exempt bool) Status {
	switch {
	case r.Timeliness == OnTime:
		return StatusOnTime
	case r.Timeliness == Late:
		return StatusLate
	case exempt:
		return StatusExempt
	case len(r.Breaches) > 0:
		return StatusMissing
	}
	return StatusDue
}

// Submission is an attempt to file the first version.
type Submission struct {
	Content
	Missing    []UnitCode
	Note       string
	Signed     *SignedFiling // nil when the filer did not sign
	ReceivedAt time.Time
}

// Submit decides the first version of a report. previous is the unit's newest content of the same form on the last day
// before, for plausibility; the schema has judged the figures before.
func (r Report) Submit(s Submission, o Obligation, form Form, previous *Content, by Actor) ([]Event, error) {
	if err := mayFile(o, by); err != nil {
		return nil, err
	}
	if o.Exempt != nil {
		return nil, refuse(Conflict, CodeExempt, "", "unit", string(o.Key.Unit), "date", string(o.Key.Date))
	}
	if len(r.Versions) > 0 {
		return nil, refuse(Conflict, CodeAlreadySubmitted, "", "unit", string(o.Key.Unit), "date", string(o.Key.Date), "version", strconv.Itoa(len(r.Versions)))
	}
	findings, err := checkContent(s.Content, s.Note, form, previous)
	if err != nil {
		return nil, err
	}
	timeliness := OnTime
	if !s.ReceivedAt.Before(o.Due) { // rule 1: at the deadline is late
		timeliness = Late
	}
	statement, signature := s.Signed.parts()
	events := []Event{ReportSubmitted{
		Regime: o.Key.Regime, Form: o.Key.Form, FormVersion: s.FormVersion, Unit: o.Key.Unit, Date: o.Key.Date,
		Figures: s.Figures, Nil: s.Nil, Note: s.Note, Digest: s.Digest(o.Key), Due: o.Due, RegimeVersion: o.RegimeVersion,
		Timeliness: timeliness, Findings: findings, Children: s.Children, Missing: s.Missing,
		Statement: statement, Signature: signature,
	}}
	if b, ok := r.open(BreachMissing); ok && timeliness == OnTime { // rule 3: received in time, recorded after the breach
		events = append(events, BreachWithdrawn{Breach: b.Breach, Reason: "received in time, recorded after the closing", ReceivedAt: s.ReceivedAt.UTC()})
	}
	return events, nil
}

// Return decides to send the newest version back. Only who could sign it may return it, and only before it is signed.
func (r Report) Return(o Obligation, version int, reason string, office Office, at time.Time, by Actor) ([]Event, error) {
	v, err := r.at(version)
	if err != nil {
		return nil, err
	}
	if _, err := office.Right(by.ID, o.Key.Form, at); err != nil {
		return nil, err
	}
	if r.Signed() {
		return nil, refuse(Conflict, CodeSigned, "", "version", strconv.Itoa(version))
	}
	if err := checkText("/reason", reason, true); err != nil {
		return nil, err
	}
	return []Event{ReportReturned{Version: v.Number, Digest: v.Digest, Reason: reason, ReturnedBy: by.ID}}, nil
}

// at is the newest version, refused when the caller decided on another one.
func (r Report) at(version int) (Version, error) {
	v, ok := r.Newest()
	if !ok {
		return Version{}, refuse(NotFound, CodeNotSubmitted, "", "unit", string(r.Key.Unit), "date", string(r.Key.Date))
	}
	if v.Number != version {
		return Version{}, refuse(Precondition, CodeOldVersion, "/version", "version", strconv.Itoa(version), "current", strconv.Itoa(v.Number))
	}
	return v, nil
}

// mayFile: filers file for their unit; a district officer files for the district.
func mayFile(o Obligation, by Actor) error {
	if by.Has(RoleFiler, o.Key.Unit) || by.Has(RoleDistrict, o.Key.Unit) || by.Has(RoleSystem, "") {
		return nil
	}
	return refuse(Forbidden, CodeRoleMissing, "", "role", string(RoleFiler), "unit", string(o.Key.Unit))
}

// checkContent holds what every version must satisfy beside the form's schema.
func checkContent(c Content, note string, form Form, previous *Content) ([]Finding, error) {
	if err := checkText("/note", note, false); err != nil {
		return nil, err
	}
	if c.FormVersion != form.Version {
		return nil, refuse(Invalid, CodeFormVersion, "/form_version", "version", strconv.Itoa(c.FormVersion), "current", strconv.Itoa(form.Version))
	}
	if len(c.Children) > MaxChildren {
		return nil, refuse(Invalid, CodeRange, "/children", "min", "0", "max", strconv.Itoa(MaxChildren))
	}
	if c.Nil {
		if len(c.Figures) > 0 {
			return nil, refuse(Invalid, CodeNilWithFigures, "/figures")
		}
		return nil, nil
	}
	if len(c.Figures) == 0 { // rule 11: empty is not nil
		return nil, refuse(Invalid, CodeEmptyNotNil, "/figures")
	}
	var faults []Fault
	for _, name := range c.Figures.Names() {
		v := c.Figures[name]
		if _, ok := form.Field(name); !ok {
			faults = append(faults, NewFault(CodeFieldUnknown, "/figures/"+name, "field", name))
		} else if v < 0 || v > MaxFigure {
			faults = append(faults, NewFault(CodeRange, "/figures/"+name, "min", "0", "max", strconv.FormatInt(MaxFigure, 10)))
		}
	}
	if len(faults) > 0 {
		return nil, &Error{Kind: Invalid, Faults: faults}
	}
	findings := Plausibility(c, form, previous)
	if len(findings) > 0 && strings.TrimSpace(note) == "" {
		e := &Error{Kind: Invalid}
		for _, f := range findings {
			e.Faults = append(e.Faults, NewFault(CodeNoteNeeded, "/figures/"+f.Field, "rule", string(f.Rule), "was", strconv.FormatInt(f.Was, 10), "is", strconv.FormatInt(f.Is, 10)))
		}
		return nil, e
	}
	return findings, nil
}
