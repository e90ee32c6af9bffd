package projections

import (
	"strings"

	"github.com/answerable-ledger/answerable/domain"
)

// scanner reads the JSON that this package wrote, ten times as fast as the general decoder: a board of a province reads
// thousands of rows. It knows only what appendCompliance writes; at anything else it gives up, and the general decoder
// says what is wrong, or that nothing is.
type scanner struct {
	s    string
	fail bool
}

func (r *scanner) opt(c byte) bool {
	if r.fail || r.s == "" || r.s[0] != c {
		return false
	}
	r.s = r.s[1:]
	return true
}

func (r *scanner) must(c byte) {
	if !r.opt(c) {
		r.fail = true
	}
}

// text is a string without escapes.
func (r *scanner) text() string {
	r.must('"')
	end := strings.IndexByte(r.s, '"')
	if r.fail || end < 0 {
		r.fail = true
		return ""
	}
	t := r.s[:end]
	if strings.IndexByte(t, '\\') >= 0 {
		r.fail = true
	}
	r.s = r.s[end+1:]
	return t
}

// number is an integer of at most 19 digits, with or without a sign.
func (r *scanner) number() int64 {
	negative := r.opt('-')
	var n int64
	i := 0
	for i < len(r.s) && i < 19 && '0' <= r.s[i] && r.s[i] <= '9' {
		n = 10*n + int64(r.s[i]-'0')
		i++
	}
	if i == 0 || n < 0 {
		r.fail = true
		return 0
	}
	r.s = r.s[i:]
	if negative {
		return -n
	}
	return n
}

func (r *scanner) flag() bool {
	for _, word := range [...]string{"true", "false"} {
		if rest, ok := strings.CutPrefix(r.s, word); ok {
			r.s = rest
			return word == "true"
		}
	}
	r.fail = true
	return false
}

func scanTexts[S ~string](r *scanner) []S {
	var out []S
	r.must('[')
	for !r.fail && !r.opt(']') {
		if len(out) > 0 {
			r.must(',')
		}
		out = append(out, S(r.text()))
	}
	return out
}

// scanCompliance reads what appendCompliance wrote; false is for the general decoder.
func scanCompliance(doc string) ([]complianceState, bool) {
	r := scanner{s: doc}
	all := make([]complianceState, 0, 4)
	var c complianceState
	r.must('[')
	for !r.fail && !r.opt(']') {
		if len(all) > 0 {
			r.must(',')
		}
		r.must('{')
		for first := true; !r.fail && !r.opt('}'); first = false {
			if !first {
				r.must(',')
			}
			r.member(&c)
		}
		all = append(all, c)
	}
	return all, !r.fail && r.s == "" && len(all) > 0
}

func (r *scanner) member(c *complianceState) {
	name := r.text()
	r.must(':')
	switch name {
	case "f":
		c.From = instant(r.number())
	case "s":
		c.Status = domain.Status(r.text())
	case "o":
		c.SignOff = domain.SignOffState(r.text())
	case "z":
		c.Nil = r.flag()
	case "x":
		c.Excused = r.flag()
	case "e":
		c.Exempt = r.flag()
	case "d":
		c.Due = instant(r.number())
	case "sd":
		c.SignOffDue = instant(r.number())
	case "r":
		c.Received = instant(r.number())
	case "v":
		c.Version = int32(r.number())
	case "m":
		c.Reminders = int32(r.number())
	case "h":
		c.Digest = r.text()
	case "b":
		c.Breaches = scanTexts[domain.BreachKind](r)
	case "u":
		c.OutOfDate = scanTexts[domain.UnitCode](r)
	default:
		r.fail = true
	}
}
