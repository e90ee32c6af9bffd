package esdbtest

import (
	"context"
	"sync"
)

// faults is what a test has ordered and the server has not yet delivered.
type faults struct {
	mu               sync.Mutex
	version          string
	cutAfterCommit   int
	cutEvery         int // every so many appends the connection is cut after the commit; 0: never
	committed        int
	refuseEarly      int
	dropAfterEvents  int // events after which a subscription is dropped; 0: never
	checkpointBeyond bool
	unknownMessages  bool
	created          *string // what stands for the time of creation
	noPosition       bool
	busy             int
	stale            int
	holds            map[string]*Hold
}

// CutAfterCommit lets the next n appends be stored and cuts the connection before the answer.
func (s *Server) CutAfterCommit(n int) { s.faults.set(func(f *faults) { f.cutAfterCommit = n }) }

// CutAfterEvery does it at every nth append; 0 takes it back.
func (s *Server) CutAfterEvery(n int) {
	s.faults.set(func(f *faults) { f.cutEvery, f.committed = n, 0 })
}

// RefuseEarly ends the next n appends with an error before their events are read. A client that is still sending then
// sees the end of the stream and not the reason.
func (s *Server) RefuseEarly(n int) { s.faults.set(func(f *faults) { f.refuseEarly = n }) }

// DiskFull takes the room away that a leader needs to write, or gives it back. The reference server has no answer to that:
// an exception of its writer ends the whole process (StorageWriterService.CommonHandle: "Unexpected error in
// StorageWriterService. Terminating the process..."), with the append unanswered and not stored, and a process that is
// started again ends at the first thing it has to write. Restart fails until there is room.
func (s *Server) DiskFull(full bool) { s.store.fill(full) }

// Busy answers the next n appends and reads with "Server Is Too Busy".
func (s *Server) Busy(n int) { s.faults.set(func(f *faults) { f.busy = n }) }

// StaleReads lets the next n reads of a stream find nothing, as on a node that has not yet heard of it from its leader.
func (s *Server) StaleReads(n int) { s.faults.set(func(f *faults) { f.stale = n }) }

// DropAfterEvents ends every subscription that has been sent n events, wherever that is; 0 takes it back.
func (s *Server) DropAfterEvents(n int) { s.faults.set(func(f *faults) { f.dropAfterEvents = n }) }

// CheckpointBeyondEnd gives filtered subscriptions a checkpoint at the END of the log, where the next event will
// stand (KurrentDB issue 4970): whoever resumes from it never sees that event.
func (s *Server) CheckpointBeyondEnd(on bool) {
	s.faults.set(func(f *faults) { f.checkpointBeyond = on })
}

// UnknownMessages mixes kinds of message into reads and subscriptions that older clients do not know.
func (s *Server) UnknownMessages(on bool) { s.faults.set(func(f *faults) { f.unknownMessages = on }) }

// Created is what stands for the time of creation of every event from now on, in place of a number; "" leaves it out, and
// GoodCreated takes it back. No reference server does it; a client ends its whole process at it.
func (s *Server) Created(text string) { s.faults.set(func(f *faults) { f.created = &text }) }

// GoodCreated takes Created back.
func (s *Server) GoodCreated() { s.faults.set(func(f *faults) { f.created = nil }) }

// NoPositionOnRepeat leaves the position out of the answer to a repeat, as the reference server may.
func (s *Server) NoPositionOnRepeat(on bool) { s.faults.set(func(f *faults) { f.noPosition = on }) }

// SetVersion is what the server says it is from now on; "26.1.0-rc.1" is what some clients cannot parse.
func (s *Server) SetVersion(v string) { s.faults.set(func(f *faults) { f.version = v }) }

func (f *faults) set(change func(*faults)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(f)
}

func (f *faults) says() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.version
}

// use takes one off a counter and says whether there was one.
func (f *faults) use(counter *int) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if *counter == 0 {
		return false
	}
	*counter--
	return true
}

// cuts says whether the append that has just been stored is to lose its connection.
func (f *faults) cuts() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.committed++
	if f.cutAfterCommit > 0 {
		f.cutAfterCommit--
		return true
	}
	return f.cutEvery > 0 && f.committed%f.cutEvery == 0
}

// spoil puts what was ordered in the place of the time of creation.
func (f *faults) spoil(metadata map[string]string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.created == nil:
	case *f.created == "":
		delete(metadata, "created")
	default:
		metadata["created"] = *f.created
	}
}

func (f *faults) flags() (checkpointBeyond, unknownMessages, noPosition bool, dropAfterEvents int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.checkpointBeyond, f.unknownMessages, f.noPosition, f.dropAfterEvents
}

// Hold keeps calls waiting until it is released.
type Hold struct {
	entered  chan struct{}
	released chan struct{}
	once     sync.Once
	remove   func()
}

// Entered receives once for every call that has begun to wait.
func (h *Hold) Entered() <-chan struct{} { return h.entered }

// Release lets all of them go on.
func (h *Hold) Release() {
	h.once.Do(func() {
		h.remove()
		close(h.released)
	})
}

// Hold stops every call of one kind where it begins: "Append", "Read", "GetSupportedMethods", "Gossip"; and "Commit"
// stops appends that are stored and not yet answered.
func (s *Server) Hold(kind string) *Hold {
	h := &Hold{entered: make(chan struct{}, 1024), released: make(chan struct{})}
	h.remove = func() { s.faults.set(func(f *faults) { delete(f.holds, kind) }) }
	s.faults.set(func(f *faults) {
		if f.holds == nil {
			f.holds = map[string]*Hold{}
		}
		f.holds[kind] = h
	})
	return h
}

// pass waits at a hold, if there is one.
func (f *faults) pass(ctx context.Context, kind string) error {
	f.mu.Lock()
	h := f.holds[kind]
	f.mu.Unlock()
	if h == nil {
		return nil
	}
	select {
	case h.entered <- struct{}{}:
	default: // more than a thousand wait; the test has enough
	}
	select {
	case <-h.released:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
