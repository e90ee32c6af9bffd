package esdbtest

import (
	"encoding/json"
	"math"
	"slices"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
)

// firstPosition is where the log of a new server begins: not at 0, not at 1.
const firstPosition = 1337

// deletedForGood is the $tb a soft delete writes (the greatest event number).
const deletedForGood = math.MaxInt64

// record is one event. Commit and prepare position are the same number, as they are for every write without an
// explicit transaction.
type record struct {
	id          uuid.UUID
	stream      string
	revision    uint64
	position    uint64
	kind        string
	contentType string
	data, meta  []byte
	created     time.Time
}

// store is the log all nodes of a cluster agree on.
type store struct {
	clock       func() time.Time
	systemEvery int // appends between two events of the server's own; <= 0: none

	mu      sync.RWMutex // guards what follows
	log     []*record    // by position
	end     uint64       // position the next record gets
	streams map[string]*stream
	grown   chan struct{} // closed and replaced when the log grows
	appends int
	full    bool // nothing can be written
}

func (s *store) fill(full bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.full = full
}

func (s *store) isFull() bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.full
}

type stream struct {
	records    []*record // revision is index plus scavenged
	scavenged  uint64    // records removed from the front
	tombstoned bool
}

func newStore(clock func() time.Time, systemEvery int) *store {
	s := &store{clock: clock, systemEvery: systemEvery, end: firstPosition, streams: map[string]*stream{}, grown: make(chan struct{})}
	if systemEvery > 0 {
		s.write("$users", []*record{{id: uuid.New(), kind: "$User", contentType: "application/json", data: []byte(`"admin"`)}})
		s.write("$users", []*record{{id: uuid.New(), kind: "$User", contentType: "application/json", data: []byte(`"ops"`)}})
	}
	return s
}

// What an append may expect, as the reference server counts it.
const (
	expectNoStream = int64(-1)
	expectAny      = int64(-2)
	expectExists   = int64(-4)
)

type verdict int

const (
	written verdict = iota
	repeated
	wrongVersion
	streamDeleted
	noRoom
)

// appended is the answer to an append: the last revision and position, or where the stream stands (-1: nowhere).
type appended struct {
	verdict  verdict
	revision uint64
	position uint64
	current  int64
}

// append is IndexWriter.CheckCommit and the write that follows it, under one lock.
func (s *store) append(name string, expected int64, events []*record) appended {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.streams[name]
	current := int64(-1)
	if st != nil {
		if st.tombstoned {
			return appended{verdict: streamDeleted}
		}
		current = int64(st.next()) - 1
	}
	switch {
	case expected == expectAny || expected == expectExists:
		if expected == expectExists && current < 0 {
			return appended{verdict: wrongVersion, current: current}
		}
		if len(events) > 0 && st != nil {
			if last, all, some := st.recentlyWritten(events); all {
				return appended{verdict: repeated, revision: last.revision, position: last.position}
			} else if some { // CorruptedIdempotency, which the writer service answers as a conflict
				return appended{verdict: wrongVersion, current: current}
			}
		}
	case expected < current:
		for i, e := range events {
			there := st.at(uint64(expected + 1 + int64(i)))
			if there != nil && there.id == e.id {
				continue
			}
			if i == 0 && expected == expectNoStream && s.truncateBefore(name) == deletedForGood {
				return s.writeLast(name, events) // a soft-deleted stream begins again where it left off
			}
			// The first differs: conflict. A later one: CorruptedIdempotency, which StorageWriterService answers as a
			// conflict too, "since caller will need to sync with that stream".
			return appended{verdict: wrongVersion, current: current}
		}
		if len(events) == 0 {
			return appended{verdict: wrongVersion, current: current}
		}
		last := st.at(uint64(expected) + uint64(len(events)))
		return appended{verdict: repeated, revision: last.revision, position: last.position}
	case expected > current:
		return appended{verdict: wrongVersion, current: current}
	}
	if len(events) == 0 && !s.full {
		return appended{verdict: written, revision: uint64(max(current, 0)), current: current}
	}
	return s.writeLast(name, events)
}

func (s *store) writeLast(name string, events []*record) appended {
	if s.full {
		return appended{verdict: noRoom}
	}
	last := s.write(name, events)
	s.appends++
	if s.systemEvery > 0 && s.appends%s.systemEvery == 0 {
		s.write("$stats-127.0.0.1:2113", []*record{{id: uuid.New(), kind: "$statsCollected", contentType: "application/json", data: []byte(`{}`)}})
	}
	return appended{verdict: written, revision: last.revision, position: last.position, current: int64(last.revision)}
}

// write gives events their places. It needs s.mu (or a store nobody else has).
func (s *store) write(name string, events []*record) *record {
	st := s.streams[name]
	if st == nil {
		st = &stream{}
		s.streams[name] = st
	}
	now := s.clock()
	for _, e := range events {
		e.stream, e.revision, e.position, e.created = name, st.next(), s.end, now
		s.end += 100 + uint64(len(e.stream)+2*len(e.kind)+len(e.data)+len(e.meta))
		st.records = append(st.records, e)
		s.log = append(s.log, e)
	}
	close(s.grown)
	s.grown = make(chan struct{})
	return events[len(events)-1]
}

// tombstone deletes a stream for ever.
func (s *store) tombstone(name string) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	last := s.write(name, []*record{{id: uuid.New(), kind: "$streamDeleted", contentType: "application/json"}})
	s.streams[name].tombstoned = true
	return last.position
}

// softDelete hides every event of a stream, as the reference server does it: by metadata.
func (s *store) softDelete(name string) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	data, _ := json.Marshal(map[string]any{"$tb": int64(deletedForGood)})
	return s.write("$$"+name, []*record{{id: uuid.New(), kind: "$metadata", contentType: "application/json", data: data}}).position
}

// Truncate hides the events of a stream before a revision, as its administrators can.
func (s *Server) Truncate(name string, before uint64) {
	s.store.mu.Lock()
	defer s.store.mu.Unlock()
	data, _ := json.Marshal(map[string]any{"$tb": before})
	s.store.write("$$"+name, []*record{{id: uuid.New(), kind: "$metadata", contentType: "application/json", data: data}})
}

func (st *stream) next() uint64 { return st.scavenged + uint64(len(st.records)) }

func (st *stream) at(revision uint64) *record {
	if revision < st.scavenged || revision >= st.next() {
		return nil
	}
	return st.records[revision-st.scavenged]
}

// recentlyWritten is the weak check of appends that expect no revision: by id among the newest records.
func (st *stream) recentlyWritten(events []*record) (last *record, all, some bool) {
	recent := st.records[max(0, len(st.records)-1000):]
	all = true
	for _, e := range events {
		i := slices.IndexFunc(recent, func(r *record) bool { return r.id == e.id })
		if i < 0 {
			all = false
			continue
		}
		last, some = recent[i], true
	}
	return last, all, some
}

// truncateBefore reads $tb and $maxCount from the stream's metadata. It needs s.mu.
func (s *store) truncateBefore(name string) uint64 {
	meta := s.streams["$$"+name]
	if meta == nil || len(meta.records) == 0 || strings.HasPrefix(name, "$$") {
		return 0
	}
	var m struct {
		TruncateBefore uint64 `json:"$tb"`
		MaxCount       uint64 `json:"$maxCount"`
	}
	if json.Unmarshal(meta.records[len(meta.records)-1].data, &m) != nil {
		return 0
	}
	if st := s.streams[name]; st != nil && m.MaxCount > 0 && st.next() > m.MaxCount {
		m.TruncateBefore = max(m.TruncateBefore, st.next()-m.MaxCount)
	}
	return m.TruncateBefore
}

// slice copies up to count records of a stream from revision on, in the given direction. There is no stream when it
// was never written or when every event is hidden.
func (s *store) slice(name string, from uint64, backwards bool, count uint64) (out []*record, exists, deleted bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	st := s.streams[name]
	switch {
	case st == nil:
		return nil, false, false
	case st.tombstoned:
		return nil, true, true
	}
	visible := max(s.truncateBefore(name), st.scavenged)
	if visible >= st.next() {
		return nil, visible != deletedForGood && st.next() > 0, false
	}
	if backwards {
		for r := int64(min(from, st.next()-1)); r >= int64(visible) && uint64(len(out)) < count; r-- {
			out = append(out, st.at(uint64(r)))
		}
		return out, true, false
	}
	for r := max(from, visible); r < st.next() && uint64(len(out)) < count; r++ {
		out = append(out, st.at(r))
	}
	return out, true, false
}

// all copies up to count records from position on: at or after it forwards, before it backwards.
func (s *store) all(from uint64, backwards bool, count uint64) []*record {
	s.mu.RLock()
	defer s.mu.RUnlock()
	i := sort.Search(len(s.log), func(i int) bool { return s.log[i].position >= from })
	if !backwards {
		return slices.Clone(s.log[i:min(uint64(len(s.log)), uint64(i)+count)])
	}
	out := slices.Clone(s.log[uint64(i)-min(uint64(i), count) : i])
	slices.Reverse(out)
	return out
}

// after copies records behind position, and gives what to wait for when there are none.
func (s *store) after(position uint64, count int) ([]*record, <-chan struct{}) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	i := sort.Search(len(s.log), func(i int) bool { return s.log[i].position > position })
	return slices.Clone(s.log[i:min(len(s.log), i+count)]), s.grown
}

// Scavenge removes what truncation has hidden, for good, as an operator's scavenge does.
func (s *Server) Scavenge() {
	st := s.store
	st.mu.Lock()
	defer st.mu.Unlock()
	st.log = slices.DeleteFunc(st.log, func(r *record) bool { return r.revision < st.truncateBefore(r.stream) })
	for name, one := range st.streams {
		before := min(st.truncateBefore(name), one.next())
		if before > one.scavenged {
			one.records = one.records[before-one.scavenged:]
			one.scavenged = before
		}
	}
}

// End is the position the next event will get.
func (s *Server) End() uint64 {
	s.store.mu.RLock()
	defer s.store.mu.RUnlock()
	return s.store.end
}
