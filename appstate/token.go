package appstate

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/answerable-ledger/answerable/domain"
)

// Scope of a token: what it lets its person do of what they may do.
type Scope string

const (
	ScopeRead  Scope = "read"
	ScopeWrite Scope = "write" // reading too
)

// Token lets a program act for a person. The secret is not in it: only its hash is kept.
type Token struct {
	ID        string
	Person    domain.PersonID
	Scope     Scope
	Label     string
	CreatedAt time.Time
	ExpiresAt time.Time // zero: never
	UsedAt    time.Time // zero: never used; up to a second behind
	RevokedAt time.Time // zero: in use
}

// Usable reports whether the token may be used at an instant.
func (t Token) Usable(at time.Time) bool {
	return t.RevokedAt.IsZero() && (t.ExpiresAt.IsZero() || at.Before(t.ExpiresAt))
}

// NewToken is what a token is made of.
type NewToken struct {
	Person    domain.PersonID
	Scope     Scope
	Label     string
	ExpiresAt time.Time // zero: never
}

// secretPrefix lets scanners of leaked secrets recognise ours.
const secretPrefix = "answerable_"

// CreateToken makes a token and tells its secret: 256 random bits, the only time it is shown.
func (s *State) CreateToken(ctx context.Context, n NewToken) (secret string, t Token, err error) {
	if !domain.ValidID(string(n.Person)) || n.Person == domain.System {
		return "", Token{}, domain.Refuse(domain.Invalid, domain.CodeID, "/person", "value", string(n.Person))
	}
	if n.Scope != ScopeRead && n.Scope != ScopeWrite {
		return "", Token{}, domain.Refuse(domain.Invalid, domain.CodeChoice, "/scope", "value", string(n.Scope))
	}
	if len(n.Label) > domain.MaxNameBytes {
		return "", Token{}, domain.Refuse(domain.Invalid, domain.CodeTextTooLong, "/label", "max", fmt.Sprint(domain.MaxNameBytes))
	}
	now := s.now()
	if !n.ExpiresAt.IsZero() && !n.ExpiresAt.After(now) {
		return "", Token{}, domain.Refuse(domain.Invalid, domain.CodeNotLater, "/expires_at", "due", now.Format(time.RFC3339))
	}
	random := make([]byte, 40)
	rand.Read(random) // it never fails: crypto/rand ends the process first
	secret = secretPrefix + base64.RawURLEncoding.EncodeToString(random[:32])
	t = Token{ID: hex.EncodeToString(random[32:]), Person: n.Person, Scope: n.Scope, Label: n.Label,
		CreatedAt: now.UTC().Truncate(time.Microsecond), ExpiresAt: n.ExpiresAt.UTC().Truncate(time.Microsecond)}
	if n.ExpiresAt.IsZero() {
		t.ExpiresAt = time.Time{}
	}
	hash := sha256.Sum256([]byte(secret))
	err = s.changeTokens(ctx, s.dialect.sql(`INSERT INTO token (id, hash, person, scope, label, created_at, expires_at, used_at, revoked_at) VALUES (?, ?, ?, ?, ?, ?, ?, 0, 0)`),
		t.ID, hash[:], string(t.Person), string(t.Scope), t.Label, micros(t.CreatedAt), micros(t.ExpiresAt))
	if err != nil {
		return "", Token{}, fmt.Errorf("appstate: create a token for %s: %w", n.Person, err)
	}
	return secret, t, nil
}

const tokenColumns = `id, person, scope, label, created_at, expires_at, used_at, revoked_at`

func scanToken(row interface{ Scan(...any) error }) (Token, error) {
	var t Token
	var created, expires, used, revoked int64
	err := row.Scan(&t.ID, &t.Person, &t.Scope, &t.Label, &created, &expires, &used, &revoked)
	t.CreatedAt, t.ExpiresAt, t.UsedAt, t.RevokedAt = fromMicros(created), fromMicros(expires), fromMicros(used), fromMicros(revoked)
	return t, err
}

// changeTokens runs a statement that changes tokens, and counts the change, so that every process notices it.
func (s *State) changeTokens(ctx context.Context, statement string, args ...any) error {
	return s.inTx(ctx, func(tx *sql.Tx) error {
		for _, x := range []struct {
			statement string
			args      []any
		}{{statement, args}, {`UPDATE token_change SET n = n + 1`, nil}} {
			if _, err := tx.ExecContext(ctx, x.statement, x.args...); err != nil {
				return s.unavailable(err)
			}
		}
		return nil
	})
}

// Tokens lists every token, the oldest first; person "" is everybody's.
func (s *State) Tokens(ctx context.Context, person domain.PersonID) ([]Token, error) {
	rows, err := s.db.QueryContext(ctx, s.dialect.sql(`SELECT `+tokenColumns+` FROM token WHERE ? = '' OR person = ? ORDER BY created_at, id`), string(person), string(person))
	if err != nil {
		return nil, fmt.Errorf("appstate: list tokens: %w: %w", ErrUnavailable, err)
	}
	defer rows.Close()
	var out []Token
	for rows.Next() {
		t, err := scanToken(rows)
		if err != nil {
			return nil, fmt.Errorf("appstate: list tokens: %w: %w", ErrUnavailable, err)
		}
		out = append(out, t)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("appstate: list tokens: %w: %w", ErrUnavailable, err)
	}
	return out, nil
}

// RevokeToken ends a token's use. Revoking twice keeps the first time; ErrNoToken when there is none with the id.
func (s *State) RevokeToken(ctx context.Context, id string) (Token, error) {
	err := s.changeTokens(ctx, s.dialect.sql(`UPDATE token SET revoked_at = ? WHERE id = ? AND revoked_at = 0`), micros(s.now()), id)
	if err != nil {
		return Token{}, fmt.Errorf("appstate: revoke token %s: %w", id, err)
	}
	s.tokens.forget()
	t, err := scanToken(s.db.QueryRowContext(ctx, s.dialect.sql(`SELECT `+tokenColumns+` FROM token WHERE id = ?`), id))
	if errors.Is(err, sql.ErrNoRows) {
		return Token{}, fmt.Errorf("appstate: revoke token %s: %w", id, ErrNoToken)
	}
	if err != nil {
		return Token{}, fmt.Errorf("appstate: revoke token %s: %w: %w", id, ErrUnavailable, err)
	}
	return t, nil
}

// Used notes that a token was used; it is written with the next batch.
func (s *State) Used(id string, at time.Time) {
	s.usedMu.Lock()
	if at.After(s.used[id]) {
		s.used[id] = at
	}
	s.usedMu.Unlock()
}
