package api

import (
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/answerable-ledger/answerable/appstate"
)

// authenticate finds the token of a request. Nothing in the answer says which part of a wrong token is wrong.
func (h *Handler) authenticate(r *http.Request, at time.Time) (appstate.Token, error) {
	scheme, secret, ok := strings.Cut(r.Header.Get("Authorization"), " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") || secret == "" {
		return appstate.Token{}, refuse(http.StatusUnauthorized, codeTokenMissing)
	}
	token, err := h.State.Token(r.Context(), secret)
	if errors.Is(err, appstate.ErrNoToken) {
		return appstate.Token{}, refuse(http.StatusUnauthorized, codeTokenUnusable)
	}
	if err == nil {
		h.State.Used(token.ID, at)
	}
	return token, err
}
