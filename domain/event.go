package domain

import (
	"time"

	"github.com/google/uuid"
)

// Event is a fact. The set is sealed: a variant is a struct of this package, listed in schemas' decoders, with a schema
// file and a golden sample; a test reads the set from source and fails when one of the three is missing.
//
// The json tags name the members of the stored fact; package schemas does the encoding. They are never renamed.
type Event interface {
	// Kind is the event's stored name. It never changes, whatever happens to the Go type's.
	Kind() string
	event()
}

// Meta is what every event carries beside its content.
type Meta struct {
	EventID  uuid.UUID
	Stream   string
	Revision uint64
	// ReceivedAt is when the attempt entered the system; it decides timeliness (rule 2).
	ReceivedAt time.Time
	// RecordedAt is the ledger's clock at the append; within a stream it never decreases.
	RecordedAt    time.Time
	Actor         PersonID
	Role          Role
	Channel       Channel
	CommandID     uuid.UUID
	CorrelationID uuid.UUID
	CausationID   uuid.UUID // nil when no event caused this one
}

// Fact is an event with its circumstances.
type Fact struct {
	Meta
	Event Event
}

// Channel is the way an attempt came in.
type Channel string

const (
	ChannelWeb         Channel = "web"
	ChannelAPI         Channel = "api"
	ChannelSpreadsheet Channel = "spreadsheet"
	ChannelMail        Channel = "mail"
	ChannelSystem      Channel = "system"
)

// PersonID names a person; their name and everything else personal lives in the person's own stream.
type PersonID string

// UnitCode is the official code of a unit. Names repeat and change; codes do not.
type UnitCode string

// RegimeID, DutyID and FormID are short names of lower-case letters, digits and '_'.
type (
	RegimeID string
	DutyID   string
	FormID   string
)

// System is the actor of what the ledger does by itself: closing days and judging targets.
const System PersonID = "system"

// NewCommandID is the id of an attempt that is repeatable by name: the same parts give the same id, so that two
// schedulers, or one after a restart, make one event (rule 3).
func NewCommandID(parts ...string) uuid.UUID {
	name := ""
	for _, p := range parts {
		name += p + "\n"
	}
	return uuid.NewSHA1(commandSpace, []byte(name))
}

// NewEventID is the id of the i-th event of a command: the same in every repeat, which is what makes repeats harmless.
func NewEventID(command uuid.UUID, i int) uuid.UUID {
	return uuid.NewSHA1(command, []byte{byte(i >> 8), byte(i)})
}

// commandSpace is the UUIDv5 name space of commands. It never changes.
var commandSpace = uuid.MustParse("6f1d5f0e-7c3a-5a57-9d0b-0a5a2b0c3d10")
