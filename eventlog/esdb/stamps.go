package esdb

import (
	"sync"
	"time"
)

// stampsKept bounds the streams remembered; the ones forgotten cost one read at their next append.
const stampsKept = 1 << 14

// stamps gives events their time of recording: never before the last one this process gave, nor before the stream's
// last one, whoever wrote it.
type stamps struct {
	mu      sync.Mutex
	last    time.Time
	streams map[string]stamp
}

type stamp struct {
	revision uint64
	at       time.Time
}

func newStamps() *stamps { return &stamps{streams: map[string]stamp{}} }

// know remembers an event that was seen.
func (s *stamps) know(stream string, revision uint64, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	known, there := s.streams[stream]
	if there && known.revision > revision {
		return
	}
	if !there && len(s.streams) >= stampsKept {
		for name := range s.streams { // any one
			delete(s.streams, name)
			break
		}
	}
	s.streams[stream] = stamp{revision, at}
}

// of is the time of the stream's event at revision, or of a later one; false when neither is remembered.
func (s *stamps) of(stream string, revision uint64) (time.Time, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	known, there := s.streams[stream]
	return known.at, there && known.revision >= revision
}

// next is now, or later if it must be.
func (s *stamps) next(now, notBefore time.Time) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	now = now.UTC().Truncate(time.Microsecond)
	if now.Before(s.last) {
		now = s.last
	}
	s.last = now
	if now.Before(notBefore) {
		// A stream another process wrote with a clock ahead of ours. Our own time does not follow it: one wrong clock
		// would push the whole ledger ahead.
		return notBefore.UTC()
	}
	return now
}
