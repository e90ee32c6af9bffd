package appstate

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/answerable-ledger/answerable/domain"
)

func testSession(c *clock, n int) Session {
	now := c.Now()
	return Session{Hash: fmt.Sprintf("hash%d", n), ID: fmt.Sprintf("id%d", n), Person: "p", Purpose: "use", Method: "passkey", Credential: "c", Link: "l",
		CreatedAt: now, AuthenticatedAt: now, SeenAt: now, IdleUntil: now.Add(time.Hour), ExpiresAt: now.Add(2 * time.Hour), Address: "192.0.2.1", Agent: "x"}
}

func TestSession(t *testing.T) {
	t.Parallel()
	onEveryEngine(t, eachSession)
}

func eachSession(t *testing.T, place string) {
	s, c, _ := openTest(t, place)
	ctx := context.Background()
	find := func(hash string, want error) Session {
		t.Helper()
		x, err := s.Session(ctx, hash)
		if !errors.Is(err, want) {
			t.Fatalf("Session(%s): %v, want %v", hash, err, want)
		}
		return x
	}
	ok := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	first := testSession(c, 1)
	ok(s.OpenSession(ctx, first, "", AccountEntry{At: c.Now(), Person: "p", By: "p", Act: "sign_in"}))
	if got := find("hash1", nil); cmp.Diff(first, got) != "" {
		t.Fatal(cmp.Diff(first, got))
	}
	find("id1", ErrNoSession)

	next := first
	next.Hash = "hash1b"
	ok(s.RotateSession(ctx, "hash1", next, AccountEntry{}))
	find("hash1", ErrNoSession)
	find("hash1b", nil)
	if err := s.RotateSession(ctx, "hash1", next, AccountEntry{}); !errors.Is(err, ErrNoSession) {
		t.Fatal(err)
	}

	ok(s.OpenSession(ctx, testSession(c, 2), "hash1b", AccountEntry{}))
	find("hash1b", ErrNoSession)

	c.Add(time.Hour - time.Second)
	ok(s.TouchSession(ctx, "hash2", c.Now(), c.Now().Add(time.Hour)))
	c.Add(time.Second)
	find("hash2", nil)
	ok(s.TouchSession(ctx, "hash2", c.Now().Add(-time.Minute), c.Now())) // late news of an earlier use
	find("hash2", nil)
	c.Add(time.Hour)
	find("hash2", ErrNoSession)
	ok(s.OpenSession(ctx, testSession(c, 3), "", AccountEntry{}))
	var n int
	ok(s.db.QueryRow(`SELECT COUNT(*) FROM session`).Scan(&n))
	if n != 1 {
		t.Errorf("%d sessions are kept, one is in use", n)
	}

	for i := range maxSessions { // the one unused for longest gives way
		c.Add(time.Second)
		ok(s.OpenSession(ctx, testSession(c, 10+i), "", AccountEntry{}))
	}
	list, err := s.Sessions(ctx, "p")
	ok(err)
	if len(list) != maxSessions || list[0].ID != fmt.Sprintf("id%d", 9+maxSessions) {
		t.Errorf("%d sessions, the first %s", len(list), list[0].ID)
	}
	find("hash3", ErrNoSession)
	if err := s.EndSession(ctx, "somebody", "id15", AccountEntry{}); !errors.Is(err, ErrNoSession) {
		t.Error(err)
	}
	find("hash15", nil)
	if n, err := s.EndSessions(ctx, "p", "id15", AccountEntry{}); err != nil || n != maxSessions-1 {
		t.Error(n, err)
	}
	find("hash15", nil)
}

func TestAccountLogIsWrittenWithTheChange(t *testing.T) {
	t.Parallel()
	onEveryEngine(t, eachAccountLogIsWrittenWithTheChange)
}

func eachAccountLogIsWrittenWithTheChange(t *testing.T, place string) {
	s, c, _ := openTest(t, place)
	ctx := context.Background()
	if _, err := s.db.Exec(`DROP TABLE account_log`); err != nil {
		t.Fatal(err)
	}
	for what, do := range map[string]func() error{
		"OpenSession": func() error { return s.OpenSession(ctx, testSession(c, 1), "", AccountEntry{}) },
		"SetPassword": func() error {
			return s.SetPassword(ctx, Password{Person: "p", Hash: "h", SetAt: c.Now()}, "", AccountEntry{})
		},
		"CreateLink": func() error {
			return s.CreateLink(ctx, Link{Hash: "h", ID: "i", Person: "p", IssuedBy: "a", CreatedAt: c.Now(), ExpiresAt: c.Now().Add(time.Hour)}, AccountEntry{})
		},
		"BindSubject": func() error {
			return s.BindSubject(ctx, Subject{Issuer: "i", Subject: "s", Person: "p", BoundAt: c.Now()}, AccountEntry{})
		},
		"AddPasskey": func() error { return s.AddPasskey(ctx, Passkey{Credential: "c", Person: "p"}, AccountEntry{}) },
	} {
		if err := do(); !errors.Is(err, ErrUnavailable) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for _, table := range []string{"session", "password", "link", "passkey", "subject"} {
		var n int
		if err := s.db.QueryRow(`SELECT COUNT(*) FROM ` + table).Scan(&n); err != nil || n != 0 {
			t.Errorf("%s: %d rows without a line in the log, %v", table, n, err)
		}
	}
}

func TestAccountEntries(t *testing.T) {
	t.Parallel()
	onEveryEngine(t, eachAccountEntries)
}

func eachAccountEntries(t *testing.T, place string) {
	s, c, _ := openTest(t, place)
	ctx := context.Background()
	for i := range 5 {
		e := AccountEntry{At: c.Now(), Person: domain.PersonID(fmt.Sprintf("p%d", i%2)), By: "a", Act: "sign_in", Address: "192.0.2.1", Detail: fmt.Sprint(i)}
		if err := s.LogAccount(ctx, e); err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct {
		person domain.PersonID
		before int64
		limit  int
		want   []string
	}{
		{"", 0, 10, []string{"4", "3", "2", "1", "0"}},
		{"", 0, 2, []string{"4", "3"}},
		{"", 4, 2, []string{"2", "1"}},
		{"p1", 0, 10, []string{"3", "1"}},
		{"nobody", 0, 10, nil},
	} {
		list, err := s.AccountEntries(ctx, test.person, test.before, test.limit)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, e := range list {
			got = append(got, e.Detail)
		}
		if cmp.Diff(test.want, got) != "" {
			t.Errorf("%+v: %v", test, got)
		}
	}
}

func TestCeremonyIsTakenOnce(t *testing.T) {
	t.Parallel()
	onEveryEngine(t, eachCeremonyIsTakenOnce)
}

func eachCeremonyIsTakenOnce(t *testing.T, place string) {
	s, c, _ := openTest(t, place)
	ctx := context.Background()
	begin := func(hash string) {
		t.Helper()
		if err := s.BeginCeremony(ctx, Ceremony{Hash: hash, Kind: "k", Person: "p", Session: "s", Data: "{}", ExpiresAt: c.Now().Add(time.Minute)}); err != nil {
			t.Fatal(err)
		}
	}
	begin("a")
	got, err := s.TakeCeremony(ctx, "a")
	if want := (Ceremony{Hash: "a", Kind: "k", Person: "p", Session: "s", Data: "{}", ExpiresAt: c.Now().Add(time.Minute)}); err != nil || cmp.Diff(want, got) != "" {
		t.Fatal(err, cmp.Diff(want, got))
	}
	if _, err := s.TakeCeremony(ctx, "a"); !errors.Is(err, ErrNoCeremony) {
		t.Fatal(err)
	}
	begin("b")
	c.Add(time.Minute)
	if _, err := s.TakeCeremony(ctx, "b"); !errors.Is(err, ErrNoCeremony) {
		t.Fatal(err)
	}

	// Many begin and do not finish: the oldest gives way.
	err = s.inTx(ctx, func(tx *sql.Tx) error {
		for i := range maxCeremonies {
			if err := s.exec(ctx, tx, `INSERT INTO ceremony (hash, kind, person, session, data, created_at, expires_at) VALUES (?, '', '', '', '', ?, ?)`,
				fmt.Sprint(i), micros(c.Now())+int64(i), micros(c.Now().Add(time.Minute))+int64(i)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	c.Add(time.Second)
	begin("newest")
	var n int
	if err := s.db.QueryRow(`SELECT COUNT(*) FROM ceremony`).Scan(&n); err != nil || n != maxCeremonies {
		t.Fatal(n, err)
	}
	if _, err := s.TakeCeremony(ctx, "0"); !errors.Is(err, ErrNoCeremony) {
		t.Fatal(err)
	}
	if _, err := s.TakeCeremony(ctx, "newest"); err != nil {
		t.Fatal(err)
	}
	c.Add(time.Hour)
	begin("later") // what has expired goes
	if err := s.db.QueryRow(`SELECT COUNT(*) FROM ceremony`).Scan(&n); err != nil || n != 1 {
		t.Fatal(n, err)
	}
}

func TestOneOfManyCountsAPasskey(t *testing.T) {
	t.Parallel()
	onEveryEngine(t, eachOneOfManyCountsAPasskey)
}

func eachOneOfManyCountsAPasskey(t *testing.T, place string) {
	s, c, _ := openTest(t, place)
	ctx := context.Background()
	var wg sync.WaitGroup
	var mu sync.Mutex
	counted := 0
	for range 16 {
		wg.Go(func() {
			err := s.CountPasskey(ctx, Passkey{Credential: "c", Person: "p", Counter: 8, UsedAt: c.Now()}, 7, AccountEntry{})
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				counted++
			} else if !errors.Is(err, ErrCloned) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if counted != 1 {
		t.Fatalf("%d counted", counted)
	}
	if err := s.CountPasskey(ctx, Passkey{Credential: "c", Person: "q", Counter: 9, UsedAt: c.Now()}, 0, AccountEntry{}); !errors.Is(err, ErrPasskeyTaken) {
		t.Fatal(err)
	}
	list, err := s.Passkeys(ctx, "p")
	if err != nil || list["c"].Counter != 8 || list["c"].SuspectAt.IsZero() {
		t.Fatal(list, err)
	}
	if err := s.CountPasskey(ctx, Passkey{Credential: "top", Person: "p", Counter: 1<<32 - 1, UsedAt: c.Now()}, 1<<32-2, AccountEntry{}); err != nil {
		t.Fatal(err)
	}
}

// A file of the first version, from before there were accounts, is brought up to date and keeps what it has.
func TestAccountTablesAreAdded(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	path := filepath.Join(t.TempDir(), "state.db")
	db, err := sql.Open("sqlite", "file:"+path)
	if err != nil {
		t.Fatal(err)
	}
	statements := append([]string{`CREATE TABLE appstate (version INTEGER NOT NULL)`, `INSERT INTO appstate (version) VALUES (1)`}, sqliteDialect().versions[0]...)
	for _, statement := range statements {
		if _, err := db.Exec(statement); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := db.Exec(`INSERT INTO access_log (at, person, token, role, method, path, query, status, request) VALUES (1, 'p', '', '', '', '', '', 0, '')`); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	c := &clock{t: time.Date(2021, 2, 5, 8, 0, 0, 0, time.UTC)}
	s, err := Open(ctx, path, Options{Clock: c.Now})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.OpenSession(ctx, testSession(c, 1), "", AccountEntry{}); err != nil {
		t.Fatal(err)
	}
	if list, err := s.Accesses(ctx, "p", 0, 10); err != nil || len(list) != 1 {
		t.Fatal(list, err)
	}
}
