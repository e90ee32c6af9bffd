// Package giveway has a rebuild of the views wait while readers are slow: those of its own process, and those of every other
// that answers from the same views, since an operator's command rebuilds beside the servers.
//
// Its promise: while the slowest hundredth of the last second's reads take too long, a rebuild stands still. What is too long
// depends on how long they take when nothing is rebuilt. When they are as slow while it stands still, the rebuild is not to
// blame, and goes on for a while.
//
// Its failure model: nothing here is needed for anything to be right. A process that cannot write to the board, or dies, is not
// heard, and the rebuild goes on; what an earlier one left there is forgotten after some counts. Clocks of two processes are
// never compared.
package giveway
