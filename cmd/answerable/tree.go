package main

import (
	"context"
	"errors"
	"fmt"
	"os"

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
	path := r.guardShown
	latest, signed, err := r.tree.Latest(ctx) // before the guard, which is swapped first: what is signed meanwhile is no disagreement
	if err != nil {
		return err
	}
	b, err := r.lastSigned(ctx)
	if err != nil {
		return err
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
	guard, err := a.openGuard(ctx, p)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, guard.Close()) }()
	made, replace, err := a.remakeTree(ctx, p)
	if err != nil {
		return err
	}
	err = a.fillTree(ctx, p, made, sequencer.Options{Log: log, Tree: made, Guard: guard, Header: leafHeader, Salts: k.salt, Keys: k.sign, Retired: policy.LogKeys(), Clock: a.now}, policy)
	if err != nil {
		return errors.Join(err, made.Close())
	}
	return replace()
}

// remakeTree makes an empty tree beside the one that is there; replace has it take that one's place, and closes it.
func (a *app) remakeTree(ctx context.Context, p evidencePlace) (made tree, replace func() error, err error) {
	o := p.treeOptions(true)
	if place := a.server(postgresURLKey); place != "" {
		o.Path = place
		t, err := treestore.RemakePostgres(ctx, o)
		if err != nil {
			return nil, nil, err
		}
		return t, func() error { return t.Replace(ctx) }, nil
	}
	path := o.Path
	o.Path += ".new"
	if err := removeDatabase(o.Path); err != nil {
		return nil, nil, err
	}
	if made, err = openTreeFile(ctx, o); err != nil {
		return nil, nil, err
	}
	return made, func() error {
		if err := made.Close(); err != nil {
			return err
		}
		if err := removeDatabase(path); err != nil {
			return err
		}
		// The leaves first: without the database they are nothing, and the next start makes both again.
		for _, suffix := range []string{treestore.LeavesSuffix, ""} {
			if err := os.Rename(o.Path+suffix, path+suffix); err != nil {
				return fmt.Errorf("evidence: %w", err)
			}
		}
		return syncPath(p.dir)
	}, nil
}

func (a *app) fillTree(ctx context.Context, p evidencePlace, made tree, o sequencer.Options, policy *transparency.Policy) error {
	s, err := sequencer.New(ctx, o)
	if err != nil {
		return err
	}
	if err := s.CatchUp(ctx); err != nil {
		return err
	}
	if err := a.takeTreeFile(ctx, p, made, policy); err != nil {
		return err
	}
	old, err := a.openTree(ctx, p, false)
	switch {
	case errors.Is(err, eventlog.ErrUnavailable):
		return err
	case err != nil:
		a.printf("Không đọc được cây cũ (%v): các mốc đã có nhân chứng trước đây bị mất, hãy lấy lại từ bản xuất.\n",
			"The old tree cannot be read (%v): the cosignatures it held are lost here; an export may have them.\n", err)
		return nil
	}
	defer old.Close() //nolint:errcheck // only read
	_, err = a.carryOver(ctx, old, made, policy)
	return err
}

func removeDatabase(path string) error {
	for _, suffix := range []string{"", "-wal", "-shm", treestore.LeavesSuffix} {
		if err := os.Remove(path + suffix); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("evidence: %w", err)
		}
	}
	return nil
}
