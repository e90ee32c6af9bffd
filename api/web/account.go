package web

import (
	"net/http"
	"slices"

	"github.com/answerable-ledger/answerable/api/ui"
	"github.com/answerable-ledger/answerable/domain"
)

func (h *Handler) accountPage(c *call) error { return h.showAccount(c, http.StatusOK, nil) }

func (h *Handler) showAccount(c *call, status int, problem error) error {
	f, err := c.frame("account")
	if err != nil {
		return err
	}
	p := ui.Account{Frame: f, Saved: c.query.Get("done") != "", ID: c.person.ID, Method: string(c.session.Method()), Ends: c.session.EndsAt(), Fresh: c.session.Fresh(c.at), PasskeysWork: h.Accounts.PasskeysWork(), Provider: h.Accounts.Provider()}
	if problem != nil {
		p.Problem = words(problem, f)
	}
	for _, g := range c.actor.Grants {
		role := ui.AccountRole{Role: g.Role, Unit: g.Unit}
		if g.Unit != "" {
			if role.Name, err = c.unitName(g.Unit, domain.DateAt(c.at, domain.HoChiMinh)); err != nil {
				return err
			}
		}
		p.Roles = append(p.Roles, role)
	}
	if p.Rights, err = c.rights(); err != nil {
		return err
	}
	sessions, err := h.Accounts.Sessions(c.ctx, c.person.ID)
	if err != nil {
		return err
	}
	for _, s := range sessions {
		p.Sessions = append(p.Sessions, ui.AccountSession{ID: s.ID, Here: s.ID == c.session.ID, Method: string(s.Method()), Since: s.CreatedAt, Used: s.SeenAt, Address: s.Address, Agent: s.Agent})
	}
	if p.HasPassword, err = h.Accounts.HasPassword(c.ctx, c.person.ID); err != nil {
		return err
	}
	if m, ok := c.person.SignInMethod(domain.SignInPassword, ""); ok && p.HasPassword {
		p.PasswordSet = m.SetAt
	}
	keys, err := h.Accounts.Passkeys(c.ctx, c.person)
	if err != nil {
		return err
	}
	for _, k := range keys {
		p.Passkeys = append(p.Passkeys, ui.AccountPasskey{Credential: k.Credential, Label: k.Detail.Label, Enrolled: k.EnrolledAt, Revoked: k.RevokedAt, Used: k.UsedAt, SignsIn: k.SignsIn, Signs: k.Signs})
	}
	if p.Subjects, err = h.subjectsOf(c, c.person.ID); err != nil {
		return err
	}
	p.OtherWays = len(p.Subjects) > 0 || slices.ContainsFunc(p.Passkeys, func(k ui.AccountPasskey) bool { return k.SignsIn && k.Revoked.IsZero() })
	return c.render(status, p)
}

func (h *Handler) subjectsOf(c *call, person domain.PersonID) ([]ui.AccountSubject, error) {
	subjects, err := h.State.Subjects(c.ctx, person)
	var out []ui.AccountSubject
	for _, x := range subjects {
		out = append(out, ui.AccountSubject{Issuer: x.Issuer, Subject: x.Subject, Bound: x.BoundAt, Used: x.UsedAt})
	}
	return out, err
}

// rights lists what a person may sign by now. Who has a role that never signs is not looked for among all the offices.
func (c *call) rights() ([]ui.AccountRight, error) {
	if len(c.actor.Grants) > 0 && !c.actor.HasAny(domain.RoleHead) {
		return nil, nil
	}
	tenures, authorities, err := c.heldBy(c.ctx, c.person.ID)
	var out []ui.AccountRight
	for _, t := range tenures {
		if t.Covers(c.at) {
			out = append(out, ui.AccountRight{UnitName: t.UnitName, Capacity: t.Capacity, Title: t.Title, Until: t.Until})
		}
	}
	for _, a := range authorities {
		if a.Covers(c.at) {
			out = append(out, ui.AccountRight{UnitName: a.UnitName, Capacity: a.Capacity, Title: a.Title, Until: a.Until})
		}
	}
	return out, err
}

func (h *Handler) endSession(c *call) error {
	id := c.r.PostForm.Get("session")
	if err := h.Accounts.EndSession(c.ctx, c.attempt, c.session, id); err != nil {
		return err
	}
	return c.redirect(back("session"))
}

func (h *Handler) endOthers(c *call) error {
	if _, err := h.Accounts.EndOtherSessions(c.ctx, c.attempt, c.session); err != nil {
		return err
	}
	return c.redirect(back("sessions"))
}

func (h *Handler) stepUpPassword(c *call) error {
	opened, err := h.Accounts.StepUpPassword(c.ctx, c.attempt, c.session, c.r.PostForm.Get("password"))
	if err != nil {
		return err
	}
	h.Accounts.SetCookie(c.w, opened)
	return c.redirect(back("stepup"))
}

func (h *Handler) stepUpBegin(c *call) error {
	ceremony, err := h.Accounts.BeginStepUp(c.ctx, c.attempt, c.session)
	if err != nil {
		return err
	}
	return c.answerJSON(challenge(ceremony))
}

func (h *Handler) stepUpFinish(c *call) error {
	in, err := c.scripted()
	if err != nil {
		return err
	}
	opened, err := h.Accounts.FinishStepUp(c.ctx, c.attempt, c.session, in.Ceremony, in.Response)
	if err != nil {
		return err
	}
	h.Accounts.SetCookie(c.w, opened)
	return c.answerJSON(onward{back("stepup")})
}

func (h *Handler) setPassword(c *call) error {
	err := h.Accounts.SetPassword(c.ctx, c.attempt, c.session, c.r.PostForm.Get("password"))
	if passwordRefused(err) {
		return h.showAccount(c, http.StatusUnprocessableEntity, err)
	}
	if err != nil {
		return err
	}
	return c.redirect(back("password"))
}

// removePassword takes away the password of who asks. Who has no other way to sign in is not offered it.
func (h *Handler) removePassword(c *call) error {
	if err := h.Accounts.RemovePassword(c.ctx, c.attempt, c.session, c.person.ID, ""); err != nil {
		return err
	}
	return c.redirect(back("password"))
}

func (h *Handler) passkeyBegin(c *call) error {
	ceremony, err := h.Accounts.BeginEnrolment(c.ctx, c.attempt, c.session)
	if err != nil {
		return err
	}
	return c.answerJSON(challenge(ceremony))
}

func (h *Handler) passkeyFinish(c *call) error {
	in, err := c.scripted()
	if err != nil {
		return err
	}
	if _, err := h.Accounts.FinishEnrolment(c.ctx, c.attempt, c.session, in.Ceremony, in.Label, in.Response); err != nil {
		return err
	}
	return c.answerJSON(onward{back("passkey")})
}

func (h *Handler) passkeyRevoke(c *call) error {
	form := c.r.PostForm
	if _, err := h.Accounts.RevokePasskey(c.ctx, c.attempt, c.session, c.person.ID, form.Get("credential"), form.Get("reason")); err != nil {
		return err
	}
	return c.redirect(back("revoked"))
}
