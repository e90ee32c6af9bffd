package web

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/answerable-ledger/answerable/api/ui"
	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/projections"
)

// signsFor lists the units whose reports a person may sign now.
func (c *call) signsFor() ([]domain.UnitCode, error) {
	mine, err := c.offices()
	if err != nil {
		return nil, err
	}
	var out []domain.UnitCode
	for _, u := range mine {
		o, err := c.h.Ledger.Office(c.ctx, u)
		if err != nil {
			return nil, err
		}
		t, ok := o.HeadAt(c.at)
		if ok && t.Person == c.person.ID || slices.ContainsFunc(o.Authorities, func(a domain.Authority) bool { return a.Person == c.person.ID && a.Covers(c.at) }) {
			out = append(out, u)
		}
	}
	return out, nil
}

func (h *Handler) queuePage(c *call) error {
	f, err := c.frame("queue")
	if err != nil {
		return err
	}
	if _, err := c.regime(&f); err != nil {
		return err
	}
	p := ui.Queue{Frame: f}
	units, err := c.signsFor()
	if err != nil {
		return err
	}
	p.Offices = len(units)
	if len(units) > 0 {
		page, err := h.Views.SignOffQueue(c.ctx, projections.SignOffQuery{Units: units, After: c.query.Get("cursor"), Limit: 100})
		if err != nil {
			return err
		}
		p.Next = page.Next
		for _, row := range page.Rows {
			form, _ := h.Registry.CurrentForm(row.Form)
			p.Rows = append(p.Rows, ui.QueueItem{QueueRow: row, FormTitle: h.formTitle(f, row.Form), Figures: differences(f, form, nil, row.Figures, false),
				Link: reportURL(domain.ReportKey{Regime: row.Regime, Form: row.Form, Unit: row.Unit, Date: row.Date}) + "/sign"})
		}
	}
	return c.render(http.StatusOK, p)
}

// signing is what a head is about to sign.
func (h *Handler) signing(c *call, nonce string) (ui.Sign, domain.Version, error) {
	f, err := c.frame("sign")
	if err != nil {
		return ui.Sign{}, domain.Version{}, err
	}
	regime, err := c.regime(&f)
	if err != nil {
		return ui.Sign{}, domain.Version{}, err
	}
	key := c.key()
	day, err := h.Ledger.Day(c.ctx, key.Regime, key.Date)
	if err != nil {
		return ui.Sign{}, domain.Version{}, err
	}
	o, err := day.Obligation(regime, key)
	if err != nil {
		return ui.Sign{}, domain.Version{}, err
	}
	report, err := h.Ledger.Report(c.ctx, key)
	if err != nil {
		return ui.Sign{}, domain.Version{}, err
	}
	name, err := c.unitName(key.Unit, key.Date)
	if err != nil {
		return ui.Sign{}, domain.Version{}, err
	}
	office, err := h.Ledger.Office(c.ctx, key.Unit)
	if err != nil {
		return ui.Sign{}, domain.Version{}, err
	}
	p := ui.Sign{Frame: f, Slot: slot(key), UnitName: name, FormTitle: h.formTitle(f, key.Form), Key: newKey(), Nonce: nonce, State: report.SignOffState(), Due: o.Due, SignOffDue: o.SignOffDue, Act: reportURL(key)}
	v, ok := report.Newest()
	if !ok {
		return p, v, domain.Refuse(domain.NotFound, domain.CodeNotSubmitted, "", "unit", string(key.Unit), "date", string(key.Date))
	}
	p.Version, p.Digest, p.Nil, p.Note, p.Reason, p.ReceivedAt, p.Missing = v.Number, v.Digest, v.Content.Nil, v.Note, v.Reason, v.ReceivedAt, v.Missing
	for _, finding := range v.Findings {
		p.Findings = append(p.Findings, finding.Describe(f.Language))
	}
	filer, err := h.Ledger.Person(c.ctx, v.Filer)
	if err != nil {
		return p, v, err
	}
	p.Filer = filer.Name
	var before domain.Figures
	if n := len(report.SignOffs); n > 0 && report.SignOffs[n-1].Version < v.Number {
		p.SignedBefore = report.SignOffs[n-1].Version
		before = report.Versions[p.SignedBefore-1].Content.Figures
	}
	form, _ := h.Registry.Form(key.Form, v.Content.FormVersion)
	p.Figures = differences(f, form, before, v.Content.Figures, p.SignedBefore > 0)

	right, err := office.Right(c.person.ID, key.Form, c.at)
	var refusal *domain.Error
	if errors.As(err, &refusal) { // the page still shows what is to be signed
		p.MayNot = refusal.Faults[0].Text(f.Language)
		return p, v, nil
	}
	if err != nil {
		return p, v, err
	}
	p.Capacity, p.SignerTitle = right.Capacity, right.Title
	checkpoint := ""
	if h.Checkpoint != nil {
		if checkpoint, err = h.Checkpoint(c.ctx); err != nil {
			return p, v, err
		}
	}
	if c.r.Method == http.MethodPost && !c.route.json { // what was seen, not what is newest
		checkpoint = c.r.PostForm.Get("checkpoint")
		known := checkpoint == ""
		if !known && h.SignedLately != nil {
			if known, err = h.SignedLately(c.ctx, checkpoint); err != nil {
				return p, v, err
			}
		}
		if !known { // an audit would take it for a fork
			return p, v, fmt.Errorf("%w: the checkpoint %q was not signed of late", errForm, checkpoint)
		}
	}
	p.Checkpoint = checkpoint
	if p.Statement, _, err = h.Ledger.Statement(c.ctx, c.person.ID, key, checkpoint, nonce); err != nil {
		return p, v, err
	}
	p.Passkey, err = c.signsByPasskey()
	return p, v, err
}

// signsByPasskey reports whether a person has a passkey that signs: then nothing less than it does.
func (c *call) signsByPasskey() (bool, error) {
	keys, err := c.h.Accounts.Passkeys(c.ctx, c.person)
	if err != nil {
		return false, err
	}
	for _, k := range keys {
		if k.Signs && k.RevokedAt.IsZero() {
			return true, nil
		}
	}
	return false, nil
}

var nonceForm = regexp.MustCompile("^[A-Za-z0-9_-]{22}$")

func newNonce() string {
	b := make([]byte, 16)
	rand.Read(b) // it never fails: crypto/rand ends the process first
	return base64.RawURLEncoding.EncodeToString(b)
}

func (h *Handler) signPage(c *call) error {
	p, _, err := h.signing(c, newNonce())
	if err != nil {
		return err
	}
	return c.render(http.StatusOK, p)
}

// signConfirm records the sign-off of a person without a passkey that signs: their session stands for them, as the
// event's missing signature says for ever.
func (h *Handler) signConfirm(c *call) error {
	form := c.r.PostForm
	p, _, err := h.signing(c, form.Get("nonce"))
	if err != nil {
		return err
	}
	problem := ""
	switch {
	case p.Passkey:
		problem = p.T("sign.needs_passkey")
	case form.Get("agree") != "1":
		problem = p.T("sign.needs_tick")
	}
	if problem != "" {
		p.Problem = problem
		return c.render(http.StatusUnprocessableEntity, p)
	}
	cmd, err := c.command()
	if err != nil {
		return err
	}
	result, err := h.Ledger.SignOff(c.ctx, cmd, c.key(), domain.SigningAttempt{Version: atoi(form.Get("version")), Digest: form.Get("digest"),
		CheckpointSeen: form.Get("checkpoint"), Nonce: form.Get("nonce"), Statement: form.Get("statement")})
	if err != nil {
		return err
	}
	return c.done("/queue", result)
}

// signBegin asks the person's passkey to sign the statement as the ledger words it now.
func (h *Handler) signBegin(c *call) error {
	in, err := c.scripted()
	if err != nil {
		return err
	}
	if !nonceForm.MatchString(in.Nonce) { // the page's own, so that what is signed is what stood on it
		return errForm
	}
	p, _, err := h.signing(c, in.Nonce)
	if err != nil {
		return err
	}
	if p.MayNot != "" {
		return domain.Refuse(domain.Forbidden, domain.CodeNotInOffice, "", "unit", string(p.Unit), "person", string(c.person.ID))
	}
	if in.Digest != p.Digest { // something was filed after the page was shown
		return domain.Refuse(domain.Precondition, domain.CodeDigest, "/digest", "digest", in.Digest, "current", p.Digest)
	}
	ceremony, err := h.Accounts.BeginSignature(c.ctx, c.attempt, c.session, p.Statement)
	if err != nil {
		return err
	}
	return c.answerJSON(challenge(ceremony))
}

// signed is what a statement says of itself; the ledger builds it again and compares.
type signed struct {
	Version    int    `json:"version"`
	Digest     string `json:"digest"`
	Checkpoint string `json:"checkpoint"`
	Nonce      string `json:"nonce"`
}

func (h *Handler) signFinish(c *call) error {
	in, err := c.scripted()
	if err != nil {
		return err
	}
	statement, signature, err := h.Accounts.FinishSignature(c.ctx, c.attempt, c.session, in.Ceremony, in.Response)
	if err != nil {
		return err
	}
	var s signed
	if err := json.Unmarshal([]byte(statement), &s); err != nil {
		return fmt.Errorf("web: read the statement signed: %w", err)
	}
	result, err := h.Ledger.SignOff(c.ctx, c.commandOf("passkey", in.Ceremony), c.key(), domain.SigningAttempt{Version: s.Version, Digest: s.Digest,
		CheckpointSeen: s.Checkpoint, Nonce: s.Nonce, Statement: statement, Signature: &signature})
	if err != nil {
		return err
	}
	next := "/queue"
	if result.PositionKnown {
		next += "?at=" + result.Position.String()
	}
	return c.answerJSON(onward{next})
}

func (h *Handler) returnReport(c *call) error {
	cmd, err := c.command()
	if err != nil {
		return err
	}
	result, err := h.Ledger.ReturnReport(c.ctx, cmd, c.key(), atoi(c.r.PostForm.Get("version")), typedText(c, "reason"))
	if errors.Is(err, &domain.Error{Kind: domain.Invalid}) {
		p, _, again := h.signing(c, newNonce())
		if again != nil {
			return again
		}
		p.ReturnProblem, p.ReturnReason = words(err, p.Frame), c.r.PostForm.Get("reason")
		return c.render(http.StatusUnprocessableEntity, p)
	}
	if err != nil {
		return err
	}
	return c.done("/queue", result)
}

// answersPage is what a person answers for, by their periods of office. It remains true after they left.
func (h *Handler) answersPage(c *call) error {
	f, err := c.frame("my_answers")
	if err != nil {
		return err
	}
	r, err := c.regime(&f)
	if err != nil {
		return err
	}
	p := ui.Answers{Frame: f}
	units, err := c.offices()
	if err != nil {
		return err
	}
	for _, u := range units {
		o, err := h.Ledger.Office(c.ctx, u)
		if err != nil {
			return err
		}
		name, err := c.unitName(u, f.Date)
		if err != nil {
			return err
		}
		for _, t := range o.Tenures {
			if t.Person == c.person.ID {
				p.Periods = append(p.Periods, ui.Period{Unit: u, UnitName: name, Title: t.Title, Capacity: t.Capacity, From: t.From, Until: t.Until, Decision: t.Decision})
			}
		}
	}
	page, err := h.Views.Answer(c.ctx, projections.AnswerQuery{Regime: r.ID, Person: c.person.ID, KnownAt: f.KnownAt, After: c.query.Get("cursor"), Limit: 200})
	if err != nil {
		return err
	}
	p.Next = page.Next
	for _, record := range page.Records {
		item := ui.Answer{AnswerRecord: record, FormTitle: h.formTitle(f, record.Form), Link: reportURL(domain.ReportKey{Regime: record.Regime, Form: record.Form, Unit: record.Unit, Date: record.Date})}
		form, _ := h.Registry.CurrentForm(record.Form)
		item.Figures = inOrder(form, record.Figures)
		for _, b := range record.Breaches {
			item.MayExplain = item.MayExplain || b.Outcome == "standing" || b.Outcome == "explained"
		}
		i := slices.IndexFunc(p.Periods, func(x ui.Period) bool { return x.Unit == record.Unit && covers(x.From, x.Until, record.Due) })
		if i < 0 { // by the level below's vacancy, or by a correction after another's deadline
			p.Others = append(p.Others, item)
			continue
		}
		p.Periods[i].Records = append(p.Periods[i].Records, item)
	}
	return c.render(http.StatusOK, p)
}

func covers(from, until, at time.Time) bool {
	return !at.Before(from) && (until.IsZero() || at.Before(until))
}

// inOrder puts figures into the form's own order.
func inOrder(form domain.Form, figures []projections.AnsweredFigure) []projections.AnsweredFigure {
	out := slices.Clone(figures)
	place := func(name string) int {
		if i := slices.IndexFunc(form.Fields, func(f domain.Field) bool { return f.Name == name }); i >= 0 {
			return i
		}
		return len(form.Fields)
	}
	slices.SortStableFunc(out, func(a, b projections.AnsweredFigure) int { return place(a.Field) - place(b.Field) })
	return out
}

func (h *Handler) explainPage(c *call) error { return h.showExplain(c, http.StatusOK, "", "") }

func (h *Handler) showExplain(c *call, status int, typed, problem string) error {
	f, err := c.frame("explain")
	if err != nil {
		return err
	}
	if _, err := c.regime(&f); err != nil {
		return err
	}
	key := c.key()
	report, err := h.Ledger.Report(c.ctx, key)
	if err != nil {
		return err
	}
	name, err := c.unitName(key.Unit, key.Date)
	if err != nil {
		return err
	}
	p := ui.Explain{Frame: f, Slot: slot(key), UnitName: name, FormTitle: h.formTitle(f, key.Form), Key: newKey(), Typed: typed, Problem: problem, Act: reportURL(key)}
	for _, b := range report.Breaches {
		if b.Withdrawn == nil {
			p.Breaches = append(p.Breaches, b)
		}
	}
	return c.render(status, p)
}

func (h *Handler) explainSend(c *call) error {
	cmd, err := c.command()
	if err != nil {
		return err
	}
	result, err := h.Ledger.ExplainBreach(c.ctx, cmd, c.key(), domain.BreachKind(c.r.PostForm.Get("breach")), typedText(c, "text"))
	if errors.Is(err, &domain.Error{Kind: domain.Invalid}) {
		return h.showExplain(c, http.StatusUnprocessableEntity, c.r.PostForm.Get("text"), words(err, c.bare("explain")))
	}
	if err != nil {
		return err
	}
	return c.done("/answers", result)
}
