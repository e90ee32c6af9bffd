package accounts

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"

	"github.com/answerable-ledger/answerable/appstate"
	"github.com/answerable-ledger/answerable/commands"
	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/signing"
)

func TestSignInRefuses(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		do   func(w *world, b *browser, c Ceremony) (Ceremony, []byte)
		also error
	}{
		{"user not verified", func(w *world, b *browser, c Ceremony) (Ceremony, []byte) {
			b.auth.Options.UserNotVerified = true
			return c, b.answer(c)
		}, nil},
		{"user not present", func(w *world, b *browser, c Ceremony) (Ceremony, []byte) {
			b.auth.Options.UserNotPresent = true
			return c, b.answer(c)
		}, nil},
		{"a counter that stands still", func(w *world, b *browser, c Ceremony) (Ceremony, []byte) {
			return c, b.answerUncounted(c)
		}, appstate.ErrCloned},
		{"a counter that goes back to 0", func(w *world, b *browser, c Ceremony) (Ceremony, []byte) {
			b.key.Counter = 0
			return c, b.answerUncounted(c)
		}, appstate.ErrCloned},
		{"another site", func(w *world, b *browser, c Ceremony) (Ceremony, []byte) {
			b.origin = "https://ledger.example.evil.example"
			return c, b.answer(c)
		}, nil},
		{"another challenge", func(w *world, b *browser, c Ceremony) (Ceremony, []byte) {
			second, err := b.BeginSignIn(w.ctx, b.attempt())
			w.ok(err)
			return c, b.answer(second)
		}, nil},
		{"a challenge that has expired", func(w *world, b *browser, c Ceremony) (Ceremony, []byte) {
			w.clock.Advance(CeremonyLimit)
			return c, b.answer(c)
		}, nil},
		{"no challenge", func(w *world, b *browser, c Ceremony) (Ceremony, []byte) {
			return Ceremony{ID: "x"}, b.answer(c)
		}, nil},
		{"a challenge to step up", func(w *world, b *browser, c Ceremony) (Ceremony, []byte) {
			other := w.signedIn("minh")
			c, err := other.BeginStepUp(w.ctx, other.attempt(), other.session())
			w.ok(err)
			return c, other.answer(c)
		}, nil},
		{"another person's name", func(w *world, b *browser, c Ceremony) (Ceremony, []byte) {
			b.auth.Options.UserHandle = []byte("admin")
			return c, b.answer(c)
		}, nil},
		{"nobody's name", func(w *world, b *browser, c Ceremony) (Ceremony, []byte) {
			b.auth.Options.UserHandle = []byte("nobody")
			return c, b.answer(c)
		}, nil},
		{"no name", func(w *world, b *browser, c Ceremony) (Ceremony, []byte) {
			b.auth.Options.UserHandle = nil
			return c, b.answer(c)
		}, nil},
		{"another key under this credential's id", func(w *world, b *browser, c Ceremony) (Ceremony, []byte) {
			b.key.Key = newKey(true).Key
			return c, b.answer(c)
		}, nil},
		{"a credential that was never enrolled", func(w *world, b *browser, c Ceremony) (Ceremony, []byte) {
			b.key = newKey(true)
			return c, b.answer(c)
		}, nil},
		{"a revoked credential", func(w *world, b *browser, c Ceremony) (Ceremony, []byte) {
			w.must(w.ledger.RevokeCredential(w.ctx, w.system(), "lan", encode(b.key.ID), "mất khóa"))
			return c, b.answer(c)
		}, nil},
		{"a changed backup flag", func(w *world, b *browser, c Ceremony) (Ceremony, []byte) {
			b.auth.Options.BackupEligible = true
			return c, b.answer(c)
		}, nil},
		{"nothing", func(w *world, b *browser, c Ceremony) (Ceremony, []byte) { return c, nil }, nil},
		{"no JSON", func(w *world, b *browser, c Ceremony) (Ceremony, []byte) { return c, []byte("{") }, nil},
		{"a very long answer", func(w *world, b *browser, c Ceremony) (Ceremony, []byte) {
			return c, append(b.answer(c), strings.Repeat(" ", maxResponseBytes)...)
		}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			b := w.enrolled("lan")
			b.opened(b.trySignIn()) // it works
			c, err := b.BeginSignIn(w.ctx, b.attempt())
			w.ok(err)
			c, response := test.do(w, b, c)
			o, err := b.FinishSignIn(w.ctx, b.attempt(), c.ID, response)
			w.is(err, ErrRefused)
			if test.also != nil {
				w.is(err, test.also)
			}
			if o.Secret != "" {
				t.Error("a secret came out")
			}
			list, err := w.Log(w.ctx, "", 0, 1)
			w.ok(err)
			if len(list) != 1 || Act(list[0].Act) != ActRefused && Act(list[0].Act) != ActCloned || list[0].Detail == "" {
				t.Errorf("log: %+v", list)
			}
		})
	}
}

func TestChallengeIsAnsweredOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.enrolled("lan")
	c, err := b.BeginSignIn(w.ctx, b.attempt())
	w.ok(err)
	response := b.answer(c)
	b.opened(b.FinishSignIn(w.ctx, b.attempt(), c.ID, response))
	_, err = b.FinishSignIn(w.ctx, b.attempt(), c.ID, response)
	w.is(err, ErrRefused)

	c, err = b.BeginSignIn(w.ctx, b.attempt()) // a wrong answer uses it up too
	w.ok(err)
	_, err = b.FinishSignIn(w.ctx, b.attempt(), c.ID, []byte("{}"))
	w.is(err, ErrRefused)
	_, err = b.FinishSignIn(w.ctx, b.attempt(), c.ID, b.answer(c))
	w.is(err, ErrRefused)

	c, err = b.BeginSignIn(w.ctx, b.attempt()) // and of many at once one gets in
	w.ok(err)
	response = b.answer(c)
	var mu sync.Mutex
	var wg sync.WaitGroup
	in := 0
	for range 8 {
		wg.Go(func() {
			_, err := b.FinishSignIn(w.ctx, b.attempt(), c.ID, response)
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				in++
			} else if !errors.Is(err, ErrRefused) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if in != 1 {
		t.Fatalf("%d got in", in)
	}
}

func TestCounter(t *testing.T) {
	t.Parallel()
	t.Run("one that does not count signs in for ever", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		b := w.browser()
		b.key.Counter = 0
		b = w.enrolWith(b, "lan")
		for range 3 {
			c, err := b.BeginSignIn(w.ctx, b.attempt())
			w.ok(err)
			b.opened(b.FinishSignIn(w.ctx, b.attempt(), c.ID, b.answerUncounted(c)))
		}
	})
	t.Run("the copy is refused, the original goes on, both are seen", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		b := w.enrolled("lan")
		thief := *b
		b.opened(b.trySignIn())
		b.opened(b.trySignIn())
		_, err := thief.trySignIn()
		w.is(err, appstate.ErrCloned)
		b.opened(b.trySignIn())
		if got := w.acts("lan"); !strings.HasSuffix(got, "sign_in sign_in passkey_cloned sign_in") {
			t.Fatal(got)
		}
		p, err := w.ledger.Person(w.ctx, "lan")
		w.ok(err)
		list, err := w.Passkeys(w.ctx, p)
		w.ok(err)
		if list[0].SuspectAt.IsZero() {
			t.Fatal("nothing shows the copy")
		}
	})
	t.Run("the state was lost: the counter of the enrolment holds", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		b := w.enrolled("lan")
		w.path += "2"
		w.state = w.openState()
		w.Accounts = w.accounts()
		c, err := b.BeginSignIn(w.ctx, b.attempt())
		w.ok(err)
		_, err = b.FinishSignIn(w.ctx, b.attempt(), c.ID, b.answerUncounted(c))
		w.is(err, appstate.ErrCloned)
		b.opened(b.trySignIn())
	})
}

// enrolWith enrols the browser's own authenticator.
func (w *world) enrolWith(b *browser, p domain.PersonID) *browser {
	w.Helper()
	secret, _, err := IssueLocalLink(w.ctx, w.ledger, w.state, w.clock.Now(), p)
	w.ok(err)
	s := b.opened(b.OpenLink(w.ctx, b.attempt(), secret))
	c, err := b.BeginEnrolment(w.ctx, b.attempt(), s)
	w.ok(err)
	_, err = b.FinishEnrolment(w.ctx, b.attempt(), s, c.ID, "", b.create(c))
	w.ok(err)
	b.cookie = ""
	return b
}

func TestEnrolmentRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.signedIn("lan")
	begin := func(s Session) Ceremony {
		t.Helper()
		c, err := b.BeginEnrolment(w.ctx, b.attempt(), s)
		w.ok(err)
		return c
	}
	fresh := func() { b.key = newKey(true) }
	old := b.key

	fresh()
	b.auth.Options.UserNotVerified = true
	c := begin(b.session())
	_, err := b.FinishEnrolment(w.ctx, b.attempt(), b.session(), c.ID, "", b.create(c))
	w.is(err, ErrRefused)
	b.auth.Options.UserNotVerified = false

	b.origin = "https://evil.example"
	c = begin(b.session())
	_, err = b.FinishEnrolment(w.ctx, b.attempt(), b.session(), c.ID, "", b.create(c))
	w.is(err, ErrRefused)
	b.origin = origin

	b.key = newKey(false)
	c = begin(b.session())
	_, err = b.FinishEnrolment(w.ctx, b.attempt(), b.session(), c.ID, "", b.create(c))
	w.is(err, ErrRefused)
	fresh()

	c = begin(b.session())
	response := b.create(c)
	w.must(b.FinishEnrolment(w.ctx, b.attempt(), b.session(), c.ID, "", response))
	_, err = b.FinishEnrolment(w.ctx, b.attempt(), b.session(), c.ID, "", response) // again
	w.is(err, ErrRefused)

	c = begin(b.session()) // the same key a second time: browsers refuse by excludeCredentials, the ledger by itself
	if !strings.Contains(string(c.Options), encode(b.key.ID)) || !strings.Contains(string(c.Options), encode(old.ID)) {
		t.Errorf("excludeCredentials: %s", c.Options)
	}
	result, err := b.FinishEnrolment(w.ctx, b.attempt(), b.session(), c.ID, "", b.create(c))
	if err != nil || !result.Repeat {
		t.Errorf("the same passkey twice: %+v, %v", result, err)
	}

	thief := w.signedIn("minh") // another's credential
	thief.key.ID = b.key.ID
	c, err = thief.BeginEnrolment(w.ctx, thief.attempt(), thief.session())
	w.ok(err)
	_, err = thief.FinishEnrolment(w.ctx, thief.attempt(), thief.session(), c.ID, "", thief.create(c))
	w.is(err, appstate.ErrPasskeyTaken)

	c = begin(b.session()) // begun in one session, finished in another
	other := w.signedIn("minh")
	_, err = other.FinishEnrolment(w.ctx, other.attempt(), other.session(), c.ID, "", other.create(c))
	w.is(err, ErrRefused)

	w.clock.Advance(FreshFor)
	_, err = b.BeginEnrolment(w.ctx, b.attempt(), b.session())
	w.is(err, ErrNotFresh)

	secret, _, err := IssueLocalLink(w.ctx, w.ledger, w.state, w.clock.Now(), "guest")
	w.ok(err)
	guest := w.browser()
	s := guest.opened(guest.OpenLink(w.ctx, guest.attempt(), secret))
	_, err = guest.BeginEnrolment(w.ctx, guest.attempt(), s)
	w.is(err, ErrNoRole)
}

func TestEnrolledOptions(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.signedIn("lan")
	c, err := b.BeginEnrolment(w.ctx, b.attempt(), b.session())
	w.ok(err)
	var o struct {
		RP                     struct{ ID, Name string }
		User                   struct{ ID, Name, DisplayName string }
		Timeout                int
		Attestation            string
		AuthenticatorSelection struct {
			ResidentKey, UserVerification string
			RequireResidentKey            bool
		}
	}
	w.ok(json.Unmarshal(c.Options, &o))
	if o.RP.ID != rpID || o.User.ID != encode([]byte("lan")) || o.User.DisplayName != "Nguyễn Thị lan" || o.Attestation != "none" || o.Timeout != int(CeremonyLimit.Milliseconds()) ||
		o.AuthenticatorSelection.ResidentKey != "required" || !o.AuthenticatorSelection.RequireResidentKey || o.AuthenticatorSelection.UserVerification != "required" {
		t.Fatalf("%s", c.Options)
	}
	for _, begin := range []func() (Ceremony, error){
		func() (Ceremony, error) { return b.BeginSignIn(w.ctx, b.attempt()) },
		func() (Ceremony, error) { return b.BeginStepUp(w.ctx, b.attempt(), b.session()) },
	} {
		c, err := begin()
		w.ok(err)
		if !strings.Contains(string(c.Options), `"userVerification":"required"`) {
			t.Errorf("%s", c.Options)
		}
	}
}

// A credential that somebody else enrolled for a person, as an administrator can over the API, signs nobody in.
func TestOnlyOwnEnrolmentsSignIn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.enrolled("lan")
	p, err := w.ledger.Person(w.ctx, "lan")
	w.ok(err)
	thief := w.signedIn("admin")
	mine := p.Credentials[0].CredentialEnrolled
	q, err := w.ledger.Person(w.ctx, "admin")
	w.ok(err)
	mine.Credential, mine.PublicKey, mine.Detail = q.Credentials[0].Credential, q.Credentials[0].PublicKey, q.Credentials[0].Detail
	w.must(w.ledger.EnrollCredential(w.ctx, commands.Command{ID: uuid.New(), Actor: "admin", Channel: domain.ChannelAPI}, mine))
	thief.auth.Options.UserHandle = []byte("lan")
	_, err = thief.trySignIn()
	w.is(err, ErrRefused)
	b.opened(b.trySignIn())
}

func TestStepUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.signedIn("lan")
	before, old := b.session(), b.cookie
	w.clock.Advance(FreshFor)
	if s := b.session(); s.Fresh(w.clock.Now()) {
		t.Fatal("fresh after its time")
	}
	c, err := b.BeginStepUp(w.ctx, b.attempt(), b.session())
	w.ok(err)
	b.opened(b.FinishStepUp(w.ctx, b.attempt(), b.session(), c.ID, b.answer(c)))
	after := b.session()
	if !after.Strong(w.clock.Now()) || after.ID != before.ID || !after.ExpiresAt.Equal(before.ExpiresAt) || b.cookie == old {
		t.Fatalf("%+v", after)
	}
	b.cookie = old
	_, _, err = b.Authenticate(b.request(http.MethodGet))
	w.is(err, appstate.ErrNoSession)

	t.Run("by another's passkey", func(t *testing.T) {
		other := w.signedIn("minh")
		thief := w.signedIn("admin")
		c, err := other.BeginStepUp(w.ctx, other.attempt(), other.session())
		w.ok(err)
		_, err = other.FinishStepUp(w.ctx, other.attempt(), other.session(), c.ID, thief.answer(c))
		w.is(err, ErrRefused)
		if other.session().Person != "minh" {
			t.Fatal("the session went away")
		}
	})
	t.Run("in another session", func(t *testing.T) {
		one, two := w.signedIn("minh"), w.signedIn("admin")
		c, err := one.BeginStepUp(w.ctx, one.attempt(), one.session())
		w.ok(err)
		_, err = two.FinishStepUp(w.ctx, two.attempt(), two.session(), c.ID, one.answer(c))
		w.is(err, ErrRefused)
	})
	t.Run("without a passkey", func(t *testing.T) {
		p := w.signedInByPassword("admin", "mười hai con giáp")
		w.must(p.RevokePasskey(w.ctx, p.attempt(), p.session(), "admin", w.passkeyOf("admin"), "mất"))
		for _, x := range w.passkeysOf("admin") {
			if x.RevokedAt.IsZero() {
				w.must(p.RevokePasskey(w.ctx, p.attempt(), p.session(), "admin", x.Credential, "mất"))
			}
		}
		_, err := p.BeginStepUp(w.ctx, p.attempt(), p.session())
		w.is(err, domain.Refuse(domain.NotFound, domain.CodeCredentialUnknown, ""))
	})
}

func (w *world) passkeysOf(p domain.PersonID) []Passkey {
	w.Helper()
	person, err := w.ledger.Person(w.ctx, p)
	w.ok(err)
	list, err := w.Passkeys(w.ctx, person)
	w.ok(err)
	return list
}

// passkeyOf is the first in use.
func (w *world) passkeyOf(p domain.PersonID) string {
	w.Helper()
	for _, x := range w.passkeysOf(p) {
		if x.SignsIn {
			return x.Credential
		}
	}
	w.Fatalf("%s has no passkey", p)
	return ""
}

func TestSignature(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.signedIn("lan")
	const statement = `{"decision":"sign-off","signer":"lan","v":"answerable/sign-off/1","version":2}`
	c, err := b.BeginSignature(w.ctx, b.attempt(), b.session(), statement)
	w.ok(err)
	if !strings.Contains(string(c.Options), encode(signing.Challenge([]byte(statement)))) {
		t.Fatalf("the challenge is not the statement's: %s", c.Options)
	}
	signed, signature, err := b.FinishSignature(w.ctx, b.attempt(), b.session(), c.ID, b.answer(c))
	w.ok(err)
	if signed != statement {
		t.Fatalf("signed %q", signed)
	}
	p, err := w.ledger.Person(w.ctx, "lan")
	w.ok(err)
	credential := signing.Credential{ID: p.Credentials[0].Credential, Method: p.Credentials[0].Method, PublicKey: p.Credentials[0].PublicKey}
	policy := signing.Policy{Origins: []string{origin}, RPIDs: []string{rpID}}
	if _, err := signing.Verify(credential, []byte(statement), signing.Signature(signature), policy); err != nil {
		t.Errorf("an outsider: %v", err)
	}
	if _, err := signing.Verify(credential, []byte(statement+" "), signing.Signature(signature), policy); signing.CodeOf(err) != signing.CodeChallenge {
		t.Errorf("another statement: %v", err)
	}
	minh := w.signedIn("minh")

	t.Run("a challenge to sign is none to step up", func(t *testing.T) {
		c, err := minh.BeginSignature(w.ctx, minh.attempt(), minh.session(), statement)
		w.ok(err)
		_, err = minh.FinishStepUp(w.ctx, minh.attempt(), minh.session(), c.ID, minh.answer(c))
		w.is(err, ErrRefused)
	})
	t.Run("without verification", func(t *testing.T) {
		c, err := minh.BeginSignature(w.ctx, minh.attempt(), minh.session(), statement)
		w.ok(err)
		minh.auth.Options.UserNotVerified = true
		defer func() { minh.auth.Options.UserNotVerified = false }()
		_, _, err = minh.FinishSignature(w.ctx, minh.attempt(), minh.session(), c.ID, minh.answer(c))
		w.is(err, ErrRefused)
	})
	t.Run("by another's passkey", func(t *testing.T) {
		c, err := minh.BeginSignature(w.ctx, minh.attempt(), minh.session(), statement)
		w.ok(err)
		_, _, err = minh.FinishSignature(w.ctx, minh.attempt(), minh.session(), c.ID, b.answer(c))
		w.is(err, ErrRefused)
	})
	t.Run("by a passkey that is copied between devices", func(t *testing.T) {
		w := newWorld(t)
		b := w.browser()
		b.auth.Options.BackupEligible = true
		b = w.enrolWith(b, "lan")
		b.opened(b.trySignIn())
		_, err := b.BeginSignature(w.ctx, b.attempt(), b.session(), statement)
		w.is(err, domain.Refuse(domain.NotFound, domain.CodeCredentialUnknown, ""))
		if list := w.passkeysOf("lan"); !list[0].SignsIn || list[0].Signs {
			t.Errorf("%+v", list)
		}
		w.Accounts = w.accounts(func(o *Options) { o.SyncedSign = true })
		c, err := b.BeginSignature(w.ctx, b.attempt(), b.session(), statement)
		w.ok(err)
		_, _, err = b.FinishSignature(w.ctx, b.attempt(), b.session(), c.ID, b.answer(c))
		w.ok(err)
	})
	t.Run("nothing to sign", func(t *testing.T) {
		_, err := minh.BeginSignature(w.ctx, minh.attempt(), minh.session(), "")
		w.is(err, domain.Refuse(domain.Invalid, domain.CodeStatement, ""))
	})
}
