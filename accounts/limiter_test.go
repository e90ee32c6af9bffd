package accounts

import (
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestLimiterNeverLetsMoreThrough(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		burst := rapid.IntRange(1, 5).Draw(t, "burst")
		l := newLimiter(burst, time.Second)
		start := time.Date(2021, 2, 8, 0, 0, 0, 0, time.UTC)
		now, let := start, 0
		for range rapid.IntRange(1, 50).Draw(t, "attempts") {
			now = now.Add(time.Duration(rapid.IntRange(-100, 1500).Draw(t, "wait_ms")) * time.Millisecond)
			err := l.take("k", now)
			var limited *LimitedError
			if err == nil {
				let++
			} else if !errors.As(err, &limited) || !errors.Is(err, ErrLimited) || limited.RetryAfter <= 0 || limited.RetryAfter > time.Second {
				t.Fatalf("%v", err)
			}
		}
		if longest := now.Sub(start) + 50*100*time.Millisecond; float64(let) > float64(burst)+longest.Seconds()+1 {
			t.Fatalf("%d in %s", let, longest)
		}
		var limited *LimitedError
		for errors.As(l.take("k", now), &limited) { // RetryAfter keeps its word
			now = now.Add(limited.RetryAfter)
			if err := l.take("k", now); err != nil {
				t.Fatal(err)
			}
			return
		}
	})
}

func TestLimiterIsBounded(t *testing.T) {
	t.Parallel()
	l := newLimiter(1, time.Minute)
	now := time.Date(2021, 2, 8, 0, 0, 0, 0, time.UTC)
	for i := range maxBuckets {
		if err := l.take(fmt.Sprint(i), now); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.take("first of the crowd", now); err != nil {
		t.Fatal(err)
	}
	if err := l.take("second of the crowd", now); !errors.Is(err, ErrLimited) {
		t.Fatal(err)
	}
	if err := l.take("7", now); !errors.Is(err, ErrLimited) { // nobody was forgotten to make room
		t.Fatal(err)
	}
	if n := len(l.full); n > maxBuckets+1 {
		t.Fatalf("%d buckets", n)
	}
	if err := l.take("later", now.Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if n := len(l.full); n > 2 {
		t.Fatalf("%d buckets after everybody may try again", n)
	}
}

func TestSignInIsLimited(t *testing.T) {
	t.Parallel()
	const right, wrong = goodPassword, "một mật khẩu sai"
	limited := func(w *world, err error) time.Duration {
		w.Helper()
		var l *LimitedError
		if !errors.As(err, &l) {
			w.Fatalf("not limited: %v", err)
		}
		return l.RetryAfter
	}
	t.Run("by account", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		b, passkey := w.signedInByPassword("lan", right), w.enrolled("lan")
		for range 3 * accountBurst { // right ones cost nothing
			_, err := b.SignInPassword(w.ctx, b.attempt(), "lan", right)
			w.ok(err)
		}
		w.clock.Advance(addressBurst * addressEvery)
		for _, name := range []string{"lan", "nobody"} { // whether there is such a person does not show
			for range accountBurst {
				_, err := b.SignInPassword(w.ctx, b.attempt(), name, wrong)
				w.is(err, ErrRefused)
			}
			_, err := b.SignInPassword(w.ctx, b.attempt(), name, right)
			if got := limited(w, err); got != accountEvery {
				t.Errorf("%s: again in %s", name, got)
			}
		}
		_, err := b.SignInPassword(w.ctx, b.attempt(), "minh", wrong) // others are not
		w.is(err, ErrRefused)
		passkey.opened(passkey.trySignIn()) // nor their passkey
		w.clock.Advance(accountEvery)
		b.opened(b.SignInPassword(w.ctx, b.attempt(), "lan", right))
	})
	t.Run("by address", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		b := w.browser()
		for i := range addressBurst {
			_, err := b.SignInPassword(w.ctx, b.attempt(), fmt.Sprint("p", i), wrong)
			w.is(err, ErrRefused)
		}
		_, err := b.SignInPassword(w.ctx, b.attempt(), "lan", wrong)
		if got := limited(w, err); got != addressEvery {
			t.Errorf("again in %s", got)
		}
		for name, do := range map[string]func() error{
			"BeginSignIn":  func() error { _, err := b.BeginSignIn(w.ctx, b.attempt()); return err },
			"FinishSignIn": func() error { _, err := b.FinishSignIn(w.ctx, b.attempt(), "x", nil); return err },
			"OpenLink":     func() error { _, err := b.OpenLink(w.ctx, b.attempt(), "x"); return err },
		} {
			if err := do(); !errors.Is(err, ErrLimited) {
				t.Errorf("%s: %v", name, err)
			}
		}
		r := b.request(http.MethodPost)
		r.RemoteAddr = "192.0.2.8:1"
		elsewhere, err := w.Attempt(r)
		w.ok(err)
		_, err = b.SignInPassword(w.ctx, elsewhere, "lan", wrong)
		w.is(err, ErrRefused)
		w.clock.Advance(addressEvery)
		_, err = b.SignInPassword(w.ctx, b.attempt(), "lan", wrong)
		w.is(err, ErrRefused)
	})
	t.Run("Retry-After is whole seconds, rounded up", func(t *testing.T) {
		t.Parallel()
		for d, want := range map[time.Duration]string{time.Millisecond: "1", time.Second: "1", 1001 * time.Millisecond: "2", time.Minute: "60", 0: "1"} {
			h := http.Header{}
			(&LimitedError{RetryAfter: d}).SetHeader(h)
			if got := h.Get("Retry-After"); got != want {
				t.Errorf("%s: %s", d, got)
			}
		}
	})
}
