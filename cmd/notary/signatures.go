package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/answerable-ledger/answerable/signing"
	"github.com/answerable-ledger/answerable/transparency"
)

// errSigned: what was signed is not what was recorded, or by somebody who could not sign it.
var errSigned = errors.New("what was signed and what was recorded contradict each other")

// signOff is what is read of a ReportSignedOff.
type signOff struct {
	Version        int                `json:"version"`
	Digest         string             `json:"digest"`
	Signer         string             `json:"signer"`
	Capacity       string             `json:"capacity"`
	Authority      string             `json:"authority"`
	Statement      string             `json:"statement"`
	CheckpointSeen string             `json:"checkpoint_seen"`
	Signature      *signing.Signature `json:"signature"`
}

// statement is what is read of the text that was signed.
type statement struct {
	V          string `json:"v"`
	Authority  string `json:"authority"`
	Capacity   string `json:"capacity"`
	Checkpoint string `json:"checkpoint"`
	Date       string `json:"date"`
	Decision   string `json:"decision"`
	Digest     string `json:"digest"`
	Form       string `json:"form"`
	Nonce      string `json:"nonce"`
	Regime     string `json:"regime"`
	Signer     string `json:"signer"`
	Unit       string `json:"unit"`
	Version    int    `json:"version"`
}

// version is what is read of a ReportSubmitted or a ReportCorrected.
type version struct {
	Version int              `json:"version"` // 0 in a ReportSubmitted
	Digest  string           `json:"digest"`
	Figures map[string]int64 `json:"figures"`
	filed
}

// shown is an entry as its reader was shown it.
type shown struct {
	index    int64 // -1: only recorded
	stream   string
	revision uint64
	kind     string
	actor    string
	received time.Time
	recorded time.Time
	payload  []byte // nil: its content was not shown
}

func (s *shown) place() string { return fmt.Sprintf("%s@%d (%s)", s.stream, s.revision, s.kind) }

// read reads the entry's content; false when it was not shown.
func (s *shown) read(v any) (bool, error) {
	if s.payload == nil {
		return false, nil
	}
	if err := json.Unmarshal(s.payload, v); err != nil {
		return false, malformed("its content cannot be read (%v)", err)
	}
	return true, nil
}

func (s *shown) fault(err error) error {
	place := s.place()
	if s.index >= 0 {
		place = fmt.Sprintf("entry %d, %s", s.index, place)
	}
	return &transparency.Fault{Index: s.index, Place: place, Err: err}
}

// signatures checks what people and machines signed: sign-offs, and versions of reports that the machine of their unit
// signed. It is shown every entry in order; then it judges each signature, by the keys, offices and versions that the
// entries give. What the content of an entry that was not shown might have changed is counted and never guessed.
type signatures struct {
	policy signing.Policy
	// whole: everything that bears upon a signature must be shown, as a bundle does.
	whole bool
	// seen gives the root of a checkpoint that the log keeps.
	seen func(size int64) (root string, ok bool)

	enrolments  []signing.Enrolment
	revocations []signing.Revocation
	hidden      map[string]int64          // by stream of a person or an office: the first entry whose content was not shown
	digests     map[string]map[int]string // of the versions, by stream
	offices     offices
	acts        []shown // what carries a signature, or should
	nonces      map[string]bool
	sum         signatureSum
}

// signed is the summary.
type signatureSum struct {
	SignOffs int `json:"sign_offs"`             // shown
	Signed   int `json:"signed"`                // of them, with a signature that holds
	Filed    int `json:"filings_signed"`        // versions of reports that a machine signed, with a signature that holds
	Unjudged int `json:"signatures_not_judged"` // the options name no site or no root for it
	// What was not shown: sign-offs, versions of reports, and what else a signature that was shown rests on.
	SignOffsHidden int `json:"sign_offs_not_shown"`
	FilingsHidden  int `json:"filings_not_shown"`
	Unknown        int `json:"signatures_not_determinable"`
}

func newSignatures(p signing.Policy, seen func(int64) (string, bool)) *signatures {
	return &signatures{policy: p, seen: seen, hidden: map[string]int64{}, digests: map[string]map[int]string{}, nonces: map[string]bool{}}
}

// take follows the log entry by entry.
func (s *signatures) take(e shown) error {
	switch category, _, _ := strings.Cut(e.stream, "-"); category {
	case "person":
		return s.person(e)
	case "office":
		if e.payload == nil {
			s.hide(e)
		}
		return s.offices.take(e)
	case "report":
		return s.report(e)
	}
	return nil
}

// takeLeaf is take in an audit. It keeps nothing of the leaf, which shares its memory with many others.
func (s *signatures) takeLeaf(index int64, l *transparency.Leaf, payload []byte) error {
	e := shown{index: index, stream: l.Stream, revision: l.Revision, kind: l.Kind, actor: l.Actor, received: l.ReceivedAt, recorded: l.RecordedAt, payload: payload}
	category, _, _ := strings.Cut(l.Stream, "-")
	switch {
	case category != "person" && category != "office" && category != "report":
		return nil
	case payload != nil || category != "report": // else it is only counted
		e.stream, e.kind, e.actor = strings.Clone(e.stream), strings.Clone(e.kind), strings.Clone(e.actor)
	}
	return s.take(e)
}

func (s *signatures) hide(e shown) {
	if _, ok := s.hidden[e.stream]; !ok {
		s.hidden[e.stream] = e.index
	}
}

func (s *signatures) person(e shown) error {
	if e.kind != "CredentialEnrolled" && e.kind != "CredentialRevoked" {
		return nil
	}
	var x struct {
		Person     string `json:"person"`
		Credential string `json:"credential"`
		Method     string `json:"method"`
		PublicKey  string `json:"public_key"`
	}
	ok, err := e.read(&x)
	switch {
	case err != nil:
		return err
	case !ok:
		s.hide(e)
	case e.stream != "person-"+x.Person: // nobody enrols keys for another
	case e.kind == "CredentialEnrolled":
		s.enrolments = append(s.enrolments, signing.Enrolment{Person: x.Person, Index: uint64(e.index), At: e.recorded,
			Credential: signing.Credential{ID: x.Credential, Method: x.Method, PublicKey: x.PublicKey}})
	default:
		s.revocations = append(s.revocations, signing.Revocation{Person: x.Person, Credential: x.Credential, Index: uint64(e.index), At: e.recorded})
	}
	return nil
}

func (s *signatures) report(e shown) error {
	switch e.kind {
	case "ReportSubmitted", "ReportCorrected":
		var x version
		ok, err := e.read(&x)
		if err != nil {
			return err
		}
		if !ok {
			s.sum.FilingsHidden++
			return nil
		}
		if s.digests[e.stream] == nil {
			s.digests[e.stream] = map[int]string{}
		}
		s.digests[e.stream][max(x.Version, 1)] = x.Digest
		if x.Signature != nil || x.Statement != "" {
			s.acts = append(s.acts, e)
		}
	case "ReportSignedOff":
		if e.payload == nil {
			s.sum.SignOffsHidden++
			return nil
		}
		s.sum.SignOffs++
		s.acts = append(s.acts, e)
	}
	return nil
}

// finish judges every signature once all entries are known, in the order of the log.
func (s *signatures) finish() error {
	for i := range s.acts {
		e := &s.acts[i]
		check := s.filing
		if e.kind == "ReportSignedOff" {
			check = s.signOff
		}
		if err := check(e); err != nil {
			return e.fault(err)
		}
	}
	return nil
}

// obscured reports whether an entry of a stream was not shown that came before an act, so that nothing follows from its
// not being there.
func (s *signatures) obscured(stream string, e *shown) bool {
	first, ok := s.hidden[stream]
	return ok && !s.whole && (e.index < 0 || first < e.index)
}

// signOff checks that a statement is of the version it signs, that the signer held the office or the right they name, and
// that the signature was made by a key enrolled by an earlier entry and not revoked by one.
func (s *signatures) signOff(e *shown) error {
	var x signOff
	if _, err := e.read(&x); err != nil {
		return err
	}
	var t statement
	if err := json.Unmarshal([]byte(x.Statement), &t); err != nil {
		return malformed("the statement that was signed cannot be read (%v)", err)
	}
	stream := fmt.Sprintf("report-%s.%s.%s.%s", t.Regime, t.Form, t.Unit, strings.ReplaceAll(t.Date, "-", ""))
	digest := s.digests[e.stream][x.Version]
	switch {
	case stream != e.stream || t.Signer != x.Signer || t.Version != x.Version || t.Digest != x.Digest || t.Capacity != x.Capacity ||
		t.Authority != x.Authority || t.Checkpoint != x.CheckpointSeen || t.Decision != "sign-off":
		return fmt.Errorf("the statement that was signed says something else than the entry: %w", errSigned)
	case digest != "" && digest != x.Digest:
		return fmt.Errorf("it signs the digest %s, version %d has %s: %w", x.Digest, x.Version, digest, errSigned)
	case e.actor != x.Signer:
		return fmt.Errorf("it was signed by %s and sent by %s: %w", x.Signer, e.actor, errSigned)
	}
	holds := &s.sum.Signed
	if !s.offices.maySign(t.Unit, x, t.Form, e.received) {
		if !s.obscured("office-"+t.Unit, e) {
			return fmt.Errorf("%s held no such right for unit %s at %s, as far as the office's entries show: %w", x.Signer, t.Unit, show(e.received), errSigned)
		}
		holds = &s.sum.Unknown
	}
	if x.CheckpointSeen != "" {
		known, err := s.checkpoint(e, x.CheckpointSeen)
		if err != nil {
			return err
		}
		if !known {
			holds = &s.sum.Unknown
		}
	}
	if x.Signature == nil {
		return nil
	}
	if t.Nonce == "" || s.nonces[t.Nonce] {
		return fmt.Errorf("its nonce %q was used before: a signature was replayed: %w", t.Nonce, errSigned)
	}
	s.nonces[t.Nonce] = true
	return s.signature(e, x.Signer, x.Statement, *x.Signature, holds)
}

// checkpoint compares what a signer says to have seen with what the log keeps. known is false when it keeps none of that
// size, for it may have lost some, or when the signer wrote something else there, which the ledger lets them.
func (s *signatures) checkpoint(e *shown, seen string) (known bool, err error) {
	size, root, _ := strings.Cut(seen, " ")
	n, err := strconv.ParseInt(size, 10, 64)
	kept, ok := s.seen(n)
	switch {
	case err != nil && !s.whole:
		return false, nil
	case err != nil || ok && kept != root || !ok && s.whole || e.index >= 0 && n > e.index:
		return false, fmt.Errorf("the signer saw the checkpoint %q, which is not one of this log from before: %w", seen, transparency.ErrFork)
	}
	return ok, nil
}

// signature checks a signature by a key that its signer had in force at that entry, and counts it where it holds.
func (s *signatures) signature(e *shown, signer, statement string, made signing.Signature, holds *int) error {
	if s.obscured("person-"+signer, e) { // a key enrolled or revoked that nobody showed us
		s.sum.Unknown++
		return nil
	}
	standing, err := signing.CredentialAt(signer, made.Credential, s.enrolments, s.revocations, uint64(e.index)) // -1 is signing.Now
	if err != nil {
		return fmt.Errorf("%w: %w", err, transparency.ErrSignature)
	}
	p := s.policy
	p.At = e.received
	_, err = signing.Verify(standing.Credential, []byte(statement), made, p)
	switch {
	case err == nil:
		*holds++
	case signing.CodeOf(err) == signing.CodePolicyIncomplete:
		s.sum.Unjudged++
	case errors.Is(err, signing.ErrMalformed), errors.Is(err, signing.ErrSignature), errors.Is(err, signing.ErrStatement), errors.Is(err, signing.ErrPolicy), errors.Is(err, signing.ErrCredential):
		return fmt.Errorf("%w: %w", err, transparency.ErrSignature)
	default:
		return err
	}
	return nil
}

// offices follows who held which office and which right to sign.
type offices struct{ holds []held }

type held struct {
	unit, person, capacity, authority string
	forms                             []string
	from, until                       time.Time // until zero: no end known
}

func (o *offices) take(e shown) error {
	unit, ok := strings.CutPrefix(e.stream, "office-")
	if !ok {
		return nil
	}
	var x struct {
		Person    string    `json:"person"`
		Capacity  string    `json:"capacity"`
		Authority string    `json:"authority"`
		Forms     []string  `json:"forms"`
		From      time.Time `json:"from"`
		Until     time.Time `json:"until"`
		At        time.Time `json:"at"`
	}
	if ok, err := e.read(&x); err != nil || !ok {
		return err
	}
	switch e.kind {
	case "OfficeTaken", "AuthorityGranted":
		o.holds = append(o.holds, held{unit, x.Person, x.Capacity, x.Authority, x.Forms, x.From, x.Until})
	case "OfficeLeft", "AuthorityRevoked":
		end := x.Until
		if e.kind == "AuthorityRevoked" {
			end = x.At
		}
		for i := range o.holds {
			h := &o.holds[i]
			if h.unit == unit && h.authority == x.Authority && (x.Authority != "" || h.person == x.Person) && (h.until.IsZero() || end.Before(h.until)) && !end.Before(h.from) {
				h.until = end
			}
		}
	}
	return nil
}

func (h held) at(t time.Time) bool {
	return !t.Before(h.from) && (h.until.IsZero() || t.Before(h.until))
}

func (o *offices) maySign(unit string, x signOff, form string, at time.Time) bool {
	for _, h := range o.holds {
		if h.unit == unit && h.person == x.Signer && h.capacity == x.Capacity && h.authority == x.Authority && h.at(at) && (len(h.forms) == 0 || contains(h.forms, form)) {
			return true
		}
	}
	return false
}

func (o *offices) heldOffice(unit, person string, at time.Time) bool {
	for _, h := range o.holds {
		if h.unit == unit && h.person == person && h.authority == "" && h.at(at) {
			return true
		}
	}
	return false
}

func contains(all []string, one string) bool {
	for _, s := range all {
		if s == one {
			return true
		}
	}
	return false
}
