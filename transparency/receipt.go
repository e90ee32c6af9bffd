package transparency

import (
	"bytes"
	"errors"
	"fmt"
	"time"
)

// Level is how much a receipt proves. Each includes the ones before it.
type Level int

const (
	// Nothing: the receipt does not hold.
	Nothing Level = iota
	// Recorded: the operator says so, and nothing else does yet.
	Recorded
	// Logged: the log signed a checkpoint that covers the entry; it cannot be taken back without leaving a trace.
	Logged
	// Witnessed: a quorum of witnesses saw that checkpoint; another history would have to be told to all of them.
	Witnessed
	// ProvenBefore: the witnesses' clocks place the entry before the instant asked about.
	ProvenBefore
)

func (l Level) String() string {
	return [...]string{"nothing", "recorded", "logged", "witnessed", "proven"}[l]
}

// ReceiptVerdict is what a receipt was found to prove.
type ReceiptVerdict struct {
	Level     Level
	Leaf      Leaf
	LeafBytes []byte
	Index     int64
	Judged    Judged // zero when Level is Recorded
	Opened    bool   // an opening was given and matches
}

// ReceiptOptions are what the holder of a receipt adds to it.
type ReceiptOptions struct {
	Opening *Opening
	// NotAfter asks whether the entry was in the log before this instant; zero asks nothing. Cosignatures tell whole
	// seconds, rounded down, so only one of a second before it proves anything.
	NotAfter time.Time
}

// VerifyReceipt judges a receipt, or a bare leaf, by a policy. An error means that it proves nothing at all; a verdict
// below what the caller needs is for the caller to refuse. Level ProvenBefore is reached only when NotAfter was asked.
func VerifyReceipt(b []byte, p *Policy, o ReceiptOptions) (ReceiptVerdict, error) {
	if bytes.HasPrefix(b, []byte("{")) {
		return verifyBareLeaf(b, p, o)
	}
	proof, err := ParseProof(b)
	if err != nil {
		return ReceiptVerdict{}, fmt.Errorf("receipt: %w", err)
	}
	if len(proof.Extra) == 0 {
		return ReceiptVerdict{}, fmt.Errorf("receipt: it carries no entry (no extra line): %w", ErrMalformed)
	}
	v := ReceiptVerdict{LeafBytes: proof.Extra, Index: proof.Index}
	if v.Judged, err = p.Judge(proof.Checkpoint); err != nil {
		return ReceiptVerdict{}, fmt.Errorf("receipt: %w", err)
	}
	if err := proof.Check(proof.Extra, v.Judged.Checkpoint); err != nil {
		return ReceiptVerdict{}, fmt.Errorf("receipt: %w", err)
	}
	if v.Leaf, err = ParseLeaf(proof.Extra); err != nil {
		return ReceiptVerdict{}, fmt.Errorf("receipt: %w", err)
	}
	if v.Leaf.Origin != v.Judged.Origin {
		return ReceiptVerdict{}, fmt.Errorf("receipt: the entry is of log %s, the checkpoint of %s: %w", v.Leaf.Origin, v.Judged.Origin, ErrOrigin)
	}
	v.Level = Logged
	if v.Judged.Witnessed {
		v.Level = Witnessed
		if !o.NotAfter.IsZero() && v.Judged.By.Before(o.NotAfter.Truncate(time.Second)) {
			v.Level = ProvenBefore
		}
	}
	return v.open(o.Opening)
}

// verifyBareLeaf serves what is handed out in the second before the first checkpoint.
func verifyBareLeaf(b []byte, p *Policy, o ReceiptOptions) (ReceiptVerdict, error) {
	l, err := ParseLeaf(bytes.TrimSuffix(b, []byte("\n")))
	if err != nil {
		return ReceiptVerdict{}, fmt.Errorf("receipt: %w", err)
	}
	known := false
	for _, log := range p.Logs {
		known = known || log.Key.Name == l.Origin
	}
	if !known {
		return ReceiptVerdict{}, fmt.Errorf("receipt: the entry is of log %s, which the policy does not name: %w", l.Origin, ErrOrigin)
	}
	v := ReceiptVerdict{Level: Recorded, Leaf: l, LeafBytes: b, Index: -1}
	return v.open(o.Opening)
}

func (v ReceiptVerdict) open(o *Opening) (ReceiptVerdict, error) {
	if o == nil {
		return v, nil
	}
	if err := o.Check(v.Leaf); err != nil {
		return ReceiptVerdict{}, fmt.Errorf("receipt: %w", err)
	}
	v.Opened = true
	return v, nil
}

// IsFault reports whether err means that evidence was looked at and found wanting, as opposed to a failure to look.
func IsFault(err error) bool {
	for _, kind := range []error{ErrMalformed, ErrSignature, ErrProof, ErrCommitment, ErrOrigin, ErrFork, ErrSequence, ErrTime} {
		if errors.Is(err, kind) {
			return true
		}
	}
	return false
}
