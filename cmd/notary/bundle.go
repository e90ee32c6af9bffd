package main

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/answerable-ledger/answerable/signing"
	"github.com/answerable-ledger/answerable/transparency"
)

// errBundle: the parts of a bundle contradict each other.
var errBundle = errors.New("the bundle contradicts itself")

// Bounds of a bundle: a unit's quarter of a year is far below them.
const (
	maxBundleBytes = 256 << 20
	maxBundleFiles = 100_000
)

const bundleVersion = "answerable-bundle/1"

// bundleManifest is bundle.json.
type bundleManifest struct {
	V       string        `json:"v"`
	Origin  string        `json:"origin"`
	Regime  string        `json:"regime"`
	Unit    string        `json:"unit"`
	From    string        `json:"from"`
	To      string        `json:"to"`
	MadeAt  time.Time     `json:"made_at"`
	Place   string        `json:"position"`
	Entries []bundleEntry `json:"entries"`
}

type bundleEntry struct {
	EventID  uuid.UUID `json:"event_id"`
	Stream   string    `json:"stream"`
	Revision uint64    `json:"revision"`
	Kind     string    `json:"kind"`
	Index    int64     `json:"index"`
	Level    string    `json:"level"`
	Opened   bool      `json:"opened"`

	verdict transparency.ReceiptVerdict
	opening *transparency.Opening
}

func (b *bundleEntry) place() string { return fmt.Sprintf("%s@%d (%s)", b.Stream, b.Revision, b.Kind) }

// shown is the entry as whatever checks whole logs too reads it.
func (b *bundleEntry) shown() shown {
	l := &b.verdict.Leaf
	s := shown{index: b.Index, stream: b.Stream, revision: b.Revision, kind: b.Kind, actor: l.Actor, received: l.ReceivedAt, recorded: l.RecordedAt}
	if b.opening != nil && b.opening.HasPayload {
		s.payload = orEmpty(b.opening.Payload)
	}
	return s
}

// payload reads an entry's content; false when it was not opened.
func (b *bundleEntry) payload(v any) (bool, error) {
	s := b.shown()
	ok, err := s.read(v)
	if err != nil {
		err = s.fault(err)
	}
	return ok, err
}

// bundleReport is what a bundle was found to prove.
type bundleReport struct {
	Manifest bundleManifest
	Level    transparency.Level // the lowest of all entries
	Opened   int
	Judged   judged
	Signed   signatureSum
	Answers  int // records compared with the entries
}

// bundle is one being checked.
type bundle struct {
	policy  *transparency.Policy
	signing signing.Policy
	skew    time.Duration
	files   map[string][]byte
	used    map[string]bool
	heads   map[int64]head // by size
	newest  head
	r       bundleReport
}

type head struct {
	transparency.Judged
	note transparency.Note
}

func isBundle(b []byte) bool { return bytes.HasPrefix(b, []byte("PK\x03\x04")) }

func malformed(format string, args ...any) error {
	return fmt.Errorf(format+": %w", append(args, transparency.ErrMalformed)...)
}

func newBundle(p *transparency.Policy, s signing.Policy) *bundle {
	return &bundle{policy: p, signing: s, skew: transparency.DefaultSkew, used: map[string]bool{}, heads: map[int64]head{}}
}

// check checks everything a bundle says that its own parts and the policy can decide.
func (b *bundle) check(raw []byte) error {
	for _, step := range []func() error{func() error { return b.read(raw) }, b.manifest, b.checkpoints, b.entries, b.streams, b.keys, b.judge, b.signOffs, b.answers, b.leftOver} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// read unpacks the archive and makes it again: a difference anywhere, also where archives have room for what nobody reads,
// is a change.
func (b *bundle) read(raw []byte) error {
	z, err := zip.NewReader(bytes.NewReader(raw), int64(len(raw)))
	if err != nil {
		return malformed("the archive cannot be read (%v)", err)
	}
	if len(z.File) > maxBundleFiles {
		return malformed("the archive holds %d files", len(z.File))
	}
	b.files = map[string][]byte{}
	total := uint64(0)
	for _, f := range z.File {
		if total += f.UncompressedSize64; total > maxBundleBytes || f.Method != zip.Store {
			return malformed("the archive is too large, or packed in another way")
		}
		r, err := f.Open()
		if err != nil {
			return malformed("%s cannot be read (%v)", f.Name, err)
		}
		content, err := io.ReadAll(io.LimitReader(r, maxBundleBytes))
		if err != nil {
			return malformed("%s cannot be read (%v)", f.Name, err)
		}
		b.files[f.Name] = content
	}
	var again bytes.Buffer
	w := zip.NewWriter(&again)
	for _, name := range slices.Sorted(maps.Keys(b.files)) {
		f, err := w.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Store})
		if err == nil {
			_, err = f.Write(b.files[name])
		}
		if err != nil {
			return fmt.Errorf("make the archive again: %w", err)
		}
	}
	if err := w.Close(); err != nil {
		return fmt.Errorf("make the archive again: %w", err)
	}
	if !bytes.Equal(again.Bytes(), raw) {
		return malformed("the archive is not as it was written")
	}
	return nil
}

func (b *bundle) file(name string) ([]byte, error) {
	content, ok := b.files[name]
	if !ok {
		return nil, malformed("the bundle lacks %s", name)
	}
	b.used[name] = true
	return content, nil
}

func (b *bundle) manifest() error {
	text, err := b.file("bundle.json")
	if err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	m := &b.r.Manifest
	if err := d.Decode(m); err != nil || m.V != bundleVersion {
		return malformed("bundle.json (%v, version %q)", err, m.V)
	}
	if len(m.Entries) == 0 {
		return malformed("the bundle holds no entry")
	}
	// The bundle's own policy is the operator's word; the caller's counts. The readable page is made of what is checked
	// here, and of nothing else that is.
	for _, name := range []string{"policy.txt", "summary.html"} {
		if _, err := b.file(name); err != nil {
			return err
		}
	}
	return nil
}

// checkpoints checks every checkpoint, and that all of them lie on one history.
func (b *bundle) checkpoints() error {
	text, err := b.file("checkpoints")
	if err != nil {
		return err
	}
	notes, err := transparency.SplitHistory(text)
	if err != nil {
		return err
	}
	last := int64(-1)
	for _, n := range notes {
		j, err := b.policy.Judge(n)
		if err != nil {
			return err
		}
		if j.Size <= last || j.Origin != b.r.Manifest.Origin {
			return fmt.Errorf("checkpoint of %s, size %d, after size %d: %w", j.Origin, j.Size, last, errBundle)
		}
		last = j.Size
		b.newest = head{j, n}
		b.heads[j.Size] = b.newest
	}
	for size, h := range b.heads {
		if size == 0 || size == b.newest.Size {
			continue
		}
		text, err := b.file("consistency/" + strconv.FormatInt(size, 10))
		if err != nil {
			return err
		}
		c, err := transparency.ParseConsistency(text)
		if err != nil {
			return err
		}
		if c.Old != size || c.Checkpoint.Text != b.newest.note.Text {
			return fmt.Errorf("the proof from size %d leads elsewhere: %w", size, errBundle)
		}
		if err := transparency.CheckConsistency(c.Proof, size, h.Root, b.newest.Checkpoint); err != nil {
			return &transparency.Fork{Older: h.note, Newer: b.newest.note, Proof: c.Proof}
		}
	}
	return nil
}

// entries checks every receipt and every opening.
func (b *bundle) entries() error {
	m := &b.r.Manifest
	b.r.Level = transparency.ProvenBefore
	seen := map[int64]bool{}
	for i := range m.Entries {
		e := &m.Entries[i]
		fail := func(err error) error { return &transparency.Fault{Index: e.Index, Place: e.place(), Err: err} }
		receipt, err := b.file("receipts/" + e.EventID.String() + ".tlog-proof")
		if err != nil {
			return fail(err)
		}
		var o transparency.ReceiptOptions
		if e.Opened {
			text, err := b.file("openings/" + e.EventID.String() + ".opening.json")
			if err != nil {
				return fail(err)
			}
			if o.Opening, err = readOpening(text); err != nil {
				return fail(err)
			}
			e.opening = o.Opening
			b.r.Opened++
		}
		if e.verdict, err = transparency.VerifyReceipt(receipt, b.policy, o); err != nil {
			return fail(err)
		}
		l := e.verdict.Leaf
		if l.EventID != e.EventID || l.Stream != e.Stream || l.Revision != e.Revision || l.Kind != e.Kind || e.verdict.Index != e.Index ||
			l.Origin != m.Origin || e.Index >= 0 && seen[e.Index] {
			return fail(fmt.Errorf("the receipt is of entry %d, %s@%d (%s): %w", e.verdict.Index, l.Stream, l.Revision, l.Kind, errBundle))
		}
		seen[e.Index] = true
		if e.Index >= 0 {
			proof, err := transparency.ParseProof(receipt)
			if err != nil {
				return fail(err)
			}
			if h, ok := b.heads[e.verdict.Judged.Size]; !ok || h.note.Text != proof.Checkpoint.Text {
				return fail(fmt.Errorf("its checkpoint is not among those of the bundle: %w", errBundle))
			}
		}
		b.r.Level = min(b.r.Level, e.verdict.Level)
	}
	// In the order of the log; what is not in it yet comes last.
	slices.SortStableFunc(m.Entries, func(x, y bundleEntry) int {
		switch {
		case x.Index < 0 && y.Index < 0:
			return 0
		case x.Index < 0:
			return 1
		case y.Index < 0:
			return -1
		}
		return int(x.Index - y.Index)
	})
	return nil
}

// streams: nothing is left out within a stream. Of persons only the keys are shown, so there only the order can be seen.
func (b *bundle) streams() error {
	next := map[string]uint64{}
	for i := range b.r.Manifest.Entries {
		e := &b.r.Manifest.Entries[i]
		due := next[e.Stream]
		if e.Revision != due && !(strings.HasPrefix(e.Stream, "person-") && e.Revision > due) {
			return &transparency.Fault{Index: e.Index, Place: e.place(), Err: fmt.Errorf("revision %d follows where %d is due: %w", e.Revision, due, transparency.ErrSequence)}
		}
		next[e.Stream] = e.Revision + 1
	}
	return nil
}

// keys checks every checkpoint against the keys that the entries introduce and retire.
func (b *bundle) keys() error {
	var k logKeys
	for i := range b.r.Manifest.Entries {
		e := &b.r.Manifest.Entries[i]
		if e.Index < 0 || e.opening == nil {
			continue
		}
		if err := k.take(e.Index, &e.verdict.Leaf, shownPayload([]transparency.Opening{*e.opening})); err != nil {
			return &transparency.Fault{Index: e.Index, Place: e.place(), Err: err}
		}
	}
	for _, size := range slices.Sorted(maps.Keys(b.heads)) {
		if err := k.check(size, b.heads[size].note); err != nil {
			return err
		}
	}
	return nil
}

// judge recomputes who was on time from the entries.
func (b *bundle) judge() error {
	j := newJudge(b.skew)
	j.only = b.r.Manifest.Unit
	for i := range b.r.Manifest.Entries {
		e := &b.r.Manifest.Entries[i]
		var opened []transparency.Opening
		if e.opening != nil {
			opened = []transparency.Opening{*e.opening}
		}
		if err := j.take(e.Index, &e.verdict.Leaf, opened); err != nil {
			return &transparency.Fault{Index: e.Index, Place: e.place(), Err: err}
		}
	}
	if err := j.finish(); err != nil {
		return err
	}
	b.r.Judged = j.sum
	return nil
}

// signOffs checks everything that was signed.
func (b *bundle) signOffs() error {
	s := newSignatures(b.signing, func(size int64) (string, bool) {
		h, ok := b.heads[size]
		return h.Root.String(), ok
	})
	s.whole = true
	for i := range b.r.Manifest.Entries {
		e := b.r.Manifest.Entries[i].shown()
		if err := s.take(e); err != nil {
			return e.fault(err)
		}
	}
	if err := s.finish(); err != nil {
		return err
	}
	b.r.Signed = s.sum
	return nil
}

// leftOver refuses what nothing accounts for.
func (b *bundle) leftOver() error {
	for _, name := range slices.Sorted(maps.Keys(b.files)) {
		if !b.used[name] {
			return malformed("the bundle holds %s, which nothing in it names", name)
		}
	}
	return nil
}
