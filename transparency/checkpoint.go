package transparency

import (
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

// Checkpoint is a tree head: the log's name, its size in leaves and its root (C2SP tlog-checkpoint). Extension lines are
// refused: no auditor could check them.
type Checkpoint struct {
	Origin string
	Size   int64
	Root   tlog.Hash
}

// Text is the note text, which is what gets signed.
func (c Checkpoint) Text() string {
	return c.Origin + "\n" + strconv.FormatInt(c.Size, 10) + "\n" + b64.EncodeToString(c.Root[:]) + "\n"
}

// ParseCheckpoint reads a note text.
func ParseCheckpoint(text string) (Checkpoint, error) {
	lines := strings.Split(text, "\n")
	if len(lines) != 4 || lines[3] != "" || lines[0] == "" {
		return Checkpoint{}, fmt.Errorf("checkpoint: want three lines, origin, size and root: %w", ErrMalformed)
	}
	size, err := parseCount(lines[1])
	if err != nil {
		return Checkpoint{}, fmt.Errorf("checkpoint: size: %w", err)
	}
	root, err := parseHash(lines[2])
	if err != nil {
		return Checkpoint{}, fmt.Errorf("checkpoint: root: %w", err)
	}
	return Checkpoint{lines[0], size, root}, nil
}

// Sign makes the note: one line for each key. During a change of keys there are two.
func (c Checkpoint) Sign(keys ...SigningKey) (Note, error) {
	n := Note{Text: c.Text()}
	if len(keys) == 0 {
		return Note{}, fmt.Errorf("sign checkpoint of size %d: no key: %w", c.Size, ErrSignature)
	}
	for _, k := range keys {
		if k.Name != c.Origin {
			return Note{}, fmt.Errorf("sign checkpoint of %s: the key is %s's: %w", c.Origin, k.Name, ErrOrigin)
		}
		s, err := k.Sign(n.Text)
		if err != nil {
			return Note{}, fmt.Errorf("sign checkpoint of size %d: %w", c.Size, err)
		}
		n.Signatures = append(n.Signatures, s)
	}
	return n, nil
}

// VerifyLog reads the checkpoint in a note that one of the keys signed under the checkpoint's own origin. Every line that
// claims to be by one of them must verify.
func VerifyLog(n Note, keys []VerifierKey) (Checkpoint, error) {
	c, err := ParseCheckpoint(n.Text)
	if err != nil {
		return Checkpoint{}, err
	}
	known, signed := false, false
	for _, k := range keys {
		if k.Name != c.Origin || k.Alg != AlgEd25519 {
			continue
		}
		known = true
		for _, s := range n.Signatures {
			if !k.Made(s) {
				continue
			}
			if _, err := k.Verify(n.Text, s); err != nil {
				return Checkpoint{}, fmt.Errorf("checkpoint of %s, size %d: %w", c.Origin, c.Size, err)
			}
			signed = true
		}
	}
	switch {
	case !known:
		return Checkpoint{}, fmt.Errorf("checkpoint of %s: no key of that log is trusted: %w", c.Origin, ErrOrigin)
	case !signed:
		return Checkpoint{}, fmt.Errorf("checkpoint of %s, size %d: no signature by a trusted key of the log: %w", c.Origin, c.Size, ErrSignature)
	}
	return c, nil
}

func parseCount(s string) (int64, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 || strconv.FormatInt(n, 10) != s {
		return 0, fmt.Errorf("%.30q is not a whole number in its one spelling: %w", s, ErrMalformed)
	}
	return n, nil
}

func parseHash(s string) (tlog.Hash, error) {
	b, err := b64.DecodeString(s)
	if err != nil || len(b) != tlog.HashSize {
		return tlog.Hash{}, fmt.Errorf("%.60q is not a hash in base64: %w", s, ErrMalformed)
	}
	return tlog.Hash(b), nil
}
