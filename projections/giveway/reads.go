package giveway

import (
	"math/bits"
	"slices"
	"sync"
	"time"
)

// Reads are how long the questions of the last second took, in quarters of it, and how long they usually take. The zero
// value knows of none; any number of goroutines may use it.
type Reads struct {
	mu       sync.Mutex
	quarters [4]quarter
	seconds  [usualSeconds]time.Duration // what Slowest was in seconds without a rebuild, as a ring
	n        int                         // of those that ever were
}

// quarter counts reads by classes of their time.
type quarter struct {
	n     int64 // of quarters of a second since 1970
	count [readClasses]int
}

// readClasses are four to a power of two of microseconds, so that a class is at most a quarter longer than the one below;
// the last one is above a minute.
const readClasses = 100

func readClass(took time.Duration) int {
	us := uint64(max(took.Microseconds(), 0))
	if us < 4 {
		return int(us)
	}
	power := bits.Len64(us) - 3
	return min(4*power+int(us>>power), readClasses-1)
}

// shortest is the shortest time in a class.
func shortest(class int) time.Duration {
	if class < 4 {
		return time.Duration(class) * time.Microsecond
	}
	power := class/4 - 1
	return time.Duration(4+class%4) << power * time.Microsecond
}

// usualSeconds is how many seconds with reads are remembered. Chosen: some minutes.
const usualSeconds = 180

const (
	quarterSecond = 250 * time.Millisecond
	// fewReads say nothing about a hundredth. Chosen.
	fewReads = 10
)

// Took begins to measure a question; the function it gives is called at its end.
func (r *Reads) Took() func() {
	started := time.Now()
	return func() {
		now := time.Now()
		r.Note(now, now.Sub(started))
	}
}

// Note counts a question that was answered at an instant.
func (r *Reads) Note(at time.Time, took time.Duration) {
	class := readClass(took)
	r.mu.Lock()
	defer r.mu.Unlock()
	n := at.UnixNano() / int64(quarterSecond)
	q := &r.quarters[n%4]
	if q.n != n {
		*q = quarter{n: n}
	}
	q.count[class]++
}

// Slowest is below how long 99 of 100 questions of the last second took, by at most a quarter; 0 while there were few.
func (r *Reads) Slowest() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := time.Now().UnixNano() / int64(quarterSecond)
	var count [readClasses]int
	all := 0
	for _, q := range r.quarters {
		if n-q.n < 4 {
			for i, c := range q.count {
				count[i] += c
				all += c
			}
		}
	}
	if all < fewReads {
		return 0
	}
	above := 0
	for i := len(count) - 1; i > 0; i-- {
		if above += count[i]; above*100 > all {
			return shortest(i)
		}
	}
	return 0
}

// learn remembers how long reads took in a second in which no views were rebuilt; 0 says nothing.
func (r *Reads) learn(slowest time.Duration) {
	if slowest == 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seconds[r.n%usualSeconds] = slowest
	r.n++
}

// usual is what half of the seconds that are remembered did not exceed; 0 while there are none.
func (r *Reads) usual() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	known := slices.Sorted(slices.Values(r.seconds[:min(r.n, usualSeconds)]))
	if len(known) == 0 {
		return 0
	}
	return known[(len(known)-1)/2]
}

// tooSlow is when a rebuild gives way: when reads take twice as long as they usually do, but not as long as they are short
// all the same, and at the latest when they take 5/2 of that, so that the slowest hundredth stays below three times it.
func tooSlow(short, usual time.Duration) time.Duration {
	return min(max(short, 2*usual), short*5/2)
}
