package enrolled_test

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"testing"
	"time"

	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/signing"
	"github.com/answerable-ledger/answerable/signing/enrolled"
)

func TestCheck(t *testing.T) {
	t.Parallel()
	at := time.Date(2021, 2, 8, 8, 0, 0, 0, time.UTC)
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, 32))
	public, err := signing.EncodePublicKey(key.Public(), signing.MethodEd25519)
	if err != nil {
		t.Fatal(err)
	}
	person := func(revoked time.Time) domain.Person {
		return domain.Person{ID: "head", Credentials: []domain.Credential{{RevokedAt: revoked,
			CredentialEnrolled: domain.CredentialEnrolled{Person: "head", Credential: "k1", Method: signing.MethodEd25519, PublicKey: public}}}}
	}
	const statement = `{"v":"answerable/sign-off/1"}`
	sign := func(text, id string) *domain.Signature {
		s := domain.Signature(signing.SignEd25519(key, id, []byte(text)))
		return &s
	}
	for name, c := range map[string]struct {
		require string
		signer  domain.Person
		sig     *domain.Signature
		want    domain.Code // "" is accepted
	}{
		"no key, no signature":                    {"", domain.Person{ID: "head"}, nil, ""},
		"no key, and one is always wanted":        {"always", domain.Person{ID: "head"}, nil, domain.CodeSignatureMissing},
		"a key, no signature":                     {"", person(time.Time{}), nil, domain.CodeSignatureMissing},
		"a key, no signature, none ever wanted":   {"never", person(time.Time{}), nil, ""},
		"a key that was revoked, no signature":    {"enrolled", person(at), nil, ""},
		"signed":                                  {"", person(time.Time{}), sign(statement, "k1"), ""},
		"signed, though none is wanted":           {"never", person(time.Time{}), sign(statement, "k1"), ""},
		"signed with a key that was revoked":      {"", person(at), sign(statement, "k1"), domain.CodeCredentialUnknown},
		"signed with a key nobody enrolled":       {"", person(time.Time{}), sign(statement, "k2"), domain.CodeCredentialUnknown},
		"signed something else":                   {"", person(time.Time{}), sign(statement+" ", "k1"), domain.CodeSignatureRefused},
		"signed something else, none ever wanted": {"never", person(time.Time{}), sign(statement+" ", "k1"), domain.CodeSignatureRefused},
	} {
		j, err := enrolled.New(enrolled.Config{Require: c.require}, func(s string) string { return s })
		if err != nil {
			t.Fatal(err)
		}
		err = j.Check(c.signer, statement, c.sig, at)
		var refusal *domain.Error
		if errors.As(err, &refusal); (err == nil) != (c.want == "") || err != nil && refusal.Code() != c.want {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	if _, err := enrolled.New(enrolled.Config{Require: "sometimes"}, nil); err == nil {
		t.Error("a misspelt requirement was taken")
	}
	if _, err := enrolled.New(enrolled.Config{Roots: "none.pem"}, func(s string) string { return s }); err == nil {
		t.Error("roots that are not there were taken")
	}
}
