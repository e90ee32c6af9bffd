package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/answerable-ledger/answerable/signing"
	"github.com/answerable-ledger/answerable/transparency"
)

// act is an entry of a story about signatures; its content is shown unless hidden.
type act struct {
	stream, kind, actor string
	payload             any
	hidden              bool
}

func (a act) hide() act { a.hidden = true; return a }

func TestSignatures(t *testing.T) {
	t.Parallel()
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, ed25519.SeedSize))
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	const stream, digest, root = "report-bd.f1.u1.20210924", "d1", "q1b2c3="
	enrolled := act{"person-p1", "CredentialEnrolled", "p1", map[string]any{"person": "p1", "credential": "k", "method": "ed25519", "public_key": base64.StdEncoding.EncodeToString(der)}, false}
	byAnother := enrolled
	byAnother.stream = "person-p2"
	revoked := act{"person-p1", "CredentialRevoked", "admin", map[string]any{"person": "p1", "credential": "k"}, false}
	taken := act{"office-u1", "OfficeTaken", "admin", map[string]any{"person": "p1", "from": "2020-01-01T00:00:00Z"}, false}
	submitted := act{stream, "ReportSubmitted", "f1", map[string]any{"digest": digest}, false}
	other := act{"unit-u1", "UnitRenamed", "admin", map[string]any{}, false}
	signedOff := func(change func(s *statement, x *signOff)) act {
		s := statement{V: "1", Date: "2021-09-24", Decision: "sign-off", Digest: digest, Form: "f1", Nonce: "n1", Regime: "bd", Signer: "p1", Unit: "u1", Version: 1}
		x := signOff{Version: 1, Digest: digest, Signer: "p1"}
		change(&s, &x)
		text, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		made := signing.SignEd25519(key, "k", text)
		if x.Signature == nil {
			x.Signature = &made
		}
		x.Statement, x.CheckpointSeen = string(text), s.Checkpoint
		return act{stream, "ReportSignedOff", "p1", x, false}
	}
	good := signedOff(func(*statement, *signOff) {})
	saw := func(checkpoint string) act {
		return signedOff(func(s *statement, _ *signOff) { s.Checkpoint = checkpoint })
	}
	filedBy := func(actor string, figure int64) act {
		text, err := json.Marshal(filingStatement{V: "answerable/filing/1", Date: "2021-09-24", Decision: "file", Figures: map[string]int64{"installed": 5}, Form: "f1", FormVersion: 2,
			Nonce: "f1", Regime: "bd", Signer: "p1", Unit: "u1"})
		if err != nil {
			t.Fatal(err)
		}
		return act{stream, "ReportSubmitted", actor, map[string]any{"digest": digest, "form_version": 2, "figures": map[string]int64{"installed": figure},
			"statement": string(text), "signature": signing.SignEd25519(key, "k", text)}, false}
	}
	before := []act{enrolled, taken, submitted}
	story := func(more ...act) []act { return append(before[:len(before):len(before)], more...) }
	for name, c := range map[string]struct {
		acts []act
		want signatureSum
		at   int64 // of the fault
		kind error // nil: none
	}{
		"it holds":                               {acts: story(good), want: signatureSum{SignOffs: 1, Signed: 1}},
		"it holds, and the key is revoked later": {acts: story(good, revoked), want: signatureSum{SignOffs: 1, Signed: 1}},
		"the key was revoked":                    {acts: story(revoked, good), at: 4, kind: transparency.ErrSignature},
		"the key was not enrolled yet":           {acts: []act{taken, submitted, good, enrolled}, at: 2, kind: transparency.ErrSignature},
		"the key was enrolled by another":        {acts: []act{byAnother, taken, submitted, good}, at: 3, kind: transparency.ErrSignature},
		"replayed":                               {acts: story(good, good), at: 4, kind: errSigned},
		"replayed for another version": {acts: story(good, act{stream, "ReportCorrected", "f1", map[string]any{"version": 2, "digest": "d2"}, false},
			signedOff(func(s *statement, x *signOff) { s.Version, x.Version, s.Digest, x.Digest = 2, 2, "d2", "d2" })), at: 5, kind: errSigned},
		"a signature over something else": {acts: story(signedOff(func(_ *statement, x *signOff) {
			made := signing.SignEd25519(key, "k", []byte("{}"))
			x.Signature = &made
		})), at: 3, kind: transparency.ErrSignature},
		"the statement is of another unit":      {acts: story(signedOff(func(s *statement, _ *signOff) { s.Unit = "u2" })), at: 3, kind: errSigned},
		"the digest is not the version's":       {acts: story(signedOff(func(s *statement, x *signOff) { s.Digest, x.Digest = "d9", "d9" })), at: 3, kind: errSigned},
		"sent by somebody else":                 {acts: story(act{good.stream, good.kind, "p2", good.payload, false}), at: 3, kind: errSigned},
		"no office":                             {acts: []act{enrolled, submitted, good}, at: 2, kind: errSigned},
		"the first bad one is named":            {acts: story(good, revoked, signedOff(func(s *statement, _ *signOff) { s.Nonce = "n2" }), good), at: 5, kind: transparency.ErrSignature},
		"not shown":                             {acts: story(good.hide(), submitted.hide()), want: signatureSum{SignOffsHidden: 1, FilingsHidden: 1}},
		"the enrolment is not shown":            {acts: []act{enrolled.hide(), taken, submitted, good}, want: signatureSum{SignOffs: 1, Unknown: 1}},
		"a revocation is not shown":             {acts: story(revoked.hide(), good), want: signatureSum{SignOffs: 1, Unknown: 1}},
		"a later revocation is not shown":       {acts: story(good, revoked.hide()), want: signatureSum{SignOffs: 1, Signed: 1}},
		"the office is not shown":               {acts: []act{enrolled, taken.hide(), submitted, good}, want: signatureSum{SignOffs: 1, Unknown: 1}},
		"the office is not shown, replayed":     {acts: []act{enrolled, taken.hide(), submitted, good, good}, at: 4, kind: errSigned},
		"the checkpoint seen is the log's":      {acts: story(saw("2 " + root)), want: signatureSum{SignOffs: 1, Signed: 1}},
		"another history was seen":              {acts: story(saw("2 AAAA")), at: 3, kind: transparency.ErrFork},
		"a checkpoint from after was seen":      {acts: story(saw("9 "+root), other, other), at: 3, kind: transparency.ErrFork},
		"a checkpoint seen is not kept":         {acts: story(saw("1 " + root)), want: signatureSum{SignOffs: 1, Unknown: 1}},
		"something else stands in its place":    {acts: story(saw("none")), want: signatureSum{SignOffs: 1, Unknown: 1}},
		"no site is named for a passkey":        {acts: story(signedOff(func(_ *statement, x *signOff) { x.Signature = &signing.Signature{Method: "webauthn", Credential: "k"} })), at: 3, kind: transparency.ErrSignature},
		"a filing holds":                        {acts: story(filedBy("p1", 5)), want: signatureSum{Filed: 1}},
		"a filing says another figure":          {acts: story(filedBy("p1", 6)), at: 3, kind: errSigned},
		"a filing sent by another":              {acts: story(filedBy("p2", 5)), at: 3, kind: errSigned},
		"a filing with a revoked key":           {acts: story(revoked, filedBy("p1", 5)), at: 4, kind: transparency.ErrSignature},
		"a filing replayed":                     {acts: story(filedBy("p1", 5), filedBy("p1", 5)), at: 4, kind: errSigned},
		"a filing whose signature was left out": {acts: story(act{stream, "ReportSubmitted", "p1", map[string]any{"statement": "{}"}, false}), at: 3, kind: errSigned},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSignatures(signing.Policy{}, func(size int64) (string, bool) { return root, size == 2 || size == 9 })
			for i, a := range c.acts {
				var payload []byte
				if !a.hidden {
					var err error
					if payload, err = json.Marshal(a.payload); err != nil {
						t.Fatal(err)
					}
				}
				l := &transparency.Leaf{Stream: a.stream, Revision: uint64(i), Kind: a.kind, Actor: a.actor, ReceivedAt: at("15:00:00").Add(time.Duration(i) * time.Minute)}
				if err := s.takeLeaf(int64(i), l, payload); err != nil {
					t.Fatal(err)
				}
			}
			err := s.finish()
			var f *transparency.Fault
			switch {
			case c.kind == nil && err != nil:
				t.Fatal(err)
			case c.kind == nil && s.sum != c.want:
				t.Errorf("%+v, want %+v", s.sum, c.want)
			case c.kind != nil && (!errors.Is(err, c.kind) || !errors.As(err, &f) || f.Index != c.at):
				t.Errorf("%v, want %v at entry %d", err, c.kind, c.at)
			}
		})
	}
}
