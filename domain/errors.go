package domain

import (
	"fmt"
	"sort"
	"strings"
)

// Kind is the sort of a refusal; the API maps each to one HTTP status, the command line to one exit code.
type Kind int

const (
	Invalid      Kind = iota + 1 // the input is wrong whoever sends it: mend it and send again
	NotFound                     // the thing named does not exist (any more, or yet)
	Conflict                     // it contradicts what was recorded; another act is the right one
	Precondition                 // it was decided on an old version: look again, then decide again
	Forbidden                    // this person may not do this, here, now
)

// String is the kind's stable name.
func (k Kind) String() string {
	switch k {
	case Invalid:
		return "invalid"
	case NotFound:
		return "not-found"
	case Conflict:
		return "conflict"
	case Precondition:
		return "precondition"
	case Forbidden:
		return "forbidden"
	}
	return "unknown"
}

// Fault is one thing wrong with an input, at one place.
type Fault struct {
	Code    Code
	Pointer string            // JSON Pointer (RFC 6901) into the input; "" is the whole
	Row     int               // 1-based row of a file, 0 when the input is no table
	Column  string            // column of a file, by its letter or its heading
	Args    map[string]string // what the message names
}

// Error is every refusal of this package. The first fault is the one a short message shows.
type Error struct {
	Kind   Kind
	Faults []Fault
}

func refuse(k Kind, c Code, pointer string, args ...string) *Error {
	return &Error{Kind: k, Faults: []Fault{NewFault(c, pointer, args...)}}
}

// Refuse makes a refusal with one fault; args are pairs of name and value for the message.
func Refuse(k Kind, c Code, pointer string, args ...string) *Error {
	return refuse(k, c, pointer, args...)
}

// NewFault makes a fault; args are pairs of name and value for the message.
func NewFault(c Code, pointer string, args ...string) Fault {
	f := Fault{Code: c, Pointer: pointer}
	for i := 0; i+1 < len(args); i += 2 {
		if f.Args == nil {
			f.Args = make(map[string]string, len(args)/2)
		}
		f.Args[args[i]] = args[i+1]
	}
	return f
}

// Code is the first fault's code.
func (e *Error) Code() Code {
	if len(e.Faults) == 0 {
		return ""
	}
	return e.Faults[0].Code
}

// Error is the English text of all faults.
func (e *Error) Error() string {
	parts := make([]string, len(e.Faults))
	for i, f := range e.Faults {
		parts[i] = f.Text(English)
		if f.Pointer != "" {
			parts[i] = f.Pointer + ": " + parts[i]
		}
	}
	return fmt.Sprintf("%s: %s", e.Kind, strings.Join(parts, "; "))
}

// Is makes errors.Is(err, &Error{Kind: k}) and errors.Is(err, Refuse(k, code, "")) true for a matching kind and code.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Kind == e.Kind && (len(t.Faults) == 0 || t.Code() == e.Code())
}

// SortFaults orders faults by place, so that a person sees them as they read and a test sees them always alike.
func SortFaults(fs []Fault) {
	sort.SliceStable(fs, func(i, j int) bool {
		a, b := fs[i], fs[j]
		if a.Row != b.Row {
			return a.Row < b.Row
		}
		if a.Pointer != b.Pointer {
			return a.Pointer < b.Pointer
		}
		return a.Code < b.Code
	})
}
