package treestore

import (
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/answerable-ledger/answerable/transparency"
)

const tileBytes = transparency.TileWidth * tlog.HashSize

// growth is what new leaves do to the tiles.
type growth struct {
	tiles []tileWrite
	edge  [][]byte
}

type tileWrite struct {
	level  int
	n      int64
	hashes []byte
}

// growRoom is memory for one growth at a time, whose tiles lie in it until the next one.
type growRoom struct {
	hashes []byte
	made   []tlog.Hash
}

// grow hashes leaves into the growing tiles of a tree, each tile of the lowest level on whichever processor is free. A
// tile that is full is hashed into the one above.
func (r *growRoom) grow(edge [][]byte, size int64, entries []Entry) growth {
	g := growth{edge: make([][]byte, len(edge))}
	for level, hashes := range edge {
		g.edge[level] = append(make([]byte, 0, tileBytes), hashes...)
	}
	end := size + int64(len(entries))
	first := size / transparency.TileWidth
	tiles := int((end-1)/transparency.TileWidth - first + 1)
	r.made, r.hashes = slices.Grow(r.made[:0], tiles), slices.Grow(r.hashes[:0], tiles*tileBytes)
	made, room := r.made[:tiles], r.hashes[:tiles*tileBytes]
	if len(edge) > 0 {
		copy(room, edge[0])
	}
	share(len(made), func() func(i int) {
		var scratch []byte
		return func(i int) {
			tile := first + int64(i)
			lo, hi := max(size, tile*transparency.TileWidth), min(end, (tile+1)*transparency.TileWidth)
			hashes := room[i*tileBytes:][: lo%transparency.TileWidth*tlog.HashSize : tileBytes]
			for _, e := range entries[lo-size : hi-size] {
				if e.Hash != (tlog.Hash{}) {
					hashes = append(hashes, e.Hash[:]...)
					continue
				}
				hashes, scratch = transparency.AppendLeafHash(hashes, e.Leaf, scratch)
			}
			if len(hashes) == tileBytes {
				made[i] = transparency.TileRoot(hashesOf(hashes))
			}
		}
	})
	if len(g.edge) == 0 {
		g.edge = append(g.edge, nil)
	}
	g.edge[0] = nil
	for i, root := range made {
		tile := first + int64(i)
		if hi := (tile + 1) * transparency.TileWidth; hi > end {
			g.edge[0] = append(make([]byte, 0, tileBytes), room[i*tileBytes:][:end%transparency.TileWidth*tlog.HashSize]...)
			break
		}
		g.tiles = append(g.tiles, tileWrite{0, tile, room[i*tileBytes : (i+1)*tileBytes]})
		g.add(1, tile, root)
	}
	for level, hashes := range g.edge {
		if len(hashes) > 0 {
			g.tiles = append(g.tiles, tileWrite{level, end >> (level * transparency.TileHeight) / transparency.TileWidth, hashes})
		}
	}
	return g
}

// add puts the n-th hash of a level into its tile.
func (g *growth) add(level int, n int64, h tlog.Hash) {
	if level == len(g.edge) {
		g.edge = append(g.edge, nil)
	}
	if g.edge[level] == nil {
		g.edge[level] = make([]byte, 0, tileBytes)
	}
	if g.edge[level] = append(g.edge[level], h[:]...); len(g.edge[level]) < tileBytes {
		return
	}
	full := g.edge[level]
	g.edge[level] = nil
	tile := n / transparency.TileWidth
	g.tiles = append(g.tiles, tileWrite{level, tile, full})
	g.add(level+1, tile, transparency.TileRoot(hashesOf(full)))
}

// share does n things on all processors, each with a function of its own, and returns when all are done.
func share(n int, worker func() func(i int)) {
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(n, runtime.GOMAXPROCS(0)) {
		wg.Go(func() {
			do := worker()
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				do(i)
			}
		})
	}
	wg.Wait()
}

func hashesOf(b []byte) []tlog.Hash {
	hs := make([]tlog.Hash, len(b)/tlog.HashSize)
	for i := range hs {
		hs[i] = tlog.Hash(b[i*tlog.HashSize:])
	}
	return hs
}
