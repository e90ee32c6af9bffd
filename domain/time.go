package domain

import (
	"fmt"
	"time"
	_ "time/tzdata" // the zones of other regimes, on a machine without the database: a fold must not depend on the machine
)

// Date is a civil day of a regime, "2006-01-02", without a zone: the zone is the regime's.
type Date string

// ParseDate accepts exactly "2006-01-02".
func ParseDate(s string) (Date, error) {
	if t, err := time.Parse(time.DateOnly, s); err != nil || t.Year() < 1900 {
		return "", refuse(Invalid, CodeDate, "", "value", s)
	}
	return Date(s), nil
}

// Compact is the date as stream names carry it, "20060102".
func (d Date) Compact() string {
	if len(d) != 10 {
		return string(d)
	}
	return string(d[:4] + d[5:7] + d[8:])
}

// DateFromCompact reads what Compact wrote.
func DateFromCompact(s string) (Date, error) {
	if len(s) != 8 {
		return "", refuse(Invalid, CodeDate, "", "value", s)
	}
	return ParseDate(s[:4] + "-" + s[4:6] + "-" + s[6:])
}

// AddDays moves the day by n.
func (d Date) AddDays(n int) Date {
	t, err := time.Parse(time.DateOnly, string(d))
	if err != nil {
		return d
	}
	return Date(t.AddDate(0, 0, n).Format(time.DateOnly))
}

// DateAt is the civil day of an instant in a zone.
func DateAt(t time.Time, zone *time.Location) Date { return Date(t.In(zone).Format(time.DateOnly)) }

// ClockTime is a time of day, "15:00" or "15:00:30", in the regime's zone.
type ClockTime string

// On is the instant of the clock time on a day. It is UTC: facts keep UTC and only people see the zone (rule 1).
func (c ClockTime) On(d Date, zone *time.Location) (time.Time, error) {
	for _, layout := range []string{"2006-01-02 15:04", "2006-01-02 15:04:05"} {
		if t, err := time.ParseInLocation(layout, string(d)+" "+string(c), zone); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("domain: %s at %q: %w", d, c, refuse(Invalid, CodeClockTime, "", "value", string(c)))
}

// Zone resolves the zone of a regime. Vietnam's is answered without the zone database, which a bare machine may lack:
// UTC+7 without summer time since 13 June 1975.
func Zone(name string) (*time.Location, error) {
	if name == "Asia/Ho_Chi_Minh" {
		return HoChiMinh, nil
	}
	l, err := time.LoadLocation(name)
	if err != nil || name == "" || name == "Local" {
		return nil, refuse(Invalid, CodeZone, "/zone", "value", name)
	}
	return l, nil
}

// HoChiMinh is the zone every deadline of the first regime is judged in.
var HoChiMinh = time.FixedZone("+07", 7*60*60)

// shown is an instant in the words of a refusal: people read it in the regime's zone (rule 1). Offices and persons belong
// to no regime; theirs is the first one's.
func shown(t time.Time, zone *time.Location) string { return t.In(zone).Format(time.RFC3339) }
