package sequencer

import (
	"context"

	"github.com/answerable-ledger/answerable/eventlog"
	"github.com/answerable-ledger/answerable/transparency"
)

// Reader reads and checks evidence and signs nothing. It holds no guard, so it works beside the process that does sign.
type Reader struct{ s *Sequencer }

// NewReader makes a reader. Of the options it needs Log, Tree, Header and Salts.
func NewReader(o Options) *Reader { return &Reader{&Sequencer{o: o}} }

// Verify is Sequencer.Verify.
func (r *Reader) Verify(ctx context.Context, progress func(done, of int64)) error {
	return r.s.Verify(ctx, progress)
}

// BareLeaf is Sequencer.BareLeaf.
func (r *Reader) BareLeaf(e eventlog.Recorded) ([]byte, error) { return r.s.BareLeaf(e) }

// Opening is Sequencer.Opening.
func (r *Reader) Opening(ctx context.Context, e eventlog.Recorded) (transparency.Opening, error) {
	return r.s.Opening(ctx, e)
}
