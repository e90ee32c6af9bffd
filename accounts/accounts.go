// Package accounts knows who is at the browser: passkeys, passwords, sessions, recovery. It knows no page and no route.
//
// Its promise: whoever Authenticate names has proved who they are, with a passkey or password that was theirs and in use,
// or to a provider of OpenID Connect to which they had bound themselves, within the limits of this package; an ended session, an answered challenge and a used link open nothing again; no secret
// that opens anything is at rest; and nothing changes at the request of another site, nor of a GET. The last holds by
// construction: whatever changes something takes an Attempt, and only a request of our own pages with another method than
// GET yields one.
//
// Its failure model: whoever reads the machine's memory or writes state.db is past it. A provider, where one is set, can
// sign in as whoever is bound there; it can neither sign a report nor enrol what does. An administrator can make a link
// into anybody's account; that cannot be prevented, only seen: it is in the account log, and a passkey enrolled by it names
// in its event, for ever, the link and who made it. Rate limits are counted in memory, by each process: a restart forgets
// them. Whoever keeps guessing at an account's password keeps its owner from using the password, but not a passkey or an
// open session. When state or ledger cannot be read, nobody is let in, and errors wrap appstate.ErrUnavailable or the
// log's own.
package accounts

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"github.com/answerable-ledger/answerable/appstate"
	"github.com/answerable-ledger/answerable/commands"
	"github.com/answerable-ledger/answerable/domain"
)

// What an attempt comes to. Errors of the ledger (*domain.Error) and of the state (appstate.Err…) come through as they are.
var (
	// ErrRefused: who tried did not prove who they are. What was wrong is in the account log, not in the answer.
	ErrRefused = errors.New("sign-in refused")
	// ErrNotFresh: the person must prove again who they are: it is too long ago for what they want to do.
	ErrNotFresh = errors.New("sign in again to do this")
	// ErrCrossSite: the request does not come from our own pages.
	ErrCrossSite = errors.New("the request comes from another site")
	// ErrMethod: a GET, HEAD or OPTIONS cannot attempt anything.
	ErrMethod = errors.New("this method changes nothing")
	// ErrNoPasskeys: the server is reached by a name that cannot have passkeys, such as an IP address.
	ErrNoPasskeys = errors.New("passkeys need a host name")
	// ErrNoRole: a person without a role and without a right to sign at this instant can enrol nothing: the event would have
	// no role to name.
	ErrNoRole = errors.New("the person holds no role and no right to sign now")
	// ErrNoDemo: this is not the demonstration, or the person is not one of its own.
	ErrNoDemo = errors.New("only the demonstration signs in without proof, and only as its synthetic persons")
)

// Ledger is what accounts need of the write side: persons, their credentials and their other ways to sign in are events.
type Ledger interface {
	Offices
	Person(ctx context.Context, p domain.PersonID) (domain.Person, error)
	EnrollCredential(ctx context.Context, c commands.Command, e domain.CredentialEnrolled) (commands.Result, error)
	RevokeCredential(ctx context.Context, c commands.Command, person domain.PersonID, credential, reason string) (commands.Result, error)
	SetSignInMethod(ctx context.Context, c commands.Command, e domain.SignInMethodSet) (commands.Result, error)
	EndSignInMethod(ctx context.Context, c commands.Command, e domain.SignInMethodEnded) (commands.Result, error)
}

// Options of New.
type Options struct {
	// Origin is the scheme, host and port that browsers reach the server by, as in https://ledger.example. Plain http is
	// for this machine alone. Passkeys belong to its host name for ever: moving the server to another makes them useless.
	Origin string
	// Name is what authenticators show for the server.
	Name string
	// Clock is required.
	Clock func() time.Time
	// TrustedProxies are the addresses of reverse proxies whose X-Forwarded-For is believed.
	TrustedProxies []netip.Prefix
	// SyncedSign lets passkeys sign that are copied between a person's devices, as most phones' are: then whoever provides
	// the copying is trusted too. They sign in in any case.
	SyncedSign bool
	// OIDC is a provider that vouches for persons. Its zero value is none.
	OIDC OIDC
	// Demo lets SignInAs work. Its zero value does not.
	Demo Demo
}

// Accounts knows who is at the browser. It is safe for concurrent use.
type Accounts struct {
	ledger  Ledger
	state   *appstate.State
	now     func() time.Time
	origin  string
	secure  bool // the origin is https
	proxies []netip.Prefix
	synced  bool
	demo    Demo
	cross   *http.CrossOriginProtection
	rp      *webauthn.WebAuthn // nil: the origin cannot have passkeys
	oidc    *provider          // nil: none vouches

	byAddress *limiter
	byAccount *limiter

	params  hashParams
	derive  func(password, salt []byte, p hashParams) []byte
	hashing chan struct{} // holds a token for each derivation under way: each takes params.memoryKiB
}

// New makes accounts of a ledger's persons.
func New(l Ledger, s *appstate.State, o Options) (*Accounts, error) {
	u, err := url.Parse(o.Origin)
	if err != nil || u.Host == "" || u.Scheme+"://"+u.Host != o.Origin {
		return nil, fmt.Errorf("accounts: origin %q is not of the form https://host or https://host:port", o.Origin)
	}
	if u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())) {
		return nil, fmt.Errorf("accounts: origin %s: cookies and passkeys need https, except on this machine", o.Origin)
	}
	if o.Clock == nil {
		return nil, errors.New("accounts: no clock")
	}
	a := &Accounts{ledger: l, state: s, now: o.Clock, origin: o.Origin, secure: u.Scheme == "https", proxies: o.TrustedProxies, synced: o.SyncedSign, demo: o.Demo,
		cross: http.NewCrossOriginProtection(), byAddress: newLimiter(addressBurst, addressEvery), byAccount: newLimiter(accountBurst, accountEvery),
		params: currentParams(), derive: deriveArgon2id, hashing: make(chan struct{}, maxHashing)}
	if err := a.cross.AddTrustedOrigin(o.Origin); err != nil { // a proxy may have rewritten Host
		return nil, fmt.Errorf("accounts: origin %s: %w", o.Origin, err)
	}
	if a.oidc, err = newProvider(o.OIDC, o.Origin, o.Clock); err != nil {
		return nil, err
	}
	if protocol.ValidateRPID(u.Hostname()) == nil {
		a.rp, err = webauthn.New(&webauthn.Config{RPID: u.Hostname(), RPDisplayName: o.Name, RPOrigins: []string{o.Origin},
			AttestationPreference: protocol.PreferNoAttestation, // which make of authenticator is nobody's business here
			AuthenticatorSelection: protocol.AuthenticatorSelection{ResidentKey: protocol.ResidentKeyRequirementRequired,
				RequireResidentKey: protocol.ResidentKeyRequired(), UserVerification: protocol.VerificationRequired},
			Timeouts: webauthn.TimeoutsConfig{Login: webauthn.TimeoutConfig{Timeout: CeremonyLimit}, Registration: webauthn.TimeoutConfig{Timeout: CeremonyLimit}},
		})
		if err != nil {
			return nil, fmt.Errorf("accounts: origin %s: %w", o.Origin, err)
		}
	}
	return a, nil
}

// RelyingParty is the name that passkeys of an origin belong to; "" when the origin cannot have any.
func RelyingParty(origin string) (string, error) {
	u, err := url.Parse(origin)
	if err != nil || u.Host == "" {
		return "", fmt.Errorf("accounts: origin %q is not of the form https://host or https://host:port", origin)
	}
	if protocol.ValidateRPID(u.Hostname()) != nil {
		return "", nil
	}
	return u.Hostname(), nil
}

// PasskeysWork reports whether the server is reached by a name that can have passkeys.
func (a *Accounts) PasskeysWork() bool { return a.rp != nil }

// HasDemo reports whether SignInAs works, so that a page can offer it.
func (a *Accounts) HasDemo() bool { return a.demo.granted }

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// person is a registered person; ErrRefused when there is none with the id.
func (a *Accounts) person(ctx context.Context, id domain.PersonID) (domain.Person, error) {
	if !domain.ValidID(string(id)) || id == domain.System {
		return domain.Person{}, ErrRefused
	}
	p, err := a.ledger.Person(ctx, id)
	if err != nil {
		return domain.Person{}, fmt.Errorf("accounts: find %s: %w", id, err)
	}
	if !p.Exists() {
		return domain.Person{}, ErrRefused
	}
	return p, nil
}

// newSecret makes 256 random bits and the hash that is kept of them.
func newSecret() (secret, hash string) {
	b := make([]byte, 32)
	rand.Read(b) // it never fails: crypto/rand ends the process first
	secret = base64.RawURLEncoding.EncodeToString(b)
	return secret, hashSecret(secret)
}

func hashSecret(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

// newName makes an id that is no secret.
func newName() string {
	b := make([]byte, 8)
	rand.Read(b)
	return hex.EncodeToString(b)
}
