package transparency

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"io"
	"os"
	"unicode/utf8"

	"github.com/google/uuid"
)

// Commitment fixes bytes without showing them: SHA-256 over a line that names the purpose, a secret 32-byte salt and the
// bytes. Without the salt it tells nothing, not even by trying all likely figures.
type Commitment [32]byte

// Salt hides what a Commitment commits to. Whoever is given salt and bytes can check them against the leaf.
type Salt [32]byte

const (
	payloadPurpose = "answerable/payload/v1\n"
	metaPurpose    = "answerable/meta/v1\n"
)

// CommitPayload and CommitMeta commit to the plain bytes of an event (never to a ciphertext, which could be opened to
// two different texts). The two purposes keep one from being shown as the other.
func CommitPayload(salt Salt, payload []byte) Commitment {
	return commit(payloadPurpose, salt, payload)
}

// CommitMeta is CommitPayload for the metadata.
func CommitMeta(salt Salt, meta []byte) Commitment { return commit(metaPurpose, salt, meta) }

func commit(purpose string, salt Salt, b []byte) Commitment {
	var buf [2048]byte
	m := append(buf[:0], purpose...)
	m = append(m, salt[:]...)
	return Commitment(sum(append(m, b...)))
}

// sum is sha256.Sum256; its own function so that the compiler keeps the callers' small buffers on the stack.
func sum(b []byte) [32]byte { return sha256.Sum256(b) }

func (c Commitment) String() string { return hex.EncodeToString(c[:]) }

// SaltKey is the secret all salts are derived from, so that the tree can be made again from the log, byte for byte. Who
// holds it can open every commitment whose bytes he also has; losing it makes new openings impossible and old ones keep
// their worth.
type SaltKey struct{ key [32]byte }

// NewSaltKey draws a key.
func NewSaltKey(random io.Reader) (SaltKey, error) {
	var k SaltKey
	if _, err := io.ReadFull(random, k.key[:]); err != nil {
		return SaltKey{}, fmt.Errorf("draw a salt key: %w", err)
	}
	return k, nil
}

// CreateSaltKey draws a key and writes it to a new file that only its owner may read.
func CreateSaltKey(path string) (SaltKey, error) {
	k, err := NewSaltKey(rand.Reader)
	if err != nil {
		return SaltKey{}, err
	}
	return k, WriteSecret(path, "answerable-salt-key "+hex.EncodeToString(k.key[:])+"\n")
}

// LoadSaltKey reads a key file and refuses one that others may read.
func LoadSaltKey(path string) (SaltKey, error) {
	s, err := ReadSecret(path)
	if err != nil {
		return SaltKey{}, err
	}
	var k SaltKey
	var digits string
	if n, err := fmt.Sscanf(s, "answerable-salt-key %64s\n", &digits); n != 1 || err != nil {
		return SaltKey{}, fmt.Errorf("salt key %s: want one line \"answerable-salt-key …\": %w", path, ErrMalformed)
	}
	if b, err := hex.DecodeString(digits); err != nil || copy(k.key[:], b) != len(k.key) {
		return SaltKey{}, fmt.Errorf("salt key %s: want 64 hexadecimal digits: %w", path, ErrMalformed)
	}
	return k, nil
}

// Salts derives the two salts of an event: HMAC-SHA-256 under the key of the purpose and the event's id.
func (k SaltKey) Salts(event uuid.UUID) (payload, meta Salt) { return k.Committer().salts(event) }

// Committer commits to the contents of many events under one key; it keeps what does not change between them. Not for
// concurrent use.
type Committer struct {
	h    hash.Hash
	read encoding.BinaryUnmarshaler // h too
	// inner and outer are h after the block that HMAC (RFC 2104) begins with. Each is half of a salt's work.
	inner, outer []byte
	room         []byte
	payload      Salt // of the event at hand; here because what a hash.Hash writes to is allocated
	meta         Salt
}

// Committer makes a committer.
func (k SaltKey) Committer() *Committer {
	h := sha256.New()
	c := &Committer{h: h, read: h.(encoding.BinaryUnmarshaler), room: make([]byte, 0, 2048)}
	begun := func(pad byte) []byte {
		block := bytes.Repeat([]byte{pad}, sha256.BlockSize) // the key is shorter than a block
		for i, b := range k.key {
			block[i] ^= b
		}
		h.Reset()
		h.Write(block)
		state, err := h.(encoding.BinaryAppender).AppendBinary(nil)
		if err != nil {
			panic(err) // the standard library's hash of some bytes in memory
		}
		return state
	}
	c.inner, c.outer = begun(0x36), begun(0x5c)
	return c
}

// Commit commits to an event's payload and metadata under its salts.
func (c *Committer) Commit(event uuid.UUID, payload, meta []byte) (Commitment, Commitment) {
	c.salts(event)
	return c.commit(payloadPurpose, &c.payload, payload), c.commit(metaPurpose, &c.meta, meta)
}

func (c *Committer) salts(event uuid.UUID) (payload, meta Salt) {
	c.derive(&c.payload, payloadPurpose, event)
	c.derive(&c.meta, metaPurpose, event)
	return c.payload, c.meta
}

func (c *Committer) derive(out *Salt, purpose string, event uuid.UUID) {
	c.begin(c.inner)
	c.room = append(append(c.room[:0], purpose...), event[:]...)
	c.h.Write(c.room)
	c.room = c.h.Sum(c.room[:0])
	c.begin(c.outer)
	c.h.Write(c.room)
	c.h.Sum(out[:0])
}

func (c *Committer) begin(state []byte) {
	if err := c.read.UnmarshalBinary(state); err != nil {
		panic(err) // the standard library wrote it
	}
}

func (c *Committer) commit(purpose string, salt *Salt, b []byte) Commitment {
	c.room = append(append(append(c.room[:0], purpose...), salt[:]...), b...)
	return sha256.Sum256(c.room)
}

// OpeningVersion is the first field of every opening.
const OpeningVersion = "answerable-opening/1"

// Opening shows the content behind a leaf to somebody entitled to see it. Either half may be absent.
type Opening struct {
	EventID     uuid.UUID
	HasPayload  bool
	Payload     []byte
	PayloadSalt Salt
	HasMeta     bool
	Meta        []byte
	MetaSalt    Salt
}

// Check compares the opened bytes with the leaf's commitments.
func (o Opening) Check(l Leaf) error {
	if o.EventID != l.EventID {
		return fmt.Errorf("the opening is for event %s, the leaf for %s: %w", o.EventID, l.EventID, ErrCommitment)
	}
	if !o.HasPayload && !o.HasMeta {
		return fmt.Errorf("the opening of event %s opens nothing: %w", o.EventID, ErrMalformed)
	}
	if o.HasPayload && !equal(CommitPayload(o.PayloadSalt, o.Payload), l.Payload) {
		return fmt.Errorf("payload of event %s (%s@%d): %w", l.EventID, l.Stream, l.Revision, ErrCommitment)
	}
	if o.HasMeta && !equal(CommitMeta(o.MetaSalt, o.Meta), l.Meta) {
		return fmt.Errorf("metadata of event %s (%s@%d): %w", l.EventID, l.Stream, l.Revision, ErrCommitment)
	}
	return nil
}

func equal(a, b Commitment) bool { return hmac.Equal(a[:], b[:]) }

// opening is the JSON form. Content that is text stands as text, so that a person can read what is being proved; the
// exact bytes come back either way.
type opening struct {
	V             string  `json:"v"`
	EventID       string  `json:"event_id"`
	Payload       *string `json:"payload,omitempty"`
	PayloadBase64 *[]byte `json:"payload_base64,omitempty"`
	PayloadSalt   string  `json:"payload_salt,omitempty"`
	Meta          *string `json:"meta,omitempty"`
	MetaBase64    *[]byte `json:"meta_base64,omitempty"`
	MetaSalt      string  `json:"meta_salt,omitempty"`
}

// MarshalJSON writes the opening's JSON form.
func (o Opening) MarshalJSON() ([]byte, error) {
	j := opening{V: OpeningVersion, EventID: o.EventID.String()}
	put := func(b []byte, text **string, raw **[]byte) {
		if utf8.Valid(b) {
			s := string(b)
			*text = &s
		} else {
			*raw = &b
		}
	}
	if o.HasPayload {
		put(o.Payload, &j.Payload, &j.PayloadBase64)
		j.PayloadSalt = hex.EncodeToString(o.PayloadSalt[:])
	}
	if o.HasMeta {
		put(o.Meta, &j.Meta, &j.MetaBase64)
		j.MetaSalt = hex.EncodeToString(o.MetaSalt[:])
	}
	return json.Marshal(j)
}

// UnmarshalJSON reads the JSON form. It need not be strict about spelling: what was read is checked against the leaf.
func (o *Opening) UnmarshalJSON(b []byte) error {
	var j opening
	if err := json.Unmarshal(b, &j); err != nil {
		return fmt.Errorf("opening: %w: %w", err, ErrMalformed)
	}
	if j.V != OpeningVersion {
		return fmt.Errorf("opening version %q, want %q: %w", j.V, OpeningVersion, ErrMalformed)
	}
	var out Opening
	var err error
	if out.EventID, err = uuid.Parse(j.EventID); err != nil {
		return fmt.Errorf("opening: event_id %q: %w", j.EventID, ErrMalformed)
	}
	take := func(name string, text *string, raw *[]byte, salt string) (b []byte, s Salt, has bool, err error) {
		switch {
		case text == nil && raw == nil && salt == "":
			return nil, s, false, nil
		case text != nil && raw == nil:
			b = []byte(*text)
		case text == nil && raw != nil:
			b = *raw
		default:
			return nil, s, false, fmt.Errorf("opening: %s must stand once, with its salt: %w", name, ErrMalformed)
		}
		d, err := hex.DecodeString(salt)
		if err != nil || len(d) != len(s) {
			return nil, s, false, fmt.Errorf("opening: %s_salt %.70q: %w", name, salt, ErrMalformed)
		}
		return b, Salt(d), true, nil
	}
	if out.Payload, out.PayloadSalt, out.HasPayload, err = take("payload", j.Payload, j.PayloadBase64, j.PayloadSalt); err != nil {
		return err
	}
	if out.Meta, out.MetaSalt, out.HasMeta, err = take("meta", j.Meta, j.MetaBase64, j.MetaSalt); err != nil {
		return err
	}
	*o = out
	return nil
}

// WriteSecret writes a new file that only its owner may read, and never replaces one.
func WriteSecret(path, content string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("write secret: %w", err)
	}
	_, err = f.WriteString(content)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("write secret %s: %w", path, err)
	}
	return nil
}

// ReadSecret reads a file WriteSecret wrote and refuses one that anybody but its owner may read.
func ReadSecret(path string) (string, error) {
	st, err := os.Stat(path)
	if err != nil {
		return "", fmt.Errorf("read secret: %w", err)
	}
	if err := checkSecretMode(path, st.Mode()); err != nil {
		return "", err
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("read secret: %w", err)
	}
	return string(b), nil
}
