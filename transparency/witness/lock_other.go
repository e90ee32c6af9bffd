//go:build !unix

package witness

import "os"

// flock: there are no advisory locks here; the port the witness listens on keeps a second process out.
func flock(*os.File) error { return nil }
