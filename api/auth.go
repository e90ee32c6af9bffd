package api

import (
	"context"
	"crypto/sha256"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/answerable-ledger/answerable/appstate"
)

// tokens remembers the tokens that were found, so that the deadline's rush asks the state once per token and not once
// per request. An entry is believed for TokenTTL of real time: that is the longest a revocation by another process takes
// to be noticed. What is not found is not remembered.
type tokens struct {
	h     *Handler
	mu    sync.RWMutex // guards found and epoch
	found map[[sha256.Size]byte]foundToken
	epoch uint64 // counts forget: what was looked up before one is not believed after it
}

type foundToken struct {
	appstate.Token
	until time.Time
}

// maxTokens bounds the memory. Chosen: several tokens for each unit of a country.
const maxTokens = 100_000

// find is the usable token of a secret.
func (t *tokens) find(ctx context.Context, secret string, at time.Time) (appstate.Token, error) {
	hash := sha256.Sum256([]byte(secret))
	now := time.Now()
	t.mu.RLock()
	entry, ok := t.found[hash]
	epoch := t.epoch
	t.mu.RUnlock()
	if ok && now.Before(entry.until) && entry.Usable(at) {
		return entry.Token, nil
	}
	token, err := t.h.State.Token(ctx, secret)
	if err != nil {
		return appstate.Token{}, err
	}
	t.h.State.Used(token.ID, at)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.epoch == epoch {
		if t.found == nil || len(t.found) >= maxTokens {
			t.found = make(map[[sha256.Size]byte]foundToken)
		}
		t.found[hash] = foundToken{token, now.Add(t.h.TokenTTL)}
	}
	return token, nil
}

func (t *tokens) forget() {
	t.mu.Lock()
	t.found, t.epoch = nil, t.epoch+1
	t.mu.Unlock()
}

// TokenRevoked makes the handler look every token up again. Whoever revokes one in this process calls it.
func (h *Handler) TokenRevoked() { h.tokens.forget() }

// authenticate finds the token of a request. Nothing in the answer says which part of a wrong token is wrong.
func (h *Handler) authenticate(r *http.Request, at time.Time) (appstate.Token, error) {
	header := r.Header.Get("Authorization")
	scheme, secret, ok := strings.Cut(header, " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") || secret == "" {
		return appstate.Token{}, refuse(http.StatusUnauthorized, codeTokenMissing)
	}
	token, err := h.tokens.find(r.Context(), secret, at)
	if errors.Is(err, appstate.ErrNoToken) {
		return appstate.Token{}, refuse(http.StatusUnauthorized, codeTokenUnusable)
	}
	return token, err
}
