package appstate

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/internal/postgres"
)

// clock is a clock that tests turn.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) Add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

func openTest(t *testing.T, path string) (*State, *clock, string) {
	t.Helper()
	c := &clock{t: time.Date(2021, 2, 5, 8, 0, 0, 0, time.UTC)}
	s, err := Open(context.Background(), path, Options{Clock: c.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s, c, path
}

func TestToken(t *testing.T) {
	t.Parallel()
	onEveryEngine(t, eachToken)
}

func eachToken(t *testing.T, place string) {
	s, c, path := openTest(t, place)
	ctx := context.Background()
	secret, made, err := s.CreateToken(ctx, NewToken{Person: "p1", Scope: ScopeWrite, Label: "máy của phường", ExpiresAt: c.Now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	found, err := s.Token(ctx, secret)
	if err != nil || cmp.Diff(made, found) != "" {
		t.Fatalf("Token: %v\n%s", err, cmp.Diff(made, found))
	}

	t.Run("the secret is not at rest", func(t *testing.T) {
		if postgres.Is(path) {
			var kept string
			err := s.db.QueryRow(`SELECT encode(hash, 'escape') || (token.*)::text FROM token`).Scan(&kept)
			if err != nil || strings.Contains(kept, strings.TrimPrefix(secret, secretPrefix)) {
				t.Errorf("%q, %v", kept, err)
			}
			return
		}
		for _, name := range []string{path, path + "-wal"} {
			b, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(string(b), secret) || strings.Contains(string(b), strings.TrimPrefix(secret, secretPrefix)) {
				t.Errorf("%s holds the secret", name)
			}
		}
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("mode %v, %v", info.Mode(), err)
		}
	})
	t.Run("use is written in a batch", func(t *testing.T) {
		s.Used(made.ID, c.Now())
		if err := s.Flush(ctx); err != nil {
			t.Fatal(err)
		}
		list, err := s.Tokens(ctx, "p1")
		if err != nil || len(list) != 1 || !list[0].UsedAt.Equal(c.Now()) {
			t.Fatalf("%v, %v", list, err)
		}
	})
	t.Run("another process sees it", func(t *testing.T) {
		other, err := Open(ctx, path, Options{Clock: c.Now})
		if err != nil {
			t.Fatal(err)
		}
		defer other.Close()
		if _, err := other.Token(ctx, secret); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("a revocation by another process is noticed", func(t *testing.T) {
		other, err := Open(ctx, path, Options{Clock: c.Now, TokenTTL: time.Nanosecond})
		if err != nil {
			t.Fatal(err)
		}
		defer other.Close()
		secret, made, err := s.CreateToken(ctx, NewToken{Person: "p3", Scope: ScopeRead})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := other.Token(ctx, secret); err != nil {
			t.Fatal(err)
		}
		if _, err := s.RevokeToken(ctx, made.ID); err != nil {
			t.Fatal(err)
		}
		for name, state := range map[string]*State{"here": s, "there": other} {
			if _, err := state.Token(ctx, secret); !errors.Is(err, ErrNoToken) {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
	t.Run("wrong, expired and revoked are alike", func(t *testing.T) {
		second, kept, err := s.CreateToken(ctx, NewToken{Person: "p2", Scope: ScopeRead})
		if err != nil {
			t.Fatal(err)
		}
		first, err := s.RevokeToken(ctx, kept.ID)
		if err != nil {
			t.Fatal(err)
		}
		c.Add(time.Hour)
		for _, secret := range []string{"", "answerable_x", secret, second} {
			if _, err := s.Token(ctx, secret); !errors.Is(err, ErrNoToken) {
				t.Errorf("Token(%q): %v", secret, err)
			}
		}
		again, err := s.RevokeToken(ctx, kept.ID)
		if err != nil || !again.RevokedAt.Equal(first.RevokedAt) {
			t.Errorf("a second revocation: %v, %v", again, err)
		}
		if _, err := s.RevokeToken(ctx, "none"); !errors.Is(err, ErrNoToken) {
			t.Errorf("an unknown id: %v", err)
		}
	})
}

func TestCreateTokenRefuses(t *testing.T) {
	t.Parallel()
	onEveryEngine(t, eachCreateTokenRefuses)
}

func eachCreateTokenRefuses(t *testing.T, place string) {
	s, c, _ := openTest(t, place)
	for _, test := range []struct {
		name string
		n    NewToken
		code domain.Code
	}{
		{"no person", NewToken{Scope: ScopeRead}, domain.CodeID},
		{"the ledger itself", NewToken{Person: domain.System, Scope: ScopeWrite}, domain.CodeID},
		{"no scope", NewToken{Person: "p"}, domain.CodeChoice},
		{"past", NewToken{Person: "p", Scope: ScopeRead, ExpiresAt: c.Now()}, domain.CodeNotLater},
		{"long label", NewToken{Person: "p", Scope: ScopeRead, Label: strings.Repeat("x", 301)}, domain.CodeTextTooLong},
	} {
		_, _, err := s.CreateToken(context.Background(), test.n)
		var refusal *domain.Error
		if !errors.As(err, &refusal) || refusal.Code() != test.code {
			t.Errorf("%s: %v, want %s", test.name, err, test.code)
		}
	}
}

func TestKeptAnswer(t *testing.T) {
	t.Parallel()
	onEveryEngine(t, eachKeptAnswer)
}

func eachKeptAnswer(t *testing.T, place string) {
	s, c, _ := openTest(t, place)
	ctx := context.Background()
	r := Request{Person: "p", Route: "POST /x", Key: "k", Digest: sha256.Sum256([]byte("a"))}
	other := r
	other.Digest = sha256.Sum256([]byte("b"))
	begin := func(r Request, want error, kept bool) *Answer {
		t.Helper()
		a, err := s.Begin(ctx, r)
		if !errors.Is(err, want) || (a != nil) != kept {
			t.Fatalf("Begin: %v, %v; want error %v, kept %t", a, err, want, kept)
		}
		return a
	}
	begin(r, nil, false)
	begin(r, ErrInProgress, false)
	begin(other, ErrOtherRequest, false)
	if err := s.Forget(ctx, r); err != nil {
		t.Fatal(err)
	}
	begin(other, nil, false)
	c.Add(answerWithin)
	begin(other, nil, false) // the first has died
	want := Answer{Status: 201, Header: map[string]string{"ETag": `"1"`}, Body: []byte(`{"x":1}`)}
	if err := s.Keep(ctx, other, want); err != nil {
		t.Fatal(err)
	}
	if err := s.Forget(ctx, other); err != nil { // nothing under way: the answer stays
		t.Fatal(err)
	}
	if got := begin(other, nil, true); cmp.Diff(want, *got) != "" {
		t.Fatal(cmp.Diff(want, *got))
	}
	begin(r, ErrOtherRequest, false)
	c.Add(KeepAnswers)
	begin(r, nil, false)
}

func TestOneOfManyBegins(t *testing.T) {
	t.Parallel()
	onEveryEngine(t, eachOneOfManyBegins)
}

func eachOneOfManyBegins(t *testing.T, place string) {
	s, _, _ := openTest(t, place)
	r := Request{Person: "p", Route: "POST /x", Key: "k"}
	var wg sync.WaitGroup
	var mu sync.Mutex
	claimed := 0
	for range 16 {
		wg.Go(func() {
			_, err := s.Begin(context.Background(), r)
			if err == nil {
				mu.Lock()
				claimed++
				mu.Unlock()
			} else if !errors.Is(err, ErrInProgress) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if claimed != 1 {
		t.Fatalf("%d claimed it", claimed)
	}
}

func TestAccessLog(t *testing.T) {
	t.Parallel()
	onEveryEngine(t, eachAccessLog)
}

func eachAccessLog(t *testing.T, place string) {
	s, c, path := openTest(t, place)
	ctx := context.Background()
	var want []Access
	for i := range 300 {
		a := Access{At: c.Now(), Person: "inspector", Token: "t", Role: domain.RoleInspector, Method: "GET", Path: "/v1/events", Query: fmt.Sprintf("limit=%d", i), Status: 200, Request: "r"}
		if err := s.LogAccess(ctx, a); err != nil {
			t.Fatal(err)
		}
		a.ID = int64(i + 1)
		want = append(want, a)
	}
	if err := s.Close(); err != nil { // Close writes what waits
		t.Fatal(err)
	}
	if err := s.LogAccess(ctx, Access{}); !errors.Is(err, ErrUnavailable) {
		t.Errorf("after Close: %v", err)
	}
	s, err := Open(ctx, path, Options{Clock: c.Now})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	got, err := s.Accesses(ctx, "inspector", 0, 1000)
	if err != nil || cmp.Diff(want, got) != "" {
		t.Fatal(err, cmp.Diff(want, got))
	}
	if got, err := s.Accesses(ctx, "", 299, 1000); err != nil || len(got) != 1 {
		t.Fatal(got, err)
	}
	if got, err := s.Accesses(ctx, "nobody", 0, 1000); err != nil || len(got) != 0 {
		t.Fatal(got, err)
	}
}

// Given a reader that went away while it was being answered, then what it read is noted all the same.
func TestAnAccessOfAReaderThatLeftIsNoted(t *testing.T) {
	t.Parallel()
	s, c, _ := openTest(t, t.TempDir()+"/state.db")
	gone, leave := context.WithCancel(t.Context())
	leave()
	for i := range 64 {
		if err := s.LogAccess(gone, Access{At: c.Now(), Person: "inspector", Query: fmt.Sprint(i)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Accesses(t.Context(), "inspector", 0, 100); err != nil || len(got) != 64 {
		t.Errorf("%d are noted: %v", len(got), err)
	}
}

func TestOpenRefusesNewerTables(t *testing.T) {
	t.Parallel()
	onEveryEngine(t, eachOpenRefusesNewerTables)
}

func eachOpenRefusesNewerTables(t *testing.T, place string) {
	s, c, path := openTest(t, place)
	if _, err := s.db.Exec(`UPDATE appstate SET version = 99`); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(context.Background(), path, Options{Clock: c.Now}); err == nil || !strings.Contains(err.Error(), "upgrade") {
		t.Fatal(err)
	}
}

func TestDialectNumbersParameters(t *testing.T) {
	t.Parallel()
	d := dialect{placeholder: func(n int) string { return fmt.Sprintf("$%d", n) }}
	if got := d.sql("a = ? AND b = ?"); got != "a = $1 AND b = $2" {
		t.Fatal(got)
	}
}
