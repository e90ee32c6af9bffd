package postgres

import (
	"bytes"
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Copy runs a COPY … FROM STDIN within the transaction that conn is in, with rows in the text format of COPY, as AppendText
// writes them. next gives some rows at a time, without the last one's end of line, and "" when there are no more. The driver
// formats each value of each row; whoever has millions of them does that beforehand, on several cores.
func Copy(ctx context.Context, conn *sql.Conn, statement string, next func() (string, error)) error {
	return conn.Raw(func(c any) (err error) {
		preparer, ok := c.(driver.ConnPrepareContext)
		if !ok {
			return fmt.Errorf("postgres: copy: the driver gives a %T, which prepares nothing", c)
		}
		stmt, err := preparer.PrepareContext(ctx, statement)
		if err != nil {
			return fmt.Errorf("postgres: copy: %w", err)
		}
		defer func() { err = errors.Join(err, stmt.Close()) }()
		in, ok := stmt.(copying)
		if !ok {
			return fmt.Errorf("postgres: copy: the driver gives a %T, which takes no rows", stmt)
		}
		for {
			rows, err := next()
			if err == nil && rows == "" {
				_, err = in.Exec(nil) // the end of the rows
				if err == nil {
					return nil
				}
			}
			if err == nil {
				_, err = in.CopyData(ctx, rows)
			}
			if err != nil { // the driver says of a connection that was given up only that it is bad
				return fmt.Errorf("postgres: copy: %w", errors.Join(context.Cause(ctx), err))
			}
		}
	})
}

// copying is what the driver's statement of a COPY does.
type copying interface {
	driver.Stmt
	CopyData(ctx context.Context, rows string) (driver.Result, error)
}

// AppendText appends a value in the text format of COPY, and as a column can hold it: see Clean.
func AppendText(b *strings.Builder, text []byte) {
	if !utf8.Valid(text) || bytes.IndexByte(text, 0) >= 0 {
		text = []byte(Clean(string(text)))
	}
	for {
		special := len(text)
		for _, c := range [...]byte{'\\', '\t', '\n', '\r'} {
			if i := bytes.IndexByte(text[:special], c); i >= 0 {
				special = i
			}
		}
		b.Write(text[:special])
		if special == len(text) {
			return
		}
		b.WriteByte('\\')
		switch text[special] {
		case '\\':
			b.WriteByte('\\')
		case '\t':
			b.WriteByte('t')
		case '\n':
			b.WriteByte('n')
		case '\r':
			b.WriteByte('r')
		}
		text = text[special+1:]
	}
}
