// Package eventlog is the contract of the append-only log that holds every fact of the ledger.
//
// Its promise: what Append acknowledged is there for ever, in one total order, byte for byte as it was given, and
// survives power loss. A stream is the unit of optimistic concurrency; its revisions are 0, 1, 2, … without a gap.
// The log knows nothing of the domain: it stores bytes and names.
//
// Its failure model: an Append that returned nothing (a cut connection, a killed process) may or may not have been
// stored; the caller repeats it with the SAME expected revision and the SAME event ids and gets one event, not two.
// Reads may fail with ErrUnavailable at any time and are always safe to repeat.
//
// The stores (memlog, sqlite, esdb) share no code with each other, only the suite in eventlogtest.
package eventlog

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
)

// Log is the whole contract. Every method is safe for concurrent use.
type Log interface {
	// Append stores events, all or none, at the end of stream, when the stream stands exactly at expected.
	//
	// Idempotency is by event id, exactly as the reference server decides it (its IndexWriter.CheckCommit):
	//
	//   - expected is the stream's present state: the events are written.
	//   - expected lies before it: the ids are compared with those that stand at expected+1, expected+2, …
	//     All equal: success, Repeat is true and nothing is written (the original bytes stay, whatever the repeat
	//     carried). The first differs: *ConflictError. Some equal, then one differs or the stream ends:
	//     ErrRepeatMismatch.
	//   - expected lies beyond it: *ConflictError.
	//
	// Ids are compared per stream only. An empty list of events is refused with ErrInvalid; so are a nil id, an id
	// twice in one call, an empty kind, and a stream name that CheckStream refuses.
	// Events above MaxEventBytes, or a call above MaxAppendBytes, fail with ErrTooLarge and nothing is written.
	//
	// When ctx ends after the store may have accepted the events the error is ErrOutcomeUnknown.
	Append(ctx context.Context, stream string, expected Expected, events []Proposed) (Appended, error)

	// ReadStream yields the stream's events in order from revision from on, as the stream stood when the call began
	// or later. A stream that does not exist yields nothing and no error.
	ReadStream(ctx context.Context, stream string, from uint64) iter.Seq2[Recorded, error]

	// Follow yields every event whose stream passes filter and whose position is after the given one, in log order,
	// in batches of at most o.BatchSize, for ever: when it has yielded everything it yields one batch (perhaps empty)
	// with CaughtUp set and then waits for more. It ends when ctx ends (yielding ctx's error), when the caller breaks
	// off, or after an error it cannot mend by itself. No event is yielded twice or left out, also across
	// reconnections. The slices of a batch belong to the caller.
	Follow(ctx context.Context, after Position, filter Filter, o FollowOptions) iter.Seq2[Batch, error]

	// Head is the position of the newest event, or the zero Position of an empty log. Every event that was
	// acknowledged before the call lies at or before it.
	Head(ctx context.Context) (Position, error)

	// Close releases the store. Calls under way end with ErrUnavailable or their result.
	Close() error
}

// Position is a place in the log's total order. It is opaque but for its order: in the embedded store both numbers are
// the dense sequence number, in the server store they are byte offsets with gaps. The zero Position lies before the
// first event.
type Position struct{ Commit, Prepare uint64 }

// Compare is -1, 0 or +1 as p lies before, at or after q.
func (p Position) Compare(q Position) int {
	switch {
	case p.Commit < q.Commit || p.Commit == q.Commit && p.Prepare < q.Prepare:
		return -1
	case p == q:
		return 0
	}
	return 1
}

// IsZero reports whether p lies before the first event.
func (p Position) IsZero() bool { return p == Position{} }

// String is the stable text form, "commit" or "commit.prepare" when the two differ.
func (p Position) String() string {
	if p.Commit == p.Prepare {
		return strconv.FormatUint(p.Commit, 10)
	}
	return strconv.FormatUint(p.Commit, 10) + "." + strconv.FormatUint(p.Prepare, 10)
}

// ParsePosition reads what String wrote.
func ParsePosition(s string) (Position, error) {
	c, pr, two := strings.Cut(s, ".")
	if !two {
		pr = c
	}
	commit, err := strconv.ParseUint(c, 10, 64)
	if err == nil {
		var prepare uint64
		if prepare, err = strconv.ParseUint(pr, 10, 64); err == nil {
			return Position{commit, prepare}, nil
		}
	}
	return Position{}, fmt.Errorf("eventlog: position %q: want a number or two joined by a full stop: %w", s, ErrInvalid)
}

// Expected is what a writer believes of a stream: that it does not exist, or that its last event has revision n.
// There is deliberately no "any": a writer that has not looked has nothing to say.
type Expected struct{ next uint64 }

// NoStream expects that the stream has no event.
var NoStream = Expected{0}

// Exact expects that the stream's last event has the given revision.
func Exact(revision uint64) Expected { return Expected{revision + 1} }

// After is the expectation of a writer that has seen n events of the stream.
func After(n uint64) Expected { return Expected{n} }

// Next is the revision the first appended event gets, which is also the number of events expected.
func (e Expected) Next() uint64 { return e.next }

// String is "no stream" or "revision n".
func (e Expected) String() string {
	if e.next == 0 {
		return "no stream"
	}
	return "revision " + strconv.FormatUint(e.next-1, 10)
}

// Proposed is an event as its writer gives it. Data and Meta are stored verbatim.
type Proposed struct {
	ID   uuid.UUID // never nil; UUIDv5(command id, index) by convention
	Kind string    // event kind, for filters and for people; not empty
	Data []byte    // the fact; may be empty
	Meta []byte    // who, when, why; may be empty
}

// Recorded is an event as it stands in the log.
type Recorded struct {
	Proposed
	Stream   string
	Revision uint64
	Position Position
	// RecordedAt is the ledger's clock at the append, in UTC, whole microseconds. The store assigns it from the clock
	// it was opened with; within a stream it never decreases, and in the embedded store it never decreases in log
	// order, also when the clock goes backwards.
	RecordedAt time.Time
}

// Appended is the answer to an append.
type Appended struct {
	First, Last uint64    // revisions given to the first and the last event
	Position    Position  // position of the last event; meaningless unless PositionKnown
	RecordedAt  time.Time // of the last event; zero when PositionKnown is false
	// PositionKnown is false when a server confirmed a repeat without telling where it lies; the caller re-reads Head.
	PositionKnown bool
	Repeat        bool // the events were there already
}

// Filter selects streams by the beginning of their names. No prefixes: every stream.
type Filter struct{ Prefixes []string }

// Match reports whether a stream passes.
func (f Filter) Match(stream string) bool {
	if len(f.Prefixes) == 0 {
		return true
	}
	for _, p := range f.Prefixes {
		if strings.HasPrefix(stream, p) {
			return true
		}
	}
	return false
}

// FollowOptions bounds what a follower holds at once.
type FollowOptions struct {
	BatchSize int // events per batch; 0 means DefaultBatchSize
}

// Batch is a run of events in log order.
type Batch struct {
	Events []Recorded
	// CaughtUp is set on the batch after which nothing more was there. It may be set again after a reconnection.
	CaughtUp bool
	// Scanned is a position up to which everything that passes the filter has been yielded. It is for lag alone:
	// a resume token is the position of an event that was processed, never this (a server bug, KurrentDB #4970,
	// hands out scan positions beyond events it has not sent yet).
	Scanned Position
}

const (
	// DefaultBatchSize is how many events a follower gets at once unless it asks otherwise: enough to make the cost
	// of a batch vanish, small enough that 1 kB events stay within a megabyte.
	DefaultBatchSize = 1000
	// MaxEventBytes bounds Data plus Meta of one event: under the 1 MiB limit of older servers with room for framing.
	MaxEventBytes = 900 << 10
	// MaxAppendBytes bounds the sum of Data and Meta of one call, for the same reason.
	MaxAppendBytes = 900 << 10
	// MaxStreamName is the longest stream name in bytes (arbitrary; the longest of ours is below 100).
	MaxStreamName = 250
)

// The kinds of failure. Test with errors.Is; *ConflictError with errors.As.
var (
	ErrConflict       = errors.New("the stream is not where it was expected")
	ErrRepeatMismatch = errors.New("the repeat does not match what was appended before")
	ErrOutcomeUnknown = errors.New("the append may or may not have been stored: repeat it with the same ids and the same expected revision")
	ErrUnavailable    = errors.New("the log cannot be reached")
	ErrTooLarge       = errors.New("too large")
	ErrInvalid        = errors.New("not valid")
	// ErrGone: events that were there are not (truncated, scavenged, or another log was put in this one's place).
	ErrGone = errors.New("events are missing from the log")
	// ErrInUse: another process holds the store for writing.
	ErrInUse = errors.New("in use by another process")
	// ErrReadOnly: the store was opened, or lies on a medium, that cannot be written.
	ErrReadOnly = errors.New("read-only")
	// ErrFull: there is no room left; nothing of the call was stored and everything acknowledged before is.
	ErrFull = errors.New("no space left")
	// ErrDamaged: the store's bytes contradict themselves.
	ErrDamaged = errors.New("damaged")
)

// ConflictError says where a stream stands instead.
type ConflictError struct {
	Stream      string
	Expected    Expected
	Actual      Expected // what would have matched; meaningless unless ActualKnown
	ActualKnown bool
}

func (e *ConflictError) Error() string {
	if !e.ActualKnown {
		return fmt.Sprintf("stream %s is not at %s", e.Stream, e.Expected)
	}
	return fmt.Sprintf("stream %s is at %s, not at %s", e.Stream, e.Actual, e.Expected)
}

// Is makes errors.Is(err, ErrConflict) true.
func (e *ConflictError) Is(target error) bool { return target == ErrConflict }

// CheckStream refuses names no store could keep: empty, longer than MaxStreamName, beginning with '$' (reserved by the
// reference server), or holding anything but printable ASCII without blanks. A name is category, '-', the rest; the
// reference server splits at the FIRST '-', so a category holds none.
func CheckStream(stream string) error {
	if stream == "" || len(stream) > MaxStreamName || stream[0] == '$' || strings.IndexByte(stream, '-') < 1 {
		return fmt.Errorf("eventlog: stream name %q: want category, '-', rest, at most %d bytes, no leading '$': %w", stream, MaxStreamName, ErrInvalid)
	}
	for i := range len(stream) {
		if c := stream[i]; c <= ' ' || c > '~' {
			return fmt.Errorf("eventlog: stream name %q: byte %d is not printable ASCII: %w", stream, i, ErrInvalid)
		}
	}
	return nil
}

// CheckAppend holds the refusals every store owes before it touches anything.
func CheckAppend(stream string, events []Proposed) error {
	if err := CheckStream(stream); err != nil {
		return err
	}
	if len(events) == 0 {
		return fmt.Errorf("eventlog: append to %s: no events: %w", stream, ErrInvalid)
	}
	total := 0
	for i, e := range events {
		size := len(e.Data) + len(e.Meta)
		total += size
		switch {
		case e.ID == uuid.Nil:
			return fmt.Errorf("eventlog: append to %s: event %d has no id: %w", stream, i, ErrInvalid)
		case e.Kind == "":
			return fmt.Errorf("eventlog: append to %s: event %d has no kind: %w", stream, i, ErrInvalid)
		case size > MaxEventBytes:
			return fmt.Errorf("eventlog: append to %s: event %d (%s) has %d bytes, the limit is %d: %w", stream, i, e.Kind, size, MaxEventBytes, ErrTooLarge)
		}
		for _, before := range events[:i] {
			if before.ID == e.ID {
				return fmt.Errorf("eventlog: append to %s: event %d repeats id %s: %w", stream, i, e.ID, ErrInvalid)
			}
		}
	}
	if total > MaxAppendBytes {
		return fmt.Errorf("eventlog: append to %s: %d events have %d bytes together, the limit is %d: %w", stream, len(events), total, MaxAppendBytes, ErrTooLarge)
	}
	return nil
}

// Clock is how a store tells the time; tests and the demonstration give their own.
type Clock func() time.Time
