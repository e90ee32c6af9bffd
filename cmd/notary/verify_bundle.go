package main

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/answerable-ledger/answerable/transparency"
)

// bundle verifies a bundle of evidence.
func (c *verifyCmd) bundle(e *env, p *transparency.Policy, raw []byte) error {
	if c.Opening != "" || !c.NotAfter.IsZero() {
		return fmt.Errorf("--opening and --not-after are for single receipts: unpack the bundle for that: %w", errUsage)
	}
	s, err := c.policy()
	if err != nil {
		return err
	}
	b := newBundle(p, s)
	if err := b.check(raw); err != nil {
		return e.fault(err)
	}
	if !c.Forget {
		dir, err := stateDir(c.State, e.getenv)
		if err != nil {
			return err
		}
		for _, h := range b.heads {
			if err := (memory{dir}).add(h.Judged, h.note); errors.Is(err, transparency.ErrFork) {
				return e.fault(err)
			} else if err != nil {
				fmt.Fprintln(e.err, "notary:", err)
				break
			}
		}
	}
	wanted := transparency.Logged
	if p.WantsWitnesses() {
		wanted = transparency.Witnessed
	}
	r := b.r
	if !e.json {
		e.printBundle(r, wanted)
	} else if err := json.NewEncoder(e.out).Encode(map[string]any{
		"ok": r.Level >= wanted, "verdict": r.Level.String(), "wanted": wanted.String(), "origin": r.Manifest.Origin, "unit": r.Manifest.Unit,
		"from": r.Manifest.From, "to": r.Manifest.To, "entries": len(r.Manifest.Entries), "opened": r.Opened, "judged": r.Judged,
		"sign_offs": r.Signed.SignOffs, "signed": r.Signed.Signed, "filings_signed": r.Signed.Filed, "signatures_not_judged": r.Signed.Unjudged, "answers": r.Answers,
	}); err != nil {
		return err
	}
	if r.Level < wanted {
		return errFailed
	}
	return nil
}

func (e *env) printBundle(r bundleReport, wanted transparency.Level) {
	w := e.words
	switch {
	case r.Level >= transparency.Witnessed:
		fmt.Fprintf(e.out, w.bundleWitnessed+"\n", len(r.Manifest.Entries))
	case r.Level >= wanted:
		fmt.Fprintf(e.out, w.bundleLogged+"\n", len(r.Manifest.Entries))
	default:
		fmt.Fprintf(e.out, w.bundlePending+"\n", len(r.Manifest.Entries))
	}
	row := func(name, value string) { fmt.Fprintf(e.out, "  %s: %s\n", name, value) }
	row(w.log, r.Manifest.Origin)
	row(w.bundleAbout, fmt.Sprintf("%s, %s – %s", r.Manifest.Unit, r.Manifest.From, r.Manifest.To))
	row(w.opened, fmt.Sprint(r.Opened))
	j := r.Judged
	row(w.judged, fmt.Sprintf(w.judgedOf, j.Obligations, j.OnTime, j.Late, j.Missing, j.Exempt, j.Unknown))
	e.printSigned(r.Signed)
	row(w.bundleAnswers, fmt.Sprint(r.Answers))
}
