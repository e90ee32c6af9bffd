package domain_test

import (
	"slices"
	"testing"

	"github.com/answerable-ledger/answerable/domain"
)

// The keys of the transparency log change in the open: each introduction and each retirement is a fact.
func TestLogKeys(t *testing.T) {
	t.Parallel()
	const origin, first, second, third = "ledger.example/x", "k1", "k2", "k3"
	introduced := func(key, beside string) domain.Event {
		return domain.LogKeyIntroduced{Origin: origin, Key: key, Beside: beside, IntroducedBy: "p_admin"}
	}
	retired := func(key, successor string) domain.Event {
		return domain.LogKeyRetired{Origin: origin, Key: key, Successor: successor, RetiredBy: "p_admin"}
	}
	sign := func(by domain.Actor, keys ...string) func(domain.LogKeys) ([]domain.Event, error) {
		return func(k domain.LogKeys) ([]domain.Event, error) { return k.Sign(origin, keys, by) }
	}
	one := facts(fact("8 08:00:00", "p_admin", introduced(first, "")))
	both := append(slices.Clone(one), fact("9 08:00:00", "p_admin", introduced(second, first)))
	changed := append(slices.Clone(both), fact("10 08:00:00", "p_admin", retired(first, second)))
	check(t, domain.LogKeys{}, []spec[domain.LogKeys]{
		{name: "the first", when: sign(admin(), first), then: []domain.Event{introduced(first, "")}},
		{name: "the same again says nothing", given: one, when: sign(admin(), first)},
		{name: "the next beside it", given: one, when: sign(admin(), first, second), then: []domain.Event{introduced(second, first)}},
		{name: "the first retires", given: both, when: sign(admin(), second), then: []domain.Event{retired(first, second)}},
		{name: "both at once, when nobody recorded the overlap", given: one, when: sign(admin(), second), then: []domain.Event{introduced(second, first), retired(first, second)}},
		{name: "and after that the next", given: changed, when: sign(admin(), second, third), then: []domain.Event{introduced(third, second)}},
		{name: "a retired key does not come back", given: changed, when: sign(admin(), second, first), wantErr: no(domain.Conflict, domain.CodeLogKeyRetired, "/keys")},
		{name: "a log is signed", given: one, when: sign(admin()), wantErr: no(domain.Invalid, domain.CodeTextMissing, "/keys")},
		{name: "by an administrator", when: sign(department(), first), wantErr: no(domain.Forbidden, domain.CodeRoleMissing, "")},
	})
	k := domain.LogKeys{}
	for _, f := range changed {
		k = k.Apply(f)
	}
	if !slices.Equal(k.InUse(), []string{second}) || len(k.Keys) != 2 || !k.Keys[0].RetiredAt.Equal(at("10 08:00:00")) {
		t.Errorf("%+v", k)
	}
}
