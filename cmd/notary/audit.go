package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/answerable-ledger/answerable/transparency"
)

type auditCmd struct {
	Log      string        `arg:"" help:"Address of the log, or folder of an export."`
	Policy   string        `required:"" help:"Whose word counts: keys of the log and of its witnesses, and the quorum."`
	Openings []string      `name:"opening" help:"A file of openings, or a folder of *.opening.json; may be given more than once."`
	Skew     time.Duration `help:"How far the clocks of ledger and witnesses may be apart." default:"10s"`
	State    string        `help:"Folder where checkpoints seen are remembered."`
	Forget   bool          `help:"Neither use nor keep the memory of checkpoints seen."`

	signers `embed:""`
}

func (c *auditCmd) Run(ctx context.Context, e *env) error {
	p, err := readPolicy(c.Policy)
	if err != nil {
		return err
	}
	signers, err := c.policy()
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
	j := newJudge(c.Skew)
	var keys logKeys
	heads := map[int64]head{}
	o.Checkpoint = func(j transparency.Judged, n transparency.Note) { heads[j.Size] = head{j, n} }
	made := newSignatures(signers, func(size int64) (string, bool) {
		h, ok := heads[size]
		return h.Root.String(), ok
	})
	o.Each = func(index int64, l *transparency.Leaf, opened []transparency.Opening) error {
		payload := shownPayload(opened)
		if err := keys.take(index, l, payload); err != nil {
			return err
		}
		if err := made.takeLeaf(index, l, payload); err != nil {
			return err
		}
		return j.take(index, l, opened)
	}
	r, err := transparency.Audit(ctx, f, o)
	for _, size := range slices.Sorted(maps.Keys(heads)) {
		if err == nil {
			err = keys.check(size, heads[size].note)
		}
	}
	if err == nil {
		err = made.finish()
	}
	if err == nil {
		err = j.finish()
	}
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
			"opened": r.Opened, "unknown_keys": r.Unknown, "kinds": j.kinds, "judged": j.sum, "signatures": made.sum,
			"log_keys": map[string]any{"recorded": len(keys.keys), "in_use": keys.inUse(), "not_in_policy": keys.unnamed(p)},
		}); err != nil {
			return err
		}
	} else {
		e.printAudit(r, p, j.sum)
		if made.sum != (signatureSum{}) {
			e.printSigned(made.sum)
		}
		e.printKeys(&keys, p)
	}
	if unwitnessed {
		return errFailed
	}
	return nil
}

func (e *env) printAudit(r transparency.AuditReport, p *transparency.Policy, j judged) {
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
	if j.Days > 0 {
		row(w.daysJudged, fmt.Sprintf(w.daysOf, j.Days, j.Closed))
		row(w.judged, fmt.Sprintf(w.judgedOf, j.Obligations, j.OnTime, j.Late, j.Missing, j.Exempt, j.Unknown))
	}
	if j.UnopenedDays > 0 {
		row(w.daysNotShown, fmt.Sprint(j.UnopenedDays))
	}
}

func (e *env) printKeys(k *logKeys, p *transparency.Policy) {
	w := e.words
	if len(k.keys) > 0 {
		fmt.Fprintf(e.out, "  %s: %s\n", w.logKeys, fmt.Sprintf(w.logKeysOf, len(k.keys), k.inUse()))
	}
	for _, key := range k.unnamed(p) {
		fmt.Fprintf(e.out, "  %s: %s\n", w.logKeyUnnamed, key)
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
			f, err := os.Open(file)
			if err != nil {
				return nil, fmt.Errorf("%w: %w", err, errUsage)
			}
			some, err := decodeOpenings(f)
			f.Close()
			if err != nil {
				return nil, fmt.Errorf("%s: %w", file, err)
			}
			out = append(out, some...)
		}
	}
	return out, nil
}

// readOpening reads a file of one opening.
func readOpening(text []byte) (*transparency.Opening, error) {
	o := new(transparency.Opening)
	if err := json.Unmarshal(text, o); err != nil {
		return nil, fmt.Errorf("opening: %w: %w", err, transparency.ErrMalformed)
	}
	return o, nil
}

// decodeOpenings reads a file of openings, which may hold many, one after the other.
func decodeOpenings(r io.Reader) (out []transparency.Opening, err error) {
	for d := json.NewDecoder(r); ; {
		var o transparency.Opening
		switch err := d.Decode(&o); {
		case err == io.EOF:
			return out, nil
		case err != nil:
			return nil, fmt.Errorf("opening %d: %w: %w", len(out)+1, err, transparency.ErrMalformed)
		}
		out = append(out, o)
	}
}
