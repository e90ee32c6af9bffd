package domain_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/answerable-ledger/answerable/domain"
)

// TestClockTimeOn: judged in Vietnam's time, kept in UTC (rule 1).
func TestClockTimeOn(t *testing.T) {
	t.Parallel()
	for c, want := range map[domain.ClockTime]string{"15:00": "2021-02-08T08:00:00Z", "15:00:30": "2021-02-08T08:00:30Z", "00:00": "2021-02-07T17:00:00Z", "23:59:59": "2021-02-08T16:59:59Z"} {
		got, err := c.On(day, domain.HoChiMinh)
		if err != nil || got.Format(time.RFC3339Nano) != want || got.Location() != time.UTC {
			t.Errorf("rule 1: %s is %s, want %s (%v)", c, got, want, err)
		}
	}
	for _, c := range []domain.ClockTime{"", "15", "24:00", "15:60", "15h00", "3 pm", "15:00 "} {
		_, err := c.On(day, domain.HoChiMinh)
		checkRefusal(t, err, no(domain.Invalid, domain.CodeClockTime, ""))
	}
}

func TestZone(t *testing.T) {
	t.Parallel()
	vn, err := domain.Zone("Asia/Ho_Chi_Minh")
	if err != nil || vn != domain.HoChiMinh {
		t.Errorf("rule 1: %v %v", vn, err)
	}
	// The fixed zone agrees with the database since 1975.
	db, err := time.LoadLocation("Asia/Ho_Chi_Minh")
	if err != nil {
		t.Fatal(err)
	}
	for _, year := range []int{1976, 2021, 2100} {
		_, a := time.Date(year, 7, 1, 0, 0, 0, 0, domain.HoChiMinh).Zone()
		if _, b := time.Date(year, 7, 1, 0, 0, 0, 0, db).Zone(); a != b {
			t.Errorf("rule 1: %d: %d and %d", year, a, b)
		}
	}
	if z, err := domain.Zone("Europe/Berlin"); err != nil || z.String() != "Europe/Berlin" {
		t.Error(z, err)
	}
	for _, name := range []string{"", "Local", "Asia/Ha_Noi", "../etc/passwd"} {
		_, err := domain.Zone(name)
		checkRefusal(t, err, no(domain.Invalid, domain.CodeZone, "/zone"))
	}
}

func TestDates(t *testing.T) {
	t.Parallel()
	if d := domain.Date("2021-02-28").AddDays(1); d != "2021-03-01" {
		t.Error(d)
	}
	if d := domain.Date("nonsense").AddDays(1); d != "nonsense" {
		t.Error(d)
	}
	if d := domain.Date("x").Compact(); d != "x" {
		t.Error(d)
	}
	// Rule 1: the day of an instant is the regime's, not UTC's.
	if d := domain.DateAt(time.Date(2021, 2, 7, 17, 0, 0, 0, time.UTC), domain.HoChiMinh); d != day {
		t.Error(d)
	}
	rapid.Check(t, func(t *rapid.T) {
		d := domain.Date("1900-01-01").AddDays(rapid.IntRange(0, 100_000).Draw(t, "days"))
		back, err := domain.DateFromCompact(d.Compact())
		if err != nil || back != d {
			t.Fatalf("%s: %s, %v", d, back, err)
		}
		n := rapid.IntRange(-4000, 4000).Draw(t, "more")
		if (d.AddDays(n) > d) != (n > 0) || d.AddDays(n).AddDays(-n) != d {
			t.Fatalf("%s and %d days is %s", d, n, d.AddDays(n))
		}
	})
}

func FuzzParseDate(f *testing.F) {
	for _, s := range []string{"2021-02-08", "2021-02-30", "1899-12-31", "20210208", "2021-2-8", "", "٢٠٢١-٠٢-٠٨", "2021-02-08T00:00:00Z"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d, err := domain.ParseDate(s)
		if err != nil {
			return
		}
		if string(d) != s || len(d) != 10 || d.AddDays(0) != d {
			t.Errorf("%q is %q", s, d)
		}
		if back, err := domain.DateFromCompact(d.Compact()); err != nil || back != d {
			t.Errorf("%q comes back as %q: %v", s, back, err)
		}
	})
}

func FuzzClockTime(f *testing.F) {
	for _, s := range []string{"15:00", "15:00:30", "24:00", "9:00", "", "15:00:00.5"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := domain.ClockTime(s).On(day, domain.HoChiMinh)
		if err == nil && domain.DateAt(got, domain.HoChiMinh) != day {
			t.Errorf("%q is on %s", s, domain.DateAt(got, domain.HoChiMinh))
		}
	})
}
