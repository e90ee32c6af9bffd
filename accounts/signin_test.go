package accounts

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/answerable-ledger/answerable/appstate"
	"github.com/answerable-ledger/answerable/commands"
	"github.com/answerable-ledger/answerable/domain"
)

var errAway = errors.New("the log is away")

// dying is a ledger whose process ends after it recorded a setting, and that cannot be told of an end.
type dying struct{ *commands.Ledger }

func (d dying) SetSignInMethod(ctx context.Context, c commands.Command, e domain.SignInMethodSet) (commands.Result, error) {
	r, err := d.Ledger.SetSignInMethod(ctx, c, e)
	return r, errors.Join(err, errAway)
}

func (d dying) EndSignInMethod(context.Context, commands.Command, domain.SignInMethodEnded) (commands.Result, error) {
	return commands.Result{}, errAway
}

func (w *world) dies()    { w.Accounts.ledger = dying{w.ledger} }
func (w *world) revives() { w.Accounts.ledger = w.ledger }

func (w *world) signIns(id domain.PersonID) []domain.SignInMethod {
	w.Helper()
	p, err := w.ledger.Person(w.ctx, id)
	w.ok(err)
	return p.SignInMethods
}

func (w *world) told(want int) {
	w.Helper()
	if n, err := w.Reconcile(w.ctx); err != nil || n != want {
		w.Fatalf("the log was told of %d, want %d: %v", n, want, err)
	}
}

// stream is every byte that a person's stream keeps.
func (w *world) stream(id domain.PersonID) string {
	w.Helper()
	var all strings.Builder
	for r, err := range w.log.ReadStream(w.ctx, domain.PersonStream(id), 0) {
		w.ok(err)
		all.WriteString(r.Kind)
		all.Write(r.Data)
		all.Write(r.Meta)
	}
	return all.String()
}

// What signs a person in is told, by whom and by which link; what is secret is in no event.
func TestSignInMethodsAreEvents(t *testing.T) {
	t.Parallel()
	w, op := newOIDCWorld(t)
	admin := w.signedIn("admin")
	secret, link, err := admin.IssueLink(w.ctx, admin.attempt(), admin.session(), "lan")
	w.ok(err)
	b := w.browser()
	s := b.opened(b.OpenLink(w.ctx, b.attempt(), secret))
	w.ok(b.SetPassword(w.ctx, b.attempt(), s, goodPassword))
	b.opened(b.SignInPassword(w.ctx, b.attempt(), "lan", goodPassword))
	w.bound(op, b, "079185001234")
	w.bound(op, b, "079185001234") // once more says nothing new

	got := w.signIns("lan")
	if len(got) != 2 || got[0].Method != domain.SignInPassword || got[0].Link != link.ID || got[0].LinkBy != "admin" || got[0].SetBy != "lan" ||
		got[1].Method != domain.SignInOIDC || got[1].Issuer != op.URL || len(got[1].Digest) != 64 || !got[1].EndedAt.IsZero() {
		t.Fatalf("%+v", got)
	}
	stored, err := w.state.Password(w.ctx, "lan")
	w.ok(err)
	subjects, err := w.state.Subjects(w.ctx, "lan")
	w.ok(err)
	if subjects[0].Salt == "" || subjectDigest(subjects[0]) != got[1].Digest {
		t.Errorf("whoever holds the state cannot show whom %s names", got[1].Digest)
	}

	w.is(admin.UnbindOf(w.ctx, admin.attempt(), admin.session(), "lan", op.URL, "079185001234", " "), domain.Refuse(domain.Invalid, domain.CodeTextMissing, "/reason"))
	w.ok(admin.UnbindOf(w.ctx, admin.attempt(), admin.session(), "lan", op.URL, "079185001234", "Chuyển công tác"))
	w.is(admin.RemovePassword(w.ctx, admin.attempt(), admin.session(), "lan", ""), domain.Refuse(domain.Invalid, domain.CodeTextMissing, "/reason"))
	w.ok(admin.RemovePassword(w.ctx, admin.attempt(), admin.session(), "lan", "Chuyển công tác"))
	for _, m := range w.signIns("lan") {
		if m.EndedAt.IsZero() {
			t.Errorf("%+v has no end", m)
		}
	}
	all := w.stream("lan")
	for what, secret := range map[string]string{"password": goodPassword, "hash": stored.Hash, "its last part": stored.Hash[strings.LastIndex(stored.Hash, "$")+1:],
		"subject": "079185001234", "salt": subjects[0].Salt, "link": secret, "link's hash": hashSecret(secret)} {
		if secret == "" || strings.Contains(all, secret) {
			t.Errorf("the %s is in an event", what)
		}
	}
	if !strings.Contains(all, `"ended_by":"admin"`) || !strings.Contains(all, "Chuyển công tác") {
		t.Errorf("it is not told who ended them and why: %s", all)
	}
	w.told(0)
}

// A crash after the event leaves a way that does not work; later the log is told that it never did.
func TestCrashBeforeAPasswordWorks(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	lan := w.signedIn("lan")
	w.dies()
	w.is(lan.SetPassword(w.ctx, lan.attempt(), lan.session(), goodPassword), errAway)
	w.revives()
	_, err := w.browser().SignInPassword(w.ctx, lan.attempt(), "lan", goodPassword)
	w.is(err, ErrRefused)
	w.told(0) // another server may be about to write it
	w.clock.Advance(settling + time.Second)
	w.told(1)
	w.told(0)
	if got := w.signIns("lan"); len(got) != 1 || got[0].EndedAt.IsZero() || !strings.Contains(w.stream("lan"), `"ended_by":"system"`) {
		t.Fatalf("%+v", got)
	}
}

// An end has effect while the log is away. The log is told of it later, with who ended it and why.
func TestEndWhileTheLogIsAway(t *testing.T) {
	t.Parallel()
	w, op := newOIDCWorld(t)
	b := w.bound(op, w.signedInByPassword("lan", goodPassword), "248289761001")
	admin := w.signedIn("admin")
	w.dies()
	w.ok(admin.RemovePassword(w.ctx, admin.attempt(), admin.session(), "lan", "Mất máy"))
	w.ok(admin.UnbindOf(w.ctx, admin.attempt(), admin.session(), "lan", op.URL, "248289761001", "Chuyển: công tác"))
	b.signedOut()
	_, err := b.SignInPassword(w.ctx, b.attempt(), "lan", goodPassword)
	w.is(err, ErrRefused)
	if got := w.acts("lan"); !strings.Contains(got, "password_removed end_not_recorded subject_unbound end_not_recorded") {
		t.Error(got)
	}
	if _, err := w.Reconcile(w.ctx); !errors.Is(err, errAway) {
		t.Errorf("got %v", err)
	}
	w.revives()
	ended := w.clock.Now()
	w.clock.Advance(time.Minute)
	w.told(2)
	w.told(0)
	for _, m := range w.signIns("lan") {
		if !m.EndedAt.Equal(ended) {
			t.Errorf("%+v", m)
		}
	}
	if all := w.stream("lan"); strings.Count(all, `"ended_by":"admin"`) != 2 || !strings.Contains(all, "Mất máy") || !strings.Contains(all, "Chuyển: công tác") {
		t.Error(all)
	}
}

// A way to sign in that the state has and the log does not, as after a backup was put back, is told of.
func TestFoundSignInMethodIsTold(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ok(w.state.SetPassword(w.ctx, appstate.Password{Person: "lan", Hash: "x", SetAt: w.clock.Now()}, "", appstate.AccountEntry{Person: "lan", Act: string(ActPassword)}))
	w.ok(w.state.BindSubject(w.ctx, appstate.Subject{Issuer: "https://sso.example", Subject: "1", Person: "minh", Salt: "s"}, appstate.AccountEntry{Person: "minh", Act: string(ActSubject)}))
	w.told(2)
	w.told(0)
	for _, id := range []domain.PersonID{"lan", "minh"} {
		if got := w.signIns(id); len(got) != 1 || got[0].SetBy != domain.System || !got[0].EndedAt.IsZero() {
			t.Errorf("%s: %+v", id, got)
		}
	}
}
