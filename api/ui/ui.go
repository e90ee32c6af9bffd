// Package ui is how the pages look: templates, style, words in both languages, and the structs the templates are filled
// from. It holds no handlers and asks nobody for anything.
//
// Its promise: a page is rendered whole or not at all; everything a person typed is escaped; a page says the same with
// and without colours, and works without scripts.
//
// Its failure model: New fails when a template that is part of the program is wrong. Render fails when a struct does not
// fit its template, which a test makes sure of for every page; nothing is written then.
package ui

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"html/template"
	"io/fs"
	"path"
	"strings"
)

//go:embed templates static
var files embed.FS

// Pages renders pages. It is safe for concurrent use.
type Pages struct {
	templates map[string]*template.Template // by the name of the page
	style     []byte
	version   string // of the style, for its address
	script    []byte
	scriptVer string
}

// New parses every template.
func New() (*Pages, error) {
	names, err := fs.Glob(files, "templates/*.html")
	if err != nil {
		return nil, fmt.Errorf("ui: %w", err)
	}
	p := &Pages{templates: map[string]*template.Template{}}
	for _, name := range names {
		page := strings.TrimSuffix(path.Base(name), ".html")
		if page == "layout" {
			continue
		}
		t, err := template.New("layout.html").Option("missingkey=error").ParseFS(files, "templates/layout.html", name)
		if err != nil {
			return nil, fmt.Errorf("ui: page %s: %w", page, err)
		}
		p.templates[page] = t
	}
	if p.style, err = files.ReadFile("static/app.css"); err != nil {
		return nil, fmt.Errorf("ui: %w", err)
	}
	if p.script, err = files.ReadFile("static/app.js"); err != nil {
		return nil, fmt.Errorf("ui: %w", err)
	}
	p.version, p.scriptVer = version(p.style), version(p.script)
	return p, nil
}

// Style is the style sheet, and the version that its address carries.
func (p *Pages) Style() (css []byte, version string) { return p.style, p.version }

// Script is what pages of signed-in people may run, and the version that its address carries. No page needs it.
func (p *Pages) Script() (js []byte, version string) { return p.script, p.scriptVer }

func version(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:6])
}

// Page is what a template can be filled from. The set is closed: one struct per template.
type Page interface{ template() string }

// Render gives a whole page.
func (p *Pages) Render(page Page) ([]byte, error) {
	t, ok := p.templates[page.template()]
	if !ok {
		return nil, fmt.Errorf("ui: there is no page %s", page.template())
	}
	var b bytes.Buffer
	if err := t.Execute(&b, page); err != nil {
		return nil, fmt.Errorf("ui: render %s: %w", page.template(), err)
	}
	return b.Bytes(), nil
}
