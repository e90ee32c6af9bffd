package sequencer_test

import (
	"bytes"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/answerable-ledger/answerable/transparency"
	"github.com/answerable-ledger/answerable/transparency/sequencer"
	"github.com/answerable-ledger/answerable/transparency/treestore"
)

// TestEveryFlipInAnExportIsNoticed flips random bits in random files of a witnessed export.
func TestEveryFlipInAnExportIsNoticed(t *testing.T) {
	t.Parallel()
	_, _, _, dir := witnessedSite(t, 700)
	p := witnessedPolicy(t, "")
	r, err := audit(dir, transparency.AuditOptions{Policy: p})
	if err != nil {
		t.Fatal(err)
	}
	type file struct {
		path string
		good []byte
	}
	var files []file
	total := 0
	if err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		files = append(files, file{path, b})
		total += len(b)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	const seed, flips = 1, 400
	rng := rand.New(rand.NewPCG(seed, seed))
	for range flips {
		// Half by size, half by file, so that the small files are met too.
		f := files[rng.IntN(len(files))]
		if rng.IntN(2) == 0 {
			at := rng.IntN(total)
			for _, g := range files {
				if at < len(g.good) {
					f = g
					break
				}
				at -= len(g.good)
			}
		}
		i, bit := rng.IntN(len(f.good)), rng.IntN(8)
		bad := bytes.Clone(f.good)
		bad[i] ^= 1 << bit
		if err := os.WriteFile(f.path, bad, 0o644); err != nil {
			t.Fatal(err)
		}
		got, err := audit(dir, transparency.AuditOptions{Policy: p})
		// A signature line whose name or key id was hit belongs to nobody: that is shown, with one witnessed head fewer.
		if err == nil && got.Unknown == 0 && got.Witnessed == r.Witnessed {
			t.Errorf("%s: byte %d, bit %d (%q) not noticed", f.path, i, bit, f.good[max(0, i-20):min(len(f.good), i+20)])
		}
		if err := os.WriteFile(f.path, f.good, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// TestEveryFlipInTheTreeFileIsNoticed flips random bits in tree.db. One that goes unnoticed must have changed nothing that
// the file says: it lay in free space, or in the engine's own housekeeping.
func TestEveryFlipInTheTreeFileIsNoticed(t *testing.T) {
	t.Parallel()
	s, _, log, _ := witnessedSite(t, 300)
	s.close()
	good, err := os.ReadFile(s.treePath())
	if err != nil {
		t.Fatal(err)
	}
	p := witnessedPolicy(t, "")
	look := func(b []byte) (said string, err error) {
		removeTree(t, s)
		if err := os.WriteFile(s.treePath(), b, 0o600); err != nil {
			t.Fatal(err)
		}
		tree, err := treestore.Open(t.Context(), treestore.Options{Path: s.treePath(), Origin: origin})
		if err != nil {
			return "", err
		}
		defer tree.Close()
		guard, err := treestore.OpenGuard(s.guardPath())
		if err != nil {
			t.Fatal(err)
		}
		defer guard.Close()
		if err := tree.Check(t.Context(), treestore.CheckOptions{Policy: p}); err != nil {
			return "", err
		}
		q, err := sequencer.New(t.Context(), sequencer.Options{Log: log, Tree: tree, Guard: guard, Header: header, Salts: s.salts, Keys: []transparency.SigningKey{key(t, 1)}})
		if err != nil {
			return "", err
		}
		if err := q.Verify(t.Context(), nil); err != nil {
			return "", err
		}
		kept, err := tree.Checkpoints(t.Context(), 0, 1000)
		if err != nil {
			return "", err
		}
		for _, k := range kept {
			said += string(k.Note.Marshal())
		}
		return said, nil
	}
	want, err := look(good)
	if err != nil {
		t.Fatal(err)
	}
	const seed, flips = 2, 150
	rng := rand.New(rand.NewPCG(seed, seed))
	free := 0
	for range flips {
		bad := bytes.Clone(good)
		i, bit := rng.IntN(len(bad)), rng.IntN(8)
		bad[i] ^= 1 << bit
		got, err := look(bad)
		if err != nil {
			continue
		}
		// Leaves, tiles and places were compared with the log; the checkpoints are what is left.
		if got != want {
			t.Errorf("byte %d, bit %d not noticed", i, bit)
		}
		free++
	}
	t.Logf("%d of %d flips lay in free space", free, flips)
}
