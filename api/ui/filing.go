package ui

import (
	"strconv"
	"time"

	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/projections"
)

// Today is a filer's day.
type Today struct {
	Frame
	Opened    bool
	Previous  domain.Date
	Following domain.Date
	Cards     []Card
}

// Card is one report owed.
type Card struct {
	projections.Slot
	UnitName     string
	FormTitle    string
	Due          time.Time
	Status       domain.Status
	SignOff      domain.SignOffState
	Version      int
	ReceivedAt   time.Time
	Returned     string // why it was sent back
	Reminders    int
	Consolidates bool
	Yesterday    []Figure
	Week         []CardDay
	Link         string
}

// Open reports whether nothing was filed and something can be.

func (c Card) Open() bool {
	return c.Version == 0 && c.Status != domain.StatusExempt
}

// Figure is a number with its words.
type Figure struct {
	Label string
	Unit  string
	Value int64
}

// CardDay is one of the last days.
type CardDay struct {
	Date    domain.Date
	Status  domain.Status
	SignOff domain.SignOffState
	Link    string
}

// File is the form of a report, its interruption, and its check.
type File struct {
	Frame
	projections.Slot
	UnitName      string
	FormTitle     string
	Due           time.Time
	Exempt        bool
	Consolidates  bool
	BeforeDate    domain.Date // of the figures in Input.Before
	Key           string
	Step          string // check: the form; note: the interruption; send: the check
	Replaces      int    // the version to be corrected; 0 is a first one
	Correction    string
	Reason        string
	Note          string
	Nil           bool
	Returned      string
	Inputs        []Input
	Problems      []Problem
	NoteProblem   string
	ReasonProblem string
}

// Input is one figure to be typed.
type Input struct {
	Name     string
	Label    string
	Unit     string
	Required bool
	Before   *int64 // of the day before
	Was      *int64 // of the version to be corrected
	Typed    string
	Problem  string
}

// Changed reports whether what was typed is not what stood there.
func (i Input) Changed() bool {
	if i.Was == nil {
		return i.Typed != ""
	}
	return i.Typed != strconv.FormatInt(*i.Was, 10)
}

// Figure is the number that was typed, nil when it is none: then it is shown as it was typed.
func (i Input) Figure() *int64 {
	n, err := strconv.ParseInt(i.Typed, 10, 64)
	if err != nil {
		return nil
	}
	return &n
}

// Problem is one thing wrong, or one thing that needs a word, with the id of its field.
type Problem struct {
	Field string
	Label string
	Text  string
	Was   string
	Is    string
}

// Difference is a figure and what it was.
type Difference struct {
	Field   string
	Label   string
	Unit    string
	Was     *int64
	Is      *int64
	Changed bool
}

// Filed confirms a report.
type Filed struct {
	Frame
	projections.Slot
	UnitName  string
	FormTitle string
	Row       projections.ComplianceRow
	Version   *projections.VersionRow // nil: nothing was filed
	Figures   []Difference
	MayFile   bool
	Receipts  bool     // the server gives receipts of events
	Receipt   *Receipt // of the newest version; nil where none is made
	Act       string
}

// Upload takes a day's reports from a file: it is chosen, checked, and recorded.
type Upload struct {
	Frame
	Step    string // "": a file is chosen; faults, record or done: what came of it
	Key     string
	Name    string // of the file, shortened
	Kind    string // "json", or a table
	Content string // of the file, in base64, to be sent again
	Count   int    // of the reports, or of the faults
	Repeats int    // recorded by an attempt before
	MaxMiB  int
	Faults  []UploadFault
	Rows    []UploadRow
}

// Cut reports whether there are more reports than are shown.

func (u Upload) Cut() bool { return u.Step != "faults" && u.Count > len(u.Rows) }

// UploadFault is what is wrong in one place of a file.
type UploadFault struct {
	Row    int    // 0: the whole file
	Column string // or a JSON Pointer
	Text   string
}

// UploadRow is one report of a file.
type UploadRow struct {
	projections.Slot
	UnitName  string
	FormTitle string
	Figures   []Difference
	Nil       bool
	Note      string
	Sums      bool // the ledger sums what is below
	Late      bool // the deadline is over
	Link      string
}

func (Upload) template() string { return "upload" }
func (Today) template() string  { return "today" }
func (File) template() string   { return "file" }
func (Filed) template() string  { return "filed" }
