package accounts

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// ErrLimited is what every LimitedError is.
var ErrLimited = errors.New("too many attempts")

// LimitedError refuses an attempt because there were too many before it.
type LimitedError struct {
	RetryAfter time.Duration // until the next attempt is let through
}

func (e *LimitedError) Error() string {
	return fmt.Sprintf("%s: try again in %s", ErrLimited, e.RetryAfter)
}

func (e *LimitedError) Is(target error) bool { return target == ErrLimited }

// SetHeader tells the client when to try again (RFC 9110, 10.2.3); the status is 429.
func (e *LimitedError) SetHeader(h http.Header) {
	h.Set("Retry-After", strconv.Itoa(max(1, int(math.Ceil(e.RetryAfter.Seconds())))))
}

// limiter is a token bucket for each key, kept as the instant at which it will be full again (the generic cell rate
// algorithm, ITU-T I.371, A): exact, and one word for each key.
type limiter struct {
	burst int
	every time.Duration // one token comes back

	mu   sync.Mutex
	full map[string]time.Time // a key that is not in it has a full bucket
}

// crowd is the key of those for whom there is no room.
const crowd = ""

func newLimiter(burst int, every time.Duration) *limiter {
	return &limiter{burst: burst, every: every, full: map[string]time.Time{}}
}

// find is when the key's bucket will be full, and the key it is kept under. l.mu is held.
func (l *limiter) find(key string, now time.Time) (string, time.Time) {
	at, ok := l.full[key]
	if !ok && len(l.full) >= maxBuckets {
		for k, at := range l.full {
			if !at.After(now) { // full: forgetting it changes nothing
				delete(l.full, k)
			}
		}
		if len(l.full) >= maxBuckets {
			key, at = crowd, l.full[crowd]
		}
	}
	if at.Before(now) {
		return key, now
	}
	if empty := now.Add(time.Duration(l.burst) * l.every); at.After(empty) { // the clock was put back
		return key, empty
	}
	return key, at
}

// take takes a token; a *LimitedError says when there will be one.
func (l *limiter) take(key string, now time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	key, at := l.find(key, now)
	if wait := at.Sub(now) - time.Duration(l.burst-1)*l.every; wait > 0 {
		l.full[key] = at
		return &LimitedError{RetryAfter: wait}
	}
	l.full[key] = at.Add(l.every)
	return nil
}

// giveBack returns a token that was taken: the attempt was a good one.
func (l *limiter) giveBack(key string, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	key, at := l.find(key, now)
	l.full[key] = at.Add(-l.every)
}
