package domain

import "strconv"

// FilingStatement is what the machine of a unit signs when it files or corrects a report: exactly what it sends.
type FilingStatement struct {
	Key         ReportKey
	FormVersion int     // the one in force for the day, also when the filing leaves it out
	Figures     Figures // as sent: of a consolidated report the unit's own fields alone
	Nil         bool
	Note        string
	Replaces    int // 0 when it files the first version
	Correction  CorrectionKind
	Reason      string
	Signer      PersonID
	Nonce       string // good once: the key that makes the request repeatable
}

// Text is the statement as it is signed: a JSON object in the form of RFC 8785. Its members "v" and "decision" keep its
// signature from being taken for one under a sign-off.
func (s FilingStatement) Text() string {
	decision := "file"
	if s.Replaces > 0 {
		decision = "correct"
	}
	b := []byte{'{'}
	text := func(name, value string) {
		b = append(appendJSONString(append(appendJSONString(b, name), ':'), value), ',')
	}
	number := func(name string, value int64) {
		b = append(strconv.AppendInt(append(appendJSONString(b, name), ':'), value, 10), ',')
	}
	text("correction", string(s.Correction))
	text("date", string(s.Key.Date))
	text("decision", decision)
	b = append(b, `"figures":{`...)
	for i, name := range s.Figures.Names() { // ASCII names, so the order of bytes is that of RFC 8785
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(append(appendJSONString(b, name), ':'), s.Figures[name], 10)
	}
	b = append(b, `},`...)
	text("form", string(s.Key.Form))
	number("form_version", int64(s.FormVersion))
	b = append(strconv.AppendBool(append(b, `"nil":`...), s.Nil), ',')
	text("nonce", s.Nonce)
	text("note", s.Note)
	text("reason", s.Reason)
	text("regime", string(s.Key.Regime))
	number("replaces", int64(s.Replaces))
	text("signer", string(s.Signer))
	text("unit", string(s.Key.Unit))
	b = append(b, `"v":"answerable/filing/1"}`...)
	return string(b)
}

// SignedFiling is a statement with the signature that was checked over it. It is recorded inside the fact of the filing.
type SignedFiling struct {
	Statement string
	Signature Signature
}

// parts are the members of the fact: none for a filing nobody signed.
func (s *SignedFiling) parts() (statement string, signature *Signature) {
	if s == nil {
		return "", nil
	}
	return s.Statement, &s.Signature
}
