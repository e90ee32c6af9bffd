package postgres

import (
	"context"
	"database/sql"
	"fmt"
)

// Reader is the role that may read what this program keeps in a database for questions, and nothing else. Connections that
// only read take it on, so that no mistake of theirs can write.
const Reader = "answerable_reader"

// MakeReader makes the role and gives it to this user, unless they have it; refused are the server's words to a user who may
// make no roles.
func MakeReader(ctx context.Context, db *sql.DB) (refused, err error) {
	if role, err := FindReader(ctx, db); role != "" || err != nil {
		return nil, err // a user who may make no roles would be refused also what there is already
	}
	for _, statement := range []string{
		`CREATE ROLE ` + Reader + ` NOLOGIN`,
		`GRANT ` + Reader + ` TO CURRENT_USER`,
	} {
		switch _, err := db.ExecContext(ctx, statement); Code(err) {
		case "":
			if err != nil {
				return nil, fmt.Errorf("postgres: make the role %s: %w", Reader, err)
			}
		case "42710", "23505": // it is there: roles belong to the whole server
		case "42501":
			return err, nil
		default:
			return nil, fmt.Errorf("postgres: make the role %s: %w", Reader, err)
		}
	}
	return nil, nil
}

// GrantReader lets the role, where there is one, read all tables that a schema has by now.
func GrantReader(ctx context.Context, db interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}, schema string) error {
	var there bool
	if err := db.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = $1)`, Reader).Scan(&there); err != nil {
		return fmt.Errorf("postgres: let %s read %s: %w", Reader, schema, err)
	}
	if !there {
		return nil
	}
	for _, statement := range []string{`GRANT USAGE ON SCHEMA ` + schema + ` TO ` + Reader, `GRANT SELECT ON ALL TABLES IN SCHEMA ` + schema + ` TO ` + Reader} {
		if _, err := db.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("postgres: let %s read %s: %w", Reader, schema, err)
		}
	}
	return nil
}

// FindReader gives the role's name when this user may take it on, and else "".
func FindReader(ctx context.Context, db *sql.DB) (role string, err error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return "", fmt.Errorf("postgres: look for the role %s: %w", Reader, err)
	}
	defer conn.Close()
	switch _, err := conn.ExecContext(ctx, `SET ROLE `+Reader); Code(err) {
	case "":
		if err == nil {
			_, err = conn.ExecContext(ctx, `RESET ROLE`)
		}
		if err != nil {
			return "", fmt.Errorf("postgres: look for the role %s: %w", Reader, err)
		}
		return Reader, nil
	case "22023", "42704", "42501": // there is none, or it is not this user's
		return "", nil
	default:
		return "", fmt.Errorf("postgres: look for the role %s: %w", Reader, err)
	}
}

// ServerID tells a server from every other: its data directory's number, which a restored or streamed copy keeps.
func ServerID(ctx context.Context, place string) (id string, err error) {
	db, err := Open(place, Pool{Name: "identity"})
	if err != nil {
		return "", err
	}
	defer db.Close()
	if err := db.QueryRowContext(ctx, `SELECT system_identifier::text FROM pg_control_system()`).Scan(&id); err != nil {
		return "", fmt.Errorf("postgres: which server this is: %w", err)
	}
	return id, nil
}
