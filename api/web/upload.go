package web

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/csv"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/answerable-ledger/answerable/api/ui"
	"github.com/answerable-ledger/answerable/commands"
	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/eventlog"
	"github.com/answerable-ledger/answerable/intake"
)

const (
	// maxUploadBytes bounds a file that is sent from a page: some 10,000 rows of 200 bytes. A file that was checked goes
	// back to the browser inside the page that shows what it says, so that recording it needs neither a second choice of
	// the file nor a script, and the server keeps nothing of it. What is larger goes to the API.
	maxUploadBytes = 2 << 20
	// maxUploadRows bounds the rows that a page shows one by one. Chosen: what a person reads through.
	maxUploadRows = 200
	// maxShownName bounds what a page repeats of a file's name.
	maxShownName = 100
)

// upload is a file as somebody sent it, to be checked or recorded.
type upload struct {
	name   string // as the browser says; only shown
	json   bool
	body   []byte
	key    string
	record bool
}

func (h *Handler) uploadPage(c *call) error {
	p, _, err := h.uploading(c)
	if err != nil {
		return err
	}
	return c.render(http.StatusOK, p)
}

func (h *Handler) uploading(c *call) (ui.Upload, domain.Regime, error) {
	f, err := c.frame("upload")
	if err != nil {
		return ui.Upload{}, domain.Regime{}, err
	}
	r, err := c.regime(&f)
	return ui.Upload{Frame: f, Key: newKey(), MaxMiB: maxUploadBytes >> 20}, r, err
}

// readUpload reads the form of a file. The request is bounded already; nothing of it is put on a disk.
func (c *call) readUpload() (upload, error) {
	var tooLarge *http.MaxBytesError
	err := c.r.ParseMultipartForm(domain.MaxImportBytes)
	if errors.As(err, &tooLarge) {
		return upload{}, domain.Refuse(domain.Invalid, domain.CodeTooLarge, "", "max", strconv.Itoa(maxUploadBytes))
	}
	if err != nil {
		return upload{}, fmt.Errorf("%w: %w", errForm, err)
	}
	form := c.r.MultipartForm.Value
	first := func(name string) string {
		if v := form[name]; len(v) > 0 {
			return v[0]
		}
		return ""
	}
	c.query.Set("date", first("date"))
	if r := first("regime"); domain.ValidID(r) {
		c.query.Set("regime", r)
	}
	u := upload{key: first("key"), record: first("step") == "record"}
	if _, err := uuid.Parse(u.key); err != nil {
		return upload{}, fmt.Errorf("%w: key", errForm)
	}
	if u.record {
		u.name, u.json = first("name"), first("kind") == "json"
		if u.body, err = base64.StdEncoding.DecodeString(first("content")); err != nil {
			return upload{}, fmt.Errorf("%w: content", errForm)
		}
	} else if files := c.r.MultipartForm.File["file"]; len(files) > 0 && files[0].Filename != "" {
		u.name = files[0].Filename
		u.json = strings.EqualFold(path.Ext(u.name), ".json")
		file, err := files[0].Open()
		if err != nil {
			return upload{}, fmt.Errorf("%w: file: %w", errForm, err)
		}
		defer file.Close()
		if u.body, err = io.ReadAll(file); err != nil {
			return upload{}, fmt.Errorf("%w: file: %w", errForm, err)
		}
	} else {
		return u, domain.Refuse(domain.Invalid, domain.CodeRequired, "", "name", "file")
	}
	if len(u.body) > maxUploadBytes {
		return u, domain.Refuse(domain.Invalid, domain.CodeTooLarge, "", "max", strconv.Itoa(maxUploadBytes))
	}
	return u, nil
}

// uploadSend checks a file and shows what it would record; sent again from there, it records all of it, or nothing.
func (h *Handler) uploadSend(c *call) error {
	u, sendErr := c.readUpload()
	sum := sha256.Sum256(u.body)
	c.said = url.Values{"step": {map[bool]string{true: "record", false: "check"}[u.record]}, "bytes": {strconv.Itoa(len(u.body))}, "sha256": {hex.EncodeToString(sum[:])}}.Encode()
	if errors.Is(sendErr, errForm) {
		return sendErr
	}
	p, r, err := h.uploading(c)
	if err != nil {
		return err
	}
	p.Name = shortName(u.name)
	if sendErr != nil {
		return h.refusedUpload(c, p, sendErr)
	}
	name := "upload.csv" // whatever it is called: what it is, its reader finds out
	if u.json {
		name, p.Kind = "upload.json", "json"
	}
	rows, err := intake.ParseFile(name, u.body, h.Registry, p.Date, h.Ledger.DutyOf(c.ctx, r.ID))
	if err != nil {
		return h.refusedUpload(c, p, err)
	}
	attempts := c.attempts(r.ID, rows, u, hex.EncodeToString(sum[:]))
	var results []commands.Result
	var refusals []*domain.Error
	if u.record {
		end := h.operating.jobs.begin(ui.Job{Kind: "import", Who: c.person.ID, What: string(r.ID) + " " + string(p.Date) + ": " + strconv.Itoa(len(rows)), Begun: c.at})
		results, refusals, err = h.Ledger.SubmitFile(c.ctx, attempts)
		end(outcome(err, refusals), h.Clock())
	} else {
		refusals, err = h.Ledger.CheckFile(c.ctx, attempts)
	}
	if err == nil {
		if faults := intake.Placed(rows, refusals); len(faults) > 0 {
			err = &domain.Error{Kind: domain.Invalid, Faults: faults}
		}
	}
	if err != nil {
		return h.refusedUpload(c, p, err)
	}
	p.Step, p.Content, p.Count = "record", base64.StdEncoding.EncodeToString(u.body), len(rows)
	if u.record {
		p.Step, p.Content = "done", ""
	}
	if err := h.uploadRows(c, &p, r, attempts, results); err != nil {
		return err
	}
	return c.render(http.StatusOK, p)
}

// attempts are the acts of a file's rows. Their ids are made of the key the form was given, the file, and what each row is
// about: what was cut off half-way is sent again, and recorded once.
func (c *call) attempts(regime domain.RegimeID, rows []intake.Row, u upload, digest string) []commands.FileRow {
	channel := domain.ChannelSpreadsheet
	if u.json {
		channel = domain.ChannelWeb
	}
	out := make([]commands.FileRow, len(rows))
	for i, row := range rows {
		s := row.Submission
		cmd := c.commandOf(u.key, digest, string(regime), string(row.Form), string(row.Unit), string(row.Date))
		cmd.Channel = channel
		out[i] = commands.FileRow{Command: cmd, Filing: commands.Filing{Key: domain.ReportKey{Regime: regime, Form: row.Form, Unit: row.Unit, Date: row.Date},
			FormVersion: s.FormVersion, Figures: s.Figures, Nil: s.Nil, Note: s.Note}}
	}
	return out
}

// refusedUpload shows every fault of a file by its row and column. Nothing was recorded; what another writer recorded in
// between is among the faults, as a report that is there already.
func (h *Handler) refusedUpload(c *call, p ui.Upload, err error) error {
	var refusal *domain.Error
	if !errors.As(err, &refusal) {
		return err
	}
	status, _ := statusOf(err)
	if slices.ContainsFunc(refusal.Faults, func(f domain.Fault) bool { return f.Code == domain.CodeTooLarge }) {
		status = http.StatusRequestEntityTooLarge
	}
	labels := map[string]string{}
	for _, form := range h.Registry.Forms() {
		for _, field := range form.Fields {
			labels[field.Name] = p.Word(field.Label)
		}
	}
	p.Step, p.Count = "faults", len(refusal.Faults)
	for _, f := range refusal.Faults[:min(len(refusal.Faults), intake.MaxFaults)] {
		line := ui.UploadFault{Row: f.Row, Column: f.Column}
		if p.Kind == "json" {
			line.Column = f.Pointer
		}
		_, field, _ := strings.Cut(f.Pointer, "/figures/")
		switch {
		case f.Code == domain.CodeNoteNeeded:
			label := field
			if labels[field] != "" {
				label = labels[field]
			}
			line.Text = domain.Finding{Rule: domain.FindingRule(f.Args["rule"]), Field: label}.Describe(p.Language) + " (" + p.T("was") + " " + f.Args["was"] + ", " + p.T("is") + " " + f.Args["is"] + "). " + p.T("upload_note")
		default:
			args := maps.Clone(f.Args)
			for arg, value := range args {
				if labels[value] != "" {
					args[arg] = labels[value]
				}
			}
			f.Args = args
			line.Text = f.Text(p.Language)
		}
		p.Faults = append(p.Faults, line)
	}
	return c.render(status, p)
}

// uploadRows shows what the rows say, or what became of them.
func (h *Handler) uploadRows(c *call, p *ui.Upload, r domain.Regime, attempts []commands.FileRow, results []commands.Result) error {
	var last eventlog.Position // what the pages of these reports wait for
	for _, result := range results {
		if result.Repeat {
			p.Repeats++
		}
		if result.PositionKnown && result.Position.Compare(last) > 0 {
			last = result.Position
		}
	}
	day, err := h.Ledger.Day(c.ctx, r.ID, p.Date)
	if err != nil {
		return err
	}
	for _, a := range attempts[:min(len(attempts), maxUploadRows)] {
		k := a.Filing.Key
		o, err := day.Obligation(r, k)
		if err != nil {
			return err
		}
		row := ui.UploadRow{Slot: slot(k), FormTitle: h.formTitle(p.Frame, k.Form), Nil: a.Filing.Nil, Note: a.Filing.Note, Sums: o.Consolidates != "", Late: !c.at.Before(o.Due)}
		if row.UnitName, err = c.unitName(k.Unit, k.Date); err != nil {
			return err
		}
		form, _ := h.Registry.Form(k.Form, o.FormVersion)
		row.Figures = differences(p.Frame, form, nil, a.Filing.Figures, false)
		if p.Step == "done" {
			row.Link = reportURL(k) + "/filed?at=" + url.QueryEscape(last.String())
		}
		p.Rows = append(p.Rows, row)
	}
	return nil
}

// outcome is how a job that records a file ended.
func outcome(err error, refusals []*domain.Error) string {
	switch {
	case err != nil:
		return "failed"
	case slices.ContainsFunc(refusals, func(e *domain.Error) bool { return e != nil }):
		return "refused"
	}
	return "done"
}

// shortName is a file's name as a page repeats it.
func shortName(name string) string {
	name = strings.ToValidUTF8(path.Base(strings.ReplaceAll(name, `\`, "/")), "\uFFFD")
	if runes := []rune(name); len(runes) > maxShownName {
		name = string(runes[:maxShownName]) + "…"
	}
	return name
}

// uploadForm is a file to fill in: a row for every report that the person's units owe on the day. Spreadsheets take the
// separator that their language has for lists.
func (h *Handler) uploadForm(c *call) error {
	p, r, err := h.uploading(c)
	if err != nil {
		return err
	}
	day, err := h.Ledger.Day(c.ctx, r.ID, p.Date)
	if err != nil {
		return err
	}
	var owed []domain.Obligation
	var fields []string
	for _, o := range day.Obligations(r) {
		if o.Exempt != nil || !c.actor.Has(domain.RoleFiler, o.Key.Unit) && !c.actor.Has(domain.RoleDistrict, o.Key.Unit) {
			continue
		}
		owed = append(owed, o)
		form, _ := h.Registry.Form(o.Key.Form, o.FormVersion)
		for _, field := range form.Fields {
			if (o.Consolidates == "" || field.RollUp == domain.RollUpOwn) && !slices.Contains(fields, field.Name) {
				fields = append(fields, field.Name)
			}
		}
	}
	b := bytes.NewBufferString("\ufeff") // spreadsheets know by it that this is UTF-8
	w := csv.NewWriter(b)
	if p.Language == domain.Vietnamese {
		w.Comma = ';'
	}
	_ = w.Write(slices.Concat([]string{"unit", "form"}, fields, []string{"nil", "note"})) // into memory; Error tells below
	for _, o := range owed {
		_ = w.Write(slices.Concat([]string{string(o.Key.Unit), string(o.Key.Form)}, make([]string, len(fields)+2)))
	}
	w.Flush()
	if err := w.Error(); err != nil {
		return fmt.Errorf("web: the file to fill in for %s: %w", p.Date, err)
	}
	c.w.Header().Set("Content-Disposition", fmt.Sprintf("attachment; filename=%q", "answerable-"+string(p.Date)+".csv"))
	c.write(http.StatusOK, "text/csv; charset=utf-8", b.Bytes())
	return nil
}
