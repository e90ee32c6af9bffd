package projections

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sort"
)

// errNotWritten: what is read back is not what was written.
var errNotWritten = errors.New("the page is not as it was written")

// find gives the record of a row that was added, nil when there is none. The pages above the leaves are not there yet.
func (t *tablePages) find(id int64) ([]byte, error) {
	leaf, cells := t.leaf.b, t.leaf.cells
	if i := sort.Search(len(t.leaves), func(i int) bool { return t.leaves[i].id >= id }); i < len(t.leaves) {
		var err error
		if leaf, err = t.read(t.leaves[i].page); err != nil {
			return nil, err
		}
		cells = int(binary.BigEndian.Uint16(leaf[3:]))
	}
	if leafHeader+2*cells > len(leaf) {
		return nil, errNotWritten
	}
	var cell []byte // of the row, behind its id
	var size int
	i := sort.Search(cells, func(i int) bool {
		at := min(int(binary.BigEndian.Uint16(leaf[leafHeader+2*i:])), len(leaf))
		n, rest := varint(leaf[at:])
		found, rest := varint(rest)
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
func (t *tablePages) whole(size int, cell []byte) ([]byte, error) {
	local := localBytes(t.size, size)
	if size < 0 || local > len(cell) {
		return nil, errNotWritten
	}
	record := append(make([]byte, 0, size), cell[:local]...)
	if local == size {
		return record, nil
	}
	if local+4 > len(cell) {
		return nil, errNotWritten
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
func (t *tablePages) read(n uint32) ([]byte, error) {
	pending := t.next - uint32(len(t.pending)/t.size)
	if n == 0 || n >= t.next {
		return nil, errNotWritten
	}
	if n >= pending {
		begin := int(n-pending) * t.size
		return t.pending[begin : begin+t.size], nil
	}
	b := make([]byte, t.size)
	if _, err := t.file.ReadAt(b, int64(n-1)*int64(t.size)); err != nil {
		return nil, fmt.Errorf("projections: pages of %s: %w", t.file.Name(), err)
	}
	return b, nil
}

// varint reads what appendVarint wrote. What is cut off reads as zeros.
func varint(b []byte) (v uint64, rest []byte) {
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

// readRecord reads what appendRecord wrote. Texts are parts of the record.
func readRecord(record []byte, columns []column) ([]value, error) {
	size, types := varint(record)
	begin := len(record) - len(types)
	if size > uint64(len(record)) || int(size) < begin {
		return nil, errNotWritten
	}
	types, body := record[begin:size], record[size:]
	row := make([]value, len(columns))
	for i := range columns {
		var kind uint64
		kind, types = varint(types)
		n := 0
		switch {
		case i == 0: // its id, which the cell has
		case columns[i].Integer && kind < uint64(len(integerBytes)):
			n = integerBytes[kind]
		case !columns[i].Integer && kind >= 13:
			n = int(kind-13) / 2
		default:
			return nil, errNotWritten
		}
		if n > len(body) {
			return nil, errNotWritten
		}
		if columns[i].Integer {
			row[i].number = readInteger(kind, body[:n])
		} else {
			row[i].text = body[:n]
		}
		body = body[n:]
	}
	return row, nil
}

// readInteger reads a number of one of the types that integerType gives.
func readInteger(kind uint64, b []byte) int64 {
	if kind == 9 {
		return 1
	}
	v := int64(0)
	for i, x := range b {
		if i == 0 {
			v = int64(int8(x))
			continue
		}
		v = v<<8 | int64(x)
	}
	return v
}
