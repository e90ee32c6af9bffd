package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/answerable-ledger/answerable/api"
	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/eventlog"
	"github.com/answerable-ledger/answerable/schemas"
	"github.com/answerable-ledger/answerable/transparency/treestore"
)

type exportCmd struct {
	dataFlag
	Log      string `help:"Write the transparency log as static files into this directory instead: what any web server can serve and 'notary audit' checks." placeholder:"DIR"`
	Openings string `help:"Write the opening of every event into this file instead: with them 'notary audit' judges every deadline again. It holds all content; give it to nobody but those entitled to it." placeholder:"FILE"`
	bundleFlags
	Output string `short:"o" help:"File to write; '-' is standard output." default:"-" placeholder:"FILE"`
}

func (exportCmd) Help() string {
	return `One CloudEvents 1.0 object per line, in the order of the log. "data" holds the recorded bytes of the fact, unchanged. Works while the server runs.

Example:
  answerable export --data ./ledger -o events.ndjson
  answerable export --data ./ledger --log ./log
  answerable export --data ./ledger --evidence --unit 25900 --from 2021-02-08 --to 2021-02-10 -o ho-so.zip`
}

func (c exportCmd) Run(a *app) error {
	return c.read(a, func(n *node) error {
		switch {
		case c.Log != "":
			return a.exportLog(n, c.Log)
		case c.Openings != "":
			return a.exportOpenings(n, c.Openings)
		case c.Evidence:
			return a.exportBundle(n, c.bundleFlags, c.Output)
		}
		return c.events(a, n.log)
	})
}

func (c exportCmd) events(a *app, log eventlog.Log) (err error) {
	var out io.Writer = a.stdio.out
	if c.Output != "-" {
		f, err := os.Create(c.Output)
		if err != nil {
			return err
		}
		defer func() {
			if cerr := f.Close(); cerr != nil && err == nil {
				err = cerr
			}
		}()
		out = f
	}
	w := bufio.NewWriterSize(out, 1<<20)
	err = eachEvent(a.ctx, log, func(e eventlog.Recorded) error {
		c, err := api.NewCloudEvent(e)
		if err != nil {
			return err
		}
		line, err := c.Marshal()
		if err != nil {
			return err
		}
		_, err = w.Write(append(line, '\n'))
		return err
	})
	if err != nil {
		return err
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("export: %w", err)
	}
	if f, ok := out.(*os.File); ok && c.Output != "-" {
		return f.Sync()
	}
	return nil
}

// exportLog writes the log's public files, with the policy beside them.
func (a *app) exportLog(n *node, to string) (err error) {
	r, err := a.mustEvidenceReader(a.ctx, n.dir, n.log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.tree.Close()) }()
	if err := treestore.Export(a.ctx, r.tree, to, nil); err != nil {
		return err
	}
	latest, _, err := r.tree.Latest(a.ctx)
	if err != nil {
		return err
	}
	a.printf("Đã xuất %d bản ghi vào %s. Kiểm tra: notary audit %s --policy %s\n", "Wrote %d entries to %s. Check them: notary audit %s --policy %s\n",
		latest.Size, to, shellQuote(to), shellQuote(r.place.path(r.place.Policy)))
	return nil
}

func decodeEvent(e eventlog.Recorded) (domain.Fact, error) {
	return schemas.Decode(sourceOf(e))
}

func sourceOf(e eventlog.Recorded) schemas.Source {
	return schemas.Source{Stream: e.Stream, Revision: e.Revision, RecordedAt: e.RecordedAt,
		Stored: schemas.Stored{ID: e.ID, Kind: e.Kind, Data: e.Data, Meta: e.Meta}}
}
