// Package transparency makes the ledger's history checkable by people who do not trust its operator.
//
// Its promise: whatever a checkpoint covers can be proved to be in the log, at one index, with these very bytes, using
// nothing but this package, a policy file and a receipt; and any change, omission, insertion, reordering or backdating of
// what a witnessed checkpoint covers is found by an audit, which names the first bad place. It hashes bytes and knows
// nothing of what they mean. The formats are public ones (C2SP signed-note, tlog-checkpoint, tlog-cosignature,
// tlog-tiles, tlog-proof, tlog-policy, tlog-witness; the tree is that of RFC 6962), so that other people's witnesses and
// verifiers work unmodified.
//
// Its failure model: everything read may be damaged or forged. Parsers accept exactly one spelling of a thing and refuse
// the rest with ErrMalformed; nothing is believed before its signature or its hash was checked; nothing here writes. What
// it cannot show: that a figure is true, that a refused submission was attempted, or anything at all when the operator
// and a quorum of the witnesses lie together.
//
// The tree is stored by treestore, filled by sequencer, served by tiles and cosigned by witness.
package transparency

import "errors"

// The kinds of failure. Test with errors.Is.
var (
	// ErrMalformed: the bytes are not of the format they claim, or are another spelling of it.
	ErrMalformed = errors.New("malformed")
	// ErrSignature: no signature by a trusted key, or one that does not verify.
	ErrSignature = errors.New("signature not valid")
	// ErrProof: the hashes do not lead from the leaf, or the older tree, to the signed root.
	ErrProof = errors.New("proof does not hold")
	// ErrCommitment: the opened bytes are not those the leaf commits to.
	ErrCommitment = errors.New("opening does not match the commitment")
	// ErrOrigin: the thing belongs to another log.
	ErrOrigin = errors.New("another log")
	// ErrSequence: an entry is missing, doubled, out of order or dated before the one ahead of it in its stream.
	ErrSequence = errors.New("entries out of sequence")
	// ErrTime: an entry's recorded time lies outside the bounds the witnesses' clocks give.
	ErrTime = errors.New("recorded time contradicts the witnesses")
	// ErrFork: two signed checkpoints of one log contradict each other.
	ErrFork = errors.New("the log was forked")
	// ErrNotYet: no checkpoint covers the leaf yet; ask again later.
	ErrNotYet = errors.New("not yet covered by a checkpoint")
	// ErrErased: the salt was erased on purpose; the entry stays provable, its content can no longer be opened.
	ErrErased = errors.New("erased")
)
