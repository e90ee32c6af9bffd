package transparency

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

// The tiles of C2SP tlog-tiles: 256 hashes, eight levels of the tree each.
const (
	TileHeight = 8
	TileWidth  = 1 << TileHeight
)

// EntriesLevel stands for the bundles of entries in a TileID.
const EntriesLevel = -1

// TileID names one resource: the N-th tile of a level, or the N-th bundle of entries, holding Width things.
type TileID struct {
	Level int // EntriesLevel, or 0 to 63
	N     int64
	Width int // 1 to 256
}

// Path is the resource's address below the log's prefix.
func (t TileID) Path() string {
	p := "tile/entries/"
	if t.Level != EntriesLevel {
		p = "tile/" + strconv.Itoa(t.Level) + "/"
	}
	p += GroupedNumber(t.N)
	if t.Width < TileWidth {
		p += ".p/" + strconv.Itoa(t.Width)
	}
	return p
}

// GroupedNumber writes 1234067 as x001/x234/067.
func GroupedNumber(n int64) string {
	s := fmt.Sprintf("%03d", n%1000)
	for n >= 1000 {
		n /= 1000
		s = fmt.Sprintf("x%03d/%s", n%1000, s)
	}
	return s
}

// ParseGroupedNumber reads what GroupedNumber wrote.
func ParseGroupedNumber(s string) (int64, error) {
	var n int64
	parts := strings.Split(s, "/")
	for i, part := range parts {
		if i < len(parts)-1 {
			part = strings.TrimPrefix(part, "x")
		}
		d, err := strconv.ParseUint(part, 10, 10)
		if err != nil || n > 1<<52 {
			return 0, fmt.Errorf("number %.60q: %w", s, ErrMalformed)
		}
		n = n*1000 + int64(d)
	}
	if GroupedNumber(n) != s {
		return 0, fmt.Errorf("number %.60q: %w", s, ErrMalformed)
	}
	return n, nil
}

// ParseTilePath reads a path that begins with tile/.
func ParseTilePath(path string) (TileID, error) {
	bad := fmt.Errorf("tile path %.80q: %w", path, ErrMalformed)
	rest, ok := strings.CutPrefix(path, "tile/")
	level, rest, ok2 := strings.Cut(rest, "/")
	if !ok || !ok2 {
		return TileID{}, bad
	}
	t := TileID{Width: TileWidth}
	if level == "entries" {
		t.Level = EntriesLevel
	} else if n, err := parseCount(level); err != nil || n > 63 {
		return TileID{}, bad
	} else {
		t.Level = int(n)
	}
	number, width, partial := strings.Cut(rest, ".p/")
	if partial {
		w, err := parseCount(width)
		if err != nil || w < 1 || w >= TileWidth {
			return TileID{}, bad
		}
		t.Width = int(w)
	}
	var err error
	if t.N, err = ParseGroupedNumber(number); err != nil {
		return TileID{}, bad
	}
	return t, nil
}

// Within reports whether a tree of the given size has the whole resource.
func (t TileID) Within(size int64) bool {
	level := max(t.Level, 0)
	if level*TileHeight > 62 || t.N < 0 || t.N > 1<<54 {
		return false
	}
	return t.N*TileWidth+int64(t.Width) <= size>>(level*TileHeight)
}

// TilesOf lists the tiles (not the bundles) of a tree of the given size, level by level.
func TilesOf(size int64) []TileID {
	var out []TileID
	for level := 0; level*TileHeight < 63 && size>>(level*TileHeight) > 0; level++ {
		out = append(out, tilesAt(level, size>>(level*TileHeight))...)
	}
	return out
}

// BundlesOf lists the bundles of entries of a tree of the given size.
func BundlesOf(size int64) []TileID { return tilesAt(EntriesLevel, size) }

func tilesAt(level int, count int64) []TileID {
	var out []TileID
	for n := int64(0); n*TileWidth < count; n++ {
		out = append(out, TileID{level, n, int(min(TileWidth, count-n*TileWidth))})
	}
	return out
}

// AppendEntry adds an entry to a bundle: its length in two bytes, then its bytes.
func AppendEntry(bundle, entry []byte) []byte {
	bundle = binary.BigEndian.AppendUint16(bundle, uint16(len(entry)))
	return append(bundle, entry...)
}

// SplitEntries takes a bundle apart. The slices share the bundle's memory.
func SplitEntries(bundle []byte) ([][]byte, error) {
	entries := make([][]byte, 0, TileWidth)
	for rest := bundle; len(rest) > 0; {
		if len(rest) < 2 {
			return entries, fmt.Errorf("bundle: one byte too many after entry %d: %w", len(entries), ErrMalformed)
		}
		n := int(binary.BigEndian.Uint16(rest))
		if rest = rest[2:]; n > len(rest) {
			return entries, fmt.Errorf("bundle: entry %d has %d bytes, %d are there: %w", len(entries), n, len(rest), ErrMalformed)
		}
		entries = append(entries, rest[:n:n])
		rest = rest[n:]
	}
	return entries, nil
}

// AppendLeafHash adds the LeafHash of a leaf to hashes. It needs room to work in and gives it back for the next leaf.
func AppendLeafHash(hashes, leaf, room []byte) (longer, again []byte) {
	room = append(append(room[:0], 0), leaf...)
	h := sha256.Sum256(room)
	return append(hashes, h[:]...), room
}

// TileRoot hashes the hashes of one full tile to the one hash that stands for it in the level above.
func TileRoot(hashes []tlog.Hash) tlog.Hash {
	var level [TileWidth]tlog.Hash
	return foldHashes(level[:copy(level[:], hashes)])
}

// nodeHash is tlog.NodeHash without its allocation.
func nodeHash(left, right tlog.Hash) tlog.Hash {
	var b [1 + 2*tlog.HashSize]byte
	b[0] = 1
	copy(b[1:], left[:])
	copy(b[1+tlog.HashSize:], right[:])
	return tlog.Hash(sum(b[:]))
}

// Frontier is what is needed of a growing tree to know its root at every size: one hash for each bit of the size.
type Frontier struct {
	size   int64
	hashes []tlog.Hash // from the largest subtree to the smallest
}

// Size is the number of leaves so far.
func (f *Frontier) Size() int64 { return f.size }

// Add appends one leaf.
func (f *Frontier) Add(leaf tlog.Hash) { f.add(0, leaf) }

// AddTile appends a full tile of leaves by its root; the size must be a multiple of TileWidth.
func (f *Frontier) AddTile(root tlog.Hash) { f.add(TileHeight, root) }

func (f *Frontier) add(level int, h tlog.Hash) {
	for i := level; f.size>>i&1 == 1; i++ {
		last := len(f.hashes) - 1
		h = nodeHash(f.hashes[last], h)
		f.hashes = f.hashes[:last]
	}
	f.hashes = append(f.hashes, h)
	f.size += 1 << level
}

// Root is the root of the tree so far.
func (f *Frontier) Root() tlog.Hash {
	if len(f.hashes) == 0 {
		return EmptyRoot
	}
	h := f.hashes[len(f.hashes)-1]
	for i := len(f.hashes) - 2; i >= 0; i-- {
		h = nodeHash(f.hashes[i], h)
	}
	return h
}

// foldHashes hashes a power of two of hashes to the one above them all, where they lie.
func foldHashes(level []tlog.Hash) tlog.Hash {
	for n := len(level); n > 1; n /= 2 {
		for i := range n / 2 {
			level[i] = nodeHash(level[2*i], level[2*i+1])
		}
	}
	return level[0]
}

// TileReader gives a tile's bytes: Width hashes of 32 bytes. It may give those of a wider tile of the same place.
type TileReader func(t TileID) ([]byte, error)

// HashReader reads any hash of the tree out of tiles. It believes them: check the result against a signed root.
func HashReader(size int64, read TileReader) tlog.HashReader {
	return tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		tiles := map[TileID][]byte{}
		out := make([]tlog.Hash, len(indexes))
		var room [TileWidth]tlog.Hash
		for i, index := range indexes {
			level, n := tlog.SplitStoredHashIndex(index)
			id, lo, height := tileAround(size, level, n)
			if !id.Within(size) {
				return nil, fmt.Errorf("hash %d at level %d is not in a tree of size %d: %w", n, level, size, ErrProof)
			}
			b, ok := tiles[id]
			if !ok {
				var err error
				if b, err = read(id); err != nil {
					return nil, err
				}
				if len(b) < id.Width*tlog.HashSize {
					return nil, fmt.Errorf("%s has %d bytes, want %d: %w", id.Path(), len(b), id.Width*tlog.HashSize, ErrMalformed)
				}
				tiles[id] = b
			}
			hs := room[:1<<height]
			for j := range hs {
				hs[j] = tlog.Hash(b[(lo+j)*tlog.HashSize:])
			}
			out[i] = foldHashes(hs)
		}
		return out, nil
	})
}

// tileAround finds the tile that holds the hash, the first of the tile's hashes it covers, and how high above them it is.
func tileAround(size int64, level int, n int64) (id TileID, lo, height int) {
	height = level % TileHeight
	id.Level = level / TileHeight
	first := n << height
	id.N = first / TileWidth
	lo = int(first % TileWidth)
	// The widest form there is, so that hashes of one tile share one reading.
	id.Width = int(min(TileWidth, size>>(id.Level*TileHeight)-id.N*TileWidth))
	if id.Width < lo+1<<height {
		id.Width = lo + 1<<height // not there; Within says so
	}
	return id, lo, height
}
