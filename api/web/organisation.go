package web

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/answerable-ledger/answerable/accounts"
	"github.com/answerable-ledger/answerable/api/ui"
	"github.com/answerable-ledger/answerable/commands"
	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/projections"
)

// unitsOnPage bounds a page of the organisation. Chosen: a province's communes after two pages.
const unitsOnPage = 100

func (h *Handler) organisationPage(c *call) error { return h.showOrganisation(c, nil) }

// showOrganisation lists the units of a day, and who holds their offices now.
func (h *Handler) showOrganisation(c *call, refusal error) error {
	f, err := c.peopleTabs("organisation")
	if err != nil {
		return err
	}
	if f.Date, err = c.dayOr(domain.DateAt(c.at, domain.HoChiMinh)); err != nil {
		return err
	}
	q := c.query
	p := ui.Organisation{Frame: f, MayRegister: c.may("register-unit"), Search: q.Get("q"), Level: domain.Level(q.Get("level")), Parent: domain.UnitCode(q.Get("parent"))}
	if p.Parent != "" && !domain.ValidID(string(p.Parent)) {
		return domain.Refuse(domain.NotFound, domain.CodeUnitUnknown, "/parent", "parent", string(p.Parent))
	}
	page, err := h.Views.Units(c.ctx, projections.UnitQuery{AsOf: f.Date, Search: p.Search, Level: p.Level, Parent: p.Parent, After: q.Get("cursor"), Limit: unitsOnPage})
	if err != nil {
		return err
	}
	p.Next = page.Next
	for _, u := range page.Rows {
		row := ui.OrganisationRow{UnitRow: u}
		o, err := h.Ledger.Office(c.ctx, u.Unit)
		if err != nil {
			return err
		}
		if t, ok := o.HeadAt(c.at); ok {
			row.Holder, row.Capacity = t.Person, t.Capacity
			if row.HolderName, err = c.personName(t.Person); err != nil {
				return err
			}
		}
		p.Rows = append(p.Rows, row)
	}
	status, err := c.refused(f, &p.Acts, refusal)
	if err != nil {
		return err
	}
	return c.render(status, p)
}

// typedUnit reads a field that names a unit; "" where none is typed.
func (c *call) typedUnit(name string) (domain.UnitCode, error) {
	code := domain.UnitCode(strings.TrimSpace(c.r.PostForm.Get(name)))
	if code == "" {
		return "", nil
	}
	if !domain.ValidID(string(code)) {
		return "", domain.Refuse(domain.NotFound, domain.CodeUnitUnknown, "/"+name, "unit", string(code))
	}
	_, err := c.h.Ledger.Unit(c.ctx, code)
	return code, err
}

// registerUnit brings a unit in under its official code.
func (h *Handler) registerUnit(c *call) error {
	form := c.r.PostForm
	code := strings.TrimSpace(form.Get("unit"))
	return c.act("/organisation/"+url.PathEscape(code), h.showOrganisation, func(cmd commands.Command) (commands.Result, error) {
		parent, err := c.typedUnit("parent")
		if err != nil {
			return commands.Result{}, err
		}
		return h.Ledger.RegisterUnit(c.ctx, cmd, domain.UnitRegistered{Unit: domain.UnitCode(code), Level: domain.Level(form.Get("level")), Type: typedText(c, "type"),
			Name: typedText(c, "name"), Parent: parent, EffectiveOn: domain.Date(form.Get("effective_on")), Source: typedText(c, "source")})
	})
}

// changeUnit renames, moves, merges or dissolves a unit, or gives it another type, from a day on.
func (h *Handler) changeUnit(c *call) error {
	return c.act(c.officePath(), h.showOffice, func(cmd commands.Command) (commands.Result, error) {
		form, unit := c.r.PostForm, domain.UnitCode(c.path("unit"))
		on, basis := domain.Date(form.Get("effective_on")), typedText(c, "basis")
		other, err := c.typedUnit("other")
		if err != nil {
			return commands.Result{}, err
		}
		var e domain.Event
		switch change := form.Get("change"); change {
		case "renamed":
			e = domain.UnitRenamed{Unit: unit, Name: typedText(c, "name"), EffectiveOn: on, Basis: basis}
		case "reclassified":
			e = domain.UnitReclassified{Unit: unit, Type: typedText(c, "type"), Name: typedText(c, "name"), EffectiveOn: on, Basis: basis}
		case "moved", "merged":
			if other == "" {
				return commands.Result{}, domain.Refuse(domain.Invalid, domain.CodeTextMissing, "/other")
			}
			if e = (domain.UnitMoved{Unit: unit, Parent: other, EffectiveOn: on, Basis: basis}); change == "merged" {
				e = domain.UnitMerged{Unit: unit, Into: other, EffectiveOn: on, Basis: basis}
			}
		case "dissolved":
			e = domain.UnitDissolved{Unit: unit, EffectiveOn: on, Basis: basis}
		default:
			return commands.Result{}, errForm
		}
		return h.Ledger.ChangeUnit(c.ctx, cmd, unit, e)
	})
}

// dayOr is the day asked for, or another.
func (c *call) dayOr(d domain.Date) (domain.Date, error) {
	if text := c.query.Get("date"); text != "" {
		day, err := domain.ParseDate(text)
		if err != nil {
			return "", domain.Refuse(domain.Invalid, domain.CodeDate, "/date", "value", text)
		}
		return day, nil
	}
	return d, nil
}

// personName is what a person is called; their id where nobody registered them.
func (c *call) personName(id domain.PersonID) (string, error) {
	p, err := c.h.Ledger.Person(c.ctx, id)
	if err != nil {
		return "", err
	}
	return cmp.Or(p.Name, string(id)), nil
}

func (h *Handler) officePage(c *call) error { return h.showOffice(c, nil) }

// showOffice shows a unit through all its days, and everybody who held its office or may sign for it.
func (h *Handler) showOffice(c *call, refusal error) error {
	f, err := c.peopleTabs("office")
	if err != nil {
		return err
	}
	unit := domain.UnitCode(c.path("unit"))
	u, err := h.Ledger.Unit(c.ctx, unit)
	if err != nil {
		return err
	}
	today := domain.DateAt(c.at, domain.HoChiMinh)
	f.Title = u.On(today).Name
	p := ui.UnitOffice{Frame: f, Code: unit, Level: u.Level, From: u.From, Until: u.Until, Into: u.Into, MaySee: c.may("person"), MayExplore: c.may("events"),
		MayAppoint: c.actor.Has(domain.RoleDepartment, "")}
	for i, period := range u.Periods {
		line := ui.UnitPeriod{UnitPeriod: period, Until: u.Until}
		if i+1 < len(u.Periods) {
			line.Until = u.Periods[i+1].From
		}
		if period.Parent != "" {
			if line.ParentName, err = c.unitName(period.Parent, period.From); err != nil {
				return err
			}
		}
		p.Periods = append(p.Periods, line)
	}
	slices.Reverse(p.Periods)
	o, err := h.Ledger.Office(c.ctx, unit)
	if err != nil {
		return err
	}
	if t, ok := o.HeadAt(c.at); ok {
		p.Held = t.Person
	}
	p.MayDelegate = p.MayAppoint || p.Held != "" && p.Held == c.person.ID
	if p.Tenures, p.Authorities, err = c.officeLines(o, ""); err != nil {
		return err
	}
	children, err := h.Views.Units(c.ctx, projections.UnitQuery{AsOf: today, Parent: unit, Limit: projections.MaxLimit})
	if err != nil {
		return err
	}
	p.Children = children.Rows
	for _, form := range h.Registry.Forms() {
		p.Forms = append(p.Forms, ui.Choice{Value: string(form.ID), Text: f.Word(form.Title)})
	}
	status, err := c.refused(f, &p.Acts, refusal)
	if err != nil {
		return err
	}
	return c.render(status, p)
}

// officeLines are the tenures and rights of an office, the newest first; of one person, or of everybody.
func (c *call) officeLines(o domain.Office, person domain.PersonID) (tenures []ui.TenureLine, rights []ui.AuthorityLine, err error) {
	name := ""
	if person != "" {
		if name, err = c.unitName(o.Unit, domain.DateAt(c.at, domain.HoChiMinh)); err != nil {
			return nil, nil, err
		}
	}
	for _, t := range o.Tenures {
		if person != "" && t.Person != person {
			continue
		}
		line := ui.TenureLine{Tenure: t, Unit: o.Unit, UnitName: name, Now: t.Covers(c.at)}
		if line.Name, err = c.personName(t.Person); err != nil {
			return nil, nil, err
		}
		tenures = append(tenures, line)
	}
	for _, a := range o.Authorities {
		if person != "" && a.Person != person {
			continue
		}
		line := ui.AuthorityLine{Authority: a, UnitName: name, State: during(c.at, a.From, a.Until)}
		if !a.RevokedAt.IsZero() {
			line.State = "revoked"
		}
		if line.Name, err = c.personName(a.Person); err != nil {
			return nil, nil, err
		}
		rights = append(rights, line)
	}
	slices.SortStableFunc(tenures, func(a, b ui.TenureLine) int { return b.From.Compare(a.From) })
	slices.SortStableFunc(rights, func(a, b ui.AuthorityLine) int { return b.From.Compare(a.From) })
	return tenures, rights, nil
}

// during says where an instant lies in a time; until zero is without end.
func during(at, from, until time.Time) string {
	switch {
	case at.Before(from):
		return "later"
	case !until.IsZero() && !at.Before(until):
		return "over"
	}
	return "now"
}

// typedInstant reads a field of a form that holds an instant; empty is another instant, which may be zero.
func (c *call) typedInstant(name string, empty time.Time) (time.Time, error) {
	text := strings.TrimSpace(c.r.PostForm.Get(name))
	if text == "" {
		return empty, nil
	}
	for _, layout := range []string{"2006-01-02T15:04:05", "2006-01-02T15:04", time.DateOnly} {
		if t, err := time.ParseInLocation(layout, text, domain.HoChiMinh); err == nil {
			return t, nil
		}
	}
	return time.Time{}, domain.Refuse(domain.Invalid, domain.CodeDate, "/"+name, "value", text)
}

// typedPerson reads a field that names a person.
func (c *call) typedPerson() (domain.PersonID, error) {
	id := strings.TrimSpace(c.r.PostForm.Get("person"))
	if !domain.ValidID(id) {
		return "", domain.Refuse(domain.NotFound, domain.CodePersonUnknown, "/person", "person", id)
	}
	return domain.PersonID(id), nil
}

// act runs the command of a form, and shows the page again with what is wrong when it is refused.
func (c *call) act(to string, again func(*call, error) error, do func(commands.Command) (commands.Result, error)) error {
	cmd, err := c.command()
	var r commands.Result
	if err == nil {
		r, err = do(cmd)
	}
	if err != nil {
		return again(c, err)
	}
	return c.done(to, r)
}

func (c *call) officePath() string { return "/organisation/" + url.PathEscape(c.path("unit")) }

// officeTerms are the fields that every form about the holder of an office has.
type officeTerms struct {
	unit        domain.UnitCode
	person      domain.PersonID
	from, until time.Time
}

// terms reads those fields; an instant that is not typed is the one given.
func (c *call) terms(from, until time.Time) (officeTerms, error) {
	t := officeTerms{unit: domain.UnitCode(c.path("unit"))}
	var err error
	if t.person, err = c.typedPerson(); err != nil {
		return t, err
	}
	if t.from, err = c.typedInstant("from", from); err != nil {
		return t, err
	}
	t.until, err = c.typedInstant("until", until)
	return t, err
}

// actOnOffice runs the command of a form about who answers for a unit. It takes a fresh proof: who finds the page open makes
// nobody a head, and lets nobody sign.
func (h *Handler) actOnOffice(c *call, do func(commands.Command) (commands.Result, error)) error {
	if !c.session.Fresh(c.at) {
		return accounts.ErrNotFresh
	}
	return c.act(c.officePath(), h.showOffice, do)
}

// appoint records that somebody became head or acting head.
func (h *Handler) appoint(c *call) error {
	return h.actOnOffice(c, func(cmd commands.Command) (commands.Result, error) {
		t, err := c.terms(c.at, time.Time{})
		if err != nil {
			return commands.Result{}, err
		}
		return h.Ledger.TakeOffice(c.ctx, cmd, domain.OfficeTaken{Unit: t.unit, Person: t.person, Capacity: domain.Capacity(c.r.PostForm.Get("capacity")),
			Title: typedText(c, "title"), From: t.from, Decision: typedText(c, "decision")})
	})
}

// leave records that the holder of an office left it.
func (h *Handler) leave(c *call) error {
	return h.actOnOffice(c, func(cmd commands.Command) (commands.Result, error) {
		t, err := c.terms(time.Time{}, c.at)
		if err != nil {
			return commands.Result{}, err
		}
		return h.Ledger.LeaveOffice(c.ctx, cmd, domain.OfficeLeft{Unit: t.unit, Person: t.person, Until: t.until, Reason: typedText(c, "reason")})
	})
}

// delegate lets somebody sign for the head, for a time.
func (h *Handler) delegate(c *call) error {
	return h.actOnOffice(c, func(cmd commands.Command) (commands.Result, error) {
		t, err := c.terms(c.at, time.Time{})
		if err != nil {
			return commands.Result{}, err
		}
		var forms []domain.FormID
		for _, form := range c.r.PostForm["form"] {
			if _, ok := h.Registry.CurrentForm(domain.FormID(form)); !ok {
				return commands.Result{}, domain.Refuse(domain.NotFound, domain.CodeFormUnknown, "/form", "form", form)
			}
			forms = append(forms, domain.FormID(form))
		}
		// The form's key names the authority: sending the form twice grants one.
		name := "uq_" + strings.ReplaceAll(c.r.PostForm.Get("key"), "-", "")[:min(12, len(strings.ReplaceAll(c.r.PostForm.Get("key"), "-", "")))]
		return h.Ledger.GrantAuthority(c.ctx, cmd, domain.AuthorityGranted{Unit: t.unit, Authority: name, Person: t.person,
			Capacity: domain.Capacity(c.r.PostForm.Get("capacity")), Title: typedText(c, "title"), Forms: forms, From: t.from, Until: t.until, Decision: typedText(c, "decision")})
	})
}

// undelegate ends a right to sign before its time.
func (h *Handler) undelegate(c *call) error {
	return h.actOnOffice(c, func(cmd commands.Command) (commands.Result, error) {
		return h.Ledger.RevokeAuthority(c.ctx, cmd, domain.UnitCode(c.path("unit")), c.r.PostForm.Get("authority"), typedText(c, "reason"))
	})
}

// heldBy lists the offices a person holds or held, and the rights to sign they have or had.
func (c *call) heldBy(ctx context.Context, person domain.PersonID) (tenures []ui.TenureLine, rights []ui.AuthorityLine, err error) {
	units, err := c.h.Ledger.Units(ctx)
	if err != nil {
		return nil, nil, err
	}
	for _, u := range units {
		o, err := c.h.Ledger.Office(ctx, u.Code)
		if err != nil {
			return nil, nil, fmt.Errorf("web: the offices of %s: %w", person, err)
		}
		t, a, err := c.officeLines(o, person)
		if err != nil {
			return nil, nil, err
		}
		tenures, rights = append(tenures, t...), append(rights, a...)
	}
	slices.SortStableFunc(tenures, func(a, b ui.TenureLine) int { return b.From.Compare(a.From) })
	slices.SortStableFunc(rights, func(a, b ui.AuthorityLine) int { return b.From.Compare(a.From) })
	return tenures, rights, nil
}
