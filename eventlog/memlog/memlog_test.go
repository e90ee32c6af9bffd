package memlog_test

import (
	"testing"

	"github.com/answerable-ledger/answerable/eventlog"
	"github.com/answerable-ledger/answerable/eventlog/eventlogtest"
	"github.com/answerable-ledger/answerable/eventlog/memlog"
)

func TestLog(t *testing.T) {
	t.Parallel()
	eventlogtest.TestLog(t, func(t *testing.T, clock eventlog.Clock) eventlog.Log { return memlog.New(clock) })
}
