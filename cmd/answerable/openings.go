package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/answerable-ledger/answerable/eventlog"
	"github.com/answerable-ledger/answerable/transparency"
)

// exportOpenings writes the opening of every event whose content was not erased, one on a line: what an inspector needs to
// have every deadline judged again. It is all that the ledger knows, so the file is its owner's alone.
func (a *app) exportOpenings(n *node, to string) (err error) {
	r, err := a.mustEvidenceReader(a.ctx, n.dir, n.log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.tree.Close()) }()
	latest, ok, err := r.tree.Latest(a.ctx)
	if err != nil {
		return err
	}
	if !ok {
		return fmt.Errorf("export openings: %w", transparency.ErrNotYet)
	}
	f, err := os.OpenFile(to, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	w := bufio.NewWriterSize(f, 1<<20)
	var done, left int64
	err = eachEvent(a.ctx, n.log, func(e eventlog.Recorded) error {
		if done == latest.Size { // what no checkpoint covers yet an audit does not see
			return nil
		}
		done++
		o, err := r.desk.Opening(a.ctx, e)
		if errors.Is(err, transparency.ErrErased) {
			left++
			return nil
		}
		if err != nil {
			return err
		}
		line, err := json.Marshal(o)
		if err != nil {
			return err
		}
		_, err = w.Write(append(line, '\n'))
		return err
	})
	if err == nil {
		err = w.Flush()
	}
	if err == nil {
		err = f.Sync()
	}
	if err != nil {
		return fmt.Errorf("export openings: %w", err)
	}
	a.printf("Đã ghi nội dung của %d sự kiện vào %s; %d đã bị xóa theo quy định.\n", "Wrote the openings of %d events to %s; %d were erased on purpose.\n", done-left, to, left)
	return nil
}
