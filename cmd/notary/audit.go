package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/answerable-ledger/answerable/transparency"
)

type auditCmd struct {
	Log      string        `arg:"" help:"Address of the log, or folder of an export."`
	Policy   string        `required:"" help:"Whose word counts: keys of the log and of its witnesses, and the quorum."`
	Openings []string      `name:"opening" help:"An opening, or a folder of *.opening.json; may be given more than once."`
	Skew     time.Duration `help:"How far the clocks of ledger and witnesses may be apart." default:"10s"`
	State    string        `help:"Folder where checkpoints seen are remembered."`
	Forget   bool          `help:"Neither use nor keep the memory of checkpoints seen."`
}

func (c *auditCmd) Run(ctx context.Context, e *env) error {
	p, err := readPolicy(c.Policy)
	if err != nil {
		return err
	}
	o := transparency.AuditOptions{Policy: p, Skew: c.Skew}
	if o.Openings, err = readOpenings(c.Openings); err != nil {
		return e.fault(err)
	}
	var m memory
	if !c.Forget {
		if m.dir, err = stateDir(c.State, e.getenv); err != nil {
			return err
		}
	}
	f, err := fetcher(c.Log)
	if err != nil {
		return err
	}
	// The memory is by the log's name, which the policy gives.
	for _, l := range p.Logs {
		seen, err := m.seen(l.Key.Name)
		if err != nil {
			return err
		}
		if len(seen) > 0 && len(o.Pinned) == 0 {
			o.Pinned = seen
		}
	}
	var guess guesses
	o.Each = guess.take
	r, err := transparency.Audit(ctx, f, o)
	if err != nil {
		return e.fault(err)
	}
	if err := m.set(r.Latest.Origin, []transparency.Note{r.LatestNote}); err != nil {
		fmt.Fprintln(e.err, "notary:", err)
	}
	unwitnessed := p.WantsWitnesses() && r.Covered == 0 && r.Latest.Size > 0
	if e.json {
		if err := json.NewEncoder(e.out).Encode(map[string]any{
			"ok": !unwitnessed, "origin": r.Latest.Origin, "size": r.Latest.Size, "root": r.Latest.Root.String(), "streams": r.Streams,
			"checkpoints": r.Checkpoints, "witnessed_checkpoints": r.Witnessed, "witnessed_size": r.Covered,
			"opened": r.Opened, "unknown_keys": r.Unknown, "kinds": guess.kinds,
		}); err != nil {
			return err
		}
	} else {
		e.printAudit(r, p)
	}
	if unwitnessed {
		return errFailed
	}
	return nil
}

// guesses counts what passes by, for the summary.
type guesses struct{ kinds map[string]int64 }

func (g *guesses) take(_ int64, l transparency.Leaf) error {
	if g.kinds == nil {
		g.kinds = map[string]int64{}
	}
	g.kinds[l.Kind]++
	return nil
}

func (e *env) printAudit(r transparency.AuditReport, p *transparency.Policy) {
	w := e.words
	switch {
	case !p.WantsWitnesses():
		fmt.Fprintf(e.out, w.auditNoWitness+"\n", r.Latest.Size)
	case r.Covered == r.Latest.Size:
		fmt.Fprintf(e.out, w.auditGood+"\n", r.Latest.Size)
	case r.Covered == 0:
		fmt.Fprintf(e.out, w.auditUnwitnessed+"\n", r.Latest.Size)
	default:
		fmt.Fprintf(e.out, w.auditPartly+"\n", r.Latest.Size, r.Covered)
	}
	row := func(name, value string) { fmt.Fprintf(e.out, "  %s: %s\n", name, value) }
	row(w.log, r.Latest.Origin)
	row(w.root, r.Latest.Root.String())
	row(w.streams, fmt.Sprint(r.Streams))
	row(w.checkpoints, fmt.Sprintf(w.checkpointsOf, r.Checkpoints, r.Witnessed))
	if r.Latest.Size > 0 {
		row(w.span, w.exactly(r.First)+" – "+w.exactly(r.Last))
	}
	if r.Latest.Witnessed {
		row(w.witnessedAt, w.at(r.Latest.By)+" – "+w.at(r.Latest.Since))
	}
	if r.Opened > 0 {
		row(w.opened, fmt.Sprint(r.Opened))
	}
	if r.Unknown > 0 {
		row(w.unknown, fmt.Sprint(r.Unknown))
	}
}

func fetcher(log string) (transparency.Fetcher, error) {
	if strings.HasPrefix(log, "http://") || strings.HasPrefix(log, "https://") {
		return transparency.FromURL(log, &http.Client{Timeout: time.Minute}), nil
	}
	if st, err := os.Stat(log); err != nil || !st.IsDir() {
		return nil, fmt.Errorf("%s is neither an address nor a folder: %w", log, errors.Join(err, errUsage))
	}
	return transparency.FromFS(os.DirFS(log)), nil
}

func readOpenings(paths []string) (out []transparency.Opening, err error) {
	for _, path := range paths {
		files := []string{path}
		if st, err := os.Stat(path); err == nil && st.IsDir() {
			if files, err = filepath.Glob(filepath.Join(path, "*.opening.json")); err != nil {
				return nil, err
			}
		}
		for _, file := range files {
			b, err := os.ReadFile(file)
			if err != nil {
				return nil, fmt.Errorf("%w: %w", err, errUsage)
			}
			var o transparency.Opening
			if err := json.Unmarshal(b, &o); err != nil {
				return nil, fmt.Errorf("%s: %w", file, err)
			}
			out = append(out, o)
		}
	}
	return out, nil
}
