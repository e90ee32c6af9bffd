package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	jsonv1 "github.com/go-json-experiment/json/v1"

	"github.com/answerable-ledger/answerable/domain"
)

// detectLanguage is the language asked for, or the terminal's: the first of LC_ALL, LC_MESSAGES and LANG that is set.
func detectLanguage(asked string, env map[string]string) domain.Language {
	switch asked {
	case "vi":
		return domain.Vietnamese
	case "en":
		return domain.English
	}
	for _, name := range []string{"LC_ALL", "LC_MESSAGES", "LANG"} {
		if v := env[name]; v != "" {
			if strings.HasPrefix(strings.ToLower(v), "vi") {
				return domain.Vietnamese
			}
			return domain.English
		}
	}
	return domain.English
}

// say chooses the wording in the user's language.
func (a *app) say(vi, en string) string {
	if a.lang == domain.Vietnamese {
		return vi
	}
	return en
}

func (a *app) printf(vi, en string, args ...any) {
	fmt.Fprintf(a.stdio.out, a.say(vi, en), args...)
}

// printJSON writes one indented JSON value, the same bytes for the same value.
func (a *app) printJSON(v any) error {
	if err := json.MarshalWrite(a.stdio.out, v, json.Deterministic(true), jsonv1.OmitEmptyWithLegacySemantics(true), jsontext.WithIndent("  ")); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	_, err := fmt.Fprintln(a.stdio.out)
	return err
}

// grid aligns columns.
type grid struct{ w *tabwriter.Writer }

func (a *app) table() grid { return grid{tabwriter.NewWriter(a.stdio.out, 0, 0, 2, ' ', 0)} }

func (g grid) row(cells ...any) {
	for len(cells) > 0 && cells[len(cells)-1] == "" { // no blanks at the end of a line
		cells = cells[:len(cells)-1]
	}
	for i, c := range cells {
		if i > 0 {
			fmt.Fprint(g.w, "\t")
		}
		fmt.Fprint(g.w, c)
	}
	fmt.Fprintln(g.w)
}

func (g grid) flush() error { return g.w.Flush() }

// local shows an instant in the regime's zone.
func local(t time.Time) string {
	return t.In(domain.HoChiMinh).Format("2006-01-02 15:04:05.000 -07:00")
}

func localMinute(t time.Time) string { return t.In(domain.HoChiMinh).Format("02/01 15:04:05") }

// place says where in the input a fault is.
func place(f domain.Fault, lang domain.Language) string {
	row, column := "row %d", ", column %s"
	if lang == domain.Vietnamese {
		row, column = "dòng %d", ", cột %s"
	}
	var p string
	if f.Row > 0 {
		p = fmt.Sprintf(row, f.Row)
		if f.Column != "" {
			p += fmt.Sprintf(column, f.Column)
		}
		p += ": "
	}
	if f.Pointer != "" {
		p += f.Pointer + ": "
	}
	return p
}

// progress shows how far a long command is: a bar on a terminal, a line every two seconds elsewhere.
type progress struct {
	w        io.Writer
	terminal bool
	what     string
	total    int64
	started  time.Time
	shown    time.Time
	left     time.Duration // how long it is estimated to take still; 0 while nobody knows
	now      func() time.Time
	say      func(vi, en string) string
}

func (a *app) progress(what string, total int64) *progress {
	p := &progress{w: a.stdio.err, what: what, total: total, started: a.now(), shown: a.now(), now: a.now, say: a.say}
	if f, ok := a.stdio.err.(*os.File); ok {
		if info, err := f.Stat(); err == nil {
			p.terminal = info.Mode()&os.ModeCharDevice != 0
		}
	}
	return p
}

func (p *progress) at(done int64) {
	now, every := p.now(), 2*time.Second
	if p.terminal {
		every = 100 * time.Millisecond
	}
	if now.Sub(p.shown) < every {
		return
	}
	p.shown = now
	rate := float64(done) / max(now.Sub(p.started).Seconds(), 1e-3)
	left := ""
	if p.left > 0 {
		left = fmt.Sprintf(p.say(", còn %s", ", %s left"), p.left.Round(time.Second))
	}
	if !p.terminal {
		fmt.Fprintf(p.w, p.say("%s: %d trên %d, %.0f/giây%s\n", "%s: %d of %d, %.0f/s%s\n"), p.what, done, p.total, rate, left)
		return
	}
	const width = 30
	full := 0
	if p.total > 0 {
		full = int(min(done, p.total) * width / p.total)
	}
	fmt.Fprintf(p.w, p.say("\r%s [%s%s] %d/%d %.0f/giây%s ", "\r%s [%s%s] %d/%d %.0f/s%s "), p.what, strings.Repeat("█", full), strings.Repeat("░", width-full), done, p.total, rate, left)
}

func (p *progress) done() {
	if p.terminal {
		fmt.Fprintf(p.w, "\r%s\r", strings.Repeat(" ", len(p.what)+80))
	}
}
