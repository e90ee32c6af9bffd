package projections

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"github.com/answerable-ledger/answerable/domain"
)

// unitRow is a unit in the working set. Its number is given when the ledger first names it.
type unitRow struct {
	n     int64
	code  domain.UnitCode
	state domain.Unit
	chronicle
	office *officeRow // nil until it was looked for and found
	slots  []slotID   // bulk fold only
	recent *slot      // the obligation last looked for; nil after each batch
	dirty  bool
}

func (w *set) applyUnit(s *step) error {
	code := domain.UnitCode(strings.TrimPrefix(s.recorded.Stream, domain.CategoryUnit+"-"))
	switch s.fact.Event.(type) {
	case domain.UnitRegistered, domain.UnitRenamed, domain.UnitReclassified, domain.UnitMoved, domain.UnitMerged, domain.UnitDissolved:
	default:
		return errStrayKind
	}
	u, err := w.unit(code)
	if err != nil {
		return err
	}
	var facts chronicle
	if u != nil {
		facts = u.chronicle
	}
	if err := facts.add(s, w.known); err != nil {
		return err
	}
	w.changing = true
	if u, err = w.numberedUnit(code); err != nil {
		return err
	}
	u.chronicle = facts
	u.state = u.state.Apply(s.fact)
	u.dirty, w.directoryDirty = true, true
	return nil
}

// unit finds a unit, or nil when nothing named it yet.
func (w *set) unit(code domain.UnitCode) (*unitRow, error) {
	if u := w.units[code]; u != nil || w.from == nil {
		return u, nil
	}
	u, err := w.from.unit(code)
	if err != nil || u == nil {
		return nil, err
	}
	w.units[code], w.unitByN[u.n] = u, u
	return u, nil
}

// numberedUnit finds a unit or gives it a number. A day may name a unit before its own stream was read.
func (w *set) numberedUnit(code domain.UnitCode) (*unitRow, error) {
	u, err := w.unit(code)
	if err != nil || u != nil {
		return u, err
	}
	u = &unitRow{n: w.numbered.unit, code: code, dirty: true}
	w.directoryDirty = true
	w.numbered.unit++
	w.units[code], w.unitByN[u.n] = u, u
	return u, nil
}

func (w *set) unitNumbered(n int64) (*unitRow, error) {
	if u := w.unitByN[n]; u != nil || w.from == nil {
		return u, nil
	}
	u, err := w.from.unitNumbered(n)
	if err != nil || u == nil {
		return nil, err
	}
	w.units[u.code], w.unitByN[n] = u, u
	return u, nil
}

// search is what a search for the unit looks into: its code and every name it had, folded.
func (u *unitRow) search() string {
	parts := []string{string(u.code)}
	for _, p := range u.state.Periods {
		parts = append(parts, p.Name, p.NameEn)
	}
	return Folded(strings.Join(parts, " "))
}

// Folded is a text without marks and case, for search: the official list writes both Hoà and Hòa, and people type hoa.
func Folded(s string) string {
	var b strings.Builder
	for _, r := range norm.NFD.String(s) {
		switch {
		case unicode.Is(unicode.Mn, r):
		case r == 'đ' || r == 'Đ':
			b.WriteByte('d')
		default:
			b.WriteRune(unicode.ToLower(r))
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

// Units lists units in the order of their codes.
func (v *Views) Units(ctx context.Context, q UnitQuery) (UnitPage, error) {
	var page UnitPage
	var err error
	page.At, err = v.ask(ctx, q.AsOf, q.KnownAt, func(r *reader) error {
		if _, err := r.knownUnit("/parent", q.Parent); err != nil {
			return err
		}
		r.units, r.codes = map[int64]*readUnit{}, map[domain.UnitCode]int64{} // the parent is no answer
		where, args := `code > ?`, []any{q.After}
		if q.Unit != "" {
			where, args = where+` AND code = ?`, append(args, string(q.Unit))
		}
		if q.Level != "" {
			where, args = where+` AND level = ?`, append(args, string(q.Level))
		}
		for _, word := range strings.Fields(Folded(q.Search)) {
			where, args = where+` AND search LIKE ? ESCAPE '\'`, append(args, "%"+strings.NewReplacer(`\`, `\\`, "%", `\%`, "_", `\_`).Replace(word)+"%")
		}
		if err := r.unitsWhere(where, args); err != nil {
			return err
		}
		for _, code := range slices.Sorted(maps.Keys(r.codes)) {
			u := r.units[r.codes[code]]
			if !u.Exists() || q.AsOf != "" && !u.ActiveOn(q.AsOf) {
				continue
			}
			shown := u.shown(q.AsOf)
			if q.Parent != "" && shown.Parent != q.Parent {
				continue
			}
			if len(page.Rows) == limited(q.Limit) {
				page.Next = string(page.Rows[len(page.Rows)-1].Unit)
				break
			}
			page.Rows = append(page.Rows, shown)
		}
		return nil
	})
	return page, err
}

// shown describes a unit as of a day, or as it is described last.
func (u *readUnit) shown(asOf domain.Date) UnitRow {
	out := UnitRow{Unit: u.code, Level: u.Level, Type: u.Type, Name: u.Name, NameEn: u.NameEn, Parent: u.Parent, From: u.From, Until: u.Until, Synthetic: u.Synthetic}
	if asOf != "" {
		p := u.On(asOf)
		out.Type, out.Name, out.NameEn, out.Parent = p.Type, p.Name, p.NameEn, p.Parent
	}
	return out
}

// unitCache keeps the units that were read from a generation: their facts, and what they fold to. It is asked with the
// number of facts a unit has, so it never answers with an old one. Safe for concurrent use.
type unitCache struct {
	mu  sync.Mutex
	all map[int64]cachedUnit
}

type cachedUnit struct {
	facts []knownFact
	now   domain.Unit
}

// get is a unit as known at an instant; false when it was not read since it had that many facts.
func (c *unitCache) get(n int64, facts int, known instant) (domain.Unit, bool) {
	c.mu.Lock()
	u, ok := c.all[n]
	c.mu.Unlock()
	if !ok || len(u.facts) != facts {
		return domain.Unit{}, false
	}
	if facts == 0 || u.facts[facts-1].known <= known {
		return u.now, true
	}
	return foldKnown(domain.Unit{}, u.facts, known), true
}

// put takes a unit that was read, and gives it as known at an instant.
func (c *unitCache) put(n int64, facts []knownFact, known instant) domain.Unit {
	u := cachedUnit{facts, foldKnown(domain.Unit{}, facts, forever)}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.all == nil {
		c.all = map[int64]cachedUnit{}
	}
	c.all[n] = u
	return foldKnown(domain.Unit{}, facts, known)
}
