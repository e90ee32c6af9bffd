package transparency

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/tlog"
)

// LeafVersion is the first field of every leaf. A change of the leaf's form gets a new one; the parser of the old one
// stays for as long as logs with it exist.
const LeafVersion = "answerable-leaf/1"

// MaxLeafBytes bounds a leaf. The tile format allows 65,535 bytes; a receipt that carries its leaf must fit a QR code, and
// 4 KiB is already far above any real one (about 600).
const MaxLeafBytes = 4 << 10

// leafTime is the one spelling of an instant in a leaf: UTC, whole microseconds, always six digits.
const leafTime = "2006-01-02T15:04:05.000000Z"

// Leaf is the public entry of one event: who, when, where in which stream, and commitments to the content. The content
// itself never enters the tree, which is public and for ever.
type Leaf struct {
	Origin     string // the log's name, so that an entry of one log is never taken for another's
	EventID    uuid.UUID
	Stream     string
	Revision   uint64
	Kind       string
	ReceivedAt time.Time // when it entered the system; zero when the event does not say
	RecordedAt time.Time // the ledger's clock at the append
	Actor      string    // an identifier, never a name; may be empty
	Payload    Commitment
	Meta       Commitment
}

// Append writes the leaf's only encoding to b: one JSON object, these keys in this order, string values, no blanks. The
// result is stored and hashed as it is and never encoded again to verify it.
func (l Leaf) Append(b []byte) ([]byte, error) {
	start := len(b)
	if l.Origin == "" || l.Stream == "" || l.Kind == "" || l.EventID == uuid.Nil {
		return b, fmt.Errorf("leaf of %s@%d: origin, stream, kind and event id must not be empty: %w", l.Stream, l.Revision, ErrMalformed)
	}
	for _, s := range [...]string{l.Origin, l.Stream, l.Kind, l.Actor} {
		if !isPlain([]byte(s)) && !utf8.ValidString(s) {
			return b, fmt.Errorf("leaf of %s@%d: %q is not valid UTF-8: %w", l.Stream, l.Revision, s, ErrMalformed)
		}
	}
	var err error
	b = append(b, `{"v":"`+LeafVersion+`","origin":`...)
	b = appendString(b, l.Origin)
	b = append(b, `,"event_id":"`...)
	b = appendUUID(b, l.EventID)
	b = append(b, `","stream":`...)
	b = appendString(b, l.Stream)
	b = append(b, `,"rev":"`...)
	b = strconv.AppendUint(b, l.Revision, 10)
	b = append(b, `","kind":`...)
	b = appendString(b, l.Kind)
	b = append(b, `,"received_at":"`...)
	if !l.ReceivedAt.IsZero() {
		if b, err = appendTime(b, l.ReceivedAt); err != nil {
			return b, fmt.Errorf("leaf of %s@%d: received_at: %w", l.Stream, l.Revision, err)
		}
	}
	b = append(b, `","recorded_at":"`...)
	if b, err = appendTime(b, l.RecordedAt); err != nil {
		return b, fmt.Errorf("leaf of %s@%d: recorded_at: %w", l.Stream, l.Revision, err)
	}
	b = append(b, `","actor":`...)
	b = appendString(b, l.Actor)
	b = append(b, `,"payload":"`...)
	b = appendHex(b, l.Payload[:])
	b = append(b, `","meta":"`...)
	b = appendHex(b, l.Meta[:])
	b = append(b, `"}`...)
	if n := len(b) - start; n > MaxLeafBytes {
		return b, fmt.Errorf("leaf of %s@%d has %d bytes, the limit is %d: %w", l.Stream, l.Revision, n, MaxLeafBytes, ErrMalformed)
	}
	return b, nil
}

// ParseLeaf reads what Append wrote and nothing else: another order, another spelling of a string or a number, an
// unknown, missing or repeated key and trailing bytes are all refused. So whatever it accepts Append gives back byte for
// byte (FuzzLeaf); doing that here would double the price of an audit.
func ParseLeaf(b []byte) (Leaf, error) {
	var l Leaf
	if err := l.parse(b, nil); err != nil {
		return Leaf{}, err
	}
	return l, nil
}

// names keeps one string of each name that comes again and again in the leaves of a log. Nil keeps none.
type names map[string]string

// maxNames bounds what is kept, also of a log in which no name comes twice.
const maxNames = 8 << 10

// name is b as a string: old, or one that is kept, where they are the same.
func (n names) name(old string, b []byte) string {
	if old == string(b) {
		return old
	}
	if s, ok := n[string(b)]; ok {
		return s
	}
	s := string(b)
	if n != nil {
		if len(n) >= maxNames {
			clear(n)
		}
		n[s] = s
	}
	return s
}

// parse is ParseLeaf for an audit, which fills the same leaves again and again. Whatever l was before is gone, unless it
// fails. It keeps nothing of s.
func (l *Leaf) parse(s []byte, kept names) error {
	if len(s) > MaxLeafBytes {
		return fmt.Errorf("leaf has %d bytes, the limit is %d: %w", len(s), MaxLeafBytes, ErrMalformed)
	}
	r := fieldReader{rest: s}
	if v := r.text(`{"v":"`); r.err == nil && string(v) != LeafVersion {
		return fmt.Errorf("leaf version %q, want %q: %w", v, LeafVersion, ErrMalformed)
	}
	origin := r.text(`","origin":"`)
	id := r.fixed(`","event_id":"`, 36)
	stream := r.text(`","stream":"`)
	rev := r.text(`","rev":"`)
	kind := r.text(`","kind":"`)
	received := r.fixed(`","received_at":"`, len(leafTime))
	recorded := r.fixed(`","recorded_at":"`, len(leafTime))
	actor := r.text(`","actor":"`)
	payload := r.fixed(`","payload":"`, 2*len(l.Payload))
	meta := r.fixed(`","meta":"`, 2*len(l.Meta))
	if r.err != nil {
		return r.err
	}
	if string(r.rest) != `"}` {
		return fmt.Errorf("leaf goes on with %.20q where it must end: %w", r.rest, ErrMalformed)
	}
	switch {
	case len(origin) == 0 || len(stream) == 0 || len(kind) == 0:
		return fmt.Errorf("leaf: origin, stream and kind must not be empty: %w", ErrMalformed)
	case !parseUUID(&l.EventID, id) || l.EventID == uuid.Nil:
		return fmt.Errorf("leaf: event_id %q: %w", id, ErrMalformed)
	}
	var err error
	if l.Revision, err = strconv.ParseUint(string(rev), 10, 64); err != nil || len(rev) > 1 && rev[0] == '0' {
		return fmt.Errorf("leaf: rev %q: %w", rev, ErrMalformed)
	}
	l.ReceivedAt = time.Time{}
	if len(received) > 0 {
		if l.ReceivedAt, err = parseTime(received); err != nil || l.ReceivedAt.IsZero() {
			return fmt.Errorf("leaf: received_at %q: %w", received, ErrMalformed)
		}
	}
	if l.RecordedAt, err = parseTime(recorded); err != nil {
		return fmt.Errorf("leaf: recorded_at: %w", err)
	}
	if !parseHex(l.Payload[:], payload) || !parseHex(l.Meta[:], meta) {
		return fmt.Errorf("leaf: payload %.70q, meta %.70q: want 64 hexadecimal digits each: %w", payload, meta, ErrMalformed)
	}
	l.Origin, l.Stream = kept.name(l.Origin, origin), kept.name(l.Stream, stream)
	l.Kind, l.Actor = kept.name(l.Kind, kind), kept.name(l.Actor, actor)
	return nil
}

// LeafPrefix is what is hashed before a leaf's bytes (RFC 6962, section 2.1).
const LeafPrefix = "\x00"

// LeafHash is the RFC 6962 hash of a leaf's stored bytes: SHA-256 of 0x00 and the bytes.
func LeafHash(leaf []byte) tlog.Hash {
	var buf [1024]byte
	return tlog.Hash(sum(append(append(buf[:0], 0), leaf...)))
}

// fieldReader walks over "key":"value" pairs of known keys. What it is told of a key begins with the quote that ends the
// value before it. The first mismatch sticks.
type fieldReader struct {
	rest []byte
	err  error
}

// text reads a value that ends where the next quote is.
func (r *fieldReader) text(key string) []byte {
	if !r.key(key) {
		return nil
	}
	end := bytes.IndexByte(r.rest, '"')
	if end < 0 {
		r.err = fmt.Errorf("leaf: a string does not end: %w", ErrMalformed)
		return nil
	}
	value := r.rest[:end]
	if !isPlain(value) {
		return r.escaped()
	}
	r.rest = r.rest[end:]
	return value
}

// fixed reads a value of a known length, or an empty one. Who asks for it knows every byte it may hold.
func (r *fieldReader) fixed(key string, n int) []byte {
	if !r.key(key) {
		return nil
	}
	if n > len(r.rest) || r.rest[0] == '"' {
		n = 0
	}
	value := r.rest[:n]
	r.rest = r.rest[n:]
	return value
}

func (r *fieldReader) key(key string) bool {
	if r.err != nil {
		return false
	}
	if len(r.rest) < len(key) || string(r.rest[:len(key)]) != key {
		r.err = fmt.Errorf("leaf: want %s…\" at %.30q: %w", key, r.rest, ErrMalformed)
		return false
	}
	r.rest = r.rest[len(key):]
	return true
}

// isPlain reports that all bytes are ASCII, none of them a control character or a backslash: true of nearly every string
// of a leaf. It looks at eight bytes at a time.
func isPlain(s []byte) bool {
	const ones, high = 0x0101010101010101, 0x8080808080808080
	var bad uint64
	for whole := s; len(whole) >= 8; {
		x := binary.LittleEndian.Uint64(whole)
		// A borrow out of one byte can only come from a byte that is bad itself, so the word is right even where a byte is not.
		y := x ^ '\\'*ones
		bad |= x | (x - ' '*ones) | (y - ones)
		if whole = whole[8:]; 0 < len(whole) && len(whole) < 8 {
			whole = s[len(s)-8:] // some of them once more
		}
	}
	if bad&high != 0 {
		return false
	}
	if len(s) < 8 {
		for i := range len(s) {
			if c := s[i]; c < ' ' || c >= 0x80 || c == '\\' {
				return false
			}
		}
	}
	return true
}

// escaped reads a string that is not plain. It may hold escapes: \" \\ or \u00xx, the three Append writes, where it writes
// them.
func (r *fieldReader) escaped() []byte {
	out, s := []byte{}, r.rest
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			switch again := appendString(nil, string(out)); {
			case !utf8.Valid(out):
				r.err = fmt.Errorf("leaf: string %q is not valid UTF-8: %w", s[:i], ErrMalformed)
				return nil
			case string(again) != `"`+string(s[:i+1]):
				r.err = fmt.Errorf("leaf: string %q is not escaped as it must be: %w", s[:i], ErrMalformed)
				return nil
			}
			r.rest = s[i:]
			return out
		case c != '\\':
			out = append(out, c)
		case i+1 < len(s) && (s[i+1] == '"' || s[i+1] == '\\'):
			i++
			out = append(out, s[i])
		case len(s) >= i+6 && string(s[i:i+4]) == `\u00`:
			n, err := strconv.ParseUint(string(s[i+4:i+6]), 16, 8)
			if err != nil {
				r.err = fmt.Errorf("leaf: escape %q: %w", s[i:i+6], ErrMalformed)
				return nil
			}
			out = append(out, byte(n))
			i += 5
		default:
			r.err = fmt.Errorf("leaf: escape %.6q: %w", s[i:], ErrMalformed)
			return nil
		}
	}
	r.err = fmt.Errorf("leaf: a string does not end: %w", ErrMalformed)
	return nil
}

func appendString(b []byte, s string) []byte {
	const digits = "0123456789abcdef"
	b = append(b, '"')
	if isPlain([]byte(s)) && strings.IndexByte(s, '"') < 0 {
		b = append(b, s...)
		return append(b, '"')
	}
	plain := 0
	for i := range len(s) {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		b = append(b, s[plain:i]...)
		plain = i + 1
		if c < ' ' {
			b = append(b, '\\', 'u', '0', '0', digits[c>>4], digits[c&15])
		} else {
			b = append(b, '\\', c)
		}
	}
	b = append(b, s[plain:]...)
	return append(b, '"')
}

func appendUUID(b []byte, id uuid.UUID) []byte {
	var text [36]byte
	binary.BigEndian.PutUint64(text[0:], hexDigits(binary.BigEndian.Uint32(id[0:])))
	middle := hexDigits(binary.BigEndian.Uint32(id[4:]))
	binary.BigEndian.PutUint32(text[9:], uint32(middle>>32))
	binary.BigEndian.PutUint32(text[14:], uint32(middle))
	middle = hexDigits(binary.BigEndian.Uint32(id[8:]))
	binary.BigEndian.PutUint32(text[19:], uint32(middle>>32))
	binary.BigEndian.PutUint32(text[24:], uint32(middle))
	binary.BigEndian.PutUint64(text[28:], hexDigits(binary.BigEndian.Uint32(id[12:])))
	text[8], text[13], text[18], text[23] = '-', '-', '-', '-'
	return append(b, text[:]...)
}

// appendHex is hex.AppendEncode of a multiple of four bytes, four at a time: a leaf is for a third hexadecimal digits.
func appendHex(b, src []byte) []byte {
	for ; len(src) >= 4; src = src[4:] {
		b = binary.BigEndian.AppendUint64(b, hexDigits(binary.BigEndian.Uint32(src)))
	}
	return b
}

// hexDigits gives the eight lower-case digits of a number, the first of them the highest byte.
func hexDigits(n uint32) uint64 {
	x := uint64(n) // each nibble into a byte of its own
	x = (x | x<<16) & 0x0000_ffff_0000_ffff
	x = (x | x<<8) & 0x00ff_00ff_00ff_00ff
	x = (x | x<<4) & 0x0f0f_0f0f_0f0f_0f0f
	return nibbleDigits(x)
}

// nibbleDigits turns nibbles, each in a byte of its own, into their digits; a to f lie 39 beyond 9.
func nibbleDigits(x uint64) uint64 {
	return x + 0x3030_3030_3030_3030 + (x+0x0606_0606_0606_0606)>>4&0x0101_0101_0101_0101*39
}

// hexNumber reads what hexDigits gives; ok is false for everything else.
func hexNumber(digits uint64) (n uint32, ok bool) {
	// Letters have the bit of 64; a is 10 and ends in 1.
	x := (digits&0x0f0f_0f0f_0f0f_0f0f + digits>>6&0x0101_0101_0101_0101*9) & 0x0f0f_0f0f_0f0f_0f0f
	ok = nibbleDigits(x) == digits
	x = (x | x>>4) & 0x00ff_00ff_00ff_00ff
	x = (x | x>>8) & 0x0000_ffff_0000_ffff
	return uint32(x | x>>16), ok
}

// parseUUID reads the lower-case form with hyphens and no other.
func parseUUID(id *uuid.UUID, s []byte) bool {
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return false
	}
	a, aok := hexNumber(binary.BigEndian.Uint64(s[0:]))
	b, bok := hexNumber(uint64(binary.BigEndian.Uint32(s[9:]))<<32 | uint64(binary.BigEndian.Uint32(s[14:])))
	c, cok := hexNumber(uint64(binary.BigEndian.Uint32(s[19:]))<<32 | uint64(binary.BigEndian.Uint32(s[24:])))
	d, dok := hexNumber(binary.BigEndian.Uint64(s[28:]))
	binary.BigEndian.PutUint32(id[0:], a)
	binary.BigEndian.PutUint32(id[4:], b)
	binary.BigEndian.PutUint32(id[8:], c)
	binary.BigEndian.PutUint32(id[12:], d)
	return aok && bok && cok && dok
}

// parseHex reads exactly as many lower-case digits as fill b, a multiple of four bytes.
func parseHex(b, s []byte) bool {
	if len(s) != 2*len(b) {
		return false
	}
	good := true
	for ; len(b) >= 4 && len(s) >= 8; b, s = b[4:], s[8:] {
		n, ok := hexNumber(binary.BigEndian.Uint64(s))
		good = good && ok
		binary.BigEndian.PutUint32(b, n)
	}
	return good && len(b) == 0
}

// appendTime and parseTime are written out because an audit reads two million times and a sequencer writes them: package
// time costs more for it than hashing the leaf.
func appendTime(b []byte, t time.Time) ([]byte, error) {
	t = t.UTC()
	year, month, day := t.Date()
	hour, minute, second := t.Clock()
	if year < 1 || year > 9999 {
		return b, fmt.Errorf("the year %d has no spelling: %w", year, ErrMalformed)
	}
	if t.Nanosecond()%1000 != 0 {
		return b, fmt.Errorf("%s is not a whole number of microseconds: %w", t.Format(time.RFC3339Nano), ErrMalformed)
	}
	var text [len(leafTime)]byte
	copy(text[:], leafTime) // for what stands between the digits
	two := func(i, n int) { text[i], text[i+1] = byte('0'+n/10), byte('0'+n%10) }
	micros := t.Nanosecond() / 1000
	two(0, year/100)
	two(2, year%100)
	two(5, int(month))
	two(8, day)
	two(11, hour)
	two(14, minute)
	two(17, second)
	two(20, micros/10000)
	two(22, micros/100%100)
	two(24, micros%100)
	return append(b, text[:]...), nil
}

func parseTime(s []byte) (time.Time, error) {
	bad := func() (time.Time, error) {
		return time.Time{}, fmt.Errorf("time %q, want %s: %w", s, leafTime, ErrMalformed)
	}
	if len(s) != len(leafTime) || s[4] != '-' || s[7] != '-' || s[10] != 'T' || s[13] != ':' || s[16] != ':' || s[19] != '.' || s[26] != 'Z' {
		return bad()
	}
	// Two digits at a time and without a loop: an audit reads two million times in a million leaves.
	wrong := false
	two := func(i int) int {
		high, low := s[i]-'0', s[i+1]-'0'
		wrong = wrong || high > 9 || low > 9
		return 10*int(high) + int(low)
	}
	n := [7]int{100*two(0) + two(2), two(5), two(8), two(11), two(14), two(17), 10000*two(20) + 100*two(22) + two(24)}
	if wrong {
		return bad()
	}
	if n[0] == 0 || n[1] < 1 || n[1] > 12 || n[2] < 1 || n[2] > daysIn(n[0], n[1]) || n[3] > 23 || n[4] > 59 || n[5] > 59 {
		return bad()
	}
	return time.Unix(int64(((daysBefore(n[0], n[1])+n[2]-1)*24+n[3])*60+n[4])*60+int64(n[5]), int64(n[6])*1000).UTC(), nil
}

func isLeap(year int) bool { return year%4 == 0 && (year%100 != 0 || year%400 == 0) }

func daysIn(year, month int) int {
	if month == 2 && isLeap(year) {
		return 29
	}
	return int("\x00\x1f\x1c\x1f\x1e\x1f\x1e\x1f\x1f\x1e\x1f\x1e\x1f"[month])
}

// daysBefore counts the days from 1 January 1970 to the first of a month; years from 1 on.
func daysBefore(year, month int) int {
	const beforeMonth = "\x00\x00\x1f\x3b\x5a\x78\x97\xb5\xd4\xf3" // up to September; what follows is beyond a byte
	y := year - 1
	days := y*365 + y/4 - y/100 + y/400 - 719162
	if month < len(beforeMonth) {
		days += int(beforeMonth[month])
	} else {
		days += 273 + (month-10)*31 - (month-10)/2
	}
	if month > 2 && isLeap(year) {
		days++
	}
	return days
}
