package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/answerable-ledger/answerable/commands"
	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/intake"
)

type importCmd struct {
	File   string `arg:"" help:"File to read: .json or .csv; '-' is standard input, read as JSON." placeholder:"FILE"`
	Data   string `help:"Data directory." required:"" placeholder:"DIR"`
	As     string `help:"Person who files; they need the role for every unit in the file." required:"" placeholder:"ID"`
	Date   string `help:"The only day the rows may be of; without it each row says its own." placeholder:"YYYY-MM-DD"`
	Regime string `help:"Regime the reports belong to." default:"bluezone" placeholder:"ID"`
	Check  bool   `help:"Only say what would happen."`
	JSON   bool   `name:"json" help:"Print one JSON object."`
}

func (importCmd) Help() string {
	return `Takes all reports of the file, or none: every row is decided first, and the faults are listed by row and column. Repeating an import after an interruption records each report once. A running server has the directory for itself; send the file to its API instead.

Example:
  answerable import reports.csv --data ./ledger --as officer_726 --date 2021-02-08`
}

func (c importCmd) Run(a *app) (err error) {
	received := a.now() // before anything is read: this instant decides timeliness
	name, body, err := c.read(a)
	if err != nil {
		return err
	}
	if c.Date != "" {
		if _, err := domain.ParseDate(c.Date); err != nil {
			return err
		}
	}
	n, err := a.openExisting(a.ctx, c.Data)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, n.close()) }()
	rows, err := intake.ParseFile(name, body, n.registry, domain.Date(c.Date))
	if err != nil {
		return c.refuse(a, err)
	}
	sum := sha256.Sum256(body)
	channel := domain.ChannelAPI
	if strings.ToLower(filepath.Ext(name)) != ".json" {
		channel = domain.ChannelSpreadsheet
	}
	command := func(row intake.Row) commands.Command {
		return commands.Command{ID: domain.NewCommandID("import", hex.EncodeToString(sum[:]), strconv.Itoa(row.Number)),
			Actor: domain.PersonID(c.As), Channel: channel, ReceivedAt: received}
	}
	if err := c.check(a, n.ledger, rows, command); err != nil {
		return c.refuse(a, err)
	}
	if err := c.consolidatedLast(a, n.ledger, rows); err != nil {
		return err
	}
	repeated := 0
	if !c.Check {
		for i, row := range rows {
			r, err := n.ledger.SubmitReport(a.ctx, command(row), c.filing(row))
			if err != nil {
				return fmt.Errorf("import %s: row %d, after %d reports were recorded (repeat the import to go on): %w", c.File, row.Number, i, err)
			}
			if r.Repeat {
				repeated++
			}
		}
		if err := n.views.CatchUp(a.ctx); err != nil {
			return err
		}
	}
	if c.JSON {
		return a.printJSON(map[string]any{"rows": len(rows), "recorded": c.recorded(len(rows), repeated), "repeated": repeated, "check": c.Check})
	}
	a.printf("%d báo cáo: ghi %d, đã có từ lần trước %d.\n", "%d reports: %d recorded, %d were there from before.\n", len(rows), c.recorded(len(rows), repeated), repeated)
	return nil
}

func (c importCmd) filing(row intake.Row) commands.Filing {
	s := row.Submission
	return commands.Filing{Key: domain.ReportKey{Regime: domain.RegimeID(c.Regime), Form: row.Form, Unit: row.Unit, Date: row.Date},
		FormVersion: s.FormVersion, Figures: s.Figures, Nil: s.Nil, Note: s.Note}
}

// consolidatedLast puts the reports that sum others behind them, so that they sum what the file says.
func (c importCmd) consolidatedLast(a *app, l *commands.Ledger, rows []intake.Row) error {
	sums := map[int]int{}
	for _, row := range rows {
		day, err := l.Day(a.ctx, domain.RegimeID(c.Regime), row.Date)
		if err != nil {
			return err
		}
		for _, d := range day.Opened.Duties { // opened: its obligations were checked
			if d.Form == row.Form && d.Consolidates != "" {
				sums[row.Number] = 1
			}
		}
	}
	slices.SortStableFunc(rows, func(x, y intake.Row) int { return sums[x.Number] - sums[y.Number] })
	return nil
}

// check decides every row without recording any, and gathers what is refused.
func (c importCmd) check(a *app, l *commands.Ledger, rows []intake.Row, command func(intake.Row) commands.Command) error {
	var faults []domain.Fault
	for _, row := range rows {
		err := l.CheckReport(a.ctx, command(row), c.filing(row))
		var refusal *domain.Error
		if errors.As(err, &refusal) {
			for _, f := range refusal.Faults {
				f.Row = row.Number
				faults = append(faults, f)
			}
		} else if err != nil {
			return err
		}
	}
	if len(faults) == 0 {
		return nil
	}
	domain.SortFaults(faults)
	return &domain.Error{Kind: domain.Invalid, Faults: faults}
}

func (c importCmd) recorded(rows, repeated int) int {
	if c.Check {
		return 0
	}
	return rows - repeated
}

func (c importCmd) read(a *app) (name string, body []byte, err error) {
	in, name := a.stdio.in, "stdin.json"
	if c.File != "-" {
		f, err := os.Open(c.File)
		if err != nil {
			return "", nil, usagef("import: %v", err)
		}
		defer f.Close()
		in, name = f, c.File
	}
	body, err = io.ReadAll(io.LimitReader(in, domain.MaxImportBytes+1)) // one more, so that the parser sees it is too long
	if err != nil {
		return "", nil, fmt.Errorf("import %s: %w", c.File, err)
	}
	return name, body, nil
}

// refuse prints the faults by row and column.
func (c importCmd) refuse(a *app, err error) error {
	var refusal *domain.Error
	if !errors.As(err, &refusal) {
		return err
	}
	if c.JSON {
		type fault struct {
			Row     int         `json:"row,omitempty"`
			Column  string      `json:"column,omitempty"`
			Pointer string      `json:"pointer,omitempty"`
			Code    domain.Code `json:"code"`
			Text    string      `json:"text"`
		}
		faults := []fault{}
		for _, f := range refusal.Faults {
			faults = append(faults, fault{f.Row, f.Column, f.Pointer, f.Code, f.Text(a.lang)})
		}
		if err := a.printJSON(map[string]any{"recorded": 0, "faults": faults}); err != nil {
			return err
		}
		return errFailed
	}
	faults := "answerable: nothing was recorded; %d faults:\n"
	if len(refusal.Faults) == 1 {
		faults = "answerable: nothing was recorded; %d fault:\n"
	}
	fmt.Fprintf(a.stdio.err, a.say("answerable: không ghi gì; %d lỗi:\n", faults), len(refusal.Faults))
	for _, f := range refusal.Faults {
		fmt.Fprintf(a.stdio.err, "  %s%s\n", place(f), f.Text(a.lang))
	}
	return errFailed
}
