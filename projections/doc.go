// Package projections is the read side: it follows the log, folds its facts into views, and answers questions from them.
package projections
