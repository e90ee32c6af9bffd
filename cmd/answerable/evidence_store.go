package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/google/uuid"
	"go.uber.org/zap"

	"github.com/answerable-ledger/answerable/internal/postgres"
	"github.com/answerable-ledger/answerable/transparency"
	"github.com/answerable-ledger/answerable/transparency/receipts"
	"github.com/answerable-ledger/answerable/transparency/sequencer"
	"github.com/answerable-ledger/answerable/transparency/treestore"
)

// tree is what this program asks of the store of the tree, wherever it lies.
type tree interface {
	sequencer.Tree
	receipts.Tree
	Erase(ctx context.Context, event uuid.UUID, at time.Time, reason string) error
	Erasures(ctx context.Context) ([]treestore.Erasure, error)
	Check(ctx context.Context, o treestore.CheckOptions) error
	Close() error
}

// guard is the second copy of the last signed checkpoint, held.
type guard interface {
	sequencer.Guard
	Close() error
}

// openTree opens a directory's tree: in the database, where one is set, or beside the log.
func (a *app) openTree(ctx context.Context, p evidencePlace, create bool) (tree, error) {
	o := p.treeOptions(create)
	if place := a.server(postgresURLKey); place != "" {
		o.Path = place
		t, err := treestore.OpenPostgres(ctx, o)
		if err != nil {
			return nil, err // not a tree of nothing
		}
		return t, nil
	}
	return openTreeFile(ctx, o)
}

func openTreeFile(ctx context.Context, o treestore.Options) (tree, error) {
	t, err := treestore.Open(ctx, o)
	if err != nil {
		return nil, err
	}
	return t, nil
}

// guardPlace is where the guard lies, as it may be shown.
func (a *app) guardPlace(p evidencePlace) string {
	if place := a.server(guardURLKey); place != "" {
		return hidePassword(place)
	}
	return p.path(p.Guard)
}

// createGuard makes the guard of a new log.
func (a *app) createGuard(ctx context.Context, p evidencePlace) error {
	place := a.server(guardURLKey)
	if place == "" {
		return p.createGuard()
	}
	if err := a.guardElsewhere(ctx, place); err != nil {
		return err
	}
	return treestore.CreatePostgresGuard(ctx, place, p.Origin, nil)
}

func (p evidencePlace) createGuard() error {
	if err := os.MkdirAll(filepath.Dir(p.path(p.Guard)), 0o700); err != nil {
		return fmt.Errorf("evidence: make a place for the guard; name another with --guard: %w", err)
	}
	return treestore.CreateGuard(p.path(p.Guard))
}

// guardElsewhere refuses a guard on the server of the tree: a backup of that server would put both back to the same state,
// and the guard is there to find out just that.
func (a *app) guardElsewhere(ctx context.Context, place string) error {
	tree := a.server(postgresURLKey)
	if tree == "" {
		return nil
	}
	var ids [2]string
	for i, at := range []string{place, tree} {
		var err error
		if ids[i], err = postgres.ServerID(ctx, at); err != nil {
			if postgres.Transient(err) {
				return fmt.Errorf("evidence: %w", err)
			}
			a.logger.Warn("whether the guard lies on another server than the tree cannot be seen", zap.Error(err))
			return nil
		}
	}
	if ids[0] == ids[1] {
		return usagef("settings %s and %s name one server, or copies of one: a backup put back there would put back the guard too, which is what finds that out; give the guard a server of its own", guardURLKey, postgresURLKey)
	}
	return nil
}

// openGuard holds the guard. A file that lies where the guard was, or where an operator put the newest checkpoint anybody
// had after the guard's server was lost, is taken into a database that has none of this log, and renamed: an old one must
// never be taken for the guard again.
func (a *app) openGuard(ctx context.Context, p evidencePlace) (guard, error) {
	place, file := a.server(guardURLKey), p.path(p.Guard)
	if place == "" {
		g, err := treestore.OpenGuard(file)
		if err != nil {
			return nil, err
		}
		return g, nil
	}
	if err := a.guardElsewhere(ctx, place); err != nil {
		return nil, err
	}
	g, err := treestore.OpenPostgresGuard(ctx, place, p.Origin)
	if errors.Is(err, os.ErrNotExist) {
		if _, serr := os.Stat(file); serr != nil {
			return nil, fmt.Errorf("%w. If it is lost for good, put into the file %s the newest checkpoint of this log that anybody holds (a witness serves it, every receipt ends with one): it is taken from there", err, file)
		}
		if err := a.moveGuard(ctx, p, place); err != nil {
			return nil, err
		}
		g, err = treestore.OpenPostgresGuard(ctx, place, p.Origin)
	}
	if err != nil {
		return nil, err
	}
	if err := setAside(file); err != nil {
		return nil, errors.Join(err, g.Close())
	}
	return g, nil
}

// moveGuard takes the file of the guard into the database. Its lock keeps away a process that still signs with the file.
func (a *app) moveGuard(ctx context.Context, p evidencePlace, place string) error {
	old, err := treestore.OpenGuard(p.path(p.Guard))
	if err != nil {
		return err
	}
	last := old.Last()
	if len(last) > 0 {
		policy, perr := p.readPolicy()
		n, nerr := transparency.ParseNote(last)
		if err = errors.Join(perr, nerr); err == nil {
			_, err = transparency.VerifyLog(n, policy.LogKeys())
		}
	}
	if err == nil {
		err = treestore.CreatePostgresGuard(ctx, place, p.Origin, last)
	}
	if err = errors.Join(err, old.Close()); err != nil {
		return fmt.Errorf("evidence: the guard %s: %w", p.path(p.Guard), err)
	}
	a.logger.Info("the guard was taken into its database", zap.String("from", p.path(p.Guard)), zap.String("to", hidePassword(place)))
	return nil
}

// setAside renames a file that was taken over, where there is one.
func setAside(file string) error {
	err := os.Rename(file, file+".moved")
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("evidence: set aside what was taken over: %w", err)
	}
	return syncPath(filepath.Dir(file))
}

// lastSigned is the last signed checkpoint as the guard has it, also while another process holds it.
func (a *app) lastSigned(ctx context.Context, p evidencePlace) ([]byte, error) {
	if place := a.server(guardURLKey); place != "" {
		return treestore.ReadPostgresGuard(ctx, place, p.Origin)
	}
	b, err := os.ReadFile(p.path(p.Guard))
	if err != nil {
		return nil, fmt.Errorf("evidence: the guard: %w", err)
	}
	return b, nil
}

// takeTreeFile brings into a tree in the database what only the file of a directory's former tree holds: checkpoints with
// their cosignatures, and what was erased. The leaves are made from the log. It may be killed at any instant: the file is
// set aside in the end, and what was brought is not brought twice.
func (a *app) takeTreeFile(ctx context.Context, p evidencePlace, into tree, policy *transparency.Policy) error {
	if a.server(postgresURLKey) == "" {
		return nil
	}
	o := p.treeOptions(false)
	if _, err := os.Stat(o.Path); err != nil {
		return nil // the usual case
	}
	old, err := openTreeFile(ctx, o)
	if err != nil {
		return fmt.Errorf("evidence: the former tree %s cannot be read; its checkpoints would be lost: mend it, or take the file away: %w", o.Path, err)
	}
	taken, err := a.carryOver(ctx, old, into, policy)
	if err = errors.Join(err, old.Close()); err != nil {
		return err
	}
	for _, suffix := range []string{"-wal", "-shm", treestore.LeavesSuffix, ""} { // the file itself last: it is what is looked for
		if err := setAside(o.Path + suffix); err != nil {
			return err
		}
	}
	a.logger.Info("the tree's checkpoints were taken into the database", zap.String("from", o.Path), zap.Int("checkpoints", taken))
	return nil
}

// carryOver brings checkpoints with their cosignatures, each checked against the new tree, and the notes of what was erased.
func (a *app) carryOver(ctx context.Context, old, into tree, policy *transparency.Policy) (taken int, err error) {
	erased, err := old.Erasures(ctx)
	if err != nil {
		return 0, err
	}
	for _, e := range erased {
		if err := into.Erase(ctx, e.Event, e.At, e.Reason); err != nil {
			return 0, err
		}
	}
	for skip := int64(0); ; {
		kept, err := old.Checkpoints(ctx, skip, 256)
		if err != nil {
			return taken, err
		}
		for _, c := range kept {
			j, err := policy.Judge(c.Note)
			if err != nil || j.Size > into.Size() {
				a.printf("Bỏ qua mốc %d: %v\n", "Left out the checkpoint of size %d: %v\n", c.Size, err)
				continue
			}
			root, err := into.Root(ctx, j.Size)
			if err != nil {
				return taken, err
			}
			if root != j.Root {
				return taken, fmt.Errorf("evidence: the checkpoint of size %d was signed for another tree:\n%s%w", c.Size, c.Note.Marshal(), transparency.ErrFork)
			}
			if err := into.SaveCheckpoint(ctx, c.Note, c.SignedAt); err != nil {
				return taken, err
			}
			taken++
		}
		if skip += int64(len(kept)); len(kept) < 256 {
			return taken, nil
		}
	}
}
