package eventlog

import (
	"context"
	"fmt"
)

// Part is what an append to several streams has for one of them.
type Part struct {
	Stream   string
	Expected Expected
	Events   []Proposed
}

// MultiAppender is what a log may offer besides: an append to several streams that is one. The embedded logs do; the log
// server is asked stream by stream.
type MultiAppender interface {
	// AppendAll stores every part or none. Each is decided as Append decides it alone, and an error of any is the error of
	// all. A part that is a repeat stands already and is answered as one; the others are stored. The answers are in the
	// order of the parts, and so are the events in the log.
	//
	// A stream with two parts is refused with ErrInvalid. MaxAppendBytes bounds each part, MaxAllBytes all of them.
	AppendAll(ctx context.Context, parts []Part) ([]Appended, error)
}

// MaxAllBytes bounds the sum of Data and Meta of one AppendAll. Chosen: a file of 40,000 reports has a third of it.
const MaxAllBytes = 128 << 20

// CheckAppendAll is CheckAppend for several streams.
func CheckAppendAll(parts []Part) error {
	if len(parts) == 0 {
		return fmt.Errorf("eventlog: append to no stream: %w", ErrInvalid)
	}
	seen := make(map[string]bool, len(parts))
	total := 0
	for _, p := range parts {
		if err := CheckAppend(p.Stream, p.Events); err != nil {
			return err
		}
		if seen[p.Stream] {
			return fmt.Errorf("eventlog: append to several streams: %s occurs twice: %w", p.Stream, ErrInvalid)
		}
		seen[p.Stream] = true
		for _, e := range p.Events {
			total += len(e.Data) + len(e.Meta)
		}
	}
	if total > MaxAllBytes {
		return fmt.Errorf("eventlog: append to %d streams: %d bytes together, the limit is %d: %w", len(parts), total, MaxAllBytes, ErrTooLarge)
	}
	return nil
}
