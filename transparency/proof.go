package transparency

import (
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

const proofHeader = "c2sp.org/tlog-proof@v1"

// MaxProofBytes bounds a proof file: a leaf, 63 hashes and a note.
const MaxProofBytes = MaxNoteBytes + 64*46 + MaxLeafBytes*2

// Proof is a receipt (C2SP tlog-proof): a signed checkpoint, an index and the hashes that lead from the entry to the
// root. Extra holds the leaf's bytes, so that one file is enough; they are believed only because their hash fits.
type Proof struct {
	Extra      []byte
	Index      int64
	Hashes     tlog.RecordProof
	Checkpoint Note
}

// Marshal writes the proof.
func (p Proof) Marshal() []byte {
	b := []byte(proofHeader + "\n")
	if len(p.Extra) > 0 {
		b = append(b, "extra "...)
		b = b64.AppendEncode(b, p.Extra)
		b = append(b, '\n')
	}
	b = append(b, "index "...)
	b = strconv.AppendInt(b, p.Index, 10)
	b = append(b, '\n')
	for _, h := range p.Hashes {
		b = b64.AppendEncode(b, h[:])
		b = append(b, '\n')
	}
	b = append(b, '\n')
	return append(b, p.Checkpoint.Marshal()...)
}

// ParseProof reads a proof. Nothing is verified.
func ParseProof(b []byte) (Proof, error) {
	if len(b) > MaxProofBytes {
		return Proof{}, fmt.Errorf("proof has %d bytes, the limit is %d: %w", len(b), MaxProofBytes, ErrMalformed)
	}
	head, note, ok := strings.Cut(string(b), "\n\n")
	lines := strings.Split(head, "\n")
	if !ok || lines[0] != proofHeader {
		return Proof{}, fmt.Errorf("proof: want %q, an index, hashes, a blank line and a checkpoint: %w", proofHeader, ErrMalformed)
	}
	lines = lines[1:]
	var p Proof
	var err error
	if len(lines) > 0 && strings.HasPrefix(lines[0], "extra ") {
		if p.Extra, err = b64.DecodeString(lines[0][len("extra "):]); err != nil {
			return Proof{}, fmt.Errorf("proof: extra: %w", ErrMalformed)
		}
		lines = lines[1:]
	}
	if len(lines) == 0 || !strings.HasPrefix(lines[0], "index ") {
		return Proof{}, fmt.Errorf("proof: no index line: %w", ErrMalformed)
	}
	if p.Index, err = parseCount(lines[0][len("index "):]); err != nil {
		return Proof{}, fmt.Errorf("proof: index: %w", err)
	}
	if p.Hashes, err = parseHashes(lines[1:]); err != nil {
		return Proof{}, fmt.Errorf("proof: %w", err)
	}
	if p.Checkpoint, err = ParseNote([]byte(note)); err != nil {
		return Proof{}, fmt.Errorf("proof: %w", err)
	}
	return p, nil
}

// maxProofHashes: a tree cannot be higher.
const maxProofHashes = 63

func parseHashes(lines []string) ([]tlog.Hash, error) {
	if len(lines) > maxProofHashes {
		return nil, fmt.Errorf("%d hashes, the limit is %d: %w", len(lines), maxProofHashes, ErrMalformed)
	}
	hs := make([]tlog.Hash, len(lines))
	for i, line := range lines {
		var err error
		if hs[i], err = parseHash(line); err != nil {
			return nil, fmt.Errorf("hash %d: %w", i, err)
		}
	}
	return hs, nil
}

// Check verifies that the leaf stands at the proof's index under the checkpoint's root. It does not look at signatures.
func (p Proof) Check(leaf []byte, c Checkpoint) error {
	if p.Index >= c.Size {
		return fmt.Errorf("index %d is not below the checkpoint's size %d: %w", p.Index, c.Size, ErrProof)
	}
	if err := tlog.CheckRecord(p.Hashes, c.Size, c.Root, p.Index, LeafHash(leaf)); err != nil {
		return fmt.Errorf("entry %d in the tree of size %d: %w", p.Index, c.Size, ErrProof)
	}
	return nil
}

// Consistency is a request to a witness: the size it knows, the proof from there, and the new checkpoint.
type Consistency struct {
	Old        int64
	Proof      tlog.TreeProof
	Checkpoint Note
}

// Marshal writes the body of add-checkpoint (C2SP tlog-witness).
func (c Consistency) Marshal() []byte {
	b := append([]byte("old "), strconv.FormatInt(c.Old, 10)...)
	b = append(b, '\n')
	for _, h := range c.Proof {
		b = b64.AppendEncode(b, h[:])
		b = append(b, '\n')
	}
	b = append(b, '\n')
	return append(b, c.Checkpoint.Marshal()...)
}

// ParseConsistency reads the body of add-checkpoint.
func ParseConsistency(b []byte) (Consistency, error) {
	head, note, ok := strings.Cut(string(b), "\n\n")
	lines := strings.Split(head, "\n")
	old, ok2 := strings.CutPrefix(lines[0], "old ")
	if !ok || !ok2 {
		return Consistency{}, fmt.Errorf("add-checkpoint: want \"old <size>\", hashes, a blank line and a checkpoint: %w", ErrMalformed)
	}
	var c Consistency
	var err error
	if c.Old, err = parseCount(old); err != nil {
		return Consistency{}, fmt.Errorf("add-checkpoint: old: %w", err)
	}
	if c.Proof, err = parseHashes(lines[1:]); err != nil {
		return Consistency{}, fmt.Errorf("add-checkpoint: %w", err)
	}
	if c.Checkpoint, err = ParseNote([]byte(note)); err != nil {
		return Consistency{}, fmt.Errorf("add-checkpoint: %w", err)
	}
	return c, nil
}

// EmptyRoot is the root of the tree without leaves: the hash of the empty string.
var EmptyRoot = tlog.Hash(sum(nil))

// CheckConsistency verifies that the tree of the new checkpoint begins with the tree of the old size and root.
func CheckConsistency(proof tlog.TreeProof, old int64, oldRoot tlog.Hash, c Checkpoint) error {
	switch {
	case old > c.Size:
		return fmt.Errorf("the old size %d is above the new one, %d: %w", old, c.Size, ErrProof)
	case c.Size == 0 && c.Root != EmptyRoot:
		return fmt.Errorf("a tree without leaves has another root: %w", ErrProof)
	case old == c.Size:
		if len(proof) != 0 || oldRoot != c.Root {
			return fmt.Errorf("two roots for size %d: %w", old, ErrProof)
		}
		return nil
	case old == 0:
		if len(proof) != 0 {
			return fmt.Errorf("a proof from size 0 must be empty: %w", ErrProof)
		}
		return nil
	}
	if err := tlog.CheckTree(proof, c.Size, c.Root, old, oldRoot); err != nil {
		return fmt.Errorf("from size %d to size %d: %w", old, c.Size, ErrProof)
	}
	return nil
}
