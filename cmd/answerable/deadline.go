package main

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/answerable-ledger/answerable/commands"
)

// lookAgain is how often the deadlines are looked up anew: days are opened, and deadlines extended, meanwhile.
const lookAgain = time.Minute

// atDeadlines signs a checkpoint at each deadline and whenever kicked, so that "in time" is a statement about the size of
// the tree.
func (e *evidence) atDeadlines(ctx context.Context, l *commands.Ledger, now func() time.Time, kicked <-chan struct{}) error {
	for {
		due, err := l.NextDeadline(ctx, now())
		if err != nil {
			e.logger.Warn("the next deadline is not known", zap.Error(err))
		}
		until := now().Add(lookAgain)
		isDue := err == nil && !due.IsZero() && due.Before(until)
		if isDue {
			until = due
		}
		t := time.NewTimer(until.Sub(now()))
		select {
		case <-ctx.Done():
			t.Stop()
			return ctx.Err()
		case <-kicked:
			t.Stop()
			e.force(ctx)
		case <-t.C:
			if isDue {
				e.force(ctx)
			}
		}
	}
}
