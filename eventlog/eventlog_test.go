package eventlog_test

import (
	"errors"
	"math"
	"testing"

	"github.com/google/uuid"

	"github.com/answerable-ledger/answerable/eventlog"
)

func TestPositionText(t *testing.T) {
	t.Parallel()
	for p, want := range map[eventlog.Position]string{
		{}:                      "0",
		{Commit: 7, Prepare: 7}: "7",
		{Commit: 7, Prepare: 3}: "7.3",
		{Commit: math.MaxUint64, Prepare: math.MaxUint64}: "18446744073709551615",
	} {
		got, err := eventlog.ParsePosition(p.String())
		if p.String() != want || err != nil || got != p {
			t.Errorf("%+v is %q and reads back as %+v, %v", p, p, got, err)
		}
	}
	for _, s := range []string{"", ".", "7.", ".7", "-1", "+1", "1.2.3", " 1", "1e3", "18446744073709551616", "0x1", "１"} {
		if p, err := eventlog.ParsePosition(s); !errors.Is(err, eventlog.ErrInvalid) {
			t.Errorf("%q: got %+v, %v", s, p, err)
		}
	}
}

func TestPositionOrder(t *testing.T) {
	t.Parallel()
	ordered := []eventlog.Position{{}, {0, 1}, {1, 0}, {1, 1}, {2, 0}, {math.MaxUint64, 0}}
	for i, p := range ordered {
		for j, q := range ordered {
			want := 0
			if i < j {
				want = -1
			} else if i > j {
				want = 1
			}
			if got := p.Compare(q); got != want {
				t.Errorf("%s to %s: %d, want %d", p, q, got, want)
			}
		}
	}
}

func FuzzParsePosition(f *testing.F) {
	for _, s := range []string{"0", "7", "7.3", "7.7", "18446744073709551615.0", "", ".", "1.", "-1", "١"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := eventlog.ParsePosition(s)
		if err != nil {
			if !errors.Is(err, eventlog.ErrInvalid) || p != (eventlog.Position{}) {
				t.Fatalf("%q: %+v, %v", s, p, err)
			}
			return
		}
		if again, err := eventlog.ParsePosition(p.String()); err != nil || again != p {
			t.Fatalf("%q reads as %+v, whose text %q reads as %+v, %v", s, p, p, again, err)
		}
	})
}

// What CheckStream lets through can be a stream's name in every store: one line of printable ASCII with a category.
func FuzzCheckStream(f *testing.F) {
	for _, s := range []string{"unit-1", "$all-x", "-", "a-", "unit-đ", "unit 1-2", "u-\x7f"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		err := eventlog.CheckStream(s)
		ok := len(s) > 1 && len(s) <= eventlog.MaxStreamName && s[0] != '$'
		dash := false
		for i := range len(s) {
			ok = ok && s[i] > ' ' && s[i] < 0x7f && (i > 0 || s[i] != '-')
			dash = dash || s[i] == '-'
		}
		if (err == nil) != (ok && dash) || err != nil && !errors.Is(err, eventlog.ErrInvalid) {
			t.Fatalf("%q: %v", s, err)
		}
	})
}

func TestExpected(t *testing.T) {
	t.Parallel()
	if eventlog.After(0) != eventlog.NoStream || eventlog.After(3) != eventlog.Exact(2) || eventlog.Exact(2).Next() != 3 {
		t.Error("After(n) is what a writer expects that has seen n events")
	}
	if got := eventlog.NoStream.String() + ", " + eventlog.Exact(2).String(); got != "no stream, revision 2" {
		t.Error(got)
	}
}

func TestConflictErrorText(t *testing.T) {
	t.Parallel()
	e := &eventlog.ConflictError{Stream: "unit-1", Expected: eventlog.NoStream, Actual: eventlog.Exact(4), ActualKnown: true}
	if !errors.Is(e, eventlog.ErrConflict) || e.Error() != "stream unit-1 is at revision 4, not at no stream" {
		t.Error(e)
	}
	e.ActualKnown = false
	if e.Error() != "stream unit-1 is not at no stream" {
		t.Error(e)
	}
}

func TestCheckAppendLimits(t *testing.T) {
	t.Parallel()
	e := eventlog.Proposed{ID: uuid.New(), Kind: "Tested", Data: make([]byte, eventlog.MaxEventBytes-1), Meta: make([]byte, 1)}
	if err := eventlog.CheckAppend("unit-1", []eventlog.Proposed{e}); err != nil {
		t.Errorf("an event of exactly the limit: %v", err)
	}
	e.Meta = make([]byte, 2)
	if err := eventlog.CheckAppend("unit-1", []eventlog.Proposed{e}); !errors.Is(err, eventlog.ErrTooLarge) {
		t.Errorf("one byte more: %v", err)
	}
}
