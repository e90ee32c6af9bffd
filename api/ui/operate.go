package ui

import (
	"math"
	"net/url"
	"time"

	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/projections"
)

// Acts is what every page with several forms remembers of the one that was refused: what is wrong, and what was typed.
type Acts struct {
	Key     string // makes sending a form twice one act
	Problem string
	Act     string // which form was sent
	Typed   url.Values
}

// Was is what was typed into a field of a form, "" where another form was sent or none.
func (a Acts) Was(act, name string) string {
	if act != a.Act {
		return ""
	}
	return a.Typed.Get(name)
}

// Operations is how the machine does.
type Operations struct {
	Frame
	Acts
	Lag      projections.Lag
	Feeds    []Feed
	Parked   []projections.ParkedStream
	MayAct   bool
	Rebuilds bool // this process makes the views
	Rebuild  Rebuild
	MayAudit bool // the access log may be read
	Backup   BackupState
	Jobs     []Job // of this process, since it started
}

// BackupState is the last backup that is known of; the zero value where none is.
type BackupState struct {
	At   time.Time
	To   string // where it lies
	Head string // up to which position of the log
}

// Job is something that takes more than a moment.
type Job struct {
	Kind  string // rebuild, import or export
	Who   domain.PersonID
	What  string
	State string    // running, done, refused, cancelled, failed or interrupted
	Begun time.Time // zero: not here
	Ended time.Time // zero: it goes on, or is not known
}

// Feed is one thing that is made from the log, and how far it has come.
type Feed struct {
	Name    string // key of its words
	Detail  string
	Place   string
	Events  int64   // behind the log; -1: not known
	Seconds float64 // age of the oldest event not in it; -1: not known
}

// Rebuild is how a rebuild of the views stands, or how the last one ended.
type Rebuild struct {
	projections.RebuildStatus
	Changes  []projections.Change // what differs, as much of it as the page shows
	Cut      bool                 // there is more
	Previous *projections.Generation
}

// Running reports whether the page is to be read again soon.
func (p Operations) Running() bool { return p.Rebuild.State == "running" }

// Done is how much of a rebuild's phase is done, and of how much; of 0 is not known.
func (r Rebuild) Done() (done int64) {
	if r.Progress == nil {
		return 0
	}
	if r.Progress.AllRows > 0 {
		return r.Progress.Rows
	}
	return r.Progress.Events
}

// Of is how much there is to do in a rebuild's phase; 0: not known.
func (r Rebuild) Of() int64 {
	if r.Progress == nil {
		return 0
	}
	if r.Progress.AllRows > 0 {
		return r.Progress.AllRows
	}
	return max(0, r.Progress.Total)
}

// Seconds writes a duration in whole seconds, begun ones too.
func (f Frame) Seconds(s float64) string { return f.Number(int64(math.Ceil(s))) }

// DayOf is a civil day that a view holds as text; what is none is shown as it is.
func (f Frame) DayOf(s string) string { return f.Day(domain.Date(s)) }

// Percent64 is a share of a whole in hundreds, rounded down.
func (f Frame) Percent64(part, whole int64) string { return f.Percent(int(part), int(whole)) }

// IntegrityState is what is known of the evidence.
type IntegrityState struct {
	Origin     string
	Entries    int64 // events in the tree
	Signed     int64 // of them, covered by a checkpoint
	Witnessed  int64 // of them, covered by a checkpoint that the quorum cosigned
	Wants      bool  // the policy asks for witnesses
	SignedAt   time.Time
	Checkpoint string // the newest, as published
	Cosigned   []Cosigned
	Second     string // where the second copy of the last signed checkpoint lies
	SecondSays string // what is wrong with it; "" when it agrees
	Policy     string // keys and witnesses, as the operator names them
	Trouble    string // why nothing is signed any more
	Last       Verification
	Checks     bool // a check may be begun here
}

// Cosigned is one witness's word for the newest checkpoint.
type Cosigned struct {
	Witness string
	Last    time.Time
}

// Verification is one check of the whole log, the views and the tree.
type Verification struct {
	At      time.Time // zero: none is known
	Running bool
	OK      bool
	Events  int64
	Entries int64
	Fault   string // the first bad place
	Next    time.Time
}

// Integrity says whether the ledger can be trusted, and by what one may find out.
type Integrity struct {
	Frame
	Acts
	Made    bool   // evidence is made at all
	Site    string // the address that programs use
	State   IntegrityState
	Verdict string // key of its words: good, alone, unsigned, unwitnessed, broken, none
	MayAct  bool
}

// Running reports whether the page is to be read again soon.
func (p Integrity) Running() bool { return p.State.Last.Running }

// Setting is one setting of the process.
type Setting struct {
	Key    string
	Value  string // as it may be shown
	Source string // flag, environment, file, default
	Where  string // the variable or the file
}

// Configuration lists the settings.
type Configuration struct {
	Frame
	Rows []Setting
}

// SettingText is what a setting is for.
func (p Configuration) SettingText(key string) string {
	if _, ok := operateTexts["setting."+key]; !ok {
		return ""
	}
	return p.T("setting." + key)
}

func (Integrity) template() string     { return "integrity" }
func (Configuration) template() string { return "configuration" }

// Organisation lists units as of a day.
type Organisation struct {
	Frame
	Acts
	MayRegister bool
	Search      string
	Level       domain.Level
	Parent      domain.UnitCode
	Rows        []OrganisationRow
	Next        string
}

// OrganisationRow is a unit and who holds its office now.
type OrganisationRow struct {
	projections.UnitRow
	Holder     domain.PersonID // "" is a vacancy
	HolderName string
	Capacity   domain.Capacity
}

// UnitOffice is a unit with everything it was, and its office with everybody who held it or may sign for it.
type UnitOffice struct {
	Frame
	Acts
	Code        domain.UnitCode
	Level       domain.Level
	From        domain.Date
	Until       domain.Date
	Into        domain.UnitCode
	Periods     []UnitPeriod
	Tenures     []TenureLine
	Authorities []AuthorityLine
	Children    []projections.UnitRow
	Forms       []Choice
	Held        domain.PersonID // who holds the office now; "" is nobody
	MayAppoint  bool
	MayDelegate bool
	MaySee      bool // persons have pages this reader may open
	MayExplore  bool
}

// UnitPeriod is how a unit was from a day on, until another.
type UnitPeriod struct {
	domain.UnitPeriod
	Until      domain.Date
	ParentName string
}

// TenureLine is one person's time in an office.
type TenureLine struct {
	domain.Tenure
	Unit     domain.UnitCode
	UnitName string
	Name     string
	Now      bool
}

// AuthorityLine is a right to sign.
type AuthorityLine struct {
	domain.Authority
	UnitName string
	Name     string
	State    string // key of its words: now, later, over, revoked
}

// Persons lists everybody.
type Persons struct {
	Frame
	Acts
	Search      string
	Rows        []PersonLine
	Next        string
	MayRegister bool
	MaySee      bool
}

// PersonLine is one person and what they may do now.
type PersonLine struct {
	ID        domain.PersonID
	Name      string
	Synthetic bool
	Roles     []RoleLine
}

// RoleLine is a role, from when and until when.
type RoleLine struct {
	Role     domain.Role
	Unit     domain.UnitCode
	UnitName string
	From     time.Time
	Until    time.Time // zero: without end
	By       domain.PersonID
	State    string // key of its words: now, later, over
}

// Person is all that the ledger and the accounts hold of somebody.
type Person struct {
	Frame
	Acts
	ID          domain.PersonID
	Name        string
	IsSynthetic bool
	Roles       []RoleLine
	Tenures     []TenureLine
	Authorities []AuthorityLine
	Credentials []CredentialLine
	SignIns     []SignInLine
	Tokens      []TokenLine
	Log         []AccountLine
	Subjects    []AccountSubject // who they are at a provider of OpenID Connect
	Sessions    int
	HasPassword bool
	MayAct      bool
	MayExplore  bool
	RoleChoices []domain.Role
}

// CredentialLine is a key somebody signs with.
type CredentialLine struct {
	Credential string
	Method     string
	Enrolled   time.Time
	By         domain.PersonID
	Revoked    time.Time // zero: in use
}

// SignInLine is another way in which somebody signs in, or did.
type SignInLine struct {
	Method string
	Issuer string // the provider; "" for a password
	Set    time.Time
	Ended  time.Time // zero: in use
}

// AccountLine is one thing that happened to an account.
type AccountLine struct {
	At   time.Time
	By   domain.PersonID
	Act  string
	From string
}

// Short40 shortens an id that is too long for a line.
func (CredentialLine) Short40(s string) string {
	if len(s) > 40 {
		return s[:40] + "…"
	}
	return s
}

func (Organisation) template() string { return "organisation" }
func (UnitOffice) template() string   { return "office" }
func (Persons) template() string      { return "persons" }
func (Person) template() string       { return "person" }

// Events is the log as it was recorded.
type Events struct {
	Frame
	Categories []string
	Kinds      []string
	Category   string
	Kind       string
	Unit       domain.UnitCode
	Stream     string
	Rows       []EventLine
	First      string // address of the first page; "" on it
	Backward   bool   // the newest come first
	Newest     string // address of the newest events; "" where the log cannot be read from its end
	Next       string
	Scanned    string // how far was looked, when the page is not full and there is more
}

// EventLine is one event of a list.
type EventLine struct {
	Position   string
	Stream     string
	Revision   uint64
	Kind       string
	RecordedAt time.Time
	Actor      domain.PersonID
	Role       domain.Role
	Address    string
}

// Event is one event with all that is known of it.
type Event struct {
	Frame
	EventLine
	ID         string
	ReceivedAt time.Time
	Schema     int
	Current    int // the schema version this program writes; 0: the kind is not known
	Data       string
	Meta       string
	Upcast     string // the data as this program reads it, where that is another version
	Fault      string // why this program cannot read it
	Size       int
	Before     string // addresses: in the stream, in the log
	After      string
	LogBefore  string
	LogAfter   string
	Receipt    string
	CloudEvent string
	Curl       string
	Report     string
}

// Developers is the API, as its own document tells it.
type Developers struct {
	Frame
	Version string
	Origin  string
	Groups  []APIGroup
	Schemas []string
}

// APIGroup is the routes of one tag.
type APIGroup struct {
	Tag    string
	Routes []APIRoute
}

// APIRoute is one operation.
type APIRoute struct {
	ID      string
	Method  string
	Path    string
	Summary string
	Params  []APIParam
	Body    []string // names of schemas
	Answers []APIAnswer
}

// APIParam is one parameter.
type APIParam struct {
	Name     string
	In       string
	Required bool
	Type     string
	Doc      string
}

// APIAnswer is what comes back.
type APIAnswer struct {
	Status  string
	Type    string
	Schemas []string
}

// APISchema is one schema of the document.
type APISchema struct {
	Frame
	Name string
	Text string
	Uses []string
}

// Tokens are what lets programs act for a person.
type Tokens struct {
	Frame
	Acts
	Everybody bool // of everybody, for an administrator
	Rows      []TokenLine
	Fresh     bool
	Secret    string // told once
	Made      TokenLine
	Origin    string
}

// TokenLine is one token; zero times are never.
type TokenLine struct {
	ID      string
	Person  domain.PersonID
	Scope   string
	Label   string
	Created time.Time
	Expires time.Time
	Used    time.Time
	Revoked time.Time
	Live    bool
}

func (Events) template() string     { return "events" }
func (Event) template() string      { return "event" }
func (Developers) template() string { return "developers" }
func (APISchema) template() string  { return "schema" }
func (Tokens) template() string     { return "tokens" }
