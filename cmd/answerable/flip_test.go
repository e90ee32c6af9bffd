package main

import (
	"bytes"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"go.uber.org/zap"

	"github.com/answerable-ledger/answerable/schemas"
	"github.com/answerable-ledger/answerable/transparency"
)

// Flips in a run; ANSWERABLE_TEST_FLIPS sets another number, as does the long run of 5,000.
const defaultFlips = 200

// target is a kind of file in which bits are flipped, and what looks for them.
type target struct {
	name  string
	share int // of ten
	// size in bytes; spoiled says what was noticed when the bit at an offset of the file is flipped: nil is nothing.
	size    int
	spoiled func(offset int, bit byte) error
	// unread says that nothing anybody reads changed with the flip: it lies in free space.
	unread func(offset int, bit byte) string
}

// TestEveryFlippedBitIsNoticed flips bits in the files of a whole demonstration, one at a time. Each is noticed by verify or
// by notary, or it is shown that it lies where nothing reads: every row of every table is the same as before, but for the few
// columns that are named with their reason.
func TestEveryFlippedBitIsNoticed(t *testing.T) {
	t.Parallel()
	flips := defaultFlips
	if s := os.Getenv("ANSWERABLE_TEST_FLIPS"); s != "" {
		var err error
		if flips, err = strconv.Atoi(s); err != nil {
			t.Fatal(err)
		}
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 7))
	type flip struct {
		target *target
		offset int
		bit    byte
	}
	var all []flip
	targets := flipTargets(t)
	for i := range targets {
		for range flips * targets[i].share / 10 {
			all = append(all, flip{&targets[i], r.IntN(targets[i].size), 1 << r.IntN(8)})
		}
	}
	var mu sync.Mutex
	free := map[string]int{}
	work := make(chan flip)
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for f := range work {
				if f.target.spoiled(f.offset, f.bit) != nil {
					continue
				}
				why := "it was noticed by nobody"
				if f.target.unread != nil {
					why = f.target.unread(f.offset, f.bit)
				}
				mu.Lock()
				if why == "" {
					free[f.target.name]++
				} else {
					t.Errorf("%s: bit %#02x of byte %d: %s", f.target.name, f.bit, f.offset, why)
				}
				mu.Unlock()
			}
		})
	}
	for _, f := range all {
		work <- f
	}
	close(work)
	wg.Wait()
	for name, n := range free {
		t.Logf("%s: %d of the flips lay in free space, every row reads as before; or in %v", name, n, slices.Sorted(maps.Keys(harmless())))
	}
}

func flipTargets(t *testing.T) []target {
	demo := filepath.Join(t.TempDir(), "demo")
	if err := copyDir(sharedDemo(t), demo); err != nil {
		t.Fatal(err)
	}
	exported, bundle := filepath.Join(t.TempDir(), "log"), filepath.Join(t.TempDir(), "ho-so.zip")
	mustRun(t, "verify", "--data", demo)
	mustRun(t, "export", "--data", demo, "--log", exported)
	mustRun(t, "export", "--data", demo, "--evidence", "--unit", "25900", "--from", "2021-02-05", "--to", "2021-02-10", "-o", bundle)
	p, _, err := readEvidence(demo)
	if err != nil {
		t.Fatal(err)
	}
	policy, err := p.readPolicy()
	if err != nil {
		t.Fatal(err)
	}
	base := snapshot(t, demo)
	return []target{
		{name: ledgerFile, share: 4, size: len(base[ledgerFile]), spoiled: spoiledData(t, base, ledgerFile), unread: unreadData(t, base, ledgerFile)},
		{name: treeFile, share: 1, size: len(base[treeFile]), spoiled: spoiledData(t, base, treeFile), unread: unreadData(t, base, treeFile)},
		{name: leavesFile, share: 2, size: len(base[leavesFile]), spoiled: spoiledData(t, base, leavesFile)},
		{name: "the guard", share: 1, size: len(base["guard/checkpoint"]), spoiled: spoiledData(t, base, "guard/checkpoint")},
		exportTarget(t, exported, policy),
		bundleTarget(t, bundle, filepath.Join(demo, policyFile)),
	}
}

// snapshot reads the files that evidence is made of.
func snapshot(t *testing.T, dir string) map[string][]byte {
	files := map[string][]byte{}
	for _, name := range []string{ledgerFile, treeFile, leavesFile, evidenceFile, policyFile, "guard/checkpoint"} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		files[name] = b
	}
	for _, name := range []string{ledgerFile, treeFile} { // what is flipped must be all there is
		if st, err := os.Stat(filepath.Join(dir, name+"-wal")); err == nil && st.Size() > 0 {
			t.Fatalf("%s has a write-ahead log of %d bytes", name, st.Size())
		}
	}
	return files
}

func flipped(b []byte, offset int, bit byte) []byte {
	out := bytes.Clone(b)
	out[offset] ^= bit
	return out
}

// lay writes the files into a directory of their own.
func lay(t *testing.T, files map[string][]byte) string {
	dir, err := os.MkdirTemp(t.TempDir(), "flip-")
	if err == nil {
		err = os.Mkdir(filepath.Join(dir, "guard"), 0o700)
	}
	for name, b := range files {
		err = errors.Join(err, os.WriteFile(filepath.Join(dir, name), b, 0o600))
	}
	if err != nil {
		t.Error(err)
	}
	return dir
}

// spoiledData is what verify finds of a flip in a file of the data directory. Its parts are called one by one, the fast one
// first; together they are all that verify does but for the views, which are compared with the log and not read here.
func spoiledData(t *testing.T, base map[string][]byte, name string) func(int, byte) error {
	registry, err := schemas.Load()
	if err != nil {
		t.Fatal(err)
	}
	return func(offset int, bit byte) error {
		files := map[string][]byte{}
		for n, b := range base {
			files[n] = b
		}
		files[name] = flipped(base[name], offset, bit)
		dir := lay(t, files)
		defer os.RemoveAll(dir)
		a := &app{ctx: t.Context(), logger: zap.NewNop(), now: time.Now, stdio: stdio{err: io.Discard}}
		log, err := a.openLog(dir)
		if err != nil {
			return err
		}
		defer log.Close()
		if _, err := a.verifyEvidence(t.Context(), dir, log); err != nil || name != ledgerFile {
			return err
		}
		return newLogCheck(registry).check(t.Context(), log, a.progress("", 0))
	}
}

// harmless are columns in which a flip may pass unnoticed, each with its reason.
func harmless() map[string]string {
	return map[string]string{
		"heads.run":               "a cache with a checksum of its own: the store forgets it when that does not match, and makes it again from the events",
		"checkpoint.signed_at_us": "a remark: nothing is judged by it, and what it remarks on is signed",
	}
}

// unreadData says what a flip that nobody noticed changed, "" when every row of every table reads as before.
func unreadData(t *testing.T, base map[string][]byte, name string) func(int, byte) string {
	dump := func(b []byte) (map[string][32]byte, error) {
		dir, err := os.MkdirTemp(t.TempDir(), "dump-")
		if err != nil {
			return nil, err
		}
		defer os.RemoveAll(dir)
		path := filepath.Join(dir, "db")
		if err := os.WriteFile(path, b, 0o600); err != nil {
			return nil, err
		}
		return dumpTables(path)
	}
	var once sync.Once
	var before map[string][32]byte
	return func(offset int, bit byte) string {
		once.Do(func() {
			var err error
			if before, err = dump(base[name]); err != nil {
				t.Error(err)
			}
		})
		after, err := dump(flipped(base[name], offset, bit))
		if err != nil {
			return fmt.Sprintf("it cannot be read any more: %v", err)
		}
		var changed []string
		for column, sum := range before {
			if after[column] != sum && harmless()[column] == "" {
				changed = append(changed, column)
			}
		}
		slices.Sort(changed)
		return strings.Join(changed, ", ")
	}
}

// dumpTables digests every column of every table by its name, and the schema.
func dumpTables(path string) (map[string][32]byte, error) {
	db, err := sql.Open("sqlite", "file:"+path)
	if err != nil {
		return nil, err
	}
	defer db.Close()
	out := map[string][32]byte{}
	tables := []string{"sqlite_schema"}
	rows, err := db.Query(`SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name`)
	if err != nil {
		return nil, err
	}
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, err
		}
		tables = append(tables, name)
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return nil, err
	}
	for _, table := range tables {
		if err := dumpTable(db, table, out); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func dumpTable(db *sql.DB, table string, out map[string][32]byte) error {
	// As the stores read it: each column as what it was declared, whatever a flip made of its type in the record.
	described, err := db.Query(`SELECT name, type FROM pragma_table_info(?)`, table)
	if err != nil {
		return err
	}
	defer described.Close()
	var columns, casts []string
	for described.Next() {
		var name, kind string
		if err := described.Scan(&name, &kind); err != nil {
			return err
		}
		columns, casts = append(columns, name), append(casts, fmt.Sprintf(`CAST(%q AS %s)`, name, kind))
	}
	if err := described.Err(); err != nil {
		return err
	}
	rows, err := db.Query(`SELECT ` + strings.Join(casts, ", ") + ` FROM "` + table + `"`)
	if err != nil {
		return err
	}
	defer rows.Close()
	values, into := make([]any, len(columns)), make([]any, len(columns))
	for i := range values {
		into[i] = &values[i]
	}
	sums := make([][]byte, len(columns))
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return err
		}
		for i, v := range values {
			if v == nil { // in columns that cannot be NULL: read as a number it is 0
				v = int64(0)
			}
			s := sha256.Sum256(fmt.Appendf(sums[i], "%T %v\n", v, v))
			sums[i] = s[:]
		}
	}
	for i, c := range columns {
		out[table+"."+c] = sha256.Sum256(sums[i])
	}
	return rows.Err()
}

// exportTarget: the log as static files, as notary audits it.
func exportTarget(t *testing.T, dir string, policy *transparency.Policy) target {
	files := fstest.MapFS{}
	var names []string
	var ends []int
	total := 0
	err := fs.WalkDir(os.DirFS(dir), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(filepath.Join(dir, path))
		files[path] = &fstest.MapFile{Data: b}
		names = append(names, path)
		total += len(b)
		ends = append(ends, total)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return target{name: "the exported log", share: 1, size: total, spoiled: func(offset int, bit byte) error {
		i, _ := slices.BinarySearch(ends, offset+1)
		changed := fstest.MapFS{}
		for name, f := range files {
			changed[name] = f
		}
		b := files[names[i]].Data
		changed[names[i]] = &fstest.MapFile{Data: flipped(b, offset-(ends[i]-len(b)), bit)}
		_, err := transparency.Audit(t.Context(), transparency.FromFS(changed), transparency.AuditOptions{Policy: policy})
		return err
	}}
}

// bundleTarget: a bundle of evidence, as notary verifies it.
func bundleTarget(t *testing.T, path, policy string) target {
	notary, err := notaryProgram()
	if err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	verify := func(b []byte) error {
		f, err := os.CreateTemp(t.TempDir(), "*.zip")
		if err != nil {
			return nil
		}
		defer os.Remove(f.Name())
		if _, err := f.Write(b); err != nil {
			return nil
		}
		f.Close()
		return exec.Command(notary, "verify", f.Name(), "--policy", policy, "--forget").Run()
	}
	if err := verify(whole); err != nil {
		t.Fatalf("the bundle as it was written: %v", err)
	}
	return target{name: "the bundle", share: 1, size: len(whole), spoiled: func(offset int, bit byte) error { return verify(flipped(whole, offset, bit)) }}
}
