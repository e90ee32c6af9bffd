package commands_test

import (
	"testing"

	"github.com/answerable-ledger/answerable/commands"
	"github.com/answerable-ledger/answerable/domain"
)

// TestSignInMethodIsRecordedOnce: whoever tells of an end, one event comes of it.
func TestSignInMethodIsRecordedOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	own := func(name string) commands.Command {
		return commands.Command{ID: domain.NewCommandID(name), Actor: "dept", Channel: domain.ChannelWeb}
	}
	w.ok(w.ledger.SetSignInMethod(w.ctx, own("set"), domain.SignInMethodSet{Person: "dept", Method: domain.SignInPassword}))
	w.ok(w.ledger.SetSignInMethod(w.ctx, own("set"), domain.SignInMethodSet{Person: "dept", Method: domain.SignInPassword}))
	end := domain.SignInMethodEnded{Person: "dept", Method: domain.SignInPassword, At: w.clock.Now(), EndedBy: "dept"}
	w.ok(w.ledger.EndSignInMethod(w.ctx, own("end"), end))
	w.ok(w.ledger.EndSignInMethod(w.ctx, own("end"), end))
	again := w.system()
	w.ok(w.ledger.EndSignInMethod(w.ctx, again, end))
	var kinds []string
	for r, err := range w.whole.ReadStream(w.ctx, domain.PersonStream("dept"), 0) {
		if err != nil {
			t.Fatal(err)
		}
		kinds = append(kinds, r.Kind)
	}
	if n := len(kinds); n < 2 || kinds[n-2] != "SignInMethodSet" || kinds[n-1] != "SignInMethodEnded" || n > 2 && kinds[n-3] == "SignInMethodSet" {
		t.Errorf("%v", kinds)
	}
	if p, err := w.ledger.Person(w.ctx, "dept"); err != nil || len(p.SignInMethods) != 1 || p.SignInMethods[0].EndedAt.IsZero() {
		t.Errorf("%+v, %v", p.SignInMethods, err)
	}
}
