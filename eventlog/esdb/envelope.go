package esdb

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"strconv"
	"time"
	"unicode/utf8"
)

// The envelope is described in the package comment. Its parts before the writer's metadata have fixed lengths, so that
// it is taken apart by position and the metadata comes back byte for byte; a parser would lose blanks and order.
const (
	envelopeHead  = `{"answerable_recorded_at":"`
	envelopeTime  = "2006-01-02T15:04:05.000000Z"
	envelopeMark  = `","append":"`
	envelopeMeta  = `","meta":`
	envelopeBytes = `","meta_bytes":`
	markLength    = 16
	envelopeFixed = len(envelopeHead) + len(envelopeTime) + len(envelopeMark) + markLength
)

// newMark draws the number of one call of Append.
func newMark() string {
	var b [markLength / 2]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// seal makes the server's user metadata.
func seal(recordedAt time.Time, mark string, meta []byte) []byte {
	b := make([]byte, 0, envelopeFixed+len(envelopeBytes)+len(meta)+16)
	b = append(b, envelopeHead...)
	b = recordedAt.UTC().AppendFormat(b, envelopeTime)
	b = append(b, envelopeMark...)
	b = append(b, mark...)
	switch {
	case len(meta) == 0:
		return append(b, `"}`...)
	case isJSON(meta):
		b = append(b, envelopeMeta...)
		b = append(b, meta...)
		return append(b, '}')
	}
	b = append(b, envelopeBytes...)
	b = strconv.AppendInt(b, int64(len(meta)), 10)
	b = append(b, "}\n"...)
	return append(b, meta...)
}

// open takes an envelope apart. It is false for what seal did not make. meta shares memory with b.
func open(b []byte) (recordedAt time.Time, mark string, meta []byte, ok bool) {
	if len(b) < envelopeFixed+2 || string(b[:len(envelopeHead)]) != envelopeHead {
		return time.Time{}, "", nil, false
	}
	rest := b[len(envelopeHead):]
	recordedAt, err := time.Parse(envelopeTime, string(rest[:len(envelopeTime)]))
	if err != nil {
		return time.Time{}, "", nil, false
	}
	rest, ok = bytes.CutPrefix(rest[len(envelopeTime):], []byte(envelopeMark))
	if !ok {
		return time.Time{}, "", nil, false
	}
	mark, rest = string(rest[:markLength]), rest[markLength:]
	if string(rest) == `"}` {
		return recordedAt, mark, nil, true
	}
	if raw, is := bytes.CutPrefix(rest, []byte(envelopeMeta)); is {
		raw, is = bytes.CutSuffix(raw, []byte("}"))
		return recordedAt, mark, raw[:len(raw):len(raw)], is // an append to it must not touch the brace
	}
	number, raw, is := bytes.Cut(rest, []byte("}\n"))
	if number, tagged := bytes.CutPrefix(number, []byte(envelopeBytes)); is && tagged && string(number) == strconv.Itoa(len(raw)) {
		return recordedAt, mark, raw, true
	}
	return time.Time{}, "", nil, false
}

func isJSON(b []byte) bool { return json.Valid(b) && utf8.Valid(b) }
