package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/answerable-ledger/answerable/api"
	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/eventlog"
	"github.com/answerable-ledger/answerable/internal/postgres"
	"github.com/answerable-ledger/answerable/transparency"
	"github.com/answerable-ledger/answerable/transparency/receipts"
	"github.com/answerable-ledger/answerable/transparency/treestore"
)

// signer is a server's part in the evidence. Of the processes that share a PostgreSQL, which holds the tree, and have the
// keys, one signs: the one that holds a lock of the database. The others hand out what it made, and one of them goes on when
// it dies. A process that lost its connection and does not know yet is kept from signing beside the next by the tree and by
// the guard: each belongs to whoever opened it last. It is api.Evidence, whoever signs.
type signer struct {
	a       *app
	n       *node
	place   string // the database; "": this process signs, and no other can
	policy  *transparency.Policy
	stepped chan struct{} // a day was closed by this process
	signing prometheus.Gauge

	mu      sync.RWMutex    // owns what follows; held for reading while it is used
	signs   *evidence       // nil while another process signs
	reads   *evidenceReader // what that one made, as of since; nil until it was looked for, and while this one signs
	since   time.Time
	trouble error
}

// readAgain is how often a process that does not sign looks at how far the tree has come: a receipt that it gives for what
// came later says that the event is recorded, and no more. Chosen: as often as checkpoints are signed.
const readAgain = time.Second

// errNotHere: evidence is asked for before there is any.
var errNotHere = fmt.Errorf("the transparency log cannot be read yet: %w", eventlog.ErrUnavailable)

// openSigner gives a server's part in the evidence; nil when its directory has none. It returns when it is known who signs:
// what was signed for must be there before this process records anything after it.
func (a *app) openSigner(ctx context.Context, n *node) (_ *signer, err error) {
	p, ok, err := readEvidence(n.dir)
	if err != nil || !ok {
		return nil, err
	}
	s := &signer{a: a, n: n, place: a.server(postgresURLKey), stepped: make(chan struct{}, 1)}
	s.signing = prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "answerable", Subsystem: "evidence", Name: "signing", Help: "1 while this process signs for the transparency log, 0 while another does or nobody can."})
	n.metrics.MustRegister(s.signing)
	if s.policy, err = p.readPolicy(); err != nil {
		return nil, err
	}
	if s.place == "" {
		return s, s.begin(ctx)
	}
	err = a.whenThere(ctx, func() error {
		// The lock is given back at once: run takes it again, as does whoever is quicker.
		ran, err := postgres.IfAlone(ctx, s.place, postgres.LockSigner, "signer", func(ctx context.Context) error {
			return errors.Join(s.begin(ctx), s.end())
		})
		if !ran && err == nil || errors.Is(err, eventlog.ErrInUse) {
			a.logger.Info("another process signs for the transparency log; this one goes on when it ends", zap.String("data", n.dir))
			return nil
		}
		return err
	})
	return s, err
}

// begin opens the evidence for signing and brings the tree up to the log.
func (s *signer) begin(ctx context.Context) error {
	e, err := s.a.openEvidence(ctx, s.n.dir, s.n.log, s.n.now)
	if err == nil {
		if e == nil {
			return fmt.Errorf("evidence: %s is gone: %w", evidenceFile, eventlog.ErrGone)
		}
		err = e.seq.CatchUp(ctx)
	}
	if err == nil {
		err = s.a.takeTreeFile(ctx, e.place, e.tree, e.policy)
	}
	if err == nil {
		// Before the first signature with it: a key that was made while the former process ran could not be recorded then.
		_, err = recordLogKeys(ctx, s.n.ledger, e.place, domain.System)
	}
	if err != nil {
		return errors.Join(err, e.close())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.reads != nil {
		err = s.reads.tree.Close()
	}
	e.shared = s.place != ""
	s.signs, s.reads, s.trouble = e, nil, nil
	s.signing.Set(1)
	return err
}

// end closes what begin has opened.
func (s *signer) end() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.signing.Set(0)
	e := s.signs
	s.signs = nil
	return e.close()
}

// run signs whenever this process is the one to do so, until ctx ends.
func (s *signer) run(ctx context.Context) error {
	if s.place == "" {
		return s.term(ctx)
	}
	for ctx.Err() == nil {
		err := postgres.Alone(ctx, s.place, postgres.LockSigner, "signer", func(ctx context.Context) error {
			if err := s.begin(ctx); err != nil {
				return err
			}
			s.a.logger.Info("this process signs for the transparency log now", zap.String("data", s.n.dir))
			return errors.Join(s.term(ctx), s.end())
		})
		if ctx.Err() != nil {
			break
		}
		wait := time.Second
		switch {
		case errors.Is(err, postgres.ErrLockLost), errors.Is(err, eventlog.ErrInUse), errors.Is(err, eventlog.ErrUnavailable):
			s.a.logger.Warn("no longer the process that signs; trying to be it again", zap.Error(err))
		default:
			wait = lookAgain
			s.mu.Lock()
			s.trouble = err
			s.mu.Unlock()
			s.a.logger.Error("no more evidence is made; the ledger goes on recording", zap.Error(err))
		}
		if waitUntil(ctx, time.Now().Add(wait)) != nil {
			break
		}
	}
	return ctx.Err()
}

// term signs until ctx ends, each second and at each deadline.
func (s *signer) term(ctx context.Context) error {
	s.mu.RLock()
	e := s.signs
	s.mu.RUnlock()
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	wg.Go(func() { e.atDeadlines(ctx, s.n.ledger, s.n.now, s.stepped) }) //nolint:errcheck // it ends with ctx alone
	return e.run(ctx)
}

// step is told that a day was closed: a checkpoint says when.
func (s *signer) step() {
	select {
	case s.stepped <- struct{}{}:
	default: // one is waiting already, and will sign for this step too
	}
}

func (s *signer) close() error {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.signs.close()
	if s.signs = nil; s.reads != nil {
		err = errors.Join(err, s.reads.tree.Close())
		s.reads = nil
	}
	return err
}

// Trouble is why nothing is signed any more, nil while all is well.
func (s *signer) Trouble() error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.signs != nil {
		return s.signs.Trouble()
	}
	return s.trouble
}

// asking gives the desk to ask until release is called.
func (s *signer) asking(ctx context.Context) (desk *receipts.Desk, release func(), err error) {
	if err := s.look(ctx); err != nil {
		return nil, nil, err
	}
	s.mu.RLock()
	switch {
	case s.signs != nil:
		return s.signs.desk, s.mu.RUnlock, nil
	case s.reads != nil:
		return s.reads.desk, s.mu.RUnlock, nil
	}
	s.mu.RUnlock()
	return nil, nil, errNotHere
}

// look opens what another process made, and looks how far that has come when it has grown old.
func (s *signer) look(ctx context.Context) error {
	s.mu.RLock()
	fresh := s.signs != nil || s.reads != nil && time.Since(s.since) < readAgain
	s.mu.RUnlock()
	if fresh {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.signs != nil || s.reads != nil && time.Since(s.since) < readAgain {
		return nil
	}
	if s.reads != nil {
		// Where another process may sign the tree is in the database. What the desk knows of it stays true: it only grows.
		if err := s.reads.tree.(*treestore.Postgres).Refresh(ctx); err != nil {
			return fmt.Errorf("%w (%w)", errNotHere, err)
		}
		s.since = time.Now()
		return nil
	}
	r, err := s.a.openEvidenceReader(ctx, s.n.dir, s.n.log)
	if err != nil {
		return fmt.Errorf("%w (%w)", errNotHere, err)
	}
	s.reads, s.since = r, time.Now()
	return nil
}

// ask puts a question to whatever desk there is.
func ask[T any](ctx context.Context, s *signer, question func(*receipts.Desk) (T, error)) (answer T, err error) {
	desk, release, err := s.asking(ctx)
	if err != nil {
		return answer, err
	}
	defer release()
	return question(desk)
}

var _ api.Evidence = (*signer)(nil)

func (s *signer) Receipt(ctx context.Context, id uuid.UUID) (receipts.Receipt, error) {
	return ask(ctx, s, func(d *receipts.Desk) (receipts.Receipt, error) { return d.Receipt(ctx, id) })
}

func (s *signer) Event(ctx context.Context, id uuid.UUID) (eventlog.Recorded, error) {
	return ask(ctx, s, func(d *receipts.Desk) (eventlog.Recorded, error) { return d.Event(ctx, id) })
}

func (s *signer) Opening(ctx context.Context, e eventlog.Recorded) (transparency.Opening, error) {
	return ask(ctx, s, func(d *receipts.Desk) (transparency.Opening, error) { return d.Opening(ctx, e) })
}

func (s *signer) Status(ctx context.Context) (receipts.Status, error) {
	return ask(ctx, s, func(d *receipts.Desk) (receipts.Status, error) { return d.Status(ctx) })
}

func (s *signer) SignedLately(ctx context.Context, seen string) (bool, error) {
	return ask(ctx, s, func(d *receipts.Desk) (bool, error) { return d.SignedLately(ctx, seen) })
}

func (s *signer) Checkpoints(ctx context.Context) ([]treestore.Signed, error) {
	return ask(ctx, s, func(d *receipts.Desk) ([]treestore.Signed, error) { return d.Checkpoints(ctx) })
}

func (s *signer) Consistency(ctx context.Context, old int64, newest transparency.Note) (transparency.Consistency, error) {
	return ask(ctx, s, func(d *receipts.Desk) (transparency.Consistency, error) { return d.Consistency(ctx, old, newest) })
}

func (s *signer) Policy() *transparency.Policy { return s.policy }

// Handler serves the tiles and checkpoints of whatever tree is open.
func (s *signer) Handler(onError func(error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		desk, release, err := s.asking(r.Context())
		if err != nil {
			onError(err)
			http.Error(w, http.StatusText(http.StatusServiceUnavailable), http.StatusServiceUnavailable)
			return
		}
		defer release()
		desk.Handler(onError).ServeHTTP(w, r)
	})
}
