package signing

import (
	"fmt"
	"time"
)

// Enrolment is a CredentialEnrolled fact of the log.
type Enrolment struct {
	Person     string
	Credential Credential
	Index      uint64 // of its leaf
	At         time.Time
}

// Revocation is a CredentialRevoked fact of the log.
type Revocation struct {
	Person     string
	Credential string // the id
	Index      uint64
	At         time.Time
}

// Now is the index of what is not in the log yet: every fact counts. Use it when a signature is about to be recorded.
const Now = ^uint64(0)

// Standing is a credential in force.
type Standing struct {
	Credential Credential
	Enrolled   Enrolment
	// RevokedLater is the first revocation after the index, if any: the signature stands, a reader may want to know.
	RevokedLater *Revocation
}

// CredentialAt gives a person's credential as it was in force for the leaf at an index: enrolled by an earlier leaf and
// not revoked by an earlier one. The place in the log decides, not the times in the facts, which their writers chose; times
// only make the refusal readable. The facts may come in any order and may include those of other persons: an id enrolled
// by somebody else is not this person's. The error is a Refusal of kind ErrCredential.
func CredentialAt(person, id string, enrolments []Enrolment, revocations []Revocation, index uint64) (Standing, error) {
	s, err := credentialAt(person, id, enrolments, revocations, index)
	if err != nil {
		return Standing{}, fmt.Errorf("signing: credential %q of %q at index %d: %w", id, person, index, err)
	}
	return s, nil
}

func credentialAt(person, id string, enrolments []Enrolment, revocations []Revocation, index uint64) (Standing, error) {
	var found *Enrolment
	later := ""
	for i, e := range enrolments {
		switch {
		case e.Person != person || e.Credential.ID != id:
		case e.Index >= index:
			later = fmt.Sprintf("; it was by leaf %d, %s", e.Index, e.At.Format(time.RFC3339))
		case found != nil:
			return Standing{}, Refuse(ErrCredential, CodeEnrolledTwice, "enrolled by leaf %d and by leaf %d", found.Index, e.Index)
		default:
			found = &enrolments[i]
		}
	}
	if found == nil {
		return Standing{}, Refuse(ErrCredential, CodeNotEnrolled, "not enrolled before that%s", later)
	}
	s := Standing{Credential: found.Credential, Enrolled: *found}
	for _, r := range revocations {
		switch {
		case r.Person != person || r.Credential != id:
		case r.Index < index:
			return Standing{}, Refuse(ErrCredential, CodeRevoked, "revoked by leaf %d, %s", r.Index, r.At.Format(time.RFC3339))
		case s.RevokedLater == nil || r.Index < s.RevokedLater.Index:
			s.RevokedLater = &r
		}
	}
	return s, nil
}
