package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/answerable-ledger/answerable/transparency"
)

type verifyCmd struct {
	Receipt  string    `arg:"" help:"The receipt (.tlog-proof), the bare entry handed out before the first checkpoint, or a bundle of evidence (.zip)."`
	Policy   string    `required:"" help:"Whose word counts: keys of the log and of its witnesses, and the quorum."`
	Opening  string    `help:"The opening (.opening.json) that shows the content."`
	NotAfter time.Time `help:"Ask whether the entry was in the log before this instant, such as 2021-09-24T15:00:00+07:00." format:"2006-01-02T15:04:05Z07:00"`
	State    string    `help:"Folder where checkpoints seen are remembered."`
	Forget   bool      `help:"Neither use nor keep the memory of checkpoints seen."`

	signers `embed:""` // of a bundle
}

func (c *verifyCmd) Run(e *env) error {
	p, err := readPolicy(c.Policy)
	if err != nil {
		return err
	}
	receipt, err := os.ReadFile(c.Receipt)
	if err != nil {
		return fmt.Errorf("%w: %w", err, errUsage)
	}
	if isBundle(receipt) {
		return c.bundle(e, p, receipt)
	}
	o := transparency.ReceiptOptions{NotAfter: c.NotAfter}
	if c.Opening != "" {
		b, err := os.ReadFile(c.Opening)
		if err != nil {
			return fmt.Errorf("%w: %w", err, errUsage)
		}
		if o.Opening, err = readOpening(b); err != nil {
			return e.fault(fmt.Errorf("%s: %w", c.Opening, err))
		}
	}
	v, err := transparency.VerifyReceipt(receipt, p, o)
	if err != nil {
		return e.fault(err)
	}
	if !c.Forget && v.Level > transparency.Recorded {
		dir, err := stateDir(c.State, e.getenv)
		if err != nil {
			return err
		}
		proof, err := transparency.ParseProof(receipt)
		if err != nil {
			return err
		}
		if err := (memory{dir}).add(v.Judged, proof.Checkpoint); errors.Is(err, transparency.ErrFork) {
			return e.fault(err)
		} else if err != nil {
			fmt.Fprintln(e.err, "notary:", err) // a memory that cannot be kept does not make the receipt worse
		}
	}
	wanted := transparency.Logged
	if p.WantsWitnesses() {
		wanted = transparency.Witnessed
	}
	if !c.NotAfter.IsZero() {
		wanted = transparency.ProvenBefore
	}
	if e.json {
		if err := e.printJSON(v, wanted, c.NotAfter); err != nil {
			return err
		}
	} else {
		e.printVerdict(v, o, p)
	}
	if v.Level < wanted {
		return errFailed
	}
	return nil
}

func (e *env) printVerdict(v transparency.ReceiptVerdict, o transparency.ReceiptOptions, p *transparency.Policy) {
	w := e.words
	switch {
	case v.Level == transparency.ProvenBefore:
		fmt.Fprintf(e.out, w.proven+"\n", w.at(o.NotAfter))
	case v.Level == transparency.Witnessed && !o.NotAfter.IsZero():
		fmt.Fprintf(e.out, w.witnessedNotProven+"\n", w.at(o.NotAfter), w.at(v.Judged.By.Add(time.Second)))
	case v.Level == transparency.Witnessed:
		fmt.Fprintf(e.out, w.witnessed+"\n", w.at(v.Judged.By.Add(time.Second)))
	case v.Level == transparency.Logged && p.WantsWitnesses():
		fmt.Fprintln(e.out, w.loggedNotWitnessed)
	case v.Level == transparency.Logged && !o.NotAfter.IsZero():
		fmt.Fprintf(e.out, w.loggedNotProven+"\n", w.at(o.NotAfter))
	case v.Level == transparency.Logged:
		fmt.Fprintln(e.out, w.logged)
	default:
		fmt.Fprintln(e.out, w.recorded)
	}
	row := func(name, value string) { fmt.Fprintf(e.out, "  %s: %s\n", name, value) }
	row(w.log, v.Leaf.Origin)
	row(w.event, fmt.Sprintf("%s, %s@%d", v.Leaf.Kind, v.Leaf.Stream, v.Leaf.Revision))
	if !v.Leaf.ReceivedAt.IsZero() {
		row(w.received, w.exactly(v.Leaf.ReceivedAt)+" "+w.ledgersClock)
	}
	row(w.recordedAt, w.exactly(v.Leaf.RecordedAt)+" "+w.ledgersClock)
	if v.Leaf.Actor != "" {
		row(w.actor, v.Leaf.Actor)
	}
	if v.Level > transparency.Recorded {
		row(w.entry, fmt.Sprintf(w.entryOf, v.Index, v.Judged.Size))
	}
	for _, c := range v.Judged.Cosigned {
		row(w.witness, fmt.Sprintf("%s, %s", c.Witness, w.at(c.First)))
	}
	if v.Judged.Unknown > 0 {
		row(w.unknown, fmt.Sprint(v.Judged.Unknown))
	}
	switch {
	case v.Opened && o.Opening.HasPayload:
		row(w.content, w.contentMatches)
		fmt.Fprintf(e.out, "    %s\n", o.Opening.Payload)
	case v.Opened:
		row(w.content, w.contentMatches)
	default:
		row(w.content, w.contentNotShown)
	}
}

func (e *env) printJSON(v transparency.ReceiptVerdict, wanted transparency.Level, notAfter time.Time) error {
	out := map[string]any{
		"verdict":      v.Level.String(),
		"wanted":       wanted.String(),
		"ok":           v.Level >= wanted,
		"entry":        json.RawMessage(v.LeafBytes),
		"opened":       v.Opened,
		"index":        v.Index,
		"size":         v.Judged.Size,
		"unknown_keys": v.Judged.Unknown,
	}
	if v.Judged.Witnessed {
		out["witnessed_by"] = v.Judged.By.Format(time.RFC3339)
	}
	if !notAfter.IsZero() {
		out["not_after"] = notAfter.Format(time.RFC3339Nano)
	}
	cosigned := map[string]string{}
	for _, c := range v.Judged.Cosigned {
		cosigned[c.Witness] = c.First.Format(time.RFC3339)
	}
	out["cosigned"] = cosigned
	return json.NewEncoder(e.out).Encode(out)
}

// fault says what was found bad. An error that is no fault goes on as it is.
func (e *env) fault(err error) error {
	if !transparency.IsFault(err) && !errors.Is(err, transparency.ErrOlder) && !errors.Is(err, errBundle) {
		var f *transparency.Fault
		if !errors.As(err, &f) {
			return err
		}
	}
	if e.json {
		json.NewEncoder(e.out).Encode(map[string]any{"ok": false, "fault": kindOf(err), "detail": err.Error()})
		return errFailed
	}
	fmt.Fprintf(e.out, "%s\n  %s: %s\n", e.words.bad, e.words.reason, e.words.kinds[kindOf(err)])
	var f *transparency.Fault
	if errors.As(err, &f) {
		fmt.Fprintf(e.out, "  %s: %s\n", e.words.place, f.Place)
	}
	fmt.Fprintf(e.out, "  %s: %v\n", e.words.detail, err)
	return errFailed
}
