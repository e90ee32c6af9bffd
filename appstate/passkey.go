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
	// ErrCloned: a passkey counted no further than it had before, so there are two of it.
	ErrCloned = errors.New("the passkey's counter did not move on: it may have been copied")
	// ErrPasskeyTaken: the passkey belongs to another person.
	ErrPasskeyTaken = errors.New("the passkey belongs to another person")
)

// Passkey is what is kept of a passkey here: how far it has counted. Whose it is, and its public key, is in the ledger.
type Passkey struct {
	Credential string
	Person     domain.PersonID
	Counter    uint32
	UsedAt     time.Time // zero: never
	SuspectAt  time.Time // when its counter last did not move on; zero: never
}

// AddPasskey begins to count a new passkey; ErrPasskeyTaken when another person has it.
func (s *State) AddPasskey(ctx context.Context, p Passkey, log AccountEntry) error {
	err := s.inTx(ctx, func(tx *sql.Tx) error {
		if _, err := s.countedPasskey(ctx, tx, p); err != nil {
			return err
		}
		return s.logAccount(ctx, tx, log)
	})
	if err != nil {
		return fmt.Errorf("appstate: add a passkey of %s: %w", p.Person, err)
	}
	return nil
}

// CountPasskey notes a use at which the passkey counted to p.Counter. A counter that did not move on is refused with
// ErrCloned and noted; one that stays 0 is an authenticator that does not count. enrolled is what it had counted to when
// it was enrolled: it is believed when nothing is known here, as after the loss of the file. log is recorded when the use
// is refused.
func (s *State) CountPasskey(ctx context.Context, p Passkey, enrolled uint32, log AccountEntry) error {
	cloned := false
	err := s.inTx(ctx, func(tx *sql.Tx) error {
		first := p
		first.Counter = enrolled
		counter, err := s.countedPasskey(ctx, tx, first)
		if err != nil {
			return err
		}
		if cloned = p.Counter <= counter && (p.Counter != 0 || counter != 0); !cloned {
			return s.exec(ctx, tx, `UPDATE passkey SET counter = ?, used_at = ? WHERE credential = ?`, int64(p.Counter), micros(p.UsedAt), p.Credential)
		}
		if err := s.exec(ctx, tx, `UPDATE passkey SET suspect_at = ? WHERE credential = ?`, micros(p.UsedAt), p.Credential); err != nil {
			return err
		}
		log.Detail = fmt.Sprintf("%s: counted %d after %d", p.Credential, p.Counter, counter)
		return s.logAccount(ctx, tx, log)
	})
	if err == nil && cloned {
		err = ErrCloned
	}
	if err != nil {
		return fmt.Errorf("appstate: count passkey %s of %s: %w", p.Credential, p.Person, err)
	}
	return nil
}

// countedPasskey is what a passkey has counted to, p's counter when it was not counted before.
func (s *State) countedPasskey(ctx context.Context, tx *sql.Tx, p Passkey) (uint32, error) {
	if err := s.exec(ctx, tx, `INSERT INTO passkey (credential, person, counter, used_at, suspect_at) VALUES (?, ?, ?, 0, 0) ON CONFLICT (credential) DO NOTHING`,
		p.Credential, string(p.Person), int64(p.Counter)); err != nil {
		return 0, err
	}
	var person domain.PersonID
	var counter int64
	if err := tx.QueryRowContext(ctx, s.dialect.sql(`SELECT person, counter FROM passkey WHERE credential = ?`), p.Credential).Scan(&person, &counter); err != nil {
		return 0, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	if person != p.Person {
		return 0, ErrPasskeyTaken
	}
	return uint32(counter), nil
}

// Passkeys lists what is known of a person's passkeys, by credential. One that was not used here is missing.
func (s *State) Passkeys(ctx context.Context, person domain.PersonID) (map[string]Passkey, error) {
	rows, err := s.db.QueryContext(ctx, s.dialect.sql(`SELECT credential, person, counter, used_at, suspect_at FROM passkey WHERE person = ?`), string(person))
	if err != nil {
		return nil, fmt.Errorf("appstate: list passkeys of %s: %w: %w", person, ErrUnavailable, err)
	}
	defer rows.Close()
	out := map[string]Passkey{}
	for rows.Next() {
		var p Passkey
		var counter, used, suspect int64
		if err := rows.Scan(&p.Credential, &p.Person, &counter, &used, &suspect); err != nil {
			return nil, fmt.Errorf("appstate: list passkeys of %s: %w: %w", person, ErrUnavailable, err)
		}
		p.Counter, p.UsedAt, p.SuspectAt = uint32(counter), fromMicros(used), fromMicros(suspect)
		out[p.Credential] = p
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("appstate: list passkeys of %s: %w: %w", person, ErrUnavailable, err)
	}
	return out, nil
}
