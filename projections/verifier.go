package projections

import (
	"context"
	"errors"
)

// OpenVerifier opens views that another process may be applying to, together with the log they were folded from, which
// Config must hold: its Views answer questions and Verify.
func OpenVerifier(ctx context.Context, c Config) (*Views, error) {
	v, err := open(ctx, c, true)
	if err != nil {
		return nil, err
	}
	if err := v.readable(ctx); err != nil {
		return nil, errors.Join(err, v.Close())
	}
	return v, nil
}
