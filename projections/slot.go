package projections

import (
	"iter"
	"maps"
	"slices"
	"time"

	"github.com/answerable-ledger/answerable/domain"
)

// slotID numbers one obligation: the day's number, the form's and the unit's, so that the rows of a day, and of a form on
// a day, lie side by side, and those of one unit are found by arithmetic instead of by an index. The numbers are given in
// log order, when a day is opened or a unit is first named, so every fold of one log gives the same.
type slotID int64

const (
	unitBits = 24
	formBits = 12
)

func newSlotID(day, form, unit int64) slotID {
	return slotID(day<<(unitBits+formBits) | form<<unitBits | unit)
}

func (s slotID) day() int64  { return int64(s) >> (unitBits + formBits) }
func (s slotID) form() int64 { return int64(s) >> unitBits & (1<<formBits - 1) }
func (s slotID) unit() int64 { return int64(s) & (1<<unitBits - 1) }

// instant is a time in nanoseconds since 1970, UTC; 0 is no time. Rows keep instants: they are small, ordered, and
// the same in every database.
type instant int64

func at(t time.Time) instant {
	if t.IsZero() {
		return 0
	}
	return instant(t.UnixNano())
}

func atOptional(t *time.Time) instant {
	if t == nil {
		return 0
	}
	return at(*t)
}

func (i instant) time() time.Time {
	if i == 0 {
		return time.Time{}
	}
	return time.Unix(0, int64(i)).UTC()
}

func (i instant) optional() *time.Time {
	if i == 0 {
		return nil
	}
	t := i.time()
	return &t
}

// forever is later than everything known: the instant of a question about everything recorded so far.
const forever = instant(1<<63 - 1)

// knownAt is the instant of any time that counts: before the first one nothing was known, and nanoseconds since 1970 do not
// reach to every year that a caller can write.
func knownAt(t *time.Time) instant {
	switch {
	case t == nil || t.Year() > 2261:
		return forever
	case t.Unix() <= 0:
		return 0
	}
	return at(*t)
}

// slot is one obligation in the working set: what its stream folds to, what bears on it from elsewhere, and the rows that
// show it. Rows only grow: a change adds a state, known from the instant its fact was recorded.
type slot struct {
	id    slotID
	unit  *unitRow
	above *unitRow // the unit it reports through; nil when there is none
	duty  int      // index among the day's duties

	// report is without figures and texts, which no rule of the views asks for; the history has them.
	report domain.Report
	next   uint64 // revision the next fact of the stream must have

	due, signOffDue instant
	exempt          bool
	outOfDate       []domain.UnitCode

	compliance []complianceState
	answers    []answerState
	breaches   []breachRow
	history    []byte      // JSON array without its closing bracket, as it was loaded
	entries    []heldEntry // what came after
	waiting    bool        // stands in the sign-off queue
	vacant     bool        // stands among the vacancies of the unit above

	dirty    dirtyParts
	findings findings // what a search may find it by, as far as this set has seen
}

// slotTable finds obligations by their ids, in pages by day and form that are indexed by the unit's number: a rebuild looks
// into it for every fact, mostly into the page it looked into before.
type slotTable struct {
	pages map[int64][]*slot
	n     int // how many there are
	last  int64
	page  []*slot // of last
}

func newSlotTable() *slotTable { return &slotTable{pages: map[int64][]*slot{}} }

func (t *slotTable) get(id slotID) *slot {
	n, unit := int64(id)>>unitBits, id.unit()
	if n != t.last || t.page == nil {
		t.last, t.page = n, t.pages[n]
	}
	if unit >= int64(len(t.page)) {
		return nil
	}
	return t.page[unit]
}

func (t *slotTable) put(s *slot) {
	n, unit := int64(s.id)>>unitBits, s.id.unit()
	page := t.pages[n]
	if unit >= int64(len(page)) {
		page = slices.Grow(page, int(unit)+1-len(page))
		page = page[:min(int64(cap(page)), unit+1024)]
		t.pages[n] = page
	}
	if page[unit] == nil {
		t.n++
	}
	page[unit] = s
	t.last, t.page = n, page
}

// of gives the obligations of a day in the order of their ids.
func (t *slotTable) of(day int64) []*slot {
	var out []*slot
	for _, n := range slices.Sorted(maps.Keys(t.pages)) {
		if n>>formBits != day {
			continue
		}
		for _, s := range t.pages[n] {
			if s != nil {
				out = append(out, s)
			}
		}
	}
	return out
}

// take removes the obligations of a day, and gives them.
func (t *slotTable) take(day int64) []*slot {
	out := t.of(day)
	maps.DeleteFunc(t.pages, func(n int64, _ []*slot) bool { return n>>formBits == day })
	t.n -= len(out)
	t.page = nil
	return out
}

// all walks through the obligations in the order of their ids.
func (t *slotTable) all() iter.Seq[*slot] {
	return func(yield func(*slot) bool) {
		for _, n := range slices.Sorted(maps.Keys(t.pages)) {
			for _, s := range t.pages[n] {
				if s != nil && !yield(s) {
					return
				}
			}
		}
	}
}

// heldEntry is an entry of the history that is not in its row yet.
type heldEntry struct {
	known instant
	tail  []byte
}

// dirtyParts says which rows of a slot are to be written.
type dirtyParts uint8

const (
	dirtyRow dirtyParts = 1 << iota
	dirtyBreaches
	dirtyQueue
	dirtyVacancy
	dirtyFindings
	dirtyNew // its row is not there yet
)

func (s *slot) key() domain.ReportKey { return s.report.Key }

func (s *slot) parent() domain.UnitCode {
	if s.above == nil {
		return ""
	}
	return s.above.code
}

func (s *slot) aboveN() int64 {
	if s.above == nil {
		return 0
	}
	return s.above.n
}

// version is the number of the newest version, 0 while nothing was filed.
func (s *slot) version() int { return len(s.report.Versions) }

// formVersion is the version of the form that the newest version was filed under; 0 while nothing was filed.
func (s *slot) formVersion() int64 {
	v, ok := s.report.Newest()
	if !ok {
		return 0
	}
	return int64(v.Content.FormVersion)
}

// slim drops what the fold does not need of the version just applied: a rebuild holds every obligation in memory.
func (s *slot) slim() {
	n := len(s.report.Versions)
	if n > 0 {
		v := &s.report.Versions[n-1]
		v.Content.Figures, v.Findings, v.Note, v.Reason, v.EventID, v.Filer, v.Channel = nil, nil, "", "", "", "", ""
	}
	if n > 1 {
		v := &s.report.Versions[n-2]
		v.Content.Children, v.Missing = nil, nil
	}
	if n := len(s.report.SignOffs); n > 0 {
		x := &s.report.SignOffs[n-1]
		x.Statement, x.Signature, x.CheckpointSeen, x.Title, x.Digest, x.Signer, x.Authority = "", nil, "", "", "", "", ""
	}
	s.report.CommandLog = domain.CommandLog{}
}
