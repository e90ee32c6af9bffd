package projections

import "github.com/answerable-ledger/answerable/projections/sqlitepages"

// A record is a row as SQLite's pages have it (sqlite.org/fileformat2.html, 2.1): the type of each column, then their bytes.

// appendRecord writes a row of a table whose first column is its id, which the cell has: a record has NULL in its place.
func appendRecord(b []byte, columns []column, row []value) []byte {
	var header [128]byte
	h := append(header[:0], 0, 0) // its own length comes first
	for i, v := range row[1:] {
		if columns[i+1].Integer {
			h = append(h, byte(integerType(v.number)))
		} else {
			h = sqlitepages.AppendVarint(h, uint64(13+2*len(v.text)))
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

// readRecord reads what appendRecord wrote. Texts are parts of the record.
func readRecord(record []byte, columns []column) ([]value, error) {
	size, types := sqlitepages.Varint(record)
	begin := len(record) - len(types)
	if size > uint64(len(record)) || int(size) < begin {
		return nil, sqlitepages.ErrNotWritten
	}
	types, body := record[begin:size], record[size:]
	row := make([]value, len(columns))
	for i := range columns {
		var kind uint64
		kind, types = sqlitepages.Varint(types)
		n := 0
		switch {
		case i == 0: // its id, which the cell has
		case columns[i].Integer && kind < uint64(len(integerBytes)):
			n = integerBytes[kind]
		case !columns[i].Integer && kind >= 13:
			n = int(kind-13) / 2
		default:
			return nil, sqlitepages.ErrNotWritten
		}
		if n > len(body) {
			return nil, sqlitepages.ErrNotWritten
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
