package ui

import (
	"time"

	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/projections"
)

// Queue is what waits for a signature.
type Queue struct {
	Frame
	Offices int // the person may sign for now
	Rows    []QueueItem
	Next    string
}

// QueueItem is one report that waits.
type QueueItem struct {
	projections.QueueRow
	FormTitle string
	Figures   []Difference
	Link      string
}

// Sign is exactly what is signed.
type Sign struct {
	Frame
	projections.Slot
	UnitName      string
	FormTitle     string
	Key           string
	Nonce         string
	Checkpoint    string
	State         domain.SignOffState
	Due           time.Time
	SignOffDue    *time.Time
	Version       int
	Digest        string
	Nil           bool
	Note          string
	Reason        string
	Filer         string
	ReceivedAt    time.Time
	Findings      []string
	Missing       []domain.UnitCode
	SignedBefore  int // the last version signed; 0 is none
	Figures       []Difference
	Capacity      domain.Capacity
	SignerTitle   string
	Statement     string
	Passkey       bool   // the person has one that signs
	MayNot        string // why they may not sign; "" when they may
	Problem       string
	ReturnProblem string
	ReturnReason  string
	Act           string
}

// Answers is what a person answers for.
type Answers struct {
	Frame
	Periods []Period
	Others  []Answer // outside their own periods: for a vacancy below, or by a correction
	Next    string
}

// AnswerTable is some of the records of a page, and what they are.
type AnswerTable struct {
	Answers
	Label string
	Items []Answer
}

// Table is the page with records of it.
func (a Answers) Table(label string, records []Answer) AnswerTable {
	return AnswerTable{a, label, records}
}

// Period is a time in office.
type Period struct {
	Unit     domain.UnitCode
	UnitName string
	Title    string
	Capacity domain.Capacity
	From     time.Time
	Until    time.Time // zero: still
	Decision string
	Records  []Answer
}

// Answer is one record of who answers for what.
type Answer struct {
	projections.AnswerRecord
	FormTitle  string
	MayExplain bool
	Link       string
}

// Explain asks a head why.
type Explain struct {
	Frame
	projections.Slot
	UnitName  string
	FormTitle string
	Key       string
	Typed     string
	Problem   string
	Breaches  []domain.Breach
	Act       string
}

func (Queue) template() string   { return "queue" }
func (Sign) template() string    { return "sign" }
func (Answers) template() string { return "answers" }
func (Explain) template() string { return "explain" }
