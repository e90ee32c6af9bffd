package treestore

import (
	"errors"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

// begin opens a transaction; end, deferred, commits it when *err is nil and takes it back otherwise. It is like those of
// sqlitex, which panic when a damaged file lets nothing be taken back: a bad tree must not end the ledger's process.
func begin(c *sqlite.Conn, mode string) (end func(err *error), err error) {
	if err := sqlitex.Execute(c, "BEGIN "+mode, nil); err != nil {
		return nil, err
	}
	return func(err *error) {
		p := recover()
		if p == nil && *err == nil {
			*err = sqlitex.Execute(c, "COMMIT", nil)
		}
		if (p != nil || *err != nil) && !c.AutocommitEnabled() {
			interrupt := c.SetInterrupt(nil) // also when the caller has gone
			*err = errors.Join(*err, sqlitex.Execute(c, "ROLLBACK", nil))
			c.SetInterrupt(interrupt)
		}
		if p != nil {
			panic(p)
		}
	}, nil
}
