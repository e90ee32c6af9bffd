package postgres_test

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/answerable-ledger/answerable/internal/pgtest"
	"github.com/answerable-ledger/answerable/internal/postgres"
)

// Given texts of any bytes, when they are copied, then the table holds them as Clean gives them.
func TestCopy(t *testing.T) {
	t.Parallel()
	conn := connection(t, pgtest.Start(t))
	rapid.Check(t, func(t *rapid.T) {
		texts := rapid.SliceOfN(rapid.OneOf(
			rapid.String(),
			rapid.StringOfN(rapid.RuneFrom([]rune("\\\t\n\r\x00.N\"ệ")), 0, 8, -1),
			rapid.Map(rapid.SliceOfN(rapid.Byte(), 0, 8), func(b []byte) string { return string(b) }),
		), 1, 20).Draw(t, "texts")
		per := rapid.IntRange(1, 5).Draw(t, "rows at once")
		if _, err := conn.ExecContext(t.Context(), `TRUNCATE copied`); err != nil {
			t.Fatal(err)
		}
		left := texts
		err := copied(t.Context(), conn, func() (string, error) {
			var b strings.Builder
			for range min(per, len(left)) {
				if b.Len() > 0 {
					b.WriteByte('\n')
				}
				b.WriteString("7\t")
				postgres.AppendText(&b, []byte(left[0]))
				left = left[1:]
			}
			return b.String(), nil
		})
		if err != nil {
			t.Fatalf("%q: %v", texts, err)
		}
		rows, err := conn.QueryContext(t.Context(), `SELECT v FROM copied WHERE n = 7`) // an unindexed table gives them as they came
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		i := 0
		for ; rows.Next(); i++ {
			var have string
			if err := rows.Scan(&have); err != nil || have != postgres.Clean(texts[i]) {
				t.Fatalf("row %d: %q became %q, %v", i, texts[i], have, err)
			}
		}
		if err := rows.Err(); err != nil || i != len(texts) {
			t.Fatalf("%d rows of %d, %v", i, len(texts), err)
		}
	})
}

// A copy that ends early, by whoever gives the rows, by the server or by its context, says why, and leaves nothing.
func TestCopyThatFails(t *testing.T) {
	t.Parallel()
	gone, server := errors.New("no more room"), pgtest.Start(t)
	for name, x := range map[string]struct {
		next func(n int, cancel func()) (string, error)
		want func(error) bool
	}{
		"by its source": {func(n int, _ func()) (string, error) { return "7\tx", map[bool]error{true: gone}[n > 2] }, func(err error) bool { return errors.Is(err, gone) }},
		"by the server": {func(int, func()) (string, error) { return "x\tx", nil }, func(err error) bool { return postgres.Code(err) == "22P02" }},
		"by its context": {func(_ int, cancel func()) (string, error) {
			cancel()
			return strings.Repeat("7\tx\n", 100_000) + "7\tx", nil
		},
			func(err error) bool { return errors.Is(err, context.Canceled) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn := connection(t, server)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			n := 0
			err := copied(ctx, conn, func() (string, error) { n++; return x.next(n, cancel) })
			if err == nil || !x.want(err) {
				t.Errorf("%v", err)
			}
		})
	}
}

func connection(t *testing.T, server *pgtest.Server) *sql.Conn {
	t.Helper()
	db, err := postgres.Open(server.Database(t), postgres.Pool{Name: "test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if _, err := conn.ExecContext(t.Context(), `CREATE TABLE copied (n BIGINT, v TEXT)`); err != nil {
		t.Fatal(err)
	}
	return conn
}

func copied(ctx context.Context, conn *sql.Conn, next func() (string, error)) error {
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := postgres.Copy(ctx, conn, `COPY copied (n, v) FROM STDIN`, next); err != nil {
		_ = tx.Rollback()
		return err
	}
	return tx.Commit()
}
