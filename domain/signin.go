package domain

import (
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
)

// Ways to sign in that prove no signature. Keys are credentials; what signs a person in besides is these.
const (
	SignInPassword = "password"
	SignInOIDC     = "oidc" // a provider of OpenID Connect vouches
)

// SignInMethodSet gives a person a way to sign in. Another password takes the former's place; providers' subjects stand
// beside each other. It holds no secret and nothing made of one: no password nor hash of it, and of the subject a digest
// under a salt that stays in the application's state.
type SignInMethodSet struct {
	Person PersonID `json:"person"`
	Method string   `json:"method"`
	Issuer string   `json:"issuer,omitempty"`  // oidc: the provider
	Digest string   `json:"digest,omitempty"`  // oidc: SHA-256 in hex of salt, issuer and subject
	Link   string   `json:"link,omitempty"`    // id of the one-time link it was set by
	LinkBy PersonID `json:"link_by,omitempty"` // who made that link
	SetBy  PersonID `json:"set_by"`
}

// SignInMethodEnded ends a way to sign in, which had no effect any more when it was recorded.
type SignInMethodEnded struct {
	Person  PersonID  `json:"person"`
	Method  string    `json:"method"`
	Digest  string    `json:"digest,omitempty"` // oidc: the one of its setting
	At      time.Time `json:"at"`
	EndedBy PersonID  `json:"ended_by"`
	Reason  string    `json:"reason,omitempty"` // whoever ends another person's gives one
}

func (SignInMethodSet) Kind() string   { return "SignInMethodSet" }
func (SignInMethodEnded) Kind() string { return "SignInMethodEnded" }
func (SignInMethodSet) event()         {}
func (SignInMethodEnded) event()       {}

// SignInMethod is a way in which a person signs in, or did.
type SignInMethod struct {
	SignInMethodSet
	SetAt   time.Time
	EndedAt time.Time // zero while in use
	Event   uuid.UUID // that set it
}

// SignInMethod finds the way that is in use; digest is "" for a password.
func (p Person) SignInMethod(method, digest string) (SignInMethod, bool) {
	for _, m := range p.SignInMethods {
		if m.Method == method && m.Digest == digest && m.EndedAt.IsZero() {
			return m, true
		}
	}
	return SignInMethod{}, false
}

func (p Person) endSignIn(method, digest string, at time.Time) Person {
	p.SignInMethods = slices.Clone(p.SignInMethods)
	for i, m := range p.SignInMethods {
		if m.Method == method && m.Digest == digest && m.EndedAt.IsZero() {
			p.SignInMethods[i].EndedAt = at
		}
	}
	return p
}

func checkSignIn(method, issuer, digest string) error {
	switch {
	case method != SignInPassword && method != SignInOIDC:
		return refuse(Invalid, CodeChoice, "/method", "value", method)
	case (method == SignInOIDC) != (digest != ""):
		return refuse(Invalid, CodeTextMissing, "/digest")
	case method == SignInPassword && issuer != "":
		return refuse(Invalid, CodeChoice, "/issuer", "value", issuer)
	}
	return nil
}

// SetSignIn decides a way to sign in. A person sets their own and nobody sets it for them, not even an administrator, who
// makes a link that the person uses; the ledger itself records one that was found in use.
func (p Person) SetSignIn(e SignInMethodSet, by Actor) ([]Event, error) {
	if !p.Exists() {
		return nil, refuse(NotFound, CodePersonUnknown, "/person")
	}
	if p.ID != by.ID {
		if err := by.require(RoleSystem, ""); err != nil {
			return nil, err
		}
	}
	if err := checkSignIn(e.Method, e.Issuer, e.Digest); err != nil {
		return nil, err
	}
	if e.Method == SignInOIDC && strings.TrimSpace(e.Issuer) == "" {
		return nil, refuse(Invalid, CodeTextMissing, "/issuer")
	}
	e.Person, e.SetBy = p.ID, by.ID
	return []Event{e}, nil
}

// EndSignIn decides a way's end, by its person or an administrator. One that is not in use has nothing to end: that is no
// error, for it may have been told by another server. When the ledger itself tells it, EndedBy and At are kept.
func (p Person) EndSignIn(e SignInMethodEnded, by Actor) ([]Event, error) {
	if p.ID != by.ID || !p.Exists() {
		if err := p.mayAdminister(by); err != nil {
			return nil, err
		}
	}
	if err := checkSignIn(e.Method, "", e.Digest); err != nil {
		return nil, err
	}
	if !by.Has(RoleSystem, "") || e.EndedBy == "" {
		e.EndedBy = by.ID
	}
	if err := checkText("/reason", e.Reason, e.EndedBy != p.ID); err != nil {
		return nil, err
	}
	if _, inUse := p.SignInMethod(e.Method, e.Digest); !inUse {
		return nil, nil
	}
	e.Person, e.At = p.ID, e.At.UTC()
	return []Event{e}, nil
}
