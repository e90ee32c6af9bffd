package ui

import (
	"html/template"
	"strings"
	"testing"

	"github.com/jba/templatecheck"
)

// TestTemplatesFitTheirStructs checks every template against the struct it is filled from without rendering it: a field, a
// method or an argument that does not exist is found in branches that no test walks, too.
func TestTemplatesFitTheirStructs(t *testing.T) {
	t.Parallel()
	p, err := New()
	if err != nil {
		t.Fatal(err)
	}
	checked := map[string]bool{}
	for _, page := range everyPage() {
		name := page.template()
		if checked[name] {
			continue
		}
		checked[name] = true
		if err := templatecheck.CheckHTMLStrict(p.templates[name], page); err != nil {
			t.Errorf("%s, of %T: %v", name, page, err)
		}
	}
	for name := range p.templates {
		if !checked[name] {
			t.Errorf("nothing says what %s is filled from", name)
		}
	}
}

// TestACheckFindsWhatRenderingDoesNot: each of these is a branch that an empty struct never walks.
func TestACheckFindsWhatRenderingDoesNot(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ from, to, want string }{
		"field of the page":            {`{{range .Rows}}`, `{{range .Row}}`, "Row"},
		"field of a row":               {`{{$p.Class .ComplianceRow}}`, `{{$p.Class .Compliance}}`, "Compliance"},
		"method":                       {`{{$p.Class .ComplianceRow}}`, `{{$p.Classes .ComplianceRow}}`, "Classes"},
		"argument of a method":         {`{{$p.Class .ComplianceRow}}`, `{{$p.Class .FormTitle}}`, "FormTitle"},
		"number of arguments":          {`{{$p.Class .ComplianceRow}}`, `{{$p.Class .ComplianceRow 1}}`, "arg"},
		"range over what is no list":   {`{{range .Rows}}`, `{{range .Frame}}`, "range"},
		"field behind with":            {`{{with .ReceivedAt}}{{$p.Time .}}`, `{{with .ReceivedAt}}{{$p.Time .Then}}`, "Then"},
		"field behind if":              {`{{if .Reminders}}`, `{{if .Reminded}}`, "Reminded"},
		"template that is none":        {`{{template "days" .}}`, `{{template "day" .}}`, "day"},
		"template of something else":   {`{{template "days" .}}`, `{{template "days" .Unit}}`, "Previous"},
		"field in a template included": {`{{define "live"}}{{$p := .}}`, `{{define "live"}}{{$p := .}}{{if .Own}}{{.Gone}}{{end}}`, "Gone"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			layout, err := files.ReadFile("templates/layout.html")
			if err != nil {
				t.Fatal(err)
			}
			text, err := files.ReadFile("templates/district.html")
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(string(text), c.from) {
				t.Fatalf("the template holds no %s", c.from)
			}
			wrong, err := template.New("layout.html").Parse(string(layout))
			if err == nil {
				wrong, err = wrong.Parse(strings.ReplaceAll(string(text), c.from, c.to))
			}
			if err != nil {
				t.Fatal(err)
			}
			if err := templatecheck.CheckHTMLStrict(wrong, District{}); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("found %v, want something of %s", err, c.want)
			}
		})
	}
}
