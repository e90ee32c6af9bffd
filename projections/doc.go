// Package projections is the read side: it follows the log, folds its facts into views, and answers questions from them.
//
// Its promise: what the views show is exactly what a fresh fold of the log up to their position gives, also for every
// earlier instant of knowledge. Rows, position and the event at that position move in one transaction, so a fact is never
// lost to the views and never counted twice. A unit with a fact that could not be applied is shown as not determinable,
// never as compliant.
//
// Its failure model: a process may die at any instant, and the next one goes on from the position. A database that is busy
// is tried again; a log that is away is waited for. A second runner is stopped by the position's compare-and-set. Views
// that are ahead of the log, because this was restored or replaced, are refused by Open. An event that cannot be applied
// parks its stream when the log is followed, and stops a rebuild. A power cut may take the last batches of the views, and
// then they are read from the log again; what it cannot take is their agreement with their position.
//
// A row holds the states that were known of it, in order, each from the instant its fact was recorded; what was known at
// an instant is found by reading the one row. That they lie in one row and not in one row each is for the rebuild: a
// third of the rows, written in half of the time.
package projections
