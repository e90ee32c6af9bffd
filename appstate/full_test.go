package appstate

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/internal/pgtest"
	"github.com/answerable-ledger/answerable/internal/postgres"
	"github.com/answerable-ledger/answerable/internal/smalldisk"
)

// acknowledged is what calls on a state said was done.
type acknowledged struct {
	clock    *clock
	person   domain.PersonID
	next     int
	unknown  int // sessions that may or may not have been opened
	secrets  []string
	sessions []string // by hash
	answers  []Request
}

// write does one of each kind, n times or until something is refused, and says what refused it.
func (a *acknowledged) write(t *testing.T, s *State, n int) error {
	t.Helper()
	ctx := t.Context()
	for range n {
		id := fmt.Sprint(a.person, a.next)
		a.next++
		a.clock.Add(time.Millisecond)
		secret, _, err := s.CreateToken(ctx, NewToken{Person: a.person, Scope: ScopeWrite, Label: strings.Repeat("x", 200)})
		if err != nil {
			return err
		}
		a.secrets = append(a.secrets, secret)
		now := s.now()
		x := Session{Hash: id, ID: id, Person: a.person, Purpose: "test", Method: "test", CreatedAt: now, AuthenticatedAt: now, SeenAt: now,
			IdleUntil: now.Add(time.Hour), ExpiresAt: now.Add(time.Hour), Agent: strings.Repeat("x", 200)}
		if err := s.OpenSession(ctx, x, "", AccountEntry{At: now, Person: a.person, By: a.person, Act: "test", Detail: id}); err != nil {
			if !errors.Is(err, ErrFull) {
				a.unknown++
			}
			return err
		}
		a.sessions = append(a.sessions, id)
		r := Request{Person: a.person, Route: "POST /x", Key: id, Digest: sha256.Sum256([]byte(id))}
		kept, err := s.Begin(ctx, r)
		if err == nil && kept == nil {
			err = s.Keep(ctx, r, answerOf(r))
		}
		if err != nil {
			return err
		}
		a.answers = append(a.answers, r)
	}
	return nil
}

// answerOf is the answer to a request, so long that it takes room of its own.
func answerOf(r Request) Answer {
	return Answer{Status: 201, Header: map[string]string{"Etag": r.Key}, Body: []byte(strings.Repeat(r.Key, 400))}
}

// check wants all of it there.
func (a *acknowledged) check(t *testing.T, s *State) {
	t.Helper()
	ctx := t.Context()
	for _, secret := range a.secrets {
		if _, err := s.Token(ctx, secret); err != nil {
			t.Fatalf("a token: %v", err)
		}
	}
	for _, hash := range a.sessions[max(0, len(a.sessions)-max(0, maxSessions-a.unknown)):] { // the oldest give way
		if _, err := s.Session(ctx, hash); err != nil {
			t.Fatalf("session %s: %v", hash, err)
		}
	}
	for _, r := range a.answers {
		kept, err := s.Begin(ctx, r)
		if want := answerOf(r); err != nil || kept == nil || cmp.Diff(want, *kept) != "" {
			t.Fatalf("the answer of %s: %v, %v", r.Key, kept, err)
		}
	}
}

// Given a state whose disk is full, then what would be written is refused, saying so and what to do; everything that was
// acknowledged is there and can be used; and when there is room it goes on, with the accesses noted meanwhile.
func TestAFullDisk(t *testing.T) {
	t.Parallel()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		disk := smalldisk.Mount(t, "", 8)
		eachFullDisk(t, filepath.Join(disk.Dir, "state.db"), disk)
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		place, dir := pgtest.Start(t).SmallDatabase(t, 24)
		eachFullDisk(t, place, &smalldisk.Disk{Dir: dir})
	})
}

func eachFullDisk(t *testing.T, place string, disk *smalldisk.Disk) {
	ctx := t.Context()
	c := &clock{t: time.Date(2021, 2, 5, 8, 0, 0, 0, time.UTC)}
	s := openAt(t, place, c)
	refused := func(what string, err error) {
		t.Helper()
		if !errors.Is(err, ErrFull) || !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "make room") {
			t.Errorf("%s on a full disk: %v", what, err)
		}
	}
	a := acknowledged{clock: c, person: "p1"}
	if err := a.write(t, s, 10); err != nil {
		t.Fatal(err)
	}
	disk.Fill(t)
	refused("a write", a.write(t, s, 100_000))
	// Whichever kind of write that was, a large answer has no room either.
	large := Request{Person: "p1", Route: "POST /x", Key: "large"}
	_, err := s.Begin(ctx, large)
	if err == nil {
		err = s.Keep(ctx, large, Answer{Status: 201, Body: make([]byte, 16<<20)})
	}
	refused("a large answer", err)
	const accesses = 100
	for i := range accesses { // noted, and waiting for room
		if err := s.LogAccess(ctx, Access{At: c.Now(), Person: "p2", Path: fmt.Sprint(i), Query: strings.Repeat("q", 10_000)}); err != nil {
			t.Errorf("an access is not taken: %v", err)
		}
	}
	refused("the accesses", s.Flush(ctx))
	a.check(t, s)
	if postgres.Is(place) {
		a.check(t, openAt(t, place, c)) // a process that starts meanwhile
	}

	disk.Free(t)
	if err := s.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	noted, err := s.Accesses(ctx, "p2", 0, 2*accesses)
	if err != nil || len(noted) != accesses || noted[0].Path != "0" || noted[accesses-1].Path != fmt.Sprint(accesses-1) {
		t.Errorf("%d accesses were noted, %v", len(noted), err)
	}
	if err := a.write(t, s, 10); err != nil {
		t.Errorf("there is room again: %v", err)
	}
	a.check(t, s)
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	a.check(t, openAt(t, place, c))
}
