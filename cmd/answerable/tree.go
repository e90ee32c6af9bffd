package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/answerable-ledger/answerable/eventlog"
	"github.com/answerable-ledger/answerable/transparency"
	"github.com/answerable-ledger/answerable/transparency/sequencer"
	"github.com/answerable-ledger/answerable/transparency/treestore"
)

// verifyEvidence checks the tree against the log, everything stored of it against its leaves and signatures, and the last
// signed checkpoint in the guard against the tree. A directory without evidence passes.
func (a *app) verifyEvidence(ctx context.Context, dir string, log eventlog.Log) (entries int64, err error) {
	r, err := a.openEvidenceReader(ctx, dir, log)
	if err != nil || r == nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, r.tree.Close()) }()
	if err := r.reader.Verify(ctx, nil); err != nil {
		return 0, err
	}
	if err := r.tree.Check(ctx, treestore.CheckOptions{Policy: r.policy}); err != nil {
		return 0, err
	}
	entries = r.tree.Size()
	for try := 0; ; try++ {
		// The server goes on signing while this one reads: a guard that is ahead of what was opened is looked at again.
		if err = r.checkGuard(ctx); !errors.Is(err, transparency.ErrFork) || try == 3 {
			return entries, err
		}
		fresh, err := a.openEvidenceReader(ctx, dir, log)
		if err != nil || fresh == nil {
			return entries, err
		}
		if err := r.tree.Close(); err != nil {
			return entries, errors.Join(err, fresh.tree.Close())
		}
		r = fresh
	}
}

// checkGuard compares the second copy of the last signed checkpoint with the tree. It may be a step ahead of the
// checkpoints kept, never of the entries: those were durable before it was signed.
func (r *evidenceReader) checkGuard(ctx context.Context) error {
	path := r.place.path(r.place.Guard)
	latest, signed, err := r.tree.Latest(ctx) // before the guard, which is swapped first: what is signed meanwhile is no disagreement
	if err != nil {
		return err
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("evidence: the guard: %w", err)
	}
	if len(b) == 0 {
		if signed {
			return fmt.Errorf("evidence: the guard %s is empty, and a checkpoint of size %d was signed: %w", path, latest.Size, eventlog.ErrDamaged)
		}
		return nil
	}
	n, err := transparency.ParseNote(b)
	if err != nil {
		return fmt.Errorf("evidence: the guard %s: %w", path, err)
	}
	c, err := transparency.VerifyLog(n, r.policy.LogKeys())
	if err != nil {
		return fmt.Errorf("evidence: the guard %s: %w", path, err)
	}
	if size := r.tree.Size(); c.Size > size {
		return fmt.Errorf("evidence: a checkpoint over %d entries was signed, the tree has %d: the event log or the tree was put back to an older state. "+
			"If the event log holds all events, the next start completes the tree; if not, put back the newest backup (answerable restore): %w", c.Size, size, transparency.ErrFork)
	}
	root, err := r.tree.Root(ctx, c.Size)
	if err != nil {
		return err
	}
	if root != c.Root {
		return fmt.Errorf("evidence: a checkpoint over %d entries was signed that this tree does not lead to: %w", c.Size, transparency.ErrFork)
	}
	if signed && latest.Size > c.Size {
		return fmt.Errorf("evidence: the guard %s covers %d entries, a checkpoint of size %d was signed: the guard was put back to an older state: %w", path, c.Size, latest.Size, transparency.ErrFork)
	}
	return nil
}

// rebuildTree makes the tree again from the log, beside the old one, and carries over what only the old one holds: the
// checkpoints with their cosignatures, each checked against the new tree, and the notes of what was erased.
func (a *app) rebuildTree(ctx context.Context, dir string, log eventlog.Log) (err error) {
	p, ok, err := readEvidence(dir)
	if err != nil {
		return err
	}
	if !ok {
		return usagef("%s has no %s: there is no tree to make again", dir, evidenceFile)
	}
	k, err := p.keys()
	if err != nil {
		return err
	}
	policy, err := p.readPolicy()
	if err != nil {
		return err
	}
	guard, err := treestore.OpenGuard(p.path(p.Guard))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, guard.Close()) }()
	made := p.treeOptions(true)
	made.Path += ".new"
	if err := removeDatabase(made.Path); err != nil {
		return err
	}
	tree, err := treestore.Open(ctx, made)
	if err != nil {
		return err
	}
	err = a.fillTree(ctx, p, tree, sequencer.Options{Log: log, Tree: tree, Guard: guard, Header: leafHeader, Salts: k.salt, Keys: k.sign, Retired: policy.LogKeys(), Clock: a.now}, policy)
	if err = errors.Join(err, tree.Close()); err != nil {
		return err
	}
	if err := removeDatabase(filepath.Join(dir, treeFile)); err != nil {
		return err
	}
	// The leaves first: without the database they are nothing, and the next start makes both again.
	for _, suffix := range []string{treestore.LeavesSuffix, ""} {
		if err := os.Rename(made.Path+suffix, filepath.Join(dir, treeFile)+suffix); err != nil {
			return fmt.Errorf("evidence: %w", err)
		}
	}
	return syncPath(dir)
}

func (a *app) fillTree(ctx context.Context, p evidencePlace, tree *treestore.Store, o sequencer.Options, policy *transparency.Policy) error {
	s, err := sequencer.New(ctx, o)
	if err != nil {
		return err
	}
	if err := s.CatchUp(ctx); err != nil {
		return err
	}
	old, err := treestore.Open(ctx, p.treeOptions(false))
	if err != nil {
		a.printf("Không đọc được cây cũ (%v): các mốc đã có nhân chứng trước đây bị mất, hãy lấy lại từ bản xuất.\n",
			"The old tree cannot be read (%v): the cosignatures it held are lost here; an export may have them.\n", err)
		return nil
	}
	defer old.Close() //nolint:errcheck // only read
	for skip := int64(0); ; {
		kept, err := old.Checkpoints(ctx, skip, 256)
		if err != nil {
			return err
		}
		for _, c := range kept {
			j, err := policy.Judge(c.Note)
			if err != nil || j.Size > tree.Size() {
				a.printf("Bỏ qua mốc %d: %v\n", "Left out the checkpoint of size %d: %v\n", c.Size, err)
				continue
			}
			root, err := tree.Root(ctx, j.Size)
			if err != nil {
				return err
			}
			if root != j.Root {
				return fmt.Errorf("evidence: the checkpoint of size %d was signed for another tree:\n%s%w", c.Size, c.Note.Marshal(), transparency.ErrFork)
			}
			if err := tree.SaveCheckpoint(ctx, c.Note, c.SignedAt); err != nil {
				return err
			}
		}
		if skip += int64(len(kept)); len(kept) < 256 {
			break
		}
	}
	erased, err := old.Erasures(ctx)
	if err != nil {
		return err
	}
	for _, e := range erased {
		if err := tree.Erase(ctx, e.Event, e.At, e.Reason); err != nil {
			return err
		}
	}
	return nil
}

func removeDatabase(path string) error {
	for _, suffix := range []string{"", "-wal", "-shm", treestore.LeavesSuffix} {
		if err := os.Remove(path + suffix); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("evidence: %w", err)
		}
	}
	return nil
}
