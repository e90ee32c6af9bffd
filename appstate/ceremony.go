package appstate

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/answerable-ledger/answerable/domain"
)

// ErrNoCeremony: there is no such ceremony, or it was used, or it has expired.
var ErrNoCeremony = errors.New("no such ceremony")

// maxCeremonies bounds the ceremonies under way. Anybody can begin one, so the oldest gives way instead of the newest
// being refused: to disturb a sign-in that takes ten seconds, an attacker needs two thousand of them a second.
const maxCeremonies = 20_000

// Ceremony is a challenge that was put to an authenticator and not answered yet.
type Ceremony struct {
	Hash      string // SHA-256 of its id, in hexadecimal
	Kind      string
	Person    domain.PersonID // "" while it is not known who will answer
	Session   string          // id of the session it belongs to; "" before signing in
	Data      string
	ExpiresAt time.Time
}

// BeginCeremony stores a ceremony.
func (s *State) BeginCeremony(ctx context.Context, c Ceremony) error {
	err := s.inTx(ctx, func(tx *sql.Tx) error {
		now := s.now()
		if err := s.exec(ctx, tx, `DELETE FROM ceremony WHERE expires_at <= ?`, micros(now)); err != nil {
			return err
		}
		if err := s.exec(ctx, tx, `INSERT INTO ceremony (hash, kind, person, session, data, created_at, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?)`,
			c.Hash, c.Kind, string(c.Person), c.Session, c.Data, micros(now), micros(c.ExpiresAt)); err != nil {
			return err
		}
		var n int
		if err := tx.QueryRowContext(ctx, `SELECT COUNT(*) FROM ceremony`).Scan(&n); err != nil {
			return fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
		if n <= maxCeremonies {
			return nil
		}
		return s.exec(ctx, tx, `DELETE FROM ceremony WHERE hash IN (SELECT hash FROM ceremony ORDER BY expires_at, created_at LIMIT ?)`, n-maxCeremonies)
	})
	if err != nil {
		return fmt.Errorf("appstate: begin a ceremony: %w", err)
	}
	return nil
}

// TakeCeremony removes a ceremony and returns it: of two who answer it, one gets it, whatever becomes of the answer.
func (s *State) TakeCeremony(ctx context.Context, hash string) (Ceremony, error) {
	c := Ceremony{Hash: hash}
	err := s.inTx(ctx, func(tx *sql.Tx) error {
		var expires int64
		err := tx.QueryRowContext(ctx, s.dialect.sql(`DELETE FROM ceremony WHERE hash = ? RETURNING kind, person, session, data, expires_at`), hash).
			Scan(&c.Kind, &c.Person, &c.Session, &c.Data, &expires)
		if errors.Is(err, sql.ErrNoRows) {
			return ErrNoCeremony
		}
		if err != nil {
			return fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
		c.ExpiresAt = fromMicros(expires)
		return nil
	})
	if err == nil && !s.now().Before(c.ExpiresAt) {
		err = ErrNoCeremony
	}
	if err != nil {
		return Ceremony{}, fmt.Errorf("appstate: take a ceremony: %w", err)
	}
	return c, nil
}
