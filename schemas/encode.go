package schemas

import (
	"fmt"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	jsonv1 "github.com/go-json-experiment/json/v1"
	"github.com/google/uuid"

	"github.com/answerable-ledger/answerable/domain"
)

// Stored is a fact as the log keeps it. Data and Meta are UTF-8 JSON objects; they are the bytes that get hashed, so
// nobody re-serialises them.
type Stored struct {
	ID   uuid.UUID
	Kind string
	Data []byte
	Meta []byte
}

// Encode gives a fact's bytes under the current schema version of its kind. The same fact always gives the same bytes.
// Stream, Revision and RecordedAt are not in them: the log keeps these. Times are written in UTC.
func Encode(f domain.Fact) (Stored, error) {
	if f.Event == nil {
		return Stored{}, fmt.Errorf("schemas: encode: no event")
	}
	kind := f.Event.Kind()
	version, ok := CurrentVersion(kind)
	if !ok {
		return Stored{}, fmt.Errorf("schemas: encode %s: %w", kind, ErrUnknownKind)
	}
	data, err := json.Marshal(f.Event, writing)
	if err != nil {
		return Stored{}, fmt.Errorf("schemas: encode %s: %w", kind, err)
	}
	meta, err := appendMeta(make([]byte, 0, 320), f.Meta, version)
	if err != nil {
		return Stored{}, fmt.Errorf("schemas: encode %s: %w", kind, err)
	}
	return Stored{ID: f.EventID, Kind: kind, Data: data, Meta: meta}, nil
}

// writing and reading are the JSON dialect of stored facts. omitempty keeps the meaning of encoding/json: false and 0
// are left out too, which is what the tags of package domain say. Decoding never depends on it.
var (
	writing = json.JoinOptions(
		json.Deterministic(true),
		jsonv1.OmitEmptyWithLegacySemantics(true),
		json.WithMarshalers(json.MarshalToFunc(func(e *jsontext.Encoder, t time.Time) error {
			b := make([]byte, 1, 40)
			b[0] = '"'
			b = t.UTC().AppendFormat(b, time.RFC3339Nano)
			return e.WriteValue(append(b, '"'))
		})),
	)
	reading = json.JoinOptions(json.RejectUnknownMembers(true))
)
