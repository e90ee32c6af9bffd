package projections

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/eventlog"
	"github.com/answerable-ledger/answerable/projections/giveway"
	"github.com/answerable-ledger/answerable/projections/sqlitepages"
)

// pagesFile is a fresh SQLite file with tables of one shape, and the page where the second of them begins.
func pagesFile(t interface{ Fatal(...any) }, path string, pageBytes int) (root uint32) {
	db, err := sql.Open("sqlite", "file:"+path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	_, err = db.Exec(fmt.Sprintf(`PRAGMA page_size = %d; CREATE TABLE before (a TEXT PRIMARY KEY) WITHOUT ROWID;
		CREATE TABLE filled (id INTEGER PRIMARY KEY, n INTEGER, a TEXT, m INTEGER, b TEXT); CREATE TABLE after (a TEXT)`, pageBytes))
	if err == nil {
		err = db.QueryRow(`SELECT rootpage FROM sqlite_master WHERE name = 'filled'`).Scan(&root)
	}
	if err != nil {
		t.Fatal(err)
	}
	return root
}

var filledColumns = []column{integer("id"), integer("n"), text("a"), integer("m"), text("b")}

// fillPages writes rows by hand, and lets SQLite judge the file, read the rows and go on writing.
func fillPages(t interface{ Fatal(...any) }, path string, root uint32, rows [][]value) {
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	p, err := sqlitepages.New(file, root)
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		if err := p.Add(row[0].number, appendRecord(nil, filledColumns, row)); err != nil {
			t.Fatal(err)
		}
	}
	for _, row := range rows { // before the file is whole
		record, err := p.Find(row[0].number)
		if err != nil {
			t.Fatal(err)
		}
		found, err := readRecord(record, filledColumns)
		if err != nil {
			t.Fatal(err)
		}
		for i, v := range row[1:] {
			if found[i+1].number != v.number || !bytes.Equal(found[i+1].text, v.text) {
				t.Fatal(fmt.Sprintf("row %d: column %d is %v, want %v", row[0].number, i+1, found[i+1], v))
			}
		}
		if record, err := p.Find(row[0].number - 1); record != nil && !slices.ContainsFunc(rows, func(r []value) bool { return r[0].number == row[0].number-1 }) || err != nil {
			t.Fatal(fmt.Sprintf("there is no row %d: %v", row[0].number-1, err))
		}
	}
	if err := p.End(); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", "file:"+path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	read, err := db.Query(`SELECT id, n, a, m, b FROM filled ORDER BY id`)
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	i := 0
	for ; read.Next(); i++ {
		var id, n, m int64
		var a, b []byte
		if err := read.Scan(&id, &n, &a, &m, &b); err != nil {
			t.Fatal(err)
		}
		want := rows[min(i, len(rows)-1)]
		if id != want[0].number || n != want[1].number || !bytes.Equal(a, want[2].text) || m != want[3].number || !bytes.Equal(b, want[4].text) {
			t.Fatal(fmt.Sprintf("row %d is %d %d %q %d %q, want %v", i, id, n, a, m, b, want))
		}
	}
	if err := read.Err(); err != nil || i != len(rows) {
		t.Fatal(fmt.Sprintf("%d rows of %d: %v", i, len(rows), err))
	}
}

// What is written as records and pages is what SQLite reads, goes on writing, and finds sound.
func TestRecordsInPages(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	next := 0
	rapid.Check(t, func(t *rapid.T) {
		next++
		path := filepath.Join(dir, fmt.Sprintf("%d.db", next))
		defer os.Remove(path)
		size := rapid.SampledFrom([]int{512, 1024, 16384}).Draw(t, "page size")
		root := pagesFile(t, path, size)
		numbers := rapid.OneOf(rapid.Int64(), rapid.Int64Range(-300, 300), rapid.SampledFrom([]int64{1 << 23, 1<<23 - 1, -1 << 23, 1 << 31, 1<<31 - 1, 1 << 47, 1<<47 - 1, -1 << 47}))
		lengths := rapid.OneOf(rapid.IntRange(0, 60), rapid.IntRange(size/2, 3*size))
		var rows [][]value
		id := int64(0)
		for range rapid.SampledFrom([]int{0, 1, 5, 150}).Draw(t, "rows") {
			if len(rows) < 40 {
				id += rapid.Int64Range(1, 1<<50).Draw(t, "step")
				rows = append(rows, []value{{number: id}, {number: numbers.Draw(t, "n")}, {text: bytes.Repeat([]byte("a"), lengths.Draw(t, "a"))},
					{number: numbers.Draw(t, "m")}, {text: bytes.Repeat([]byte("ế"), lengths.Draw(t, "b"))}})
				continue
			}
			id++ // more rows than one page has
			rows = append(rows, append([]value{{number: id}}, rows[len(rows)%40][1:]...))
		}
		fillPages(t, path, root, rows)
		sound(t, path)
	})
}

// sound asks SQLite to check the whole file, and that the table takes more rows.
func sound(t *rapid.T, path string) {
	db, err := sql.Open("sqlite", "file:"+path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	for _, more := range []string{"", `INSERT INTO before VALUES ('x'); INSERT INTO after VALUES ('x'); INSERT INTO filled (n, a) VALUES (7, 'x'); UPDATE filled SET b = a || b || a; DELETE FROM filled WHERE id % 3 = 0`} {
		if _, err := db.Exec(more); err != nil {
			t.Fatal(err)
		}
		var found string
		if err := db.QueryRow(`PRAGMA integrity_check`).Scan(&found); err != nil || found != "ok" {
			t.Fatal(found, err)
		}
	}
}

// Given a file whose pages cannot be written by hand, then its rows are inserted, and are the same.
func TestPagesThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	log := newRecorder()
	l := &load{clock: time.Date(2020, 12, 1, 0, 0, 0, 0, time.UTC), next: map[string]uint64{}, max: 4000, facts: func(f domain.Fact) { log.record(t, f) }}
	l.write()
	v := openViews(t, t.TempDir(), log)
	defer closeViews(t, v)
	w, err := v.foldAll(ctx, eventlog.Position{Commit: math.MaxInt64, Prepare: math.MaxInt64}, always, nil)
	must(t, err)
	written := func(change func(*generation)) map[string][]string {
		g, err := v.store.begin(ctx, v.fingerprint)
		must(t, err)
		change(g)
		b := &build{v: v, report: func(Progress) {}, way: giveway.NewRebuild(&v.reads, v.slowRead())}
		must(t, b.writeAll(ctx, g, w))
		must(t, v.store.finish(ctx, g))
		rows := dumpOf(t, g)
		must(t, g.close())
		return rows
	}
	byPages := written(func(*generation) {})
	inserted := written(func(g *generation) {
		info, err := g.growing.file.Stat()
		must(t, err)
		must(t, g.growing.file.Truncate(info.Size()+1)) // more than its header says
	})
	if len(byPages[tableObligation.Name]) == 0 {
		t.Fatal("there are no obligations")
	}
	if d := cmp.Diff(byPages, inserted); d != "" {
		t.Errorf("-pages +inserted:\n%s", d)
	}
}
