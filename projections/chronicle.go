package projections

import (
	"fmt"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"

	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/schemas"
)

// chronicle is the facts of one small stream (a unit, an office, a person, a regime, a day) in one row, under the current
// schema. What was known at an instant is a prefix of it, folded with domain's own fold.
type chronicle struct {
	doc  []byte // JSON array without its closing bracket
	next uint64 // revision the next fact must have
}

// chronicled is one fact in a chronicle.
type chronicled struct {
	Known    instant        `json:"n"`
	Recorded instant        `json:"t"`
	Revision uint64         `json:"i"`
	Place    string         `json:"p"`
	Kind     string         `json:"k"`
	EventID  uuid.UUID      `json:"e"`
	Data     jsontext.Value `json:"d"`
	Meta     jsontext.Value `json:"m"`
}

// add appends a fact that follows the one before it.
func (c *chronicle) add(s *step, known instant) error {
	if s.fact.Revision != c.next {
		return fmt.Errorf("%w: revision %d, expected %d", errGap, s.fact.Revision, c.next)
	}
	stored, err := schemas.Encode(s.fact)
	if err != nil {
		return err
	}
	var o object
	o.begin()
	o.number("n", int64(known))
	o.number("t", int64(at(s.fact.RecordedAt)))
	o.number("i", int64(s.fact.Revision))
	o.text("p", s.place)
	o.text("k", stored.Kind)
	o.text("e", stored.ID.String())
	o.raw("d", stored.Data)
	o.raw("m", stored.Meta)
	o.end()
	c.doc = appendElement(c.doc, o)
	c.next++
	return nil
}

// knownFact is a fact and the instant it became known.
type knownFact struct {
	known instant
	domain.Fact
}

// chronicledFacts reads a chronicle.
func chronicledFacts(doc, stream string) ([]knownFact, error) {
	var all []chronicled
	if err := json.Unmarshal([]byte(doc), &all); err != nil {
		return nil, fmt.Errorf("projections: chronicle of %s: %w", stream, err)
	}
	out := make([]knownFact, 0, len(all))
	for _, c := range all {
		f, err := schemas.Decode(schemas.Source{Stream: stream, Revision: c.Revision, RecordedAt: c.Recorded.time(),
			Stored: schemas.Stored{ID: c.EventID, Kind: c.Kind, Data: c.Data, Meta: c.Meta}})
		if err != nil {
			return nil, err
		}
		out = append(out, knownFact{c.Known, f})
	}
	return out, nil
}

// foldKnown folds the facts that were known at an instant.
func foldKnown[S interface{ Apply(domain.Fact) S }](zero S, fs []knownFact, known instant) S {
	for _, f := range fs {
		if f.known <= known {
			zero = zero.Apply(f.Fact)
		}
	}
	return zero
}

// state folds a chronicle as known at an instant.
func state[S interface{ Apply(domain.Fact) S }](zero S, doc, stream string, known instant) (S, error) {
	fs, err := chronicledFacts(doc, stream)
	return foldKnown(zero, fs, known), err
}
