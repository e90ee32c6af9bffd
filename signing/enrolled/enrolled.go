// Package enrolled decides whether a sign-off, or what a machine files, is signed as it must be: by a key that its signer has enrolled and that is in
// force now.
//
// Its promise: a sign-off it lets through is unsigned because none is wanted, or carries a signature that anybody can check
// again later from the log alone. Its failure model: it is given the signer's state as the ledger has it; whatever it cannot
// check it refuses, with a reason that a person can read.
package enrolled

import (
	"crypto/x509"
	"fmt"
	"os"
	"time"

	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/signing"
)

// Config is what a settings file says of signatures.
type Config struct {
	// Require says when a signature is wanted: "enrolled" (or "") of who has a key in force, "always", "never".
	Require string `json:"require,omitempty"`
	// Origins and RPIDs are of the pages that may ask browsers to sign (signing.Policy).
	Origins     []string `json:"origins,omitempty"`
	RPIDs       []string `json:"rp_ids,omitempty"`
	AllowSynced bool     `json:"allow_synced,omitempty"`
	// Roots is a PEM file of the certificates that CMS signatures must lead to; "" trusts nobody.
	Roots string `json:"roots,omitempty"`
}

// Judge judges signatures by a policy. It implements commands.Signatures.
type Judge struct {
	require string
	policy  signing.Policy
}

// clockSkew is how far a signer's own clock may be ahead.
const clockSkew = 5 * time.Minute

// New makes a judge. path says where a file named in the settings lies.
func New(c Config, path func(string) string) (*Judge, error) {
	j := &Judge{require: c.Require, policy: signing.Policy{Origins: c.Origins, RPIDs: c.RPIDs, AllowSynced: c.AllowSynced, ClockSkew: clockSkew}}
	switch c.Require {
	case "":
		j.require = "enrolled"
	case "enrolled", "always", "never":
	default:
		return nil, fmt.Errorf("enrolled: require %q: want enrolled, always or never", c.Require)
	}
	if c.Roots != "" {
		pem, err := os.ReadFile(path(c.Roots))
		if err != nil {
			return nil, fmt.Errorf("enrolled: roots: %w", err)
		}
		if j.policy.Roots = x509.NewCertPool(); !j.policy.Roots.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("enrolled: roots: %s holds no certificate", path(c.Roots))
		}
	}
	return j, nil
}

// Check refuses an act whose signature is wanted and missing, or not by a key that the signer has in force. at is when
// it was received.
func (j *Judge) Check(signer domain.Person, statement string, s *domain.Signature, at time.Time) error {
	if s == nil {
		if j.require == "always" || j.require == "enrolled" && inForce(signer) {
			return domain.Refuse(domain.Forbidden, domain.CodeSignatureMissing, "/signature", "person", string(signer.ID))
		}
		return nil
	}
	for _, c := range signer.Credentials {
		if c.Credential != s.Credential || !c.RevokedAt.IsZero() {
			continue
		}
		p := j.policy
		p.At = at
		_, err := signing.Verify(signing.Credential{ID: c.Credential, Method: c.Method, PublicKey: c.PublicKey}, []byte(statement), signing.Signature(*s), p)
		if err != nil {
			return domain.Refuse(domain.Forbidden, domain.CodeSignatureRefused, "/signature", "reason", string(signing.CodeOf(err)))
		}
		return nil
	}
	return domain.Refuse(domain.Forbidden, domain.CodeCredentialUnknown, "/signature/credential", "credential", s.Credential)
}

func inForce(p domain.Person) bool {
	for _, c := range p.Credentials {
		if c.RevokedAt.IsZero() {
			return true
		}
	}
	return false
}
