package commands

import (
	"context"
	"fmt"

	"github.com/answerable-ledger/answerable/domain"
)

// Filing is what a unit sends for one obligation.
type Filing struct {
	Key domain.ReportKey
	// FormVersion the filer filled in; 0 is the one in force for the day.
	FormVersion int
	// Figures of the form. For a consolidated report only the fields the unit fills in itself: the others are summed
	// from the children as they stand now, and pinned (rule 9).
	Figures domain.Figures
	Nil     bool
	Note    string
	Signed  *FilingSignature // nil when the filer's machine does not sign
}

// Replacement is what a unit sends to correct a report.
type Replacement struct {
	Filing
	Replaces   int
	Correction domain.CorrectionKind
	Reason     string
}

// obligation is what a command about a report is decided on.
type obligation struct {
	regime domain.Regime
	day    domain.Day
	domain.Obligation
	actor domain.Actor
}

func (l *Ledger) obligation(ctx context.Context, c Command, key domain.ReportKey) (obligation, error) {
	var o obligation
	var err error
	if o.regime, err = l.Regime(ctx, key.Regime); err != nil {
		return o, err
	}
	if _, err = l.Unit(ctx, key.Unit); err != nil {
		return o, err
	}
	if _, ok := l.registry.CurrentForm(key.Form); !ok {
		return o, domain.Refuse(domain.NotFound, domain.CodeFormUnknown, "/form", "form", string(key.Form))
	}
	if _, err = domain.ParseDate(string(key.Date)); err != nil {
		return o, err
	}
	if o.day, err = l.Day(ctx, key.Regime, key.Date); err != nil {
		return o, err
	}
	if o.Obligation, err = o.day.Obligation(o.regime, key); err != nil {
		return o, err
	}
	o.actor, err = l.actor(ctx, c.Actor)
	return o, err
}

// SubmitReport records the first version of a report.
func (l *Ledger) SubmitReport(ctx context.Context, c Command, f Filing) (Result, error) {
	c, decide, err := l.submission(ctx, c, f, l.Report)
	if err != nil {
		return Result{}, err
	}
	return change(ctx, l, c, f.Key.Stream(), l.loadReport(f.Key), decide)
}

// CheckReport decides a submission as SubmitReport would now, and records nothing.
func (l *Ledger) CheckReport(ctx context.Context, c Command, f Filing) error {
	refusals, err := l.CheckFile(ctx, []FileRow{{c, f}})
	if err == nil && refused(refusals[0]) {
		err = refusals[0]
	}
	return err
}

// reports reads the state of a report.
type reports func(context.Context, domain.ReportKey) (domain.Report, error)

func (l *Ledger) submission(ctx context.Context, c Command, f Filing, read reports) (Command, func(domain.Report) ([]domain.Event, error), error) {
	o, err := l.obligation(ctx, c, f.Key)
	if err != nil {
		return c, nil, err
	}
	if c, err = l.complete(c); err != nil {
		return c, nil, err
	}
	c.Role = actingRole(c, o, domain.RoleFiler, domain.RoleDistrict)
	form, previous, err := l.formAndPrevious(ctx, o, f, read)
	if err != nil {
		return c, nil, err
	}
	return c, func(r domain.Report) ([]domain.Event, error) {
		content, missing, err := l.content(ctx, o, form, f, read)
		if err != nil {
			return nil, err
		}
		signed, err := l.signed(ctx, c, f.Signed, f.statement(form))
		if err != nil {
			return nil, err
		}
		return r.Submit(domain.Submission{Content: content, Missing: missing, Note: f.Note, Signed: signed, ReceivedAt: c.ReceivedAt}, o.Obligation, form, previous, o.actor)
	}, nil
}

// CorrectReport records the next version of a report.
func (l *Ledger) CorrectReport(ctx context.Context, c Command, f Replacement) (Result, error) {
	o, err := l.obligation(ctx, c, f.Key)
	if err != nil {
		return Result{}, err
	}
	if c, err = l.complete(c); err != nil {
		return Result{}, err
	}
	c.Role = actingRole(c, o, domain.RoleFiler, domain.RoleDistrict)
	form, previous, err := l.formAndPrevious(ctx, o, f.Filing, l.Report)
	if err != nil {
		return Result{}, err
	}
	return change(ctx, l, c, f.Key.Stream(), l.loadReport(f.Key), func(r domain.Report) ([]domain.Event, error) {
		content, missing, err := l.content(ctx, o, form, f.Filing, l.Report)
		if err != nil {
			return nil, err
		}
		// An erratum of a sum is about its wording: it keeps the pinned children, whatever they have filed since.
		if v, ok := r.Newest(); ok && f.Correction == domain.CorrectionErratum && o.Consolidates != "" {
			content, missing = v.Content, v.Missing
		}
		signed, err := l.signed(ctx, c, f.Signed, f.statement(form))
		if err != nil {
			return nil, err
		}
		return r.Correct(domain.Correction{Content: content, Missing: missing, Note: f.Note, Replaces: f.Replaces,
			Correction: f.Correction, Reason: f.Reason, Signed: signed, ReceivedAt: c.ReceivedAt}, o.Obligation, form, previous, o.actor)
	})
}

// ReturnReport sends a version back to its filer.
func (l *Ledger) ReturnReport(ctx context.Context, c Command, key domain.ReportKey, version int, reason string) (Result, error) {
	c, o, office, err := l.asSigner(ctx, c, key)
	if err != nil {
		return Result{}, err
	}
	return change(ctx, l, c, key.Stream(), l.loadReport(key), func(r domain.Report) ([]domain.Event, error) {
		return r.Return(o.Obligation, version, reason, office, c.ReceivedAt, o.actor)
	})
}

func actingRole(c Command, o obligation, wanted ...domain.Role) domain.Role {
	if c.Role != "" {
		return c.Role
	}
	return o.actor.RoleFor(o.Key.Unit, wanted...)
}

// formAndPrevious finds the form the day asks for, and the unit's content of the nearest reporting day before, for
// plausibility. Three days back at most: what lies further says little about today, and each is a read of a stream.
func (l *Ledger) formAndPrevious(ctx context.Context, o obligation, f Filing, read reports) (domain.Form, *domain.Content, error) {
	version := f.FormVersion
	if version == 0 {
		version = o.FormVersion
	}
	form, ok := l.registry.Form(f.Key.Form, o.FormVersion)
	if !ok || version != o.FormVersion {
		return form, nil, domain.Refuse(domain.Invalid, domain.CodeFormVersion, "/form_version", "version", fmt.Sprint(version), "current", fmt.Sprint(o.FormVersion))
	}
	key := f.Key
	for range 3 {
		key.Date = key.Date.AddDays(-1)
		if !o.regime.ReportsOn(key.Date) {
			continue
		}
		r, err := read(ctx, key)
		if err != nil {
			return form, nil, err
		}
		if v, ok := r.Newest(); ok {
			return form, &v.Content, nil
		}
	}
	return form, nil, nil
}

// content is what the filing says, with the children's sums when the duty consolidates, judged by the form's schema.
func (l *Ledger) content(ctx context.Context, o obligation, form domain.Form, f Filing, read reports) (domain.Content, []domain.UnitCode, error) {
	content := domain.Content{FormVersion: form.Version, Figures: f.Figures, Nil: f.Nil}
	var missing []domain.UnitCode
	if o.Consolidates != "" && !f.Nil {
		children, err := l.children(ctx, o, read)
		if err != nil {
			return content, nil, err
		}
		if content.Figures, content.Children, missing, err = domain.Consolidate(form, f.Figures, children); err != nil {
			return content, nil, err
		}
	}
	if content.Nil || len(content.Figures) == 0 { // what an empty report is, the domain decides (rule 11)
		return content, missing, nil
	}
	return content, missing, l.registry.CheckFigures(form.ID, form.Version, content.Figures)
}

// children reads what the obligation's unit sums on its day, as it stands now.
func (l *Ledger) children(ctx context.Context, o obligation, read reports) ([]domain.Child, error) {
	var out []domain.Child
	for _, u := range o.day.Children(o.Consolidates, o.Key.Unit) {
		key := domain.ReportKey{Regime: o.Key.Regime, Form: o.Consolidates, Unit: u, Date: o.Key.Date}
		r, err := read(ctx, key)
		if err != nil {
			return nil, err
		}
		child, err := o.day.Obligation(o.regime, key)
		if err != nil {
			return nil, err
		}
		form, ok := l.registry.Form(o.Consolidates, child.FormVersion)
		if !ok {
			return nil, domain.Refuse(domain.NotFound, domain.CodeFormUnknown, "/form", "form", string(o.Consolidates))
		}
		out = append(out, domain.Child{Unit: u, Form: form, Report: r, Exempt: child.Exempt != nil})
	}
	return out, nil
}
