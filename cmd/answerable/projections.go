package main

import (
	"errors"

	"github.com/answerable-ledger/answerable/projections"
)

type projectionsCmd struct {
	List  projectionsListCmd  `cmd:"" help:"Where the views stand, and which streams are parked."`
	Retry projectionsRetryCmd `cmd:"" help:"Apply what is parked, now that the cause was mended."`
}

type projectionsListCmd struct {
	dataFlag
	JSON bool `name:"json" help:"Print one JSON object."`
}

func (projectionsListCmd) Help() string {
	return `Lists the generations of the views with how far they have come, and the streams that hold an event which could not be applied: their units are shown as not determinable. Exits with 1 when there are such streams. Works while the server runs.

Example:
  answerable projections list --data ./ledger`
}

func (c projectionsListCmd) Run(a *app) error {
	return c.read(a, func(n *node) error { return c.list(a, n) })
}

func (c projectionsListCmd) list(a *app, n *node) (err error) {
	views, err := a.openVerifier(n)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, views.Close()) }()
	generations, err := views.Generations(a.ctx)
	if err != nil {
		return err
	}
	lag, err := views.Lag(a.ctx)
	if err != nil {
		return err
	}
	parked, err := views.Parked(a.ctx)
	if err != nil {
		return err
	}
	if c.JSON {
		err = a.printJSON(map[string]any{"generations": generations, "lag": lag, "parked": parked})
	} else {
		err = a.showProjections(generations, lag, parked)
	}
	if err == nil && len(parked) > 0 {
		err = errFailed
	}
	return err
}

func (a *app) showProjections(generations []projections.Generation, lag projections.Lag, parked []projections.ParkedStream) error {
	t := a.table()
	t.row(a.say("BẢNG", "VIEWS"), a.say("TRẠNG THÁI", "STATE"), a.say("PHIÊN BẢN", "VERSION"), a.say("VỊ TRÍ", "POSITION"), a.say("SỰ KIỆN", "EVENTS"))
	for _, g := range generations {
		t.row(g.Number, a.say(map[string]string{"live": "đang dùng", "previous": "trước đó", "building": "đang dựng", "written": "đã dựng"}[g.State], g.State), g.Version, g.Place, g.Events)
	}
	if err := t.flush(); err != nil {
		return err
	}
	a.printf("Chậm hơn sổ %d sự kiện, %.1f giây; sổ ở vị trí %s.\n", "Behind the log by %d events, %.1f seconds; the log is at position %s.\n", lag.Events, lag.Seconds, lag.HeadAt)
	for _, p := range parked {
		a.printf("tạm dừng: %s từ bản ghi %d (%s, sự kiện %s, vị trí %s), %d đang chờ: %s\n", "parked: %s from revision %d on (%s, event %s, position %s), %d waiting: %s\n",
			p.Stream, p.Revision, p.Kind, p.EventID, p.Place, p.Waiting, p.Error)
	}
	return nil
}

type projectionsRetryCmd struct{ dataFlag }

func (projectionsRetryCmd) Help() string {
	return `Folds the log anew and switches to the result, so that what waited takes the place it would have had. A stream whose event still cannot be applied stays parked, and the exit code is 1. Works while the server runs.

Example:
  answerable projections retry --data ./ledger`
}

func (c projectionsRetryCmd) Run(a *app) (err error) {
	dir, err := c.dir(a)
	if err != nil {
		return err
	}
	n, err := a.openViewsBeside(a.ctx, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, n.close()) }()
	freed, err := n.views.RetryParked(a.ctx)
	if err != nil {
		return err
	}
	left, err := n.views.Parked(a.ctx)
	if err != nil {
		return err
	}
	a.printf("%d luồng đã được áp dụng, %d còn tạm dừng.\n", "%d streams were applied, %d are still parked.\n", freed, len(left))
	if len(left) > 0 {
		return errFailed
	}
	return nil
}
