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

// payload reads an entry's content; false when it was not opened.
func (b *bundleEntry) payload(v any) (bool, error) {
	if b.opening == nil || !b.opening.HasPayload {
		return false, nil
	}
	if err := json.Unmarshal(b.opening.Payload, v); err != nil {
		return false, &transparency.Fault{Index: b.Index, Place: b.place(), Err: malformed("its content cannot be read (%v)", err)}
	}
	return true, nil
}

// signOffs checks every sign-off: that its statement is of the version it signs, that the signer held the office or the
// right they name, and that its signature was made by a key enrolled by an earlier entry and not revoked by one.
func (b *bundle) signOffs() error {
	var enrolments []signing.Enrolment
	var revocations []signing.Revocation
	versions := map[string]map[int]version{} // by stream
	nonces := map[string]bool{}
	offices := &offices{}
	for i := range b.r.Manifest.Entries {
		e := &b.r.Manifest.Entries[i]
		index := uint64(e.Index) // -1, only recorded, is signing.Now
		if err := offices.take(e); err != nil {
			return err
		}
		switch e.Kind {
		case "CredentialEnrolled":
			var x struct {
				Person     string `json:"person"`
				Credential string `json:"credential"`
				Method     string `json:"method"`
				PublicKey  string `json:"public_key"`
			}
			if ok, err := e.payload(&x); err != nil {
				return err
			} else if ok && e.Stream == "person-"+x.Person {
				enrolments = append(enrolments, signing.Enrolment{Person: x.Person, Index: index, At: e.verdict.Leaf.RecordedAt,
					Credential: signing.Credential{ID: x.Credential, Method: x.Method, PublicKey: x.PublicKey}})
			}
		case "CredentialRevoked":
			var x struct {
				Person     string `json:"person"`
				Credential string `json:"credential"`
			}
			if ok, err := e.payload(&x); err != nil {
				return err
			} else if ok && e.Stream == "person-"+x.Person {
				revocations = append(revocations, signing.Revocation{Person: x.Person, Credential: x.Credential, Index: index, At: e.verdict.Leaf.RecordedAt})
			}
		case "ReportSubmitted", "ReportCorrected":
			var x version
			if ok, err := e.payload(&x); err != nil {
				return err
			} else if ok {
				if versions[e.Stream] == nil {
					versions[e.Stream] = map[int]version{}
				}
				versions[e.Stream][max(x.Version, 1)] = x
			}
		}
	}
	for i := range b.r.Manifest.Entries {
		e := &b.r.Manifest.Entries[i]
		var x signOff
		if e.Kind == "ReportSubmitted" || e.Kind == "ReportCorrected" {
			if err := b.filing(e, enrolments, revocations, nonces); err != nil {
				return &transparency.Fault{Index: e.Index, Place: e.place(), Err: err}
			}
			continue
		}
		if e.Kind != "ReportSignedOff" {
			continue
		}
		if ok, err := e.payload(&x); err != nil {
			return err
		} else if !ok {
			continue
		}
		b.r.SignOffs++
		if err := b.signOff(e, x, versions[e.Stream][x.Version], offices, enrolments, revocations, nonces); err != nil {
			return &transparency.Fault{Index: e.Index, Place: e.place(), Err: err}
		}
	}
	return nil
}

func (b *bundle) signOff(e *bundleEntry, x signOff, v version, o *offices, enrolments []signing.Enrolment, revocations []signing.Revocation, nonces map[string]bool) error {
	var s statement
	if err := json.Unmarshal([]byte(x.Statement), &s); err != nil {
		return malformed("the statement that was signed cannot be read (%v)", err)
	}
	stream := fmt.Sprintf("report-%s.%s.%s.%s", s.Regime, s.Form, s.Unit, strings.ReplaceAll(s.Date, "-", ""))
	switch {
	case stream != e.Stream || s.Signer != x.Signer || s.Version != x.Version || s.Digest != x.Digest || s.Capacity != x.Capacity ||
		s.Authority != x.Authority || s.Checkpoint != x.CheckpointSeen || s.Decision != "sign-off":
		return fmt.Errorf("the statement that was signed says something else than the entry: %w", errBundle)
	case v.Digest != "" && v.Digest != x.Digest:
		return fmt.Errorf("it signs the digest %s, version %d has %s: %w", x.Digest, x.Version, v.Digest, errBundle)
	case e.verdict.Leaf.Actor != x.Signer:
		return fmt.Errorf("it was signed by %s and sent by %s: %w", x.Signer, e.verdict.Leaf.Actor, errBundle)
	case !o.maySign(s.Unit, x, s.Form, e.verdict.Leaf.ReceivedAt):
		return fmt.Errorf("%s held no such right for unit %s at %s, as far as the office's entries show: %w", x.Signer, s.Unit, show(e.verdict.Leaf.ReceivedAt), errBundle)
	}
	if x.CheckpointSeen != "" {
		size, root, _ := strings.Cut(x.CheckpointSeen, " ")
		n, err := strconv.ParseInt(size, 10, 64)
		h, ok := b.heads[n]
		if err != nil || !ok || strings.Split(h.note.Text, "\n")[2] != root || e.Index >= 0 && n > e.Index {
			return fmt.Errorf("the signer saw the checkpoint %q, which is not one of this log from before: %w", x.CheckpointSeen, transparency.ErrFork)
		}
	}
	if x.Signature == nil {
		return nil
	}
	if s.Nonce == "" || nonces[s.Nonce] {
		return fmt.Errorf("its nonce %q was used before: a signature was replayed: %w", s.Nonce, errBundle)
	}
	nonces[s.Nonce] = true
	return b.signature(e, x.Signer, x.Statement, *x.Signature, &b.r.Signed, enrolments, revocations)
}

// signature checks a signature by a key that its signer had in force at that entry, and counts it where it holds.
func (b *bundle) signature(e *bundleEntry, signer, statement string, s signing.Signature, holds *int, enrolments []signing.Enrolment, revocations []signing.Revocation) error {
	standing, err := signing.CredentialAt(signer, s.Credential, enrolments, revocations, uint64(e.Index))
	if err != nil {
		return fmt.Errorf("%w: %w", err, transparency.ErrSignature)
	}
	p := b.signing
	p.At = e.verdict.Leaf.ReceivedAt
	_, err = signing.Verify(standing.Credential, []byte(statement), s, p)
	switch {
	case err == nil:
		*holds++
	case signing.CodeOf(err) == signing.CodePolicyIncomplete:
		b.r.Unjudged++
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

func (o *offices) take(e *bundleEntry) error {
	unit, ok := strings.CutPrefix(e.Stream, "office-")
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
	if ok, err := e.payload(&x); err != nil || !ok {
		return err
	}
	switch e.Kind {
	case "OfficeTaken", "AuthorityGranted":
		o.holds = append(o.holds, held{unit, x.Person, x.Capacity, x.Authority, x.Forms, x.From, x.Until})
	case "OfficeLeft", "AuthorityRevoked":
		end := x.Until
		if e.Kind == "AuthorityRevoked" {
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
