package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/answerable-ledger/answerable/transparency"
)

// finish judges every obligation once all entries are read: each missed deadline of a closed day must stand as a breach,
// and each breach must be one. The order is by day, form and unit, so that the first fault is the same every time.
func (j *judge) finish() error {
	for _, key := range slices.Sorted(maps.Keys(j.days)) {
		d := j.days[key]
		if d.closed >= 0 && d.opened {
			j.sum.Closed++
		}
		for _, name := range slices.Sorted(maps.Keys(d.owed)) {
			form, unit, _ := strings.Cut(name, ".")
			stream := "report-" + d.Regime + "." + form + "." + unit + key[len(d.Regime):]
			j.sum.Obligations++
			if err := j.obligation(d, d.owed[name], unit, j.reports[stream]); err != nil {
				return &transparency.Fault{Index: faultIndex(err, d.closed), Place: stream, Err: err}
			}
		}
	}
	return nil
}

// atEntry carries the entry a fault lies at.
type atEntry struct {
	index int64
	err   error
}

func (e *atEntry) Error() string { return fmt.Sprintf("entry %d: %v", e.index, e.err) }
func (e *atEntry) Unwrap() error { return e.err }

func faultIndex(err error, otherwise int64) int64 {
	if e, ok := err.(*atEntry); ok {
		return e.index
	}
	return otherwise
}

func (j *judge) obligation(d *day, o *duty, unit string, r *report) error {
	if r == nil {
		r = &report{day: d}
	}
	if j.grantsOf(d.Regime).unopened > 0 {
		// An extension or an exemption nobody showed us may explain everything.
		j.sum.Unknown++
		return nil
	}
	due := j.due(d, o, unit)
	closes := due.Add(time.Duration(o.GraceSeconds) * time.Second)
	exempt := j.exempt(d, o, unit)
	onTime := len(r.versions) > 0 && r.versions[0].Before(due)
	switch {
	case exempt:
		j.sum.Exempt++
	case onTime:
		j.sum.OnTime++
	case len(r.versions) > 0:
		j.sum.Late++
	default:
		j.sum.Missing++
	}
	standing, unknown, unsigned := 0, 0, 0
	for _, b := range r.breaches {
		switch b.kind {
		case "missing", "late":
			if b.recorded.Before(closes.Add(-j.skew)) {
				return &atEntry{b.index, bad("a breach was recorded at %s, before the deadline with its grace, %s", show(b.recorded), show(closes))}
			}
			if (onTime || exempt) && !b.withdrawn {
				return &atEntry{b.index, bad("a breach stands against a report that was %s (deadline %s)", map[bool]string{true: "not owed", false: "received in time"}[exempt], show(due))}
			}
			if !b.withdrawn {
				standing++
			}
		case "unsigned":
			if err := j.unsigned(o, due, r, b); err != nil {
				return err
			}
			if !b.withdrawn {
				unsigned++
			}
		default:
			if !b.withdrawn {
				unknown++
			}
		}
	}
	if unknown > 0 && (onTime || exempt) && o.SignOffDue == nil {
		return bad("a breach stands against a report that was received in time or not owed (deadline %s)", show(due))
	}
	if !onTime && !exempt && standing == 0 && unknown == 0 {
		if d.closed >= 0 {
			return bad("the day is closed, nothing was received before %s, and no breach is recorded", show(due))
		}
		if j.overdue(closes) {
			return bad("nothing was received before %s, the log goes on until %s, and neither a breach nor the day's closing is recorded", show(due), show(j.last))
		}
	}
	if o.SignOffDue == nil || exempt || unknown > 0 || unsigned > 0 {
		return nil
	}
	return j.unsignedMissing(o, due, r)
}

// overdueAfter is how long after an instant of closing the log may go on without the breach. The ledger records it within
// seconds; after standing still it first makes up for what fell due meanwhile.
const overdueAfter = time.Hour

// overdue reports whether the log shows entries from long after an instant at which a breach had to be recorded.
func (j *judge) overdue(closes time.Time) bool { return j.last.After(closes.Add(overdueAfter)) }

// signing is the deadline of signing, which an extension beyond it moves too, and the version that was the newest then, 0
// when nothing was filed by then. signed: it was signed in time. shown is false when a sign-off was not opened that may
// have been of it.
func (r *report) signing(o *duty, due time.Time) (signDue time.Time, version int, signed, shown bool) {
	signDue = *o.SignOffDue
	if signDue.Before(due) {
		signDue = due
	}
	for i, received := range r.versions {
		if received.Before(signDue) {
			version = i + 1
		}
	}
	shown = true
	for _, s := range r.signed {
		switch {
		case !s.at.Before(signDue):
		case s.version == 0:
			shown = false
		case s.version == version:
			signed = true
		}
	}
	return signDue, version, signed, shown
}

// unsigned checks a breach of the deadline of signing: the version that was the newest then was not signed then.
func (j *judge) unsigned(o *duty, due time.Time, r *report, b breach) error {
	if o.SignOffDue == nil {
		return &atEntry{b.index, bad("a breach of signing is recorded for a duty without a deadline of signing")}
	}
	signDue, version, signed, _ := r.signing(o, due)
	switch {
	case signed && !b.withdrawn:
		return &atEntry{b.index, bad("version %d was signed before %s, and counts as unsigned", version, show(signDue))}
	case version == 0:
		return &atEntry{b.index, bad("a report that nobody had filed before %s counts as unsigned", show(signDue))}
	}
	return nil
}

// unsignedMissing demands the breach of the deadline of signing where none stands: the newest version by then was not
// signed by then, and the log went on for long enough to have said so.
func (j *judge) unsignedMissing(o *duty, due time.Time, r *report) error {
	signDue, version, signed, shown := r.signing(o, due)
	if version == 0 || signed || !shown || !j.overdue(signDue.Add(time.Duration(o.GraceSeconds)*time.Second)) {
		return nil
	}
	return bad("version %d was not signed before %s, the log goes on until %s, and no breach of signing is recorded", version, show(signDue), show(j.last))
}
