//go:build !linux

package pgtest

import "syscall"

// dieWithParent does nothing: only Linux can tie a child's life to its parent's. A killed test leaves a server behind.
func dieWithParent(*syscall.SysProcAttr) {}
