package giveway

import (
	"context"
	"errors"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// A time lies in its class, which is at most a quarter wide.
func TestReadClasses(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		took := time.Duration(rapid.Int64Range(0, int64(time.Minute/time.Microsecond)).Draw(t, "us")) * time.Microsecond
		c := readClass(took)
		if low, next := shortest(c), shortest(c+1); took < low || took >= next || low > 4*time.Microsecond && next > low*5/4 {
			t.Fatalf("%s is in class %d from %s to %s", took, c, low, next)
		}
	})
	if c := readClass(1 << 62); c != readClasses-1 {
		t.Errorf("an age is in class %d", c)
	}
}

// Given how long reads usually take, a rebuild gives way at twice that, and always between 16 and 40 ms.
func TestWhenReadsAreTooSlow(t *testing.T) {
	t.Parallel()
	ms := func(n ...int) (all []time.Duration) {
		for _, x := range n {
			all = append(all, time.Duration(x)*time.Millisecond)
		}
		return all
	}
	for name, x := range map[string]struct {
		seconds []time.Duration
		limit   time.Duration
	}{
		"nothing is known":      {nil, 16 * time.Millisecond},
		"nobody reads":          {ms(0, 0), 16 * time.Millisecond},
		"they are fast":         {ms(1, 2, 1), 16 * time.Millisecond},
		"they take their time":  {ms(12, 14, 13), 26 * time.Millisecond},
		"one second was bad":    {ms(12, 900, 13), 26 * time.Millisecond},
		"they are slow already": {ms(30, 31, 32), 40 * time.Millisecond},
	} {
		reads := &Reads{}
		for _, s := range x.seconds {
			reads.learn(s)
		}
		g := NewRebuild(reads, 16*time.Millisecond)
		if g.limit != x.limit {
			t.Errorf("%s: gives way at %s, want %s", name, g.limit, x.limit)
		}
		g.elsewhere.Store(int64(15 * time.Millisecond)) // of what is too long there, 15/16
		if g.Slow() {
			t.Errorf("%s: gives way to reads elsewhere that are not too slow for them", name)
		}
		g.elsewhere.Store(int64(17 * time.Millisecond))
		if !g.Slow() {
			t.Errorf("%s: does not give way to reads elsewhere", name)
		}
	}
	reads := &Reads{}
	for i := range 10 * usualSeconds { // what was long ago is forgotten
		reads.learn(time.Duration(min(i, usualSeconds)) * time.Millisecond)
	}
	if u := reads.usual(); u != usualSeconds*time.Millisecond {
		t.Errorf("usual %s", u)
	}
}

// While reads are slow a rebuild waits; when they stay slow without it, it goes on.
func TestARebuildWaits(t *testing.T) {
	t.Parallel()
	reads := &Reads{}
	g := NewRebuild(reads, time.Millisecond)
	if err := g.Wait(t.Context()); err != nil || g.Paused() != 0 {
		t.Errorf("waited for nobody: %s, %v", g.Paused(), err)
	}
	later := time.Now().Add(4 * time.Minute)
	for quarter := range 4 { // slow in this second and in the next ones
		for range 100 {
			reads.Note(later.Add(time.Duration(quarter)*quarterSecond), 64*time.Millisecond)
		}
	}
	if s := reads.Slowest(); s < 16*time.Millisecond {
		t.Fatalf("slowest %s", s)
	}
	if err := g.Wait(t.Context()); err != nil || g.Paused() == 0 {
		t.Errorf("did not wait: %v", err)
	}
	before := g.Paused()
	if err := g.Wait(t.Context()); err != nil || g.Paused() != before {
		t.Errorf("waits although it is not to blame: %v", err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := g.Wait(gone); !errors.Is(err, context.Canceled) {
		t.Errorf("waits for somebody gone: %v", err)
	}
}
