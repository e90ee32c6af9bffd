//go:build unix

package transparency

import (
	"fmt"
	"io/fs"
	"os"
)

func checkSecretMode(path string, m fs.FileMode) error {
	if m.Perm()&0o077 != 0 {
		return fmt.Errorf("secret %s has mode %04o: others may read it; set it with chmod 600 and consider the key known: %w", path, m.Perm(), os.ErrPermission)
	}
	return nil
}
