package transparency

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Bounds of a note. The format demands that at least 16 signatures are accepted.
const (
	MaxNoteBytes      = 64 << 10
	MaxNoteSignatures = 64
)

// b64 is the only base64 there is here: padded, and refusing trailing bits that are not zero, so that one hash or
// signature has one spelling.
var b64 = base64.StdEncoding.Strict()

// Note is a text with signature lines under it (C2SP signed-note). Parsing says nothing about who signed.
type Note struct {
	Text       string // ends in a newline
	Signatures []Signature
}

// Signature is one signature line. Name and KeyID together say which key made it, and how.
type Signature struct {
	Name  string
	KeyID uint32
	Sig   []byte
}

const sigPrefix = "— " // em dash, space

// ParseNote reads a signed note.
func ParseNote(b []byte) (Note, error) {
	if len(b) > MaxNoteBytes {
		return Note{}, fmt.Errorf("note has %d bytes, the limit is %d: %w", len(b), MaxNoteBytes, ErrMalformed)
	}
	if !utf8.Valid(b) {
		return Note{}, fmt.Errorf("note is not valid UTF-8: %w", ErrMalformed)
	}
	for i, c := range b {
		if c < ' ' && c != '\n' {
			return Note{}, fmt.Errorf("note: control character %#02x at byte %d: %w", c, i, ErrMalformed)
		}
	}
	s := string(b)
	i := strings.LastIndex(s, "\n\n")
	if i < 0 {
		return Note{}, fmt.Errorf("note has no blank line before its signatures: %w", ErrMalformed)
	}
	n := Note{Text: s[:i+1]}
	var err error
	if n.Signatures, err = ParseSignatures(s[i+2:]); err != nil {
		return Note{}, fmt.Errorf("note: %w", err)
	}
	return n, nil
}

// ParseSignatures reads signature lines alone, the form a witness answers in. At least one is demanded.
func ParseSignatures(s string) ([]Signature, error) {
	if s == "" || !strings.HasSuffix(s, "\n") {
		return nil, fmt.Errorf("no signature line, or the last one does not end: %w", ErrMalformed)
	}
	lines := strings.Split(s[:len(s)-1], "\n")
	if len(lines) > MaxNoteSignatures {
		return nil, fmt.Errorf("%d signature lines, the limit is %d: %w", len(lines), MaxNoteSignatures, ErrMalformed)
	}
	sigs := make([]Signature, len(lines))
	for i, line := range lines {
		rest, ok := strings.CutPrefix(line, sigPrefix)
		name, blob, ok2 := strings.Cut(rest, " ")
		if !ok || !ok2 || CheckKeyName(name) != nil {
			return nil, fmt.Errorf("signature line %q: want an em dash, a key name and base64: %w", line, ErrMalformed)
		}
		raw, err := b64.DecodeString(blob)
		if err != nil || len(raw) < 5 {
			return nil, fmt.Errorf("signature line of %s: want base64 of more than four bytes: %w", name, ErrMalformed)
		}
		sigs[i] = Signature{Name: name, KeyID: binary.BigEndian.Uint32(raw), Sig: raw[4:]}
	}
	return sigs, nil
}

// Marshal writes the note.
func (n Note) Marshal() []byte {
	b := append([]byte(n.Text), '\n')
	for _, s := range n.Signatures {
		b = s.AppendLine(b)
	}
	return b
}

// AppendLine writes the signature line.
func (s Signature) AppendLine(b []byte) []byte {
	raw := binary.BigEndian.AppendUint32(nil, s.KeyID)
	raw = append(raw, s.Sig...)
	b = append(b, sigPrefix...)
	b = append(b, s.Name...)
	b = append(b, ' ')
	b = b64.AppendEncode(b, raw)
	return append(b, '\n')
}

// CheckKeyName refuses names the format does not allow: empty, or with a blank or a plus.
func CheckKeyName(name string) error {
	if name == "" || !utf8.ValidString(name) || strings.ContainsRune(name, '+') || strings.ContainsFunc(name, unicode.IsSpace) || strings.ContainsFunc(name, unicode.IsControl) {
		return fmt.Errorf("key name %q: want text without blanks or '+': %w", name, ErrMalformed)
	}
	return nil
}

// With adds signature lines. Of each key the first line and the newest stay: a witness that is asked again says the same
// of a later time, and only the two ends of that span tell anything.
func (n Note) With(sigs ...Signature) Note {
	out := Note{Text: n.Text, Signatures: slices.Clone(n.Signatures)}
	for _, s := range sigs {
		var of []int
		repeated := false
		for i, have := range out.Signatures {
			if have.Name == s.Name && have.KeyID == s.KeyID {
				of = append(of, i)
				repeated = repeated || bytes.Equal(have.Sig, s.Sig)
			}
		}
		switch {
		case repeated:
		case len(of) < 2:
			out.Signatures = append(out.Signatures, s)
		default:
			out.Signatures[of[len(of)-1]] = s
		}
	}
	return out
}
