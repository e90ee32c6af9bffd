package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/answerable-ledger/answerable/bench"
)

type benchCmd struct {
	Only    []string      `help:"Only these parts: append, rush, replay, query, grid, engines." enum:"append,rush,replay,query,grid,engines" placeholder:"PART"`
	Events  int           `help:"Events of the replayed log." default:"1000000"`
	Units   int           `help:"Units of the rush at the deadline." default:"11000"`
	Callers int           `help:"Connections of the rush." default:"256"`
	During  time.Duration `help:"How long each append measurement runs." default:"2s"`
	Rounds  int           `help:"Times each pair is measured in turn; the median is reported." default:"3"`
	Out     string        `help:"Also write bench.json and a line of results.md into this directory." placeholder:"DIR"`
	Dir     string        `help:"Where the measured files lie; a directory on the disk in question." placeholder:"DIR"`
	JSON    bool          `name:"json" help:"Print one JSON object."`
}

func (benchCmd) Help() string {
	return `Every number stands beside a limit that was taken in the same run on the same machine: appends beside a bare write-and-fdatasync loop of the same bytes, the rush beside a handler that only answers, the replay beside decoding alone, reads during a rebuild beside reads without one. The part engines measures the embedded views, and those on PostgreSQL where ANSWERABLE_POSTGRES_URL names an empty database. Nothing here is a test.

Examples:
  answerable bench --only append --during 1s
  answerable bench --only grid
  answerable bench --out bench
  ANSWERABLE_POSTGRES_URL=postgres://… answerable bench --only engines --out bench`
}

func (c benchCmd) Run(a *app) error {
	if c.Rounds < 1 || c.Units < 1 || c.Callers < 1 || c.Events < 1000 {
		return usagef("bench: --rounds, --units and --callers are at least 1, --events at least 1000")
	}
	postgres, _ := a.settings.at(postgresURLKey, "")
	r, err := bench.Run(a.ctx, bench.Options{Only: c.Only, Events: c.Events, Units: c.Units, Callers: c.Callers, During: c.During, Rounds: c.Rounds,
		Dir: c.Dir, Postgres: postgres, Version: version(), Clock: a.now, Logger: a.logger,
		Progress: func(what string, total int64) (func(int64), func()) {
			p := a.progress(what, total)
			return p.at, p.done
		}})
	if errors.Is(err, bench.ErrHoldsViews) {
		return usagef("%s holds views already: name an empty database", hidePassword(postgres))
	}
	if err != nil {
		return err
	}
	if c.Out != "" {
		if err := r.Record(c.Out); err != nil {
			return err
		}
	}
	if c.JSON {
		return a.printJSON(r)
	}
	fmt.Fprint(a.stdio.out, r.Text(a.say))
	return nil
}
