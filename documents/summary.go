package documents

import (
	"embed"
	"fmt"
	"html/template"
	"io"
	"time"

	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/projections"
)

//go:embed summary.html
var pages embed.FS

// summaryPage is what summary.html is given.
type summaryPage struct {
	Lang     domain.Language
	Manifest Manifest
	Records  []projections.AnswerRecord
}

// renderSummary writes the readable half of a bundle. It loads nothing and runs nothing.
func renderSummary(w io.Writer, l domain.Language, m Manifest, records []projections.AnswerRecord) error {
	say := func(vi, en string) string {
		if l == domain.English {
			return en
		}
		return vi
	}
	t, err := template.New("summary.html").Funcs(template.FuncMap{
		"say": say,
		"at": func(t time.Time) string {
			return t.In(domain.HoChiMinh).Format("15:04:05 02/01/2006")
		},
		"word": func(w domain.Wording) string {
			return say(w.Vi, w.En)
		},
		"status": func(s domain.Status) string {
			return map[domain.Status]string{domain.StatusOnTime: say("đúng hạn", "on time"), domain.StatusLate: say("trễ", "late"), domain.StatusMissing: say("thiếu", "missing"),
				domain.StatusExempt: say("được miễn", "exempt"), domain.StatusDue: say("chưa đến hạn", "due")}[s]
		},
		"breach": func(k domain.BreachKind) string {
			return map[domain.BreachKind]string{domain.BreachMissing: say("không báo cáo", "nothing reported"), domain.BreachLate: say("báo cáo trễ", "reported late"),
				domain.BreachUnsigned: say("chưa ký duyệt", "not signed")}[k]
		},
	}).ParseFS(pages, "summary.html")
	if err != nil {
		return fmt.Errorf("documents: %w", err)
	}
	if l == "" {
		l = domain.Vietnamese
	}
	if err := t.Execute(w, summaryPage{l, m, records}); err != nil {
		return fmt.Errorf("documents: summary: %w", err)
	}
	return nil
}
