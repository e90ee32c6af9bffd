package appstate

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/answerable-ledger/answerable/internal/postgres"
)

// pgSchema holds the tables; every connection looks for them there.
const pgSchema = "answerable_state"

func openPostgres(ctx context.Context, place string, o Options) (*State, error) {
	shown, err := postgres.Check(place)
	if err != nil {
		return nil, fmt.Errorf("appstate: %w", err)
	}
	db, err := postgres.Open(place, postgres.Pool{Name: "state", Conns: 10, Settings: map[string]string{"search_path": pgSchema}})
	if err != nil {
		return nil, fmt.Errorf("appstate: %w", err)
	}
	var s *State
	// Several processes may start at once; only one of them makes the tables.
	err = postgres.Alone(ctx, place, postgres.LockSetup, "state set-up", func(ctx context.Context) error {
		if _, err := db.ExecContext(ctx, `CREATE SCHEMA IF NOT EXISTS `+pgSchema); err != nil {
			return fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
		s, err = open(ctx, db, postgresDialect(), o)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("appstate: open %s: %w", shown, errors.Join(err, db.Close()))
	}
	return s, nil
}

func postgresDialect() dialect {
	const serial = `BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY`
	return dialect{
		name:        "postgres",
		placeholder: func(n int) string { return "$" + strconv.Itoa(n) },
		full:        func(err error) bool { return postgres.Code(err) == "53100" },
		serialise:   `SELECT pg_advisory_xact_lock(hashtextextended($1, 0))`,
		versions: [][]string{{
			`CREATE TABLE token (id TEXT PRIMARY KEY, hash BYTEA NOT NULL UNIQUE, person TEXT NOT NULL, scope TEXT NOT NULL, label TEXT NOT NULL,
				created_at BIGINT NOT NULL, expires_at BIGINT NOT NULL, used_at BIGINT NOT NULL, revoked_at BIGINT NOT NULL)`,
			`CREATE TABLE token_change (n BIGINT NOT NULL)`,
			`INSERT INTO token_change (n) VALUES (0)`,
			`CREATE TABLE kept_answer (person TEXT NOT NULL, route TEXT NOT NULL, request_key TEXT NOT NULL, digest BYTEA NOT NULL, started_at BIGINT NOT NULL,
				status INTEGER NOT NULL, headers BYTEA NOT NULL, body BYTEA NOT NULL, PRIMARY KEY (person, route, request_key))`,
			`CREATE INDEX kept_answer_started ON kept_answer (started_at)`,
			`CREATE TABLE access_log (id ` + serial + `, at BIGINT NOT NULL, person TEXT NOT NULL, token TEXT NOT NULL, role TEXT NOT NULL,
				method TEXT NOT NULL, path TEXT NOT NULL, query TEXT NOT NULL, status INTEGER NOT NULL, request TEXT NOT NULL)`,
			`CREATE INDEX access_log_person ON access_log (person, id)`,
		}, accountTables(serial), subjectTables(), subjectSalts(`replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', '')`)},
	}
}
