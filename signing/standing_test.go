package signing

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestCredentialAt(t *testing.T) {
	t.Parallel()
	day := time.Date(2025, 3, 1, 7, 0, 0, 0, time.UTC)
	key := Credential{ID: "key", Method: MethodEd25519, PublicKey: "AA=="}
	foreign := Credential{ID: "key", Method: MethodEd25519, PublicKey: "BB=="}
	enrolled := []Enrolment{
		{Person: "binh", Credential: foreign, Index: 2, At: day},
		{Person: "an", Credential: key, Index: 10, At: day},
		{Person: "an", Credential: Credential{ID: "other"}, Index: 11, At: day},
	}
	revoked := []Revocation{{Person: "an", Credential: "key", Index: 20, At: day.Add(time.Hour)}}
	for name, c := range map[string]struct {
		person, id  string
		enrolments  []Enrolment
		revocations []Revocation
		index       uint64
		code        Code
		later       bool
	}{
		"in force":                      {person: "an", id: "key", revocations: revoked, index: 15, later: true},
		"in force, never revoked":       {person: "an", id: "key", index: 15},
		"at once":                       {person: "an", id: "key", index: 11},
		"not yet enrolled":              {person: "an", id: "key", index: 9, code: CodeNotEnrolled},
		"by the very leaf that enrols":  {person: "an", id: "key", index: 10, code: CodeNotEnrolled},
		"last leaf before revocation":   {person: "an", id: "key", revocations: revoked, index: 19, later: true},
		"leaf of the revocation itself": {person: "an", id: "key", revocations: revoked, index: 20, later: true},
		"revoked":                       {person: "an", id: "key", revocations: revoked, index: 21, code: CodeRevoked},
		"revoked, being decided":        {person: "an", id: "key", revocations: revoked, index: Now, code: CodeRevoked},
		"in force, being decided":       {person: "an", id: "key", index: Now},
		"another's":                     {person: "chi", id: "key", index: 15, code: CodeNotEnrolled},
		"same id, each their own":       {person: "binh", id: "key", revocations: revoked, index: 30},
		"unknown id":                    {person: "an", id: "nothing", index: 15, code: CodeNotEnrolled},
		"revocation of another key":     {person: "an", id: "other", revocations: revoked, index: 30},
		"revoked by an earlier leaf":    {person: "an", id: "key", revocations: []Revocation{{Person: "an", Credential: "key", Index: 5}}, index: 15, code: CodeRevoked},
		"backdated revocation is later": {person: "an", id: "key", revocations: []Revocation{{Person: "an", Credential: "key", Index: 20, At: day.AddDate(-1, 0, 0)}}, index: 15, later: true},
		"enrolled twice":                {person: "an", id: "key", enrolments: append(slices.Clone(enrolled), Enrolment{Person: "an", Credential: foreign, Index: 12}), index: 15, code: CodeEnrolledTwice},
		"enrolled a second time, later": {person: "an", id: "key", enrolments: append(slices.Clone(enrolled), Enrolment{Person: "an", Credential: foreign, Index: 16}), index: 15},
		"no facts":                      {person: "an", id: "key", enrolments: []Enrolment{}, index: Now, code: CodeNotEnrolled},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if c.enrolments == nil {
				c.enrolments = enrolled
			}
			got, err := CredentialAt(c.person, c.id, c.enrolments, c.revocations, c.index)
			expect(t, err, ErrCredential, c.code)
			if err == nil && (got.Enrolled.Person != c.person || got.Credential.ID != c.id || (got.RevokedLater != nil) != c.later) {
				t.Errorf("%+v", got)
			}
			if err == nil && c.person == "an" && c.id == "key" && got.Credential != key {
				t.Errorf("the key of another: %+v", got.Credential)
			}
		})
	}
}

// TestCredentialAtDoesNotDependOnOrder: the facts decide, not the order they were read in.
func TestCredentialAtDoesNotDependOnOrder(t *testing.T) {
	t.Parallel()
	person := rapid.SampledFrom([]string{"an", "binh"})
	id := rapid.SampledFrom([]string{"k1", "k2"})
	index := rapid.Uint64Range(0, 12)
	rapid.Check(t, func(t *rapid.T) {
		var es []Enrolment
		var rs []Revocation
		for range rapid.IntRange(0, 6).Draw(t, "enrolments") {
			es = append(es, Enrolment{Person: person.Draw(t, "person"), Credential: Credential{ID: id.Draw(t, "id")}, Index: index.Draw(t, "index")})
		}
		for range rapid.IntRange(0, 6).Draw(t, "revocations") {
			rs = append(rs, Revocation{Person: person.Draw(t, "person"), Credential: id.Draw(t, "id"), Index: index.Draw(t, "index")})
		}
		p, i, at := person.Draw(t, "of"), id.Draw(t, "which"), index.Draw(t, "at")
		s, err := CredentialAt(p, i, es, rs, at)
		s2, err2 := CredentialAt(p, i, rapid.Permutation(es).Draw(t, "es"), rapid.Permutation(rs).Draw(t, "rs"), at)
		if CodeOf(err) != CodeOf(err2) || s.Credential != s2.Credential {
			t.Fatalf("%v and %v", err, err2)
		}
		before := 0
		for _, e := range es {
			if e.Person == p && e.Credential.ID == i && e.Index < at {
				before++
			}
		}
		gone := slices.ContainsFunc(rs, func(r Revocation) bool { return r.Person == p && r.Credential == i && r.Index < at })
		if want := before == 1 && !gone; want != (err == nil) {
			t.Fatalf("%d enrolments before, revoked %v: %v", before, gone, err)
		}
	})
}
