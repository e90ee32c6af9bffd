package appstate

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/answerable-ledger/answerable/domain"
)

var (
	// ErrNoSubject: nobody has bound this subject of a provider.
	ErrNoSubject = errors.New("nobody has bound this subject")
	// ErrSubjectTaken: the subject is another person's.
	ErrSubjectTaken = errors.New("the subject is another person's")
)

// Subject is who a person is at a provider of OpenID Connect. Issuer and subject name them there for ever, and nothing else
// does: addresses and names are given to others.
type Subject struct {
	Issuer  string
	Subject string
	Person  domain.PersonID
	Salt    string // of the digest by which the ledger tells of the binding; "" in a binding that is looked for
	BoundAt time.Time
	UsedAt  time.Time // of the last sign-in; zero: never
}

// subjectTables is the table of subjects.
func subjectTables() []string {
	return []string{
		`CREATE TABLE subject (issuer TEXT NOT NULL, subject TEXT NOT NULL, person TEXT NOT NULL, bound_at BIGINT NOT NULL, used_at BIGINT NOT NULL,
			PRIMARY KEY (issuer, subject))`,
		`CREATE INDEX subject_person ON subject (person)`,
	}
}

// subjectSalts gives every subject a salt, those bound before there were any a random one.
func subjectSalts(random string) []string {
	return []string{`ALTER TABLE subject ADD COLUMN salt TEXT NOT NULL DEFAULT ''`, `UPDATE subject SET salt = ` + random}
}

// BindSubject lets a subject sign a person in; ErrSubjectTaken when it signs in another. Binding one again changes nothing.
func (s *State) BindSubject(ctx context.Context, x Subject, log AccountEntry) error {
	err := s.inTx(ctx, func(tx *sql.Tx) error {
		n, err := s.change(ctx, tx, `INSERT INTO subject (issuer, subject, person, salt, bound_at, used_at) VALUES (?, ?, ?, ?, ?, 0) ON CONFLICT (issuer, subject) DO NOTHING`,
			x.Issuer, x.Subject, string(x.Person), x.Salt, micros(x.BoundAt))
		if err != nil {
			return err
		}
		if n == 1 {
			return s.logAccount(ctx, tx, log)
		}
		var person domain.PersonID
		if err := tx.QueryRowContext(ctx, s.dialect.sql(`SELECT person FROM subject WHERE issuer = ? AND subject = ?`), x.Issuer, x.Subject).Scan(&person); err != nil {
			return fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
		if person != x.Person {
			return ErrSubjectTaken
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("appstate: bind a subject of %s: %w", x.Person, err)
	}
	return nil
}

// UseSubject finds the person whom a subject signs in, and notes when; ErrNoSubject when nobody bound it.
func (s *State) UseSubject(ctx context.Context, issuer, subject string, at time.Time) (domain.PersonID, error) {
	var person domain.PersonID
	err := s.inTx(ctx, func(tx *sql.Tx) error {
		err := tx.QueryRowContext(ctx, s.dialect.sql(`UPDATE subject SET used_at = ? WHERE issuer = ? AND subject = ? RETURNING person`), micros(at), issuer, subject).Scan(&person)
		if errors.Is(err, sql.ErrNoRows) {
			return ErrNoSubject
		}
		if err != nil {
			return fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
		return nil
	})
	if err != nil {
		return "", fmt.Errorf("appstate: use a subject: %w", err)
	}
	return person, nil
}

// Subjects lists the subjects that sign a person in, in the order of their binding.
func (s *State) Subjects(ctx context.Context, person domain.PersonID) ([]Subject, error) {
	rows, err := s.db.QueryContext(ctx, s.dialect.sql(`SELECT issuer, subject, salt, bound_at, used_at FROM subject WHERE person = ? ORDER BY bound_at, issuer, subject`), string(person))
	if err != nil {
		return nil, fmt.Errorf("appstate: list subjects of %s: %w: %w", person, ErrUnavailable, err)
	}
	defer rows.Close()
	var out []Subject
	for rows.Next() {
		x := Subject{Person: person}
		var bound, used int64
		if err := rows.Scan(&x.Issuer, &x.Subject, &x.Salt, &bound, &used); err != nil {
			return nil, fmt.Errorf("appstate: list subjects of %s: %w: %w", person, ErrUnavailable, err)
		}
		x.BoundAt, x.UsedAt = fromMicros(bound), fromMicros(used)
		out = append(out, x)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("appstate: list subjects of %s: %w: %w", person, ErrUnavailable, err)
	}
	return out, nil
}

// UnbindSubject takes a subject from its person, and ends their sessions but the one with the id kept: one of them may
// have been opened by it. ErrNoSubject when it is not theirs.
func (s *State) UnbindSubject(ctx context.Context, x Subject, kept string, log AccountEntry) error {
	err := s.inTx(ctx, func(tx *sql.Tx) error {
		n, err := s.change(ctx, tx, `DELETE FROM subject WHERE issuer = ? AND subject = ? AND person = ?`, x.Issuer, x.Subject, string(x.Person))
		if err != nil {
			return err
		}
		if n == 0 {
			return ErrNoSubject
		}
		if _, err := s.endSessions(ctx, tx, x.Person, kept); err != nil {
			return err
		}
		return s.logAccount(ctx, tx, log)
	})
	if err != nil {
		return fmt.Errorf("appstate: unbind a subject of %s: %w", x.Person, err)
	}
	return nil
}
