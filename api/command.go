package api

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"reflect"
	"time"

	"github.com/google/uuid"

	"github.com/answerable-ledger/answerable/api/access"
	"github.com/answerable-ledger/answerable/commands"
	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/eventlog"
	"github.com/answerable-ledger/answerable/schemas"
)

// A command over HTTP is repeatable by its id, which is made of who sends it, to which address, under which key: the
// ledger recognises it without a second store. Its correlation id is made of that and of what was asked, so that the
// recorded event itself tells a repeat from another request under the same key.

const keyHeader = "Idempotency-Key"

// idempotencyKey is the request's key; "" when it has none and needs none.
func (c *call) idempotencyKey() (string, error) {
	key := c.r.Header.Get(keyHeader)
	if key == "" {
		if c.route.keyed == keyNeeded {
			return "", refuse(http.StatusBadRequest, codeKeyMissing).in(keyHeader)
		}
		return "", nil
	}
	if len(key) > 200 || len(c.r.Header.Values(keyHeader)) > 1 {
		return "", refuse(http.StatusBadRequest, codeKeySyntax).in(keyHeader)
	}
	for i := range len(key) {
		if key[i] < ' ' || key[i] > '~' {
			return "", refuse(http.StatusBadRequest, codeKeySyntax).in(keyHeader)
		}
	}
	return key, nil
}

// command is the attempt a request makes; body is what it says.
func (c *call) command(body []byte) (commands.Command, error) {
	key, err := c.idempotencyKey()
	if err != nil {
		return commands.Command{}, err
	}
	digest := sha256.Sum256(body)
	if key == "" {
		key = "sha256:" + hex.EncodeToString(digest[:])
	}
	id := domain.NewCommandID("http", string(c.actor.ID), c.r.URL.Path, key)
	return commands.Command{
		ID: id, Actor: c.actor.ID, Role: c.actingRole(), Channel: domain.ChannelAPI, ReceivedAt: c.receivedAt,
		CorrelationID: correlation(id, c.r.Header.Get("If-Match"), digest[:]),
	}, nil
}

// actingRole is the role a command is recorded under: the one its sender was let in by. Who was let in by an office acts
// as its head, whatever roles they hold beside.
func (c *call) actingRole() domain.Role {
	switch {
	case c.role != "":
		return c.role
	case access.ByOffice(c.route.rule.allow) || len(c.actor.Grants) == 0:
		return domain.RoleHead
	}
	return c.actor.Grants[0].Role
}

func correlation(id uuid.UUID, condition string, digest []byte) uuid.UUID {
	return uuid.NewSHA1(id, append([]byte(condition+"\n"), digest...))
}

// Recorded is the answer to a command: what was recorded and where.
type Recorded struct {
	Stream   string `json:"stream"`
	Revision uint64 `json:"revision" doc:"Of the command's last event in its stream."`
	// Position is left out when the log did not tell it.
	Position   string          `json:"position,omitempty" doc:"Give it as ?at= to read what was written."`
	ReceivedAt time.Time       `json:"received_at"`
	RecordedAt time.Time       `json:"recorded_at"`
	EventIDs   []string        `json:"event_ids"`
	Receipts   []string        `json:"receipts,omitempty" doc:"Where the events' receipts are, at once and better later."`
	Report     *RecordedReport `json:"report,omitempty"`
	Repeat     bool            `json:"repeat,omitempty" doc:"The command had been taken before; this is what came of it then."`
}

// RecordedReport is the version a command made, or signed.
type RecordedReport struct {
	Version    int               `json:"version"`
	Digest     string            `json:"digest"`
	Timeliness domain.Timeliness `json:"timeliness,omitempty"`
	Figures    domain.Figures    `json:"figures,omitempty" doc:"Of a consolidated report, which the ledger summed; the others are as they were sent."`
	Findings   []domain.Finding  `json:"findings,omitempty"`
	Missing    []domain.UnitCode `json:"missing,omitempty" doc:"Children without a report when it was consolidated."`
}

// recorded answers a command.
func (c *call) recorded(cmd commands.Command, result commands.Result, err error) error {
	if err != nil {
		return err
	}
	events := result.Events
	if !result.Repeat {
		c.h.unwritable.Store(0)
	}
	if result.Repeat {
		if events, err = c.recordedBefore(cmd, result); err != nil {
			return err
		}
		c.h.metrics.repeats.Inc()
		c.x.Header().Set("Idempotency-Replayed", "true")
	}
	answer := Recorded{Stream: result.Stream, Revision: result.Revision, ReceivedAt: result.ReceivedAt, RecordedAt: result.RecordedAt, Repeat: result.Repeat, EventIDs: make([]string, len(result.EventIDs))}
	for i, id := range result.EventIDs {
		answer.EventIDs[i] = id.String()
		if c.h.Evidence != nil {
			answer.Receipts = append(answer.Receipts, receiptsPath+id.String())
		}
	}
	if result.PositionKnown {
		answer.Position = result.Position.String()
	}
	for _, e := range events {
		switch e := e.(type) {
		case domain.ReportSubmitted:
			answer.Report = &RecordedReport{Version: 1, Digest: e.Digest, Timeliness: e.Timeliness, Figures: summed(e.Figures, e.Children, e.Missing), Findings: e.Findings, Missing: e.Missing}
		case domain.ReportCorrected:
			answer.Report = &RecordedReport{Version: e.Version, Digest: e.Digest, Figures: summed(e.Figures, e.Children, e.Missing), Findings: e.Findings, Missing: e.Missing}
		case domain.ReportSignedOff:
			answer.Report = &RecordedReport{Version: e.Version, Digest: e.Digest}
		}
	}
	if answer.Report != nil {
		c.x.Header()["Etag"] = []string{etag(answer.Report.Version, answer.Report.Digest)}
	}
	if len(result.EventIDs) == 0 { // there was nothing to do
		return c.answer(http.StatusOK, answer)
	}
	return c.answer(http.StatusCreated, answer)
}

func summed(f domain.Figures, children []domain.ChildPin, missing []domain.UnitCode) domain.Figures {
	if len(children)+len(missing) == 0 {
		return nil
	}
	return f
}

// recordedBefore reads what a repeated command had recorded, and refuses the repeat when it asked for something else.
func (c *call) recordedBefore(cmd commands.Command, result commands.Result) ([]domain.Event, error) {
	first := result.Revision + 1 - uint64(len(result.EventIDs))
	var events []domain.Event
	for r, err := range c.h.Log.ReadStream(c.ctx, result.Stream, first) {
		if err != nil {
			return nil, fmt.Errorf("api: read %s: %w", result.Stream, err)
		}
		if r.Revision > result.Revision {
			break
		}
		f, err := schemas.Decode(schemas.Source{Stream: r.Stream, Revision: r.Revision, RecordedAt: r.RecordedAt,
			Stored: schemas.Stored{ID: r.ID, Kind: r.Kind, Data: r.Data, Meta: r.Meta}})
		if err != nil {
			return nil, fmt.Errorf("api: %w", err)
		}
		if f.CommandID != cmd.ID {
			continue
		}
		if f.CorrelationID != cmd.CorrelationID {
			return nil, fmt.Errorf("api: %s repeats command %s with another content: %w", c.actor.ID, cmd.ID, eventlog.ErrRepeatMismatch)
		}
		events = append(events, f.Event)
	}
	return events, nil
}

// commandRoute makes a handler of a command whose body is a B.
func commandRoute[B any](run func(c *call, cmd commands.Command, body B) (commands.Result, error)) func(*call) error {
	return func(c *call) error {
		if _, err := c.idempotencyKey(); err != nil { // told before the body is read
			return err
		}
		var body B
		raw, err := decodeBody(c, &body)
		if err != nil {
			return err
		}
		cmd, err := c.command(raw)
		if err != nil {
			return err
		}
		result, err := run(c, cmd, body)
		return c.recorded(cmd, result, err)
	}
}

func typeWanted(t reflect.Type) string {
	if t == reflect.TypeFor[time.Time]() {
		return "2021-02-08T15:00:00+07:00"
	}
	switch t.Kind() {
	case reflect.Pointer:
		return typeWanted(t.Elem())
	case reflect.String:
		return "string"
	case reflect.Bool:
		return "true, false"
	case reflect.Int, reflect.Int64, reflect.Uint64:
		return "integer"
	case reflect.Slice, reflect.Array:
		return "array"
	}
	return "object"
}
