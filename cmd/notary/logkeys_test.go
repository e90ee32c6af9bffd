package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"testing"

	"github.com/answerable-ledger/answerable/transparency"
)

// A checkpoint counts when a key that its own log has in force at that size signed it.
func TestKeysOfTheLogAreThoseItRecorded(t *testing.T) {
	t.Parallel()
	var keys []transparency.SigningKey
	for range 3 {
		k, err := transparency.NewSigningKey(origin, transparency.AlgEd25519, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, k)
	}
	type event struct {
		index int64
		kind  string
		key   int
	}
	introduced := func(index int64, key int) event { return event{index, "LogKeyIntroduced", key} }
	retired := func(index int64, key int) event { return event{index, "LogKeyRetired", key} }
	changed := []event{introduced(3, 0), introduced(10, 1), retired(20, 0)}
	for _, tc := range []struct {
		name   string
		events []event
		size   int64
		by     []int
		want   error
	}{
		{"before any was recorded", changed, 3, []int{2}, nil},
		{"by the first", changed, 4, []int{0}, nil},
		{"by a key that was not introduced yet", changed, 10, []int{1}, transparency.ErrSignature},
		{"by a key nobody introduced", changed, 15, []int{2}, transparency.ErrSignature},
		{"in the overlap, by both", changed, 15, []int{0, 1}, nil},
		{"in the overlap, by the old one", changed, 15, []int{0}, nil},
		{"just before the old one retires", changed, 20, []int{0}, nil},
		{"by the old one after it was retired", changed, 21, []int{0}, transparency.ErrSignature},
		{"by both after the old one was retired", changed, 21, []int{0, 1}, nil},
		{"by the new one", changed, 100, []int{1}, nil},
		{"a ledger that records none", nil, 100, []int{2}, nil},
		{"introduced twice", []event{introduced(3, 0), introduced(4, 0)}, 5, []int{0}, transparency.ErrSequence},
		{"retired and never in use", []event{retired(4, 0)}, 5, []int{0}, transparency.ErrSequence},
		{"retired twice", append(changed[:3:3], retired(30, 0)), 40, []int{1}, transparency.ErrSequence},
	} {
		var k logKeys
		err := func() error {
			for _, e := range tc.events {
				l := &transparency.Leaf{Origin: origin, Stream: logKeyStream, Kind: e.kind}
				if err := k.take(e.index, l, fmt.Appendf(nil, `{"origin":%q,"key":%q}`, origin, keys[e.key].VerifierKey)); err != nil {
					return err
				}
			}
			var by []transparency.SigningKey
			for _, i := range tc.by {
				by = append(by, keys[i])
			}
			n, err := transparency.Checkpoint{Origin: origin, Size: tc.size}.Sign(by...)
			if err != nil {
				t.Fatal(err)
			}
			return k.check(tc.size, n)
		}()
		if !errors.Is(err, tc.want) {
			t.Errorf("%s: %v, want %v", tc.name, err, tc.want)
		}
	}
	var k logKeys
	l := &transparency.Leaf{Origin: origin, Stream: logKeyStream, Kind: "LogKeyIntroduced"}
	if err := k.take(0, l, fmt.Appendf(nil, `{"origin":"other.example/log","key":%q}`, keys[0].VerifierKey)); !errors.Is(err, transparency.ErrOrigin) {
		t.Errorf("a key of another log: %v", err)
	}
	// What is not shown is not guessed.
	if err := errors.Join(k.take(3, l, nil), k.check(10, transparency.Note{})); err != nil {
		t.Errorf("not shown: %v", err)
	}
}
