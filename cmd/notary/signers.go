package main

import (
	"crypto/x509"
	"fmt"
	"net/url"
	"os"

	"github.com/answerable-ledger/answerable/signing"
	"github.com/answerable-ledger/answerable/transparency"
)

// signers are the options that say whose signatures count. Keys of machines need nothing named.
type signers struct {
	Site        []string `help:"Page whose passkey signatures count, such as https://ledger.example; its host is the relying party."`
	AllowSynced bool     `help:"Let passkeys count that can be copied between devices."`
	Roots       string   `help:"PEM file of the certificates that CMS signatures must lead to." placeholder:"FILE"`
}

func (c *signers) policy() (signing.Policy, error) {
	s := signing.Policy{Origins: c.Site, AllowSynced: c.AllowSynced, ClockSkew: transparency.DefaultSkew}
	for _, site := range c.Site {
		u, err := url.Parse(site)
		if err != nil || u.Host == "" {
			return s, fmt.Errorf("--site %q: want an address such as https://ledger.example: %w", site, errUsage)
		}
		s.RPIDs = append(s.RPIDs, u.Hostname())
	}
	if c.Roots == "" {
		return s, nil
	}
	pem, err := os.ReadFile(c.Roots)
	if err != nil {
		return s, fmt.Errorf("%w: %w", err, errUsage)
	}
	if s.Roots = x509.NewCertPool(); !s.Roots.AppendCertsFromPEM(pem) {
		return s, fmt.Errorf("%s holds no certificate: %w", c.Roots, errUsage)
	}
	return s, nil
}

// printSigned says what was signed, and what could not be checked.
func (e *env) printSigned(s signatureSum) {
	w := e.words
	row := func(name, value string) { fmt.Fprintf(e.out, "  %s: %s\n", name, value) }
	row(w.bundleSigned, fmt.Sprintf(w.bundleSignedOf, s.SignOffs, s.Signed))
	for _, r := range []struct {
		name string
		n    int
	}{{w.bundleFiled, s.Filed}, {w.bundleUnjudged, s.Unjudged}, {w.signOffsNotShown, s.SignOffsHidden}, {w.filingsNotShown, s.FilingsHidden}, {w.signaturesUnknown, s.Unknown}} {
		if r.n > 0 {
			row(r.name, fmt.Sprint(r.n))
		}
	}
}
