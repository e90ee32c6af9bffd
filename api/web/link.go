package web

import (
	"net/http"
	"strings"

	"github.com/answerable-ledger/answerable/api/ui"
	"github.com/answerable-ledger/answerable/domain"
)

// linksPage lets an administrator make a one-time link into somebody's account.
func (h *Handler) linksPage(c *call) error {
	f, err := c.frame("links")
	if err != nil {
		return err
	}
	return c.render(http.StatusOK, ui.Links{Frame: f})
}

// linkIssue tells the secret once, on the page that answers: nobody can ask for it again.
func (h *Handler) linkIssue(c *call) error {
	f, err := c.frame("links")
	if err != nil {
		return err
	}
	person := domain.PersonID(strings.TrimSpace(c.r.PostForm.Get("person")))
	if !domain.ValidID(string(person)) {
		return domain.Refuse(domain.NotFound, domain.CodePersonUnknown, "/person", "person", string(person))
	}
	secret, link, err := h.Accounts.IssueLink(c.ctx, c.attempt, c.session, person)
	if err != nil {
		return err
	}
	return c.render(http.StatusOK, ui.Links{Frame: f, For: person, Address: "/link#" + secret, Until: link.ExpiresAt})
}
