package main

import (
	"crypto/rand"
	"errors"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/answerable-ledger/answerable/transparency"
)

// A demonstration is made anew at will, under one name and key: a second one is no fork.
func TestADemonstrationIsNotRemembered(t *testing.T) {
	m := memory{t.TempDir()}
	for _, c := range []struct {
		origin string
		forks  bool
	}{
		{"so.binhduong.example/2021", true},
		{"invalid/2021", true},
		{"demo.answerable.invalid/binhduong-2021", false},
	} {
		key, err := transparency.NewSigningKey(c.origin, transparency.AlgEd25519, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		var last error
		for root := range byte(2) {
			checkpoint := transparency.Checkpoint{Origin: c.origin, Size: 1, Root: tlog.Hash{root}}
			note, err := checkpoint.Sign(key)
			if err != nil {
				t.Fatal(err)
			}
			last = m.add(transparency.Judged{Checkpoint: checkpoint}, note)
		}
		if got := errors.Is(last, transparency.ErrFork); got != c.forks {
			t.Errorf("%s: %v", c.origin, last)
		}
	}
}
