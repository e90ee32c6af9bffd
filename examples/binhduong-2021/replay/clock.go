package replay

import (
	"sync"
	"time"
)

// Clock is the time of a replay: it stands still until it is set, and becomes the real time when released. Its zero value stands at
// the zero time, and any number of goroutines may ask it.
type Clock struct {
	mu   sync.Mutex
	t    time.Time
	real bool
}

// Now is where it stands.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.real {
		return time.Now()
	}
	return c.t
}

// Release hands over to the real time.
func (c *Clock) Release() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.real = true
}

// Set moves the clock, never backwards.
func (c *Clock) Set(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t.After(c.t) {
		c.t = t
	}
}
