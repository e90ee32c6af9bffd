package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// answer is what is read of a record of answers.json: the ledger's own reading of the entries.
type answer struct {
	Regime  string `json:"regime"`
	Form    string `json:"form"`
	Unit    string `json:"unit"`
	Date    string `json:"date"`
	Version int    `json:"version"`
	Digest  string `json:"digest"`
	Figures []struct {
		Field string `json:"field"`
		Value int64  `json:"value"`
	} `json:"figures"`
	SignOff *struct {
		Signer person `json:"signer"`
		Digest string `json:"digest"`
	} `json:"sign_off"`
	Answerable   headOf `json:"answerable"`
	HeadDeadline headOf `json:"head_at_deadline"`
}

type person struct {
	ID string `json:"id"`
}

type headOf struct {
	Person *person   `json:"person"`
	Unit   string    `json:"unit"`
	At     time.Time `json:"at"`
	Vacant bool      `json:"vacant"`
	Above  *headOf   `json:"above"`
}

// answers compares the ledger's reading with the entries: each figure with the newest version's content, each signature
// with its entry, each head with the entries of the office.
func (b *bundle) answers() error {
	text, err := b.file("answers.json")
	if err != nil {
		return err
	}
	var records []answer
	if err := json.Unmarshal(text, &records); err != nil {
		return malformed("answers.json (%v)", err)
	}
	offices := &offices{}
	newest := map[string]version{} // by stream
	signers := map[string]bool{}   // by stream, signer and digest
	for i := range b.r.Manifest.Entries {
		e := &b.r.Manifest.Entries[i]
		s := e.shown()
		if err := offices.take(s); err != nil {
			return s.fault(err)
		}
		switch e.Kind {
		case "ReportSubmitted", "ReportCorrected":
			var x version
			if ok, err := e.payload(&x); err != nil {
				return err
			} else if ok {
				x.Version = max(x.Version, 1)
				newest[e.Stream] = x
			}
		case "ReportSignedOff":
			var x signOff
			if ok, err := e.payload(&x); err != nil {
				return err
			} else if ok {
				signers[e.Stream+" "+x.Signer+" "+x.Digest] = true
			}
		}
	}
	for _, a := range records {
		stream := fmt.Sprintf("report-%s.%s.%s.%s", a.Regime, a.Form, a.Unit, strings.ReplaceAll(a.Date, "-", ""))
		bad := func(format string, args ...any) error {
			return fmt.Errorf("answers.json, %s: %s: %w", stream, fmt.Sprintf(format, args...), errBundle)
		}
		v := newest[stream]
		switch {
		case a.Unit != b.r.Manifest.Unit || a.Regime != b.r.Manifest.Regime || a.Date < b.r.Manifest.From || a.Date > b.r.Manifest.To:
			return bad("it is not what the bundle is about")
		case v.Version != a.Version || v.Digest != a.Digest:
			return bad("it shows version %d (%s), the entries end with version %d (%s)", a.Version, a.Digest, v.Version, v.Digest)
		case len(a.Figures) != len(v.Figures):
			return bad("it shows %d figures, the entry has %d", len(a.Figures), len(v.Figures))
		case a.SignOff != nil && !signers[stream+" "+a.SignOff.Signer.ID+" "+a.SignOff.Digest]:
			return bad("it shows a sign-off by %s that no entry holds", a.SignOff.Signer.ID)
		}
		for _, f := range a.Figures {
			if got, ok := v.Figures[f.Field]; !ok || got != f.Value {
				return bad("%s is shown as %d, the entry says %d", f.Field, f.Value, got)
			}
		}
		for _, h := range []*headOf{&a.Answerable, &a.HeadDeadline} {
			for ; h != nil; h = h.Above {
				if h.Person != nil && !offices.heldOffice(h.Unit, h.Person.ID, h.At) {
					return bad("%s is named as head of %s at %s, and the office's entries do not say so", h.Person.ID, h.Unit, show(h.At))
				}
			}
		}
		b.r.Answers++
	}
	return nil
}
