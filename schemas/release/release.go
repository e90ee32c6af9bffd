// Package release judges a folder of schemas as it is to be released, and begins new versions.
//
// Its promise: when Lock, Chains and Samples find nothing, nothing that was ever released has changed, every version of every
// kind and form is there, and a fact recorded under any of them is read, brought to the current version and fits its schema.
//
// Its failure model: each fails with the first problem, and names its file and, where there is one, the remedy. Nothing is
// written here. A folder that holds no schemas is fs.ErrNotExist.
package release

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"

	"github.com/answerable-ledger/answerable/schemas"
)

// LockName is the file with the hash of everything released.
const LockName = "LOCK"

// Lock compares every schema file with its line in the lock, and gives the lock. An error names the first that was released
// and has changed, that is gone, or that was not released, with the line that releases it.
func Lock(source fs.FS) ([]byte, error) {
	lock, err := fs.ReadFile(source, LockName)
	if err != nil {
		return nil, fmt.Errorf("release: %w", err)
	}
	locked := map[string]string{}
	for line := range strings.Lines(string(lock)) {
		sum, path, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "  ")
		if !ok {
			return nil, fmt.Errorf("%s: line %q is no hash, two spaces and path", LockName, line)
		}
		locked[path] = sum
	}
	for _, folder := range []string{"defs", "events", "forms", "meta"} {
		err := fs.WalkDir(source, folder, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			text, err := fs.ReadFile(source, path)
			if err != nil {
				return err
			}
			hash := sha256.Sum256(text)
			sum := hex.EncodeToString(hash[:])
			switch locked[path] {
			case sum:
				delete(locked, path)
				return nil
			case "":
				return fmt.Errorf("%s is not in %s; to release it add, sorted by path, the line\n%s  %s", path, LockName, sum, path)
			}
			return fmt.Errorf("%s was released and has changed: facts under it are recorded; undo that and begin a new version", path)
		})
		if err != nil {
			return nil, err
		}
	}
	for path := range locked {
		return nil, fmt.Errorf("%s was released and is gone", path)
	}
	return lock, nil
}

// Chains wants every version from 1 on, and of events no other than those up to the current one. It counts kinds and forms.
func Chains(source fs.FS) (int, error) {
	n := 0
	for _, folder := range []string{"events", "forms"} {
		names, err := fs.ReadDir(source, folder)
		if err != nil {
			return n, err
		}
		for _, name := range names {
			n++
			path := folder + "/" + name.Name()
			last, err := Newest(source, path)
			if err != nil {
				return n, err
			}
			if folder != "events" {
				continue
			}
			if current, ok := schemas.CurrentVersion(name.Name()); !ok || current != last {
				return n, fmt.Errorf("%s: the newest version is %d, the program writes %d (see CurrentVersion)", path, last, current)
			}
		}
	}
	for _, kind := range schemas.Kinds() {
		if _, err := fs.Stat(source, "events/"+kind); err != nil {
			return n, fmt.Errorf("%s has no schema: %w", kind, err)
		}
	}
	return n, nil
}

// Newest is the last version in a folder of one kind or form, which holds each from 1 on and nothing else.
func Newest(source fs.FS, path string) (int, error) {
	files, err := fs.ReadDir(source, path)
	if err != nil {
		return 0, err
	}
	for v := 1; v <= len(files); v++ {
		if _, err := fs.Stat(source, File(path, v)); err != nil {
			return 0, fmt.Errorf("%s: %d files, and version %d is not among them", path, len(files), v)
		}
	}
	return len(files), nil
}

// File is where a version lies.
func File(path string, version int) string {
	return path + "/" + strconv.Itoa(version) + ".json"
}

// sample is a recorded event as a file keeps it.
type sample struct {
	ID         uuid.UUID      `json:"id"`
	Stream     string         `json:"stream"`
	Revision   uint64         `json:"revision"`
	RecordedAt time.Time      `json:"recorded_at"`
	Kind       string         `json:"kind"`
	Data       jsontext.Value `json:"data"`
	Meta       jsontext.Value `json:"meta"`
}

// Samples reads the sample of every version, brings it to the current one, and judges what comes out by its schema. It counts
// them.
func Samples(source fs.FS, registry *schemas.Registry) (int, error) {
	n := 0
	for _, kind := range schemas.Kinds() {
		current, _ := schemas.CurrentVersion(kind)
		for v := 1; v <= current; v++ {
			path := "testdata/golden/" + kind + "-" + strconv.Itoa(v) + ".json"
			text, err := fs.ReadFile(source, path)
			if err != nil {
				return n, fmt.Errorf("version %d of %s has no sample: %w", v, kind, err)
			}
			if err := checkSample(text, registry); err != nil {
				return n, fmt.Errorf("%s: %w", path, err)
			}
			n++
		}
	}
	return n, nil
}

func checkSample(text []byte, registry *schemas.Registry) error {
	var s sample
	if err := json.Unmarshal(text, &s); err != nil {
		return err
	}
	f, err := schemas.Decode(schemas.Source{Stream: s.Stream, Revision: s.Revision, RecordedAt: s.RecordedAt,
		Stored: schemas.Stored{ID: s.ID, Kind: s.Kind, Data: s.Data, Meta: s.Meta}})
	if err != nil {
		return err
	}
	stored, err := schemas.Encode(f)
	if err != nil {
		return fmt.Errorf("brought to the current version: %w", err)
	}
	if err := registry.ValidateEvent(stored); err != nil {
		return fmt.Errorf("brought to the current version it does not fit its schema: %v", err) // not as what somebody sent
	}
	return nil
}

// Next is the text of the version after last: a copy of that under its own name.
func Next(source fs.FS, path string, last int) ([]byte, error) {
	text, err := fs.ReadFile(source, File(path, last))
	if err != nil {
		return nil, err
	}
	id := func(v int) string { return fmt.Sprintf(`/schemas/%s/%d"`, path, v) }
	out := strings.Replace(string(text), id(last), id(last+1), 1)
	if strings.HasPrefix(path, "forms/") {
		out = strings.Replace(out, fmt.Sprintf(`"version": %d,`, last), fmt.Sprintf(`"version": %d,`, last+1), 1)
	}
	return []byte(out), nil
}
