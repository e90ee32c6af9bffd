package sqlitepages

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
)

// Table is one empty table that is filled. Its methods are one goroutine's at a time.
type Table struct {
	file    *os.File
	size    int    // of a page, in bytes
	root    uint32 // the page that the schema names: it stays where it is
	next    uint32 // the number of the next page; pages count from 1
	leaf    page
	last    int64   // the id of the row before
	leaves  []child // those that are full
	pending []byte  // pages just before next that are not in the file yet
}

// child is a page below another, and the greatest id in it.
type child struct {
	page uint32
	id   int64
}

// pagesAtOnce are written with one call: a megabyte of pages of 16 KiB. Chosen.
const pagesAtOnce = 64

// lockByte: the page that holds this byte of a file is never used, since on some systems it is what is locked.
const lockByte = 1 << 30

// ErrNotFresh: the file has what only a file in use has, so nothing was written to it. It is filled through SQLite instead.
var ErrNotFresh = errors.New("not a fresh SQLite file of the expected form")

// New begins with a table whose root is on a page of the file, as sqlite_master names it.
func New(file *os.File, root uint32) (*Table, error) {
	var header [100]byte
	info, err := file.Stat()
	if err == nil {
		_, err = file.ReadAt(header[:], 0)
	}
	if err != nil {
		return nil, fmt.Errorf("sqlitepages: %s: %w", file.Name(), err)
	}
	size, pages := int(binary.BigEndian.Uint16(header[16:])), binary.BigEndian.Uint32(header[28:])
	// Bytes 20 and 52: nothing is reserved at the end of a page, and no page says where the others are used.
	if size < 512 || header[20] != 0 || binary.BigEndian.Uint32(header[52:]) != 0 || int64(pages)*int64(size) != info.Size() || root < 2 || root > pages {
		return nil, fmt.Errorf("sqlitepages: %s: %w", file.Name(), ErrNotFresh)
	}
	return &Table{file: file, size: size, root: root, next: pages + 1, leaf: newPage(size, leafHeader), pending: make([]byte, 0, pagesAtOnce*size)}, nil
}

// Add takes the record of the next row; ids rise. What the record is made of may be changed afterwards.
func (t *Table) Add(id int64, record []byte) error {
	var head [18]byte
	n := len(AppendVarint(AppendVarint(head[:0], uint64(len(record))), uint64(id)))
	local := localBytes(t.size, len(record))
	cell := n + local
	if local < len(record) {
		cell += 4 // the page where the rest is
	}
	if !t.leaf.fits(cell) {
		at, err := t.put(t.leaf.finish(kindLeaf))
		if err != nil {
			return err
		}
		t.leaves = append(t.leaves, child{at, t.last})
		t.leaf.clear()
	}
	b := t.leaf.cell(cell)
	copy(b, head[:n])
	copy(b[n:], record[:local])
	t.last = id
	if local == len(record) {
		return nil
	}
	first, err := t.overflow(record[local:])
	binary.BigEndian.PutUint32(b[n+local:], first)
	return err
}

// overflow puts what does not fit beside other rows into a chain of pages, and gives the first.
func (t *Table) overflow(rest []byte) (first uint32, err error) {
	b := make([]byte, t.size)
	for first = t.number(); ; {
		n := copy(b[4:], rest)
		clear(b[4+n:])
		rest = rest[n:]
		after := uint32(0)
		if len(rest) > 0 {
			after = t.following(t.number())
		}
		binary.BigEndian.PutUint32(b, after)
		if _, err := t.put(b); err != nil || after == 0 {
			return first, err
		}
	}
}

// End writes what is left, the pages above the rows, and the size of the file.
func (t *Table) End() error {
	b, err := t.leaf.finish(kindLeaf), error(nil)
	if len(t.leaves) > 0 {
		b, err = t.above(append(t.leaves, child{0, t.last}), b)
	}
	if err != nil {
		return err
	}
	if err := t.flush(); err != nil {
		return err
	}
	var header [100]byte
	_, err = t.file.WriteAt(b, int64(t.root-1)*int64(t.size))
	if err == nil {
		_, err = t.file.ReadAt(header[:], 0)
	}
	if err == nil {
		changed := binary.BigEndian.Uint32(header[24:]) + 1 // the size counts only when both places tell of the same change
		binary.BigEndian.PutUint32(header[24:], changed)
		binary.BigEndian.PutUint32(header[92:], changed)
		binary.BigEndian.PutUint32(header[28:], t.next-1)
		_, err = t.file.WriteAt(header[:], 0)
	}
	if err != nil {
		return fmt.Errorf("sqlitepages: %s: %w", t.file.Name(), err)
	}
	return nil
}

// above makes the levels of the tree above its leaves, of which the last has no number yet, and gives the root.
func (t *Table) above(level []child, last []byte) ([]byte, error) {
	p := newPage(t.size, interiorHeader)
	for {
		at, err := t.put(last)
		if err != nil {
			return nil, err
		}
		level[len(level)-1].page = at
		var next []child
		for i, c := range level {
			var cell [13]byte
			binary.BigEndian.PutUint32(cell[:], c.page)
			n := len(AppendVarint(cell[:4], uint64(c.id)))
			// A page has at least one cell beside its rightmost child: the one before the last begins no new page.
			if i == len(level)-1 || i < len(level)-2 && !p.fits(2*(len(cell)+2)) {
				binary.BigEndian.PutUint32(p.b[8:], c.page)
				if i < len(level)-1 {
					if at, err = t.put(p.finish(kindInterior)); err != nil {
						return nil, err
					}
					p.clear()
				}
				next = append(next, child{at, c.id})
				continue
			}
			copy(p.cell(n), cell[:n])
		}
		if last = p.finish(kindInterior); len(next) == 1 {
			return last, nil
		}
		level, last = next, append([]byte(nil), last...)
		p.clear()
	}
}

// put gives a whole page the next number.
func (t *Table) put(b []byte) (uint32, error) {
	at := t.number()
	if at != t.next || len(t.pending) == cap(t.pending) {
		if err := t.flush(); err != nil {
			return 0, err
		}
	}
	t.pending = append(t.pending, b...)
	t.next = at + 1
	return at, nil
}

// number is what the next page gets.
func (t *Table) number() uint32 { return t.usable(t.next) }

func (t *Table) following(at uint32) uint32 { return t.usable(at + 1) }

func (t *Table) usable(at uint32) uint32 {
	if int(at) == lockByte/t.size+1 {
		return at + 1
	}
	return at
}

func (t *Table) flush() error {
	begin := int64(t.next-1)*int64(t.size) - int64(len(t.pending))
	if _, err := t.file.WriteAt(t.pending, begin); err != nil {
		return fmt.Errorf("sqlitepages: %s: %w", t.file.Name(), err)
	}
	t.pending = t.pending[:0]
	return nil
}

// page is one under way: its cells grow from its end towards the list of where they begin, which follows its header.
type page struct {
	b           []byte
	header, low int
	cells       int
}

const (
	kindLeaf, leafHeader         = 0x0d, 8
	kindInterior, interiorHeader = 0x05, 12
)

func newPage(size, header int) page { return page{b: make([]byte, size), header: header, low: size} }

// fits tells whether there is room for a cell, and for its place in the list.
func (p *page) fits(n int) bool { return p.header+2*(p.cells+1)+n <= p.low }

func (p *page) cell(n int) []byte {
	p.low -= n
	binary.BigEndian.PutUint16(p.b[p.header+2*p.cells:], uint16(p.low))
	p.cells++
	return p.b[p.low : p.low+n]
}

func (p *page) finish(kind byte) []byte {
	clear(p.b[p.header+2*p.cells : p.low])
	p.b[0] = kind
	binary.BigEndian.PutUint16(p.b[3:], uint16(p.cells))
	binary.BigEndian.PutUint16(p.b[5:], uint16(p.low))
	return p.b
}

func (p *page) clear() { p.cells, p.low = 0, len(p.b) }

// localBytes is how much of a record stands in its cell.
func localBytes(size, record int) int {
	most := size - 35
	if record <= most {
		return record
	}
	least := (size-12)*32/255 - 23
	if n := least + (record-least)%(size-4); n <= most {
		return n
	}
	return least
}

// AppendVarint writes a number as records and cells have it: seven bits to a byte, the greatest first; a ninth byte has eight.
func AppendVarint(b []byte, v uint64) []byte {
	if v >= 1<<56 {
		for shift := 57; shift >= 8; shift -= 7 {
			b = append(b, byte(v>>shift)|0x80)
		}
		return append(b, byte(v))
	}
	shift := 0
	for v>>shift > 0x7f {
		shift += 7
	}
	for ; shift > 0; shift -= 7 {
		b = append(b, byte(v>>shift)|0x80)
	}
	return append(b, byte(v&0x7f))
}
