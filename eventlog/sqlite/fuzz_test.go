package sqlite

import (
	"encoding/binary"
	"hash/crc32"
	"maps"
	"testing"
)

// A run of stream heads is read whole or not at all, and what was read is written as the same streams and places. The
// checksum is made to fit every second time: what has it may still hold anything.
func FuzzDecodeRun(f *testing.F) {
	f.Add([]byte{}, false)
	f.Add([]byte{}, true)
	f.Add(encodeRun(nil), false)
	f.Add(encodeRun(map[streamKey]place{keyOf("unit-1"): {7, 3}, keyOf("unit-2"): {1 << 63, 0}}), false)
	f.Add(make([]byte, 2*runEntryBytes), true)
	f.Add(make([]byte, runEntryBytes+1), true)
	f.Fuzz(func(t *testing.T, run []byte, sum bool) {
		if sum {
			run = binary.BigEndian.AppendUint32(run, crc32.Checksum(run, castagnoli))
		}
		got := map[streamKey]place{}
		if err := decodeRun(run, got); err != nil {
			if len(got) > 0 {
				t.Fatalf("refused with %d streams: %v", len(got), err)
			}
			return
		}
		again := map[streamKey]place{}
		if err := decodeRun(encodeRun(got), again); err != nil || !maps.Equal(got, again) {
			t.Fatalf("%v became %v: %v", got, again, err)
		}
	})
}
