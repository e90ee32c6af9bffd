// Package domain says what may happen in a reporting regime and what it means: the events, the state each stream folds
// to, the decisions that turn an attempt into events or into a refusal, and the limits.
//
// Its promise: the same facts give the same state, and the same state and attempt give the same decision, on every
// machine and in every year. There is no input or output here, no clock, no randomness, no JSON and no storage; time
// reaches a decision as an argument and a fold inside the fact.
//
// Its failure model: a decision either returns all the events of the attempt or an *Error that names what was wrong and
// where; it never panics on what a person sent. A fold never refuses a recorded fact: what was recorded, happened.
//
// The rules carry the numbers of docs/rules.md (rule 1 to rule 16).
package domain
