package domain

import (
	"slices"
	"strconv"
	"time"
)

// CorrectionKind is the sort of a correction: Decree 30/2020/NĐ-CP, Article 18(3), separates an issued document that is
// wrong in content (amended or replaced by one of equal form) from one wrong only in form.
type CorrectionKind string

const (
	CorrectionContent CorrectionKind = "content"
	CorrectionErratum CorrectionKind = "erratum"
)

// ReportCorrected replaces the whole content of the newest version (rule 5).
type ReportCorrected struct {
	Regime         RegimeID       `json:"regime"`
	Form           FormID         `json:"form"`
	FormVersion    int            `json:"form_version"`
	Unit           UnitCode       `json:"unit"`
	Date           Date           `json:"date"`
	Version        int            `json:"version"`
	Replaces       int            `json:"replaces"`
	ReplacesDigest string         `json:"replaces_digest"`
	Correction     CorrectionKind `json:"correction"`
	Reason         string         `json:"reason"`
	Figures        Figures        `json:"figures"`
	Nil            bool           `json:"nil,omitempty"`
	Note           string         `json:"note,omitempty"`
	Digest         string         `json:"digest"`
	Findings       []Finding      `json:"findings,omitempty"`
	Children       []ChildPin     `json:"children,omitempty"`
	Missing        []UnitCode     `json:"missing,omitempty"`
	// Statement is what the filer's machine signed, verbatim (FilingStatement), Signature what proves it; both or neither.
	Statement string     `json:"statement,omitempty"`
	Signature *Signature `json:"signature,omitempty"`
}

func (ReportCorrected) Kind() string { return "ReportCorrected" }
func (ReportCorrected) event()       {}

// Correction is an attempt to replace a version.
type Correction struct {
	Content
	Missing    []UnitCode
	Note       string
	Replaces   int // the version the filer looked at
	Correction CorrectionKind
	Reason     string
	Signed     *SignedFiling // nil when the filer did not sign
	ReceivedAt time.Time
}

// Correct decides the next version. There is no deadline for the truth: a correction is taken after the day closed too,
// and never moves the timeliness of the first version.
func (r Report) Correct(c Correction, o Obligation, form Form, previous *Content, by Actor) ([]Event, error) {
	if err := mayFile(o, by); err != nil {
		return nil, err
	}
	v, err := r.at(c.Replaces)
	if err != nil {
		return nil, err
	}
	if v.Number >= MaxVersions {
		return nil, refuse(Conflict, CodeRange, "", "min", "1", "max", strconv.Itoa(MaxVersions))
	}
	if !slices.Contains([]CorrectionKind{CorrectionContent, CorrectionErratum}, c.Correction) {
		return nil, refuse(Invalid, CodeChoice, "/correction", "value", string(c.Correction))
	}
	if err := checkText("/reason", c.Reason, true); err != nil {
		return nil, err
	}
	findings, err := checkContent(c.Content, c.Note, form, previous)
	if err != nil {
		return nil, err
	}
	sameFigures := c.Nil == v.Content.Nil && c.Figures.Equal(v.Content.Figures) && slices.Equal(c.Children, v.Content.Children)
	if sameFigures && (c.Correction == CorrectionContent || c.Note == v.Note) {
		return nil, refuse(Conflict, CodeIdentical, "", "version", strconv.Itoa(v.Number))
	}
	if c.Correction == CorrectionErratum && !sameFigures { // an erratum of form does not touch a figure
		return nil, refuse(Invalid, CodeErratumFigures, "/correction")
	}
	statement, signature := c.Signed.parts()
	return []Event{ReportCorrected{
		Regime: o.Key.Regime, Form: o.Key.Form, FormVersion: c.FormVersion, Unit: o.Key.Unit, Date: o.Key.Date,
		Version: v.Number + 1, Replaces: v.Number, ReplacesDigest: v.Digest, Correction: c.Correction, Reason: c.Reason,
		Figures: c.Figures, Nil: c.Nil, Note: c.Note, Digest: c.Digest(o.Key), Findings: findings, Children: c.Children, Missing: c.Missing,
		Statement: statement, Signature: signature,
	}}, nil
}
