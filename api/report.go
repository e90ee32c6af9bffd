package api

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/answerable-ledger/answerable/commands"
	"github.com/answerable-ledger/answerable/domain"
)

// Report is a report as the ledger has it now, for who is about to change it. The past is in the history.
type Report struct {
	Regime     domain.RegimeID     `json:"regime"`
	Form       domain.FormID       `json:"form"`
	Unit       domain.UnitCode     `json:"unit"`
	Date       domain.Date         `json:"date"`
	Status     domain.Status       `json:"status"`
	SignOff    domain.SignOffState `json:"sign_off"`
	Due        time.Time           `json:"due"`
	SignOffDue *time.Time          `json:"sign_off_due,omitempty"`
	Newest     *ReportVersion      `json:"newest,omitempty" doc:"Nothing was filed when it is missing."`
	Versions   int                 `json:"versions"`
}

// ReportVersion is one version of a report.
type ReportVersion struct {
	Version     int                   `json:"version"`
	FormVersion int                   `json:"form_version"`
	Figures     domain.Figures        `json:"figures,omitempty"`
	Nil         bool                  `json:"nil,omitempty"`
	Note        string                `json:"note,omitempty"`
	Digest      string                `json:"digest"`
	Correction  domain.CorrectionKind `json:"correction,omitempty"`
	Reason      string                `json:"reason,omitempty"`
	Findings    []domain.Finding      `json:"findings,omitempty"`
	Children    []domain.ChildPin     `json:"children,omitempty"`
	Missing     []domain.UnitCode     `json:"missing,omitempty"`
	Filer       domain.PersonID       `json:"filer"`
	Channel     domain.Channel        `json:"channel"`
	ReceivedAt  time.Time             `json:"received_at"`
	RecordedAt  time.Time             `json:"recorded_at"`
	EventID     string                `json:"event_id"`
}

type returnBody struct {
	Version int    `json:"version,omitempty" required:"false" doc:"The version looked at; or If-Match."`
	Reason  string `json:"reason"`
}

func (h *Handler) reportRoutes() []*route {
	return []*route{
		{id: "submit-report", method: http.MethodPost, path: reportPath, tag: "reports", bodyRef: bodySubmission, keyed: keyNeeded, etag: true, status: http.StatusCreated, answer: Recorded{},
			summary: "File the first version of a report; on a form that consolidates, only the unit's own fields", handle: h.submitReport},
		{id: "put-report", method: http.MethodPut, path: reportPath, tag: "reports", bodyRef: bodySubmission, keyed: keyOptional, etag: true, status: http.StatusCreated, answer: Recorded{},
			summary: "As POST; without a key the content is the key", handle: h.submitReport},
		{id: "get-report", method: http.MethodGet, path: reportPath, tag: "reports", answer: Report{}, etag: true, also: []int{http.StatusNotModified},
			summary: "A report as it stands in the ledger now, with the ETag that corrections and sign-offs match", handle: h.getReport},
		{id: "correct-report", method: http.MethodPost, path: reportPath + "/corrections", tag: "reports", bodyRef: bodyCorrection, keyed: keyNeeded, ifMatch: true, etag: true, status: http.StatusCreated, answer: Recorded{},
			summary: "Replace the newest version", handle: h.correctReport},
		{id: "return-report", method: http.MethodPost, path: reportPath + "/returns", tag: "reports", body: returnBody{}, keyed: keyNeeded, ifMatch: true, status: http.StatusCreated, answer: Recorded{},
			summary: "Send the newest version back to its filer before it is signed", handle: commandRoute(h.returnReport)},
	}
}

// submitReport is the way of the deadline's rush: one read of the body, one pass of parsing, no store but the ledger.
func (h *Handler) submitReport(c *call) error {
	if _, err := c.idempotencyKey(); err != nil {
		return err
	}
	raw, _, _, err := c.body(domain.MaxBodyBytes, jsonType)
	if err != nil {
		return err
	}
	filing, err := h.parseFiling(c, raw)
	if err != nil {
		return err
	}
	cmd, err := c.command(raw)
	if err != nil {
		return err
	}
	result, err := h.Ledger.SubmitReport(c.ctx, cmd, filing)
	if errors.Is(err, domain.Refuse(domain.Conflict, domain.CodeAlreadySubmitted, "")) {
		err = &withReport{error: err, current: h.currentVersion(c), see: c.r.URL.Path + "/corrections"}
	}
	if err == nil && !result.Repeat {
		c.x.Header()["Location"] = []string{c.r.URL.Path}
	}
	return c.recorded(cmd, result, err)
}

func (h *Handler) correctReport(c *call) error {
	if _, err := c.idempotencyKey(); err != nil {
		return err
	}
	raw, _, _, err := c.body(domain.MaxBodyBytes, jsonType)
	if err != nil {
		return err
	}
	stated, err := c.withReplaces(raw)
	if err != nil {
		return err
	}
	replacement, err := h.parseReplacement(c, stated)
	if err != nil {
		return err
	}
	seen, err := c.versionSeen(replacement.Replaces, "")
	if err != nil {
		return err
	}
	if err := h.checkSeen(c, seen); err != nil {
		return err
	}
	replacement.Replaces = seen.Version
	cmd, err := c.command(raw)
	if err != nil {
		return err
	}
	result, err := h.Ledger.CorrectReport(c.ctx, cmd, replacement)
	return c.recorded(cmd, result, h.withCurrent(c, replaced(err)))
}

// withReplaces puts the version of If-Match into a correction's body that does not name one.
func (c *call) withReplaces(raw []byte) ([]byte, error) {
	rest, isObject := bytes.CutPrefix(bytes.TrimLeft(raw, " \t\r\n"), []byte("{"))
	if !isObject || names(raw, "replaces") {
		return raw, nil
	}
	seen, err := c.versionSeen(0, "")
	if err != nil {
		return nil, err
	}
	out := fmt.Appendf(nil, `{"replaces":%d`, seen.Version)
	if rest = bytes.TrimLeft(rest, " \t\r\n"); len(rest) > 0 && rest[0] != '}' {
		out = append(out, ',')
	}
	return append(out, rest...), nil
}

// names tells whether a JSON object has a member, however its name is escaped. A text that cannot be read has none; whoever
// parses it next says what is wrong with it.
func names(raw []byte, member string) bool {
	d := jsontext.NewDecoder(bytes.NewReader(raw))
	if _, err := d.ReadToken(); err != nil {
		return false
	}
	for d.PeekKind() == '"' {
		name, err := d.ReadToken()
		if err != nil {
			return false
		}
		if name.String() == member {
			return true
		}
		if err := d.SkipValue(); err != nil {
			return false
		}
	}
	return false
}

// replaced names the member of a correction's body that holds the version looked at.
func replaced(err error) error {
	var refusal *domain.Error
	if errors.As(err, &refusal) && refusal.Code() == domain.CodeOldVersion {
		moved := *refusal
		moved.Faults = []domain.Fault{refusal.Faults[0]}
		moved.Faults[0].Pointer = "/replaces"
		return &moved
	}
	return err
}

func (h *Handler) returnReport(c *call, cmd commands.Command, b returnBody) (commands.Result, error) {
	seen, err := c.versionSeen(b.Version, "")
	if err != nil {
		return commands.Result{}, err
	}
	if err := h.checkSeen(c, seen); err != nil {
		return commands.Result{}, err
	}
	result, err := h.Ledger.ReturnReport(c.ctx, cmd, c.reportKey(), seen.Version, b.Reason)
	return result, h.withCurrent(c, err)
}

// versionSeen is the version the caller looked at: what If-Match says, or the body, or both when they agree.
func (c *call) versionSeen(version int, digest string) (CurrentVersion, error) {
	header := c.r.Header.Values("If-Match")
	if len(header) == 0 {
		if version == 0 {
			return CurrentVersion{}, refuse(http.StatusPreconditionRequired, codeIfMatchMissing).in("If-Match")
		}
		return CurrentVersion{version, digest}, nil
	}
	seen, ok := parseETag(header[0])
	if len(header) > 1 || !ok || version != 0 && version != seen.Version || digest != "" && digest != seen.Digest {
		return CurrentVersion{}, refuse(http.StatusBadRequest, codeIfMatchSyntax).in("If-Match")
	}
	return seen, nil
}

// parseETag reads what etag wrote, and nothing else.
func parseETag(s string) (CurrentVersion, bool) {
	number, digest, _ := strings.Cut(strings.Trim(s, `"`), "-")
	n, err := strconv.Atoi(number)
	sum, err2 := hex.DecodeString(digest)
	ok := err == nil && err2 == nil && n > 0 && len(sum) == sha256.Size && s == etag(n, digest) && digest == strings.ToLower(digest)
	if !ok {
		return CurrentVersion{}, false
	}
	return CurrentVersion{n, digest}, true
}

// checkSeen compares the digest of an If-Match with the version it names; whether that version is the newest, the ledger
// decides on the state it records after. A repeat finds its version superseded by itself, so an older one is let pass.
func (h *Handler) checkSeen(c *call, seen CurrentVersion) error {
	if seen.Digest == "" {
		return nil
	}
	r, err := h.Ledger.Report(c.ctx, c.reportKey())
	if err != nil {
		return err
	}
	if seen.Version <= len(r.Versions) && r.Versions[seen.Version-1].Digest != seen.Digest {
		v := r.Versions[len(r.Versions)-1]
		return &withReport{current: &CurrentVersion{v.Number, v.Digest}, error: refuse(http.StatusPreconditionFailed, codeIfMatchFailed).in("If-Match")}
	}
	return nil
}

// withCurrent adds the newest version to a refusal of an old one.
func (h *Handler) withCurrent(c *call, err error) error {
	if errors.Is(err, &domain.Error{Kind: domain.Precondition}) {
		return &withReport{error: err, current: h.currentVersion(c)}
	}
	return err
}

// currentVersion is for the words of a refusal: when it cannot be read now, the refusal does without.
func (h *Handler) currentVersion(c *call) *CurrentVersion {
	r, err := h.Ledger.Report(c.ctx, c.reportKey())
	if err != nil {
		return nil
	}
	v, ok := r.Newest()
	if !ok {
		return nil
	}
	return &CurrentVersion{v.Number, v.Digest}
}

func (h *Handler) getReport(c *call) error {
	key := c.reportKey()
	regime, err := h.Ledger.Regime(c.ctx, key.Regime)
	if err != nil {
		return err
	}
	if _, err := h.Ledger.Unit(c.ctx, key.Unit); err != nil {
		return err
	}
	if _, ok := h.Registry.CurrentForm(key.Form); !ok {
		return domain.Refuse(domain.NotFound, domain.CodeFormUnknown, "/form", "form", string(key.Form))
	}
	day, err := h.Ledger.Day(c.ctx, key.Regime, key.Date)
	if err != nil {
		return err
	}
	o, err := day.Obligation(regime, key)
	if err != nil {
		return err
	}
	r, err := h.Ledger.Report(c.ctx, key)
	if err != nil {
		return err
	}
	out := Report{Regime: key.Regime, Form: key.Form, Unit: key.Unit, Date: key.Date, Status: r.Status(o.Exempt != nil), SignOff: r.SignOffState(),
		Due: o.Due, SignOffDue: o.SignOffDue, Versions: len(r.Versions)}
	if v, ok := r.Newest(); ok {
		out.Newest = &ReportVersion{Version: v.Number, FormVersion: v.Content.FormVersion, Figures: v.Content.Figures, Nil: v.Content.Nil, Note: v.Note, Digest: v.Digest,
			Correction: v.Correction, Reason: v.Reason, Findings: v.Findings, Children: v.Content.Children, Missing: v.Missing, Filer: v.Filer, Channel: v.Channel,
			ReceivedAt: v.ReceivedAt, RecordedAt: v.RecordedAt, EventID: v.EventID}
		tag := etag(v.Number, v.Digest)
		c.x.Header().Set("ETag", tag)
		if c.r.Header.Get("If-None-Match") == tag {
			c.x.WriteHeader(http.StatusNotModified)
			return nil
		}
	}
	return c.answer(http.StatusOK, out)
}
