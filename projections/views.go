package projections

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/eventlog"
	"github.com/answerable-ledger/answerable/internal/postgres"
	"github.com/answerable-ledger/answerable/projections/giveway"
	"github.com/answerable-ledger/answerable/schemas"
)

// Config is what the views need. Log and Registry are needed by all but a reader of stored rows, who needs Registry.
type Config struct {
	// Path of the SQLite registry file, beside which the generations lie; or a connection string of PostgreSQL, with
	// sslmode and connect_timeout: postgres://user:password@host/database?sslmode=verify-full&connect_timeout=5
	Path     string
	Log      eventlog.Log
	Registry *schemas.Registry
	Logger   *zap.Logger           // nil: silent
	Metrics  prometheus.Registerer // nil: none
	Clock    eventlog.Clock        // for the age of what is not applied; nothing that is folded sees it
	// BatchSize is how many events one batch and one transaction take at most; 0 means eventlog.DefaultBatchSize.
	BatchSize int
	// Mend opens views that Open would refuse, because they are ahead of the log or a file is gone, for Rebuild to replace.
	Mend bool
	// SlowRead is how long the slowest hundredth of this process's reads may always take before a rebuild gives way: that is
	// twice what they usually take, and between this and 5/2 of this. 0 means defaultSlowRead.
	SlowRead time.Duration
	// Decoders is how many goroutines decode ahead of the fold; 0 means one per core.
	Decoders int
}

// The ways in which the views fail that a caller may want to tell apart.
var (
	// ErrAhead: the views hold events that the log does not. The log was restored from a backup, or replaced.
	ErrAhead = errors.New("the views are ahead of the log, which was restored or replaced: mend them with: answerable rebuild")
	// ErrFenced: another runner moved the views on. One of the two has to stop, and this one does.
	ErrFenced = errors.New("another process is applying events to these views")
	// ErrReadOnly: the views were opened by OpenReader.
	ErrReadOnly = errors.New("the views are open for reading only")
	// ErrEmpty: nothing was ever applied.
	ErrEmpty = errors.New("there are no views yet: make them with: answerable rebuild")
	// ErrDamaged: the files of the views cannot be read, or some are gone. The log is whole.
	ErrDamaged = errors.New("the views are damaged or gone; the log is not: make them again with: answerable rebuild")
	// ErrCursor: a cursor that this query did not give.
	ErrCursor = errors.New("not a cursor of this query")
)

// Views answers questions from the rows of one generation, and keeps these up with the log.
type Views struct {
	config      Config
	store       store
	fingerprint string
	readOnly    bool
	metrics     *meters
	reads       giveway.Reads
	job         job
	held        int // how many obligations a rebuild holds before it seals days

	// apply serialises what changes rows: batches, and the switch to a new generation.
	apply sync.Mutex
	live  *set // the working set of the last batch, nil when it has to be loaded anew; under apply
	// leading: this process applies, and no other; under apply. unsure is where a batch would have moved the position whose
	// commit was not answered, or nil; under apply.
	leading bool
	unsure  *position
	leads   atomic.Bool // leading, for who only wants to know

	unwatch  context.CancelFunc // ends the watch for what other processes apply
	watching sync.WaitGroup

	mu       sync.Mutex
	current  *generation // nil until there is one
	retired  []*generation
	at       position
	advanced chan struct{} // closed and replaced whenever at moves
}

// Open opens the views for applying and reading, makes empty ones when there are none, and refuses views that are ahead
// of the log.
func Open(ctx context.Context, c Config) (*Views, error) {
	v, err := open(ctx, c, false)
	if err != nil {
		return nil, err
	}
	if err := v.start(ctx); err != nil {
		return nil, errors.Join(err, v.Close())
	}
	return v, nil
}

// OpenReader opens views that another process may be applying to. Its Views answer questions and nothing else.
func OpenReader(ctx context.Context, path string, registry *schemas.Registry) (*Views, error) {
	v, err := open(ctx, Config{Path: path, Registry: registry}, true)
	if err != nil {
		return nil, err
	}
	if err := v.readable(ctx); err != nil {
		return nil, errors.Join(err, v.Close())
	}
	return v, nil
}

func open(ctx context.Context, c Config, readOnly bool) (*Views, error) {
	if c.Logger == nil {
		c.Logger = zap.NewNop()
	}
	if c.BatchSize <= 0 {
		c.BatchSize = eventlog.DefaultBatchSize
	}
	if c.Decoders <= 0 {
		c.Decoders = runtime.GOMAXPROCS(0)
	}
	m, err := newMeters(c.Metrics)
	if err != nil {
		return nil, err
	}
	var store store
	if postgres.Is(c.Path) {
		store, err = openPostgres(ctx, c.Path, readOnly, c.Logger)
	} else {
		store, err = openSQLite(c.Path, readOnly, c.Mend)
	}
	if err != nil {
		return nil, err
	}
	fp, err := fingerprint(store.dialect())
	if err != nil {
		return nil, errors.Join(err, store.close())
	}
	return &Views{config: c, store: store, fingerprint: fp, readOnly: readOnly, metrics: m, held: heldObligations, advanced: make(chan struct{})}, nil
}

// start finds the live generation and judges it against the log.
func (v *Views) start(ctx context.Context) error {
	if err := v.store.tidy(ctx); err != nil {
		return v.judged(err)
	}
	g, p, err := v.standing(ctx)
	if err != nil && v.config.Mend && !v.store.dialect().full(err) {
		v.config.Logger.Warn("the views cannot be used and are replaced", zap.Error(err))
		if g, err = nil, v.judged(err); errors.Is(err, ErrDamaged) {
			err = v.store.setAside(ctx, stateLive, v.now())
		} else {
			err = nil
		}
	}
	if err == nil && g == nil {
		if g, err = v.empty(ctx); err == nil {
			p, err = g.position(ctx, g.read)
		}
	}
	if err != nil {
		return v.judged(err)
	}
	v.current = g
	v.moved(p)
	if err := v.checkAhead(ctx, p); err != nil && !(v.config.Mend && errors.Is(err, ErrAhead)) {
		return err
	}
	ctx, v.unwatch = context.WithCancel(context.WithoutCancel(ctx))
	v.watching.Go(func() { v.store.watch(ctx, func() { v.look(ctx) }) })
	v.watching.Go(func() { v.reads.Tell(ctx, v.store.board(), v.process(), v.slowRead()) })
	return nil
}

// standing opens the live generation, if there is one, and reads where it stands.
func (v *Views) standing(ctx context.Context) (g *generation, p position, err error) {
	if g, err = v.opened(ctx, stateLive); g == nil || err != nil {
		return nil, p, err
	}
	if p, err = g.position(ctx, g.read); err != nil {
		return nil, p, errors.Join(err, g.close())
	}
	return g, p, nil
}

// readable tells a reader of damage at once, and not as the answer to a question.
func (v *Views) readable(ctx context.Context) error {
	g, err := v.generation(ctx)
	if err == nil && g.unusable == nil {
		_, err = g.position(ctx, g.read)
	}
	return v.judged(err)
}

// judged says in this package's words why rows could not be opened, read or written.
func (v *Views) judged(err error) error {
	switch d := v.store.dialect(); {
	case err == nil || errors.Is(err, ErrFull) || errors.Is(err, ErrDamaged):
		return err
	case d.full(err):
		return fmt.Errorf("%w: %w", ErrFull, err)
	case d.damaged(err):
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return err
}

func (v *Views) now() time.Time {
	if v.config.Clock == nil {
		return time.Now()
	}
	return v.config.Clock()
}

// look takes notice of what another process has applied.
func (v *Views) look(ctx context.Context) {
	v.apply.Lock()
	defer v.apply.Unlock()
	if v.leading {
		// Nobody else moves the position then; and if somebody did, the fence has to find out. But an operator's rebuild may
		// have put another generation in this one's place.
		if n, err := v.store.liveNumber(ctx); err != nil || n == v.current.n {
			return
		}
	}
	err := v.refresh(ctx)
	if err == nil && v.leading {
		v.live, err = v.acquainted(ctx, v.current, v.position())
	}
	if err != nil && ctx.Err() == nil {
		v.config.Logger.Warn("the position of the views cannot be looked up, trying again", zap.Error(err))
	}
}

// empty makes and publishes a generation of empty tables, unless another process was first.
func (v *Views) empty(ctx context.Context) (g *generation, err error) {
	err = v.store.alone(ctx, func(ctx context.Context) error {
		if g, err = v.opened(ctx, stateLive); g != nil && err == nil {
			return nil
		}
		if g, err = v.store.begin(ctx, v.fingerprint); err != nil {
			return err
		}
		if err := v.index(ctx, g.write, g); err != nil {
			return errors.Join(err, g.close())
		}
		if err := v.store.finish(ctx, g); err != nil {
			return err
		}
		if err := v.store.publish(ctx, g, eventlog.Position{}, stateRetired, true); err != nil {
			return err
		}
		g.state = stateLive
		return nil
	})
	return g, err
}

// refresh looks up which generation is live and where it stands: another process may have moved both. The caller holds
// apply.
func (v *Views) refresh(ctx context.Context) error {
	n, err := v.store.liveNumber(ctx)
	if err != nil {
		return err
	}
	v.mu.Lock()
	g := v.current
	v.mu.Unlock()
	if n != 0 && (g == nil || g.n != n) {
		if g, err = v.opened(ctx, stateLive); err != nil {
			return err
		}
		v.mu.Lock()
		v.retired = append(v.retired, v.current)
		v.current = g
		v.mu.Unlock()
	}
	if g == nil {
		return ErrEmpty
	}
	p, err := g.position(ctx, g.read)
	if err != nil {
		return err
	}
	v.live = nil
	v.moved(p)
	return nil
}

// checkAhead asks the log for the event at a position: when it is not there, or another one, then the log is not the
// one these rows were folded from.
func (v *Views) checkAhead(ctx context.Context, p position) error {
	if p.at.IsZero() {
		return nil
	}
	for e, err := range v.config.Log.ReadStream(ctx, p.stream, p.revision) {
		switch {
		case err != nil:
			return fmt.Errorf("projections: look for the event at %s: %w", p.at, err)
		case e.ID.String() == p.eventID && e.Position == p.at:
			return nil
		}
		return fmt.Errorf("projections: position %s: revision %d of %s is event %s at %s, expected %s: %w", p.at, e.Revision, p.stream, e.ID, e.Position, p.eventID, ErrAhead)
	}
	return fmt.Errorf("projections: position %s: revision %d of %s is not there: %w", p.at, p.revision, p.stream, ErrAhead)
}

// Close releases files and connections. Run and Lead have ended before it is called.
func (v *Views) Close() error {
	v.job.stop(context.Canceled) // what is written stays for the next process
	v.job.wait.Wait()
	if v.unwatch != nil {
		v.unwatch()
		v.watching.Wait()
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	var errs []error
	for _, g := range append(v.retired, v.current) {
		if g != nil {
			errs = append(errs, g.close())
		}
	}
	v.current, v.retired = nil, nil
	return errors.Join(append(errs, v.store.close())...)
}

// generation is the one to read. A reader looks each time: the process that applies may have switched.
func (v *Views) generation(ctx context.Context) (*generation, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if !v.readOnly {
		if v.current == nil {
			return nil, ErrEmpty
		}
		return v.current, nil
	}
	n, err := v.store.liveNumber(ctx)
	if err != nil {
		return nil, err
	}
	if n == 0 {
		return nil, ErrEmpty
	}
	if v.current != nil && v.current.n == n {
		return v.current, nil
	}
	g, err := v.opened(ctx, stateLive)
	if err != nil {
		return nil, err
	}
	if g == nil {
		return nil, ErrEmpty
	}
	if v.current != nil {
		v.retired = append(v.retired, v.current)
	}
	v.current = g
	return g, nil
}

// Position is where the views stand: everything at or before it is in the rows, or parked.
func (v *Views) Position() eventlog.Position {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.at.at
}

func (v *Views) moved(p position) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.at = p
	close(v.advanced)
	v.advanced = make(chan struct{})
	v.metrics.moved(p)
}

// WaitFor returns when everything at or before a position has been applied, so that a caller reads its own writes; or
// with ctx's error.
func (v *Views) WaitFor(ctx context.Context, p eventlog.Position) error {
	for {
		v.mu.Lock()
		reached, advanced := v.at.at.Compare(p) >= 0, v.advanced
		v.mu.Unlock()
		if reached {
			return nil
		}
		select {
		case <-advanced:
		case <-ctx.Done():
			return fmt.Errorf("projections: wait for position %s: %w", p, ctx.Err())
		}
	}
}

// Lag tells how far the views are behind the log's head, which is read from the log itself.
func (v *Views) Lag(ctx context.Context) (Lag, error) {
	head, err := v.config.Log.Head(ctx)
	if err != nil {
		return Lag{}, fmt.Errorf("projections: lag: %w", err)
	}
	parked, err := v.Parked(ctx)
	if err != nil {
		return Lag{}, err
	}
	p := v.Position()
	if v.readOnly {
		g, err := v.generation(ctx)
		if err != nil {
			return Lag{}, err
		}
		stands, err := g.position(ctx, g.read)
		if err != nil {
			return Lag{}, err
		}
		p = stands.at
	}
	lag := Lag{Position: p, Head: head, Place: p.String(), HeadAt: head.String(), Parked: len(parked)}
	if head.Compare(p) <= 0 {
		return lag, nil
	}
	lag.Events = -1
	if head.Commit == head.Prepare && p.Commit == p.Prepare && dense(v.config.Log) {
		lag.Events = int64(head.Commit - p.Commit)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for b, err := range v.config.Log.Follow(ctx, p, ledgerStreams(), eventlog.FollowOptions{BatchSize: 1}) {
		if err != nil {
			return Lag{}, fmt.Errorf("projections: lag: %w", err)
		}
		if len(b.Events) > 0 {
			if v.config.Clock != nil {
				lag.Seconds = max(0, v.config.Clock().Sub(b.Events[0].RecordedAt).Seconds())
			}
			break
		}
		if b.CaughtUp {
			lag.Events = 0 // what lies between is none of the ledger's
			break
		}
	}
	v.metrics.lag(lag)
	return lag, nil
}

// dense reports whether a log numbers its events without gaps. A log that does says so.
func dense(l eventlog.Log) bool {
	d, ok := l.(interface{ Dense() bool })
	return ok && d.Dense()
}

// ledgerStreams is the filter of a follower of the ledger.
func ledgerStreams() eventlog.Filter {
	var f eventlog.Filter
	for _, c := range domain.Categories {
		f.Prefixes = append(f.Prefixes, c+"-")
	}
	return f
}
