package main

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/answerable-ledger/answerable/transparency"
)

// entry is one line of a day's story. Times are of the day, in Viet Nam.
type entry struct {
	stream, kind       string
	received, recorded string // recorded "" is received
	payload            string // "" is not opened
}

const aDay = `{"regime":"bd","date":"2021-09-24","regime_version":1,"duties":[
 {"duty":"d1","form":"f1","form_version":1,"due":"2021-09-24T08:00:00Z","grace_seconds":600,"sign_off_due":"2021-09-24T10:00:00Z","groups":[{"parent":"718","units":["u1","u2"]},{"units":["u3"]}]}]}`

func at(clock string) time.Time {
	t, err := time.ParseInLocation("2006-01-02 15:04:05.999", "2021-09-24 "+clock, vietNam)
	if err != nil {
		panic(err)
	}
	return t
}

var (
	opened = entry{"regimeday-bd.20210924", "DayOpened", "00:05:00", "", aDay}
	hidden = entry{"regimeday-bd.20210924", "DayOpened", "00:05:00", "", ""}
)

func closed(onTime, late, missing, exempt int) entry {
	return entry{"regimeday-bd.20210924", "DayClosed", "15:10:01", "", fmt.Sprintf(`{"counts":{"obligations":3,"on_time":%d,"late":%d,"missing":%d,"exempt":%d,"nil":0}}`, onTime, late, missing, exempt)}
}

func on(unit, kind, received, recorded, payload string) entry {
	return entry{"report-bd.f1." + unit + ".20210924", kind, received, recorded, payload}
}

func submitted(unit, received, timeliness string) entry {
	return on(unit, "ReportSubmitted", received, "", `{"timeliness":"`+timeliness+`"}`)
}

func breached(unit, kind string) entry {
	return on(unit, "DeadlineBreached", "15:10:00", "", `{"breach":"`+kind+`"}`)
}

// signed is a sign-off in time; later is an entry from long after every deadline.
func signed(unit string, version int) entry {
	return on(unit, "ReportSignedOff", "16:00:00", "", fmt.Sprintf(`{"version":%d}`, version))
}

var later = entry{"unit-u1", "UnitRenamed", "20:00:00", "", ""}

func extended(recorded, due string) entry {
	return entry{"regime-bd", "DeadlineExtended", recorded, "", `{"regime":"bd","date":"2021-09-24","duty":"d1","units":["u1"],"due":"` + due + `"}`}
}

func exempted(recorded string) entry {
	return entry{"regime-bd", "DayExempted", recorded, "", `{"regime":"bd","date":"2021-09-24","units":["u1"]}`}
}

func judgeAll(entries []entry) (judged, error) {
	j := newJudge(10 * time.Second)
	for i, e := range entries {
		if e.recorded == "" {
			e.recorded = e.received
		}
		l := &transparency.Leaf{Stream: e.stream, Kind: e.kind, ReceivedAt: at(e.received), RecordedAt: at(e.recorded)}
		var o []transparency.Opening
		if e.payload != "" {
			o = append(o, transparency.Opening{HasPayload: true, Payload: []byte(e.payload)})
		}
		if err := j.take(int64(i), l, o); err != nil {
			return j.sum, fmt.Errorf("entry %d: %w", i, err)
		}
	}
	return j.sum, j.finish()
}

func TestJudge(t *testing.T) {
	t.Parallel()
	rest := []entry{submitted("u2", "14:00:00", "on_time"), submitted("u3", "14:00:00", "on_time")}
	day := func(entries ...entry) []entry {
		return append(append([]entry{opened}, rest...), entries...)
	}
	for _, tc := range []struct {
		name    string
		entries []entry
		fault   string // "" for none
		want    judged // looked at without a fault
	}{
		{"all on time", day(submitted("u1", "14:59:59.999", "on_time"), closed(3, 0, 0, 0)), "", judged{Days: 1, Closed: 1, Obligations: 3, OnTime: 3}},
		{"at the deadline is late", day(submitted("u1", "15:00:00", "late"), breached("u1", "late"), closed(2, 1, 0, 0)), "", judged{Days: 1, Closed: 1, Obligations: 3, OnTime: 2, Late: 1}},
		{"at the deadline judged on time", day(submitted("u1", "15:00:00", "on_time")), "is late and was judged \"on_time\"", judged{}},
		{"in time judged late", day(submitted("u1", "14:59:59.999", "late")), "is on_time and was judged \"late\"", judged{}},
		{"late and no breach", day(submitted("u1", "15:00:00", "late"), closed(2, 1, 0, 0)), "no breach is recorded", judged{}},
		{"missing", day(breached("u1", "missing"), closed(2, 0, 1, 0)), "", judged{Days: 1, Closed: 1, Obligations: 3, OnTime: 2, Missing: 1}},
		{"missing and no breach", day(closed(2, 0, 1, 0)), "no breach is recorded", judged{}},
		{"missing, the day not closed yet", day(), "", judged{Days: 1, Obligations: 3, OnTime: 2, Missing: 1}},
		{"a breach against the punctual", day(submitted("u1", "14:00:00", "on_time"), breached("u1", "late"), closed(3, 0, 0, 0)), "stands against a report that was received in time", judged{}},
		{"received in time, recorded after the breach", day(breached("u1", "missing"), closed(2, 0, 1, 0),
			on("u1", "ReportSubmitted", "14:58:00", "15:12:00", `{"timeliness":"on_time"}`), on("u1", "BreachWithdrawn", "14:58:00", "15:12:00", `{"breach":"missing"}`)), "",
			judged{Days: 1, Closed: 1, Obligations: 3, OnTime: 3}},
		{"withdrawn without reason", day(breached("u1", "missing"), closed(2, 0, 1, 0), on("u1", "BreachWithdrawn", "15:12:00", "", `{"breach":"missing"}`)), "no breach is recorded", judged{}},
		{"withdrawn and never recorded", day(on("u1", "BreachWithdrawn", "15:12:00", "", `{"breach":"missing"}`)), "that was not recorded", judged{}},
		{"a breach before the deadline", day(on("u1", "DeadlineBreached", "14:30:00", "", `{"breach":"missing"}`), closed(2, 0, 1, 0)), "before the deadline with its grace", judged{}},
		{"extended", day(extended("13:00:00", "2021-09-24T09:00:00Z"), submitted("u1", "15:30:00", "on_time"), closed(3, 0, 0, 0)), "", judged{Days: 1, Closed: 1, Obligations: 3, OnTime: 3}},
		{"a breach before the extended deadline", day(extended("13:00:00", "2021-09-24T09:00:00Z"), breached("u1", "missing"), closed(2, 0, 1, 0)), "before the deadline with its grace", judged{}},
		{"extended after it had passed", day(extended("15:01:00", "2021-09-24T09:00:00Z")), "after the deadline", judged{}},
		{"exempted", day(exempted("13:00:00"), closed(2, 0, 0, 1)), "", judged{Days: 1, Closed: 1, Obligations: 3, OnTime: 2, Exempt: 1}},
		{"exempted after it had passed", day(exempted("15:01:00")), "after the deadline", judged{}},
		{"exempted and a breach all the same", day(exempted("13:00:00"), breached("u1", "missing")), "not owed", judged{}},
		{"duties recorded after the deadline", []entry{{opened.stream, "DayOpened", "15:01:00", "", aDay}}, "after the deadline", judged{}},
		{"duties in another day's stream", []entry{{"regimeday-bd.20210925", "DayOpened", "00:05:00", "", aDay}}, "stands in the stream of", judged{}},
		{"a report for a day without duties", []entry{submitted("u1", "14:00:00", "on_time")}, "no duty of that day was recorded before", judged{}},
		{"a report nobody owes", day(submitted("u9", "14:00:00", "on_time")), "does not name that unit", judged{}},
		{"wrong counts", day(breached("u1", "missing"), closed(3, 0, 0, 0)), "the closing of 2021-09-24 counts", judged{}},
		{"closed and never opened", []entry{closed(3, 0, 0, 0)}, "never opened", judged{}},
		{"unsigned", day(submitted("u1", "14:00:00", "on_time"), breached("u1", "unsigned")), "", judged{Days: 1, Obligations: 3, OnTime: 3}},
		{"unsigned, though signed in time", day(submitted("u1", "14:00:00", "on_time"), on("u1", "ReportSignedOff", "16:00:00", "", `{"version":1}`), breached("u1", "unsigned")), "counts as unsigned", judged{}},
		{"signed, corrected, not signed again", day(submitted("u1", "14:00:00", "on_time"), on("u1", "ReportSignedOff", "16:00:00", "", `{"version":1}`),
			on("u1", "ReportCorrected", "16:30:00", "", ""), breached("u1", "unsigned")), "", judged{Days: 1, Obligations: 3, OnTime: 3}},
		{"unsigned and no breach", day(submitted("u1", "14:00:00", "on_time"), signed("u2", 1), signed("u3", 1), later), "version 1 was not signed before 2021-09-24 17:00:00.000 +07:00", judged{}},
		{"unsigned and no breach, the log not gone on for long", day(submitted("u1", "14:00:00", "on_time"), entry{later.stream, later.kind, "18:10:00", "", later.payload}), "", judged{Days: 1, Obligations: 3, OnTime: 3}},
		{"unsigned, a breach withdrawn without reason", day(submitted("u1", "14:00:00", "on_time"), signed("u2", 1), signed("u3", 1), breached("u1", "unsigned"),
			on("u1", "BreachWithdrawn", "17:30:00", "", `{"breach":"unsigned"}`), later), "no breach of signing is recorded", judged{}},
		{"all signed, the log goes on", day(submitted("u1", "14:00:00", "on_time"), signed("u1", 1), signed("u2", 1), signed("u3", 1), later), "", judged{Days: 1, Obligations: 3, OnTime: 3}},
		{"signed at the deadline of signing and no breach", day(submitted("u1", "14:00:00", "on_time"), signed("u2", 1), signed("u3", 1), on("u1", "ReportSignedOff", "17:00:00", "", `{"version":1}`), later), "was not signed before", judged{}},
		{"signed, corrected and not signed again, and no breach", day(submitted("u1", "14:00:00", "on_time"), signed("u1", 1), signed("u2", 1), signed("u3", 1),
			on("u1", "ReportCorrected", "16:30:00", "", ""), later), "version 2 was not signed before", judged{}},
		{"corrected after the deadline of signing", day(submitted("u1", "14:00:00", "on_time"), signed("u1", 1), signed("u2", 1), signed("u3", 1),
			on("u1", "ReportCorrected", "17:30:00", "", ""), later), "", judged{Days: 1, Obligations: 3, OnTime: 3}},
		{"a sign-off not shown", day(submitted("u1", "14:00:00", "on_time"), signed("u2", 1), signed("u3", 1), on("u1", "ReportSignedOff", "16:00:00", "", ""), later), "", judged{Days: 1, Obligations: 3, OnTime: 3}},
		{"missing, the day never closed", day(signed("u2", 1), signed("u3", 1), later), "neither a breach nor the day's closing is recorded", judged{}},
		{"nothing filed counts as unsigned", day(breached("u1", "unsigned")), "nobody had filed", judged{}},
		{"content not shown", []entry{hidden, submitted("u1", "15:30:00", "on_time")}, "", judged{UnopenedDays: 1}},
		{"an extension not shown", day(entry{"regime-bd", "DeadlineExtended", "13:00:00", "", ""}, closed(2, 0, 1, 0)), "", judged{Days: 1, Closed: 1, Obligations: 3, Unknown: 3}},
		{"a breach not shown", day(on("u1", "DeadlineBreached", "15:10:00", "", ""), closed(2, 0, 1, 0)), "", judged{Days: 1, Closed: 1, Obligations: 3, OnTime: 2, Missing: 1}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			got, err := judgeAll(tc.entries)
			switch {
			case tc.fault == "" && err != nil:
				t.Fatal(err)
			case tc.fault != "" && (!errors.Is(err, errJudgement) || !strings.Contains(err.Error(), tc.fault)):
				t.Fatalf("want %q: %v", tc.fault, err)
			case tc.fault == "" && got != tc.want:
				t.Errorf("%+v, want %+v", got, tc.want)
			}
		})
	}
}
