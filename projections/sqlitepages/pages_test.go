package sqlitepages

import (
	"bytes"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	_ "modernc.org/sqlite" // the judge
	"pgregory.net/rapid"
)

type failer interface {
	Helper()
	Fatalf(format string, args ...any)
}

func must(t failer, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%v", err)
	}
}

func open(t failer, path string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path)
	must(t, err)
	db.SetMaxOpenConns(1)
	return db
}

// fresh makes a file with three tables and gives the root of the second.
func fresh(t failer, path string, pageBytes int) (root uint32) {
	t.Helper()
	db := open(t, path)
	defer db.Close()
	_, err := db.Exec(fmt.Sprintf(`PRAGMA page_size = %d; CREATE TABLE before (a TEXT PRIMARY KEY) WITHOUT ROWID;
		CREATE TABLE filled (id INTEGER PRIMARY KEY, a TEXT, b TEXT); CREATE TABLE after (a TEXT)`, pageBytes))
	must(t, err)
	must(t, db.QueryRow(`SELECT rootpage FROM sqlite_master WHERE name = 'filled'`).Scan(&root))
	return root
}

type row struct {
	id   int64
	a, b []byte
}

// record is a row's: NULL in place of the id, and two texts.
func (r row) record() []byte {
	h := AppendVarint(AppendVarint([]byte{0, 0}, uint64(13+2*len(r.a))), uint64(13+2*len(r.b)))
	h[0] = byte(len(h))
	return append(append(h, r.a...), r.b...)
}

// fill writes rows, finds each before the file is whole, and has SQLite read them, check the file and go on writing.
func fill(t failer, path string, root uint32, rows []row) {
	t.Helper()
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	must(t, err)
	defer file.Close()
	table, err := New(file, root)
	must(t, err)
	known := map[int64]bool{}
	for _, r := range rows {
		must(t, table.Add(r.id, r.record()))
		known[r.id] = true
	}
	for _, r := range rows {
		found, err := table.Find(r.id)
		if must(t, err); !bytes.Equal(found, r.record()) {
			t.Fatalf("row %d is not found as it was added", r.id)
		}
		if found, err := table.Find(r.id + 1); err != nil || found != nil && !known[r.id+1] {
			t.Fatalf("a row that was not added: %v", err)
		}
	}
	must(t, table.End())
	db := open(t, path)
	defer db.Close()
	read, err := db.Query(`SELECT id, a, b FROM filled ORDER BY id`)
	must(t, err)
	i := 0
	for ; read.Next(); i++ {
		var r row
		must(t, read.Scan(&r.id, &r.a, &r.b))
		if want := rows[min(i, len(rows)-1)]; r.id != want.id || !bytes.Equal(r.a, want.a) || !bytes.Equal(r.b, want.b) {
			t.Fatalf("row %d is row %d, want %d", i, r.id, want.id)
		}
	}
	if must(t, errors.Join(read.Err(), read.Close())); i != len(rows) {
		t.Fatalf("%d rows of %d", i, len(rows))
	}
}

// sound has SQLite check the whole file, before and after it wrote to it.
func sound(t failer, path string) {
	t.Helper()
	db := open(t, path)
	defer db.Close()
	for _, more := range []string{"", `INSERT INTO before VALUES ('x'); INSERT INTO after VALUES ('x'); INSERT INTO filled (a) VALUES ('x'); UPDATE filled SET b = a || b || a; DELETE FROM filled WHERE id % 3 = 0`} {
		_, err := db.Exec(more)
		must(t, err)
		var found string
		if must(t, db.QueryRow(`PRAGMA integrity_check`).Scan(&found)); found != "ok" {
			t.Fatalf("%s", found)
		}
	}
}

// Given rows of any size, of which some need pages of their own and many need levels above them, then SQLite has them.
func TestSQLiteReadsWhatWasWritten(t *testing.T) {
	t.Parallel()
	dir, n := t.TempDir(), 0
	rapid.Check(t, func(t *rapid.T) {
		n++
		path := filepath.Join(dir, fmt.Sprintf("%d.db", n))
		defer os.Remove(path)
		size := rapid.SampledFrom([]int{512, 1024, 16384}).Draw(t, "page size")
		lengths := rapid.OneOf(rapid.IntRange(0, 60), rapid.IntRange(size/2, 3*size))
		var rows []row
		id := int64(0)
		for range rapid.SampledFrom([]int{0, 1, 5, 150, 900}).Draw(t, "rows") {
			if len(rows) < 30 {
				id += rapid.Int64Range(1, 1<<50).Draw(t, "step")
				rows = append(rows, row{id, bytes.Repeat([]byte("a"), lengths.Draw(t, "a")), bytes.Repeat([]byte("ế"), lengths.Draw(t, "b"))})
				continue
			}
			id++
			rows = append(rows, row{id, rows[len(rows)%30].a, rows[len(rows)%30].b})
		}
		root := fresh(t, path, size)
		fill(t, path, root, rows)
		sound(t, path)
	})
}

// The page at the first gibibyte is SQLite's never to use. The file before it has a hole.
func TestTheLockBytesPageIsLeftAlone(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "large.db")
	root := fresh(t, path, 16384)
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	must(t, err)
	defer file.Close()
	const before = lockByte/16384 - 8
	must(t, file.Truncate(before*16384))
	_, err = file.WriteAt([]byte{before >> 24, before >> 16 & 0xff, before >> 8 & 0xff, before & 0xff}, 28)
	must(t, err)
	var rows []row
	for i := range 40 {
		rows = append(rows, row{int64(i + 1), bytes.Repeat([]byte("x"), 9000), bytes.Repeat([]byte("y"), i*2000)})
	}
	fill(t, path, root, rows)
}

// Given a file that is not as SQLite has just made it, then it is refused, and is as it was.
func TestAFileThatIsNotFreshIsRefused(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(t *testing.T, file *os.File, root *uint32){
		"longer than its header says": func(t *testing.T, file *os.File, _ *uint32) {
			info, err := file.Stat()
			must(t, err)
			must(t, file.Truncate(info.Size()+1))
		},
		"bytes reserved in each page": func(t *testing.T, file *os.File, _ *uint32) {
			_, err := file.WriteAt([]byte{8}, 20)
			must(t, err)
		},
		"pages that say where others are": func(t *testing.T, file *os.File, _ *uint32) {
			_, err := file.WriteAt([]byte{0, 0, 0, 1}, 52)
			must(t, err)
		},
		"a root beyond the end": func(_ *testing.T, _ *os.File, root *uint32) { *root = 1000 },
		"the schema's root":     func(_ *testing.T, _ *os.File, root *uint32) { *root = 1 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "x.db")
			root := fresh(t, path, 4096)
			file, err := os.OpenFile(path, os.O_RDWR, 0)
			must(t, err)
			defer file.Close()
			change(t, file, &root)
			was, err := os.ReadFile(path)
			must(t, err)
			if _, err := New(file, root); !errors.Is(err, ErrNotFresh) {
				t.Errorf("%v", err)
			}
			if is, err := os.ReadFile(path); err != nil || !bytes.Equal(is, was) {
				t.Errorf("the file was changed: %v", err)
			}
		})
	}
}

// Given a page that somebody wrote over meanwhile, then its rows are not made up.
func TestWhatIsNotAsItWasWritten(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "x.db")
	root := fresh(t, path, 512)
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	must(t, err)
	defer file.Close()
	table, err := New(file, root)
	must(t, err)
	first := table.next
	for i := range int64(40 * pagesAtOnce) {
		must(t, table.Add(i+1, row{i + 1, bytes.Repeat([]byte("a"), 20), nil}.record()))
	}
	if table.next-uint32(len(table.pending)/table.size) <= first {
		t.Fatal("nothing is in the file yet")
	}
	_, err = file.WriteAt(bytes.Repeat([]byte{0xff}, 512), int64(first-1)*512)
	must(t, err)
	if found, err := table.Find(1); !errors.Is(err, ErrNotWritten) {
		t.Errorf("%q, %v", found, err)
	}
}

func TestVarint(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		v := rapid.OneOf(rapid.Uint64(), rapid.Uint64Range(0, 1<<15)).Draw(t, "v")
		b := AppendVarint(nil, v)
		if got, rest := Varint(append(b, 'x')); got != v || string(rest) != "x" || len(b) > 9 {
			t.Fatalf("%d is %x, read as %d with %q left", v, b, got, rest)
		}
	})
}
