package transparency

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// Algorithm is the signature type byte of a note key.
type Algorithm byte

const (
	// AlgEd25519 signs the note's text: the log's own signature.
	AlgEd25519 Algorithm = 0x01
	// AlgCosignatureV1 is the timestamped Ed25519 cosignature of a witness (C2SP tlog-cosignature).
	AlgCosignatureV1 Algorithm = 0x04
)

// VerifierKey is a public key with its name ("vkey").
type VerifierKey struct {
	Name   string
	ID     uint32
	Alg    Algorithm
	Public ed25519.PublicKey
}

// NewVerifierKey computes the key's id.
func NewVerifierKey(name string, alg Algorithm, public ed25519.PublicKey) VerifierKey {
	h := sha256.New()
	io.WriteString(h, name)
	h.Write([]byte{'\n', byte(alg)})
	h.Write(public)
	return VerifierKey{Name: name, ID: binary.BigEndian.Uint32(h.Sum(nil)), Alg: alg, Public: public}
}

// ParseVerifierKey reads name+id+base64(type, key).
func ParseVerifierKey(s string) (VerifierKey, error) {
	name, rest, _ := strings.Cut(s, "+")
	id, blob, ok := strings.Cut(rest, "+")
	raw, err := b64.DecodeString(blob)
	if !ok || err != nil || CheckKeyName(name) != nil || len(raw) < 2 || len(id) != 8 || strings.ToLower(id) != id {
		return VerifierKey{}, fmt.Errorf("verifier key %q: want name+8 hexadecimal digits+base64: %w", s, ErrMalformed)
	}
	alg := Algorithm(raw[0])
	if alg != AlgEd25519 && alg != AlgCosignatureV1 {
		return VerifierKey{}, fmt.Errorf("verifier key %s: signature type %#02x is not supported (only 0x01 and 0x04): %w", name, raw[0], ErrMalformed)
	}
	if len(raw) != 1+ed25519.PublicKeySize {
		return VerifierKey{}, fmt.Errorf("verifier key %s: %d bytes of key, want %d: %w", name, len(raw)-1, ed25519.PublicKeySize, ErrMalformed)
	}
	k := NewVerifierKey(name, alg, raw[1:])
	if n, err := strconv.ParseUint(id, 16, 32); err != nil || uint32(n) != k.ID {
		return VerifierKey{}, fmt.Errorf("verifier key %s: its id is %08x, not %s: %w", name, k.ID, id, ErrMalformed)
	}
	return k, nil
}

func (k VerifierKey) String() string {
	return fmt.Sprintf("%s+%08x+%s", k.Name, k.ID, b64.EncodeToString(append([]byte{byte(k.Alg)}, k.Public...)))
}

// Made reports whether the signature line claims to be this key's.
func (k VerifierKey) Made(s Signature) bool { return k.Name == s.Name && k.ID == s.KeyID }

// Verify checks a signature line over text. For a cosignature it also gives the witness's clock, in whole seconds.
func (k VerifierKey) Verify(text string, s Signature) (at time.Time, err error) {
	if !k.Made(s) {
		return time.Time{}, fmt.Errorf("signature line of %s is not by key %s+%08x: %w", s.Name, k.Name, k.ID, ErrSignature)
	}
	bad := fmt.Errorf("signature by %s: %w", k.Name, ErrSignature)
	switch k.Alg {
	case AlgEd25519:
		if len(s.Sig) != ed25519.SignatureSize || !ed25519.Verify(k.Public, []byte(text), s.Sig) {
			return time.Time{}, bad
		}
		return time.Time{}, nil
	case AlgCosignatureV1:
		if len(s.Sig) != 8+ed25519.SignatureSize {
			return time.Time{}, bad
		}
		seconds := binary.BigEndian.Uint64(s.Sig)
		if seconds > 1<<63-1 || !ed25519.Verify(k.Public, cosignedMessage(text, seconds), s.Sig[8:]) {
			return time.Time{}, bad
		}
		return time.Unix(int64(seconds), 0).UTC(), nil
	}
	return time.Time{}, bad
}

func cosignedMessage(text string, seconds uint64) []byte {
	m := append([]byte("cosignature/v1\ntime "), strconv.FormatUint(seconds, 10)...)
	m = append(m, '\n')
	return append(m, text...)
}

// SigningKey is a private key with its name.
type SigningKey struct {
	VerifierKey
	private ed25519.PrivateKey
}

// NewSigningKey draws a key from random.
func NewSigningKey(name string, alg Algorithm, random io.Reader) (SigningKey, error) {
	var seed [ed25519.SeedSize]byte
	if _, err := io.ReadFull(random, seed[:]); err != nil {
		return SigningKey{}, fmt.Errorf("draw a signing key: %w", err)
	}
	return signingKey(name, alg, seed[:])
}

func signingKey(name string, alg Algorithm, seed []byte) (SigningKey, error) {
	if err := CheckKeyName(name); err != nil {
		return SigningKey{}, err
	}
	if alg != AlgEd25519 && alg != AlgCosignatureV1 {
		return SigningKey{}, fmt.Errorf("signing key %s: signature type %#02x is not supported: %w", name, byte(alg), ErrMalformed)
	}
	private := ed25519.NewKeyFromSeed(seed)
	return SigningKey{NewVerifierKey(name, alg, private.Public().(ed25519.PublicKey)), private}, nil
}

// Sign makes the log's signature line over text.
func (k SigningKey) Sign(text string) (Signature, error) {
	if k.Alg != AlgEd25519 {
		return Signature{}, fmt.Errorf("key %s has type %#02x: it makes cosignatures only: %w", k.Name, byte(k.Alg), ErrMalformed)
	}
	return Signature{k.Name, k.ID, ed25519.Sign(k.private, []byte(text))}, nil
}

// Cosign makes a witness's signature line: as of at, text is the largest consistent checkpoint it has seen of that log.
func (k SigningKey) Cosign(text string, at time.Time) (Signature, error) {
	if k.Alg != AlgCosignatureV1 || at.Unix() <= 0 {
		return Signature{}, fmt.Errorf("key %s has type %#02x, the time is %s: no cosignature: %w", k.Name, byte(k.Alg), at, ErrMalformed)
	}
	seconds := uint64(at.Unix())
	sig := binary.BigEndian.AppendUint64(nil, seconds)
	return Signature{k.Name, k.ID, append(sig, ed25519.Sign(k.private, cosignedMessage(text, seconds))...)}, nil
}

// signingKeyPrefix is the form golang.org/x/mod/sumdb/note gives private keys.
const signingKeyPrefix = "PRIVATE+KEY+"

// CreateSigningKey draws a key and writes it to a new file that only its owner may read.
func CreateSigningKey(path, name string, alg Algorithm) (SigningKey, error) {
	k, err := NewSigningKey(name, alg, rand.Reader)
	if err != nil {
		return SigningKey{}, err
	}
	raw := append([]byte{byte(alg)}, k.private.Seed()...)
	return k, WriteSecret(path, fmt.Sprintf("%s%s+%08x+%s\n", signingKeyPrefix, name, k.ID, b64.EncodeToString(raw)))
}

// LoadSigningKey reads a key file and refuses one that others may read.
func LoadSigningKey(path string) (SigningKey, error) {
	s, err := ReadSecret(path)
	if err != nil {
		return SigningKey{}, err
	}
	bad := fmt.Errorf("signing key %s: want one line %sname+id+base64: %w", path, signingKeyPrefix, ErrMalformed)
	s, ok := strings.CutPrefix(s, signingKeyPrefix)
	s, ok2 := strings.CutSuffix(s, "\n")
	name, rest, _ := strings.Cut(s, "+")
	id, blob, ok3 := strings.Cut(rest, "+")
	raw, err := b64.DecodeString(blob)
	if !ok || !ok2 || !ok3 || err != nil || len(raw) != 1+ed25519.SeedSize {
		return SigningKey{}, bad
	}
	k, err := signingKey(name, Algorithm(raw[0]), raw[1:])
	if err != nil {
		return SigningKey{}, fmt.Errorf("signing key %s: %w", path, err)
	}
	if want, err := hex.DecodeString(id); err != nil || len(want) != 4 || binary.BigEndian.Uint32(want) != k.ID {
		return SigningKey{}, bad
	}
	return k, nil
}
