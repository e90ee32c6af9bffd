package web

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/answerable-ledger/answerable/accounts"
	"github.com/answerable-ledger/answerable/api/ui"
	"github.com/answerable-ledger/answerable/commands"
	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/eventlog"
	"github.com/answerable-ledger/answerable/projections"
)

// roster knows who was ever registered, by following the log as far as it goes whenever it is asked.
type roster struct {
	mu      sync.Mutex // owns what follows
	after   eventlog.Position
	persons []domain.PersonID // sorted
}

func (r *roster) all(ctx context.Context, log Record) ([]domain.PersonID, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	prefix := domain.CategoryPerson + "-"
	for b, err := range log.Follow(ctx, r.after, eventlog.Filter{Prefixes: []string{prefix}}, eventlog.FollowOptions{}) {
		if err != nil {
			return nil, fmt.Errorf("web: list persons: %w", err)
		}
		for _, e := range b.Events {
			if id, _ := strings.CutPrefix(e.Stream, prefix); e.Revision == 0 {
				if i, there := slices.BinarySearch(r.persons, domain.PersonID(id)); !there {
					r.persons = slices.Insert(slices.Clone(r.persons), i, domain.PersonID(id))
				}
			}
			r.after = e.Position
		}
		if b.CaughtUp {
			break
		}
	}
	return r.persons, nil
}

// personsOnPage bounds a page of persons. Chosen.
const personsOnPage = 100

func (h *Handler) peoplePage(c *call) error { return h.showPeople(c, nil) }

func (h *Handler) showPeople(c *call, refusal error) error {
	f, err := c.peopleTabs("people")
	if err != nil {
		return err
	}
	p := ui.Persons{Frame: f, Search: c.query.Get("q"), MayRegister: c.may("register"), MaySee: c.may("person")}
	if h.Operate.Events == nil {
		return errNotFound
	}
	ids, err := h.operating.roster.all(c.ctx, h.Operate.Events)
	if err != nil {
		return err
	}
	first, there := slices.BinarySearch(ids, domain.PersonID(c.query.Get("cursor")))
	if there {
		first++
	}
	wanted := strings.Fields(projections.Folded(p.Search))
	for _, id := range ids[first:] {
		person, err := h.Ledger.Person(c.ctx, id)
		if err != nil {
			return err
		}
		folded := projections.Folded(person.Name + " " + string(id))
		if !person.Exists() || slices.ContainsFunc(wanted, func(w string) bool { return !strings.Contains(folded, w) }) {
			continue
		}
		if len(p.Rows) == personsOnPage {
			p.Next = string(p.Rows[personsOnPage-1].ID)
			break
		}
		line := ui.PersonLine{ID: id, Name: person.Name, Synthetic: person.Synthetic}
		for _, g := range person.Grants {
			if r, err := c.roleLine(g); err != nil {
				return err
			} else if r.State == "now" {
				line.Roles = append(line.Roles, r)
			}
		}
		p.Rows = append(p.Rows, line)
	}
	status, err := c.refused(f, &p.Acts, refusal)
	if err != nil {
		return err
	}
	return c.render(status, p)
}

func (c *call) roleLine(g domain.RoleGranted) (ui.RoleLine, error) {
	line := ui.RoleLine{Role: g.Role, Unit: g.Unit, From: g.From, By: g.GrantedBy}
	if g.Until != nil {
		line.Until = *g.Until
	}
	line.State = during(c.at, line.From, line.Until)
	if g.Unit == "" {
		return line, nil
	}
	var err error
	line.UnitName, err = c.unitName(g.Unit, domain.DateAt(c.at, domain.HoChiMinh))
	return line, err
}

// registerPerson records somebody new. They can do nothing until they are given a role, and a way to sign in.
func (h *Handler) registerPerson(c *call) error {
	id := strings.TrimSpace(c.r.PostForm.Get("person"))
	return c.act("/people/"+url.PathEscape(id), h.showPeople, func(cmd commands.Command) (commands.Result, error) {
		return h.Ledger.RegisterPerson(c.ctx, cmd, domain.PersonRegistered{Person: domain.PersonID(id), Name: typedText(c, "name")})
	})
}

func (h *Handler) personPage(c *call) error { return h.showPerson(c, nil) }

// accountLines bounds what a person's page shows of their account log. Chosen.
const accountLines = 20

// showPerson shows everything about somebody, with dates: roles, offices, rights to sign, keys, and what happened to their
// account.
func (h *Handler) showPerson(c *call, refusal error) error {
	f, err := c.peopleTabs("person")
	if err != nil {
		return err
	}
	id := domain.PersonID(c.path("person"))
	person, err := h.mustPerson(c, id)
	if err != nil {
		return err
	}
	f.Title = person.Name
	p := ui.Person{Frame: f, ID: id, Name: person.Name, IsSynthetic: person.Synthetic, MayAct: c.may("grant-role"), MayExplore: c.may("events"),
		RoleChoices: []domain.Role{domain.RoleFiler, domain.RoleHead, domain.RoleDistrict, domain.RoleDepartment, domain.RoleInspector, domain.RoleAdmin}}
	for _, g := range slices.Backward(person.Grants) {
		line, err := c.roleLine(g)
		if err != nil {
			return err
		}
		p.Roles = append(p.Roles, line)
	}
	if p.Tenures, p.Authorities, err = c.heldBy(c.ctx, id); err != nil {
		return err
	}
	for _, k := range slices.Backward(person.Credentials) {
		p.Credentials = append(p.Credentials, ui.CredentialLine{Credential: k.Credential, Method: k.Method, Enrolled: k.EnrolledAt, By: k.EnrolledBy, Revoked: k.RevokedAt})
	}
	for _, m := range slices.Backward(person.SignInMethods) {
		p.SignIns = append(p.SignIns, ui.SignInLine{Method: m.Method, Issuer: m.Issuer, Set: m.SetAt, Ended: m.EndedAt})
	}
	if err := h.accountOf(c, id, &p); err != nil {
		return err
	}
	status, err := c.refused(f, &p.Acts, refusal)
	if err != nil {
		return err
	}
	return c.render(status, p)
}

// accountOf fills in what only an administrator sees: tokens, sessions and the account log.
func (h *Handler) accountOf(c *call, id domain.PersonID, p *ui.Person) error {
	if !p.MayAct {
		return nil
	}
	var err error
	if p.Tokens, err = h.tokenLines(c, id); err != nil {
		return err
	}
	sessions, err := h.Accounts.Sessions(c.ctx, id)
	if err != nil {
		return err
	}
	p.Sessions = len(sessions)
	if p.HasPassword, err = h.Accounts.HasPassword(c.ctx, id); err != nil {
		return err
	}
	if p.Subjects, err = h.subjectsOf(c, id); err != nil {
		return err
	}
	entries, err := h.Accounts.Log(c.ctx, id, 0, accountLines)
	for _, e := range entries {
		p.Log = append(p.Log, ui.AccountLine{At: e.At, By: e.By, Act: e.Act, From: e.Address})
	}
	return err
}

func (h *Handler) mustPerson(c *call, id domain.PersonID) (domain.Person, error) {
	unknown := domain.Refuse(domain.NotFound, domain.CodePersonUnknown, "/person", "person", string(id))
	if !domain.ValidID(string(id)) {
		return domain.Person{}, unknown
	}
	p, err := h.Ledger.Person(c.ctx, id)
	if err == nil && !p.Exists() {
		return p, unknown
	}
	return p, err
}

func (c *call) personPath() string { return "/people/" + url.PathEscape(c.path("person")) }

// grantRole gives a role, for a unit or for all, for a time. Like every act on what somebody may do or signs in with, it
// takes a fresh proof: who finds the administrator's page open makes nobody an administrator.
func (h *Handler) grantRole(c *call) error {
	if !c.session.Fresh(c.at) {
		return accounts.ErrNotFresh
	}
	return c.act(c.personPath(), h.showPerson, func(cmd commands.Command) (commands.Result, error) {
		form := c.r.PostForm
		unit := domain.UnitCode(strings.TrimSpace(form.Get("unit")))
		if unit != "" && !domain.ValidID(string(unit)) {
			return commands.Result{}, domain.Refuse(domain.NotFound, domain.CodeUnitUnknown, "/unit", "unit", string(unit))
		}
		from, err := c.typedInstant("from", c.at)
		if err != nil {
			return commands.Result{}, err
		}
		end, err := c.typedInstant("until", time.Time{})
		if err != nil {
			return commands.Result{}, err
		}
		var until *time.Time
		if !end.IsZero() {
			until = &end
		}
		return h.Ledger.GrantRole(c.ctx, cmd, domain.PersonID(c.path("person")), domain.Role(form.Get("role")), unit, from, until)
	})
}

// revokeRole takes a role away, from now on.
func (h *Handler) revokeRole(c *call) error {
	if !c.session.Fresh(c.at) {
		return accounts.ErrNotFresh
	}
	return c.act(c.personPath(), h.showPerson, func(cmd commands.Command) (commands.Result, error) {
		form := c.r.PostForm
		return h.Ledger.RevokeRole(c.ctx, cmd, domain.PersonID(c.path("person")), domain.Role(form.Get("role")), domain.UnitCode(form.Get("unit")), typedText(c, "reason"))
	})
}

// revokeCredential ends the use of a key; a passkey then signs nobody in either.
func (h *Handler) revokeCredential(c *call) error {
	if !c.session.Fresh(c.at) {
		return accounts.ErrNotFresh
	}
	return c.act(c.personPath(), h.showPerson, func(cmd commands.Command) (commands.Result, error) {
		return h.Ledger.RevokeCredential(c.ctx, cmd, domain.PersonID(c.path("person")), c.r.PostForm.Get("credential"), typedText(c, "reason"))
	})
}

// personLink makes a one-time link for somebody who lost what they sign in with. It is told once, on the page that answers.
func (h *Handler) personLink(c *call) error {
	f, err := c.peopleTabs("links")
	if err != nil {
		return err
	}
	person, err := h.mustPerson(c, domain.PersonID(c.path("person")))
	if err != nil {
		return err
	}
	secret, link, err := h.Accounts.IssueLink(c.ctx, c.attempt, c.session, person.ID)
	if err != nil {
		return err
	}
	return c.render(http.StatusOK, ui.Links{Frame: f, For: person.ID, Address: "/link#" + secret, Until: link.ExpiresAt})
}

// personUnbind takes from somebody who they are at a provider of OpenID Connect: it signs them in no longer.
func (h *Handler) personUnbind(c *call) error {
	person, err := h.mustPerson(c, domain.PersonID(c.path("person")))
	if err != nil {
		return err
	}
	if err := h.Accounts.UnbindOf(c.ctx, c.attempt, c.session, person.ID, c.r.PostForm.Get("issuer"), c.r.PostForm.Get("subject"), typedText(c, "reason")); err != nil {
		return err
	}
	return c.redirect(c.personPath())
}

// personPassword takes somebody's password away, which ends their sessions: they sign in otherwise, or by a link.
func (h *Handler) personPassword(c *call) error {
	person, err := h.mustPerson(c, domain.PersonID(c.path("person")))
	if err != nil {
		return err
	}
	if err := h.Accounts.RemovePassword(c.ctx, c.attempt, c.session, person.ID, typedText(c, "reason")); err != nil {
		return err
	}
	return c.redirect(c.personPath())
}

// personSessions ends every session of somebody.
func (h *Handler) personSessions(c *call) error {
	person, err := h.mustPerson(c, domain.PersonID(c.path("person")))
	if err != nil {
		return err
	}
	if _, err := h.Accounts.EndSessionsOf(c.ctx, c.attempt, c.session, person.ID); err != nil {
		return err
	}
	return c.redirect(c.personPath())
}
