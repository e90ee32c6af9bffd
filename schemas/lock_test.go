package schemas

import (
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"strings"
	"testing"
)

// What was released is never edited: facts under it are recorded. Make a new version, and add its line to LOCK.
func TestReleasedSchemasAreLocked(t *testing.T) {
	t.Parallel()
	lock, err := files.ReadFile("LOCK")
	if err != nil {
		t.Fatal(err)
	}
	locked := map[string]string{}
	last := ""
	for line := range strings.Lines(string(lock)) {
		sum, path, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "  ")
		if !ok || path <= last {
			t.Fatalf("LOCK: line %q: want hash, two spaces and path, sorted by path", line)
		}
		locked[path], last = sum, path
	}
	err = fs.WalkDir(files, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || path == "LOCK" {
			return err
		}
		text, err := files.ReadFile(path)
		if err != nil {
			return err
		}
		h := sha256.Sum256(text)
		sum := hex.EncodeToString(h[:])
		switch locked[path] {
		case sum:
		case "":
			t.Errorf("%s is not in LOCK; to release it add the line\n%s  %s", path, sum, path)
		default:
			t.Errorf("%s was released and has changed; undo that and make a new version", path)
		}
		delete(locked, path)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for path := range locked {
		t.Errorf("%s was released and is gone", path)
	}
}

func TestFingerprintIsAHash(t *testing.T) {
	t.Parallel()
	if f := Fingerprint(); len(f) != 64 || f != Fingerprint() {
		t.Errorf("fingerprint %q", f)
	}
}
