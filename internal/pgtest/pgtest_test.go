package pgtest_test

import (
	"database/sql"
	"testing"

	"github.com/answerable-ledger/answerable/internal/pgtest"
)

func TestServerKeepsWhatWasCommittedAcrossRestarts(t *testing.T) {
	s := pgtest.Start(t)
	db, err := sql.Open("postgres", s.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec("CREATE TABLE t AS SELECT 7 AS n"); err != nil {
		t.Fatal(err)
	}
	s.Stop()
	if err := db.Ping(); err == nil {
		t.Error("a stopped server answers")
	}
	s.Run(t)
	var n int
	if err := db.QueryRow("SELECT n FROM t").Scan(&n); err != nil || n != 7 {
		t.Errorf("got %d, %v", n, err)
	}
}
