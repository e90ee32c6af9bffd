package web

import (
	"errors"
	"net/http"

	"go.uber.org/zap"

	"github.com/answerable-ledger/answerable/accounts"
	"github.com/answerable-ledger/answerable/api/ui"
	"github.com/answerable-ledger/answerable/appstate"
)

func (h *Handler) oidcBegin(c *call) error {
	next := c.r.PostForm.Get("next")
	d, err := h.Accounts.BeginOIDC(c.ctx, c.attempt, next)
	if err != nil {
		return h.oidcFailed(c, next, err)
	}
	return h.depart(c, d)
}

// oidcBind begins to bind who is signed in to who they are at the provider.
func (h *Handler) oidcBind(c *call) error {
	d, err := h.Accounts.BeginBinding(c.ctx, c.attempt, c.session)
	if err != nil {
		return h.oidcFailed(c, "", err)
	}
	return h.depart(c, d)
}

// depart sends the browser to the provider by a page: browsers hold form-action against every address that a form is
// redirected to, and where the provider sends them on to is not known here.
func (h *Handler) depart(c *call, d accounts.Departure) error {
	h.Accounts.SetDeparture(c.w, d)
	c.w.Header().Set("Refresh", "0; url="+d.To)
	return c.render(http.StatusOK, ui.Provider{Frame: c.bare("provider"), Name: h.Accounts.Provider(), To: d.To})
}

// oidcReturn is where the provider sends the browser back to. It is a GET, which another site can send: nothing is done
// before our own page posts what it brought.
func (h *Handler) oidcReturn(c *call) error {
	if h.Accounts.Provider() == "" {
		return errNotFound
	}
	if c.query.Get("error") != "" { // the person said no, or the provider did
		return h.oidcFailed(c, "", accounts.ErrNotVouched)
	}
	return c.render(http.StatusOK, ui.Provider{Frame: c.bare("provider"), Name: h.Accounts.Provider(), Code: c.query.Get("code"), State: c.query.Get("state")})
}

func (h *Handler) oidcFinish(c *call) error {
	h.Accounts.ClearDeparture(c.w)
	r, err := h.Accounts.FinishOIDC(c.ctx, c.attempt, c.session, c.r.PostForm.Get("code"), c.r.PostForm.Get("state"))
	if err != nil {
		return h.oidcFailed(c, "", err)
	}
	if r.Bound {
		return c.redirect(back("bound"))
	}
	h.Accounts.SetCookie(c.w, r.Opened)
	return c.redirect(whereTo(r.Next))
}

// oidcFailed shows the page it began on, which has every other way to sign in.
func (h *Handler) oidcFailed(c *call, next string, err error) error {
	known := errors.Is(err, accounts.ErrNotVouched) || errors.Is(err, accounts.ErrUnbound) || errors.Is(err, accounts.ErrProvider) || errors.Is(err, appstate.ErrSubjectTaken)
	if !known {
		return err
	}
	if errors.Is(err, accounts.ErrProvider) {
		h.Logger.Warn("the provider of OpenID Connect cannot be asked", zap.String("request", c.id), zap.Error(err))
	}
	status, _ := statusOf(err)
	if c.person.Exists() {
		return h.showAccount(c, status, err)
	}
	return c.render(status, h.signInForm(c, next, "", err))
}

func (h *Handler) oidcUnbind(c *call) error {
	form := c.r.PostForm
	if err := h.Accounts.Unbind(c.ctx, c.attempt, c.session, form.Get("issuer"), form.Get("subject")); err != nil {
		return err
	}
	return c.redirect(back("unbound"))
}
