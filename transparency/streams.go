package transparency

import (
	"fmt"
	"strings"
	"time"
)

// Streams follows the revisions and the clock of every stream through the leaves in order. That a leaf was left out,
// inserted, doubled or moved shows here even when the tree was made anew with it.
type Streams struct {
	origin string
	seen   map[string]*streamEnd
}

type streamEnd struct {
	next       uint64
	recordedAt time.Time
}

// NewStreams begins at the first leaf of a log.
func NewStreams(origin string) *Streams { return &Streams{origin, map[string]*streamEnd{}} }

// Add takes the next leaf.
func (s *Streams) Add(l *Leaf) error {
	if l.Origin != s.origin {
		return fmt.Errorf("it is of log %s, not %s: %w", l.Origin, s.origin, ErrOrigin)
	}
	end := s.seen[l.Stream]
	if end == nil {
		end = &streamEnd{}
		s.seen[strings.Clone(l.Stream)] = end // cloned: the leaf string it is a part of can go
	}
	switch {
	case l.Revision > end.next:
		return fmt.Errorf("stream %s: revision %d follows where %d is due, %d are missing: %w", l.Stream, l.Revision, end.next, l.Revision-end.next, ErrSequence)
	case l.Revision < end.next:
		return fmt.Errorf("stream %s: revision %d comes again, %d is due: %w", l.Stream, l.Revision, end.next, ErrSequence)
	case l.RecordedAt.Before(end.recordedAt):
		return fmt.Errorf("stream %s: revision %d was recorded at %s, before the one ahead of it, %s: %w", l.Stream, l.Revision,
			l.RecordedAt.Format(leafTime), end.recordedAt.Format(leafTime), ErrSequence)
	}
	end.next++
	end.recordedAt = l.RecordedAt
	return nil
}

// Len is the number of streams.
func (s *Streams) Len() int { return len(s.seen) }
