package appstate

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/internal/pgtest"
)

// Given two processes that open sessions, make tokens and keep answers, when PostgreSQL is restarted and crashes meanwhile,
// then each call is answered or fails as unavailable, both go on by themselves, and all that was acknowledged is there.
func TestRestartsUnderLoad(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t)
	place := server.Database(t)
	first, c, _ := openTest(t, place)
	states := []*State{first, openAt(t, place, c)}
	const workers = 4
	var (
		wg   sync.WaitGroup
		mu   sync.Mutex // guards what follows
		stop bool
		done [workers]int // rounds that were acknowledged
		all  [workers]acknowledged
	)
	got := sync.NewCond(&mu) // something was acknowledged, or a worker has ended
	for i := range workers {
		wg.Go(func() {
			defer got.Broadcast()
			a, s := &all[i], states[i%len(states)]
			*a = acknowledged{clock: c, person: domain.PersonID(fmt.Sprintf("p%d_", i))}
			for {
				err := a.write(t, s, 1)
				mu.Lock()
				if err == nil {
					done[i]++
				}
				over := stop
				mu.Unlock()
				if err != nil && !errors.Is(err, ErrUnavailable) {
					t.Errorf("worker %d: %v", i, err)
					return
				}
				if over {
					return
				}
				got.Broadcast()
			}
		})
	}
	// more waits until every worker has got on.
	more := func() {
		mu.Lock()
		defer mu.Unlock()
		before := done
		for i := range done {
			for done[i] < before[i]+3 && !t.Failed() {
				got.Wait()
			}
		}
	}
	more()
	for _, out := range []func(){server.Stop, server.Kill, server.Stop} {
		out()
		server.Run(t)
		more()
	}
	mu.Lock()
	stop = true
	mu.Unlock()
	wg.Wait()
	states = append(states, openAt(t, place, c))
	for i := range all {
		for _, s := range states {
			all[i].check(t, s)
		}
	}
}

func openAt(t *testing.T, place string, c *clock) *State {
	t.Helper()
	s, err := Open(t.Context(), place, Options{Clock: c.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}
