// Package rules tests the shape of the code: which package imports which, that each package states its promise, what no
// decision and no fold may call, that names quoted in documents exist.
//
// Its promise: what CONTRIBUTING.md says about the code holds for every file of the tree, or an exception stands in a
// table with its reason. Its failure model: it reads the source and asks the go command; it never guesses. A file that does
// not parse fails.
package rules
