package projections

import (
	"encoding/binary"
	"strconv"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"
)

// object writes one JSON object member by member. The rows of a rebuild are written by the million; a general encoder
// would take longer for them than everything else the fold does. They are read back by the general decoder.
type object []byte

func (o *object) begin() { *o = append(*o, '{') }

func (o *object) name(n string) {
	b := *o
	if b[len(b)-1] == '{' {
		b = append(b, '"')
	} else {
		b = append(b, ',', '"')
	}
	*o = append(append(b, n...), '"', ':')
}

// text leaves an empty string out.
func (o *object) text(n, v string) {
	if v == "" {
		return
	}
	o.name(n)
	*o = appendText(*o, v)
}

func (o *object) id(n string, v uuid.UUID) {
	o.name(n)
	const digits = "0123456789abcdef"
	text := [38]byte{0: '"', 37: '"'}
	at := 1
	for i, x := range v {
		if i == 4 || i == 6 || i == 8 || i == 10 {
			text[at] = '-'
			at++
		}
		text[at], text[at+1] = digits[x>>4], digits[x&15]
		at += 2
	}
	*o = append(*o, text[:]...)
}

// word writes a text that needs no escape: what this program itself has words for. It leaves an empty one out.
func (o *object) word(n, v string) {
	if v == "" {
		return
	}
	o.name(n)
	b := append(*o, '"')
	b = append(b, v...)
	*o = append(b, '"')
}

// number leaves 0 out.
func (o *object) number(n string, v int64) {
	if v == 0 {
		return
	}
	o.name(n)
	*o = strconv.AppendInt(*o, v, 10)
}

// flag leaves false out.
func (o *object) flag(n string, v bool) {
	if v {
		o.name(n)
		*o = append(*o, "true"...)
	}
}

// changed writes a number that is not what it was.
func (o *object) changed(n string, was, is int64) {
	if is != was {
		o.name(n)
		*o = strconv.AppendInt(*o, is, 10)
	}
}

// changedFlag writes a flag that is not what it was.
func (o *object) changedFlag(n string, was, is bool) {
	if is != was {
		o.name(n)
		*o = strconv.AppendBool(*o, is)
	}
}

func (o *object) raw(n string, v []byte) {
	o.name(n)
	*o = append(*o, v...)
}

func (o *object) end() { *o = append(*o, '}') }

// appendText writes a JSON string. Text in the ledger is valid UTF-8: the schemas refuse anything else on the way in.
func appendText(b []byte, s string) []byte {
	begin := len(b)
	b = append(append(append(b, '"'), s...), '"')
	if plain, ascii := asItIs(b[begin+1 : len(b)-1]); plain && (ascii || utf8.ValidString(s)) {
		return b
	}
	b, _ = jsontext.AppendQuote(b[:begin], s) // bytes that are no UTF-8 are replaced, never refused
	return b
}

// asItIs tells whether a text has nothing that a JSON string escapes, and whether all of it is ASCII. It looks at eight
// bytes at once, as long as all of them are both.
func asItIs(s []byte) (plain, ascii bool) {
	const each, high = 0x0101010101010101, 0x8080808080808080
	for len(s) >= 8 {
		x := binary.LittleEndian.Uint64(s)
		quote, slash := x^each*'"', x^each*'\\'
		if ((x-each*' ')|(quote-each)|(slash-each)|x)&high != 0 { // a byte below what is taken off borrows
			break
		}
		s = s[8:]
	}
	plain, ascii = true, true
	for _, c := range s {
		plain = plain && c >= ' ' && c != '"' && c != '\\'
		ascii = ascii && c < utf8.RuneSelf
	}
	return plain, ascii
}

func appendTexts[S ~string](b []byte, texts []S) []byte {
	b = append(b, '[')
	for i, t := range texts {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendText(b, string(t))
	}
	return append(b, ']')
}

// appendElement adds an element to a JSON array that lacks its closing bracket.
func appendElement(array, element []byte) []byte {
	if len(array) == 0 {
		array = append(array, '[')
	} else {
		array = append(array, ',')
	}
	return append(array, element...)
}

// closed is the array with its bracket.
func closed(array []byte) string {
	if len(array) == 0 {
		return "[]"
	}
	return string(array) + "]"
}

// reopened is an array as appendElement wants it.
func reopened(array string) []byte {
	if len(array) <= len("[]") {
		return nil
	}
	return []byte(array[:len(array)-1])
}
