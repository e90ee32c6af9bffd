package main

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/answerable-ledger/answerable/transparency"
)

// logKeyStream is where the ledger records the keys that sign its log.
const logKeyStream = "log-keys"

// logKeys follows the keys of the log through the entries that introduce and retire them. The policy says whose word
// counts; these entries say what the operator told everybody about his keys. Both must agree: a checkpoint that no key in
// force at its size has signed was signed with a key the log knows nothing of, or one that it had given up.
type logKeys struct {
	keys   []logKey
	hidden int // entries of that stream whose content was not shown
}

type logKey struct {
	key   transparency.VerifierKey
	from  int64 // the entry that introduces it
	until int64 // the entry that retires it, -1 while in use
}

// take reads an entry; any other stream's is none of its business.
func (k *logKeys) take(index int64, l *transparency.Leaf, payload []byte) error {
	if l.Stream != logKeyStream {
		return nil
	}
	if payload == nil {
		k.hidden++
		return nil
	}
	var x struct {
		Origin string `json:"origin"`
		Key    string `json:"key"`
	}
	if err := json.Unmarshal(payload, &x); err != nil {
		return malformed("%s cannot be read (%v)", l.Kind, err)
	}
	key, err := transparency.ParseVerifierKey(x.Key)
	if err != nil {
		return err
	}
	if x.Origin != l.Origin || key.Name != l.Origin {
		return fmt.Errorf("%s names a key of %s: %w", l.Kind, key.Name, transparency.ErrOrigin)
	}
	at := slices.IndexFunc(k.keys, func(y logKey) bool { return y.key.String() == x.Key })
	switch l.Kind {
	case "LogKeyIntroduced":
		if at >= 0 {
			return fmt.Errorf("the key %s is introduced twice: %w", x.Key, transparency.ErrSequence)
		}
		k.keys = append(k.keys, logKey{key, index, -1})
	case "LogKeyRetired":
		if at < 0 && k.hidden > 0 {
			return nil
		}
		if at < 0 || k.keys[at].until >= 0 {
			return fmt.Errorf("the key %s is retired and was not in use: %w", x.Key, transparency.ErrSequence)
		}
		k.keys[at].until = index
	}
	return nil
}

// check judges a checkpoint once all entries are read.
func (k *logKeys) check(size int64, n transparency.Note) error {
	inForce := 0
	for _, x := range k.keys {
		if x.from >= size || x.until >= 0 && x.until < size {
			continue
		}
		inForce++
		for _, s := range n.Signatures {
			if !x.key.Made(s) {
				continue
			}
			if _, err := x.key.Verify(n.Text, s); err == nil {
				return nil
			}
		}
	}
	if inForce == 0 || k.hidden > 0 { // no entry said anything yet, or what one says is not known
		return nil
	}
	place := fmt.Sprintf("checkpoint of size %d", size)
	return &transparency.Fault{Index: -1, Place: place, Err: fmt.Errorf("none of the log's %d keys in force at that size has signed it: %w", inForce, transparency.ErrSignature)}
}

// inUse counts the keys that were not retired.
func (k *logKeys) inUse() (n int) {
	for _, x := range k.keys {
		if x.until < 0 {
			n++
		}
	}
	return n
}

// unnamed are the keys in use that a policy does not name: who holds it needs a newer one soon.
func (k *logKeys) unnamed(p *transparency.Policy) (out []string) {
	for _, x := range k.keys {
		if x.until < 0 && !slices.ContainsFunc(p.Logs, func(l transparency.PolicyLog) bool { return l.Key.String() == x.key.String() }) {
			out = append(out, x.key.String())
		}
	}
	return out
}

// shownPayload is an entry's content among its openings, nil when it was not shown.
func shownPayload(opened []transparency.Opening) []byte {
	for _, o := range opened {
		if o.HasPayload {
			return orEmpty(o.Payload)
		}
	}
	return nil
}

// orEmpty is content that was shown: empty, and not nil, when there is none.
func orEmpty(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}
