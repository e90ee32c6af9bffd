package accounts

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/descope/virtualwebauthn"
	"github.com/google/uuid"
	"go.uber.org/zap"

	"github.com/answerable-ledger/answerable/appstate"
	"github.com/answerable-ledger/answerable/commands"
	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/eventlog/eventlogtest"
	"github.com/answerable-ledger/answerable/eventlog/memlog"
	"github.com/answerable-ledger/answerable/schemas"
	"github.com/answerable-ledger/answerable/signing"
)

const (
	origin = "https://ledger.example"
	rpID   = "ledger.example"
)

// world is a server with an administrator, two filers and somebody without a role.
type world struct {
	*testing.T
	ctx    context.Context
	clock  *eventlogtest.Clock
	log    *memlog.Log
	ledger *commands.Ledger
	state  *appstate.State
	path   string
	*Accounts
}

func newWorld(t *testing.T, change ...func(*Options)) *world {
	t.Helper()
	registry, err := schemas.Load()
	if err != nil {
		t.Fatal(err)
	}
	w := &world{T: t, ctx: context.Background(), clock: eventlogtest.NewClock(), path: filepath.Join(t.TempDir(), "state.db")}
	w.clock.Set(time.Date(2021, 2, 8, 1, 0, 0, 0, time.UTC))
	w.log = memlog.New(w.clock.Now)
	w.ledger = commands.New(w.log, registry, w.clock.Now, zap.NewNop())
	for _, p := range []struct {
		id   domain.PersonID
		role domain.Role
	}{{"admin", domain.RoleAdmin}, {"lan", domain.RoleFiler}, {"minh", domain.RoleFiler}, {"guest", ""}} {
		w.must(w.ledger.RegisterPerson(w.ctx, w.system(), domain.PersonRegistered{Person: p.id, Name: "Nguyễn Thị " + string(p.id), Synthetic: p.id != "minh"}))
		if p.role != "" {
			w.must(w.ledger.GrantRole(w.ctx, w.system(), p.id, p.role, "", w.clock.Now(), nil))
		}
	}
	w.state = w.openState()
	w.Accounts = w.accounts(change...)
	return w
}

func (w *world) openState() *appstate.State {
	w.Helper()
	s, err := appstate.Open(w.ctx, w.path, appstate.Options{Clock: w.clock.Now})
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { s.Close() })
	return s
}

// accounts makes a server, as a restart does.
func (w *world) accounts(change ...func(*Options)) *Accounts {
	w.Helper()
	o := Options{Origin: origin, Name: "Sổ báo cáo", Clock: w.clock.Now}
	for _, c := range change {
		c(&o)
	}
	a, err := New(w.ledger, w.state, o)
	if err != nil {
		w.Fatal(err)
	}
	a.params = hashParams{memoryKiB: 8, passes: 1, lanes: 1} // what is tested is not how long it takes
	return a
}

func (w *world) system() commands.Command {
	return commands.Command{ID: uuid.New(), Actor: domain.System, Role: domain.RoleSystem, Channel: domain.ChannelSystem}
}

func (w *world) must(_ commands.Result, err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func (w *world) ok(err error) {
	w.Helper()
	if err != nil {
		why, _ := w.state.AccountEntries(w.ctx, "", 0, 1)
		w.Fatal(err, why)
	}
}

func (w *world) is(err, want error) {
	w.Helper()
	if !errors.Is(err, want) {
		w.Fatalf("got error %v, want %v", err, want)
	}
}

// browser holds a cookie and an authenticator.
type browser struct {
	*world
	cookie string
	auth   virtualwebauthn.Authenticator
	key    virtualwebauthn.Credential
	origin string // where the authenticator believes to be
}

func (w *world) browser() *browser {
	return &browser{world: w, auth: virtualwebauthn.NewAuthenticator(), key: newKey(true), origin: origin}
}

// newKey makes a credential. Of the authenticator's keys one in 128 is written too short, with the leading zeros of a
// coordinate missing; good ones are not.
func newKey(good bool) virtualwebauthn.Credential {
	for {
		key := virtualwebauthn.NewCredential(virtualwebauthn.KeyTypeEC2)
		_, err := signing.ParseCOSEKey(key.Key.AttestationData())
		if key.Counter = 1; (err == nil) == good {
			return key
		}
	}
}

// request is what this browser sends from our own page.
func (b *browser) request(method string) *http.Request {
	r := httptest.NewRequest(method, origin+"/x", nil)
	r.RemoteAddr = "192.0.2.7:4711"
	r.Header.Set("User-Agent", "Trình duyệt")
	if method != http.MethodGet {
		r.Header.Set("Origin", b.origin)
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	if b.cookie != "" {
		r.AddCookie(&http.Cookie{Name: b.CookieName(), Value: b.cookie})
	}
	return r
}

func (b *browser) attempt() Attempt {
	b.Helper()
	r := b.request(http.MethodPost)
	r.Header.Set("Origin", origin)
	t, err := b.Attempt(r)
	b.ok(err)
	return t
}

// opened keeps what a sign-in gave the browser.
func (b *browser) opened(o Opened, err error) Session {
	b.Helper()
	b.ok(err)
	b.cookie = o.Secret
	return o.Session
}

// session is who the server takes the browser's user for.
func (b *browser) session() Session {
	b.Helper()
	s, p, err := b.Authenticate(b.request(http.MethodGet))
	b.ok(err)
	if p.ID != s.Person {
		b.Fatalf("session of %s, person %s", s.Person, p.ID)
	}
	return s
}

func (b *browser) rp() virtualwebauthn.RelyingParty {
	return virtualwebauthn.RelyingParty{ID: rpID, Name: "Sổ báo cáo", Origin: b.origin}
}

// create is the authenticator's answer to an enrolment.
func (b *browser) create(c Ceremony) []byte {
	b.Helper()
	o, err := virtualwebauthn.ParseAttestationOptions(string(c.Options))
	b.ok(err)
	b.auth.Options.UserHandle = []byte(o.UserID)
	return []byte(virtualwebauthn.CreateAttestationResponse(b.rp(), b.auth, b.key, *o))
}

// answer is the authenticator's answer to a challenge. It counts on.
func (b *browser) answer(c Ceremony) []byte {
	b.Helper()
	b.key.Counter++
	return b.answerUncounted(c)
}

func (b *browser) answerUncounted(c Ceremony) []byte {
	b.Helper()
	o, err := virtualwebauthn.ParseAssertionOptions(string(c.Options))
	b.ok(err)
	return []byte(virtualwebauthn.CreateAssertionResponse(b.rp(), b.auth, b.key, *o))
}

// enrolled is a browser whose authenticator holds a passkey of the person, enrolled by a link.
func (w *world) enrolled(p domain.PersonID) *browser {
	w.Helper()
	b := w.browser()
	secret, _, err := IssueLocalLink(w.ctx, w.ledger, w.state, w.clock.Now(), p)
	w.ok(err)
	s := b.opened(b.OpenLink(w.ctx, b.attempt(), secret))
	c, err := b.BeginEnrolment(w.ctx, b.attempt(), s)
	w.ok(err)
	_, err = b.FinishEnrolment(w.ctx, b.attempt(), s, c.ID, "Khóa của "+string(p), b.create(c))
	w.ok(err)
	b.cookie = ""
	return b
}

func (b *browser) trySignIn() (Opened, error) {
	b.Helper()
	c, err := b.BeginSignIn(b.ctx, b.attempt())
	b.ok(err)
	return b.FinishSignIn(b.ctx, b.attempt(), c.ID, b.answer(c))
}

// signedIn is a browser at which the person is, by a passkey.
func (w *world) signedIn(p domain.PersonID) *browser {
	w.Helper()
	b := w.enrolled(p)
	b.opened(b.trySignIn())
	return b
}

// acts lists the account log of a person, the oldest first.
func (w *world) acts(p domain.PersonID) string {
	w.Helper()
	list, err := w.Log(w.ctx, p, 0, 100)
	w.ok(err)
	var acts []string
	for i := len(list) - 1; i >= 0; i-- {
		acts = append(acts, list[i].Act)
	}
	return strings.Join(acts, " ")
}

// atRest is every byte of the state.
func (w *world) atRest() string {
	w.Helper()
	var all strings.Builder
	for _, name := range []string{w.path, w.path + "-wal"} {
		b, err := os.ReadFile(name)
		w.ok(err)
		all.Write(b)
	}
	return all.String()
}

func TestPasskeyFromLinkToSession(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.enrolled("lan")

	p, err := w.ledger.Person(w.ctx, "lan")
	w.ok(err)
	if len(p.Credentials) != 1 || p.Credentials[0].Method != "webauthn" || p.Credentials[0].EnrolledBy != "lan" || p.Credentials[0].Credential != encode(b.key.ID) {
		t.Fatalf("credentials: %+v", p.Credentials)
	}
	var d Detail
	w.ok(json.Unmarshal([]byte(p.Credentials[0].Detail), &d))
	if d.RPID != rpID || d.Origin != origin || d.SignCount != 1 || d.Synced || d.COSE == "" || d.Label != "Khóa của lan" || d.Link == "" || d.IssuedBy != "system" {
		t.Fatalf("detail: %+v", d)
	}

	b.opened(b.trySignIn())
	s := b.session()
	if s.Person != "lan" || s.Method() != MethodPasskey || !s.Strong(w.clock.Now()) || s.Address != "192.0.2.7" || s.Agent != "Trình duyệt" || s.Credential != encode(b.key.ID) {
		t.Fatalf("session: %+v", s)
	}
	list, err := w.Passkeys(w.ctx, p)
	w.ok(err)
	if len(list) != 1 || !list[0].SignsIn || !list[0].UsedAt.Equal(w.clock.Now()) || !list[0].SuspectAt.IsZero() {
		t.Fatalf("passkeys: %+v", list)
	}
	if got, want := w.acts("lan"), "link_issued link_used passkey_enrolled end_session sign_in"; got != want {
		t.Fatalf("log %q, want %q", got, want)
	}
}

func TestSecretsAreNotAtRest(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.signedIn("lan")
	c, err := b.BeginStepUp(w.ctx, b.attempt(), b.session())
	w.ok(err)
	const password = "mười hai con giáp"
	w.ok(b.SetPassword(w.ctx, b.attempt(), b.session(), password))
	link, _, err := IssueLocalLink(w.ctx, w.ledger, w.state, w.clock.Now(), "minh")
	w.ok(err)
	_, err = b.SignInPassword(w.ctx, b.attempt(), "mật khẩu gõ nhầm ô", password)
	w.is(err, ErrRefused)
	bytes := w.atRest()
	for what, secret := range map[string]string{"session": b.cookie, "ceremony": c.ID, "password": password, "link": link, "what was typed for a name": "nhầm ô"} {
		if secret == "" || strings.Contains(bytes, secret) {
			t.Errorf("%s: its secret is in the file", what)
		}
	}
	if !strings.Contains(bytes, hashSecret(b.cookie)) {
		t.Error("the search looks in the wrong place: the session's hash is not there")
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, test := range []struct {
		origin string
		ok     bool
		keys   bool
		cookie string
	}{
		{"https://ledger.example", true, true, "__Host-answerable_session"},
		{"https://ledger.example:8443", true, true, "__Host-answerable_session"},
		{"http://localhost:8080", true, true, "answerable_session"},
		{"http://127.0.0.1:8080", true, false, "answerable_session"},
		{"http://[::1]:8080", true, false, "answerable_session"},
		{"https://192.0.2.1", true, false, "__Host-answerable_session"},
		{"http://ledger.example", false, false, ""},
		{"http://192.0.2.1", false, false, ""},
		{"https://ledger.example/", false, false, ""},
		{"ledger.example", false, false, ""},
		{"ftp://ledger.example", false, false, ""},
		{"", false, false, ""},
	} {
		a, err := New(w.ledger, w.state, Options{Origin: test.origin, Name: "x", Clock: w.clock.Now})
		if (err == nil) != test.ok {
			t.Errorf("%q: %v", test.origin, err)
		} else if err == nil && (a.PasskeysWork() != test.keys || a.CookieName() != test.cookie) {
			t.Errorf("%q: passkeys %t, cookie %s", test.origin, a.PasskeysWork(), a.CookieName())
		}
	}
	if _, err := New(w.ledger, w.state, Options{Origin: origin}); err == nil {
		t.Error("no clock was accepted")
	}
}

func TestWithoutPasskeys(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.browser()
	a := w.accounts(func(o *Options) { o.Origin = "http://127.0.0.1:8080" })
	_, err := a.BeginSignIn(w.ctx, b.attempt())
	w.is(err, ErrNoPasskeys)
	_, err = a.FinishSignIn(w.ctx, b.attempt(), "x", nil)
	w.is(err, ErrNoPasskeys)
	_, err = a.BeginEnrolment(w.ctx, b.attempt(), Session{})
	w.is(err, ErrNoPasskeys)
	_, err = a.BeginSignature(w.ctx, b.attempt(), Session{}, "x")
	w.is(err, ErrNoPasskeys)
}

func TestNobodyIsLetInWithoutTheState(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.signedIn("lan")
	c, err := b.BeginSignIn(w.ctx, b.attempt())
	w.ok(err)
	s := b.session()
	w.ok(w.state.Close())
	_, _, err = b.Authenticate(b.request(http.MethodGet))
	w.is(err, appstate.ErrUnavailable)
	_, err = b.FinishSignIn(w.ctx, b.attempt(), c.ID, b.answer(c))
	w.is(err, appstate.ErrUnavailable)
	_, err = b.SignInPassword(w.ctx, b.attempt(), "lan", "mười hai con giáp")
	w.is(err, appstate.ErrUnavailable)
	_, err = b.OpenLink(w.ctx, b.attempt(), "x")
	w.is(err, appstate.ErrUnavailable)
	w.is(b.SignOut(w.ctx, b.attempt(), s), appstate.ErrUnavailable)
}
