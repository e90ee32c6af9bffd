// Package bench measures this machine: durable appends, the rush at a deadline, the replay of a long log, its queries and
// pages, and the views on each engine.
//
// Its promise: every number stands beside a limit that was taken in the same run, in turn with it, on the same disk, and
// what is measured are the parts that the program runs. README.md tells what is wanted of each; results.md keeps the runs.
//
// Its failure model: the first error ends the run, and nothing of it is reported. All files lie in one temporary directory,
// which a run that is killed leaves behind. A database that holds views is left alone. A slow machine fails nothing.
package bench
