// Package replay tells the made-up week to a ledger through the same methods the API calls, one attempt after the other.
//
// Its promise: the log's order, and with it every byte, follows from the story and its seed alone. The clock is the story's,
// and everything that the ledger does by itself in between, closing days and signing checkpoints, happens at its instant.
//
// Its failure model: an attempt that ends otherwise than the story tells, a refusal too many or too few, ends the replay, and
// the error names the attempt. What was recorded until then stays: a replay that failed is begun anew with an empty ledger.
package replay
