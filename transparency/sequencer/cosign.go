package sequencer

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/answerable-ledger/answerable/transparency"
	"github.com/answerable-ledger/answerable/transparency/treestore"
	"github.com/answerable-ledger/answerable/transparency/witness"
)

const (
	// witnessTimeout bounds one request; a witness on the far end of a bad line answers within it or is down.
	witnessTimeout = 10 * time.Second
	// stale is how old a checkpoint may be when it is submitted. A cosignature says that nothing larger existed then; with
	// an older checkpoint that would be untrue of the ledger, and entries recorded meanwhile would look backdated.
	stale = 2 * time.Second
)

// CosignerOptions are what the submission to witnesses needs.
type CosignerOptions struct {
	Tree   Tree
	Policy *transparency.Policy // its witnesses with a URL are asked
	HTTP   *http.Client
	Clock  func() time.Time
	// Refresh gives a checkpoint of what the log holds now: Sequencer.Force.
	Refresh func(context.Context) (treestore.Signed, error)
	// Report is told of every attempt, err nil for a cosignature. May be nil. An error that is transparency.ErrFork means
	// that the witness knows another history of this log.
	Report func(witness string, size int64, err error)
}

// Cosigner submits checkpoints to witnesses, each in its own time, and keeps every cosignature with its checkpoint. It
// never holds up the sequencer: what is offered while a witness is busy replaces what was offered before.
type Cosigner struct {
	o     CosignerOptions
	asked []*asked

	mu      sync.Mutex // owns the two below
	changed chan struct{}
}

type asked struct {
	name   string
	client witness.Client
	offer  chan treestore.Signed // capacity 1
	old    int64                 // where the witness stands, as far as known
	done   time.Time             // FreshAt of what it cosigned last
}

// NewCosigner makes a submitter; Run makes it work.
func NewCosigner(o CosignerOptions) *Cosigner {
	c := &Cosigner{o: o, changed: make(chan struct{})}
	for _, w := range o.Policy.Witnesses {
		if w.URL != "" {
			c.asked = append(c.asked, &asked{name: w.Name, client: witness.Client{Prefix: w.URL, Key: w.Key, HTTP: o.HTTP}, offer: make(chan treestore.Signed, 1)})
		}
	}
	return c
}

// Offer hands a checkpoint to every witness. It never blocks: it is made for Options.Published.
func (c *Cosigner) Offer(s treestore.Signed) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, a := range c.asked {
		select {
		case <-a.offer:
		default:
		}
		a.offer <- s
	}
}

// Run submits until ctx ends.
func (c *Cosigner) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	for _, a := range c.asked {
		wg.Go(func() { c.serve(ctx, a) })
	}
	wg.Wait()
	<-ctx.Done()
	return context.Cause(ctx)
}

func (c *Cosigner) serve(ctx context.Context, a *asked) {
	wait := firstRetry
	for {
		var s treestore.Signed
		select {
		case <-ctx.Done():
			return
		case s = <-a.offer:
		}
		for {
			err := c.submit(ctx, a, s)
			if ctx.Err() != nil {
				return
			}
			if c.o.Report != nil {
				c.o.Report(a.name, s.Size, err)
			}
			if err == nil {
				wait = firstRetry
				break
			}
			select {
			case <-ctx.Done():
				return
			case <-time.After(wait):
				wait = min(2*wait, lastRetry)
			}
			// Whatever was offered meanwhile is at least as new as what failed.
			select {
			case s = <-a.offer:
			default:
			}
		}
	}
}

func (c *Cosigner) submit(ctx context.Context, a *asked, s treestore.Signed) error {
	if s.Size <= a.old && !s.FreshAt.After(a.done) {
		return nil // what was refreshed for another attempt comes back as an offer
	}
	if c.o.Clock().Sub(s.FreshAt) > stale {
		fresh, err := c.o.Refresh(ctx)
		if err != nil {
			return err
		}
		s = fresh
	}
	ctx, cancel := context.WithTimeout(ctx, witnessTimeout)
	defer cancel()
	for try := 0; ; try++ {
		if a.old > s.Size {
			return fmt.Errorf("witness %s has seen %d entries of this log, it has %d: it was put back to an older state, or somebody else signs with its key: %w", a.name, a.old, s.Size, transparency.ErrFork)
		}
		proof, err := Consistency(ctx, c.o.Tree, a.old, s.Size)
		if err != nil {
			return err
		}
		sig, err := a.client.AddCheckpoint(ctx, a.old, proof, s.Note)
		var elsewhere *witness.SizeError
		var refused *witness.RefusedError
		switch {
		case err == nil:
			a.old, a.done = s.Size, s.FreshAt
			if err := c.o.Tree.SaveCheckpoint(ctx, transparency.Note{Text: s.Note.Text, Signatures: []transparency.Signature{sig}}, c.o.Clock()); err != nil {
				return err
			}
			c.announce()
			return nil
		case errors.As(err, &elsewhere) && try == 0:
			a.old = elsewhere.Size
		case errors.As(err, &refused) && refused.Status == http.StatusUnprocessableEntity:
			return fmt.Errorf("%w: it has seen another history of this log: %w", err, transparency.ErrFork)
		default:
			return err
		}
	}
}

func (c *Cosigner) announce() {
	c.mu.Lock()
	defer c.mu.Unlock()
	close(c.changed)
	c.changed = make(chan struct{})
}

// Wait returns the smallest kept checkpoint of at least the given size that meets the policy's quorum, waiting for it
// until ctx ends.
func (c *Cosigner) Wait(ctx context.Context, size int64) (treestore.Signed, error) {
	for {
		c.mu.Lock()
		changed := c.changed
		c.mu.Unlock()
		kept, err := c.o.Tree.CheckpointsFrom(ctx, size, maxAtOnce)
		if err != nil {
			return treestore.Signed{}, err
		}
		for _, k := range kept {
			if j, err := c.o.Policy.Judge(k.Note); err == nil && j.Witnessed {
				return k, nil
			}
		}
		select {
		case <-ctx.Done():
			return treestore.Signed{}, fmt.Errorf("sequencer: wait for a witnessed checkpoint of size %d: %w", size, context.Cause(ctx))
		case <-changed:
		}
	}
}

// maxAtOnce bounds how many checkpoints Wait looks at each time.
const maxAtOnce = 256
