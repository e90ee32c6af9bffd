package sqlitepages

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sort"
)

// ErrNotWritten: what is read back is not what was written.
var ErrNotWritten = errors.New("the page is not as it was written")

// Find gives the record of a row that was added, nil when there is none. The pages above the leaves are not there yet.
func (t *Table) Find(id int64) ([]byte, error) {
	leaf, cells := t.leaf.b, t.leaf.cells
	if i := sort.Search(len(t.leaves), func(i int) bool { return t.leaves[i].id >= id }); i < len(t.leaves) {
		var err error
		if leaf, err = t.read(t.leaves[i].page); err != nil {
			return nil, err
		}
		cells = int(binary.BigEndian.Uint16(leaf[3:]))
	}
	if leafHeader+2*cells > len(leaf) {
		return nil, ErrNotWritten
	}
	var cell []byte // of the row, behind its id
	var size int
	i := sort.Search(cells, func(i int) bool {
		at := min(int(binary.BigEndian.Uint16(leaf[leafHeader+2*i:])), len(leaf))
		n, rest := Varint(leaf[at:])
		found, rest := Varint(rest)
		if int64(found) < id {
			return false
		}
		if int64(found) == id {
			size, cell = int(n), rest
		}
		return true
	})
	if i == cells || cell == nil {
		return nil, nil
	}
	return t.whole(size, cell)
}

// whole gives a record of a size, which begins in a cell and may go on in a chain of pages.
func (t *Table) whole(size int, cell []byte) ([]byte, error) {
	local := localBytes(t.size, size)
	if size < 0 || local > len(cell) {
		return nil, ErrNotWritten
	}
	record := append(make([]byte, 0, size), cell[:local]...)
	if local == size {
		return record, nil
	}
	if local+4 > len(cell) {
		return nil, ErrNotWritten
	}
	for next := binary.BigEndian.Uint32(cell[local:]); len(record) < size; {
		b, err := t.read(next)
		if err != nil {
			return nil, err
		}
		record = append(record, b[4:min(len(b), 4+size-len(record))]...)
		next = binary.BigEndian.Uint32(b)
	}
	return record, nil
}

// read gives a page that was put.
func (t *Table) read(n uint32) ([]byte, error) {
	pending := t.next - uint32(len(t.pending)/t.size)
	if n == 0 || n >= t.next {
		return nil, ErrNotWritten
	}
	if n >= pending {
		begin := int(n-pending) * t.size
		return t.pending[begin : begin+t.size], nil
	}
	b := make([]byte, t.size)
	if _, err := t.file.ReadAt(b, int64(n-1)*int64(t.size)); err != nil {
		return nil, fmt.Errorf("sqlitepages: %s: %w", t.file.Name(), err)
	}
	return b, nil
}

// Varint reads what AppendVarint wrote. What is cut off reads as zeros.
func Varint(b []byte) (v uint64, rest []byte) {
	for i, x := range b {
		if i == 8 {
			return v<<8 | uint64(x), b[9:]
		}
		if v = v<<7 | uint64(x&0x7f); x < 0x80 {
			return v, b[i+1:]
		}
	}
	return 0, nil
}
