package esdb

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"time"

	client "github.com/EventStore/EventStore-Client-Go/v4/esdb"

	"github.com/answerable-ledger/answerable/eventlog"
)

// supervisor owns the client. Of the client of v4.2.0 one has to know (impl.go):
//
//   - its state machine ends for good when discovery fails, and every later call gets ConnectionClosed;
//   - until it has ended, callers wait for it on a channel without regard to their contexts, and those that came
//     during the failing discovery wait for ever;
//   - a rediscovery leaves the former connection open;
//   - Close panics in callers that still wait;
//   - an event without a time of creation ends the process (protobuf_utils.go), unless SurviveClient was called.
//
// Hence: discovery happens under a probe that nobody else can join; callers are let in only when it has succeeded; a
// client that has lost its server is replaced, not repaired; every call runs in a goroutine of its own, which alone is
// lost if the client never answers.
type supervisor struct {
	config       *client.Configuration
	probeTimeout time.Duration
	patience     time.Duration
	logf, infof  func(string, ...any)

	stop  context.Context // ends at Close
	end   context.CancelFunc
	ended sync.WaitGroup // run
	wake  chan struct{}  // a generation was retired

	mu        sync.Mutex // guards what follows
	current   *generation
	number    uint64
	cause     error         // why there is no generation
	lostAt    time.Time     // since when
	impatient bool          // lost for longer than patience, and the last probe failed
	probes    uint64        // probes that have ended
	changed   chan struct{} // closed and replaced when any of these changes
}

// generation is one client from its probe to its replacement.
type generation struct {
	number uint64
	client *client.Client
	logf   func(string, ...any)

	mu        sync.Mutex // guards what follows
	calls     int        // goroutines inside the client
	retired   bool
	suspected bool // a probe is under way
	closed    bool
}

const (
	// firstBackoff and lastBackoff bound the pause between two probes; each is drawn from the upper half.
	firstBackoff = 50 * time.Millisecond
	lastBackoff  = 2 * time.Second
	// retiredGrace is how long calls of a retired client may go on before it is closed under them. It also frees those
	// that the client would never answer.
	retiredGrace = 30 * time.Second
	// abandonedProbes bounds the clients whose probe has neither succeeded nor failed when its time was up.
	abandonedProbes = 3
)

func newSupervisor(config *client.Configuration, o Options) *supervisor {
	s := &supervisor{
		config: config, probeTimeout: o.AttemptTimeout, patience: o.Patience, logf: o.Logf, infof: o.Infof,
		wake: make(chan struct{}, 1), changed: make(chan struct{}), lostAt: time.Now(), cause: errors.New("not yet connected"),
	}
	s.stop, s.end = context.WithCancel(context.Background())
	s.wake <- struct{}{}
	s.ended.Add(1)
	go s.run()
	return s
}

// run looks for the server whenever there is none, until the end.
func (s *supervisor) run() {
	defer s.ended.Done()
	abandoned := make(chan struct{}, abandonedProbes)
	for {
		select {
		case <-s.wake:
		case <-s.stop.Done():
			return
		}
		for pause := firstBackoff; ; pause = min(2*pause, lastBackoff) {
			err := s.connect(abandoned)
			if err == nil || s.stop.Err() != nil {
				break
			}
			s.failed(err)
			if sleep(s.stop, pause) != nil {
				return
			}
		}
	}
}

// connect makes a client and lets it in when it has answered a probe.
func (s *supervisor) connect(abandoned chan struct{}) error {
	config := *s.config
	c, err := client.NewClient(&config)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(s.stop, s.probeTimeout)
	done := make(chan error, 1)
	go func() { done <- guarded(func() error { return probe(ctx, c) }) }()
	select {
	case err = <-done:
		cancel()
		if err == nil {
			s.install(c)
			return nil
		}
		_ = c.Close()
		return err
	case <-ctx.Done():
	}
	// The client heeds no context while it looks for a server, but it does come to an end; until then it cannot be
	// closed without a panic in the probe.
	abandon := func() {
		<-done
		cancel()
		_ = c.Close()
		<-abandoned
	}
	select {
	case abandoned <- struct{}{}:
		go abandon()
	case <-s.stop.Done():
		go func() { <-done; cancel(); _ = c.Close() }()
	}
	return fmt.Errorf("no answer within %v", s.probeTimeout)
}

// probe asks for the newest event of all: it needs a server, a version the client can parse, valid credentials, and the
// right to read everything, which a follower needs.
func probe(ctx context.Context, c *client.Client) error {
	events, err := c.ReadAll(ctx, client.ReadAllOptions{Direction: client.Backwards, From: client.End{}}, 1)
	if err != nil {
		return err
	}
	defer events.Close()
	if _, err := receive(events); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

func (s *supervisor) install(c *client.Client) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.number++
	s.current = &generation{number: s.number, client: c, logf: s.logf}
	s.cause, s.impatient = nil, false
	s.probes++
	s.announce()
	s.infof("esdb: connected (client %d)", s.number)
}

func (s *supervisor) failed(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cause == nil || s.cause.Error() != err.Error() {
		s.logf("esdb: the server cannot be reached: %v", err)
	}
	s.cause = err
	s.impatient = time.Since(s.lostAt) >= s.patience
	s.probes++
	s.announce()
}

// announce needs s.mu.
func (s *supervisor) announce() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// retire puts g out of use and starts the search for its successor.
func (s *supervisor) retire(g *generation, cause error) {
	s.mu.Lock()
	if s.current == g {
		s.current, s.cause, s.lostAt, s.impatient = nil, cause, time.Now(), false
		s.announce()
		s.logf("esdb: client %d has lost its server: %v", g.number, cause)
		select {
		case s.wake <- struct{}{}:
		default:
		}
	}
	s.mu.Unlock()
	g.retire()
}

// suspect probes g, once at a time, when it has kept a caller waiting beyond its deadline.
func (s *supervisor) suspect(g *generation) {
	if !g.enter(true) {
		return
	}
	go func() {
		ctx, cancel := context.WithTimeout(s.stop, s.probeTimeout)
		defer cancel()
		done := make(chan error, 1)
		go func() {
			defer g.leave(true)
			done <- guarded(func() error { return probe(ctx, g.client) })
		}()
		var err error
		select {
		case err = <-done:
		case <-ctx.Done():
			err = fmt.Errorf("no answer within %v", s.probeTimeout)
		}
		if err != nil && s.stop.Err() == nil {
			s.retire(g, err)
		}
	}()
}

// first waits for the first probe to end and returns what came of it; it returns ctx's error when that ends before.
func (s *supervisor) first(ctx context.Context) error {
	for {
		s.mu.Lock()
		ended, cause, changed := s.probes > 0, s.cause, s.changed
		s.mu.Unlock()
		if ended {
			return cause
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (s *supervisor) close() {
	s.end()
	s.ended.Wait()
	s.mu.Lock()
	g := s.current
	s.current = nil
	s.mu.Unlock()
	if g != nil {
		g.retire()
	}
}

// manner says how a caller takes the absence of the server.
type manner bool

const (
	hurried manner = false // fail when the server has been gone for longer than patience
	patient manner = true  // wait to the deadline: the caller has sent something and must know what became of it
)

// notSent wraps the error of a call that never reached the client.
type notSent struct{ error }

func (e notSent) Unwrap() error { return e.error }

// acquire waits for a generation.
func (s *supervisor) acquire(ctx context.Context, m manner) (*generation, error) {
	for {
		s.mu.Lock()
		g, cause, impatient, changed := s.current, s.cause, s.impatient, s.changed
		s.mu.Unlock()
		switch {
		case s.stop.Err() != nil:
			return nil, notSent{fmt.Errorf("%w: the log is closed", eventlog.ErrUnavailable)}
		case ctx.Err() != nil:
			return nil, notSent{fmt.Errorf("%w: %w (server: %v)", eventlog.ErrUnavailable, context.Cause(ctx), orUp(cause))}
		case g != nil && g.enter(false):
			return g, nil
		case impatient && m == hurried:
			return nil, notSent{fmt.Errorf("%w: %w", eventlog.ErrUnavailable, explain(cause))}
		}
		select {
		case <-changed:
		case <-ctx.Done():
		case <-s.stop.Done():
		}
	}
}

// standing is what keeps calls from the server, or that it is connected.
func (s *supervisor) standing() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return orUp(s.cause)
}

func orUp(cause error) error {
	if cause == nil {
		return errors.New("connected")
	}
	return explain(cause)
}

// call runs op with the present client and returns when op or ctx ends, or timeout (0: none) has passed since op began,
// whichever is first. op's context lives as long as op.
func call[T any](ctx context.Context, s *supervisor, timeout time.Duration, m manner, op func(context.Context, *client.Client) (T, error)) (T, error) {
	var none T
	g, err := s.acquire(ctx, m)
	if err != nil {
		return none, err
	}
	opCtx, cancel := context.WithCancel(ctx)
	if timeout > 0 {
		opCtx, cancel = context.WithTimeout(ctx, timeout)
	}
	defer cancel()
	type result struct {
		value T
		err   error
	}
	done := make(chan result, 1)
	go func() {
		var r result
		r.err = guarded(func() (err error) { r.value, err = op(opCtx, g.client); return err })
		g.leave(false)
		if broken(r.err) && opCtx.Err() == nil {
			s.retire(g, r.err)
		}
		done <- r
	}()
	select {
	case r := <-done:
		return r.value, r.err
	case <-opCtx.Done():
	case <-s.stop.Done():
		return none, fmt.Errorf("%w: the log was closed", eventlog.ErrUnavailable)
	}
	select {
	case r := <-done: // both at once: the answer counts
		return r.value, r.err
	default:
	}
	if errors.Is(context.Cause(opCtx), context.DeadlineExceeded) {
		s.suspect(g)
	}
	return none, context.Cause(opCtx)
}

// enter counts a call in, unless the generation is retired (or, for a probe of suspicion, already under probe).
func (g *generation) enter(suspicion bool) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.retired || suspicion && g.suspected {
		return false
	}
	g.suspected = g.suspected || suspicion
	g.calls++
	return true
}

func (g *generation) leave(suspicion bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if suspicion {
		g.suspected = false
	}
	if g.calls--; g.calls == 0 && g.retired {
		g.close()
	}
}

func (g *generation) retire() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.retired {
		return
	}
	g.retired = true
	if g.calls == 0 {
		g.close()
		return
	}
	time.AfterFunc(retiredGrace, func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.close()
	})
}

// close needs g.mu.
func (g *generation) close() {
	if g.closed {
		return
	}
	g.closed = true
	_ = g.client.Close()
}

// panicked is a panic of the client, or of its generated code, turned into an error.
type panicked struct{ value any }

func (p panicked) Error() string { return fmt.Sprintf("the client panicked: %v", p.value) }

func guarded(op func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = panicked{v}
		}
	}()
	return op()
}

// sleep pauses for a time drawn from the upper half of d.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d/2 + rand.N(d/2+1))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
