package projections

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
)

// tablePages fills one empty table of a fresh SQLite file by writing the pages of its tree as the file format has them
// (sqlite.org/fileformat2.html, 1.3 to 1.6 and 2.1): rows come in the order of their ids, so that one page after the other
// is full and nothing is looked up. Through SQLite the same rows take three times as long. No connection may have the file
// open meanwhile. What a crash leaves half written is a generation that is still being built, which the next start removes.
type tablePages struct {
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

var errNotFresh = errors.New("not a fresh SQLite file of the expected form")

// newTablePages begins with a table that has its root on a page of the file.
func newTablePages(file *os.File, root uint32) (*tablePages, error) {
	var header [100]byte
	info, err := file.Stat()
	if err == nil {
		_, err = file.ReadAt(header[:], 0)
	}
	if err != nil {
		return nil, fmt.Errorf("projections: pages of %s: %w", file.Name(), err)
	}
	size, pages := int(binary.BigEndian.Uint16(header[16:])), binary.BigEndian.Uint32(header[28:])
	// Bytes 20 and 52: nothing is reserved at the end of a page, and no page says where the others are used.
	if size < 512 || header[20] != 0 || binary.BigEndian.Uint32(header[52:]) != 0 || int64(pages)*int64(size) != info.Size() || root < 2 || root > pages {
		return nil, fmt.Errorf("projections: pages of %s: %w", file.Name(), errNotFresh)
	}
	return &tablePages{file: file, size: size, root: root, next: pages + 1, leaf: newPage(size, leafHeader), pending: make([]byte, 0, pagesAtOnce*size)}, nil
}

// add takes the record of the next row.
func (t *tablePages) add(id int64, record []byte) error {
	var head [18]byte
	n := len(appendVarint(appendVarint(head[:0], uint64(len(record))), uint64(id)))
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
func (t *tablePages) overflow(rest []byte) (first uint32, err error) {
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

// end writes what is left, the pages above the rows, and the size of the file.
func (t *tablePages) end() error {
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
		return fmt.Errorf("projections: pages of %s: %w", t.file.Name(), err)
	}
	return nil
}

// above makes the levels of the tree above its leaves, of which the last has no number yet, and gives the root.
func (t *tablePages) above(level []child, last []byte) ([]byte, error) {
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
			n := len(appendVarint(cell[:4], uint64(c.id)))
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
func (t *tablePages) put(b []byte) (uint32, error) {
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
func (t *tablePages) number() uint32 { return t.usable(t.next) }

func (t *tablePages) following(at uint32) uint32 { return t.usable(at + 1) }

func (t *tablePages) usable(at uint32) uint32 {
	if int(at) == lockByte/t.size+1 {
		return at + 1
	}
	return at
}

func (t *tablePages) flush() error {
	begin := int64(t.next-1)*int64(t.size) - int64(len(t.pending))
	if _, err := t.file.WriteAt(t.pending, begin); err != nil {
		return fmt.Errorf("projections: pages of %s: %w", t.file.Name(), err)
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

// appendVarint writes seven bits to a byte, the greatest first; a ninth byte has eight.
func appendVarint(b []byte, v uint64) []byte {
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

// appendRecord writes a row of a table whose first column is its id, which the cell has: a record has NULL in its place.
func appendRecord(b []byte, columns []column, row []value) []byte {
	var header [128]byte
	h := append(header[:0], 0, 0) // its own length comes first
	for i, v := range row[1:] {
		if columns[i+1].Integer {
			h = append(h, byte(integerType(v.number)))
		} else {
			h = appendVarint(h, uint64(13+2*len(v.text)))
		}
	}
	h[0] = byte(len(h)) // fewer than 128 bytes: a table of ours has a dozen columns
	b = append(b, h...)
	for i, v := range row[1:] {
		if !columns[i+1].Integer {
			b = append(b, v.text...)
			continue
		}
		for n := integerBytes[integerType(v.number)]; n > 0; n-- {
			b = append(b, byte(v.number>>(8*(n-1))))
		}
	}
	return b
}

// integerBytes is how many bytes a number of each type takes; 8 and 9 stand for 0 and 1.
var integerBytes = [...]int{1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8, 8: 0, 9: 0}

func integerType(n int64) int {
	switch {
	case n == 0 || n == 1:
		return 8 + int(n)
	case n == int64(int8(n)):
		return 1
	case n == int64(int16(n)):
		return 2
	case n<<40>>40 == n:
		return 3
	case n == int64(int32(n)):
		return 4
	case n<<16>>16 == n:
		return 5
	}
	return 6
}
