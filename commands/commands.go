// Package commands is the write side: it loads the state of a stream, lets the domain decide, and appends what was
// decided. Each use case is a method of Ledger.
//
// Its promise: a command that is acknowledged is recorded once, whole, and decided on the state it is recorded after;
// a command that is refused has recorded nothing. Repeating a command with the same id gives the first one's result.
//
// Its failure model: a conflict with another writer is decided again on the new state; an append of unknown outcome is
// repeated with the same ids and the same expectation, which cannot double it; when the log stays away the caller gets
// an error that wraps eventlog.ErrUnavailable or eventlog.ErrOutcomeUnknown and may repeat the command.
package commands

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"go.uber.org/zap"

	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/eventlog"
	"github.com/answerable-ledger/answerable/schemas"
)

// Log is what the write side needs of the event log.
type Log interface {
	eventAppender
	eventReader
	eventFollower
	eventHeader
}

// Ledger runs commands. It is safe for concurrent use.
type Ledger struct {
	log      Log
	registry *schemas.Registry
	now      func() time.Time
	logger   *zap.Logger

	signatures Signatures // nil: nobody can judge one

	regimes folds[domain.Regime]
	days    folds[domain.Day]
	units   folds[domain.Unit]
	offices folds[domain.Office]
	persons folds[domain.Person]
	roster  roster
}

// New makes a ledger on a log. now is the ledger's clock; commands that come with no time of receipt are received then.
func New(log Log, registry *schemas.Registry, now func() time.Time, logger *zap.Logger) *Ledger {
	return &Ledger{log: log, registry: registry, now: now, logger: logger}
}

// Command is who attempts something, how it came in and when.
type Command struct {
	// ID makes the attempt repeatable: the same id is recorded once. Required.
	ID    uuid.UUID
	Actor domain.PersonID
	// Role is recorded as the role acted under; "" takes the first fitting role of the actor.
	Role    domain.Role
	Channel domain.Channel
	// ReceivedAt is when the attempt entered the system; it decides timeliness (rule 2), so the transport takes it
	// before it queues, parses or authenticates. Zero is now.
	ReceivedAt    time.Time
	CorrelationID uuid.UUID // nil: the command's own id
	CausationID   uuid.UUID
}

// System is an act of the ledger itself. Its id derives from the parts that name it, so that a repeat changes nothing.
func System(parts ...string) Command {
	return Command{ID: domain.NewCommandID(parts...), Actor: domain.System, Role: domain.RoleSystem, Channel: domain.ChannelSystem}
}

// Result says what was recorded and where, so that a reader can wait for it.
type Result struct {
	Stream        string
	Revision      uint64 // of the command's last event
	Position      eventlog.Position
	PositionKnown bool
	ReceivedAt    time.Time
	RecordedAt    time.Time
	EventIDs      []uuid.UUID
	Events        []domain.Event // empty on a repeat
	Repeat        bool           // the command had been taken before
}

// maxAttempts bounds how often a command is decided again after losing a race. A report's stream has a handful of
// writers; a hundred racing writers lose one place per attempt.
const maxAttempts = 128

// maxRepeats bounds how often an append of unknown outcome is repeated before the caller is told.
const maxRepeats = 4

// appendWithin bounds all of them together, for a caller who sets no limit: with a log that takes calls and answers none each
// would last as long as the log's own limit. Chosen: longer than that limit, and before people give up.
const appendWithin = 20 * time.Second

// state is what a stream folds to.
type state[S any] interface {
	Apply(domain.Fact) S
	Seen(command uuid.UUID) (revision uint64, ok bool)
}

// source yields a stream's state and the number of its events.
type source[S any] func(ctx context.Context, stream string) (S, uint64, error)

// change is the one loop of the write side: load, decide, append, and again after a lost race.
func change[S state[S]](ctx context.Context, l *Ledger, c Command, stream string, load source[S], decide func(S) ([]domain.Event, error)) (Result, error) {
	c, err := l.complete(c)
	if err != nil {
		return Result{}, err
	}
	for attempt := 1; ; attempt++ {
		s, next, err := load(ctx, stream)
		if err != nil {
			return Result{}, fmt.Errorf("commands: load %s: %w", stream, err)
		}
		if revision, ok := s.Seen(c.ID); ok {
			return l.repeated(ctx, stream, revision, c)
		}
		events, err := decide(s)
		if err != nil {
			return Result{}, err
		}
		if len(events) == 0 {
			return Result{Stream: stream, ReceivedAt: c.ReceivedAt}, nil
		}
		result, err := l.append(ctx, c, stream, next, events)
		if !errors.Is(err, eventlog.ErrConflict) || attempt == maxAttempts {
			return result, err
		}
	}
}

func (l *Ledger) complete(c Command) (Command, error) {
	if c.ID == uuid.Nil {
		return c, fmt.Errorf("commands: %s sent a command without an id", c.Actor)
	}
	now := l.now()
	if c.ReceivedAt.IsZero() {
		c.ReceivedAt = now
	}
	if c.ReceivedAt.After(now.Add(domain.MaxClockSkewSeconds * time.Second)) {
		return c, domain.Refuse(domain.Invalid, domain.CodeClock, "/received_at", "value", c.ReceivedAt.Format(time.RFC3339Nano))
	}
	// Whole microseconds, rounded down: 14:59:59.9999999 stays before the deadline.
	c.ReceivedAt = c.ReceivedAt.UTC().Truncate(time.Microsecond)
	if c.CorrelationID == uuid.Nil {
		c.CorrelationID = c.ID
	}
	return c, nil
}

// append stores the events after next events of the stream. An unknown outcome is repeated with the same ids and the
// same expectation: the log's rules make that one event, not two.
func (l *Ledger) append(ctx context.Context, c Command, stream string, next uint64, events []domain.Event) (Result, error) {
	proposed, err := l.propose(c, stream, events)
	if err != nil {
		return Result{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, appendWithin)
	defer cancel()
	var result Result
	err = insist(ctx, func(first bool) error {
		done, err := l.log.Append(ctx, stream, eventlog.After(next), proposed)
		if err != nil {
			return fmt.Errorf("commands: append %d events to %s: %w", len(events), stream, err)
		}
		result = recorded(c, stream, events, proposed, done)
		result.Repeat = done.Repeat && first
		return nil
	})
	return result, err
}

// insist calls f until it is known what became of it, or patience ends.
func insist(ctx context.Context, f func(first bool) error) error {
	var doubt error // of an earlier try, which may have been stored whatever becomes of the later ones
	for try := 1; ; try++ {
		err := f(try == 1)
		unknown := errors.Is(err, eventlog.ErrOutcomeUnknown) || errors.Is(err, eventlog.ErrUnavailable)
		switch {
		case errors.Is(err, eventlog.ErrOutcomeUnknown):
			doubt = err
		case unknown && doubt != nil:
			err = fmt.Errorf("%w; at the next try: %w", doubt, err)
		}
		if !unknown || try == maxRepeats || ctx.Err() != nil {
			return err
		}
	}
}

// recorded is the result of a command whose events the log has taken.
func recorded(c Command, stream string, events []domain.Event, proposed []eventlog.Proposed, done eventlog.Appended) Result {
	r := Result{Stream: stream, Revision: done.Last, Position: done.Position, PositionKnown: done.PositionKnown,
		ReceivedAt: c.ReceivedAt, RecordedAt: done.RecordedAt, Events: events}
	for _, p := range proposed {
		r.EventIDs = append(r.EventIDs, p.ID)
	}
	return r
}

// propose makes of events what the log stores, when their schemas allow it.
func (l *Ledger) propose(c Command, stream string, events []domain.Event) ([]eventlog.Proposed, error) {
	proposed := make([]eventlog.Proposed, len(events))
	for i, e := range events {
		if names := domain.StreamOf(e); names != "" && names != stream {
			return nil, fmt.Errorf("commands: %s is about %s and cannot stand on %s", e.Kind(), names, stream)
		}
		id := domain.NewEventID(c.ID, i)
		stored, err := schemas.Encode(domain.Fact{Event: e, Meta: domain.Meta{
			EventID: id, ReceivedAt: c.ReceivedAt, Actor: c.Actor, Role: c.Role, Channel: c.Channel,
			CommandID: c.ID, CorrelationID: c.CorrelationID, CausationID: c.CausationID,
		}})
		if err != nil {
			return nil, fmt.Errorf("commands: encode %s for %s: %w", e.Kind(), stream, err)
		}
		if err := l.registry.ValidateEvent(stored); err != nil {
			return nil, fmt.Errorf("commands: %s for %s does not fit its schema: %w", e.Kind(), stream, err)
		}
		if size := len(stored.Data) + len(stored.Meta); size > eventlog.MaxEventBytes {
			return nil, tooLarge(e, size)
		}
		proposed[i] = eventlog.Proposed{ID: id, Kind: stored.Kind, Data: stored.Data, Meta: stored.Meta}
	}
	return proposed, nil
}

// repeated answers a command that was taken before, from what stands in the log.
func (l *Ledger) repeated(ctx context.Context, stream string, revision uint64, c Command) (Result, error) {
	result := Result{Stream: stream, Revision: revision, Repeat: true, ReceivedAt: c.ReceivedAt}
	for r, err := range l.log.ReadStream(ctx, stream, 0) {
		if err != nil {
			return Result{}, fmt.Errorf("commands: read %s: %w", stream, err)
		}
		if r.Revision > revision {
			break
		}
		f, err := decode(r)
		if err != nil {
			return Result{}, err
		}
		if f.CommandID == c.ID {
			result.EventIDs = append(result.EventIDs, f.EventID)
			result.Position, result.PositionKnown, result.RecordedAt, result.ReceivedAt = r.Position, true, f.RecordedAt, f.ReceivedAt
		}
	}
	return result, nil
}

func decode(r eventlog.Recorded) (domain.Fact, error) {
	f, err := schemas.Decode(schemas.Source{Stream: r.Stream, Revision: r.Revision, RecordedAt: r.RecordedAt,
		Stored: schemas.Stored{ID: r.ID, Kind: r.Kind, Data: r.Data, Meta: r.Meta}})
	if err != nil {
		return domain.Fact{}, fmt.Errorf("commands: %w", err)
	}
	return f, nil
}

// actor is the person of a command with the roles they hold now, or the ledger itself. A person the ledger does not
// know has no roles, so every decision refuses them.
func (l *Ledger) actor(ctx context.Context, id domain.PersonID) (domain.Actor, error) {
	if id == domain.System {
		return domain.SystemActor(), nil
	}
	p, err := l.Person(ctx, id)
	if err != nil {
		return domain.Actor{}, err
	}
	a := p.ActorAt(l.now())
	a.ID = id
	return a, nil
}
