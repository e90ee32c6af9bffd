package sequencer_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/answerable-ledger/answerable/transparency"
	"github.com/answerable-ledger/answerable/transparency/sequencer"
	"github.com/answerable-ledger/answerable/transparency/treestore"
	"github.com/answerable-ledger/answerable/transparency/witness"
)

func TestCosigner(t *testing.T) {
	t.Parallel()
	log := newLedger().grow(t, 30, "")
	w, err := witness.New(witness.Options{Dir: t.TempDir(), Key: witnessKey(t), Logs: []transparency.VerifierKey{key(t, 1).VerifierKey}})
	if err != nil {
		t.Fatal(err)
	}
	down := make(chan struct{}) // the witness is down until it is closed
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		select {
		case <-down:
			w.Handler().ServeHTTP(rw, r)
		default:
			http.Error(rw, "down", 503)
		}
	}))
	t.Cleanup(server.Close)
	s := newSite(t)
	p := witnessedPolicy(t, server.URL)
	var c *sequencer.Cosigner
	q := s.mustStart(t, log, func(o *sequencer.Options) { o.Published = func(x treestore.Signed) { c.Offer(x) } })
	failed := make(chan error, 100)
	c = sequencer.NewCosigner(sequencer.CosignerOptions{Tree: s.tree, Policy: p, HTTP: http.DefaultClient, Clock: time.Now, Refresh: q.Force,
		Report: func(_ string, _ int64, err error) {
			if err != nil {
				failed <- err
			}
		}})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()

	// A witness that is down holds up nothing: the receipt says "logged".
	mustForce(t, q)
	<-failed
	level := func() transparency.Level {
		proof, err := s.tree.Receipt(t.Context(), 7, p)
		if err != nil {
			t.Fatal(err)
		}
		v, err := transparency.VerifyReceipt(proof.Marshal(), p, transparency.ReceiptOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return v.Level
	}
	if got := level(); got != transparency.Logged {
		t.Errorf("witness down: %v", got)
	}
	close(down)
	if _, err := c.Wait(t.Context(), 30); err != nil {
		t.Fatal(err)
	}
	if got := level(); got != transparency.Witnessed {
		t.Errorf("witness up again: %v", got)
	}
	log.grow(t, 10, "")
	mustForce(t, q)
	if k, err := c.Wait(t.Context(), 40); err != nil || k.Size != 40 {
		t.Error(k.Size, err)
	}
	cancel()
	<-done
	s.close()

	// A log that was put back and went another way meets the witness that remembers.
	other := newSite(t)
	var c2 *sequencer.Cosigner
	q2 := other.mustStart(t, newLedger().grow(t, 20, "").grow(t, 30, "other"), func(o *sequencer.Options) {
		o.Published = func(x treestore.Signed) { c2.Offer(x) }
	})
	forked := make(chan error, 100)
	c2 = sequencer.NewCosigner(sequencer.CosignerOptions{Tree: other.tree, Policy: p, HTTP: http.DefaultClient, Clock: time.Now, Refresh: q2.Force,
		Report: func(_ string, _ int64, err error) { forked <- err }})
	ctx, cancel = context.WithCancel(t.Context())
	go func() { done <- c2.Run(ctx) }()
	mustForce(t, q2)
	if err := <-forked; !errors.Is(err, transparency.ErrFork) {
		t.Errorf("want a fork: %v", err)
	}
	cancel()
	<-done
}
