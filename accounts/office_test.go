package accounts

import (
	"testing"
	"time"

	"github.com/answerable-ledger/answerable/domain"
)

// TestEnrolmentByOffice: who signs for a unit and holds no role enrols a passkey while that right is in force, and can end
// it for ever after.
func TestEnrolmentByOffice(t *testing.T) {
	t.Parallel()
	now := time.Date(2021, 2, 8, 1, 0, 0, 0, time.UTC)
	day := 24 * time.Hour
	authority := func(from, until time.Time) func(*world) {
		return func(w *world) {
			w.must(w.ledger.GrantAuthority(w.ctx, w.system(), domain.AuthorityGranted{Unit: "25741", Authority: "kt_1", Person: "guest", Capacity: domain.CapacityKT,
				Title: "Phó Chủ tịch", From: from, Until: until, Decision: "05/QĐ"}))
		}
	}
	tenure := func(w *world) {
		w.must(w.ledger.TakeOffice(w.ctx, w.system(), domain.OfficeTaken{Unit: "25741", Person: "guest", Capacity: domain.CapacityActing, Title: "Q. Chủ tịch", From: now.Add(-day), Decision: "06/QĐ"}))
	}
	for name, c := range map[string]struct {
		given []func(*world)
		want  error
	}{
		"neither role nor right":  {nil, ErrNoRole},
		"an authority in force":   {[]func(*world){authority(now.Add(-day), now.Add(day))}, nil},
		"one that begins":         {[]func(*world){authority(now.Add(time.Second), now.Add(day))}, ErrNoRole},
		"one that ended just now": {[]func(*world){authority(now.Add(-day), now)}, ErrNoRole},
		"one that was revoked": {[]func(*world){authority(now.Add(-day), now.Add(day)), func(w *world) {
			w.must(w.ledger.RevokeAuthority(w.ctx, w.system(), "25741", "kt_1", "thôi giao"))
		}}, ErrNoRole},
		"in office": {[]func(*world){tenure}, nil},
		"out of office": {[]func(*world){tenure, func(w *world) {
			w.must(w.ledger.LeaveOffice(w.ctx, w.system(), domain.OfficeLeft{Unit: "25741", Person: "guest", Until: now, Reason: "thôi giữ chức"}))
		}}, ErrNoRole},
		"a right of somebody else's": {[]func(*world){func(w *world) {
			w.must(w.ledger.GrantAuthority(w.ctx, w.system(), domain.AuthorityGranted{Unit: "25741", Authority: "kt_1", Person: "lan", Capacity: domain.CapacityKT, Title: "Phó", From: now.Add(-day), Until: now.Add(day), Decision: "05/QĐ"}))
		}}, ErrNoRole},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.must(w.ledger.RegisterUnit(w.ctx, w.system(), domain.UnitRegistered{Unit: "74", Level: domain.LevelProvince, Type: "tinh", Name: "Bình Dương", EffectiveOn: "2020-01-01"}))
			w.must(w.ledger.RegisterUnit(w.ctx, w.system(), domain.UnitRegistered{Unit: "25741", Level: domain.LevelCommune, Type: "Phường", Name: "Hiệp Thành", Parent: "74", EffectiveOn: "2020-01-01"}))
			for _, g := range c.given {
				g(w)
			}
			secret, _, err := IssueLocalLink(w.ctx, w.ledger, w.state, w.clock.Now(), "guest")
			w.ok(err)
			b := w.browser()
			s := b.opened(b.OpenLink(w.ctx, b.attempt(), secret))
			ceremony, err := b.BeginEnrolment(w.ctx, b.attempt(), s)
			if c.want != nil {
				w.is(err, c.want)
				return
			}
			w.ok(err)
			result, err := b.FinishEnrolment(w.ctx, b.attempt(), s, ceremony.ID, "", b.create(ceremony))
			w.ok(err)
			if result.Stream != "person-guest" {
				t.Errorf("%+v", result)
			}
			// The right ends; the passkey still signs in, can enrol no other, and can be ended by its person.
			w.clock.Set(now.Add(2 * day))
			o, err := w.ledger.Office(w.ctx, "25741")
			w.ok(err)
			if _, in := o.HeadAt(w.clock.Now()); in { // an authority has ended by itself
				w.must(w.ledger.LeaveOffice(w.ctx, w.system(), domain.OfficeLeft{Unit: "25741", Person: "guest", Until: now.Add(day), Reason: "thôi giữ chức"}))
			}
			in := b.opened(b.trySignIn())
			_, err = b.BeginEnrolment(w.ctx, b.attempt(), in)
			w.is(err, ErrNoRole)
			w.must(b.RevokePasskey(w.ctx, b.attempt(), in, "guest", encode(b.key.ID), "mất khóa"))
		})
	}
}

// TestEnrolmentAtTheLast: a right that ends between the challenge and its answer enrols nothing.
func TestEnrolmentAtTheLast(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.must(w.ledger.RegisterUnit(w.ctx, w.system(), domain.UnitRegistered{Unit: "74", Level: domain.LevelProvince, Type: "tinh", Name: "Bình Dương", EffectiveOn: "2020-01-01"}))
	w.must(w.ledger.GrantAuthority(w.ctx, w.system(), domain.AuthorityGranted{Unit: "74", Authority: "kt_1", Person: "guest", Capacity: domain.CapacityKT, Title: "Phó Chủ tịch",
		From: w.clock.Now(), Until: w.clock.Now().Add(time.Minute), Decision: "05/QĐ"}))
	secret, _, err := IssueLocalLink(w.ctx, w.ledger, w.state, w.clock.Now(), "guest")
	w.ok(err)
	b := w.browser()
	s := b.opened(b.OpenLink(w.ctx, b.attempt(), secret))
	ceremony, err := b.BeginEnrolment(w.ctx, b.attempt(), s)
	w.ok(err)
	w.clock.Advance(time.Minute)
	_, err = b.FinishEnrolment(w.ctx, b.attempt(), s, ceremony.ID, "", b.create(ceremony))
	w.is(err, ErrNoRole)
	p, err := w.ledger.Person(w.ctx, "guest")
	w.ok(err)
	if len(p.Credentials) != 0 {
		t.Errorf("%+v", p.Credentials)
	}
}
