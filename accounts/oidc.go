package accounts

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/answerable-ledger/answerable/appstate"
	"github.com/answerable-ledger/answerable/domain"
)

// What becomes of a way to a provider and back.
var (
	// ErrNoOIDC: no provider vouches for anybody here.
	ErrNoOIDC = errors.New("no provider of OpenID Connect is set")
	// ErrNotVouched: what came back is not what the provider was asked for, or was used before. The account log says why.
	ErrNotVouched = errors.New("the provider did not vouch for this")
	// ErrUnbound: the provider vouches for somebody who has bound no account to themselves there.
	ErrUnbound = errors.New("no account is bound to this subject")
	// ErrProvider: the provider cannot be reached, or does not know this server.
	ErrProvider = errors.New("the provider cannot be asked")
)

// OIDC is a provider of OpenID Connect that vouches for persons who have bound an account to themselves there. Its zero
// value is none.
type OIDC struct {
	Issuer       string // https://…, exactly as its tokens write it
	ClientID     string
	ClientSecret string // "": a public client
	Name         string // what people call it
}

// kinds of ceremonies whose answer comes by way of the provider. The cookie says which one is under way.
const (
	kindVouch kind = "oidc-sign-in"
	kindBind  kind = "oidc-bind"
)

// ReturnPath is where the provider sends browsers back to: the origin with it is what to register there.
const ReturnPath = "/signin/oidc/callback"

// provider is asked who it is when it is first needed: a server starts without it.
type provider struct {
	OIDC
	returns string
	client  *http.Client
	now     func() time.Time
	found   atomic.Pointer[discovered]
}

// discovered is what a provider said of itself. It is kept until the process ends; its keys are not.
type discovered struct {
	config   oauth2.Config
	verifier *oidc.IDTokenVerifier
}

func newProvider(o OIDC, origin string, now func() time.Time) (*provider, error) {
	if o == (OIDC{}) {
		return nil, nil
	}
	if o.ClientID == "" || o.Name == "" || !encrypted(o.Issuer) {
		return nil, fmt.Errorf("accounts: OpenID Connect needs a client id, a name and an issuer with https, not %q", o.Issuer)
	}
	return &provider{OIDC: o, returns: origin + ReturnPath, client: &http.Client{Timeout: providerLimit}, now: now}, nil
}

// encrypted reports whether an address is one that secrets may be sent to: plain http is for this machine alone.
func encrypted(address string) bool {
	u, err := url.Parse(address)
	return err == nil && u.Host != "" && (u.Scheme == "https" || u.Scheme == "http" && loopback(u.Hostname()))
}

// discover asks the provider for its addresses. Several who come at once ask each for themselves: one that hangs keeps
// nobody else waiting.
func (p *provider) discover(ctx context.Context) (*discovered, error) {
	if d := p.found.Load(); d != nil {
		return d, nil
	}
	x, err := oidc.NewProvider(oidc.ClientContext(ctx, p.client), p.Issuer)
	if err != nil {
		return nil, fmt.Errorf("accounts: discover %s: %w: %w", p.Issuer, ErrProvider, err)
	}
	var said struct {
		Methods []string `json:"token_endpoint_auth_methods_supported"`
	}
	if err := x.Claims(&said); err != nil {
		return nil, fmt.Errorf("accounts: discover %s: %w: %w", p.Issuer, ErrProvider, err)
	}
	endpoint := x.Endpoint()
	if !encrypted(endpoint.AuthURL) || !encrypted(endpoint.TokenURL) {
		return nil, fmt.Errorf("accounts: discover %s: %w: its addresses are %q and %q", p.Issuer, ErrProvider, endpoint.AuthURL, endpoint.TokenURL)
	}
	// The library would try both ways, and a strict provider forgets the code at the first.
	endpoint.AuthStyle = oauth2.AuthStyleInHeader // what is meant when nothing is said (OpenID Connect Discovery, 3)
	if p.ClientSecret == "" || len(said.Methods) > 0 && !slices.Contains(said.Methods, "client_secret_basic") {
		endpoint.AuthStyle = oauth2.AuthStyleInParams
	}
	d := &discovered{verifier: x.Verifier(&oidc.Config{ClientID: p.ClientID, Now: p.now}),
		config: oauth2.Config{ClientID: p.ClientID, ClientSecret: p.ClientSecret, Endpoint: endpoint, RedirectURL: p.returns, Scopes: []string{oidc.ScopeOpenID}}}
	p.found.Store(d)
	return d, nil
}

// redeem is the subject that a code vouches for to the browser that holds the secret. Nothing else in the token counts: an
// address of mail is given to whoever has the office now.
func (p *provider) redeem(ctx context.Context, d *discovered, code, secret string) (subject string, err error) {
	token, err := d.config.Exchange(oidc.ClientContext(ctx, p.client), code, oauth2.VerifierOption(derived(secret, "verifier")))
	var refused *oauth2.RetrieveError
	if errors.As(err, &refused) && refused.ErrorCode == "invalid_grant" {
		return "", errors.New("the code is not taken")
	}
	if err != nil {
		return "", fmt.Errorf("accounts: redeem a code at %s: %w: %w", p.Issuer, ErrProvider, err)
	}
	raw, ok := token.Extra("id_token").(string)
	if !ok {
		return "", errors.New("no id_token")
	}
	id, err := d.verifier.Verify(oidc.ClientContext(ctx, p.client), raw)
	if err != nil {
		return "", err
	}
	var claims struct {
		Party string `json:"azp"`
	}
	if err := id.Claims(&claims); err != nil {
		return "", err
	}
	switch { // OpenID Connect Core, 3.1.3.7
	case subtle.ConstantTimeCompare([]byte(id.Nonce), []byte(derived(secret, "nonce"))) != 1:
		return "", errors.New("the nonce is another")
	case len(id.Audience) != 1 && claims.Party == "", claims.Party != "" && claims.Party != p.ClientID:
		return "", errors.New("the token is for another party")
	case id.Subject == "" || len(id.Subject) > maxSubjectBytes:
		return "", fmt.Errorf("a subject of %d bytes", len(id.Subject))
	}
	return id.Subject, nil
}

// derived is what the provider is told in the place of the secret that only the browser holds, and nobody stores.
func derived(secret, what string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(what))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// Provider is what people call the provider; "" when there is none.
func (a *Accounts) Provider() string {
	if a.oidc == nil {
		return ""
	}
	return a.oidc.Name
}

// Departure is a browser that is to be sent to the provider, with the cookie that SetDeparture gives it.
type Departure struct {
	To     string // address at the provider
	cookie string
}

// BeginOIDC begins a sign-in by way of the provider; next is where to go afterwards.
func (a *Accounts) BeginOIDC(ctx context.Context, t Attempt, next string) (Departure, error) {
	return a.depart(ctx, t, kindVouch, nil, next)
}

// BeginBinding begins to bind the session's person to who they are at the provider. It needs a recent proof.
func (a *Accounts) BeginBinding(ctx context.Context, t Attempt, s Session) (Departure, error) {
	if err := a.fresh(t, s); err != nil {
		return Departure{}, err
	}
	return a.depart(ctx, t, kindBind, &s, "")
}

func (a *Accounts) depart(ctx context.Context, t Attempt, k kind, s *Session, next string) (Departure, error) {
	if a.oidc == nil {
		return Departure{}, ErrNoOIDC
	}
	if err := t.valid(); err != nil {
		return Departure{}, err
	}
	if err := a.byAddress.take(addressKey(t.address), t.at); err != nil {
		return Departure{}, err
	}
	d, err := a.oidc.discover(ctx)
	if err != nil {
		return Departure{}, err
	}
	secret, err := a.keep(ctx, t, k, s, kept{Next: SafeNext(next)})
	if err != nil {
		return Departure{}, err
	}
	to := d.config.AuthCodeURL(derived(secret, "state"), oidc.Nonce(derived(secret, "nonce")), oauth2.S256ChallengeOption(derived(secret, "verifier")))
	return Departure{To: to, cookie: string(k) + "." + secret}, nil
}

// Returned is what came of the way to the provider and back.
type Returned struct {
	Opened Opened // the session, of a sign-in; the zero Opened of a binding
	Bound  bool
	Next   string // where to go now, as SafeNext gives it
}

// FinishOIDC takes what the provider sent the browser back with: it signs in who bound the subject, or binds it to s, which
// is the zero Session where nobody is signed in. ErrNotVouched says nothing of what is wrong.
func (a *Accounts) FinishOIDC(ctx context.Context, t Attempt, s Session, code, state string) (Returned, error) {
	r, err := a.comeBack(ctx, t, s, code, state)
	if errors.Is(err, ErrRefused) {
		return Returned{}, ErrNotVouched
	}
	return r, err
}

func (a *Accounts) comeBack(ctx context.Context, t Attempt, s Session, code, state string) (Returned, error) {
	if a.oidc == nil {
		return Returned{}, ErrNoOIDC
	}
	word, secret, _ := strings.Cut(t.departed, ".")
	k, who := kindVouch, (*Session)(nil)
	if kind(word) == kindBind {
		if err := a.fresh(t, s); err != nil {
			return Returned{}, err
		}
		k, who = kindBind, &s
	}
	data, err := a.take(ctx, t, k, who, secret)
	if err != nil {
		return Returned{}, err
	}
	if subtle.ConstantTimeCompare([]byte(state), []byte(derived(secret, "state"))) != 1 {
		return Returned{}, a.refused(ctx, t, s.Person, "oidc: the state is another")
	}
	d, err := a.oidc.discover(ctx)
	if err != nil {
		return Returned{}, err
	}
	subject, err := a.oidc.redeem(ctx, d, code, secret)
	if errors.Is(err, ErrProvider) {
		return Returned{}, err
	}
	if err != nil {
		return Returned{}, a.refused(ctx, t, s.Person, "oidc: "+err.Error())
	}
	if k == kindBind {
		return Returned{Bound: true, Next: data.Next}, a.bind(ctx, t, s, subject)
	}
	o, err := a.vouched(ctx, t, subject)
	return Returned{Opened: o, Next: data.Next}, err
}

// vouched signs in whoever has bound a subject.
func (a *Accounts) vouched(ctx context.Context, t Attempt, subject string) (Opened, error) {
	id, err := a.state.UseSubject(ctx, a.oidc.Issuer, subject, t.at)
	if errors.Is(err, appstate.ErrNoSubject) {
		if err := a.refused(ctx, t, "", "oidc: nobody has bound "+subject); !errors.Is(err, ErrRefused) {
			return Opened{}, err
		}
		return Opened{}, ErrUnbound
	}
	if err != nil {
		return Opened{}, err
	}
	p, err := a.person(ctx, id)
	if errors.Is(err, ErrRefused) {
		return Opened{}, a.refused(ctx, t, "", "oidc: the subject of nobody")
	}
	if err != nil {
		return Opened{}, err
	}
	return a.open(ctx, t, p.ID, MethodOIDC, "")
}

// bind lets a subject sign the session's person in.
func (a *Accounts) bind(ctx context.Context, t Attempt, s Session, subject string) error {
	_, salt := newSecret()
	x := appstate.Subject{Issuer: a.oidc.Issuer, Subject: subject, Person: s.Person, Salt: salt, BoundAt: t.at}
	bound, err := a.subject(ctx, x)
	if err != nil || bound.Salt != "" { // it is theirs already
		return err
	}
	p, err := a.person(ctx, s.Person)
	if err != nil {
		return err
	}
	e := domain.SignInMethodSet{Method: domain.SignInOIDC, Issuer: x.Issuer, Digest: subjectDigest(x)}
	if err := a.tellSet(ctx, t, p, s, e); err != nil {
		return err
	}
	err = a.state.BindSubject(ctx, x, a.entry(t, s.Person, s.Person, ActSubject, x.Issuer+" "+x.Subject))
	if errors.Is(err, appstate.ErrSubjectTaken) { // now it is known that what was told has no effect
		return errors.Join(err, a.tellEnded(ctx, t, domain.SignInMethodEnded{Person: p.ID, Method: e.Method, Digest: e.Digest, At: t.at, EndedBy: domain.System, Reason: "the subject is another person's"}))
	}
	return err
}

// subject finds a binding of a person with its salt; without one it is not bound to them.
func (a *Accounts) subject(ctx context.Context, x appstate.Subject) (appstate.Subject, error) {
	all, err := a.state.Subjects(ctx, x.Person)
	for _, s := range all {
		if s.Issuer == x.Issuer && s.Subject == x.Subject {
			return s, err
		}
	}
	return appstate.Subject{Issuer: x.Issuer, Subject: x.Subject, Person: x.Person}, err
}

// Unbind takes a subject from the session's person and ends their sessions but this one. It needs a recent proof.
func (a *Accounts) Unbind(ctx context.Context, t Attempt, s Session, issuer, subject string) error {
	if err := a.fresh(t, s); err != nil {
		return err
	}
	return a.unbind(ctx, t, s.Person, appstate.Subject{Issuer: issuer, Subject: subject, Person: s.Person}, s.ID, "")
}

// UnbindOf takes a subject from somebody, for an administrator who says why, and ends all their sessions. It needs a
// recent proof.
func (a *Accounts) UnbindOf(ctx context.Context, t Attempt, by Session, person domain.PersonID, issuer, subject, why string) error {
	if err := a.administers(ctx, t, by); err != nil {
		return err
	}
	return a.unbind(ctx, t, by.Person, appstate.Subject{Issuer: issuer, Subject: subject, Person: person}, "", why)
}

func (a *Accounts) unbind(ctx context.Context, t Attempt, by domain.PersonID, x appstate.Subject, kept, why string) error {
	if err := checkWhy(x.Person, by, why); err != nil {
		return err
	}
	x, err := a.subject(ctx, x)
	if err != nil {
		return err
	}
	digest := subjectDigest(x)
	if err := a.state.UnbindSubject(ctx, x, kept, a.entry(t, x.Person, by, ActSubjectGone, endedDetail(x, digest, why))); err != nil {
		return err
	}
	return a.tellEnded(ctx, t, domain.SignInMethodEnded{Person: x.Person, Method: domain.SignInOIDC, Digest: digest, At: t.at, EndedBy: by, Reason: why})
}

// departureCookie has the session's prefix, for the same reason.
func (a *Accounts) departureCookie() string {
	if a.secure {
		return "__Host-answerable_oidc"
	}
	return "answerable_oidc"
}

// SetDeparture gives the browser the secret that it must come back with.
func (a *Accounts) SetDeparture(w http.ResponseWriter, d Departure) {
	a.setDeparture(w, d.cookie, int(CeremonyLimit/time.Second))
}

// ClearDeparture takes it away.
func (a *Accounts) ClearDeparture(w http.ResponseWriter) { a.setDeparture(w, "", -1) }

func (a *Accounts) setDeparture(w http.ResponseWriter, value string, seconds int) {
	http.SetCookie(w, &http.Cookie{Name: a.departureCookie(), Value: value, Path: "/", MaxAge: seconds, HttpOnly: true, Secure: a.secure, SameSite: http.SameSiteLaxMode})
}
