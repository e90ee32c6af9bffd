package appstate

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/answerable-ledger/answerable/domain"
)

// ErrNoLink: there is no such one-time link, or it was used or replaced, or it has expired.
var ErrNoLink = errors.New("no such one-time link")

// Link lets a person into their account once, without anything they had before. Its secret is not in it.
type Link struct {
	Hash      string // SHA-256 of the secret, in hexadecimal
	ID        string // names the link in logs; no secret
	Person    domain.PersonID
	IssuedBy  domain.PersonID
	CreatedAt time.Time
	ExpiresAt time.Time
	UsedAt    time.Time // zero: not used
}

// CreateLink stores a link. Every earlier link of the person that was not used expires with it.
func (s *State) CreateLink(ctx context.Context, l Link, log AccountEntry) error {
	err := s.inTx(ctx, func(tx *sql.Tx) error {
		if err := s.exec(ctx, tx, `UPDATE link SET expires_at = ? WHERE person = ? AND used_at = 0 AND expires_at > ?`, micros(l.CreatedAt), string(l.Person), micros(l.CreatedAt)); err != nil {
			return err
		}
		if err := s.exec(ctx, tx, `INSERT INTO link (hash, id, person, issued_by, created_at, expires_at, used_at) VALUES (?, ?, ?, ?, ?, ?, 0)`,
			l.Hash, l.ID, string(l.Person), string(l.IssuedBy), micros(l.CreatedAt), micros(l.ExpiresAt)); err != nil {
			return err
		}
		return s.logAccount(ctx, tx, log)
	})
	if err != nil {
		return fmt.Errorf("appstate: create a link for %s: %w", l.Person, err)
	}
	return nil
}

// UseLink uses a link up and opens the session that open makes of it, in the place of the one whose hash is replaced, in
// one transaction: of two who use a link, one gets in. ErrNoLink otherwise, without saying what is wrong with it.
func (s *State) UseLink(ctx context.Context, hash, replaced string, open func(Link) (Session, AccountEntry)) (Link, error) {
	var l Link
	err := s.inTx(ctx, func(tx *sql.Tx) error {
		now := s.now()
		var created, expires, used int64
		err := tx.QueryRowContext(ctx, s.dialect.sql(`UPDATE link SET used_at = ? WHERE hash = ? AND used_at = 0 AND expires_at > ?
			RETURNING hash, id, person, issued_by, created_at, expires_at, used_at`), micros(now), hash, micros(now)).
			Scan(&l.Hash, &l.ID, &l.Person, &l.IssuedBy, &created, &expires, &used)
		if errors.Is(err, sql.ErrNoRows) {
			return ErrNoLink
		}
		if err != nil {
			return fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
		l.CreatedAt, l.ExpiresAt, l.UsedAt = fromMicros(created), fromMicros(expires), fromMicros(used)
		session, log := open(l)
		if err := s.exec(ctx, tx, `DELETE FROM session WHERE hash = ?`, replaced); err != nil {
			return err
		}
		if err := s.insertSession(ctx, tx, session); err != nil {
			return err
		}
		return s.logAccount(ctx, tx, log)
	})
	if err != nil {
		return Link{}, fmt.Errorf("appstate: use a link: %w", err)
	}
	return l, nil
}

// Links lists the links made for a person, the newest first.
func (s *State) Links(ctx context.Context, person domain.PersonID) ([]Link, error) {
	rows, err := s.db.QueryContext(ctx, s.dialect.sql(`SELECT hash, id, person, issued_by, created_at, expires_at, used_at FROM link WHERE person = ? ORDER BY created_at DESC, id`), string(person))
	if err != nil {
		return nil, fmt.Errorf("appstate: list links of %s: %w: %w", person, ErrUnavailable, err)
	}
	defer rows.Close()
	var out []Link
	for rows.Next() {
		var l Link
		var created, expires, used int64
		if err := rows.Scan(&l.Hash, &l.ID, &l.Person, &l.IssuedBy, &created, &expires, &used); err != nil {
			return nil, fmt.Errorf("appstate: list links of %s: %w: %w", person, ErrUnavailable, err)
		}
		l.CreatedAt, l.ExpiresAt, l.UsedAt = fromMicros(created), fromMicros(expires), fromMicros(used)
		out = append(out, l)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("appstate: list links of %s: %w: %w", person, ErrUnavailable, err)
	}
	return out, nil
}
