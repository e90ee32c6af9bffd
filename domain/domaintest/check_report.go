package domaintest

import (
	"slices"
	"strings"
	"time"

	"github.com/answerable-ledger/answerable/domain"
)

func (c *checker) report(f domain.Fact) error {
	k, ok := domain.ParseReportStream(f.Stream)
	duty, day := c.dutyOf(k)
	if !ok || day == nil {
		return broken(15, "no obligation has this stream")
	}
	r := c.reports[f.Stream]
	if r == nil {
		r = &checkedReport{breaches: map[domain.BreachKind]domain.DeadlineBreached{}, withdrawn: map[domain.BreachKind]bool{}, signed: map[int]time.Time{}}
		c.reports[f.Stream] = r
	}
	due := c.due(duty.Duty, []domain.UnitCode{k.Unit}, k.Date)
	switch e := f.Event.(type) {
	case domain.ReportSubmitted:
		return c.submitted(f, e, r, k, due, day)
	case domain.ReportCorrected:
		return c.corrected(f, e, r, k)
	case domain.ReportSignedOff:
		return c.signedOff(f, e, r, k)
	case domain.ReportReturned:
		if n := len(r.versions); n == 0 || e.Version != n || !r.signed[n].IsZero() {
			return broken(6, "returned version %d of %d", e.Version, n)
		}
	case domain.DeadlineBreached:
		return c.breached(f, e, r, k, due, day, duty)
	case domain.BreachWithdrawn:
		if b, ok := r.breaches[e.Breach]; !ok || r.withdrawn[e.Breach] || !e.ReceivedAt.Before(b.Due) || !e.ReceivedAt.Equal(f.ReceivedAt) {
			return broken(3, "withdrawn without ground: received %s", Hour(e.ReceivedAt))
		}
		r.withdrawn[e.Breach] = true
	case domain.BreachExplained:
		return r.standing(e.Breach, e.Text, e.ExplainedBy)
	case domain.BreachExcused:
		return r.standing(e.Breach, e.Reason, e.GrantedBy)
	case domain.BreachUpheld:
		return r.standing(e.Breach, e.Reason, e.UpheldBy)
	case domain.ReminderSent:
		if len(r.versions) > 0 {
			return broken(9, "reminded a unit that had filed")
		}
	}
	return nil
}

func (r *checkedReport) standing(k domain.BreachKind, reason string, by domain.PersonID) error {
	if _, ok := r.breaches[k]; !ok || r.withdrawn[k] {
		return broken(13, "there is no standing breach %s", k)
	}
	return granted(reason, by)
}

func (c *checker) submitted(f domain.Fact, e domain.ReportSubmitted, r *checkedReport, k domain.ReportKey, due time.Time, day *checkedDay) error {
	if len(r.versions) > 0 {
		return broken(5, "submitted twice")
	}
	if !e.Due.Equal(due) || e.RegimeVersion != day.opened.RegimeVersion {
		return broken(2, "judged against %s under version %d; in force were %s and %d", Hour(e.Due), e.RegimeVersion, Hour(due), day.opened.RegimeVersion)
	}
	if onTime := f.ReceivedAt.Before(due); onTime != (e.Timeliness == domain.OnTime) {
		return broken(1, "received at %s, due before %s, judged %s", Hour(f.ReceivedAt), Hour(due), e.Timeliness)
	}
	r.timeliness = e.Timeliness
	return c.version(f, r, k, domain.Content{FormVersion: e.FormVersion, Figures: e.Figures, Nil: e.Nil, Children: e.Children}, e.Digest, e.Note, e.Findings, e.Missing)
}

func (c *checker) corrected(f domain.Fact, e domain.ReportCorrected, r *checkedReport, k domain.ReportKey) error {
	n := len(r.versions)
	if n == 0 || e.Version != n+1 || e.Replaces != n || e.ReplacesDigest != r.versions[n-1].digest {
		return broken(5, "version %d replaces %d, the newest is %d", e.Version, e.Replaces, n)
	}
	if strings.TrimSpace(e.Reason) == "" {
		return broken(5, "corrected without a reason")
	}
	content := domain.Content{FormVersion: e.FormVersion, Figures: e.Figures, Nil: e.Nil, Children: e.Children}
	same := equalFigures(content, r.versions[n-1].content)
	switch {
	case e.Correction == domain.CorrectionContent && same:
		return broken(5, "the correction is identical")
	case e.Correction == domain.CorrectionErratum && !same:
		return broken(5, "an erratum changed a figure")
	case e.Correction == domain.CorrectionErratum && e.Note == r.versions[n-1].note:
		return broken(5, "the erratum is identical")
	}
	return c.version(f, r, k, content, e.Digest, e.Note, e.Findings, e.Missing)
}

// version holds what every version must satisfy.
func (c *checker) version(f domain.Fact, r *checkedReport, k domain.ReportKey, content domain.Content, digest, note string, findings []domain.Finding, missing []domain.UnitCode) error {
	if content.Digest(k) != digest {
		return broken(6, "the digest is not the content's")
	}
	if content.Nil != (len(content.Figures) == 0) {
		return broken(11, "nil is %v, with %d figures", content.Nil, len(content.Figures))
	}
	if len(findings) > 0 && strings.TrimSpace(note) == "" {
		return broken(12, "%d findings and no note", len(findings))
	}
	duty, _ := c.dutyOf(k)
	if (len(content.Children) > 0 || len(missing) > 0) && duty.Consolidates == "" {
		return broken(9, "children of a report that sums nothing")
	}
	// An erratum keeps its predecessor's pins, which may be out of date by then.
	if n := len(r.versions); n == 0 || !equalFigures(content, r.versions[n-1].content) {
		if err := c.pins(k.Regime, duty.Consolidates, k.Date, content.Children, missing); err != nil {
			return err
		}
		if err := c.sum(k, duty.Consolidates, content); err != nil {
			return err
		}
	}
	r.versions = append(r.versions, checkedVersion{content, digest, note, f.Actor, f.ReceivedAt})
	return nil
}

// sum adds up the children again, for the fields that children and parent share.
func (c *checker) sum(k domain.ReportKey, form domain.FormID, content domain.Content) error {
	sums := domain.Figures{}
	for _, p := range content.Children {
		k.Form, k.Unit = form, p.Unit
		for name, n := range c.reports[k.Stream()].versions[p.Version-1].content.Figures {
			sums[name] += n
		}
	}
	for name, n := range sums {
		if got, ok := content.Figures[name]; ok && got != n {
			return broken(16, "%s is %d, its children make %d", name, got, n)
		}
	}
	return nil
}

func (c *checker) signedOff(f domain.Fact, e domain.ReportSignedOff, r *checkedReport, k domain.ReportKey) error {
	n := len(r.versions)
	if n == 0 || e.Version != n || e.Digest != r.versions[n-1].digest {
		return broken(6, "signed version %d of %d", e.Version, n)
	}
	if e.Signer != f.Actor || e.Signer == r.versions[n-1].filer {
		return broken(7, "%s signed for %s what %s filed", f.Actor, e.Signer, r.versions[n-1].filer)
	}
	if !c.mayHaveSigned(e, k, f.ReceivedAt) {
		return broken(7, "%s signed as %s without a right at %s", e.Signer, e.Capacity, Hour(f.ReceivedAt))
	}
	for _, part := range []string{string(k.Unit), string(k.Date), e.Digest, string(e.Signer), string(e.Capacity), `"version":`} {
		if !strings.Contains(e.Statement, part) {
			return broken(7, "the statement does not name %q", part)
		}
	}
	r.signed[n] = f.ReceivedAt
	return nil
}

func (c *checker) mayHaveSigned(e domain.ReportSignedOff, k domain.ReportKey, at time.Time) bool {
	o := c.offices[k.Unit]
	if o == nil {
		return false
	}
	for i, h := range o.heads {
		left, gone := o.left[i]
		if h.Person == e.Signer && h.Capacity == e.Capacity && !at.Before(h.From) && (!gone || at.Before(left)) {
			return true
		}
	}
	return slices.ContainsFunc(o.authorities, func(a domain.AuthorityGranted) bool {
		revoked, ended := o.revoked[a.Authority]
		return a.Authority == e.Authority && a.Person == e.Signer && a.Capacity == e.Capacity && !at.Before(a.From) && at.Before(a.Until) &&
			(!ended || at.Before(revoked)) && (len(a.Forms) == 0 || slices.Contains(a.Forms, k.Form))
	})
}

func (c *checker) office(f domain.Fact) error {
	unit, _ := cut(f.Stream, domain.CategoryOffice)
	o := c.offices[domain.UnitCode(unit)]
	if o == nil {
		o = &checkedOffice{left: map[int]time.Time{}, revoked: map[string]time.Time{}}
		c.offices[domain.UnitCode(unit)] = o
	}
	switch e := f.Event.(type) {
	case domain.OfficeTaken:
		for i, h := range o.heads {
			if left, gone := o.left[i]; !gone || e.From.Before(left) {
				return broken(8, "%s and %s hold one office", h.Person, e.Person)
			}
		}
		o.heads = append(o.heads, e)
	case domain.OfficeLeft:
		i := len(o.heads) - 1
		if _, gone := o.left[i]; i < 0 || gone || o.heads[i].Person != e.Person {
			return broken(8, "%s left an office they did not hold", e.Person)
		}
		o.left[i] = e.Until
	case domain.AuthorityGranted:
		o.authorities = append(o.authorities, e)
	case domain.AuthorityRevoked:
		o.revoked[e.Authority] = e.At
	}
	return nil
}

func (c *checker) breached(f domain.Fact, e domain.DeadlineBreached, r *checkedReport, k domain.ReportKey, due time.Time, day *checkedDay, duty domain.DayDuty) error {
	if _, ok := r.breaches[e.Breach]; ok {
		return broken(3, "a second breach %s", e.Breach)
	}
	r.breaches[e.Breach] = e
	if c.exempt(duty.Duty, k.Unit, k.Date) {
		return broken(13, "a breach of an exempt unit")
	}
	if e.RegimeVersion != day.opened.RegimeVersion || e.Unit != k.Unit || e.Date != k.Date || e.Form != k.Form {
		return broken(2, "the breach is of another obligation or version")
	}
	grace := time.Duration(duty.GraceSeconds) * time.Second
	if f.RecordedAt.Before(e.Due.Add(grace)) {
		return broken(3, "recorded at %s, before the closing of %s", Hour(f.RecordedAt), Hour(e.Due))
	}
	n := len(r.versions)
	switch e.Breach {
	case domain.BreachMissing:
		if n > 0 || !e.Due.Equal(due) {
			return broken(4, "missing, with %d versions, due %s", n, Hour(e.Due))
		}
	case domain.BreachLate:
		_, missing := r.breaches[domain.BreachMissing]
		if n == 0 || r.timeliness != domain.Late || missing || !e.Due.Equal(due) {
			return broken(4, "late, with %d versions, judged %s", n, r.timeliness)
		}
	case domain.BreachUnsigned:
		newest := 0
		for i, v := range r.versions {
			if v.received.Before(e.Due) {
				newest = i + 1
			}
		}
		if at, ok := r.signed[newest]; newest == 0 || e.Version != newest || ok && at.Before(e.Due) || e.Due.Before(due) {
			return broken(4, "unsigned version %d, newest at %s was %d", e.Version, Hour(e.Due), newest)
		}
	}
	return nil
}
