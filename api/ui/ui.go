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

const javaScript = "text/javascript; charset=utf-8"

// Pages renders pages. It is safe for concurrent use.
type Pages struct {
	templates map[string]*template.Template // by the name of the page
	assets    map[string]Asset              // by the name in their address
	versions  map[string]string
}

// Asset is a static file. Its address carries its version, which is a digest of it: what is fetched once is kept for ever.
type Asset struct {
	Body      []byte
	MediaType string
	Version   string
}

// New parses every template.
func New() (*Pages, error) {
	names, err := fs.Glob(files, "templates/*.html")
	if err != nil {
		return nil, fmt.Errorf("ui: %w", err)
	}
	p := &Pages{templates: map[string]*template.Template{}, assets: map[string]Asset{}, versions: map[string]string{}}
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
	for _, a := range []struct{ file, mediaType string }{
		{"static/app.css", "text/css; charset=utf-8"}, {"static/app.js", javaScript}, {"static/receipt.js", javaScript}, {"static/htmx/htmx.min.js", javaScript},
	} {
		body, err := files.ReadFile(a.file)
		if err != nil {
			return nil, fmt.Errorf("ui: %w", err)
		}
		name := path.Base(a.file)
		p.assets[name] = Asset{body, a.mediaType, version(body)}
		p.versions[name] = p.assets[name].Version
	}
	return p, nil
}

// Style is the style sheet, and the version that its address carries.
func (p *Pages) Style() (css []byte, version string) {
	a := p.assets["app.css"]
	return a.Body, a.Version
}

// Asset is a static file by its name. No page needs a script; those there are run on pages of signed-in people alone.
func (p *Pages) Asset(name string) (Asset, bool) {
	a, ok := p.assets[name]
	return a, ok
}

// Versions are the static files' versions by their names, for Frame. The caller leaves them as they are.
func (p *Pages) Versions() map[string]string { return p.versions }

func version(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:6])
}

// Part gives the part of a page that changes while it is looked at: the template of the same name in its file.
func (p *Pages) Part(page Page, part string) ([]byte, error) {
	t, ok := p.templates[page.template()]
	if !ok {
		return nil, fmt.Errorf("ui: there is no page %s", page.template())
	}
	var b bytes.Buffer
	if err := t.ExecuteTemplate(&b, part, page); err != nil {
		return nil, fmt.Errorf("ui: render %s of %s: %w", part, page.template(), err)
	}
	return b.Bytes(), nil
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
