// Command answerable keeps a reporting regime and answers who is answerable for which figures.
//
// Its promise: every command prints what it did and where, for people or, with --json, for machines; it exits with 0
// when it did it, with 1 when it failed, and with 2 when it was not understood. What it acknowledged is in the ledger.
//
// Its failure model: a command that is interrupted leaves the data directory usable by the next. A directory that
// another process writes, that cannot be written or that has no room left is named in one line that says what to do.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/answerable-ledger/answerable/eventlog/esdb"
)

func main() {
	esdb.SurviveClient()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Environ(), stdio{os.Stdin, os.Stdout, os.Stderr})
	stop()
	os.Exit(code)
}
