package commands

import (
	"context"
	"time"

	"github.com/answerable-ledger/answerable/domain"
)

// lookBackDays is how many days back obligations are looked at for deadlines still to come: an extension may move one.
const lookBackDays = 7

// NextDeadline is the earliest instant after the given one at which an obligation of an opened day, its grace or its
// signature falls due, zero when none is known. The transparency log closes each with a checkpoint.
func (l *Ledger) NextDeadline(ctx context.Context, after time.Time) (time.Time, error) {
	ids, err := l.Regimes(ctx)
	if err != nil {
		return time.Time{}, err
	}
	var next time.Time
	take := func(at *time.Time) {
		if at != nil && at.After(after) && (next.IsZero() || at.Before(next)) {
			next = *at
		}
	}
	for _, id := range ids {
		r, err := l.Regime(ctx, id)
		if err != nil {
			return time.Time{}, err
		}
		today := domain.DateAt(after, r.Zone)
		for i := -lookBackDays; i <= 1; i++ {
			day, err := l.Day(ctx, id, today.AddDays(i))
			if err != nil {
				return time.Time{}, err
			}
			if day.Opened == nil {
				continue
			}
			for _, o := range day.Obligations(r) {
				take(&o.Due)
				take(&o.Closes)
				take(o.SignOffCloses)
			}
		}
	}
	return next, nil
}
