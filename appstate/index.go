package appstate

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"time"
)

// tokenIndex holds every token by the hash of its secret: in the rush before a deadline each unit calls once, with its
// own token, so that remembering the tokens that were used would help nobody. Within ttl of a look at the count of
// changes the index is believed; then one caller looks again, and reads all tokens anew when the count has moved.
type tokenIndex struct {
	ttl  time.Duration
	look sync.Mutex // held by who looks at the count of changes; taken before mu

	mu      sync.RWMutex // guards what follows
	byHash  map[[sha256.Size]byte]Token
	changes int64     // the count the index was read at
	looked  time.Time // when the count was looked at, in real time; zero makes the next caller look
	forgot  uint64    // how often forget was called: a look that began before does not count
}

// forget makes the next caller look, because this process changed a token.
func (x *tokenIndex) forget() {
	x.mu.Lock()
	x.looked = time.Time{}
	x.forgot++
	x.mu.Unlock()
}

func (x *tokenIndex) find(hash [sha256.Size]byte) (t Token, found, fresh bool) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	t, found = x.byHash[hash]
	return t, found, !x.looked.IsZero() && time.Since(x.looked) < x.ttl
}

// Token finds the token of a secret that may be used now; ErrNoToken otherwise, without saying what is wrong with it.
// The look-up is by the secret's hash, so its time tells nothing about the secret.
func (s *State) Token(ctx context.Context, secret string) (Token, error) {
	hash := sha256.Sum256([]byte(secret))
	t, found, fresh := s.tokens.find(hash)
	if !fresh {
		if err := s.lookAtTokens(ctx); err != nil {
			return Token{}, err
		}
		t, found, _ = s.tokens.find(hash)
	}
	if !found { // made by another process a moment ago, perhaps
		var err error
		t, err = scanToken(s.db.QueryRowContext(ctx, s.dialect.sql(`SELECT `+tokenColumns+` FROM token WHERE hash = ?`), hash[:]))
		if errors.Is(err, sql.ErrNoRows) {
			return Token{}, ErrNoToken
		}
		if err != nil {
			return Token{}, fmt.Errorf("appstate: find a token: %w: %w", ErrUnavailable, err)
		}
	}
	if !t.Usable(s.now()) {
		return Token{}, ErrNoToken
	}
	return t, nil
}

// lookAtTokens brings the index up to date. Callers wait for the one who looks.
func (s *State) lookAtTokens(ctx context.Context) error {
	x := &s.tokens
	x.look.Lock()
	defer x.look.Unlock()
	x.mu.RLock()
	fresh, read, forgot := !x.looked.IsZero() && time.Since(x.looked) < x.ttl, x.byHash != nil, x.forgot
	changes := x.changes
	x.mu.RUnlock()
	if fresh { // who held the lock before has looked
		return nil
	}
	began := time.Now()
	var count int64
	if err := s.db.QueryRowContext(ctx, `SELECT n FROM token_change`).Scan(&count); err != nil {
		return fmt.Errorf("appstate: look for changed tokens: %w: %w", ErrUnavailable, err)
	}
	var all map[[sha256.Size]byte]Token
	if !read || count != changes {
		var err error
		if all, err = s.readTokens(ctx); err != nil {
			return err
		}
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if all != nil {
		x.byHash, x.changes = all, count
	}
	if x.forgot == forgot {
		x.looked = began
	}
	return nil
}

// readTokens reads what can still be used. It may see changes after the count it is kept under: then the next look
// reads once more than it needs to.
func (s *State) readTokens(ctx context.Context) (map[[sha256.Size]byte]Token, error) {
	rows, err := s.db.QueryContext(ctx, `SELECT hash, `+tokenColumns+` FROM token WHERE revoked_at = 0`)
	if err != nil {
		return nil, fmt.Errorf("appstate: read tokens: %w: %w", ErrUnavailable, err)
	}
	defer rows.Close()
	all := make(map[[sha256.Size]byte]Token)
	for rows.Next() {
		var hash []byte
		t, err := scanToken(scanAfter{rows, &hash})
		if err != nil {
			return nil, fmt.Errorf("appstate: read tokens: %w: %w", ErrUnavailable, err)
		}
		all[[sha256.Size]byte(hash)] = t
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("appstate: read tokens: %w: %w", ErrUnavailable, err)
	}
	return all, nil
}

// scanAfter scans one column before those of a token.
type scanAfter struct {
	rows  *sql.Rows
	first any
}

func (s scanAfter) Scan(rest ...any) error { return s.rows.Scan(append([]any{s.first}, rest...)...) }
