package appstate

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/answerable-ledger/answerable/domain"
)

// ErrNoSession: there is no such session, or it was ended, or it has expired.
var ErrNoSession = errors.New("no such session")

// maxSessions bounds the sessions of one person; the one unused for longest gives way. Chosen: more than a person has
// machines.
const maxSessions = 20

// Session is a browser at which a person is. Its secret is not in it: only the secret's hash is kept.
type Session struct {
	Hash            string // SHA-256 of the secret, in hexadecimal
	ID              string // names the session in lists; no secret
	Person          domain.PersonID
	Purpose         string // what it may be used for
	Method          string // how the person proved who they are, last
	Credential      string // the passkey they proved it with; "" for another method
	Link            string // id of the one-time link it was opened by
	CreatedAt       time.Time
	AuthenticatedAt time.Time // when the person last proved who they are
	SeenAt          time.Time // last use, to the minute
	IdleUntil       time.Time // it ends when it is not used until then
	ExpiresAt       time.Time // it ends then in any case
	Address, Agent  string    // of the client that opened it
}

// Live reports whether the session may be used at an instant.
func (s Session) Live(at time.Time) bool { return at.Before(s.IdleUntil) && at.Before(s.ExpiresAt) }

const sessionColumns = `hash, id, person, purpose, method, credential, link, created_at, authenticated_at, seen_at, idle_until, expires_at, address, agent`

func scanSession(row interface{ Scan(...any) error }) (Session, error) {
	var s Session
	var created, authenticated, seen, idle, expires int64
	err := row.Scan(&s.Hash, &s.ID, &s.Person, &s.Purpose, &s.Method, &s.Credential, &s.Link, &created, &authenticated, &seen, &idle, &expires, &s.Address, &s.Agent)
	s.CreatedAt, s.AuthenticatedAt, s.SeenAt = fromMicros(created), fromMicros(authenticated), fromMicros(seen)
	s.IdleUntil, s.ExpiresAt = fromMicros(idle), fromMicros(expires)
	return s, err
}

// OpenSession stores a session and ends the one whose hash is replaced, if there is one: a browser holds one session.
func (s *State) OpenSession(ctx context.Context, x Session, replaced string, log AccountEntry) error {
	err := s.inTx(ctx, func(tx *sql.Tx) error {
		if err := s.exec(ctx, tx, `DELETE FROM session WHERE hash = ? OR idle_until <= ? OR expires_at <= ?`, replaced, micros(x.CreatedAt), micros(x.CreatedAt)); err != nil {
			return err
		}
		if err := s.insertSession(ctx, tx, x); err != nil {
			return err
		}
		if err := s.exec(ctx, tx, `DELETE FROM session WHERE person = ? AND hash NOT IN (SELECT hash FROM session WHERE person = ? ORDER BY seen_at DESC, created_at DESC LIMIT ?)`,
			string(x.Person), string(x.Person), maxSessions); err != nil {
			return err
		}
		return s.logAccount(ctx, tx, log)
	})
	if err != nil {
		return fmt.Errorf("appstate: open a session of %s: %w", x.Person, err)
	}
	return nil
}

func (s *State) insertSession(ctx context.Context, tx *sql.Tx, x Session) error {
	return s.exec(ctx, tx, `INSERT INTO session (`+sessionColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		x.Hash, x.ID, string(x.Person), x.Purpose, x.Method, x.Credential, x.Link, micros(x.CreatedAt), micros(x.AuthenticatedAt), micros(x.SeenAt),
		micros(x.IdleUntil), micros(x.ExpiresAt), x.Address, x.Agent)
}

// RotateSession puts next in the place of the session with the hash was; that hash finds nothing from then on.
// ErrNoSession when it found nothing already.
func (s *State) RotateSession(ctx context.Context, was string, next Session, log AccountEntry) error {
	err := s.inTx(ctx, func(tx *sql.Tx) error {
		n, err := s.change(ctx, tx, `DELETE FROM session WHERE hash = ?`, was)
		if err != nil {
			return err
		}
		if n == 0 {
			return ErrNoSession
		}
		if err := s.insertSession(ctx, tx, next); err != nil {
			return err
		}
		return s.logAccount(ctx, tx, log)
	})
	if err != nil {
		return fmt.Errorf("appstate: rotate session %s: %w", next.ID, err)
	}
	return nil
}

// Session finds a session that may be used now by the hash of its secret, so that the time it takes tells nothing about
// the secret.
func (s *State) Session(ctx context.Context, hash string) (Session, error) {
	x, err := scanSession(s.db.QueryRowContext(ctx, s.dialect.sql(`SELECT `+sessionColumns+` FROM session WHERE hash = ?`), hash))
	if errors.Is(err, sql.ErrNoRows) {
		return Session{}, ErrNoSession
	}
	if err != nil {
		return Session{}, fmt.Errorf("appstate: find a session: %w: %w", ErrUnavailable, err)
	}
	if !x.Live(s.now()) {
		return Session{}, ErrNoSession
	}
	return x, nil
}

// TouchSession notes that a session was used and moves its idle limit. An ended session stays ended.
func (s *State) TouchSession(ctx context.Context, hash string, seen, idleUntil time.Time) error {
	_, err := s.db.ExecContext(ctx, s.dialect.sql(`UPDATE session SET seen_at = ?, idle_until = ? WHERE hash = ? AND seen_at < ?`), micros(seen), micros(idleUntil), hash, micros(seen))
	if err != nil {
		return fmt.Errorf("appstate: touch a session: %w", s.unavailable(err))
	}
	return nil
}

// Sessions lists the sessions of a person that may be used now, the last used first.
func (s *State) Sessions(ctx context.Context, person domain.PersonID) ([]Session, error) {
	rows, err := s.db.QueryContext(ctx, s.dialect.sql(`SELECT `+sessionColumns+` FROM session WHERE person = ? ORDER BY seen_at DESC, created_at DESC, id`), string(person))
	if err != nil {
		return nil, fmt.Errorf("appstate: list sessions of %s: %w: %w", person, ErrUnavailable, err)
	}
	defer rows.Close()
	var out []Session
	now := s.now()
	for rows.Next() {
		x, err := scanSession(rows)
		if err != nil {
			return nil, fmt.Errorf("appstate: list sessions of %s: %w: %w", person, ErrUnavailable, err)
		}
		if x.Live(now) {
			out = append(out, x)
		}
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("appstate: list sessions of %s: %w: %w", person, ErrUnavailable, err)
	}
	return out, nil
}

// EndSession ends one session of a person, named by its id; ErrNoSession when they have none with it.
func (s *State) EndSession(ctx context.Context, person domain.PersonID, id string, log AccountEntry) error {
	err := s.inTx(ctx, func(tx *sql.Tx) error {
		n, err := s.change(ctx, tx, `DELETE FROM session WHERE person = ? AND id = ?`, string(person), id)
		if err != nil {
			return err
		}
		if n == 0 {
			return ErrNoSession
		}
		return s.logAccount(ctx, tx, log)
	})
	if err != nil {
		return fmt.Errorf("appstate: end session %s of %s: %w", id, person, err)
	}
	return nil
}

// EndSessions ends every session of a person but the one with the id kept, and tells how many; kept "" keeps none.
func (s *State) EndSessions(ctx context.Context, person domain.PersonID, kept string, log AccountEntry) (int64, error) {
	var n int64
	err := s.inTx(ctx, func(tx *sql.Tx) (err error) {
		if n, err = s.endSessions(ctx, tx, person, kept); err != nil {
			return err
		}
		return s.logAccount(ctx, tx, log)
	})
	if err != nil {
		return 0, fmt.Errorf("appstate: end sessions of %s: %w", person, err)
	}
	return n, nil
}

func (s *State) endSessions(ctx context.Context, tx *sql.Tx, person domain.PersonID, kept string) (int64, error) {
	return s.change(ctx, tx, `DELETE FROM session WHERE person = ? AND id <> ?`, string(person), kept)
}
