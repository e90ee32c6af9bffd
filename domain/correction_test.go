package domain_test

import (
	"testing"

	"github.com/answerable-ledger/answerable/domain"
)

func TestCorrect(t *testing.T) {
	t.Parallel()
	was, is := figures(1000, 600), figures(1000, 610)
	filed := facts(fact("09:00:00", filer, submitted(was, domain.OnTime)))
	attempt := func(change func(*domain.Correction), by domain.Actor) func(domain.Report) ([]domain.Event, error) {
		return func(r domain.Report) ([]domain.Event, error) {
			c := domain.Correction{Content: content(is), Replaces: 1, Correction: domain.CorrectionContent, Reason: "đếm sót một khu phố", ReceivedAt: at("9 10:00:00")}
			change(&c)
			return r.Correct(c, owed(), communeForm(), nil, by)
		}
	}
	erratum := corrected(2, was, was)
	erratum.Correction, erratum.Note = domain.CorrectionErratum, "ghi đúng tên khu phố"
	sum := content(was)
	sum.Children = []domain.ChildPin{{Unit: "25945", Version: 2, Digest: "cc"}}
	resummed := corrected(2, was, was)
	resummed.Children, resummed.Missing, resummed.Digest = sum.Children, []domain.UnitCode{"25873"}, sum.Digest(key)
	fell := corrected(2, was, is)
	fell.Note, fell.Findings = "gỡ ứng dụng", []domain.Finding{{Rule: domain.FindingFall, RuleVersion: 1, Field: "installed", Was: 700, Is: 610}}
	full := filed
	for n := 2; n <= domain.MaxVersions; n++ {
		full = append(full[:len(full):len(full)], fact("10:00:00", filer, corrected(n, was, figures(1000, int64(n)))))
	}

	check(t, domain.Report{Key: key}, []spec[domain.Report]{
		{name: "rule 5: the whole content is replaced, the predecessor named, also after the day", given: filed, when: attempt(func(*domain.Correction) {}, theFiler()),
			then: []domain.Event{corrected(2, was, is)}},
		{name: "rule 5: an erratum of form keeps the figures", given: filed, then: []domain.Event{erratum},
			when: attempt(func(c *domain.Correction) {
				c.Content, c.Correction, c.Note = content(was), domain.CorrectionErratum, "ghi đúng tên khu phố"
			}, theFiler())},
		{name: "rule 5: an erratum may not change a figure", given: filed, wantErr: no(domain.Invalid, domain.CodeErratumFigures, "/correction"),
			when: attempt(func(c *domain.Correction) { c.Correction = domain.CorrectionErratum }, theFiler())},
		{name: "rule 5: an identical correction is refused", given: filed, wantErr: no(domain.Conflict, domain.CodeIdentical, ""),
			when: attempt(func(c *domain.Correction) { c.Content = content(was) }, theFiler())},
		{name: "rule 5: another note alone is no correction of content", given: filed, wantErr: no(domain.Conflict, domain.CodeIdentical, ""),
			when: attempt(func(c *domain.Correction) { c.Content, c.Note = content(was), "khác" }, theFiler())},
		{name: "rule 5: an erratum that changes nothing is refused", given: filed, wantErr: no(domain.Conflict, domain.CodeIdentical, ""),
			when: attempt(func(c *domain.Correction) { c.Content, c.Correction = content(was), domain.CorrectionErratum }, theFiler())},
		{name: "rule 5: only the newest version can be corrected", given: append(filed[:1:1], fact("09:30:00", filer, corrected(2, was, is))),
			when: attempt(func(*domain.Correction) {}, theFiler()), wantErr: no(domain.Precondition, domain.CodeOldVersion, "/version")},
		{name: "rule 5: nor one that is not there yet", given: filed, when: attempt(func(c *domain.Correction) { c.Replaces = 2 }, theFiler()), wantErr: no(domain.Precondition, domain.CodeOldVersion, "/version")},
		{name: "rule 5: back to what an earlier version said is a correction", given: append(filed[:1:1], fact("09:30:00", filer, corrected(2, was, is))),
			when: attempt(func(c *domain.Correction) { c.Replaces, c.Content = 2, content(was) }, theFiler()), then: []domain.Event{corrected(3, is, was)}},
		{name: "rule 5: also of a unit that was freed of reporting", given: filed, then: []domain.Event{corrected(2, was, is)},
			when: func(r domain.Report) ([]domain.Event, error) {
				return r.Correct(domain.Correction{Content: content(is), Replaces: 1, Correction: domain.CorrectionContent, Reason: "đếm sót một khu phố", ReceivedAt: at("9 10:00:00")}, exempted(), communeForm(), nil, theFiler())
			}},
		{name: "rule 5: the same sum of other versions is another content, and names what it is without (rule 16)", given: filed, then: []domain.Event{resummed},
			when: attempt(func(c *domain.Correction) { c.Content, c.Missing = sum, resummed.Missing }, theFiler())},
		{name: "rule 5: a correction that needs a word keeps why (rule 12)", given: filed, then: []domain.Event{fell},
			when: func(r domain.Report) ([]domain.Event, error) {
				yesterday := content(figures(1000, 700))
				return r.Correct(domain.Correction{Content: content(is), Replaces: 1, Correction: domain.CorrectionContent, Reason: "đếm sót một khu phố", Note: "gỡ ứng dụng", ReceivedAt: at("9 10:00:00")}, owed(), communeForm(), &yesterday, theFiler())
			}},
		{name: "rule 5: a reason is needed", given: filed, wantErr: no(domain.Invalid, domain.CodeTextMissing, "/reason"),
			when: attempt(func(c *domain.Correction) { c.Reason = " " }, theFiler())},
		{name: "rule 5: content or erratum", given: filed, wantErr: no(domain.Invalid, domain.CodeChoice, "/correction"),
			when: attempt(func(c *domain.Correction) { c.Correction = "retraction" }, theFiler())},
		{name: "rule 11: a report may be corrected to nil", given: filed, when: attempt(func(c *domain.Correction) { c.Content = domain.Content{FormVersion: 2, Nil: true} }, theFiler()),
			then: []domain.Event{func() domain.Event {
				e := corrected(2, was, nil)
				e.Nil, e.Digest = true, domain.Content{FormVersion: 2, Nil: true}.Digest(key)
				return e
			}()}},
		{name: "rule 11: and not to nothing", given: filed, when: attempt(func(c *domain.Correction) { c.Figures = nil }, theFiler()),
			wantErr: no(domain.Invalid, domain.CodeEmptyNotNil, "/figures")},
		{name: "nothing was filed", when: attempt(func(*domain.Correction) {}, theFiler()), wantErr: no(domain.NotFound, domain.CodeNotSubmitted, "")},
		{name: "the head corrects nothing", given: filed, when: attempt(func(*domain.Correction) {}, theHead()), wantErr: no(domain.Forbidden, domain.CodeRoleMissing, "")},
		{name: "versions are bounded", given: full, wantErr: no(domain.Conflict, domain.CodeRange, ""),
			when: attempt(func(c *domain.Correction) { c.Replaces = domain.MaxVersions }, theFiler())},
	})
}
