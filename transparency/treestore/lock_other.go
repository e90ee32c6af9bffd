//go:build !unix

package treestore

import "os"

// flock: without advisory locks the guard's compare-and-swap alone keeps two signers apart.
func flock(*os.File) error { return nil }

func syncDir(string) error { return nil }
