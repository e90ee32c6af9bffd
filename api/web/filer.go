package web

import (
	"errors"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"golang.org/x/text/unicode/norm"

	"github.com/answerable-ledger/answerable/api/ui"
	"github.com/answerable-ledger/answerable/commands"
	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/intake"
	"github.com/answerable-ledger/answerable/projections"
)

func reportURL(k domain.ReportKey) string {
	return "/reports/" + url.PathEscape(string(k.Regime)) + "/" + url.PathEscape(string(k.Form)) + "/" + url.PathEscape(string(k.Unit)) + "/" + url.PathEscape(string(k.Date))
}

// todayPage has a card for every report the person's units owe on the day.
func (h *Handler) todayPage(c *call) error {
	f, err := c.frame("today")
	if err != nil {
		return err
	}
	r, err := c.regime(&f)
	if err != nil {
		return err
	}
	day, err := h.Ledger.Day(c.ctx, r.ID, f.Date)
	if err != nil {
		return err
	}
	p := ui.Today{Frame: f, Opened: day.Opened != nil, Previous: r.Neighbour(f.Date, -1), Following: r.Neighbour(f.Date, 1)}
	var units []domain.UnitCode
	for _, g := range c.actor.Grants {
		if (g.Role == domain.RoleFiler || g.Role == domain.RoleDistrict) && g.Unit != "" && !slices.Contains(units, g.Unit) {
			units = append(units, g.Unit)
		}
	}
	for _, u := range units {
		name, err := c.unitName(u, f.Date)
		if err != nil {
			return err
		}
		owed := []domain.DayDuty{}
		if day.Opened != nil {
			owed = day.Opened.Duties
		}
		for _, duty := range owed {
			o, err := day.Obligation(r, domain.ReportKey{Regime: r.ID, Form: duty.Form, Unit: u, Date: f.Date})
			if errors.Is(err, domain.Refuse(domain.NotFound, domain.CodeNoObligation, "")) || slices.ContainsFunc(p.Cards, func(x ui.Card) bool { return x.Unit == u && x.Form == duty.Form }) {
				continue
			}
			if err != nil {
				return err
			}
			card, err := h.card(c, f, r, o, name)
			if err != nil {
				return err
			}
			p.Cards = append(p.Cards, card)
		}
	}
	return c.render(http.StatusOK, p)
}

func (h *Handler) formTitle(f ui.Frame, id domain.FormID) string {
	form, _ := h.Registry.CurrentForm(id)
	if w := f.Word(form.Title); w != "" {
		return w
	}
	return string(id)
}

func (h *Handler) card(c *call, f ui.Frame, r domain.Regime, o domain.Obligation, unit string) (ui.Card, error) {
	card := ui.Card{Slot: slot(o.Key), UnitName: unit, FormTitle: h.formTitle(f, o.Key.Form), Due: o.Due, Consolidates: o.Consolidates != "", Link: reportURL(o.Key)}
	report, err := h.Ledger.Report(c.ctx, o.Key)
	if err != nil {
		return card, err
	}
	card.Status, card.SignOff, card.Reminders = report.Status(o.Exempt != nil), report.SignOffState(), report.Reminders
	if v, ok := report.Newest(); ok {
		card.Version, card.ReceivedAt = v.Number, report.Versions[0].ReceivedAt
	}
	if report.Returned != nil {
		card.Returned = report.Returned.Reason
	}
	form, _ := h.Registry.Form(o.Key.Form, o.FormVersion)
	if before, _, ok, err := h.before(c, r, o.Key); err != nil {
		return card, err
	} else if ok {
		for _, field := range form.Fields {
			if value, given := before.Content.Figures[field.Name]; given {
				card.Yesterday = append(card.Yesterday, ui.Figure{Label: f.Word(field.Label), Unit: f.Word(field.Unit), Value: value})
			}
		}
	}
	for _, d := range days(r, o.Key.Date, 7) {
		k := o.Key
		k.Date = d
		day, err := h.Ledger.Day(c.ctx, r.ID, d)
		if err != nil {
			return card, err
		}
		was, err := day.Obligation(r, k)
		if errors.Is(err, &domain.Error{Kind: domain.NotFound}) {
			continue
		}
		if err != nil {
			return card, err
		}
		past, err := h.Ledger.Report(c.ctx, k)
		if err != nil {
			return card, err
		}
		card.Week = append(card.Week, ui.CardDay{Date: d, Status: past.Status(was.Exempt != nil), SignOff: past.SignOffState(), Link: reportURL(k) + "/filed"})
	}
	return card, nil
}

func slot(k domain.ReportKey) projections.Slot {
	return projections.Slot{Regime: k.Regime, Form: k.Form, Unit: k.Unit, Date: k.Date}
}

// before is the newest version of the unit's report of the reporting day before, within a week.
func (h *Handler) before(c *call, r domain.Regime, k domain.ReportKey) (domain.Version, domain.Date, bool, error) {
	for _, d := range days(r, k.Date.AddDays(-1), 7) {
		k.Date = d
		report, err := h.Ledger.Report(c.ctx, k)
		if err != nil {
			return domain.Version{}, "", false, err
		}
		if v, ok := report.Newest(); ok {
			return v, d, true, nil
		}
	}
	return domain.Version{}, "", false, nil
}

// filing is what a person does on the page of one report.
type filing struct {
	ui.File
	regime     domain.Regime
	obligation domain.Obligation
	report     domain.Report
	form       domain.Form
}

// filing reads where the report stands, and fills the page with what there is to know before anything is typed.
func (h *Handler) filing(c *call) (*filing, error) {
	f, err := c.frame("file")
	if err != nil {
		return nil, err
	}
	x := &filing{}
	if x.regime, err = c.regime(&f); err != nil {
		return nil, err
	}
	key := c.key()
	day, err := h.Ledger.Day(c.ctx, key.Regime, key.Date)
	if err != nil {
		return nil, err
	}
	if x.obligation, err = day.Obligation(x.regime, key); err != nil {
		return nil, err
	}
	if x.report, err = h.Ledger.Report(c.ctx, key); err != nil {
		return nil, err
	}
	x.form, _ = h.Registry.Form(key.Form, x.obligation.FormVersion)
	name, err := c.unitName(key.Unit, key.Date)
	if err != nil {
		return nil, err
	}
	before, on, hasBefore, err := h.before(c, x.regime, key)
	if err != nil {
		return nil, err
	}
	x.File = ui.File{Frame: f, Slot: slot(key), UnitName: name, FormTitle: f.Word(x.form.Title), Due: x.obligation.Due, Exempt: x.obligation.Exempt != nil,
		Consolidates: x.obligation.Consolidates != "", BeforeDate: on, Key: newKey(), Step: "check", Correction: string(domain.CorrectionContent)}
	newest, filed := x.report.Newest()
	if filed {
		x.Replaces, x.File.Nil = newest.Number, newest.Content.Nil
		x.Title = f.T("correct")
	}
	if x.report.Returned != nil {
		x.Returned = x.report.Returned.Reason
	}
	for _, field := range x.form.Fields {
		if x.Consolidates && field.RollUp != domain.RollUpOwn {
			continue // the ledger sums it
		}
		in := ui.Input{Name: field.Name, Label: f.Word(field.Label), Unit: f.Word(field.Unit), Required: field.Required}
		if hasBefore {
			if v, ok := before.Content.Figures[field.Name]; ok {
				in.Before = &v
			}
		}
		if v, ok := newest.Content.Figures[field.Name]; ok {
			in.Was = &v
			in.Typed = strconv.FormatInt(v, 10)
		}
		x.Inputs = append(x.Inputs, in)
	}
	x.Title += ": " + x.FormTitle
	return x, nil
}

func (h *Handler) filePage(c *call) error {
	x, err := h.filing(c)
	if err != nil {
		return err
	}
	return c.render(http.StatusOK, x.File)
}

// grouped is a number with separators of thousands: 1.234 1,234,567 1 234.
var grouped = regexp.MustCompile("^[0-9]{1,3}([., \u00a0\u202f][0-9]{3})+$")

var plain = regexp.MustCompile("^[0-9]{1,18}$")

// typed takes over what the person typed, whatever it is, and makes the body that every way in is judged by.
func (x *filing) typed(form url.Values) (body []byte, faults []domain.Fault) {
	x.Key, x.Note, x.Reason, x.File.Nil = form.Get("key"), form.Get("note"), form.Get("reason"), form.Get("nil") == "1"
	x.Replaces = atoi(form.Get("replaces")) // what the person decided on; the ledger says whether it still stands
	if k := form.Get("correction"); k != "" {
		x.Correction = k
	}
	figures := []byte{'{'}
	for i := range x.Inputs {
		in := &x.Inputs[i]
		in.Typed = norm.NFC.String(strings.TrimSpace(form.Get("f_" + in.Name)))
		if in.Typed == "" {
			continue
		}
		value := "null" // the schema refuses it as no integer
		switch {
		case plain.MatchString(in.Typed):
			value = strings.TrimLeft(in.Typed, "0")
			if value == "" {
				value = "0"
			}
		case grouped.MatchString(in.Typed):
			faults = append(faults, domain.NewFault(domain.CodeThousands, "/figures/"+in.Name, "value", in.Typed))
		}
		if len(figures) > 1 {
			figures = append(figures, ',')
		}
		figures, _ = jsontext.AppendQuote(figures, in.Name) // a name of the form
		figures = append(append(figures, ':'), value...)
	}
	figures = append(figures, '}')
	body = append([]byte(`{"form_version":`), strconv.Itoa(x.form.Version)...)
	if !x.File.Nil && len(figures) > 2 {
		body = append(append(body, `,"figures":`...), figures...)
	}
	if x.File.Nil {
		body = append(body, `,"nil":true`...)
	}
	text := func(name, value string) {
		quoted, err := jsontext.AppendQuote(nil, strings.ToValidUTF8(value, "\uFFFD"))
		if err != nil {
			return
		}
		body = append(append(body, `,"`+name+`":`...), quoted...)
	}
	text("note", x.Note)
	if x.Replaces > 0 {
		body = strconv.AppendInt(append(body, `,"replaces":`...), int64(x.Replaces), 10)
		text("correction", x.Correction)
		text("reason", x.Reason)
	}
	return append(body, '}'), faults
}

// parse judges a body as the API does.
func (h *Handler) parse(c *call, x *filing, body []byte) (commands.Replacement, error) {
	key := c.key()
	out := commands.Replacement{Filing: commands.Filing{Key: key}}
	duty := domain.DayDuty{Form: key.Form, FormVersion: x.obligation.FormVersion, Consolidates: x.obligation.Consolidates}
	if x.Replaces == 0 {
		s, err := intake.ParseReport(body, h.Registry, key, duty)
		out.FormVersion, out.Figures, out.Nil, out.Note = s.FormVersion, s.Figures, s.Nil, s.Note
		return out, err
	}
	s, err := intake.ParseCorrection(body, h.Registry, key, duty)
	out.FormVersion, out.Figures, out.Nil, out.Note = s.FormVersion, s.Figures, s.Nil, s.Note
	out.Replaces, out.Correction, out.Reason = s.Replaces, s.Correction, s.Reason
	return out, err
}

// fileSend goes from the form to the check, over an interruption where something needs a word, and to the ledger.
func (h *Handler) fileSend(c *call) error {
	x, err := h.filing(c)
	if err != nil {
		return err
	}
	form := c.r.PostForm
	body, faults := x.typed(form)
	filed, err := h.parse(c, x, body)
	if err != nil || len(faults) > 0 {
		return h.refused(c, x, err, faults)
	}
	if form.Get("step") == "edit" {
		return c.render(http.StatusOK, x.File)
	}
	if form.Get("step") != "send" {
		return h.check(c, x, filed)
	}
	cmd, err := c.command()
	if err != nil {
		return err
	}
	var result commands.Result
	if x.Replaces > 0 {
		result, err = h.Ledger.CorrectReport(c.ctx, cmd, filed)
	} else {
		result, err = h.Ledger.SubmitReport(c.ctx, cmd, filed.Filing)
	}
	if err != nil {
		return h.refused(c, x, err, nil)
	}
	return c.done(reportURL(c.key())+"/filed", result)
}

// check shows what will be sent. Where the ledger would ask for a word, the interruption comes first.
func (h *Handler) check(c *call, x *filing, filed commands.Replacement) error {
	cmd := c.commandOf("check", x.Key)
	if x.Replaces == 0 {
		if err := h.Ledger.CheckReport(c.ctx, cmd, filed.Filing); err != nil {
			return h.refused(c, x, err, nil)
		}
	} else if err := h.noteNeeded(c, x, filed); err != nil {
		return h.refused(c, x, err, nil)
	}
	x.Step, x.Title = "send", x.T("check")
	return c.render(http.StatusOK, x.File)
}

// noteNeeded is the plausibility of a correction, so that the interruption comes before the check and not after it.
func (h *Handler) noteNeeded(c *call, x *filing, filed commands.Replacement) error {
	if x.Consolidates || filed.Nil || strings.TrimSpace(filed.Note) != "" || filed.Correction == domain.CorrectionErratum {
		return nil
	}
	before, _, ok, err := h.before(c, x.regime, c.key())
	if err != nil || !ok {
		return err
	}
	e := &domain.Error{Kind: domain.Invalid}
	for _, f := range domain.Plausibility(domain.Content{FormVersion: filed.FormVersion, Figures: filed.Figures}, x.form, &before.Content) {
		e.Faults = append(e.Faults, domain.NewFault(domain.CodeNoteNeeded, "/figures/"+f.Field, "rule", string(f.Rule), "was", strconv.FormatInt(f.Was, 10), "is", strconv.FormatInt(f.Is, 10)))
	}
	if len(e.Faults) == 0 {
		return nil
	}
	return e
}

// refused shows the form again with what was typed and what is wrong with it, each fault at its field; or, where nothing
// is wrong but something needs a word, the interruption.
func (h *Handler) refused(c *call, x *filing, err error, faults []domain.Fault) error {
	var refusal *domain.Error
	if err != nil && !errors.As(err, &refusal) {
		return err
	}
	status := http.StatusUnprocessableEntity
	if refusal != nil {
		status, _ = statusOf(err)
		if refusal.Kind == domain.Forbidden || refusal.Kind == domain.NotFound {
			return err
		}
		for _, f := range refusal.Faults {
			if !slices.ContainsFunc(faults, func(g domain.Fault) bool { return g.Pointer == f.Pointer }) {
				faults = append(faults, f)
			}
		}
	}
	if !slices.ContainsFunc(faults, func(f domain.Fault) bool { return f.Code != domain.CodeNoteNeeded }) {
		x.Step, x.Title = "note", x.T("interruption")
	}
	for _, f := range faults {
		name, ofField := strings.CutPrefix(f.Pointer, "/figures/")
		problem := ui.Problem{Text: x.named(f).Text(x.Language)}
		if f.Code == domain.CodeNoteNeeded {
			problem.Was, problem.Is = f.Args["was"], f.Args["is"]
			label := name
			if i := slices.IndexFunc(x.Inputs, func(in ui.Input) bool { return in.Name == name }); i >= 0 {
				label = x.Inputs[i].Label
			}
			problem.Text = domain.Finding{Rule: domain.FindingRule(f.Args["rule"]), Field: label}.Describe(x.Language)
		}
		for i := range x.Inputs {
			if ofField && x.Inputs[i].Name == name {
				problem.Field, problem.Label = "f_"+name, x.Inputs[i].Label
				x.Inputs[i].Problem = problem.Text
			}
		}
		switch f.Pointer {
		case "/note":
			problem.Field, x.NoteProblem = "note", problem.Text
		case "/reason":
			problem.Field, x.ReasonProblem = "reason", problem.Text
		}
		x.Problems = append(x.Problems, problem)
	}
	return c.render(status, x.File)
}

// named is a fault that calls fields by what stands on the page.
func (x *filing) named(f domain.Fault) domain.Fault {
	args := maps.Clone(f.Args)
	for arg, value := range args {
		if i := slices.IndexFunc(x.form.Fields, func(field domain.Field) bool { return field.Name == value }); i >= 0 {
			args[arg] = x.Word(x.form.Fields[i].Label)
		}
	}
	f.Args = args
	return f
}

// filedPage confirms what was recorded, and is the slip that is printed.
func (h *Handler) filedPage(c *call) error {
	f, err := c.frame("filed")
	if err != nil {
		return err
	}
	if _, err = c.regime(&f); err != nil {
		return err
	}
	key := c.key()
	history, err := h.Views.History(c.ctx, projections.HistoryQuery{Regime: key.Regime, Unit: key.Unit, Form: key.Form, Date: key.Date})
	if err != nil {
		return err
	}
	p := ui.Filed{Frame: f, Slot: slot(key), UnitName: history.UnitName, FormTitle: h.formTitle(f, key.Form), MayFile: c.actor.Has(domain.RoleFiler, key.Unit) || c.actor.Has(domain.RoleDistrict, key.Unit), Receipts: h.Receipts, Act: reportURL(key)}
	for _, report := range history.Reports {
		p.Row = report.Compliance
		if n := len(report.Versions); n > 0 {
			v := report.Versions[n-1]
			p.Version = &v
			form, _ := h.Registry.Form(key.Form, v.FormVersion)
			var before domain.Figures
			if n > 1 {
				before = report.Versions[n-2].Figures
			}
			p.Figures = differences(f, form, before, v.Figures, n > 1)
		}
	}
	if p.Version != nil {
		if p.Receipt, err = h.receipt(c, p.Version.EventID); err != nil {
			return err
		}
	}
	return c.render(http.StatusOK, p)
}

// differences lists figures in the form's own order, each with what it was.
func differences(f ui.Frame, form domain.Form, before, after domain.Figures, compare bool) []ui.Difference {
	var out []ui.Difference
	for _, field := range form.Fields {
		was, ok1 := before[field.Name]
		is, ok2 := after[field.Name]
		if !ok1 && !ok2 {
			continue
		}
		d := ui.Difference{Field: field.Name, Label: f.Word(field.Label), Unit: f.Word(field.Unit)}
		if ok1 {
			d.Was = &was
		}
		if ok2 {
			d.Is = &is
		}
		d.Changed = compare && (ok1 != ok2 || was != is)
		out = append(out, d)
	}
	return out
}
