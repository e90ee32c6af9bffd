package api

import (
	"net/http"

	"github.com/answerable-ledger/answerable/domain"
)

// Words is every code that answers carry, in words: by what it is of, then by code.
type Words struct {
	Words map[string]map[string]domain.Wording `json:"words" doc:"By what codes are of (status, sign_off, breach, outcome, channel, role, capacity, level, scope, correction, timeliness, rule, kind), then by code."`
}

// wordRoutes: programs compare codes, which never change; who shows an answer to people finds the words here.
func (h *Handler) wordRoutes() []*route {
	return []*route{{id: "list-words", method: http.MethodGet, path: "/v1/words", tag: "forms", summary: "Every code that answers carry, in Vietnamese and English", answer: Words{}, handle: func(c *call) error {
		all := domain.Words()
		delete(all, "detail") // of refusals, which carry their own words
		delete(all, "type")
		delete(all, "signature")
		return c.answer(http.StatusOK, Words{all})
	}}}
}
