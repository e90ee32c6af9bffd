package projections

import (
	"time"

	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/eventlog"
)

// At says of which knowledge an answer is: everything recorded up to KnownAt, read from a view that stood at Position.
// Every answer carries it; nothing is shown without saying as known when.
type At struct {
	AsOf     domain.Date       `json:"as_of,omitempty"` // the day whose names and tree are shown; "": each row's own
	KnownAt  *time.Time        `json:"known_at"`        // nil: everything recorded so far
	Position eventlog.Position `json:"-"`
	Place    string            `json:"position"` // Position.String
}

// Slot names one obligation of a day in every answer.
type Slot struct {
	Regime domain.RegimeID `json:"regime"`
	Form   domain.FormID   `json:"form"`
	Unit   domain.UnitCode `json:"unit"`
	Date   domain.Date     `json:"date"`
}

// ComplianceRow is where one obligation stands (view: compliance).
type ComplianceRow struct {
	Slot
	Duty       domain.DutyID       `json:"duty"`
	UnitName   string              `json:"unit_name"`
	Absent     bool                `json:"absent,omitempty"` // the unit does not exist in the tree that is shown
	Parent     domain.UnitCode     `json:"parent,omitempty"` // in the tree that is shown
	Level      domain.Level        `json:"level"`
	Status     domain.Status       `json:"status"`
	Nil        bool                `json:"nil,omitempty"`
	Excused    bool                `json:"excused,omitempty"` // a standing breach of it was excused
	Breaches   []domain.BreachKind `json:"breaches,omitempty"`
	SignOff    domain.SignOffState `json:"sign_off"`
	Due        time.Time           `json:"due"`
	SignOffDue *time.Time          `json:"sign_off_due,omitempty"`
	ReceivedAt *time.Time          `json:"received_at,omitempty"` // of version 1
	Version    int                 `json:"version,omitempty"`
	Digest     string              `json:"digest,omitempty"`
	OutOfDate  []domain.UnitCode   `json:"out_of_date,omitempty"` // children that changed since it was consolidated
	Reminders  int                 `json:"reminders,omitempty"`
	Late       *time.Duration      `json:"-"`
	// Determinable is false when an event of the unit could not be applied: then nothing else of the row may be
	// trusted, least of all that the unit complied.
	Determinable bool      `json:"determinable"`
	KnownFrom    time.Time `json:"known_from"`
}

// ComplianceQuery selects obligations. Zero fields do not restrict.
type ComplianceQuery struct {
	Regime   domain.RegimeID
	From, To domain.Date // inclusive
	Unit     domain.UnitCode
	Parent   domain.UnitCode // units reporting through this one
	Form     domain.FormID
	Status   []domain.Status
	AsOf     domain.Date
	KnownAt  *time.Time
	After    string // cursor of the page before
	Limit    int
}

// CompliancePage is one page; Next is "" on the last.
type CompliancePage struct {
	At
	Rows []ComplianceRow `json:"rows"`
	Next string          `json:"next,omitempty"`
}

// DayBoard is the counts of one day, in all and per parent: OnTime + Late + Missing + Exempt + Due + NotDeterminable =
// Obligations. NotDeterminable is 0 unless a stream is parked.
type DayBoard struct {
	At
	Regime domain.RegimeID `json:"regime"`
	Date   domain.Date     `json:"date"`
	Opened bool            `json:"opened"`
	Closed bool            `json:"closed"`
	Total  BoardCounts     `json:"total"`
	Areas  []BoardCounts   `json:"areas"`
}

// BoardCounts counts obligations by status.
type BoardCounts struct {
	Area            domain.UnitCode `json:"area,omitempty"` // parent unit; "" for the bodies that report directly, and the total
	AreaName        string          `json:"area_name,omitempty"`
	Obligations     int             `json:"obligations"`
	OnTime          int             `json:"on_time"`
	Late            int             `json:"late"`
	Missing         int             `json:"missing"`
	Exempt          int             `json:"exempt"`
	Due             int             `json:"due"`
	Nil             int             `json:"nil"`
	Excused         int             `json:"excused"`
	Unsigned        int             `json:"unsigned"` // filed, the newest version not signed
	NotDeterminable int             `json:"not_determinable"`
}

// UnitRecord is how one unit kept a duty over the days: rates and streaks.
type UnitRecord struct {
	Unit            domain.UnitCode `json:"unit"`
	UnitName        string          `json:"unit_name"`
	Form            domain.FormID   `json:"form"`
	Days            int             `json:"days"` // judged days: on time, late, missing
	OnTime          int             `json:"on_time"`
	Late            int             `json:"late"`
	Missing         int             `json:"missing"`
	Exempt          int             `json:"exempt"`
	OnTimePercent   float64         `json:"on_time_percent"`
	ReceivedPercent float64         `json:"received_percent"`
	Streak          int             `json:"streak"` // on-time days in a row up to the last judged day; exempt days do not break it
	LongestStreak   int             `json:"longest_streak"`
	Determinable    bool            `json:"determinable"`
}

// UnitRecordPage is the records of units.
type UnitRecordPage struct {
	At
	Records []UnitRecord `json:"records"`
}

// PersonRef names a person in an answer.
type PersonRef struct {
	ID        domain.PersonID `json:"id"`
	Name      string          `json:"name"`
	Synthetic bool            `json:"synthetic,omitempty"`
}

// HeadRef is who held an office at an instant; Vacant says that nobody did, and Above then names the unit that answers.
type HeadRef struct {
	Person   *PersonRef      `json:"person,omitempty"`
	Unit     domain.UnitCode `json:"unit"`
	Capacity domain.Capacity `json:"capacity,omitempty"`
	Title    string          `json:"title,omitempty"`
	Since    *time.Time      `json:"since,omitempty"`
	At       time.Time       `json:"at"`
	Vacant   bool            `json:"vacant,omitempty"`
	Above    *HeadRef        `json:"above,omitempty"`
}

// VersionRow is one version of a report with both its times (view: history).
type VersionRow struct {
	Slot
	Version      int                   `json:"version"`
	FormVersion  int                   `json:"form_version"`
	Figures      domain.Figures        `json:"figures,omitempty"`
	Nil          bool                  `json:"nil,omitempty"`
	Note         string                `json:"note,omitempty"`
	Digest       string                `json:"digest"`
	Correction   domain.CorrectionKind `json:"correction,omitempty"`
	Reason       string                `json:"reason,omitempty"`
	Findings     []domain.Finding      `json:"findings,omitempty"`
	Children     []domain.ChildPin     `json:"children,omitempty"`
	Missing      []domain.UnitCode     `json:"missing,omitempty"`
	Filer        PersonRef             `json:"filer"`
	Role         domain.Role           `json:"role"`
	Channel      domain.Channel        `json:"channel"`
	ReceivedAt   time.Time             `json:"received_at"`
	RecordedAt   time.Time             `json:"recorded_at"`
	SupersededAt *time.Time            `json:"superseded_at,omitempty"` // recorded time of the next version
	SignOffs     []SignOffRow          `json:"sign_offs,omitempty"`
	EventID      string                `json:"event_id"`
	Stream       string                `json:"stream"`
	Revision     uint64                `json:"revision"`
	Place        string                `json:"position"`
}

// SignOffRow is a sign-off of a version.
type SignOffRow struct {
	Signer         PersonRef       `json:"signer"`
	Capacity       domain.Capacity `json:"capacity"`
	Title          string          `json:"title"`
	Authority      string          `json:"authority,omitempty"`
	Digest         string          `json:"digest"`
	At             time.Time       `json:"at"`
	RecordedAt     time.Time       `json:"recorded_at"`
	Superseded     bool            `json:"superseded,omitempty"` // a later version stands unsigned by it
	CheckpointSeen string          `json:"checkpoint_seen,omitempty"`
	EventID        string          `json:"event_id"`
}

// TimelineRow is one event of a report's stream as an inspector reads it.
type TimelineRow struct {
	Kind       string          `json:"kind"`
	At         time.Time       `json:"at"` // received
	RecordedAt time.Time       `json:"recorded_at"`
	Actor      PersonRef       `json:"actor"`
	Role       domain.Role     `json:"role"`
	Channel    domain.Channel  `json:"channel"`
	Capacity   domain.Capacity `json:"capacity,omitempty"`
	Version    int             `json:"version,omitempty"`
	Detail     string          `json:"detail,omitempty"` // breach kind, timeliness, correction kind
	Reason     string          `json:"reason,omitempty"`
	EventID    string          `json:"event_id"`
	Stream     string          `json:"stream"`
	Revision   uint64          `json:"revision"`
	Place      string          `json:"position"`
}

// HistoryQuery asks what a unit reported for a day, as known at an instant. Form "" is every form.
type HistoryQuery struct {
	Regime  domain.RegimeID
	Unit    domain.UnitCode
	Form    domain.FormID
	Date    domain.Date
	AsOf    domain.Date
	KnownAt *time.Time
}

// History is the answer: per form, the versions known then, and everything that happened up to then.
type History struct {
	At
	Unit         domain.UnitCode `json:"unit"`
	UnitName     string          `json:"unit_name"`
	UnitType     string          `json:"unit_type"`
	Date         domain.Date     `json:"date"`
	Determinable bool            `json:"determinable"`
	Reports      []ReportHistory `json:"reports"`
}

// ReportHistory is one obligation's part of a history.
type ReportHistory struct {
	Compliance ComplianceRow `json:"compliance"`
	Versions   []VersionRow  `json:"versions"`
	Timeline   []TimelineRow `json:"timeline"`
}

// AnswerRecord is the item 10 record of one obligation (view: answerability): which figures, and who answers.
type AnswerRecord struct {
	Slot
	Duty         domain.DutyID     `json:"duty"`
	UnitName     string            `json:"unit_name"`
	Absent       bool              `json:"absent,omitempty"`
	Parent       domain.UnitCode   `json:"parent,omitempty"` // in the tree that is shown; heads answer as things stood on the day itself
	Status       domain.Status     `json:"status"`
	Due          time.Time         `json:"due"`
	Version      int               `json:"version,omitempty"`
	Digest       string            `json:"digest,omitempty"`
	Figures      []AnsweredFigure  `json:"figures,omitempty"`
	Nil          bool              `json:"nil,omitempty"`
	Filer        *PersonRef        `json:"filer,omitempty"`
	SignOff      *SignOffRow       `json:"sign_off,omitempty"`   // of the newest version
	Superseded   []SignOffRow      `json:"superseded,omitempty"` // of earlier ones
	HeadDeadline HeadRef           `json:"head_at_deadline"`     // answers for keeping the regime, and for version 1
	HeadSignOff  *HeadRef          `json:"head_at_sign_off,omitempty"`
	HeadCorrect  *HeadRef          `json:"head_at_correction,omitempty"` // answers for the corrected figures (rule 8)
	Answerable   HeadRef           `json:"answerable"`                   // who answers for the newest version; each figure names its own
	Breaches     []BreachRow       `json:"breaches,omitempty"`
	Children     []ChildAnswer     `json:"children,omitempty"`
	Missing      []domain.UnitCode `json:"missing_children,omitempty"`
	OutOfDate    []domain.UnitCode `json:"out_of_date,omitempty"`
	Determinable bool              `json:"determinable"`
	KnownFrom    time.Time         `json:"known_from"`
	EventID      string            `json:"event_id,omitempty"` // of the newest version
}

// AnsweredFigure is one figure with its label.
type AnsweredFigure struct {
	Field string         `json:"field"`
	Label domain.Wording `json:"label"`
	Value int64          `json:"value"`
	Scope domain.Scope   `json:"scope"`
	// ChangedIn is the version whose correction last changed this figure; 1 when it is as first filed.
	ChangedIn int `json:"changed_in"`
	// Answerable is who answers for this figure: the head at the deadline, or, when a correction changed it, the head when
	// that correction was recorded (rule 8). A later correction of another figure does not move it.
	Answerable HeadRef `json:"answerable"`
}

// ChildAnswer is a pinned child of a consolidated report, and who answers for the child's own number (rule 9).
type ChildAnswer struct {
	Unit       domain.UnitCode `json:"unit"`
	UnitName   string          `json:"unit_name"`
	Version    int             `json:"version"`
	Digest     string          `json:"digest"`
	Newest     int             `json:"newest_version"`
	Answerable HeadRef         `json:"answerable"`
}

// AnswerQuery asks for the item 10 record. Person restricts to what one person answers for, over any days.
type AnswerQuery struct {
	Regime   domain.RegimeID
	Unit     domain.UnitCode
	Form     domain.FormID
	From, To domain.Date
	Person   domain.PersonID
	AsOf     domain.Date
	KnownAt  *time.Time
	After    string
	Limit    int
}

// AnswerPage is one page of records.
type AnswerPage struct {
	At
	Records []AnswerRecord `json:"records"`
	Next    string         `json:"next,omitempty"`
}

// BreachRow is one breach and what came of it (view: breaches).
type BreachRow struct {
	Slot
	UnitName     string            `json:"unit_name"`
	Duty         domain.DutyID     `json:"duty"`
	Breach       domain.BreachKind `json:"breach"`
	Due          time.Time         `json:"due"`
	RecordedAt   time.Time         `json:"recorded_at"`
	RegimeVer    int               `json:"regime_version"`
	Outcome      string            `json:"outcome"` // standing, withdrawn, explained, excused, upheld
	Head         HeadRef           `json:"head_at_deadline"`
	ReportedAt   *time.Time        `json:"reported_at,omitempty"` // when something arrived after all
	Explanations []TextBy          `json:"explanations,omitempty"`
	Judgement    *TextBy           `json:"judgement,omitempty"` // excuse or upholding
	EventID      string            `json:"event_id"`
}

// TextBy is what a person wrote.
type TextBy struct {
	Text string    `json:"text"`
	By   PersonRef `json:"by"`
	At   time.Time `json:"at"`
}

// BreachQuery selects breaches.
type BreachQuery struct {
	Regime   domain.RegimeID
	From, To domain.Date
	Unit     domain.UnitCode
	Parent   domain.UnitCode
	Kind     domain.BreachKind
	Outcome  string
	AsOf     domain.Date
	KnownAt  *time.Time
	After    string
	Limit    int
}

// BreachPage is one page of breaches.
type BreachPage struct {
	At
	Rows []BreachRow `json:"rows"`
	Next string      `json:"next,omitempty"`
}

// SynthesisQuery asks for a day's roll-ups. Area "" is the whole province and every district.
type SynthesisQuery struct {
	Regime  domain.RegimeID
	Date    domain.Date
	Form    domain.FormID
	Area    domain.UnitCode
	AsOf    domain.Date
	KnownAt *time.Time
}

// Synthesis is the roll-ups of a day, one total per form and area; nothing is added across scopes (rule 10).
type Synthesis struct {
	At
	Regime domain.RegimeID  `json:"regime"`
	Date   domain.Date      `json:"date"`
	Opened bool             `json:"opened"`
	Totals []SynthesisTotal `json:"totals"`
}

// SynthesisTotal is the sum of one form in one area, with its coverage and what it was made of.
type SynthesisTotal struct {
	Form      domain.FormID     `json:"form"`
	Title     domain.Wording    `json:"title"`
	Scope     domain.Scope      `json:"scope"`
	Area      domain.UnitCode   `json:"area,omitempty"` // "" is the province
	AreaName  string            `json:"area_name"`
	Expected  int               `json:"expected"` // units that owe the form, without the exempt
	Received  int               `json:"received"`
	OnTime    int               `json:"on_time"`
	Missing   []domain.UnitCode `json:"missing,omitempty"`
	Sums      []SummedField     `json:"sums"`
	MadeOf    []domain.ChildPin `json:"made_of"`
	OutOfDate []domain.UnitCode `json:"out_of_date,omitempty"` // consolidated reports among them that are out of date
	// NotDeterminable are units whose figures are left out because an event of theirs could not be applied.
	NotDeterminable []domain.UnitCode `json:"not_determinable,omitempty"`
}

// SummedField is one field's sum; fields that mean nothing above the unit are left out.
type SummedField struct {
	Field string         `json:"field"`
	Label domain.Wording `json:"label"`
	Value int64          `json:"value"`
	Units int            `json:"units"` // how many reports gave this field
}

// QueueRow is one report that waits for a signature (view: sign-off queue).
type QueueRow struct {
	Slot
	UnitName     string              `json:"unit_name"`
	Version      int                 `json:"version"`
	Digest       string              `json:"digest"`
	Figures      domain.Figures      `json:"figures,omitempty"`
	Nil          bool                `json:"nil,omitempty"`
	State        domain.SignOffState `json:"state"` // waiting, superseded, returned
	Filer        PersonRef           `json:"filer"`
	ReceivedAt   time.Time           `json:"received_at"`
	SignOffDue   *time.Time          `json:"sign_off_due,omitempty"`
	SignedBefore int                 `json:"signed_version,omitempty"` // the last version signed, to show the difference
}

// TargetRow is one judged target.
type TargetRow struct {
	domain.TargetJudged
	UnitName string    `json:"unit_name"`
	JudgedAt time.Time `json:"judged_at"`
	Head     HeadRef   `json:"head_at_deadline"`
}

// UnitRow describes a unit as of a day (view: units).
type UnitRow struct {
	Unit      domain.UnitCode `json:"unit"`
	Level     domain.Level    `json:"level"`
	Type      string          `json:"type"`
	Name      string          `json:"name"`
	NameEn    string          `json:"name_en,omitempty"`
	Parent    domain.UnitCode `json:"parent,omitempty"`
	From      domain.Date     `json:"from"`
	Until     domain.Date     `json:"until,omitempty"`
	Synthetic bool            `json:"synthetic,omitempty"`
}

// ParkedStream is a stream that holds an event the views could not apply; its unit is not determinable.
type ParkedStream struct {
	Stream     string          `json:"stream"`
	Unit       domain.UnitCode `json:"unit,omitempty"`
	Revision   uint64          `json:"revision"`
	EventID    string          `json:"event_id"`
	Kind       string          `json:"kind"`
	Error      string          `json:"error"`
	Waiting    int             `json:"waiting"` // events of the stream kept back since
	RecordedAt time.Time       `json:"recorded_at"`
	Place      string          `json:"position"`
}

// Lag is how far the views are behind the log, against the log's head read independently.
type Lag struct {
	Position eventlog.Position `json:"-"`
	Head     eventlog.Position `json:"-"`
	Place    string            `json:"position"`
	HeadAt   string            `json:"head"`
	Events   int64             `json:"events"`      // -1 where the log's positions are not dense
	Seconds  float64           `json:"lag_seconds"` // age of the oldest event not applied; 0 when caught up
	Parked   int               `json:"parked"`
}

// SignOffQuery asks for the reports that wait for signatures in some units. No forms: every form.
type SignOffQuery struct {
	Regime  domain.RegimeID // "" is every regime
	Units   []domain.UnitCode
	Forms   []domain.FormID
	AsOf    domain.Date
	KnownAt *time.Time
	After   string
	Limit   int
}

// QueuePage is one page of a sign-off queue, the longest waiting first.
type QueuePage struct {
	At
	Rows []QueueRow `json:"rows"`
	Next string     `json:"next,omitempty"`
}

// TargetQuery selects judged targets. Zero fields do not restrict.
type TargetQuery struct {
	Regime  domain.RegimeID
	Target  string
	Unit    domain.UnitCode
	Date    domain.Date
	AsOf    domain.Date
	KnownAt *time.Time
}

// TargetPage is the judged targets asked for.
type TargetPage struct {
	At
	Met    int         `json:"met"`
	Missed int         `json:"missed"`
	Rows   []TargetRow `json:"rows"`
}

// UnitQuery selects units. AsOf "" shows each as it is described last; a day shows the units that existed on it. Search
// looks into codes and all names a unit had, without marks and case.
type UnitQuery struct {
	AsOf    domain.Date
	Search  string
	Level   domain.Level
	Parent  domain.UnitCode
	Unit    domain.UnitCode
	KnownAt *time.Time
	After   string
	Limit   int
}

// UnitPage is one page of units in the order of their codes.
type UnitPage struct {
	At
	Rows []UnitRow `json:"rows"`
	Next string    `json:"next,omitempty"`
}

// OfficeQuery asks about a unit's office. AsOf "" is everybody who was ever in it; a day those in it on that day.
type OfficeQuery struct {
	Unit    domain.UnitCode
	AsOf    domain.Date
	KnownAt *time.Time
}

// OfficeRow is an office with everybody who held it or may sign for it (view: offices).
type OfficeRow struct {
	At
	Unit        domain.UnitCode `json:"unit"`
	UnitName    string          `json:"unit_name"`
	Tenures     []TenureRow     `json:"tenures"`
	Authorities []AuthorityRow  `json:"authorities"`
}

// TenureRow is one person's time as head or acting head.
type TenureRow struct {
	Person     PersonRef       `json:"person"`
	Capacity   domain.Capacity `json:"capacity"`
	Title      string          `json:"title"`
	From       time.Time       `json:"from"`
	Until      *time.Time      `json:"until,omitempty"`
	Decision   string          `json:"decision"`
	RecordedAt time.Time       `json:"recorded_at"`
}

// AuthorityRow is one right to sign for the head.
type AuthorityRow struct {
	Authority string          `json:"authority"`
	Person    PersonRef       `json:"person"`
	Capacity  domain.Capacity `json:"capacity"`
	Title     string          `json:"title"`
	Forms     []domain.FormID `json:"forms,omitempty"`
	From      time.Time       `json:"from"`
	Until     time.Time       `json:"until"`
	RevokedAt *time.Time      `json:"revoked_at,omitempty"`
	GrantedBy PersonRef       `json:"granted_by"`
	Decision  string          `json:"decision"`
}

// DayRow is one day of a regime (view: days).
type DayRow struct {
	Regime        domain.RegimeID       `json:"regime"`
	Date          domain.Date           `json:"date"`
	RegimeVersion int                   `json:"regime_version"`
	OpenedAt      time.Time             `json:"opened_at"`
	Duties        []domain.DayDuty      `json:"duties"` // without the units that hold them
	Closed        *domain.DayClosed     `json:"closed,omitempty"`
	Issued        []domain.ReportIssued `json:"issued,omitempty"`
}

// DayPage is the days of a regime in order.
type DayPage struct {
	At
	Days []DayRow `json:"days"`
}

// RegimeQuery asks for every regime. AsOf "" shows the newest rules; a day those in force at its end, without the regimes
// that were not issued by then.
type RegimeQuery struct {
	AsOf    domain.Date
	KnownAt *time.Time
}

// RegimeRow is a regime with the rules in force (view: regimes).
type RegimeRow struct {
	Regime   domain.RegimeID      `json:"regime"`
	Version  int                  `json:"version"`
	InForce  time.Time            `json:"in_force"` // since when this version is
	Rules    domain.Rules         `json:"rules"`
	Closed   *domain.RegimeClosed `json:"closed,omitempty"`
	FirstDay domain.Date          `json:"first_day,omitempty"` // the first and last day opened
	LastDay  domain.Date          `json:"last_day,omitempty"`
}

// RegimePage is every regime.
type RegimePage struct {
	At
	Regimes []RegimeRow `json:"regimes"`
}
