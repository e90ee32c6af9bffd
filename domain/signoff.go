package domain

import (
	"slices"
	"strconv"
	"time"
)

// ReportSignedOff binds a signer, in a capacity, to the digest of one version (rule 6).
type ReportSignedOff struct {
	Version   int      `json:"version"`
	Digest    string   `json:"digest"`
	Signer    PersonID `json:"signer"`
	Capacity  Capacity `json:"capacity"`
	Title     string   `json:"title"`
	Authority string   `json:"authority,omitempty"`
	// Statement is the text signed, verbatim: see Statement. CheckpointSeen is the log checkpoint it names.
	Statement      string     `json:"statement"`
	CheckpointSeen string     `json:"checkpoint_seen,omitempty"`
	Signature      *Signature `json:"signature,omitempty"`
}

// Signature proves that the holder of an enrolled credential signed the statement. All parts are base64 of the exact
// bytes, so that it can be checked later without this program.
type Signature struct {
	Method            string `json:"method"` // webauthn, ed25519, cms
	Credential        string `json:"credential"`
	Signature         string `json:"signature"`
	ClientData        string `json:"client_data,omitempty"`
	AuthenticatorData string `json:"authenticator_data,omitempty"`
}

func (ReportSignedOff) Kind() string { return "ReportSignedOff" }
func (ReportSignedOff) event()       {}

// SignOff is a recorded sign-off.
type SignOff struct {
	ReportSignedOff
	At         time.Time // received_at: the instant whose right to sign counts
	RecordedAt time.Time
}

// SignOffState of the newest version.
type SignOffState string

const (
	SignOffNone       SignOffState = "none"       // nothing filed
	SignOffWaiting    SignOffState = "waiting"    // filed, never signed
	SignOffSigned     SignOffState = "signed"     // the newest version is signed
	SignOffSuperseded SignOffState = "superseded" // an earlier version was signed, the newest is not (rule 6)
	SignOffReturned   SignOffState = "returned"   // sent back to the filer
)

// SignOffState says where the newest version stands.
func (r Report) SignOffState() SignOffState {
	switch {
	case len(r.Versions) == 0:
		return SignOffNone
	case r.Signed():
		return SignOffSigned
	case r.Returned != nil:
		return SignOffReturned
	case len(r.SignOffs) > 0:
		return SignOffSuperseded
	}
	return SignOffWaiting
}

// Signed reports whether the newest version is signed.
func (r Report) Signed() bool {
	n, m := len(r.Versions), len(r.SignOffs)
	return n > 0 && m > 0 && r.SignOffs[m-1].Version == r.Versions[n-1].Number
}

// SigningAttempt is what a head sends: the version and digest they saw, and the checkpoint of the log they saw it under.
type SigningAttempt struct {
	Version        int
	Digest         string
	CheckpointSeen string
	Nonce          string
	Statement      string // "" when the ledger builds it; otherwise it must be what Statement builds
	Signature      *Signature
	At             time.Time
}

// SignOff decides a sign-off (rule 6, rule 7).
func (r Report) SignOff(a SigningAttempt, o Obligation, rules Rules, office Office, by Actor) ([]Event, error) {
	v, err := r.at(a.Version)
	if err != nil {
		return nil, err
	}
	if a.Digest != v.Digest {
		return nil, refuse(Precondition, CodeDigest, "/digest", "digest", a.Digest, "current", v.Digest)
	}
	right, err := office.Right(by.ID, o.Key.Form, a.At)
	if err != nil {
		return nil, err
	}
	if v.Filer == by.ID && !rules.SelfSignOff {
		return nil, refuse(Forbidden, CodeOwnFiling, "", "version", strconv.Itoa(v.Number))
	}
	if r.Signed() {
		return nil, refuse(Conflict, CodeSigned, "", "version", strconv.Itoa(v.Number))
	}
	statement := Statement(o.Key, v, right, by.ID, a.CheckpointSeen, a.Nonce)
	if a.Statement != "" && a.Statement != statement {
		return nil, refuse(Precondition, CodeStatement, "/statement")
	}
	events := []Event{ReportSignedOff{Version: v.Number, Digest: v.Digest, Signer: by.ID, Capacity: right.Capacity, Title: right.Title,
		Authority: right.Authority, Statement: statement, CheckpointSeen: a.CheckpointSeen, Signature: a.Signature}}
	if b, ok := r.open(BreachUnsigned); ok && b.Version == v.Number && a.At.Before(b.Due) { // rule 3: received in time, recorded after the breach
		events = append(events, BreachWithdrawn{Breach: b.Breach, Reason: "signed in time, recorded after the closing", ReceivedAt: a.At.UTC()})
	}
	return events, nil
}

// Statement is the text a signer signs: a JSON object in the form of RFC 8785 naming unit, day, form, version, digest of
// the figures, capacity, signer and the checkpoint of the log that the signer saw (rule 7).
func Statement(k ReportKey, v Version, right SignerRight, signer PersonID, checkpoint, nonce string) string {
	members := [][2]string{
		{"authority", right.Authority}, {"capacity", string(right.Capacity)}, {"checkpoint", checkpoint}, {"date", string(k.Date)},
		{"decision", "sign-off"}, {"digest", v.Digest}, {"form", string(k.Form)}, {"nonce", nonce}, {"regime", string(k.Regime)},
		{"signer", string(signer)}, {"unit", string(k.Unit)}, {"v", "answerable/sign-off/1"},
	}
	b := []byte{'{'}
	for i, m := range members {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendJSONString(append(appendJSONString(b, m[0]), ':'), m[1])
	}
	b = append(b, `,"version":`...)
	b = strconv.AppendInt(b, int64(v.Number), 10)
	return string(append(b, '}'))
}

// appendJSONString writes a string as RFC 8785 does: the shortest escapes, everything else as it is.
func appendJSONString(b []byte, s string) []byte {
	const hexDigits = "0123456789abcdef"
	b = append(b, '"')
	for _, c := range []byte(s) {
		switch {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c == '\n':
			b = append(b, '\\', 'n')
		case c == '\r':
			b = append(b, '\\', 'r')
		case c == '\t':
			b = append(b, '\\', 't')
		case c == '\b':
			b = append(b, '\\', 'b')
		case c == '\f':
			b = append(b, '\\', 'f')
		case c < 0x20:
			b = append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		default:
			b = append(b, c)
		}
	}
	return append(b, '"')
}

// Answerable is the person who answers for a figure: the head in office at its deadline; for a corrected figure the head
// in office when the correction was recorded (rule 8). An erratum of form corrects no figure. false is a vacancy: then the
// level above answers. v is a version of a folded report.
func Answerable(o Office, v Version, due time.Time) (Tenure, bool) {
	return o.HeadAt(AnsweredAt(v, due))
}

// AnsweredAt is the instant whose head is Answerable.
func AnsweredAt(v Version, due time.Time) time.Time {
	if v.FiguresOf > 1 {
		return v.FiguresAt
	}
	return due
}

// SignOffsOf lists the sign-offs of one version.
func (r Report) SignOffsOf(version int) []SignOff {
	return slices.DeleteFunc(slices.Clone(r.SignOffs), func(s SignOff) bool { return s.Version != version })
}
