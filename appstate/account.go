package appstate

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"time"

	"github.com/answerable-ledger/answerable/domain"
)

// accountTables are the tables of sessions, ceremonies, counters, passwords, links and the account log. Their types mean
// the same in SQLite and PostgreSQL; serial is how each numbers rows by itself. Hashes are stored in hexadecimal.
func accountTables(serial string) []string {
	return []string{
		`CREATE TABLE session (hash TEXT PRIMARY KEY, id TEXT NOT NULL UNIQUE, person TEXT NOT NULL, purpose TEXT NOT NULL, method TEXT NOT NULL,
			credential TEXT NOT NULL, link TEXT NOT NULL, created_at BIGINT NOT NULL, authenticated_at BIGINT NOT NULL, seen_at BIGINT NOT NULL,
			idle_until BIGINT NOT NULL, expires_at BIGINT NOT NULL, address TEXT NOT NULL, agent TEXT NOT NULL)`,
		`CREATE INDEX session_person ON session (person)`,
		`CREATE INDEX session_idle ON session (idle_until)`,
		`CREATE TABLE ceremony (hash TEXT PRIMARY KEY, kind TEXT NOT NULL, person TEXT NOT NULL, session TEXT NOT NULL, data TEXT NOT NULL,
			created_at BIGINT NOT NULL, expires_at BIGINT NOT NULL)`,
		`CREATE INDEX ceremony_expires ON ceremony (expires_at)`,
		`CREATE TABLE passkey (credential TEXT PRIMARY KEY, person TEXT NOT NULL, counter BIGINT NOT NULL, used_at BIGINT NOT NULL, suspect_at BIGINT NOT NULL)`,
		`CREATE INDEX passkey_person ON passkey (person)`,
		`CREATE TABLE password (person TEXT PRIMARY KEY, hash TEXT NOT NULL, set_at BIGINT NOT NULL)`,
		`CREATE TABLE link (hash TEXT PRIMARY KEY, id TEXT NOT NULL UNIQUE, person TEXT NOT NULL, issued_by TEXT NOT NULL, created_at BIGINT NOT NULL,
			expires_at BIGINT NOT NULL, used_at BIGINT NOT NULL)`,
		`CREATE INDEX link_person ON link (person)`,
		`CREATE TABLE account_log (id ` + serial + `, at BIGINT NOT NULL, person TEXT NOT NULL, done_by TEXT NOT NULL, act TEXT NOT NULL,
			address TEXT NOT NULL, detail TEXT NOT NULL)`,
		`CREATE INDEX account_log_person ON account_log (person, id)`,
	}
}

// AccountEntry is one thing that happened to a person's account.
type AccountEntry struct {
	ID      int64
	At      time.Time
	Person  domain.PersonID // whose account
	By      domain.PersonID // who did it; "" when it is not known, as for a wrong password
	Act     string
	Address string // of the client
	Detail  string
}

// LogAccount records an entry. It is on the disk when LogAccount returns.
func (s *State) LogAccount(ctx context.Context, e AccountEntry) error {
	if err := s.inTx(ctx, func(tx *sql.Tx) error { return s.logAccount(ctx, tx, e) }); err != nil {
		return fmt.Errorf("appstate: log %s of %s: %w", e.Act, e.Person, err)
	}
	return nil
}

// logAccount is how every change of an account is logged: in the change's own transaction, so that neither is without
// the other.
func (s *State) logAccount(ctx context.Context, tx *sql.Tx, e AccountEntry) error {
	return s.exec(ctx, tx, `INSERT INTO account_log (at, person, done_by, act, address, detail) VALUES (?, ?, ?, ?, ?, ?)`,
		micros(e.At), string(e.Person), string(e.By), e.Act, e.Address, e.Detail)
}

// AccountEntries lists entries of the account log before an id, the newest first; before 0 begins at the end, and person
// "" is everybody's.
func (s *State) AccountEntries(ctx context.Context, person domain.PersonID, before int64, limit int) ([]AccountEntry, error) {
	if before == 0 {
		before = math.MaxInt64
	}
	rows, err := s.db.QueryContext(ctx, s.dialect.sql(`SELECT id, at, person, done_by, act, address, detail FROM account_log
		WHERE (? = '' OR person = ?) AND id < ? ORDER BY id DESC LIMIT ?`), string(person), string(person), before, limit)
	if err != nil {
		return nil, fmt.Errorf("appstate: list the account log: %w: %w", ErrUnavailable, err)
	}
	defer rows.Close()
	var out []AccountEntry
	for rows.Next() {
		var e AccountEntry
		var at int64
		if err := rows.Scan(&e.ID, &at, &e.Person, &e.By, &e.Act, &e.Address, &e.Detail); err != nil {
			return nil, fmt.Errorf("appstate: list the account log: %w: %w", ErrUnavailable, err)
		}
		e.At = fromMicros(at)
		out = append(out, e)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("appstate: list the account log: %w: %w", ErrUnavailable, err)
	}
	return out, nil
}

// AccountPersons lists whoever the account log names and whoever has a password or a subject, in the order of their ids.
func (s *State) AccountPersons(ctx context.Context) ([]domain.PersonID, error) {
	rows, err := s.db.QueryContext(ctx, s.dialect.sql(`SELECT person FROM account_log WHERE person <> '' UNION SELECT person FROM password UNION SELECT person FROM subject ORDER BY 1`))
	if err != nil {
		return nil, fmt.Errorf("appstate: list the persons with accounts: %w: %w", ErrUnavailable, err)
	}
	defer rows.Close()
	var out []domain.PersonID
	for rows.Next() {
		var p domain.PersonID
		if err := rows.Scan(&p); err != nil {
			return nil, fmt.Errorf("appstate: list the persons with accounts: %w: %w", ErrUnavailable, err)
		}
		out = append(out, p)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("appstate: list the persons with accounts: %w: %w", ErrUnavailable, err)
	}
	return out, nil
}

// exec runs a statement of a transaction.
func (s *State) exec(ctx context.Context, tx *sql.Tx, query string, args ...any) error {
	if _, err := tx.ExecContext(ctx, s.dialect.sql(query), args...); err != nil {
		return s.unavailable(err)
	}
	return nil
}

// change runs a statement of a transaction and tells how many rows it changed.
func (s *State) change(ctx context.Context, tx *sql.Tx, query string, args ...any) (int64, error) {
	result, err := tx.ExecContext(ctx, s.dialect.sql(query), args...)
	if err != nil {
		return 0, s.unavailable(err)
	}
	n, err := result.RowsAffected()
	if err != nil {
		return 0, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return n, nil
}
