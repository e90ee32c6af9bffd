package accounts

import (
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/text/unicode/norm"

	"github.com/answerable-ledger/answerable/appstate"
)

const goodPassword = "mười hai con giáp"

func TestCheckPassword(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		password string
		want     error
	}{
		{goodPassword, nil},
		{"Xe đạp xanh 7", nil},
		{"xr7-Kq2-pp9w", nil},
		{strings.Repeat("abcdé ", 21), ErrPasswordCommon},
		{"", ErrPasswordShort},
		{"mười một ký", ErrPasswordShort},
		{strings.Repeat("đ", 11), ErrPasswordShort},
		{norm.NFD.String("mười một ký"), ErrPasswordShort}, // more bytes, no more letters
		{strings.Repeat("mười hai con giáp ", 8), ErrPasswordLong},
		{"password1234", ErrPasswordCommon},
		{"Password-2021!", ErrPasswordCommon},
		{"matkhau12345", ErrPasswordCommon},
		{"Mật khẩu 12345!", ErrPasswordCommon},
		{"Bình Dương 2021", ErrPasswordCommon},
		{"vietnam@12345", ErrPasswordCommon},
		{"111111111111", ErrPasswordCommon},
		{"123456789012", ErrPasswordCommon},
		{"210987654321", ErrPasswordCommon},
		{"abcdefghijklm", ErrPasswordCommon},
		{"qwertyuiop12", ErrPasswordCommon},
		{"1qaz2wsx3edc", ErrPasswordCommon},
		{"abc123abc123", ErrPasswordCommon},
		{"Nguyễn Thị Lan", ErrPasswordCommon},
		{"nguyenthilan1985", ErrPasswordCommon},
		{"lan_tan_binh_1", ErrPasswordCommon},
	} {
		if err := CheckPassword(test.password, "lan_tan_binh_1", "Nguyễn Thị Lan"); err != test.want {
			t.Errorf("%q: %v, want %v", test.password, err, test.want)
		}
	}
}

func TestPassword(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.signedInByPassword("lan", goodPassword)
	if s := b.session(); s.Person != "lan" || s.Method() != MethodPassword || !s.Fresh(w.clock.Now()) || s.Strong(w.clock.Now()) {
		t.Fatalf("%+v", s)
	}
	for _, test := range []struct {
		name, password string
		ok             bool
	}{
		{"lan", goodPassword, true},
		{" LAN ", goodPassword, true},
		{"lan", norm.NFD.String(goodPassword), true}, // another keyboard
		{"lan", goodPassword + " ", false},
		{"lan", "Mười hai con giáp", false},
		{"lan", "", false},
		{"lan", strings.Repeat(goodPassword, 1000), false},
		{"minh", goodPassword, false}, // has none
		{"minh", "", false},
		{"nobody", goodPassword, false},
		{"nobody", "", false},
		{"", "", false},
		{"system", "", false},
		{"lan' OR '1'='1", goodPassword, false},
	} {
		o, err := b.SignInPassword(w.ctx, b.attempt(), test.name, test.password)
		if test.ok {
			b.opened(o, err)
		} else {
			w.is(err, ErrRefused)
			if err.Error() != ErrRefused.Error() {
				t.Errorf("%q: the answer says more: %v", test.name, err)
			}
		}
	}
	if has, err := w.HasPassword(w.ctx, "minh"); has || err != nil {
		t.Error(has, err)
	}

	other := w.browser()
	other.opened(other.SignInPassword(w.ctx, other.attempt(), "lan", goodPassword))
	w.is(b.SetPassword(w.ctx, b.attempt(), b.session(), "password1234"), ErrPasswordCommon)
	w.ok(b.SetPassword(w.ctx, b.attempt(), b.session(), "một mật khẩu khác hẳn"))
	b.session()
	other.signedOut() // whoever knew the old one is out
	_, err := other.SignInPassword(w.ctx, other.attempt(), "lan", goodPassword)
	w.is(err, ErrRefused)

	w.clock.Advance(FreshFor)
	w.is(b.SetPassword(w.ctx, b.attempt(), b.session(), goodPassword), ErrNotFresh)
	_, err = b.StepUpPassword(w.ctx, b.attempt(), b.session(), goodPassword)
	w.is(err, ErrRefused)
	b.opened(b.StepUpPassword(w.ctx, b.attempt(), b.session(), "một mật khẩu khác hẳn"))
	w.ok(b.RemovePassword(w.ctx, b.attempt(), b.session(), "lan", ""))
	_, err = other.SignInPassword(w.ctx, other.attempt(), "lan", "một mật khẩu khác hẳn")
	w.is(err, ErrRefused)
	if got := w.acts(""); !strings.Contains(got, "password_removed") {
		t.Error(got)
	}
}

func TestUnknownPersonCostsTheSame(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.signedInByPassword("lan", goodPassword)
	var derived []hashParams
	w.derive = func(password, salt []byte, p hashParams) []byte {
		derived = append(derived, p)
		return deriveArgon2id(password, salt, p)
	}
	for _, name := range []string{"lan", "minh", "nobody", "not an id"} {
		derived = nil
		before, err := w.Log(w.ctx, "", 0, 1)
		w.ok(err)
		_, err = b.SignInPassword(w.ctx, b.attempt(), name, "một mật khẩu sai")
		w.is(err, ErrRefused)
		after, err := w.Log(w.ctx, "", 0, 1)
		w.ok(err)
		if len(derived) != 1 || derived[0] != w.params || after[0].ID != before[0].ID+1 {
			t.Errorf("%s: derived %v, %d lines of log", name, derived, after[0].ID-before[0].ID)
		}
	}
}

func TestRehash(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.signedInByPassword("lan", goodPassword)
	old, err := w.state.Password(w.ctx, "lan")
	w.ok(err)
	if !strings.HasPrefix(old.Hash, "$argon2id$v=19$m=8,t=1,p=1$") {
		t.Fatal(old.Hash)
	}
	w.params = hashParams{memoryKiB: 16, passes: 2, lanes: 1}
	_, err = b.SignInPassword(w.ctx, b.attempt(), "lan", "một mật khẩu sai")
	w.is(err, ErrRefused)
	if same, err := w.state.Password(w.ctx, "lan"); err != nil || same.Hash != old.Hash {
		t.Fatalf("a wrong password changed the hash: %v, %v", same, err)
	}
	b.opened(b.SignInPassword(w.ctx, b.attempt(), "lan", goodPassword))
	next, err := w.state.Password(w.ctx, "lan")
	w.ok(err)
	if !strings.HasPrefix(next.Hash, "$argon2id$v=19$m=16,t=2,p=1$") || !next.SetAt.Equal(old.SetAt) {
		t.Fatal(next)
	}
	b.opened(b.SignInPassword(w.ctx, b.attempt(), "lan", goodPassword))
	if again, err := w.state.Password(w.ctx, "lan"); err != nil || again.Hash != next.Hash {
		t.Fatalf("rehashed without need: %v, %v", again, err)
	}
	w.ok(w.state.RehashPassword(w.ctx, "lan", old.Hash, "x")) // it was changed meanwhile: nothing happens
	if again, err := w.state.Password(w.ctx, "lan"); err != nil || again.Hash != next.Hash {
		t.Fatal(again, err)
	}
}

func TestParseHashRefuses(t *testing.T) {
	t.Parallel()
	const good = "$argon2id$v=19$m=8,t=1,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	if p, salt, key, err := parseHash(good); err != nil || p != (hashParams{8, 1, 1}) || len(salt) != saltBytes || len(key) != keyBytes {
		t.Fatal(p, salt, key, err)
	}
	for _, bad := range []string{"", "x", strings.Replace(good, "argon2id", "argon2i", 1), strings.Replace(good, "v=19", "v=16", 1), strings.Replace(good, "m=8", "m=99999999", 1),
		strings.Replace(good, "t=1", "t=0", 1), strings.Replace(good, "t=1", "t=1000", 1), strings.Replace(good, "p=1", "p=0", 1), good + "A", good + "$", strings.TrimSuffix(good, "AAA")} {
		if _, _, _, err := parseHash(bad); err == nil {
			t.Errorf("%q was read", bad)
		}
	}
}

func TestDefaultParameters(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a, err := New(w.ledger, w.state, Options{Origin: origin, Clock: w.clock.Now, Name: "x"})
	w.ok(err)
	hash, err := a.newHash(w.ctx, goodPassword)
	w.ok(err)
	if !strings.HasPrefix(hash, "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Fatal(hash)
	}
}

func TestHashingIsBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	release, entered := make(chan struct{}), make(chan struct{}, 100)
	var now, most atomic.Int64
	w.derive = func(password, salt []byte, p hashParams) []byte {
		n := now.Add(1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		entered <- struct{}{}
		<-release
		now.Add(-1)
		return make([]byte, keyBytes)
	}
	done := make(chan error, 3*maxHashing)
	for range 3 * maxHashing {
		go func() {
			_, err := w.hash(w.ctx, "x", make([]byte, saltBytes), w.params)
			done <- err
		}()
	}
	for range maxHashing {
		<-entered
	}
	close(release)
	for range 3 * maxHashing {
		w.ok(<-done)
	}
	if most.Load() > maxHashing {
		t.Fatalf("%d at once", most.Load())
	}
}

func TestDamagedHashLetsNobodyIn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.signedInByPassword("lan", goodPassword)
	w.ok(w.state.SetPassword(w.ctx, appstate.Password{Person: "lan", Hash: "$argon2id$", SetAt: w.clock.Now()}, "", appstate.AccountEntry{}))
	_, err := b.SignInPassword(w.ctx, b.attempt(), "lan", goodPassword)
	w.is(err, appstate.ErrUnavailable)
}
