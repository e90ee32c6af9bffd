package commands

import (
	"context"

	"github.com/answerable-ledger/answerable/domain"
)

// SignLogWith records which keys sign the transparency log from now on: an introduction of each that is new, a retirement
// of each that is no longer among them, and nothing when that is what stands recorded.
func (l *Ledger) SignLogWith(ctx context.Context, c Command, origin string, keys []string) (Result, error) {
	by, err := l.actor(ctx, c.Actor)
	if err != nil {
		return Result{}, err
	}
	if c.Role == "" {
		c.Role = by.RoleFor("", domain.RoleAdmin)
	}
	return change(ctx, l, c, domain.LogKeyStream, l.loadLogKeys, func(k domain.LogKeys) ([]domain.Event, error) {
		return k.Sign(origin, keys, by)
	})
}

// LogKeys are the keys of the transparency log as recorded.
func (l *Ledger) LogKeys(ctx context.Context) (domain.LogKeys, error) {
	k, _, err := l.loadLogKeys(ctx, domain.LogKeyStream)
	return k, err
}

func (l *Ledger) loadLogKeys(ctx context.Context, stream string) (domain.LogKeys, uint64, error) {
	return fold(ctx, l.log, stream, domain.LogKeys{}, 0)
}
