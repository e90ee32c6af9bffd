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
	"strings"

	"github.com/google/uuid"

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
	return `Takes all reports of the file, or none: every row is decided first, and the faults are listed by row and column. Reports of communes, districts and bodies may stand in one file; what the ledger sums is left empty. Repeating an import after an interruption records each report once. A running server has the directory for itself; send the file to its API instead.

Example:
  answerable import reports.csv --data ./ledger --as officer_726 --date 2021-02-08`
}

func (c importCmd) Run(a *app) (err error) {
	if ext := strings.ToLower(filepath.Ext(c.File)); c.File != "-" && !slices.Contains([]string{".json", ".csv", ".tsv", ".txt"}, ext) {
		return usagef("import: %s is no kind of file that can be read: send .json, .csv or .tsv", c.File)
	}
	received := a.now() // before anything is read: this instant decides timeliness
	name, body, err := c.read(a)
	if err != nil {
		return err
	}
	if c.Date != "" {
		if _, err := date("date", c.Date); err != nil {
			return err
		}
	}
	n, err := a.openExisting(a.ctx, c.Data)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, n.close()) }()
	rows, err := intake.ParseFile(name, body, n.registry, domain.Date(c.Date), n.ledger.DutyOf(a.ctx, domain.RegimeID(c.Regime)))
	if err != nil {
		return c.refuse(a, err, 0)
	}
	sum := sha256.Sum256(body)
	channel := domain.ChannelAPI
	if strings.ToLower(filepath.Ext(name)) != ".json" {
		channel = domain.ChannelSpreadsheet
	}
	attempts := make([]commands.FileRow, len(rows))
	for i, row := range rows {
		attempts[i] = commands.FileRow{Filing: c.filing(row), Command: commands.Command{
			ID:    c.commandID(sum, row),
			Actor: domain.PersonID(c.As), Channel: channel, ReceivedAt: received}}
	}
	var results []commands.Result
	var refusals []*domain.Error
	if c.Check {
		refusals, err = n.ledger.CheckFile(a.ctx, attempts)
	} else {
		results, refusals, err = n.ledger.SubmitFile(a.ctx, attempts)
	}
	recorded, repeated := 0, 0
	for _, r := range results {
		if r.Repeat {
			repeated++
		} else if r.Stream != "" {
			recorded++
		}
	}
	if err == nil {
		if faults := intake.Placed(rows, refusals); len(faults) > 0 {
			err = &domain.Error{Kind: domain.Invalid, Faults: faults}
		}
	}
	if recorded > 0 {
		err = errors.Join(err, n.views.CatchUp(a.ctx))
	}
	var refusal *domain.Error
	switch {
	case errors.As(err, &refusal):
		return c.refuse(a, err, recorded)
	case err != nil:
		return fmt.Errorf("import %s: after %d reports were recorded (repeat the import to go on): %w", c.File, recorded, err)
	case c.JSON:
		return a.printJSON(map[string]any{"rows": len(rows), "recorded": recorded, "repeated": repeated, "check": c.Check})
	case c.Check:
		a.printf("%d báo cáo: không có lỗi; chưa ghi gì.\n", "%d reports: nothing is wrong with them; nothing was recorded.\n", len(rows))
	default:
		a.printf("%d báo cáo: ghi %d, đã có từ lần trước %d.\n", "%d reports: %d recorded, %d were there from before.\n", len(rows), recorded, repeated)
	}
	return nil
}

// commandID is the same when one person sends the file again for what the row is about, and another for another day: a file
// without a column of dates may be the same every day. Who sends what somebody else sent is refused, and not told that it is
// done.
func (c importCmd) commandID(file [sha256.Size]byte, row intake.Row) uuid.UUID {
	return domain.NewCommandID("import", hex.EncodeToString(file[:]), c.As, c.Regime, string(row.Form), string(row.Unit), string(row.Date))
}

func (c importCmd) filing(row intake.Row) commands.Filing {
	s := row.Submission
	return commands.Filing{Key: domain.ReportKey{Regime: domain.RegimeID(c.Regime), Form: row.Form, Unit: row.Unit, Date: row.Date},
		FormVersion: s.FormVersion, Figures: s.Figures, Nil: s.Nil, Note: s.Note}
}

func (c importCmd) read(a *app) (name string, body []byte, err error) {
	in, name := a.stdio.in, "stdin.json"
	if c.File != "-" {
		f, err := os.Open(c.File)
		if errors.Is(err, os.ErrNotExist) {
			return "", nil, usagef("import: there is no file %s", c.File)
		}
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

// refuse prints the faults by row and column. recorded is 0 unless another writer was faster with some rows.
func (c importCmd) refuse(a *app, err error, recorded int) error {
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
		if err := a.printJSON(map[string]any{"recorded": recorded, "faults": faults}); err != nil {
			return err
		}
		return errFailed
	}
	faults := "%d faults"
	if len(refusal.Faults) == 1 {
		faults = "%d fault"
	}
	what := a.say("không ghi gì", "nothing was recorded")
	if recorded > 0 {
		what = fmt.Sprintf(a.say("đã ghi %d báo cáo, các báo cáo dưới đây thì không", "%d reports were recorded, those below were not"), recorded)
	}
	fmt.Fprintf(a.stdio.err, "answerable: %s; "+a.say("%d lỗi", faults)+":\n", what, len(refusal.Faults))
	for _, f := range refusal.Faults {
		fmt.Fprintf(a.stdio.err, "  %s%s\n", place(f, a.lang), f.Text(a.lang))
	}
	return errFailed
}
