// Package postgres reaches a PostgreSQL server the way this program needs it: with limits on everything, and knowing a
// fault that passes from one that stays.
//
// Its promise: no connection is made without a word on encryption and on how long connecting may take; a statement, a wait
// for a lock and a transaction that does nothing end by themselves; a lock of Alone is held by at most one process, whose
// work is told to stop when it is lost.
//
// Its failure model: the server may be absent, restart, or be replaced by a standby at any time. Calls then fail with
// errors for which Transient is true, and the next one makes a new connection.
package postgres

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"
)

// ErrURL: a connection string that cannot be used, or leaves open what must be said.
var ErrURL = errors.New("the PostgreSQL connection string cannot be used")

// Is reports whether a place is a connection string of PostgreSQL, and not a file's path.
func Is(place string) bool {
	return strings.HasPrefix(place, "postgres://") || strings.HasPrefix(place, "postgresql://")
}

// Check judges a connection string and gives it as it may be shown, without its password. It has to say sslmode, since
// what is used when it does not differs between versions of the driver, and connect_timeout, since without it a server
// that does not answer is waited for without end.
func Check(place string) (shown string, err error) {
	u, err := url.Parse(place)
	if err != nil {
		return "", fmt.Errorf("%w: it is no URL; expected postgres://user:password@host:5432/database?sslmode=verify-full&connect_timeout=5", ErrURL)
	}
	if !Is(place) || strings.Trim(u.Path, "/") == "" {
		return "", fmt.Errorf("%w: %s: expected postgres://user:password@host:5432/database?sslmode=verify-full&connect_timeout=5", ErrURL, u.Redacted())
	}
	q := u.Query()
	if q.Get("sslmode") == "" {
		return "", fmt.Errorf("%w: %s says nothing about encryption: add sslmode=verify-full (or verify-ca, require; disable only on a network that is nobody else's)", ErrURL, u.Redacted())
	}
	if n, err := strconv.Atoi(q.Get("connect_timeout")); err != nil || n <= 0 {
		return "", fmt.Errorf("%w: %s sets no limit on connecting: add connect_timeout=5 (seconds)", ErrURL, u.Redacted())
	}
	return u.Redacted(), nil
}

// Pool is what connections are for.
type Pool struct {
	Name     string            // shown by pg_stat_activity as application_name
	Conns    int               // at most; 0 is 1
	Role     string            // taken on by every connection; "" is the user's own
	Settings map[string]string // run-time parameters, besides and before the limits of With
}

// limits of every connection unless a pool sets others. Chosen: far above what any statement of ours takes, and short
// enough that what hangs is over before an operator looks for it. By the last the server notices a machine that is gone, and
// lets go of its locks.
var limits = [...][2]string{
	{"statement_timeout", "30s"},
	{"lock_timeout", "10s"},
	{"idle_in_transaction_session_timeout", "60s"},
	{"tcp_keepalives_idle", "5"}, {"tcp_keepalives_interval", "2"}, {"tcp_keepalives_count", "3"},
}

// With is the connection string of a pool's connections.
func With(place string, p Pool) (string, error) {
	if _, err := Check(place); err != nil {
		return "", err
	}
	u, err := url.Parse(place)
	if err != nil {
		return "", err
	}
	q := u.Query()
	set := func(k, v string) {
		if !q.Has(k) { // what the operator says stands
			q.Set(k, v)
		}
	}
	for k, v := range p.Settings {
		q.Set(k, v)
	}
	for _, l := range limits {
		set(l[0], l[1])
	}
	if p.Role != "" {
		q.Set("role", p.Role)
	}
	set("application_name", "answerable "+p.Name)
	set("binary_parameters", "yes") // a statement with arguments takes one round trip instead of two
	u.RawQuery = q.Encode()
	return u.String(), nil
}

// Open gives a pool. It connects when it is used.
func Open(place string, p Pool) (*sql.DB, error) {
	dsn, err := With(place, p)
	if err != nil {
		return nil, err
	}
	c, err := pq.NewConnector(dsn)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrURL, err)
	}
	db := sql.OpenDB(connector{c})
	n := max(p.Conns, 1)
	db.SetMaxOpenConns(n)
	db.SetMaxIdleConns(n)
	db.SetConnMaxIdleTime(time.Minute)
	db.SetConnMaxLifetime(30 * time.Minute) // so that a server added or mended gets its share again
	return db, nil
}

// Code is the SQLSTATE of an error, "" when the server sent none.
func Code(err error) string {
	var e *pq.Error
	if errors.As(err, &e) {
		return string(e.Code)
	}
	return ""
}

// Transient reports whether the same work may succeed when it is tried again: the connection was lost or refused, the
// server is starting, stopping or full, or two transactions stood in each other's way.
func Transient(err error) bool {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return false
	}
	if c := Code(err); c != "" {
		switch pqerror.Code(c) {
		case pqerror.TRSerializationFailure, pqerror.TRDeadlockDetected, pqerror.LockNotAvailable, pqerror.QueryCanceled,
			pqerror.AdminShutdown, pqerror.CrashShutdown, pqerror.CannotConnectNow, pqerror.IdleSessionTimeout,
			pqerror.IdleInTransactionSessionTimeout, pqerror.ReadOnlySQLTransaction: // a former primary refuses to write
			return true
		}
		class := c[:2]
		return class == "08" || class == "53" // connection, resources
	}
	var refused net.Error
	return errors.Is(err, driver.ErrBadConn) || errors.Is(err, sql.ErrConnDone) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, net.ErrClosed) || errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, &refused)
}

// connector gives connections that clean the texts they are sent, whoever sends them: a client chooses what its User-Agent
// is, and the batch that keeps it must not fail for ever.
type connector struct{ driver.Connector }

func (c connector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	able, ok := conn.(able)
	if !ok {
		return nil, errors.Join(fmt.Errorf("postgres: the driver gives a %T, which lacks what its connections had", conn), conn.Close())
	}
	return cleaning{able}, nil
}

// able is what the driver's connections do for database/sql.
type able interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.QueryerContext
	driver.NamedValueChecker
	driver.Pinger
	driver.SessionResetter
	driver.Validator
}

type cleaning struct{ able }

func (c cleaning) CheckNamedValue(v *driver.NamedValue) error {
	switch x := v.Value.(type) {
	case string:
		v.Value = Clean(x)
		return nil
	case int64:
		return nil
	}
	return c.able.CheckNamedValue(v)
}

// Clean is a text as a column can hold it: PostgreSQL takes neither U+0000 nor bytes that are no UTF-8. They are shown by
// signs in their place, for a text of which something was lost must not look like one that is whole.
func Clean(text string) string {
	if utf8.ValidString(text) && strings.IndexByte(text, 0) < 0 {
		return text
	}
	return strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "\u2400")
}
