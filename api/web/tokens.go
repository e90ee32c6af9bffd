package web

import (
	"errors"
	"time"

	"github.com/answerable-ledger/answerable/accounts"
	"github.com/answerable-ledger/answerable/api/ui"
	"github.com/answerable-ledger/answerable/appstate"
	"github.com/answerable-ledger/answerable/domain"
)

// tokenDays are how long a token made here may last. Chosen: none is without end, and none outlives a year.
var tokenDays = map[string]int{"1": 1, "30": 30, "90": 90, "365": 365}

func (h *Handler) tokensPage(c *call) error { return h.showTokens(c, nil, "", ui.TokenLine{}) }

func (h *Handler) showTokens(c *call, refusal error, secret string, made ui.TokenLine) error {
	f, err := c.developerTabs("tokens")
	if err != nil {
		return err
	}
	p := ui.Tokens{Frame: f, Secret: secret, Made: made, Fresh: c.session.Fresh(c.at), Everybody: c.actor.Has(domain.RoleAdmin, ""), Origin: h.Operate.Site}
	whose := c.person.ID
	if p.Everybody {
		whose = ""
	}
	if p.Rows, err = h.tokenLines(c, whose); err != nil {
		return err
	}
	status, err := c.refused(f, &p.Acts, refusal)
	if err != nil {
		return err
	}
	return c.render(status, p)
}

// tokenLines lists tokens, the newest first; of everybody for "".
func (h *Handler) tokenLines(c *call, whose domain.PersonID) ([]ui.TokenLine, error) {
	all, err := h.State.Tokens(c.ctx, whose)
	var out []ui.TokenLine
	for i := len(all) - 1; i >= 0; i-- {
		out = append(out, tokenLine(all[i], c.at))
	}
	return out, err
}

func tokenLine(t appstate.Token, at time.Time) ui.TokenLine {
	return ui.TokenLine{ID: t.ID, Person: t.Person, Scope: string(t.Scope), Label: t.Label, Created: t.CreatedAt, Expires: t.ExpiresAt, Used: t.UsedAt, Revoked: t.RevokedAt, Live: t.Usable(at)}
}

// tokenCreate makes a token that acts for whoever is signed in, who has just proved it; its secret is told once.
func (h *Handler) tokenCreate(c *call) error {
	if !c.session.Fresh(c.at) {
		return accounts.ErrNotFresh
	}
	form := c.r.PostForm
	days, ok := tokenDays[form.Get("days")]
	if !ok {
		return errForm
	}
	secret, t, err := h.State.CreateToken(c.ctx, appstate.NewToken{Person: c.person.ID, Scope: appstate.Scope(form.Get("scope")), Label: typedText(c, "label"),
		ExpiresAt: c.at.Add(time.Duration(days) * 24 * time.Hour)})
	if err == nil {
		err = h.logToken(c, t, "token_created")
	}
	if err != nil {
		return h.showTokens(c, err, "", ui.TokenLine{})
	}
	return h.showTokens(c, nil, secret, tokenLine(t, c.at))
}

// tokenRevoke ends a token's use: one's own, or for an administrator anybody's.
func (h *Handler) tokenRevoke(c *call) error {
	id := c.r.PostForm.Get("token")
	whose := c.person.ID
	if c.actor.Has(domain.RoleAdmin, "") {
		whose = ""
	}
	lines, err := h.tokenLines(c, whose)
	if err != nil {
		return err
	}
	for _, line := range lines {
		if line.ID != id {
			continue
		}
		t, err := h.State.RevokeToken(c.ctx, id)
		if errors.Is(err, appstate.ErrNoToken) {
			return errNotFound
		}
		if err == nil && line.Revoked.IsZero() {
			err = h.logToken(c, t, "token_revoked")
		}
		if err != nil {
			return err
		}
		return c.redirect("/tokens")
	}
	return errNotFound // somebody else's is none of the caller's business
}

// logToken notes it in the log of its person's account.
func (h *Handler) logToken(c *call, t appstate.Token, act string) error {
	return h.State.LogAccount(c.ctx, appstate.AccountEntry{At: c.at, Person: t.Person, By: c.person.ID, Act: act, Address: c.session.Address, Detail: t.ID + " " + string(t.Scope)})
}
