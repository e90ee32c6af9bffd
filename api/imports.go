package api

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"path"
	"strings"

	"github.com/go-json-experiment/json"

	"github.com/answerable-ledger/answerable/appstate"
	"github.com/answerable-ledger/answerable/commands"
	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/intake"
)

// Imported is the answer to an import: every row was recorded.
type Imported struct {
	Rows     int           `json:"rows"`
	Repeats  int           `json:"repeats,omitempty" doc:"Rows that an attempt before, cut off half-way, had recorded."`
	Position string        `json:"position,omitempty" doc:"Give it as ?at= to read what was written."`
	Reports  []ImportedRow `json:"reports"`
}

// ImportedRow is what became of one row.
type ImportedRow struct {
	Row        int               `json:"row"`
	Form       domain.FormID     `json:"form"`
	Unit       domain.UnitCode   `json:"unit"`
	Date       domain.Date       `json:"date"`
	Stream     string            `json:"stream"`
	Revision   uint64            `json:"revision"`
	EventIDs   []string          `json:"event_ids"`
	Timeliness domain.Timeliness `json:"timeliness,omitempty"`
	Digest     string            `json:"digest,omitempty"`
}

const (
	csvType       = "text/csv"
	tsvType       = "text/tab-separated-values"
	multipartType = "multipart/form-data"
)

func (h *Handler) importRoutes() []*route {
	return []*route{{id: "import-reports", method: http.MethodPost, path: dayPath + "/imports", tag: "reports", keyed: keyNeeded, status: http.StatusCreated, answer: Imported{},
		bodyTypes: []string{jsonType, csvType, tsvType, multipartType},
		summary:   "A day's reports in one file: every row is checked before any is recorded", handle: h.importReports}}
}

// importReports checks every row, then records every row. When the process dies in between, a repeat under the same key
// records the rest: each row's command is made of the key and of what the row is about.
func (h *Handler) importReports(c *call) error {
	key, err := c.idempotencyKey()
	if err != nil {
		return err
	}
	name, file, channel, err := h.importFile(c)
	if err != nil {
		return err
	}
	request := appstate.Request{Person: c.actor.ID, Route: "POST " + c.r.URL.Path, Key: key, Digest: sha256.Sum256(append([]byte(path.Ext(name)+"\n"), file...))}
	kept, err := h.State.Begin(c.ctx, request)
	if err != nil {
		return err
	}
	if kept != nil {
		h.metrics.repeats.Inc()
		c.x.Header().Set("Idempotency-Replayed", "true")
		c.x.write(kept.Status, jsonType, kept.Body)
		return nil
	}
	imported, err := h.importRows(c, key, name, file, channel)
	if err != nil {
		return errors.Join(err, h.State.Forget(c.ctx, request))
	}
	body, err := json.Marshal(imported, answerJSON)
	if err != nil {
		return fmt.Errorf("api: encode the answer of an import: %w", err)
	}
	body = append(body, '\n')
	if err := h.State.Keep(c.ctx, request, appstate.Answer{Status: http.StatusCreated, Body: body}); err != nil {
		return err
	}
	c.x.write(http.StatusCreated, jsonType, body)
	return nil
}

// importFile is the file of a request, by a name whose extension says what it is.
func (h *Handler) importFile(c *call) (name string, file []byte, channel domain.Channel, err error) {
	body, mediaType, params, err := c.body(domain.MaxImportBytes, jsonType, csvType, tsvType, multipartType)
	if err != nil {
		return "", nil, "", err
	}
	switch mediaType {
	case jsonType:
		return "import.json", body, domain.ChannelAPI, nil
	case csvType:
		return "import.csv", body, domain.ChannelSpreadsheet, nil
	case tsvType:
		return "import.tsv", body, domain.ChannelSpreadsheet, nil
	}
	parts := multipart.NewReader(bytes.NewReader(body), params["boundary"])
	for {
		part, err := parts.NextPart()
		if errors.Is(err, io.EOF) {
			return "", nil, "", domain.Refuse(domain.Invalid, domain.CodeRequired, "/file", "name", "file")
		}
		if err != nil {
			return "", nil, "", unreadable("multipart", err)
		}
		if part.FormName() != "file" {
			continue
		}
		file, err = io.ReadAll(part)
		if err != nil {
			return "", nil, "", unreadable("multipart", err)
		}
		name = path.Base(part.FileName())
		if strings.EqualFold(path.Ext(name), ".json") {
			return name, file, domain.ChannelAPI, nil
		}
		return name, file, domain.ChannelSpreadsheet, nil
	}
}

func (h *Handler) importRows(c *call, key, name string, file []byte, channel domain.Channel) (*Imported, error) {
	regime := domain.RegimeID(c.path("regime"))
	rows, err := intake.ParseFile(name, file, h.Registry, domain.Date(c.path("date")), h.Ledger.DutyOf(c.ctx, regime))
	if err != nil {
		return nil, err
	}
	attempts := make([]commands.FileRow, len(rows))
	for i, row := range rows {
		f := filing(domain.ReportKey{Regime: regime, Form: row.Form, Unit: row.Unit, Date: row.Date}, row.Submission)
		content, err := json.Marshal(f, json.Deterministic(true))
		if err != nil {
			return nil, fmt.Errorf("api: encode row %d: %w", row.Number, err)
		}
		digest := sha256.Sum256(content)
		id := domain.NewCommandID("http", string(c.actor.ID), c.r.URL.Path, key, string(row.Form), string(row.Unit))
		attempts[i] = commands.FileRow{Filing: f, Command: commands.Command{ID: id, Actor: c.actor.ID, Channel: channel, ReceivedAt: c.receivedAt, CorrelationID: correlation(id, "", digest[:])}}
	}
	results, refusals, err := h.Ledger.SubmitFile(c.ctx, attempts)
	if err != nil {
		return nil, err
	}
	if err := refusedRows(rows, refusals, results); err != nil {
		return nil, err
	}
	return c.imported(rows, attempts, results)
}

func (c *call) imported(rows []intake.Row, attempts []commands.FileRow, results []commands.Result) (*Imported, error) {
	out := &Imported{Rows: len(rows), Reports: make([]ImportedRow, len(rows))}
	last := results[0].Position
	for i, result := range results {
		row, events := rows[i], result.Events
		if result.Repeat {
			out.Repeats++
			var err error
			if events, err = c.recordedBefore(attempts[i].Command, result); err != nil {
				return nil, err
			}
		}
		r := ImportedRow{Row: row.Number, Form: row.Form, Unit: row.Unit, Date: row.Date, Stream: result.Stream, Revision: result.Revision}
		for _, id := range result.EventIDs {
			r.EventIDs = append(r.EventIDs, id.String())
		}
		for _, e := range events {
			if e, ok := e.(domain.ReportSubmitted); ok {
				r.Timeliness, r.Digest = e.Timeliness, e.Digest
			}
		}
		if result.PositionKnown && result.Position.Compare(last) > 0 {
			last = result.Position
		}
		out.Reports[i] = r
	}
	out.Position = last.String()
	return out, nil
}

// refusedRows is one refusal of all that is wrong with the rows, or nil. A log that takes rows one by one may have taken some.
func refusedRows(rows []intake.Row, refusals []*domain.Error, results []commands.Result) error {
	faults := intake.Placed(rows, refusals)
	if len(faults) == 0 {
		return nil
	}
	var kind domain.Kind
	for _, refusal := range refusals {
		if refusal != nil && (kind == 0 || refusal.Kind < kind) {
			kind = refusal.Kind
		}
	}
	if len(faults) > intake.MaxFaults {
		faults = append(faults[:intake.MaxFaults:intake.MaxFaults], domain.NewFault(domain.CodeMoreFaults, "", "count", fmt.Sprint(len(faults)-intake.MaxFaults)))
	}
	taken := 0
	for _, r := range results {
		if r.Stream != "" {
			taken++
		}
	}
	if taken > 0 {
		faults = append(faults, domain.NewFault(domain.CodeOthersRecorded, "", "count", fmt.Sprint(taken)))
	}
	return &domain.Error{Kind: kind, Faults: faults}
}
