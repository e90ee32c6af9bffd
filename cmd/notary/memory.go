package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/answerable-ledger/answerable/transparency"
)

// memory keeps the checkpoints seen of each log, in one file for each. A log that forks must contradict one of them.
type memory struct{ dir string }

// keeps reports whether a log's checkpoints are remembered. Those of a demonstration are not: it is made anew at will, everybody
// has its key, and its name is under .invalid, which no real log can bear (RFC 6761, section 6.4).
func (m memory) keeps(origin string) bool {
	host, _, _ := strings.Cut(origin, "/")
	return m.dir != "" && !strings.HasSuffix(host, ".invalid")
}

// maxRemembered bounds a file: verified receipts add to it, an audit reduces it to one.
const maxRemembered = 500

func (m memory) path(origin string) string {
	h := sha256.Sum256([]byte(origin))
	return filepath.Join(m.dir, hex.EncodeToString(h[:8])+".seen")
}

func (m memory) seen(origin string) ([]transparency.Note, error) {
	if !m.keeps(origin) {
		return nil, nil
	}
	b, err := os.ReadFile(m.path(origin))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	notes, err := transparency.SplitHistory(b)
	if err != nil {
		return nil, fmt.Errorf("%s, the memory of checkpoints seen before: %w", m.path(origin), err)
	}
	return notes, nil
}

// set remembers exactly these.
func (m memory) set(origin string, notes []transparency.Note) error {
	if !m.keeps(origin) {
		return nil
	}
	var b []byte
	for _, n := range notes {
		b = transparency.AppendHistory(b, n)
	}
	if err := os.MkdirAll(m.dir, 0o755); err != nil {
		return err
	}
	tmp := m.path(origin) + ".new"
	if err := os.WriteFile(tmp, b, 0o644); err != nil {
		return err
	}
	return os.Rename(tmp, m.path(origin))
}

// add remembers one more and compares it with those of its size.
func (m memory) add(j transparency.Judged, n transparency.Note) error {
	notes, err := m.seen(j.Origin)
	if err != nil {
		return err
	}
	for i, old := range notes {
		c, err := transparency.ParseCheckpoint(old.Text)
		if err != nil {
			return err
		}
		if c.Size != j.Size {
			continue
		}
		if c.Root != j.Root {
			return &transparency.Fork{Older: old, Newer: n}
		}
		notes[i] = old.With(n.Signatures...)
		return m.set(j.Origin, notes)
	}
	if len(notes) >= maxRemembered {
		// The oldest knowledge is the most valuable against a rewriter, the newest against a roll-back: drop in between.
		notes = slices.Delete(notes, len(notes)/2, len(notes)/2+1)
	}
	return m.set(j.Origin, append(notes, n))
}
