package appstate

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/answerable-ledger/answerable/domain"
)

// ErrNoPassword: the person has no password.
var ErrNoPassword = errors.New("no password")

// Password is a person's password as it is kept: the hash, with the parameters it was made by.
type Password struct {
	Person domain.PersonID
	Hash   string
	SetAt  time.Time
}

// Password finds a person's; ErrNoPassword when there is none.
func (s *State) Password(ctx context.Context, person domain.PersonID) (Password, error) {
	p := Password{Person: person}
	var set int64
	err := s.db.QueryRowContext(ctx, s.dialect.sql(`SELECT hash, set_at FROM password WHERE person = ?`), string(person)).Scan(&p.Hash, &set)
	if errors.Is(err, sql.ErrNoRows) {
		return Password{}, ErrNoPassword
	}
	if err != nil {
		return Password{}, fmt.Errorf("appstate: find the password of %s: %w: %w", person, ErrUnavailable, err)
	}
	p.SetAt = fromMicros(set)
	return p, nil
}

// SetPassword gives a person a password in the place of the one they had, and ends their sessions but the one with the
// id kept. Hash "" takes the password away.
func (s *State) SetPassword(ctx context.Context, p Password, kept string, log AccountEntry) error {
	err := s.inTx(ctx, func(tx *sql.Tx) error {
		if err := s.exec(ctx, tx, `DELETE FROM password WHERE person = ?`, string(p.Person)); err != nil {
			return err
		}
		if p.Hash != "" {
			if err := s.exec(ctx, tx, `INSERT INTO password (person, hash, set_at) VALUES (?, ?, ?)`, string(p.Person), p.Hash, micros(p.SetAt)); err != nil {
				return err
			}
		}
		if _, err := s.endSessions(ctx, tx, p.Person, kept); err != nil {
			return err
		}
		return s.logAccount(ctx, tx, log)
	})
	if err != nil {
		return fmt.Errorf("appstate: set the password of %s: %w", p.Person, err)
	}
	return nil
}

// RehashPassword puts another hash of the same password in the place of was. It does nothing when the password was
// changed meanwhile.
func (s *State) RehashPassword(ctx context.Context, person domain.PersonID, was, hash string) error {
	_, err := s.db.ExecContext(ctx, s.dialect.sql(`UPDATE password SET hash = ? WHERE person = ? AND hash = ?`), hash, string(person), was)
	if err != nil {
		return fmt.Errorf("appstate: rehash the password of %s: %w", person, s.unavailable(err))
	}
	return nil
}
