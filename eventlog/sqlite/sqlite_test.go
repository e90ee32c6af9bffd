package sqlite

import (
	"path/filepath"
	"testing"

	"github.com/answerable-ledger/answerable/eventlog"
	"github.com/answerable-ledger/answerable/eventlog/eventlogtest"
)

func openTest(t testing.TB, path string, o Options) *Log {
	t.Helper()
	l, err := Open(path, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func TestLog(t *testing.T) {
	t.Parallel()
	eventlogtest.TestLog(t, func(t *testing.T, clock eventlog.Clock) eventlog.Log {
		return openTest(t, filepath.Join(t.TempDir(), "ledger.db"), Options{Clock: clock})
	})
}
