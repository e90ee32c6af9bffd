package schemas

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"

	"github.com/answerable-ledger/answerable/domain"
)

// appendMeta writes the circumstances of a fact; version is the schema version of its data.
func appendMeta(b []byte, m domain.Meta, version int) ([]byte, error) {
	var err error
	text := func(name, value string) {
		if err == nil {
			b = append(append(append(b, '"'), name...), '"', ':')
			if b, err = jsontext.AppendQuote(b, value); err != nil {
				err = fmt.Errorf("meta %s: %w", name, err)
			}
			b = append(b, ',')
		}
	}
	id := func(name string, value uuid.UUID) {
		b = append(append(append(b, '"'), name...), '"', ':', '"')
		b = append(append(b, value.String()...), '"', ',')
	}
	b = append(b, `{"received_at":"`...)
	b = m.ReceivedAt.UTC().AppendFormat(b, time.RFC3339Nano)
	b = append(b, '"', ',')
	text("actor", string(m.Actor))
	text("role", string(m.Role))
	text("channel", string(m.Channel))
	id("command_id", m.CommandID)
	id("correlation_id", m.CorrelationID)
	if m.CausationID != uuid.Nil {
		id("causation_id", m.CausationID)
	}
	b = append(b, `"schema":`...)
	b = strconv.AppendInt(b, int64(version), 10)
	return append(b, '}'), err
}

// metaMembers is the meaning of a meta object, whatever the order and spacing of its members.
type metaMembers struct {
	ReceivedAt    time.Time       `json:"received_at"`
	Actor         domain.PersonID `json:"actor"`
	Role          domain.Role     `json:"role"`
	Channel       domain.Channel  `json:"channel"`
	CommandID     uuid.UUID       `json:"command_id"`
	CorrelationID uuid.UUID       `json:"correlation_id"`
	CausationID   uuid.UUID       `json:"causation_id,omitzero"`
	Schema        int             `json:"schema"`
}

// decodeMeta reads a meta object and the schema version of the data beside it. What this package wrote takes the short
// way; anything else that means the same takes the long one.
func decodeMeta(b []byte) (domain.Meta, int, error) {
	if m, version, ok := canonicalMeta(b); ok {
		return m, version, nil
	}
	var x metaMembers
	if err := json.Unmarshal(b, &x, reading); err != nil {
		return domain.Meta{}, 0, fmt.Errorf("meta: %w", err)
	}
	if x.Schema < 1 || x.ReceivedAt.IsZero() {
		return domain.Meta{}, 0, fmt.Errorf("meta: schema or received_at is missing")
	}
	return domain.Meta{
		ReceivedAt: x.ReceivedAt.UTC(), Actor: x.Actor, Role: x.Role, Channel: x.Channel,
		CommandID: x.CommandID, CorrelationID: x.CorrelationID, CausationID: x.CausationID,
	}, x.Schema, nil
}

// canonicalMeta reads exactly the bytes that appendMeta writes when no string needs an escape, about ten times as fast
// as the general decoder; on any other bytes it is false. A replay decodes one meta object per event.
func canonicalMeta(b []byte) (m domain.Meta, version int, ok bool) {
	r := scanner{b: b}
	r.lit(`{"received_at":`)
	m.ReceivedAt = r.time()
	r.lit(`,"actor":`)
	m.Actor = domain.PersonID(r.text())
	r.lit(`,"role":`)
	m.Role = role(r.raw())
	r.lit(`,"channel":`)
	m.Channel = channel(r.raw())
	r.lit(`,"command_id":`)
	m.CommandID = r.uuid()
	r.lit(`,"correlation_id":`)
	m.CorrelationID = r.uuid()
	if r.opt(`,"causation_id":`) {
		m.CausationID = r.uuid()
	}
	r.lit(`,"schema":`)
	version = int(r.int())
	r.lit(`}`)
	return m, version, r.done() && version > 0 && !m.ReceivedAt.IsZero()
}

// plainlyGoodMeta is true only of bytes that are valid under meta/1.json, and of all that Encode gives of a fact with
// known role, channel and actor; false means that the schema itself is asked. It saves half of judging a small event.
func plainlyGoodMeta(b []byte) bool {
	m, version, ok := canonicalMeta(b)
	return ok && version <= 1_000_000 && m.ReceivedAt.Year() > 0 && domain.ValidID(string(m.Actor)) &&
		slices.Contains(domain.Roles, m.Role) && slices.Contains(channels(), m.Channel)
}

// role and channel give the constants' own strings, so that a million facts do not hold a million copies.
func role(b []byte) domain.Role {
	for _, r := range domain.Roles {
		if string(r) == string(b) {
			return r
		}
	}
	return domain.Role(b)
}

func channel(b []byte) domain.Channel {
	for _, c := range channels() {
		if string(c) == string(b) {
			return c
		}
	}
	return domain.Channel(b)
}

func channels() []domain.Channel {
	return []domain.Channel{domain.ChannelWeb, domain.ChannelAPI, domain.ChannelSpreadsheet, domain.ChannelMail, domain.ChannelSystem}
}

// scanner walks over JSON that was written without spaces, escapes or surprises. After the first thing it does not
// expect it reads nothing more and done is false: then the bytes are not wrong, only in need of the general decoder.
type scanner struct {
	b    []byte
	fail bool
}

func (r *scanner) done() bool { return !r.fail && len(r.b) == 0 }

func (r *scanner) lit(s string) {
	if !r.opt(s) {
		r.fail = true
	}
}

func (r *scanner) opt(s string) bool {
	if r.fail || len(r.b) < len(s) || string(r.b[:len(s)]) != s {
		return false
	}
	r.b = r.b[len(s):]
	return true
}

// raw is the inside of a string of printable ASCII without escapes.
func (r *scanner) raw() []byte {
	if r.fail || len(r.b) == 0 || r.b[0] != '"' {
		r.fail = true
		return nil
	}
	end := bytes.IndexByte(r.b[1:], '"')
	if end < 0 {
		r.fail = true
		return nil
	}
	s := r.b[1 : 1+end]
	for _, c := range s {
		if c < 0x20 || c == '\\' || c >= 0x7f {
			r.fail = true
			return nil
		}
	}
	r.b = r.b[end+2:]
	return s
}

func (r *scanner) text() string { return string(r.raw()) }

// int reads an integer without a leading zero, sign or exponent, of at most 18 digits.
func (r *scanner) int() int64 {
	var n int64
	i := 0
	for i < len(r.b) && i < 18 && '0' <= r.b[i] && r.b[i] <= '9' {
		n = 10*n + int64(r.b[i]-'0')
		i++
	}
	if r.fail || i == 0 || i > 1 && r.b[0] == '0' {
		r.fail = true
		return 0
	}
	r.b = r.b[i:]
	return n
}

func (r *scanner) time() time.Time {
	s := r.raw()
	var t time.Time
	if r.fail || len(s) == 0 || s[len(s)-1] != 'Z' || t.UnmarshalText(s) != nil {
		r.fail = true
	}
	return t
}

// uuid reads the 36-character form in lower case.
func (r *scanner) uuid() (id uuid.UUID) {
	s := r.raw()
	if r.fail || len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		r.fail = true
		return id
	}
	for i, at := range [16]int{0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34} {
		hi, lo := nibble(s[at]), nibble(s[at+1])
		if hi > 15 || lo > 15 {
			r.fail = true
			return id
		}
		id[i] = hi<<4 | lo
	}
	return id
}

func nibble(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10
	}
	return 0xff
}
