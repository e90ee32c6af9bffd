package appstate

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestSubject(t *testing.T) {
	t.Parallel()
	onEveryEngine(t, eachSubject)
}

// A subject signs in one person, and one who has unbound it is signed in nowhere by it.
func eachSubject(t *testing.T, place string) {
	s, c, _ := openTest(t, place)
	ctx := context.Background()
	is := func(err, want error) {
		t.Helper()
		if !errors.Is(err, want) {
			t.Fatalf("got %v, want %v", err, want)
		}
	}
	lan := Subject{Issuer: "https://op.example", Subject: "248289761001", Person: "lan", BoundAt: c.Now()}
	log := AccountEntry{At: c.Now(), Person: "lan", By: "lan", Act: "subject_bound"}
	is(s.BindSubject(ctx, lan, log), nil)
	is(s.BindSubject(ctx, lan, log), nil) // nothing more is bound, nor logged
	minh := lan
	minh.Person = "minh"
	is(s.BindSubject(ctx, minh, log), ErrSubjectTaken)
	if entries, err := s.AccountEntries(ctx, "lan", 0, 10); err != nil || len(entries) != 1 {
		t.Errorf("%v, %v", entries, err)
	}

	c.Add(time.Minute)
	for _, x := range []struct{ issuer, subject string }{{"https://other.example", lan.Subject}, {lan.Issuer, "248289761002"}, {lan.Issuer, ""}} {
		_, err := s.UseSubject(ctx, x.issuer, x.subject, c.Now())
		is(err, ErrNoSubject)
	}
	person, err := s.UseSubject(ctx, lan.Issuer, lan.Subject, c.Now())
	if err != nil || person != "lan" {
		t.Fatalf("%s, %v", person, err)
	}
	lan.UsedAt = c.Now()
	list, err := s.Subjects(ctx, "lan")
	if diff := cmp.Diff([]Subject{lan}, list); err != nil || diff != "" {
		t.Fatal(err, diff)
	}

	for n := range 2 {
		x := testSession(c, n)
		x.Person = "lan"
		is(s.OpenSession(ctx, x, "", log), nil)
	}
	is(s.UnbindSubject(ctx, minh, "", log), ErrNoSubject)
	is(s.UnbindSubject(ctx, lan, "id0", log), nil)
	is(s.UnbindSubject(ctx, lan, "id0", log), ErrNoSubject)
	_, err = s.UseSubject(ctx, lan.Issuer, lan.Subject, c.Now())
	is(err, ErrNoSubject)
	_, err = s.Session(ctx, "hash0")
	is(err, nil)
	_, err = s.Session(ctx, "hash1")
	is(err, ErrNoSession)
	is(s.BindSubject(ctx, minh, log), nil) // it is free again
}
