package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/answerable-ledger/answerable/signing"
)

// filed is what is read of a version of a report that the machine of its unit signed.
type filed struct {
	Form        string             `json:"form"`
	FormVersion int                `json:"form_version"`
	Nil         bool               `json:"nil"`
	Note        string             `json:"note"`
	Replaces    int                `json:"replaces"`
	Correction  string             `json:"correction"`
	Reason      string             `json:"reason"`
	Children    []json.RawMessage  `json:"children"`
	Statement   string             `json:"statement"`
	Signature   *signing.Signature `json:"signature"`
}

// filingStatement is the statement a machine signs; its members are those of the form of RFC 8785.
type filingStatement struct {
	Correction  string           `json:"correction"`
	Date        string           `json:"date"`
	Decision    string           `json:"decision"`
	Figures     map[string]int64 `json:"figures"`
	Form        string           `json:"form"`
	FormVersion int              `json:"form_version"`
	Nil         bool             `json:"nil"`
	Nonce       string           `json:"nonce"`
	Note        string           `json:"note"`
	Reason      string           `json:"reason"`
	Regime      string           `json:"regime"`
	Replaces    int              `json:"replaces"`
	Signer      string           `json:"signer"`
	Unit        string           `json:"unit"`
	V           string           `json:"v"`
}

// filing checks a version that a machine signed: the statement says what the entry says, and the signature is by a key of
// whoever sent it, enrolled by an earlier entry and revoked by none.
func (c *signatures) filing(e *shown) error {
	var x version
	if _, err := e.read(&x); err != nil {
		return err
	}
	if x.Signature == nil {
		return fmt.Errorf("it holds a statement that nobody signed: %w", errSigned)
	}
	var s filingStatement
	d := json.NewDecoder(bytes.NewReader([]byte(x.Statement)))
	d.DisallowUnknownFields()
	if err := d.Decode(&s); err != nil {
		return malformed("the statement that was signed cannot be read (%v)", err)
	}
	decision := "file"
	if e.kind == "ReportCorrected" {
		decision = "correct"
	}
	stream := fmt.Sprintf("report-%s.%s.%s.%s", s.Regime, s.Form, s.Unit, strings.ReplaceAll(s.Date, "-", ""))
	switch {
	case s.V != "answerable/filing/1" || s.Decision != decision || stream != e.stream || s.FormVersion != x.FormVersion || s.Nil != x.Nil || s.Note != x.Note ||
		s.Replaces != x.Replaces || s.Correction != x.Correction || s.Reason != x.Reason:
		return fmt.Errorf("the statement that was signed says something else than the entry: %w", errSigned)
	case s.Signer != e.actor:
		return fmt.Errorf("it was signed by %s and sent by %s: %w", s.Signer, e.actor, errSigned)
	case len(x.Children) == 0 && len(s.Figures) != len(x.Figures):
		return fmt.Errorf("%d figures were signed, the entry has %d: %w", len(s.Figures), len(x.Figures), errSigned)
	}
	for name, signed := range s.Figures { // of a sum, the unit's own fields alone
		if recorded, ok := x.Figures[name]; !ok || recorded != signed {
			return fmt.Errorf("%s was signed as %d, the entry says %d: %w", name, signed, recorded, errSigned)
		}
	}
	if s.Nonce == "" || c.nonces[x.Statement] {
		return fmt.Errorf("its statement, nonce %q, was recorded before: a signature was replayed: %w", s.Nonce, errSigned)
	}
	c.nonces[x.Statement] = true
	return c.signature(e, s.Signer, x.Statement, *x.Signature, &c.sum.Filed)
}
