package main

import (
	"errors"
	"time"

	"github.com/answerable-ledger/answerable/projections"
)

type rebuildCmd struct {
	dataFlag
	Verify bool `help:"First compare every event with its entry in the transparency log, and fold nothing that differs."`
	Tree   bool `help:"Make the tree of the transparency log again instead of the views."`
}

func (rebuildCmd) Help() string {
	return `For now nobody else may have the directory open for writing meanwhile.

Example:
  answerable rebuild --data ./ledger`
}

func (c rebuildCmd) Run(a *app) (err error) {
	dir, err := c.dir(a)
	if err != nil {
		return err
	}
	n, err := a.openExisting(a.ctx, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, n.close()) }()
	if c.Tree {
		if err := a.rebuildTree(a.ctx, dir, n.log); err != nil {
			return err
		}
		a.printf("Đã dựng lại cây bằng chứng từ sổ.\n", "Made the tree again from the log.\n")
		return nil
	}
	if c.Verify {
		if _, err := a.verifyEvidence(a.ctx, dir, n.log); err != nil {
			return err
		}
	}
	head, err := n.log.Head(a.ctx)
	if err != nil {
		return err
	}
	started := a.now()
	p := a.progress(a.say("Dựng lại", "Rebuilding"), a.total(head))
	err = n.views.Rebuild(a.ctx, func(q projections.Progress) { p.at(q.Events) })
	p.done()
	if err != nil {
		return err
	}
	took := a.now().Sub(started)
	a.printf("Đã dựng lại từ %s sự kiện trong %s.\n", "Made again from %s events in %s.\n", head, took.Round(time.Millisecond))
	return nil
}
