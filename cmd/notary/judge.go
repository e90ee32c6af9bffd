package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/answerable-ledger/answerable/transparency"
)

// errJudgement: the ledger's own rules lead to another judgement than the one it recorded.
var errJudgement = errors.New("the ledger judged against its own rules")

// judge recomputes, from the entries alone, who was on time and who was not. When a report came in stands in the public
// part of its entry; what was owed by when stands in the openings of the days. It reads these few fields itself: the tool
// must not share the code it checks.
//
// Where an opening it needs was not given it says "not determinable" and never guesses.
type judge struct {
	skew    time.Duration
	only    string             // judge this unit alone: the entries of others were not given
	days    map[string]*day    // by "<regime>.<yyyymmdd>"
	reports map[string]*report // by stream
	grants  map[string]*grants // by regime
	sum     judged
	kinds   map[string]int64
	last    time.Time
}

// judged is the summary.
type judged struct {
	Days         int `json:"days"`             // whose opening was given
	Closed       int `json:"closed"`           // of those
	Obligations  int `json:"obligations"`      // on them
	OnTime       int `json:"on_time"`          // recomputed
	Late         int `json:"late"`             // recomputed
	Missing      int `json:"missing"`          // recomputed
	Exempt       int `json:"exempt"`           // recomputed
	Unknown      int `json:"not_determinable"` // an opening is missing
	UnopenedDays int `json:"days_not_opened"`  // whose opening was not given
}

type day struct {
	opened bool // its opening was given
	Regime string
	Date   string
	Duties []duty
	owed   map[string]*duty // by "<form>.<unit>"
	closed int64            // the entry that closed it, -1 while none did
}

type duty struct {
	Duty         string     `json:"duty"`
	Form         string     `json:"form"`
	Due          time.Time  `json:"due"`
	GraceSeconds int        `json:"grace_seconds"`
	SignOffDue   *time.Time `json:"sign_off_due"`
	Groups       []struct {
		Units []string `json:"units"`
	} `json:"groups"`
}

type grants struct {
	unopened   int
	extensions []grant
	exemptions []grant
}

// grant is a DeadlineExtended or a DayExempted.
type grant struct {
	Date   string    `json:"date"`
	Duty   string    `json:"duty"`
	Duties []string  `json:"duties"`
	Units  []string  `json:"units"`
	Due    time.Time `json:"due"`
}

func (g grant) covers(date, duty, unit string) bool {
	return g.Date == date && (g.Duty == "" || g.Duty == duty) && (len(g.Duties) == 0 || slices.Contains(g.Duties, duty)) &&
		(len(g.Units) == 0 || unit == "" || slices.Contains(g.Units, unit))
}

type report struct {
	day      *day
	form     string
	unit     string
	versions []time.Time // received_at of each
	signed   []signature
	breaches []breach
}

type signature struct {
	version int // 0: not opened
	at      time.Time
}

type breach struct {
	index     int64
	recorded  time.Time
	kind      string // missing, late, unsigned; "" when it was not opened
	withdrawn bool
}

func newJudge(skew time.Duration) *judge {
	return &judge{skew: skew, days: map[string]*day{}, reports: map[string]*report{}, grants: map[string]*grants{}, kinds: map[string]int64{}}
}

func bad(format string, args ...any) error {
	return fmt.Errorf(format+": %w", append(args, errJudgement)...)
}

// take follows the log entry by entry.
func (j *judge) take(index int64, l *transparency.Leaf, opened []transparency.Opening) error {
	j.kinds[l.Kind]++
	j.last = l.RecordedAt
	category, rest, _ := strings.Cut(l.Stream, "-")
	payload := shownPayload(opened)
	switch category {
	case "regime":
		return j.regime(rest, l, payload)
	case "regimeday":
		return j.dayEntry(index, rest, l, payload)
	case "report":
		return j.report(index, rest, l, payload)
	}
	return nil
}

func (j *judge) grantsOf(regime string) *grants {
	g := j.grants[regime]
	if g == nil {
		g = &grants{}
		j.grants[regime] = g
	}
	return g
}

func (j *judge) regime(name string, l *transparency.Leaf, payload []byte) error {
	if l.Kind != "DeadlineExtended" && l.Kind != "DayExempted" {
		return nil
	}
	g := j.grantsOf(name)
	if payload == nil {
		g.unopened++
		return nil
	}
	var x grant
	if err := json.Unmarshal(payload, &x); err != nil {
		return bad("%s cannot be read (%v)", l.Kind, err)
	}
	// A deadline that has passed is neither moved nor lifted.
	if d := j.days[name+"."+strings.ReplaceAll(x.Date, "-", "")]; d != nil && d.opened {
		for _, o := range d.Duties {
			if !x.covers(x.Date, o.Duty, "") {
				continue
			}
			for _, unit := range orAny(x.Units) {
				if due := j.due(d, &o, unit); !l.RecordedAt.Before(due.Add(j.skew)) {
					return bad("%s for %s was recorded at %s, after the deadline %s had passed", l.Kind, x.Date, show(l.RecordedAt), show(due))
				}
			}
		}
	}
	if l.Kind == "DeadlineExtended" {
		g.extensions = append(g.extensions, x)
	} else {
		g.exemptions = append(g.exemptions, x)
	}
	return nil
}

func orAny(units []string) []string {
	if len(units) == 0 {
		return []string{""}
	}
	return units
}

// due is a duty's deadline for a unit, with the extensions recorded so far.
func (j *judge) due(d *day, o *duty, unit string) time.Time {
	due := o.Due
	for _, x := range j.grantsOf(d.Regime).extensions {
		if x.covers(d.Date, o.Duty, unit) && x.Due.After(due) {
			due = x.Due
		}
	}
	return due
}

func (j *judge) exempt(d *day, o *duty, unit string) bool {
	return slices.ContainsFunc(j.grantsOf(d.Regime).exemptions, func(x grant) bool { return x.covers(d.Date, o.Duty, unit) })
}

func (j *judge) dayEntry(index int64, key string, l *transparency.Leaf, payload []byte) error {
	switch l.Kind {
	case "DayOpened":
		d := &day{closed: -1}
		j.days[key] = d
		if payload == nil {
			j.sum.UnopenedDays++
			return nil
		}
		if err := json.Unmarshal(payload, d); err != nil {
			return bad("DayOpened cannot be read (%v)", err)
		}
		if key != d.Regime+"."+strings.ReplaceAll(d.Date, "-", "") {
			return bad("DayOpened of %s %s stands in the stream of %s", d.Regime, d.Date, key)
		}
		d.opened, d.owed = true, map[string]*duty{}
		j.sum.Days++
		for i := range d.Duties {
			o := &d.Duties[i]
			if !l.RecordedAt.Before(o.Due.Add(j.skew)) {
				return bad("the duties of %s were recorded at %s, after the deadline %s", d.Date, show(l.RecordedAt), show(o.Due))
			}
			for _, g := range o.Groups {
				for _, u := range g.Units {
					if j.only != "" && u != j.only {
						continue
					}
					d.owed[o.Form+"."+u] = o
				}
			}
		}
	case "DayClosed":
		d := j.days[key]
		if d == nil {
			return bad("a day is closed that was never opened")
		}
		d.closed = index
		if d.opened && payload != nil && j.only == "" {
			return j.counts(key, d, payload)
		}
	}
	return nil
}

// counts compares the counts of a closing with what had been recorded by then.
func (j *judge) counts(key string, d *day, payload []byte) error {
	var closed struct {
		Counts struct {
			Obligations int `json:"obligations"`
			OnTime      int `json:"on_time"`
			Late        int `json:"late"`
			Missing     int `json:"missing"`
			Exempt      int `json:"exempt"`
		} `json:"counts"`
	}
	if err := json.Unmarshal(payload, &closed); err != nil {
		return bad("DayClosed cannot be read (%v)", err)
	}
	if j.grantsOf(d.Regime).unopened > 0 {
		return nil
	}
	got := closed.Counts
	want := got
	want.Obligations, want.OnTime, want.Late, want.Missing, want.Exempt = len(d.owed), 0, 0, 0, 0
	for name, o := range d.owed {
		form, unit, _ := strings.Cut(name, ".")
		r := j.reports["report-"+d.Regime+"."+form+"."+unit+key[len(d.Regime):]]
		switch {
		case j.exempt(d, o, unit):
			want.Exempt++
		case r == nil || len(r.versions) == 0:
			want.Missing++
		case r.versions[0].Before(j.due(d, o, unit)):
			want.OnTime++
		default:
			want.Late++
		}
	}
	if got != want {
		return bad("the closing of %s counts %+v; the entries give %+v", d.Date, got, want)
	}
	return nil
}

func (j *judge) report(index int64, key string, l *transparency.Leaf, payload []byte) error {
	r := j.reports[l.Stream]
	if r == nil {
		p := strings.Split(key, ".")
		if len(p) != 4 {
			return bad("the stream %s names no report", l.Stream)
		}
		d := j.days[p[0]+"."+p[3]]
		if d == nil {
			return bad("%s: no duty of that day was recorded before", l.Stream)
		}
		if _, owes := d.owed[p[1]+"."+p[2]]; d.opened && !owes {
			return bad("%s: the day's list does not name that unit and form", l.Stream)
		}
		r = &report{day: d, form: strings.Clone(p[1]), unit: strings.Clone(p[2])}
		j.reports[strings.Clone(l.Stream)] = r
	}
	switch l.Kind {
	case "ReportSubmitted":
		r.versions = append(r.versions, l.ReceivedAt)
		return j.timeliness(r, l, payload)
	case "ReportCorrected":
		r.versions = append(r.versions, l.ReceivedAt)
	case "ReportSignedOff":
		var x struct {
			Version int `json:"version"`
		}
		if payload != nil && json.Unmarshal(payload, &x) != nil {
			return bad("ReportSignedOff cannot be read")
		}
		r.signed = append(r.signed, signature{x.Version, l.ReceivedAt})
	case "DeadlineBreached":
		var x struct {
			Breach string `json:"breach"`
		}
		if payload != nil && json.Unmarshal(payload, &x) != nil {
			return bad("DeadlineBreached cannot be read")
		}
		r.breaches = append(r.breaches, breach{index: index, recorded: l.RecordedAt, kind: x.Breach})
	case "BreachWithdrawn":
		return r.withdraw(payload)
	}
	return nil
}

// timeliness checks the judgement inside a submission, when it was opened.
func (j *judge) timeliness(r *report, l *transparency.Leaf, payload []byte) error {
	if payload == nil || !r.day.opened || j.grantsOf(r.day.Regime).unopened > 0 {
		return nil
	}
	var x struct {
		Timeliness string `json:"timeliness"`
	}
	if err := json.Unmarshal(payload, &x); err != nil {
		return bad("ReportSubmitted cannot be read (%v)", err)
	}
	due := j.due(r.day, r.day.owed[r.form+"."+r.unit], r.unit)
	want := "on_time"
	if !l.ReceivedAt.Before(due) { // at the deadline is late
		want = "late"
	}
	if x.Timeliness != want {
		return bad("received at %s with the deadline %s, it is %s and was judged %q", show(l.ReceivedAt), show(due), want, x.Timeliness)
	}
	return nil
}

// withdraw takes back the breach of the kind named, or the newest one when that is not known.
func (r *report) withdraw(payload []byte) error {
	var x struct {
		Breach string `json:"breach"`
	}
	if payload != nil && json.Unmarshal(payload, &x) != nil {
		return bad("BreachWithdrawn cannot be read")
	}
	for i := len(r.breaches) - 1; i >= 0; i-- {
		if b := &r.breaches[i]; !b.withdrawn && (x.Breach == "" || b.kind == "" || b.kind == x.Breach) {
			b.withdrawn = true
			return nil
		}
	}
	return bad("a breach is withdrawn that was not recorded")
}

func show(t time.Time) string { return t.In(vietNam).Format("2006-01-02 15:04:05.000 -07:00") }
