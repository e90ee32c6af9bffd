package main

import (
	"context"
	"errors"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/answerable-ledger/answerable/projections"
)

type rebuildCmd struct {
	dataFlag
	Accept       bool `help:"Switch also when the new views change what no release declares."`
	DryRun       bool `help:"Compare, show what differs, and write nothing."`
	Parked       bool `help:"Streams that are parked may stay parked; otherwise the event that cannot be applied stops the rebuild."`
	Fresh        bool `help:"Begin anew, also where a rebuild that was interrupted could be gone on with."`
	Undo         bool `help:"Go back to the previous views, which have followed the log."`
	DropPrevious bool `help:"Remove the previous views; their room is free, and there is nothing to go back to."`
	JSON         bool `name:"json" help:"Print a line of JSON for each step, each difference and the result."`
	Verify       bool `help:"First compare every event with its entry in the transparency log, and fold nothing that differs."`
	Tree         bool `help:"Make the tree of the transparency log again instead of the views."`
}

func (rebuildCmd) Help() string {
	return `Makes the views again from the log, beside those that are there. A server goes on reading and writing meanwhile, and then takes the new ones. They are compared with the present ones first: each row and figure that differs is listed, and what no release declares needs --accept. May be interrupted or killed at any instant; then nothing has changed, and once the new views are written the next rebuild with the same options goes on with them. The present views are kept, and follow, until the next rebuild.

Examples:
  answerable rebuild --data ./ledger
  answerable rebuild --data ./ledger --dry-run
  answerable rebuild --data ./ledger --undo`
}

func (c rebuildCmd) Validate() error {
	n := 0
	for _, set := range []bool{c.Undo, c.DropPrevious, c.Tree, c.DryRun} {
		if set {
			n++
		}
	}
	if n > 1 || c.Accept && n > 0 {
		return usagef("--undo, --drop-previous, --tree, --dry-run and --accept exclude each other")
	}
	return nil
}

func (c rebuildCmd) Run(a *app) (err error) {
	dir, err := c.dir(a)
	if err != nil {
		return err
	}
	if c.Tree {
		return a.rebuildTreeOf(dir)
	}
	n, err := a.openViewsBeside(a.ctx, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, n.close()) }()
	if c.Verify {
		if _, err := a.verifyEvidence(a.ctx, dir, n.log); err != nil {
			return err
		}
	}
	switch {
	case c.Undo:
		if err := n.views.Undo(a.ctx); err != nil {
			return err
		}
		a.printf("Đã trở lại các bảng tổng hợp trước, ở vị trí %s.\n", "Back to the previous views, at position %s.\n", n.views.Position())
		return nil
	case c.DropPrevious:
		if err := n.views.DropPrevious(a.ctx); err != nil {
			return err
		}
		a.printf("Đã bỏ các bảng tổng hợp trước.\n", "Removed the previous views.\n")
		return nil
	}
	show := &rebuildShown{a: a, json: c.JSON}
	started := a.now()
	found, err := n.views.RebuildWith(a.ctx, projections.RebuildOptions{Accept: c.Accept, DryRun: c.DryRun, Parked: c.Parked, Fresh: c.Fresh || c.Verify, Progress: show.at, Differs: show.differs, Former: show.former})
	show.done()
	if c.JSON {
		return errors.Join(show.result(found, err), err)
	}
	if found.Place != "" {
		a.printf("Đã so sánh %d dòng ở vị trí %s: %d khác biệt đã khai báo, %d chưa khai báo.\n",
			"Compared %d rows at position %s: %d declared differences, %d that are not.\n", found.Rows, found.Place, found.Declared, found.Undeclared)
	}
	if err != nil || c.DryRun {
		return err
	}
	a.printf("Đã dựng lại từ các sự kiện đến vị trí %s trong %s.\n", "Made again from the events up to position %s in %s.\n", n.views.Position(), a.now().Sub(started).Round(time.Millisecond))
	return nil
}

// rebuildTreeOf makes the tree of the transparency log again, which needs the log for itself.
func (a *app) rebuildTreeOf(dir string) (err error) {
	n, err := a.openExisting(a.ctx, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, n.close()) }()
	if err := a.rebuildTree(a.ctx, dir, n.log); err != nil {
		return err
	}
	a.printf("Đã dựng lại cây bằng chứng từ sổ.\n", "Made the tree again from the log.\n")
	return nil
}

// openViewsBeside opens the views of a ledger for replacing them, and its log for reading: a server may have both open.
func (a *app) openViewsBeside(ctx context.Context, dir string) (*node, error) {
	n, err := a.openToRead(ctx, dir)
	if err != nil {
		return nil, err
	}
	n.views, err = projections.Open(ctx, projections.Config{Path: a.inDatabase(dir, viewsFile), Log: n.log, Registry: n.registry, Logger: a.logger, Clock: a.now, Mend: true})
	if err != nil {
		return nil, errors.Join(inDir(dir, errors.Join(err, writable(dir))), n.close())
	}
	return n, nil
}

// rebuildShown shows a rebuild: a bar for each phase, and a line for each difference; or all of it as lines of JSON.
type rebuildShown struct {
	a     *app
	json  bool
	bar   *progress
	phase string
	said  time.Time
	err   error
}

func (s *rebuildShown) at(p projections.Progress) {
	begins := p.Phase != s.phase
	s.phase = p.Phase
	if s.json {
		if now := s.a.now(); begins || now.Sub(s.said) >= time.Second {
			s.said = now
			s.line(map[string]any{"progress": p})
		}
		return
	}
	done, total := p.Events, p.Total
	if p.AllRows > 0 {
		done, total = p.Rows, p.AllRows
	}
	if begins {
		s.done()
		s.bar = s.a.progress(s.a.rebuildPhase(p.Phase), max(total, 0))
	}
	s.bar.left = time.Duration(p.Left * float64(time.Second))
	if p.PerSecond > 0 { // what was done before the phase began does not count
		s.bar.started = s.a.now().Add(-time.Duration(float64(done) / p.PerSecond * float64(time.Second)))
	}
	s.bar.at(done)
}

func (s *rebuildShown) done() {
	if s.bar != nil {
		s.bar.done()
	}
}

func (s *rebuildShown) former(f projections.Former) {
	switch {
	case s.json:
		s.line(map[string]any{"former": f})
	case f.TakenOver:
		s.a.printf("Tiếp tục lần dựng lại bị ngắt trước đó: dùng lại các dòng của %d sự kiện, đến vị trí %s.\n", "Going on with a rebuild that was interrupted: its rows of %d events, up to position %s, are taken over.\n", f.Events, f.Place)
	default:
		s.a.printf("Một lần dựng lại trước đó bị ngắt; không dùng lại được gì của lần ấy (%s), bắt đầu lại từ đầu.\n", "An earlier rebuild was interrupted; nothing of it is taken over (%s), this one begins anew.\n", s.a.whyNotTakenOver(f.Why))
	}
}

func (s *rebuildShown) differs(c projections.Change) {
	if s.json {
		s.line(map[string]any{"differs": c})
		return
	}
	s.done()
	mark := s.a.say("khác", "differs")
	if c.Declared != "" {
		mark = s.a.say("khác, đã khai báo", "differs as declared")
	}
	s.a.printf("%s: %s\n", "%s: %s\n", mark, c)
}

func (s *rebuildShown) result(found projections.Comparison, err error) error {
	out := map[string]any{"ok": err == nil, "comparison": found}
	if err != nil {
		out["error"] = err.Error()
	}
	s.line(map[string]any{"result": out})
	return s.err
}

func (s *rebuildShown) line(v any) {
	text, err := json.Marshal(v, json.Deterministic(true), jsontext.Multiline(false))
	if err == nil {
		_, err = s.a.stdio.out.Write(append(text, '\n'))
	}
	s.err = errors.Join(s.err, err)
}

func (a *app) rebuildPhase(phase string) string {
	switch phase {
	case "read":
		return a.say("Đọc sổ", "Reading the log")
	case "compare":
		return a.say("So sánh", "Comparing")
	case "write":
		return a.say("Ghi", "Writing")
	case "index":
		return a.say("Lập chỉ mục", "Indexing")
	case "catch up":
		return a.say("Đuổi kịp", "Catching up")
	}
	return a.say("Chuyển", "Switching")
}

// whyNotTakenOver says why nothing of an earlier rebuild could be used: one of the reasons that projections gives.
func (a *app) whyNotTakenOver(why string) string {
	switch why {
	case "it ended before its rows were written":
		return a.say("lần ấy chưa ghi xong các dòng", why)
	case "its record cannot be read":
		return a.say("không đọc được ghi chép của lần ấy", why)
	case "another program wrote it":
		return a.say("do một bản chương trình khác ghi", why)
	case "other options were asked for":
		return a.say("lần này chọn khác", why)
	case "the views that it was compared with were replaced":
		return a.say("các bảng tổng hợp mà lần ấy đã so sánh đã được thay", why)
	case "it is ahead of the log":
		return a.say("lần ấy đi trước sổ", why)
	}
	return a.say("không mở được", why)
}
